//! The timer queue without timers: there is no moment to wait for, so nobody is in it.

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::room::NoMemory;
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
use crate::room::Table;
use crate::task::{TaskRef, Tasks};
use crate::time::{Instant, Moment};

/// The deadline of every task.
pub(crate) const NEVER: Instant = Instant::FAR_FUTURE;

/// How many tasks expire at once.
pub(crate) const BATCH: usize = 1;

/// There is none.
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
#[derive(Debug)]
pub(crate) enum Timer {}

/// The timer queue.
#[derive(Debug)]
pub(crate) struct TimerQueue;

impl TimerQueue {
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) const fn new() -> TimerQueue {
        TimerQueue
    }

    #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
    pub(crate) fn over(_: Table<Timer>) -> TimerQueue {
        TimerQueue
    }

    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn reserve(&mut self, _: usize) -> Result<(), NoMemory> {
        Ok(())
    }

    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn clean_up(&mut self, _: &Tasks) {}

    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn shrink(&mut self, _: usize) {}

    pub(crate) fn earliest(&self) -> Option<Moment> {
        None
    }

    pub(crate) fn insert(&mut self, _: TaskRef, deadline: Moment, _: &Tasks) {
        match deadline {}
    }

    pub(crate) fn expire(&mut self, _: Instant, _: &Tasks, _: &mut [TaskRef; BATCH]) -> usize {
        0
    }

    pub(crate) fn remove(&mut self, _: TaskRef, _: &Tasks) {}
}
