//! A mutual exclusion lock that hands over, for tasks of all threads.
#![allow(unsafe_code, reason = "the lock's holder has the value to itself")]

use super::{Semaphore, What};
use crate::error::Cancelled;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

/// A mutual exclusion lock between tasks and threads of the whole program; a task may block while it holds it.
///
/// Who waits is served first come, first served, and the lock is handed over without opening in between. Not recursive: who locks it
/// twice waits for ever. A panic of the holder unlocks it; there is no poisoning.
///
/// # Examples
/// ```
/// use windlass::{pool, remote::Mutex};
///
/// static TOTAL: Mutex<u32> = Mutex::new(0);
///
/// let tasks: Vec<_> = (1..=3).map(|n| pool::spawn(move || *TOTAL.lock().unwrap() += n)).collect();
/// for task in tasks {
///     task.join().unwrap();
/// }
/// assert_eq!(*TOTAL.lock().unwrap(), 6);
/// ```
pub struct Mutex<T: ?Sized> {
    /// One permit: of the holder.
    holder: Semaphore,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached by the one holder only, or through an exclusive reference, so it goes from thread to thread, which
// `Send` allows; a shared reference to it never leaves the holder's thread unless the guard is shared, which asks for `Sync`.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// Returns an unlocked mutex around `value`.
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { holder: Semaphore::new(1), value: UnsafeCell::new(value) }
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
    /// Locks the mutex, waiting while another holds it.
    ///
    /// # Context
    /// Any but interrupts. In a task the task waits, else the thread.
    ///
    /// # Errors
    /// [`Cancelled`] if it would wait and the task was cancelled.
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Cancelled> {
        self.holder.acquire_as(What::Lock, None)?;
        Ok(MutexGuard { mutex: self, value: PhantomData })
    }

    /// Locks the mutex if nobody holds it.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.holder.try_acquire().then(|| MutexGuard { mutex: self, value: PhantomData })
    }

    /// Returns the value; the exclusive reference proves that nobody holds the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(value) => f.debug_struct("Mutex").field("value", &&*value).finish(),
            None => f.debug_struct("Mutex").finish_non_exhaustive(),
        }
    }
}

/// Unlocks its mutex when dropped.
#[must_use = "dropping it unlocks the mutex"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// It is sent and shared as what it stands for.
    value: PhantomData<&'a mut T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: there is one guard at a time, and it is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: there is one guard at a time, and it is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        self.mutex.holder.release(1);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
