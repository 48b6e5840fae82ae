//! A runtime's memory, as a program without a heap declares it.

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
use super::home::Content;
use crate::stacks;
use core::fmt;

/// Room for `TASKS` tasks at once, each with a stack of `STACK` bytes (rounded up to a multiple of 16).
///
/// A static, which [`Builder::fixed`](super::Builder::fixed) makes a runtime. The task that [`run`](crate::run) makes is one of the tasks. Before
/// it is used it has no content but zeros, so it takes no room in flash.
///
/// Where there is a heap, a memory has no size: its capacities hold, and the runtime has its tables and stacks from where it has them else. So
/// what is written for fixed memory is tested with guarded stacks on a larger machine.
///
/// # Examples
/// ```
/// use windlass::platform::{MayNotBlock, Platform};
/// use windlass::runtime::{Builder, Memory};
/// use windlass::{Instant, SpawnErrorKind};
///
/// struct Standstill;
///
/// impl Platform for Standstill {
///     fn now(&self) -> Instant {
///         Instant::from_nanos(0)
///     }
///
///     fn wait(&self, _: Option<Instant>) -> Result<(), MayNotBlock> {
///         Err(MayNotBlock)
///     }
/// }
///
/// static MEMORY: Memory<3, 16384> = Memory::new();
/// static CLOCK: Standstill = Standstill;
///
/// let runtime = Builder::fixed(&MEMORY, &CLOCK);
/// # #[cfg(feature = "std")]
/// runtime.install().unwrap(); // without `std`: unsafe { runtime.claim() }
/// windlass::run(|| {
///     let tasks = [1, 2].map(|n| windlass::spawn(move || n));
///     let refused = windlass::Builder::new().spawn(|| 3).unwrap_err();
///     assert_eq!(refused.kind, SpawnErrorKind::TooManyTasks);
///     assert_eq!(tasks.map(|task| task.join().unwrap()), [1, 2]);
///     assert_eq!(windlass::spawn(refused.closure).join().unwrap(), 3);
/// });
/// ```
pub struct Memory<const TASKS: usize, const STACK: usize> {
    #[cfg_attr(any(feature = "alloc", target_arch = "wasm32"), allow(dead_code, reason = "it is empty"))]
    pub(super) content: Content<TASKS, STACK>,
}

impl<const TASKS: usize, const STACK: usize> Memory<TASKS, STACK> {
    /// Returns memory that no runtime uses.
    ///
    /// Does not compile for no task at all, or with stacks that are too small for any: see [`stacks::SMALLEST_SIZE`].
    pub const fn new() -> Memory<TASKS, STACK> {
        const {
            assert!(
                TASKS > 0,
                "windlass: a `Memory` needs room for one task at least, the one that `run` makes"
            );
            assert!(
                STACK >= stacks::SMALLEST_SIZE,
                "windlass: the stacks of this `Memory` are too small for any task; see `stacks::SMALLEST_SIZE`"
            );
        }
        Memory { content: Content::new() }
    }
}

impl<const TASKS: usize, const STACK: usize> Default for Memory<TASKS, STACK> {
    fn default() -> Memory<TASKS, STACK> {
        Memory::new()
    }
}

impl<const TASKS: usize, const STACK: usize> fmt::Debug for Memory<TASKS, STACK> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("tasks", &TASKS).field("stack_size", &STACK).finish_non_exhaustive()
    }
}

/// Nothing: see [`Memory`].
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub(super) struct Content<const TASKS: usize, const STACK: usize>;

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl<const TASKS: usize, const STACK: usize> Content<TASKS, STACK> {
    pub(super) const fn new() -> Content<TASKS, STACK> {
        Content
    }
}
