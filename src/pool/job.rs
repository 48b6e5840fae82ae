//! A closure on its way to a worker, and the way back of its result.
//!
//! ```text
//!   JoinHandle ──► Packet { New(closure) → Running → Done(result) → Taken } ◄── Job, in a queue or a task
//! ```

use crate::atomics::{Arc, Mutex, MutexGuard};
use crate::error::{JoinError, Panic, SpawnErrorKind};
use crate::remote::What;
use crate::remote::waiter::{Waker, wait_until};
use core::fmt;
use core::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;

struct Packet<F, T> {
    shared: Mutex<Shared<F, T>>,
}

struct Shared<F, T> {
    stage: Stage<F, T>,
    joiner: Option<Waker>,
}

enum Stage<F, T> {
    New(F),
    Running,
    Done(Result<T, JoinError>),
    Taken,
}

/// A packet, for a worker.
trait Start: Send + Sync {
    fn start(&self);
    fn refuse(&self, kind: SpawnErrorKind);
}

/// A packet, for its handle.
trait Finish<T>: Send + Sync {
    fn is_finished(&self) -> bool;
    fn take(&self) -> Option<Result<T, JoinError>>;
    fn set_joiner(&self, joiner: Option<Waker>);
}

/// Makes a job of `f`.
pub(super) fn new<F, T>(f: F) -> (Job, JoinHandle<T>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let shared = Shared { stage: Stage::New(f), joiner: None };
    let packet = Arc::new(Packet { shared: Mutex::new(shared) });
    let job = Job { packet: Some(Arc::clone(&packet) as Arc<dyn Start>) };
    (job, JoinHandle { packet })
}

impl<F, T> Packet<F, T> {
    fn lock(&self) -> MutexGuard<'_, Shared<F, T>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: Result<T, JoinError>) {
        let mut shared = self.lock();
        shared.stage = Stage::Done(result);
        let joiner = shared.joiner.take();
        drop(shared);
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }

    /// The closure, for its one run.
    fn begin(&self) -> Option<F> {
        let mut shared = self.lock();
        match mem::replace(&mut shared.stage, Stage::Running) {
            Stage::New(f) => Some(f),
            other => {
                shared.stage = other;
                None
            }
        }
    }
}

impl<F, T> Start for Packet<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn start(&self) {
        if let Some(f) = self.begin() {
            let result = catch_unwind(AssertUnwindSafe(f));
            self.finish(result.map_err(|payload| JoinError::Panicked(Panic { payload })));
        }
    }

    fn refuse(&self, kind: SpawnErrorKind) {
        // Its destructor is user code, which may panic.
        if let Some(f) = self.begin() {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(f)));
            self.finish(Err(JoinError::NotStarted(kind)));
        }
    }
}

impl<F, T> Finish<T> for Packet<F, T>
where
    F: Send,
    T: Send,
{
    fn is_finished(&self) -> bool {
        matches!(self.lock().stage, Stage::Done(_))
    }

    fn take(&self) -> Option<Result<T, JoinError>> {
        let mut shared = self.lock();
        match mem::replace(&mut shared.stage, Stage::Taken) {
            Stage::Done(result) => Some(result),
            other => {
                shared.stage = other;
                None
            }
        }
    }

    fn set_joiner(&self, joiner: Option<Waker>) {
        let before = mem::replace(&mut self.lock().joiner, joiner);
        drop(before);
    }
}

/// A closure that has not started. Dropped unstarted it is refused, so that nobody waits for it for ever.
pub(super) struct Job {
    packet: Option<Arc<dyn Start>>,
}

impl Job {
    /// Runs the closure, in the task that calls.
    pub(super) fn start(mut self) {
        if let Some(packet) = self.packet.take() {
            packet.start();
            // If this is the last reference, the result's destructor runs here, in the task: it may block.
        }
    }

    /// Gives the closure up; its handle is told why.
    pub(super) fn refuse(mut self, kind: SpawnErrorKind) {
        if let Some(packet) = self.packet.take() {
            packet.refuse(kind);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if let Some(packet) = self.packet.take() {
            packet.refuse(SpawnErrorKind::Ended);
        }
    }
}

/// The right to a pool task's result, from any thread. Dropping it detaches the task, which goes on.
pub struct JoinHandle<T> {
    packet: Arc<dyn Finish<T>>,
}

impl<T> JoinHandle<T> {
    /// Waits until the task has finished, and returns its result.
    ///
    /// # Context
    /// Any but interrupts. In a task the task waits, else the thread.
    ///
    /// # Blocking
    /// Until the task has finished, or the caller is cancelled. A task that joins itself waits for ever.
    ///
    /// # Errors
    /// [`JoinError::Panicked`]; [`JoinError::Cancelled`] (the caller was); [`JoinError::NotStarted`] if no worker could give it a stack.
    pub fn join(self) -> Result<T, JoinError> {
        if let Some(result) = self.packet.take() {
            return result;
        }
        self.packet.set_joiner(Some(Waker::of_caller()));
        let waited = wait_until(What::Join, None, || self.packet.is_finished());
        match self.packet.take() {
            Some(result) => result,
            None => {
                debug_assert!(waited.is_err(), "it waited until there was a result");
                self.packet.set_joiner(None);
                Err(JoinError::Cancelled)
            }
        }
    }

    /// Returns whether the task has finished.
    pub fn is_finished(&self) -> bool {
        self.packet.is_finished()
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("finished", &self.is_finished()).finish()
    }
}
