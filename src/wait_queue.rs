//! Who waits for an event: a FIFO list of nodes on the blocked tasks' stacks.
//!
//! ```text
//!   WaitQueue { head ──► Waiter (task 3) ⇄ Waiter (task 9) ⇄ Waiter (task 4) ◄── tail }
//! ```
//!
//! The queue is a part of the channel, mutex or other object that is waited for; a node is a local variable of the blocking call. So waiting
//! allocates nothing, a waker finds in one place all that it needs, and a task that times out or is cancelled leaves from the middle in
//! constant time.
//!
//! *Anchored*: while a node is linked, it stays where it is and so does the queue: the blocked call borrows both, and a suspended
//! task's stack, which holds that borrow, is never freed while the task may go on. The node leaves the queue before the call returns.
//!
//! The head's `previous` is stale, as the queue itself knows its head; that saves a waker a look at the next node. The tail's `next` is null.
#![allow(unsafe_code, reason = "nodes on other tasks' stacks are reached through pointers (Anchored)")]

use crate::task::TaskRef;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr;

/// A FIFO queue of blocked tasks.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    head: Cell<*const Waiter>,
    /// Stale while the queue is empty.
    tail: Cell<*const Waiter>,
}

/// A blocked task's node.
///
/// It has no content before it is in a queue: a blocking call need not write what `push` writes again.
#[derive(Debug)]
pub(crate) struct Waiter(UnsafeCell<MaybeUninit<Links>>);

#[derive(Debug)]
struct Links {
    next: Cell<*const Waiter>,
    previous: Cell<*const Waiter>,
    queue: *const WaitQueue,
    task: TaskRef,
}

impl Waiter {
    /// A node that is in no queue.
    #[inline(always)]
    pub(crate) const fn new() -> Waiter {
        Waiter(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// # Safety
    /// The node was put into a queue.
    #[inline(always)]
    unsafe fn links(&self) -> &Links {
        // SAFETY: the caller's promise; after that only the cells inside change, but for a `push`, which comes after the node left its
        // queue, when nobody holds this reference.
        unsafe { (*self.0.get()).assume_init_ref() }
    }
}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue { head: Cell::new(ptr::null()), tail: Cell::new(ptr::null()) }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_null()
    }

    /// The node that has waited longest; alive until its task goes on.
    #[inline(always)]
    pub(crate) fn first(&self) -> Option<&Waiter> {
        // SAFETY: Anchored.
        unsafe { self.head.get().as_ref() }
    }

    /// Appends `waiter`, which is in no queue, for `task`. The caller upholds *Anchored* by blocking right away.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn push(&self, waiter: &Waiter, task: TaskRef) {
        let previous = self.tail.replace(waiter);
        let links = Links { next: Cell::new(ptr::null()), previous: Cell::new(previous), queue: self, task };
        // SAFETY: the node is in no queue, so nobody looks at it.
        unsafe { (*waiter.0.get()).write(links) };
        if self.head.get().is_null() {
            self.head.set(waiter);
        } else {
            // SAFETY: the queue is not empty, so its tail is linked: Anchored.
            unsafe { (*previous).links() }.next.set(waiter);
        }
    }

    /// Takes the node off that has waited longest. Returns it and its task; it is alive until that goes on.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn pop(&self) -> Option<(&Waiter, TaskRef)> {
        let first = self.first()?;
        // SAFETY: it is linked.
        let links = unsafe { first.links() };
        self.head.set(links.next.get());
        Some((first, links.task))
    }
}

/// Takes `task`, which is blocked, out of the queue that it waits in, if it waits in one.
pub(crate) fn leave(task: TaskRef) {
    if let Some(waiter) = task.waiter() {
        // SAFETY: Anchored: the task is blocked, so its node is where it was.
        unlink(unsafe { waiter.as_ref() });
    }
}

/// Takes `waiter`, which is in a queue, out of it.
fn unlink(waiter: &Waiter) {
    // SAFETY: it is linked.
    let links = unsafe { waiter.links() };
    // SAFETY: Anchored: the node is linked, so its queue is alive where it was.
    let queue = unsafe { &*links.queue };
    let next = links.next.get();
    if ptr::eq(queue.head.get(), waiter) {
        queue.head.set(next);
        return;
    }
    let previous = links.previous.get();
    // SAFETY: it is not the head, so it has a neighbour before it, which is linked: Anchored.
    unsafe { (*previous).links() }.next.set(next);
    if next.is_null() {
        queue.tail.set(previous);
    } else {
        // SAFETY: a linked neighbour: Anchored.
        unsafe { (*next).links() }.previous.set(previous);
    }
}

#[cfg(test)]
mod tests {
    use super::{WaitQueue, Waiter, unlink};
    use crate::task::{TaskRef, Tasks};
    use alloc::vec::Vec;
    use core::ptr;

    fn content(queue: &WaitQueue) -> Vec<TaskRef> {
        let mut found = Vec::new();
        let mut at = queue.first();
        while let Some(waiter) = at {
            // SAFETY: linked nodes are alive in this test.
            let links = unsafe { waiter.links() };
            found.push(links.task);
            // SAFETY: as above.
            at = unsafe { links.next.get().as_ref() };
        }
        found
    }

    /// Every sequence of up to six operations on three tasks, against a plain list.
    #[test]
    fn all_short_sequences_of_push_pop_and_unlink_agree_with_a_list() {
        const OPERATIONS: usize = 7; // push or unlink one of three tasks, or pop
        let mut table = Tasks::new(usize::MAX);
        table.grow(ptr::null()).expect("memory");
        let tasks = [(); 3].map(|()| table.admit().expect("room"));
        for sequence in 0..OPERATIONS.pow(6) {
            let waiters = [const { Waiter::new() }; 3];
            let queue = WaitQueue::new();
            let mut model: Vec<usize> = Vec::new();
            let mut rest = sequence;
            for _ in 0..6 {
                let (operation, task) = (rest % OPERATIONS / 3, rest % OPERATIONS % 3);
                rest /= OPERATIONS;
                match operation {
                    2 => match queue.pop() {
                        Some((first, task)) => {
                            let expected = model.remove(0);
                            assert!(ptr::eq(first, &waiters[expected]) && task == tasks[expected]);
                        }
                        None => assert!(model.is_empty()),
                    },
                    1 if model.contains(&task) => {
                        unlink(&waiters[task]);
                        model.retain(|&other| other != task);
                    }
                    0 if !model.contains(&task) => {
                        queue.push(&waiters[task], tasks[task]);
                        model.push(task);
                    }
                    _ => {}
                }
                assert_eq!(content(&queue), model.iter().map(|&task| tasks[task]).collect::<Vec<_>>());
                assert_eq!(queue.is_empty(), model.is_empty());
            }
        }
    }
}
