//! What a reactor remembers between calls.

use crate::error::RunError;
use crate::runtime;
#[cfg(feature = "asynchronous")]
use crate::spawn::RawHandle;
#[cfg(any(
    feature = "asynchronous",
    all(target_arch = "wasm32", feature = "scheduler", feature = "timers")
))]
use crate::time::Instant;
#[cfg(feature = "asynchronous")]
use crate::time::Moment;
#[cfg(feature = "asynchronous")]
use alloc::vec::Vec;

/// How far the reactor is with its initialisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    New,
    /// Calls are allowed already: init may call the host, which may call back.
    Initialising,
    Ready,
    /// Init did not finish: counts as not initialised, for ever.
    Failed,
}

/// An asynchronous call whose result has not been taken.
#[cfg(feature = "asynchronous")]
#[derive(Debug)]
pub(super) struct AsyncCall {
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) handle: RawHandle,
    pub(super) deadline: Option<Moment>,
}

/// The reactor's part of a runtime.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) phase: Phase,
    /// The name of the call that a trap ended.
    pub(super) poisoned: Option<&'static str>,
    /// `exit` was called.
    pub(super) ended: Option<i32>,
    /// Deadline of the next call.
    #[cfg(all(target_arch = "wasm32", feature = "scheduler", feature = "timers"))]
    pub(super) next_deadline: Option<Instant>,
    #[cfg(target_arch = "wasm32")]
    pub(super) door: Door,
    #[cfg(feature = "asynchronous")]
    pub(super) calls: Vec<AsyncCall>,
    #[cfg(feature = "asynchronous")]
    pub(super) last_id: u32,
    #[cfg(feature = "asynchronous")]
    pub(super) background: bool,
    /// What the host was last asked for with `wake_at`.
    #[cfg(feature = "asynchronous")]
    pub(super) armed: Option<Instant>,
    /// Names of the calls in progress, where no scheduler keeps them.
    #[cfg(not(feature = "scheduler"))]
    pub(super) open: alloc::vec::Vec<&'static str>,
}

/// Where the host reads why a call failed.
#[cfg(target_arch = "wasm32")]
#[derive(Debug)]
pub(super) struct Door {
    pub(super) code: i32,
    #[cfg(feature = "reports")]
    pub(super) report: alloc::string::String,
}

impl State {
    pub(crate) const fn new() -> State {
        State {
            phase: Phase::New,
            poisoned: None,
            ended: None,
            #[cfg(all(target_arch = "wasm32", feature = "scheduler", feature = "timers"))]
            next_deadline: None,
            #[cfg(target_arch = "wasm32")]
            door: Door {
                code: 0,
                #[cfg(feature = "reports")]
                report: alloc::string::String::new(),
            },
            #[cfg(feature = "asynchronous")]
            calls: Vec::new(),
            #[cfg(feature = "asynchronous")]
            last_id: 0,
            #[cfg(feature = "asynchronous")]
            background: false,
            #[cfg(feature = "asynchronous")]
            armed: None,
            #[cfg(not(feature = "scheduler"))]
            open: alloc::vec::Vec::new(),
        }
    }

    /// Whether a call may come in now.
    pub(super) fn check(&self) -> Result<(), RunError> {
        if let Some(by) = self.poisoned {
            return Err(RunError::Poisoned { by });
        }
        if let Some(code) = self.ended {
            return Err(RunError::Ended(code));
        }
        match self.phase {
            Phase::New | Phase::Failed => Err(RunError::NotInitialised),
            Phase::Initialising | Phase::Ready => Ok(()),
        }
    }

    /// Whether init has not begun.
    pub(super) fn may_begin_init(&self) -> Result<(), RunError> {
        if let Some(by) = self.poisoned {
            return Err(RunError::Poisoned { by });
        }
        if self.phase != Phase::New {
            return Err(RunError::AlreadyInitialised);
        }
        Ok(())
    }

    /// Takes the step from new to initialising.
    pub(super) fn begin_init(&mut self) -> Result<(), RunError> {
        self.may_begin_init()?;
        self.phase = Phase::Initialising;
        Ok(())
    }
}

/// Says that the host caught an error that it had thrown through the reactor's frames: every later call is refused.
///
/// What was between the host's call and the throwing import did not finish, and cannot.
pub fn poison() {
    let by = super::call::innermost().unwrap_or("a host call");
    runtime::current().reactor.borrow_mut().poisoned.get_or_insert(by);
}

/// The error door's code of an error (`docs/abi.md`, section 6).
#[cfg_attr(
    not(target_arch = "wasm32"),
    allow(dead_code, reason = "only wasm32 has an error door; tested everywhere")
)]
pub(super) fn code(error: &RunError) -> i32 {
    match error {
        RunError::NotInitialised => 1,
        RunError::AlreadyInitialised => 2,
        RunError::Ended(_) => 3,
        RunError::Poisoned { .. } | RunError::InTask => 4,
        RunError::Deadlock { .. } => 5,
        RunError::WouldWait { .. } => 6,
        RunError::TimedOut { .. } => 7,
        RunError::Panicked(_) => 8,
        RunError::Exited(_) => 9,
        RunError::NestedTooDeep => 10,
        #[cfg(feature = "scheduler")]
        RunError::Spawn(_) => 11,
        RunError::NoSuchCall => 12,
        RunError::WouldBlock => 14,
    }
}

#[cfg(test)]
mod tests {
    use super::{Phase, RunError, State, code};

    #[test]
    fn a_failed_init_counts_as_not_initialised_and_cannot_be_repeated() {
        let mut state = State::new();
        assert_eq!(state.check().map_err(|e| code(&e)), Err(1));
        assert!(state.begin_init().is_ok());
        assert!(state.check().is_ok());
        state.phase = Phase::Failed;
        assert_eq!(state.check().map_err(|e| code(&e)), Err(1));
        assert_eq!(state.begin_init().map_err(|e| code(&e)), Err(2));
    }

    #[test]
    fn poison_goes_before_everything_else() {
        let mut state = State { poisoned: Some("add"), ended: Some(3), ..State::new() };
        assert_eq!(state.check().map_err(|e| code(&e)), Err(4));
        assert_eq!(state.begin_init().map_err(|e| code(&e)), Err(4));
        state.poisoned = None;
        assert!(matches!(state.check(), Err(RunError::Ended(3))));
    }
}
