//! A counting semaphore that hands over.

use super::What;
use super::waiters::{Queued, Waiter, Waiters, lock};
use crate::atomics;
use crate::error::Cancelled;
use crate::task::Wake;
use crate::time::Duration;

/// A number of permits that tasks and threads take and give back; who has waited longest gets the next one.
///
/// # Examples
/// ```
/// use windlass::{pool, remote::Semaphore};
///
/// static AT_ONCE: Semaphore = Semaphore::new(2);
///
/// let tasks: Vec<_> = (0..8)
///     .map(|n| {
///         pool::spawn(move || {
///             AT_ONCE.acquire().unwrap();
///             // ... something that only two may do at once
///             AT_ONCE.release(1);
///             n
///         })
///     })
///     .collect();
/// let sum: u32 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
/// assert_eq!(sum, 28);
/// ```
#[derive(Debug)]
pub struct Semaphore {
    state: atomics::Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// 0 while somebody waits.
    free: usize,
    waiting: Waiters<()>,
}

impl Semaphore {
    /// Returns a semaphore with `permits` permits.
    pub const fn new(permits: usize) -> Semaphore {
        Semaphore { state: atomics::Mutex::new(State { free: permits, waiting: Waiters::new() }) }
    }

    /// Takes a permit, waiting while there is none.
    ///
    /// # Context
    /// Any but interrupts. In a task the task waits, else the thread.
    ///
    /// # Errors
    /// [`Cancelled`] if it would wait and the task was cancelled.
    pub fn acquire(&self) -> Result<(), Cancelled> {
        self.acquire_as(What::Semaphore, None).map(|_| ())
    }

    /// Like [`Semaphore::acquire`], for at most `timeout`. Returns whether it has a permit.
    ///
    /// # Errors
    /// [`Cancelled`] if it would wait and the task was cancelled.
    #[cfg(feature = "timers")]
    pub fn acquire_timeout(&self, timeout: Duration) -> Result<bool, Cancelled> {
        self.acquire_as(What::Semaphore, Some(timeout))
    }

    /// Takes a permit if there is one.
    pub fn try_acquire(&self) -> bool {
        lock(&self.state).take()
    }

    /// Adds `permits` permits; those who have waited longest get them.
    ///
    /// # Context
    /// Any but interrupts.
    ///
    /// # Panics
    /// If there are more than `usize::MAX` permits.
    pub fn release(&self, permits: usize) {
        for given in 0..permits {
            let mut state = lock(&self.state);
            let Some(longest) = state.waiting.pop() else {
                let free = state.free.checked_add(permits - given);
                state.free = free.unwrap_or(state.free);
                drop(state);
                assert!(free.is_some(), "windlass: a semaphore has no room for so many permits");
                return;
            };
            let waker = longest.done();
            drop(state);
            waker.wake();
        }
    }

    pub(super) fn acquire_as(&self, what: What, timeout: Option<Duration>) -> Result<bool, Cancelled> {
        let mut state = lock(&self.state);
        if state.take() {
            return Ok(true);
        }
        let waiter = Waiter::new(());
        match Queued::new(&self.state, state, |state| &mut state.waiting, &waiter).wait(what, timeout) {
            Wake::Done | Wake::All => Ok(true),
            Wake::TimedOut => Ok(false),
            Wake::Cancelled => Err(Cancelled),
        }
    }
}

impl State {
    fn take(&mut self) -> bool {
        let taken = self.free > 0;
        self.free -= usize::from(taken);
        taken
    }
}
