//! The intrinsics that move between stacks, each guest lowered in every way and run in an engine.

mod common;

use common::Running;

#[test]
fn two_tasks_alternate() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $count))
        (func $count (param $me i32) (result i32)
            (local $i i32)
            (loop $again
                (call $log (i32.add (i32.mul (local.get $me) (i32.const 100)) (local.get $i)))
                (call $to (local.get $me) (i32.sub (i32.const 1) (local.get $me)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 3))))
            (call $log (i32.add (i32.mul (local.get $me) (i32.const 100)) (i32.const 9)))
            ;; Task 0 hands over to task 1, which ends the run.
            (if (result i32) (local.get $me) (then (i32.const 0)) (else (call $context (i32.const 1)))))
        (func (export "go")
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $task (i32.const 1) (i32.const 0) (i32.const 1))
            (call $run (call $context (i32.const 0)))
            (call $log (i32.const -1)))
        "#,
    );
    assert_eq!(guest.go(), [0, 100, 1, 101, 2, 102, 9, 109, -1]);
    assert_eq!(guest.go(), [0, 100, 1, 101, 2, 102, 9, 109, -1], "a second run");
    assert_eq!(guest.stack_pointer(), 65536);
}

#[test]
fn locals_and_the_shadow_stack_survive_at_every_depth() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $deep $disturb))
        (func $down (param $n i32) (result i32)
            (local $l i64) (local $f f32) (local $d f64) (local $frame i32)
            (local.set $frame (i32.sub (global.get $__stack_pointer) (i32.const 16)))
            (global.set $__stack_pointer (local.get $frame))
            (i32.store offset=4 (local.get $frame) (i32.mul (local.get $n) (i32.const 7)))
            (local.set $l (i64.mul (i64.extend_i32_u (local.get $n)) (i64.const 0x100000001)))
            (local.set $f (f32.add (f32.convert_i32_s (local.get $n)) (f32.const 0.5)))
            (local.set $d (f64.add (f64.convert_i32_s (local.get $n)) (f64.const 0.25)))
            (if (local.get $n)
                (then (drop (call $down (i32.sub (local.get $n) (i32.const 1)))))
                (else (call $to (i32.const 0) (i32.const 1))))
            (call $log (i32.load offset=4 (local.get $frame)))
            (call $log (i32.eq (global.get $__stack_pointer) (local.get $frame)))
            (call $log (i32.wrap_i64 (i64.shr_u (local.get $l) (i64.const 32))))
            (call $log (i32.trunc_f32_s (f32.mul (local.get $f) (f32.const 2))))
            (call $log (i32.trunc_f64_s (f64.mul (local.get $d) (f64.const 4))))
            (global.set $__stack_pointer (i32.add (local.get $frame) (i32.const 16)))
            (local.get $n))
        (func $deep (param i32) (result i32)
            (call $log (call $down (i32.const 3)))
            (i32.const 0))
        (func $disturb (param i32) (result i32)
            (call $push (i32.const 256))
            (memory.fill (global.get $__stack_pointer) (i32.const 0xff) (i32.const 256))
            (call $pop (i32.const 256))
            (call $context (i32.const 0)))
        (func (export "go")
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $task (i32.const 1) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 0))))
        "#,
    );
    #[rustfmt::skip]
    let expected = [
        0, 1, 0, 1, 1,
        7, 1, 1, 3, 5,
        14, 1, 2, 5, 9,
        21, 1, 3, 7, 13,
        3,
    ];
    assert_eq!(guest.go(), expected);
}

#[test]
fn leave_returns_to_the_host_and_run_continues_the_task() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $entry))
        (func $entry (param $arg i32) (result i32)
            (call $log (local.get $arg))
            (call $leave (i32.const 0))
            (call $log (i32.add (local.get $arg) (i32.const 1)))
            (call $leave (i32.const 0))
            (call $log (i32.add (local.get $arg) (i32.const 2)))
            (i32.const 0))
        (func (export "make") (call $task (i32.const 0) (i32.const 0) (i32.const 40)))
        (func (export "go")
            (call $push (i32.const 32))
            (call $run (call $context (i32.const 0)))
            (call $own_sp)
            (call $pop (i32.const 32)))
        "#,
    );
    guest.call::<(), ()>("make", ());
    assert_eq!(guest.go(), [40, -32]);
    assert_eq!(guest.go(), [41, -32]);
    assert_eq!(guest.go(), [42, -32]);
}

#[test]
fn a_switch_or_an_end_to_the_host_ends_the_run() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $entry))
        (func $entry (param i32) (result i32)
            (call $log (i32.const 1))
            (call $switch (i32.const 0) (i32.const 0))
            (call $log (i32.const 2))
            (i32.const 0))
        (func (export "make") (call $task (i32.const 0) (i32.const 0) (i32.const 0)))
        (func (export "go") (call $run (call $context (i32.const 0))) (call $log (i32.const 9)))
        (func (export "nothing") (call $run (i32.const 0)))
        "#,
    );
    guest.call::<(), ()>("make", ());
    assert_eq!(guest.go(), [1, 9]);
    assert_eq!(guest.go(), [2, 9]);
    guest.call::<(), ()>("nothing", ());
}

#[test]
fn runs_nest_through_a_host_import_and_continue_each_others_tasks() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $caller $inner $early))
        ;; 0: calls the host, which calls `nested`; then hands over to the inner run's task.
        (func $caller (param i32) (result i32)
            (call $log (i32.const 1))
            (call $to (i32.const 0) (i32.const 2))
            (call $log (i32.const 2))
            (call $call (i32.const 7))
            (call $log (i32.const 3))
            (call $context (i32.const 1)))
        ;; 1: begins in the inner run, ends in the outer one.
        (func $inner (param i32) (result i32)
            (call $log (i32.const 10))
            (call $leave (i32.const 4))
            (call $log (i32.const 11))
            (i32.const 0))
        ;; 2: begins in the outer run, goes on in the inner one.
        (func $early (param i32) (result i32)
            (call $log (i32.const 20))
            (call $to (i32.const 2) (i32.const 0))
            (call $log (i32.const 21))
            (call $context (i32.const 1)))
        (func (export "nested") (param $arg i32)
            (call $push (i32.const 48))
            (call $log (local.get $arg))
            (call $own_sp)
            (call $task (i32.const 1) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 2)))
            (call $own_sp)
            (call $pop (i32.const 48)))
        (func (export "go")
            (call $push (i32.const 32))
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $task (i32.const 2) (i32.const 2) (i32.const 0))
            (call $run (call $context (i32.const 0)))
            (call $own_sp)
            (call $pop (i32.const 32)))
        "#,
    );
    assert_eq!(
        guest.go(),
        [1, 20, 2, 7, -80, 21, 10, -80, 3, 11, -32],
        "nested calls run below the frames of the outer `run`"
    );
    assert_eq!(guest.stack_pointer(), 65536);
}

#[test]
fn runs_nest_to_any_depth() {
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
            (call $task (local.get $n) (i32.const 0) (local.get $n))
            (call $run (call $context (local.get $n))))
        (func (export "go")
            (local $n i32)
            (call $nested (i32.const 3))
            (loop $again
                (call $run (call $context (local.get $n)))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.le_u (local.get $n) (i32.const 3)))))
        "#,
    );
    assert_eq!(guest.go(), [3, 2, 1, 0, 10, 11, 12, 13]);
    assert_eq!(guest.stack_pointer(), 65536);
}

#[test]
fn an_import_runs_on_the_hosts_stack() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $entry $log_sp))
        (type $none (func))
        (func $entry (param i32) (result i32)
            (call $push (i32.const 16))
            (call $own_sp)
            (call $log_sp)
            (call_indirect (type $none) (i32.const 1))
            (call $own_sp)
            (call $call (i32.const 0))
            (call $own_sp)
            (call $pop (i32.const 16))
            (i32.const 0))
        ;; On the host's stack an import goes on below the caller's frame.
        (func (export "nested") (param i32)
            (call $push (i32.const 64))
            (call $log_sp)
            (call_indirect (type $none) (i32.const 1))
            (call $own_sp)
            (call $pop (i32.const 64)))
        (func (export "go")
            (call $push (i32.const 32))
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $run (call $context (i32.const 0)))
            (call $pop (i32.const 32))
            (call $log_sp))
        "#,
    );
    let on_task = 1024 - 16;
    assert_eq!(guest.go(), [on_task, -32, -32, on_task, -96, -96, -96, on_task, 0]);
}

#[test]
fn descriptors_of_wasm_bindgen_are_called_directly() {
    let wasm = common::bare_guest(
        r#"
        (import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
        (import "windlass" "run" (func $run (param i32)))
        (import "windlass" "leave" (func $leave (param i32)))
        (import "__wbindgen_placeholder__" "__wbindgen_describe" (func $describe))
        (import "env" "log_sp" (func $log_sp))
        (memory 2)
        (global (export "__stack_pointer") (mut i32) (i32.const 65536))
        (table funcref (elem $entry))
        (func $entry (param i32) (result i32)
            (call $describe) (call $log_sp) (call $leave (i32.const 0)) (i32.const 0))
        (func (export "go")
            (call $run (call $prepare (i32.const 65536) (i32.const 66560) (i32.const 0) (i32.const 0))))
        "#,
    );
    let mut guest = Running::everywhere(&wasm, &windlass_lower::Options::default());
    assert_eq!(guest.go(), [1024, 0]);
}

#[test]
fn a_discarded_context_never_runs() {
    let mut guest = Running::guest(
        r#"
        (table funcref (elem $entry))
        (func $entry (param $arg i32) (result i32)
            (call $log (local.get $arg))
            (call $leave (i32.const 0))
            (call $log (i32.const 99))
            (i32.const 0))
        (func (export "new")
            (call $task (i32.const 0) (i32.const 0) (i32.const 1))
            (call $discard (call $context (i32.const 0))))
        (func (export "suspended")
            (call $task (i32.const 0) (i32.const 0) (i32.const 2))
            (call $run (call $context (i32.const 0)))
            (call $discard (call $context (i32.const 0))))
        ;; The stack is the guest's again.
        (func (export "go")
            (call $task (i32.const 0) (i32.const 0) (i32.const 3))
            (call $run (call $context (i32.const 0))))
        (func (export "run") (call $run (call $context (i32.const 0))))
        (func (export "discard") (call $discard (call $context (i32.const 0))))
        "#,
    );
    guest.call::<(), ()>("new", ());
    guest.call::<(), ()>("suspended", ());
    assert_eq!(guest.go(), [2, 3]);
    guest.call::<(), ()>("discard", ());
    assert!(guest.fails("discard").contains("unreachable"));
    assert!(guest.fails("run").contains("unreachable"));
    assert_eq!(guest.trace(), []);
}

#[test]
fn misuse_traps() {
    const GUEST: &str = r#"
        (table funcref (elem $run_in_task $self))
        (func $run_in_task (param i32) (result i32)
            (call $run (call $context (i32.const 1)))
            (i32.const 0))
        ;; A nested run that continues the task which is in the host call.
        (func $self (param i32) (result i32)
            (call $log (i32.const 1))
            (call $call (i32.const 0))
            (i32.const 0))
        (func (export "nested") (param i32) (call $run (call $context (i32.const 0))))
        (func (export "switch_outside") (call $switch (i32.const 0) (i32.const 0)))
        (func (export "leave_outside") (call $leave (i32.const 0)))
        (func (export "run_in_task")
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $task (i32.const 1) (i32.const 0) (i32.const 0))
            (call $run (call $context (i32.const 0))))
        (func (export "run_running")
            (call $task (i32.const 0) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 0))))
        (func (export "tiny")
            (drop (call $prepare (i32.const 65536) (i32.const 65776) (i32.const 0) (i32.const 0))))
        (func (export "upside_down")
            (drop (call $prepare (i32.const 66560) (i32.const 65536) (i32.const 0) (i32.const 0))))
    "#;
    for (export, trace) in [
        ("switch_outside", &[] as &[i32]),
        ("leave_outside", &[]),
        ("run_in_task", &[]),
        ("run_running", &[1]),
        ("tiny", &[]),
        ("upside_down", &[]),
    ] {
        let mut guest = Running::guest(GUEST);
        let message = guest.fails(export);
        assert!(message.contains("unreachable"), "{export}: {message}");
        assert_eq!(guest.trace(), trace, "{export}");
    }
}

const NOT_LOWERED: &str = "windlass.suspended_through_a_function_that_was_not_lowered";

/// A task that calls what the host put into a table, and stores and logs what comes behind that.
const CALLS_IT: &str = r#"
    (table (export "table") 2 funcref)
    (elem (i32.const 0) $entry)
    (func $entry (param i32) (result i32) (call $call_it) (call $log (i32.const 3)) (i32.const 0))
    (func $call_it
        (call $log (i32.const 1))
        (call_indirect (i32.const 1))
        (i32.store (i32.const 100) (i32.const 2))
        (call $log (i32.const 2)))
    (func (export "leaves") (call $log (i32.const 10)) (call $leave (i32.const 0)) (call $log (i32.const 11)))
    (func (export "quiet") (call $log (i32.const 20)))
    (func (export "stored") (result i32) (i32.load (i32.const 100)))
    (func (export "go")
        (call $task (i32.const 0) (i32.const 0) (i32.const 0))
        (call $run (call $context (i32.const 0)))
        (call $log (i32.const -1)))
"#;

#[test]
fn an_export_called_by_a_function_of_the_host_in_a_table_does_not_leave_its_task() {
    // Frames of the host cannot be resumed.
    let mut guest = Running::own(CALLS_IT);
    guest.put("table", 1, "quiet");
    assert_eq!(guest.go(), [1, 7, 20, 8, 2, 3, -1]);
    let mut guest = Running::own(CALLS_IT);
    guest.put("table", 1, "leaves");
    assert!(guest.fails("go").contains("unreachable"));
    assert_eq!(guest.trapped_in(), NOT_LOWERED);
    assert_eq!(guest.trace(), [1, 7, 10]);
    assert_eq!(guest.call::<(), i32>("stored", ()), 0);
}

#[test]
fn an_export_that_the_host_passes_in_a_global_does_not_leave_its_task() {
    // An export is not what the guest itself calls: it has the host behind it.
    let text = CALLS_IT
        .replace(
            r#"(table (export "table")"#,
            r#"(global $g (export "g") (mut funcref) (ref.null func)) (table"#,
        )
        .replace(
            "(call_indirect (i32.const 1))",
            "(table.set (i32.const 1) (global.get $g)) (call_indirect (i32.const 1))",
        );
    let mut guest = Running::own(&text);
    guest.pass("g", "quiet");
    assert_eq!(guest.go(), [1, 20, 2, 3, -1]);
    let mut guest = Running::own(&text);
    guest.pass("g", "leaves");
    assert!(guest.fails("go").contains("unreachable"));
    assert_eq!(guest.trapped_in(), NOT_LOWERED);
    assert_eq!(guest.trace(), [1, 10]);
    assert_eq!(guest.call::<(), i32>("stored", ()), 0);
}

#[test]
fn a_guest_may_refer_to_what_only_an_export_declares() {
    let text = CALLS_IT
        .replace(r#"(func (export "leaves")"#, r#"(func $leaves (export "leaves")"#)
        .replace(
            "(call_indirect (i32.const 1))",
            "(table.set (i32.const 1) (ref.func $leaves)) (call_indirect (i32.const 1))",
        )
        .replace(
            r#"(func (export "stored")"#,
            r#"(func (export "again") (call $run (call $context (i32.const 0)))) (func (export "stored")"#,
        );
    let mut guest = Running::own(&text);
    assert_eq!(guest.go(), [1, 10, -1]);
    guest.call::<(), ()>("again", ());
    assert_eq!(guest.trace(), [11, 2, 3]);
}

#[test]
fn a_wild_call_through_the_table_reaches_nothing_of_the_tools() {
    // Of the types that resume functions might have one is the guest's.
    let mut guest = Running::own(
        r#"
        (table funcref (elem $entry))
        (type $one (func (param i32)))
        (type $two (func (param i32 f32)))
        (func $again (param i32) (result i32) (call $leave (i32.const 0)) (i32.add (local.get 0) (i32.const 7)))
        (func $entry (param i32) (result i32) (call $log (call $again (i32.const 5))) (i32.const 0))
        (func (export "wild") (param $place i32) (call_indirect (type $one) (i32.const 512) (local.get $place)))
        (func (export "wild_too") (param $place i32)
            (call_indirect (type $two) (i32.const 512) (f32.const 0) (local.get $place)))
        (func (export "begin")
            (call $task (i32.const 0) (i32.const 0) (i32.const 0))
            (call $run (call $context (i32.const 0))))
        (func (export "go") (call $run (call $context (i32.const 0))))
        "#,
    );
    guest.call::<(), ()>("begin", ());
    for place in 0..64 {
        assert!(!guest.returns("wild", place), "{place}");
        assert!(!guest.returns("wild_too", place), "{place}");
    }
    assert_eq!(guest.go(), [12]);
}

/// Recursion with 64 bytes of shadow stack a level, `depth` levels deep.
const RECURSION: &str = r#"
    (table funcref (elem $entry))
    (func $down (param $n i32)
        (call $push (i32.const 64))
        (call $log (local.get $n))
        (if (local.get $n) (then (call $down (i32.sub (local.get $n) (i32.const 1)))))
        (call $pop (i32.const 64)))
    (func $entry (param $depth i32) (result i32)
        (call $down (i32.sub (local.get $depth) (i32.const 1)))
        (i32.const 0))
    (func (export "windlass_stack_overflow") (call $log (i32.const 999)) (call $own_sp))
    (func $start (param $depth i32)
        (call $push (i32.const 32))
        (call $task (i32.const 0) (i32.const 0) (local.get $depth))
        (call $run (call $context (i32.const 0)))
        (call $pop (i32.const 32)))
    (func (export "go") (call $start (i32.const 13)))
    (func (export "too_deep") (call $start (i32.const 14)))
"#;

#[test]
fn a_shadow_stack_overflow_is_reported_on_the_hosts_stack_and_traps() {
    // 1,024 bytes less 32 of the context and 128 of red zone hold 13 frames of 64.
    let mut guest = Running::guest(RECURSION);
    let fits: Vec<i32> = (0..13).rev().collect();
    assert_eq!(guest.go(), fits);

    assert!(guest.fails("too_deep").contains("unreachable"));
    let mut overflows: Vec<i32> = (1..14).rev().collect();
    overflows.extend([999, -32]);
    assert_eq!(guest.trace(), overflows);
}

#[test]
fn without_the_check_the_red_zone_is_used() {
    let mut options = windlass_lower::Options::default();
    options.stack_check = false;
    let mut guest = Running::everywhere(&common::guest(RECURSION), &options);
    guest.call::<(), ()>("too_deep", ());
    assert_eq!(guest.trace(), (0..14).rev().collect::<Vec<i32>>());
}

#[test]
fn an_overflow_without_a_reporter_traps() {
    let text = RECURSION.replace("windlass_stack_overflow", "something_else");
    let mut guest = Running::guest(&text);
    assert!(guest.fails("too_deep").contains("unreachable"));
    assert_eq!(guest.trace(), (1..14).rev().collect::<Vec<i32>>());
}

/// Recursion without shadow stack, that suspends at the deepest level; `pushed` bytes of shadow stack are in use.
const FRAMES: &str = r#"
    (table funcref (elem $entry $suspend))
    (type $entries (func (param i32) (result i32)))
    (func $suspend (param i32) (result i32) (call $leave (i32.const 0)) (i32.const 1))
    (func $down (param $n i32) (result i32)
        (if (result i32) (local.get $n)
            (then (i32.add (local.get $n) (call $down (i32.sub (local.get $n) (i32.const 1)))))
            (else (call_indirect (type $entries) (i32.const 0) (i32.const 1)))))
    (global $pushed (mut i32) (i32.const 0))
    (func $entry (param $depth i32) (result i32)
        (call $push (global.get $pushed))
        (call $log (call $down (local.get $depth)))
        (call $pop (global.get $pushed))
        (i32.const 0))
    (func (export "windlass_stack_overflow") (call $log (i32.const 999)) (call $own_sp) (call $log_sp))
    (func $start (param $depth i32) (param $push i32)
        (global.set $pushed (local.get $push))
        (call $push (i32.const 32))
        (call $task (i32.const 0) (i32.const 0) (local.get $depth))
        (call $run (call $context (i32.const 0)))
        (call $log (i32.const -1))
        (call $run (call $context (i32.const 0)))
        (call $pop (i32.const 32)))
    (func (export "go") (call $start (i32.const 10) (i32.const 0)))
    (func (export "tight") (call $start (i32.const 10) (i32.const 640)))
    (func (export "full") (call $start (i32.const 20) (i32.const 864)))
    (func (export "deep") (call $start (i32.const 100) (i32.const 0)))
    (func (export "far_too_deep") (call $start (i32.const 700) (i32.const 0)))
"#;

#[test]
fn frames_that_outgrow_the_stack_are_reported() {
    let mut guest = Running::guest(FRAMES);
    assert_eq!(guest.go(), [-1, 56]);
    guest.call::<(), ()>("tight", ());
    assert_eq!(guest.trace(), [-1, 56]);
    for export in ["full", "deep", "far_too_deep"] {
        let mut guest = Running::guest(FRAMES);
        assert!(guest.fails(export).contains("unreachable"), "{export}");
        assert_eq!(guest.trace(), [999, -32, -32], "{export}");
    }
}

#[test]
fn a_stack_without_any_room_is_reported_even_without_the_check() {
    let mut options = windlass_lower::Options::default();
    options.stack_check = false;
    let text = FRAMES.replace("(i32.const 20) (i32.const 864)", "(i32.const 0) (i32.const 1000)");
    let mut guest = Running::everywhere(&common::guest(&text), &options);
    assert!(guest.fails("full").contains("unreachable"));
    assert_eq!(guest.trace(), [999, -32, -32]);
}

#[test]
fn the_checks_alone_make_no_function_suspendable() {
    // `$leaf` moves the stack pointer and calls nothing that suspends; asyncify must leave it alone, although the
    // report of an overflow calls indirectly.
    let body = r#"
        (table funcref (elem $entry))
        (type $none (func))
        (func $entry (param i32) (result i32) (call $leave (i32.const 0)) (i32.const 0))
        (func (export "windlass_stack_overflow") (call_indirect (type $none) (i32.const 0)))
        (func $leaf (export "leaf") (param i32) (result i32)
            (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (local.get 0)))
            (i32.load (global.get $__stack_pointer)))
    "#;
    for (way, lowered) in common::lower_everywhere(&common::guest(body), &windlass_lower::Options::default())
    {
        let size = exported_body_size(&lowered.wasm, "leaf");
        assert!(size < 40, "{way}: `leaf` has {size} bytes: it was instrumented");
    }
}

fn exported_body_size(wasm: &[u8], name: &str) -> usize {
    let mut imported = 0;
    let mut index = None;
    let mut sizes = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            wasmparser::Payload::ImportSection(section) => {
                imported = section
                    .into_imports()
                    .flatten()
                    .filter(|import| matches!(import.ty, wasmparser::TypeRef::Func(_)))
                    .count();
            }
            wasmparser::Payload::ExportSection(section) => {
                let mut exports = section.into_iter().flatten();
                index = exports.find(|e| e.name == name).map(|e| e.index as usize);
            }
            wasmparser::Payload::CodeSectionEntry(body) => sizes.push(body.range().len()),
            _ => {}
        }
    }
    index.map_or(usize::MAX, |index| sizes[index - imported])
}
