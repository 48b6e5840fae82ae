//! Each scenario of `tests/cases` on this machine, with the mock clock: its events must be those of its golden, in their order.
//! The threads backend runs the same.
//!
//! `BLESS=1` rewrites the goldens. Look at the difference: a golden says what the rules say, not what the scheduler does.

#[path = "../golden.rs"]
mod golden;

use golden::Goldens;
use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::{env, fs, thread};
use test_cases::{Case, Trace};
use windlass::platform::MockClock;
use windlass::runtime;

fn goldens() -> Goldens {
    Goldens::new(env!("CARGO_MANIFEST_DIR"), "../..")
}

/// On a thread of its own, so that the runtime is new and the clock at zero, however the tests are run.
fn trace_of(case: Case) -> String {
    let body = move || {
        let installed = runtime::Builder::new().platform(MockClock::new()).install();
        installed.expect("the thread is new");
        let trace = Trace::new();
        let of_main = trace.clone();
        if let Err(error) = windlass::try_run(move || (case.run)(&of_main)) {
            panic!("{}: {error}\nafter:\n{}", case.name, trace.text());
        }
        let stats = runtime::stats();
        assert_eq!((stats.tasks, stats.stacks.in_use), (0, 0), "{}: tasks and stacks left over", case.name);
        trace.text()
    };
    let thread = thread::Builder::new().name(case.name.to_owned()).spawn(body).expect("a thread");
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

fn check(name: &str) {
    let case = test_cases::all().iter().find(|case| case.name == name).expect("a case of that name");
    let trace = trace_of(*case);
    if env::var_os("BLESS").is_some_and(|bless| bless == "1") {
        fs::write(goldens().file(name), &trace).expect("the golden can be written");
    }
    if let Some(difference) = goldens().difference(name, &trace) {
        panic!("{difference}");
    }
}

macro_rules! tests {
    ($($group:ident: $($case:ident)+;)+) => {
        $($(#[test]
        fn $case() {
            check(stringify!($case));
        })+)+
    };
}

test_cases::with_cases!(tests);

#[test]
fn each_golden_has_a_case_and_each_case_a_golden() {
    let cases: BTreeSet<String> = test_cases::all().iter().map(|case| case.name.to_owned()).collect();
    assert_eq!(goldens().names(), cases);
    assert_eq!(cases.len(), test_cases::all().len(), "two cases have the same name");
}
