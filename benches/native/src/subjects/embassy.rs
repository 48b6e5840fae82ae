//! embassy-executor: its executor for threads of the system. Nothing in it joins.

use std::cell::Cell;
use std::future::{Future, pending};
use std::sync::Arc;

use embassy_executor::raw::TaskStorage;
use embassy_executor::{Executor, Spawner};

use crate::meter::{Measured, Meter, resident};
use crate::shuffle::order;
use crate::subject::Subject;
use crate::subjects::gate::Gates;
use crate::subjects::nested::YieldNow;

pub(crate) const EMBASSY: Subject = Subject {
    name: "embassy",
    packages: &["embassy-executor"],
    about: "executor for std; tasks leaked, as there is no heap of tasks; the queue is taken whole and in reverse",
    most_tasks: None,
    countable: true,
    benches: &[("yield", yields), ("yield-shuffled", shuffled), ("memory", memory)],
};

fn yield_now() -> YieldNow<true> {
    YieldNow(false)
}

fn spawn<F: Future<Output = ()> + 'static>(spawner: Spawner, task: F) {
    let storage = Box::leak(Box::new(TaskStorage::new()));
    spawner.spawn(storage.spawn(|| task).expect("a storage of its own"));
}

/// Runs until a task calls what it is given. `after` looks at how things are between two polls.
fn run(init: impl FnOnce(Spawner), mut after: impl FnMut() -> bool) {
    let executor = Box::leak(Box::new(Executor::new()));
    executor.run_until(init, &mut after);
}

async fn turns(meter: &Meter, rounds: u64, left: &Cell<u64>) {
    meter.begin();
    for _ in 0..rounds {
        yield_now().await;
    }
    meter.end();
    while meter.others_run() {
        yield_now().await;
    }
    left.set(left.get() - 1);
}

fn yields(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let meter = Arc::new(Meter::new(tasks));
    let left = &*Box::leak(Box::new(Cell::new(tasks)));
    let init = |spawner| {
        for _ in 0..tasks {
            let meter = Arc::clone(&meter);
            spawn(spawner, async move {
                yield_now().await;
                turns(&meter, rounds, left).await;
            });
        }
    };
    run(init, || left.get() == 0);
    meter.measured(tasks * rounds)
}

fn shuffled(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let meter = Arc::new(Meter::new(tasks));
    let gates = Gates::new(tasks);
    let left = &*Box::leak(Box::new(Cell::new(tasks)));
    let init = |spawner| {
        for index in 0..tasks as usize {
            let (meter, gate) = (Arc::clone(&meter), gates.gate(index));
            spawn(spawner, async move {
                gate.await;
                turns(&meter, rounds, left).await;
            });
        }
    };
    let mut order = Some(order(tasks));
    let after = || {
        if gates.all_wait()
            && let Some(order) = order.take()
        {
            gates.open(order);
        }
        left.get() == 0
    };
    run(init, after);
    meter.measured(tasks * rounds)
}

fn memory(tasks: u64, _: u64) -> Measured {
    let before = resident();
    run(|spawner| (0..tasks).for_each(|_| spawn(spawner, pending())), || true);
    Measured::memory(tasks, before)
}
