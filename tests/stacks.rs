//! Stacks as a provider hands them out: their ends, their guards, their content.
#![cfg(all(feature = "scheduler", feature = "std", unix))]

#[allow(dead_code, reason = "each file of tests uses some of it")]
mod child;

use std::collections::BTreeSet;
use windlass::stacks::slab::SlabStacks;
use windlass::stacks::{StackError, StackMemory, StackProvider, heap::HeapStacks};

const KIB: usize = 1 << 10;

/// Uses the stack as an idle task does: some words at its base.
fn touch(stack: &StackMemory) {
    // SAFETY: inside the stack, which nobody else uses.
    unsafe { stack.base().sub(256).write_bytes(0x55, 256) };
}

/// The same order each time, and no order at all.
fn shuffle<T>(list: &mut [T]) {
    let mut state = 1u64;
    for last in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(last, (state >> 33) as usize % (last + 1));
    }
}

/// Whether the kernel can read this byte.
fn is_readable(address: *const u8) -> bool {
    let mut pipe = [0; 2];
    // SAFETY: a system call reports what it cannot read.
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let written = libc::write(pipe[1], address.cast(), 1);
        for end in pipe {
            libc::close(end);
        }
        written == 1
    }
}

#[test]
fn stacks_are_large_enough_and_do_not_overlap_and_each_has_a_guard() {
    let mut stacks = SlabStacks::new();
    let mut all = Vec::new();
    for round in 0..100 {
        for size in [1, 4096, 4097, 65536, 256 << 10] {
            let stack = stacks.acquire(size).expect("memory");
            assert!(stack.size() >= size && stack.base().addr() - stack.limit().addr() == stack.size());
            assert_eq!((stack.limit().addr() % 64, stack.base().addr() % 64), (0, 0));
            let page = stack.limit().map_addr(|address| address & !4095);
            assert!(stack.limit().addr() - page.addr() <= 1984);
            assert!(!is_readable(page.wrapping_sub(1)), "round {round}, size {size}: the guard");
            // SAFETY: the whole stack is ours.
            unsafe { stack.limit().write_bytes(0xa5, stack.size()) };
            all.push(stack);
        }
    }
    all.sort_by_key(|stack| stack.limit().addr());
    assert!(all.windows(2).all(|pair| pair[0].base().addr() < pair[1].limit().addr()));
    assert_eq!(stacks.counts().in_use, 500);
    for stack in all {
        stacks.release(stack);
    }
    assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (0, 500));
}

#[test]
fn packed_stacks_are_large_enough_and_do_not_overlap() {
    let mut stacks = SlabStacks::new();
    let mut all = Vec::new();
    for _ in 0..1000 {
        for size in [1, 1024, 1500, 4096, 20_000] {
            let stack = stacks.acquire_unguarded(size).expect("memory");
            assert!(stack.size() >= size.max(1024));
            assert_eq!((stack.limit().addr() % 64, stack.base().addr() % 64), (0, 0));
            // All but the canary.
            // SAFETY: inside the stack.
            unsafe { stack.limit().add(8).write_bytes(0xa5, stack.size() - 8) };
            all.push(stack);
        }
    }
    all.sort_by_key(|stack| stack.limit().addr());
    assert!(all.windows(2).all(|pair| pair[0].base().addr() <= pair[1].limit().addr()));
    shuffle(&mut all);
    for stack in all {
        stacks.release(stack);
    }
    assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (0, 5000));
}

#[test]
fn bases_walk_through_the_cache_sets() {
    let mut stacks = SlabStacks::new();
    let mut sets = |packed| {
        let stack = if packed { stacks.acquire_unguarded(KIB) } else { stacks.acquire(64 * KIB) };
        stack.expect("memory").base().addr() / 64 % 64
    };
    let guarded: BTreeSet<_> = (0..64).map(|_| sets(false)).collect();
    let packed: BTreeSet<_> = (0..256).map(|_| sets(true)).collect();
    assert_eq!((guarded.len(), packed.len()), (32, 64));
}

#[test]
fn the_stack_that_was_given_back_last_is_handed_out_first() {
    let mut stacks = SlabStacks::new();
    for unguarded in [false, true] {
        let acquire = |stacks: &mut SlabStacks, size| {
            let stack = if unguarded { stacks.acquire_unguarded(size) } else { stacks.acquire(size) };
            stack.expect("memory")
        };
        let sizes = [4096, 65536, 4096, 8192, 65536, 4096];
        let acquired = sizes.map(|size| acquire(&mut stacks, size));
        let ends = acquired.each_ref().map(|stack| (stack.limit(), stack.size()));
        for stack in acquired {
            stacks.release(stack);
        }
        for index in [5, 4, 2, 3, 1, 0] {
            let stack = acquire(&mut stacks, sizes[index]);
            assert_eq!((stack.limit(), stack.size()), ends[index]);
            stacks.release(stack);
            let again = acquire(&mut stacks, sizes[index]);
            assert_eq!((again.limit(), again.size()), ends[index]);
        }
    }
}

#[test]
fn guarded_and_packed_stacks_of_a_size_do_not_mix() {
    let mut stacks = SlabStacks::new();
    let guarded = stacks.acquire(4096).expect("memory");
    let limit = guarded.limit();
    stacks.release(guarded);
    let packed = stacks.acquire_unguarded(4096).expect("memory");
    assert_ne!(packed.limit(), limit);
    stacks.release(packed);
    assert_eq!(stacks.acquire(4096).expect("memory").limit(), limit);
}

#[test]
#[should_panic(expected = "a stack was released to a provider that it did not come from")]
fn a_stack_of_another_provider_is_refused() {
    let [mut first, mut second] = [SlabStacks::new(), SlabStacks::new()];
    let stack = first.acquire(4096).expect("memory");
    // Its own stack of the same class is out, too.
    let own = second.acquire(4096).expect("memory");
    second.release(stack);
    second.release(own);
}

#[test]
#[should_panic(expected = "a stack was released to a provider that it did not come from")]
fn a_stack_that_somebody_made_up_is_refused() {
    let mut stacks = SlabStacks::new();
    let stack = stacks.acquire(4096).expect("memory");
    let limit = std::ptr::NonNull::new(stack.limit()).expect("memory");
    stacks.release(StackMemory::new(limit, stack.size()));
}

#[test]
fn a_size_that_nobody_has_is_an_error() {
    let mut stacks = SlabStacks::new();
    for size in [usize::MAX, usize::MAX - 4096, windlass::stacks::MAX_SIZE + 1] {
        assert_eq!(stacks.acquire(size).err(), Some(StackError::OutOfMemory));
        assert_eq!(stacks.acquire_unguarded(size).err(), Some(StackError::OutOfMemory));
    }
    let stack = stacks.acquire(windlass::stacks::MAX_SIZE).expect("address space");
    touch(&stack);
    stacks.release(stack);
}

#[test]
fn other_providers_hand_out_what_they_have_as_unguarded_stacks() {
    let mut stacks = HeapStacks::new();
    let stack = stacks.acquire_unguarded(KIB).expect("memory");
    stacks.release(stack);
    stacks.trim();
    assert_eq!((stacks.counts().in_use, stacks.counts().pooled), (0, 0));
}

#[test]
fn guards_outlive_the_memory_between_them() {
    for advice in [true, false] {
        let mut stacks = SlabStacks::builder().guard_advice(advice).build();
        let all: Vec<_> = (0..300).map(|_| stacks.acquire(16 * KIB).expect("memory")).collect();
        let limits: Vec<_> = all.iter().map(|stack| stack.limit()).collect();
        for stack in all {
            touch(&stack);
            stacks.release(stack);
        }
        stacks.trim();
        for limit in limits {
            let page = limit.map_addr(|address| address & !4095);
            assert!(is_readable(limit) && is_readable(page));
            assert!(!is_readable(page.wrapping_sub(1)) && !is_readable(page.wrapping_sub(4096)));
        }
    }
}

#[test]
fn what_is_in_use_keeps_its_content_while_others_give_their_memory_back() {
    for packed in [false, true] {
        let mut stacks = SlabStacks::builder().keep_warm(0).build();
        let mut all = Vec::new();
        for n in 0..2000usize {
            let stack = if packed { stacks.acquire_unguarded(KIB) } else { stacks.acquire(4 * KIB) };
            let stack = stack.expect("memory");
            // SAFETY: inside the stack: its first word above the canary and its last one.
            unsafe {
                stack.limit().cast::<usize>().add(1).write(n);
                stack.base().cast::<usize>().sub(1).write(n);
            }
            all.push((n, stack));
        }
        shuffle(&mut all);
        let kept = all.split_off(700);
        for (_, stack) in all {
            stacks.release(stack);
        }
        stacks.trim();
        for (n, stack) in kept {
            // SAFETY: as above.
            let words = unsafe {
                (stack.limit().cast::<usize>().add(1).read(), stack.base().cast::<usize>().sub(1).read())
            };
            assert_eq!(words, (n, n), "packed {packed}");
            stacks.release(stack);
        }
    }
}

/// Switches among tasks and uses their stacks again, under valgrind's memcheck.
#[test]
#[ignore = "needs valgrind: `cargo test --test stacks -- --ignored`"]
#[cfg(not(windlass_backend = "threads"))]
fn valgrind_sees_switches_and_no_errors() {
    if child::part().is_some() {
        let work = || {
            windlass::run(|| {
                for round in 0..3 {
                    let tasks: Vec<_> = (0..1000)
                        .map(|n| {
                            let large = [n; 100];
                            let builder = windlass::Builder::new().stack_size(32 * KIB);
                            let task = move || {
                                windlass::yield_now();
                                large[99] + round
                            };
                            builder.spawn(task).expect("memory")
                        })
                        .collect();
                    for (n, task) in tasks.into_iter().enumerate() {
                        assert_eq!(task.join().expect("no panic"), n + round);
                    }
                    // A closure that lies where frames of the former tasks were.
                    let large = [round; 200];
                    let sum = move || {
                        windlass::yield_now();
                        large.iter().sum::<usize>()
                    };
                    let task = windlass::Builder::new().stack_size(32 * KIB).spawn(sum).expect("memory");
                    assert_eq!(task.join().expect("no panic"), 200 * round);
                }
            });
        };
        // A thread's end gives its stacks back.
        return std::thread::spawn(work).join().expect("no panic");
    }
    let output =
        child::under(&["valgrind", "--error-exitcode=9"], "valgrind_sees_switches_and_no_errors", "child");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("ERROR SUMMARY: 0 errors from 0 contexts"), "{text}");
    assert!(!text.contains("Warning"), "{text}");
    assert!(output.status.success(), "{}\n{text}", output.status);
}
