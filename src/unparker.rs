//! What wakes a task from any thread.

use crate::inbox::Remote;

/// Wakes a task from any thread.
///
/// Obtained from [`Task::unparker`](crate::Task::unparker). While one exists for a blocked task, the runtime waits for it instead of
/// reporting a deadlock.
#[derive(Clone, Debug)]
pub struct Unparker(Remote);

impl Unparker {
    pub(crate) fn new(remote: &Remote) -> Unparker {
        Unparker(remote.clone())
    }

    /// Makes the task's present or next [`park`](crate::park) return. Does nothing when the task is over.
    ///
    /// # Context
    /// Any thread, inside or outside a runtime.
    pub fn unpark(&self) {
        self.0.unpark();
    }
}
