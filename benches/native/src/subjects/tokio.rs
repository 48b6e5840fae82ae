//! tokio: a current-thread runtime, and one with two workers.

use std::future::{Future, pending};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;

use crate::meter::{Measured, Meter};
use crate::shuffle::deadlines;
use crate::subject::{Subject, for_size};
use crate::subjects::executor::{self, Executor};
use crate::subjects::future_channel::{self, Channels};

pub(crate) const TOKIO: Subject = Subject {
    name: "tokio",
    packages: &["tokio"],
    about: "runtime of the current thread, with a clock where somebody sleeps; mpsc of capacity 1",
    most_tasks: None,
    countable: true,
    benches: &[
        ("yield", executor::yields::<CurrentThread>),
        ("yield-shuffled", executor::shuffled::<CurrentThread>),
        ("yield-beside-sleeper", executor::yields::<CurrentThread<true>>),
        ("pingpong", pingpong),
        ("message", pingpong),
        ("stream", future_channel::stream::<Mpsc>),
        ("spawn", executor::spawn::<CurrentThread>),
        ("spawn-burst", executor::burst::<CurrentThread>),
        ("mutex", mutex),
        ("timers", timers),
        ("memory", executor::memory::<CurrentThread>),
    ],
};

pub(crate) const TOKIO_MULTI: Subject = Subject {
    name: "tokio_multi",
    packages: &[],
    about: "multi-thread runtime of two workers; outside `pool/*` on one CPU",
    most_tasks: None,
    countable: false,
    benches: &[
        ("yield", multi_yields),
        ("pool/yield", multi_yields),
        ("pingpong", multi_pingpong),
        ("pool/pingpong", multi_pingpong),
    ],
};

/// What is inside is the runtime that runs.
#[derive(Clone)]
pub(super) struct CurrentThread<const SLEEPER: bool = false>;

impl<const SLEEPER: bool> Executor for CurrentThread<SLEEPER> {
    type Handle = JoinHandle<()>;

    fn run<T, F: Future<Output = T>>(main: impl FnOnce(Self) -> F) -> T {
        let mut builder = Builder::new_current_thread();
        if SLEEPER {
            builder.enable_time();
        }
        builder.build().expect("a runtime").block_on(async {
            if SLEEPER {
                drop(tokio::spawn(sleep(Duration::from_secs(3600))));
                yield_now().await;
            }
            main(CurrentThread).await
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        tokio::spawn(task)
    }

    async fn join(handle: JoinHandle<()>) {
        handle.await.expect("no panic");
    }

    fn detach(handle: JoinHandle<()>) {
        drop(handle);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_now()
    }
}

pub(super) struct Mpsc;

impl Channels for Mpsc {
    type Sender<T: Send + 'static> = mpsc::Sender<T>;
    type Receiver<T: Send + 'static> = mpsc::Receiver<T>;

    fn channel<T: Send + 'static>(capacity: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        // It has none without a buffer.
        mpsc::channel(capacity.max(1))
    }

    async fn send<T: Send + 'static>(sender: &mpsc::Sender<T>, value: T) {
        assert!(sender.send(value).await.is_ok(), "the other end is open");
    }

    async fn recv<T: Send + 'static>(receiver: &mut mpsc::Receiver<T>) -> Option<T> {
        receiver.recv().await
    }
}

fn pingpong(size: u64, n: u64) -> Measured {
    for_size!(size, SIZE => future_channel::pingpong::<Mpsc, SIZE>(n))
}

fn mutex(_: u64, n: u64) -> Measured {
    CurrentThread::<false>::run(|_| async {
        let mutex = Mutex::new(0u64);
        let start = std::time::Instant::now();
        for _ in 0..n {
            *black_box(&mutex).lock().await += 1;
        }
        Measured::since(start, n)
    })
}

/// With tokio's own clock for tests, which moves on when nothing else can.
fn timers(sleepers: u64, _: u64) -> Measured {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let meter = Arc::new(Meter::new(sleepers));
        let task = |ms| {
            let meter = Arc::clone(&meter);
            tokio::spawn(async move {
                yield_now().await;
                meter.begin();
                sleep(Duration::from_millis(ms)).await;
                if meter.end() {
                    meter.measured(sleepers).leave();
                }
                pending::<()>().await;
            })
        };
        let handles: Vec<_> = deadlines(sleepers).map(task).collect();
        for handle in handles {
            handle.await.expect("no panic");
        }
        unreachable!("the last sleeper has ended the process")
    })
}

fn multi<T: Send + 'static>(main: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    // As a task: what `block_on` gets runs outside of the workers.
    runtime.block_on(async { tokio::spawn(main).await.expect("no panic") })
}

fn multi_yields(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    multi(async move {
        let start = std::time::Instant::now();
        let task = |_| {
            tokio::spawn(async move {
                for _ in 0..rounds {
                    yield_now().await;
                }
            })
        };
        let handles: Vec<_> = (0..tasks).map(task).collect();
        for handle in handles {
            handle.await.expect("no panic");
        }
        Measured::since(start, tasks * rounds)
    })
}

fn multi_pingpong(_: u64, n: u64) -> Measured {
    multi(future_channel::round_trips::<Mpsc, 8>(n))
}
