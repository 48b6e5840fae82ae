//! Join, detach, and where a result goes.

use crate::Trace;
use crate::trace::{Noisy, end, task};
use alloc::rc::Rc;
use core::cell::RefCell;
use windlass::{JoinHandle, yield_now};

pub(crate) fn a_join_after_the_end_gives_no_turn(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: ends");
        7
    });
    yield_now();
    note!(trace, "main: a is finished: {}", a.is_finished());
    task(trace, |trace| note!(trace, "b: runs"));
    note!(trace, "main: joined a: {:?}", a.join());
    yield_now();
    note!(trace, "main: goes on");
}

pub(crate) fn a_join_before_the_end_waits(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: 1");
        yield_now();
        note!(trace, "a: 2");
        7
    });
    note!(trace, "main: joins");
    note!(trace, "main: joined a: {:?}", a.join());
}

pub(crate) fn a_joiner_is_woken_at_the_tail(trace: &Trace) {
    let a = task(trace, |trace| note!(trace, "a: ends"));
    for name in ["b", "c"] {
        task(trace, move |trace| note!(trace, "{name}: runs"));
    }
    end(a);
    note!(trace, "main: joined a");
}

pub(crate) fn results_come_in_any_join_order(trace: &Trace) {
    let tasks = [0, 1, 2, 3, 4, 5].map(|n| {
        task(trace, move |trace| {
            for _ in 0..n % 3 {
                yield_now();
            }
            note!(trace, "{n}: ends");
            n * n
        })
    });
    for (n, task) in tasks.into_iter().enumerate().rev() {
        note!(trace, "main: joined {n}: {:?}", task.join());
    }
}

pub(crate) fn a_chain_of_joins_unwinds_in_order(trace: &Trace) {
    let mut last: JoinHandle<i32> = task(trace, |trace| {
        note!(trace, "d: 1");
        yield_now();
        note!(trace, "d: ends");
        1
    });
    for name in ["c", "b", "a"] {
        let before = last;
        last = task(trace, move |trace| {
            note!(trace, "{name}: joins");
            let value = end(before);
            note!(trace, "{name}: joined: {value}");
            value + 1
        });
    }
    note!(trace, "main: joined: {:?}", last.join());
}

pub(crate) fn a_task_cannot_join_itself(trace: &Trace) {
    let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let handle = Rc::clone(&own);
    let a = task(trace, move |trace| {
        let own = handle.borrow_mut().take();
        note!(trace, "a: {:?}", own.map(JoinHandle::join));
    });
    *own.borrow_mut() = Some(a);
    yield_now();
    note!(trace, "main: goes on");
}

pub(crate) fn a_detached_task_goes_on(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: 1");
        yield_now();
        note!(trace, "a: 2");
    });
    yield_now();
    drop(a);
    note!(trace, "main: detached a");
    yield_now();
    note!(trace, "main: goes on");
}

pub(crate) fn a_detached_tasks_result_is_dropped_at_its_end(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: runs");
        Noisy::new("result", &trace)
    });
    let b = task(trace, |trace| note!(trace, "b: runs"));
    drop(a);
    note!(trace, "main: detached a");
    end(b);
    note!(trace, "main: goes on");
}

pub(crate) fn a_handle_dropped_after_the_end_drops_the_result(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: runs");
        Noisy::new("result", &trace)
    });
    yield_now();
    note!(trace, "main: drops the handle");
    drop(a);
    note!(trace, "main: goes on");
}
