//! The inbox where there are neither other threads nor interrupts (wasm32 without atomics): an unparker wakes its task itself.

use crate::runtime;
use crate::task::TaskId;
use crate::unparker::Wakeup;

/// Always empty.
#[derive(Debug)]
pub(crate) struct Inbox;

/// How a runtime holds its inbox.
pub(crate) type Shared = Inbox;

/// A task, as an unparker knows it.
#[derive(Clone, Debug)]
pub(crate) struct Remote(TaskId);

impl Remote {
    pub(crate) fn new(task: TaskId, _: &Shared) -> Remote {
        Remote(task)
    }

    pub(crate) fn post(&self, _: Wakeup) {
        runtime::with(|scheduler| scheduler.unpark(self.0));
    }

    /// Whoever holds an unparker is a task here, and cannot run while nothing can.
    pub(crate) fn is_shared(&self) -> bool {
        false
    }
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn drain(&self, _: impl FnMut(TaskId, Wakeup)) {}
}
