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
//! *Short Chain*: who the head's task is stands in the queue. Where two tasks hand a value back and forth, each step waits for what the other
//! wrote; if that were found in the head, one load more would depend on where the other's stack is (a round trip took 14 ns instead of 11).
//!
//! *Written*: of a linked node `next` and `queue` are written; `previous` and `task` only if it was not the head when it came, and of the head
//! they are stale: the queue itself knows them. The tail's `next` is null.
#![allow(unsafe_code, reason = "nodes on other tasks' stacks are reached through pointers (Anchored)")]

use crate::task::TaskRef;
use core::cell::Cell;
use core::mem::MaybeUninit;
use core::ptr;

/// A FIFO queue of blocked tasks.
#[derive(Debug)]
pub(crate) struct WaitQueue {
    head: Cell<*const Waiter>,
    /// Stale while the queue is empty, as is `task`.
    tail: Cell<*const Waiter>,
    /// The head's.
    task: Cell<TaskRef>,
}

/// A blocked task's node.
///
/// It has no content before it is in a queue: a blocking call need not write what `push` writes again.
#[derive(Debug)]
pub(crate) struct Waiter {
    next: Late<*const Waiter>,
    previous: Late<*const Waiter>,
    queue: Late<*const WaitQueue>,
    task: Late<TaskRef>,
}

/// What is written later, if at all.
#[derive(Debug)]
struct Late<T: Copy>(Cell<MaybeUninit<T>>);

impl<T: Copy> Late<T> {
    const fn new() -> Late<T> {
        Late(Cell::new(MaybeUninit::uninit()))
    }

    #[inline(always)]
    fn set(&self, value: T) {
        self.0.set(MaybeUninit::new(value));
    }

    /// # Safety
    /// It was written.
    #[inline(always)]
    unsafe fn get(&self) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.0.get().assume_init() }
    }
}

impl Waiter {
    /// A node that is in no queue.
    #[inline(always)]
    pub(crate) const fn new() -> Waiter {
        Waiter { next: Late::new(), previous: Late::new(), queue: Late::new(), task: Late::new() }
    }
}

impl WaitQueue {
    pub(crate) const fn new() -> WaitQueue {
        WaitQueue {
            head: Cell::new(ptr::null()),
            tail: Cell::new(ptr::null()),
            task: Cell::new(TaskRef::NOBODY),
        }
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
        waiter.next.set(ptr::null());
        waiter.queue.set(self);
        if self.is_empty() {
            self.head.set(waiter);
            self.task.set(task);
        } else {
            let last = self.tail.get();
            waiter.previous.set(last);
            waiter.task.set(task);
            // SAFETY: the queue is not empty, so its tail is linked: Anchored.
            unsafe { &*last }.next.set(waiter);
        }
        self.tail.set(waiter);
    }

    /// Takes the node off that has waited longest. Returns it and its task; it is alive until that goes on.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn pop(&self) -> Option<(&Waiter, TaskRef)> {
        let first = self.first()?;
        let task = self.task.get();
        self.drop_head(first);
        Some((first, task))
    }

    /// Takes `first`, the head, off.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn drop_head(&self, first: &Waiter) {
        // SAFETY: Written: it is linked.
        let next = unsafe { first.next.get() };
        self.head.set(next);
        // SAFETY: Anchored: it is null or linked.
        if let Some(next) = unsafe { next.as_ref() } {
            // SAFETY: Written: it was not the head until now.
            self.task.set(unsafe { next.task.get() });
        }
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
    // SAFETY: Written, as it is linked; Anchored: so its queue is alive where it was.
    let (next, queue) = unsafe { (waiter.next.get(), &*waiter.queue.get()) };
    if ptr::eq(queue.head.get(), waiter) {
        queue.drop_head(waiter);
        return;
    }
    // SAFETY: Written: it is not the head. So it has a neighbour before it, which is linked: Anchored.
    let previous = unsafe { &*waiter.previous.get() };
    previous.next.set(next);
    // SAFETY: null, or a linked neighbour: Anchored.
    match unsafe { next.as_ref() } {
        Some(next) => next.previous.set(previous),
        None => queue.tail.set(previous),
    }
}

#[cfg(test)]
mod tests {
    use super::{WaitQueue, Waiter, unlink};
    use crate::task::{TaskRef, Tasks};
    use alloc::vec::Vec;
    use core::ptr;

    fn content(queue: &WaitQueue) -> Vec<TaskRef> {
        let mut found = Vec::from_iter(queue.first().map(|_| queue.task.get()));
        // SAFETY: linked nodes are alive in this test, and written.
        let next = |waiter: &Waiter| unsafe { waiter.next.get().as_ref() };
        let mut at = queue.first().and_then(next);
        while let Some(waiter) = at {
            // SAFETY: as above: it is not the head.
            found.push(unsafe { waiter.task.get() });
            at = next(waiter);
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
