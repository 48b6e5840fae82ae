//! How much of a stack was ever touched (unix).
//!
//! Fresh pages are zero and frames are not, so the deepest word that is not zero tells how far a stack was used since its memory was
//! last given back: by the task that has it, or by one before it. Pages without memory are left out, so that looking takes none.
#![allow(unsafe_code, reason = "reads memory that nobody declared")]

use super::slab::canary;
use super::{StackMemory, pages};

/// Returns how many bytes below the base of this stack have been used: from the base to the deepest word that is not zero.
///
/// Pages that were swapped out count as not used.
pub(crate) fn high_water(stack: &StackMemory) -> usize {
    const WORD: usize = size_of::<usize>();
    let page = pages::page_size();
    let (limit, base) = (stack.limit(), stack.base());
    let mut first = limit;
    while first.addr() < base.addr() {
        let end = (first.addr() + 1).next_multiple_of(page).min(base.addr());
        if is_resident(first, page) {
            while first.addr() < end {
                // SAFETY: an aligned word between limit and base.
                let word = unsafe { first.cast::<usize>().read_volatile() };
                let is_canary = first == limit && word == canary(stack.low());
                if word != 0 && !is_canary {
                    return base.addr() - first.addr();
                }
                first = first.wrapping_add(WORD);
            }
        }
        first = first.with_addr(end);
    }
    0
}

/// Whether the page around this address has memory.
fn is_resident(address: *mut u8, page: usize) -> bool {
    let mut status = [0u8; 1];
    let start = address.map_addr(|address| address & !(page - 1));
    // SAFETY: one page, so one byte of status.
    let answered = unsafe { libc::mincore(start.cast(), page, status.as_mut_ptr().cast()) } == 0;
    // What cannot be asked is looked at.
    !answered || status[0] & 1 != 0
}

#[cfg(test)]
mod tests {
    use super::{high_water, is_resident};
    use crate::stacks::slab::SlabStacks;
    use crate::stacks::{StackMemory, StackProvider, pages};

    #[test]
    fn looking_at_a_stack_touches_none_of_its_pages() {
        let mut stacks = SlabStacks::new();
        let stack = stacks.acquire(1 << 20).expect("memory");
        let page = pages::page_size();
        let touched = |stack: &StackMemory| {
            (0..stack.size())
                .step_by(page)
                .filter(|&at| is_resident(stack.limit().wrapping_add(at), page))
                .count()
        };
        assert_eq!(touched(&stack), 0);
        assert_eq!(high_water(&stack), 0);
        assert_eq!(touched(&stack), 0);
        // SAFETY: inside the stack.
        unsafe { stack.base().sub(8).write(1) };
        assert_eq!((high_water(&stack), touched(&stack)), (8, 1));
        stacks.release(stack);
    }

    #[test]
    fn the_deepest_word_that_was_written_counts() {
        let mut stacks = SlabStacks::new();
        let stack = stacks.acquire(256 << 10).expect("memory");
        assert_eq!(high_water(&stack), 0);
        for depth in [8, 1000, 5000, 200_000, stack.size()] {
            // SAFETY: inside the stack.
            unsafe { stack.base().sub(depth).write(1) };
            assert_eq!(high_water(&stack), depth.next_multiple_of(8), "{depth}");
        }
        stacks.release(stack);
        stacks.trim();
        let again = stacks.acquire(256 << 10).expect("memory");
        assert_eq!(high_water(&again), 0, "given back");
        stacks.release(again);
    }

    #[test]
    fn the_canary_of_a_packed_stack_does_not_count() {
        let mut stacks = SlabStacks::new();
        let stack = stacks.acquire_unguarded(1024).expect("memory");
        assert_eq!(high_water(&stack), 0);
        // SAFETY: inside the stack.
        unsafe { stack.base().sub(100).write(1) };
        assert_eq!(high_water(&stack), 100_usize.next_multiple_of(size_of::<usize>()), "whole words");
        stacks.release(stack);
    }
}
