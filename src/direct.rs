//! What blocks where the scheduler is off: time, by the platform's waiting.

use crate::error::Cancelled;
use crate::reactor;
use crate::runtime;
use crate::time::{Duration, Instant};

/// Blocks for at least `duration`; nothing else runs meanwhile.
///
/// # Errors
/// None without the scheduler; the type is the same with it.
///
/// # Panics
/// Natively, if the platform may not block. On wasm32 the call from the host fails with code 14.
pub fn sleep(duration: Duration) -> Result<(), Cancelled> {
    if duration.is_zero() {
        return Ok(());
    }
    sleep_until(Instant::now() + duration)
}

/// Blocks until `deadline`; nothing else runs meanwhile.
///
/// # Errors
/// None without the scheduler; the type is the same with it.
///
/// # Panics
/// Natively, if the platform may not block. On wasm32 the call from the host fails with code 14.
pub fn sleep_until(deadline: Instant) -> Result<(), Cancelled> {
    let platform = &runtime::current().platform;
    while platform.now() < deadline {
        if platform.wait(Some(deadline)).is_err() {
            reactor::would_block();
        }
    }
    Ok(())
}
