//! Who is ready, in what order, where the number of tasks is fixed: a FIFO ring of contexts with an entry for each task.
//!
//! *Room*: there are as many entries as task blocks, and a task is in the ring at most once; so a wake-up can never fail.
//!
//! There is neither a slot nor a mask, as `run_queue.rs` has them for speed: any number of entries will do, and none is left unused.

use crate::task::TaskRef;
use heapless::deque::DequeView;
use windlass_arch::Context;

/// A ready task: where to continue, and who that is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) context: Context,
    pub(crate) task: TaskRef,
}

/// The run queue.
#[derive(Debug)]
pub(crate) struct RunQueue {
    entries: &'static mut DequeView<Entry>,
}

impl RunQueue {
    /// A queue in this memory, which has an entry for each task.
    pub(crate) const fn over(entries: &'static mut DequeView<Entry>) -> RunQueue {
        RunQueue { entries }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends `task`, whose context is in its block.
    pub(crate) fn push(&mut self, task: TaskRef) {
        let pushed = self.entries.push_back(Entry { context: task.context.get(), task });
        debug_assert!(pushed.is_ok(), "Room");
    }

    /// Appends `task`, whose context is not saved yet. Returns where it belongs; the place is valid until the task is continued.
    pub(crate) fn push_unsaved(&mut self, task: TaskRef) -> *mut Context {
        self.push(task);
        self.entries.back_mut().map_or(task.context.as_ptr(), |last| &raw mut last.context)
    }

    /// Appends `me`, and takes out the first if there is one. Returns where the context of `me` belongs, too, which is valid until it is
    /// continued. `None`: there was none, and nothing happened.
    pub(crate) fn rotate(&mut self, me: TaskRef) -> Option<(*mut Context, Entry)> {
        let first = self.pop()?;
        Some((self.push_unsaved(me), first))
    }

    /// There is no slot.
    pub(crate) fn fill_ring(&mut self) -> bool {
        false
    }

    /// Takes out the first.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    /// Few tasks: their stacks fit into the cache, if there is one.
    pub(crate) fn fetch_ahead(&mut self, _: usize) {}
}
