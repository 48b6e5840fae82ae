//! Rule 11: a reactor without the scheduler. Runs with `--no-default-features --features std`.
#![cfg(not(feature = "scheduler"))]

use windlass::platform::MockClock;
use windlass::{Duration, Instant, RunError, reactor, runtime, sleep};

fn mock() -> MockClock {
    let clock = MockClock::new();
    runtime::Builder::new().platform(clock.clone()).install().expect("each test has its own thread");
    clock
}

#[test]
fn rule_11_exports_are_called_directly_after_the_state_check() {
    mock();
    assert!(matches!(reactor::call("add", || 1), Err(RunError::NotInitialised)));
    reactor::initialize(|| ()).expect("an empty init");
    assert!(matches!(reactor::initialize(|| ()), Err(RunError::AlreadyInitialised)));
    let caller = std::thread::current().id();
    let callee = reactor::call("add", move || std::thread::current().id()).expect("ready");
    assert_eq!(caller, callee);
    assert_eq!(reactor::call("add", || reactor::call("add", || 3 + 5)).expect("ready").expect("nested"), 8);
}

#[test]
fn rule_11_sleeping_blocks() {
    mock();
    reactor::initialize(|| ()).expect("an empty init");
    let slept = reactor::call("nap", || sleep(Duration::from_millis(5)).map(|()| Instant::now()));
    assert_eq!(slept.expect("ready"), Ok(Instant::from_nanos(5_000_000)));
}

#[test]
#[should_panic(expected = "the call would block, and the scheduler is off")]
fn rule_11_what_would_block_is_an_error() {
    let clock = mock();
    clock.set_may_block(false);
    reactor::initialize(|| ()).expect("an empty init");
    let _ = reactor::call("nap", || sleep(Duration::from_millis(5)));
}

#[test]
fn rule_11_an_init_that_panics_counts_as_not_initialised() {
    mock();
    let panicked = std::panic::catch_unwind(|| reactor::initialize(|| panic!("init failed on purpose")));
    assert!(panicked.is_err());
    assert!(matches!(reactor::call("add", || 1), Err(RunError::NotInitialised)));
}

#[test]
fn rule_11_poison_names_the_call_in_progress() {
    mock();
    reactor::initialize(|| ()).expect("an empty init");
    reactor::call("fragile", reactor::poison).expect("natively nothing is left half-way");
    assert!(matches!(reactor::call("add", || 1), Err(RunError::Poisoned { by: "fragile" })));
}
