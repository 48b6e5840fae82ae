//! What can go wrong, one variant each.
//!
//! The guest names its errors by a number, the *code* of the error door (`docs/abi.md` section 6); what only the host can see
//! has no code. Each text says what happened and what to do about it.

use std::{error, fmt};

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a reactor could not be loaded, called or waited for.
///
/// [`Error::poisons`] tells the errors after which the instance refuses every call from those that leave it usable.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A real trap: out of bounds, `unreachable`, the engine's stack exhausted. The instance is poisoned.
    Trap {
        /// The call that trapped.
        call: String,
        /// What the engine said.
        message: String,
        /// Functions of the guest, innermost first; names where the module has them.
        backtrace: Vec<String>,
    },
    /// A call before `initialize`, or after an `initialize` that failed.
    NotInitialised,
    /// A second `initialize`.
    AlreadyInitialised,
    /// A call after the guest ended the module with `exit`.
    Ended {
        /// What the guest gave to `exit`.
        code: i32,
    },
    /// A call after a trap: nothing runs on half-wound state.
    Poisoned {
        /// The call that trapped; empty where only the guest knew.
        by: String,
        /// What it died of.
        cause: String,
    },
    /// Nothing is runnable and no timer is pending: the call can never finish. Its task stays blocked; the next call works.
    Deadlock {
        /// Every blocked task and what it waits for.
        report: String,
    },
    /// Only waiting in the host could let a synchronous call go on, and this host may not block.
    WouldWait {
        /// Every blocked task and what it waits for.
        report: String,
    },
    /// The call's deadline passed.
    TimedOut {
        /// Every blocked task and what it waits for.
        report: String,
    },
    /// A task panicked. The instance is poisoned.
    Panicked {
        /// The task and its message.
        message: String,
    },
    /// The guest ended the module with `exit` during this call.
    Exited {
        /// What the guest gave to `exit`.
        code: i32,
    },
    /// More than 64 calls open: an import calls the guest which calls the import, and so on.
    NestedTooDeep,
    /// The call's task could not be made.
    NoTask {
        /// What was missing: memory, or the limit of tasks.
        report: String,
    },
    /// The asynchronous call does not exist: its result was taken, it was cancelled, or it belongs to another reactor.
    NoSuchCall,
    /// A task outgrew its stack. The instance is poisoned.
    StackOverflow {
        /// The task and its stack.
        report: String,
    },
    /// The guest was built without the scheduler, and the call had to block. The instance is poisoned.
    WouldBlock {
        /// What it would have waited for.
        report: String,
    },
    /// An error code that this version does not know.
    Unknown {
        /// The code.
        code: i32,
        /// The guest's report.
        report: String,
    },
    /// An import returned an error, which went out through the guest. The instance is poisoned.
    Import {
        /// The call during which it happened.
        call: String,
        /// The import: module and name.
        import: String,
        /// What the import returned.
        source: Box<dyn error::Error + Send + Sync>,
    },
    /// The call used up its fuel. The instance is poisoned.
    OutOfFuel {
        /// The call that used up its fuel.
        call: String,
    },
    /// An [`InterruptHandle`](crate::InterruptHandle) ended the call. The instance is poisoned.
    Interrupted {
        /// The call that was interrupted.
        call: String,
    },
    /// The module still imports what `windlass-lower` defines.
    NotLowered {
        /// The first such import.
        import: String,
    },
    /// The module imports what nobody provides.
    MissingImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// The guest speaks another version of the ABI.
    AbiMismatch {
        /// The guest's version.
        found: u32,
        /// The version of this host.
        expected: u32,
    },
    /// The module has no such exported call.
    NoSuchExport {
        /// The name asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// The module lacks an export that the operation needs: it was built without the scheduler, or not with Windlass.
    Unsupported {
        /// The missing export.
        export: String,
    },
    /// Arguments or result do not fit the export.
    Signature {
        /// The export's signature.
        declared: String,
        /// How it was called.
        given: String,
    },
    /// A text that is no value of the wanted type.
    Parse {
        /// The text.
        text: String,
        /// The name of the wanted type.
        wanted: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The guest has no memory for an argument.
    OutOfMemory {
        /// The bytes that were asked for.
        bytes: usize,
    },
    /// The guest broke the ABI, or an import handed over an address outside of memory.
    Protocol {
        /// What it did.
        message: String,
    },
    /// The reactor was closed.
    Closed {
        /// The tasks at the time of closing.
        report: String,
    },
    /// The asynchronous call was cancelled by this host.
    Cancelled,
    /// The reactor is in the middle of a call on this very thread.
    Busy,
    /// The module could not be read, compiled or instantiated, or an import was defined twice.
    Load {
        /// Why.
        message: String,
    },
}

impl Error {
    /// The variant's name, the same in every Windlass host.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Trap { .. } => "Trap",
            Self::NotInitialised => "NotInitialised",
            Self::AlreadyInitialised => "AlreadyInitialised",
            Self::Ended { .. } => "Ended",
            Self::Poisoned { .. } => "Poisoned",
            Self::Deadlock { .. } => "Deadlock",
            Self::WouldWait { .. } => "WouldWait",
            Self::TimedOut { .. } => "TimedOut",
            Self::Panicked { .. } => "Panicked",
            Self::Exited { .. } => "Exited",
            Self::NestedTooDeep => "NestedTooDeep",
            Self::NoTask { .. } => "NoTask",
            Self::NoSuchCall => "NoSuchCall",
            Self::StackOverflow { .. } => "StackOverflow",
            Self::WouldBlock { .. } => "WouldBlock",
            Self::Unknown { .. } => "Unknown",
            Self::Import { .. } => "Import",
            Self::OutOfFuel { .. } => "OutOfFuel",
            Self::Interrupted { .. } => "Interrupted",
            Self::NotLowered { .. } => "NotLowered",
            Self::MissingImport { .. } => "MissingImport",
            Self::AbiMismatch { .. } => "AbiMismatch",
            Self::NoSuchExport { .. } => "NoSuchExport",
            Self::Unsupported { .. } => "Unsupported",
            Self::Signature { .. } => "Signature",
            Self::Parse { .. } => "Parse",
            Self::OutOfMemory { .. } => "OutOfMemory",
            Self::Protocol { .. } => "Protocol",
            Self::Closed { .. } => "Closed",
            Self::Cancelled => "Cancelled",
            Self::Busy => "Busy",
            Self::Load { .. } => "Load",
        }
    }

    /// The code of the error door, for the errors that come from the guest.
    pub fn code(&self) -> Option<i32> {
        Some(match self {
            Self::Trap { .. } => 0,
            Self::NotInitialised => 1,
            Self::AlreadyInitialised => 2,
            Self::Ended { .. } => 3,
            Self::Poisoned { .. } => 4,
            Self::Deadlock { .. } => 5,
            Self::WouldWait { .. } => 6,
            Self::TimedOut { .. } => 7,
            Self::Panicked { .. } => 8,
            Self::Exited { .. } => 9,
            Self::NestedTooDeep => 10,
            Self::NoTask { .. } => 11,
            Self::NoSuchCall => 12,
            Self::StackOverflow { .. } => 13,
            Self::WouldBlock { .. } => 14,
            Self::Unknown { code, .. } => *code,
            _ => return None,
        })
    }

    /// Whether the instance refuses every call from now on because of this error.
    pub fn poisons(&self) -> bool {
        matches!(
            self,
            Self::Trap { .. }
                | Self::Poisoned { .. }
                | Self::Panicked { .. }
                | Self::StackOverflow { .. }
                | Self::WouldBlock { .. }
                | Self::Import { .. }
                | Self::OutOfFuel { .. }
                | Self::Interrupted { .. }
        )
    }

    /// The guest's report or message, where the error has one.
    pub fn report(&self) -> Option<&str> {
        match self {
            Self::Deadlock { report }
            | Self::WouldWait { report }
            | Self::TimedOut { report }
            | Self::NoTask { report }
            | Self::StackOverflow { report }
            | Self::WouldBlock { report }
            | Self::Unknown { report, .. }
            | Self::Closed { report } => Some(report),
            Self::Panicked { message } | Self::Trap { message, .. } => Some(message),
            Self::Poisoned { cause, .. } => Some(cause),
            _ => None,
        }
    }

    pub(crate) fn load(message: impl fmt::Display) -> Self {
        Self::Load { message: message.to_string() }
    }

    pub(crate) fn protocol(message: impl fmt::Display) -> Self {
        Self::Protocol { message: message.to_string() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trap { call, message, backtrace } => {
                write!(f, "`{call}` trapped: {message}; the instance is poisoned, load a new one")?;
                for (depth, name) in backtrace.iter().enumerate() {
                    write!(f, "\n  {depth}: {name}")?;
                }
                Ok(())
            }
            Self::NotInitialised => f.write_str(
                "the reactor is not initialised: call `initialize` first (and see why it failed, if you did)",
            ),
            Self::AlreadyInitialised => {
                f.write_str("the reactor is already initialised: call `initialize` once for each instance")
            }
            Self::Ended { code } => {
                write!(f, "the module ended with `exit({code})` in an earlier call: load a new instance")
            }
            Self::Poisoned { by, cause } => {
                f.write_str("the instance is poisoned, load a new one: ")?;
                match (by.is_empty(), cause.is_empty()) {
                    (true, _) => f.write_str(cause),
                    (false, true) => write!(f, "`{by}` left it half-wound"),
                    (false, false) => write!(f, "`{by}` left it half-wound ({cause})"),
                }
            }
            Self::Deadlock { report } => write!(
                f,
                "deadlock: nothing is runnable and no timer is pending, so the call can never finish\n{report}"
            ),
            Self::WouldWait { report } => write!(
                f,
                "the call would have to wait, and this host may not block: call it asynchronously, or allow blocking with \
                 `may_block(true)`\n{report}"
            ),
            Self::TimedOut { report } => write!(f, "the call's deadline passed\n{report}"),
            Self::Panicked { message } => {
                write!(f, "a task panicked; the instance is poisoned, load a new one: {message}")
            }
            Self::Exited { code } => write!(f, "the guest ended the module with `exit({code})` during this call"),
            Self::NestedTooDeep => f.write_str(
                "more than 64 calls are open: an import keeps calling the guest that calls it; return from some first",
            ),
            Self::NoTask { report } => write!(
                f,
                "the task of the call could not be made: raise the limit of tasks or of memory, or let tasks end first\n{report}"
            ),
            Self::NoSuchCall => f.write_str(
                "no such asynchronous call: its result was taken, it was cancelled, or it belongs to another reactor",
            ),
            Self::StackOverflow { report } => write!(
                f,
                "a task outgrew its stack; the instance is poisoned, load a new one and give the task a larger stack in the \
                 guest\n{report}"
            ),
            Self::WouldBlock { report } => write!(
                f,
                "the call had to block, and the guest was built without the scheduler; it is given up half-way and the instance \
                 poisoned: load a new one, and allow blocking or enable the guest's feature `scheduler`\n{report}"
            ),
            Self::Unknown { code, report } => {
                write!(f, "the guest failed with code {code}, which this host does not know: update it\n{report}")
            }
            Self::Import { call, import, source } => write!(
                f,
                "the import `{import}` failed during `{call}`; the instance is poisoned, load a new one: {source}"
            ),
            Self::OutOfFuel { call } => write!(
                f,
                "`{call}` used up its fuel; the instance is poisoned, load a new one with a larger `Limits::fuel`"
            ),
            Self::Interrupted { call } => {
                write!(f, "`{call}` was interrupted; the instance is poisoned, load a new one")
            }
            Self::NotLowered { import } => write!(
                f,
                "the module imports `{import}`: it was not lowered; build it with `cargo windlass build`, or run \
                 `windlass-lower` on it"
            ),
            Self::MissingImport { module, name } => {
                write!(f, "the module imports `{module}.{name}`, which nobody provides: ")?;
                if module == "windlass_host" {
                    f.write_str("this host is older than the guest: update `windlass-host`")
                } else if module.starts_with("wasi") {
                    f.write_str("this host has no WASI; build the guest for wasm32-unknown-unknown")
                } else {
                    write!(f, "define it with `Builder::import(\"{module}\", \"{name}\", ...)`")
                }
            }
            Self::AbiMismatch { found, expected } => write!(
                f,
                "the module speaks version {found} of the Windlass ABI and this host version {expected}: use the same release of \
                 `windlass` and `windlass-host`"
            ),
            Self::NoSuchExport { name, available } if available.is_empty() => {
                write!(f, "the module has no call `{name}`, nor any other")
            }
            Self::NoSuchExport { name, available } => {
                write!(f, "the module has no call `{name}`; it has: {}", available.join(", "))
            }
            Self::Unsupported { export } => write!(
                f,
                "the module does not export `{export}`: build it with Windlass and its feature `scheduler`"
            ),
            Self::Signature { declared, given } => {
                write!(f, "the export is `{declared}`, and it was called as `{given}`")
            }
            Self::Parse { text, wanted, reason } => write!(f, "`{text}` is not of type {wanted}: {reason}"),
            Self::OutOfMemory { bytes } => write!(
                f,
                "the guest has no {bytes} bytes of memory for an argument: raise `Limits::memory`, or pass less"
            ),
            Self::Protocol { message } => write!(f, "the guest broke the ABI: {message}"),
            Self::Closed { report } if report.is_empty() => f.write_str("the reactor was closed"),
            Self::Closed { report } => write!(f, "the reactor was closed\n{report}"),
            Self::Cancelled => f.write_str("the call was cancelled"),
            Self::Busy => f.write_str(
                "the reactor is in the middle of a call on this thread: inside an import use the `Caller` that it was given",
            ),
            Self::Load { message } => write!(f, "the module could not be loaded: {message}"),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Import { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
