//! The errors of blocking calls and of spawning.
//!
//! What a caller can get wrong comes back as a value, together with what the operation could not take.

#![cfg_attr(
    feature = "std",
    allow(unsafe_code, reason = "a panic's payload is `Sync` as far as it can be reached")
)]

#[cfg(feature = "reports")]
use alloc::string::String;
use core::fmt;

/// The task was cancelled: this call, and every later one that would block, returns at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the task was cancelled")
    }
}

impl core::error::Error for Cancelled {}

/// Why a task could not be spawned; holds the closure, which has not run.
#[cfg(feature = "scheduler")]
#[non_exhaustive]
pub struct SpawnError<F> {
    /// What was missing.
    pub kind: SpawnErrorKind,
    /// The closure that was to be spawned.
    pub closure: F,
}

/// What a [`SpawnError`] is about.
#[cfg(feature = "scheduler")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SpawnErrorKind {
    /// The stack size is below what this closure, its result and a switch need: at least this many bytes.
    StackTooSmall {
        /// The smallest size that would do.
        minimum: usize,
    },
    /// The stack size is above [`stacks::MAX_SIZE`](crate::stacks::MAX_SIZE), or above that of the runtime's
    /// [`Memory`](crate::runtime::Memory).
    StackTooLarge,
    /// No memory for the stack or for the task's entry in the tables.
    OutOfMemory,
    /// As many guard pages as the system allows are in use; end some tasks, or raise `vm.max_map_count`.
    TooManyGuards,
    /// The runtime's limit on the number of tasks is reached.
    TooManyTasks,
    /// The module has ended (`exit`).
    Ended,
}

#[cfg(feature = "scheduler")]
impl fmt::Display for SpawnErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpawnErrorKind::StackTooSmall { minimum } => {
                write!(f, "the stack size is too small; this task needs at least {minimum} bytes")
            }
            #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
            SpawnErrorKind::StackTooLarge => {
                write!(f, "the stack size is above the maximum of {} bytes", crate::stacks::MAX_SIZE)
            }
            #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
            SpawnErrorKind::StackTooLarge => {
                f.write_str("the stack size is above that of the stacks in the runtime's memory")
            }
            SpawnErrorKind::OutOfMemory => f.write_str("no memory for another task"),
            SpawnErrorKind::TooManyGuards => {
                f.write_str("no more guard pages: end some tasks or raise vm.max_map_count")
            }
            SpawnErrorKind::TooManyTasks => f.write_str("the limit on the number of tasks is reached"),
            SpawnErrorKind::Ended => f.write_str("the module has ended"),
        }
    }
}

#[cfg(feature = "scheduler")]
impl<F> fmt::Debug for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(feature = "scheduler")]
impl<F> fmt::Display for SpawnError<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot spawn: {}", self.kind)
    }
}

#[cfg(feature = "scheduler")]
impl<F> core::error::Error for SpawnError<F> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.kind)
    }
}

#[cfg(feature = "scheduler")]
impl core::error::Error for SpawnErrorKind {}

/// Why [`JoinHandle::join`](crate::JoinHandle::join) has no result.
#[cfg(feature = "scheduler")]
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// The task panicked. Only where panics unwind.
    Panicked(Panic),
    /// The *joining* task was cancelled; the joined one goes on, detached.
    Cancelled,
    /// A task cannot wait for itself.
    Itself,
    /// The runtime that the task belonged to is gone, or this is another thread's.
    NoRuntime,
    /// No worker of the pool could start the task, and its closure was dropped.
    #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
    NotStarted(SpawnErrorKind),
}

#[cfg(feature = "scheduler")]
impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JoinError::Panicked(panic) => write!(f, "the task panicked: {panic}"),
            JoinError::Cancelled => f.write_str("the joining task was cancelled"),
            JoinError::Itself => f.write_str("a task cannot join itself"),
            JoinError::NoRuntime => f.write_str("the task's runtime is gone"),
            #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
            JoinError::NotStarted(kind) => write!(f, "the pool could not start the task: {kind}"),
        }
    }
}

#[cfg(feature = "scheduler")]
impl core::error::Error for JoinError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            JoinError::Panicked(panic) => Some(panic),
            #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
            JoinError::NotStarted(kind) => Some(kind),
            _ => None,
        }
    }
}

/// What a task panicked with.
pub struct Panic {
    #[cfg(feature = "std")]
    pub(crate) payload: alloc::boxed::Box<dyn core::any::Any + Send>,
    #[cfg(not(feature = "std"))]
    pub(crate) payload: core::convert::Infallible,
}

impl Panic {
    /// Returns the panic's message, if its payload was a string.
    #[cfg(feature = "std")]
    pub fn message(&self) -> Option<&str> {
        let payload = &self.payload;
        payload
            .downcast_ref::<&'static str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }

    /// Returns the panic's message, if its payload was a string.
    #[cfg(not(feature = "std"))]
    pub fn message(&self) -> Option<&str> {
        match self.payload {}
    }

    /// Returns the payload, for [`std::panic::resume_unwind`].
    #[cfg(feature = "std")]
    pub fn into_payload(self) -> alloc::boxed::Box<dyn core::any::Any + Send> {
        self.payload
    }
}

// SAFETY: a shared reference reaches the payload only through `message`, and there only a `&'static str` or a `String`, which are `Sync`.
#[cfg(feature = "std")]
unsafe impl Sync for Panic {}

impl core::error::Error for Panic {}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Panic({:?})", self.message())
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or("with a payload that is not a string"))
    }
}

/// Why [`try_run`](crate::try_run) or a [reactor call](crate::reactor::call) has no result.
///
/// The runtime stays usable after each of them, but for those that say otherwise.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing is runnable and no timer pending: the task would wait for ever. It stays blocked, detached.
    Deadlock {
        /// The list of tasks, a line each.
        #[cfg(feature = "reports")]
        report: String,
    },
    /// Only waiting could let the task go on, and the platform may not block.
    WouldWait {
        /// The list of tasks, a line each.
        #[cfg(feature = "reports")]
        report: String,
    },
    /// The call's deadline passed. The task goes on, detached.
    TimedOut {
        /// The list of tasks, a line each.
        #[cfg(feature = "reports")]
        report: String,
    },
    /// The task panicked.
    Panicked(Panic),
    /// [`exit`](crate::exit) ended the module with this code during the call.
    Exited(i32),
    /// The module had ended with this code before the call.
    Ended(i32),
    /// The task could not be spawned.
    #[cfg(feature = "scheduler")]
    Spawn(SpawnErrorKind),
    /// More than 64 calls are nested in each other; in a runtime without a heap more than 4.
    NestedTooDeep,
    /// A reactor's export was called before `initialize`, or after it failed.
    NotInitialised,
    /// A reactor was initialised twice.
    AlreadyInitialised,
    /// A trap left the instance half-way through this call: nothing may run any more.
    Poisoned {
        /// The name of the call that trapped.
        by: &'static str,
    },
    /// An asynchronous call's id that is not, or no longer, valid.
    NoSuchCall,
    /// The scheduler is off, and the call had to block.
    WouldBlock,
    /// On wasm32: a run or a reactor's call inside a task, which would have to wait on that task's stack.
    InTask,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Deadlock { .. } => f.write_str("deadlock: nothing is runnable and no timer is pending"),
            RunError::WouldWait { .. } => {
                f.write_str("the call would have to wait for the host; call it asynchronously")
            }
            RunError::TimedOut { .. } => f.write_str("the call's deadline passed"),
            RunError::Panicked(panic) => write!(f, "the call's task panicked: {panic}"),
            RunError::Exited(code) => write!(f, "the module has ended with exit code {code}"),
            RunError::Ended(code) => write!(f, "the module ended before, with exit code {code}"),
            #[cfg(feature = "scheduler")]
            RunError::Spawn(kind) => write!(f, "cannot spawn the call's task: {kind}"),
            #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
            RunError::NestedTooDeep => f.write_str("more than 64 calls are nested in each other"),
            #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
            RunError::NestedTooDeep => f.write_str("more than 4 calls are nested in each other"),
            RunError::NotInitialised => {
                f.write_str("not initialised: call `_initialize` first (if that failed: make a new instance)")
            }
            RunError::AlreadyInitialised => f.write_str("already initialised: `_initialize` is called once"),
            RunError::Poisoned { by } => {
                write!(f, "poisoned: a trap ended the call `{by}` half-way; make a new instance")
            }
            RunError::NoSuchCall => f.write_str("no such asynchronous call, or it is not done"),
            RunError::InTask => f.write_str(
                "called inside a task, where wasm32 cannot wait for it: use `spawn` and `join` instead",
            ),
            RunError::WouldBlock => f.write_str("the call would block, and the scheduler is off"),
        }?;
        match self.tasks() {
            Some(tasks) => write!(f, "\n{tasks}"),
            None => Ok(()),
        }
    }
}

impl RunError {
    /// The list of tasks, of an error that has it.
    pub(crate) fn tasks(&self) -> Option<&str> {
        match self {
            #[cfg(feature = "reports")]
            RunError::Deadlock { report }
            | RunError::WouldWait { report }
            | RunError::TimedOut { report } => Some(report),
            _ => None,
        }
    }
}

impl core::error::Error for RunError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            RunError::Panicked(panic) => Some(panic),
            #[cfg(feature = "scheduler")]
            RunError::Spawn(kind) => Some(kind),
            _ => None,
        }
    }
}
