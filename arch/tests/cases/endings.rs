//! How a context ends: by its entry's result, or discarded.

use core::cell::Cell;

use windlass_arch::Context;

use super::{Room, Seam, Trace, leave, nobody, prepare_on, run, switch};

pub fn an_entry_ends_to_another_context<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let a = nobody();
    let b = room.prepare::<B, _>(|| {
        trace.note('b');
        a.get()
    });
    let first = room.prepare::<B, _>(|| {
        trace.note('a');
        switch::<B>(&a, b);
        trace.note('A');
        Context::HOST
    });
    run::<B>(first);
    trace.is("abA");
}

pub fn an_entry_ends_to_a_fresh_context<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let last = room.prepare::<B, _>(|| {
        trace.note('c');
        Context::HOST
    });
    let middle = room.prepare::<B, _>(|| {
        trace.note('b');
        last
    });
    let first = room.prepare::<B, _>(|| {
        trace.note('a');
        middle
    });
    run::<B>(first);
    trace.is("abc");
}

pub fn a_dead_stack_is_free_for_the_successor<B: Seam>(room: &mut Room<'_>) {
    const ROUNDS: usize = 100;
    let stack = room.stack();
    let rounds = Cell::new(0);
    let manager = nobody();
    let first = room.prepare::<B, _>(|| {
        while rounds.get() < ROUNDS {
            let mut seed = rounds.get() as u64;
            let task = prepare_on::<B, _>(stack, || {
                // A frame of some size, so that a successor on top of a living one would show.
                let frame: [u64; 64] = core::array::from_fn(|i| seed.wrapping_mul(i as u64));
                seed += core::hint::black_box(&frame)[63];
                rounds.set(rounds.get() + 1);
                manager.get()
            });
            switch::<B>(&manager, task);
        }
        Context::HOST
    });
    run::<B>(first);
    assert_eq!(rounds.get(), ROUNDS);
}

pub fn a_context_is_discarded_before_it_starts<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let stack = room.stack();
    for _ in 0..100 {
        let never = prepare_on::<B, _>(stack, || {
            trace.note('!');
            Context::HOST
        });
        // SAFETY: nobody continues it, and its closure needs no drop.
        unsafe { B::discard(never) };
    }
    run::<B>(prepare_on::<B, _>(stack, || {
        trace.note('a');
        Context::HOST
    }));
    trace.is("a");
}

pub fn a_context_is_discarded_while_suspended<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let stack = room.stack();
    for _ in 0..10 {
        let task = nobody();
        run::<B>(prepare_on::<B, _>(stack, || {
            trace.note('a');
            leave::<B>(&task);
            trace.note('!');
            Context::HOST
        }));
        // SAFETY: nobody continues it, and nothing on its stack needs a drop.
        unsafe { B::discard(task.get()) };
    }
    // From a context, too, and the stack goes to the next one at once.
    let a = nobody();
    let other = nobody();
    let first = room.prepare::<B, _>(|| {
        trace.note('b');
        let task = prepare_on::<B, _>(stack, || {
            trace.note('c');
            switch::<B>(&other, a.get());
            trace.note('!');
            Context::HOST
        });
        switch::<B>(&a, task);
        // SAFETY: as above.
        unsafe { B::discard(other.get()) };
        prepare_on::<B, _>(stack, || {
            trace.note('d');
            Context::HOST
        })
    });
    run::<B>(first);
    trace.is("aaaaaaaaaabcd");
}
