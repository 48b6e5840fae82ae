//! Where stacks come from.
//!
//! A [`StackProvider`] hands out stacks and takes them back; it pools them, last in, first out, so that a new task gets warm memory.
//! On `std` and unix it is [`slab`]: one range of address space for each size, a guard page below each stack. On Windows it is `virtual_alloc`:
//! pages from the system for each stack, with a guard page, too. Elsewhere it is [`heap`]: the global allocator; without one, a
//! [`runtime::Memory`](crate::runtime::Memory). [`runtime::Builder::stacks`](crate::runtime::Builder::stacks) puts another in their place.
//!
//! ```text
//!           limit                                                      base
//!     │ guard │ context ─────► free ◄──────── grows down ── frames │ closure or result │
//!     (slab)    (wasm32)                                             (Packet, spawn.rs)
//! ```
#![allow(unsafe_code, reason = "a stack provider promises memory; unsafe trait")]

use core::ptr::NonNull;

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub(crate) mod fixed;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub mod heap;
#[cfg(all(feature = "std", unix))]
mod high_water;
#[cfg(all(feature = "std", unix))]
mod overflow;
#[cfg(all(feature = "std", unix))]
mod pages;
#[cfg(all(feature = "std", unix))]
pub mod slab;
#[cfg(all(feature = "std", unix))]
mod valgrind;
#[cfg(all(feature = "std", windows))]
pub mod virtual_alloc;

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub(crate) use fixed::high_water;
#[cfg(all(feature = "std", unix))]
pub(crate) use high_water::high_water;
#[cfg(all(feature = "std", unix))]
pub(crate) use pages::want_huge_pages;

/// The largest stack size that can be asked for, in bytes: 1 GiB, or 256 MiB where pointers have 32 bits.
pub const MAX_SIZE: usize = if usize::BITS > 32 { 1 << 30 } else { 1 << 28 };

/// The stack size of a task that does not choose one, in bytes.
///
/// On `std` 256 KiB of address space, of which only touched pages take memory; on wasm32 16 KiB of shadow stack; elsewhere 8 KiB.
pub const DEFAULT_SIZE: usize = if cfg!(target_arch = "wasm32") {
    16 << 10
} else if cfg!(feature = "std") {
    256 << 10
} else {
    8 << 10
};

/// The smallest stack size that any task can do with, in bytes; each closure and its result come on top.
pub const SMALLEST_SIZE: usize = windlass_arch::STACK_MIN + windlass_arch::STACK_ALIGN;

/// Memory for one stack.
#[derive(Debug)]
pub struct StackMemory {
    /// Not the limit: a task's closure and result are below the base.
    base: NonNull<u8>,
    size: usize,
    #[cfg(all(feature = "std", unix))]
    home: Home,
}

/// Where [`slab`] puts a stack that is given back: a provider's number, 0 for others, above the index of a class.
#[cfg(all(feature = "std", unix))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Home(u64);

#[cfg(all(feature = "std", unix))]
impl Home {
    const ELSEWHERE: Home = Home::new(0, 0);

    const fn new(provider: u32, class: u32) -> Home {
        Home((provider as u64) << 32 | class as u64)
    }

    fn class(self) -> usize {
        self.0 as u32 as usize
    }
}

#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
impl StackMemory {
    /// For `debugger.rs`: base, size.
    pub(crate) const FIELDS: [usize; 2] =
        [core::mem::offset_of!(StackMemory, base), core::mem::offset_of!(StackMemory, size)];
}

impl StackMemory {
    /// Describes the stack `[limit, limit + size)`.
    ///
    /// # Panics
    /// If it would end at address 0.
    #[inline]
    pub fn new(limit: NonNull<u8>, size: usize) -> StackMemory {
        StackMemory {
            base: NonNull::new(limit.as_ptr().wrapping_add(size)).expect("no stack ends at address 0"),
            size,
            #[cfg(all(feature = "std", unix))]
            home: Home::ELSEWHERE,
        }
    }

    /// Returns the low end, which the stack grows towards.
    pub fn limit(&self) -> *mut u8 {
        self.base.as_ptr().wrapping_sub(self.size)
    }

    /// The limit, of a stack that there is.
    #[cfg(all(feature = "std", unix))]
    #[inline(always)]
    fn low(&self) -> NonNull<u8> {
        // SAFETY: both ends are of one piece of memory.
        unsafe { self.base.sub(self.size) }
    }

    /// Returns the high end.
    pub fn base(&self) -> *mut u8 {
        self.base.as_ptr()
    }

    /// Returns the size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// Why a provider has no stack to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum StackError {
    /// No memory.
    OutOfMemory,
    /// The system's limit on guarded stacks is reached.
    TooManyGuards,
}

impl core::fmt::Display for StackError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            StackError::OutOfMemory => "no memory for a stack",
            StackError::TooManyGuards => "no more guard pages",
        })
    }
}

impl core::error::Error for StackError {}

/// How many stacks a provider has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StackCounts {
    /// Handed out and not yet given back.
    pub in_use: usize,
    /// Kept for the next task.
    pub pooled: usize,
}

/// Hands out stacks.
///
/// # Safety
/// The memory of an acquired stack is readable and writable, used by nobody else until it is released, at least `size` bytes long,
/// and both its ends are multiples of 16.
pub unsafe trait StackProvider {
    /// Returns a stack of at least `size` bytes.
    ///
    /// # Errors
    /// A [`StackError`] if there is none.
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError>;

    /// Returns a stack of at least `size` bytes that need not have a guard: an overflow of it may write to other memory. From a size
    /// of 1 KiB on it takes no more memory than it has to.
    ///
    /// The provider may keep a word of its own at the limit, to see at the release whether it was overwritten.
    ///
    /// # Errors
    /// A [`StackError`] if there is none.
    fn acquire_unguarded(&mut self, size: usize) -> Result<StackMemory, StackError> {
        self.acquire(size)
    }

    /// Takes a stack back that this provider handed out. It may still be in use until the next call of the provider.
    fn release(&mut self, stack: StackMemory);

    /// Gives the memory of all pooled stacks back to the system, as far as the provider can.
    fn trim(&mut self) {}

    /// Returns how many stacks are in use and in the pool.
    fn counts(&self) -> StackCounts;
}

/// The provider of this platform.
#[cfg(all(feature = "std", unix))]
pub(crate) fn default_provider() -> alloc::boxed::Box<dyn StackProvider> {
    alloc::boxed::Box::new(slab::SlabStacks::new())
}

/// The provider of this platform.
#[cfg(all(feature = "std", windows))]
pub(crate) fn default_provider() -> alloc::boxed::Box<dyn StackProvider> {
    alloc::boxed::Box::new(virtual_alloc::VirtualStacks::new())
}

/// The provider of this platform.
#[cfg(all(
    feature = "alloc",
    not(any(
        all(feature = "std", any(unix, windows)),
        all(target_arch = "wasm32", not(target_feature = "atomics"))
    ))
))]
pub(crate) fn default_provider() -> alloc::boxed::Box<dyn StackProvider> {
    alloc::boxed::Box::new(heap::HeapStacks::new())
}
