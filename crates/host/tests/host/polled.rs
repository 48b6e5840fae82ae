//! Asynchronous calls that the embedder polls, and the one timer.

use std::time::Duration;

use crate::fake::{error, reactor};
use windlass_host::{Error, Progress};

#[test]
fn a_call_is_pending_until_its_timer_and_then_done_once() {
    let (mut reactor, clock, trace) = reactor();
    let call = reactor.start::<_, i32>("sleep", 1_000u64).expect("it starts");
    assert_eq!((call.id(), call.name()), (1, "sleep"));
    assert_eq!(trace.take(), []);
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Pending);
    assert_eq!(reactor.next_wake(), Some(1_000));
    clock.advance(Duration::from_nanos(1_000));
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Done(101));
    assert_eq!(reactor.next_wake(), None);
    assert!(matches!(reactor.poll(&call), Err(Error::NoSuchCall)));
    assert_eq!(trace.take(), [1, 1, 1]);
}

#[test]
fn the_wake_up_is_forgotten_by_the_background_poll_that_it_asked_for() {
    let (mut reactor, clock, _) = reactor();
    let call = reactor.start::<_, i32>("sleep", 1_000u64).expect("it starts");
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Pending);
    assert!(!reactor.poll_background().expect("too early"));
    assert_eq!(reactor.next_wake(), Some(1_000));
    clock.advance(Duration::from_nanos(1_000));
    // The fake guest wants nothing more, and says nothing.
    assert!(!reactor.poll_background().expect("poll"));
    assert_eq!(reactor.next_wake(), None);
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Done(101));
}

#[test]
fn a_call_that_is_still_runnable_says_so() {
    let (mut reactor, ..) = reactor();
    let call = reactor.start::<_, i32>("yield", 2).expect("it starts");
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Runnable);
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Done(101));
}

#[test]
fn a_failed_call_has_the_error_of_the_door_and_the_instance_goes_on() {
    let (mut reactor, ..) = reactor();
    let call = reactor.start::<_, i32>("block", ()).expect("it starts");
    reactor.call::<_, ()>("spoil", (call.id(), 7)).expect("spoil");
    assert!(matches!(reactor.poll(&call), Err(Error::TimedOut { report }) if report == "report"));
    assert!(matches!(reactor.poll(&call), Err(Error::NoSuchCall)));
    assert_eq!(reactor.call::<_, i32>("add", (3, 5)).expect("usable"), 8);
}

#[test]
fn text_crosses_in_asynchronous_calls() {
    let (mut reactor, ..) = reactor();
    let call = reactor.start::<_, String>("echo_later", "grüß").expect("it starts");
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Done("grüß".to_owned()));
    assert_eq!(reactor.call::<_, i32>("live", ()).expect("live"), 0);
    let other = error(reactor.start::<_, String>("echo_later", 3));
    assert_eq!(
        other.to_string(),
        "the export is `echo_later(string) -> string`, and it was called as `echo_later(i32) -> string`"
    );
}

#[test]
fn a_call_that_cannot_be_started_has_the_error_of_the_door() {
    let (mut reactor, ..) = reactor();
    let calls: Vec<_> = (0..14).map(|_| reactor.start::<_, i32>("block", ()).expect("it starts")).collect();
    assert!(
        matches!(reactor.start::<_, i32>("block", ()), Err(Error::NoTask { report }) if report == "report")
    );
    assert_eq!(calls.len(), 14);
}

#[test]
fn a_deadline_belongs_to_the_call_that_was_started_with_it() {
    let (mut reactor, clock, _) = reactor();
    clock.advance(Duration::from_nanos(50));
    let call =
        reactor.start_with_deadline::<_, i32>("block", (), Duration::from_nanos(5)).expect("it starts");
    reactor.cancel(call).expect("cancel");
    assert_eq!(reactor.call::<_, i64>("taken_deadline", ()).expect("it runs"), -1);
}

#[test]
fn wait_sleeps_from_timer_to_timer_and_polls_the_background_first() {
    let (mut reactor, clock, trace) = reactor();
    let first = reactor.start::<_, i32>("sleep", 1_000u64).expect("it starts");
    let second = reactor.start::<_, i32>("sleep", 3_000u64).expect("it starts");
    assert_eq!(reactor.wait(&second).expect("wait"), 102);
    assert_eq!(clock.slept(), [1_000, 3_000]);
    assert_eq!(trace.take(), [2, 0, 2, 0, 2]);
    assert_eq!(reactor.wait(&first).expect("wait"), 101);
    assert_eq!(clock.slept(), [1_000, 3_000]);
}

#[test]
fn wait_for_what_nobody_wakes_is_a_deadlock_and_the_call_stays() {
    let (mut reactor, ..) = reactor();
    let call = reactor.start::<_, i32>("block", ()).expect("it starts");
    assert!(matches!(reactor.wait(&call), Err(Error::Deadlock { report }) if report == "2 tasks"));
    reactor.call::<_, ()>("wake", call.id()).expect("wake");
    assert_eq!(reactor.wait(&call).expect("wait"), 101);
}

#[test]
fn cancelling_ends_a_call_once() {
    let (mut reactor, _, trace) = reactor();
    let call = reactor.start::<_, i32>("block", ()).expect("it starts");
    reactor.cancel(call).expect("cancel");
    assert_eq!(trace.take(), [2001]);
    let call = reactor.start::<_, i32>("yield", 1).expect("it starts");
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Done(101));
    assert!(matches!(reactor.cancel(call), Err(Error::NoSuchCall)));
}

#[test]
fn a_call_of_another_reactor_is_refused() {
    let (mut first, ..) = reactor();
    let (mut second, _, trace) = reactor();
    let call = first.start::<_, i32>("block", ()).expect("it starts");
    assert!(matches!(second.poll(&call), Err(Error::NoSuchCall)));
    assert!(matches!(second.cancel(call), Err(Error::NoSuchCall)));
    assert_eq!(trace.take(), []);
}

#[test]
fn closing_rejects_pending_calls_with_the_report() {
    let (mut reactor, ..) = reactor();
    let call = reactor.start::<_, i32>("sleep", 1_000u64).expect("it starts");
    assert_eq!(reactor.poll(&call).expect("poll"), Progress::Pending);
    assert_eq!(reactor.close(), "2 tasks");
    assert_eq!(reactor.next_wake(), None);
    assert!(matches!(reactor.poll(&call), Err(Error::Closed { report }) if report == "2 tasks"));
    assert!(matches!(reactor.wait(&call), Err(Error::Closed { report }) if report == "2 tasks"));
}

#[test]
fn the_background_asks_for_wake_ups_only_when_told() {
    let (mut reactor, ..) = reactor();
    assert!(!reactor.poll_background().expect("poll"));
    assert_eq!(reactor.next_wake(), None);
    reactor.set_background(true).expect("on");
    assert!(!reactor.poll_background().expect("poll"));
    assert_eq!(reactor.next_wake(), Some(1_000));
    reactor.set_background(false).expect("off");
    let _started = reactor.start::<_, i32>("yield", 3).expect("it starts");
    assert!(reactor.poll_background().expect("poll"));
    assert_eq!(reactor.next_wake(), None);
}
