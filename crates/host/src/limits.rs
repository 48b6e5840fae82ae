//! What a guest may use, and how to stop one that uses more time.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use wasmtime::EngineWeak;

/// Limits of one reactor. Nothing is limited unless it is set.
///
/// A guest is not preempted: a task that neither blocks nor yields holds its call, and a deadline does not end it. Fuel and
/// interruption do, at the price of a check in every loop and function of the compiled code.
///
/// # Examples
///
/// ```
/// use windlass_host::Limits;
///
/// let limits = Limits::default().memory(16 << 20).tasks(1_000).fuel(1_000_000_000);
/// # let _ = limits;
/// ```
#[derive(Clone, Debug, Default)]
pub struct Limits {
    pub(crate) memory: Option<usize>,
    pub(crate) tasks: Option<u32>,
    pub(crate) fuel: Option<u64>,
    pub(crate) interruptible: bool,
    pub(crate) stack: Option<usize>,
}

/// Room for 64 nested calls even in unoptimised builds, and less than half of what Rust gives a thread. Windows gives the main
/// thread no more than 1 MiB.
const STACK: usize = if cfg!(windows) { 512 << 10 } else { 1 << 20 };

impl Limits {
    /// Most bytes that the guest's memory may grow to. The guest then sees that it gets no more.
    #[must_use]
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// Most tasks alive at once; 0 is no limit.
    #[must_use]
    pub fn tasks(mut self, tasks: u32) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// Fuel for each call from outside, about one unit an instruction; calls nested in imports share it. A call that uses it up
    /// fails with [`Error::OutOfFuel`](crate::Error::OutOfFuel).
    #[must_use]
    pub fn fuel(mut self, units: u64) -> Self {
        self.fuel = Some(units);
        self
    }

    /// Bytes of the OS thread's stack that a call may use, from its start to the innermost frame of the guest; the host's own
    /// frames between nested calls count. Beyond it a call traps. The default is 1 MiB, on Windows half of that; the thread must
    /// have well more.
    #[must_use]
    pub fn stack(mut self, bytes: usize) -> Self {
        self.stack = Some(bytes);
        self
    }

    pub(crate) fn stack_bytes(&self) -> usize {
        self.stack.unwrap_or(STACK)
    }

    /// Lets an [`InterruptHandle`] end a call.
    #[must_use]
    pub fn interruptible(mut self, on: bool) -> Self {
        self.interruptible = on;
        self
    }
}

/// Ends the call that a reactor is running, from any thread.
#[derive(Clone)]
pub struct InterruptHandle {
    pub(crate) requested: Arc<AtomicBool>,
    pub(crate) engine: EngineWeak,
}

impl InterruptHandle {
    /// Ends the running call with [`Error::Interrupted`](crate::Error::Interrupted); without one it does nothing.
    ///
    /// Guest code stops at its next loop or call. A sleep in the host ends within a tenth of a second; an import of your own is
    /// not disturbed, and the guest stops when it returns.
    pub fn interrupt(&self) {
        self.requested.store(true, Ordering::SeqCst);
        if let Some(engine) = self.engine.upgrade() {
            engine.increment_epoch();
        }
    }
}

impl std::fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InterruptHandle").field("requested", &self.requested).finish_non_exhaustive()
    }
}
