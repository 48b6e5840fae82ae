//! generator: behind a queue, as corosensei is; and resumed by itself.

use std::collections::VecDeque;
use std::sync::Arc;

use generator::{Generator, Gn, Scope};

use crate::depth::beneath;
use crate::meter::{Measured, Meter};
use crate::subject::{GUARDED, Subject};
use crate::subjects::ring;

pub(crate) const GENERATOR: Subject = Subject {
    name: "generator",
    packages: &["generator"],
    about: "a VecDeque of generators on stacks of 4 KiB with guards; nothing joins; `switch` is one generator resumed",
    most_tasks: GUARDED,
    countable: true,
    benches: &[
        ("yield", ring::yields::<Task>),
        ("yield-shuffled", ring::shuffled::<Task>),
        ("depth", depth),
        ("spawn", spawn),
        ("memory", ring::memory::<Task>),
        ("switch", switch),
    ],
};

/// Of many, in words.
const STACK: usize = (4 << 10) / size_of::<usize>();

/// Of few, in words.
const LARGE_STACK: usize = (256 << 10) / size_of::<usize>();

type Task = Generator<'static, (), ()>;

fn turns(scope: &mut Scope<'_, 'static, (), ()>, meter: &Meter, rounds: u64) {
    scope.yield_with(());
    meter.begin();
    for _ in 0..rounds {
        scope.yield_with(());
    }
    meter.end();
    while meter.others_run() {
        scope.yield_with(());
    }
}

impl ring::Task for Task {
    fn ring(tasks: u64, rounds: u64) -> (VecDeque<Task>, Arc<Meter>) {
        let meter = Arc::new(Meter::new(tasks));
        let task = |_| {
            let meter = Arc::clone(&meter);
            Gn::new_scoped_opt(STACK, move |mut scope| {
                turns(&mut scope, &meter, rounds);
            })
        };
        ((0..tasks).map(task).collect(), meter)
    }

    fn resume(&mut self) -> bool {
        Generator::resume(self);
        !self.is_done()
    }
}

fn depth(frames: u64, n: u64) -> Measured {
    let rounds = n / 2;
    let meter = Arc::new(Meter::new(2));
    let task = |_| {
        let meter = Arc::clone(&meter);
        Gn::new_scoped_opt(LARGE_STACK, move |mut scope| {
            beneath(frames, &mut || turns(&mut scope, &meter, rounds));
        })
    };
    ring::run(&mut (0..2).map(task).collect());
    meter.measured(2 * rounds)
}

/// One stack, which is used again.
fn spawn(_: u64, n: u64) -> Measured {
    let mut task: Task = Gn::<()>::new_opt(STACK, || ());
    task.resume();
    Measured::of(n, || {
        for _ in 0..n {
            task.init_code(|| ());
            task.resume();
            assert!(task.is_done());
        }
    })
}

fn switch(_: u64, n: u64) -> Measured {
    let mut other: Task = Gn::new_scoped_opt(LARGE_STACK, |mut scope| {
        loop {
            scope.yield_with(());
        }
    });
    other.resume();
    Measured::of(n, || {
        for _ in 0..n {
            other.resume();
        }
    })
}
