//! What every executor of futures is asked to do: written once, for all of them.

use std::future::Future;
use std::sync::Arc;

use crate::meter::{Measured, Meter, resident};
use crate::shuffle::order;
use crate::subjects::gate::Gates;

/// An executor of one thread.
pub(super) trait Executor: Clone + 'static {
    type Handle: 'static;

    /// Runs until `main` is done.
    fn run<T, F: Future<Output = T>>(main: impl FnOnce(Self) -> F) -> T;
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Self::Handle;
    fn join(handle: Self::Handle) -> impl Future<Output = ()>;
    fn detach(handle: Self::Handle);
    fn yield_now() -> impl Future<Output = ()> + Send;
}

async fn join<E: Executor>(handles: Vec<E::Handle>) {
    for handle in handles {
        E::join(handle).await;
    }
}

async fn turns<E: Executor>(meter: &Meter, rounds: u64) {
    meter.begin();
    for _ in 0..rounds {
        E::yield_now().await;
    }
    meter.end();
    while meter.others_run() {
        E::yield_now().await;
    }
}

pub(super) fn yields<E: Executor>(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    E::run(|executor| async move {
        let meter = Arc::new(Meter::new(tasks));
        let task = |_| {
            let meter = Arc::clone(&meter);
            executor.spawn(async move {
                E::yield_now().await;
                turns::<E>(&meter, rounds).await;
            })
        };
        join::<E>((0..tasks).map(task).collect()).await;
        meter.measured(tasks * rounds)
    })
}

pub(super) fn shuffled<E: Executor>(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    E::run(|executor| async move {
        let meter = Arc::new(Meter::new(tasks));
        let gates = Gates::new(tasks);
        let task = |index| {
            let (meter, gate) = (Arc::clone(&meter), gates.gate(index));
            executor.spawn(async move {
                gate.await;
                E::yield_now().await;
                turns::<E>(&meter, rounds).await;
            })
        };
        let handles: Vec<_> = (0..tasks as usize).map(task).collect();
        while !gates.all_wait() {
            E::yield_now().await;
        }
        gates.open(order(tasks));
        join::<E>(handles).await;
        meter.measured(tasks * rounds)
    })
}

pub(super) fn spawn<E: Executor>(_: u64, n: u64) -> Measured {
    E::run(|executor| async move {
        let start = std::time::Instant::now();
        for _ in 0..n {
            E::join(executor.spawn(async {})).await;
        }
        Measured::since(start, n)
    })
}

pub(super) fn burst<E: Executor>(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    E::run(|executor| async move {
        let once = || join::<E>((0..tasks).map(|_| executor.spawn(async {})).collect());
        once().await;
        let start = std::time::Instant::now();
        for _ in 0..rounds {
            once().await;
        }
        Measured::since(start, tasks * rounds)
    })
}

pub(super) fn memory<E: Executor>(tasks: u64, _: u64) -> Measured {
    E::run(|executor| async move {
        let before = resident();
        for _ in 0..tasks {
            E::detach(executor.spawn(std::future::pending()));
        }
        // Executors give others a turn sooner or later; none takes more turns than it has tasks.
        for _ in 0..=tasks {
            E::yield_now().await;
        }
        Measured::memory(tasks, before)
    })
}
