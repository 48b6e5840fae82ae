//! The runtime of a thread: scheduler, stacks, inbox, platform, reactor.
//!
//! With `std` each OS thread has its own, made on first use; without it the program has one. [`Builder::install`] comes first where a
//! setting matters. `runtime/threads.rs` finds it by a pointer; where wasm32 has no threads it is a static, in `runtime/alone.rs`.
//!
//! *One Runtime*: a thread has at most one in its life, so a handle never meets another one's tables.
//!
//! *Short Borrow*: `with` lends the scheduler to code that runs no user code, does not switch and does not call `with` again.
//!
//! Dropping a runtime (its thread ends) with suspended tasks keeps their stacks, because values on them may be borrowed, and says so
//! on standard error.
#![allow(unsafe_code, reason = "the runtime is reached through a raw pointer (Short Borrow)")]

#[cfg(all(any(feature = "alloc", target_arch = "wasm32"), not(feature = "scheduler")))]
use crate::platform::Platform;
use crate::reactor::State;
use crate::time::Instant;
#[cfg(feature = "scheduler")]
use crate::{inbox, scheduler::Scheduler, stacks::StackCounts};
#[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
use crate::{platform::Platform, stacks::StackProvider};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use alloc::boxed::Box;
#[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
use core::cell::Cell;
use core::cell::RefCell;
#[cfg(feature = "scheduler")]
use core::cell::UnsafeCell;
use core::fmt;

#[cfg(feature = "scheduler")]
mod memory;

#[cfg(all(target_arch = "wasm32", not(target_feature = "atomics")))]
#[path = "runtime/alone.rs"]
mod home;
#[cfg(all(feature = "alloc", not(all(target_arch = "wasm32", not(target_feature = "atomics")))))]
#[path = "runtime/threads.rs"]
mod home;
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
#[path = "runtime/fixed.rs"]
mod home;

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub use home::Builder;
pub(crate) use home::{current, existing};
#[cfg(feature = "scheduler")]
pub use memory::Memory;

/// All that a thread's tasks share.
#[repr(C)]
pub(crate) struct Runtime {
    /// First, so that its address is the runtime's.
    #[cfg(feature = "scheduler")]
    scheduler: UnsafeCell<Scheduler>,
    /// Different for each runtime of the program; never 0.
    pub(crate) number: usize,
    #[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
    pub(crate) stacks: RefCell<home::SuppliedStacks>,
    #[cfg(feature = "scheduler")]
    pub(crate) inbox: inbox::Shared,
    #[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
    pub(crate) stack_size: Cell<usize>,
    #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
    pub(crate) stack_size: usize,
    /// The pool's worker that this thread is.
    #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
    pub(crate) worker: core::cell::OnceCell<alloc::rc::Rc<crate::pool::Worker>>,
    pub(crate) platform: home::SuppliedPlatform,
    pub(crate) reactor: RefCell<State>,
}

/// Configures the calling thread's runtime before its first use.
///
/// # Examples
/// ```
/// windlass::runtime::Builder::new().stack_size(64 << 10).max_tasks(1000).install().unwrap();
/// assert_eq!(windlass::run(|| 6 * 7), 42);
/// ```
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
#[derive(Default)]
pub struct Builder {
    platform: Option<Box<dyn Platform>>,
    #[cfg(feature = "scheduler")]
    stacks: Option<Box<dyn StackProvider>>,
    #[cfg(feature = "scheduler")]
    stack_size: Option<usize>,
    #[cfg(feature = "scheduler")]
    max_tasks: Option<usize>,
}

/// The runtime exists already: it was installed before, or used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlreadyInstalled;

impl fmt::Display for AlreadyInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this thread has a runtime already; install one before its first use")
    }
}

impl core::error::Error for AlreadyInstalled {}

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl Builder {
    /// Returns the defaults of this platform.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Returns a runtime to be with the capacities of `memory`, and with the clock and the way to wait of `platform`.
    ///
    /// Without a heap it lies in that memory; see [`Memory`].
    #[cfg(feature = "scheduler")]
    pub fn fixed<const TASKS: usize, const STACK: usize>(
        _: &'static Memory<TASKS, STACK>,
        platform: &'static dyn Platform,
    ) -> Builder {
        Builder::new().platform(platform).max_tasks(TASKS).stack_size(STACK)
    }

    /// Sets the clock and the way to wait.
    #[must_use]
    pub fn platform(mut self, platform: impl Platform + 'static) -> Builder {
        self.platform = Some(Box::new(platform));
        self
    }

    /// Sets where stacks come from.
    ///
    /// # Safety
    /// An overflow of these stacks does no harm: they have a guard that faults (as those of `stacks::slab`), or the lowered code
    /// checks their limit (wasm32), or no task ever needs more than it has.
    #[cfg(feature = "scheduler")]
    #[must_use]
    pub unsafe fn stacks(mut self, stacks: impl StackProvider + 'static) -> Builder {
        self.stacks = Some(Box::new(stacks));
        self
    }

    /// Sets the stack size, in bytes, of tasks that do not choose one.
    #[cfg(feature = "scheduler")]
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets how many tasks may be alive at once.
    #[cfg(feature = "scheduler")]
    #[must_use]
    pub fn max_tasks(mut self, tasks: usize) -> Builder {
        self.max_tasks = Some(tasks);
        self
    }

    /// Makes this the calling thread's runtime.
    ///
    /// # Errors
    /// [`AlreadyInstalled`] if the thread has one.
    #[cfg(any(feature = "std", target_arch = "wasm32"))]
    pub fn install(self) -> Result<(), AlreadyInstalled> {
        home::install(self)
    }

    /// Makes this the program's runtime.
    ///
    /// # Safety
    /// Without `std` nothing tells one thread from another: from now on only one thread of execution uses this crate, but for what says
    /// that it may be called from any.
    ///
    /// # Errors
    /// [`AlreadyInstalled`] if the program has one.
    #[cfg(not(any(feature = "std", target_arch = "wasm32")))]
    pub unsafe fn claim(self) -> Result<(), AlreadyInstalled> {
        home::install(self)
    }
}

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

pub(crate) fn now() -> Instant {
    current().platform.now()
}

/// Lends the scheduler to `f`.
#[cfg(feature = "scheduler")]
#[inline(always)]
pub(crate) fn with<R>(f: impl FnOnce(&mut Scheduler) -> R) -> R {
    current().with(f)
}

/// The scheduler, for several uses in a row.
#[cfg(feature = "scheduler")]
#[inline(always)]
pub(crate) fn scheduler() -> *mut Scheduler {
    current().scheduler()
}

#[cfg(all(feature = "scheduler", feature = "alloc", not(target_arch = "wasm32")))]
impl Runtime {
    /// For `debugger.rs`.
    pub(crate) const SCHEDULER: usize = core::mem::offset_of!(Runtime, scheduler);
}

#[cfg(feature = "scheduler")]
impl Runtime {
    /// Lends the scheduler to `f`: Short Borrow.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut Scheduler) -> R) -> R {
        // SAFETY: Short Borrow; the runtime belongs to this thread.
        f(unsafe { &mut *self.scheduler.get() })
    }

    /// The scheduler, for several uses in a row: each is a Short Borrow.
    #[inline(always)]
    pub(crate) fn scheduler(&self) -> *mut Scheduler {
        self.scheduler.get()
    }
}

/// What a runtime holds at the moment.
#[cfg(feature = "scheduler")]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Tasks that have not finished, or whose result nobody has taken or dropped yet.
    pub tasks: usize,
    /// Stacks in use and in the pool.
    pub stacks: StackCounts,
    /// How often a task was continued so far, or went on because nobody else was ready when it yielded.
    pub switches: u64,
}

/// Returns what the calling thread's runtime holds.
///
/// # Context
/// Any but interrupts.
#[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
pub fn stats() -> Stats {
    let (tasks, kept, switches) =
        with(|scheduler| (scheduler.tasks.alive(), scheduler.tasks.stacks(), scheduler.switches()));
    let StackCounts { in_use, pooled } = current().stacks.borrow().counts();
    // What a free task block has kept is not in use, though the provider thinks so.
    Stats {
        tasks,
        stacks: StackCounts { in_use: in_use.saturating_sub(kept), pooled: pooled + kept },
        switches,
    }
}

/// Returns what the program's runtime holds.
///
/// # Context
/// Any but interrupts.
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub fn stats() -> Stats {
    with(|scheduler| {
        let tasks = scheduler.tasks.alive();
        let stacks = StackCounts { in_use: tasks, pooled: scheduler.tasks.capacity() - tasks };
        Stats { tasks, stacks, switches: scheduler.switches() }
    })
}

/// Returns how many bytes of a stack any task has used at most so far, of those that are over, too. Looks at all stacks.
///
/// # Context
/// Any but interrupts.
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub fn stack_high_water() -> usize {
    with(|scheduler| scheduler.tasks.stack_high_water())
}

/// Sets the stack size, in bytes, of later tasks that do not choose one: in a reactor, of its calls.
///
/// # Context
/// Task or host; in a reactor's init it is in time for the first call.
#[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
pub fn set_stack_size(bytes: usize) {
    if current().stack_size.replace(bytes) != bytes {
        with(|scheduler| scheduler.tasks.forget_usual());
    }
}

/// Gives back what is kept for later tasks: pooled stacks, to the system as far as their provider can, and the tables' memory for tasks that
/// are gone.
///
/// Most of a peak's stacks go back by themselves. Takes time in proportion to the largest number of tasks there was.
///
/// # Context
/// Task or host.
#[cfg(all(any(feature = "alloc", target_arch = "wasm32"), feature = "scheduler"))]
pub fn trim() {
    with(|scheduler| scheduler.tasks.keep_none());
    crate::dispatcher::release_stacks();
    current().stacks.borrow_mut().trim();
    with(|scheduler| scheduler.shrink());
}

/// Limits how many tasks may be alive at once from now on; those that are alive stay.
#[cfg(feature = "scheduler")]
pub fn set_max_tasks(tasks: usize) {
    with(|scheduler| scheduler.set_most_tasks(tasks));
}

/// Id, name, size and limit of the running task's stack; for the signal handler, so it takes no lock and allocates nothing.
#[cfg(all(feature = "scheduler", feature = "std", unix))]
pub(crate) fn running_stack() -> Option<(crate::task::TaskId, Option<&'static str>, usize, usize)> {
    let runtime = existing()?;
    // SAFETY: the fault came out of a task's own frames, where nobody borrows the scheduler for writing.
    let scheduler = unsafe { &*runtime.scheduler.get() };
    // SAFETY: the handler runs on the runtime's own thread, so the runtime is there until the handler has returned.
    let me = unsafe { scheduler.running()?.block() };
    let stack = me.stack()?;
    Some((me.id(), me.name().map(|name| name.as_str()), stack.size(), stack.limit() as usize))
}
