//! The timer queue without timers: there is no moment to wait for, so nobody is in it.

use crate::room::NoMemory;
use crate::task::TaskRef;
use crate::time::{Instant, Moment};

/// A task's place in the queue.
pub(crate) type Place = u32;
/// The place of every task.
pub(crate) const NOWHERE: Place = u32::MAX;

/// The timer queue.
#[derive(Debug)]
pub(crate) struct TimerQueue;

impl TimerQueue {
    pub(crate) const fn new() -> TimerQueue {
        TimerQueue
    }

    pub(crate) fn reserve(&mut self, _: usize) -> Result<(), NoMemory> {
        Ok(())
    }

    pub(crate) fn shrink(&mut self, _: usize) {}

    pub(crate) fn earliest(&self) -> Option<Moment> {
        None
    }

    pub(crate) fn insert(&mut self, _: TaskRef, deadline: Moment) {
        match deadline {}
    }

    pub(crate) fn expire(&mut self, _: Instant) -> Option<TaskRef> {
        None
    }

    pub(crate) fn remove(&mut self, _: TaskRef) {}
}
