//! A counter that tasks wait for.

use crate::dispatcher;
use crate::error::Cancelled;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Waiting, Wake};
use crate::wait_queue::{WaitQueue, Waiter};
use core::cell::Cell;

/// Waits until as many things are done as were added.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use windlass::sync::WaitGroup;
///
/// windlass::run(|| {
///     let group = Rc::new(WaitGroup::new());
///     for _ in 0..3 {
///         group.add(1);
///         let group = Rc::clone(&group);
///         windlass::spawn(move || group.done());
///     }
///     group.wait().unwrap();
///     assert_eq!(group.count(), 0);
/// });
/// ```
#[derive(Debug)]
pub struct WaitGroup {
    count: Cell<usize>,
    waiting: WaitQueue,
}

impl Default for WaitGroup {
    fn default() -> WaitGroup {
        WaitGroup::new()
    }
}

impl WaitGroup {
    /// Returns a group with nothing to wait for.
    pub const fn new() -> WaitGroup {
        WaitGroup { count: Cell::new(0), waiting: WaitQueue::new() }
    }

    /// Adds `count` things to wait for.
    ///
    /// # Panics
    /// If the sum overflows.
    #[track_caller]
    pub fn add(&self, count: usize) {
        match self.count.get().checked_add(count) {
            Some(sum) => self.count.set(sum),
            None => panic!("windlass: a wait group's counter overflowed"),
        }
    }

    /// Says that one of them is done. The last one wakes every task that waits.
    ///
    /// # Panics
    /// If nothing is left to be done.
    #[track_caller]
    pub fn done(&self) {
        match self.count.get().checked_sub(1) {
            Some(rest) => self.count.set(rest),
            None => panic!("windlass: `WaitGroup::done` was called more often than things were added"),
        }
        if self.count.get() == 0 && !self.waiting.is_empty() {
            runtime::with(|scheduler| scheduler.wake_all(&self.waiting, Wake::Done));
        }
    }

    /// Returns how many things are not done.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Waits until nothing is left to be done.
    ///
    /// # Context
    /// Task; the host where it need not wait.
    ///
    /// # Errors
    /// [`Cancelled`] if it would wait and the task was cancelled.
    ///
    /// # Panics
    /// If it would wait outside a task.
    #[track_caller]
    pub fn wait(&self) -> Result<(), Cancelled> {
        if self.count.get() == 0 {
            return Ok(());
        }
        let node = Waiter::new();
        let how = Block { queue: Some((&self.waiting, &node)), ..Block::on(Waiting::WaitGroup) };
        match dispatcher::block("WaitGroup::wait", &how) {
            Wake::Cancelled => Err(Cancelled),
            Wake::Done | Wake::All | Wake::TimedOut => Ok(()),
        }
    }
}
