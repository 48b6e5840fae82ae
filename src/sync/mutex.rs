//! A mutual exclusion lock that hands over.
//!
//! Unlocking with waiters gives the lock to the one that has waited longest without opening it in between, so nobody overtakes.

use crate::dispatcher;
use crate::error::Cancelled;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Waiting, Wake};
use crate::wait_queue::WaitQueue;
use core::cell::{Cell, RefCell, RefMut};
use core::fmt;
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
#[derive(Debug)]
pub struct Mutex<T: ?Sized> {
    locked: Cell<bool>,
    waiting: WaitQueue,
    /// Borrowed by the one guard.
    value: RefCell<T>,
}

impl<T> Mutex<T> {
    /// Returns an unlocked mutex around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { locked: Cell::new(false), waiting: WaitQueue::new(), value: RefCell::new(value) }
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
    #[track_caller]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Cancelled> {
        if !self.locked.replace(true) {
            return Ok(self.guard());
        }
        let how = Block { queue: Some(&self.waiting), ..Block::on(Waiting::Lock) };
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
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        (!self.locked.replace(true)).then(|| self.guard())
    }

    /// Returns the value; the exclusive reference proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { value: Some(self.value.borrow_mut()), mutex: self }
    }

    fn unlock(&self) {
        if self.waiting.is_empty() {
            self.locked.set(false);
        } else {
            runtime::with(|scheduler| scheduler.wake_first(&self.waiting, Wake::Done));
        }
    }
}

/// Unlocks its mutex when dropped.
#[must_use = "dropping it unlocks the mutex"]
pub struct MutexGuard<'a, T: ?Sized> {
    /// `None` only while it is being dropped.
    value: Option<RefMut<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.value {
            Some(value) => value,
            None => unreachable!("a guard that is being dropped"),
        }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.value {
            Some(value) => value,
            None => unreachable!("a guard that is being dropped"),
        }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.value = None;
        self.mutex.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
