//! Many cores: closures that any of several OS threads may start as tasks.
//!
//! ```text
//!   spawn, elsewhere ──► injector ─────┬──────────────────────┐
//!                                      ▼                      ▼
//!   worker 0:  own queue ──► main task ─► tasks    worker 1: main task ─► tasks
//!                ▲    └───────────────────────── steals ──────┘
//!                └── spawn, in a task of worker 0
//! ```
//!
//! A worker is an OS thread with a runtime of its own. A closure that has not started may be taken by any worker; once started it is a
//! task of that worker's runtime and stays on its thread, because what is on its stack need not be `Send`. A task that a worker runs
//! is a task like any other: it may [`spawn`](crate::spawn()) local ones, and use [`channel`](crate::channel) and
//! [`sync`](crate::sync) among them; what crosses workers is in [`remote`](crate::remote).
//!
//! Closures start in the order in which they came, from each queue: a worker's own first, every eighth from outside, then those of others. A worker that has no work
//! and no ready task waits in the operating system, and is woken for new work before those that have tasks.
//!
//! # Examples
//! ```
//! let squares: Vec<_> = (1..=4).map(|n: u32| windlass::pool::spawn(move || n * n)).collect();
//! let sum: u32 = squares.into_iter().map(|task| task.join().unwrap()).sum();
//! assert_eq!(sum, 30);
//! ```

mod bells;
mod job;
mod worker;

pub use job::JoinHandle;
pub(crate) use worker::Worker;

use crate::remote::Semaphore;
use alloc::borrow::Cow;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZero;
use std::io;
use std::sync::OnceLock;
use std::thread;
use worker::Shared;

/// Spawns `f` as a task of a pool: in a task of a pool's worker of that pool, else of the [`global`] one.
///
/// # Context
/// Any but interrupts.
///
/// # Panics
/// If it is the first use of the global pool and the system has no threads left.
///
/// # Examples
/// ```
/// let task = windlass::pool::spawn(|| 6 * 7);
/// assert_eq!(task.join().unwrap(), 42);
/// ```
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (job, handle) = job::new(f);
    match Worker::current() {
        Some(worker) => worker.push(job),
        None => global().shared.inject(job),
    }
    handle
}

/// Returns the pool of the program, made on first use, with as many workers as there are CPUs for it. It lasts as long as the program.
///
/// # Panics
/// If it is the first use and the system has no threads left.
pub fn global() -> &'static Pool {
    static GLOBAL: OnceLock<Pool> = OnceLock::new();
    GLOBAL.get_or_init(|| match Builder::new().build() {
        Ok(pool) => pool,
        Err(error) => panic!("windlass: no thread for a worker of the global pool: {error}"),
    })
}

/// Configures a pool.
///
/// # Examples
/// ```
/// let pool = windlass::pool::Builder::new().workers(2).name("squares").stack_size(64 << 10).build().unwrap();
/// assert_eq!(pool.spawn(|| 3 * 3).join().unwrap(), 9);
/// pool.shutdown();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    workers: Option<usize>,
    stack_size: Option<usize>,
    name: Option<Cow<'static, str>>,
}

impl Builder {
    /// Returns a builder of a pool with a worker for each CPU.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets the number of workers.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Builder {
        self.workers = Some(workers);
        self
    }

    /// Sets the stack size, in bytes, of tasks that do not choose one.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Names the pool: worker 3 of `"squares"` is the thread `squares-3`.
    #[must_use]
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// Of kind `InvalidInput` for a pool without workers; what the system says if it has no threads left.
    pub fn build(self) -> io::Result<Pool> {
        let workers = self.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
        if workers == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a pool has at least one worker"));
        }
        let name = self.name.unwrap_or(Cow::Borrowed("windlass-pool"));
        let (shared, deques) = Shared::new(workers);
        let ended = Arc::new(Semaphore::new(0));
        let mut pool = Pool { shared, ended, threads: Vec::new() };
        for (index, deque) in deques.enumerate() {
            let worker = Handed(Worker::new(&pool.shared, index, deque), Ended(Arc::clone(&pool.ended)));
            let stack_size = self.stack_size;
            // If this fails the pool is dropped, which ends the workers that there are.
            let thread = thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
                let Handed(worker, _ended) = worker;
                worker.run(stack_size);
            })?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }
}

/// A worker on its way to its thread.
struct Handed(Worker, Ended);

/// Says that a worker has ended, however it did.
struct Ended(Arc<Semaphore>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.release(1);
    }
}

/// Workers, and the closures that wait for them.
///
/// Dropping it is [`Pool::shutdown`]; in a task of its own it does not wait.
pub struct Pool {
    shared: Arc<Shared>,
    /// A permit for each worker that has ended.
    ended: Arc<Semaphore>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Pool {
    /// Spawns `f` as a task of this pool.
    ///
    /// # Context
    /// Any but interrupts.
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (job, handle) = job::new(f);
        match Worker::current() {
            Some(worker) if worker.belongs_to(&self.shared) => worker.push(job),
            _ => self.shared.inject(job),
        }
        handle
    }

    /// Returns the number of workers.
    pub fn workers(&self) -> usize {
        self.shared.workers()
    }

    /// Waits until every closure has run, those that tasks of the pool spawn meanwhile too, and every task on its workers has
    /// finished; then ends the workers.
    ///
    /// # Context
    /// Any but interrupts and tasks of this pool. In a task the task waits, else the thread.
    ///
    /// # Blocking
    /// For ever if a task never ends.
    ///
    /// # Panics
    /// In a task of this pool, which would wait for itself.
    #[track_caller]
    pub fn shutdown(self) {
        if self.is_mine() {
            panic!(
                "windlass: `Pool::shutdown` was called in a task of that pool, which would wait for itself"
            );
        }
    }

    fn is_mine(&self) -> bool {
        Worker::current().is_some_and(|worker| worker.belongs_to(&self.shared))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.close();
        if self.is_mine() {
            return;
        }
        for thread in self.threads.drain(..) {
            // A task that was cancelled does not wait here, but below, with its thread.
            let _ = self.ended.acquire();
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("workers", &self.workers()).finish_non_exhaustive()
    }
}
