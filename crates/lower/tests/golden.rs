//! What comes out of small functions, to be read: the files in `golden`.
//!
//! `BLESS=1` rewrites them. Read the difference: whether it still does what the comment at the top says is for a reader
//! to judge; whether it behaves is tested elsewhere.

mod common;

use std::path::Path;
use std::{env, fs};

use common::asyncify::options;
use windlass_lower::Optimize;

/// The module around each function: `$step` suspends, and so does who calls it.
const MODULE: &str = r#"(module
    (import "env" "pause" (func $pause))
    (memory (export "memory") 2)
    (func $step (export "step") (param i32) (result i32) (call $pause) (local.get 0))
FUNCTION)"#;

/// Lowers one function, called `$f`, and compares its bodies and what they call with the golden.
#[track_caller]
fn check(name: &str, optimize: Optimize, explanation: &str, function: &str) {
    let mut options = options();
    options.optimize = optimize;
    let wasm = common::assemble(&MODULE.replace("FUNCTION", function));
    let lowered = common::lower_with(&wasm, &options).wasm;
    let text = wasmprinter::print_bytes(&lowered).unwrap_or_else(|error| panic!("{error}"));
    let mut golden = String::new();
    for line in explanation.lines() {
        golden.push_str(format!(";; {}", line.trim()).trim_end());
        golden.push('\n');
    }
    golden.push_str(";;\n;; Before:\n;;\n");
    let mut before = function.lines().filter(|line| !line.trim().is_empty()).peekable();
    let indent = before.peek().map_or(0, |line| line.len() - line.trim_start().len());
    for line in before {
        golden.push_str(&format!(";;   {}\n", line.get(indent..).unwrap_or(line.trim())));
    }
    let bodies = functions(&text);
    for wanted in ["f ", "windlass.resume.f "] {
        if let Some(body) = bodies.iter().find(|body| body.starts_with(&format!("(func ${wanted}"))) {
            golden.push('\n');
            golden.push_str(body);
        }
    }
    // The helpers that those call, once.
    let helpers: &[&str] = if name == "loop" { &["windlass.spill.", "windlass.restore."] } else { &[] };
    for helper in helpers {
        for body in &bodies {
            let name = body["(func $".len()..].split(' ').next().unwrap_or_default();
            if name.starts_with(*helper) && golden.contains(&format!("call ${name}\n")) {
                golden.push('\n');
                golden.push_str(body);
            }
        }
    }

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.wat"));
    if env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        fs::write(&path, &golden).expect("the golden can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        golden == expected,
        "{} differs; BLESS=1 rewrites it\n{}",
        path.display(),
        similar(&expected, &golden)
    );
}

/// The functions of a module in the text format, outdented, without their indices.
fn functions(text: &str) -> Vec<String> {
    let mut functions: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        if line.starts_with("  (func $") {
            open = true;
            functions.push(String::new());
        }
        if open && let Some(function) = functions.last_mut() {
            // Labels and indices in comments change with every other function.
            let mut line = line.get(2..).unwrap_or_default().to_owned();
            while let Some(start) = line.find(" (;")
                && let Some(end) = line[start..].find(";)")
                && line.starts_with("(func")
            {
                line.replace_range(start..start + end + 2, "");
            }
            function.push_str(&line);
            function.push('\n');
            open = line != ")";
        }
    }
    functions
}

/// The first lines that differ.
fn similar(expected: &str, found: &str) -> String {
    let lines = expected.lines().zip(found.lines()).enumerate();
    match lines.clone().find(|(_, (expected, found))| expected != found) {
        Some((place, (expected, found))) => {
            format!("line {}\n expected {expected}\n found    {found}", place + 1)
        }
        None => format!("{} lines expected, {} found", expected.lines().count(), found.lines().count()),
    }
}

#[test]
fn a_loop() {
    check(
        "loop",
        Optimize::Speed,
        "A call in a loop, lowered for speed: two bodies, and the helpers that write and read a frame.

         The first one is the function as it was. After the call the number of the call site, 1, is put on the stack,
         and if the flag is set the cold end at the bottom takes it from there: it writes one frame, of the values
         that are needed later, and returns some result. Nobody reads that.

         The resume function has the address of that frame. It reads the values and the number of the site, into local
         4, and begins at the loop's head with a jump past the call: with one site the number only tells the first
         time, when the jump is taken, from the next ones, when it is 0. What the call returned came through a global;
         so does what the function returns.",
        r#"
    (func $f (export "f") (param $n i32) (result i32)
        (local $i i32) (local $sum i32)
        (loop $again
            (local.set $sum (i32.add (call $step (local.get $i)) (local.get $sum)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $sum))"#,
    );
}

#[test]
fn an_operand_beneath_a_call() {
    check(
        "operand",
        Optimize::Speed,
        "An operand that lies beneath a call, lowered for speed.

         The branch to the cold end drops the operand stack, so the product is kept in a local as soon as it is there,
         by a `local.tee`. The constant beneath it needs none: the resume function has it again by itself. It pushes
         both before it goes on with what the call returned.",
        r#"
    (func $f (export "f") (param $a i32) (result i32)
        (i32.add
            (i32.const 7)
            (i32.sub
                (i32.mul (local.get $a) (i32.const 3))
                (call $step (local.get $a)))))"#,
    );
}

#[test]
fn a_single_body() {
    check(
        "single",
        Optimize::Size,
        "Two calls, one of them in an arm of an `if`, lowered for size: one body, as two would be larger.

         It begins with the question whether it is called or resumed. If it is resumed, `entry` is the address of the
         frame, and the values and the number of the site to go on after, in a local of its own, come from there. An
         empty block is opened for each place to go on at, so that a branch to it lands there: 0 falls through to the
         code as it was. The arm is entered if the condition says so, or if the site is in it.

         The resume function only calls it, with `entry` set, and passes its result on.",
        r#"
    (func $f (export "f") (param $a i32) (result i32)
        (local.set $a (i32.mul (i32.xor (local.get $a) (i32.shr_u (local.get $a) (i32.const 16))) (i32.const 0x45d9f3b)))
        (if (i32.and (local.get $a) (i32.const 1))
            (then (local.set $a (call $step (local.get $a)))))
        (local.set $a (i32.mul (i32.xor (local.get $a) (i32.shr_u (local.get $a) (i32.const 16))) (i32.const 0x45d9f3b)))
        (local.set $a (i32.mul (i32.xor (local.get $a) (i32.shr_u (local.get $a) (i32.const 16))) (i32.const 0x45d9f3b)))
        (i32.add (call $step (i32.const 1)) (local.get $a)))"#,
    );
}
