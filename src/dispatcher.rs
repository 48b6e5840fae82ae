//! Carries the scheduler's decisions out: the only module that switches, and the host loop.
//!
//! ```text
//!   host's stack                          tasks' stacks
//!   drive ─── arch::run ───────────────►  A ── switch ──► B ── switch ──► C
//!     ▲   inbox, timers, idle                                            │
//!     └──────────────────────── leave ───────────────────────────────────┘
//! ```
//!
//! Tasks hand over to each other without passing the loop. It gets control when nothing is ready, when the innermost call is done, and
//! every [`TURNS`](crate::scheduler::TURNS) switches.
#![allow(unsafe_code, reason = "switches stacks")]

use crate::runtime;
use crate::scheduler::{Block, Decision, GOES_ON};
use crate::task::{Flags, TaskRef, Waiting, Wake};
use crate::time::{Moment, instant};
use windlass_arch::{self as arch, Context};

/// Gives the other ready tasks a turn.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[track_caller]
pub(crate) fn yield_now() {
    match runtime::with(|scheduler| scheduler.take_turn()) {
        // SAFETY: One Home, as in `carry_out`.
        Some((save, to)) => unsafe { arch::switch(save, to) },
        None => {
            if !give_way::<()>() {
                outside("yield_now");
            }
        }
    }
}

/// The rest of a yield that is no turn. Returns whether a task runs at all.
///
/// Generic, so that it is compiled in the caller's crate: a call there needs no address out of a table, which the compiler would
/// load anew in each turn of a loop that yields.
#[cold]
#[inline(never)]
#[expect(clippy::extra_unused_type_parameters, reason = "that is what makes it generic")]
fn give_way<T>() -> bool {
    let runtime = runtime::current();
    match runtime.with(|scheduler| scheduler.give_way(runtime.inbox.is_empty())) {
        None => return false,
        // SAFETY: as in `carry_out`; here is room for it.
        Some(Decision::Leave { save }) => unsafe { arch::leave(save) },
        Some(decision) => carry_out(decision),
    }
    true
}

/// Blocks the running task until somebody wakes it. `what` names the public call for the panic outside a task.
#[track_caller]
pub(crate) fn block(what: &'static str, how: &Block<'_>) -> Wake {
    block_here(what, how)
}

/// As [`block`], inlined where it is called.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[track_caller]
pub(crate) fn block_here(what: &'static str, how: &Block<'_>) -> Wake {
    let scheduler = runtime::scheduler();
    // SAFETY: Short Borrow.
    let me = unsafe { &*scheduler }.me();
    if !me.may_block() {
        return refused(what);
    }
    // SAFETY: Short Borrow.
    carry_out(unsafe { &mut *scheduler }.block(me, how));
    if how.deadline.is_some() {
        // SAFETY: Short Borrow; a task's runtime is the same after a switch.
        unsafe { &mut *scheduler }.forget_timer(me);
    }
    me.wake.get()
}

/// Blocks the running task until `task`, which has not exited, has. Returns whether it did so while it was plain; if not, [`joined`] tells.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
#[track_caller]
pub(crate) fn join(task: TaskRef) -> bool {
    let scheduler = task.scheduler();
    // SAFETY: Short Borrow.
    let me = unsafe { &*scheduler }.me();
    if !me.may_block() || me == task {
        return false;
    }
    // SAFETY: Short Borrow.
    carry_out(unsafe { &mut *scheduler }.join(me, task));
    // The caller has its handle, so it is still the same task.
    task.exited_plain()
}

/// What came of a [`join`] that did not see a plain task's end.
#[cold]
#[inline(never)]
#[track_caller]
pub(crate) fn joined(task: TaskRef) -> Result<(), JoinRefused> {
    if task.has_exited() {
        return Ok(());
    }
    if runtime::existing().is_none() {
        return Err(JoinRefused::NoRuntime);
    }
    if runtime::with(|scheduler| scheduler.running() == Some(task)) {
        return Err(JoinRefused::Itself);
    }
    let _ = refused("JoinHandle::join");
    Err(JoinRefused::Cancelled)
}

/// Why a join ended without the other task's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JoinRefused {
    Cancelled,
    Itself,
    NoRuntime,
}

/// Why the running task does not block: it is cancelled. If there is none, this panics.
#[cold]
#[inline(never)]
#[track_caller]
fn refused(what: &'static str) -> Wake {
    // Outside of `with`: a panic hook may use the runtime.
    if runtime::with(|scheduler| scheduler.running().is_none()) {
        outside(what);
    }
    Wake::Cancelled
}

/// `me`, which runs, ends; its stack may be used again as soon as another context runs. `drop_result` is called if nobody has its handle.
///
/// # Safety
/// Called by an entry, in its own frame, which returns what this returns and has nothing left to drop.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
pub(crate) unsafe fn exit(me: TaskRef, drop_result: extern "C" fn(TaskRef)) -> Context {
    if cfg!(not(target_arch = "wasm32"))
        && let Some(joiner) = me.only_joiner()
        // SAFETY: Short Borrow.
        && let Some(to) = unsafe { &mut *me.scheduler() }.exit_to_joiner(me, joiner)
    {
        // SAFETY: One Home: the joiner was blocked, and runs now. The rest is the caller's promise.
        return unsafe { arch::finish(to) };
    }
    exit_in_turn(me, drop_result)
}

/// With the entry's own calling convention, so that the entry can jump here.
#[inline(never)]
extern "C" fn exit_in_turn(me: TaskRef, drop_result: extern "C" fn(TaskRef)) -> Context {
    if me.has(Flags::DETACHED) {
        drop_result(me);
    }
    let runtime = runtime::current();
    runtime.with(|scheduler| scheduler.exit(me, runtime.inbox.is_empty()))
}

/// The task's handle is dropped. Returns whether the task has exited before: then the caller reaps it.
pub(crate) fn detach(task: TaskRef) -> bool {
    if task.has_exited() {
        return true;
    }
    task.set(Flags::DETACHED);
    false
}

/// Ends the module: never returns to the task.
#[track_caller]
pub(crate) fn end(code: i32) -> ! {
    loop {
        match runtime::with(|scheduler| scheduler.end(code)) {
            Some(decision) => carry_out(decision),
            None => outside("exit"),
        }
    }
}

/// As [`reap`], of a task that was plain.
#[inline(always)]
pub(crate) fn reap_plain(task: TaskRef) {
    // SAFETY: Short Borrow.
    unsafe { &mut *task.scheduler() }.tasks.keep(task);
}

/// Gives the block and the stack of an exited task back.
#[inline(always)]
pub(crate) fn reap(task: TaskRef) {
    // SAFETY: Short Borrow.
    unsafe { &mut *task.scheduler() }.tasks.free(task);
}

/// Gives stacks that nobody keeps back to their provider.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub(crate) fn release_stacks() {
    while let Some(stack) = runtime::with(|scheduler| scheduler.tasks.take_surplus()) {
        runtime::current().stacks.borrow_mut().release(stack);
    }
}

#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn carry_out(decision: Decision) {
    match decision {
        Decision::Stay => {}
        // SAFETY: One Home: `to` left the run queue just now, so it is suspended and continued once; `save` points into the tables,
        // which do not move before the switch has stored there.
        Decision::Switch { save, to } => unsafe { arch::switch(save, to) },
        // SAFETY: as above; a task runs, so there is a host loop.
        Decision::Leave { save } => unsafe { leave(save) },
    }
}

/// The running task has blocked, and it is time for the host loop: if that has anything to do.
///
/// Not inlined: it is needed once in 64 switches, and as long as a switch.
///
/// # Safety
/// As for [`arch::leave`].
#[cold]
#[inline(never)]
unsafe fn leave(save: *mut Context) {
    if GOES_ON {
        let runtime = runtime::current();
        if let Some(to) = runtime.with(|scheduler| scheduler.go_on(runtime.inbox.is_empty())) {
            // SAFETY: One Home, as in `carry_out`.
            return unsafe { arch::switch(save, to) };
        }
    }
    // SAFETY: the caller's promise.
    unsafe { arch::leave(save) }
}

#[cold]
#[inline(never)]
#[track_caller]
fn outside(what: &'static str) -> ! {
    panic!(
        "windlass: `{what}` was called outside a task, and only tasks wait; call it inside `windlass::run` or a spawned task"
    )
}

/// How far to drive the run queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) deadline: Option<Moment>,
    /// Most switches.
    #[cfg(feature = "asynchronous")]
    pub(crate) budget: Option<u64>,
    /// Return when nothing is ready, rather than to wait.
    #[cfg(feature = "asynchronous")]
    pub(crate) poll: bool,
}

impl Goal {
    /// Whether the host loop has nothing of its own to look at.
    fn is_unlimited(&self) -> bool {
        #[cfg(feature = "asynchronous")]
        if self.budget.is_some() || self.poll {
            return false;
        }
        self.deadline.is_none()
    }

    /// The end of the innermost host loop's task, or the deadline.
    pub(crate) const fn until(deadline: Option<Moment>) -> Goal {
        Goal {
            deadline,
            #[cfg(feature = "asynchronous")]
            budget: None,
            #[cfg(feature = "asynchronous")]
            poll: false,
        }
    }
}

/// Why the host loop stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Stop {
    /// The innermost host loop's task has finished.
    Done,
    Ended(i32),
    Deadlock,
    WouldWait,
    #[cfg(feature = "timers")]
    TimedOut,
    /// Poll: nothing is ready.
    #[cfg(feature = "asynchronous")]
    Idle,
    /// Poll: the budget is spent and something is ready.
    #[cfg(feature = "asynchronous")]
    Budget,
}

/// Resumes the run queue until the innermost host loop's task has finished, on the host's stack.
pub(crate) fn drive(goal: Goal) -> Stop {
    struct Request {
        goal: Goal,
        stop: Stop,
    }
    unsafe extern "C" fn call(request: *mut ()) {
        // SAFETY: it is the `Request` below, which outlives this call.
        let request = unsafe { &mut *request.cast::<Request>() };
        request.stop = drive_here(&request.goal);
    }
    let mut request = Request { goal, stop: Stop::Done };
    // SAFETY: `call` gets the request that it expects.
    unsafe { arch::on_host(call, (&raw mut request).cast()) };
    request.stop
}

fn drive_here(goal: &Goal) -> Stop {
    let runtime = runtime::current();
    #[cfg(feature = "asynchronous")]
    let start = runtime.with(|scheduler| scheduler.switches());
    loop {
        if !runtime.inbox.is_empty() {
            runtime.inbox.drain(|id, wakeup| runtime.with(|scheduler| scheduler.deliver(id, wakeup)));
        }
        #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
        let (surplus, sleepers) =
            runtime.with(|scheduler| (scheduler.tasks.has_surplus(), scheduler.timers.earliest().is_some()));
        #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
        if surplus {
            release_stacks();
        }
        #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
        let sleepers = runtime.with(|scheduler| scheduler.timers.earliest().is_some());
        let now = (sleepers || goal.deadline.is_some()).then(|| runtime.platform.now());
        if let Some(now) = now {
            runtime.with(|scheduler| scheduler.expire(now));
        }
        // One borrow decides; the switch comes after it.
        let next = runtime.with(|scheduler| {
            if scheduler.innermost_done() {
                return Err(Stop::Done);
            }
            if let Some(code) = scheduler.ended {
                return Err(Stop::Ended(code));
            }
            #[cfg(feature = "timers")]
            if goal.deadline.is_some_and(|deadline| now.is_some_and(|now| instant(deadline) <= now)) {
                return Err(Stop::TimedOut);
            }
            #[cfg(feature = "asynchronous")]
            if goal.budget.is_some_and(|budget| scheduler.switches() - start >= budget)
                && !scheduler.is_idle()
            {
                return Err(Stop::Budget);
            }
            Ok(scheduler.next(goal.is_unlimited()))
        });
        match next {
            Err(stop) => {
                #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
                if runtime.with(|scheduler| scheduler.tasks.trim()) {
                    release_stacks();
                }
                return stop;
            }
            Ok(Some(context)) => {
                // SAFETY: One Home: it left the run queue just now.
                unsafe { arch::run(context) };
            }
            #[cfg(feature = "asynchronous")]
            Ok(None) if goal.poll => return Stop::Idle,
            Ok(None) => {
                let timer = runtime.with(|scheduler| scheduler.timers.earliest());
                if timer.is_none() && !may_be_woken_remotely() {
                    return Stop::Deadlock;
                }
                // Tasks that never end are looked at where there is time.
                #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
                runtime.with(|scheduler| scheduler.tasks.check_stacks());
                #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
                if runtime.with(|scheduler| scheduler.tasks.trim()) {
                    release_stacks();
                }
                let until = [timer, goal.deadline].into_iter().flatten().min().map(instant);
                if runtime.inbox.is_empty() && runtime.platform.wait(until).is_err() {
                    return Stop::WouldWait;
                }
            }
        }
    }
}

/// Whether another thread holds an `Unparker` of a task that waits.
fn may_be_woken_remotely() -> bool {
    if cfg!(all(target_arch = "wasm32", not(target_feature = "atomics"))) {
        // There is no other thread.
        return false;
    }
    runtime::with(|scheduler| {
        scheduler.tasks.iter().any(|block| match block.waiting.get() {
            // An unpark ends a `park` and nothing else.
            Waiting::Park => block.has_unparker(),
            // Nobody knows which threads have the other end.
            waiting => waiting.is_remote(),
        })
    })
}

/// The list of tasks, for an error.
#[cfg(feature = "reports")]
pub(crate) fn report() -> alloc::string::String {
    use crate::task_list::Report;
    runtime::with(|scheduler| alloc::format!("{}", Report { scheduler, most: usize::MAX }))
}
