//! Condition variables.

use crate::Trace;
use crate::trace::{end, end_all, ms, sleep, task};
use alloc::rc::Rc;
use windlass::sync::{Condvar, Mutex};
use windlass::{JoinHandle, yield_now};

type Shared = Rc<(Mutex<i32>, Condvar)>;

fn shared() -> Shared {
    Rc::new((Mutex::new(0), Condvar::new()))
}

/// Three tasks that wait for one notification each.
fn waiters(trace: &Trace, shared: &Shared) -> [JoinHandle<()>; 3] {
    ["a", "b", "c"].map(|name| {
        let shared = Rc::clone(shared);
        task(trace, move |trace| {
            let Ok(guard) = shared.0.lock() else { return };
            note!(trace, "{name}: waits");
            let Ok(guard) = shared.1.wait(guard) else { return };
            note!(trace, "{name}: has the lock");
            drop(guard);
        })
    })
}

pub(crate) fn notify_one_wakes_in_order(trace: &Trace) {
    let shared = shared();
    note!(trace, "main: nobody waits: {}", shared.1.notify_one());
    let waiters = waiters(trace, &shared);
    yield_now();
    for _ in 0..4 {
        note!(trace, "main: notifies: {}", shared.1.notify_one());
        yield_now();
    }
    end_all(waiters);
}

pub(crate) fn notify_all_relocks_in_order(trace: &Trace) {
    let shared = shared();
    let waiters = waiters(trace, &shared);
    yield_now();
    let guard = shared.0.lock();
    shared.1.notify_all();
    note!(trace, "main: notified all, holds the lock");
    yield_now();
    note!(trace, "main: unlocks");
    drop(guard);
    note!(trace, "main: goes on");
    end_all(waiters);
}

pub(crate) fn a_notification_of_a_cancelled_waiter_goes_to_the_next(trace: &Trace) {
    let shared = shared();
    let [a, b, c] = waiters(trace, &shared);
    yield_now();
    let guard = shared.0.lock();
    note!(trace, "main: notifies: {}", shared.1.notify_one());
    // a is notified and waits for the lock.
    yield_now();
    a.cancel();
    drop(guard);
    yield_now();
    note!(trace, "main: a is finished: {}", a.is_finished());
    yield_now();
    note!(trace, "main: notifies: {}", shared.1.notify_one());
    end_all([a, b, c]);
}

pub(crate) fn wait_while_waits_again(trace: &Trace) {
    let shared = shared();
    let takers = ["a", "b"].map(|name| {
        let shared = Rc::clone(&shared);
        task(trace, move |trace| {
            let Ok(guard) = shared.0.lock() else { return };
            let checked = |count: &mut i32| {
                note!(trace, "{name}: sees {count}");
                *count == 0
            };
            if let Ok(mut count) = shared.1.wait_while(guard, checked) {
                *count -= 1;
                note!(trace, "{name}: leaves {}", *count);
            }
        })
    });
    yield_now();
    for _ in 0..2 {
        if let Ok(mut count) = shared.0.lock() {
            *count += 1;
        }
        note!(trace, "main: added one");
        shared.1.notify_all();
        yield_now();
    }
    end_all(takers);
}

pub(crate) fn wait_timeout_tells_a_notification_from_a_deadline(trace: &Trace) {
    let shared = shared();
    let waiter = {
        let shared = Rc::clone(&shared);
        task(trace, move |trace| {
            for _ in 0..2 {
                let Ok(guard) = shared.0.lock() else { return };
                timed!(trace, "waiter: waits");
                let Ok((_guard, notified)) = shared.1.wait_timeout(guard, ms(10)) else { return };
                timed!(trace, "waiter: notified: {notified}");
            }
        })
    };
    sleep(ms(15));
    timed!(trace, "main: notifies: {}", shared.1.notify_one());
    end(waiter);
    timed!(trace, "main: notifies: {}", shared.1.notify_one());
}
