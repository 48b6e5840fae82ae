//! Who may suspend, by small guests in which function 0 switches.

use wasmparser::Operator;

use super::{Calls, Reach, Root, Rules};
use crate::module::Module;
use crate::own::guests::{function, module};

const SWITCH: &str = r#"(import "env" "switch" (func $switch))"#;

const SUSPENSION: Reach = Reach::Suspension { again: false };

fn rules() -> Rules {
    Rules { roots: vec![Root { function: 0, again: false }], ..Rules::default() }
}

/// The functions that may suspend, in order.
fn suspending(module: &Module<'_>, calls: &Calls) -> Vec<String> {
    let count = (module.function_imports.len() + module.functions.len()) as u32;
    (0..count).filter(|it| calls.suspends(*it)).map(|it| module.function_name(it)).collect()
}

/// The report's *why*; a step through a table begins with `*`.
fn chain(module: &Module<'_>, calls: &Calls, from: &str) -> Vec<String> {
    let steps = calls.chain(function(module, from)).into_iter();
    let text = |indirect| if indirect { "*" } else { "" };
    steps.map(|step| format!("{}{}", text(step.indirect), module.function_name(step.callee))).collect()
}

#[test]
fn suspension_spreads_from_a_root_to_its_callers_and_theirs() {
    let module = module(&format!(
        "{SWITCH}
        (func $idle)
        (func $main call $idle call $render)
        (func $render call $write)
        (func $write call $switch)
        (func $in_tail_position return_call $write)
        (func $around call $idle)"
    ));
    let calls = Calls::analyse(&module, &rules()).unwrap();
    assert_eq!(suspending(&module, &calls), ["switch", "main", "render", "write", "in_tail_position"]);
}

/// Nothing spreads through a function that is denied or a barrier; one that is allowed is a beginning of its own.
#[test]
fn the_user_stops_it_and_starts_it() {
    let guest = module(&format!(
        "{SWITCH}
        (func $denied call $switch)
        (func $above_denied call $denied)
        (func $barrier call $switch)
        (func $above_barrier call $barrier)
        (func $allowed)
        (func $above_allowed call $allowed)"
    ));
    let told = Rules {
        denied: vec![function(&guest, "denied")],
        barriers: vec![function(&guest, "barrier")],
        allowed: vec![function(&guest, "allowed")],
        ..rules()
    };
    let calls = Calls::analyse(&guest, &told).unwrap();
    assert_eq!(suspending(&guest, &calls), ["switch", "allowed", "above_allowed"]);
    assert_eq!(chain(&guest, &calls, "above_allowed"), ["allowed"]);

    // Nor through tables, if they are ignored.
    let module = module(&format!(
        "{SWITCH} (table 1 funcref) (elem (i32.const 0) $write)
        (func $write (param i32) call $switch)
        (func $direct i32.const 7 call $write)
        (func $caller i32.const 7 i32.const 0 call_indirect (param i32))"
    ));
    let calls = Calls::analyse(&module, &Rules { ignore_indirect: true, ..rules() }).unwrap();
    assert_eq!(suspending(&module, &calls), ["switch", "write", "direct"]);
}

/// A call through a table reaches what somebody may have put there: whatever a reference is taken of.
#[test]
fn through_tables_suspension_spreads_from_what_is_referred_to() {
    for (fields, expected) in [
        ("", false),
        ("(elem (i32.const 0) $write)", true),
        ("(elem declare func $write)", true),
        ("(global funcref (ref.func $write))", true),
        // Code may take the reference of what is exported.
        (r#"(export "write" (func $write)) (func ref.func $write drop)"#, true),
        // An export is no reference, but where the host can put it into the table.
        (r#"(export "write" (func $write))"#, false),
        (r#"(export "write" (func $write)) (export "table" (table 0))"#, true),
        (r#"(export "table" (table 0))"#, false),
    ] {
        let module = module(&format!(
            "{SWITCH} (table 1 funcref)
            (func $write (param i32) call $switch)
            (func $caller i32.const 7 i32.const 0 call_indirect (param i32))
            {fields}"
        ));
        let calls = Calls::analyse(&module, &rules()).unwrap();
        assert_eq!(calls.suspends(function(&module, "caller")), expected, "{fields}");
    }
}

#[test]
fn types_that_are_equal_are_one_type() {
    let module = module(&format!(
        "{SWITCH}
        (type $first (func (param i32)))
        (type $other (func (param i64)))
        (type $second (func (param i32)))
        (table 1 funcref) (elem (i32.const 0) $write)
        (func $write (type $first) call $switch)
        (func $calls_first (call_indirect (type $first) (i32.const 1) (i32.const 0)))
        (func $calls_other (call_indirect (type $other) (i64.const 1) (i32.const 0)))
        (func $calls_second (call_indirect (type $second) (i32.const 1) (i32.const 0)))"
    ));
    let calls = Calls::analyse(&module, &rules()).unwrap();
    assert_eq!(suspending(&module, &calls), ["switch", "write", "calls_first", "calls_second"]);
    assert_eq!(chain(&module, &calls, "calls_second"), ["*write", "switch"]);
    let types: Vec<bool> = (0..module.types.len() as u32).map(|ty| calls.is_suspending_type(ty)).collect();
    // In the order of the text, but the type of `$switch`, which is written without a name, is behind them.
    assert_eq!(types, [true, false, true, false]);
}

/// What may come out of a call, for callers of each role: plain, allowed, denied, barrier.
#[test]
fn the_role_of_a_caller_says_what_comes_out_of_its_calls() {
    use Reach::{Mistake, Nothing};
    let module = module(
        r#"(type $known (func (param i32)))
        (type $unknown (func (param i64)))
        (import "env" "switch" (func $switch))
        (import "env" "wait" (func $wait))
        (import "env" "log" (func $log))
        (table 1 funcref) (elem (i32.const 0) $write)
        (func $write (type $known) call $switch)
        (func $plain) (func $allowed) (func $denied) (func $barrier)"#,
    );
    let through = |type_index| Operator::CallIndirect { type_index, table_index: 0 };
    let (known, unknown) = (through(0), through(1));
    let [switch, wait, log] = [0, 1, 2].map(|function_index| Operator::Call { function_index });
    let again = Reach::Suspension { again: true };
    for (ignore_indirect, strangers, operator, expected) in [
        (false, false, &switch, [SUSPENSION, SUSPENSION, Mistake, Nothing]),
        (false, false, &wait, [again, again, Mistake, Nothing]),
        (false, false, &log, [Nothing; 4]),
        (false, false, &Operator::Return, [Nothing; 4]),
        (false, false, &known, [SUSPENSION, SUSPENSION, Mistake, Nothing]),
        // Who is allowed may suspend in whatever is called through a table.
        (false, false, &unknown, [Nothing, SUSPENSION, Nothing, Nothing]),
        (true, false, &switch, [SUSPENSION, SUSPENSION, Mistake, Nothing]),
        (true, false, &known, [Mistake, SUSPENSION, Mistake, Nothing]),
        (true, false, &unknown, [Nothing, SUSPENSION, Nothing, Nothing]),
        (false, true, &switch, [SUSPENSION, SUSPENSION, Mistake, Nothing]),
        (false, true, &log, [Nothing; 4]),
        (false, true, &known, [SUSPENSION, SUSPENSION, Mistake, Nothing]),
        (false, true, &unknown, [Mistake, SUSPENSION, Mistake, Nothing]),
        (true, true, &known, [Mistake, SUSPENSION, Mistake, Nothing]),
        (true, true, &unknown, [Mistake, SUSPENSION, Mistake, Nothing]),
    ] {
        let [plain, allowed, denied, barrier] =
            ["plain", "allowed", "denied", "barrier"].map(|name| function(&module, name));
        let rules = Rules {
            roots: vec![Root { function: 0, again: false }, Root { function: 1, again: true }],
            barriers: vec![barrier],
            allowed: vec![allowed],
            denied: vec![denied],
            ignore_indirect,
            strangers,
        };
        let calls = Calls::analyse(&module, &rules).unwrap();
        let reached = [plain, allowed, denied, barrier].map(|caller| calls.reach(caller, operator));
        assert_eq!(reached, expected, "{operator:?}, ignored: {ignore_indirect}, strangers: {strangers}");
    }
}

/// `$main` calls both; the way through the one that it calls first is longer.
#[test]
fn a_chain_is_a_shortest_one() {
    let module = module(&format!(
        "{SWITCH} (table 1 funcref) (elem (i32.const 0) $farther)
        (func $main call $far call $near)
        (func $near call $switch)
        (func $far i32.const 1 i32.const 0 call_indirect (param i32))
        (func $farther (param i32) call $switch)
        (func $idle)"
    ));
    let calls = Calls::analyse(&module, &rules()).unwrap();
    assert_eq!(chain(&module, &calls, "main"), ["near", "switch"]);
    assert_eq!(chain(&module, &calls, "far"), ["*farther", "switch"]);
    assert!(chain(&module, &calls, "switch").is_empty());
    assert!(chain(&module, &calls, "idle").is_empty());
}

/// Function 1 switches, and each of the others calls the one before it.
#[test]
fn of_a_long_chain_the_first_hundred_steps_are_told() {
    let others: String = (0..150).map(|callee| format!("(func call {callee})")).collect();
    let module = module(&format!("{SWITCH} {others}"));
    let calls = Calls::analyse(&module, &rules()).unwrap();
    let callees = |from: u32| calls.chain(from).iter().map(|step| step.callee).collect::<Vec<u32>>();
    assert_eq!(callees(100), (0..100).rev().collect::<Vec<u32>>());
    assert_eq!(callees(101), (1..101).rev().collect::<Vec<u32>>());
    assert_eq!(callees(150), (50..150).rev().collect::<Vec<u32>>());
}

#[test]
fn what_catches_and_what_is_referred_to_is_known() {
    let module = module(&format!(
        "{SWITCH} (elem declare func $plain $table)
        (func $plain)
        (func $table try_table end)
        (func $legacy try catch_all end)
        (func $refers ref.func $table drop)"
    ));
    let calls = Calls::analyse(&module, &rules()).unwrap();
    let tries = (0..5).filter(|it| calls.tries(*it)).map(|it| module.function_name(it));
    assert_eq!(tries.collect::<Vec<String>>(), ["table", "legacy"]);
    let referred_to = calls.referred_to().iter().map(|it| module.function_name(*it));
    assert_eq!(referred_to.collect::<Vec<String>>(), ["table"]);
}
