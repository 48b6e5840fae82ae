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
//! inbox. So a task that yields in a loop starves neither sleepers nor new tasks.

use crate::room::{self, NoMemory};
use crate::run_queue::RunQueue;
use crate::task::{Slot, State, TaskId, Tasks, Waiting, Wake};
use crate::time::{Instant, Moment};
use crate::timer_queue::{NOWHERE, TimerQueue};
use crate::wait_queue::{self, WaitQueue};
use alloc::vec::Vec;
use windlass_arch::Context;

/// Switches between two visits to the host loop.
pub(crate) const TURNS: u32 = 64;

/// How deep calls from the host may nest.
pub(crate) const MAX_NESTING: usize = 64;

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
    caller: Slot,
}

/// How a task blocks.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) waiting: Waiting,
    pub(crate) queue: Option<&'a WaitQueue>,
    pub(crate) deadline: Option<Moment>,
    /// Where the waker finds or leaves a value; on the blocked task's stack.
    pub(crate) value: *mut (),
}

impl Block<'_> {
    pub(crate) const fn on(waiting: Waiting) -> Block<'static> {
        Block { waiting, queue: None, deadline: None, value: core::ptr::null_mut() }
    }
}

/// The tables: tasks, run queue, timer queue, host loops.
#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) tasks: Tasks,
    ready: RunQueue,
    pub(crate) timers: TimerQueue,
    running: Slot,
    countdown: u32,
    loops: Vec<HostLoop>,
    /// `exit` was called with this code: nothing runs any more.
    pub(crate) ended: Option<i32>,
    switches: u64,
}

impl Scheduler {
    pub(crate) const fn new() -> Scheduler {
        Scheduler {
            tasks: Tasks::new(),
            ready: RunQueue::new(),
            timers: TimerQueue::new(),
            running: Slot::NONE,
            countdown: TURNS,
            loops: Vec::new(),
            ended: None,
            switches: 0,
        }
    }

    /// The running task, or none on the host's stack.
    #[inline]
    pub(crate) fn running(&self) -> Option<Slot> {
        Some(self.running).filter(|slot| !slot.is_none())
    }

    #[cfg(any(test, feature = "asynchronous"))]
    pub(crate) fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    /// How often a task was continued; counts what a budget limits.
    pub(crate) fn switches(&self) -> u64 {
        self.switches
    }

    // ---- life of a task

    /// Takes a slot for a new task and room for it in every queue.
    pub(crate) fn admit(&mut self) -> Result<TaskId, NoMemory> {
        let tasks = self.tasks.alive() + 1;
        self.ready.reserve(tasks)?;
        self.timers.reserve(tasks)?;
        self.tasks.admit()
    }

    /// Queues a new task at the tail.
    pub(crate) fn start(&mut self, task: Slot, context: Context) {
        *self.ready.push(task) = context;
    }

    /// The running task goes to the tail of the run queue.
    #[inline]
    pub(crate) fn yield_now(&mut self) -> Decision {
        let me = self.running;
        self.countdown -= 1;
        if self.countdown == 0 {
            self.tasks[me].state = State::Ready;
            let save: *mut Context = self.ready.push(me);
            self.running = Slot::NONE;
            return Decision::Leave { save };
        }
        if self.ready.is_empty() {
            return Decision::Stay;
        }
        self.tasks[me].state = State::Ready;
        let save: *mut Context = self.ready.push(me);
        match self.ready.pop() {
            Some(next) => Decision::Switch { save, to: self.continue_with(next.task, next.context) },
            None => Decision::Leave { save },
        }
    }

    /// The running task waits. `Err` if it need not or may not: it is cancelled.
    pub(crate) fn block(&mut self, how: &Block<'_>) -> Result<Decision, Wake> {
        let me = self.running;
        if self.tasks[me].cancelled {
            return Err(Wake::Cancelled);
        }
        let block = &mut self.tasks[me];
        block.state = State::Blocked;
        block.waiting = how.waiting;
        block.value = how.value;
        let save: *mut Context = &mut block.context;
        if let Waiting::Join(target) = how.waiting {
            self.tasks[target.slot()].joiner = me;
        }
        if let Some(queue) = how.queue {
            queue.push(me, &mut self.tasks);
        }
        if let Some(deadline) = how.deadline {
            self.timers.insert(me, deadline, &mut self.tasks);
        }
        Ok(match self.take_next() {
            Some(to) => Decision::Switch { save, to },
            None => Decision::Leave { save },
        })
    }

    /// The running task is over. Returns the context to go on with; [`Context::HOST`] for the host loop.
    pub(crate) fn exit(&mut self) -> Context {
        let me = self.running;
        let id = self.tasks.id(me);
        let block = &mut self.tasks[me];
        block.state = State::Exited;
        let joiner = core::mem::replace(&mut block.joiner, Slot::NONE);
        if block.awaited {
            for host_loop in self.loops.iter_mut().filter(|host_loop| host_loop.task == Some(id)) {
                host_loop.done = true;
            }
        }
        if !joiner.is_none() {
            self.wake(joiner, Wake::Done);
        }
        if self.innermost_done() {
            self.running = Slot::NONE;
            return Context::HOST;
        }
        self.take_next().unwrap_or(Context::HOST)
    }

    /// A blocked task becomes ready.
    pub(crate) fn wake(&mut self, task: Slot, wake: Wake) {
        debug_assert_eq!(self.tasks[task].state, State::Blocked, "One Home");
        wait_queue::unlink(task, &mut self.tasks);
        let timer = self.tasks[task].timer;
        if timer != NOWHERE {
            self.timers.remove(timer, &mut self.tasks);
        }
        if let Waiting::Join(target) = self.tasks[task].waiting
            && let Some(target) = self.tasks.find(target)
        {
            self.tasks[target].joiner = Slot::NONE;
        }
        let block = &mut self.tasks[task];
        block.state = State::Ready;
        block.wake = wake;
        *self.ready.push(task) = self.tasks[task].context;
    }

    /// Wakes the task that has waited longest in `queue`.
    pub(crate) fn wake_first(&mut self, queue: &WaitQueue, wake: Wake) -> bool {
        match queue.first() {
            Some(task) => {
                self.wake(task, wake);
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
        // Consumed when `park` returns, so that two of them count once, as with threads.
        let block = &mut self.tasks[task];
        block.token = true;
        if block.state == State::Blocked && block.waiting == Waiting::Park {
            self.wake(task, Wake::Done);
        }
    }

    /// Makes every blocking call of that task return `Cancelled`, the present one first.
    pub(crate) fn cancel(&mut self, id: TaskId) {
        let Some(task) = self.tasks.find(id) else { return };
        let block = &mut self.tasks[task];
        block.cancelled = true;
        if block.state == State::Blocked && block.waiting != Waiting::Exit {
            self.wake(task, Wake::Cancelled);
        }
    }

    // ---- the host loop

    /// Wakes every sleeper whose time has come.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(task) = self.timers.expire(now, &mut self.tasks) {
            // A sleep ends; what else has a deadline has missed it.
            let wake = match self.tasks[task].waiting {
                Waiting::Sleep => Wake::Done,
                _ => Wake::TimedOut,
            };
            self.wake(task, wake);
        }
    }

    /// The next task for the host loop to continue.
    pub(crate) fn next(&mut self) -> Option<Context> {
        self.countdown = TURNS + 1;
        self.take_next()
    }

    /// The host loop has control again.
    pub(crate) fn left(&mut self) {
        self.running = Slot::NONE;
    }

    /// Opens a host loop. `None`: nested too deep, or no memory.
    pub(crate) fn open_loop(&mut self, name: &'static str, task: Option<TaskId>) -> Option<()> {
        if self.loops.len() >= MAX_NESTING {
            return None;
        }
        room::reserve(&mut self.loops, 1).ok()?;
        let caller = self.running;
        if !caller.is_none() {
            self.tasks[caller].state = State::InHost;
        }
        let mut done = false;
        if let Some(task) = task.and_then(|id| self.tasks.find(id)) {
            self.tasks[task].awaited = true;
            done = self.tasks[task].state == State::Exited;
        }
        self.running = Slot::NONE;
        room::push(&mut self.loops, HostLoop { name, task, done, caller });
        Some(())
    }

    /// Closes the innermost host loop; the host call that it came from returns into its task.
    pub(crate) fn close_loop(&mut self) -> Option<HostLoop> {
        let host_loop = self.loops.pop()?;
        self.running = host_loop.caller;
        if !self.running.is_none() {
            self.tasks[host_loop.caller].state = State::Running;
        }
        // The enclosing call may have been finished by the loop that just ended: return at the next switch. And the timers
        // were served just now or need serving soon.
        self.countdown = if self.innermost_done() || self.ended.is_some() { 1 } else { TURNS };
        Some(host_loop)
    }

    /// Whether the innermost host loop's task has finished.
    pub(crate) fn innermost_done(&self) -> bool {
        self.loops.last().is_some_and(|host_loop| host_loop.done)
    }

    /// The names of the open host loops, innermost last.
    pub(crate) fn loops(&self) -> &[HostLoop] {
        &self.loops
    }

    /// The module ends: the running task waits for ever, and the host loops return.
    pub(crate) fn end(&mut self, code: i32) -> Decision {
        self.ended.get_or_insert(code);
        let me = self.running;
        let block = &mut self.tasks[me];
        block.state = State::Blocked;
        block.waiting = Waiting::Exit;
        self.running = Slot::NONE;
        Decision::Leave { save: &mut self.tasks[me].context }
    }

    // ---- private

    #[inline]
    fn take_next(&mut self) -> Option<Context> {
        self.countdown = self.countdown.saturating_sub(1);
        let next = if self.countdown == 0 { None } else { self.ready.pop() };
        match next {
            Some(next) => Some(self.continue_with(next.task, next.context)),
            None => {
                self.running = Slot::NONE;
                None
            }
        }
    }

    #[inline]
    fn continue_with(&mut self, task: Slot, context: Context) -> Context {
        self.running = task;
        self.tasks[task].state = State::Running;
        self.switches += 1;
        context
    }
}

#[cfg(test)]
mod tests {
    #![allow(unsafe_code, reason = "contexts made of numbers, which nobody continues")]

    use super::{Block, Decision, Scheduler, TURNS};
    use crate::task::{Slot, TaskId, Waiting, Wake};
    use crate::task_list::Report;
    use crate::time::Instant;
    use crate::wait_queue::WaitQueue;
    use alloc::format;
    use windlass_arch::Context;

    fn number(context: Context) -> usize {
        context.as_raw()
    }

    /// Spawns a task whose context is a number; nothing runs.
    fn spawn(scheduler: &mut Scheduler, context: usize) -> TaskId {
        let id = scheduler.admit().expect("memory");
        // SAFETY: never continued.
        scheduler.start(id.slot(), unsafe { Context::from_raw(context) });
        id
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

    fn next(scheduler: &mut Scheduler) -> Option<usize> {
        scheduler.next().map(number)
    }

    #[test]
    fn a_task_alone_stays_until_the_timers_are_due_for_a_look() {
        let mut scheduler = Scheduler::new();
        spawn(&mut scheduler, 1);
        assert_eq!(next(&mut scheduler), Some(1));
        for _ in 1..TURNS {
            assert!(matches!(scheduler.yield_now(), Decision::Stay));
        }
        left(scheduler.yield_now(), 11);
        assert_eq!(next(&mut scheduler), Some(11));
    }

    #[test]
    fn yielding_goes_to_the_tail_and_saves_into_the_queue() {
        let mut scheduler = Scheduler::new();
        for context in [1, 2, 3] {
            spawn(&mut scheduler, context);
        }
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(switched(scheduler.yield_now(), 11), 2);
        assert_eq!(switched(scheduler.yield_now(), 12), 3);
        assert_eq!(switched(scheduler.yield_now(), 13), 11);
        assert_eq!(switched(scheduler.yield_now(), 21), 12);
    }

    #[test]
    fn two_tasks_that_yield_to_each_other_leave_to_the_host_loop_every_64_switches() {
        let mut scheduler = Scheduler::new();
        spawn(&mut scheduler, 1);
        spawn(&mut scheduler, 2);
        for _ in 0..3 {
            assert!(scheduler.next().is_some());
            let mut turns = 0;
            loop {
                turns += 1;
                match scheduler.yield_now() {
                    Decision::Switch { .. } => {}
                    Decision::Leave { .. } => break,
                    Decision::Stay => panic!("the other one is ready"),
                }
            }
            assert_eq!(turns, TURNS);
            scheduler.left();
        }
    }

    #[test]
    fn a_blocked_task_is_woken_to_the_tail_first_come_first_served() {
        let mut scheduler = Scheduler::new();
        let queue = WaitQueue::new();
        for context in [1, 2, 3] {
            spawn(&mut scheduler, context);
        }
        let how = Block { queue: Some(&queue), ..Block::on(Waiting::Receive) };
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(switched(scheduler.block(&how).expect("not cancelled"), 11), 2);
        assert_eq!(switched(scheduler.block(&how).expect("not cancelled"), 12), 3);
        scheduler.wake_all(&queue, Wake::Done);
        assert_eq!(switched(scheduler.yield_now(), 13), 11);
        assert_eq!(switched(scheduler.yield_now(), 21), 12);
        assert_eq!(switched(scheduler.yield_now(), 22), 13);
    }

    #[test]
    fn a_deadline_that_comes_first_takes_the_task_out_of_its_wait_queue() {
        let mut scheduler = Scheduler::new();
        let queue = WaitQueue::new();
        let id = spawn(&mut scheduler, 1);
        assert_eq!(next(&mut scheduler), Some(1));
        let deadline = Some(Instant::from_nanos(5));
        let how = Block { queue: Some(&queue), deadline, ..Block::on(Waiting::Send) };
        left(scheduler.block(&how).expect("not cancelled"), 11);
        scheduler.expire(Instant::from_nanos(4));
        assert!(scheduler.is_idle());
        scheduler.expire(Instant::from_nanos(5));
        assert!(queue.is_empty());
        assert_eq!(scheduler.tasks[id.slot()].wake, Wake::TimedOut);
        assert_eq!(next(&mut scheduler), Some(11));
    }

    #[test]
    fn the_end_of_the_awaited_task_leaves_although_others_are_ready() {
        let mut scheduler = Scheduler::new();
        let awaited = spawn(&mut scheduler, 1);
        spawn(&mut scheduler, 2);
        scheduler.open_loop("call", Some(awaited)).expect("memory");
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(scheduler.exit(), Context::HOST);
        assert!(scheduler.innermost_done());
        assert_eq!(scheduler.close_loop().map(|host_loop| host_loop.name), Some("call"));
        assert_eq!(next(&mut scheduler), Some(2));
    }

    #[test]
    fn a_call_that_was_finished_by_an_inner_loop_returns_at_the_next_switch() {
        let mut scheduler = Scheduler::new();
        let outer = spawn(&mut scheduler, 1);
        spawn(&mut scheduler, 2);
        scheduler.open_loop("outer", Some(outer)).expect("memory");
        assert_eq!(next(&mut scheduler), Some(1));
        assert_eq!(switched(scheduler.yield_now(), 11), 2);
        // Task 2 calls the host, which calls in again.
        let inner = spawn(&mut scheduler, 3);
        scheduler.open_loop("inner", Some(inner)).expect("memory");
        assert!(format!("{}", Report { scheduler: &scheduler, most: 9 }).contains("task 1: in a host call"));
        assert_eq!(next(&mut scheduler), Some(11));
        assert_eq!(number(scheduler.exit()), 3, "the inner loop goes on although the outer call is done");
        assert_eq!(scheduler.exit(), Context::HOST);
        scheduler.close_loop();
        assert_eq!(scheduler.running(), Some(Slot::new(1)), "the host call returned into its task");
        spawn(&mut scheduler, 4);
        left(scheduler.yield_now(), 12);
        assert!(scheduler.innermost_done());
    }

    #[test]
    fn a_cancelled_task_may_not_block_again() {
        let mut scheduler = Scheduler::new();
        let id = spawn(&mut scheduler, 1);
        assert_eq!(next(&mut scheduler), Some(1));
        scheduler.cancel(id);
        assert_eq!(scheduler.block(&Block::on(Waiting::Park)).err(), Some(Wake::Cancelled));
        assert_eq!(scheduler.block(&Block::on(Waiting::Sleep)).err(), Some(Wake::Cancelled));
    }
}
