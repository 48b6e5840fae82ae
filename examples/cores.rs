//! What two workers are worth: yields beside one worker's, and round trips between two threads.
//!
//! `cargo run --release --example cores -- yields|spawns|pingpong|threads [COUNT]` prints nanoseconds an operation;
//! `idle` waits for two seconds with two workers that have nothing to do, for `time` to see.

use std::env;
use std::time::Instant;
use windlass::pool::Builder;
use windlass::remote::channel;
use windlass::yield_now;

fn main() {
    let mut args = env::args().skip(1);
    let what = args.next().unwrap_or_else(|| "yields".to_owned());
    let count: u64 = args.next().and_then(|count| count.parse().ok()).unwrap_or(0);
    match what.as_str() {
        "yields" => yields(if count == 0 { 50_000_000 } else { count }),
        "spawns" => spawns(if count == 0 { 1_000_000 } else { count }),
        "pingpong" => ping_pong(if count == 0 { 200_000 } else { count }),
        "threads" => threads(if count == 0 { 200_000 } else { count }),
        "idle" => idle(),
        other => eprintln!("`{other}` is none of yields, spawns, pingpong, threads, idle"),
    }
}

/// Rounds, one and two workers in turns; the shortest counts, as others use the machine, too.
const ROUNDS: usize = 20;

/// Eight tasks that only yield, on one worker and on two.
fn yields(count: u64) {
    let mut best = [f64::INFINITY; 2];
    let mut spent = [0.0; 2];
    for _ in 0..ROUNDS {
        for (index, workers) in [1, 2].into_iter().enumerate() {
            let before = cpu_seconds();
            best[index] = best[index].min(yields_of(workers, count / ROUNDS as u64));
            spent[index] += (cpu_seconds() - before) * 1e9 / count as f64;
        }
    }
    println!(
        "{:.2} ns a yield on one worker, {:.2} ns on two, which are worth {:.2}; CPU time {:.2} and {:.2} ns",
        best[0],
        best[1],
        best[0] / best[1],
        spent[0],
        spent[1]
    );
}

/// What this process has used so far, whatever else runs; on Linux, to a hundredth of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // The twelfth and thirteenth after the name: user and system time.
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn yields_of(workers: usize, count: u64) -> f64 {
    const TASKS: u64 = 8;
    let pool = Builder::new().workers(workers).build().expect("threads");
    // So that both workers are there.
    let begun = pool.spawn(|| ());
    begun.join().expect("no panic");
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            pool.spawn(move || {
                for _ in 0..count / TASKS {
                    yield_now();
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().expect("no panic");
    }
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Closures that do nothing, from outside and from a worker.
fn spawns(count: u64) {
    for workers in [1, 2] {
        let pool = Builder::new().workers(workers).build().expect("threads");
        let start = Instant::now();
        for _ in 0..count {
            drop(pool.spawn(|| ()));
        }
        let spawned = start.elapsed();
        pool.shutdown();
        println!(
            "{workers} workers, from outside: {:.0} ns a spawn, {:.0} ns with the run",
            spawned.as_nanos() as f64 / count as f64,
            start.elapsed().as_nanos() as f64 / count as f64
        );
        let pool = Builder::new().workers(workers).build().expect("threads");
        let start = Instant::now();
        drop(pool.spawn(move || {
            for _ in 0..count {
                drop(windlass::pool::spawn(|| ()));
            }
        }));
        pool.shutdown();
        println!(
            "{workers} workers, from a task: {:.0} ns with the run",
            start.elapsed().as_nanos() as f64 / count as f64
        );
    }
}

/// Round trips between tasks of two threads.
fn ping_pong(count: u64) {
    let (ping, pings) = channel::rendezvous::<u64>();
    let (pong, pongs) = channel::rendezvous::<u64>();
    let echo = std::thread::spawn(move || {
        windlass::run(move || {
            for value in pings {
                pong.send(value).expect("open");
            }
        });
    });
    let elapsed = windlass::run(move || {
        let start = Instant::now();
        for value in 0..count {
            ping.send(value).expect("open");
            assert_eq!(pongs.recv(), Ok(value));
        }
        start.elapsed()
    });
    echo.join().expect("no panic");
    println!("{:.0} ns a round trip between tasks", elapsed.as_nanos() as f64 / count as f64);
}

/// Round trips between two threads without tasks.
fn threads(count: u64) {
    let (ping, pings) = channel::rendezvous::<u64>();
    let (pong, pongs) = channel::rendezvous::<u64>();
    let echo = std::thread::spawn(move || {
        for value in pings {
            pong.send(value).expect("open");
        }
    });
    let start = Instant::now();
    for value in 0..count {
        ping.send(value).expect("open");
        assert_eq!(pongs.recv(), Ok(value));
    }
    let elapsed = start.elapsed();
    drop(ping);
    echo.join().expect("no panic");
    println!("{:.0} ns a round trip between threads", elapsed.as_nanos() as f64 / count as f64);
}

/// Two workers, one with a task that waits, for two seconds.
fn idle() {
    let pool = Builder::new().workers(2).build().expect("threads");
    let (to, from) = channel::rendezvous::<()>();
    let task = pool.spawn(move || from.recv());
    std::thread::sleep(std::time::Duration::from_secs(2));
    drop(to);
    let _ = task.join();
}
