//! Where the stacks of a class lie in their range: arithmetic only.
//!
//! ```text
//!   guarded:  │ guard │    stack 0 │ guard │   stack 1  │ guard │  stack 2   │ ...    moved down by 64 bytes times (slot mod 32)
//!   packed:   │ stack 0 │ stack 1 │ stack 2 │ stack 3 │p│ stack 4 │ ...               p: padding of 64 bytes after each group
//! ```
//!
//! Where a task's frames are hot is a fixed distance below its stack's base. If all bases were multiples of a page, these lines would
//! compete for the same one of the cache's sets (of 64, a line of 64 bytes each). So bases are *coloured*: they walk through the sets.
//! A guarded stack's base lies up to 1,984 bytes below the end of a page, which leaves more than half of that page: an idle task still
//! touches one. Its limit moves along; what is left between guard and limit does no harm and finds a use in an overflow. Packed
//! stacks get a line of padding whenever their offsets in a page would repeat, for a size of 1 KiB every fourth time.

/// Bytes in a cache line.
pub(super) const LINE: usize = 64;
/// How many colours there are.
const COLOURS: usize = 32;
/// After so many bytes cache sets repeat.
const PERIOD: usize = 4096;

/// The stacks of a class in their range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Bytes below a stack that are its guard: a page, or none.
    pub(super) guard: usize,
    /// Bytes of a stack.
    pub(super) size: usize,
    /// Bytes of a stack and of what colours it.
    room: usize,
    /// After so many stacks there is a line of padding; 0 for never.
    group: usize,
}

impl Layout {
    /// Stacks of at least `size` bytes, a guard page below each.
    pub(super) fn guarded(size: usize, page: usize) -> Layout {
        let colour = (COLOURS - 1) * LINE;
        let room = (size.max(1) + colour).next_multiple_of(page);
        Layout { guard: page, size: room - colour, room, group: 0 }
    }

    /// Stacks of at least `size` bytes and 1 KiB, one next to the other.
    pub(super) fn packed(size: usize) -> Layout {
        let room = size.max(1024).next_multiple_of(LINE);
        // The low bit of a sum decides after how many stacks it is a multiple of the period again.
        let group = PERIOD / (1 << room.trailing_zeros().min(PERIOD.trailing_zeros()));
        Layout { guard: 0, size: room, room, group }
    }

    /// Whether the stacks have no guards.
    pub(super) fn is_packed(&self) -> bool {
        self.guard == 0
    }

    /// Bytes from one stack to the next, without padding.
    pub(super) fn slot(&self) -> usize {
        self.guard + self.room
    }

    /// The offset of a stack's limit.
    pub(super) fn limit(&self, slot: usize) -> usize {
        let colour = if self.is_packed() { 0 } else { slot % COLOURS * LINE };
        self.end(slot) + self.guard + (self.room - self.size) - colour
    }

    /// The offset of the byte behind a stack, and of its colour.
    pub(super) fn behind(&self, slot: usize) -> usize {
        self.end(slot) + self.slot()
    }

    /// The bytes that this many stacks take.
    pub(super) fn end(&self, slots: usize) -> usize {
        slots * self.slot() + slots.checked_div(self.group).unwrap_or(0) * LINE
    }

    /// How many stacks fit into this many bytes.
    pub(super) fn fit(&self, bytes: usize) -> usize {
        if self.group == 0 {
            return bytes / self.slot();
        }
        let group = self.group * self.slot() + LINE;
        bytes / group * self.group + (bytes % group / self.slot()).min(self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::Layout;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    /// The offsets of limit and base of the first stacks.
    fn ends(layout: Layout, slots: usize) -> Vec<(usize, usize)> {
        (0..slots)
            .map(|slot| {
                let limit = layout.limit(slot);
                (limit, limit + layout.size)
            })
            .collect()
    }

    #[test]
    fn a_guarded_stack_has_what_was_asked_for_and_most_of_its_last_page() {
        let large = if usize::BITS > 32 { 1 << 30 } else { 1 << 24 };
        for size in [0, 1, 2112, 2113, 4096, 65536, 262_144, large] {
            let layout = Layout::guarded(size, 4096);
            for (slot, (limit, base)) in ends(layout, 100).into_iter().enumerate() {
                assert!(base - limit >= size, "{size}");
                assert_eq!((limit % 64, base % 64), (0, 0));
                let guard = layout.end(slot) + 4096;
                assert!((guard..=guard + 1984).contains(&limit), "the guard is below");
                assert!(base <= layout.end(slot + 1) && base + 1984 >= layout.end(slot + 1));
            }
        }
        let sets: BTreeSet<_> =
            ends(Layout::guarded(4096, 4096), 64).iter().map(|(_, base)| base % 4096).collect();
        assert_eq!(sets.len(), 32);
    }

    #[test]
    fn packed_stacks_do_not_overlap_and_their_bases_walk_through_all_cache_sets() {
        for size in [1, 1024, 1025, 1088, 2048, 3072, 4096, 65536, 65600] {
            let layout = Layout::packed(size);
            let ends = ends(layout, 512);
            for (index, &(limit, base)) in ends.iter().enumerate() {
                assert!(base - limit >= size.max(1024));
                assert!(index == 0 || ends[index - 1].1 <= limit);
                assert_eq!((limit % 64, base % 64), (0, 0));
            }
            let sets: BTreeSet<_> = ends.iter().map(|(_, base)| base % 4096).collect();
            assert_eq!(sets.len(), 64, "{size}");
        }
        assert_eq!(Layout::packed(1024).end(1000), 1000 * 1040, "bytes for a thousand stacks of 1 KiB");
    }

    #[test]
    fn as_many_stacks_fit_as_do_not_end_behind_the_last_byte() {
        for layout in [Layout::packed(1024), Layout::packed(1088), Layout::guarded(4096, 4096)] {
            for bytes in (0..3_000_000).step_by(977) {
                let slots = layout.fit(bytes);
                let behind = |slots: usize| {
                    if slots == 0 { 0 } else { layout.behind(slots - 1) }
                };
                assert!(behind(slots) <= bytes && behind(slots + 1) > bytes, "{layout:?} {bytes}");
            }
        }
    }
}
