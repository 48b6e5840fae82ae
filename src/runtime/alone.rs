//! The runtime where there is one thread and no end of it: wasm32 without atomics. A static, so nobody looks for it or makes it.
//!
//! What [`Builder`] supplies is kept in statics of its own: where nobody calls [`Builder::install`](super::Builder::install), the
//! compiler sees that they stay empty, and neither the calls through them nor the look at them are left.

use super::{AlreadyInstalled, Builder, Runtime};
#[cfg(any(feature = "scheduler", feature = "timers"))]
use crate::platform::MayNotBlock;
use crate::platform::{Host, Platform};
use crate::reactor::State;
use crate::time::Instant;
#[cfg(feature = "scheduler")]
use crate::{
    inbox::Inbox,
    scheduler::Scheduler,
    stacks::{self, StackCounts, StackError, StackMemory, StackProvider, heap::HeapStacks},
};
use alloc::boxed::Box;
use core::cell::{Cell, RefCell, UnsafeCell};

/// *One Thread*: there is no other one to share it with, and there are no interrupts.
struct Alone<T>(T);

// SAFETY: One Thread.
unsafe impl<T> Sync for Alone<T> {}

static RUNTIME: Alone<Runtime> = Alone(Runtime {
    number: 1,
    #[cfg(feature = "scheduler")]
    scheduler: UnsafeCell::new(Scheduler::new(usize::MAX)),
    #[cfg(feature = "scheduler")]
    stacks: RefCell::new(SuppliedStacks(HeapStacks::new())),
    #[cfg(feature = "scheduler")]
    inbox: Inbox,
    #[cfg(feature = "scheduler")]
    stack_size: Cell::new(stacks::DEFAULT_SIZE),
    platform: SuppliedPlatform,
    reactor: RefCell::new(State::new()),
});

/// Whether it is too late to install another one.
static USED: Alone<Cell<bool>> = Alone(Cell::new(false));
/// Set at most once, before the first use.
static PLATFORM: Alone<UnsafeCell<Option<Box<dyn Platform>>>> = Alone(UnsafeCell::new(None));
/// Set at most once, before the first use.
#[cfg(feature = "scheduler")]
static STACKS: Alone<UnsafeCell<Option<Box<dyn StackProvider>>>> = Alone(UnsafeCell::new(None));

/// Changes the runtime, unless it was used.
pub(super) fn install(builder: Builder) -> Result<(), AlreadyInstalled> {
    if USED.0.replace(true) {
        return Err(AlreadyInstalled);
    }
    if let Some(platform) = builder.platform {
        // SAFETY: before the first use nobody has a reference to it, and there is one installation.
        unsafe { *PLATFORM.0.get() = Some(platform) };
    }
    #[cfg(feature = "scheduler")]
    {
        if let Some(stacks) = builder.stacks {
            // SAFETY: as above.
            unsafe { *STACKS.0.get() = Some(stacks) };
        }
        let runtime = current();
        runtime.stack_size.set(builder.stack_size.unwrap_or(stacks::DEFAULT_SIZE));
        if let Some(most) = builder.max_tasks {
            super::set_max_tasks(most);
        }
    }
    Ok(())
}

/// The program's runtime.
#[inline(always)]
pub(crate) fn current() -> &'static Runtime {
    USED.0.set(true);
    &RUNTIME.0
}

/// The program's runtime; before its first use there is nothing in it.
#[inline(always)]
pub(crate) fn existing() -> Option<&'static Runtime> {
    Some(&RUNTIME.0)
}

/// The host, or what was installed in its place.
pub(crate) struct SuppliedPlatform;

impl SuppliedPlatform {
    fn installed(&self) -> Option<&'static dyn Platform> {
        // SAFETY: written before the first use only.
        unsafe { &*PLATFORM.0.get() }.as_deref()
    }

    pub(crate) fn now(&self) -> Instant {
        match self.installed() {
            Some(platform) => platform.now(),
            None => Host.now(),
        }
    }

    #[cfg(any(feature = "scheduler", feature = "timers"))]
    pub(crate) fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        match self.installed() {
            Some(platform) => platform.wait(until),
            None => Host.wait(until),
        }
    }

    #[cfg(feature = "asynchronous")]
    pub(crate) fn wake_at(&self, until: Option<Instant>) {
        match self.installed() {
            Some(platform) => platform.wake_at(until),
            None => Host.wake_at(until),
        }
    }
}

/// The global allocator's stacks, or what was installed in their place.
#[cfg(feature = "scheduler")]
pub(crate) struct SuppliedStacks(HeapStacks);

#[cfg(feature = "scheduler")]
impl SuppliedStacks {
    fn installed() -> Option<&'static mut dyn StackProvider> {
        // SAFETY: written before the first use only; the callers below hold the `RefCell` that guards the provider, and return no
        // part of it.
        unsafe { &mut *STACKS.0.get() }.as_deref_mut()
    }

    pub(crate) fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        match SuppliedStacks::installed() {
            Some(stacks) => stacks.acquire(size),
            None => self.0.acquire(size),
        }
    }

    pub(crate) fn trim(&mut self) {
        if let Some(stacks) = SuppliedStacks::installed() {
            stacks.trim();
        }
    }

    pub(crate) fn release(&mut self, stack: StackMemory) {
        match SuppliedStacks::installed() {
            Some(stacks) => stacks.release(stack),
            None => self.0.release(stack),
        }
    }

    pub(crate) fn counts(&self) -> StackCounts {
        // SAFETY: as in `installed`; nobody changes the provider meanwhile.
        match unsafe { &*STACKS.0.get() } {
            Some(stacks) => stacks.counts(),
            None => self.0.counts(),
        }
    }
}
