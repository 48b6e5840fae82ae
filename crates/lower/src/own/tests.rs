//! Which bodies a function gets.

use super::{LONG, Wish, wish};
use crate::Optimize;
use crate::own::guests::body;

/// What it gets where speed counts, where both do, and where the size does.
#[track_caller]
fn check(text: &str, expected: [Wish; 3]) {
    let body = body(&format!("(func $test {text})"));
    let wished = [Optimize::Speed, Optimize::Balanced, Optimize::Size].map(|optimize| wish(&body, optimize));
    assert!(wished == expected, "{}, {} operators", text.get(..80).unwrap_or(text), body.ops.len());
}

/// A loop with a site, and with a `br_table` of so many targets.
fn interpreter(targets: usize) -> String {
    format!("loop call $switch i32.const 0 br_table {} 1 end", "0 ".repeat(targets))
}

#[test]
fn the_smaller_one_unless_speed_counts() {
    check("call $switch nop", [Wish::Clone, Wish::Smaller, Wish::Smaller]);
    check("loop call $switch nop end", [Wish::Clone, Wish::Smaller, Wish::Smaller]);
}

/// The call and the end are the other two operators.
#[test]
fn a_long_function_without_a_loop_is_not_doubled() {
    check(&format!("call $switch {}", "nop ".repeat(LONG - 2)), [Wish::Clone, Wish::Smaller, Wish::Smaller]);
    check(&format!("call $switch {}", "nop ".repeat(LONG - 1)), [Wish::Single, Wish::Smaller, Wish::Smaller]);
    let in_loop = format!("loop call $switch {} end", "nop ".repeat(LONG));
    check(&in_loop, [Wish::Clone, Wish::Smaller, Wish::Smaller]);
}

#[test]
fn an_interpreter_is_fast_unless_size_counts() {
    check(&interpreter(12), [Wish::Clone, Wish::Clone, Wish::Smaller]);
    check(&interpreter(11), [Wish::Clone, Wish::Smaller, Wish::Smaller]);
    // It suspends elsewhere.
    let without = interpreter(12).replace("call $switch", "");
    check(&format!("{without} call $switch nop"), [Wish::Clone, Wish::Smaller, Wish::Smaller]);
}

/// Even an interpreter: its resume function could not make room for who is called.
#[test]
fn a_tail_call_in_a_try_takes_one_body() {
    let text = format!(
        "block try_table (catch_all 0) i32.const 0 if return_call $log end end end {}",
        interpreter(12)
    );
    check(&text, [Wish::Single; 3]);
}
