//! Cancellation: whatever a task waits for ends with an error, and from then on nothing makes it wait.

use crate::Trace;
use crate::channel::{bounded, rendezvous, unbounded};
use crate::trace::{at, end, end_all, ms, sent, sleep, task};
use alloc::rc::Rc;
use windlass::sync::{Condvar, Mutex, WaitGroup};
use windlass::{Duration, current, park, park_timeout, sleep_until, yield_now};

pub(crate) fn cancellation_of_a_sleeping_task(trace: &Trace) {
    let a = task(trace, |trace| {
        timed!(trace, "a: {:?}", windlass::sleep(Duration::MAX));
        timed!(trace, "a: again: {:?}", windlass::sleep(ms(1)));
        timed!(trace, "a: zero: {:?}", windlass::sleep(Duration::ZERO));
    });
    sleep(ms(3));
    a.cancel();
    timed!(trace, "main: cancelled a");
    end(a);
    // No timer is left over: the next thing to happen is this.
    sleep(ms(4));
    timed!(trace, "main: goes on");
}

pub(crate) fn cancellation_of_a_receiving_task(trace: &Trace) {
    let (outbox, inbox) = unbounded();
    let [a, b] = ["a", "b"].map(|name| {
        let inbox = inbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: got {:?}", inbox.recv());
            note!(trace, "{name}: again: {:?}", inbox.recv());
        })
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    // It has left the queue: both values are b's.
    note!(trace, "main: {}", sent(outbox.send(1)));
    yield_now();
    note!(trace, "main: {}", sent(outbox.send(2)));
    end_all([a, b]);
}

pub(crate) fn cancellation_of_a_sending_task(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let [a, b] = [("a", 1), ("b", 2)].map(|(name, value)| {
        let outbox = outbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: {}", sent(outbox.send(value)));
            note!(trace, "{name}: again: {}", sent(outbox.send(value + 2)));
        })
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    // It has left the queue: both values are b's.
    note!(trace, "main: got {:?}", inbox.recv());
    yield_now();
    note!(trace, "main: got {:?}", inbox.recv());
    end_all([a, b]);
}

pub(crate) fn cancellation_of_a_locking_task(trace: &Trace) {
    let lock = Rc::new(Mutex::new(()));
    let guard = lock.lock();
    let [a, b] = ["a", "b"].map(|name| {
        let lock = Rc::clone(&lock);
        task(trace, move |trace| {
            let first = lock.lock().map(drop);
            note!(trace, "{name}: {first:?}");
            let again = lock.lock().map(drop);
            note!(trace, "{name}: again: {again:?}");
        })
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    drop(guard);
    note!(trace, "main: unlocked");
    end_all([a, b]);
    note!(trace, "main: free: {}", lock.try_lock().is_some());
}

pub(crate) fn cancellation_of_a_joining_task(trace: &Trace) {
    let target = task(trace, |trace| {
        sleep(ms(5));
        timed!(trace, "target: ends");
        7
    });
    let other = task(trace, |_| sleep(ms(5)));
    let a = task(trace, move |trace| {
        timed!(trace, "a: {:?}", target.join());
        timed!(trace, "a: again: {:?}", other.join());
    });
    sleep(ms(2));
    a.cancel();
    timed!(trace, "main: cancelled a");
    end(a);
    // What it joined goes on, detached.
    sleep(ms(5));
    timed!(trace, "main: goes on");
}

pub(crate) fn cancellation_of_a_parked_task(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: {:?}", park());
        note!(trace, "a: again: {:?}", park());
        note!(trace, "a: again: {:?}", park_timeout(ms(1)));
        // A token is no reason to wait.
        current().unpark();
        note!(trace, "a: with a token: {:?}", park());
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    end(a);
}

pub(crate) fn cancellation_of_a_task_at_a_condvar(trace: &Trace) {
    let shared = Rc::new((Mutex::new(()), Condvar::new()));
    let [a, b] = ["a", "b"].map(|name| {
        let shared = Rc::clone(&shared);
        task(trace, move |trace| {
            let Ok(guard) = shared.0.lock() else { return };
            let woke = shared.1.wait(guard).map(drop);
            note!(trace, "{name}: {woke:?}; unlocked: {}", shared.0.try_lock().is_some());
        })
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    note!(trace, "main: notifies: {}", shared.1.notify_one());
    note!(trace, "main: notifies: {}", shared.1.notify_one());
    end_all([a, b]);
}

pub(crate) fn cancellation_of_a_task_at_a_wait_group(trace: &Trace) {
    let group = Rc::new(WaitGroup::new());
    group.add(1);
    let [a, b] = ["a", "b"].map(|name| {
        let group = Rc::clone(&group);
        task(trace, move |trace| {
            note!(trace, "{name}: {:?}", group.wait());
            note!(trace, "{name}: again: {:?}", group.wait());
        })
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    yield_now();
    group.done();
    note!(trace, "main: done");
    end_all([a, b]);
}

/// What would wait fails; what need not wait works.
pub(crate) fn cancellation_before_the_first_turn(trace: &Trace) {
    let held = Rc::new(Mutex::new(()));
    let guard = held.lock();
    let lock = Rc::clone(&held);
    let a = task(trace, move |trace| {
        note!(trace, "a: is cancelled: {}", current().is_cancelled());
        let (outbox, inbox) = bounded(1);
        note!(trace, "send with room: {}", sent(outbox.send(1)));
        note!(trace, "send without: {}", sent(outbox.send(2)));
        note!(trace, "send_timeout: {}", sent(outbox.send_timeout(3, ms(1))));
        note!(trace, "recv with a value: {:?}", inbox.recv());
        note!(trace, "recv without: {:?}", inbox.recv());
        note!(trace, "recv_timeout: {:?}", inbox.recv_timeout(ms(1)));
        note!(trace, "free lock: {}", Mutex::new(()).lock().is_ok());
        note!(trace, "held lock: {:?}", lock.lock().map(drop));
        note!(trace, "sleep_until the past: {:?}", sleep_until(at(0)));
        yield_now();
        note!(trace, "a: ends");
    });
    a.cancel();
    note!(trace, "main: cancelled a");
    end(a);
    drop(guard);
}

/// The wake-up came first, so the value is not lost; the next call notices.
pub(crate) fn cancellation_of_a_task_that_a_value_has_reached(trace: &Trace) {
    let (outbox, inbox) = unbounded();
    let a = task(trace, move |trace| {
        note!(trace, "a: got {:?}", inbox.recv());
        note!(trace, "a: got {:?}", inbox.recv());
    });
    yield_now();
    note!(trace, "main: {}", sent(outbox.send(1)));
    a.cancel();
    note!(trace, "main: cancelled a");
    end(a);
}

pub(crate) fn cancellation_wakes_at_the_tail_in_order(trace: &Trace) {
    let tasks = ["a", "b", "c"].map(|name| task(trace, move |trace| note!(trace, "{name}: {:?}", park())));
    yield_now();
    let d = task(trace, |trace| note!(trace, "d: runs"));
    for index in [2, 0, 1] {
        tasks[index].cancel();
    }
    note!(trace, "main: cancelled c, a, b");
    end_all(tasks);
    end(d);
}

pub(crate) fn cancellation_of_a_finished_task(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: ends");
        7
    });
    yield_now();
    a.cancel();
    note!(trace, "main: cancelled a");
    note!(trace, "main: joined a: {:?}", a.join());
    // The next task in the same slot is not cancelled.
    end(task(trace, |trace| note!(trace, "b: is cancelled: {}", current().is_cancelled())));
}
