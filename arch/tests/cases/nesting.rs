//! `run` inside `run`: a task calls the host, and the host calls in again.

use core::cell::Cell;
use core::hint::black_box;

use windlass_arch::Context;

use super::{Room, STACK_SIZE, Seam, Trace, leave, nobody, on_host, plain_on_host, run, switch};

pub fn an_inner_run_continues_outer_contexts<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let outer = nobody();
    outer.set(room.prepare::<B, _>(|| {
        trace.note('1');
        leave::<B>(&outer);
        trace.note('2');
        leave::<B>(&outer);
        trace.note('3');
        Context::HOST
    }));
    run::<B>(outer.get());
    let caller = room.prepare::<B, _>(|| {
        trace.note('[');
        on_host::<B, _>(|| {
            trace.note('(');
            run::<B>(outer.get());
            trace.note(')');
        });
        trace.note(']');
        outer.get()
    });
    run::<B>(caller);
    trace.is("1[(2)]3");
}

pub fn an_outer_run_continues_inner_contexts<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let inner = nobody();
    inner.set(room.prepare::<B, _>(|| {
        trace.note('1');
        leave::<B>(&inner);
        trace.note('2');
        leave::<B>(&inner);
        trace.note('3');
        Context::HOST
    }));
    let other = nobody();
    let caller = room.prepare::<B, _>(|| {
        on_host::<B, _>(|| {
            trace.note('(');
            run::<B>(inner.get());
            trace.note(')');
        });
        // Started by the inner run, continued by a context of the outer one.
        switch::<B>(&other, inner.get());
        trace.note('!');
        Context::HOST
    });
    run::<B>(caller);
    trace.note('h');
    run::<B>(inner.get());
    trace.is("(1)2h3");
    // SAFETY: suspended, and nothing on its stack needs a drop.
    unsafe { B::discard(other.get()) };
}

pub fn leave_means_the_innermost_run<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let task = nobody();
    task.set(room.prepare::<B, _>(|| {
        for _ in 0..4 {
            trace.note('t');
            leave::<B>(&task);
        }
        Context::HOST
    }));
    let caller = nobody();
    run::<B>(room.prepare::<B, _>(|| {
        on_host::<B, _>(|| {
            for _ in 0..2 {
                run::<B>(task.get());
                trace.note('i');
            }
        });
        switch::<B>(&caller, task.get());
        trace.note('c');
        task.get()
    }));
    trace.note('o');
    run::<B>(caller.get());
    trace.note('o');
    run::<B>(task.get());
    trace.is("tititocto");
}

pub fn a_caller_of_the_host_is_left_alone_by_inner_switches<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    let (a, b) = (nobody(), nobody());
    a.set(room.prepare::<B, _>(|| {
        trace.note('a');
        switch::<B>(&a, b.get());
        trace.note('A');
        b.get()
    }));
    b.set(room.prepare::<B, _>(|| {
        trace.note('b');
        switch::<B>(&b, a.get());
        trace.note('B');
        Context::HOST
    }));
    run::<B>(room.prepare::<B, _>(|| {
        let frame: [usize; 32] = black_box(core::array::from_fn(|i| i * 7));
        on_host::<B, _>(|| run::<B>(a.get()));
        for (i, word) in black_box(&frame).iter().enumerate() {
            assert_eq!(*word, i * 7);
        }
        trace.note('c');
        Context::HOST
    }));
    trace.is("abABc");
}

pub fn runs_nest_several_levels_deep<B: Seam>(room: &mut Room<'_>) {
    fn level<B: Seam>(depth: u8, room: &mut Room<'_>, trace: &Trace, shared: &Cell<Context>) {
        let (limit, base) = room.stack();
        let room = Cell::new(Some(room));
        let task = super::prepare_on::<B, _>((limit, base), || {
            trace.note((b'a' + depth) as char);
            if depth < 4
                && let Some(room) = room.take()
            {
                let room = Cell::new(Some(room));
                on_host::<B, _>(|| {
                    if let Some(room) = room.take() {
                        level::<B>(depth + 1, room, trace, shared);
                    }
                });
            }
            trace.note((b'A' + depth) as char);
            // Each level goes on through one context that all of them share.
            shared.get()
        });
        run::<B>(task);
    }
    let trace = Trace::new();
    let shared = nobody();
    shared.set(room.prepare::<B, _>(|| {
        loop {
            trace.note('.');
            leave::<B>(&shared);
        }
    }));
    level::<B>(0, room, &trace, &shared);
    trace.is("abcdeE.D.C.B.A.");
    // SAFETY: suspended, and nothing on its stack needs a drop.
    unsafe { B::discard(shared.get()) };
}

pub fn a_nested_call_is_on_the_hosts_stack<B: Seam>(room: &mut Room<'_>) {
    if !B::ONE_HOST_STACK {
        return;
    }
    // On wasm a frame may be empty.
    let below = |high: usize, low: usize| low <= high && high - low < STACK_SIZE;
    let host = here();
    let seen = Cell::new([0; 4]);
    let inner = room.prepare::<B, _>(|| {
        let mut all = seen.get();
        on_host::<B, _>(|| all[2] = here());
        all[3] = here();
        seen.set(all);
        Context::HOST
    });
    run::<B>(room.prepare::<B, _>(|| {
        let mut all = seen.get();
        all[0] = here();
        on_host::<B, _>(|| {
            all[1] = here();
            seen.set(all);
            run::<B>(inner);
        });
        Context::HOST
    }));
    let [task, outer, deeper, other] = seen.get();
    assert!(!below(host, task) && !below(host, other), "contexts have stacks of their own");
    assert!(below(host, outer), "the nested call is on the host's stack: {host:#x} {outer:#x}");
    assert!(below(outer, deeper), "and the next one below it: {outer:#x} {deeper:#x}");
}

pub fn on_host_outside_of_a_run_is_a_call<B: Seam>(room: &mut Room<'_>) {
    let trace = Trace::new();
    plain_on_host::<B, _>(|| trace.note('1'));
    run::<B>(room.prepare::<B, _>(|| {
        on_host::<B, _>(|| plain_on_host::<B, _>(|| trace.note('2')));
        trace.note('3');
        Context::HOST
    }));
    plain_on_host::<B, _>(|| trace.note('4'));
    trace.is("1234");
}

pub fn run_nests_on_a_contexts_own_stack<B: Seam>(room: &mut Room<'_>) {
    if !B::RUN_ANYWHERE {
        return;
    }
    let trace = Trace::new();
    let other = nobody();
    other.set(room.prepare::<B, _>(|| {
        trace.note('1');
        leave::<B>(&other);
        trace.note('2');
        Context::HOST
    }));
    let save = nobody();
    run::<B>(room.prepare::<B, _>(|| {
        trace.note('(');
        run::<B>(other.get());
        trace.note(')');
        leave::<B>(&save);
        trace.note('c');
        other.get()
    }));
    trace.note('h');
    run::<B>(save.get());
    trace.is("(1)hc2");
}

/// An address on the running stack.
#[inline(never)]
fn here() -> usize {
    let local = 0_u8;
    black_box(&raw const local).addr()
}
