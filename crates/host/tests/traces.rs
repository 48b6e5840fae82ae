//! Each scenario of `tests/cases` in the lowered guest: its events must be those of its golden, in their order, whether the guest
//! may sleep in its call, or is polled.

#[path = "../../../tests/cases/golden.rs"]
mod golden;

use golden::Goldens;
use std::{collections::BTreeSet, env, fs, sync::OnceLock};
use windlass_host::{Caller, Image, Limits, MockClock, Reactor};

const GUEST: &str = "WINDLASS_TEST_GUEST";

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let Some(path) = env::var_os(GUEST) else {
            panic!("{GUEST} is not set; `cargo xtask test` builds the guest and sets it");
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => panic!("{}: {error}; `cargo xtask test` builds the guest", path.display()),
        };
        Image::new(&bytes, &Limits::default()).expect("the guest can be compiled")
    })
}

/// A new instance, whose clock stands at zero and moves when the guest waits.
fn guest(may_block: bool) -> Reactor {
    let mut reactor = Reactor::builder()
        .clock(MockClock::new())
        .may_block(may_block)
        .import("test", "init_mode", |_: &mut Caller<'_>| 0)
        .import("test", "call", |_: &mut Caller<'_>, _: i32| -> i32 { panic!("no case calls the host") })
        .instantiate(image())
        .expect("the guest can be instantiated");
    reactor.initialize().expect("init works");
    reactor
}

/// The names of the guest's cases, in order.
fn cases() -> Vec<String> {
    let mut reactor = guest(false);
    let count: i32 = reactor.call("case_count", ()).expect("case_count");
    (0..count).map(|case| reactor.call("case_name", case).expect("case_name")).collect()
}

/// Runs all cases, each in a new instance, and shows what is wrong with any.
fn check(may_block: bool, run: fn(&mut Reactor, i32) -> windlass_host::Result<String>) {
    let goldens = Goldens::new(env!("CARGO_MANIFEST_DIR"), "../..");
    let cases = cases();
    let mut failures = Vec::new();
    for (number, name) in (0..).zip(&cases) {
        let mut reactor = guest(may_block);
        let trace = match run(&mut reactor, number) {
            Ok(trace) => trace,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        failures.extend(goldens.difference(name, &trace));
        // The call that asks is the one task there is.
        let stats = |reactor: &mut Reactor, which: i32| reactor.call("stats", which).unwrap_or(-1i64);
        let (tasks, stacks) = (stats(&mut reactor, 0), stats(&mut reactor, 1));
        if (tasks, stacks) != (1, 1) {
            failures.push(format!("{name}: {tasks} tasks and {stacks} stacks instead of 1 and 1"));
        }
    }
    assert!(failures.is_empty(), "{} cases, failures:\n\n{}", cases.len(), failures.join("\n"));
    assert_eq!(cases.into_iter().collect::<BTreeSet<_>>(), goldens.names(), "the guest's cases, the goldens");
}

#[test]
fn synchronous_calls_leave_the_golden_traces() {
    check(true, |reactor, case| reactor.call("run_case", case));
}

#[test]
fn polled_calls_leave_the_golden_traces() {
    check(false, |reactor, case| {
        let call = reactor.start::<_, String>("run_case", case)?;
        reactor.wait(&call)
    });
}
