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
//! (1,000,000: an expiry took 1,180 ns).
//!
//! ```text
//!   groups:  [ - - - 0 ] [ 1 2 3 4 ] [ 5 6 7 8 ] ...      the children of timer n are group n + 1
//! ```
//!
//! A timer is 16 bytes, so the four children of a node are one cache line, and half as many levels as a binary heap has are not in the cache.
//! *Padded*: places that are no timer's hold one that never expires, so no step asks how many children there are.

use crate::room::{self, NoMemory, Table};
use crate::task::{TaskRef, Tasks};
use crate::time::Instant;
use windlass_arch as arch;

/// In a block's place for the deadline: no timer.
pub(crate) const NEVER: Instant = Instant::FAR_FUTURE;

/// Children of a node.
const FAN: usize = 4;

/// Void timers that are not worth a clean-up, whatever the others are.
const FEW: usize = 64;

/// How many tasks expire at once: their blocks are fetched while the next ones are taken out.
pub(crate) const BATCH: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Timer {
    deadline: Instant,
    /// Ties of `deadline` are broken by age; it wraps, so ages are compared by their difference.
    age: u32,
    task: u32,
}

impl Timer {
    const NEVER: Timer = Timer { deadline: NEVER, age: 0, task: 0 };

    /// Without branches: which of two timers is the first cannot be foreseen.
    #[inline(always)]
    fn is_before(&self, other: &Timer) -> bool {
        let is_older = (self.age.wrapping_sub(other.age) as i32) < 0;
        (self.deadline < other.deadline) | ((self.deadline == other.deadline) & is_older)
    }

    fn is_void(&self, tasks: &Tasks) -> bool {
        let task = tasks.at(self.task);
        task.timer.get() != self.deadline || task.timer_age.get() != self.age
    }
}

/// The children of a node.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
struct Group([Timer; FAN]);

impl Group {
    /// Which child is the first.
    #[inline(always)]
    fn first(&self) -> usize {
        let [a, b, c, d] = &self.0;
        let (left, right) = (usize::from(b.is_before(a)), 2 + usize::from(d.is_before(c)));
        if self.0[right].is_before(&self.0[left]) { right } else { left }
    }
}

/// The timer queue.
#[derive(Debug)]
pub(crate) struct TimerQueue {
    groups: Table<Group>,
    /// How many timers there are.
    len: usize,
    next_age: u32,
    /// How many timers in the heap are void.
    void: usize,
}

/// The groups of so many timers.
const fn groups(timers: usize) -> usize {
    (timers + FAN - 1).div_ceil(FAN)
}

impl TimerQueue {
    pub(crate) const fn new() -> TimerQueue {
        TimerQueue { groups: Table::new(), len: 0, next_age: 0, void: 0 }
    }

    /// Makes room for `tasks` timers in all, and as many void ones, so that `insert` never allocates and seldom cleans up.
    pub(crate) fn reserve(&mut self, tasks: usize) -> Result<(), NoMemory> {
        let more = groups(2 * tasks + FEW).saturating_sub(self.groups.len());
        room::reserve(&mut self.groups, more)
    }

    /// Takes back the room for more than so many timers.
    pub(crate) fn shrink(&mut self, tasks: usize) {
        self.groups.shrink_to(groups(2 * tasks + FEW));
    }

    /// The timer at a place.
    #[inline(always)]
    fn at(&self, place: usize) -> &Timer {
        let slot = place + FAN - 1;
        &self.groups[slot / FAN].0[slot % FAN]
    }

    #[inline(always)]
    fn put(&mut self, place: usize, timer: Timer) {
        let slot = place + FAN - 1;
        self.groups[slot / FAN].0[slot % FAN] = timer;
    }

    /// Returns the earliest deadline.
    #[inline]
    pub(crate) fn earliest(&self) -> Option<Instant> {
        // Padded: the root is the last of the first group.
        self.groups.first().map(|group| group.0[FAN - 1].deadline).filter(|_| self.len > 0)
    }

    /// Adds `task`, which must not be in the queue. A deadline that never comes is none.
    pub(crate) fn insert(&mut self, task: TaskRef, deadline: Instant, tasks: &Tasks) {
        if deadline == NEVER {
            return;
        }
        if self.void > self.len / 2 + FEW || groups(self.len + 1) > self.groups.capacity() {
            self.clean_up(tasks);
        }
        task.timer.set(deadline);
        task.timer_age.set(self.next_age);
        let timer = Timer { deadline, age: self.next_age, task: task.number() };
        self.next_age = self.next_age.wrapping_add(1);
        self.len += 1;
        if self.groups.len() < groups(self.len) {
            static PADDING: Group = Group([Timer::NEVER; FAN]);
            room::push_copy(&mut self.groups, &PADDING);
        }
        self.rise(0, self.len - 1, timer);
    }

    /// Removes the first tasks whose deadlines are not after `now` and puts them into `due`, in order. Returns how many; where that is as many
    /// as there is room for, there may be more.
    pub(crate) fn expire(&mut self, now: Instant, tasks: &Tasks, due: &mut [TaskRef; BATCH]) -> usize {
        let mut count = 0;
        while count < BATCH && self.earliest().is_some_and(|earliest| earliest <= now) {
            let first = *self.at(0);
            self.drop_first();
            if self.void > 0 && first.is_void(tasks) {
                self.void -= 1;
                continue;
            }
            let task = tasks.at(first.task);
            task.prefetch();
            due[count] = task;
            count += 1;
        }
        for task in &due[..count] {
            task.timer.set(NEVER);
        }
        self.drop_void(tasks);
        count
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
        while self.void > 0 && self.len > 0 && self.at(0).is_void(tasks) {
            self.void -= 1;
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        let last = *self.at(self.len - 1);
        self.cut(self.len - 1);
        if self.len > 0 {
            self.sink(0, last);
        }
    }

    /// Drops all timers from a place on.
    fn cut(&mut self, len: usize) {
        for place in len..self.len {
            self.put(place, Timer::NEVER);
        }
        self.len = len;
        self.groups.truncate(if len == 0 { 0 } else { groups(len) });
    }

    /// Drops every void timer.
    #[cold]
    pub(crate) fn clean_up(&mut self, tasks: &Tasks) {
        let mut len = 0;
        for place in 0..self.len {
            let timer = *self.at(place);
            if !timer.is_void(tasks) {
                self.put(len, timer);
                len += 1;
            }
        }
        self.cut(len);
        self.void = 0;
        for place in (0..len.div_ceil(FAN)).rev() {
            self.sink(place, *self.at(place));
        }
    }

    /// Puts `timer` at `place` or at one of the places above it, down to `top`, which move down.
    fn rise(&mut self, top: usize, mut place: usize, timer: Timer) {
        while place > top {
            let parent = (place - 1) / FAN;
            if !timer.is_before(self.at(parent)) {
                break;
            }
            self.put(place, *self.at(parent));
            place = parent;
        }
        self.put(place, timer);
    }

    /// Puts `timer` at `top` or at one of the places below it, which move up.
    ///
    /// All the way down first, and then up again: what was at the end belongs near the end, and how far it is down can be foreseen.
    fn sink(&mut self, top: usize, timer: Timer) {
        let mut place = top;
        while let Some(children) = self.groups.get(place + 1) {
            // Where there are so many that they are not in the cache, the children's children come while the children are compared.
            let next = self.groups.as_ptr().wrapping_add(FAN * place + 2).addr();
            arch::prefetch(next);
            arch::prefetch(next + 2 * size_of::<Group>());
            let first = children.first();
            let child = children.0[first];
            if child.deadline == NEVER {
                break;
            }
            self.put(place, child);
            place = FAN * place + 1 + first;
        }
        self.rise(top, place, timer);
    }
}

#[cfg(test)]
mod tests {
    use super::{BATCH, NEVER, TimerQueue};
    use crate::task::{TaskRef, Tasks};
    use crate::time::Instant;
    use alloc::vec::Vec;

    /// All that expire until `now`.
    fn expire(queue: &mut TimerQueue, now: Instant, table: &Tasks) -> Vec<TaskRef> {
        let mut all = Vec::new();
        loop {
            let mut due = [TaskRef::NOBODY; BATCH];
            let count = queue.expire(now, table, &mut due);
            all.extend_from_slice(&due[..count]);
            if count < BATCH {
                return all;
            }
        }
    }

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
                for task in expire(&mut queue, Instant::from_nanos(now), &table) {
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
        let capacity = queue.groups.capacity();
        queue.insert(tasks[0], Instant::from_nanos(1), &table);
        for round in 0..10_000u64 {
            let task = tasks[1 + round as usize % 99];
            queue.insert(task, Instant::from_nanos(1_000_000 - round), &table);
            queue.remove(task, &table);
            assert!(queue.groups.len() <= capacity);
        }
        assert_eq!(queue.groups.capacity(), capacity);
        assert_eq!(expire(&mut queue, Instant::from_nanos(1), &table), [tasks[0]]);
        assert_eq!((queue.earliest(), queue.len, queue.void), (None, 0, 0));
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
        let order = expire(&mut queue, deadline, &table);
        assert_eq!(order, [tasks[0], tasks[2], tasks[1]]);
        assert_eq!((queue.len, queue.void), (0, 0));
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
