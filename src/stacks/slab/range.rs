//! A range of address space with stacks of one class.
//!
//! ```text
//!   start                                                                             start + length
//!     │ handed out at least once │ guards made │ readable, writable │ reserved: no access │
//!     0 ───────────────► carved ─────► ready ──────────► opened                       length
//! ```
//!
//! The three marks only move up. A step of `ready` makes a batch of guards; `opened` is the border of two mappings, so a range is two
//! however many stacks it has.
//!
//! *Whole Grains*: of packed stacks many share a page, so for each page (with huge pages: each of those) it is counted how many
//! stacks that are in it may hold something. Its memory goes back when the count becomes 0.
#![allow(unsafe_code, reason = "maps memory")]

use super::class::Kit;
use super::guards::{self, Row};
use super::layout::Layout;
use super::regions::{Refused, Regions};
use crate::stacks::pages::{self, HUGE};
use crate::stacks::{StackError, valgrind};
use alloc::vec::Vec;
use core::ptr::NonNull;

/// How much is reserved for a class at first; each further range is larger than the one before by [`FACTOR`].
const FIRST: usize = if usize::BITS > 32 { 1 << 30 } else { 16 << 20 };
const FACTOR: usize = 8;
const LARGEST: usize = if usize::BITS > 32 { 1 << 39 } else { 128 << 20 };
/// Valgrind warns of mappings of 256 MiB.
const VALGRIND_LARGEST: usize = 128 << 20;

/// Stacks that are made ready at once: as many again as there are, within these limits.
const SMALLEST_STEP: usize = 16;
const LARGEST_STEP: usize = 256;
/// A step is at most so many bytes, if that is a stack.
const LARGEST_STEP_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Range {
    start: NonNull<u8>,
    length: usize,
    layout: Layout,
    opened: usize,
    ready: usize,
    carved: usize,
    /// Guards made with `mprotect`.
    protected: usize,
    /// Bytes of a grain (*Whole Grains*); a power of two.
    grain: usize,
    /// Of packed stacks, for each grain that is opened: how many of its stacks may hold something.
    warm: Vec<u16>,
    /// What valgrind knows the stacks as, if it is there.
    registered: Vec<usize>,
}

impl Range {
    /// Reserves the range that comes after those there are.
    pub(super) fn reserve(layout: Layout, former: usize, kit: &Kit) -> Result<Range, StackError> {
        let grain = if kit.huge_pages && layout.is_packed() { HUGE } else { kit.page };
        let one = layout.end(1).checked_next_multiple_of(grain).ok_or(StackError::OutOfMemory)?;
        let wanted = u32::try_from(former)
            .ok()
            .and_then(|former| FACTOR.checked_pow(former))
            .and_then(|factor| FIRST.checked_mul(factor))
            .map_or(LARGEST, |wanted| wanted.min(LARGEST));
        let wanted = if kit.valgrind { wanted.min(VALGRIND_LARGEST) } else { wanted };
        let mut length = wanted.max(one);
        let start = loop {
            match pages::reserve(length, grain) {
                Some(start) => break start,
                None if length == one => return Err(StackError::OutOfMemory),
                // A limit on address space: take what there is.
                None => length = (length / 2).next_multiple_of(grain).max(one),
            }
        };
        // Where the system gives huge pages to everybody, a stack of some MiB would take them, too.
        if kit.huge_pages || !layout.is_packed() {
            pages::want_huge(start, length, kit.huge_pages && layout.is_packed());
        }
        Ok(Range {
            start,
            length,
            layout,
            opened: 0,
            ready: 0,
            carved: 0,
            protected: 0,
            grain,
            warm: Vec::new(),
            registered: Vec::new(),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.carved == self.layout.fit(self.length)
    }

    pub(super) fn contains(&self, limit: NonNull<u8>) -> bool {
        let start = self.start.addr().get();
        (start..start + self.length).contains(&limit.addr().get())
    }

    /// Hands out the next stack that was never used. The range is not full.
    pub(super) fn carve(&mut self, kit: &Kit) -> Result<NonNull<u8>, StackError> {
        if self.carved == self.ready {
            self.step(kit)?;
        }
        let slot = self.carved;
        // SAFETY: it is ready, so it lies in the range.
        let limit = unsafe { self.start.add(self.layout.limit(slot)) };
        if kit.valgrind && self.registered.try_reserve(1).is_ok() {
            self.registered.push(valgrind::register(limit, self.layout.size));
        }
        self.carved += 1;
        self.heat(limit);
        Ok(limit)
    }

    /// Makes some more stacks ready.
    fn step(&mut self, kit: &Kit) -> Result<(), StackError> {
        let layout = self.layout;
        let most = (LARGEST_STEP_BYTES / layout.slot()).max(1);
        let step = self.ready.clamp(SMALLEST_STEP, LARGEST_STEP).min(most);
        let slots = (self.ready + step).min(layout.fit(self.length));
        let opened = layout.behind(slots - 1).next_multiple_of(self.grain).min(self.length);
        if opened > self.opened {
            if layout.is_packed() {
                let grains = opened.div_ceil(self.grain);
                let more = grains - self.warm.len();
                self.warm.try_reserve(more).map_err(|_| StackError::OutOfMemory)?;
                self.warm.resize(grains, 0);
            }
            // SAFETY: both ends lie in the range.
            unsafe { pages::open(self.start.add(self.opened), opened - self.opened)? };
            self.opened = opened;
        }
        if layout.is_packed() {
            self.ready = layout.fit(opened);
            return Ok(());
        }
        // SAFETY: the slots lie in the range.
        let first = unsafe { self.start.add(layout.end(self.ready)) };
        let row = Row { first, page: layout.guard, stride: layout.slot(), count: slots - self.ready };
        // SAFETY: the row lies in the range; these slots were never handed out.
        self.ready += unsafe { guards::install(row, kit.guards, &mut self.protected)? };
        Ok(())
    }

    /// The grains that a stack has a part of.
    fn grains(&self, limit: NonNull<u8>) -> core::ops::RangeInclusive<usize> {
        let offset = limit.addr().get() - self.start.addr().get();
        offset / self.grain..=(offset + self.layout.size - 1) / self.grain
    }

    /// A stack may hold something from now on.
    pub(super) fn heat(&mut self, limit: NonNull<u8>) {
        if self.layout.is_packed() {
            for grain in self.grains(limit) {
                self.warm[grain] += 1;
            }
        }
    }

    /// A stack holds nothing any more: adds what can go back to the system.
    ///
    /// Stacks come in the order of their addresses.
    pub(super) fn cool(&mut self, limit: NonNull<u8>, regions: &mut Regions) -> Result<(), Refused> {
        if !self.layout.is_packed() {
            // From one guard to the next.
            let offset = limit.addr().get() - self.start.addr().get();
            let slot = self.layout.slot();
            // SAFETY: a stack of this range.
            let room = unsafe { self.start.add(offset / slot * slot + self.layout.guard) };
            return regions.extend(room, slot - self.layout.guard, self.layout.guard);
        }
        for grain in self.grains(limit) {
            self.warm[grain] -= 1;
            if self.warm[grain] == 0 {
                // SAFETY: grains of stacks lie in the range.
                let start = unsafe { self.start.add(grain * self.grain) };
                let length = self.grain.min(self.length - grain * self.grain);
                regions.extend(start, length, 0)?;
            }
        }
        Ok(())
    }

    /// Ends the reservation.
    ///
    /// # Safety
    /// No stack of this range is in use or will be.
    pub(super) unsafe fn release(&mut self) {
        for &number in &self.registered {
            valgrind::deregister(number);
        }
        guards::give_up(self.protected);
        // SAFETY: the caller's promise.
        unsafe { pages::release(self.start, self.length) };
    }
}
