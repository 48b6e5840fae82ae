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
//! A ring, not a list through the task blocks: a list is a chain of dependent cache misses, 75-215 ns a yield at 100,000 tasks in
//! shuffled order where the ring takes 4-12 ns.
#![allow(unsafe_code, reason = "the ring's positions are masked, not checked (Room)")]

use crate::room::{self, NoMemory};
use crate::task::TaskRef;
use alloc::vec::Vec;
use windlass_arch::{self as arch, Context};

/// A ready task: where to continue, and who that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) context: Context,
    /// `None` only where the ring is empty.
    pub(crate) task: Option<TaskRef>,
}

const EMPTY: Entry = Entry { context: Context::HOST, task: None };

/// The run queue.
#[derive(Debug)]
pub(crate) struct RunQueue {
    /// Free-running; the position is `head & mask`.
    head: usize,
    tail: usize,
    /// One less than there are entries; of no meaning while there are none.
    mask: usize,
    entries: Vec<Entry>,
}

/// From how many ready tasks on their stacks are fetched ahead: fewer fit into the cache by themselves.
const MANY: usize = 4096;

impl RunQueue {
    pub(crate) const fn new() -> RunQueue {
        RunQueue { head: 0, tail: 0, mask: 0, entries: Vec::new() }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// How many tasks have been taken out of the ring so far; wraps.
    #[inline(always)]
    pub(crate) fn popped(&self) -> usize {
        self.head
    }

    pub(crate) fn len(&self) -> usize {
        self.tail.wrapping_sub(self.head)
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
            let entry = if old == 0 { EMPTY } else { self.entries[index] };
            room::push(&mut self.entries, entry);
        }
        self.mask = new - 1;
        Ok(())
    }

    /// Appends `task` and returns where its context belongs.
    ///
    /// The place stays where it is until the next `reserve`.
    #[inline(always)]
    pub(crate) fn push(&mut self, task: TaskRef) -> &mut Context {
        debug_assert!(self.len() < self.entries.len(), "Room");
        let position = self.tail & self.mask;
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: Room: somebody made the task's block, so there are `mask + 1` entries.
        let entry = unsafe { self.entries.get_unchecked_mut(position) };
        entry.task = Some(task);
        &mut entry.context
    }

    #[inline(always)]
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let position = self.head & self.mask;
        self.head = self.head.wrapping_add(1);
        debug_assert!(position < self.entries.len(), "Room");
        // SAFETY: the ring is not empty, so there are `mask + 1` entries.
        Some(unsafe { *self.entries.get_unchecked(position) })
    }

    /// Asks the memory for the stacks of the next `count` tasks, if there are more ready than the cache holds.
    ///
    /// Their contexts are in the ring, so the addresses are there without a look at anything cold, and the misses overlap.
    #[inline]
    pub(crate) fn fetch_ahead(&self, count: usize) {
        if self.len() < MANY {
            return;
        }
        for ahead in 0..count {
            let position = self.head.wrapping_add(ahead) & self.mask;
            arch::prefetch(self.entries[position].context);
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
        let mut table = Tasks::new();
        let tasks: alloc::vec::Vec<_> = core::iter::from_fn(|| {
            table.admit().or_else(|| {
                table.grow().expect("memory");
                table.admit()
            })
        })
        .take(20_000)
        .collect();
        queue.reserve(1).expect("memory");
        let (mut pushed, mut popped) = (0, 0);
        for round in 1..200 {
            queue.reserve(queue.len() + round).expect("memory");
            for _ in 0..round {
                queue.push(tasks[pushed]);
                pushed += 1;
            }
            for _ in 0..round.div_ceil(2) {
                assert_eq!(queue.pop().and_then(|entry| entry.task), Some(tasks[popped]));
                popped += 1;
            }
        }
        while let Some(entry) = queue.pop() {
            assert_eq!(entry.task, Some(tasks[popped]));
            popped += 1;
        }
        assert_eq!((pushed, queue.popped()), (popped, popped));
    }
}
