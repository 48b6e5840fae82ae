//! What each operation does.

use super::{Flow, Model, On, Queue, Then, Wake};
use crate::program::{
    CANCELLED, CHANNELS, CLOSED, DROPPED, ITSELF, NOT_NOW, NOTHING, Op, PANICKED, TIMED_OUT,
    yields_when_dropped,
};
use std::mem::{replace, take};

impl Model {
    fn finish(&mut self, me: usize, outcome: i64) -> Flow {
        self.events.push((me, self.tasks[me].at, outcome));
        self.tasks[me].at += 1;
        Flow::On
    }

    pub(super) fn operate(&mut self, me: usize) -> Flow {
        let Some(&op) = self.scripts[self.tasks[me].script].get(self.tasks[me].at) else {
            return self.end(me, false);
        };
        match op {
            Op::Yield => self.give_way(me, Then::Finish(0)),
            Op::Panic => {
                self.finish(me, PANICKED);
                self.end(me, true)
            }
            Op::Nested(script) => {
                self.tasks[me].on = Some(On::Host);
                let result = self.nested(script);
                self.tasks[me].on = None;
                match result {
                    Ok(task) => {
                        self.tasks[task].free = true;
                        self.drop_result(me, task, Then::Finish)
                    }
                    Err(outcome) => self.finish(me, outcome),
                }
            }
            Op::Join(task) => match self.take_handle(task) {
                None => self.finish(me, NOTHING),
                Some(task) if self.tasks[task].exited || task != me && self.tasks[me].cancelled => {
                    self.go_on(me, Then::Join(task))
                }
                Some(task) if task == me => {
                    self.tasks[me].detached = true;
                    self.finish(me, ITSELF)
                }
                Some(task) => {
                    self.tasks[task].joiner = Some(me);
                    self.block(me, On::Join(task), None, Then::Join(task))
                }
            },
            Op::DropHandle(task) => match self.take_handle(task) {
                None => self.finish(me, NOTHING),
                Some(task) if self.tasks[task].exited => {
                    self.drop_result(me, task, |_| Then::FinishFree(task))
                }
                Some(task) => {
                    self.tasks[task].detached = true;
                    self.finish(me, 0)
                }
            },
            Op::Park(deadline) if take(&mut self.tasks[me].token) => {
                self.finish(me, i64::from(deadline.is_some()))
            }
            Op::Park(deadline) => self.block(me, On::Park, deadline, Then::Park),
            Op::Sleep(0) => self.finish(me, 0),
            Op::Sleep(time) => self.block(me, On::Time, Some(time), Then::Sleep),
            Op::Send(channel, deadline) => match self.try_send(channel) {
                NOT_NOW => {
                    self.tasks[me].value = self.values;
                    self.block(me, On::Queue(Queue::Senders(channel)), deadline, Then::Send)
                }
                outcome => self.finish(me, outcome),
            },
            Op::Receive(channel, deadline) => match self.try_receive(channel) {
                NOT_NOW => self.block(me, On::Queue(Queue::Receivers(channel)), deadline, Then::Receive),
                outcome => self.finish(me, outcome),
            },
            Op::Lock(mutex) if self.tasks[me].guards.contains(&mutex) => self.finish(me, NOTHING),
            Op::Lock(mutex) if self.locked[mutex] => {
                self.block(me, On::Queue(Queue::Mutex(mutex)), None, Then::Lock(mutex))
            }
            Op::Lock(mutex) => {
                self.tasks[me].wake = Some(Wake::Done);
                self.go_on(me, Then::Lock(mutex))
            }
            Op::TryLock(mutex) if self.locked[mutex] => self.finish(me, NOT_NOW),
            Op::TryLock(mutex) => {
                self.hold(me, mutex);
                self.finish(me, 0)
            }
            Op::Unlock(mutex) => {
                let held = self.release(me, mutex);
                self.finish(me, if held { 0 } else { NOTHING })
            }
            Op::Wait(_, mutex, _) if !self.release(me, mutex) => self.finish(me, NOTHING),
            Op::Wait(condvar, mutex, deadline) => {
                let then = Then::Waited(condvar, mutex);
                self.block(me, On::Queue(Queue::Condvar(condvar)), deadline, then)
            }
            Op::WaitGroup if self.group == 0 => self.finish(me, 0),
            Op::WaitGroup => self.block(me, On::Queue(Queue::Group), None, Then::Group),
            op => {
                let outcome = self.simple(op).unwrap_or(NOTHING);
                self.finish(me, outcome)
            }
        }
    }

    /// Goes on with an operation that gave way or blocked.
    pub(super) fn go_on(&mut self, me: usize, then: Then) -> Flow {
        let wake = self.tasks[me].wake.unwrap_or(Wake::Done);
        match then {
            Then::Sleep | Then::Group => self.finish(me, if wake == Wake::Cancelled { CANCELLED } else { 0 }),
            Then::Park if wake == Wake::Cancelled => self.finish(me, CANCELLED),
            Then::Park => {
                let token = take(&mut self.tasks[me].token);
                let op = self.scripts[self.tasks[me].script][self.tasks[me].at];
                self.finish(me, i64::from(token && !matches!(op, Op::Park(None))))
            }
            Then::Join(task) if self.tasks[task].exited => {
                self.tasks[task].free = true;
                self.drop_result(me, task, Then::Finish)
            }
            Then::Join(task) => {
                self.tasks[task].detached = true;
                self.finish(me, CANCELLED)
            }
            Then::Send | Then::Receive => {
                let outcome = match wake {
                    Wake::Done if matches!(then, Then::Send) => 0,
                    Wake::Done => self.tasks[me].value,
                    Wake::All => CLOSED,
                    Wake::TimedOut => TIMED_OUT,
                    Wake::Cancelled => CANCELLED,
                };
                self.finish(me, outcome)
            }
            Then::Lock(mutex) if wake == Wake::Done => {
                self.hold(me, mutex);
                self.entries[mutex] += 1;
                self.finish(me, self.entries[mutex])
            }
            Then::Lock(_) => self.finish(me, CANCELLED),
            Then::Waited(..) if wake == Wake::Cancelled => self.finish(me, CANCELLED),
            Then::Waited(condvar, mutex) if self.locked[mutex] => {
                let then = Then::LockedAgain(condvar, mutex, wake);
                self.block(me, On::Queue(Queue::Mutex(mutex)), None, then)
            }
            Then::Waited(_, mutex) => {
                self.hold(me, mutex);
                self.finish(me, i64::from(wake != Wake::TimedOut))
            }
            Then::LockedAgain(_, mutex, before) if wake == Wake::Done => {
                self.hold(me, mutex);
                self.finish(me, i64::from(before != Wake::TimedOut))
            }
            Then::LockedAgain(condvar, _, before) => {
                if before == Wake::Done {
                    self.wake_first(Queue::Condvar(condvar), Wake::Done);
                }
                self.finish(me, CANCELLED)
            }
            Then::Finish(outcome) => self.finish(me, outcome),
            Then::FinishFree(task) => {
                self.tasks[task].free = true;
                self.finish(me, 0)
            }
            Then::Exit => self.exit(me),
        }
    }

    /// `me` drops the result of a task.
    fn drop_result(&mut self, me: usize, task: usize, then: impl FnOnce(i64) -> Then) -> Flow {
        if self.tasks[task].panicked {
            return self.go_on(me, then(PANICKED));
        }
        self.events.push((task, DROPPED, 0));
        let then = then(task as i64);
        if yields_when_dropped(task) { self.give_way(me, then) } else { self.go_on(me, then) }
    }

    fn end(&mut self, me: usize, panicked: bool) -> Flow {
        for mutex in take(&mut self.tasks[me].guards) {
            self.unlock(mutex);
        }
        self.tasks[me].panicked = panicked;
        if self.tasks[me].detached { self.drop_result(me, me, |_| Then::Exit) } else { self.exit(me) }
    }

    fn exit(&mut self, me: usize) -> Flow {
        if let Some(joiner) = self.tasks[me].joiner {
            self.wake(joiner, Wake::Done);
        }
        self.tasks[me].exited = true;
        self.tasks[me].free = self.tasks[me].detached;
        for each in self.loops.iter_mut().filter(|each| each.task == me) {
            each.done = true;
        }
        if self.innermost_done() { Flow::Off(None) } else { Flow::Off(self.take_next()) }
    }

    fn hold(&mut self, me: usize, mutex: usize) {
        self.locked[mutex] = true;
        self.tasks[me].guards.push(mutex);
    }

    fn release(&mut self, me: usize, mutex: usize) -> bool {
        let guards = &mut self.tasks[me].guards;
        let Some(at) = guards.iter().position(|&held| held == mutex) else { return false };
        guards.remove(at);
        self.unlock(mutex);
        true
    }

    fn unlock(&mut self, mutex: usize) {
        self.locked[mutex] = self.wake_first(Queue::Mutex(mutex), Wake::Done).is_some();
    }

    fn pick(&self, task: usize) -> Option<usize> {
        task.checked_rem(self.tasks.len())
    }

    pub(super) fn take_handle(&mut self, task: usize) -> Option<usize> {
        let task = self.pick(task)?;
        take(&mut self.tasks[task].handle).then_some(task)
    }

    pub(super) fn cancel(&mut self, task: usize) {
        if !self.tasks[task].exited {
            self.tasks[task].cancelled = true;
            if !matches!(self.tasks[task].on, None | Some(On::Host)) {
                self.wake(task, Wake::Cancelled);
            }
        }
    }

    /// The value is the one made last.
    fn try_send(&mut self, channel: usize) -> i64 {
        self.values += 1;
        if self.channels[channel].closed {
            return CLOSED;
        }
        if let Some(receiver) = self.wake_first(Queue::Receivers(channel), Wake::Done) {
            self.tasks[receiver].value = self.values;
        } else if CHANNELS[channel].is_some_and(|capacity| self.channels[channel].buffer.len() < capacity) {
            self.channels[channel].buffer.push_back(self.values);
        } else {
            return NOT_NOW;
        }
        0
    }

    fn try_receive(&mut self, channel: usize) -> i64 {
        let first = self.channels[channel].buffer.pop_front();
        let sender = self.wake_first(Queue::Senders(channel), Wake::Done);
        let next = sender.map(|sender| self.tasks[sender].value);
        match (first, next) {
            (Some(first), next) => {
                self.channels[channel].buffer.extend(next);
                first
            }
            (None, Some(next)) => next,
            (None, None) if self.channels[channel].closed => CLOSED,
            (None, None) => NOT_NOW,
        }
    }

    /// An operation that neither gives way nor blocks.
    pub(super) fn simple(&mut self, op: Op) -> Option<i64> {
        match op {
            Op::Spawn { script, .. } => return self.spawn(script, true).map(|task| task as i64),
            Op::Burst { script, count } => {
                for _ in 0..count {
                    self.spawn(script, true);
                }
            }
            Op::IsFinished(task) => {
                let task = &self.tasks[self.pick(task)?];
                return task.handle.then_some(i64::from(task.exited));
            }
            Op::Cancel(task) => {
                let task = self.pick(task).filter(|&task| self.tasks[task].known)?;
                self.cancel(task);
            }
            Op::Unpark(task) => {
                let task = self.pick(task).filter(|&task| self.tasks[task].known)?;
                if !self.tasks[task].exited {
                    self.tasks[task].token = true;
                    if self.tasks[task].on == Some(On::Park) {
                        self.wake(task, Wake::Done);
                    }
                }
            }
            Op::Advance(time) => self.now += time,
            Op::TrySend(channel) => return Some(self.try_send(channel)),
            Op::TryReceive(channel) => return Some(self.try_receive(channel)),
            Op::Close(channel) => {
                let open = !replace(&mut self.channels[channel].closed, true);
                if open {
                    self.wake_all(Queue::Receivers(channel), Wake::All);
                    self.wake_all(Queue::Senders(channel), Wake::All);
                }
                return Some(i64::from(open));
            }
            Op::NotifyOne(condvar) => {
                return Some(i64::from(self.wake_first(Queue::Condvar(condvar), Wake::Done).is_some()));
            }
            Op::NotifyAll(condvar) => self.wake_all(Queue::Condvar(condvar), Wake::All),
            Op::Add => self.group += 1,
            Op::Done => {
                self.group = self.group.checked_sub(1)?;
                if self.group == 0 {
                    self.wake_all(Queue::Group, Wake::Done);
                }
            }
            Op::Count => return Some(self.alive() as i64),
            Op::Trim | Op::StackSize(_) => {}
            _ => return None,
        }
        Some(0)
    }
}
