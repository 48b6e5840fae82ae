//! Ours on several threads: tasks that may start anywhere, and channels that cross. Behind the feature `pool`.

use std::hint::black_box;
use std::time::Instant;

use windlass::{pool, remote, yield_now};

use crate::meter::Measured;

pub(super) fn yields(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let task = |_| {
        pool::spawn(move || {
            for _ in 0..rounds {
                yield_now();
            }
        })
    };
    let start = Instant::now();
    let handles: Vec<_> = (0..tasks).map(task).collect();
    for handle in handles {
        handle.join().expect("no panic");
    }
    Measured::since(start, tasks * rounds)
}

/// Two tasks of the pool, on whichever of its workers.
pub(super) fn pingpong(_: u64, n: u64) -> Measured {
    let (ping, pings) = remote::channel::rendezvous::<[u8; 8]>();
    let (pong, pongs) = remote::channel::rendezvous();
    let echo = pool::spawn(move || {
        while let Ok(message) = pings.recv() {
            pong.send(message).expect("the other end is open");
        }
    });
    let source = pool::spawn(move || {
        let mut message = [1; 8];
        let measured = Measured::of(n, || {
            for _ in 0..n {
                ping.send(message).expect("the other end is open");
                message = pongs.recv().expect("the other end is open");
            }
        });
        black_box(message);
        measured
    });
    let measured = source.join().expect("no panic");
    echo.join().expect("no panic");
    measured
}
