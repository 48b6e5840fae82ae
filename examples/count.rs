//! Does one thing N times, to be counted: the difference of two N over the difference is what one costs.
//!
//! `docs/performance.md` has the command and the figures.

use std::{env, hint::black_box};
use windlass::{Duration, channel, current, reactor, run, sleep, spawn, yield_now};

fn main() {
    let mut args = env::args().skip(1);
    let (what, n) =
        (args.next().unwrap_or_default(), args.next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0));
    match what.as_str() {
        "yield" => run(move || {
            let other = spawn(move || (0..n / 2).for_each(|_| yield_now()));
            (0..n / 2).for_each(|_| yield_now());
            other.join().expect("no panic");
        }),
        // The same while somebody sleeps and another thread could wake somebody: the host loop looks at the clock and the inbox.
        "beside" => run(move || {
            let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
            let unparker = current().unparker();
            let other = spawn(move || (0..n / 2).for_each(|_| yield_now()));
            (0..n / 2).for_each(|_| yield_now());
            other.join().expect("no panic");
            sleeper.task().cancel();
            drop(unparker);
        }),
        "rendezvous" => run(move || {
            let ((a, b), (c, d)) = (channel::rendezvous::<u64>(), channel::rendezvous::<u64>());
            let echo = spawn(move || b.into_iter().for_each(|value| c.send(value).expect("open")));
            for value in 0..n {
                a.send(value).expect("open");
                black_box(d.recv().expect("open"));
            }
            drop(a);
            echo.join().expect("no panic");
        }),
        "spawn" => run(move || (0..n).for_each(|_| spawn(|| ()).join().expect("no panic"))),
        "call" => {
            reactor::initialize(|| ()).expect("an empty init");
            (0..n).for_each(|i| drop(black_box(reactor::call("same", move || i))));
        }
        _ => eprintln!("usage: count yield|beside|rendezvous|spawn|call N"),
    }
}
