//! Ends a test that hangs: a lost wake-up shows as nothing at all.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Far more than any of these tests takes, on a busy machine and under a sanitizer.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs `f` on a thread of its own; ends the process if it does not come back.
pub(crate) fn watched<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let _done = done;
        f()
    });
    if finished.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("the test has hung for {LIMIT:?}");
        std::process::abort();
    }
    match thread.join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
