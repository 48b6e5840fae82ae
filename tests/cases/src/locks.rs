//! Mutex and wait group.

use crate::Trace;
use crate::trace::{end, end_all, ms, sleep, task};
use alloc::rc::Rc;
use windlass::sync::{Mutex, WaitGroup};
use windlass::yield_now;

pub(crate) fn a_mutex_is_handed_over_in_order(trace: &Trace) {
    let lock = Rc::new(Mutex::new(0));
    let a = {
        let lock = Rc::clone(&lock);
        task(trace, move |trace| {
            if let Ok(mut count) = lock.lock() {
                *count += 1;
                note!(trace, "a: has the lock: {}", *count);
                yield_now();
                note!(trace, "a: unlocks");
            }
            // The lock belongs to b already.
            note!(trace, "a: locks again");
            if let Ok(mut count) = lock.lock() {
                *count += 1;
                note!(trace, "a: has the lock: {}", *count);
            }
        })
    };
    let others = ["b", "c"].map(|name| {
        let lock = Rc::clone(&lock);
        task(trace, move |trace| {
            note!(trace, "{name}: locks");
            if let Ok(mut count) = lock.lock() {
                *count += 1;
                note!(trace, "{name}: has the lock: {}", *count);
                yield_now();
                note!(trace, "{name}: unlocks");
            }
        })
    });
    end(a);
    end_all(others);
}

pub(crate) fn try_lock_cannot_overtake(trace: &Trace) {
    let lock = Rc::new(Mutex::new(()));
    let guard = lock.try_lock();
    note!(trace, "main: free: {}", guard.is_some());
    note!(trace, "main: held: {}", lock.try_lock().is_some());
    let other = {
        let lock = Rc::clone(&lock);
        task(trace, move |trace| {
            note!(trace, "other: locks");
            let guard = lock.lock();
            note!(trace, "other: has the lock: {}", guard.is_ok());
        })
    };
    yield_now();
    drop(guard);
    note!(trace, "main: handed over: {}", lock.try_lock().is_some());
    end(other);
    note!(trace, "main: free: {}", lock.try_lock().is_some());
}

pub(crate) fn a_lock_is_held_over_a_sleep(trace: &Trace) {
    let lock = Rc::new(Mutex::new(0));
    let tasks = ["a", "b", "c"].map(|name| {
        let lock = Rc::clone(&lock);
        task(trace, move |trace| {
            if let Ok(mut count) = lock.lock() {
                let before = *count;
                timed!(trace, "{name}: found {before}");
                sleep(ms(2));
                *count = before + 1;
            }
        })
    });
    end_all(tasks);
    timed!(trace, "main: count: {}", lock.lock().map_or(-1, |count| *count));
}

pub(crate) fn a_wait_group_wakes_all_in_order(trace: &Trace) {
    let group = Rc::new(WaitGroup::new());
    group.add(3);
    let waiters = ["x", "y"].map(|name| {
        let group = Rc::clone(&group);
        task(trace, move |trace| {
            note!(trace, "{name}: waits");
            note!(trace, "{name}: {:?}", group.wait());
        })
    });
    let workers = ["a", "b", "c"].map(|name| {
        let group = Rc::clone(&group);
        task(trace, move |trace| {
            group.done();
            note!(trace, "{name}: done, {} left", group.count());
        })
    });
    end_all(waiters);
    end_all(workers);
}

pub(crate) fn a_wait_group_at_zero_does_not_wait(trace: &Trace) {
    let group = WaitGroup::new();
    let a = task(trace, |trace| note!(trace, "a: runs"));
    note!(trace, "main: new: {:?}", group.wait());
    group.add(1);
    group.done();
    note!(trace, "main: done: {:?}", group.wait());
    end(a);
}
