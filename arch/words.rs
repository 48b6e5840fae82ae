//! Words of state, one per OS thread with `std`, one per program without; and the word of the layer above.
//!
//! They are atomics, relaxed, so that one type serves both homes; a relaxed load is a plain load. Nobody keeps what a word said
//! across a switch: others have run, and under the threads backend on other OS threads.

use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// Declares a static whose `with` lends it out: the OS thread's own or the program's only one.
macro_rules! per_thread {
    (static $name:ident: $type:ty = $value:expr;) => {
        #[cfg(feature = "std")]
        std::thread_local! { static $name: $type = const { $value } }
        #[cfg(not(feature = "std"))]
        static $name: $crate::words::PerProgram<$type> = $crate::words::PerProgram($value);
    };
}

/// Looks like a `LocalKey` where there are no threads to be local to.
#[cfg(not(feature = "std"))]
pub(crate) struct PerProgram<T>(pub(crate) T);

#[cfg(not(feature = "std"))]
impl<T> PerProgram<T> {
    #[inline(always)]
    pub(crate) fn with<R>(&'static self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0)
    }
}

per_thread! { static RUNTIME: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut()); }

/// The word that [`set_runtime`] stored last, null before: of this OS thread with `std`, of the program without.
///
/// Contexts that take turns see the same word, whichever of them stored it.
#[inline(always)]
#[must_use]
pub fn runtime() -> *mut () {
    RUNTIME.with(|word| word.load(Relaxed))
}

/// Stores the word for the layer above. This crate only keeps it.
#[inline(always)]
pub fn set_runtime(runtime: *mut ()) {
    RUNTIME.with(|word| word.store(runtime, Relaxed));
}
