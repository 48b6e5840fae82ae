//! Rules 12 and 13: the one timer that the host is asked for, deadlines, and the budget of a poll.

use std::time::Duration;

use windlass_host::{Error, Progress};

use crate::host::{guest, told};
use crate::raw::{self, failure};

const MS: i64 = 1_000_000;

#[test]
fn rule_12_synchronous_calls_arm_no_timer() {
    let mut raw = raw::guest().mode(1).ready();
    assert_eq!(raw.call("turns", &[]), Ok(0));
    assert_eq!(raw.call("sleep_ms", &[5]).map_err(|error| error.code), Err(6));
    assert_eq!(raw.call("signal_later", &[0, 1, 2]), Ok(0));
    assert_eq!(raw.call("ping", &[]), Ok(7));
    assert_eq!(raw.poll(0), 0);
    assert_eq!(raw.wakes(), []);
}

#[test]
fn rule_12_the_one_timer_is_for_the_earliest_deadline_while_an_asynchronous_call_is_pending() {
    let mut raw = raw::guest().ready();
    let at = |raw: &mut raw::Raw, ms: i64| {
        raw.store.data_mut().now = (ms * MS) as u64;
        assert_eq!(raw.poll(0), 0);
    };
    // What was started is runnable: the host is asked for a poll now, then for the sleeper's time.
    let five = raw.start("sleep_ms", &[5]);
    assert_eq!(raw.wakes(), [0]);
    assert_eq!(raw.poll(five), 0);
    assert_eq!(raw.wakes(), [5 * MS]);
    // An earlier one replaces it.
    let three = raw.start("sleep_ms", &[3]);
    assert_eq!(raw.poll(three), 0);
    assert_eq!(raw.wakes(), [0, 3 * MS]);
    // A later one does not, in the end.
    let nine = raw.start("sleep_ms", &[9]);
    assert_eq!(raw.poll(nine), 0);
    assert_eq!(raw.wakes(), [0, 3 * MS]);
    // A synchronous call changes nothing.
    assert_eq!(raw.call("ping", &[]), Ok(7));
    assert_eq!(raw.wakes(), []);
    // It fires: then the next.
    at(&mut raw, 3);
    assert_eq!(raw.wakes(), [5 * MS]);
    assert_eq!(raw.poll(three), 1);
    assert_eq!(raw.call("windlass.result.sleep_ms", &[three]), Ok(0));
    assert_eq!(raw.wakes(), []);
    at(&mut raw, 5);
    assert_eq!(raw.wakes(), [9 * MS]);
    assert_eq!(raw.poll(five), 1);
    assert_eq!(raw.wakes(), []);
    at(&mut raw, 9);
    assert_eq!(raw.poll(nine), 1);
    assert_eq!(raw.wakes(), []);
}

#[test]
fn rule_12_the_timer_is_taken_back_when_the_last_asynchronous_call_ends() {
    let mut raw = raw::guest().mode(1).ready();
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.wakes(), [0, MS]);
    // Cancelled: it is runnable once more, but nobody waits for it.
    assert_eq!(raw.call("windlass_cancel", &[waits]), Ok(1));
    assert_eq!(raw.wakes(), [-1]);
    assert_eq!(raw.call("ping", &[]), Ok(7));
    assert_eq!(raw.wakes(), []);

    // Done without a poll of its own: in a synchronous call.
    let waits = raw.start("wait", &[1]);
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.wakes(), [0, MS]);
    assert_eq!(raw.call("signal", &[1, 4]), Ok(0));
    assert_eq!(raw.wakes(), [0]);
    assert_eq!(raw.call("ping", &[]), Ok(7));
    assert_eq!(raw.wakes(), [-1]);
    assert_eq!(raw.poll(waits), 1);
    assert_eq!(raw.wakes(), []);
}

#[test]
fn rule_12_a_call_that_only_another_call_can_wake_needs_no_timer() {
    let mut raw = raw::guest().ready();
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.wakes(), [0, -1]);
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.poll(0), 0);
    assert_eq!(raw.wakes(), []);
}

#[test]
fn rule_12_background_running_arms_the_timer_without_an_asynchronous_call() {
    let mut raw = raw::guest().mode(1).ready();
    assert_eq!(raw.call("turns", &[]), Ok(0));
    assert_eq!(raw.wakes(), []);
    raw.works("windlass_background", &[1]);
    assert_eq!(raw.wakes(), [MS]);
    for ms in 1..=3 {
        raw.store.data_mut().now = (ms * MS) as u64;
        assert_eq!(raw.poll(0), 0);
        assert_eq!(raw.wakes(), [(ms + 1) * MS]);
    }
    raw.works("windlass_background", &[1]);
    assert_eq!(raw.wakes(), []);
    raw.works("windlass_background", &[0]);
    assert_eq!(raw.wakes(), [-1]);
    assert_eq!(raw.call("turns", &[]), Ok(3));
    assert_eq!(raw.wakes(), []);
}

#[test]
fn rule_12_nested_calls_leave_the_timer_to_the_outermost() {
    let mut raw = raw::guest()
        .on_call(|caller, _| {
            for ms in [4, 2] {
                let id = raw::call(&mut *caller, "windlass.start.sleep_ms", &[ms]).expect("a start");
                assert_eq!(raw::call(&mut *caller, "windlass_poll", &[id]), Ok(0));
            }
            raw::call(&mut *caller, "windlass_background", &[1]).expect("it may be called at any time");
            Ok(0)
        })
        .ready();
    assert_eq!(raw.call("nested", &[1]), Ok(1));
    assert_eq!(raw.wakes(), [2 * MS]);
}

#[test]
fn rule_12_a_deadline_of_a_pending_call_counts_as_a_timer() {
    let mut raw = raw::guest().ready();
    raw.works("windlass_deadline", &[7 * MS]);
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.wakes(), [0, 7 * MS]);
    raw.store.data_mut().now = 7 * MS as u64;
    assert_eq!(raw.poll(waits), 2);
    assert_eq!(raw.door().code, 7);
    assert_eq!(raw.wakes(), [-1]);
}

#[test]
fn rule_12_our_host_forgets_the_timer_when_it_has_fired() {
    let mut rig = guest().ready();
    let sleeps = rig.reactor.start::<_, i32>("sleep_ms", 5i64).expect("a start");
    assert_eq!(rig.reactor.poll(&sleeps).expect("a poll"), Progress::Pending);
    assert_eq!(rig.reactor.next_wake(), Some(5_000_000));
    rig.clock.advance(Duration::from_millis(5));
    assert!(!rig.reactor.poll_background().expect("a poll"));
    assert_eq!(rig.reactor.next_wake(), None, "an embedder that follows `next_wake` would poll for ever");
    assert_eq!(rig.reactor.poll(&sleeps).expect("a poll"), Progress::Done(0));
    assert_eq!(rig.reactor.next_wake(), None);
}

#[test]
fn rule_13_with_a_live_ticker_a_call_ends_at_its_deadline_with_the_report() {
    let mut rig = guest().mode(1).may_block().ready();
    let blocks = rig.reactor.call_with_deadline::<_, i32>("block", (), Duration::from_micros(3_500));
    let error = blocks.expect_err("nobody wakes it");
    assert_eq!(told(&error), ("TimedOut", "  task 0.1 \"block\": parked\n  task 1 \"sleeper\": sleeping"));
    assert_eq!(error.code(), Some(7));
    assert!(!error.poisons());
    assert_eq!(rig.clock.slept(), [1_000_000, 2_000_000, 3_000_000, 3_500_000]);
    assert_eq!(rig.call::<i32>("turns", ()), 3);
}

#[test]
fn rule_13_a_deadline_without_a_timer_is_a_deadlock_at_once() {
    for setup in [guest(), guest().may_block()] {
        let mut rig = setup.ready();
        let blocks = rig.reactor.call_with_deadline::<_, i32>("block", (), Duration::from_secs(1));
        assert_eq!(told(&blocks.expect_err("nobody wakes it")), ("Deadlock", "  task 0.1 \"block\": parked"));
        assert_eq!(rig.clock.slept(), []);
    }
}

#[test]
fn rule_13_a_call_that_is_done_in_time_does_not_notice_its_deadline() {
    let mut rig = guest().may_block().ready();
    let second = Duration::from_secs(1);
    assert_eq!(rig.reactor.call_with_deadline::<_, i32>("sleep_ms", 5i64, second).expect("in time"), 0);
    assert_eq!(rig.clock.slept(), [5_000_000]);
    // A deadline is for one call.
    assert_eq!(rig.call::<i32>("sleep_ms", 5_000i64), 0);
    assert_eq!(rig.clock.slept(), [5_000_000, 5_005_000_000]);
}

#[test]
fn rule_13_a_deadline_ends_a_call_that_yields_for_ever() {
    let mut raw = raw::guest().mode(2).ready();
    raw.store.data_mut().tick = 1_000;
    raw.works("windlass_deadline", &[MS]);
    let report = "  task 0.1 \"yield_times\": ready\n  task 1 \"yielder\": ready";
    assert_eq!(raw.call("yield_times", &[1_000_000_000]), failure(7, report));
    // Nobody waited: the call looked at the time now and then.
    let entered = raw.entered();
    assert_eq!(entered.len(), 1_000);
    assert!(entered.iter().all(|entry| entry == "now"));
    assert_eq!(raw.call("ping", &[]), Ok(7));
}

#[test]
fn rule_13_a_deadline_is_taken_by_the_next_call_even_if_that_is_refused() {
    let mut raw = raw::guest().mode(1).may_block().instance();
    raw.works("windlass_deadline", &[MS]);
    assert_eq!(raw.call("ping", &[]).map_err(|error| error.code), Err(1));
    assert_eq!(raw.call("_initialize", &[]), Ok(0));
    // A negative one is none, and takes an earlier one back.
    raw.works("windlass_deadline", &[MS]);
    raw.works("windlass_deadline", &[-1]);
    assert_eq!(raw.call("sleep_ms", &[5]), Ok(0));
    assert_eq!(raw.store.data().now, 5 * MS as u64);
    // One that has passed already ends the call before it begins.
    raw.works("windlass_deadline", &[MS]);
    assert_eq!(raw.call("sleep_ms", &[5]).map_err(|error| error.code), Err(7));
    assert_eq!(raw.store.data().now, 5 * MS as u64);
}

#[test]
fn rule_13_a_deadline_waits_for_the_next_call_whatever_is_polled_meanwhile() {
    let mut raw = raw::guest().ready();
    let done = raw.start("ping", &[]);
    assert_eq!(raw.poll(done), 1);
    raw.store.data_mut().now = 5 * MS as u64;
    raw.works("windlass_deadline", &[MS]);
    assert_eq!(raw.call("windlass.result.ping", &[done]), Ok(7));
    assert_eq!(raw.poll(0), 0);
    let report = "  task 0.2 \"ping\": ready";
    assert_eq!(raw.call("ping", &[]), failure(7, report), "neither the result nor the poll took it");
    assert_eq!(raw.call("ping", &[]), Ok(7), "the call did");
}

#[test]
fn rule_13_an_asynchronous_call_times_out_when_it_is_polled() {
    let mut rig = guest().ready();
    rig.trace();
    let waits =
        rig.reactor.start_with_deadline::<_, i32>("wait", 0, Duration::from_millis(10)).expect("a start");
    assert_eq!(rig.reactor.poll(&waits).expect("a poll"), Progress::Pending);
    rig.clock.advance(Duration::from_millis(9));
    assert_eq!(rig.reactor.poll(&waits).expect("a poll"), Progress::Pending);
    rig.clock.advance(Duration::from_millis(1));
    let error = rig.reactor.poll(&waits).expect_err("late");
    assert_eq!(told(&error), ("TimedOut", "  task 0.2 \"wait\": receiving from a channel"));
    // The call is over; its task goes on, detached, and its late result is dropped.
    assert!(matches!(rig.reactor.poll(&waits), Err(Error::NoSuchCall)));
    rig.call::<()>("signal", (0, 1));
    assert_eq!(rig.trace(), ["wait: begins", "wait: ends"]);
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");
}

#[test]
fn rule_13_a_poll_returns_though_the_background_yields_for_ever() {
    let mut raw = raw::guest().mode(2).ready();
    for _ in 0..3 {
        assert_eq!(raw.poll(0), 3);
    }
    let turns = raw.works("turns", &[]);
    assert!(turns > 0, "{turns}");
    // With somebody waiting, too.
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.poll(waits), 3);
    assert_eq!(raw.call("signal", &[0, 6]), Ok(0));
    assert_eq!(raw.poll(waits), 1);
    assert_eq!(raw.call("windlass.result.wait", &[waits]), Ok(6));
    raw.works("stop_background", &[]);
    assert_eq!(raw.poll(0), 0);
}
