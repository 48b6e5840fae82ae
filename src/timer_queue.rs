//! Who waits for a moment: a heap of absolute deadlines, four children a node.
//!
//! Insert, expire and cancel are O(log n): each sleeping task knows its place in the heap. Equal deadlines expire in the order in
//! which they were inserted. Deadlines are absolute, so a late insertion cannot shorten somebody's sleep (a queue of differences
//! can: the sleeper that comes late must count from the base of the queue, not from its own start).
//!
//! Four children rather than two: half as many levels, and a node's children share a cache line or two.

use crate::room::{self, NoMemory};
use crate::task::TaskRef;
use crate::time::Instant;
use alloc::vec::Vec;

/// A place in the heap; [`NOWHERE`] for a task that is not in it.
pub(crate) type Place = u32;
/// The place of a task without a timer.
pub(crate) const NOWHERE: Place = u32::MAX;

/// Children of a node.
const FAN: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Instant,
    /// Ties of `deadline` are broken by age.
    age: u64,
    task: TaskRef,
}

impl Timer {
    fn is_before(&self, other: &Timer) -> bool {
        (self.deadline, self.age) < (other.deadline, other.age)
    }
}

/// The timer queue.
#[derive(Debug)]
pub(crate) struct TimerQueue {
    heap: Vec<Timer>,
    next_age: u64,
}

impl TimerQueue {
    pub(crate) const fn new() -> TimerQueue {
        TimerQueue { heap: Vec::new(), next_age: 0 }
    }

    /// Makes room for `tasks` timers in all, so that `insert` never allocates.
    pub(crate) fn reserve(&mut self, tasks: usize) -> Result<(), NoMemory> {
        let more = tasks.saturating_sub(self.heap.len());
        room::reserve(&mut self.heap, more)
    }

    /// Takes back the room for more than so many timers.
    pub(crate) fn shrink(&mut self, tasks: usize) {
        self.heap.shrink_to(tasks);
    }

    /// Returns the earliest deadline.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|timer| timer.deadline)
    }

    /// Adds `task`, which must not be in the queue.
    pub(crate) fn insert(&mut self, task: TaskRef, deadline: Instant) {
        let timer = Timer { deadline, age: self.next_age, task };
        self.next_age += 1;
        room::push(&mut self.heap, timer);
        self.rise(self.heap.len() - 1, timer);
    }

    /// Removes and returns the first task whose deadline is not after `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<TaskRef> {
        let first = self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        let task = first.task;
        self.remove(task);
        Some(task)
    }

    /// Removes the timer of `task`, if it has one.
    pub(crate) fn remove(&mut self, task: TaskRef) {
        let place = task.timer.replace(NOWHERE) as usize;
        if place >= self.heap.len() {
            return;
        }
        let Some(last) = self.heap.pop() else { return };
        if place == self.heap.len() {
            return;
        }
        if place > 0 && last.is_before(&self.heap[(place - 1) / FAN]) {
            self.rise(place, last);
        } else {
            self.sink(place, last);
        }
    }

    /// Puts `timer` at `place` or at one of the places above it, which move down.
    fn rise(&mut self, mut place: usize, timer: Timer) {
        while place > 0 {
            let parent = (place - 1) / FAN;
            if !timer.is_before(&self.heap[parent]) {
                break;
            }
            self.put(place, self.heap[parent]);
            place = parent;
        }
        self.put(place, timer);
    }

    /// Puts `timer` at `place` or at one of the places below it, which move up.
    fn sink(&mut self, mut place: usize, timer: Timer) {
        loop {
            let children = FAN * place + 1..self.heap.len().min(FAN * place + 1 + FAN);
            let first = children.reduce(|a, b| if self.heap[b].is_before(&self.heap[a]) { b } else { a });
            match first {
                Some(first) if self.heap[first].is_before(&timer) => {
                    self.put(place, self.heap[first]);
                    place = first;
                }
                _ => break,
            }
        }
        self.put(place, timer);
    }

    fn put(&mut self, place: usize, timer: Timer) {
        self.heap[place] = timer;
        timer.task.timer.set(place as Place);
    }
}

#[cfg(test)]
mod tests {
    use super::{NOWHERE, TimerQueue};
    use crate::task::{TaskRef, Tasks};
    use crate::time::Instant;
    use alloc::vec::Vec;

    /// Against a plain sorted list, with a small generator so that every run is the same.
    #[test]
    fn expires_in_order_of_deadline_then_age_whatever_is_cancelled() {
        let mut random = 0x2545_f491_4f6c_dd1du64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let (mut queue, mut table) = (TimerQueue::new(), Tasks::new(usize::MAX));
        let mut model: Vec<(u64, TaskRef)> = Vec::new();
        for alive in 0..2000 {
            let deadline = next() % 50;
            queue.reserve(alive + 1).expect("memory");
            let task = table.admit().or_else(|| {
                table.grow(core::ptr::null()).expect("memory");
                table.admit()
            });
            let task = task.expect("room");
            queue.insert(task, Instant::from_nanos(deadline));
            let at = model.partition_point(|&(d, _)| d <= deadline);
            model.insert(at, (deadline, task));
            if next() % 3 == 0 {
                let (_, victim) = model.remove(next() as usize % model.len());
                queue.remove(victim);
                assert_eq!(victim.timer.get(), NOWHERE);
                queue.remove(victim);
            }
        }
        for now in 0..50 {
            while let Some(task) = queue.expire(Instant::from_nanos(now)) {
                let (deadline, expected) = model.remove(0);
                assert!(deadline <= now);
                assert_eq!(task, expected);
            }
        }
        assert!(model.is_empty() && queue.earliest().is_none());
    }
}
