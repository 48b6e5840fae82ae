//! Stacks from the global allocator, pooled by size. No guard: on wasm32 the lowered code checks the limit instead.
#![allow(unsafe_code, reason = "allocates raw memory")]

use super::{StackCounts, StackError, StackMemory, StackProvider};
use alloc::alloc::{alloc, dealloc};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::NonNull;

/// Stacks from the global allocator.
#[derive(Debug, Default)]
pub struct HeapStacks {
    classes: Vec<Class>,
    in_use: usize,
}

/// The pooled stacks of one size.
#[derive(Debug)]
struct Class {
    size: usize,
    /// Has room for every stack of the class, so that `release` never allocates.
    pool: Vec<NonNull<u8>>,
    allocated: usize,
}

impl HeapStacks {
    /// Returns a provider with nothing in its pool.
    pub fn new() -> HeapStacks {
        HeapStacks::default()
    }
}

fn layout(size: usize) -> Result<Layout, StackError> {
    Layout::from_size_align(size, 16).map_err(|_| StackError::OutOfMemory)
}

// SAFETY: the memory comes from the allocator with this size and alignment 16, and goes to one caller at a time.
unsafe impl StackProvider for HeapStacks {
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        let size = size.max(16).next_multiple_of(16);
        let class = match self.classes.iter().position(|class| class.size == size) {
            Some(index) => &mut self.classes[index],
            None => {
                self.classes.try_reserve(1).map_err(|_| StackError::OutOfMemory)?;
                self.classes.push(Class { size, pool: Vec::new(), allocated: 0 });
                let last = self.classes.len() - 1;
                &mut self.classes[last]
            }
        };
        let limit = match class.pool.pop() {
            Some(limit) => limit,
            None => {
                class.pool.try_reserve(class.allocated + 1).map_err(|_| StackError::OutOfMemory)?;
                // SAFETY: the size is not zero.
                let memory = unsafe { alloc(layout(size)?) };
                let limit = NonNull::new(memory).ok_or(StackError::OutOfMemory)?;
                class.allocated += 1;
                limit
            }
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

impl Drop for HeapStacks {
    fn drop(&mut self) {
        for class in &mut self.classes {
            for limit in class.pool.drain(..) {
                if let Ok(layout) = layout(class.size) {
                    // SAFETY: allocated by `acquire` with the same layout; nobody uses a pooled stack.
                    unsafe { dealloc(limit.as_ptr(), layout) };
                }
            }
        }
    }
}
