//! The memory that stacks take and give back, as the kernel counts it (Linux).
#![cfg(all(feature = "scheduler", feature = "std", target_os = "linux"))]

#[allow(dead_code, reason = "each file of tests uses some of it")]
mod child;

use windlass::stacks::slab::SlabStacks;
use windlass::stacks::{StackError, StackMemory, StackProvider};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Uses the stack as an idle task does: some words at its base.
fn touch(stack: &StackMemory) {
    // SAFETY: inside the stack, which nobody else uses.
    unsafe { stack.base().sub(256).write_bytes(0x55, 256) };
}

/// Resident bytes of this process.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("Linux").lines().count()
}

/// Page faults of this thread.
fn faults() -> libc::c_long {
    // SAFETY: all-zero is a valid `rusage`.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage.ru_minflt
    }
}

/// Whether guards are marks in page tables: Linux 6.13.
fn kernel_has_guards() -> bool {
    const GUARD_INSTALL: i32 = 102;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping, which nobody uses.
    unsafe {
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        page != libc::MAP_FAILED && libc::madvise(page, 4096, GUARD_INSTALL) == 0
    }
}

/// The same order each time, and no order at all.
fn shuffle<T>(list: &mut [T]) {
    let mut state = 1u64;
    for last in (1..list.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        list.swap(last, (state >> 33) as usize % (last + 1));
    }
}

#[test]
fn an_idle_guarded_stack_takes_a_page_and_no_mapping() {
    child::alone("an_idle_guarded_stack_takes_a_page_and_no_mapping", || {
        let guards = kernel_has_guards();
        // Else each costs two mappings, a step some more, and their number is limited.
        let (count, more_mappings) = match (guards, usize::BITS) {
            // Ranges are small there, and there are more of them.
            (true, 32) => (10_000, 20),
            (true, _) => (100_000, 12),
            (false, _) => (10_000, 21_000),
        };
        for size in [4096, 64 * KIB] {
            let mut stacks = SlabStacks::new();
            let mut all = Vec::with_capacity(count);
            all.resize_with(count, || None);
            let (memory, maps) = (resident(), mappings());
            for place in &mut all {
                let stack = stacks.acquire(size).expect("memory");
                touch(&stack);
                *place = Some(stack);
            }
            let each = (resident() - memory) / count;
            println!("{each} bytes for a guarded stack of {size}, {} mappings more", mappings() - maps);
            // The kernel's counter may lag behind by some pages for each CPU.
            assert!((4080..=4200).contains(&each), "{each}");
            assert!(mappings() - maps <= more_mappings, "{}", mappings() - maps);
        }
    });
}

#[test]
fn a_packed_stack_takes_what_was_asked_for_and_a_part_of_a_line() {
    child::alone("a_packed_stack_takes_what_was_asked_for_and_a_part_of_a_line", || {
        const STACKS: usize = 100_000;
        let mut stacks = SlabStacks::new();
        let mut all = Vec::with_capacity(STACKS);
        all.resize_with(STACKS, || None);
        let memory = resident();
        for place in &mut all {
            let stack = stacks.acquire_unguarded(KIB).expect("memory");
            touch(&stack);
            *place = Some(stack);
        }
        let each = (resident() - memory) / STACKS;
        println!("{each} bytes for a packed stack of 1024");
        assert!((1024..=1056).contains(&each), "{each}");
    });
}

/// What is left of many stacks that were in use at once and given back, in this order.
fn left_of(stacks: &mut SlabStacks, count: usize, packed: bool, shuffled: bool) -> usize {
    let mut all = Vec::with_capacity(count);
    all.resize_with(count, || None);
    let before = resident();
    for place in &mut all {
        let stack = if packed { stacks.acquire_unguarded(KIB) } else { stacks.acquire(16 * KIB) };
        let stack = stack.expect("memory");
        touch(&stack);
        *place = Some(stack);
    }
    assert!(resident() - before > count * KIB, "a peak");
    if shuffled {
        shuffle(&mut all);
    }
    for stack in all.into_iter().flatten() {
        stacks.release(stack);
    }
    resident().saturating_sub(before)
}

#[test]
fn after_a_peak_memory_goes_back_to_the_system() {
    child::alone("after_a_peak_memory_goes_back_to_the_system", || {
        const STACKS: usize = 20_000;
        for shuffled in [false, true] {
            let mut stacks = SlabStacks::new();
            let left = left_of(&mut stacks, STACKS, false, shuffled);
            println!("guarded, shuffled {shuffled}: {left} bytes are left of {STACKS} stacks, as pages");
            // 1,024 warm stacks of a page, the pool's words; and for what the kernel's counter lags behind and the allocator
            // keeps: one MiB.
            assert!(left <= 4 * MIB + 8 * STACKS + MIB, "{left}");
            let before = resident();
            stacks.trim();
            assert!(before - resident() >= 2 * MIB - MIB / 4, "512 warm stacks at least go back, too");

            let mut stacks = SlabStacks::new();
            let left = left_of(&mut stacks, 2 * STACKS, true, shuffled);
            println!("packed, shuffled {shuffled}: {left} bytes are left of {} stacks", 2 * STACKS);
            // 4,096 warm stacks of 1 KiB: in order they fill 4 MiB; shuffled each keeps one page at least and two at most. The tenth of
            // all stacks that they are has a part in a third of all pages.
            let pages = if shuffled { 2 * STACKS * 1040 * 2 / 5 } else { 4 * MIB + MIB / 4 };
            assert!(left <= pages + 8 * 2 * STACKS + MIB, "{left}");
            stacks.trim();
            let again = left_of(&mut stacks, 2 * STACKS, true, shuffled);
            assert!(again <= pages + MIB, "{again}");
        }
    });
}

#[test]
fn tasks_that_come_and_go_by_the_thousand_cost_no_system_call() {
    child::alone("tasks_that_come_and_go_by_the_thousand_cost_no_system_call", || {
        for packed in [false, true] {
            for peak in [0, 20_000] {
                let mut stacks = SlabStacks::new();
                left_of(&mut stacks, peak.max(1), packed, true);
                let mut all = Vec::with_capacity(1000);
                let mut cycle = || {
                    for _ in 0..1000 {
                        let stack =
                            if packed { stacks.acquire_unguarded(KIB) } else { stacks.acquire(16 * KIB) };
                        let stack = stack.expect("memory");
                        touch(&stack);
                        all.push(stack);
                    }
                    all.drain(..).for_each(|stack| stacks.release(stack));
                };
                cycle();
                let before = faults();
                (0..100).for_each(|_| cycle());
                // What was given back would fault when it is touched again.
                assert_eq!(faults(), before, "packed {packed}, after a peak of {peak}");
            }
        }
    });
}

#[test]
fn a_pool_may_be_kept_warmer() {
    child::alone("a_pool_may_be_kept_warmer", || {
        let mut stacks = SlabStacks::builder().keep_warm(30_000).build();
        let left = left_of(&mut stacks, 20_000, false, false);
        assert!(left >= 20_000 * 4096 - MIB, "{left}");
        drop(stacks);
        let mut stacks = SlabStacks::builder().keep_warm(0).build();
        let left = left_of(&mut stacks, 20_000, false, false);
        assert!(left <= MIB, "{left}");
    });
}

#[test]
fn packed_stacks_on_huge_pages_take_them_and_give_them_back() {
    child::alone("packed_stacks_on_huge_pages_take_them_and_give_them_back", || {
        let mut stacks = SlabStacks::builder().huge_pages(true).keep_warm(0).build();
        let mut acquire = |count| (0..count).map(|_| stacks.acquire_unguarded(KIB)).collect::<Vec<_>>();
        let all: Vec<_> = acquire(4000).into_iter().map(|stack| stack.expect("memory")).collect();
        let enabled =
            std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        if enabled.contains("[madvise]") || enabled.contains("[always]") {
            let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
            let huge = smaps.lines().filter_map(|line| line.strip_prefix("AnonHugePages:"));
            let kib: usize =
                huge.filter_map(|line| line.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok()).sum();
            assert!(kib >= 4096, "4,000 stacks lie on two huge pages at least: {kib} KiB");
        }
        let peak = resident();
        for stack in all {
            stacks.release(stack);
        }
        // The stack that was given last stays warm, and the huge page that it lies on.
        assert!(peak - resident() >= 2 * MIB - MIB / 4, "a whole huge page goes back");
        stacks.trim();
        assert!(peak - resident() >= 4 * MIB - MIB / 4, "all go back");
    });
}

#[test]
fn a_provider_without_stacks_in_use_leaves_nothing_behind() {
    child::alone("a_provider_without_stacks_in_use_leaves_nothing_behind", || {
        let round = || {
            let mut stacks = SlabStacks::builder().guard_advice(false).build();
            let mut all: Vec<_> = (0..1000).map(|_| stacks.acquire(KIB).expect("in the budget")).collect();
            all.extend((0..1000).map(|_| stacks.acquire_unguarded(KIB).expect("memory")));
            all.into_iter().for_each(|stack| stacks.release(stack));
        };
        round();
        let before = mappings();
        // More than the budget of guards, one after the other.
        (0..30).for_each(|_| round());
        assert_eq!(mappings(), before);
    });
}

#[test]
fn with_little_address_space_there_are_stacks_all_the_same() {
    child::alone("with_little_address_space_there_are_stacks_all_the_same", || {
        let pages: usize = std::fs::read_to_string("/proc/self/statm")
            .expect("Linux")
            .split(' ')
            .next()
            .and_then(|pages| pages.parse().ok())
            .expect("a number");
        let limit = (pages * 4096 + 100 * MIB) as libc::rlim_t;
        // SAFETY: a valid limit.
        unsafe { libc::setrlimit(libc::RLIMIT_AS, &libc::rlimit { rlim_cur: limit, rlim_max: limit }) };
        let mut stacks = SlabStacks::new();
        let mut all = Vec::new();
        let error = loop {
            match stacks.acquire(64 * KIB) {
                Ok(stack) => all.push(stack),
                Err(error) => break error,
            }
        };
        assert_eq!(error, StackError::OutOfMemory);
        assert!(all.len() > 800, "{} stacks of 72 KiB in 100 MiB", all.len());
        for stack in all {
            touch(&stack);
            stacks.release(stack);
        }
    });
}
