//! Calls without the scheduler (rule 11): the state check, then the function itself.

use super::state::{Phase, State};
use crate::error::RunError;
use crate::runtime;
#[cfg(feature = "timers")]
use crate::time::Instant;
use core::cell::RefMut;

/// Initialises the reactor by running `init`.
///
/// # Errors
/// [`RunError::AlreadyInitialised`] the second time.
pub fn initialize(init: impl FnOnce() + 'static) -> Result<(), RunError> {
    initialize_inside(|| (), init)
}

/// `constructors` run at most once, before anything else.
pub(super) fn initialize_inside(
    constructors: impl FnOnce(),
    init: impl FnOnce() + 'static,
) -> Result<(), RunError> {
    state().begin_init()?;
    /// An init that does not come back has failed.
    struct Done(Phase);
    impl Drop for Done {
        fn drop(&mut self) {
            state().phase = self.0;
        }
    }
    let mut done = Done(Phase::Failed);
    constructors();
    open("_initialize", init);
    done.0 = Phase::Ready;
    Ok(())
}

/// Calls the export `name` of an initialised reactor.
///
/// # Errors
/// [`RunError::NotInitialised`], [`RunError::Ended`], [`RunError::Poisoned`].
pub fn call<F, T>(name: &'static str, f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    state().check()?;
    Ok(open(name, f))
}

/// Like [`call`]; without a scheduler nobody could end the call, so the deadline is not looked at.
///
/// # Errors
/// As [`call`].
#[cfg(feature = "timers")]
pub fn call_with_deadline<F, T>(name: &'static str, deadline: Instant, f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let _ = deadline;
    call(name, f)
}

fn open<T>(name: &'static str, f: impl FnOnce() -> T) -> T {
    /// Closes the call, also if it panics.
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            state().open.pop();
        }
    }
    state().open.push(name);
    let _close = Close;
    f()
}

/// The name of the innermost call in progress.
pub(super) fn innermost() -> Option<&'static str> {
    state().open.last().copied()
}

pub(super) fn state() -> RefMut<'static, State> {
    runtime::current().reactor.borrow_mut()
}

/// Ends the innermost call because it would have to wait. Its frames are given up half-way, so nothing may run after it.
#[cfg(feature = "timers")]
pub(crate) fn would_block() -> ! {
    let by = innermost().unwrap_or("a call");
    state().poisoned.get_or_insert(by);
    #[cfg(target_arch = "wasm32")]
    super::exports::fail(RunError::WouldBlock);
    #[cfg(not(target_arch = "wasm32"))]
    panic!("windlass: {}", RunError::WouldBlock)
}
