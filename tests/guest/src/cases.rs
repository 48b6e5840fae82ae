//! The scenarios of `tests/cases`, by number: `crates/host/tests/traces.rs` (wasmtime), `tests/node/traces.test.mjs` (Node).

use alloc::string::String;
use test_cases::{Case, Trace, all};

fn case(number: i32) -> Option<&'static Case> {
    all().get(usize::try_from(number).ok()?)
}

#[windlass::export]
fn case_count() -> i32 {
    all().len() as i32
}

#[windlass::export]
fn case_name(number: i32) -> String {
    case(number).map_or_else(String::new, |case| case.name.into())
}

/// Runs a case as this call's task and returns its trace.
#[windlass::export]
fn run_case(number: i32) -> String {
    let trace = Trace::new();
    if let Some(case) = case(number) {
        (case.run)(&trace);
    }
    trace.text()
}
