//! Frames of suspended tasks that outgrow the task's stack of 16 KiB: with the own engine they go on in memory that the guest's
//! `windlass_frames_alloc` gives; with Binaryen's that is a stack overflow.

use crate::host::{Rig, guest, lowered_by, told};

/// Far more than fit into the stack: each takes 30 bytes and more.
const DEPTH: i32 = 5_000;

fn frames_may_leave_the_stack() -> bool {
    match lowered_by().rsplit_once(' ') {
        Some((_, "own")) => true,
        Some((_, "binaryen")) => false,
        _ => panic!("no engine: {}", lowered_by()),
    }
}

/// What `deep_frames` of tests/guest computes.
fn expected(depth: i32) -> i64 {
    fn descend(depth: i32, a: i64, b: i64, c: f64) -> i64 {
        if depth <= 0 {
            return a ^ b;
        }
        let below = descend(depth - 1, b, a.wrapping_mul(31).wrapping_add(b), c + f64::from(depth));
        (below ^ a).wrapping_mul(b | 1).wrapping_add((c * below as f64) as i64)
    }
    descend(depth, i64::from(depth), 0x9e37_79b9, 1.5)
}

/// Bytes that the guest has allocated.
fn allocated(rig: &mut Rig) -> i64 {
    rig.call("allocated", ())
}

#[test]
fn a_task_suspends_deeper_than_its_stack_is_large() {
    if !frames_may_leave_the_stack() {
        return;
    }
    for (depth, every) in [(100, 7), (DEPTH, 7 * DEPTH), (DEPTH, 1_234), (DEPTH, 97), (1_000, 1)] {
        // A task that yields alone is not suspended.
        let mut rig = guest().mode(2).ready();
        assert_eq!(rig.call::<i64>("deep_frames", (depth, every)), expected(depth), "{depth}, {every}");
        // The memory comes back, but for one chunk that is kept.
        let first = allocated(&mut rig);
        for _ in 0..3 {
            assert_eq!(rig.call::<i64>("deep_frames", (depth, every)), expected(depth), "{depth}, {every}");
            assert_eq!(allocated(&mut rig), first, "{depth}, {every}");
        }
    }
}

#[test]
fn with_binaryen_frames_that_do_not_fit_into_the_stack_overflow_it() {
    if frames_may_leave_the_stack() {
        return;
    }
    let mut rig = guest().mode(2).ready();
    assert_eq!(rig.call::<i64>("deep_frames", (200, 9)), expected(200));
    // The frames are in the memory above the stack when the overflow is seen. That shall be stacks of tasks that never
    // run again: of three, one above the other, the lowest is free again, and is used next.
    for which in 0..3 {
        rig.call::<()>("wait_deep", (1, which));
    }
    rig.call::<()>("yield_times", 3);
    rig.call::<()>("signal", (0, 5));
    rig.call::<()>("yield_times", 3);
    let error = rig.fails::<i64>("deep_frames", (400, 400));
    let ("StackOverflow", report) = told(&error) else { panic!("{error:?}") };
    assert!(report.contains("stack overflow: its stack of 16384 bytes is full"), "{report}");
}

#[test]
fn tasks_that_are_suspended_deep_do_not_touch_each_others_frames() {
    if !frames_may_leave_the_stack() {
        return;
    }
    let mut rig = guest().ready();
    let mut round = || {
        for (which, depth) in [(0, 3_000), (1, 700), (2, 2_000)] {
            rig.call::<()>("wait_deep", (depth, which));
        }
        rig.call::<()>("yield_times", 3);
        let in_use = allocated(&mut rig);
        for which in [1, 2, 0] {
            assert_eq!(rig.call::<i64>("deep_frames", (DEPTH, 501)), expected(DEPTH));
            rig.call::<()>("signal", (which, 5));
            rig.call::<()>("yield_times", 3);
        }
        let surfaced = rig.trace().iter().filter(|event| *event == "surfaced").count();
        assert_eq!(surfaced, 3);
        (in_use, allocated(&mut rig))
    };
    // The scheduler's queues grow the first time.
    round();
    let (in_use, left) = round();
    assert!(in_use - left > 40_000, "{in_use} bytes while suspended, {left} after");
    for _ in 0..3 {
        assert_eq!(round(), (in_use, left));
    }
}

#[test]
fn where_there_is_no_memory_for_frames_the_overflow_is_reported_and_poisons() {
    if !frames_may_leave_the_stack() {
        return;
    }
    let mut rig = guest().memory(2 << 20).ready();
    let deep = |rig: &mut Rig, depth: i32| {
        rig.call::<()>("wait_deep", (depth, 0));
        rig.reactor.call::<_, ()>("yield_times", 2)
    };
    // There shall be memory for the stacks of all.
    (0..20).for_each(|_| deep(&mut rig, 1).expect("its frames are on its stack"));
    (0..20).for_each(|_| rig.call::<()>("signal", (0, 5)));
    rig.call::<()>("yield_times", 2);
    let failed = (0..20).find_map(|_| deep(&mut rig, 5_000).err()).expect("memory is limited");
    let ("StackOverflow", report) = told(&failed) else { panic!("{failed:?}") };
    assert!(report.contains("its stack of 16384 bytes is full"), "{report}");
    assert_eq!(rig.fails::<i32>("ping", ()).kind(), "Poisoned");
}
