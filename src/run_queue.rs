//! Who is ready, in what order: a FIFO ring of contexts.
//!
//! ```text
//!   entries:  [ ctx,task | ctx,task | ........ | ctx,task ]     a power of two
//!                  ^head                 ^tail (next free)
//! ```
//!
//! The ring holds each ready task's context itself, so a switch waits for nothing that is in the task block. *Room*: there are at least as
//! many entries as task blocks (`reserve` comes before a block is made), and a task is in the ring at most once; so a wake-up can never
//! fail, and neither `push` nor `pop` looks whether a position is inside.
//!
//! A task that is alone in the queue is not in the ring, but in a *slot*: its context stays in the task block, and a task that wakes
//! another and then blocks, with nobody else ready, hands over through one word.
//!
//! *Slot*: the slot holds the only ready task; or [`EMPTY`], and nobody is ready; or [`RING`], and the ring holds all.
//!
//! A ring, not a list through the task blocks: a list is a chain of dependent cache misses, 75-215 ns a yield at 100,000 tasks in
//! shuffled order where the ring takes 4-12 ns.
#![allow(unsafe_code, reason = "the ring's positions are masked, not checked (Room)")]

use crate::room::{self, NoMemory};
use crate::task::{TaskBlock, TaskRef};
use alloc::vec::Vec;
#[cfg(not(target_arch = "wasm32"))]
use core::mem::offset_of;
use core::ptr;
use windlass_arch::{self as arch, Context};

/// A ready task: where to continue, and who that is.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) context: Context,
    pub(crate) task: TaskRef,
}

/// The run queue.
///
/// Positions are counted in bytes, and run on for ever; masked, they are offsets into the ring.
#[derive(Debug)]
pub(crate) struct RunQueue {
    slot: *const TaskBlock,
    head: usize,
    tail: usize,
    /// What is left of a position; of no meaning while there are no entries.
    mask: usize,
    entries: Vec<Entry>,
}

/// In the slot: all that are ready, some, are in the ring.
const RING: *const TaskBlock = ptr::null();
/// In the slot: nobody is ready.
const EMPTY: *const TaskBlock = ptr::without_provenance(1);

/// Whether there is a slot at all. Where code is shipped over a wire the ring alone is short enough.
const SLOT: bool = cfg!(not(target_arch = "wasm32"));

/// Bytes from one position to the next.
const STEP: usize = size_of::<Entry>();

/// From how many ready tasks on their stacks are fetched ahead: fewer fit into the cache by themselves.
const MANY: usize = 4096;

#[cfg(not(target_arch = "wasm32"))]
impl RunQueue {
    /// For `debugger.rs`: slot, head, tail, mask, entries.
    pub(crate) const FIELDS: [usize; 5] = [
        offset_of!(RunQueue, slot),
        offset_of!(RunQueue, head),
        offset_of!(RunQueue, tail),
        offset_of!(RunQueue, mask),
        offset_of!(RunQueue, entries),
    ];
}

impl RunQueue {
    pub(crate) const fn new() -> RunQueue {
        RunQueue { slot: EMPTY, head: 0, tail: 0, mask: 0, entries: Vec::new() }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        if SLOT { self.slot == EMPTY } else { self.ring_is_empty() }
    }

    #[inline(always)]
    fn ring_is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// The task in the slot.
    #[inline(always)]
    fn alone(&self) -> Option<TaskRef> {
        // SAFETY: Slot: what is neither of the two marks came from a `TaskRef`.
        (SLOT && self.slot.addr() > EMPTY.addr()).then(|| unsafe { TaskRef::from_raw(self.slot) })
    }

    /// How many tasks are ready.
    #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
    pub(crate) fn count(&self) -> usize {
        if self.alone().is_some() { 1 } else { self.len() }
    }

    /// How many tasks are in the ring.
    fn len(&self) -> usize {
        self.tail.wrapping_sub(self.head) / STEP
    }

    /// Makes room for `tasks` entries in all.
    pub(crate) fn reserve(&mut self, tasks: usize) -> Result<(), NoMemory> {
        if tasks <= self.entries.len() {
            return Ok(());
        }
        let old = self.entries.len();
        let new = tasks.next_power_of_two().max(16);
        room::reserve(&mut self.entries, new - old)?;
        // A ring that is some times as long has each entry where it belongs if it is what it was, so many times.
        for index in 0..new - old {
            let entry = if old == 0 {
                Entry { context: Context::HOST, task: TaskRef::NOBODY }
            } else {
                self.entries[index]
            };
            room::push(&mut self.entries, entry);
        }
        self.mask = (new - 1) * STEP;
        Ok(())
    }

    /// Takes back the room for more than so many tasks, which are at least as many as are in the ring.
    pub(crate) fn shrink(&mut self, tasks: usize) {
        let new = tasks.next_power_of_two().max(16);
        let len = self.len();
        if new >= self.entries.len() || new < len {
            return;
        }
        let first = (self.head & self.mask) / STEP;
        self.entries.rotate_left(first);
        self.entries.truncate(new);
        self.entries.shrink_to_fit();
        (self.head, self.tail, self.mask) = (0, len * STEP, (new - 1) * STEP);
    }

    /// The entry at a position, of a ring that has entries.
    #[inline(always)]
    fn at(&mut self, position: usize) -> *mut Entry {
        debug_assert!(!self.entries.is_empty(), "Room");
        self.entries.as_mut_ptr().wrapping_byte_add(position & self.mask)
    }

    /// Appends `task`, whose context is in its block.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn push(&mut self, task: TaskRef) {
        if !SLOT {
            self.push_to_ring(task);
        } else if self.slot == EMPTY {
            self.slot = task.as_raw();
        } else {
            self.push_behind(task);
        }
    }

    /// Appends `task` to a queue that is not empty.
    #[inline(never)]
    fn push_behind(&mut self, task: TaskRef) {
        self.fill_ring();
        self.push_to_ring(task);
    }

    /// Appends `task`, whose context is not saved yet. Returns where it belongs; the place is valid until the next `reserve`.
    pub(crate) fn push_unsaved(&mut self, task: TaskRef) -> *mut Context {
        if SLOT && self.slot == EMPTY {
            self.slot = task.as_raw();
            return task.context.as_ptr();
        }
        self.fill_ring();
        debug_assert!(self.len() < self.entries.len(), "Room");
        let entry = self.at(self.tail);
        self.tail = self.tail.wrapping_add(STEP);
        // SAFETY: as in `push_to_ring`.
        unsafe {
            (*entry).task = task;
            &raw mut (*entry).context
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn push_to_ring(&mut self, task: TaskRef) {
        debug_assert!(self.len() < self.entries.len(), "Room");
        let entry = self.at(self.tail);
        self.tail = self.tail.wrapping_add(STEP);
        // SAFETY: Room: somebody made the task's block, so the ring has entries, and a masked position is one's.
        unsafe { *entry = Entry { context: task.context.get(), task } };
    }

    /// Appends `me`, and takes out the first if there is one in the ring. Returns where the context of `me` belongs, too, which is valid
    /// until the next `reserve`. `None`: there was none in the ring, and nothing happened.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn rotate(&mut self, me: TaskRef) -> Option<(*mut Context, Entry)> {
        if self.ring_is_empty() {
            return None;
        }
        debug_assert!(self.len() < self.entries.len(), "Room");
        let (last, first) = (self.at(self.tail), self.at(self.head));
        self.tail = self.tail.wrapping_add(STEP);
        self.head = self.head.wrapping_add(STEP);
        // SAFETY: the ring is not empty, so it has entries, and a masked position is one's.
        unsafe {
            let first = *first;
            (*last).task = me;
            Some((&raw mut (*last).context, first))
        }
    }

    /// Moves the task in the slot into the ring, where `rotate` finds it. Returns whether there was one.
    pub(crate) fn fill_ring(&mut self) -> bool {
        let Some(first) = self.alone() else { return false };
        self.slot = RING;
        self.push_to_ring(first);
        true
    }

    /// Takes out the first.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        if let Some(task) = self.alone() {
            self.slot = EMPTY;
            return Some(Entry { context: task.context.get(), task });
        }
        self.pop_from_ring()
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn pop_from_ring(&mut self) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let first = self.at(self.head);
        self.head = self.head.wrapping_add(STEP);
        if SLOT && self.ring_is_empty() {
            self.slot = EMPTY;
        }
        // SAFETY: as in `rotate`.
        Some(unsafe { *first })
    }

    /// Asks the memory for the stacks of the next `count` tasks, if there are more ready than the cache holds.
    ///
    /// Their contexts are in the ring, so the addresses are there without a look at anything cold, and the misses overlap. Not their blocks: a
    /// task that yields touches none, and at 100,000 tasks they would take as much of the cache again (16 ns a yield for 9).
    #[inline]
    pub(crate) fn fetch_ahead(&mut self, count: usize) {
        // wasm has no such instruction.
        if cfg!(target_arch = "wasm32") || self.len() < MANY {
            return;
        }
        for ahead in 0..count {
            let entry = self.at(self.head.wrapping_add(ahead * STEP));
            // SAFETY: as in `rotate`.
            let context = unsafe { (*entry).context };
            arch::prefetch(context.as_raw());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RunQueue;
    use crate::task::Tasks;

    #[test]
    fn entries_leave_in_the_order_they_came_while_the_ring_grows() {
        let mut queue = RunQueue::new();
        let mut table = Tasks::new(usize::MAX);
        let tasks: alloc::vec::Vec<_> = core::iter::from_fn(|| {
            table.admit().or_else(|| {
                table.grow(core::ptr::null()).expect("memory");
                table.admit()
            })
        })
        .take(21_000)
        .collect();
        queue.reserve(1).expect("memory");
        let (mut pushed, mut popped) = (0, 0);
        for round in 1..200 {
            queue.reserve(queue.len() + round + 2).expect("memory");
            for _ in 0..round {
                queue.push(tasks[pushed]);
                pushed += 1;
            }
            for _ in 0..round.div_ceil(2) {
                assert_eq!(queue.pop().map(|entry| entry.task), Some(tasks[popped]));
                popped += 1;
            }
            if round % 11 == 0 {
                queue.shrink(queue.len() + 2);
            }
            if round % 7 == 0 {
                // Down to one or none, where the slot comes into play.
                for _ in 0..pushed - popped - round % 2 {
                    assert_eq!(queue.pop().map(|entry| entry.task), Some(tasks[popped]));
                    popped += 1;
                }
            }
            // Somebody yields: he is the last then.
            let rotated = queue
                .rotate(tasks[pushed])
                .or_else(|| if queue.fill_ring() { queue.rotate(tasks[pushed]) } else { None });
            assert_eq!(rotated.map(|(_, first)| first.task), (pushed > popped).then(|| tasks[popped]));
            if rotated.is_some() {
                (pushed, popped) = (pushed + 1, popped + 1);
            }
            assert_eq!(queue.is_empty(), pushed == popped);
        }
        while let Some(entry) = queue.pop() {
            assert_eq!(entry.task, tasks[popped]);
            popped += 1;
        }
        assert_eq!(pushed, popped);
    }
}
