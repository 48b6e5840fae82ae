//! Ours: the package `windlass` with its default features, as a program uses it.

use std::hint::black_box;
use std::sync::Arc;

use windlass::platform::MockClock;
use windlass::sync::Mutex;
use windlass::{Builder, Duration, JoinHandle, channel, park, reactor, runtime, sleep, spawn, yield_now};

use crate::depth::beneath;
use crate::meter::{Measured, Meter, resident};
use crate::shuffle::{deadlines, order};
use crate::subject::{Subject, for_size};
use crate::subjects::switch;

pub(crate) const WINDLASS: Subject = Subject {
    name: "windlass",
    packages: &["windlass"],
    about: "guarded stacks; of 4 KiB where there are more than 1,000 tasks, else of the default size",
    most_tasks: None,
    countable: true,
    benches: &[
        ("yield", yields),
        ("yield-shuffled", shuffled),
        ("yield-beside-sleeper", beside_sleeper),
        ("depth", depth),
        ("pingpong", pingpong),
        ("message", pingpong),
        ("stream", stream),
        ("spawn", spawn_and_join),
        ("spawn-burst", burst),
        ("mutex", mutex),
        ("call", call),
        ("timers", timers),
        ("memory", memory),
        ("switch", switch::turns),
        ("pool/yield", super::pool::yields),
        ("pool/pingpong", super::pool::pingpong),
    ],
};

pub(crate) const WINDLASS_SMALL: Subject = Subject {
    name: "windlass_small",
    packages: &[],
    about: "stacks of 1 KiB without a guard",
    most_tasks: None,
    countable: false,
    benches: &[("memory", memory_of_small)],
};

/// Who has many tasks gives them small stacks.
fn task<F: FnOnce() + 'static>(tasks: u64, f: F) -> JoinHandle<()> {
    match tasks {
        0..=1_000 => spawn(f),
        _ => Builder::new().stack_size(4 << 10).spawn(f).expect("memory for the tasks"),
    }
}

fn join(handles: Vec<JoinHandle<()>>) {
    for handle in handles {
        handle.join().expect("no panic");
    }
}

fn turns(meter: &Meter, rounds: u64) {
    meter.begin();
    for _ in 0..rounds {
        yield_now();
    }
    meter.end();
    while meter.others_run() {
        yield_now();
    }
}

fn yields(tasks: u64, n: u64) -> Measured {
    windlass::run(move || yields_here(tasks, n))
}

/// The inbox is in use, too: there is an unparker.
fn beside_sleeper(tasks: u64, n: u64) -> Measured {
    windlass::run(move || {
        let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
        let unparker = sleeper.task().unparker();
        let measured = yields_here(tasks, n);
        sleeper.task().cancel();
        drop(unparker);
        measured
    })
}

fn yields_here(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let meter = Arc::new(Meter::new(tasks));
    let work = |_| {
        let meter = Arc::clone(&meter);
        task(tasks, move || {
            yield_now();
            turns(&meter, rounds);
        })
    };
    join((0..tasks).map(work).collect());
    meter.measured(tasks * rounds)
}

fn shuffled(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    windlass::run(move || {
        let meter = Arc::new(Meter::new(tasks));
        let work = |_| {
            let meter = Arc::clone(&meter);
            task(tasks, move || {
                park().expect("not cancelled");
                yield_now();
                turns(&meter, rounds);
            })
        };
        let handles: Vec<_> = (0..tasks).map(work).collect();
        yield_now();
        for index in order(tasks) {
            handles[index].task().unpark();
        }
        join(handles);
        meter.measured(tasks * rounds)
    })
}

fn depth(frames: u64, n: u64) -> Measured {
    let rounds = n / 2;
    windlass::run(move || {
        let meter = Arc::new(Meter::new(2));
        let work = |_| {
            let meter = Arc::clone(&meter);
            spawn(move || {
                let inside = &mut || {
                    yield_now();
                    turns(&meter, rounds);
                };
                beneath(frames, inside);
            })
        };
        join((0..2).map(work).collect());
        meter.measured(2 * rounds)
    })
}

fn pingpong(size: u64, n: u64) -> Measured {
    for_size!(size, SIZE => pingpong_of::<SIZE>(n))
}

fn pingpong_of<const SIZE: usize>(n: u64) -> Measured {
    windlass::run(move || {
        let (ping, pings) = channel::rendezvous::<[u8; SIZE]>();
        let (pong, pongs) = channel::rendezvous();
        let echo = spawn(move || {
            for message in pings {
                pong.send(message).expect("the other end is open");
            }
        });
        let mut message = [1; SIZE];
        let measured = Measured::of(n, || {
            for _ in 0..n {
                ping.send(message).expect("the other end is open");
                message = pongs.recv().expect("the other end is open");
            }
        });
        drop(ping);
        echo.join().expect("no panic");
        black_box(message);
        measured
    })
}

fn stream(capacity: u64, n: u64) -> Measured {
    windlass::run(move || {
        let (sender, receiver) = channel::bounded(capacity as usize);
        let source = spawn(move || {
            for number in 0..n {
                sender.send(number).expect("the other end is open");
            }
        });
        let measured = Measured::of(n, || assert_eq!(receiver.iter().count() as u64, n));
        source.join().expect("no panic");
        measured
    })
}

fn spawn_and_join(_: u64, n: u64) -> Measured {
    windlass::run(move || {
        spawn(|| ()).join().expect("no panic");
        Measured::of(n, || {
            for _ in 0..n {
                spawn(|| ()).join().expect("no panic");
            }
        })
    })
}

fn burst(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    windlass::run(move || {
        let mut handles = Vec::with_capacity(tasks as usize);
        let mut once = move || {
            handles.extend((0..tasks).map(|_| spawn(|| ())));
            for handle in handles.drain(..) {
                handle.join().expect("no panic");
            }
        };
        once();
        Measured::of(tasks * rounds, || (0..rounds).for_each(|_| once()))
    })
}

fn mutex(_: u64, n: u64) -> Measured {
    windlass::run(move || {
        let mutex = Mutex::new(0u64);
        let measured = Measured::of(n, || {
            for _ in 0..n {
                *black_box(&mutex).lock().expect("not cancelled") += 1;
            }
        });
        assert_eq!(mutex.into_inner(), n);
        measured
    })
}

fn call(_: u64, n: u64) -> Measured {
    reactor::initialize(|| ()).expect("an empty init");
    Measured::of(n, || {
        for value in 0..n {
            drop(black_box(reactor::call("same", move || value)));
        }
    })
}

fn timers(sleepers: u64, _: u64) -> Measured {
    let clock = runtime::Builder::new().platform(MockClock::new());
    clock.install().expect("nothing has run yet");
    windlass::run(move || {
        let meter = Arc::new(Meter::new(sleepers));
        let work = |ms| {
            let meter = Arc::clone(&meter);
            task(sleepers, move || {
                yield_now();
                meter.begin();
                sleep(Duration::from_millis(ms)).expect("not cancelled");
                if meter.end() {
                    meter.measured(sleepers).leave();
                }
                park().expect("not cancelled");
            })
        };
        join(deadlines(sleepers).map(work).collect());
        unreachable!("the last sleeper has ended the process")
    })
}

fn memory(tasks: u64, _: u64) -> Measured {
    idle(tasks, || drop(task(u64::MAX, || park().expect("not cancelled"))))
}

fn memory_of_small(tasks: u64, _: u64) -> Measured {
    idle(tasks, || {
        // SAFETY: a task that does nothing but park fits.
        let small = unsafe { Builder::new().stack_size(1 << 10).unguarded() };
        drop(small.spawn(|| park().expect("not cancelled")).expect("memory for the tasks"));
    })
}

/// Starts tasks that wait for ever.
fn idle(tasks: u64, start: fn()) -> Measured {
    windlass::run(move || {
        start();
        yield_now();
        let before = resident();
        for _ in 0..tasks {
            start();
        }
        yield_now();
        Measured::memory(tasks, before)
    })
}
