//! Calls as futures: who is polled, who is woken, in which order.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::fake::{fake, load, nested};
use windlass_host::{Alarm, AsyncReactor, CallFuture, Caller, Clock, Error, MockClock, Reactor, Result};

/// Counts wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future with its waker, polled by hand.
struct Task<F> {
    future: F,
    count: Arc<Count>,
}

impl<F: Future + Unpin> Task<F> {
    fn new(future: F) -> Self {
        Self { future, count: Arc::default() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.count));
        Pin::new(&mut self.future).poll(&mut Context::from_waker(&waker))
    }

    /// Wake-ups since the last time.
    fn woken(&self) -> usize {
        self.count.0.swap(0, Ordering::SeqCst)
    }

    #[track_caller]
    fn pending(&mut self) {
        assert!(self.poll().is_pending());
    }

    #[track_caller]
    fn ready(&mut self) -> F::Output {
        match self.poll() {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => panic!("it is pending"),
        }
    }
}

fn reactor() -> (AsyncReactor, MockClock, crate::fake::Trace) {
    let (reactor, clock, trace) = crate::fake::reactor();
    (reactor.into_async(), clock, trace)
}

fn call(reactor: &AsyncReactor, name: &str) -> Task<CallFuture<(), i32>> {
    Task::new(reactor.call(name, ()))
}

fn sleep(reactor: &AsyncReactor, time: u64) -> Task<CallFuture<(), i32>> {
    Task::new(reactor.call("sleep", time))
}

#[test]
fn handles_and_futures_go_to_other_threads() {
    fn is_send<S: Send + 'static>(_: &S) {}
    let (reactor, ..) = reactor();
    is_send(&reactor);
    is_send(&reactor.call::<_, String>("echo_later", "x"));
    is_send(&reactor.background());
}

#[test]
fn a_call_that_can_go_on_is_ready_at_the_first_poll() {
    let (reactor, ..) = reactor();
    let mut echo = Task::new(reactor.call::<_, String>("echo_later", "grüß"));
    assert_eq!(echo.ready().expect("echo"), "grüß");
    assert!(matches!(echo.ready(), Err(Error::NoSuchCall)));
    let mut add =
        Task::new(reactor.call_values("echo_later", &["x".to_owned()].map(windlass_host::Value::String)));
    assert_eq!(add.ready().expect("echo").map(|value| value.to_string()), Some("x".to_owned()));
}

#[test]
fn one_timer_is_set_for_the_earliest_and_fires_one_background_poll() {
    let (reactor, clock, trace) = reactor();
    let (mut late, mut early) = (sleep(&reactor, 3_000), sleep(&reactor, 1_000));
    late.pending();
    early.pending();
    assert_eq!(trace.take(), [1, 2]);
    assert_eq!(clock.alarms(), [1_000]);
    clock.advance(Duration::from_nanos(999));
    assert_eq!((late.woken(), early.woken()), (0, 0));
    clock.advance(Duration::from_nanos(1));
    assert_eq!((late.woken(), early.woken()), (1, 1));
    late.pending();
    assert_eq!(trace.take(), [0, 1, 2]);
    assert_eq!(early.woken(), 1);
    assert_eq!(early.ready().expect("early"), 102);
    assert_eq!(clock.alarms(), [3_000]);
    clock.advance(Duration::from_nanos(2_000));
    assert_eq!(late.ready().expect("late"), 101);
    assert_eq!(clock.alarms(), []);
}

#[test]
fn a_call_that_is_still_runnable_has_itself_polled_again() {
    let (reactor, _, trace) = reactor();
    let mut busy = Task::new(reactor.call::<_, i32>("yield", 3));
    busy.pending();
    assert_eq!(busy.woken(), 1);
    busy.pending();
    assert_eq!(busy.woken(), 1);
    assert_eq!(busy.ready().expect("busy"), 101);
    assert_eq!(trace.take(), [1, 1, 1]);
}

#[test]
fn a_pending_call_is_polled_no_more_than_there_is_news() {
    let (reactor, _, trace) = reactor();
    let mut blocked = call(&reactor, "block");
    blocked.pending();
    blocked.pending();
    assert_eq!((trace.take(), blocked.woken()), (vec![1], 0));
}

#[test]
fn a_synchronous_call_has_the_pending_ones_polled() {
    let (reactor, ..) = reactor();
    let (mut first, mut second) = (call(&reactor, "block"), call(&reactor, "block"));
    first.pending();
    second.pending();
    first.woken();
    reactor.with(|reactor| reactor.call::<_, ()>("wake", 2)).expect("not busy").expect("wake");
    assert_eq!((first.woken(), second.woken()), (1, 1));
    first.pending();
    assert_eq!(second.woken(), 1);
    assert_eq!(second.ready().expect("second"), 102);
}

#[test]
fn a_failed_call_has_its_error_and_the_others_stay() {
    let (reactor, ..) = reactor();
    let (mut first, mut second) = (call(&reactor, "block"), call(&reactor, "block"));
    first.pending();
    second.pending();
    reactor.with(|reactor| reactor.call::<_, ()>("spoil", (1, 7))).expect("not busy").expect("spoil");
    second.pending();
    assert!(matches!(first.ready(), Err(Error::TimedOut { report }) if report == "report"));
    second.pending();
}

#[test]
fn a_call_that_cannot_start_fails_at_the_first_poll() {
    let (reactor, ..) = reactor();
    let mut unknown = call(&reactor, "nobody");
    assert!(matches!(unknown.ready(), Err(Error::NoSuchExport { name, .. }) if name == "nobody"));
    let mut direct = call(&reactor, "add");
    assert!(matches!(direct.ready(), Err(Error::Signature { .. })));
}

#[test]
fn dropping_a_future_cancels_its_call() {
    let (reactor, clock, trace) = reactor();
    let mut other = call(&reactor, "block");
    let mut dropped = sleep(&reactor, 1_000);
    other.pending();
    dropped.pending();
    trace.take();
    other.woken();
    drop(dropped);
    assert_eq!(trace.take(), [2002]);
    // The cancelled task may do something for the others, and its timer goes.
    assert_eq!(other.woken(), 1);
    other.pending();
    assert_eq!(clock.alarms(), []);
}

#[test]
fn a_canceller_ends_a_call_that_somebody_awaits() {
    let (reactor, _, trace) = reactor();
    let mut blocked = call(&reactor, "block");
    let canceller = blocked.future.canceller();
    blocked.pending();
    canceller.clone().cancel();
    assert_eq!(blocked.woken(), 1);
    assert!(matches!(blocked.ready(), Err(Error::Cancelled)));
    canceller.cancel();
    drop(blocked);
    assert_eq!(trace.take(), [1, 2001]);
}

#[test]
fn closing_and_dropping_the_last_handle_reject_what_is_pending() {
    for close in [true, false] {
        let (reactor, clock, _) = reactor();
        let mut sleeping = sleep(&reactor, 1_000);
        sleeping.pending();
        let other = reactor.clone();
        if close {
            assert_eq!(other.close().expect("not busy"), "2 tasks");
        } else {
            drop(reactor);
            sleeping.pending();
            drop(other);
        }
        assert_eq!(sleeping.woken(), 1);
        assert!(matches!(sleeping.ready(), Err(Error::Closed { report }) if report == "2 tasks"));
        assert_eq!(clock.alarms(), []);
    }
}

#[test]
fn a_panic_reaches_one_future_and_the_others_hear_of_the_poison() {
    let (reactor, ..) = reactor();
    let mut blocked = call(&reactor, "block");
    blocked.pending();
    let mut panics = Task::new(reactor.call::<_, ()>("panic", ()));
    assert!(
        matches!(panics.ready(), Err(Error::Poisoned { by, cause }) if by == "block" && cause == "report")
    );
    assert_eq!(blocked.woken(), 1);
    assert!(matches!(blocked.ready(), Err(Error::Panicked { message }) if message == "report"));
}

#[test]
fn exit_reaches_everyone() {
    let (reactor, clock, _) = reactor();
    let mut sleeping = sleep(&reactor, 1_000);
    sleeping.pending();
    let mut quits = Task::new(reactor.call::<_, ()>("quit", ()));
    clock.advance(Duration::from_nanos(1_000));
    assert!(matches!(quits.ready(), Err(Error::Ended { code: 7 })));
    assert!(matches!(sleeping.ready(), Err(Error::Exited { code: 7 })));
}

#[test]
fn the_background_runs_by_timers_until_its_future_is_dropped() {
    let (reactor, clock, trace) = reactor();
    let mut background = Task::new(reactor.background().expect("not busy"));
    background.pending();
    assert_eq!((trace.take(), clock.alarms()), (vec![0], vec![1_000]));
    clock.advance(Duration::from_nanos(1_000));
    assert_eq!(background.woken(), 1);
    background.pending();
    assert_eq!((trace.take(), clock.alarms()), (vec![0], vec![2_000]));
    drop(background);
    let mut nothing = Task::new(reactor.call::<_, i32>("yield", 1));
    nothing.ready().expect("it runs");
    assert_eq!(clock.alarms(), []);

    let mut background = Task::new(reactor.background().expect("not busy"));
    background.pending();
    reactor.close().expect("not busy");
    assert_eq!(background.woken(), 1);
    assert!(matches!(background.ready(), Error::Closed { .. }));
}

#[test]
fn coming_back_to_the_handle_inside_of_an_import_is_busy_and_no_deadlock() {
    let fake = fake();
    let slot: Arc<std::sync::Mutex<Option<AsyncReactor>>> = Arc::default();
    let of_import = Arc::clone(&slot);
    let import = move |_: &mut Caller<'_>, _: i32, _: i32| {
        let reactor = of_import.lock().expect("no panic").clone().expect("it was set");
        let mut dropped = Task::new(reactor.call::<_, i32>("block", ()));
        assert!(matches!(dropped.ready(), Err(Error::Busy)));
        i32::from(matches!(reactor.close(), Err(Error::Busy)))
    };
    let reactor = load(fake.builder.import("env", "call_outside", import)).into_async();
    *slot.lock().expect("no panic") = Some(reactor.clone());
    let outcome: Result<i32> =
        reactor.with(|reactor| reactor.call("call_outside", (0, 0))).expect("not busy");
    assert_eq!(outcome.expect("it runs"), 1);
    // What was dropped inside of an import is cancelled when the call is over.
    let blocked = call(&reactor, "block");
    let parked = Arc::new(std::sync::Mutex::new(Some(blocked)));
    drop(slot.lock().expect("no panic").take());
    let kept = Arc::clone(&parked);
    fake.trace.take();
    reactor.with(|_| drop(kept.lock().expect("no panic").take())).expect("not busy");
    assert_eq!(fake.trace.take(), [2001]);
}

#[test]
fn the_last_handle_dropped_inside_of_an_import_closes_afterwards() {
    let fake = fake();
    let reactor = load(fake.builder.import("env", "call_outside", nested)).into_async();
    let mut blocked = call(&reactor, "block");
    blocked.pending();
    let last = std::sync::Mutex::new(Some(reactor.clone()));
    let lent = reactor.clone();
    drop(reactor);
    lent.with(|_| drop(last.lock().expect("no panic").take())).expect("not busy");
    blocked.pending();
    drop(lent);
    assert!(matches!(blocked.ready(), Err(Error::Closed { .. })));
}

#[test]
fn a_call_that_ended_while_another_was_polled_is_looked_at_again() {
    let (reactor, _, trace) = reactor();
    let (mut blocked, mut releases) = (call(&reactor, "block"), call(&reactor, "release"));
    blocked.pending();
    assert_eq!((blocked.woken(), trace.take()), (1, vec![1, 2]));
    assert_eq!(blocked.ready().expect("released"), 101);
    assert_eq!(releases.ready().expect("done"), 102);
}

/// A clock whose alarms are late without end.
#[derive(Clone)]
struct Late(MockClock);

impl Clock for Late {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn sleep_until(&self, until: u64) {
        self.0.sleep_until(until);
    }

    fn alarm(&self) -> Box<dyn Alarm> {
        Box::new(Never)
    }
}

struct Never;

impl Alarm for Never {
    fn set(&mut self, _: u64, _: Waker) {}

    fn clear(&mut self) {}
}

#[test]
fn a_timer_that_comes_due_between_two_polls_is_not_lost() {
    let clock = MockClock::new();
    let of_guest = clock.clone();
    let reactor = Reactor::builder()
        .clock(Late(clock))
        .import("env", "trace", move |_: &mut Caller<'_>, what: i32| {
            // Time passes while the second call is polled.
            if what == 2 {
                of_guest.advance(Duration::from_nanos(1_000));
            }
        })
        .import("env", "init", |_: &mut Caller<'_>| 0)
        .import("env", "call_outside", nested);
    let reactor = load(reactor).into_async();
    let (mut sleeping, mut blocked) = (sleep(&reactor, 1_000), call(&reactor, "block"));
    sleeping.pending();
    assert_eq!(sleeping.woken(), 1);
    assert_eq!(sleeping.ready().expect("slept"), 101);
    blocked.pending();
}

#[test]
fn a_result_that_poisons_when_it_is_taken_is_heard_by_the_others() {
    let (reactor, ..) = reactor();
    let mut blocked = call(&reactor, "block");
    let mut bad = Task::new(reactor.call::<_, ()>("bad_result", ()));
    // The other one has looked at all news before.
    blocked.pending();
    blocked.pending();
    assert_eq!(blocked.woken(), 1);
    assert!(matches!(bad.ready(), Err(Error::Panicked { .. })));
    assert_eq!(blocked.woken(), 1);
    assert!(matches!(blocked.ready(), Err(Error::Poisoned { .. })));
}
