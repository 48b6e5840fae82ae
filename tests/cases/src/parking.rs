//! Park and unpark.

use crate::Trace;
use crate::trace::{end, end_all, ms, sleep, task};
use alloc::rc::Rc;
use core::cell::RefCell;
use windlass::{JoinHandle, Task, current, park, park_timeout, yield_now};

/// Spawns a task that runs `f` and leaves itself in what is returned as soon as it has had its first turn.
fn known(trace: &Trace, f: impl FnOnce(Trace) + 'static) -> (JoinHandle<()>, Rc<RefCell<Option<Task>>>) {
    let itself: Rc<RefCell<Option<Task>>> = Rc::default();
    let known = Rc::clone(&itself);
    let handle = task(trace, move |trace| {
        *known.borrow_mut() = Some(current());
        f(trace);
    });
    (handle, itself)
}

fn unpark(task: &RefCell<Option<Task>>) {
    if let Some(task) = &*task.borrow() {
        task.unpark();
    }
}

pub(crate) fn unpark_before_park_counts_once(trace: &Trace) {
    let main = current();
    main.unpark();
    main.unpark();
    let a = task(trace, move |trace| {
        note!(trace, "a: unparks main");
        main.unpark();
    });
    note!(trace, "main: parks");
    note!(trace, "main: {:?}", park());
    note!(trace, "main: parks again");
    note!(trace, "main: {:?}", park());
    end(a);
}

pub(crate) fn two_unparks_of_a_parked_task_count_once(trace: &Trace) {
    let (a, itself) = known(trace, |trace| {
        note!(trace, "a: parks");
        note!(trace, "a: {:?}", park());
        note!(trace, "a: parks again");
        note!(trace, "a: unparked: {:?}", park_timeout(ms(1)));
    });
    yield_now();
    unpark(&itself);
    unpark(&itself);
    note!(trace, "main: unparked a twice");
    end(a);
}

pub(crate) fn unpark_wakes_at_the_tail(trace: &Trace) {
    let (a, itself) = known(trace, |trace| {
        note!(trace, "a: parks");
        note!(trace, "a: {:?}", park());
    });
    yield_now();
    let b = task(trace, |trace| note!(trace, "b: runs"));
    unpark(&itself);
    note!(trace, "main: unparked a; a is finished: {}", a.is_finished());
    end_all([a, b]);
}

pub(crate) fn unparking_wakes_in_order_of_unpark(trace: &Trace) {
    let tasks = ["a", "b", "c"].map(|name| {
        known(trace, move |trace| {
            note!(trace, "{name}: parks");
            note!(trace, "{name}: {:?}", park());
        })
    });
    yield_now();
    for index in [1, 2, 0] {
        unpark(&tasks[index].1);
    }
    note!(trace, "main: unparked b, c, a");
    end_all(tasks.map(|(handle, _)| handle));
}

pub(crate) fn park_timeout_tells_an_unpark_from_a_deadline(trace: &Trace) {
    let (a, itself) = known(trace, |trace| {
        timed!(trace, "a: parks");
        timed!(trace, "a: unparked: {:?}", park_timeout(ms(10)));
        timed!(trace, "a: unparked: {:?}", park_timeout(ms(10)));
        sleep(ms(5));
        timed!(trace, "a: unparked: {:?}", park_timeout(ms(10)));
    });
    sleep(ms(15));
    unpark(&itself);
    timed!(trace, "main: unparked a");
    sleep(ms(2));
    unpark(&itself);
    timed!(trace, "main: unparked a");
    end(a);
}

pub(crate) fn unpark_does_not_end_a_sleep(trace: &Trace) {
    let (a, itself) = known(trace, |trace| {
        sleep(ms(10));
        timed!(trace, "a: wakes");
        timed!(trace, "a: {:?}", park());
    });
    sleep(ms(5));
    unpark(&itself);
    timed!(trace, "main: unparked a");
    end(a);
}
