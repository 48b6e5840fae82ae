//! A runtime for each thread, made on first use; without `std` one for the program, made likewise or by
//! `Builder::claim`.
//!
//! `arch` keeps the pointer to it; nothing caches that pointer across a switch. Once the thread is ending there is no runtime, for
//! thread-local destructors that run later (*One Runtime*).

use super::{AlreadyInstalled, Builder, Runtime};
use crate::atomics::{AtomicUsize, Ordering};
use crate::platform::Platform;
use crate::reactor::State;
#[cfg(feature = "scheduler")]
use crate::{
    inbox::Inbox,
    scheduler::Scheduler,
    stacks::{self, StackProvider},
};
use alloc::boxed::Box;
use core::cell::RefCell;
#[cfg(feature = "scheduler")]
use core::cell::{Cell, UnsafeCell};

pub(crate) type SuppliedPlatform = Box<dyn Platform>;
#[cfg(feature = "scheduler")]
pub(crate) type SuppliedStacks = Box<dyn StackProvider>;

/// Makes the calling thread's runtime.
pub(super) fn install(builder: Builder) -> Result<(), AlreadyInstalled> {
    refuse_ending_thread();
    if !word::get().is_null() {
        return Err(AlreadyInstalled);
    }
    let platform = builder.platform.unwrap_or_else(default_platform);
    #[cfg(all(feature = "scheduler", feature = "std"))]
    let notify = platform.notifier().map(|notifier| -> crate::inbox::Notify { Box::new(move || notifier()) });
    #[cfg(all(feature = "scheduler", not(feature = "std")))]
    let notify = None;
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let runtime = Box::new(Runtime {
        number: LAST.fetch_add(1, Ordering::Relaxed) + 1,
        #[cfg(feature = "scheduler")]
        scheduler: UnsafeCell::new(Scheduler::new(builder.max_tasks.unwrap_or(usize::MAX))),
        #[cfg(feature = "scheduler")]
        stacks: RefCell::new(builder.stacks.unwrap_or_else(stacks::default_provider)),
        #[cfg(feature = "scheduler")]
        inbox: Inbox::new(notify),
        #[cfg(feature = "scheduler")]
        stack_size: Cell::new(builder.stack_size.unwrap_or(stacks::DEFAULT_SIZE)),
        #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
        worker: core::cell::OnceCell::new(),
        platform,
        reactor: RefCell::new(State::new()),
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
#[inline(always)]
pub(crate) fn current() -> &'static Runtime {
    let runtime = word::get();
    if runtime.addr() <= GONE.addr() {
        return first_use();
    }
    // SAFETY: set by `install`, alive until the thread's last destructors run; callers keep no reference beyond their call.
    unsafe { &*runtime }
}

#[cold]
#[inline(never)]
fn first_use() -> &'static Runtime {
    // Cannot fail: the word is null. (Where there is no default platform this is the named panic.)
    let _ = install(Builder::new());
    // SAFETY: as in `current`.
    unsafe { &*word::get() }
}

/// The calling thread's runtime, if it has one.
#[inline(always)]
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

/// Where the pointer to the runtime is kept: in `arch`, which hands it to each thread of the threads backend.
#[cfg(feature = "scheduler")]
mod word {
    use super::Runtime;

    #[inline(always)]
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
    use crate::task_list::Report;
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
                if scheduler.tasks.iter().next().is_some() {
                    // After `exit` that is what was asked for.
                    if scheduler.ended.is_none() {
                        std::eprintln!(
                            "windlass: a thread ended with tasks that have not finished (join those that must); their stacks are kept\n{}",
                            Report { scheduler, most: 20 }
                        );
                    }
                    return;
                }
                if scheduler.tasks.alive() > 0 {
                    // Somebody has a handle of a task that has finished, and may want its result yet.
                    return;
                }
                // SAFETY: as above, and no task is left.
                let (tasks, stacks) =
                    unsafe { (&mut (*(*runtime).scheduler.get()).tasks, &(*runtime).stacks) };
                tasks.forget_usual();
                while let Some(stack) = tasks.take_surplus() {
                    stacks.borrow_mut().release(stack);
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
