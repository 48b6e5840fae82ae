//! A condition variable.

use super::MutexGuard;
use crate::dispatcher;
use crate::error::Cancelled;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Waiting, Wake};
use crate::time::Moment;
#[cfg(feature = "timers")]
use crate::time::{Duration, Instant};
use crate::wait_queue::{WaitQueue, Waiter};

/// Lets tasks wait, with a mutex unlocked meanwhile, until another says that something changed.
///
/// There are no spurious wake-ups, but another task may have changed the state again before the woken one has the lock: use
/// [`Condvar::wait_while`].
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use windlass::sync::{Condvar, Mutex};
///
/// windlass::run(|| {
///     let shared = Rc::new((Mutex::new(false), Condvar::new()));
///     let other = Rc::clone(&shared);
///     windlass::spawn(move || {
///         *other.0.lock().unwrap() = true;
///         other.1.notify_one();
///     });
///     let ready = shared.1.wait_while(shared.0.lock().unwrap(), |ready| !*ready).unwrap();
///     assert!(*ready);
/// });
/// ```
#[derive(Debug)]
pub struct Condvar {
    waiting: WaitQueue,
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl Condvar {
    /// Returns a condition variable that nobody waits for.
    pub const fn new() -> Condvar {
        Condvar { waiting: WaitQueue::new() }
    }

    /// Unlocks, waits for a notification, and locks again.
    ///
    /// # Context
    /// Task.
    ///
    /// # Errors
    /// [`Cancelled`]; the mutex is then unlocked.
    ///
    /// # Panics
    /// Outside a task.
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, Cancelled> {
        self.wait_until(guard, None).map(|(guard, _)| guard)
    }

    /// Waits as long as `condition` holds.
    ///
    /// # Errors
    /// [`Cancelled`]; the mutex is then unlocked.
    ///
    /// # Panics
    /// Outside a task, if it must wait.
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<MutexGuard<'a, T>, Cancelled> {
        while condition(&mut guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// Like [`Condvar::wait`], for at most `timeout` (and the time to lock again). The flag says whether it was notified.
    ///
    /// # Errors
    /// [`Cancelled`]; the mutex is then unlocked.
    ///
    /// # Panics
    /// Outside a task.
    #[cfg(feature = "timers")]
    #[track_caller]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), Cancelled> {
        self.wait_until(guard, Some(Instant::now() + timeout))
    }

    #[track_caller]
    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Option<Moment>,
    ) -> Result<(MutexGuard<'a, T>, bool), Cancelled> {
        let mutex = guard.mutex();
        // Unlocking does not switch, so no notification can come before this task waits.
        drop(guard);
        let node = Waiter::new();
        let how = Block { queue: Some((&self.waiting, &node)), deadline, ..Block::on(Waiting::Condvar) };
        match dispatcher::block("Condvar::wait", &how) {
            Wake::Cancelled => Err(Cancelled),
            wake @ (Wake::Done | Wake::All | Wake::TimedOut) => match mutex.lock() {
                Ok(guard) => Ok((guard, wake != Wake::TimedOut)),
                Err(cancelled) => {
                    // Notified alone, but cancelled before it had the lock: the notification is somebody else's then.
                    if wake == Wake::Done {
                        self.notify_one();
                    }
                    Err(cancelled)
                }
            },
        }
    }

    /// Wakes the task that has waited longest. Returns whether there was one.
    ///
    /// # Context
    /// Task or host.
    pub fn notify_one(&self) -> bool {
        !self.waiting.is_empty() && runtime::with(|scheduler| scheduler.wake_first(&self.waiting, Wake::Done))
    }

    /// Wakes every task that waits, first come, first served.
    ///
    /// # Context
    /// Task or host.
    pub fn notify_all(&self) {
        if !self.waiting.is_empty() {
            runtime::with(|scheduler| scheduler.wake_all(&self.waiting, Wake::All));
        }
    }
}
