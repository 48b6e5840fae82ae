//! A scenario of `tests/cases`: writes its trace, which the host compares with the golden. Its name is the program's argument;
//! without one the names of all are written.
#![no_std]
#![no_main]

use target::{Clock, print, println};
use test_cases::{Case, Trace, all};
use windlass::runtime;

/// As on wasm32: `large_closures_and_results` takes more than the 8 KiB that are usual on boards.
const STACK_SIZE: usize = 16 << 10;

// As much as the largest case takes: 200 tasks at once.
target::program!(main, heap: 3584 << 10);

fn main() {
    target::argument::<256>(|name| match name {
        None => all().iter().for_each(|case| println!("{}", case.name)),
        Some(name) => match all().iter().find(|case| case.name == name) {
            Some(case) => run(case),
            None => panic!("no case `{name}`"),
        },
    });
}

fn run(case: &Case) {
    let builder = runtime::Builder::new().platform(Clock::default()).stack_size(STACK_SIZE);
    // SAFETY: the program has one thread, and no interrupts.
    let claimed = unsafe { builder.claim() };
    assert!(claimed.is_ok(), "the program's runtime is made once");
    let trace = Trace::new();
    let of_main = trace.clone();
    let body = case.run;
    if let Err(error) = windlass::try_run(move || body(&of_main)) {
        panic!("{}: {error}\nafter:\n{}", case.name, trace.text());
    }
    let stats = runtime::stats();
    assert_eq!((stats.tasks, stats.stacks.in_use), (0, 0), "{}: tasks and stacks left over", case.name);
    print!("{}", trace.text());
}
