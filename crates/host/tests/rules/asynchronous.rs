//! Rule 7: asynchronous calls.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use windlass_host::{Error, Progress};

use crate::host::{guest, told};
use crate::raw::{self, failure};

const NO_SUCH_CALL: &str = "no such asynchronous call, or it is not done";

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn rule_07_any_export_can_be_called_asynchronously() {
    let mut rig = guest().ready();
    let started = rig.reactor.start::<_, i32>("sleep_ms", 5i64).expect("a start");
    // Starting runs nothing.
    assert_eq!(rig.reactor.report().expect("a report"), "  task 0.1 \"sleep_ms\": ready");
    assert_eq!(rig.reactor.poll(&started).expect("a poll"), Progress::Pending);
    assert_eq!(rig.reactor.next_wake(), Some(5_000_000));
    rig.clock.advance(Duration::from_millis(5));
    assert_eq!(rig.reactor.poll(&started).expect("a poll"), Progress::Done(0));
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");

    let greeting = rig.reactor.start::<_, String>("greet", "you").expect("a start");
    assert_eq!(rig.reactor.poll(&greeting).expect("a poll"), Progress::Done("hello, you!".to_owned()));
    let nothing = rig.reactor.start::<_, ()>("yield_times", 3).expect("a start");
    assert_eq!(rig.reactor.poll(&nothing).expect("a poll"), Progress::Done(()));
}

#[test]
fn rule_07_many_calls_are_in_flight_together_and_finish_out_of_order() {
    let mut raw = raw::guest().ready();
    let ids: Vec<i64> = (0..3).map(|which| raw.start("wait", &[which])).collect();
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    for &id in &ids {
        assert_eq!(raw.poll(id), 0);
    }
    for which in [2, 0, 1] {
        assert_eq!(raw.call("signal", &[which, 100 + which]), Ok(0));
        let done: Vec<i64> =
            ids.iter().map(|&id| raw.call("windlass_poll", &[id]).expect("a poll")).collect();
        assert_eq!(done[which as usize], 1);
        assert_eq!(raw.call("windlass.result.wait", &[ids[which as usize]]), Ok(100 + which));
        // Its id is dead, and stays it.
        assert_eq!(raw.poll(ids[which as usize]), 2);
        assert_eq!(Err(raw.door()), failure::<()>(12, NO_SUCH_CALL));
        // The others are told apart: the next round polls them again.
        if which == 1 {
            assert_eq!(done, [2, 1, 2]);
        }
    }
}

#[test]
fn rule_07_a_pending_call_with_nothing_runnable_is_woken_by_another_call() {
    let mut rig = guest().ready();
    let waits = rig.reactor.start::<_, i32>("wait", 1).expect("a start");
    for _ in 0..3 {
        assert_eq!(rig.reactor.poll(&waits).expect("a poll"), Progress::Pending);
    }
    // Another synchronous call is not disturbed by it, deadlocked or not.
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    assert!(matches!(rig.fails::<i32>("block", ()), Error::Deadlock { .. }));
    assert_eq!(rig.reactor.poll(&waits).expect("a poll"), Progress::Pending);
    rig.call::<()>("signal", (1, 42));
    assert_eq!(rig.reactor.poll(&waits).expect("a poll"), Progress::Done(42));
}

#[test]
fn rule_07_closing_the_instance_rejects_a_pending_call_with_the_report() {
    let mut rig = guest().ready();
    let waits = rig.reactor.start::<_, i32>("wait", 0).expect("a start");
    assert_eq!(rig.reactor.poll(&waits).expect("a poll"), Progress::Pending);
    let report = "  task 0.1 \"wait\": receiving from a channel";
    assert_eq!(rig.reactor.close(), report);
    let error = rig.reactor.poll(&waits).expect_err("closed");
    assert_eq!(told(&error), ("Closed", report));
    assert_eq!(told(&rig.fails::<i32>("ping", ())), ("Closed", report));

    let reactor = guest().ready().reactor.into_async();
    let mut waits = reactor.call::<_, i32>("wait", 0);
    let mut blocks = reactor.call::<_, i32>("block", ());
    assert!(poll(&mut waits).is_pending());
    assert!(poll(&mut blocks).is_pending());
    let report = "  task 0.1 \"wait\": receiving from a channel\n  task 1 \"block\": parked";
    assert_eq!(reactor.close().expect("not busy"), report);
    for future in [&mut waits, &mut blocks] {
        let Poll::Ready(Err(error)) = poll(future) else { panic!("not settled") };
        assert_eq!(told(&error), ("Closed", report));
    }
}

#[test]
fn rule_07_futures_settle_when_their_own_task_finishes() {
    let rig = guest().ready();
    let clock = rig.clock.clone();
    let reactor = rig.reactor.into_async();
    let mut slow = reactor.call::<_, i32>("sleep_ms", 9i64);
    let mut fast = reactor.call::<_, i32>("sleep_ms", 4i64);
    let mut waits = reactor.call::<_, i32>("wait", 0);
    assert!(poll(&mut slow).is_pending() && poll(&mut fast).is_pending() && poll(&mut waits).is_pending());
    assert_eq!(clock.alarms(), [4_000_000]);
    clock.advance(Duration::from_millis(4));
    assert!(poll(&mut slow).is_pending());
    assert!(matches!(poll(&mut fast), Poll::Ready(Ok(0))));
    assert_eq!(clock.alarms(), [9_000_000]);
    reactor.with(|reactor| reactor.call::<_, ()>("signal", (0, 3))).expect("not busy").expect("a signal");
    assert!(matches!(poll(&mut waits), Poll::Ready(Ok(3))));
    clock.advance(Duration::from_millis(5));
    assert!(matches!(poll(&mut slow), Poll::Ready(Ok(0))));
    assert_eq!(clock.alarms(), [0; 0]);
}

#[test]
fn rule_07_result_poll_and_cancel_after_the_end_are_named_errors() {
    let mut raw = raw::guest().ready();
    let no_such_call = failure(12, NO_SUCH_CALL);
    let id = raw.start("ping", &[]);
    // Too early; the call goes on.
    assert_eq!(raw.call("windlass.result.ping", &[id]), no_such_call);
    assert_eq!(raw.poll(id), 1);
    // Done is done, however often one asks.
    assert_eq!(raw.poll(id), 1);
    // Another export's result function takes it for no call of its own.
    assert_eq!(raw.call("windlass.result.turns", &[id]), no_such_call);
    assert_eq!(raw.call("windlass.result.ping", &[id]), Ok(7));
    for id in [id, 0, -1, 99] {
        assert_eq!(raw.call("windlass.result.ping", &[id]), no_such_call);
        assert_eq!(raw.call("windlass_cancel", &[id]), Ok(0));
        if id != 0 {
            assert_eq!(raw.poll(id), 2);
            assert_eq!(Err(raw.door()), no_such_call);
        }
    }
    assert_eq!(raw.call("ping", &[]), Ok(7));

    let mut rig = guest().ready();
    let call = rig.reactor.start::<_, i32>("ping", ()).expect("a start");
    assert_eq!(rig.reactor.poll(&call).expect("a poll"), Progress::Done(7));
    assert!(matches!(rig.reactor.poll(&call), Err(Error::NoSuchCall)));
    assert!(matches!(rig.reactor.cancel(call), Err(Error::NoSuchCall)));
}

#[test]
fn rule_07_a_cancelled_call_is_told_so_and_its_result_forgotten() {
    let mut rig = guest().ready();
    rig.trace();
    let blocks = rig.reactor.start::<_, i32>("block", ()).expect("a start");
    let waits = rig.reactor.start::<_, i32>("wait", 0).expect("a start");
    let sleeps = rig.reactor.start::<_, i32>("sleep_ms", 5i64).expect("a start");
    assert_eq!(rig.reactor.poll(&sleeps).expect("a poll"), Progress::Pending);
    rig.reactor.cancel(blocks).expect("it is pending");
    rig.reactor.cancel(waits).expect("it is pending");
    rig.reactor.cancel(sleeps).expect("it is pending");
    assert_eq!(rig.trace(), ["block: waits", "wait: begins", "block: goes on", "wait: ends"]);
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");
    // The signal is for the next who waits.
    rig.call::<()>("signal", (0, 8));
    assert_eq!(rig.call::<i32>("wait", 0), 8);
}

#[test]
fn rule_07_a_call_cancelled_before_it_began_finds_its_first_wait_cancelled() {
    let mut raw = raw::guest().ready();
    let id = raw.start("block", &[]);
    assert_eq!(raw.call("windlass_cancel", &[id]), Ok(1));
    assert_eq!(raw.call("windlass_cancel", &[id]), Ok(0));
    assert_eq!(raw.poll(0), 0);
    raw.works("windlass_report", &[]);
    assert_eq!(raw.door().report, "  no task");
}

#[test]
fn rule_07_a_finished_calls_result_is_dropped_by_cancelling_it() {
    let mut raw = raw::guest().ready();
    let mut round = || {
        let pointer = raw.works("windlass_alloc", &[30_000]);
        let id = raw.start("reverse", &[30_000 << 32 | pointer]);
        assert_eq!(raw.poll(id), 1);
        assert_eq!(raw.call("windlass_cancel", &[id]), Ok(1));
        raw.works("allocated", &[])
    };
    assert_eq!(round(), round());
}

#[test]
fn rule_07_ids_are_not_given_again_while_in_use() {
    let mut raw = raw::guest().ready();
    let kept = raw.start("wait", &[0]);
    let mut last = kept;
    for _ in 0..100 {
        let id = raw.start("ping", &[]);
        assert!(id > 0 && id != kept && id != last);
        last = id;
        assert_eq!(raw.poll(id), 1);
        assert_eq!(raw.call("windlass.result.ping", &[id]), Ok(7));
    }
}

#[test]
fn rule_07_a_panic_in_a_polled_call_poisons_and_names_the_task() {
    let mut rig = guest().ready();
    let panics = rig.reactor.start::<_, ()>("panic", ()).expect("a start");
    let error = rig.reactor.poll(&panics).expect_err("it panics");
    let ("Panicked", message) = told(&error) else { panic!("{error}") };
    assert!(message.starts_with("task 0.1 \"panic\": panicked at tests/guest/src/lib.rs:"), "{message}");
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "panic"));
}

#[test]
fn rule_07_the_limit_of_tasks_is_a_named_error_of_call_and_start() {
    let mut raw = raw::guest().ready();
    raw.works("windlass_max_tasks", &[2]);
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.call("ping", &[]), Ok(7));
    let second = raw.start("wait", &[1]);
    let refused = failure(11, "cannot spawn the call's task: the limit on the number of tasks is reached");
    assert_eq!(raw.call("ping", &[]), refused);
    assert_eq!(raw.call("windlass.start.ping", &[]), Ok(0));
    assert_eq!(Err(raw.door()), refused);
    // Those that are there go on.
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.call("windlass_cancel", &[second]), Ok(1));
    assert_eq!(raw.poll(0), 0);
    assert_eq!(raw.call("ping", &[]), Ok(7));
    raw.works("windlass_max_tasks", &[0]);
    raw.start("wait", &[1]);
    assert_eq!(raw.call("ping", &[]), Ok(7));
}
