//! A mutual exclusion lock that hands over.
//!
//! Unlocking with waiters gives the lock to the one that has waited longest without opening it in between, so nobody overtakes.

#![allow(unsafe_code, reason = "a guard reaches the value (One Guard)")]

use crate::dispatcher;
use crate::error::Cancelled;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Waiting, Wake};
use crate::wait_queue::{WaitQueue, Waiter};
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A mutual exclusion lock between tasks of one thread; useful where a task blocks while it holds it.
///
/// Not recursive: a task that locks it twice waits for ever, which is reported as a deadlock. A panic in a task that holds it
/// unlocks it; there is no poisoning.
///
/// # Examples
/// ```
/// use std::rc::Rc;
/// use windlass::sync::Mutex;
///
/// windlass::run(|| {
///     let total = Rc::new(Mutex::new(0));
///     let tasks: Vec<_> = (1..=3)
///         .map(|n| {
///             let total = Rc::clone(&total);
///             windlass::spawn(move || {
///                 let mut total = total.lock().unwrap();
///                 let before = *total;
///                 windlass::yield_now(); // nobody else gets in
///                 *total = before + n;
///             })
///         })
///         .collect();
///     for task in tasks {
///         task.join().unwrap();
///     }
///     assert_eq!(*total.lock().unwrap(), 6);
/// });
/// ```
pub struct Mutex<T: ?Sized> {
    locked: Cell<bool>,
    waiting: WaitQueue,
    /// *One Guard*: only the guard of whoever has set `locked` reaches it.
    value: UnsafeCell<T>,
}

impl<T> Mutex<T> {
    /// Returns an unlocked mutex around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { locked: Cell::new(false), waiting: WaitQueue::new(), value: UnsafeCell::new(value) }
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex, waiting while another task holds it.
    ///
    /// # Context
    /// Task; the host where it need not wait.
    ///
    /// # Errors
    /// [`Cancelled`] if it would wait and the task was cancelled.
    ///
    /// # Panics
    /// If it would wait outside a task.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Cancelled> {
        if self.locked.replace(true) { self.wait() } else { Ok(self.guard()) }
    }

    #[cold]
    #[track_caller]
    fn wait(&self) -> Result<MutexGuard<'_, T>, Cancelled> {
        let node = Waiter::new();
        let how = Block { queue: Some((&self.waiting, &node)), ..Block::on(Waiting::Lock) };
        match dispatcher::block("Mutex::lock", &how) {
            // Handed over: it stayed locked.
            Wake::Done => Ok(self.guard()),
            Wake::Cancelled | Wake::All | Wake::TimedOut => Err(Cancelled),
        }
    }

    /// Locks the mutex if nobody holds it.
    ///
    /// # Context
    /// Task or host.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        (!self.locked.replace(true)).then(|| self.guard())
    }

    /// Returns the value; the exclusive reference proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The guard of whoever has the lock now.
    #[inline(always)]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, not_send: PhantomData }
    }

    /// Hands the lock to the task that has waited longest.
    #[cold]
    fn hand_over(&self) {
        // Where the thread is ending, nobody goes on.
        if runtime::existing().is_some() {
            runtime::with(|scheduler| scheduler.wake_first(&self.waiting, Wake::Done));
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(value) => text.field("value", &&*value),
            None => text.field("value", &format_args!("<locked>")),
        };
        text.finish_non_exhaustive()
    }
}

/// Unlocks its mutex when dropped.
#[must_use = "dropping it unlocks the mutex"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    not_send: PhantomData<*mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: One Guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: One Guard, which is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.mutex.waiting.is_empty() {
            self.mutex.locked.set(false);
        } else {
            self.mutex.hand_over();
        }
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
