//! Values: what a task keeps over a switch, what it takes in and gives back, and when these are dropped.

use crate::Trace;
use crate::trace::{Noisy, end, end_all, task};
use core::hint::black_box;
use windlass::{Builder, yield_now};

/// Yields on the way down and on the way up; the locals of each frame are in memory, and in registers where the compiler likes.
fn descend(trace: &Trace, name: &'static str, depth: u64) -> u64 {
    let frame = black_box([depth, depth * 3, depth * 5, depth * 7]);
    let local = black_box(depth * 11);
    note!(trace, "{name}: down {depth}");
    yield_now();
    let below = if depth == 0 { 0 } else { descend(trace, name, depth - 1) };
    yield_now();
    let intact = frame == [depth, depth * 3, depth * 5, depth * 7] && local == depth * 11;
    note!(trace, "{name}: up {depth}: intact: {intact}");
    below + local
}

pub(crate) fn locals_survive_yields_deep_in_recursion(trace: &Trace) {
    let tasks = [("a", 3), ("b", 5)].map(|(name, depth)| {
        let trace = trace.clone();
        Builder::new().stack_size(64 << 10).spawn(move || descend(&trace, name, depth))
    });
    for handle in tasks.into_iter().flatten() {
        note!(trace, "main: joined: {}", end(handle));
    }
}

pub(crate) fn floats_survive_switches(trace: &Trace) {
    let tasks = [("a", 0.5f64, 1.0f32), ("b", 0.25, 100.0)].map(|(name, step, start)| {
        task(trace, move |trace| {
            let (mut sum, mut product) = (black_box(step), black_box(start));
            for _ in 0..4 {
                yield_now();
                sum += step;
                product *= 1.5;
            }
            // In ten-thousandths: a float's text would take more code than the rest of the case.
            note!(trace, "{name}: {} {}", (sum * 1e4) as i64, (product * 1e4) as i64);
        })
    });
    end_all(tasks);
}

pub(crate) fn large_closures_and_results(trace: &Trace) {
    let mut numbers = [0u32; 256];
    for (number, value) in numbers.iter_mut().zip(1..) {
        *number = value;
    }
    let spawned = Builder::new().stack_size(64 << 10).spawn(move || {
        yield_now();
        let mut doubled = numbers;
        for number in &mut doubled {
            *number *= 2;
        }
        yield_now();
        (numbers, doubled)
    });
    let Ok(handle) = spawned else {
        note!(trace, "main: cannot spawn");
        return;
    };
    yield_now();
    let (numbers, doubled) = end(handle);
    note!(trace, "main: sum: {}", numbers.iter().sum::<u32>());
    note!(trace, "main: doubled: {}", doubled.iter().sum::<u32>());
    note!(trace, "main: last: {} {}", numbers[255], doubled[255]);
}

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 65]);

/// Where the compiler believes in the alignment it folds the remainder to 0; so the address goes through a black box.
fn misalignment<T>(value: &T, align: usize) -> usize {
    black_box(core::ptr::from_ref(value).addr()) % align
}

pub(crate) fn over_aligned_closures_and_results(trace: &Trace) {
    let line = black_box(Line([7; 65]));
    let of_a = trace.clone();
    let handle = windlass::spawn(move || {
        let trace = of_a;
        note!(trace, "a: closure: off by {}", misalignment(&line, 64));
        yield_now();
        let local = black_box(Line([9; 65]));
        note!(trace, "a: local: off by {}", misalignment(&local, 64));
        yield_now();
        note!(trace, "a: values: {} {}", line.0[64], local.0[64]);
        Line([line.0[64] + local.0[64]; 65])
    });
    let of_b = trace.clone();
    let small = windlass::spawn(move || {
        let trace = of_b;
        let local = black_box(3u128);
        yield_now();
        note!(trace, "b: local: off by {}", misalignment(&local, align_of::<u128>()));
        local
    });
    let result = black_box(end(handle));
    note!(trace, "main: result: off by {}", misalignment(&result, 64));
    note!(trace, "main: value: {}", result.0.iter().map(|&byte| u32::from(byte)).sum::<u32>());
    note!(trace, "main: value: {}", end(small));
}

pub(crate) fn captures_are_dropped_before_the_join(trace: &Trace) {
    let capture = Noisy::new("capture", trace);
    let a = task(trace, move |trace| {
        note!(trace, "a: has the {}", capture.name());
        yield_now();
        Noisy::new("result", &trace)
    });
    let result = end(a);
    note!(trace, "main: has the {}", result.name());
}

pub(crate) fn a_joined_result_is_dropped_once(trace: &Trace) {
    let a = task(trace, |trace| Noisy::new("result", &trace));
    let result = end(a);
    note!(trace, "main: has the {}", result.name());
    drop(result);
    note!(trace, "main: goes on");
}
