//! Who waits for an event: a FIFO list through the task blocks.
//!
//! ```text
//!   WaitQueue { head ──► task 3 ⇄ task 9 ⇄ task 4 ◄── tail }
//! ```
//!
//! The queue is a part of the channel, mutex or other object that is waited for; the links are in the task blocks, so waiting
//! allocates nothing, and a task that times out or is cancelled leaves from the middle in constant time.
//!
//! *Anchored*: while a task is linked, its `queue` points to the queue, which does not move or go away: the blocked call borrows it,
//! and a suspended task's stack, which holds that borrow, is never freed while the task may go on.
#![allow(unsafe_code, reason = "a task block points back to the queue that it is linked in (Anchored)")]

use crate::task::{Slot, Tasks};
use core::cell::Cell;

/// A FIFO queue of blocked tasks.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    head: Cell<Slot>,
    tail: Cell<Slot>,
}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue { head: Cell::new(Slot::NONE), tail: Cell::new(Slot::NONE) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }

    /// The task that has waited longest.
    pub(crate) fn first(&self) -> Option<Slot> {
        Some(self.head.get()).filter(|slot| !slot.is_none())
    }

    /// Appends `task`, which is in no queue. The caller upholds *Anchored* by blocking right away.
    pub(crate) fn push(&self, task: Slot, tasks: &mut Tasks) {
        debug_assert!(tasks[task].queue.is_null(), "One Home");
        let tail = self.tail.replace(task);
        let block = &mut tasks[task];
        block.queue = self;
        block.previous = tail;
        block.next = Slot::NONE;
        if tail.is_none() {
            self.head.set(task);
        } else {
            tasks[tail].next = task;
        }
    }
}

/// Takes `task` out of the wait queue that it is in, if any.
pub(crate) fn unlink(task: Slot, tasks: &mut Tasks) {
    let block = &mut tasks[task];
    let queue = core::mem::take(&mut block.queue);
    if queue.is_null() {
        return;
    }
    let (previous, next) = (block.previous, block.next);
    (block.previous, block.next) = (Slot::NONE, Slot::NONE);
    // SAFETY: Anchored: the task was linked, so its queue is alive where it was.
    let queue = unsafe { &*queue };
    if previous.is_none() {
        queue.head.set(next);
    } else {
        tasks[previous].next = next;
    }
    if next.is_none() {
        queue.tail.set(previous);
    } else {
        tasks[next].previous = previous;
    }
}

#[cfg(test)]
mod tests {
    use super::{WaitQueue, unlink};
    use crate::task::{Slot, Tasks};
    use alloc::vec::Vec;

    fn content(queue: &WaitQueue, tasks: &Tasks) -> Vec<usize> {
        let mut found = Vec::new();
        let mut at = queue.first();
        while let Some(slot) = at {
            found.push(slot.index());
            at = Some(tasks[slot].next).filter(|next| !next.is_none());
        }
        found
    }

    /// Every sequence of up to six operations on three tasks, against a plain list.
    #[test]
    fn all_short_sequences_of_push_and_unlink_agree_with_a_list() {
        const OPERATIONS: usize = 6; // push or unlink one of three tasks
        for sequence in 0..OPERATIONS.pow(6) {
            let mut tasks = Tasks::new();
            for _ in 0..3 {
                tasks.admit().expect("memory");
            }
            let (queue, mut model) = (WaitQueue::new(), Vec::new());
            let mut rest = sequence;
            for _ in 0..6 {
                let (operation, task) = (rest % OPERATIONS / 3, rest % 3);
                rest /= OPERATIONS;
                let slot = Slot::new(task as u32);
                if operation == 1 {
                    unlink(slot, &mut tasks);
                    model.retain(|&other| other != task);
                } else if tasks[slot].queue.is_null() {
                    queue.push(slot, &mut tasks);
                    model.push(task);
                }
                assert_eq!(content(&queue, &tasks), model);
                assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
