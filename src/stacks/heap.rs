//! Stacks from the global allocator, pooled by size. No guard: on wasm32 the lowered code checks the limit instead.
//!
//! ```text
//!   pool ──► [16 KiB] ──other──► [64 KiB] ──other──► null        one of each size
//!               │same               │same
//!               ▼                   ▼
//!            [16 KiB]              null
//! ```
//!
//! A pooled stack holds the links itself, at its low end, so giving one back allocates nothing.
#![allow(unsafe_code, reason = "allocates raw memory, and links what is not in use through it")]

use super::{StackCounts, StackError, StackMemory, StackProvider};
use alloc::alloc::{alloc, dealloc};
use core::alloc::Layout;
use core::ptr::{self, NonNull};

/// Stacks from the global allocator.
#[derive(Debug)]
pub struct HeapStacks {
    /// The stack that was given back last: it may be in use until the next call, so it has no links yet.
    last: Option<StackMemory>,
    pool: *mut Pooled,
    in_use: usize,
    /// With `last`.
    pooled: usize,
}

/// What lies in a pooled stack.
#[derive(Debug)]
struct Pooled {
    size: usize,
    /// The next one of this size.
    same: *mut Pooled,
    /// The first one of another size; only that of the first one of a size counts.
    other: *mut Pooled,
}

/// Room for the links, and a multiple of 16.
const SMALLEST: usize = size_of::<Pooled>().next_multiple_of(16);

impl HeapStacks {
    /// Returns a provider with nothing in its pool.
    pub const fn new() -> HeapStacks {
        HeapStacks { last: None, pool: ptr::null_mut(), in_use: 0, pooled: 0 }
    }

    /// The place that says which stack is the first of its size; there is null where there is none.
    fn first(&mut self, size: usize) -> *mut *mut Pooled {
        let mut place = &raw mut self.pool;
        // SAFETY: what is in the pool is nobody else's, and holds its links.
        unsafe {
            while !(*place).is_null() && (**place).size != size {
                place = &raw mut (**place).other;
            }
        }
        place
    }

    /// Links the stack that was given back last.
    fn settle(&mut self) {
        let Some(stack) = self.last.take() else { return };
        let size = stack.size();
        let place = self.first(size);
        let pooled: *mut Pooled = stack.limit().cast();
        // SAFETY: this is a later call than the one that gave it back, so it is not in use; it is large enough for the links.
        unsafe {
            let same = *place;
            let other = if same.is_null() { ptr::null_mut() } else { (*same).other };
            pooled.write(Pooled { size, same, other });
            *place = pooled;
        }
    }

    /// Takes a stack of this size out of the pool.
    fn take(&mut self, size: usize) -> Option<NonNull<u8>> {
        let place = self.first(size);
        // SAFETY: as in `first`.
        let taken = unsafe {
            let taken = NonNull::new(*place)?;
            let Pooled { same, other, .. } = taken.read();
            *place = if same.is_null() {
                other
            } else {
                (*same).other = other;
                same
            };
            taken
        };
        self.pooled -= 1;
        Some(taken.cast())
    }
}

impl Default for HeapStacks {
    fn default() -> HeapStacks {
        HeapStacks::new()
    }
}

fn layout(size: usize) -> Result<Layout, StackError> {
    Layout::from_size_align(size, 16).map_err(|_| StackError::OutOfMemory)
}

// SAFETY: the memory comes from the allocator with this size and alignment 16, and goes to one caller at a time.
unsafe impl StackProvider for HeapStacks {
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        self.settle();
        let size = size.checked_next_multiple_of(16).ok_or(StackError::OutOfMemory)?.max(SMALLEST);
        let limit = match self.take(size) {
            Some(limit) => limit,
            // SAFETY: the size is not zero.
            None => NonNull::new(unsafe { alloc(layout(size)?) }).ok_or(StackError::OutOfMemory)?,
        };
        self.in_use += 1;
        Ok(StackMemory::new(limit, size))
    }

    fn release(&mut self, stack: StackMemory) {
        self.settle();
        self.last = Some(stack);
        self.in_use -= 1;
        self.pooled += 1;
    }

    fn trim(&mut self) {
        self.settle();
        // SAFETY: as in `first`.
        while let Some(size) = unsafe { self.pool.as_ref() }.map(|pooled| pooled.size) {
            if let (Some(limit), Ok(layout)) = (self.take(size), layout(size)) {
                // SAFETY: allocated by `acquire` with the same layout; nobody uses a pooled stack.
                unsafe { dealloc(limit.as_ptr(), layout) };
            }
        }
    }

    fn counts(&self) -> StackCounts {
        StackCounts { in_use: self.in_use, pooled: self.pooled }
    }
}

impl Drop for HeapStacks {
    fn drop(&mut self) {
        self.trim();
    }
}

#[cfg(test)]
mod tests {
    use super::{HeapStacks, StackProvider};
    use alloc::vec::Vec;

    #[test]
    fn the_stack_of_a_size_that_was_given_back_last_is_handed_out_first() {
        let mut stacks = HeapStacks::new();
        let sizes = [64, 4096, 64, 1024, 4096, 64];
        let acquired: Vec<_> = sizes.map(|size| stacks.acquire(size).expect("memory")).into();
        let limits: Vec<_> = acquired.iter().map(|stack| stack.limit()).collect();
        for stack in acquired {
            // To its last byte, for sanitizers.
            // SAFETY: it is not given back yet.
            unsafe { stack.limit().write_bytes(0xa5, stack.size()) };
            stacks.release(stack);
        }
        let counts = stacks.counts();
        assert_eq!((counts.in_use, counts.pooled), (0, 6));
        for index in [5, 4, 2, 3, 1, 0] {
            let stack = stacks.acquire(sizes[index]).expect("memory");
            assert_eq!((stack.limit(), stack.size()), (limits[index], sizes[index]));
            stacks.release(stack);
            let again = stacks.acquire(sizes[index] - 15).expect("memory");
            assert_eq!(again.limit(), limits[index]);
        }
        assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (6, 0));
        for (limit, size) in limits.into_iter().zip(sizes) {
            let limit = core::ptr::NonNull::new(limit).expect("memory");
            stacks.release(super::StackMemory::new(limit, size));
        }
    }
}
