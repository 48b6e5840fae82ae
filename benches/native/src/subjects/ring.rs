//! The simplest scheduler: a queue whose tasks are resumed in turn. It knows nothing of waiting, so nothing can join.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::meter::{Measured, Meter, resident};
use crate::shuffle::order;

/// Something that suspends.
pub(super) trait Task: Sized {
    /// So many that yield so often, and what times them.
    fn ring(tasks: u64, rounds: u64) -> (VecDeque<Self>, Arc<Meter>);

    /// Continues it until it suspends or ends; returns whether it has suspended.
    fn resume(&mut self) -> bool;
}

pub(super) fn run<T: Task>(ring: &mut VecDeque<T>) {
    while let Some(mut task) = ring.pop_front() {
        if task.resume() {
            ring.push_back(task);
        }
    }
}

pub(super) fn yields<T: Task>(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let (mut ring, meter) = T::ring(tasks, rounds);
    run(&mut ring);
    meter.measured(tasks * rounds)
}

pub(super) fn shuffled<T: Task>(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let (ring, meter) = T::ring(tasks, rounds);
    let mut all: Vec<Option<T>> = ring.into_iter().map(Some).collect();
    run(&mut order(tasks).into_iter().filter_map(|index| all[index].take()).collect());
    meter.measured(tasks * rounds)
}

#[cfg_attr(
    not(any(feature = "corosensei", feature = "generator")),
    expect(dead_code, reason = "the other user has smaller tasks for that")
)]
pub(super) fn memory<T: Task>(tasks: u64, _: u64) -> Measured {
    let before = resident();
    let (mut ring, _meter) = T::ring(tasks, 1);
    for task in &mut ring {
        assert!(task.resume(), "it suspends");
    }
    Measured::memory(tasks, before)
}
