//! The ends of things: of a thread, of a runtime, of a call; and what is left to whoever comes later.
#![cfg(feature = "scheduler")]

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use windlass::platform::{MayNotBlock, MockClock, Notifier, Platform};
use windlass::reactor::{self, Progress};
use windlass::{
    Duration, Instant, JoinHandle, RunError, channel, current, park, runtime, sleep, spawn, try_run,
};

/// A platform whose `notifier` uses the runtime that is being made.
struct Reentrant;

impl Platform for Reentrant {
    fn now(&self) -> Instant {
        Instant::from_nanos(0)
    }

    fn wait(&self, _: Option<Instant>) -> Result<(), MayNotBlock> {
        Err(MayNotBlock)
    }

    fn notifier(&self) -> Option<Notifier> {
        spawn(|| ());
        None
    }
}

#[test]
fn a_platform_that_uses_the_runtime_that_is_being_made_does_not_make_two() {
    assert_eq!(runtime::Builder::new().platform(Reentrant).install(), Err(runtime::AlreadyInstalled));
    assert_eq!(windlass::run(|| 7), 7, "the runtime that its call made is the thread's");
    assert_eq!(runtime::stats().tasks, 0);
}

#[test]
fn a_destructor_that_runs_after_the_runtime_is_gone_cannot_make_another() {
    struct Late(RefCell<Option<JoinHandle<String>>>, RefCell<Option<mpsc::Sender<String>>>);
    impl Drop for Late {
        fn drop(&mut self) {
            let text = match catch_unwind(AssertUnwindSafe(|| windlass::run(|| 1))) {
                Ok(_) => "ran".to_string(),
                Err(payload) => {
                    payload.downcast_ref::<&str>().copied().unwrap_or("another panic").to_string()
                }
            };
            let joined = self.0.take().and_then(|handle| handle.join().ok());
            let sender = self.1.take().expect("put there");
            sender.send(format!("{text}; the old handle has its {joined:?}")).expect("the test waits");
        }
    }
    thread_local! {
        static LATE: Late = const { Late(RefCell::new(None), RefCell::new(None)) };
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Before the runtime's own, so that it is dropped after it.
        LATE.with(|late| *late.1.borrow_mut() = Some(sender));
        let handle = windlass::run(|| {
            let handle = spawn(|| "result".to_string());
            windlass::yield_now();
            handle
        });
        LATE.with(|late| *late.0.borrow_mut() = Some(handle));
    })
    .join()
    .expect("the thread ends");
    let expected = "windlass: this thread is ending and its runtime is gone; do not use tasks in destructors; \
                    the old handle has its Some(\"result\")";
    assert_eq!(receiver.recv().expect("the destructor ran"), expected);
}

#[test]
fn an_unparker_of_a_task_that_waits_for_something_else_does_not_hide_a_deadlock() {
    let error = try_run(|| {
        let _unparker = current().unparker();
        let (_sender, receiver) = channel::bounded::<u8>(1);
        assert!(receiver.recv().is_err());
    })
    .expect_err("nobody sends");
    assert!(matches!(error, RunError::Deadlock { .. }), "{error}");
}

#[test]
fn the_result_of_a_call_that_is_not_done_is_refused_and_the_call_goes_on() {
    let clock = MockClock::new();
    clock.set_may_block(false);
    runtime::Builder::new().platform(clock.clone()).install().expect("each test has its own thread");
    reactor::initialize(|| ()).expect("an empty init");
    let mut nap = reactor::start("nap", || sleep(Duration::from_millis(5))).expect("ready");
    assert!(matches!(nap.result(), Err(RunError::NoSuchCall)));
    assert_eq!(nap.poll().expect("pending"), Progress::Waiting);
    clock.advance(Duration::from_millis(5));
    assert_eq!(nap.poll().expect("done"), Progress::Done);
    assert_eq!(nap.result().expect("done"), Ok(()));
    assert!(matches!(nap.result(), Err(RunError::NoSuchCall)), "taken");
}

#[test]
fn after_exit_the_host_is_asked_for_no_timer() {
    let clock = MockClock::new();
    clock.set_may_block(false);
    runtime::Builder::new().platform(clock.clone()).install().expect("each test has its own thread");
    reactor::initialize(|| {
        spawn(|| while sleep(Duration::from_millis(1)).is_ok() {});
    })
    .expect("init is done");
    reactor::set_background(true);
    assert!(clock.armed().is_some());
    assert!(matches!(reactor::call("quit", || windlass::exit(0)), Err(RunError::Exited(0))));
    assert_eq!(clock.armed(), None);
}

#[test]
fn a_result_whose_destructor_panics_gives_its_stack_back() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a destructor");
        }
    }
    let handle = windlass::run(|| {
        let handle = spawn(|| Bomb);
        windlass::yield_now();
        handle
    });
    assert!(catch_unwind(AssertUnwindSafe(|| drop(handle))).is_err());
    assert_eq!(runtime::stats().tasks, 0);
    assert_eq!(runtime::stats().stacks.in_use, 0);
}

#[test]
fn a_clock_may_use_the_reactor() {
    struct Curious(Rc<AtomicBool>);
    impl Platform for Curious {
        fn now(&self) -> Instant {
            if self.0.load(Ordering::Relaxed) {
                self.0.store(false, Ordering::Relaxed);
                reactor::set_background(true);
            }
            Instant::from_nanos(0)
        }

        fn wait(&self, _: Option<Instant>) -> Result<(), MayNotBlock> {
            Err(MayNotBlock)
        }
    }
    let armed = Rc::new(AtomicBool::new(false));
    runtime::Builder::new()
        .platform(Curious(Rc::clone(&armed)))
        .install()
        .expect("each test has its own thread");
    reactor::initialize(|| ()).expect("an empty init");
    armed.store(true, Ordering::Relaxed);
    let mut call = reactor::start("park", || while park().is_ok() {}).expect("ready");
    assert_eq!(call.poll().expect("pending"), Progress::Waiting);
    assert!(!armed.load(Ordering::Relaxed), "the clock was asked");
}
