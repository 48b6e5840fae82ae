//! The runtime of a thread: scheduler, stacks, inbox, platform, reactor.
//!
//! With `std` each OS thread has its own, made on first use; without it the program has one. [`Builder::install`] comes first where a
//! setting matters. `arch` keeps the pointer to it; nothing caches that pointer across a switch.
//!
//! *One Runtime*: a thread has at most one in its life, so a handle never meets another one's tables. Once the thread is ending there is
//! none, for thread-local destructors that run later.
//!
//! *Short Borrow*: `with` lends the scheduler to code that runs no user code, does not switch and does not call `with` again.
//!
//! Dropping a runtime (its thread ends) with suspended tasks keeps their stacks, because values on them may be borrowed, and says so
//! on standard error.
#![allow(unsafe_code, reason = "the runtime is reached through a raw pointer (Short Borrow)")]

use crate::platform::Platform;
use crate::reactor::State;
use crate::time::Instant;
#[cfg(feature = "scheduler")]
use crate::{
    inbox::Inbox,
    scheduler::Scheduler,
    stacks::{self, StackCounts, StackProvider},
};
use alloc::boxed::Box;
#[cfg(feature = "scheduler")]
use alloc::sync::Arc;
use core::cell::RefCell;
#[cfg(feature = "scheduler")]
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

/// All that a thread's tasks share.
pub(crate) struct Runtime {
    /// Different for each runtime of the program; never 0.
    pub(crate) number: usize,
    #[cfg(feature = "scheduler")]
    scheduler: UnsafeCell<Scheduler>,
    #[cfg(feature = "scheduler")]
    pub(crate) stacks: RefCell<Box<dyn StackProvider>>,
    #[cfg(feature = "scheduler")]
    pub(crate) inbox: Arc<Inbox>,
    #[cfg(feature = "scheduler")]
    pub(crate) stack_size: Cell<usize>,
    #[cfg(feature = "scheduler")]
    pub(crate) max_tasks: Cell<usize>,
    pub(crate) platform: Box<dyn Platform>,
    pub(crate) reactor: RefCell<State>,
}

/// Configures the calling thread's runtime before its first use.
///
/// # Examples
/// ```
/// windlass::runtime::Builder::new().stack_size(64 << 10).max_tasks(1000).install().unwrap();
/// assert_eq!(windlass::run(|| 6 * 7), 42);
/// ```
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

impl Builder {
    /// Returns the defaults of this platform.
    pub fn new() -> Builder {
        Builder::default()
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
        self.make_current()
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
        self.make_current()
    }

    fn make_current(self) -> Result<(), AlreadyInstalled> {
        refuse_ending_thread();
        if !word::get().is_null() {
            return Err(AlreadyInstalled);
        }
        let platform = self.platform.unwrap_or_else(default_platform);
        #[cfg(all(feature = "scheduler", feature = "std"))]
        let notify =
            platform.notifier().map(|notifier| -> crate::inbox::Notify { Box::new(move || notifier()) });
        #[cfg(all(feature = "scheduler", not(feature = "std")))]
        let notify = None;
        static LAST: AtomicUsize = AtomicUsize::new(0);
        let runtime = Box::new(Runtime {
            number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
            #[cfg(feature = "scheduler")]
            scheduler: UnsafeCell::new(Scheduler::new()),
            #[cfg(feature = "scheduler")]
            stacks: RefCell::new(self.stacks.unwrap_or_else(stacks::default_provider)),
            #[cfg(feature = "scheduler")]
            inbox: Inbox::new(notify),
            #[cfg(feature = "scheduler")]
            stack_size: Cell::new(self.stack_size.unwrap_or(stacks::DEFAULT_SIZE)),
            #[cfg(feature = "scheduler")]
            max_tasks: Cell::new(self.max_tasks.unwrap_or(usize::MAX)),
            platform,
            reactor: RefCell::new(State::default()),
        });
        // The platform is the user's code, which may have used this thread's runtime and so made it: *One Runtime*.
        if !word::get().is_null() {
            return Err(AlreadyInstalled);
        }
        let runtime = Box::into_raw(runtime);
        owner::note(runtime);
        word::set(runtime);
        #[cfg(all(feature = "scheduler", feature = "std", panic = "abort", not(target_arch = "wasm32")))]
        crate::spawn::name_panicking_tasks();
        Ok(())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

#[cfg(target_arch = "wasm32")]
fn default_platform() -> Box<dyn Platform> {
    Box::new(crate::platform::Host)
}

#[cfg(all(feature = "std", not(target_arch = "wasm32")))]
fn default_platform() -> Box<dyn Platform> {
    Box::new(crate::platform::System::new())
}

#[cfg(not(any(feature = "std", target_arch = "wasm32")))]
fn default_platform() -> Box<dyn Platform> {
    panic!(
        "windlass: no platform; give this runtime a clock with `runtime::Builder::platform` before its first use"
    )
}

/// The calling thread's runtime, made now if there is none.
#[inline]
pub(crate) fn current() -> &'static Runtime {
    let runtime = word::get();
    if runtime.addr() <= GONE.addr() {
        return first_use();
    }
    // SAFETY: set by `install`, alive until the thread's last destructors run; callers keep no reference beyond their call.
    unsafe { &*runtime }
}

#[cold]
fn first_use() -> &'static Runtime {
    // Cannot fail: the word is null. (Where there is no default platform this is the named panic.)
    let _ = Builder::new().make_current();
    // SAFETY: as in `current`.
    unsafe { &*word::get() }
}

/// The calling thread's runtime, if it has one.
pub(crate) fn existing() -> Option<&'static Runtime> {
    let runtime = word::get();
    // SAFETY: as in `current`.
    (runtime.addr() > GONE.addr()).then(|| unsafe { &*runtime })
}

/// In the place of a runtime whose thread is ending (*One Runtime*).
const GONE: *mut Runtime = core::ptr::without_provenance_mut(1);

#[track_caller]
fn refuse_ending_thread() {
    assert!(
        word::get() != GONE,
        "windlass: this thread is ending and its runtime is gone; do not use tasks in destructors"
    );
}

pub(crate) fn now() -> Instant {
    current().platform.now()
}

/// Lends the scheduler to `f`.
#[cfg(feature = "scheduler")]
#[inline]
pub(crate) fn with<R>(f: impl FnOnce(&mut Scheduler) -> R) -> R {
    // SAFETY: Short Borrow; the runtime belongs to this thread.
    f(unsafe { &mut *current().scheduler.get() })
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
    /// How often a task was continued so far.
    pub switches: u64,
}

/// Returns what the calling thread's runtime holds.
///
/// # Context
/// Any but interrupts.
#[cfg(feature = "scheduler")]
pub fn stats() -> Stats {
    let (tasks, switches) = with(|scheduler| (scheduler.tasks.alive(), scheduler.switches()));
    Stats { tasks, stacks: current().stacks.borrow().counts(), switches }
}

/// Sets the stack size, in bytes, of later tasks that do not choose one: in a reactor, of its calls.
///
/// # Context
/// Task or host; in a reactor's init it is in time for the first call.
#[cfg(feature = "scheduler")]
pub fn set_stack_size(bytes: usize) {
    current().stack_size.set(bytes);
}

/// Limits how many tasks may be alive at once from now on; those that are alive stay.
#[cfg(feature = "scheduler")]
pub fn set_max_tasks(tasks: usize) {
    current().max_tasks.set(tasks);
}

/// Id, name, size and limit of the running task's stack; for the signal handler, so it takes no lock and allocates nothing.
#[cfg(all(feature = "scheduler", feature = "std", unix))]
pub(crate) fn running_stack() -> Option<(crate::task::TaskId, Option<&'static str>, usize, usize)> {
    let runtime = existing()?;
    // SAFETY: the fault came out of a task's own frames, where nobody borrows the scheduler for writing.
    let scheduler = unsafe { &*runtime.scheduler.get() };
    let slot = scheduler.running()?;
    let block = &scheduler.tasks[slot];
    let stack = block.stack.as_ref()?;
    Some((scheduler.tasks.id(slot), block.name.as_deref(), stack.size(), stack.limit() as usize))
}

/// Where the pointer to the runtime is kept: in `arch`, which hands it to each thread of the threads backend.
#[cfg(feature = "scheduler")]
mod word {
    use super::Runtime;

    #[inline]
    pub(super) fn get() -> *mut Runtime {
        windlass_arch::runtime().cast()
    }

    pub(super) fn set(runtime: *mut Runtime) {
        windlass_arch::set_runtime(runtime.cast());
    }
}

/// Where the pointer to the runtime is kept.
#[cfg(all(not(feature = "scheduler"), feature = "std"))]
mod word {
    use super::Runtime;
    use core::cell::Cell;

    std::thread_local! {
        static RUNTIME: Cell<*mut Runtime> = const { Cell::new(core::ptr::null_mut()) };
    }

    pub(super) fn get() -> *mut Runtime {
        RUNTIME.get()
    }

    pub(super) fn set(runtime: *mut Runtime) {
        RUNTIME.set(runtime);
    }
}

/// Where the pointer to the runtime is kept.
#[cfg(all(not(feature = "scheduler"), not(feature = "std")))]
mod word {
    use super::Runtime;
    use core::sync::atomic::{AtomicPtr, Ordering};

    static RUNTIME: AtomicPtr<Runtime> = AtomicPtr::new(core::ptr::null_mut());

    pub(super) fn get() -> *mut Runtime {
        RUNTIME.load(Ordering::Relaxed)
    }

    pub(super) fn set(runtime: *mut Runtime) {
        RUNTIME.store(runtime, Ordering::Relaxed);
    }
}

/// Drops the runtime when its thread ends.
#[cfg(feature = "std")]
mod owner {
    use super::{GONE, Runtime, word};
    #[cfg(feature = "scheduler")]
    use crate::{scheduler::Report, task::State};
    use alloc::boxed::Box;
    use core::cell::Cell;
    use core::ptr;

    struct Owner(Cell<*mut Runtime>);

    std::thread_local! {
        static OWNER: Owner = const { Owner(Cell::new(ptr::null_mut())) };
    }

    pub(super) fn note(runtime: *mut Runtime) {
        let noted = OWNER.try_with(|owner| owner.0.set(runtime));
        assert!(noted.is_ok(), "windlass: this thread is ending; do not use tasks in destructors");
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            let runtime = self.0.get();
            // A destructor that runs later must find no runtime: neither what is being dropped nor a new one.
            word::set(GONE);
            if runtime.is_null() {
                return;
            }
            #[cfg(feature = "scheduler")]
            {
                // SAFETY: the runtime was made by `install`.
                unsafe { &*runtime }.inbox.close();
                // SAFETY: the thread is ending; nobody borrows the scheduler.
                let scheduler = unsafe { &*(*runtime).scheduler.get() };
                if scheduler.tasks.iter().any(|(_, block)| block.state != State::Exited) {
                    // After `exit` that is what was asked for.
                    if scheduler.ended.is_none() {
                        std::eprintln!(
                            "windlass: a thread ended with tasks that have not finished (join those that must); their stacks are kept\n{}",
                            Report { scheduler, most: 20 }
                        );
                    }
                    return;
                }
            }
            // SAFETY: made by `Box::into_raw` in `install`; no task is left that could use it.
            drop(unsafe { Box::from_raw(runtime) });
        }
    }
}

/// Without threads that end, a runtime lives as long as the program.
#[cfg(not(feature = "std"))]
mod owner {
    pub(super) fn note(_: *mut super::Runtime) {}
}
