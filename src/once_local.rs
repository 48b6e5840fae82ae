//! A static that belongs to one runtime.
#![allow(
    unsafe_code,
    reason = "shares a value between tasks of one thread only, checked by the runtime's number"
)]

use crate::atomics::{AtomicUsize, Ordering};
use crate::runtime;
use core::cell::UnsafeCell;
use core::fmt;

/// A static cell that is set once, by one runtime, and read by that runtime's tasks.
///
/// A reactor keeps in it what init made and exports use. The value need not be `Send`: other threads see an empty cell. It is never
/// dropped.
///
/// # Examples
/// ```
/// use windlass::{OnceLocal, channel};
///
/// static LINES: OnceLocal<channel::Sender<String>> = OnceLocal::new();
///
/// windlass::run(|| {
///     let (lines, inbox) = channel::unbounded();
///     LINES.set(lines).unwrap();
///     LINES.get().unwrap().send("hello".to_string()).unwrap();
///     assert_eq!(inbox.recv().unwrap(), "hello");
///     assert!(std::thread::spawn(|| LINES.get().is_none()).join().unwrap());
/// });
/// ```
pub struct OnceLocal<T> {
    /// The number of the runtime that set it; 0: empty; `SETTING` while it is written.
    owner: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

const SETTING: usize = usize::MAX;

// SAFETY: only the runtime that set the value reaches it, and a runtime has one thread. Setting is guarded by `owner`.
unsafe impl<T> Sync for OnceLocal<T> {}

impl<T> OnceLocal<T> {
    /// Returns an empty cell.
    pub const fn new() -> OnceLocal<T> {
        OnceLocal { owner: AtomicUsize::new(0), value: UnsafeCell::new(None) }
    }

    /// Sets the value, for the calling thread's runtime.
    ///
    /// # Errors
    /// The value, if the cell is set already, by whomever.
    pub fn set(&'static self, value: T) -> Result<(), T> {
        if self.owner.compare_exchange(0, SETTING, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: nobody else gets past the exchange, and nobody reads before the owner is known.
        unsafe { *self.value.get() = Some(value) };
        self.owner.store(runtime::current().number, Ordering::Release);
        Ok(())
    }

    /// Returns the value, or `None` if this thread's runtime has not set it.
    pub fn get(&'static self) -> Option<&'static T> {
        let number = runtime::existing()?.number;
        if self.owner.load(Ordering::Acquire) != number {
            return None;
        }
        // SAFETY: set once, by this runtime, and never changed.
        unsafe { (*self.value.get()).as_ref() }
    }
}

impl<T> Default for OnceLocal<T> {
    fn default() -> OnceLocal<T> {
        OnceLocal::new()
    }
}

impl<T> fmt::Debug for OnceLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.owner.load(Ordering::Relaxed) != 0;
        f.debug_struct("OnceLocal").field("set", &set).finish_non_exhaustive()
    }
}
