//! The threads backend leaves no thread behind, but for its documented limit. One test, because it counts the process's threads.

#![cfg(target_os = "linux")]
#![allow(
    missing_docs,
    clippy::missing_safety_doc,
    unreachable_pub,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "test code"
)]

mod cases;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use cases::{Room, STACKS, Stack, leave, nobody, prepare_on, run};
use windlass_arch::Context;

cases::seam!(
    Backend = windlass_arch::threads,
    many: 1_000,
    one_host_stack: false,
    run_anywhere: true,
    on_host: windlass_arch::threads::on_host
);

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// A joined thread may stay listed for a moment while the kernel takes it down.
#[track_caller]
fn settles_at(expected: usize, state: &str) {
    for _ in 0..1_000 {
        if threads() == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{state}: {} threads, not {expected}", threads());
}

/// Ends later than its context: after the thread's own code, before the thread.
struct Late;

impl Drop for Late {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(20));
        LATE.fetch_add(1, Relaxed);
    }
}

static LATE: AtomicUsize = AtomicUsize::new(0);
thread_local! { static MINE: Late = const { Late } }

#[test]
fn a_thread_ends_with_its_context() {
    let stacks: Vec<Stack> = (0..STACKS).map(|_| Stack::NEW).collect();
    let Ok(mut stacks) = <Box<[Stack; STACKS]>>::try_from(stacks) else {
        unreachable!("as many as were made")
    };
    let mut room = Room::new(&mut stacks);
    let stack = room.stack();
    let before = threads();

    for _ in 0..200 {
        let task = nobody();
        task.set(prepare_on::<Backend, _>(stack, || {
            leave::<Backend>(&task);
            Context::HOST
        }));
        settles_at(before, "a context that has not started has no thread");
        run::<Backend>(task.get());
        settles_at(before + 1, "suspended");
        run::<Backend>(task.get());
        settles_at(before, "ended");

        let never = prepare_on::<Backend, _>(stack, || Context::HOST);
        // SAFETY: nobody continues it.
        unsafe { windlass_arch::threads::discard(never) };
    }
    settles_at(before, "finished and never started");

    for ended in 1..=3 {
        run::<Backend>(prepare_on::<Backend, _>(stack, || {
            MINE.with(|_| ());
            Context::HOST
        }));
        assert_eq!(LATE.load(Relaxed), ended, "an ended context's thread is joined before the next goes on");
    }

    for discarded in 1..=5 {
        let task = nobody();
        run::<Backend>(prepare_on::<Backend, _>(stack, || {
            leave::<Backend>(&task);
            Context::HOST
        }));
        // SAFETY: nobody continues it, and nothing on its stack needs a drop.
        unsafe { windlass_arch::threads::discard(task.get()) };
        settles_at(before + discarded, "the limit: one sleeping thread for each");
    }
}
