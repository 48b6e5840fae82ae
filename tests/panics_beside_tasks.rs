//! A task that panics leaves what other tasks hold on their stacks alone. Natively that is plain; under AddressSanitizer, which keeps
//! locals elsewhere and tidies up when something unwinds, it holds only if it is told of the switches: feature `asan`.
#![cfg(all(feature = "scheduler", feature = "std"))]

use std::hint::black_box;
use windlass::{spawn, yield_now};

const TASKS: usize = 20;

/// Keeps an array while others have their turns, some of which end by a panic.
#[inline(never)]
fn holds_an_array(seed: usize) {
    let mut array = [seed; 40];
    black_box(&mut array);
    for _ in 0..4 {
        yield_now();
        assert_eq!(black_box(&mut array), &[seed; 40], "task {seed}");
    }
}

/// Panics with arrays of the same size on its stack.
#[inline(never)]
fn panics(depth: usize) -> usize {
    let mut array = [usize::MAX; 40];
    black_box(&mut array);
    if depth == 0 {
        std::panic::resume_unwind(Box::new("on purpose"));
    }
    panics(depth - 1) + black_box(&mut array)[depth]
}

/// Uses the stacks that panics were on.
#[inline(never)]
fn formats(n: usize) -> String {
    let mut array = [0u8; 3000];
    black_box(&mut array).fill(n as u8);
    let copy = black_box(array);
    format!("{n} {:?}", &copy[2000..2003])
}

#[test]
fn what_others_hold_stays_and_the_stack_of_a_panic_can_be_used_again() {
    windlass::run(|| {
        for _ in 0..4 {
            let holders: Vec<_> = (0..TASKS).map(|seed| spawn(move || holds_an_array(seed))).collect();
            yield_now();
            for round in 0..3 {
                let tasks: Vec<_> = (0..TASKS).map(|_| spawn(|| panics(black_box(8)))).collect();
                for task in tasks {
                    assert!(task.join().is_err());
                }
                // Caught within the task, which goes on.
                let caught = spawn(move || {
                    assert!(std::panic::catch_unwind(|| panics(black_box(8))).is_err());
                    yield_now();
                    formats(round)
                });
                assert_eq!(caught.join().expect("caught"), format!("{round} [{round}, {round}, {round}]"));
                let text = spawn(move || formats(round)).join().expect("no panic");
                assert_eq!(text, format!("{round} [{round}, {round}, {round}]"));
            }
            for task in holders {
                task.join().expect("its array is as it was");
            }
        }
    });
}
