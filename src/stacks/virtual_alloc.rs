//! Stacks from the system's pages, with a guard below each, pooled by size (Windows).
//!
//! ```text
//!   VirtualAlloc ─► │ guard: no access │ stack: readable, writable │
//!                                    limit                       base
//! ```
//!
//! All of a stack is committed when it is made: it counts against the system's limit on memory, but takes none where nothing was touched. (To let the
//! system commit page by page, it would have to move the limit that the thread's block names; of a task that does not run, that is kept
//! on its stack.) The pool is last in, first out for each size.
//!
//! An overflow touches the guard, and the access violation ends the process. Nothing names the task yet.
#![allow(unsafe_code, reason = "allocates pages")]

use super::{StackCounts, StackError, StackMemory, StackProvider};
use alloc::vec::Vec;
use core::ptr::{self, NonNull};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
    VirtualProtect,
};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};

/// Stacks with guards.
#[derive(Debug)]
pub struct VirtualStacks {
    /// The size of a page, in bytes.
    page: usize,
    pools: Vec<Pool>,
    in_use: usize,
    pooled: usize,
}

/// The stacks of one size that nobody uses.
#[derive(Debug)]
struct Pool {
    size: usize,
    /// How many stacks there are of this size, in use and here: there is room for all of them, so giving back cannot fail.
    all: usize,
    limits: Vec<NonNull<u8>>,
}

impl VirtualStacks {
    /// Returns a provider with nothing in its pool.
    pub fn new() -> VirtualStacks {
        // SAFETY: all-zero is a valid `SYSTEM_INFO`.
        let mut info: SYSTEM_INFO = unsafe { core::mem::zeroed() };
        // SAFETY: writes to the local.
        unsafe { GetSystemInfo(&mut info) };
        VirtualStacks { page: info.dwPageSize as usize, pools: Vec::new(), in_use: 0, pooled: 0 }
    }

    /// The pool of a size, which is made if there is none.
    fn pool(&mut self, size: usize) -> Result<&mut Pool, StackError> {
        let index = match self.pools.iter().position(|pool| pool.size == size) {
            Some(index) => index,
            None => {
                self.pools.try_reserve(1).map_err(|_| StackError::OutOfMemory)?;
                self.pools.push(Pool { size, all: 0, limits: Vec::new() });
                self.pools.len() - 1
            }
        };
        Ok(&mut self.pools[index])
    }

    /// Maps a stack, and makes room for it in its pool.
    fn map(&mut self, size: usize) -> Result<NonNull<u8>, StackError> {
        let page = self.page;
        let whole = size.checked_add(page).ok_or(StackError::OutOfMemory)?;
        let pool = self.pool(size)?;
        pool.limits.try_reserve(pool.all + 1 - pool.limits.len()).map_err(|_| StackError::OutOfMemory)?;
        // SAFETY: new pages, which nobody knows of.
        let start = unsafe { VirtualAlloc(ptr::null(), whole, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE) };
        let start: NonNull<u8> = NonNull::new(start).ok_or(StackError::OutOfMemory)?.cast();
        let mut before = 0;
        // SAFETY: the first of these pages.
        if unsafe { VirtualProtect(start.as_ptr().cast(), page, PAGE_NOACCESS, &mut before) } == 0 {
            unmap(start);
            return Err(StackError::TooManyGuards);
        }
        pool.all += 1;
        // SAFETY: inside of the pages.
        Ok(unsafe { start.add(page) })
    }
}

/// Gives pages back that [`VirtualStacks::map`] has taken and nobody uses.
fn unmap(start: NonNull<u8>) {
    // SAFETY: the start of what `VirtualAlloc` gave, by the callers.
    unsafe { VirtualFree(start.as_ptr().cast(), 0, MEM_RELEASE) };
}

impl Default for VirtualStacks {
    fn default() -> VirtualStacks {
        VirtualStacks::new()
    }
}

// SAFETY: the memory comes from the system, readable and writable, in whole pages, and goes to one caller at a time.
unsafe impl StackProvider for VirtualStacks {
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        let size = size.max(1).checked_next_multiple_of(self.page).ok_or(StackError::OutOfMemory)?;
        let limit = match self.pool(size)?.limits.pop() {
            Some(limit) => {
                self.pooled -= 1;
                limit
            }
            None => self.map(size)?,
        };
        self.in_use += 1;
        Ok(StackMemory::new(limit, size))
    }

    fn release(&mut self, stack: StackMemory) {
        self.in_use -= 1;
        // There is a pool of this size, with room. It may still be in use: nothing is written to it.
        if let (Ok(pool), Some(limit)) = (self.pool(stack.size()), NonNull::new(stack.limit())) {
            pool.limits.push(limit);
            self.pooled += 1;
        }
    }

    fn trim(&mut self) {
        let page = self.page;
        for pool in &mut self.pools {
            for limit in pool.limits.drain(..) {
                pool.all -= 1;
                // SAFETY: the guard is below.
                unmap(unsafe { limit.sub(page) });
            }
        }
        self.pooled = 0;
    }

    fn counts(&self) -> StackCounts {
        StackCounts { in_use: self.in_use, pooled: self.pooled }
    }
}

impl Drop for VirtualStacks {
    fn drop(&mut self) {
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::{StackProvider, VirtualStacks};
    use core::mem::MaybeUninit;
    use windows_sys::Win32::System::Memory::{
        MEMORY_BASIC_INFORMATION, PAGE_NOACCESS, PAGE_READWRITE, VirtualQuery,
    };

    /// How the page of an address may be used.
    fn protection(address: *const u8) -> u32 {
        let mut info = MaybeUninit::<MEMORY_BASIC_INFORMATION>::zeroed();
        // SAFETY: asks, and writes to the local, of which all-zero is a value.
        unsafe {
            VirtualQuery(address.cast(), info.as_mut_ptr(), size_of::<MEMORY_BASIC_INFORMATION>());
            info.assume_init().Protect
        }
    }

    #[test]
    fn a_stack_is_writable_to_its_ends_and_has_a_guard_below() {
        let mut stacks = VirtualStacks::new();
        for size in [1, 5000, 256 << 10] {
            let stack = stacks.acquire(size).expect("memory");
            assert!(stack.size() >= size && stack.size() < size + 4096);
            // SAFETY: it is not given back yet.
            unsafe { stack.limit().write_bytes(0xa5, stack.size()) };
            assert_eq!(protection(stack.limit()), PAGE_READWRITE);
            assert_eq!(protection(stack.limit().wrapping_sub(1)), PAGE_NOACCESS);
            stacks.release(stack);
        }
        assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (0, 3));
        stacks.trim();
        assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (0, 0));
    }

    #[test]
    fn the_stack_of_a_size_that_was_given_back_last_is_handed_out_first() {
        let mut stacks = VirtualStacks::new();
        let [first, second, other] = [4096, 4096, 8192].map(|size| stacks.acquire(size).expect("memory"));
        let limits = [first.limit(), second.limit(), other.limit()];
        stacks.release(second);
        stacks.release(other);
        stacks.release(first);
        for (size, limit) in [(4000, limits[0]), (4096, limits[1]), (8000, limits[2])] {
            assert_eq!(stacks.acquire(size).expect("memory").limit(), limit);
        }
        assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (3, 0));
    }

    #[test]
    fn a_size_that_nobody_has_is_an_error() {
        let mut stacks = VirtualStacks::new();
        assert!(stacks.acquire(usize::MAX).is_err());
        assert!(stacks.acquire(1 << 47).is_err());
        assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (0, 0));
    }
}
