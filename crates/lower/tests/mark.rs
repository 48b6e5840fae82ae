//! The in-host mark: which calls `enter` accepts, and what a host import finds and leaves behind.
//!
//! A guest that only opens and closes calls suspends nothing and is lowered without `wasm-opt`.

mod common;

use common::Running;

/// The body of `nested` differs from test to test.
fn guest_without_tasks(body: &str) -> Running {
    let wasm = common::bare_guest(&format!(
        r#"
        (import "windlass" "enter" (func $enter (result i32)))
        (import "env" "log" (func $log (param i32)))
        (import "windlass" "exit" (func $exit))
        (import "env" "call" (func $call (param i32)))
        (import "env" "try_call" (func $try_call (param i32) (result i32)))
        (import "env" "throw" (func $throw))
        (import "windlass" "fail" (func $fail))
        (import "windlass" "refuse" (func $refuse))
        (memory (export "memory") 1)
        (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
        (func $push (param $bytes i32)
            (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (local.get $bytes))))
        (func $own_sp (call $log (i32.sub (global.get $__stack_pointer) (i32.const 65536))))
        {body}
        "#
    ));
    let lowered = common::lower(&wasm);
    assert_eq!(lowered.report.wasm_opt, None, "nothing suspends");
    Running::from_wasm(&lowered.wasm)
}

#[test]
fn a_call_out_of_an_import_nests() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "nested") (param i32)
            (call $log (call $enter))
            (call $log (local.get 0))
            (call $exit))
        (func (export "go")
            (call $log (call $enter))
            (call $call (i32.const 7))
            (call $call (i32.const 8))
            (call $exit))
        "#,
    );
    assert_eq!(guest.go(), [1, 1, 7, 1, 8]);
    assert_eq!(guest.go(), [1, 1, 7, 1, 8]);
}

#[test]
fn each_refusal_gives_the_whole_stack_back() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "trap") (drop (call $enter)) (call $push (i32.const 64)) unreachable)
        (func (export "go")
            (call $own_sp)
            (call $push (i32.const 16))
            (call $log (call $enter))
            (call $refuse))
        "#,
    );
    guest.fails("trap");
    guest.fails("go");
    assert_eq!(guest.trace(), [-64, 0], "the first finds what the trap left");
    for _ in 0..3 {
        guest.fails("go");
        assert_eq!(guest.trace(), [0, 0]);
    }
}

#[test]
fn a_call_while_another_is_open_and_not_in_the_host_is_refused() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "go") (call $log (call $enter)) (call $log (call $enter)) (call $exit) (call $log (call $enter)))
        (func (export "trap") (call $log (call $enter)) unreachable)
        (func (export "enter") (call $log (call $enter)))
        "#,
    );
    assert_eq!(guest.go(), [1, 0, 1]);

    let mut guest = guest_without_tasks(
        r#"
        (func (export "trap") (call $log (call $enter)) unreachable)
        (func (export "go") (call $log (call $enter)))
        "#,
    );
    guest.fails("trap");
    assert_eq!(guest.go(), [1, 0], "after a trap the instance is poisoned");
    assert_eq!(guest.go(), [0]);
}

#[test]
fn after_a_nested_call_too_the_mark_is_clear_in_the_guest() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "nested") (param i32) (drop (call $enter)) (call $exit))
        (func (export "trap") (drop (call $enter)) (call $call (i32.const 0)) unreachable)
        (func (export "go") (call $log (call $enter)))
        "#,
    );
    guest.fails("trap");
    assert_eq!(guest.go(), [0]);
}

#[test]
fn an_import_that_returns_with_a_call_open_traps() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "nested") (param i32) (call $log (call $enter)) unreachable)
        (func (export "outer")
            (call $log (call $enter))
            (call $log (call $try_call (i32.const 0)))
            (call $exit))
        (func (export "go") (call $log (call $enter)))
        "#,
    );
    let message = guest.fails("outer");
    assert!(message.contains("unreachable"), "{message}");
    assert_eq!(guest.trace(), [1, 1], "the guest does not go on after the import");
    assert_eq!(guest.go(), [0]);
}

#[test]
fn a_host_error_thrown_through_the_guest_looks_like_nesting() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "through") (drop (call $enter)) (call $throw))
        (func (export "go") (call $log (call $enter)) (call $exit))
        "#,
    );
    let message = guest.fails("through");
    assert!(message.contains("thrown by the host"), "{message}");
    assert_eq!(guest.go(), [1]);
}

#[test]
fn a_failed_call_is_closed_and_gives_the_stack_back() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "bad")
            (drop (call $enter))
            (call $push (i32.const 64))
            (call $fail)
            (call $log (i32.const 99)))
        (func (export "go") (call $own_sp) (call $log (call $enter)) (call $exit))
        "#,
    );
    let message = guest.fails("bad");
    assert!(message.contains("unreachable"), "{message}");
    assert_eq!(guest.go(), [0, 1]);
}

#[test]
fn a_nested_call_that_fails_leaves_the_outer_one_usable() {
    let mut guest = guest_without_tasks(
        r#"
        (func (export "nested") (param i32)
            (call $log (call $enter))
            (call $push (i32.const 64))
            (call $own_sp)
            (call $fail))
        (func (export "go")
            (call $log (call $enter))
            (call $push (i32.const 16))
            (call $log (call $try_call (i32.const 0)))
            (call $own_sp)
            (call $log (call $try_call (i32.const 0)))
            (global.set $__stack_pointer (i32.const 65536))
            (call $exit))
        "#,
    );
    let expected = [1, 1, -80, 1, -16, 1, -80, 1];
    assert_eq!(guest.go(), expected);
    assert_eq!(guest.go(), expected);
}

#[test]
fn an_export_that_opens_no_call_keeps_the_mark() {
    // Like `windlass_alloc`, called out of an import, that calls an import itself.
    let mut guest = guest_without_tasks(
        r#"
        (func (export "nested") (param $depth i32)
            (if (local.get $depth)
                (then (call $call (i32.const 0)) (call $log (call $enter)) (call $exit))
                (else (call $log (i32.const 5)))))
        (func (export "go") (drop (call $enter)) (call $call (i32.const 1)) (call $exit))
        "#,
    );
    assert_eq!(guest.go(), [5, 1]);
}

#[test]
fn exit_without_enter_traps() {
    let mut guest = guest_without_tasks(r#"(func (export "go") (call $exit))"#);
    assert!(guest.fails("go").contains("unreachable"));
}

#[test]
fn calls_nest_from_tasks() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $entry))
        (func $entry (param $n i32) (result i32)
            (call $log (local.get $n))
            (if (local.get $n) (then (call $call (i32.sub (local.get $n) (i32.const 1)))))
            (call $leave (i32.mul (local.get $n) (i32.const 4)))
            (call $log (i32.add (local.get $n) (i32.const 10)))
            (i32.const 0))
        (func $nested (export "nested") (param $n i32)
            (call $log (call $enter))
            (call $task (local.get $n) (i32.const 0) (local.get $n))
            (call $run (call $context (local.get $n)))
            (call $run (call $context (local.get $n)))
            (call $exit))
        (func (export "go") (call $nested (i32.const 2)))
        "#,
    );
    assert_eq!(guest.go(), [1, 2, 1, 1, 1, 0, 10, 11, 12]);
    assert_eq!(guest.go(), [1, 2, 1, 1, 1, 0, 10, 11, 12]);
}

#[test]
fn a_call_that_fails_in_a_nested_runs_task_leaves_the_outer_task_running() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $outer $failing))
        (func $outer (param i32) (result i32)
            (call $push (i32.const 16))
            (call $log (call $try_call (i32.const 0)))
            (call $own_sp)
            (call $log_sp)
            (call $leave (i32.const 0))
            (call $own_sp)
            (call $pop (i32.const 16))
            (i32.const 0))
        (func $failing (param i32) (result i32)
            (call $push (i32.const 16))
            (call $log (i32.const 40))
            (call $fail)
            (i32.const 0))
        (func (export "nested") (param i32)
            (call $log (call $enter))
            (call $push (i32.const 64))
            (call $task (i32.const 1) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 1))))
        (func (export "go")
            (call $log (call $enter))
            (call $push (i32.const 32))
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $run (call $context (i32.const 0)))
            (call $own_sp)
            (call $run (call $context (i32.const 0)))
            (call $own_sp)
            (call $pop (i32.const 32))
            (call $exit))
        (func (export "bad")
            (drop (call $enter))
            (call $push (i32.const 32))
            (call $task (i32.const 0) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 0))))
        "#,
    );
    let on_task = 1024 - 16;
    let expected = [1, 1, 40, 1, on_task, -32, -32, on_task, -32];
    assert_eq!(guest.go(), expected);
    // Out of a task in the outermost call, too: the next call finds everything at its start.
    guest.fails("bad");
    assert_eq!(guest.trace(), [40]);
    assert_eq!(guest.stack_pointer(), 65536);
    assert_eq!(guest.go(), expected);
}

#[test]
fn a_host_error_thrown_out_of_a_task_leaves_the_hosts_stack_in_use() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $throwing $logging))
        (func $throwing (param i32) (result i32) (call $throw) (i32.const 0))
        (func $logging (param i32) (result i32) (call $own_sp) (i32.const 0))
        (func (export "through")
            (drop (call $enter))
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $run (call $context (i32.const 0))))
        (func (export "go")
            (call $log (call $enter))
            (call $own_sp)
            (call $task (i32.const 0) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 0)))
            (call $exit))
        "#,
    );
    guest.fails("through");
    assert_eq!(guest.go(), [1, 0, 1024]);
}
