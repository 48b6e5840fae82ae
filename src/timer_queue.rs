//! Who waits for a moment: a heap of absolute deadlines, four children a node.
//!
//! Insert and expire are O(log n), cancel is O(1) but for its share of a clean-up. Equal deadlines expire in the order in which they were
//! inserted. Deadlines are absolute, so a late insertion cannot shorten somebody's sleep (a queue of differences can: the sleeper that
//! comes late must count from the base of the queue, not from its own start).
//!
//! *Deadline Home*: a task's block says when its timer expires, and which one that is, by its age. A timer in the heap that says otherwise is *void*: it was cancelled. The first
//! timer is never void, so [`TimerQueue::earliest`] is exact.
//!
//! Nothing points from a task to its place in the heap: to keep that true at each step of a sift is a cache miss a level with many sleepers
//! (1,000,000: an expiry took 1,180 ns). Timers are 16 bytes, so a node's children share a cache line or two, and half as many levels as a
//! binary heap has are not in the cache.

use crate::room::{self, NoMemory};
use crate::task::{TaskRef, Tasks};
use crate::time::Instant;
use alloc::vec::Vec;

/// In a block's place for the deadline: no timer.
pub(crate) const NEVER: Instant = Instant::FAR_FUTURE;

/// Children of a node.
const FAN: usize = 4;

/// Void timers that are not worth a clean-up, whatever the others are.
const FEW: usize = 64;

/// From how many timers on task blocks are fetched ahead: those of fewer tasks fit into the cache.
const MANY: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Instant,
    /// Ties of `deadline` are broken by age; it wraps, so ages are compared by their difference.
    age: u32,
    task: u32,
}

impl Timer {
    #[inline]
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
    heap: Vec<Timer>,
    next_age: u32,
    /// How many timers in the heap are void.
    void: usize,
}

impl TimerQueue {
    pub(crate) const fn new() -> TimerQueue {
        TimerQueue { heap: Vec::new(), next_age: 0, void: 0 }
    }

    /// Makes room for `tasks` timers in all, and as many void ones, so that `insert` never allocates and seldom cleans up.
    pub(crate) fn reserve(&mut self, tasks: usize) -> Result<(), NoMemory> {
        let more = (2 * tasks + FEW).saturating_sub(self.heap.len());
        room::reserve(&mut self.heap, more)
    }

    /// Takes back the room for more than so many timers.
    pub(crate) fn shrink(&mut self, tasks: usize) {
        self.heap.shrink_to(2 * tasks + FEW);
    }

    /// Returns the earliest deadline.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|timer| timer.deadline)
    }

    /// Adds `task`, which must not be in the queue. A deadline that never comes is none.
    pub(crate) fn insert(&mut self, task: TaskRef, deadline: Instant, tasks: &Tasks) {
        if deadline == NEVER {
            return;
        }
        if self.void > self.heap.len() / 2 + FEW || self.heap.len() == self.heap.capacity() {
            self.clean_up(tasks);
        }
        task.timer.set(deadline);
        task.timer_age.set(self.next_age);
        let timer = Timer { deadline, age: self.next_age, task: task.number() };
        self.next_age = self.next_age.wrapping_add(1);
        room::push(&mut self.heap, timer);
        self.rise(self.heap.len() - 1, timer);
    }

    /// Removes and returns the first task whose deadline is not after `now`.
    pub(crate) fn expire(&mut self, now: Instant, tasks: &Tasks) -> Option<TaskRef> {
        let first = *self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        let task = tasks.at(first.task);
        task.timer.set(NEVER);
        self.drop_first();
        self.drop_void(tasks);
        if self.heap.len() > MANY {
            // Whichever of them is next, its block is on its way by then.
            for timer in &self.heap[..=FAN] {
                tasks.at(timer.task).prefetch();
            }
        }
        Some(task)
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
    #[cold]
    pub(crate) fn clean_up(&mut self, tasks: &Tasks) {
        self.heap.retain(|timer| !timer.is_void(tasks));
        self.void = 0;
        for place in (0..self.heap.len().div_ceil(FAN)).rev() {
            self.sink(place, self.heap[place]);
        }
    }

    /// Puts `timer` at `place` or at one of the places above it, which move down.
    fn rise(&mut self, mut place: usize, timer: Timer) {
        while place > 0 {
            let parent = (place - 1) / FAN;
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
            let first = FAN * place + 1;
            let children = first..self.heap.len().min(first + FAN);
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

#[cfg(test)]
mod tests {
    use super::{NEVER, TimerQueue};
    use crate::task::{TaskRef, Tasks};
    use crate::time::Instant;
    use alloc::vec::Vec;

    /// A small generator, so that every run is the same.
    fn random() -> impl FnMut() -> u64 {
        let mut random = 0x2545_f491_4f6c_dd1du64;
        move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        }
    }

    fn tasks(count: usize) -> (Tasks, Vec<TaskRef>) {
        let mut table = Tasks::new(usize::MAX);
        let tasks = core::iter::from_fn(|| {
            table.admit().or_else(|| {
                table.grow(core::ptr::null()).expect("memory");
                table.admit()
            })
        });
        let tasks = tasks.take(count).collect();
        (table, tasks)
    }

    /// Against a plain sorted list.
    #[test]
    fn expires_in_order_of_deadline_then_age_whatever_is_cancelled() {
        let mut next = random();
        for keep in [1, 3, 50] {
            let (table, tasks) = tasks(2000);
            let mut queue = TimerQueue::new();
            queue.next_age = u32::MAX - 700;
            let mut model: Vec<(u64, TaskRef)> = Vec::new();
            for (alive, &task) in tasks.iter().enumerate() {
                let deadline = next() % 50;
                queue.reserve(alive + 1).expect("memory");
                queue.insert(task, Instant::from_nanos(deadline), &table);
                let at = model.partition_point(|&(d, _)| d <= deadline);
                model.insert(at, (deadline, task));
                if next().is_multiple_of(keep) {
                    let (_, victim) = model.remove(next() as usize % model.len());
                    queue.remove(victim, &table);
                    assert_eq!(victim.timer.get(), NEVER);
                    queue.remove(victim, &table);
                }
                assert_eq!(queue.earliest().map(Instant::as_nanos), model.first().map(|first| first.0));
            }
            for now in 0..50 {
                while let Some(task) = queue.expire(Instant::from_nanos(now), &table) {
                    let (deadline, expected) = model.remove(0);
                    assert!(deadline <= now);
                    assert_eq!(task, expected);
                }
            }
            assert!(model.is_empty() && queue.earliest().is_none());
        }
    }

    /// As timeouts do that are hardly ever reached: a short one is set and cancelled, again and again, before long ones.
    #[test]
    fn cancelled_timers_do_not_pile_up() {
        let (table, tasks) = tasks(100);
        let mut queue = TimerQueue::new();
        queue.reserve(tasks.len()).expect("memory");
        let capacity = queue.heap.capacity();
        queue.insert(tasks[0], Instant::from_nanos(1), &table);
        for round in 0..10_000u64 {
            let task = tasks[1 + round as usize % 99];
            queue.insert(task, Instant::from_nanos(1_000_000 - round), &table);
            queue.remove(task, &table);
            assert!(queue.heap.len() <= capacity);
        }
        assert_eq!(queue.heap.capacity(), capacity);
        assert_eq!(queue.expire(Instant::from_nanos(1), &table), Some(tasks[0]));
        assert_eq!((queue.earliest(), queue.heap.len(), queue.void), (None, 0, 0));
    }

    #[test]
    fn a_timer_that_was_cancelled_and_set_again_is_the_last_of_its_deadline() {
        let (table, tasks) = tasks(3);
        let mut queue = TimerQueue::new();
        queue.reserve(3).expect("memory");
        let deadline = Instant::from_nanos(7);
        queue.insert(tasks[0], Instant::from_nanos(1), &table);
        for task in [tasks[1], tasks[2]] {
            queue.insert(task, deadline, &table);
        }
        queue.remove(tasks[1], &table);
        queue.insert(tasks[1], deadline, &table);
        let order = core::iter::from_fn(|| queue.expire(deadline, &table)).collect::<Vec<_>>();
        assert_eq!(order, [tasks[0], tasks[2], tasks[1]]);
        assert_eq!((queue.heap.len(), queue.void), (0, 0));
    }

    #[test]
    fn a_deadline_that_never_comes_is_none() {
        let (table, tasks) = tasks(1);
        let mut queue = TimerQueue::new();
        queue.reserve(1).expect("memory");
        queue.insert(tasks[0], NEVER, &table);
        assert_eq!(queue.earliest(), None);
        queue.remove(tasks[0], &table);
        assert_eq!(queue.void, 0);
    }
}
