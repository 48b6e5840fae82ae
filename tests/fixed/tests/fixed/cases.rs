//! The scenarios of `tests/cases`: their events are those of their goldens, without a heap in the scheduler, too.

use crate::Test;
use crate::golden::Goldens;
use crate::tests::Clock;
use test_cases::{Case, Trace};
use windlass::runtime::{self, Memory};

/// As many tasks as the largest scenario has, and stacks for what an unoptimised build of `std` needs to format a line.
static MEMORY: Memory<256, { 64 << 10 }> = Memory::new();
static CLOCK: Clock = Clock::new();

pub(crate) fn all() -> Vec<Test> {
    test_cases::all().iter().map(|&case| test(case)).collect()
}

fn test(case: Case) -> Test {
    let run = move || {
        // SAFETY: one thread, and large stacks.
        unsafe { runtime::Builder::fixed(&MEMORY, &CLOCK).claim() }.expect("the process is new");
        let trace = Trace::new();
        let of_main = trace.clone();
        if let Err(error) = windlass::try_run(move || (case.run)(&of_main)) {
            panic!("{}: {error}\nafter:\n{}", case.name, trace.text());
        }
        let stats = runtime::stats();
        assert_eq!((stats.tasks, stats.stacks.in_use), (0, 0), "{}: tasks and stacks left over", case.name);
        print!("{}", trace.text());
    };
    let check = move |output: &std::process::Output| {
        if !output.status.success() {
            return Some(format!("{}", output.status));
        }
        let goldens = Goldens::new(env!("CARGO_MANIFEST_DIR"), "../..");
        goldens.difference(case.name, &String::from_utf8_lossy(&output.stdout))
    };
    Test { check: Box::new(check), ..Test::new(&format!("cases::{}", case.name), run) }
}
