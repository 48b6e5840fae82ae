//! What wakes a task from any thread.

use crate::inbox::Remote;

/// What a wake-up from elsewhere ends: a set, as several may come before the owner looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wakeup(u8);

impl Wakeup {
    /// The present or next `park`.
    pub(crate) const UNPARK: Wakeup = Wakeup(1);
    /// The present wait for something of other threads. It leaves no token: whoever waits looks at its own condition.
    #[cfg(all(feature = "std", not(target_arch = "wasm32")))]
    pub(crate) const REMOTE: Wakeup = Wakeup(2);

    #[cfg_attr(
        all(target_arch = "wasm32", not(target_feature = "atomics")),
        allow(dead_code, reason = "for the list of the other inbox")
    )]
    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    #[cfg_attr(
        all(target_arch = "wasm32", not(target_feature = "atomics")),
        allow(dead_code, reason = "for the list of the other inbox")
    )]
    pub(crate) fn from_bits(bits: u8) -> Wakeup {
        Wakeup(bits)
    }

    pub(crate) fn contains(self, other: Wakeup) -> bool {
        self.0 & other.0 != 0
    }
}

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
        self.0.post(Wakeup::UNPARK);
    }
}
