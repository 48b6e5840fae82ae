//! Asynchronous calls: start, poll, result, cancel; and the one timer that the host is asked for.
//!
//! *One Timer* (rule 12): the host has at most one `wake_at` request of an instance, for the earliest deadline, and only while an
//! asynchronous call is pending or [`set_background`] asked for it.
#![allow(unsafe_code, reason = "the table of calls does not know their types")]

use super::call::{check, drive, gate, spawn_call, state};
use super::state::AsyncCall;
use crate::dispatcher::{Goal, Stop};
use crate::error::RunError;
use crate::runtime;
use crate::spawn::{JoinHandle, RawHandle};
#[cfg(feature = "timers")]
use crate::time::Instant;
use crate::time::{Moment, instant};
use core::fmt;
use core::marker::PhantomData;

/// Most switches of one poll: an endless task in the background must not keep the host from its own work.
const BUDGET: u64 = 10_000;

/// How far an asynchronous call, or the background, is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Nothing is runnable: a timer or another call must come first.
    Waiting,
    /// The budget of one poll is spent; poll again soon.
    Runnable,
    /// The call has finished: take its result.
    Done,
}

/// An asynchronous call that was started. Dropping it cancels the call.
#[must_use = "dropping it cancels the call"]
pub struct Pending<T> {
    /// 0 once the call is over: its id may be another's then.
    id: u32,
    type_: PhantomData<*mut T>,
}

/// Starts a call: spawns its task and runs nothing yet.
///
/// # Context
/// Host.
///
/// # Errors
/// The state errors of [`call`](super::call()), and [`RunError::Spawn`].
///
/// # Examples
/// ```
/// use windlass::reactor::{self, Progress};
///
/// reactor::initialize(|| ()).unwrap();
/// let mut call = reactor::start("answer", || 42).unwrap();
/// assert_eq!(call.poll().unwrap(), Progress::Done);
/// assert_eq!(call.result().unwrap(), 42);
/// ```
pub fn start<F, T>(name: &'static str, f: F) -> Result<Pending<T>, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    gate::guarded(|| start_inside(name, None, f)).map(|id| Pending { id, type_: PhantomData })
}

/// Like [`start`], with a deadline.
///
/// # Errors
/// As [`start`].
#[cfg(feature = "timers")]
pub fn start_with_deadline<F, T>(name: &'static str, deadline: Instant, f: F) -> Result<Pending<T>, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    gate::guarded(|| start_inside(name, Some(deadline), f)).map(|id| Pending { id, type_: PhantomData })
}

/// Resumes the background tasks until nothing is runnable or the budget is spent.
///
/// # Context
/// Host, also inside a host call.
///
/// # Errors
/// [`RunError::Exited`], [`RunError::NestedTooDeep`], [`RunError::Poisoned`], [`RunError::NotInitialised`].
pub fn poll() -> Result<Progress, RunError> {
    gate::guarded(|| poll_inside(0))
}

/// Says whether timers are armed ([`Platform::wake_at`](crate::platform::Platform::wake_at)) even while no asynchronous call is pending.
pub fn set_background(on: bool) {
    state().background = on;
    arm();
}

impl<T: 'static> Pending<T> {
    /// Resumes the run queue until this call is done, nothing is runnable, or the budget is spent.
    ///
    /// # Context
    /// Host, also inside a host call.
    ///
    /// # Errors
    /// [`RunError::TimedOut`], [`RunError::Exited`], [`RunError::NestedTooDeep`], [`RunError::Poisoned`]; after the first two the call is
    /// over.
    pub fn poll(&mut self) -> Result<Progress, RunError> {
        if self.id == 0 {
            return Err(RunError::NoSuchCall);
        }
        let progress = gate::guarded(|| poll_inside(self.id));
        if matches!(progress, Err(RunError::TimedOut { .. } | RunError::Exited(_))) {
            self.id = 0;
        }
        progress
    }

    /// Takes the result of a call that is done; one that is not goes on.
    ///
    /// # Errors
    /// [`RunError::NoSuchCall`] if it is not done, or the result was taken; [`RunError::Panicked`].
    pub fn result(&mut self) -> Result<T, RunError> {
        // SAFETY: the call was started with this type, and its id is its own until it is over.
        let result = unsafe { take_result::<T>(self.id, None) };
        if matches!(result, Ok(_) | Err(RunError::Panicked(_))) {
            self.id = 0;
        }
        result
    }

    /// Cancels the call: its blocking calls return `Cancelled`, and its result is dropped.
    pub fn cancel(self) {
        drop(self);
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if self.id != 0 && runtime::existing().is_some() {
            cancel_call(self.id);
        }
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).finish_non_exhaustive()
    }
}

pub(super) fn start_inside<F, T>(name: &'static str, deadline: Option<Moment>, f: F) -> Result<u32, RunError>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    check()?;
    Ok(enlist(name, spawn_call(name, f)?.into_raw(), deadline))
}

/// Gives a call its id.
fn enlist(name: &'static str, handle: RawHandle, deadline: Option<Moment>) -> u32 {
    let id = {
        let mut state = state();
        // Ids are positive as an i32, and not given again while a call has one.
        loop {
            state.last_id = if state.last_id >= i32::MAX as u32 { 1 } else { state.last_id + 1 };
            let id = state.last_id;
            if state.calls.iter().all(|call| call.id != id) {
                break;
            }
        }
        let id = state.last_id;
        state.calls.push(AsyncCall { id, name, handle, deadline });
        id
    };
    arm();
    id
}

/// Drives the run queue for call `id`; 0 is the background.
pub(super) fn poll_inside(id: u32) -> Result<Progress, RunError> {
    check()?;
    let goal = |deadline| Goal { deadline, budget: Some(BUDGET), poll: true };
    let stop = if id == 0 {
        // The host's timer has fired, or the host polls of its own accord; both ways the next request is a new one.
        state().armed = None;
        drive("windlass_poll", None, goal(None))
    } else {
        let (name, task, deadline) = {
            let state = state();
            let call = state.calls.iter().find(|call| call.id == id).ok_or(RunError::NoSuchCall)?;
            (call.name, call.handle.id(), call.deadline)
        };
        drive(name, Some(task), goal(deadline))
    };
    if matches!(stop, Err(RunError::TimedOut { .. } | RunError::Exited(_))) {
        // Detaches the task; a late result is dropped.
        drop(remove(id));
    }
    arm();
    Ok(match stop? {
        Stop::Idle => Progress::Waiting,
        Stop::Budget => Progress::Runnable,
        _ => Progress::Done,
    })
}

/// # Safety
/// The call `id`, if it exists (under `name`, if given), was started with result type `T`.
pub(super) unsafe fn take_result<T: 'static>(id: u32, name: Option<&'static str>) -> Result<T, RunError> {
    // SAFETY: the caller's promise.
    let handle: JoinHandle<T> = unsafe { JoinHandle::from_raw(remove_finished(id, name)?) };
    handle.take().map_err(RunError::Panicked)
}

/// Takes a call that is done off the table.
fn remove_finished(id: u32, name: Option<&'static str>) -> Result<RawHandle, RunError> {
    let finished = {
        let state = state();
        state.check()?;
        state.calls.iter().any(|call| {
            call.id == id && name.is_none_or(|name| name == call.name) && call.handle.is_finished()
        })
    };
    let call = if finished { remove(id) } else { None };
    let call = call.ok_or(RunError::NoSuchCall)?;
    arm();
    Ok(call.handle)
}

/// Cancels a call and forgets its result. Returns whether it existed.
pub(super) fn cancel_call(id: u32) -> bool {
    let call = remove(id);
    if let Some(call) = &call {
        let task = call.handle.id();
        runtime::with(|scheduler| scheduler.cancel(task));
    }
    let existed = call.is_some();
    drop(call);
    arm();
    existed
}

fn remove(id: u32) -> Option<AsyncCall> {
    let mut state = state();
    let index = state.calls.iter().position(|call| call.id == id)?;
    Some(state.calls.swap_remove(index))
}

/// Asks the host for a poll at the earliest deadline, or takes the request back, if that is news (*One Timer*).
pub(super) fn arm() {
    let runtime = runtime::current();
    let (sleeper, idle, ended, nested) = runtime::with(|scheduler| {
        let (sleeper, ended) = (scheduler.timers.earliest(), scheduler.ended.is_some());
        (sleeper, scheduler.is_idle(), ended, !scheduler.loops().is_empty())
    });
    if nested {
        // The outermost call does it.
        return;
    }
    let (asked, deadline) = {
        let state = runtime.reactor.borrow();
        let pending = || state.calls.iter().filter(|call| !call.handle.is_finished());
        let asked = state.background || pending().next().is_some();
        (asked, pending().filter_map(|call| call.deadline).min())
    };
    // The clock is the user's or the host's code: nothing is borrowed while it is asked.
    let wanted = match (asked && !ended, idle) {
        (false, _) => None,
        (true, true) => deadline.into_iter().chain(sleeper).min().map(instant),
        (true, false) => Some(runtime.platform.now()),
    };
    let before = core::mem::replace(&mut runtime.reactor.borrow_mut().armed, wanted);
    if before != wanted {
        runtime.platform.wake_at(wanted);
    }
}
