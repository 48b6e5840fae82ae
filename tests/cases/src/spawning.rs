//! Spawn: at the tail of the run queue, and no turn before the spawner's own is over.

use crate::Trace;
use crate::trace::{end, task};
use windlass::yield_now;

pub(crate) fn spawned_tasks_start_in_order(trace: &Trace) {
    for name in ["a", "b", "c"] {
        task(trace, move |trace| note!(trace, "{name}: runs"));
    }
    note!(trace, "main: spawned a, b, c");
    yield_now();
    note!(trace, "main: goes on");
}

pub(crate) fn a_spawn_gives_no_turn(trace: &Trace) {
    note!(trace, "main: spawns");
    let a = task(trace, |trace| note!(trace, "a: runs"));
    note!(trace, "main: goes on; a is finished: {}", a.is_finished());
    end(a);
    note!(trace, "main: joined a");
}

pub(crate) fn a_spawned_task_queues_behind_those_that_are_ready(trace: &Trace) {
    let a = task(trace, |trace| {
        note!(trace, "a: spawns c");
        let c = task(&trace, |trace| note!(trace, "c: runs"));
        yield_now();
        note!(trace, "a: goes on; c is finished: {}", c.is_finished());
    });
    let b = task(trace, |trace| {
        note!(trace, "b: 1");
        yield_now();
        note!(trace, "b: 2");
    });
    end(a);
    note!(trace, "main: joined a");
    end(b);
}

pub(crate) fn nested_spawns_run_breadth_first(trace: &Trace) {
    fn branch(trace: &Trace, name: &'static str, below: [&'static str; 2]) {
        task(trace, move |trace| {
            note!(trace, "{name}");
            for name in below {
                task(&trace, move |trace| note!(trace, "{name}"));
            }
        });
    }
    task(trace, |trace| {
        note!(trace, "root");
        branch(&trace, "left", ["left left", "left right"]);
        branch(&trace, "right", ["right left", "right right"]);
    });
    // One turn for each level of the tree.
    for _ in 0..3 {
        yield_now();
    }
    note!(trace, "main: goes on");
}
