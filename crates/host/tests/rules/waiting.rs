//! Rules 6 to 8: a call that cannot go on, and one that sleeps.

use std::time::Duration;

use windlass_host::Error;

use crate::host::{guest, told};
use crate::raw::{self, failure};

#[test]
fn rule_06_a_deadlock_lists_every_blocked_task_its_name_and_what_it_waits_for() {
    let mut rig = guest().ready();
    let error = rig.fails::<()>("block_on_everything", ());
    assert_eq!(
        told(&error),
        (
            "Deadlock",
            "  task 0.1 \"block_on_everything\": joining task 7
  task 1 \"sender\": sending to a channel
  task 2 \"receiver\": receiving from a channel
  task 3 \"locker\": locking a mutex
  task 4 \"waiter\": waiting for a condition variable
  task 5 \"counter\": waiting for a wait group
  task 6: parked
  task 7 \"parked\": parked"
        )
    );
    assert_eq!(error.code(), Some(5));
    assert!(!error.poisons());
}

#[test]
fn rule_06_a_deadlock_in_a_nested_call_lists_the_tasks_in_host_calls() {
    let mut rig = guest()
        .on_call(|caller, what| {
            let error = caller.call::<_, i32>("wait", what).expect_err("nobody signals");
            caller.state_mut().notes.push(error.report().unwrap_or("").to_owned());
            Ok(what)
        })
        .ready();
    assert_eq!(rig.call::<i32>("nested_on", (2_048, 1)), 1);
    assert_eq!(
        rig.reactor.state().notes,
        ["  task 0.1 \"nested_on\": joining task 1
  task 1 \"small\": in a host call
  task 2 \"wait\": receiving from a channel"]
    );
}

#[test]
fn rule_06_after_a_deadlock_the_next_call_works() {
    let mut rig = guest().ready();
    for round in 1..4 {
        let error = rig.fails::<i32>("block", ());
        assert_eq!(told(&error).1.lines().count(), round);
        assert_eq!(rig.call::<i32>("ping", ()), 7);
        // Its task stays, blocked and detached; the other is that of `stats`.
        assert_eq!(rig.call::<i64>("stats", 0), round as i64 + 1);
    }
}

#[test]
fn rule_06_a_run_that_was_refused_inside_a_task_leaves_the_next_error_as_it_is() {
    let mut rig = guest().ready();
    let error = rig.fails::<i32>("run_inside_then_block", ());
    assert_eq!(told(&error), ("Deadlock", "  task 0.1 \"run_inside_then_block\": parked"));
    assert_eq!(rig.call::<i32>("ping", ()), 7);
}

#[test]
fn rule_06_a_late_result_is_dropped() {
    let mut rig = guest().ready();
    rig.trace();
    // One round of everything, so that the second finds all pools warm.
    let round = |rig: &mut crate::host::Rig| {
        assert!(matches!(rig.fails::<Vec<u8>>("wait_bytes", (0, vec![1; 50_000])), Error::Deadlock { .. }));
        let held = rig.call::<i64>("allocated", ());
        rig.call::<()>("signal", (0, 3));
        assert_eq!(rig.trace(), ["wait: begins", "wait: ends"]);
        (held, rig.call::<i64>("allocated", ()), rig.call::<i64>("stats", 0))
    };
    let (first_held, first_free, _) = round(&mut rig);
    assert!(first_held >= first_free + 50_000, "{first_held} {first_free}");
    let (held, free, tasks) = round(&mut rig);
    // The bytes are gone with the task.
    assert_eq!((held, free, tasks), (first_held, first_free, 1));
}

#[test]
fn rule_06_the_arguments_of_a_failed_call_live_on_with_its_task() {
    let mut rig = guest().ready();
    assert!(matches!(rig.fails::<i32>("wait", 1), Error::Deadlock { .. }));
    // Whatever the failed call had on the host's stack is overwritten now.
    assert_eq!(rig.call::<i32>("deep_yield", 60), 60);
    rig.call::<()>("signal", (0, 1));
    assert!(matches!(rig.fails::<i32>("wait", 2), Error::Deadlock { .. }));
    // It still waits for signal 1, and for no other.
    rig.call::<()>("signal", (1, 2));
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    assert_eq!(rig.reactor.report().expect("a report"), "  task 1.2 \"wait\": receiving from a channel");
}

#[test]
fn rule_06_no_deadlock_while_another_task_may_go_on() {
    let mut rig = guest().may_block().ready();
    rig.call::<()>("signal_later", (0, 9, 20));
    assert_eq!(rig.call::<i32>("wait", 0), 9);
    assert_eq!(rig.clock.slept(), [20_000_000]);
    // And with the last sleeper gone it is one again.
    assert!(matches!(rig.fails::<i32>("wait", 0), Error::Deadlock { .. }));
}

#[test]
fn rule_07_a_synchronous_call_that_would_have_to_wait_is_another_error_and_the_next_call_works() {
    let mut rig = guest().ready();
    let error = rig.fails::<i32>("sleep_ms", 5i64);
    assert_eq!(told(&error), ("WouldWait", "  task 0.1 \"sleep_ms\": sleeping"));
    assert_eq!(error.code(), Some(6));
    assert!(!error.poisons());
    assert_eq!(rig.clock.slept(), []);
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    // The sleeper wakes in its time, and its late result is dropped.
    rig.clock.advance(Duration::from_millis(5));
    rig.call::<()>("yield_times", 1);
    assert_eq!(rig.call::<i64>("stats", 0), 1);
}

#[test]
fn rule_07_a_call_that_waits_for_a_sleeper_would_have_to_wait() {
    let mut rig = guest().ready();
    rig.call::<()>("signal_later", (2, 1, 5));
    let error = rig.fails::<i32>("wait", 2);
    assert_eq!(
        told(&error),
        ("WouldWait", "  task 0.2 \"wait\": receiving from a channel\n  task 1: sleeping")
    );
}

#[test]
fn rule_07_the_host_is_asked_whether_it_may_wait_once_and_nothing_else() {
    let mut raw = raw::guest().ready();
    let report = "  task 0.1 \"sleep_ms\": sleeping";
    assert_eq!(raw.call("sleep_ms", &[5]), failure(6, report));
    // The time: for the deadline, and to see whether it has come.
    assert_eq!(raw.entered(), ["now", "now", "wait 5000000"]);
}

#[test]
fn rule_08_a_call_sleeps_where_the_engine_may_block() {
    let mut rig = guest().may_block().ready();
    assert_eq!(rig.call::<i32>("sleep_ms", 5i64), 0);
    assert_eq!(rig.clock.slept(), [5_000_000]);
    assert_eq!(rig.call::<i32>("sleep_ms", 3_600_000i64), 0);
    assert_eq!(rig.clock.slept(), [5_000_000, 3_600_005_000_000]);
    // No time to sleep is no sleep.
    assert_eq!(rig.call::<i32>("sleep_ms", 0i64), 0);
    assert_eq!(rig.clock.slept().len(), 2);
}

#[test]
fn rule_08_background_tasks_have_their_time_while_a_call_sleeps() {
    let mut rig = guest().mode(1).may_block().ready();
    assert_eq!(rig.call::<i32>("sleep_ms", 5i64), 0);
    // The host waits for the earliest each time, and the call ends before the sleeper's fifth turn, which has the same deadline.
    assert_eq!(rig.clock.slept(), [1_000_000, 2_000_000, 3_000_000, 4_000_000, 5_000_000]);
    assert_eq!(rig.reactor.report().expect("a report"), "  task 1 \"sleeper\": ready");
    assert_eq!(rig.call::<i32>("turns", ()), 5);
}

#[test]
fn rule_08_a_host_that_wakes_early_is_asked_again() {
    // `wait` returns when it likes; the time decides.
    let mut raw = raw::guest().may_block().ready();
    raw.store.data_mut().early = 2;
    assert_eq!(raw.call("sleep_ms", &[2]), Ok(0));
    let wait = "wait 2000000";
    assert_eq!(raw.entered(), ["now", "now", wait, "now", wait, "now", wait, "now"]);
    assert_eq!(raw.store.data().now, 2_000_000);
}

#[test]
fn rule_08_time_is_monotonic_across_calls() {
    let mut raw = raw::guest().may_block().ready();
    raw.store.data_mut().tick = 1_000;
    for _ in 0..50 {
        let before = raw.store.data().now;
        assert_eq!(raw.call("sleep_ms", &[1]), Ok(0));
        assert!(raw.store.data().now >= before + 1_000_000);
    }
}
