//! Threads of the system.

use std::hint::black_box;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::meter::{Measured, resident};
use crate::subject::{Subject, for_size};
use crate::subjects::blocking;

pub(crate) const STD_THREADS: Subject = Subject {
    name: "std_threads",
    packages: &[],
    about: "std::thread, std::sync::mpsc, std::sync::Mutex",
    most_tasks: Some((20_000, "more threads than a system likes to have")),
    countable: false,
    benches: &[
        ("pingpong", pingpong),
        ("message", pingpong),
        ("spawn", spawn_and_join),
        ("mutex", mutex),
        ("memory", memory),
        ("pool/pingpong", pingpong),
    ],
};

struct Std;

blocking::channels!(Std, SyncSender, Receiver, sync_channel(0));

/// As `spawn` of a round trip.
pub(super) fn echo(work: Box<dyn FnOnce() + Send>) -> impl FnOnce() {
    let thread = thread::spawn(work);
    move || thread.join().expect("no panic")
}

fn pingpong(size: u64, n: u64) -> Measured {
    for_size!(size, SIZE => blocking::pingpong::<Std, SIZE, _>(n, echo))
}

fn spawn_and_join(_: u64, n: u64) -> Measured {
    Measured::of(n, || {
        for _ in 0..n {
            thread::spawn(|| ()).join().expect("no panic");
        }
    })
}

fn mutex(_: u64, n: u64) -> Measured {
    let mutex = Mutex::new(0u64);
    Measured::of(n, || {
        for _ in 0..n {
            *black_box(&mutex).lock().expect("no panic") += 1;
        }
    })
}

fn memory(tasks: u64, _: u64) -> Measured {
    let before = resident();
    for _ in 0..tasks {
        thread::spawn(thread::park);
    }
    Measured::memory(tasks, before)
}
