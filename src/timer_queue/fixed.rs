//! Who waits for a moment, where the number of tasks is fixed: a binary heap with a place for each task.
//!
//! Deadlines, ages and void timers are as in `timer_queue.rs`, which is made for a million sleepers and caches; this is made for few, and
//! short code. *Room*: where the heap is full and somebody comes, one at least of its timers is void, as a task has one that is not.

use crate::room::{self, Table};
use crate::task::{TaskRef, Tasks};
use crate::time::Instant;

/// In a block's place for the deadline: no timer.
pub(crate) const NEVER: Instant = Instant::FAR_FUTURE;

/// How many tasks expire at once.
pub(crate) const BATCH: usize = 1;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timer {
    deadline: Instant,
    /// Ties of `deadline` are broken by age; it wraps, so ages are compared by their difference.
    age: u32,
    task: u32,
}

impl Timer {
    fn is_before(&self, other: &Timer) -> bool {
        if self.deadline != other.deadline {
            return self.deadline < other.deadline;
        }
        (self.age.wrapping_sub(other.age) as i32) < 0
    }

    fn is_void(&self, tasks: &Tasks) -> bool {
        let task = tasks.at(self.task);
        task.timer.get() != self.deadline || task.timer_age.get() != self.age
    }
}

/// The timer queue.
#[derive(Debug)]
pub(crate) struct TimerQueue {
    heap: Table<Timer>,
    next_age: u32,
    /// How many timers in the heap are void.
    void: usize,
}

impl TimerQueue {
    /// A queue in this memory.
    pub(crate) const fn over(heap: Table<Timer>) -> TimerQueue {
        TimerQueue { heap, next_age: 0, void: 0 }
    }

    /// Returns the earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|timer| timer.deadline)
    }

    /// Adds `task`, which must not be in the queue. A deadline that never comes is none.
    pub(crate) fn insert(&mut self, task: TaskRef, deadline: Instant, tasks: &Tasks) {
        if deadline == NEVER {
            return;
        }
        if self.void > self.heap.len() / 2 || self.heap.len() == self.heap.capacity() {
            self.clean_up(tasks);
        }
        task.timer.set(deadline);
        task.timer_age.set(self.next_age);
        let timer = Timer { deadline, age: self.next_age, task: task.number() };
        self.next_age = self.next_age.wrapping_add(1);
        room::push(&mut self.heap, timer);
        self.rise(self.heap.len() - 1, timer);
    }

    /// Removes the first task whose deadline is not after `now` and puts it into `due`. Returns whether there was one, as a number.
    pub(crate) fn expire(&mut self, now: Instant, tasks: &Tasks, due: &mut [TaskRef; BATCH]) -> usize {
        let Some(first) = self.heap.first().filter(|first| first.deadline <= now) else { return 0 };
        let task = tasks.at(first.task);
        task.timer.set(NEVER);
        *due = [task];
        self.drop_first();
        self.drop_void(tasks);
        1
    }

    /// Removes the timer of `task`, if it has one.
    pub(crate) fn remove(&mut self, task: TaskRef, tasks: &Tasks) {
        if task.timer.replace(NEVER) != NEVER {
            self.void += 1;
            self.drop_void(tasks);
        }
    }

    /// Drops void timers until the first is none.
    fn drop_void(&mut self, tasks: &Tasks) {
        while self.void > 0 && self.heap.first().is_some_and(|first| first.is_void(tasks)) {
            self.void -= 1;
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(last) = self.heap.pop()
            && !self.heap.is_empty()
        {
            self.sink(0, last);
        }
    }

    /// Drops every void timer.
    fn clean_up(&mut self, tasks: &Tasks) {
        self.heap.retain(|timer| !timer.is_void(tasks));
        self.void = 0;
        for place in (0..self.heap.len() / 2).rev() {
            self.sink(place, self.heap[place]);
        }
    }

    /// Puts `timer` at `place` or at one of the places above it, which move down.
    fn rise(&mut self, mut place: usize, timer: Timer) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !timer.is_before(&self.heap[parent]) {
                break;
            }
            self.heap[place] = self.heap[parent];
            place = parent;
        }
        self.heap[place] = timer;
    }

    /// Puts `timer` at `place` or at one of the places below it, which move up.
    fn sink(&mut self, mut place: usize, timer: Timer) {
        loop {
            let left = 2 * place + 1;
            let children = left..self.heap.len().min(left + 2);
            let child = children.reduce(|a, b| if self.heap[b].is_before(&self.heap[a]) { b } else { a });
            match child {
                Some(child) if self.heap[child].is_before(&timer) => {
                    self.heap[place] = self.heap[child];
                    place = child;
                }
                _ => break,
            }
        }
        self.heap[place] = timer;
    }
}
