//! Decides who runs next. It switches nothing: an operation edits the tables and returns a [`Decision`], which the
//! [dispatcher](crate::dispatcher) carries out.
//!
//! Time is an argument, stacks are numbers: this file is tested with neither.
//!
//! ```text
//!            yield_now, block, exit                       next
//!  running task ──────────────────► Decision::Switch ──────────────► another task
//!        │                                                               ▲
//!        └────── Decision::Leave ──► host loop: timers, inbox, idle ─────┘
//! ```
//!
//! Every [`TURNS`] switches, and when nothing is ready, the decision is to leave to the host loop, which serves the timers and the
//! inbox. So a task that yields in a loop starves neither sleepers nor new tasks. Where it can be seen that the loop would find nothing to do
//! (*quiet*: nobody sleeps, the inbox is empty, no deadline or budget holds), the tasks go on among themselves.
//!
//! *Countdown*: while no task runs, `countdown` is 1. So whoever counts down and does not reach 0 has a running task.
//!
//! What a yield touches is the head of this struct and two entries of the ring, nothing else; it is inlined where it is called, with
//! the rare ways out of line.

use crate::error::SpawnErrorKind;
use crate::room::{self, Table};
use crate::run_queue::RunQueue;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::runtime::Runtime;
use crate::task::{Flags, TaskId, TaskRef, Tasks, Waiting, Wake};
use crate::time::{Instant, Moment, instant};
use crate::timer_queue::{BATCH, TimerQueue};
use crate::unparker::Wakeup;
use crate::wait_queue::{self, WaitQueue, Waiter};
use windlass_arch::{self as arch, Context};

/// Switches between two visits to the host loop.
pub(crate) const TURNS: u32 = 64;

/// Whether tasks go on among themselves while all is quiet. On wasm32 that would be code to download, and a switch goes through the host's
/// stack anyway.
pub(crate) const GOES_ON: bool = cfg!(not(target_arch = "wasm32"));

/// How deep calls from the host may nest.
pub(crate) const MAX_NESTING: usize =
    if cfg!(any(feature = "alloc", target_arch = "wasm32")) { 64 } else { 4 };

/// What the dispatcher must do.
#[derive(Debug)]
#[must_use = "a decision that is not carried out leaves the tables wrong"]
pub(crate) enum Decision {
    /// Go on with the running task.
    Stay,
    /// Leave the running context into `save` and continue `to`.
    Switch { save: *mut Context, to: Context },
    /// Leave the running context into `save` and continue the innermost host loop.
    Leave { save: *mut Context },
}

/// A `run` in progress: a call from the host, or a poll.
#[derive(Debug)]
pub(crate) struct HostLoop {
    /// For reports: the export's name.
    pub(crate) name: &'static str,
    /// The task that this loop waits for; none for a poll of the background.
    pub(crate) task: Option<TaskId>,
    pub(crate) done: bool,
    /// The task whose host call brought us here, or none.
    caller: Option<TaskRef>,
    /// What was left of the caller's turns.
    left: u32,
}

/// How a task blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) waiting: Waiting,
    /// Where it waits, and with which node.
    pub(crate) queue: Option<(&'a WaitQueue, &'a Waiter)>,
    pub(crate) deadline: Option<Moment>,
}

impl Block<'_> {
    #[inline(always)]
    pub(crate) const fn on(waiting: Waiting) -> Block<'static> {
        Block { waiting, queue: None, deadline: None }
    }
}

/// The tables: tasks, run queue, timer queue, host loops.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Scheduler {
    /// [`TaskRef::NOBODY`] on the host's stack.
    running: TaskRef,
    countdown: u32,
    ready: RunQueue,
    pub(crate) tasks: Tasks,
    pub(crate) timers: TimerQueue,
    loops: Table<HostLoop>,
    /// `exit` was called with this code: nothing runs any more.
    pub(crate) ended: Option<i32>,
    /// Turns that were taken until `countdown` was set to `budget`.
    turns: u64,
    budget: u32,
    /// Whether the host loop that continued the running task has no deadline and no budget.
    unlimited: bool,
}

#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
impl Scheduler {
    /// For `debugger.rs`: running, ready.
    pub(crate) const FIELDS: [usize; 2] =
        [core::mem::offset_of!(Scheduler, running), core::mem::offset_of!(Scheduler, ready)];
}

impl Scheduler {
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) const fn new(most_tasks: usize) -> Scheduler {
        Scheduler::over(RunQueue::new(), Tasks::new(most_tasks), TimerQueue::new(), Table::new())
    }

    /// A scheduler with these tables.
    pub(crate) const fn over(
        ready: RunQueue,
        tasks: Tasks,
        timers: TimerQueue,
        loops: Table<HostLoop>,
    ) -> Scheduler {
        Scheduler {
            running: TaskRef::NOBODY,
            countdown: 1,
            ready,
            tasks,
            timers,
            loops,
            ended: None,
            turns: 0,
            budget: 1,
            unlimited: false,
        }
    }

    /// The running task, or none on the host's stack.
    #[inline(always)]
    pub(crate) fn running(&self) -> Option<TaskRef> {
        self.running.somebody()
    }

    #[cfg(any(test, feature = "asynchronous"))]
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// How often a task was continued, or went on because nobody else was ready when it yielded; counts what a budget limits.
    pub(crate) fn switches(&self) -> u64 {
        self.turns + u64::from(self.budget - self.countdown)
    }

    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn set_countdown(&mut self, budget: u32) {
        self.turns = self.switches();
        self.budget = budget;
        self.countdown = budget;
    }

    /// No task runs.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    fn host_runs(&mut self) {
        self.running = TaskRef::NOBODY;
        self.set_countdown(1);
    }

    // ---- life of a task

    /// Limits how many tasks may be alive; 0 once the module has ended.
    pub(crate) fn set_most_tasks(&mut self, most: usize) {
        if self.ended.is_none() {
            self.tasks.set_most(most);
        }
    }

    /// Takes a block for a new task, and room for it in every queue; the block has a stack of the usual size if one has kept it.
    ///
    /// With `TooManyTasks` there may be blocks that have kept their stacks: see `Tasks::keep_none`.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn admit(
        &mut self,
        usual_size: bool,
        home: *const Runtime,
    ) -> Result<TaskRef, SpawnErrorKind> {
        if usual_size && let Some(task) = self.tasks.reuse() {
            return Ok(task);
        }
        if let Some(task) = self.tasks.admit() {
            return Ok(task);
        }
        if self.tasks.is_full() {
            return Err(SpawnErrorKind::TooManyTasks);
        }
        let tasks = self.tasks.capacity_after_growth();
        let made = self.ready.reserve(tasks).and_then(|()| self.timers.reserve(tasks));
        made.and_then(|()| self.tasks.grow(home)).map_err(|_| SpawnErrorKind::OutOfMemory)?;
        self.tasks.admit().ok_or(SpawnErrorKind::OutOfMemory)
    }

    /// Makes the tables as small as the tasks allow. No free block has a stack.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn shrink(&mut self) {
        // Void timers may be of blocks that are given up.
        self.timers.clean_up(&self.tasks);
        let blocks = self.tasks.shrink();
        self.ready.shrink(blocks);
        self.timers.shrink(blocks);
    }

    /// Takes a block for a new task, which has its stack; room in every queue was there from the beginning.
    #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
    pub(crate) fn admit(&mut self) -> Result<TaskRef, SpawnErrorKind> {
        self.tasks.admit().ok_or(SpawnErrorKind::TooManyTasks)
    }

    /// A warm start: a block with a stack of the usual size, if one has kept it and there may be one more task.
    #[inline(always)]
    pub(crate) fn readmit(&mut self) -> Option<TaskRef> {
        self.tasks.reuse()
    }

    /// Queues a new task at the tail.
    #[inline(always)]
    pub(crate) fn start(&mut self, task: TaskRef, context: Context) {
        task.context.set(context);
        self.ready.push(task);
    }

    /// A turn for somebody else, within the budget: the running task goes to the tail of the run queue. `None`:
    /// [`Scheduler::give_way`] goes on.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn take_turn(&mut self) -> Option<(*mut Context, Context)> {
        self.countdown -= 1;
        if self.countdown == 0 {
            return None;
        }
        // There is a running task: *Countdown*.
        let (save, next) = self.ready.rotate(self.running)?;
        self.running = next.task;
        Some((save, next.context))
    }

    /// The rest of a yield that is no turn: the ring is empty, or it is time to look after timers and inbox. `None` if no task runs.
    #[inline]
    pub(crate) fn give_way(&mut self, inbox_is_empty: bool) -> Option<Decision> {
        let Some(me) = self.running() else {
            self.countdown = 1;
            return None;
        };
        if self.countdown == 0 {
            // Nobody had this turn.
            self.countdown = 1;
            if !self.is_quiet(inbox_is_empty) {
                self.running = TaskRef::NOBODY;
                return Some(Decision::Leave { save: self.ready.push_unsaved(me) });
            }
            self.begin_turns();
            self.countdown -= 1;
        }
        if !self.ready.fill_ring() && self.ready.is_empty() {
            return Some(Decision::Stay);
        }
        let (save, next) = self.ready.rotate(me)?;
        self.running = next.task;
        Some(Decision::Switch { save, to: next.context })
    }

    /// Whether the host loop would find nothing to do but to continue the next task.
    fn is_quiet(&self, inbox_is_empty: bool) -> bool {
        GOES_ON
            && inbox_is_empty
            && self.unlimited
            && self.timers.earliest().is_none()
            && !self.tasks.has_surplus()
            && self.ended.is_none()
    }

    /// After a decision to leave: who goes on without the host loop, if it would do nothing else but to continue that task?
    pub(crate) fn go_on(&mut self, inbox_is_empty: bool) -> Option<Context> {
        if !self.is_quiet(inbox_is_empty) || self.ready.is_empty() {
            return None;
        }
        self.begin_turns();
        self.take_next()
    }

    /// The running task, or nobody, who may not block.
    #[inline(always)]
    pub(crate) fn me(&self) -> TaskRef {
        self.running
    }

    /// `me`, which is running and may block, waits.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn block(&mut self, me: TaskRef, how: &Block<'_>) -> Decision {
        match how.queue {
            Some((queue, waiter)) => {
                queue.push(waiter, me);
                me.wait_as(how.waiting, waiter);
            }
            None => me.wait_for(how.waiting),
        }
        if let Some(deadline) = how.deadline {
            self.timers.insert(me, deadline, &self.tasks);
        }
        self.hand_over(me)
    }

    /// `me`, which is running and may block, waits until `task`, another one, has exited.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn join(&mut self, me: TaskRef, task: TaskRef) -> Decision {
        task.joiner.set(Some(me));
        task.set(Flags::JOINED);
        me.wait_for_end(task);
        self.hand_over(me)
    }

    /// `me`, which runs and has nothing special but `joiner`, is over, and its joiner goes on at once, if nobody else is ready. `None`: it is
    /// not over yet, see [`Scheduler::exit`].
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn exit_to_joiner(&mut self, me: TaskRef, joiner: TaskRef) -> Option<Context> {
        debug_assert!(self.running == me);
        if !self.ready.is_empty() {
            return None;
        }
        self.countdown -= 1;
        if self.countdown == 0 {
            // `exit` knows.
            return None;
        }
        me.exit_plain();
        joiner.waiting.set(Waiting::Nothing);
        self.running = joiner;
        Some(joiner.context.get())
    }

    /// `me`, which runs, is over. Returns the context to go on with; [`Context::HOST`] for the host loop.
    pub(crate) fn exit(&mut self, me: TaskRef, inbox_is_empty: bool) -> Context {
        debug_assert!(self.running == me);
        if cfg!(not(target_arch = "wasm32")) {
            // Where `exit_to_joiner` wanted the last turn.
            self.countdown = self.countdown.max(1);
        }
        if me.take(Flags::JOINED)
            && let Some(joiner) = me.joiner.get()
        {
            self.make_ready(joiner, Wake::Done);
        }
        me.set(Flags::EXITED);
        if me.has(Flags::AWAITED) {
            let id = me.id();
            for host_loop in self.loops.iter_mut().filter(|host_loop| host_loop.task == Some(id)) {
                host_loop.done = true;
            }
        }
        if me.has(Flags::DETACHED) {
            self.tasks.free(me);
        }
        if self.innermost_done() {
            self.host_runs();
            return Context::HOST;
        }
        self.take_next().or_else(|| self.go_on(inbox_is_empty)).unwrap_or(Context::HOST)
    }

    /// A blocked task becomes ready.
    pub(crate) fn wake(&mut self, task: TaskRef, wake: Wake) {
        debug_assert!(task.is_blocked(), "One Home");
        if let Some(joined) = task.joined() {
            joined.take(Flags::JOINED);
        }
        wait_queue::leave(task);
        self.make_ready(task, wake);
    }

    /// A blocked task that is in no wait queue any more becomes ready.
    ///
    /// A timer that it has stays, and says nothing any more; the task takes it away when it goes on.
    #[inline(always)]
    pub(crate) fn make_ready(&mut self, task: TaskRef, wake: Wake) {
        task.waiting.set(Waiting::Nothing);
        task.wake.set(wake);
        self.ready.push(task);
    }

    /// Takes away the timer of a task that goes on, if it has one.
    pub(crate) fn forget_timer(&mut self, task: TaskRef) {
        self.timers.remove(task, &self.tasks);
    }

    /// Wakes the task that has waited longest in `queue`.
    pub(crate) fn wake_first(&mut self, queue: &WaitQueue, wake: Wake) -> bool {
        match queue.pop() {
            Some((_, task)) => {
                self.make_ready(task, wake);
                true
            }
            None => false,
        }
    }

    /// Wakes everybody in `queue`, first come, first served.
    pub(crate) fn wake_all(&mut self, queue: &WaitQueue, wake: Wake) {
        while self.wake_first(queue, wake) {}
    }

    /// Makes `park` of that task return, now or the next time.
    pub(crate) fn unpark(&mut self, id: TaskId) {
        let Some(task) = self.tasks.find(id) else { return };
        if task.has_exited() {
            return;
        }
        // Consumed when `park` returns, so that two of them count once, as with threads.
        task.set(Flags::TOKEN);
        if task.waiting.get() == Waiting::Park {
            self.wake(task, Wake::Done);
        }
    }

    /// Delivers what came for a task from elsewhere.
    pub(crate) fn deliver(&mut self, id: TaskId, wakeup: Wakeup) {
        if wakeup.contains(Wakeup::UNPARK) {
            self.unpark(id);
        }
        #[cfg(all(feature = "std", not(target_arch = "wasm32")))]
        if wakeup.contains(Wakeup::REMOTE) {
            self.wake_remote(id);
        }
    }

    /// Ends that task's wait for something of other threads. It looks at its condition again: a wake-up may be for an earlier wait.
    #[cfg(all(feature = "std", not(target_arch = "wasm32")))]
    pub(crate) fn wake_remote(&mut self, id: TaskId) {
        let Some(task) = self.tasks.find(id) else { return };
        if task.waiting.get().is_remote() {
            self.wake(task, Wake::Done);
        }
    }

    /// How many tasks are ready.
    #[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
    pub(crate) fn ready(&self) -> usize {
        self.ready.count()
    }

    /// Makes every blocking call of that task return `Cancelled`, the present one first.
    pub(crate) fn cancel(&mut self, id: TaskId) {
        let Some(task) = self.tasks.find(id) else { return };
        if task.has_exited() {
            return;
        }
        task.set(Flags::CANCELLED);
        if !matches!(task.waiting.get(), Waiting::Nothing | Waiting::Host | Waiting::Exit) {
            self.wake(task, Wake::Cancelled);
        }
    }

    // ---- the host loop

    /// Wakes every sleeper whose time has come.
    #[inline]
    pub(crate) fn expire(&mut self, now: Instant) {
        if self.timers.earliest().is_some_and(|earliest| instant(earliest) <= now) {
            self.expire_due(now);
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn expire_due(&mut self, now: Instant) {
        loop {
            let mut due = [TaskRef::NOBODY; BATCH];
            let count = self.timers.expire(now, &self.tasks, &mut due);
            for &task in &due[..count] {
                // A sleep ends; what else has a deadline has missed it. Who was woken before has not gone on yet.
                let wake = match task.waiting.get() {
                    Waiting::Nothing => continue,
                    Waiting::Sleep => Wake::Done,
                    _ => Wake::TimedOut,
                };
                self.wake(task, wake);
                // As far up its stack as it is soon to return, four cache lines; with 1,000,000 sleepers that is a quarter of all the time.
                let context = task.context.get().as_raw();
                arch::prefetch(context);
                arch::prefetch(context.wrapping_add(128));
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// The next task for the host loop to continue, which has a deadline or a budget, or is `unlimited`.
    pub(crate) fn next(&mut self, unlimited: bool) -> Option<Context> {
        if GOES_ON {
            self.unlimited = unlimited;
        }
        self.begin_turns();
        let next = self.take_next();
        if next.is_none() {
            // The platform is asked to wait, which is the user's code: *Countdown*.
            self.host_runs();
        }
        next
    }

    /// From now on there are [`TURNS`] switches until the next look after timers and inbox, and this one.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn begin_turns(&mut self) {
        self.ready.fetch_ahead(TURNS as usize);
        self.set_countdown(TURNS + 1);
    }

    /// Opens a host loop. `None`: nested too deep, or no memory.
    pub(crate) fn open_loop(&mut self, name: &'static str, task: Option<TaskId>) -> Option<()> {
        if self.loops.len() >= MAX_NESTING {
            return None;
        }
        room::reserve(&mut self.loops, 1).ok()?;
        let (caller, left) = (self.running(), self.countdown);
        self.host_runs();
        if let Some(caller) = caller {
            caller.wait_for(Waiting::Host);
        }
        let mut done = false;
        if let Some(task) = task.and_then(|id| self.tasks.find(id)) {
            done = task.has_exited();
            if !done {
                task.set(Flags::AWAITED);
            }
        }
        room::push(&mut self.loops, HostLoop { name, task, done, caller, left });
        Some(())
    }

    /// Closes the innermost host loop; the host call that it came from returns into its task.
    pub(crate) fn close_loop(&mut self) -> Option<HostLoop> {
        let host_loop = self.loops.pop()?;
        self.running = host_loop.caller.unwrap_or(TaskRef::NOBODY);
        if let Some(caller) = host_loop.caller {
            caller.waiting.set(Waiting::Nothing);
        }
        // The enclosing call may have been finished by the loop that just ended: return at the next switch. Else the caller has the turns
        // that it had left: a task that calls the host again and again keeps nobody from looking at the enclosing call's deadline.
        let leave = self.innermost_done() || self.ended.is_some();
        // Of the host, too, 1 was left: *Countdown*.
        self.set_countdown(if leave { 1 } else { host_loop.left });
        // The loop that continued the caller may have a deadline or a budget; it says so at the next look.
        if GOES_ON {
            self.unlimited = false;
        }
        Some(host_loop)
    }

    /// Whether the innermost host loop's task has finished.
    pub(crate) fn innermost_done(&self) -> bool {
        self.loops.last().is_some_and(|host_loop| host_loop.done)
    }

    /// The names of the open host loops, innermost last.
    pub(crate) fn loops(&self) -> &[HostLoop] {
        self.loops.as_slice()
    }

    /// The module ends: the running task waits for ever, and the host loops return. `None` if there is no running task.
    pub(crate) fn end(&mut self, code: i32) -> Option<Decision> {
        let me = self.running()?;
        self.host_runs();
        self.ended.get_or_insert(code);
        self.tasks.set_most(0);
        me.wait_for(Waiting::Exit);
        Some(Decision::Leave { save: me.context.as_ptr() })
    }

    // ---- private

    /// `me` has blocked: who goes on?
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn hand_over(&mut self, me: TaskRef) -> Decision {
        let save = me.context.as_ptr();
        match self.take_next() {
            Some(to) => Decision::Switch { save, to },
            None => Decision::Leave { save },
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn take_next(&mut self) -> Option<Context> {
        self.countdown -= 1;
        if self.countdown > 0
            && let Some(next) = self.ready.pop()
        {
            self.running = next.task;
            return Some(next.context);
        }
        self.leave_to_host();
        None
    }

    #[cold]
    #[inline(never)]
    fn leave_to_host(&mut self) {
        // Nobody had this turn.
        self.countdown += 1;
        self.host_runs();
    }
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, reason = "contexts made of numbers, which nobody continues")]

    use super::{Block, Decision, Scheduler, TURNS};
    use crate::task::{TaskId, TaskRef, Waiting, Wake};
    use crate::task_list::Report;
    use crate::time::Instant;
    use crate::wait_queue::{WaitQueue, Waiter};
    use alloc::format;
    use windlass_arch::Context;

    fn number(context: Context) -> usize {
        context.as_raw()
    }

    /// Spawns a task whose context is a number; nothing runs.
    fn spawn(scheduler: &mut Scheduler, context: usize) -> TaskId {
        let task = scheduler.admit(false, core::ptr::null()).expect("memory");
        // SAFETY: never continued.
        scheduler.start(task, unsafe { Context::from_raw(context) });
        task.id()
    }

    /// What a switch would do to the saved place.
    fn switched(decision: Decision, saved: usize) -> usize {
        match decision {
            Decision::Switch { save, to } => {
                // SAFETY: the place is in the tables; a real switch stores there, too.
                unsafe { *save = Context::from_raw(saved) };
                number(to)
            }
            other => panic!("{other:?}"),
        }
    }

    fn left(decision: Decision, saved: usize) {
        match decision {
            // SAFETY: as above.
            Decision::Leave { save } => unsafe { *save = Context::from_raw(saved) },
            other => panic!("{other:?}"),
        }
    }

    fn yielded(scheduler: &mut Scheduler) -> Decision {
        match scheduler.take_turn() {
            Some((save, to)) => Decision::Switch { save, to },
            None => scheduler.give_way(false).expect("a running task"),
        }
    }

    fn blocked(scheduler: &mut Scheduler, how: &Block<'_>) -> Decision {
        let me = scheduler.me();
        assert!(me.may_block());
        scheduler.block(me, how)
    }

    fn exited(scheduler: &mut Scheduler) -> Context {
        let me = scheduler.running().expect("a running task");
        if let Some(joiner) = me.only_joiner()
            && let Some(to) = scheduler.exit_to_joiner(me, joiner)
        {
            return to;
        }
        scheduler.exit(me, false)
    }

    fn task(scheduler: &Scheduler, id: TaskId) -> TaskRef {
        scheduler.tasks.find(id).expect("alive")
    }

    fn next(scheduler: &mut Scheduler) -> Option<usize> {
        scheduler.next(false).map(number)
    }

    #[test]
    fn a_task_alone_stays_until_the_timers_are_due_for_a_look() {
        let mut scheduler = Scheduler::new(usize::MAX);
        spawn(&mut scheduler, 1);
        assert_eq!(next(&mut scheduler), Some(1));
        for _ in 1..TURNS {
            assert!(matches!(yielded(&mut scheduler), Decision::Stay));
        }
        left(yielded(&mut scheduler), 11);
        assert_eq!(next(&mut scheduler), Some(11));
    }

    #[test]
    fn yielding_goes_to_the_tail_and_saves_into_the_queue() {
        let mut scheduler = Scheduler::new(usize::MAX);
        for context in [1, 2, 3] {
            spawn(&mut scheduler, context);
        }
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(switched(yielded(&mut scheduler), 11), 2);
        assert_eq!(switched(yielded(&mut scheduler), 12), 3);
        assert_eq!(switched(yielded(&mut scheduler), 13), 11);
        assert_eq!(switched(yielded(&mut scheduler), 21), 12);
    }

    #[test]
    fn two_tasks_that_yield_to_each_other_leave_to_the_host_loop_every_64_switches() {
        let mut scheduler = Scheduler::new(usize::MAX);
        spawn(&mut scheduler, 1);
        spawn(&mut scheduler, 2);
        for _ in 0..3 {
            assert!(scheduler.next(false).is_some());
            let mut turns = 0;
            loop {
                turns += 1;
                match yielded(&mut scheduler) {
                    Decision::Switch { .. } => {}
                    Decision::Leave { .. } => break,
                    Decision::Stay => panic!("the other one is ready"),
                }
            }
            assert_eq!(turns, TURNS);
        }
    }

    #[test]
    fn a_blocked_task_is_woken_to_the_tail_first_come_first_served() {
        let mut scheduler = Scheduler::new(usize::MAX);
        let queue = WaitQueue::new();
        for context in [1, 2, 3] {
            spawn(&mut scheduler, context);
        }
        let nodes = [const { Waiter::new() }; 2];
        let how = |node| Block { queue: Some((&queue, &nodes[node])), ..Block::on(Waiting::Receive) };
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(switched(blocked(&mut scheduler, &how(0)), 11), 2);
        assert_eq!(switched(blocked(&mut scheduler, &how(1)), 12), 3);
        scheduler.wake_all(&queue, Wake::Done);
        assert_eq!(switched(yielded(&mut scheduler), 13), 11);
        assert_eq!(switched(yielded(&mut scheduler), 21), 12);
        assert_eq!(switched(yielded(&mut scheduler), 22), 13);
    }

    #[test]
    fn a_deadline_that_comes_first_takes_the_task_out_of_its_wait_queue() {
        let mut scheduler = Scheduler::new(usize::MAX);
        let queue = WaitQueue::new();
        let id = spawn(&mut scheduler, 1);
        assert_eq!(next(&mut scheduler), Some(1));
        let deadline = Some(Instant::from_nanos(5));
        let node = Waiter::new();
        let how = Block { queue: Some((&queue, &node)), deadline, ..Block::on(Waiting::Send) };
        left(blocked(&mut scheduler, &how), 11);
        scheduler.expire(Instant::from_nanos(4));
        assert!(scheduler.is_idle());
        scheduler.expire(Instant::from_nanos(5));
        assert!(queue.is_empty());
        assert_eq!(task(&scheduler, id).wake.get(), Wake::TimedOut);
        assert_eq!(next(&mut scheduler), Some(11));
    }

    #[test]
    fn the_end_of_the_awaited_task_leaves_although_others_are_ready() {
        let mut scheduler = Scheduler::new(usize::MAX);
        let awaited = spawn(&mut scheduler, 1);
        spawn(&mut scheduler, 2);
        scheduler.open_loop("call", Some(awaited)).expect("memory");
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(exited(&mut scheduler), Context::HOST);
        assert!(scheduler.innermost_done());
        assert_eq!(scheduler.close_loop().map(|host_loop| host_loop.name), Some("call"));
        assert_eq!(next(&mut scheduler), Some(2));
    }

    #[test]
    fn a_call_that_was_finished_by_an_inner_loop_returns_at_the_next_switch() {
        let mut scheduler = Scheduler::new(usize::MAX);
        let outer = spawn(&mut scheduler, 1);
        let second = spawn(&mut scheduler, 2);
        scheduler.open_loop("outer", Some(outer)).expect("memory");
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(switched(yielded(&mut scheduler), 11), 2);
        // Task 2 calls the host, which calls in again.
        let inner = spawn(&mut scheduler, 3);
        scheduler.open_loop("inner", Some(inner)).expect("memory");
        assert!(format!("{}", Report { scheduler: &scheduler, most: 9 }).contains("task 1: in a host call"));
        assert_eq!(next(&mut scheduler), Some(11));
        assert_eq!(
            number(exited(&mut scheduler)),
            3,
            "the inner loop goes on although the outer call is done"
        );
        assert_eq!(exited(&mut scheduler), Context::HOST);
        scheduler.close_loop();
        assert_eq!(
            scheduler.running().map(|me| me.id()),
            Some(second),
            "the host call returned into its task"
        );
        spawn(&mut scheduler, 4);
        left(yielded(&mut scheduler), 12);
        assert!(scheduler.innermost_done());
    }

    #[test]
    fn a_cancelled_task_may_not_block_again() {
        let mut scheduler = Scheduler::new(usize::MAX);
        let id = spawn(&mut scheduler, 1);
        assert_eq!(next(&mut scheduler), Some(1));
        scheduler.cancel(id);
        assert!(!scheduler.me().may_block());
        assert_eq!(scheduler.running().map(|me| me.id()), Some(id));
    }
}
