//! A stackless ring by hand: futures in a queue, polled in turn, with a waker that does nothing. The least that tasks can
//! cost without a stack: nothing can wait for anything.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use crate::meter::{Measured, Meter, resident};
use crate::subject::Subject;
use crate::subjects::nested::{self, YieldNow};
use crate::subjects::ring;

pub(crate) const HAND_ASYNC: Subject = Subject {
    name: "hand_async",
    packages: &[],
    about: "a VecDeque of boxed futures, polled in turn with a waker that does nothing; nothing joins",
    most_tasks: None,
    countable: true,
    benches: &[
        ("yield", ring::yields::<Task>),
        ("yield-shuffled", ring::shuffled::<Task>),
        ("depth", depth),
        ("spawn", spawn),
        ("spawn-burst", burst),
        ("memory", memory),
    ],
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

fn yield_now() -> YieldNow<false> {
    YieldNow(false)
}

/// What each task of `yield` does.
async fn turns(meter: Arc<Meter>, rounds: u64) {
    yield_now().await;
    meter.begin();
    for _ in 0..rounds {
        yield_now().await;
    }
    meter.end();
    while meter.others_run() {
        yield_now().await;
    }
}

impl ring::Task for Task {
    fn ring(tasks: u64, rounds: u64) -> (VecDeque<Task>, Arc<Meter>) {
        let meter = Arc::new(Meter::new(tasks));
        let task = |_| -> Task { Box::pin(turns(Arc::clone(&meter), rounds)) };
        ((0..tasks).map(task).collect(), meter)
    }

    fn resume(&mut self) -> bool {
        self.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
    }
}

fn depth(frames: u64, n: u64) -> Measured {
    let rounds = n / 2;
    let meter = Arc::new(Meter::new(2));
    let task = |_| -> Task {
        let task = nested::beneath(frames, turns(Arc::clone(&meter), rounds));
        Box::pin(async move {
            task.await;
        })
    };
    ring::run(&mut (0..2).map(task).collect());
    meter.measured(2 * rounds)
}

fn spawn(_: u64, n: u64) -> Measured {
    burst(1, n)
}

fn burst(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let mut ring = VecDeque::<Task>::new();
    Measured::of(tasks * rounds, || {
        for _ in 0..rounds {
            (0..tasks).for_each(|_| ring.push_back(Box::pin(async {})));
            ring::run(&mut ring);
        }
    })
}

/// Of nothing but the yield.
fn memory(tasks: u64, _: u64) -> Measured {
    let before = resident();
    let mut ring: VecDeque<Task> = (0..tasks).map(|_| -> Task { Box::pin(yield_now()) }).collect();
    for task in &mut ring {
        assert!(ring::Task::resume(task), "it suspends");
    }
    Measured::memory(tasks, before)
}
