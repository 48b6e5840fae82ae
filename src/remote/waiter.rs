//! Waiting, for tasks and threads alike.

use super::{What, task};
use crate::atomics::{Thread, current_thread, park, park_timeout};
use crate::inbox::Remote;
use crate::spin::Spin;
use crate::task::Wake;
use crate::time::Duration;
use std::time::Instant;

/// What wakes a task or a thread that waits.
#[derive(Debug)]
pub(crate) enum Waker {
    Task(Remote),
    Thread(Thread),
}

impl Waker {
    /// Of the running task, or else of the thread.
    pub(crate) fn of_caller() -> Waker {
        match task::remote() {
            Some(remote) => Waker::Task(remote),
            None => Waker::Thread(current_thread()),
        }
    }

    /// Makes the present [`wait_until`] look at its condition.
    pub(crate) fn wake(self) {
        match self {
            Waker::Task(remote) => task::wake(&remote),
            Waker::Thread(thread) => thread.unpark(),
        }
    }
}

/// Why a wait ended although what was waited for has not happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interrupted {
    TimedOut,
    Cancelled,
}

/// Blocks the running task, or else the thread, until `done`. Whoever makes it so wakes it afterwards, by a [`Waker`].
pub(crate) fn wait_until(
    what: What,
    timeout: Option<Duration>,
    done: impl FnMut() -> bool,
) -> Result<(), Interrupted> {
    if task::is_running() { block_until(what, timeout, done) } else { park_until(timeout, done) }
}

fn block_until(
    what: What,
    timeout: Option<Duration>,
    mut done: impl FnMut() -> bool,
) -> Result<(), Interrupted> {
    let deadline = timeout.and_then(task::moment);
    // Only this thread takes wake-ups out of the inbox, and only while no task runs: none gets lost between the look and the block.
    while !done() {
        match task::block(what, deadline) {
            Wake::Done | Wake::All => {}
            Wake::TimedOut => return Err(Interrupted::TimedOut),
            Wake::Cancelled => return Err(Interrupted::Cancelled),
        }
    }
    Ok(())
}

fn park_until(timeout: Option<Duration>, mut done: impl FnMut() -> bool) -> Result<(), Interrupted> {
    std::thread_local! {
        static SPIN: Spin = const { Spin::new() };
    }
    // A timeout that no clock can show never passes.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    while !done() {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let sleep = || match left {
            Some(left) => park_timeout(left),
            None => park(),
        };
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Interrupted::TimedOut);
        }
        // Not while the thread ends.
        if SPIN.try_with(|spin| spin.or_sleep(&mut done, sleep)).is_err() {
            sleep();
        }
    }
    Ok(())
}
