//! What a program has to do, in ordinary Rust: one queue, tasks that are positions in a script.

mod operations;

use crate::program::{
    CHANNELS, DEADLOCK, DROPPED, Event, HOST, MOST_FOR_HOST, MOST_NESTED, MOST_TASKS, MUTEXES, NOTHING, Op,
    PANICKED, Step,
};
use std::collections::{BTreeMap, VecDeque};
use std::mem::take;

/// Continuations between two visits of the host loop, where timers are served.
const TURNS: u32 = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wake {
    Done,
    All,
    TimedOut,
    Cancelled,
}

/// What a blocked task waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    Time,
    Park,
    Join(usize),
    Queue(Queue),
    Host,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Queue {
    Senders(usize),
    Receivers(usize),
    Mutex(usize),
    Condvar(usize),
    Group,
}

/// What a task does when it goes on.
#[derive(Clone, Copy, Debug)]
enum Then {
    Sleep,
    Park,
    Join(usize),
    Send,
    Receive,
    Lock(usize),
    Waited(usize, usize),
    LockedAgain(usize, usize, Wake),
    Group,
    /// The operation is over, with this outcome.
    Finish(i64),
    /// So it is, and that task's block is free.
    FinishFree(usize),
    Exit,
}

#[derive(Default, Debug)]
struct Task {
    script: usize,
    at: usize,
    known: bool,
    on: Option<On>,
    wake: Option<Wake>,
    then: Option<Then>,
    cancelled: bool,
    token: bool,
    exited: bool,
    panicked: bool,
    detached: bool,
    free: bool,
    handle: bool,
    joiner: Option<usize>,
    guards: Vec<usize>,
    /// What it offers, or was given.
    value: i64,
    timer: Option<(u64, u64)>,
}

#[derive(Debug)]
struct Loop {
    task: usize,
    done: bool,
}

#[derive(Default, Debug)]
struct Channel {
    buffer: VecDeque<i64>,
    closed: bool,
}

enum Flow {
    /// The task goes on.
    On,
    /// Another one does, or the host loop.
    Off(Option<usize>),
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) events: Vec<Event>,
    pub(crate) switches: u64,
    scripts: Vec<Vec<Op>>,
    tasks: Vec<Task>,
    ready: VecDeque<usize>,
    queues: BTreeMap<Queue, VecDeque<usize>>,
    timers: BTreeMap<(u64, u64), usize>,
    age: u64,
    now: u64,
    countdown: u32,
    loops: Vec<Loop>,
    channels: Vec<Channel>,
    locked: [bool; MUTEXES],
    entries: [i64; MUTEXES],
    group: usize,
    values: i64,
}

impl Model {
    pub(crate) fn new(scripts: &[Vec<Op>], now: u64) -> Model {
        Model {
            scripts: scripts.to_vec(),
            now,
            channels: CHANNELS.iter().map(|_| Channel::default()).collect(),
            ..Model::default()
        }
    }

    /// How many tasks have a block.
    pub(crate) fn alive(&self) -> usize {
        self.tasks.iter().filter(|task| !task.free).count()
    }

    pub(crate) fn step(&mut self, step: Step) {
        let outcome = match step {
            Step::Run(script) => match self.nested(script) {
                Ok(task) => self.taken(task),
                Err(outcome) => outcome,
            },
            Step::Do(Op::DropHandle(task)) => {
                let task = self.take_handle(task);
                task.map_or(NOTHING, |task| self.drop_on_host(task))
            }
            Step::Do(op) => self.simple(op).unwrap_or(NOTHING),
            Step::CancelAll => {
                for task in 0..self.tasks.len() {
                    if self.tasks[task].known {
                        self.cancel(task);
                    }
                }
                0
            }
            Step::DropHandles => {
                for task in 0..self.tasks.len() {
                    if take(&mut self.tasks[task].handle) {
                        self.drop_on_host(task);
                    }
                }
                0
            }
        };
        self.events.push((HOST, 0, outcome));
    }

    fn drop_on_host(&mut self, task: usize) -> i64 {
        if self.tasks[task].exited {
            self.taken(task);
        } else {
            self.tasks[task].detached = true;
        }
        0
    }

    /// The result of an exited task is taken and dropped, by the host, which does not yield.
    fn taken(&mut self, task: usize) -> i64 {
        self.tasks[task].free = true;
        if self.tasks[task].panicked {
            return PANICKED;
        }
        self.events.push((task, DROPPED, 0));
        task as i64
    }

    // ---- the run queue

    fn wake(&mut self, task: usize, wake: Wake) {
        match self.tasks[task].on.take() {
            Some(On::Join(joined)) => self.tasks[joined].joiner = None,
            Some(On::Queue(queue)) => self.queues.entry(queue).or_default().retain(|&other| other != task),
            _ => {}
        }
        if let Some(timer) = self.tasks[task].timer.take() {
            self.timers.remove(&timer);
        }
        self.tasks[task].wake = Some(wake);
        self.ready.push_back(task);
    }

    fn wake_first(&mut self, queue: Queue, wake: Wake) -> Option<usize> {
        let first = *self.queues.get(&queue)?.front()?;
        self.wake(first, wake);
        Some(first)
    }

    fn wake_all(&mut self, queue: Queue, wake: Wake) {
        while self.wake_first(queue, wake).is_some() {}
    }

    fn take_next(&mut self) -> Option<usize> {
        if self.countdown == 1 {
            return None;
        }
        let next = self.ready.pop_front()?;
        self.countdown -= 1;
        self.switches += 1;
        Some(next)
    }

    fn give_way(&mut self, me: usize, then: Then) -> Flow {
        if self.countdown > 1 && self.ready.is_empty() {
            self.countdown -= 1;
            self.switches += 1;
            return self.go_on(me, then);
        }
        self.tasks[me].then = Some(then);
        self.ready.push_back(me);
        Flow::Off(self.take_next())
    }

    fn block(&mut self, me: usize, on: On, deadline: Option<u64>, then: Then) -> Flow {
        if self.tasks[me].cancelled {
            self.tasks[me].wake = Some(Wake::Cancelled);
            return self.go_on(me, then);
        }
        if let On::Queue(queue) = on {
            self.queues.entry(queue).or_default().push_back(me);
        }
        if let Some(time) = deadline {
            self.age += 1;
            let timer = (self.now + time, self.age);
            self.timers.insert(timer, me);
            self.tasks[me].timer = Some(timer);
        }
        self.tasks[me].on = Some(on);
        self.tasks[me].then = Some(then);
        Flow::Off(self.take_next())
    }

    // ---- the host loop

    fn spawn(&mut self, script: usize, handle: bool) -> Option<usize> {
        if self.tasks.len() >= if self.loops.is_empty() { MOST_FOR_HOST } else { MOST_TASKS } {
            return None;
        }
        let task = self.tasks.len();
        self.tasks.push(Task { script, handle, known: handle, ..Task::default() });
        self.ready.push_back(task);
        Some(task)
    }

    /// A run from the host, or from a task that calls the host. Returns the task, which has exited.
    fn nested(&mut self, script: usize) -> Result<usize, i64> {
        if self.loops.len() >= MOST_NESTED {
            return Err(NOTHING);
        }
        let task = self.spawn(script, false).ok_or(NOTHING)?;
        let left = self.countdown;
        self.loops.push(Loop { task, done: false });
        let done = self.drive();
        self.loops.pop();
        self.countdown = if self.innermost_done() { 1 } else { left.max(1) };
        if done {
            return Ok(task);
        }
        self.tasks[task].detached = true;
        Err(DEADLOCK)
    }

    fn innermost_done(&self) -> bool {
        self.loops.last().is_some_and(|innermost| innermost.done)
    }

    fn drive(&mut self) -> bool {
        loop {
            while let Some((&(deadline, _), &task)) = self.timers.first_key_value()
                && deadline <= self.now
            {
                let sleeps = self.tasks[task].on == Some(On::Time);
                self.wake(task, if sleeps { Wake::Done } else { Wake::TimedOut });
            }
            if self.innermost_done() {
                return true;
            }
            self.countdown = TURNS + 1;
            let mut next = self.take_next();
            if next.is_none() {
                let Some((&(deadline, _), _)) = self.timers.first_key_value() else { return false };
                self.now = self.now.max(deadline);
            }
            while let Some(task) = next {
                next = self.run(task);
            }
        }
    }

    /// Runs a task until another one goes on.
    fn run(&mut self, me: usize) -> Option<usize> {
        self.tasks[me].known = true;
        loop {
            let flow = match self.tasks[me].then.take() {
                Some(then) => self.go_on(me, then),
                None => self.operate(me),
            };
            if let Flow::Off(next) = flow {
                return next;
            }
        }
    }
}
