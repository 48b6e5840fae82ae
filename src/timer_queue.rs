//! Who waits for a moment: a binary heap of absolute deadlines.
//!
//! Insert, expire and cancel are O(log n): each sleeping task knows its place in the heap. Equal deadlines expire in the order in
//! which they were inserted. Deadlines are absolute, so a late insertion cannot shorten somebody's sleep (a queue of differences
//! can: the sleeper that comes late must count from the base of the queue, not from its own start).

use crate::room::{self, NoMemory};
use crate::task::Slot;
use crate::time::Instant;
use alloc::vec::Vec;

/// A place in the heap; [`NOWHERE`] for a task that is not in it.
pub(crate) type Place = u32;
/// The place of a task without a timer.
pub(crate) const NOWHERE: Place = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Instant,
    /// Ties of `deadline` are broken by age.
    age: u64,
    task: Slot,
}

impl Timer {
    fn is_before(&self, other: &Timer) -> bool {
        (self.deadline, self.age) < (other.deadline, other.age)
    }
}

/// Gives each task its place; implemented by the task table.
pub(crate) trait Places {
    /// Notes that `task` is now at `place`.
    fn set_place(&mut self, task: Slot, place: Place);
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

    /// Returns the earliest deadline.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.heap.first().map(|timer| timer.deadline)
    }

    /// Adds `task`, which must not be in the queue.
    pub(crate) fn insert(&mut self, task: Slot, deadline: Instant, places: &mut impl Places) {
        let timer = Timer { deadline, age: self.next_age, task };
        self.next_age += 1;
        room::push(&mut self.heap, timer);
        self.sift_up(self.heap.len() - 1, places);
    }

    /// Removes and returns the first task whose deadline is not after `now`.
    pub(crate) fn expire(&mut self, now: Instant, places: &mut impl Places) -> Option<Slot> {
        let first = self.heap.first()?;
        if first.deadline > now {
            return None;
        }
        let task = first.task;
        self.remove(0, places);
        Some(task)
    }

    /// Removes the timer at `place`.
    pub(crate) fn remove(&mut self, place: Place, places: &mut impl Places) {
        let place = place as usize;
        places.set_place(self.heap[place].task, NOWHERE);
        let Some(last) = self.heap.pop() else { return };
        if place < self.heap.len() {
            self.heap[place] = last;
            let place = self.sift_up(place, places);
            self.sift_down(place, places);
        }
    }

    fn sift_up(&mut self, mut place: usize, places: &mut impl Places) -> usize {
        while place > 0 {
            let parent = (place - 1) / 2;
            if !self.heap[place].is_before(&self.heap[parent]) {
                break;
            }
            self.heap.swap(place, parent);
            places.set_place(self.heap[place].task, place as Place);
            place = parent;
        }
        places.set_place(self.heap[place].task, place as Place);
        place
    }

    fn sift_down(&mut self, mut place: usize, places: &mut impl Places) {
        loop {
            let mut first = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.heap[child].is_before(&self.heap[first]) {
                    first = child;
                }
            }
            if first == place {
                break;
            }
            self.heap.swap(place, first);
            places.set_place(self.heap[place].task, place as Place);
            place = first;
        }
        places.set_place(self.heap[place].task, place as Place);
    }
}

#[cfg(test)]
mod tests {
    use super::{NOWHERE, Place, Places, TimerQueue};
    use crate::task::Slot;
    use crate::time::Instant;
    use alloc::vec::Vec;

    #[derive(Default)]
    struct Table(Vec<Place>);

    impl Places for Table {
        fn set_place(&mut self, task: Slot, place: Place) {
            let index = task.index();
            if self.0.len() <= index {
                self.0.resize(index + 1, NOWHERE);
            }
            self.0[index] = place;
        }
    }

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
        let (mut queue, mut table) = (TimerQueue::new(), Table::default());
        let mut model: Vec<(u64, u32)> = Vec::new();
        for task in 0..2000u32 {
            let deadline = next() % 50;
            queue.reserve(task as usize + 1).expect("memory");
            queue.insert(Slot::new(task), Instant::from_nanos(deadline), &mut table);
            let at = model.partition_point(|&(d, _)| d <= deadline);
            model.insert(at, (deadline, task));
            if next() % 3 == 0 {
                let (_, victim) = model.remove(next() as usize % model.len());
                queue.remove(table.0[victim as usize], &mut table);
                assert_eq!(table.0[victim as usize], NOWHERE);
            }
        }
        for now in 0..50 {
            while let Some(task) = queue.expire(Instant::from_nanos(now), &mut table) {
                let (deadline, expected) = model.remove(0);
                assert!(deadline <= now);
                assert_eq!(task, Slot::new(expected));
            }
        }
        assert!(model.is_empty() && queue.earliest().is_none());
    }
}
