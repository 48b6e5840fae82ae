//! Synchronous calls: a task, and a host loop that lasts until that task is done.
//!
//! The call's closure, arguments and result live with its task, nothing with the caller's stack: a call that fails leaves a detached
//! task whose late result is dropped.

use super::state::{Phase, State};
use crate::dispatcher::{self, Goal, Stop};
use crate::error::{RunError, SpawnErrorKind};
use crate::runtime;
use crate::scheduler::MAX_NESTING;
use crate::spawn::{Builder, JoinHandle};
use crate::task::TaskId;
#[cfg(feature = "timers")]
use crate::time::Instant;
use crate::time::Moment;
use core::cell::RefMut;

/// Initialises the reactor: runs `init` as a task and returns when it is done. Tasks that it spawned stay queued (rule 1).
///
/// # Context
/// Host. (wasm32: `_initialize` does it, with the functions marked [`#[windlass::init]`](crate::init).)
///
/// # Errors
/// [`RunError::AlreadyInitialised`] the second time; [`RunError::Deadlock`] or [`RunError::WouldWait`] when `init` blocks for ever or
/// would have to wait for the host, and the others of a call. The reactor then counts as not initialised.
pub fn initialize(init: impl FnOnce() + 'static) -> Result<(), RunError> {
    gate::guarded(|| initialize_inside(|| (), init))
}

/// `constructors` run at most once, before anything else and outside of a task.
pub(super) fn initialize_inside(
    constructors: impl FnOnce(),
    init: impl FnOnce() + 'static,
) -> Result<(), RunError> {
    state().begin_init()?;
    constructors();
    let result = run_inside("_initialize", None, init);
    state().phase = if result.is_ok() { Phase::Ready } else { Phase::Failed };
    result
}

/// Calls the export `name` of an initialised reactor: runs `f` as a task at the tail of the run queue, and resumes the queue until that
/// task is done (rule 3).
///
/// # Context
/// Host, or a host function that a task called (rule 4).
///
/// # Errors
/// Every [`RunError`] but [`RunError::AlreadyInitialised`].
///
/// # Examples
/// ```
/// use windlass::reactor;
///
/// reactor::initialize(|| ()).unwrap();
/// assert_eq!(reactor::call("add", || 3 + 5).unwrap(), 8);
/// ```
pub fn call<F, T>(name: &'static str, f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    gate::guarded(|| call_inside(name, None, f))
}

/// Like [`call`], with a deadline (rule 13).
///
/// # Errors
/// As [`call`], and [`RunError::TimedOut`].
#[cfg(feature = "timers")]
pub fn call_with_deadline<F, T>(name: &'static str, deadline: Instant, f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    gate::guarded(|| call_inside(name, Some(deadline), f))
}

/// A call between `enter` and `exit`.
pub(super) fn call_inside<F, T>(name: &'static str, deadline: Option<Moment>, f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    check()?;
    run_inside(name, deadline, f)
}

/// Whether a call may come in now.
pub(super) fn check() -> Result<(), RunError> {
    state().check()
}

/// A task that the host waits for, whatever the reactor's state; for [`run`](crate::run).
pub(crate) fn run_task<F, T>(f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    gate::guarded(|| run_inside("run", None, f)).map_err(|error| match error {
        // The gate cannot tell the two apart; after a trap the guest's own code does not run.
        RunError::Poisoned { .. }
            if cfg!(target_arch = "wasm32") && crate::current::try_current().is_some() =>
        {
            RunError::InTask
        }
        error => error,
    })
}

fn run_inside<F, T>(name: &'static str, deadline: Option<Moment>, f: F) -> Result<T, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    // A call that is refused must leave nothing behind, so this comes before its task.
    may_nest()?;
    let handle = spawn_call(name, f)?;
    finish(name, handle.id(), deadline)?;
    handle.take().map_err(RunError::Panicked)
}

fn may_nest() -> Result<(), RunError> {
    if runtime::with(|scheduler| scheduler.loops().len() >= MAX_NESTING) {
        return Err(RunError::NestedTooDeep);
    }
    Ok(())
}

/// Drives the run queue until a call's task has finished.
fn finish(name: &'static str, task: TaskId, deadline: Option<Moment>) -> Result<(), RunError> {
    // It stops for nothing else: it is no poll.
    let done = drive(name, Some(task), Goal::until(deadline)).map(drop);
    #[cfg(feature = "asynchronous")]
    super::asynchronous::arm();
    done
}

/// Spawns a call's task.
pub(super) fn spawn_call<F, T>(name: &'static str, f: F) -> Result<JoinHandle<T>, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    Builder::new().name(name).spawn(f).map_err(|error| refused(error.kind))
}

fn refused(kind: SpawnErrorKind) -> RunError {
    match kind {
        SpawnErrorKind::Ended => {
            RunError::Ended(runtime::with(|scheduler| scheduler.ended).unwrap_or_default())
        }
        kind => RunError::Spawn(kind),
    }
}

/// Opens a host loop, drives it, and closes it. Returns how far a poll got; `Stop::Done` is all that a call gets.
pub(super) fn drive(name: &'static str, task: Option<TaskId>, goal: Goal) -> Result<Stop, RunError> {
    runtime::with(|scheduler| scheduler.open_loop(name, task)).ok_or(RunError::NestedTooDeep)?;
    let stop = dispatcher::drive(goal);
    // While the loop is open, so that the report shows the calling task where it is: in a host call.
    let stop = match stop {
        Stop::Deadlock => Err(RunError::Deadlock {
            #[cfg(feature = "reports")]
            report: dispatcher::report(),
        }),
        Stop::WouldWait => Err(RunError::WouldWait {
            #[cfg(feature = "reports")]
            report: dispatcher::report(),
        }),
        #[cfg(feature = "timers")]
        Stop::TimedOut => Err(RunError::TimedOut {
            #[cfg(feature = "reports")]
            report: dispatcher::report(),
        }),
        Stop::Ended(code) => {
            state().ended = Some(code);
            Err(RunError::Exited(code))
        }
        done => Ok(done),
    };
    runtime::with(|scheduler| scheduler.close_loop());
    stop
}

/// The name of the innermost call in progress.
pub(super) fn innermost() -> Option<&'static str> {
    runtime::with(|scheduler| scheduler.loops().last().map(|host_loop| host_loop.name))
}

/// The deadline that the host has set for the call that begins now.
#[cfg(target_arch = "wasm32")]
pub(super) fn next_deadline() -> Option<Moment> {
    #[cfg(feature = "timers")]
    return state().next_deadline.take();
    #[cfg(not(feature = "timers"))]
    None
}

pub(super) fn state() -> RefMut<'static, State> {
    runtime::current().reactor.borrow_mut()
}

/// Natively a call that cannot finish does not come back, so there is nothing to guard.
#[cfg(not(target_arch = "wasm32"))]
pub(super) mod gate {
    use crate::error::RunError;

    pub(crate) fn guarded<T>(body: impl FnOnce() -> Result<T, RunError>) -> Result<T, RunError> {
        body()
    }
}

/// Tells the lowered module that a call from the host begins and ends (`docs/abi.md`, section 4).
#[cfg(target_arch = "wasm32")]
pub(super) mod gate {
    use super::super::host;
    use crate::error::RunError;

    pub(crate) fn guarded<T>(body: impl FnOnce() -> Result<T, RunError>) -> Result<T, RunError> {
        enter()?;
        let result = body();
        host::exit();
        result
    }

    /// Opens a call, unless an earlier one was left half-way by a trap.
    pub(crate) fn enter() -> Result<(), RunError> {
        if host::enter() {
            Ok(())
        } else {
            Err(RunError::Poisoned { by: super::innermost().unwrap_or("a call") })
        }
    }
}
