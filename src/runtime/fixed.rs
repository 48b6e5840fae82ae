//! The runtime where there is no heap: it, its tables and its stacks lie in a [`Memory`] that the program declares.
//!
//! ```text
//!   static MEMORY: Memory<3, 1024>
//!   ┌─────────┬─────────┬─────────┬─────────┬─────────────────────────────────┐
//!   │ stack 0 │ stack 1 │ stack 2 │ Runtime │ blocks, ring, timers, host loops │
//!   └─────────┴─────────┴─────────┴─────────┴─────────────────────────────────┘
//!   low addresses; stacks grow down, so one that is too small writes into another stack or before `MEMORY`, not into the tables
//! ```
//!
//! `arch` keeps the pointer to the runtime. *All Zero*: before it is claimed, a memory has no content but zeros, so it takes no room in flash.

use super::{AlreadyInstalled, Memory, Runtime};
use crate::inbox::Inbox;
use crate::platform::Platform;
use crate::reactor::State;
use crate::run_queue::{Entry, RunQueue};
use crate::scheduler::{HostLoop, MAX_NESTING, Scheduler};
use crate::stacks::{StackMemory, fixed};
use crate::task::{TaskBlock, Tasks};
use crate::timer_queue::{Timer, TimerQueue};
use core::cell::{RefCell, UnsafeCell};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::{NonNull, slice_from_raw_parts};
use heapless::{Deque, Vec};

/// What a memory consists of.
#[repr(C)]
pub(super) struct Content<const TASKS: usize, const STACK: usize> {
    stacks: UnsafeCell<[MaybeUninit<Stack<STACK>>; TASKS]>,
    tables: UnsafeCell<MaybeUninit<Tables<TASKS>>>,
}

// SAFETY: it is used by whoever has claimed the program's runtime, and by that thread of execution only, as `claim` has it promised.
unsafe impl<const TASKS: usize, const STACK: usize> Sync for Content<TASKS, STACK> {}

/// The memory of one stack.
#[repr(C, align(16))]
struct Stack<const STACK: usize>([u8; STACK]);

/// All but the stacks.
struct Tables<const TASKS: usize> {
    runtime: Runtime,
    blocks: [MaybeUninit<TaskBlock>; TASKS],
    ready: Deque<Entry, TASKS>,
    timers: Vec<Timer, TASKS>,
    loops: Vec<HostLoop, MAX_NESTING>,
}

impl<const TASKS: usize, const STACK: usize> Content<TASKS, STACK> {
    pub(super) const fn new() -> Content<TASKS, STACK> {
        Content {
            stacks: UnsafeCell::new([const { MaybeUninit::uninit() }; TASKS]),
            tables: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

/// A memory of any size.
trait Room: Sync {
    /// Makes a runtime in it.
    ///
    /// # Safety
    /// No runtime has it, now or later.
    unsafe fn make(&'static self, platform: &'static dyn Platform) -> *mut Runtime;
}

impl<const TASKS: usize, const STACK: usize> Room for Memory<TASKS, STACK> {
    unsafe fn make(&'static self, platform: &'static dyn Platform) -> *mut Runtime {
        let tables = self.content.tables.get().cast::<Tables<TASKS>>();
        let stacks = self.content.stacks.get().cast::<Stack<STACK>>();
        let size = size_of::<Stack<STACK>>();
        // SAFETY: the memory is nobody's, by the caller's promise; each part is written before it is used, and from then on used through the
        // one pointer or reference that is made here.
        unsafe {
            let blocks = (&raw mut (*tables).blocks).cast::<TaskBlock>();
            for index in 0..TASKS {
                let stack = StackMemory::new(NonNull::new_unchecked(stacks.add(index)).cast(), size);
                fixed::paint(&stack);
                blocks.add(index).write(TaskBlock::of_table(index, stack));
            }
            (&raw mut (*tables).ready).write(Deque::new());
            (&raw mut (*tables).timers).write(Vec::new());
            (&raw mut (*tables).loops).write(Vec::new());
            let (ready, timers, loops) = (&mut (*tables).ready, &mut (*tables).timers, &mut (*tables).loops);
            let scheduler = Scheduler::over(
                RunQueue::over(ready.as_mut_view()),
                Tasks::over(&*slice_from_raw_parts(blocks, TASKS)),
                TimerQueue::over(timers.as_mut_view()),
                loops.as_mut_view(),
            );
            let runtime = &raw mut (*tables).runtime;
            runtime.write(Runtime {
                scheduler: UnsafeCell::new(scheduler),
                number: 1,
                inbox: Inbox,
                stack_size: size,
                platform,
                reactor: RefCell::new(State::new()),
            });
            runtime
        }
    }
}

/// Configures the program's runtime. [`Memory`] has an example.
pub struct Builder {
    memory: &'static dyn Room,
    platform: &'static dyn Platform,
}

impl Builder {
    /// Returns a runtime to be that lies in `memory`, with the clock and the way to wait of `platform`.
    pub fn fixed<const TASKS: usize, const STACK: usize>(
        memory: &'static Memory<TASKS, STACK>,
        platform: &'static dyn Platform,
    ) -> Builder {
        Builder { memory, platform }
    }

    /// Makes this the program's runtime.
    ///
    /// # Safety
    /// Nothing tells one thread from another here: from now on only one thread of execution uses this crate, but for what says that it may
    /// be called from any.
    ///
    /// No task ever needs more than its stack: an overflow is noticed when it has happened, if it changed the word at the stack's end.
    ///
    /// # Errors
    /// [`AlreadyInstalled`] if the program has one.
    pub unsafe fn claim(self) -> Result<(), AlreadyInstalled> {
        if existing().is_some() {
            return Err(AlreadyInstalled);
        }
        // SAFETY: the program has one runtime in its life, so no memory is used for two.
        let runtime = unsafe { self.memory.make(self.platform) };
        windlass_arch::set_runtime(runtime.cast());
        Ok(())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").finish_non_exhaustive()
    }
}

pub(crate) type SuppliedPlatform = &'static dyn Platform;

/// The program's runtime.
#[inline(always)]
#[track_caller]
pub(crate) fn current() -> &'static Runtime {
    match existing() {
        Some(runtime) => runtime,
        None => missing(),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn missing() -> ! {
    panic!(
        "windlass: no runtime; give the program memory and a clock with `runtime::Builder::fixed(..).claim()` before its first use"
    )
}

/// The program's runtime, if it has been claimed.
#[inline(always)]
pub(crate) fn existing() -> Option<&'static Runtime> {
    // SAFETY: null, or set by `claim`, and there as long as the program.
    unsafe { windlass_arch::runtime().cast::<Runtime>().as_ref() }
}
