//! Random programs do on the library exactly what a plain model says: every operation, in the same order, with the same outcome.
//!
//! A program is a few scripts of operations: yield, spawn, join, cancel, park, sleep, channels, mutexes, condition variables, nested runs,
//! panics, results whose destructors yield, trimming, other stack sizes. The model (`reference.rs`) keeps one queue and serves timers every
//! 64 turns. In the end no task, value or result may be left.
//!
//! `WINDLASS_MODEL_SEEDS=first..last` runs other programs, or for longer.
#![cfg(all(feature = "scheduler", feature = "timers", feature = "std"))]

mod program;
mod real;
mod reference;

use program::{Event, IDLE, MOST_TASKS, Random, Step};
use real::World;
use reference::Model;
use windlass::platform::MockClock;
use windlass::{Instant, runtime};

/// Programs in a row on one runtime.
const IN_A_ROW: usize = 4;

fn seeds() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("WINDLASS_MODEL_SEEDS") else { return 0..150 };
    let (first, last) = text.split_once("..").expect("first..last");
    first.parse().expect("a number")..last.parse().expect("a number")
}

fn check(seed: u64) {
    let mut random = Random::new(seed);
    let clock = MockClock::new();
    runtime::Builder::new().platform(clock.clone()).install().expect("a new thread");
    for number in 0..IN_A_ROW {
        let program = random.program();
        let mut model = Model::new(&program.scripts, Instant::now().as_nanos());
        let world = World::new(&program.scripts, clock.clone());
        let before = runtime::stats().switches;
        let mut seen = 0;
        let mut step = |model: &mut Model, step| {
            model.step(step);
            world.step(step);
            let (events, expected) = (&world.events.borrow()[seen..], &model.events[seen..]);
            if events != expected {
                let at =
                    events.iter().zip(expected).take_while(|(event, expected)| event == expected).count();
                let rest = |events: &[Event]| events[at..].iter().take(5).copied().collect::<Vec<_>>();
                panic!(
                    "seed {seed}, program {number}, event {}: {:?}, but expected {:?}\n{:?}",
                    seen + at,
                    rest(events),
                    rest(expected),
                    program.scripts
                );
            }
            seen += events.len();
            assert_eq!(runtime::stats().tasks, model.alive(), "seed {seed}, program {number}");
            let switches = runtime::stats().switches - before;
            assert_eq!(switches, model.switches, "seed {seed}, program {number}");
        };
        for &each in &program.host {
            step(&mut model, each);
        }
        // Cancelled, every script comes to its end; it may have spawned another task before.
        let mut rounds = 0;
        while runtime::stats().tasks > 0 && rounds < MOST_TASKS {
            rounds += 1;
            step(&mut model, Step::CancelAll);
            step(&mut model, Step::Run(IDLE));
            step(&mut model, Step::DropHandles);
        }
        assert_eq!(runtime::stats().tasks, 0, "seed {seed}, program {number}");
        world.drain_channels();
        assert_eq!(world.alive(), (0, 0), "seed {seed}, program {number}: values, results");
    }
}

#[test]
fn random_programs_do_what_the_model_says() {
    for seed in seeds() {
        let thread = std::thread::Builder::new().name(format!("seed {seed}")).spawn(move || check(seed));
        assert!(thread.expect("a thread").join().is_ok(), "seed {seed}");
    }
}
