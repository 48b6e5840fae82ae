//! The thirteen rules of a reactor (`docs/semantics.md`), natively: the same entries that wasm32 exports use, called as functions.
//!
//! The same rules run in wasmtime (`crates/host/tests/rules.rs`) and in Node (`tests/node/rules.test.mjs`). Rule 9 (traps) has no native
//! side but `poison`, and rule 11 (no scheduler) is in `tests/direct.rs`.
#![cfg(feature = "scheduler")]

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use windlass::platform::MockClock;
use windlass::reactor::{self, Progress};
use windlass::{Builder, Duration, Instant, RunError, channel, park, runtime, sleep, spawn, yield_now};

/// Installs a mock clock for this test's thread.
fn mock() -> MockClock {
    let clock = MockClock::new();
    runtime::Builder::new().platform(clock.clone()).install().expect("each test has its own thread");
    clock
}

/// Events in the order in which they happened.
#[derive(Clone, Default)]
struct Events(Rc<RefCell<Vec<&'static str>>>);

impl Events {
    fn note(&self, event: &'static str) {
        self.0.borrow_mut().push(event);
    }

    fn take(&self) -> Vec<&'static str> {
        self.0.take()
    }
}

fn wait_for_ever() {
    while park().is_ok() {}
}

fn spawn_endless_yielder() {
    spawn(|| {
        loop {
            yield_now();
        }
    });
}

fn ready() {
    reactor::initialize(|| ()).expect("an empty init");
}

fn report_of(error: &RunError) -> &str {
    match error {
        RunError::Deadlock { report } | RunError::WouldWait { report } | RunError::TimedOut { report } => {
            report
        }
        other => panic!("an error without a report: {other:?}"),
    }
}

#[test]
fn rule_01_init_returns_when_its_task_is_done_and_background_tasks_stay_queued() {
    mock();
    let events = Events::default();
    let log = events.clone();
    reactor::initialize(move || {
        let background = log.clone();
        spawn(move || {
            loop {
                background.note("background");
                if sleep(Duration::from_millis(1)).is_err() {
                    return;
                }
            }
        });
        log.note("init");
        yield_now();
        log.note("init done");
    })
    .expect("init is done");
    assert_eq!(events.take(), ["init", "background", "init done"]);
    reactor::call("nothing", || ()).expect("ready");
    assert_eq!(events.take(), [""; 0]);
}

#[test]
fn rule_01_an_endless_yielder_does_not_keep_init_from_returning() {
    mock();
    reactor::initialize(spawn_endless_yielder).expect("init is done");
}

#[test]
fn rule_01_an_init_that_blocks_for_ever_is_an_error_and_counts_as_not_initialised() {
    mock();
    let error = reactor::initialize(wait_for_ever).expect_err("nobody unparks it");
    assert!(matches!(error, RunError::Deadlock { .. }));
    assert_eq!(report_of(&error), "  task 0 \"_initialize\": parked");
    assert!(matches!(reactor::call("add", || 1), Err(RunError::NotInitialised)));
    assert!(matches!(reactor::initialize(|| ()), Err(RunError::AlreadyInitialised)));
}

#[test]
fn rule_01_an_init_that_would_wait_for_the_host_is_an_error() {
    let clock = mock();
    clock.set_may_block(false);
    let error =
        reactor::initialize(|| assert!(sleep(Duration::from_millis(1)).is_ok())).expect_err("may not block");
    assert!(matches!(error, RunError::WouldWait { .. }));
    assert_eq!(report_of(&error), "  task 0 \"_initialize\": sleeping");
    assert!(matches!(reactor::call("add", || 1), Err(RunError::NotInitialised)));
}

#[test]
fn rule_01_a_second_initialize_is_an_error_and_the_reactor_goes_on() {
    mock();
    ready();
    assert!(matches!(reactor::initialize(|| ()), Err(RunError::AlreadyInitialised)));
    assert_eq!(reactor::call("add", || 3 + 5).expect("ready"), 8);
}

#[test]
fn rule_02_a_call_before_initialize_is_refused() {
    mock();
    assert!(matches!(reactor::call("add", || 1), Err(RunError::NotInitialised)));
    assert!(matches!(reactor::start("add", || 1), Err(RunError::NotInitialised)));
    assert!(matches!(reactor::poll(), Err(RunError::NotInitialised)));
}

#[test]
fn rule_02_a_call_after_exit_is_refused_with_its_code() {
    mock();
    ready();
    let error = reactor::call("quit", || windlass::exit(3)).expect_err("the module ended");
    assert!(matches!(error, RunError::Exited(3)));
    assert!(matches!(reactor::call("add", || 1), Err(RunError::Ended(3))));
    assert!(matches!(reactor::start("add", || 1), Err(RunError::Ended(3))));
}

#[test]
fn rule_02_calls_from_host_functions_are_allowed_while_init_runs() {
    mock();
    let answer = Rc::new(Cell::new(0));
    let seen = Rc::clone(&answer);
    // What init calls stands for a host import: it calls back.
    reactor::initialize(move || seen.set(reactor::call("ping", || 7).expect("nested")))
        .expect("init is done");
    assert_eq!(answer.get(), 7);
}

#[test]
fn rule_03_the_calls_task_is_queued_at_the_tail_and_the_others_stop_when_it_is_done() {
    mock();
    let events = Events::default();
    let log = events.clone();
    reactor::initialize(move || {
        for name in ["a", "b"] {
            let log = log.clone();
            spawn(move || {
                loop {
                    log.note(name);
                    yield_now();
                }
            });
        }
    })
    .expect("init is done");
    assert_eq!(events.take(), [""; 0]);
    let log = events.clone();
    reactor::call("call", move || {
        log.note("call");
        yield_now();
        log.note("call ends");
    })
    .expect("it is done");
    assert_eq!(events.take(), ["a", "b", "call", "a", "b", "call ends"]);
    let log = events.clone();
    reactor::call("next", move || log.note("next")).expect("it is done");
    assert_eq!(events.take(), ["a", "b", "next"]);
}

#[test]
fn rule_04_nested_calls_may_finish_out_of_order() {
    mock();
    ready();
    let events = Events::default();
    let (to_outer, from_inner) = channel::unbounded();
    let (to_inner, from_outer) = channel::unbounded();
    let log = events.clone();
    let value = reactor::call("outer", move || {
        let caller_log = log.clone();
        spawn(move || {
            caller_log.note("caller: calls the host");
            // The host function: it calls back into the reactor.
            let inner_log = caller_log.clone();
            let value = reactor::call("inner", move || {
                inner_log.note("inner: signals");
                to_outer.send(10).expect("open");
                let value: i32 = from_outer.recv().expect("outer signals");
                inner_log.note("inner: ends");
                value
            })
            .expect("inner is done");
            assert_eq!(value, 11);
            caller_log.note("caller: host returned");
        });
        log.note("outer: waits");
        let value = from_inner.recv().expect("inner signals");
        log.note("outer: goes on");
        to_inner.send(value + 1).expect("open");
        log.note("outer: ends");
        value
    })
    .expect("outer is done");
    assert_eq!(value, 10);
    assert_eq!(
        events.take(),
        [
            "outer: waits",
            "caller: calls the host",
            "inner: signals",
            "outer: goes on",
            "outer: ends",
            "inner: ends",
            "caller: host returned",
        ]
    );
}

#[test]
fn rule_04_a_task_in_a_host_call_is_in_no_queue_and_reports_say_so() {
    mock();
    ready();
    let report = reactor::call("outer", || {
        // The nested call waits for the outer one, which cannot go on before the host function returns.
        let error = reactor::call("inner", wait_for_ever).expect_err("nobody unparks it");
        report_of(&error).to_string()
    })
    .expect("the outer call goes on");
    assert_eq!(report, "  task 0.1 \"outer\": in a host call\n  task 1 \"inner\": parked");
}

/// The address of a local: tells on which stack the caller runs.
#[cfg(not(windlass_backend = "threads"))]
#[inline(never)]
fn stack_address() -> usize {
    let local = 0u8;
    std::hint::black_box(&raw const local) as usize
}

/// A platform that notes where it is called.
#[cfg(not(windlass_backend = "threads"))]
struct Where {
    waited_at: Rc<Cell<usize>>,
    now: Cell<u64>,
}

#[cfg(not(windlass_backend = "threads"))]
impl windlass::platform::Platform for Where {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.now.get())
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), windlass::platform::MayNotBlock> {
        self.waited_at.set(stack_address());
        self.now.set(until.expect("a sleeper").as_nanos());
        Ok(())
    }
}

#[test]
#[cfg(not(windlass_backend = "threads"))]
fn rule_05_a_nested_loop_runs_on_the_hosts_stack() {
    const FAR: usize = 64 << 10;
    let waited_at = Rc::new(Cell::new(0));
    let platform = Where { waited_at: Rc::clone(&waited_at), now: Cell::new(0) };
    runtime::Builder::new().platform(platform).install().expect("each test has its own thread");
    ready();
    let host = stack_address();
    let task = reactor::call("outer", move || {
        let here = stack_address();
        // The nested call idles: its loop asks the platform to wait.
        reactor::call("inner", || sleep(Duration::from_millis(1))).expect("done").expect("slept");
        here
    })
    .expect("done");
    assert!(host.abs_diff(task) > FAR, "the task has a stack of its own");
    assert!(host.abs_diff(waited_at.get()) < FAR, "the nested loop waited on the host's stack");
}

#[test]
fn rule_05_sixty_four_calls_nest_and_the_next_is_a_named_error() {
    fn nest(level: u32) -> u32 {
        match reactor::call("nest", move || nest(level + 1)) {
            Ok(deepest) => deepest,
            Err(RunError::NestedTooDeep) => level,
            Err(other) => panic!("{other}"),
        }
    }
    mock();
    ready();
    assert_eq!(nest(0), 64);
    assert_eq!(reactor::call("add", || 8).expect("usable"), 8);
}

#[test]
fn rule_06_a_deadlock_lists_every_blocked_task_and_the_next_call_works() {
    mock();
    let (sender, receiver) = channel::rendezvous::<u32>();
    let back = sender.clone();
    reactor::initialize(move || {
        let builder = Builder::new().name("worker");
        builder
            .spawn(move || {
                for value in receiver {
                    assert_eq!(value, 5);
                }
            })
            .expect("memory");
    })
    .expect("init is done");
    let error = reactor::call("ask", wait_for_ever).expect_err("nobody unparks it");
    assert!(matches!(error, RunError::Deadlock { .. }));
    assert_eq!(
        report_of(&error),
        "  task 0.1 \"ask\": parked\n  task 1 \"worker\": receiving from a channel"
    );
    reactor::call("send", move || sender.send(5)).expect("usable").expect("the worker lives");
    drop(back);
}

#[test]
fn rule_06_the_result_of_a_failed_call_is_dropped_when_it_comes_late() {
    struct Noisy(Rc<Cell<u32>>);
    impl Drop for Noisy {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    mock();
    ready();
    let drops = Rc::new(Cell::new(0));
    let result = Noisy(Rc::clone(&drops));
    let (sender, receiver) = channel::unbounded::<()>();
    let failed = reactor::call("late", move || {
        let _ = receiver.recv();
        result
    });
    assert!(matches!(failed, Err(RunError::Deadlock { .. })));
    assert_eq!(drops.get(), 0);
    reactor::call("go on", move || {
        sender.send(()).expect("open");
        yield_now();
    })
    .expect("usable");
    assert_eq!(drops.get(), 1);
    assert_eq!(runtime::stats().tasks, 0);
    assert_eq!(runtime::stats().stacks.in_use, 0);
}

#[test]
fn rule_07_a_synchronous_call_that_would_wait_says_so_and_an_asynchronous_one_waits() {
    let clock = mock();
    clock.set_may_block(false);
    ready();
    let error = reactor::call("nap", || sleep(Duration::from_millis(5))).expect_err("may not block");
    assert!(matches!(error, RunError::WouldWait { .. }));
    assert_eq!(report_of(&error), "  task 0.1 \"nap\": sleeping");
    let mut nap = reactor::start("nap", || sleep(Duration::from_millis(7))).expect("ready");
    assert_eq!(nap.poll().expect("pending"), Progress::Waiting);
    clock.advance(Duration::from_millis(7));
    assert_eq!(nap.poll().expect("done"), Progress::Done);
    assert_eq!(nap.result().expect("done"), Ok(()));
}

#[test]
fn rule_07_asynchronous_calls_in_flight_together_finish_in_their_own_order() {
    let clock = mock();
    clock.set_may_block(false);
    ready();
    let start = |ms| {
        reactor::start("nap", move || {
            sleep(Duration::from_millis(ms)).expect("not cancelled");
            ms
        })
        .expect("ready")
    };
    let (mut slow, mut fast) = (start(20), start(10));
    assert_eq!(slow.poll().expect("pending"), Progress::Waiting);
    assert_eq!(fast.poll().expect("pending"), Progress::Waiting);
    assert!(matches!(start(5).result(), Err(RunError::NoSuchCall)), "not done");
    clock.advance(Duration::from_millis(10));
    assert_eq!(fast.poll().expect("done"), Progress::Done);
    assert_eq!(slow.poll().expect("pending"), Progress::Waiting);
    assert_eq!(fast.result().expect("done"), 10);
    clock.advance(Duration::from_millis(10));
    assert_eq!(slow.poll().expect("done"), Progress::Done);
    assert_eq!(slow.result().expect("done"), 20);
}

#[test]
fn rule_07_a_pending_call_with_nothing_runnable_is_woken_by_another_call() {
    mock();
    ready();
    let (sender, receiver) = channel::unbounded::<u32>();
    let mut pending = reactor::start("wait", move || receiver.recv()).expect("ready");
    assert_eq!(pending.poll().expect("pending"), Progress::Waiting);
    reactor::call("signal", move || sender.send(9)).expect("ready").expect("open");
    assert_eq!(pending.poll().expect("done"), Progress::Done);
    assert_eq!(pending.result().expect("done"), Ok(9));
}

#[test]
fn rule_07_cancelling_makes_the_blocking_call_return() {
    mock();
    ready();
    let seen = Rc::new(Cell::new(None));
    let note = Rc::clone(&seen);
    let mut pending =
        reactor::start("nap", move || note.set(Some(sleep(Duration::from_secs(1))))).expect("ready");
    assert_eq!(pending.poll().expect("pending"), Progress::Waiting);
    pending.cancel();
    assert_eq!(reactor::poll().expect("idle"), Progress::Waiting);
    assert!(matches!(seen.get(), Some(Err(_))), "sleep returned `Cancelled`");
    assert_eq!(runtime::stats().tasks, 0);
}

#[test]
fn rule_08_sleeping_sleeps_where_the_engine_may_block() {
    let clock = mock();
    ready();
    clock.advance(Duration::from_millis(100));
    let woken = reactor::call("nap", || {
        sleep(Duration::from_millis(5)).expect("not cancelled");
        Instant::now()
    })
    .expect("it slept");
    assert_eq!(woken, Instant::from_nanos(105_000_000));
}

#[test]
fn rule_09_a_poisoned_reactor_refuses_every_call_and_names_the_one_that_did_not_finish() {
    mock();
    ready();
    // The host function catches an error that it threw through the frames of `fragile`, and says so.
    let inside = reactor::call("fragile", || {
        reactor::poison();
        reactor::call("ping", || 7)
    })
    .expect("natively nothing is left half-way");
    assert!(matches!(inside, Err(RunError::Poisoned { by: "fragile" })));
    assert!(matches!(reactor::call("ping", || 7), Err(RunError::Poisoned { by: "fragile" })));
    assert!(matches!(reactor::poll(), Err(RunError::Poisoned { by: "fragile" })));
}

#[test]
fn rule_10_a_call_that_does_not_block_continues_one_task_and_reuses_its_stack() {
    mock();
    ready();
    reactor::call("warm", || ()).expect("ready");
    let before = runtime::stats();
    for n in 0..1000u64 {
        assert_eq!(reactor::call("ping", move || n).expect("ready"), n);
    }
    let after = runtime::stats();
    assert_eq!(after.switches - before.switches, 1000);
    assert_eq!((after.tasks, after.stacks), (before.tasks, before.stacks));
}

// On the threads backend the stacks are the operating system's.
#[test]
#[cfg(not(windlass_backend = "threads"))]
fn rule_03_a_calls_stack_is_what_init_set() {
    mock();
    reactor::initialize(|| runtime::set_stack_size(10_000_000)).expect("init is done");
    // More than the default of a quarter of a MiB.
    let sum = reactor::call("large", || {
        let large = std::hint::black_box([1u8; 4_000_000]);
        large.iter().map(|&byte| u64::from(byte)).sum::<u64>()
    });
    assert_eq!(sum.expect("it fits"), 4_000_000);
}

#[test]
fn rule_12_one_timer_for_the_earliest_deadline_while_an_asynchronous_call_is_pending() {
    let clock = mock();
    clock.set_may_block(false);
    reactor::initialize(|| {
        spawn(|| while sleep(Duration::from_millis(30)).is_ok() {});
    })
    .expect("init is done");
    reactor::call("ping", yield_now).expect("ready");
    assert_eq!(clock.armed(), None, "a background task alone arms nothing");
    let mut nap = reactor::start("nap", || sleep(Duration::from_millis(50))).expect("ready");
    assert_eq!(clock.armed(), Some(Instant::from_nanos(0)), "there is something to run");
    assert_eq!(nap.poll().expect("pending"), Progress::Waiting);
    assert_eq!(clock.armed(), Some(Instant::from_nanos(30_000_000)), "the earliest deadline");
    clock.advance(Duration::from_millis(30));
    assert_eq!(reactor::poll().expect("idle"), Progress::Waiting);
    assert_eq!(clock.armed(), Some(Instant::from_nanos(50_000_000)));
    clock.advance(Duration::from_millis(20));
    assert_eq!(nap.poll().expect("done"), Progress::Done);
    assert_eq!(clock.armed(), None, "nothing is pending");
    nap.result().expect("done").expect("slept");
    reactor::set_background(true);
    assert_eq!(clock.armed(), Some(Instant::from_nanos(60_000_000)), "the background was asked for");
    reactor::set_background(false);
    assert_eq!(clock.armed(), None);
}

#[test]
fn rule_12_a_poll_returns_although_a_background_task_never_blocks() {
    mock();
    reactor::initialize(spawn_endless_yielder).expect("init is done");
    assert_eq!(reactor::poll().expect("endless"), Progress::Runnable);
    let mut pending = reactor::start("park", wait_for_ever).expect("ready");
    assert_eq!(pending.poll().expect("pending"), Progress::Runnable);
}

#[test]
fn rule_13_a_deadline_ends_a_call_that_a_live_ticker_keeps_from_being_a_deadlock() {
    mock();
    let ticks = Rc::new(Cell::new(0));
    let count = Rc::clone(&ticks);
    reactor::initialize(move || {
        let ticker = move || {
            while sleep(Duration::from_millis(10)).is_ok() {
                count.set(count.get() + 1);
            }
        };
        Builder::new().name("ticker").spawn(ticker).expect("memory");
    })
    .expect("init is done");
    let deadline = Instant::now() + Duration::from_millis(35);
    let error = reactor::call_with_deadline("ask", deadline, wait_for_ever).expect_err("nobody answers");
    assert!(matches!(error, RunError::TimedOut { .. }));
    assert_eq!(report_of(&error), "  task 0.1 \"ask\": parked\n  task 1 \"ticker\": sleeping");
    assert_eq!(ticks.get(), 3);
    assert_eq!(reactor::call("ping", || 7).expect("usable"), 7);
}

#[test]
fn rule_13_without_timers_it_is_a_deadlock_at_once() {
    mock();
    ready();
    let deadline = Instant::now() + Duration::from_secs(5);
    let error = reactor::call_with_deadline("ask", deadline, wait_for_ever).expect_err("nobody answers");
    assert!(matches!(error, RunError::Deadlock { .. }));
    assert_eq!(Instant::now(), Instant::from_nanos(0), "nobody waited");
}

#[test]
fn rule_13_an_asynchronous_call_may_have_a_deadline_too() {
    let clock = mock();
    clock.set_may_block(false);
    ready();
    let deadline = Instant::now() + Duration::from_millis(10);
    let mut pending = reactor::start_with_deadline("ask", deadline, wait_for_ever).expect("ready");
    assert_eq!(pending.poll().expect("pending"), Progress::Waiting);
    assert_eq!(clock.armed(), Some(deadline), "the host polls when it is over");
    clock.advance(Duration::from_millis(10));
    assert!(matches!(pending.poll(), Err(RunError::TimedOut { .. })));
    assert!(matches!(pending.poll(), Err(RunError::NoSuchCall)), "the call is over");
    assert_eq!(clock.armed(), None);
}
