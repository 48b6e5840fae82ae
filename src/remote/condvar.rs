//! A condition variable for tasks of all threads.

use super::waiters::{Queued, Waiter, Waiters, lock};
use super::{MutexGuard, What};
use crate::atomics;
use crate::error::Cancelled;
use crate::task::Wake;
use crate::time::Duration;

/// Lets tasks and threads wait, with a mutex unlocked meanwhile, until another says that something changed.
///
/// There are no spurious wake-ups, but somebody may have changed the state again before the woken one has the lock: use
/// [`Condvar::wait_while`].
///
/// # Examples
/// ```
/// use windlass::{pool, remote::{Condvar, Mutex}};
///
/// static READY: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
///
/// let task = pool::spawn(|| {
///     *READY.0.lock().unwrap() = true;
///     READY.1.notify_one();
/// });
/// let ready = READY.1.wait_while(READY.0.lock().unwrap(), |ready| !*ready).unwrap();
/// assert!(*ready);
/// task.join().unwrap();
/// ```
#[derive(Debug)]
pub struct Condvar {
    waiting: atomics::Mutex<Waiters<()>>,
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl Condvar {
    /// Returns a condition variable that nobody waits for.
    pub const fn new() -> Condvar {
        Condvar { waiting: atomics::Mutex::new(Waiters::new()) }
    }

    /// Unlocks, waits for a notification, and locks again.
    ///
    /// # Context
    /// Any but interrupts. In a task the task waits, else the thread.
    ///
    /// # Errors
    /// [`Cancelled`]; the mutex is then unlocked.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, Cancelled> {
        self.wait_for(guard, None).map(|(guard, _)| guard)
    }

    /// Waits as long as `condition` holds.
    ///
    /// # Errors
    /// [`Cancelled`]; the mutex is then unlocked.
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
    #[cfg(feature = "timers")]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), Cancelled> {
        self.wait_for(guard, Some(timeout))
    }

    fn wait_for<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Option<Duration>,
    ) -> Result<(MutexGuard<'a, T>, bool), Cancelled> {
        let mutex = guard.mutex();
        let waiter = Waiter::new(());
        // In the list before the mutex opens, so no notification is missed.
        let queued = Queued::new(&self.waiting, lock(&self.waiting), |waiting| waiting, &waiter);
        drop(guard);
        match queued.wait(What::Condvar, timeout) {
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

    /// Wakes whoever has waited longest. Returns whether there was one.
    ///
    /// # Context
    /// Any but interrupts.
    pub fn notify_one(&self) -> bool {
        let waker = lock(&self.waiting).pop().map(|longest| longest.done());
        waker.map(|waker| waker.wake()).is_some()
    }

    /// Wakes everybody who waits, first come, first served.
    ///
    /// # Context
    /// Any but interrupts.
    pub fn notify_all(&self) {
        // Those who begin to wait meanwhile are not meant.
        let mut wakers = alloc::vec::Vec::new();
        let mut waiting = lock(&self.waiting);
        while let Some(longest) = waiting.pop() {
            wakers.push(longest.all());
        }
        drop(waiting);
        wakers.into_iter().for_each(|waker| waker.wake());
    }
}
