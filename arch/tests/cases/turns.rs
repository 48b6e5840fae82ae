//! Who runs, and in which order.

use core::cell::Cell;
use core::hint::black_box;

use windlass_arch::Context;

use super::{Room, Seam, Trace, leave, nobody, run, switch};

pub fn the_argument_reaches_the_entry<B: Seam>(room: &mut Room<'_>) {
    unsafe extern "C" fn entry(arg: *mut ()) -> Context {
        // SAFETY: the case passes its `u64`.
        unsafe { *arg.cast::<u64>() += 1 };
        Context::HOST
    }
    let mut word = 0x1234_5678_9abc_def0_u64;
    let (limit, base) = room.stack();
    // SAFETY: the stack is the room's, and `word` outlives the context.
    run::<B>(unsafe { B::prepare(limit, base, entry, (&raw mut word).cast()) });
    assert_eq!(black_box(word), 0x1234_5678_9abc_def1);
}

pub fn contexts_alternate<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let (a, b) = (nobody(), nobody());
    let first = room.prepare::<B, _>(|| {
        for _ in 0..3 {
            trace.note('a');
            switch::<B>(&a, b.get());
        }
        trace.note('A');
        Context::HOST
    });
    b.set(room.prepare::<B, _>(|| {
        loop {
            trace.note('b');
            switch::<B>(&b, a.get());
        }
    }));
    trace.note('(');
    run::<B>(first);
    trace.note(')');
    trace.is("(abababA)");
    discard::<B>(&b);
}

pub fn leave_returns_from_run_and_may_be_continued<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let task = nobody();
    task.set(room.prepare::<B, _>(|| {
        trace.note('1');
        leave::<B>(&task);
        trace.note('2');
        leave::<B>(&task);
        trace.note('3');
        Context::HOST
    }));
    for _ in 0..3 {
        trace.note('(');
        run::<B>(task.get());
        trace.note(')');
    }
    trace.is("(1)(2)(3)");
}

pub fn an_entry_finishes_with_another_context_again_and_again<B: Seam>(room: &mut Room<'_>) {
    struct Step<'a> {
        trace: &'a Trace,
        next: Cell<Context>,
    }
    unsafe extern "C" fn entry<B: Seam>(step: *mut ()) -> Context {
        // SAFETY: the case passes its `Step`.
        let Step { trace, next } = unsafe { &*step.cast::<Step<'_>>() };
        trace.note('e');
        // SAFETY: this is the entry, with nothing left to drop; the context is continued once.
        unsafe { B::finish(next.get()) }
    }
    let trace = Trace::new();
    let (limit, base) = room.stack();
    let step = Step { trace: &trace, next: Cell::new(Context::HOST) };
    let first = room.prepare::<B, _>(|| {
        for _ in 0..3 {
            // The stack is dead by the time that this goes on.
            // SAFETY: the stack is the room's, and `step` outlives the context.
            let other = unsafe { B::prepare(limit, base, entry::<B>, (&raw const step).cast_mut().cast()) };
            trace.note('s');
            // Saved before `other` runs, which reads it.
            switch::<B>(&step.next, other);
        }
        Context::HOST
    });
    run::<B>(first);
    trace.is("sesese");
}

pub fn run_of_the_host_returns_at_once<B: Seam>(_: &mut Room<'_>) {
    run::<B>(Context::HOST);
}

pub fn the_save_slot_is_written_before_the_other_runs<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let ring = [nobody(), nobody()];
    let first = room.prepare::<B, _>(|| {
        trace.note('a');
        switch::<B>(&ring[0], ring[1].get());
        trace.note('A');
        Context::HOST
    });
    ring[1].set(room.prepare::<B, _>(|| {
        trace.note('b');
        assert!(!ring[0].get().is_host(), "the slot is still empty");
        ring[0].get()
    }));
    run::<B>(first);
    trace.is("abA");
}

pub fn a_ring_keeps_its_order<B: Seam>(room: &mut Room<'_>) {
    const TASKS: usize = 6;
    let trace = Trace::new();
    let ring: [Cell<Context>; 8] = [const { nobody() }; 8];
    let head = Cell::new(0);
    let tail = Cell::new(0);
    let pop = || {
        assert!(head.get() < tail.get(), "the ring is empty");
        head.set(head.get() + 1);
        ring[(head.get() - 1) % 8].get()
    };
    let slot = || {
        tail.set(tail.get() + 1);
        &ring[(tail.get() - 1) % 8]
    };
    let alive = Cell::new(TASKS);
    for task in 0..TASKS {
        let (trace, alive, pop, slot) = (&trace, &alive, &pop, &slot);
        let context = room.prepare::<B, _>(move || {
            for _ in 0..=task {
                trace.note((b'a' + task as u8) as char);
                let next = slot();
                // The slot that this context goes to may be the one it takes the next from: with one task left it is.
                if alive.get() == 1 {
                    leave::<B>(next);
                } else {
                    switch::<B>(next, pop());
                }
            }
            alive.set(alive.get() - 1);
            if alive.get() == 0 { Context::HOST } else { pop() }
        });
        slot().set(context);
    }
    while alive.get() > 0 {
        run::<B>(pop());
    }
    trace.is("abcdefbcdefcdefdefeff");
}

pub fn many_switches<B: Seam>(room: &mut Room<'_>) {
    let (a, b) = (nobody(), nobody());
    let (ours, theirs) = (Cell::new(0), Cell::new(0));
    let first = room.prepare::<B, _>(|| {
        for _ in 0..B::MANY / 2 {
            ours.set(ours.get() + 1);
            switch::<B>(&a, b.get());
        }
        Context::HOST
    });
    b.set(room.prepare::<B, _>(|| {
        loop {
            theirs.set(theirs.get() + 1);
            switch::<B>(&b, a.get());
        }
    }));
    run::<B>(first);
    assert_eq!((ours.get(), theirs.get()), (B::MANY / 2, B::MANY / 2));
    discard::<B>(&b);
}

pub fn the_runtime_word_is_the_same_for_all<B: Seam>(room: &mut Room<'_>) {
    let before = B::runtime();
    let words = [0_u8; 3];
    let word = |i: usize| (&raw const words[i]).cast_mut().cast::<()>();
    let a = nobody();
    let b = room.prepare::<B, _>(|| {
        assert_eq!(B::runtime(), word(1), "set by the context before");
        B::set_runtime(word(2));
        a.get()
    });
    let first = room.prepare::<B, _>(|| {
        assert_eq!(B::runtime(), word(0), "set on the host");
        B::set_runtime(word(1));
        switch::<B>(&a, b);
        assert_eq!(B::runtime(), word(2), "set by the other context");
        Context::HOST
    });
    B::set_runtime(word(0));
    run::<B>(first);
    assert_eq!(B::runtime(), word(2), "set by a context");
    B::set_runtime(before);
}

fn discard<B: Seam>(context: &Cell<Context>) {
    // SAFETY: the case has done with it, and nothing on its stack needs dropping.
    unsafe { B::discard(context.get()) }
}
