//! `_initialize` of a guest whose C runtime has one of its own, as on wasm32-wasip1.
//!
//! The guests log what happens: 10 the constructors begin, 11 they end, 20 init, 2 "already initialised", 4 "poisoned".

mod common;

use common::Running;
use wasmparser::{ExternalKind, KnownCustom, Name, Parser, Payload};
use windlass_lower::{ErrorKind, Options, inspect};

/// A C runtime that must not be called again. What the constructors do besides differs from test to test.
fn crt(constructors: &str) -> String {
    format!(
        r#"
        (global $crt_ran (mut i32) (i32.const 0))
        (func $crt (export "_initialize")
            (if (global.get $crt_ran) (then unreachable))
            (global.set $crt_ran (i32.const 1))
            (call $log (i32.const 10))
            (call $constructors)
            (call $log (i32.const 11)))
        (func $constructors {constructors})
        "#
    )
}

/// The guest's part, as the crate `windlass` has it. Init itself differs from test to test.
fn initialize(init: &str) -> String {
    format!(
        r#"
        (global $initialised (mut i32) (i32.const 0))
        (func $initialize (export "windlass_initialize")
            (if (i32.eqz (call $enter)) (then (call $log (i32.const 4)) unreachable))
            (if (global.get $initialised) (then (call $log (i32.const 2)) (call $fail)))
            (global.set $initialised (i32.const 1))
            (call $init)
            (call $exit))
        (func $init {init})
        "#
    )
}

const LOG_INIT: &str = "(call $log (i32.const 20))";

/// A call: 1, or 0 and a trap if it is refused.
const GO: &str = r#"
    (func $go (export "go")
        (if (call $enter)
            (then (call $log (i32.const 1)) (call $exit))
            (else (call $log (i32.const 0)) unreachable)))
"#;

/// What suspends, so that the guest goes through `wasm-opt`.
const TASK: &str = r#"
    (table funcref (elem $task_body))
    (func $task_body (param i32) (result i32)
        (call $log (i32.const 21)) (call $leave (i32.const 0)) (call $log (i32.const 22)) (i32.const 0))
"#;

fn wrapped(constructors: &str) -> Vec<u8> {
    common::guest(&format!("{} {} {GO} {TASK}", crt(constructors), initialize(LOG_INIT)))
}

/// Runs the test on the module as it was written and as the optimiser leaves it.
fn each_way(wasm: &[u8], test: fn(Running)) {
    test(Running::new(&common::lower(wasm)));
    test(Running::new(&common::lower(wasm)));
}

#[track_caller]
fn initialised(guest: &mut Running) -> Vec<i32> {
    guest.call::<(), ()>("_initialize", ());
    guest.trace()
}

/// The export traps; what was logged until then.
#[track_caller]
fn trapped(guest: &mut Running, export: &str) -> Vec<i32> {
    let message = guest.fails(export);
    assert!(message.contains("unreachable"), "{message}");
    guest.trace()
}

/// The exported functions with their names in the name section.
fn exported_functions(wasm: &[u8]) -> Vec<(String, String)> {
    let (mut exports, mut names) = (Vec::new(), Vec::new());
    for payload in Parser::new(0).parse_all(wasm).map(|payload| payload.unwrap_or_else(|e| panic!("{e}"))) {
        match payload {
            Payload::ExportSection(section) => {
                for export in section.into_iter().flatten().filter(|export| export.kind == ExternalKind::Func)
                {
                    exports.push((export.name, export.index));
                }
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Name(subsections) = section.as_known() else { continue };
                for subsection in subsections.into_iter().flatten() {
                    if let Name::Function(map) = subsection {
                        names.extend(map.into_iter().flatten().map(|naming| (naming.index, naming.name)));
                    }
                }
            }
            _ => {}
        }
    }
    let name_of = |index| names.iter().find(|(at, _)| *at == index).map_or("", |(_, name)| *name);
    exports.iter().map(|(export, index)| ((*export).to_owned(), name_of(*index).to_owned())).collect()
}

#[test]
fn the_constructors_run_before_init_and_once() {
    each_way(&wrapped(""), |mut guest| {
        assert_eq!(initialised(&mut guest), [10, 11, 20]);
        assert_eq!(guest.go(), [1]);
        for _ in 0..2 {
            assert_eq!(
                trapped(&mut guest, "_initialize"),
                [2],
                "neither the constructors nor the crt's trap"
            );
            assert_eq!(guest.go(), [1], "the instance stays usable");
        }
    });
}

#[test]
fn what_is_called_before_runs_no_constructors() {
    each_way(&wrapped(""), |mut guest| {
        assert_eq!(guest.go(), [1]);
        assert_eq!(initialised(&mut guest), [10, 11, 20]);
    });
}

#[test]
fn only_one_function_is_exported_for_both() {
    let wasm = wrapped("");
    let named = |export: &str, name: &str| (export.to_owned(), name.to_owned());
    let lowered = common::lower(&wasm);
    let expected = [named("_initialize", "windlass.initialize"), named("go", "go")];
    assert_eq!(exported_functions(&lowered.wasm), expected);
    let optimised = exported_functions(&common::lower(&wasm).wasm);
    assert_eq!(
        optimised.iter().map(|(export, _)| export.as_str()).collect::<Vec<_>>(),
        ["_initialize", "go"]
    );
}

#[test]
fn without_a_crt_the_guests_part_is_renamed() {
    let wasm = common::guest(&format!("{} {GO} {TASK}", initialize(LOG_INIT)));
    let lowered = common::lower(&wasm);
    let [(export, name), _] =
        exported_functions(&lowered.wasm).try_into().unwrap_or_else(|all| panic!("{all:?}"));
    assert_eq!((export.as_str(), name.as_str()), ("_initialize", "initialize"));
    each_way(&wasm, |mut guest| {
        assert_eq!(initialised(&mut guest), [20]);
        assert_eq!(trapped(&mut guest, "_initialize"), [2]);
        assert_eq!(guest.go(), [1]);
    });
}

#[test]
fn an_initialize_without_the_guests_part_stays_what_it_is() {
    let wasm = common::guest(&format!("{} {GO} {TASK}", crt("")));
    each_way(&wasm, |mut guest| {
        assert_eq!(initialised(&mut guest), [10, 11]);
        assert_eq!(trapped(&mut guest, "_initialize"), [0; 0], "the crt's own trap");
    });
}

#[test]
fn a_command_is_initialised_by_nobody() {
    let wasm = common::guest(&format!(
        r#"{} {TASK} (func (export "_start") (call $log (i32.const 30)) (call $initialize))"#,
        initialize(LOG_INIT)
    ));
    let lowered = common::lower(&wasm);
    let exports: Vec<_> = exported_functions(&lowered.wasm).into_iter().map(|(export, _)| export).collect();
    assert_eq!(exports, ["windlass_initialize", "_start"]);
    let mut guest = Running::new(&lowered);
    guest.call::<(), ()>("_start", ());
    assert_eq!(guest.trace(), [30, 20]);
}

#[test]
fn constructors_call_the_host_through_brackets() {
    // Without the mark the nested call would be refused, and without an open call the second one would be accepted.
    let constructors = r#"
        (call $log (global.get $__stack_pointer))
        (call $push (i32.const 32))
        (call $call (i32.const 0))
        (call $log (call $enter))
        (call $own_sp)
        (call $pop (i32.const 32))
    "#;
    let nested = r#"(func (export "nested") (param i32)
        (call $log (call $enter)) (call $push (i32.const 16)) (call $exit))"#;
    let wasm = common::guest(&format!("{} {} {GO} {TASK} {nested}", crt(constructors), initialize(LOG_INIT)));
    each_way(&wasm, |mut guest| {
        assert_eq!(initialised(&mut guest), [10, 65536, 1, 0, -32, 11, 20]);
        assert_eq!(guest.stack_pointer(), 65536);
        assert_eq!(guest.go(), [1]);
    });
}

#[test]
fn constructors_that_trap_leave_the_instance_poisoned() {
    each_way(&wrapped("unreachable"), |mut guest| {
        assert_eq!(trapped(&mut guest, "_initialize"), [10]);
        assert_eq!(trapped(&mut guest, "_initialize"), [4], "no init on what is half constructed");
        assert_eq!(trapped(&mut guest, "go"), [0]);
    });
}

#[test]
fn a_host_error_thrown_through_the_constructors_is_no_nesting() {
    each_way(&wrapped("(call $throw)"), |mut guest| {
        assert_eq!(guest.fails("_initialize"), "thrown by the host");
        assert_eq!(guest.trace(), [10]);
        assert_eq!(trapped(&mut guest, "_initialize"), [4]);
        assert_eq!(trapped(&mut guest, "go"), [0]);
    });
}

#[test]
fn a_host_that_initialises_out_of_a_constructor_is_refused_and_they_go_on() {
    each_way(&wrapped("(call $log (call $try_initialize))"), |mut guest| {
        assert_eq!(initialised(&mut guest), [10, 4, 1, 11, 20]);
        assert_eq!(guest.go(), [1]);
    });
}

#[test]
fn a_second_initialize_out_of_init_or_of_a_later_call_is_refused_there() {
    let init = "(call $log (call $try_initialize)) (call $log (i32.const 20))";
    let go = r#"(func (export "go")
        (call $log (call $enter)) (call $log (call $try_initialize)) (call $log (i32.const 30)) (call $exit))"#;
    let wasm = common::guest(&format!("{} {} {go} {TASK}", crt(""), initialize(init)));
    each_way(&wasm, |mut guest| {
        assert_eq!(initialised(&mut guest), [10, 11, 2, 1, 20]);
        assert_eq!(guest.go(), [1, 2, 1, 30]);
        assert_eq!(guest.go(), [1, 2, 1, 30]);
    });
}

#[test]
fn an_initialize_after_a_trap_is_refused_without_constructors() {
    let go = r#"(func (export "go") (call $log (call $enter)) unreachable)"#;
    let wasm = common::guest(&format!("{} {} {go} {TASK}", crt(""), initialize(LOG_INIT)));
    each_way(&wasm, |mut guest| {
        assert_eq!(trapped(&mut guest, "go"), [1]);
        assert_eq!(trapped(&mut guest, "_initialize"), [4]);
    });
}

#[test]
fn init_runs_in_a_task_that_suspends() {
    // The constructors are called indirectly, so that asyncify takes the wrapper for a function that can suspend.
    let crt = crt("(call_indirect (i32.const 1))");
    let init =
        "(call $task (i32.const 0) (i32.const 0) (i32.const 0)) (call $run (call $context (i32.const 0)))";
    let go = r#"(func (export "go") (call $run (call $context (i32.const 0))))"#;
    let tasks = r#"
        (table funcref (elem $task_body $constructor))
        (func $constructor (call $log (i32.const 15)))
        (func $task_body (param i32) (result i32)
            (call $log (i32.const 21)) (call $leave (i32.const 0)) (call $log (i32.const 22)) (i32.const 0))
    "#;
    let wasm = common::guest(&format!("{crt} {} {go} {tasks}", initialize(init)));
    each_way(&wasm, |mut guest| {
        assert_eq!(initialised(&mut guest), [10, 15, 11, 21]);
        assert_eq!(trapped(&mut guest, "_initialize"), [2]);
        assert_eq!(guest.go(), [22]);
    });
}

#[test]
fn inspect_says_what_is_left_to_do() {
    let wasm = wrapped("");
    let before = inspect(&wasm).unwrap_or_else(|error| panic!("{error}"));
    assert!(before.is_guest() && before.needs_lowering());
    let after = inspect(&common::lower(&wasm).wasm).unwrap_or_else(|error| panic!("{error}"));
    assert!(after.is_guest() && !after.needs_lowering());
    assert_eq!((before.abi_version, before.exports), (after.abi_version, after.exports));
}

/// Such a guest imports no intrinsic, but on wasip1 it has an `_initialize` to be made, too.
#[test]
fn a_guest_without_the_scheduler_is_lowered_for_its_initialize() {
    let wasm = common::bare_guest(
        r#"
        (import "env" "log" (func $log (param i32)))
        (memory (export "memory") 1)
        (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
        (func (export "_initialize") (call $log (i32.const 10)))
        (func (export "windlass_initialize") (call $log (i32.const 20)))
        "#,
    );
    assert!(inspect(&wasm).is_ok_and(|info| info.needs_lowering()));
    let lowered = common::lower(&wasm);
    assert_eq!(lowered.report.wasm_opt, None, "nothing suspends");
    assert!(inspect(&lowered.wasm).is_ok_and(|info| !info.needs_lowering()));
    let mut guest = Running::from_wasm(&lowered.wasm);
    assert_eq!(initialised(&mut guest), [10, 20]);
    assert_eq!(initialised(&mut guest), [20], "what the second one means is the guest's to say");
}

#[test]
fn a_module_that_only_has_an_export_of_that_name_is_no_guest() {
    let wasm = common::assemble(r#"(module (memory 1) (func (export "windlass_initialize")))"#);
    assert!(inspect(&wasm).is_ok_and(|info| !info.is_guest() && !info.needs_lowering()));
    let error = windlass_lower::lower(&wasm, &Options::default()).map(|_| "lowered").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAGuest);
}

#[test]
fn exports_of_another_kind_or_type_are_refused() {
    let guest = |fields: &str| common::guest(&format!("{fields} {TASK}"));
    let part = r#"(func (export "windlass_initialize"))"#;
    for (wasm, message) in [
        (
            guest(&format!(r#"{part} (func (export "_initialize") (result i32) (i32.const 0))"#)),
            "export `_initialize` has type () -> (i32); its type is () -> ()",
        ),
        (
            guest(&format!(r#"{part} (global (export "_initialize") i32 (i32.const 0))"#)),
            "export `_initialize` is no function",
        ),
        (
            guest(r#"(func (export "windlass_initialize") (param i64))"#),
            "export `windlass_initialize` has type (i64) -> (); its type is () -> ()",
        ),
        (
            guest(r#"(export "windlass_initialize" (memory 0))"#),
            "export `windlass_initialize` is no function",
        ),
    ] {
        let error = windlass_lower::lower(&wasm, &Options::default()).map(|_| "lowered").unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Abi, message));
        assert!(error.help().is_some_and(|help| help.contains("the guest's own export")), "{error}");
    }
}
