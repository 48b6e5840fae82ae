//! Running a task from outside: where a program meets its scheduler.

use crate::error::RunError;
use crate::reactor;

/// Runs `f` as a task and resumes the run queue until that task is done. All other tasks stay where they are.
///
/// # Context
/// Host; natively also a host function that a task called: the run nests, and the caller waits.
///
/// # Panics
/// On a deadlock and the other errors of [`try_run`]. A panic of `f` goes on in the caller. After [`exit`](crate::exit) the process ends
/// with its code (`std`).
///
/// # Examples
/// ```
/// assert_eq!(windlass::run(|| 6 * 7), 42);
/// ```
#[track_caller]
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match try_run(f) {
        Ok(value) => value,
        #[cfg(feature = "std")]
        Err(RunError::Panicked(panic)) => std::panic::resume_unwind(panic.into_payload()),
        #[cfg(feature = "std")]
        Err(RunError::Exited(code) | RunError::Ended(code)) => std::process::exit(code),
        Err(error) => panic!("windlass: {error}"),
    }
}

/// Like [`run`], with the errors as values.
///
/// # Errors
/// [`RunError::Deadlock`], [`RunError::WouldWait`], [`RunError::Panicked`], [`RunError::Exited`], [`RunError::Spawn`],
/// [`RunError::NestedTooDeep`]. On wasm32 also [`RunError::Poisoned`], and inside a task
/// [`RunError::InTask`]: there use [`spawn`](crate::spawn()) and join.
///
/// # Examples
/// ```
/// use windlass::RunError;
///
/// let error = windlass::try_run(|| windlass::park()).unwrap_err();
/// assert!(matches!(error, RunError::Deadlock { .. }));
/// assert!(error.to_string().contains("\"run\": parked"));
/// ```
pub fn try_run<F, T>(f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    reactor::run_task(f)
}
