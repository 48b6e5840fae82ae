//! corosensei: raw, and behind a queue that makes it a scheduler of the simplest kind.

use std::collections::VecDeque;
use std::ptr;
use std::sync::Arc;

use corosensei::stack::{DefaultStack, MIN_STACK_SIZE, Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::depth::beneath;
use crate::meter::{Measured, Meter};
use crate::subject::Subject;
use crate::subjects::ring;

pub(crate) const COROSENSEI: Subject = Subject {
    name: "corosensei",
    packages: &["corosensei"],
    about: "a VecDeque of coroutines on stacks of 4 KiB out of one mapping, without guards; nothing joins; `switch` is \
            one coroutine resumed",
    most_tasks: None,
    countable: true,
    benches: &[
        ("yield", ring::yields::<Task>),
        ("yield-shuffled", ring::shuffled::<Task>),
        ("depth", depth),
        ("spawn", spawn),
        ("spawn-burst", burst),
        ("memory", ring::memory::<Task>),
        ("switch", switch),
    ],
};

/// A part of one mapping.
struct SlabStack {
    base: StackPointer,
    limit: StackPointer,
}

// SAFETY: the mapping is never given back, each part is handed out once, both ends are multiples of a page. There is no
// guard, which no program here needs: each of them uses a few hundred bytes.
unsafe impl Stack for SlabStack {
    fn base(&self) -> StackPointer {
        self.base
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}

fn slab(stacks: u64, size: usize) -> impl Iterator<Item = SlabStack> {
    let bytes = stacks as usize * size;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new mapping, in nobody's way.
    let start =
        unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(start, libc::MAP_FAILED, "no memory for {stacks} stacks");
    let start = start.addr();
    let pointer = |address| StackPointer::new(address).expect("not null");
    (0..stacks as usize).map(move |index| {
        let limit = start + index * size;
        SlabStack { base: pointer(limit + size), limit: pointer(limit) }
    })
}

type Task = Coroutine<(), (), (), SlabStack>;

fn turns(yielder: &Yielder<(), ()>, meter: &Meter, rounds: u64) {
    yielder.suspend(());
    meter.begin();
    for _ in 0..rounds {
        yielder.suspend(());
    }
    meter.end();
    while meter.others_run() {
        yielder.suspend(());
    }
}

impl ring::Task for Task {
    fn ring(tasks: u64, rounds: u64) -> (VecDeque<Task>, Arc<Meter>) {
        let meter = Arc::new(Meter::new(tasks));
        let task = |stack| {
            let meter = Arc::clone(&meter);
            Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| turns(yielder, &meter, rounds))
        };
        (slab(tasks, MIN_STACK_SIZE).map(task).collect(), meter)
    }

    fn resume(&mut self) -> bool {
        matches!(Coroutine::resume(self, ()), CoroutineResult::Yield(()))
    }
}

fn depth(frames: u64, n: u64) -> Measured {
    let rounds = n / 2;
    let meter = Arc::new(Meter::new(2));
    let task = |stack| {
        let meter = Arc::clone(&meter);
        Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
            beneath(frames, &mut || turns(yielder, &meter, rounds));
        })
    };
    ring::run(&mut slab(2, 256 << 10).map(task).collect());
    meter.measured(2 * rounds)
}

/// From a pool of one.
fn spawn(_: u64, n: u64) -> Measured {
    let mut pool: Vec<SlabStack> = slab(1, MIN_STACK_SIZE).collect();
    Measured::of(n, || {
        for _ in 0..n {
            let stack = pool.pop().expect("it came back");
            let mut task = Coroutine::<(), (), (), _>::with_stack(stack, |_, ()| ());
            assert!(matches!(task.resume(()), CoroutineResult::Return(())));
            pool.push(task.into_stack());
        }
    })
}

fn burst(tasks: u64, n: u64) -> Measured {
    let rounds = n / tasks;
    let mut pool: Vec<SlabStack> = slab(tasks, MIN_STACK_SIZE).collect();
    let mut ring = VecDeque::with_capacity(pool.len());
    let mut once = move || {
        ring.extend(pool.drain(..).map(|stack| Coroutine::<(), (), (), _>::with_stack(stack, |_, ()| ())));
        for mut task in ring.drain(..) {
            assert!(matches!(task.resume(()), CoroutineResult::Return(())));
            pool.push(task.into_stack());
        }
    };
    once();
    Measured::of(tasks * rounds, || (0..rounds).for_each(|_| once()))
}

fn switch(_: u64, n: u64) -> Measured {
    let stack = DefaultStack::new(64 << 10).expect("memory for a stack");
    let mut other = Coroutine::<(), (), (), _>::with_stack(stack, |yielder: &Yielder<(), ()>, ()| {
        loop {
            yielder.suspend(());
        }
    });
    other.resume(());
    let measured = Measured::of(n, || {
        for _ in 0..n {
            other.resume(());
        }
    });
    // SAFETY: there is nothing to drop on its stack.
    unsafe { other.force_reset() };
    measured
}
