//! Guarded stacks from chunks of address space (unix).
//!
//! ```text
//!   chunk:  │ guard │ stack 0 │ guard │ stack 1 │ ... │ guard │ stack n-1 │     one mapping
//! ```
//!
//! A guard page is installed with `MADV_GUARD_INSTALL` where the kernel has it (Linux 6.13): the mapping stays one, and the number of
//! tasks is limited by memory only. Elsewhere it is `mprotect`, which costs two mappings a stack out of `vm.max_map_count` (65,530 by
//! default): after a budget of [`MPROTECT_BUDGET`] guards in the process, `acquire` fails rather than to let `malloc` fail.
//!
//! A chunk is given back when its provider is dropped with all stacks returned; else it stays mapped, because somebody may still
//! point into it.
#![allow(unsafe_code, reason = "maps memory")]

use super::{StackCounts, StackError, StackMemory, StackProvider};
use alloc::vec::Vec;
use core::ffi::c_void;
use core::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many guards may be made with `mprotect` in one process.
pub const MPROTECT_BUDGET: usize = 24_000;

/// Linux 6.13, `asm-generic/mman-common.h`; the libc crate has no name for it on every target.
const MADV_GUARD_INSTALL: i32 = 102;

const FIRST_CHUNK: usize = 16;
const LARGEST_CHUNK: usize = 1024;

static MPROTECTED: AtomicUsize = AtomicUsize::new(0);
static MADVISE_WORKS: AtomicBool = AtomicBool::new(cfg!(any(target_os = "linux", target_os = "android")));

/// Guarded stacks.
#[derive(Debug)]
pub struct SlabStacks {
    page: usize,
    classes: Vec<Class>,
    in_use: usize,
}

#[derive(Debug)]
struct Class {
    /// Usable bytes of a stack; a multiple of the page size.
    size: usize,
    chunks: Vec<Chunk>,
    /// Limits of the stacks to hand out, last in, first out. Has room for every stack of the class.
    pool: Vec<NonNull<u8>>,
}

#[derive(Debug)]
struct Chunk {
    start: NonNull<u8>,
    slots: usize,
    /// Slots that have been given a guard and handed out at least once.
    carved: usize,
    mprotected: usize,
}

impl Default for SlabStacks {
    fn default() -> SlabStacks {
        SlabStacks::new()
    }
}

impl SlabStacks {
    /// Returns a provider that has mapped nothing yet; the first one in the process installs the handler that reports an overflow.
    pub fn new() -> SlabStacks {
        super::overflow::install_handler();
        // SAFETY: `sysconf` has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        SlabStacks { page: usize::try_from(page).unwrap_or(4096), classes: Vec::new(), in_use: 0 }
    }
}

impl Class {
    fn new(size: usize) -> Class {
        Class { size, chunks: Vec::new(), pool: Vec::new() }
    }

    /// Takes a stack that was never used out of the newest chunk.
    fn carve(&mut self, page: usize) -> Result<NonNull<u8>, StackError> {
        if self.chunks.last().is_none_or(|chunk| chunk.carved == chunk.slots) {
            self.grow(page)?;
        }
        let slot = self.size + page;
        let chunk = self.chunks.last_mut().ok_or(StackError::OutOfMemory)?;
        // SAFETY: `carved < slots`, so the slot lies in the mapping.
        let guard = unsafe { chunk.start.add(chunk.carved * slot) };
        install_guard(guard, page, &mut chunk.mprotected)?;
        chunk.carved += 1;
        // SAFETY: as above; the stack follows its guard.
        Ok(unsafe { guard.add(page) })
    }

    fn grow(&mut self, page: usize) -> Result<(), StackError> {
        let slots = self.chunks.last().map_or(FIRST_CHUNK, |chunk| (chunk.slots * 2).min(LARGEST_CHUNK));
        // A few huge stacks must not reserve a thousand times their size.
        let slots = slots.min(((1usize << 31) / self.size).max(1));
        let stacks = self.chunks.iter().map(|chunk| chunk.slots).sum::<usize>() + slots;
        let no_memory = |_| StackError::OutOfMemory;
        self.pool.try_reserve(stacks - self.pool.len()).map_err(no_memory)?;
        self.chunks.try_reserve(1).map_err(no_memory)?;
        let length = (self.size + page).checked_mul(slots).ok_or(StackError::OutOfMemory)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping touches no existing memory.
        let start =
            unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(StackError::OutOfMemory);
        }
        let start = NonNull::new(start.cast()).ok_or(StackError::OutOfMemory)?;
        self.chunks.push(Chunk { start, slots, carved: 0, mprotected: 0 });
        Ok(())
    }
}

fn install_guard(guard: NonNull<u8>, page: usize, mprotected: &mut usize) -> Result<(), StackError> {
    let address: *mut c_void = guard.as_ptr().cast();
    if MADVISE_WORKS.load(Ordering::Relaxed) {
        // SAFETY: the page lies in a mapping of ours and nothing uses it.
        if unsafe { libc::madvise(address, page, MADV_GUARD_INSTALL) } == 0 {
            return Ok(());
        }
        MADVISE_WORKS.store(false, Ordering::Relaxed);
    }
    if MPROTECTED.fetch_add(1, Ordering::Relaxed) >= MPROTECT_BUDGET {
        MPROTECTED.fetch_sub(1, Ordering::Relaxed);
        return Err(StackError::TooManyGuards);
    }
    *mprotected += 1;
    // SAFETY: as above.
    match unsafe { libc::mprotect(address, page, libc::PROT_NONE) } {
        0 => Ok(()),
        _ => Err(StackError::TooManyGuards),
    }
}

// SAFETY: each stack is a slot of a private mapping, handed to one caller at a time; its ends are multiples of the page size.
unsafe impl StackProvider for SlabStacks {
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        let size = size.max(1).next_multiple_of(self.page);
        let class = match self.classes.iter().position(|class| class.size == size) {
            Some(index) => &mut self.classes[index],
            None => {
                self.classes.try_reserve(1).map_err(|_| StackError::OutOfMemory)?;
                self.classes.push(Class::new(size));
                let last = self.classes.len() - 1;
                &mut self.classes[last]
            }
        };
        let limit = match class.pool.pop() {
            Some(limit) => limit,
            None => class.carve(self.page)?,
        };
        self.in_use += 1;
        Ok(StackMemory::new(limit, size))
    }

    fn release(&mut self, stack: StackMemory) {
        self.in_use -= 1;
        if let Some(class) = self.classes.iter_mut().find(|class| class.size == stack.size()) {
            class.pool.push(stack.limit);
        }
    }

    fn counts(&self) -> StackCounts {
        StackCounts { in_use: self.in_use, pooled: self.classes.iter().map(|class| class.pool.len()).sum() }
    }
}

impl Drop for SlabStacks {
    fn drop(&mut self) {
        if self.in_use > 0 {
            return;
        }
        for class in &self.classes {
            for chunk in &class.chunks {
                MPROTECTED.fetch_sub(chunk.mprotected, Ordering::Relaxed);
                // SAFETY: a mapping of ours of this length; no stack in it is in use.
                unsafe { libc::munmap(chunk.start.as_ptr().cast(), (class.size + self.page) * chunk.slots) };
            }
        }
    }
}
