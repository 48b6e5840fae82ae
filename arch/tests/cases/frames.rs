//! What lies on a stack is the same after a switch.

use core::cell::Cell;
use core::hint::black_box;

use windlass_arch::Context;

use super::{Room, Seam, leave, nobody, run, switch};

pub fn the_stack_is_aligned_at_entry<B: Seam>(room: &mut Room<'_>) {
    #[repr(align(16))]
    struct Aligned(u8);

    let rests = Cell::new([usize::MAX; 2]);
    let task = nobody();
    let rest = || {
        let local = Aligned(0);
        // Through `black_box`, or the compiler answers with what it asked for.
        let aligned = black_box(&raw const local).addr() % align_of::<Aligned>();
        aligned + usize::from(black_box(&local).0)
    };
    run::<B>(room.prepare::<B, _>(|| {
        let before = rest();
        leave::<B>(&task);
        rests.set([before, rest()]);
        Context::HOST
    }));
    run::<B>(task.get());
    assert_eq!(rests.get(), [0, 0]);
}

pub fn locals_survive_a_switch<B: Seam>(room: &mut Room<'_>) {
    let (a, b) = (nobody(), nobody());
    // More values than there are registers, of each kind, alive across a switch; different on each stack.
    let work = |seed: u64, mine: &Cell<Context>, other: &Cell<Context>| {
        let ints: [u64; 12] = core::array::from_fn(|i| black_box(seed.wrapping_mul(i as u64 + 3)));
        let floats: [f64; 20] = core::array::from_fn(|i| black_box(seed as f64 / (i as f64 + 0.5)));
        let wide = black_box((u128::from(seed) << 70) | 5);
        let narrow = black_box(seed as f32 * 0.25);
        let (mut sum, mut total) = (ints[0], floats[0]);
        for round in 0..10 {
            switch::<B>(mine, other.get());
            for (int, float) in ints.iter().zip(&floats) {
                sum = sum.rotate_left(5).wrapping_add(*int ^ round);
                total = total * 0.5 + float;
            }
        }
        let mut again = ints[0];
        let mut again_total = floats[0];
        for round in 0..10 {
            for (int, float) in ints.iter().zip(&floats) {
                again = again.rotate_left(5).wrapping_add(*int ^ round);
                again_total = again_total * 0.5 + float;
            }
        }
        assert_eq!(sum, again);
        assert_eq!(total.to_bits(), again_total.to_bits());
        for (i, int) in ints.iter().enumerate() {
            assert_eq!(*int, seed.wrapping_mul(i as u64 + 3));
        }
        assert_eq!(wide, (u128::from(seed) << 70) | 5);
        assert_eq!(narrow.to_bits(), (seed as f32 * 0.25).to_bits());
    };
    let first = room.prepare::<B, _>(|| {
        work(0x9e37_79b9, &a, &b);
        // The other has one switch left to return from.
        b.get()
    });
    b.set(room.prepare::<B, _>(|| {
        work(0x0dea_dbee, &b, &a);
        Context::HOST
    }));
    run::<B>(first);
}

pub fn deep_frames_survive_a_switch<B: Seam>(room: &mut Room<'_>) {
    fn dive<B: Seam>(depth: u64, save: &Cell<Context>) -> u64 {
        let here = black_box([depth; 4]);
        let below = if depth == 0 {
            leave::<B>(save);
            0
        } else {
            dive::<B>(depth - 1, save)
        };
        black_box(&here).iter().sum::<u64>() + below
    }
    const DEPTH: u64 = 150;
    let task = nobody();
    let sum = Cell::new(0);
    run::<B>(room.prepare::<B, _>(|| {
        sum.set(dive::<B>(DEPTH, &task) + dive::<B>(DEPTH, &task));
        Context::HOST
    }));
    run::<B>(task.get());
    assert_eq!(sum.get(), 0);
    run::<B>(task.get());
    assert_eq!(sum.get(), 2 * 4 * DEPTH * (DEPTH + 1) / 2);
}

pub fn large_frames_survive_a_switch<B: Seam>(room: &mut Room<'_>) {
    const WORDS: usize = 8 * 1024;
    fn fill<B: Seam>(seed: u32, mine: &Cell<Context>, to: Context) {
        let mut frame = [0_u32; WORDS];
        for (i, word) in black_box(&mut frame).iter_mut().enumerate() {
            *word = seed ^ i as u32;
        }
        switch::<B>(mine, to);
        for (i, word) in black_box(&frame).iter().enumerate() {
            assert_eq!(*word, seed ^ i as u32);
        }
    }
    let (a, b) = (nobody(), nobody());
    let second = room.prepare::<B, _>(|| {
        fill::<B>(0x5555_0000, &b, a.get());
        Context::HOST
    });
    let first = room.prepare::<B, _>(|| {
        fill::<B>(0x3333_0000, &a, second);
        b.get()
    });
    run::<B>(first);
}

pub fn the_smallest_stack_runs_an_entry<B: Seam>(room: &mut Room<'_>) {
    unsafe extern "C" fn entry(done: *mut ()) -> Context {
        // SAFETY: the case passes its `bool`.
        unsafe { done.cast::<bool>().write(true) };
        Context::HOST
    }
    let (_, base) = room.stack();
    let mut done = false;
    let limit = base.wrapping_sub(B::STACK_MIN);
    // SAFETY: the stack is the top of the room's, and `done` outlives the context.
    run::<B>(unsafe { B::prepare(limit, base, entry, (&raw mut done).cast()) });
    assert!(black_box(done));
}
