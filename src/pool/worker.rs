//! A worker: an OS thread with a runtime, whose main task starts closures as tasks beside it.
//!
//! ```text
//!   main task:  take closures ─► spawn each here ─► yield ─┐
//!                    ▲                                     │ something was taken
//!                    ├─────────────────────────────────────┘
//!                    │ rung              nothing left
//!               [ blocked ] ◄──────────────────────────────
//! ```
//!
//! While there is work the main task has its turn in the run queue like any other, so closures start however busy the tasks are that
//! run already, and those have theirs however many closures wait. It costs nothing while there is none: it is blocked, and is
//! rung by who adds some. Tasks that yield leave to the host loop every 64 switches, where the ring arrives.
//!
//! *Enough at Once*: a turn starts closures until [`ENOUGH`] tasks are ready, but always one. A million closures that run to their end
//! take so many stacks; those that block take one each, and must: what they wait for may be in a closure that has not started.

use super::bells::Bells;
use super::job::Job;
use crate::atomics::Arc;
use crate::inbox::Remote;
use crate::platform::{MayNotBlock, Notifier, Platform, System};
use crate::remote::{What, task};
use crate::time::Instant;
use crate::{Builder, SpawnError, SpawnErrorKind, runtime, yield_now};
use alloc::boxed::Box;
use alloc::rc::Rc;
use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crossbeam_deque::{Injector, Steal, Stealer, Worker as Deque};
use std::sync::OnceLock;

/// Ready tasks of a worker above which a turn of its main task starts only one more.
const ENOUGH: usize = 16;

/// How many closures of its own a worker starts for each that came from outside, while there are both.
const OWN: u32 = 8;

/// What the workers of a pool share.
pub(super) struct Shared {
    /// Closures that did not come from a worker.
    injector: Injector<Job>,
    stealers: Box<[Stealer<Job>]>,
    /// What wakes each worker's main task.
    mains: Box<[OnceLock<Remote>]>,
    bells: Bells,
    /// Where the next one rings first.
    next: AtomicUsize,
    /// No closure comes from outside any more; workers end when they have nothing left.
    closing: AtomicBool,
}

impl Shared {
    /// Returns what the workers share, and the queues that are theirs.
    pub(super) fn new(workers: usize) -> (Arc<Shared>, impl Iterator<Item = Deque<Job>>) {
        let deques: alloc::vec::Vec<_> = (0..workers).map(|_| Deque::new_fifo()).collect();
        let shared = Arc::new(Shared {
            injector: Injector::new(),
            stealers: deques.iter().map(Deque::stealer).collect(),
            mains: (0..workers).map(|_| OnceLock::new()).collect(),
            bells: Bells::new(workers),
            next: AtomicUsize::new(0),
            closing: AtomicBool::new(false),
        });
        (shared, deques.into_iter())
    }

    pub(super) fn workers(&self) -> usize {
        self.stealers.len()
    }

    /// Adds a closure from outside of the workers.
    pub(super) fn inject(&self, job: Job) {
        self.injector.push(job);
        self.ring(None);
    }

    fn ring(&self, but: Option<usize>) {
        if let Some(worker) = self.bells.ring(self.next.load(Ordering::Relaxed), but) {
            self.next.store(worker + 1, Ordering::Relaxed);
            self.wake(worker);
        }
    }

    fn wake(&self, worker: usize) {
        // One that has not begun yet looks by itself.
        if let Some(main) = self.mains[worker].get() {
            task::wake(main);
        }
    }

    /// Tells the workers to end when they have nothing left.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        for worker in 0..self.workers() {
            self.bells.summon(worker);
            self.wake(worker);
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.stealers.iter().any(|stealer| !stealer.is_empty())
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("workers", &self.workers()).finish_non_exhaustive()
    }
}

/// A worker, for its own thread.
pub(crate) struct Worker {
    shared: Arc<Shared>,
    index: usize,
    /// Closures that its own tasks have spawned.
    deque: Deque<Job>,
    /// Closures started.
    started: Cell<u32>,
    /// Closures that have started and not ended.
    live: Cell<usize>,
    /// The main task waits for one of them to end.
    wants_end: Cell<bool>,
    /// The next closure that is called is not to be started, but refused.
    refusing: Cell<Option<SpawnErrorKind>>,
}

impl Worker {
    pub(super) fn new(shared: &Arc<Shared>, index: usize, deque: Deque<Job>) -> Worker {
        Worker {
            shared: Arc::clone(shared),
            index,
            deque,
            started: Cell::new(0),
            live: Cell::new(0),
            wants_end: Cell::new(false),
            refusing: Cell::new(None),
        }
    }

    /// The worker that this thread is.
    pub(super) fn current() -> Option<&'static Rc<Worker>> {
        runtime::existing()?.worker.get()
    }

    pub(super) fn belongs_to(&self, shared: &Arc<Shared>) -> bool {
        Arc::ptr_eq(&self.shared, shared)
    }

    /// Adds a closure from one of its own tasks.
    pub(super) fn push(&self, job: Job) {
        self.deque.push(job);
        if self.shared.bells.look(self.index) {
            self.shared.wake(self.index);
        }
        self.shared.ring(Some(self.index));
    }

    /// The worker's thread, until the pool is closed and nothing is left to do.
    pub(super) fn run(self, stack_size: Option<usize>) {
        let platform = Idle { system: System::new(), shared: Arc::clone(&self.shared), index: self.index };
        let installed = runtime::Builder::new().platform(platform).install();
        debug_assert!(installed.is_ok(), "the thread is new");
        let worker = Rc::new(self);
        let _ = runtime::current().worker.set(Rc::clone(&worker));
        crate::run(move || {
            // From here on, so that the main task itself has what it needs.
            if let Some(bytes) = stack_size {
                runtime::set_stack_size(bytes);
            }
            worker.work();
        });
    }

    /// The main task.
    fn work(self: Rc<Self>) {
        if let Some(me) = task::remote() {
            let _ = self.shared.mains[self.index].set(me);
        }
        loop {
            // Before the look: what came before the end must be found by it.
            let closing = self.shared.is_closing();
            if self.start_some() {
                yield_now();
                continue;
            }
            if closing && !has_others() {
                return;
            }
            self.shared.bells.listen(self.index);
            // Look Again.
            if self.shared.has_work() || self.shared.is_closing() != closing {
                self.shared.bells.look(self.index);
                continue;
            }
            while self.shared.bells.is_listening(self.index) {
                // Nobody cancels the main task, and there is no deadline.
                let _ = task::block(What::Work, None);
            }
        }
    }

    /// Starts some closures. Returns whether there were any.
    fn start_some(self: &Rc<Self>) -> bool {
        let ready = runtime::with(|scheduler| scheduler.ready());
        let mut found = false;
        for _ in ready..ENOUGH.max(ready + 1) {
            let Some(job) = self.take() else { break };
            self.start(job);
            found = true;
        }
        found
    }

    /// Takes a closure: its own first, but now and then one from outside; else another worker's.
    fn take(&self) -> Option<Job> {
        let turn = self.started.get();
        let mut job = if turn % OWN == OWN - 1 { self.take_from_outside() } else { None };
        job = job
            .or_else(|| self.deque.pop())
            .or_else(|| self.take_from_outside())
            .or_else(|| self.take_from_others());
        self.started.set(turn.wrapping_add(u32::from(job.is_some())));
        job
    }

    fn take_from_outside(&self) -> Option<Job> {
        steal(|| self.shared.injector.steal())
    }

    fn take_from_others(&self) -> Option<Job> {
        let stealers = &self.shared.stealers;
        (1..stealers.len()).find_map(|step| {
            let stealer = &stealers[(self.index + step) % stealers.len()];
            steal(|| stealer.steal())
        })
    }

    /// Makes a task of `job`. Where there is no stack for it, it waits until a task of this worker has ended; if there is none, it is
    /// refused.
    fn start(self: &Rc<Self>, job: Job) {
        let worker = Rc::clone(self);
        let mut closure = move || match worker.refusing.take() {
            Some(kind) => job.refuse(kind),
            None => {
                let _ended = Ended(worker);
                job.start();
            }
        };
        while let Err(SpawnError { kind, closure: back }) = Builder::new().name("pool").spawn(closure) {
            closure = back;
            let may_pass = matches!(
                kind,
                SpawnErrorKind::OutOfMemory | SpawnErrorKind::TooManyGuards | SpawnErrorKind::TooManyTasks
            );
            if !may_pass || self.live.get() == 0 {
                self.refusing.set(Some(kind));
                return closure();
            }
            self.wants_end.set(true);
            while self.wants_end.get() {
                let _ = task::block(What::Work, None);
            }
        }
        self.live.set(self.live.get() + 1);
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}

/// Counts a task as ended when it is dropped.
struct Ended(Rc<Worker>);

impl Drop for Ended {
    fn drop(&mut self) {
        let worker = &self.0;
        worker.live.set(worker.live.get() - 1);
        if worker.wants_end.replace(false) {
            worker.shared.wake(worker.index);
        }
    }
}

fn steal(mut attempt: impl FnMut() -> Steal<Job>) -> Option<Job> {
    loop {
        match attempt() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// Whether this thread has tasks that have not finished, besides the main one.
fn has_others() -> bool {
    runtime::with(|scheduler| scheduler.tasks.iter().nth(1).is_some())
}

/// The operating system's clock and waiting, and the bell's state meanwhile.
struct Idle {
    system: System,
    shared: Arc<Shared>,
    index: usize,
}

impl Platform for Idle {
    fn now(&self) -> Instant {
        self.system.now()
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        if self.shared.is_closing() && !has_others() && self.shared.bells.look(self.index) {
            // The last task has ended since the main task looked.
            self.shared.wake(self.index);
            return Ok(());
        }
        self.shared.bells.rest(self.index);
        let waited = self.system.wait(until);
        self.shared.bells.resume(self.index);
        waited
    }

    fn notifier(&self) -> Option<Notifier> {
        self.system.notifier()
    }
}
