//! Runs a program on the library.

use crate::program::{
    CANCELLED, CHANNELS, CLOSED, CONDVARS, DEADLOCK, DROPPED, Event, HOST, ITSELF, MOST_FOR_HOST,
    MOST_NESTED, MOST_TASKS, MUTEXES, NOT_NOW, NOTHING, Op, PANICKED, Step, TIMED_OUT, yields_when_dropped,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use windlass::channel::{Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError};
use windlass::platform::MockClock;
use windlass::sync::{Condvar, Mutex, MutexGuard, WaitGroup};
use windlass::{Builder, Duration, JoinError, JoinHandle, RunError, Task, runtime};

/// Something that is counted while it is alive.
struct Value {
    number: i64,
    alive: Rc<Cell<usize>>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

/// A task's result.
struct Outcome {
    task: usize,
    world: Rc<World>,
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.world.results.set(self.world.results.get() - 1);
        self.world.events.borrow_mut().push((self.task, DROPPED, 0));
        if yields_when_dropped(self.task) && windlass::try_current().is_some() {
            windlass::yield_now();
        }
    }
}

pub(crate) struct World {
    pub(crate) events: RefCell<Vec<Event>>,
    scripts: Vec<Vec<Op>>,
    clock: MockClock,
    tasks: RefCell<Vec<Option<Task>>>,
    handles: RefCell<Vec<Option<JoinHandle<Outcome>>>>,
    channels: Vec<(Sender<Value>, Receiver<Value>)>,
    mutexes: [&'static Mutex<u64>; MUTEXES],
    condvars: [Condvar; CONDVARS],
    group: WaitGroup,
    depth: Cell<usize>,
    values: Cell<i64>,
    alive: Rc<Cell<usize>>,
    results: Cell<usize>,
}

type Guards = Vec<(usize, MutexGuard<'static, u64>)>;

fn nanos(time: u64) -> Duration {
    Duration::from_nanos(time)
}

impl World {
    pub(crate) fn new(scripts: &[Vec<Op>], clock: MockClock) -> Rc<World> {
        let channel = |capacity| match capacity {
            None => windlass::channel::rendezvous(),
            Some(usize::MAX) => windlass::channel::unbounded(),
            Some(capacity) => windlass::channel::bounded(capacity),
        };
        Rc::new(World {
            events: RefCell::default(),
            scripts: scripts.to_vec(),
            clock,
            tasks: RefCell::default(),
            handles: RefCell::default(),
            channels: CHANNELS.into_iter().map(channel).collect(),
            // A guard is kept from one operation to another.
            mutexes: [(); MUTEXES].map(|()| &*Box::leak(Box::new(Mutex::new(0)))),
            condvars: [(); CONDVARS].map(|()| Condvar::new()),
            group: WaitGroup::new(),
            depth: Cell::new(0),
            values: Cell::new(0),
            alive: Rc::default(),
            results: Cell::new(0),
        })
    }

    /// How many values and results there are.
    pub(crate) fn alive(&self) -> (usize, usize) {
        (self.alive.get(), self.results.get())
    }

    pub(crate) fn drain_channels(&self) {
        for (_, receiver) in &self.channels {
            while receiver.try_recv().is_ok() {}
        }
    }

    pub(crate) fn step(self: &Rc<World>, step: Step) {
        let outcome = match step {
            Step::Run(script) => self.nested(script),
            Step::Do(op) => self.perform(op, &mut Guards::new()),
            Step::CancelAll => {
                self.tasks.borrow().iter().flatten().for_each(Task::cancel);
                0
            }
            Step::DropHandles => {
                let handles: Vec<_> = self.handles.borrow_mut().iter_mut().filter_map(Option::take).collect();
                drop(handles);
                0
            }
        };
        self.events.borrow_mut().push((HOST, 0, outcome));
    }

    fn value(&self) -> Value {
        self.values.set(self.values.get() + 1);
        self.alive.set(self.alive.get() + 1);
        Value { number: self.values.get(), alive: Rc::clone(&self.alive) }
    }

    fn pick(&self, task: usize) -> Option<usize> {
        task.checked_rem(self.tasks.borrow().len())
    }

    fn body(self: Rc<World>, me: usize, script: usize) -> Outcome {
        let mut guards = Guards::new();
        for (number, &op) in self.scripts[script].iter().enumerate() {
            if matches!(op, Op::Panic) {
                self.events.borrow_mut().push((me, number, PANICKED));
                // Without the hook that prints.
                std::panic::resume_unwind(Box::new(()));
            }
            let outcome = self.perform(op, &mut guards);
            self.events.borrow_mut().push((me, number, outcome));
        }
        drop(guards);
        self.results.set(self.results.get() + 1);
        Outcome { task: me, world: self }
    }

    fn spawn(self: &Rc<World>, script: usize, odd: bool) -> i64 {
        let me = self.tasks.borrow().len();
        if me >= MOST_TASKS {
            return NOTHING;
        }
        let world = Rc::clone(self);
        let body = move || world.body(me, script);
        let handle = if odd {
            Builder::new().stack_size(96 << 10).spawn(body).expect("a stack")
        } else {
            windlass::spawn(body)
        };
        self.tasks.borrow_mut().push(Some(handle.task()));
        self.handles.borrow_mut().push(Some(handle));
        me as i64
    }

    fn nested(self: &Rc<World>, script: usize) -> i64 {
        let me = self.tasks.borrow().len();
        let most = if self.depth.get() == 0 { MOST_FOR_HOST } else { MOST_TASKS };
        if me >= most || self.depth.get() >= MOST_NESTED {
            return NOTHING;
        }
        self.tasks.borrow_mut().push(None);
        self.handles.borrow_mut().push(None);
        let world = Rc::clone(self);
        self.depth.set(self.depth.get() + 1);
        let result = windlass::try_run(move || {
            world.tasks.borrow_mut()[me] = windlass::try_current();
            world.body(me, script)
        });
        self.depth.set(self.depth.get() - 1);
        match result {
            Ok(outcome) => outcome.task as i64,
            Err(RunError::Panicked(_)) => PANICKED,
            Err(RunError::Deadlock { .. }) => DEADLOCK,
            Err(error) => panic!("{error}"),
        }
    }

    fn perform(self: &Rc<World>, op: Op, guards: &mut Guards) -> i64 {
        let held = |guards: &Guards, mutex| guards.iter().position(|(number, _)| *number == mutex);
        match op {
            Op::Yield => windlass::yield_now(),
            Op::Spawn { script, odd } => return self.spawn(script, odd),
            Op::Burst { script, count } => {
                for _ in 0..count {
                    self.spawn(script, false);
                }
            }
            Op::Nested(script) => return self.nested(script),
            Op::Join(_) | Op::DropHandle(_) | Op::IsFinished(_) => return self.handle(op),
            Op::Cancel(task) | Op::Unpark(task) => {
                let task = self.pick(task).and_then(|task| self.tasks.borrow()[task].clone());
                match (task, op) {
                    (None, _) => return NOTHING,
                    (Some(task), Op::Cancel(_)) => task.cancel(),
                    (Some(task), _) => task.unpark(),
                }
            }
            Op::Park(None) => return windlass::park().map_or(CANCELLED, |()| 0),
            Op::Park(Some(time)) => {
                return windlass::park_timeout(nanos(time)).map_or(CANCELLED, i64::from);
            }
            Op::Sleep(time) => return windlass::sleep(nanos(time)).map_or(CANCELLED, |()| 0),
            Op::Advance(time) => self.clock.advance(nanos(time)),
            Op::Send(..) | Op::TrySend(_) | Op::Receive(..) | Op::TryReceive(_) => return self.channel(op),
            Op::Close(channel) => return i64::from(self.channels[channel].0.close()),
            Op::Lock(mutex) if held(guards, mutex).is_none() => {
                let Ok(mut guard) = self.mutexes[mutex].lock() else { return CANCELLED };
                *guard += 1;
                let entries = *guard as i64;
                guards.push((mutex, guard));
                return entries;
            }
            Op::TryLock(mutex) => match self.mutexes[mutex].try_lock() {
                Some(guard) => guards.push((mutex, guard)),
                None => return NOT_NOW,
            },
            Op::Unlock(mutex) => match held(guards, mutex) {
                Some(at) => drop(guards.remove(at)),
                None => return NOTHING,
            },
            Op::Wait(condvar, mutex, deadline) => {
                let Some(at) = held(guards, mutex) else { return NOTHING };
                let (condvar, guard) = (&self.condvars[condvar], guards.remove(at).1);
                let result = match deadline {
                    None => condvar.wait(guard).map(|guard| (guard, true)),
                    Some(time) => condvar.wait_timeout(guard, nanos(time)),
                };
                let Ok((guard, notified)) = result else { return CANCELLED };
                guards.push((mutex, guard));
                return i64::from(notified);
            }
            Op::NotifyOne(condvar) => return i64::from(self.condvars[condvar].notify_one()),
            Op::NotifyAll(condvar) => self.condvars[condvar].notify_all(),
            Op::Add => self.group.add(1),
            Op::Done if self.group.count() > 0 => self.group.done(),
            Op::WaitGroup => return self.group.wait().map_or(CANCELLED, |()| 0),
            Op::Trim => runtime::trim(),
            Op::StackSize(bytes) => runtime::set_stack_size(bytes),
            Op::Count => return runtime::stats().tasks as i64,
            Op::Lock(_) | Op::Done | Op::Panic => return NOTHING,
        }
        0
    }

    fn handle(&self, op: Op) -> i64 {
        let (Op::Join(task) | Op::DropHandle(task) | Op::IsFinished(task)) = op else { return NOTHING };
        let Some(task) = self.pick(task) else { return NOTHING };
        if matches!(op, Op::IsFinished(_)) {
            let handles = self.handles.borrow();
            return handles[task].as_ref().map_or(NOTHING, |handle| i64::from(handle.is_finished()));
        }
        let handle = self.handles.borrow_mut()[task].take();
        let Some(handle) = handle else { return NOTHING };
        if matches!(op, Op::DropHandle(_)) {
            drop(handle);
            return 0;
        }
        match handle.join() {
            Ok(outcome) => outcome.task as i64,
            Err(JoinError::Panicked(_)) => PANICKED,
            Err(JoinError::Cancelled) => CANCELLED,
            Err(JoinError::Itself) => ITSELF,
            Err(error) => panic!("{error}"),
        }
    }

    fn channel(&self, op: Op) -> i64 {
        let sent = |result: Result<(), SendError<Value>>| match result {
            Ok(()) => 0,
            Err(SendError::Closed(_)) => CLOSED,
            Err(SendError::Cancelled(_)) => CANCELLED,
            Err(SendError::TimedOut(_)) => TIMED_OUT,
            Err(_) => NOTHING,
        };
        let received = |result: Result<Value, RecvError>| match result {
            Ok(value) => value.number,
            Err(RecvError::Closed) => CLOSED,
            Err(RecvError::Cancelled) => CANCELLED,
            Err(RecvError::TimedOut) => TIMED_OUT,
            Err(_) => NOTHING,
        };
        match op {
            Op::Send(channel, None) => sent(self.channels[channel].0.send(self.value())),
            Op::Send(channel, Some(time)) => {
                sent(self.channels[channel].0.send_timeout(self.value(), nanos(time)))
            }
            Op::TrySend(channel) => match self.channels[channel].0.try_send(self.value()) {
                Ok(()) => 0,
                Err(TrySendError::Full(_)) => NOT_NOW,
                Err(_) => CLOSED,
            },
            Op::Receive(channel, None) => received(self.channels[channel].1.recv()),
            Op::Receive(channel, Some(time)) => received(self.channels[channel].1.recv_timeout(nanos(time))),
            Op::TryReceive(channel) => match self.channels[channel].1.try_recv() {
                Ok(value) => value.number,
                Err(TryRecvError::Empty) => NOT_NOW,
                Err(_) => CLOSED,
            },
            _ => NOTHING,
        }
    }
}
