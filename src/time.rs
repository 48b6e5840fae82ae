//! Points in time and durations.
//!
//! Time is monotonic and counted in nanoseconds from an origin that the [platform](crate::platform) chooses. A deadline is an
//! absolute [`Instant`]; 64 bits of nanoseconds last 584 years.

use core::fmt;
use core::ops::{Add, Sub};

pub use core::time::Duration;

/// A point on the runtime's monotonic clock.
///
/// Instants of one runtime are comparable with each other; those of two runtimes with different
/// [platforms](crate::platform::Platform) are not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The latest representable instant: a deadline that never comes.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// Returns the current time of the calling thread's runtime.
    ///
    /// # Context
    /// Any but interrupts.
    #[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
    pub fn now() -> Instant {
        crate::runtime::now()
    }

    /// Returns the instant `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Returns the nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time from `earlier` to `self`, zero if `earlier` is later.
    pub const fn duration_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time that has passed since this instant, zero if it lies ahead.
    #[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
    pub fn elapsed(self) -> Duration {
        Instant::now().duration_since(self)
    }

    /// Returns `self + duration`, or [`Instant::FAR_FUTURE`] where that does not fit.
    pub const fn saturating_add(self, duration: Duration) -> Instant {
        let nanos = duration.as_nanos();
        if nanos > u64::MAX as u128 {
            return Instant::FAR_FUTURE;
        }
        Instant(self.0.saturating_add(nanos as u64))
    }
}

/// When a wait ends, if nothing ends it before.
#[cfg(all(feature = "timers", feature = "scheduler"))]
pub(crate) type Moment = Instant;

/// Without timers there is none: a deadline, `Option<Moment>`, is `None` and takes no code.
#[cfg(all(not(feature = "timers"), feature = "scheduler"))]
pub(crate) type Moment = core::convert::Infallible;

/// What the clock shows at that moment.
#[cfg(all(feature = "timers", feature = "scheduler"))]
pub(crate) fn instant(moment: Moment) -> Instant {
    moment
}

/// What the clock shows at that moment.
#[cfg(all(not(feature = "timers"), feature = "scheduler"))]
pub(crate) fn instant(moment: Moment) -> Instant {
    match moment {}
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        self.saturating_add(duration)
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:?})", Duration::from_nanos(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant};

    #[test]
    fn a_sum_that_does_not_fit_is_the_far_future() {
        let late = Instant::from_nanos(u64::MAX - 1);
        assert_eq!(late + Duration::from_nanos(5), Instant::FAR_FUTURE);
        assert_eq!(late + Duration::MAX, Instant::FAR_FUTURE);
    }

    #[test]
    fn a_difference_into_the_past_is_zero() {
        let (a, b) = (Instant::from_nanos(3), Instant::from_nanos(7));
        assert_eq!(b - a, Duration::from_nanos(4));
        assert_eq!(a - b, Duration::ZERO);
    }
}
