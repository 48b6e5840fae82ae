//! What a task may do to itself, and to another whose handle it has.

use crate::dispatcher;
use crate::error::Cancelled;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::inbox::Remote;
use crate::name::{Name, Text};
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Flags, TaskId, Waiting, Wake};
use crate::time::Moment;
#[cfg(feature = "timers")]
use crate::time::{Duration, Instant};
use crate::unparker::Unparker;
use core::fmt;
use core::marker::PhantomData;

/// Gives the other ready tasks a turn: the running task goes to the tail of the run queue.
///
/// # Context
/// Task.
///
/// # Panics
/// Outside a task.
#[inline(always)]
#[track_caller]
pub fn yield_now() {
    dispatcher::yield_now();
}

/// Blocks the running task for at least `duration`. Zero returns at once, without a turn for others.
///
/// # Context
/// Task.
///
/// # Errors
/// [`Cancelled`] if the task was cancelled.
///
/// # Panics
/// Outside a task.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let start = windlass::Instant::now();
///     windlass::sleep(windlass::Duration::from_millis(2)).unwrap();
///     assert!(start.elapsed() >= windlass::Duration::from_millis(2));
/// });
/// ```
#[cfg(feature = "timers")]
#[track_caller]
pub fn sleep(duration: Duration) -> Result<(), Cancelled> {
    if duration.is_zero() {
        return Ok(());
    }
    sleep_until(Instant::now() + duration)
}

/// Blocks the running task until `deadline`. A deadline in the past is served as soon as the timers are.
///
/// # Context
/// Task.
///
/// # Errors
/// [`Cancelled`] if the task was cancelled.
///
/// # Panics
/// Outside a task.
#[cfg(feature = "timers")]
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Result<(), Cancelled> {
    let how = Block { deadline: Some(deadline), ..Block::on(Waiting::Sleep) };
    match dispatcher::block("sleep", &how) {
        Wake::Cancelled => Err(Cancelled),
        Wake::Done | Wake::All | Wake::TimedOut => Ok(()),
    }
}

/// Blocks the running task until somebody unparks it; an [`unpark`](Task::unpark) that came before counts, once.
///
/// # Context
/// Task.
///
/// # Errors
/// [`Cancelled`] if the task was cancelled.
///
/// # Panics
/// Outside a task.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let main = windlass::current();
///     windlass::spawn(move || main.unpark());
///     windlass::park().unwrap();
/// });
/// ```
#[track_caller]
pub fn park() -> Result<(), Cancelled> {
    park_until(None).map(|_| ())
}

/// Like [`park()`], for at most `timeout`. Returns whether the task was unparked.
///
/// # Context
/// Task.
///
/// # Errors
/// [`Cancelled`] if the task was cancelled.
///
/// # Panics
/// Outside a task.
#[cfg(feature = "timers")]
#[track_caller]
pub fn park_timeout(timeout: Duration) -> Result<bool, Cancelled> {
    park_until(Some(Instant::now() + timeout))
}

#[track_caller]
fn park_until(deadline: Option<Moment>) -> Result<bool, Cancelled> {
    if take_token() {
        return Ok(true);
    }
    match dispatcher::block("park", &Block { deadline, ..Block::on(Waiting::Park) }) {
        Wake::Cancelled => Err(Cancelled),
        Wake::Done | Wake::All | Wake::TimedOut => Ok(take_token()),
    }
}

/// Consumes what `unpark` left.
fn take_token() -> bool {
    runtime::with(|scheduler| scheduler.running().is_some_and(|me| me.take(Flags::TOKEN)))
}

/// Returns the running task.
///
/// # Context
/// Task.
///
/// # Panics
/// Outside a task; [`try_current`] does not.
#[track_caller]
pub fn current() -> Task {
    match try_current() {
        Some(task) => task,
        None => panic!(
            "windlass: `current` was called outside a task; call it inside `windlass::run` or a spawned task"
        ),
    }
}

/// Returns the running task, or `None` outside one.
///
/// # Context
/// Any but interrupts.
pub fn try_current() -> Option<Task> {
    runtime::existing()?;
    runtime::with(|scheduler| scheduler.running().map(|me| Task::new(me.id())))
}

/// A task of this thread's runtime: its identity, and the means to wake and cancel it.
///
/// Does not keep the task alive: all its methods do nothing once the task is over.
#[derive(Clone)]
pub struct Task {
    id: TaskId,
    not_send: PhantomData<*mut ()>,
}

impl Task {
    pub(crate) fn new(id: TaskId) -> Task {
        Task { id, not_send: PhantomData }
    }

    /// Returns the task's id.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Returns the task's name, if it has one and its result has not been taken or dropped. Without a heap it is a `&'static str`.
    pub fn name(&self) -> Option<Text> {
        runtime::with(|scheduler| scheduler.tasks.find(self.id)?.name().map(Name::to_text))
    }

    /// Makes the task's present or next [`park()`] return.
    ///
    /// # Context
    /// Task or host, on the task's own thread; [`Task::unparker`] is for others.
    pub fn unpark(&self) {
        runtime::with(|scheduler| scheduler.unpark(self.id));
    }

    /// Makes every call of the task that would block return [`Cancelled`], the present one first.
    ///
    /// # Context
    /// Task or host.
    pub fn cancel(&self) {
        runtime::with(|scheduler| scheduler.cancel(self.id));
    }

    /// Returns whether the task was cancelled.
    pub fn is_cancelled(&self) -> bool {
        runtime::with(|scheduler| {
            scheduler.tasks.find(self.id).is_some_and(|task| task.has(Flags::CANCELLED))
        })
    }

    /// Returns how many bytes of its stack have been used at most, by this task or by one that had the stack before; `None` if the task is over
    /// and its result taken or dropped.
    ///
    /// Only where stacks are zeroed or painted before their first use: on `std` and unix, and in a runtime without a heap.
    ///
    /// # Examples
    /// ```
    /// windlass::run(|| {
    ///     let used = windlass::current().stack_high_water().unwrap();
    ///     assert!(used > 0 && used < windlass::stacks::DEFAULT_SIZE);
    /// });
    /// ```
    #[cfg(any(not(any(feature = "alloc", target_arch = "wasm32")), all(feature = "std", unix)))]
    pub fn stack_high_water(&self) -> Option<usize> {
        runtime::with(|scheduler| scheduler.tasks.find(self.id)?.stack().map(crate::stacks::high_water))
    }

    /// Returns what wakes this task from any thread, or `None` if it is over and its result taken or dropped.
    ///
    /// # Examples
    /// ```
    /// windlass::run(|| {
    ///     let unparker = windlass::current().unparker().unwrap();
    ///     std::thread::spawn(move || unparker.unpark());
    ///     windlass::park().unwrap();
    /// });
    /// ```
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub fn unparker(&self) -> Option<Unparker> {
        let inbox = &runtime::current().inbox;
        runtime::with(|scheduler| {
            let task = scheduler.tasks.find(self.id)?;
            if task.remote().is_none() {
                task.set_remote(Remote::new(self.id, inbox));
            }
            task.remote().map(Unparker::new)
        })
    }

    /// Returns what wakes this task from an interrupt or another thread, or `None` if it is over and its result taken or dropped.
    ///
    /// Nobody counts unparkers: from now on the runtime waits while the task is parked, rather than to report a deadlock.
    #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
    pub fn unparker(&self) -> Option<Unparker> {
        runtime::with(|scheduler| Some(Unparker::new(&scheduler.tasks.find(self.id)?.remote())))
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Ends the module with `code`: no task runs any more.
///
/// The innermost call from the host returns [`RunError::Exited`](crate::RunError::Exited), every later one
/// [`RunError::Ended`](crate::RunError::Ended). Natively
/// [`run`](crate::run) ends the process.
///
/// # Context
/// Task.
///
/// # Panics
/// Outside a task.
#[track_caller]
pub fn exit(code: i32) -> ! {
    if try_current().is_none() {
        panic!(
            "windlass: `exit` was called outside a task; call it inside `windlass::run` or a spawned task"
        );
    }
    dispatcher::end(code)
}
