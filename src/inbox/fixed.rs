//! How interrupts and other threads wake a task where there is no heap: an intrusive list through the task blocks, which cannot fill.
//!
//! ```text
//!   interrupts: Unparker::unpark ──► [ node of task 7 ] ──► [ node of task 2 ] ──► head
//!   owner, in the host loop:         drain: oldest first, unpark each
//! ```
//!
//! A node is a part of its block, so an unparker is a pointer and the generation of the task that it is for. A node is in the list at most
//! once: while something is *pending* for it.
//!
//! *Late Unparkers*: one whose task is over finds another generation in the node and does nothing. What it left before the task's end is
//! marked [`STALE`], and delivered to nobody. (A thread on another core may be between the look and its doing when the task ends, and wake the
//! block's next task once without need; an interrupt on the owner's core cannot.)

#![allow(unsafe_code, reason = "an intrusive lock-free list")]

use crate::atomics::{AtomicPtr, AtomicU8, Ordering};
use crate::task::TaskId;
use crate::unparker::Wakeup;
use core::ptr;
use core::sync::atomic::AtomicU32;

/// Newest first. There is one runtime, so there is one list.
static HEAD: AtomicPtr<Node> = AtomicPtr::new(ptr::null_mut());

/// In `pending`, beside the bits of [`Wakeup`]: the node is in the list for a task that is over.
const STALE: u8 = 0x80;
/// In `pending`: somebody asked for an unparker. Alone it does not put the node into the list.
const SHARED: u8 = 0x40;

/// A task's part of the list, in its block.
#[derive(Debug)]
pub(crate) struct Node {
    next: AtomicPtr<Node>,
    /// The generation of the block's task.
    generation: AtomicU32,
    index: u32,
    pending: AtomicU8,
}

impl Node {
    pub(crate) const fn new(index: u32) -> Node {
        Node {
            next: AtomicPtr::new(ptr::null_mut()),
            generation: AtomicU32::new(0),
            index,
            pending: AtomicU8::new(0),
        }
    }

    /// What wakes the block's present task.
    pub(crate) fn remote(&'static self) -> Remote {
        self.pending.fetch_or(SHARED, Ordering::Relaxed);
        Remote { node: self, generation: self.generation.load(Ordering::Relaxed) }
    }

    /// Whether anybody but the task itself could still wake it.
    pub(crate) fn is_shared(&self) -> bool {
        self.pending.load(Ordering::Relaxed) & SHARED != 0
    }

    /// The block's task is over; the next one has this generation.
    pub(crate) fn renew(&self, generation: u32) {
        // From here on nobody adds anything for the task that is over.
        self.generation.store(generation, Ordering::Release);
        let pending = self.pending.load(Ordering::Acquire);
        if pending != 0 {
            let listed = pending & !SHARED != 0;
            self.pending.store(if listed { STALE } else { 0 }, Ordering::Relaxed);
        }
    }
}

/// A reference to a task's node: an unparker's.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    node: &'static Node,
    generation: u32,
}

impl Remote {
    /// Puts the task into the inbox, unless it is there.
    pub(crate) fn post(&self, wakeup: Wakeup) {
        let node = self.node;
        if node.generation.load(Ordering::Acquire) != self.generation {
            return;
        }
        if node.pending.fetch_or(wakeup.bits(), Ordering::AcqRel) & !SHARED != 0 {
            return;
        }
        let node = ptr::from_ref(node).cast_mut();
        let mut head = HEAD.load(Ordering::Relaxed);
        loop {
            self.node.next.store(head, Ordering::Relaxed);
            match HEAD.compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(newer) => head = newer,
            }
        }
    }
}

/// The list, as its owner knows it.
#[derive(Debug)]
pub(crate) struct Inbox;

/// How a runtime holds its inbox.
pub(crate) type Shared = Inbox;

impl Inbox {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        HEAD.load(Ordering::Relaxed).is_null()
    }

    /// Calls `f` with each task in the inbox and what came for it, oldest first.
    pub(crate) fn drain(&self, mut f: impl FnMut(TaskId, Wakeup)) {
        let mut newest_first = HEAD.swap(ptr::null_mut(), Ordering::Acquire);
        let mut oldest_first: *mut Node = ptr::null_mut();
        while !newest_first.is_null() {
            // SAFETY: a node is a part of a block, which is there as long as the program; all its fields are atomics.
            let node = unsafe { &*newest_first };
            let next = node.next.load(Ordering::Relaxed);
            node.next.store(oldest_first, Ordering::Relaxed);
            oldest_first = newest_first;
            newest_first = next;
        }
        while !oldest_first.is_null() {
            // SAFETY: as above.
            let node = unsafe { &*oldest_first };
            oldest_first = node.next.load(Ordering::Relaxed);
            // A read-modify-write, so that it sees what came before a waker's own; from here on the node may be put in again.
            let pending = node.pending.fetch_and(SHARED, Ordering::AcqRel);
            f(TaskId::new(node.index, node.generation.load(Ordering::Relaxed)), Wakeup::from_bits(pending));
        }
    }
}
