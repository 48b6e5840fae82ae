//! What a runtime needs from its surroundings: a clock, and a way to wait.
//!
//! A runtime asks its [`Platform`] for the time and, when nothing is runnable, for a pause. That is the whole contract, so a
//! board or a test brings its own in a few lines. `std` and wasm32 have one built in; [`MockClock`] is the one for tests.

use crate::time::Instant;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use alloc::rc::Rc;
#[cfg(feature = "std")]
use alloc::sync::Arc;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use core::cell::Cell;

/// The platform's answer that it may not block: on wasm an engine whose host cannot sleep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MayNotBlock;

impl core::fmt::Display for MayNotBlock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("this platform may not block")
    }
}

impl core::error::Error for MayNotBlock {}

/// Ends a [`Platform::wait`] from another thread.
#[cfg(feature = "std")]
pub type Notifier = Arc<dyn Fn() + Send + Sync>;

/// A clock and a way to wait, supplied by the embedder.
pub trait Platform {
    /// Returns the current time. Must never go backwards.
    fn now(&self) -> Instant;

    /// Waits until `until`, or for ever if that is `None`; may return early at any time.
    ///
    /// # Errors
    /// [`MayNotBlock`] if this platform may not block; it then has not waited.
    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock>;

    /// Asks the host to poll the reactor at `until`; `None` takes the request back.
    ///
    /// Called at the end of a call into a reactor, only when the answer changes.
    fn wake_at(&self, until: Option<Instant>) {
        let _ = until;
    }

    /// Returns what other threads call to end a [`Platform::wait`] of the calling thread.
    ///
    /// Without one an [`Unparker`](crate::Unparker) used meanwhile is noticed when the wait ends by itself. Called once, while the
    /// runtime is being made: it must not use this thread's runtime.
    #[cfg(feature = "std")]
    fn notifier(&self) -> Option<Notifier> {
        None
    }
}

impl<P: Platform + ?Sized> Platform for &P {
    fn now(&self) -> Instant {
        (**self).now()
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        (**self).wait(until)
    }

    fn wake_at(&self, until: Option<Instant>) {
        (**self).wake_at(until);
    }

    #[cfg(feature = "std")]
    fn notifier(&self) -> Option<Notifier> {
        (**self).notifier()
    }
}

/// A clock that only moves when something waits for it, for deterministic tests.
///
/// Clones share one clock. Waiting moves the time to the deadline at once; waiting without a deadline is refused.
///
/// # Examples
/// ```
/// use windlass::{platform::MockClock, runtime, sleep, Duration, Instant};
///
/// let clock = MockClock::new();
/// runtime::Builder::new().platform(clock.clone()).install().unwrap();
/// windlass::run(|| {
///     sleep(Duration::from_secs(3600)).unwrap();
///     assert_eq!(Instant::now(), Instant::from_nanos(3_600_000_000_000));
/// });
/// ```
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
#[derive(Clone, Debug, Default)]
pub struct MockClock(Rc<Mock>);

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
#[derive(Debug, Default)]
struct Mock {
    now: Cell<u64>,
    may_not_block: Cell<bool>,
    armed: Cell<Option<Instant>>,
}

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl MockClock {
    /// Returns a clock that stands at zero and may block.
    pub fn new() -> MockClock {
        MockClock::default()
    }

    /// Moves the time forward.
    pub fn advance(&self, duration: crate::time::Duration) {
        let later = Instant::from_nanos(self.0.now.get()).saturating_add(duration);
        self.0.now.set(later.as_nanos());
    }

    /// Says whether [`Platform::wait`] may block from now on.
    pub fn set_may_block(&self, may_block: bool) {
        self.0.may_not_block.set(!may_block);
    }

    /// Returns the latest [`Platform::wake_at`] request.
    pub fn armed(&self) -> Option<Instant> {
        self.0.armed.get()
    }
}

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl Platform for MockClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.now.get())
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        match until {
            Some(until) if !self.0.may_not_block.get() => {
                self.0.now.set(self.0.now.get().max(until.as_nanos()));
                Ok(())
            }
            _ => Err(MayNotBlock),
        }
    }

    fn wake_at(&self, until: Option<Instant>) {
        self.0.armed.set(until);
    }
}

/// The operating system's clock and thread parking.
#[cfg(all(feature = "std", not(target_arch = "wasm32")))]
#[derive(Debug)]
pub struct System {
    #[cfg(feature = "scheduler")]
    spin: crate::spin::Spin,
}

#[cfg(all(feature = "std", not(target_arch = "wasm32")))]
impl System {
    pub(crate) fn new() -> System {
        System {
            #[cfg(feature = "scheduler")]
            spin: crate::spin::Spin::new(),
        }
    }
}

#[cfg(all(feature = "std", not(target_arch = "wasm32")))]
impl Platform for System {
    fn now(&self) -> Instant {
        Instant::from_nanos(crate::clock::now())
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        let sleep = || match until {
            // `park_timeout` may wake early or late; the caller looks at the clock again.
            Some(until) => std::thread::park_timeout(until - self.now()),
            None => std::thread::park(),
        };
        #[cfg(feature = "scheduler")]
        if let Some(runtime) = crate::runtime::existing() {
            self.spin.or_sleep(|| !runtime.inbox.is_empty(), sleep);
            return Ok(());
        }
        sleep();
        Ok(())
    }

    fn notifier(&self) -> Option<Notifier> {
        let thread = std::thread::current();
        Some(Arc::new(move || thread.unpark()))
    }
}

/// The wasm host, through the imports of module `windlass_host`.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
pub struct Host;

#[cfg(target_arch = "wasm32")]
impl Platform for Host {
    fn now(&self) -> Instant {
        Instant::from_nanos(crate::reactor::host::now() as u64)
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        let until = until.map_or(i64::MAX, as_host_time);
        if crate::reactor::host::wait(until) == 0 { Ok(()) } else { Err(MayNotBlock) }
    }

    fn wake_at(&self, until: Option<Instant>) {
        crate::reactor::host::wake_at(until.map_or(-1, as_host_time));
    }
}

#[cfg(target_arch = "wasm32")]
fn as_host_time(instant: Instant) -> i64 {
    instant.as_nanos().min(i64::MAX as u64) as i64
}
