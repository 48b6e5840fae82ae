//! Many tasks, and nothing leaked: stacks, task slots and heap are back where they were.
#![cfg(feature = "scheduler")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::rc::Rc;
use windlass::{Builder, channel, runtime, spawn, yield_now};

/// The system's allocator, counting the calling thread's bytes.
struct Counting;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|bytes| bytes.set(bytes.get() + layout.size() as isize));
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = ALLOCATED.try_with(|bytes| bytes.set(bytes.get() - layout.size() as isize));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// On the threads backend a task is an OS thread. On Windows each stack is committed memory, and under Wine two mappings of 65,530.
const TASKS: usize = if cfg!(windlass_backend = "threads") {
    500
} else if cfg!(windows) {
    20_000
} else {
    100_000
};

/// Spawns, suspends and finishes all tasks at once.
fn round() {
    windlass::run(|| {
        let turns = Rc::new(Cell::new(0usize));
        let tasks: Vec<_> = (0..TASKS)
            .map(|index| {
                let turns = Rc::clone(&turns);
                let builder = Builder::new().stack_size(16 << 10);
                builder
                    .spawn(move || {
                        turns.set(turns.get() + 1);
                        yield_now();
                        turns.set(turns.get() + 1);
                        index
                    })
                    .expect("memory")
            })
            .collect();
        assert_eq!(runtime::stats().tasks, TASKS + 1);
        for (index, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().expect("no panic"), index);
        }
        assert_eq!(turns.get(), 2 * TASKS);
    });
}

#[test]
fn many_tasks_at_once_spawn_yield_and_finish_and_nothing_leaks() {
    round();
    let first = runtime::stats();
    assert_eq!((first.tasks, first.stacks.in_use, first.stacks.pooled), (0, 0, TASKS + 1));
    let allocated = ALLOCATED.get();
    round();
    let second = runtime::stats();
    assert_eq!(
        (second.tasks, second.stacks),
        (first.tasks, first.stacks),
        "the pool serves the second round"
    );
    // The threads backend allocates in one thread what it frees in another.
    if !cfg!(windlass_backend = "threads") {
        assert_eq!(ALLOCATED.get(), allocated, "the heap is back where it was");
    }
}

#[test]
fn a_warm_spawn_and_join_allocates_nothing() {
    let allocations = windlass::run(|| {
        spawn(|| ()).join().expect("no panic");
        let before = ALLOCATIONS.get();
        for n in 0..1000u32 {
            assert_eq!(spawn(move || n).join().expect("no panic"), n);
        }
        ALLOCATIONS.get() - before
    });
    // A thread of the threads backend is allocated, of course.
    if !cfg!(windlass_backend = "threads") {
        assert_eq!(allocations, 0);
    }
}

#[test]
fn what_detached_tasks_and_channels_held_is_given_back() {
    let values = Rc::new(());
    let inside = Rc::clone(&values);
    windlass::run(move || {
        let (sender, receiver) = channel::unbounded();
        for _ in 0..100 {
            let (sender, value) = (sender.clone(), Rc::clone(&inside));
            // Detached; its result is dropped with it.
            spawn(move || {
                sender.send(Rc::clone(&value)).expect("open");
                value
            });
        }
        for _ in 0..50 {
            receiver.recv().expect("a value");
        }
    });
    assert_eq!(Rc::strong_count(&values), 1);
    assert_eq!(runtime::stats().tasks, 0);
}

#[test]
fn what_nobody_can_receive_any_more_is_dropped_with_the_last_receiver() {
    let value = Rc::new(());
    let (sender, receiver) = channel::unbounded();
    sender.send(Rc::clone(&value)).expect("open");
    let other = receiver.clone();
    drop(receiver);
    assert_eq!(Rc::strong_count(&value), 2);
    drop(other);
    assert_eq!(Rc::strong_count(&value), 1);
    assert!(sender.is_closed());
}

#[test]
fn closures_and_results_are_aligned_on_stacks_that_are_not() {
    #[repr(align(256))]
    #[derive(Clone, Copy, PartialEq, Debug)]
    struct Wide(u64);

    // SAFETY: these tasks need little stack.
    let builder = unsafe { runtime::Builder::new().stacks(windlass::stacks::heap::HeapStacks::new()) };
    builder.install().expect("each test has its own thread");
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            let wide = Wide(n);
            // Sizes that leave the allocator's blocks at different addresses. A debug build checks each access to the packet.
            let builder = Builder::new().stack_size(16384 + 48 * n as usize);
            builder
                .spawn(move || {
                    yield_now();
                    wide
                })
                .expect("memory")
        })
        .collect();
    windlass::run(|| {
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().expect("no panic"), Wide(n as u64));
        }
    });
}
