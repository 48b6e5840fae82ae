//! Suspensions that go wrong are caught: with a trap in a function whose name says why, and never with a result that
//! does not exist. The instance is of use afterwards.

mod common;

use common::asyncify::{Act, BUFFER, Policy, Running, Way, call_out, options, own_ways};
use wasmi::{FuncType, Ref, Val, ValType};
use windlass_lower::Options;

const NOT_LOWERED: &str = "windlass.suspended_through_a_function_that_was_not_lowered";
const NOT_LISTED: &str = "windlass.suspended_by_an_import_that_is_not_listed_as_suspending";
const TOO_SMALL: &str = "windlass.the_asyncify_buffer_is_too_small";
const NO_FRAMES: &str = "windlass.start_rewind_of_a_buffer_without_frames";
const NESTED: &str = "windlass.suspended_through_an_export_that_the_module_called_itself";
const TUNNEL: &str = "windlass.host_frames_amid_a_suspension_need_a_buffer_that_is_not_stable";
const IN_USE: &str = "windlass.suspended_into_a_buffer_that_holds_frames_of_an_outer_call";
const OTHER_CALLS: &str = "windlass.rewound_by_other_calls_than_those_that_were_unwound";

/// The usual imports, and an export `good` that suspends once and returns 1007.
const TEXT: &str = r#"(module
    (import "env" "pause" (func $pause (param i32) (result i32)))
    (import "env" "pause_too" (func $not_listed (param i32) (result i32)))
    (import "env" "log" (func $log (param i32) (result i32)))
    (import "env" "throw" (func $throw))
    {import}
    (memory (export "memory") 2)
    (type $f (func (param i32) (result i32)))
    {fields}
    (func $inner (param i32) (result i32)
        (i32.add (i32.mul (call $pause (local.get 0)) (i32.const 0)) (local.get 0)))
    (func (export "good") (result i32) (local $x i32)
        (local.set $x (i32.const 7))
        (i32.add (call $inner (i32.const 1000)) (local.get $x))))"#;

/// A module that has these things and the usual ones.
fn module(fields: &str) -> Vec<u8> {
    importing("", fields)
}

fn importing(import: &str, fields: &str) -> Vec<u8> {
    common::assemble(&TEXT.replace("{import}", import).replace("{fields}", fields))
}

/// No caller has used what a call returned that was suspended.
#[track_caller]
fn nothing_went_on(running: &mut Running) {
    let log = running.log();
    assert!(!log.iter().any(|call| call.starts_with("log")), "{log:?}");
}

/// Lowers a module in each way, and gives it to the test with every call suspended.
fn in_each_way(wasm: &[u8], tune: impl Fn(&mut Options), test: impl Fn(&mut Running)) {
    for Way { name, mut options } in own_ways() {
        println!("{name}");
        options.suspending_imports = vec!["env.pause".to_owned()];
        tune(&mut options);
        let mut running = Running::of(wasm, &options, Policy::Always);
        test(&mut running);
    }
}

/// The export traps in a function of that name, and what is well-behaved works afterwards as it did before.
#[track_caller]
fn traps_in(running: &mut Running, export: &str, name: &str) {
    good(running);
    assert_eq!(running.call(export, &[]), Err("UnreachableCodeReached".to_owned()), "{export}");
    assert_eq!(running.trapped_in(), name, "{export}");
    good(running);
}

#[track_caller]
fn good(running: &mut Running) {
    let before = running.suspensions();
    running.forget_suspension();
    let ended = running.call("good", &[]);
    assert_eq!(ended, Ok(vec!["1007".to_owned()]), "{}", running.trapped_in());
    assert_eq!(running.suspensions(), before + 1);
}

#[test]
fn a_denied_function_on_the_stack_of_a_suspension() {
    let wasm = module(
        r#"
        (table funcref (elem $inner))
        (func $denied (param i32) (result i32) (i32.add (call $inner (local.get 0)) (i32.const 5)))
        (func $denied_too (param i32) (result i32)
            (i32.add (call_indirect (type $f) (local.get 0) (i32.const 0)) (i32.const 5)))
        (func (export "run") (result i32) (call $log (call $denied (i32.const 1))))
        (func (export "run_indirect") (result i32) (call $log (call $denied_too (i32.const 1))))
        (func (export "run_itself") (result i32) (call $log (call $denied_again (i32.const 1))))
        (func $denied_again (param i32) (result i32) (call $log (call $pause (local.get 0))))
        "#,
    );
    let deny = |options: &mut Options| options.deny = vec!["denied*".to_owned()];
    in_each_way(&wasm, deny, |running| {
        traps_in(running, "run", NOT_LOWERED);
        traps_in(running, "run_indirect", NOT_LOWERED);
        traps_in(running, "run_itself", NOT_LOWERED);
        nothing_went_on(running);
    });
}

#[test]
fn a_denied_function_that_tail_calls() {
    // It is off the stack when the suspension comes; whoever called it knows of none.
    let wasm = module(
        r#"
        (table funcref (elem $inner))
        (func $denied (param i32) (result i32) (return_call $inner (local.get 0)))
        (func $denied_too (param i32) (result i32)
            (return_call_indirect (type $f) (local.get 0) (i32.const 0)))
        (func $denied_import (param i32) (result i32) (return_call $pause (local.get 0)))
        (func $middle (param i32) (result i32) (call $log (call $denied (local.get 0))))
        (func (export "run") (result i32) (call $log (call $middle (i32.const 1))))
        (func (export "run_indirect") (result i32) (call $log (call $denied_too (i32.const 1))))
        (func (export "run_import") (result i32) (call $log (call $denied_import (i32.const 1))))
        "#,
    );
    let deny = |options: &mut Options| options.deny = vec!["denied*".to_owned()];
    in_each_way(&wasm, deny, |running| {
        for export in ["run", "run_indirect", "run_import"] {
            good(running);
            let ended = running.call(export, &[]);
            nothing_went_on(running);
            assert_eq!(ended, Err("UnreachableCodeReached".to_owned()), "{export}");
            good(running);
        }
    });
}

#[test]
fn an_ignored_call_through_a_table_that_suspends() {
    let wasm = module(
        r#"
        (table funcref (elem $inner $pause))
        (func $plain (param i32) (result i32)
            (i32.add (call_indirect (type $f) (i32.const 3) (local.get 0)) (i32.const 5)))
        ;; It suspends by other calls, too.
        (func $lowered (param i32) (result i32)
            (drop (call $pause (i32.const 1)))
            (call $log (i32.add (call_indirect (type $f) (i32.const 3) (local.get 0)) (i32.const 5))))
        (func $tail (param i32) (result i32) (return_call_indirect (type $f) (i32.const 3) (local.get 0)))
        (func (export "run") (result i32) (call $log (call $plain (i32.const 0))))
        (func (export "run_import") (result i32) (call $log (call $plain (i32.const 1))))
        (func (export "run_lowered") (result i32) (call $lowered (i32.const 0)))
        (func (export "run_tail") (result i32) (call $log (call $tail (i32.const 0))))
        "#,
    );
    in_each_way(
        &wasm,
        |options| options.ignore_indirect = true,
        |running| {
            for export in ["run", "run_import", "run_lowered"] {
                traps_in(running, export, NOT_LOWERED);
            }
            nothing_went_on(running);
            assert_eq!(running.call("run_tail", &[]), Err("UnreachableCodeReached".to_owned()));
            nothing_went_on(running);
            good(running);
        },
    );
}

#[test]
fn an_ignored_call_is_no_mistake_in_an_allowed_function() {
    let wasm = module(
        r#"
        (table funcref (elem $inner $pause))
        (func $allowed (param i32) (result i32)
            (i32.add (call_indirect (type $f) (i32.const 3) (local.get 0)) (i32.const 5)))
        (func (export "run") (result i32) (i32.add (call $allowed (i32.const 0)) (call $allowed (i32.const 1))))
        "#,
    );
    let tune = |options: &mut Options| {
        options.ignore_indirect = true;
        options.allow = vec!["allowed".to_owned()];
    };
    in_each_way(&wasm, tune, |running| {
        assert_eq!(running.call("run", &[]), Ok(vec!["1015".to_owned()]));
        assert_eq!(running.suspensions(), 2);
    });
}

#[test]
fn an_import_that_is_not_listed() {
    let wasm = module(
        r#"
        (table funcref (elem $not_listed))
        (func (export "run") (result i32) (call $log (call $not_listed (i32.const 1))))
        (func (export "run_indirect") (result i32)
            (call $log (call_indirect (type $f) (i32.const 3) (i32.const 0))))
        (func (export "run_tail") (result i32) (return_call $not_listed (i32.const 1)))
        (export "run_itself" (func $not_listed))
        "#,
    );
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            for export in ["run", "run_indirect", "run_tail"] {
                traps_in(running, export, NOT_LISTED);
            }
            nothing_went_on(running);
        },
    );
}

#[test]
fn a_function_of_the_host_in_a_table() {
    let wasm = module(
        r#"
        (table (export "table") 4 funcref)
        (elem (i32.const 0) $inner)
        (func $plain (param i32) (result i32) (call_indirect (type $g) (i64.const 3) (local.get 0)))
        (type $g (func (param i64) (result i32)))
        (func (export "run") (result i32)
            (call $log (call_indirect (type $f) (i32.const 3) (i32.const 1))))
        (func (export "run_other_type") (result i32) (call $log (call $plain (i32.const 2))))
        (func (export "run_tail") (result i32)
            (call $log (call $tail (i32.const 2))))
        (func $tail (param i32) (result i32) (return_call_indirect (type $g) (i64.const 3) (local.get 0)))
        "#,
    );
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            let table = running.table("table");
            for (place, ty) in [(1, ValType::I32), (2, ValType::I64)] {
                let function = running.host_function("pause", FuncType::new([ty], [ValType::I32]));
                table.set(&mut running.store, place, Val::FuncRef(Ref::Val(function))).expect("a place");
            }
            for export in ["run", "run_other_type", "run_tail"] {
                good(running);
                let ended = running.call(export, &[]);
                nothing_went_on(running);
                assert_eq!(ended, Err("UnreachableCodeReached".to_owned()), "{export}");
                good(running);
            }
            // What does not suspend may be called.
            running.set_policy(Policy::Never);
            assert!(running.call("run", &[]).is_ok());
            assert!(running.call("run_other_type", &[]).is_ok());
        },
    );
}

#[test]
fn an_export_in_a_table() {
    // The host may put what it has into the table: then a wrapper stands amid the stack.
    let wasm = module(
        r#"
        (table (export "table") 4 funcref)
        (elem (i32.const 0) $inner)
        (func $it (export "it") (param i32) (result i32) (i32.add (call $pause (local.get 0)) (i32.const 1)))
        (func (export "run") (param $place i32) (result i32)
            (call $log (i32.mul (call_indirect (type $f) (i32.const 3) (local.get $place)) (i32.const 0))))
        "#,
    );
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            let it = running.instance.get_func(&running.store, "it").expect("an export");
            running.table("table").set(&mut running.store, 1, Val::FuncRef(Ref::Val(it))).expect("a place");
            good(running);
            running.log();
            match running.call("run", &[Val::I32(1)]) {
                // Right, or caught.
                Ok(_) => assert_eq!(running.log(), ["pause(3)", "log(0)"]),
                Err(trap) => {
                    assert_eq!(trap, "UnreachableCodeReached");
                    assert!(running.trapped_in().starts_with("windlass."), "{}", running.trapped_in());
                    nothing_went_on(running);
                }
            }
            good(running);
        },
    );
}

/// Calls what the host has let in, whatever it is, and stores and logs what it returns.
const CALLS_IT: &str = r#"
    (func $it (export "it") (result i32) (i32.add (call $pause (i32.const 3)) (i32.const 1)))
    (func $call_it (i32.store (i32.const 200) (call_indirect (result i32) (i32.const 0))))
    (func (export "run") (call $call_it) (drop (call $log (i32.const 5))))
"#;

/// The host passes `it`, which suspends, and a function of its own: each time the module traps where the suspension
/// went through, and nothing is stored.
#[track_caller]
fn let_in(running: &mut Running, pass: impl Fn(&mut Running, Val)) {
    let it = running.instance.get_func(&running.store, "it").expect("an export");
    let stranger = running.host_function("pause", FuncType::new([], [ValType::I32]));
    running.set_word(200, 0x5555_5555);
    let amid = if running.is_stable() { TUNNEL } else { NESTED };
    for (function, name) in [(it, amid), (stranger, NOT_LISTED)] {
        pass(running, Val::FuncRef(Ref::Val(function)));
        good(running);
        assert_eq!(running.call("run", &[]), Err("UnreachableCodeReached".to_owned()));
        assert_eq!(running.word(200), 0x5555_5555, "nothing is stored");
        assert_eq!(running.trapped_in(), name);
        good(running);
        nothing_went_on(running);
    }
    // What does not suspend may be passed.
    running.set_policy(Policy::Never);
    pass(running, Val::FuncRef(Ref::Val(it)));
    assert_eq!(running.call("run", &[]), Ok(vec![]));
    assert_ne!(running.word(200), 0x5555_5555);
}

#[test]
fn a_function_that_the_host_passes_in_a_global() {
    let wasm = module(&format!(
        r#"(table 1 funcref) (global $g (export "g") (mut funcref) (ref.null func))
        {CALLS_IT}
        (func (export "take") (table.set (i32.const 0) (global.get $g)))"#
    ));
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            let_in(running, |running, function| {
                let global = running.instance.get_global(&running.store, "g").expect("a global");
                global.set(&mut running.store, function).expect("is mutable");
                running.call("take", &[]).expect("takes it");
            });
        },
    );
}

#[test]
fn a_function_that_the_host_passes_in_an_exception() {
    // The engine of these tests knows no exceptions. How a reference gets out of one and into the table makes no
    // difference: here the host puts it there.
    let exported =
        module(&format!(r#"(table 1 funcref) (tag (export "tag") (param i32 funcref)) {CALLS_IT}"#));
    let imported =
        importing(r#"(import "env" "tag" (tag (param funcref)))"#, &format!("(table 1 funcref) {CALLS_IT}"));
    for wasm in [exported, imported] {
        in_each_way(
            &wasm,
            |_| (),
            |running| {
                let_in(running, |running, function| {
                    running.own_table(0).set(&mut running.store, 0, function).expect("a place");
                });
            },
        );
    }
}

const TWO: &str = r#"
    (table (export "table") 4 funcref)
    (elem (i32.const 0) $first)
    (func $first (export "first") (result i32) (i32.add (call $pause (i32.const 1)) (i32.const 10)))
    (func $second (export "second") (result i32) (i32.add (call $pause (i32.const 1)) (i32.const 20)))
    (func (export "real") (result f64) (f64.convert_i32_s (call $pause (i32.const 1))))
    (func (export "plain") (result i32) (i32.const 5))
"#;

/// Suspends an export once.
fn suspend(running: &mut Running, export: &str) {
    running.forget_suspension();
    running.enter(export, &[]).expect("is suspended");
    assert_eq!(running.state(), 1);
    running.stop_unwind();
}

#[test]
fn rewinding_by_another_export() {
    in_each_way(
        &module(TWO),
        |_| (),
        |running| {
            for (unwound, rewound) in
                [("first", "second"), ("second", "first"), ("first", "real"), ("real", "first")]
            {
                suspend(running, unwound);
                assert_eq!(
                    running.rewind(rewound),
                    Err("UnreachableCodeReached".to_owned()),
                    "{unwound}, {rewound}"
                );
                assert_eq!(running.trapped_in(), OTHER_CALLS);
                good(running);
            }
        },
    );
}

#[test]
fn rewinding_by_an_export_that_does_not_suspend() {
    // It runs as always; the rewinding is still to come.
    in_each_way(
        &module(TWO),
        |_| (),
        |running| {
            suspend(running, "first");
            assert_eq!(running.rewind("plain"), Ok(vec!["5".to_owned()]));
            assert_eq!(running.state(), 2);
            assert_eq!(running.enter("first", &[]), Ok(vec!["1011".to_owned()]));
            good(running);
        },
    );
}

#[test]
fn rewinding_through_the_table() {
    in_each_way(
        &module(TWO),
        |_| (),
        |running| {
            suspend(running, "first");
            running.abi("asyncify_start_rewind", &[Val::I32(BUFFER as i32)]).expect("frames");
            let entry = running.table("table").get(&running.store, 0).expect("a place");
            let entry = *entry.funcref().and_then(|entry| entry.val().copied()).as_ref().expect("a function");
            let mut result = [Val::I32(0)];
            assert!(entry.call(&mut running.store, &[], &mut result).is_err(), "{result:?}");
            assert_eq!(running.trapped_in(), OTHER_CALLS);
            assert_eq!(running.state(), 0);
            good(running);
        },
    );
}

#[test]
fn a_buffer_without_frames() {
    in_each_way(
        &module(TWO),
        |_| (),
        |running| {
            // Never used, resumed already, overwritten.
            running.set_word(BUFFER, BUFFER + 8);
            running.set_word(BUFFER + 4, BUFFER + 1000);
            assert_eq!(rewind(running), NO_FRAMES);
            good(running);
            let stable = running.word(BUFFER) == BUFFER + 8;
            if stable {
                assert_eq!(rewind(running), NO_FRAMES);
            }
            suspend(running, "first");
            let current = running.word(BUFFER);
            for at in (BUFFER + 8..current).step_by(4) {
                running.set_word(at, 0x5555_5555);
            }
            assert_eq!(rewind(running), NO_FRAMES);
            good(running);
            // `current` outside of memory, or so low that there is no room before it.
            for current in [0, 4, 8, 0x7fff_ffff, u32::MAX] {
                running.set_word(BUFFER, current);
                assert!(
                    running.abi("asyncify_start_rewind", &[Val::I32(BUFFER as i32)]).is_err(),
                    "{current:#x}"
                );
                assert_eq!(running.state(), 0);
            }
            good(running);
        },
    );
}

/// Fails to start; in which function.
#[track_caller]
fn rewind(running: &mut Running) -> String {
    assert!(running.abi("asyncify_start_rewind", &[Val::I32(BUFFER as i32)]).is_err());
    assert_eq!(running.state(), 0);
    running.trapped_in()
}

#[test]
fn a_buffer_that_is_too_small() {
    let wasm = module(
        r#"
        (func $down (param $n i32) (param $l i64) (result i64)
            (if (i32.eqz (local.get $n)) (then (return (i64.extend_i32_u (call $pause (i32.const 0))))))
            (i64.add (local.get $l) (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $l))))
        (func (export "deep") (result i64) (call $down (i32.const 12) (i64.const 7)))
        "#,
    );
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            let memory = running.memory();
            let mut fits = None;
            for size in (0..600).step_by(4) {
                memory.data_mut(&mut running.store)[BUFFER as usize..].fill(0x55);
                running.set_end(BUFFER + 8 + size);
                running.forget_suspension();
                let entered = running.enter("deep", &[]);
                // It may be found at once or when the unwinding ends.
                let done = entered.is_ok()
                    && running.abi("asyncify_stop_unwind", &[]).is_ok()
                    && running.rewind("deep").is_ok();
                let end = (BUFFER + 8 + size) as usize;
                let beyond = &memory.data(&running.store)[end..];
                assert!(beyond.iter().all(|byte| *byte == 0x55), "nothing beyond {size} bytes is written");
                if done {
                    fits.get_or_insert(size);
                } else {
                    assert_eq!(fits, None, "{size} bytes were enough before");
                    assert_eq!(running.trapped_in(), TOO_SMALL, "{size}");
                    assert_eq!(running.state(), 0);
                }
            }
            assert!(fits.is_some_and(|fits| (12 * 16..600).contains(&fits)), "{fits:?} bytes are enough");
            running.set_end(BUFFER + 0x1000);
            good(running);
        },
    );
}

#[test]
fn a_buffer_whose_end_is_anywhere() {
    // Some hosts say that there is none.
    in_each_way(
        &module(""),
        |_| (),
        |running| {
            for end in [0x7fff_ffff, 0x8000_0000, 0x8000_0000 + BUFFER + 8, u32::MAX - 27, u32::MAX] {
                running.set_end(end);
                good(running);
            }
            for end in [0, 8, 27, 28, BUFFER, BUFFER + 8] {
                running.set_end(end);
                running.forget_suspension();
                let done =
                    running.enter("good", &[]).is_ok() && running.abi("asyncify_stop_unwind", &[]).is_ok();
                assert!(!done, "{end:#x}");
                assert_eq!(running.trapped_in(), TOO_SMALL, "{end:#x}");
            }
            running.set_end(BUFFER + 0x1000);
            good(running);
        },
    );
}

#[test]
fn a_buffer_that_is_copied_and_resumed_twice() {
    // Frames that lie nowhere else can be resumed as often as there are copies; other frames of the tool's cannot.
    let wasm = module(
        r#"
        (func $down (param $n i32) (param $l i64) (result i64)
            (if (i32.eqz (local.get $n)) (then (return (i64.extend_i32_u (call $pause (i32.const 0))))))
            (i64.add (local.get $l) (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $l))))
        (func (export "deep") (result i64) (call $down (i32.const 12) (i64.const 7)))
        "#,
    );
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            if running.is_stable() {
                return;
            }
            suspend(running, "deep");
            let copy = running.memory().data(&running.store)[BUFFER as usize..].to_vec();
            let expected = running.rewind("deep").expect("goes on");
            for _ in 0..3 {
                running.memory().write(&mut running.store, BUFFER as usize, &copy).expect("fits");
                running.suspend_again("pause(0)");
                assert_eq!(running.rewind("deep").as_ref(), Ok(&expected));
            }
            good(running);
        },
    );
}

#[test]
fn an_unwinding_that_no_import_began() {
    in_each_way(
        &module(TWO),
        |_| (),
        |running| {
            running.set_word(BUFFER, BUFFER + 8);
            running.set_word(BUFFER + 4, BUFFER + 1000);
            running.abi("asyncify_start_unwind", &[Val::I32(BUFFER as i32)]).expect("says nothing yet");
            running.set_policy(Policy::Never);
            // `first` is not left by an import that suspends.
            let entered = running.enter("plain", &[]);
            assert!(entered == Ok(vec!["5".to_owned()]) || entered.is_err());
            running.abi("asyncify_stop_unwind", &[]).ok();
            assert_eq!(running.state(), 0);
            running.set_policy(Policy::Always);
            good(running);
        },
    );
}

#[test]
fn an_unwinding_that_is_given_up_before_anything_is_unwound() {
    // Nothing is written: what the guest has at address 0 and in the buffer is as it was.
    let wasm = module(
        r#"
        (data (i32.const 0) "what the guest has at address 0")
        (func $below (param i32) (result i32)
            (drop (call $pause (i32.const 2))) (drop (call $log (i32.const 3))) (local.get 0))
        (func (export "at_once") (result i32) (drop (call $log (i32.const 3))) (i32.const 8))
        (func (export "amid") (result i32) (i32.add (call $below (i32.const 9)) (i32.const 100)))
        "#,
    );
    let give_up: Act = |caller| {
        call_out(caller, "asyncify_start_unwind", &[Val::I32(BUFFER as i32)])?;
        call_out(caller, "asyncify_stop_unwind", &[])?;
        Ok(())
    };
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            running.set_word(BUFFER, BUFFER + 8);
            running.set_word(BUFFER + 4, BUFFER + 0x1000);
            let before = running.memory().data(&running.store).to_vec();
            running.acts("log", give_up);
            assert_eq!(running.enter("at_once", &[]), Ok(vec!["8".to_owned()]));
            assert_eq!(running.state(), 0);
            running.abi("asyncify_start_unwind", &[Val::I32(BUFFER as i32)]).expect("out of any call");
            running.abi("asyncify_stop_unwind", &[]).expect("out of any call");
            assert!(running.memory().data(&running.store) == before, "nothing is written");
            // Frames of this call wait.
            assert_eq!(running.call("amid", &[]), Ok(vec!["109".to_owned()]), "{}", running.trapped_in());
            assert!(running.memory().data(&running.store)[..BUFFER as usize] == before[..BUFFER as usize]);
            good(running);
        },
    );
}

#[test]
fn an_export_called_when_the_unwinding_has_been_started() {
    // It does not suspend, nor do its imports, listed or not.
    let wasm = module(
        r#"
        (func (export "free") (drop (call $log (i32.const 5))))
        (func (export "run") (result i32)
            (drop (call $log (i32.add (i32.mul (call $pause (i32.const 3)) (i32.const 0)) (i32.const 6))))
            (i32.const 7))
        "#,
    );
    let free: Act = |caller| {
        call_out(caller, "free", &[])?;
        Ok(())
    };
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            running.acts("pause", free);
            assert_eq!(running.call("run", &[]), Ok(vec!["7".to_owned()]), "{}", running.trapped_in());
            assert_eq!(running.suspensions(), 1);
            // Once when it is suspended, and once when it is resumed.
            assert_eq!(running.log(), ["pause(3)", "log(5)", "log(5)", "log(6)"]);
            good(running);
        },
    );
}

/// `run` has frames that wait when it calls `log`, `flat` and `fresh` have none.
const WAITS: &str = r#"
    (func $below (param i32) (result i32)
        (drop (call $pause (local.get 0))) (drop (call $log (i32.const 1))) (i32.const 5))
    (func $amid (param i32) (result i32) (i32.add (local.get 0) (call $below (i32.const 2))))
    (func (export "run") (result i32)
        (i32.store (i32.const 204) (i32.add (call $amid (i32.const 100)) (i32.const 1000)))
        (i32.load (i32.const 204)))
    (func (export "flat") (result i32) (local $l i32)
        (local.set $l (i32.const 30))
        (drop (call $pause (i32.const 2))) (drop (call $log (i32.const 1))) (drop (call $pause (i32.const 3)))
        (i32.add (local.get $l) (i32.const 1)))
    (func $first (param i32) (result i32)
        (drop (call $log (i32.const 1))) (drop (call $pause (i32.const 2))) (local.get 0))
    (func (export "fresh") (result i32) (i32.add (call $first (i32.const 40)) (i32.const 2)))
"#;

#[test]
fn a_call_out_of_an_import_that_suspends_into_the_buffer_of_the_one_that_waits() {
    // Frames of a stable buffer stay where they are until they are resumed: these were overwritten.
    let wasm = module(&format!(
        r#"{WAITS}
        (func $four (param i32 i32 i32 i32) (result i32)
            (drop (call $pause (i32.const 4)))
            (i32.add (i32.add (local.get 0) (local.get 1)) (i32.add (local.get 2) (local.get 3))))
        (func (export "other")
            (i32.store (i32.const 200) (call $four (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4)))
            (drop (call $pause (i32.const 5))))"#
    ));
    let other: Act = |caller| {
        call_out(caller, "other", &[])?;
        while call_out(caller, "asyncify_get_state", &[])?[0].i32() == Some(1) {
            call_out(caller, "asyncify_stop_unwind", &[])?;
            call_out(caller, "asyncify_start_rewind", &[Val::I32(BUFFER as i32)])?;
            call_out(caller, "other", &[])?;
        }
        Ok(())
    };
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            running.acts("log", other);
            for (export, result, waits) in
                [("flat", "31", false), ("fresh", "42", false), ("run", "1105", true)]
            {
                running.set_word(200, 0);
                running.set_word(204, 0);
                let ended = running.call(export, &[]);
                assert_eq!(running.word(200), 10, "{export}: what was called inside ran to its end");
                if waits && running.is_stable() {
                    assert_eq!(ended, Err("UnreachableCodeReached".to_owned()), "{export}");
                    assert_eq!(running.trapped_in(), IN_USE);
                    assert_eq!(running.word(204), 0, "nothing went on");
                } else {
                    assert_eq!(ended, Ok(vec![result.to_owned()]), "{export}: {}", running.trapped_in());
                }
                good(running);
            }
        },
    );
}

#[test]
fn a_call_out_of_an_import_that_fails() {
    // The host catches what comes out of it and returns; the frames of the call around it still wait.
    const FAIL: [Act; 4] = [
        |caller| fails(call_out(caller, "trap", &[])),
        |caller| fails(call_out(caller, "thrown", &[])),
        |caller| fails(call_out(caller, "deep", &[])),
        |caller| fails(call_out(caller, "plain", &[])),
    ];
    // Frames of its own come back before it fails; in a stable buffer those around it have no room then.
    const FAIL_LATER: Act = |caller| {
        call_out(caller, "later", &[])?;
        call_out(caller, "asyncify_stop_unwind", &[])?;
        call_out(caller, "asyncify_start_rewind", &[Val::I32(BUFFER as i32)])?;
        fails(call_out(caller, "later", &[]))
    };
    fn fails(ended: Result<Vec<Val>, wasmi::Error>) -> Result<(), wasmi::Error> {
        assert!(ended.is_err());
        Ok(())
    }
    let wasm = module(&format!(
        r#"{WAITS}
        (func $down (param $n i32)
            (if (local.get $n) (then (call $down (i32.sub (local.get $n) (i32.const 1)))) (else (call $throw)))
            (drop (call $pause (i32.const 1))))
        (func (export "trap") (if (i32.eqz (i32.load (i32.const 400))) (then unreachable))
            (drop (call $pause (i32.const 1))))
        (func (export "thrown") (call $throw) (drop (call $pause (i32.const 1))))
        (func (export "deep") (call $down (i32.const 10)))
        (func (export "plain") unreachable)
        (func $later (param $n i32)
            (if (local.get $n) (then (call $later (i32.sub (local.get $n) (i32.const 1)))))
            (drop (call $pause (i32.const 1))) (call $throw))
        (func (export "later") (call $later (i32.const 10)))"#
    ));
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            let later = (!running.is_stable()).then_some(FAIL_LATER);
            for (number, fail) in FAIL.into_iter().chain(later).enumerate() {
                running.acts("log", fail);
                for (export, result) in [("run", "1105"), ("flat", "31"), ("fresh", "42")] {
                    running.set_word(204, 0);
                    let ended = running.call(export, &[]);
                    assert_eq!(
                        ended,
                        Ok(vec![result.to_owned()]),
                        "{export}, {number}: {}",
                        running.trapped_in()
                    );
                    assert_eq!(running.word(204), if export == "run" { 1105 } else { 0 });
                    good(running);
                }
            }
        },
    );
}

#[test]
fn an_instance_goes_on_after_traps_and_errors_of_the_host() {
    let wasm = module(
        r#"
        (func (export "trap") (result i32) (drop (call $pause (i32.const 1))) unreachable)
        (func (export "at_once") (result i32) unreachable (drop (call $pause (i32.const 1))))
        (func (export "thrown") (result i32) (drop (call $pause (i32.const 1))) (call $throw) (i32.const 1))
        (func $down (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (drop (call $pause (i32.const 1))) (call $throw)))
            (i32.add (local.get $n) (call $down (i32.sub (local.get $n) (i32.const 1)))))
        (func (export "deep") (result i32) (call $down (i32.const 20)))
        "#,
    );
    in_each_way(
        &wasm,
        |_| (),
        |running| {
            for _ in 0..20 {
                for (export, trap) in [
                    ("trap", "UnreachableCodeReached"),
                    ("at_once", "UnreachableCodeReached"),
                    ("thrown", "thrown by the host"),
                    ("deep", "thrown by the host"),
                ] {
                    assert_eq!(
                        running.call(export, &[]),
                        Err(trap.to_owned()),
                        "{export}: {}",
                        running.trapped_in()
                    );
                    good(running);
                }
            }
        },
    );
}

// Refused at once.

#[track_caller]
fn refused(fields: &str, tune: impl Fn(&mut Options)) -> String {
    let mut options = options();
    tune(&mut options);
    match windlass_lower::lower(&module(fields), &options) {
        Ok(_) => panic!("lowered"),
        Err(error) => {
            assert!(error.help().is_some(), "{error}: no remedy");
            error.to_string()
        }
    }
}

#[test]
fn a_start_function_that_suspends() {
    let start = r#"(start $begin) (func $begin (drop (call $inner (i32.const 1))))"#;
    let message = refused(start, |_| ());
    assert!(message.contains("the start function `begin` may suspend"), "{message}");
    // Unless somebody says that it never does.
    let mut options = options();
    options.deny = vec!["begin".to_owned()];
    assert!(windlass_lower::lower(&module(start), &options).is_ok());
    let indirect = r#"(table funcref (elem $inner))
        (start $begin) (func $begin (drop (call_indirect (type $f) (i32.const 1) (i32.const 0))))"#;
    let message = refused(indirect, |_| ());
    assert!(message.contains("the start function `begin` may suspend"), "{message}");
}

#[test]
fn a_call_through_a_table_that_passes_as_much_as_a_function_may_take() {
    // Whoever makes the call for a function that drives the unwinding, or in tail position for one that was denied,
    // takes the place in the table besides.
    let driver = |count: usize| {
        let (types, args) = ("i32 ".repeat(count), "(i32.const 1) ".repeat(count));
        common::assemble(&format!(
            r#"(module
                (import "asyncify" "stop_unwind" (func $stop_unwind))
                (import "env" "pause" (func $pause))
                (memory (export "memory") 2)
                (table funcref (elem $it))
                (type $t (func (param {types})))
                (func $it (type $t) (call $pause))
                (func (export "drive") (call_indirect (type $t) {args} (i32.const 0)) (call $stop_unwind)))"#
        ))
    };
    let tail_call = |count: usize| {
        let (types, args) = ("i32 ".repeat(count), "(i32.const 1) ".repeat(count));
        common::assemble(&format!(
            r#"(module
                (import "env" "pause" (func $pause))
                (memory (export "memory") 2)
                (table funcref (elem $it))
                (type $t (func (param {types})))
                (func $it (type $t) (call $pause))
                (func $denied (export "tail") (return_call_indirect (type $t) {args} (i32.const 0))))"#
        ))
    };
    let mut denying = options();
    denying.deny = vec!["denied".to_owned()];
    for (options, module) in [(options(), &driver as &dyn Fn(usize) -> Vec<u8>), (denying, &tail_call)] {
        common::lower_with(&module(999), &options);
        let Err(error) = windlass_lower::lower(&module(1000), &options) else { panic!("lowered") };
        assert_eq!(error.kind(), windlass_lower::ErrorKind::Unsupported);
        let message = "a call through a table with 1000 arguments needs a function with 1001";
        assert!(error.to_string().contains(message), "{error}");
        assert_eq!(error.help(), Some("engines take 1,000 at most; pass some of them in memory"));
    }
}

#[test]
fn a_function_that_starts_to_unwind_calls_another_that_suspends() {
    // It is called again as a whole, so what it calls could not go on. What does not suspend may be called, also when
    // the unwinding has begun.
    let wasm = common::assemble(
        r#"(module
            (import "asyncify" "start_unwind" (func $start_unwind (param i32)))
            (import "asyncify" "stop_unwind" (func $stop_unwind))
            (import "asyncify" "start_rewind" (func $start_rewind (param i32)))
            (import "asyncify" "stop_rewind" (func $stop_rewind))
            (import "env" "log" (func $log (param i32) (result i32)))
            (memory (export "memory") 2)
            (global $sleeping (mut i32) (i32.const 0))
            (func $sleep
                (if (global.get $sleeping)
                    (then (call $stop_rewind) (global.set $sleeping (i32.const 0)))
                    (else
                        (call $start_unwind (i32.const 1024))
                        (global.set $sleeping (i32.const 1))
                        (drop (call $log (i32.const 1))))))
            (func $inner (result i32) (call $sleep) (i32.const 42))
            (func $both (param i32) (result i32)
                (if (local.get 0) (then (call $start_unwind (i32.const 1024)) (return (i32.const 0))))
                (i32.store (i32.const 100) (call $inner))
                (i32.load (i32.const 100)))
            (func $calls_it (result i32) (i32.add (call $both (i32.const 0)) (i32.const 1000)))
            (func $begin (i32.store (i32.const 1024) (i32.const 1032)) (i32.store (i32.const 1028) (i32.const 4096)))
            (func (export "good") (result i32)
                (call $begin)
                (drop (call $inner)) (call $stop_unwind)
                (call $start_rewind (i32.const 1024)) (i32.add (call $inner) (i32.const 965)))
            (func (export "wrong") (result i32)
                (call $begin)
                (call $calls_it)
                (call $stop_unwind)))"#,
    );
    for Way { name, mut options } in own_ways() {
        println!("{name}");
        options.suspending_imports = Vec::new();
        let mut running = Running::of(&wasm, &options, Policy::Never);
        assert_eq!(running.call("good", &[]), Ok(vec!["1007".to_owned()]), "{}", running.trapped_in());
        assert_eq!(running.call("wrong", &[]), Err("UnreachableCodeReached".to_owned()));
        assert_eq!(running.trapped_in(), "windlass.suspended_through_a_function_that_was_not_lowered");
        assert_eq!(running.word(100), 0, "it did not go on");
    }
}

#[test]
fn lists_that_name_nothing() {
    let none = || vec!["nothing_like_that".to_owned()];
    assert!(
        refused("", |options| options.allow = none())
            .contains("--allow `nothing_like_that` names no function")
    );
    assert!(
        refused("", |options| options.deny = none()).contains("--deny `nothing_like_that` names no function")
    );
    assert!(
        refused("", |options| options.only = none()).contains("--only `nothing_like_that` names no function")
    );
    assert!(refused("", |options| options.deny = vec!["#99".to_owned()]).contains("`#99` names no function"));
    assert!(refused("", |options| options.deny = vec!["inner".to_owned(), "x*".to_owned()]).contains("`x*`"));
}

#[test]
fn an_import_listed_that_is_not_there() {
    // Toolchains list what a program may import, and programs import some of it.
    let mut options = options();
    options.suspending_imports.push("env.not_there".to_owned());
    assert!(windlass_lower::lower(&module(""), &options).is_ok());
}

#[test]
fn only_those_listed_may_suspend() {
    let wasm = module(
        r#"
        (func $one (param i32) (result i32) (i32.add (call $pause (local.get 0)) (i32.const 1)))
        (func $two (param i32) (result i32) (i32.add (call $pause (local.get 0)) (i32.const 2)))
        (func $run (export "run") (result i32) (call $one (i32.const 1)))
        (func $run_two (export "run_two") (result i32) (call $log (call $two (i32.const 1))))
        "#,
    );
    let only = |options: &mut Options| {
        options.only = ["one", "run*", "inner", "good"].map(str::to_owned).to_vec();
    };
    in_each_way(&wasm, only, |running| {
        let first = running.call("run", &[]);
        assert_eq!(first, Ok(vec!["1002".to_owned()]));
        traps_in(running, "run_two", NOT_LOWERED);
    });
}

#[test]
fn modules_that_the_abi_cannot_serve() {
    for (text, message) in [
        (r#"(module (import "env" "pause" (func)))"#, "no memory"),
        (r#"(module (import "env" "pause" (func)) (memory i64 1))"#, "memory64"),
        (
            r#"(module (import "asyncify" "pause_unwind" (func)) (memory 1))"#,
            "imports `asyncify.pause_unwind`, which the ABI does not have",
        ),
        (r#"(module (memory 1) (func (export "asyncify_get_state")))"#, "been through an asyncify pass"),
        (r#"(module (import "windlass" "run" (func (param i32))) (memory 1))"#, "--abi windlass"),
    ] {
        let error = windlass_lower::lower(&common::assemble(text), &options()).expect_err(text);
        let all = format!("{error} {}", error.help().unwrap_or_default());
        assert!(all.contains(message), "{all}");
    }
}
