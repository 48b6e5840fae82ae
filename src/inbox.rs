//! How other threads wake a task: an intrusive list that cannot fill.
//!
//! ```text
//!   other threads: Unparker::unpark ──► [ node of task 7 ] ──► [ node of task 2 ] ──► head
//!   owner, in the host loop:            drain: oldest first, unpark each
//! ```
//!
//! Each task that was asked for an [`Unparker`](crate::Unparker), or waited for something of other threads, has one node with what is
//! *pending* for it, a bit for each [`Wakeup`]: a node is in the list at most once, so waking neither allocates nor fails, whoever does
//! it how often. A wake-up that finds something pending is not lost: the owner takes all bits before it wakes the task, so the task
//! looks at its condition after the waker changed it.
//!
//! *Seen Before Sleeping*: a waker puts the node in, then notifies; the owner finds the list empty, then waits. Whichever comes first,
//! the owner sees the node or the notification ends its waiting. `cargo xtask loom` checks it.
#![allow(unsafe_code, reason = "an intrusive lock-free list")]

use crate::atomics::{Arc, AtomicPtr, AtomicU8, Ordering};
use crate::task::TaskId;
use crate::unparker::Wakeup;
use alloc::boxed::Box;
use core::fmt;
use core::ptr;

/// Ends the owner's waiting.
pub(crate) type Notify = Box<dyn Fn() + Send + Sync>;

/// The list of one runtime.
pub(crate) struct Inbox {
    /// Newest first.
    head: AtomicPtr<Node>,
    notify: Option<Notify>,
}

#[derive(Debug)]
struct Node {
    next: AtomicPtr<Node>,
    /// The bits of [`Wakeup`]; in the list while it is not 0.
    pending: AtomicU8,
    task: TaskId,
    inbox: Arc<Inbox>,
}

/// The head of a list whose owner is gone.
const CLOSED: *mut Node = ptr::without_provenance_mut(1);

/// A reference to a task's node: its own, or an unparker's.
#[derive(Clone, Debug)]
pub(crate) struct Remote(Arc<Node>);

/// How a runtime and its nodes hold the list.
pub(crate) type Shared = Arc<Inbox>;

impl Remote {
    pub(crate) fn new(task: TaskId, inbox: &Shared) -> Remote {
        Remote(Arc::new(Node {
            next: AtomicPtr::new(ptr::null_mut()),
            pending: AtomicU8::new(0),
            task,
            inbox: Arc::clone(inbox),
        }))
    }

    /// Whether anybody but the task itself could still wake it.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// The task, if `inbox` is its runtime's.
    #[cfg(all(feature = "std", not(target_arch = "wasm32")))]
    pub(crate) fn task_of(&self, inbox: &Shared) -> Option<TaskId> {
        Arc::ptr_eq(&self.0.inbox, inbox).then_some(self.0.task)
    }

    /// Puts the task into the inbox, unless it is there.
    pub(crate) fn post(&self, wakeup: Wakeup) {
        let node = &self.0;
        if node.pending.fetch_or(wakeup.bits(), Ordering::AcqRel) != 0 {
            return;
        }
        let inbox = &node.inbox;
        let raw = Arc::into_raw(Arc::clone(node)).cast_mut();
        let mut head = inbox.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                // SAFETY: takes back the count that was to go into the list.
                drop(unsafe { Arc::from_raw(raw.cast_const()) });
                return;
            }
            node.next.store(head, Ordering::Relaxed);
            match inbox.head.compare_exchange_weak(head, raw, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(newer) => head = newer,
            }
        }
        if let Some(notify) = &inbox.notify {
            notify();
        }
    }
}

impl Inbox {
    pub(crate) fn new(notify: Option<Notify>) -> Shared {
        Arc::new(Inbox { head: AtomicPtr::new(ptr::null_mut()), notify })
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes nothing any more: the owner is gone.
    pub(crate) fn close(&self) {
        let list = self.head.swap(CLOSED, Ordering::Acquire);
        Inbox::take_apart(list, |_, _| {});
    }

    /// Calls `f` with each task in the inbox and what came for it, oldest first.
    pub(crate) fn drain(&self, f: impl FnMut(TaskId, Wakeup)) {
        if self.is_empty() {
            return;
        }
        Inbox::take_apart(self.head.swap(ptr::null_mut(), Ordering::Acquire), f);
    }

    fn take_apart(list: *mut Node, mut f: impl FnMut(TaskId, Wakeup)) {
        let mut newest_first = list;
        let mut oldest_first: *mut Node = ptr::null_mut();
        while !newest_first.is_null() && newest_first != CLOSED {
            // SAFETY: a node in the list is kept alive by the count that `post` leaked into it.
            let node = unsafe { &*newest_first };
            let next = node.next.load(Ordering::Relaxed);
            node.next.store(oldest_first, Ordering::Relaxed);
            oldest_first = newest_first;
            newest_first = next;
        }
        while !oldest_first.is_null() {
            // SAFETY: takes over the count that `post` leaked.
            let node = unsafe { Arc::from_raw(oldest_first.cast_const()) };
            oldest_first = node.next.load(Ordering::Relaxed);
            // A read-modify-write, so that it sees what came before a waker's own swap.
            let wakeup = Wakeup::from_bits(node.pending.swap(0, Ordering::AcqRel));
            f(node.task, wakeup);
        }
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").field("empty", &self.is_empty()).finish_non_exhaustive()
    }
}
