//! The stacks of one size and kind: a pool over ranges of address space.
//!
//! ```text
//!   pool:   │ cold: given back to the system │ warm │◄─ last in, first out
//!           0                              cold   length
//! ```
//!
//! *Pool Room*: the pool's capacity is not less than the number of stacks that were carved, so that giving one back allocates nothing
//! and cannot fail.
//!
//! *Warm Enough*: at most `in use + floor` stacks in the pool are warm. One more, and those that waited longest are given back, until
//! half of that is left, so that the next time is far. The floor is as many stacks as have 4 MiB in their top pages: a program whose
//! tasks come and go by the thousand makes no system call for stacks.
//!
//! With `carved = in use + length`, a pool is too warm if `2 * length > carved + floor + cold`: one comparison at each release with
//! a number that seldom changes. Likewise one comparison at each acquire finds out that the pool is empty or cold.
#![allow(unsafe_code, reason = "writes behind the length of a vector that has room")]

use super::guards;
use super::layout::Layout;
use super::range::Range;
use super::regions::{GIVE_BACK, Regions};
use crate::stacks::{Home, StackError, StackMemory, valgrind};
use alloc::vec::Vec;
use core::ptr::NonNull;

/// The floor of *Warm Enough*, in bytes of touched pages.
const FLOOR: usize = 4 << 20;

/// What all classes of a provider have in common.
#[derive(Debug)]
pub(super) struct Kit {
    pub(super) page: usize,
    pub(super) guards: guards::Way,
    pub(super) huge_pages: bool,
    /// The floor of *Warm Enough*, in stacks, if it was chosen.
    pub(super) floor: Option<usize>,
    /// Whether valgrind wants to know about stacks.
    pub(super) valgrind: bool,
    /// Whether it wants to know that a stack's content is gone.
    pub(super) memcheck: bool,
}

/// Aligned, so that finding one by its index takes a shift.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Class {
    pub(super) layout: Layout,
    /// What its stacks carry.
    pub(super) home: Home,
    /// The size that was asked for last.
    pub(super) asked: usize,
    /// Limits of the stacks to hand out.
    pool: Vec<NonNull<u8>>,
    /// So many at the pool's beginning are cold.
    cold: usize,
    carved: usize,
    floor: usize,
    /// A pool that is not longer than this is empty, or cold, or to be told of to valgrind.
    look_below: usize,
    /// A pool that is longer than this is too warm.
    cool_above: usize,
    /// Only the last one has stacks that were never used.
    ranges: Vec<Range>,
}

impl Class {
    pub(super) fn new(layout: Layout, home: Home, kit: &Kit) -> Class {
        let touched = if layout.is_packed() { layout.size } else { kit.page };
        let floor = kit.floor.unwrap_or((FLOOR / touched).max(16));
        let mut class = Class {
            layout,
            home,
            asked: 0,
            pool: Vec::new(),
            cold: 0,
            carved: 0,
            floor,
            look_below: 0,
            cool_above: 0,
            ranges: Vec::new(),
        };
        class.tune(kit);
        class
    }

    pub(super) fn pooled(&self) -> usize {
        self.pool.len()
    }

    pub(super) fn in_use(&self) -> usize {
        self.carved - self.pool.len()
    }

    fn tune(&mut self, kit: &Kit) {
        self.look_below = if kit.memcheck { usize::MAX } else { self.cold };
        self.cool_above = self.carved.saturating_add(self.floor).saturating_add(self.cold) / 2;
    }

    /// Takes the stack that was given back last, if it is warm.
    #[inline(always)]
    pub(super) fn take_warm(&mut self) -> Option<NonNull<u8>> {
        if self.pool.len() > self.look_below { self.pool.pop() } else { None }
    }

    /// The stack at that limit, which was just taken.
    #[inline(always)]
    pub(super) fn stack(&self, limit: NonNull<u8>) -> StackMemory {
        // SAFETY: both ends are in the range's memory, or one past.
        StackMemory { base: unsafe { limit.add(self.layout.size) }, size: self.layout.size, home: self.home }
    }

    /// Takes a stack.
    pub(super) fn take(&mut self, kit: &Kit) -> Result<NonNull<u8>, StackError> {
        let Some(limit) = self.pool.pop() else { return self.carve(kit) };
        if self.pool.len() < self.cold {
            self.cold = self.pool.len();
            self.tune(kit);
            self.range_of(limit).heat(limit);
        }
        if kit.memcheck {
            valgrind::forget(limit, self.layout.size);
        }
        Ok(limit)
    }

    fn range_of(&mut self, limit: NonNull<u8>) -> &mut Range {
        let range = self.ranges.iter_mut().find(|range| range.contains(limit));
        range.expect("a pooled stack lies in a range of its class")
    }

    /// Takes a stack that was never used.
    fn carve(&mut self, kit: &Kit) -> Result<NonNull<u8>, StackError> {
        let no_memory = |_| StackError::OutOfMemory;
        // Pool Room.
        self.pool.try_reserve(self.carved + 1 - self.pool.len()).map_err(no_memory)?;
        if self.ranges.last().is_none_or(Range::is_full) {
            self.ranges.try_reserve(1).map_err(no_memory)?;
            self.ranges.push(Range::reserve(self.layout, self.ranges.len(), kit)?);
        }
        let limit = self.ranges.last_mut().ok_or(StackError::OutOfMemory)?.carve(kit)?;
        self.carved += 1;
        self.tune(kit);
        Ok(limit)
    }

    /// Puts a stack of this class into the pool. Returns whether the pool is too warm.
    ///
    /// # Safety
    /// The stack is in use: it was taken, and not given since.
    #[inline(always)]
    pub(super) unsafe fn give(&mut self, limit: NonNull<u8>) -> bool {
        let length = self.pool.len();
        debug_assert!(length < self.carved && self.carved <= self.pool.capacity(), "Pool Room");
        // SAFETY: Pool Room: one at least of the carved stacks is in use, so the pool is shorter than its capacity.
        unsafe {
            self.pool.as_mut_ptr().add(length).write(limit);
            self.pool.set_len(length + 1);
        }
        length >= self.cool_above
    }

    /// Gives memory back until the pool is warm enough (*Warm Enough*).
    pub(super) fn cool(&mut self, kit: &Kit) {
        // The stack that was given last may be in use until the next call.
        self.cool_down_to((self.in_use().saturating_add(self.floor) / 2).max(1), kit);
    }

    /// Gives the memory of all but `keep` pooled stacks back.
    pub(super) fn cool_down_to(&mut self, keep: usize, kit: &Kit) {
        let end = self.pool.len().saturating_sub(keep);
        if end <= self.cold {
            return;
        }
        let Class { pool, ranges, cold, .. } = self;
        let batch = &mut pool[*cold..end];
        // Neighbours go back in one call.
        batch.sort_unstable();
        // SAFETY: nobody uses a pooled stack, and of a grain with several all hold nothing (Whole Grains).
        let mut regions = unsafe { Regions::new(GIVE_BACK, kit.guards.together) };
        for &mut limit in batch {
            if let Some(range) = ranges.iter_mut().find(|range| range.contains(limit)) {
                // Memory that the kernel does not take back is only memory.
                let _ = range.cool(limit, &mut regions);
            }
        }
        let _ = regions.finish();
        *cold = end;
        self.tune(kit);
    }

    /// Ends the reservations, or at least gives the memory of what is pooled back while others are in use.
    pub(super) fn end(&mut self, kit: &Kit) {
        if self.in_use() > 0 {
            return self.cool_down_to(0, kit);
        }
        for range in &mut self.ranges {
            // SAFETY: all stacks are in the pool, which ends here.
            unsafe { range.release() };
        }
    }
}
