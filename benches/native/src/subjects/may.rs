//! may: stackful coroutines on one worker thread; two for the benches of several threads.

use std::hint::black_box;
use std::sync::Arc;

use may::coroutine::{self, Builder, JoinHandle};
use may::sync::Mutex;
use may::sync::mpsc::{self, Receiver as MpscReceiver, Sender as MpscSender};
use may::sync::spsc::{self, Receiver as SpscReceiver, Sender as SpscSender};

use crate::depth::beneath;
use crate::meter::{Measured, Meter, resident};
use crate::shuffle::order;
use crate::subject::{GUARDED, Subject, for_size};
use crate::subjects::blocking::{self, Channels};

pub(crate) const MAY: Subject = Subject {
    name: "may",
    packages: &["may", "generator"],
    about: "one worker; two in `pool/*`; stacks of 4 KiB with guards; in `spawn` of the default size, which are pooled; channels are its spsc, which have no bound",
    most_tasks: GUARDED,
    countable: true,
    benches: &[
        ("yield", yields),
        ("yield-shuffled", shuffled),
        ("depth", depth),
        ("pingpong", pingpong::<Spsc>),
        ("message", pingpong::<Spsc>),
        ("stream", stream),
        ("spawn", spawn_and_join),
        ("spawn-burst", burst),
        ("mutex", mutex),
        ("memory", memory),
        ("pool/yield", pool_yields),
        ("pool/pingpong", pool_pingpong),
    ],
};

pub(crate) const MAY_MPSC: Subject = Subject {
    name: "may_mpsc",
    packages: &[],
    about: "its mpsc channels",
    most_tasks: GUARDED,
    countable: true,
    benches: &[("pingpong", pingpong::<Mpsc>), ("message", pingpong::<Mpsc>)],
};

/// Of many tasks, in words.
const STACK: usize = (4 << 10) / size_of::<usize>();

/// Of few tasks, in words.
const LARGE_STACK: usize = (256 << 10) / size_of::<usize>();

struct Spsc;
struct Mpsc;

blocking::channels!(Spsc, SpscSender, SpscReceiver, spsc::channel());
blocking::channels!(Mpsc, MpscSender, MpscReceiver, mpsc::channel());

fn start<T: Send + 'static>(stack: usize, f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: `f` uses no thread-local storage, and its stack is large enough for it.
    unsafe { Builder::new().stack_size(stack).spawn(f) }.expect("memory for a stack")
}

/// An empty one: stacks are pooled if they are of the default size, which is 32 KiB.
fn pooled() -> JoinHandle<()> {
    // SAFETY: it does nothing.
    unsafe { coroutine::spawn(|| ()) }
}

/// Runs `f` as a coroutine, so that what it spawns stays with its worker.
fn within<T: Send + 'static>(workers: usize, f: impl FnOnce() -> T + Send + 'static) -> T {
    may::config().set_workers(workers).set_worker_pin(false);
    match start(LARGE_STACK, f).join() {
        Ok(value) => value,
        Err(_) => panic!("a coroutine panicked"),
    }
}

fn join(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        assert!(handle.join().is_ok(), "a coroutine panicked");
    }
}

fn turns(meter: &Meter, rounds: u64) {
    meter.begin();
    for _ in 0..rounds {
        coroutine::yield_now();
    }
    meter.end();
    while meter.others_run() {
        coroutine::yield_now();
    }
}

fn yields(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    within(1, move || {
        let meter = Arc::new(Meter::new(tasks));
        let task = |_| {
            let meter = Arc::clone(&meter);
            start(STACK, move || {
                coroutine::yield_now();
                turns(&meter, rounds);
            })
        };
        join((0..tasks).map(task).collect());
        meter.measured(tasks * rounds)
    })
}

fn shuffled(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    within(1, move || {
        let meter = Arc::new(Meter::new(tasks));
        let task = |_| {
            let meter = Arc::clone(&meter);
            start(STACK, move || {
                coroutine::park();
                turns(&meter, rounds);
            })
        };
        let handles: Vec<_> = (0..tasks).map(task).collect();
        coroutine::yield_now();
        for index in order(tasks) {
            handles[index].coroutine().unpark();
        }
        join(handles);
        meter.measured(tasks * rounds)
    })
}

fn depth(frames: u64, n: u64) -> Measured {
    let rounds = n / 2;
    within(1, move || {
        let meter = Arc::new(Meter::new(2));
        let task = |_| {
            let meter = Arc::clone(&meter);
            start(LARGE_STACK, move || {
                let inside = &mut || {
                    coroutine::yield_now();
                    turns(&meter, rounds);
                };
                beneath(frames, inside);
            })
        };
        join((0..2).map(task).collect());
        meter.measured(2 * rounds)
    })
}

fn echo(work: Box<dyn FnOnce() + Send>) -> impl FnOnce() {
    let handle = start(LARGE_STACK, work);
    move || join(vec![handle])
}

fn pingpong<C: Channels + 'static>(size: u64, n: u64) -> Measured {
    within(1, move || for_size!(size, SIZE => blocking::pingpong::<C, SIZE, _>(n, echo)))
}

fn stream(_: u64, n: u64) -> Measured {
    within(1, move || {
        let (sender, receiver) = spsc::channel();
        let source = start(STACK, move || {
            for number in 0..n {
                assert!(sender.send(number).is_ok(), "the other end is open");
            }
        });
        let measured = Measured::of(n, || assert_eq!(receiver.iter().count() as u64, n));
        join(vec![source]);
        measured
    })
}

fn spawn_and_join(_: u64, n: u64) -> Measured {
    within(1, move || {
        Measured::of(n, || {
            for _ in 0..n {
                join(vec![pooled()]);
            }
        })
    })
}

fn burst(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    within(1, move || {
        let once = || join((0..tasks).map(|_| pooled()).collect());
        once();
        Measured::of(tasks * rounds, || (0..rounds).for_each(|_| once()))
    })
}

fn mutex(_: u64, n: u64) -> Measured {
    within(1, move || {
        let mutex = Mutex::new(0u64);
        Measured::of(n, || {
            for _ in 0..n {
                *black_box(&mutex).lock().expect("no panic") += 1;
            }
        })
    })
}

fn memory(tasks: u64, _: u64) -> Measured {
    within(1, move || {
        let idle = || drop(start(STACK, coroutine::park));
        idle();
        coroutine::yield_now();
        let before = resident();
        (0..tasks).for_each(|_| idle());
        coroutine::yield_now();
        Measured::memory(tasks, before)
    })
}

/// Several tasks for each of two workers.
fn pool_yields(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    within(2, move || {
        let task = |_| {
            start(STACK, move || {
                for _ in 0..rounds {
                    coroutine::yield_now();
                }
            })
        };
        Measured::of(tasks * rounds, || join((0..tasks).map(task).collect()))
    })
}

/// The main thread's coroutines go to any worker.
fn pool_pingpong(_: u64, n: u64) -> Measured {
    within(2, move || blocking::pingpong::<Spsc, 8, _>(n, echo))
}
