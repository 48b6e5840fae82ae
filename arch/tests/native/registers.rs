//! Registers, control words and backtraces, checked from assembly so that the compiler's own clobbers cannot hide a mistake.
//!
//! The tests are the same on every CPU. What is the CPU's is in `super::cpu`: the registers that a call keeps (`NAMES`, `Saved`), a way to load
//! and read them (`with_registers`), to overwrite them (`scratch`), its control words, and how an entry may begin.

use core::cell::{Cell, RefCell};
use core::hint::black_box;
use std::collections::BTreeSet;

use windlass_arch::{Context, native};

use super::Backend;
use super::cpu::{self, NAMES, Saved, Word, with_registers};
use crate::cases::{Room, leave, nobody, run};
use crate::with_room;

#[repr(C)]
pub(super) struct Hop {
    save: *const Cell<Context>,
    to: *const Cell<Context>,
}

unsafe extern "C" fn hop_by_switch(hop: *mut Hop) {
    // SAFETY: the test's places outlive the call, and the context is suspended.
    unsafe { native::switch((*(*hop).save).as_ptr(), (*(*hop).to).get()) }
}

unsafe extern "C" fn hop_by_leave(hop: *mut Hop) {
    // SAFETY: likewise, under a `run`.
    unsafe { native::leave((*(*hop).save).as_ptr()) }
}

unsafe extern "C" fn hop_by_run(hop: *mut Hop) {
    // SAFETY: the context is suspended.
    unsafe { native::run((*(*hop).to).get()) }
}

unsafe extern "C" fn hop_by_on_host(_: *mut Hop) {
    // SAFETY: `scratch` takes anything.
    unsafe { native::on_host(cpu::scratch, core::ptr::null_mut()) }
}

/// Registers that a hop did not bring back. They are told on the host's stack: a panic in an entry aborts without a word.
#[derive(Default)]
struct Lost(RefCell<BTreeSet<&'static str>>);

impl Lost {
    fn note(&self, seed: Word, f: unsafe extern "C" fn(*mut Hop), save: &Cell<Context>, to: &Cell<Context>) {
        // The seed in the upper half, the register in the lower one.
        let set: Saved = core::array::from_fn(|i| (seed << (Word::BITS / 2)) | (0x111 * (i as Word + 1)));
        let mut got: Saved = [0; _];
        let mut hop = Hop { save, to };
        // SAFETY: the callees keep the ABI, or that is what fails here.
        unsafe { with_registers(&raw const set, &raw mut got, f, &raw mut hop) };
        let pairs = black_box(set).into_iter().zip(black_box(got));
        let lost = NAMES.iter().zip(pairs).filter(|(_, (set, got))| set != got).map(|(name, _)| *name);
        self.0.borrow_mut().extend(lost);
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        let lost = self.0.borrow();
        assert!(lost.is_empty() || std::thread::panicking(), "registers lost in a hop: {lost:?}");
    }
}

#[test]
fn callee_saved_registers_survive_a_switch() {
    with_room(|room| {
        let lost = Lost::default();
        let (a, b) = (nobody(), nobody());
        let first = room.prepare::<Backend, _>(|| {
            for round in 0..10 {
                lost.note(0xa0 + round, hop_by_switch, &a, &b);
            }
            b.get()
        });
        b.set(room.prepare::<Backend, _>(|| {
            for round in 0..10 {
                lost.note(0xb0 + round, hop_by_switch, &b, &a);
            }
            Context::HOST
        }));
        run::<Backend>(first);
    });
}

#[test]
fn callee_saved_registers_survive_run_and_leave() {
    with_room(|room| {
        let lost = Lost::default();
        let task = nobody();
        let rounds = Cell::new(0);
        task.set(room.prepare::<Backend, _>(|| {
            loop {
                rounds.set(rounds.get() + 1);
                lost.note(0xc0 + rounds.get(), hop_by_leave, &task, &task);
            }
        }));
        for round in 0..10 {
            lost.note(0xd0 + round, hop_by_run, &task, &task);
        }
        assert_eq!(rounds.get(), 10);
    });
}

#[test]
fn callee_saved_registers_survive_on_host() {
    with_room(|room| {
        let lost = Lost::default();
        run::<Backend>(room.prepare::<Backend, _>(|| {
            lost.note(0xe0, hop_by_on_host, &nobody(), &nobody());
            Context::HOST
        }));
    });
}

#[test]
fn control_words_belong_to_the_thread() {
    with_room(|room: &mut Room<'_>| {
        let usual = cpu::control_words();
        let (down, up) = (cpu::rounding_down(usual), cpu::rounding_up(usual));
        let seen = Cell::new([usual; 3]);
        let task = nobody();
        task.set(room.prepare::<Backend, _>(|| {
            let first = cpu::control_words();
            cpu::set_control_words(up);
            leave::<Backend>(&task);
            let [_, host, _] = seen.get();
            seen.set([first, host, cpu::control_words()]);
            Context::HOST
        }));
        cpu::set_control_words(down);
        run::<Backend>(task.get());
        seen.set([usual, cpu::control_words(), usual]);
        cpu::set_control_words(usual);
        run::<Backend>(task.get());
        assert_eq!(seen.get(), [down, up, usual]);
    });
}

#[test]
fn an_entry_begins_as_after_a_call() {
    extern "C" fn end() -> Context {
        Context::HOST
    }
    with_room(|room| {
        let lost = Lost::default();
        let (limit, base) = room.stack();
        let mut begin = cpu::Begin { sp: 0, frame: 0, state: 0, end };
        // SAFETY: the stack is the room's, and `begin` outlives the context.
        let task = unsafe { native::prepare(limit, base, cpu::entry, (&raw mut begin).cast()) };
        // In a nested run, where nothing that the frame pointer may hold is zero by chance, nor a frame of the new stack.
        run::<Backend>(room.prepare::<Backend, _>(|| {
            lost.note(0xf0, hop_by_run, &nobody(), &Cell::new(task));
            Context::HOST
        }));
        let cpu::Begin { sp, frame, state, .. } = black_box(begin);
        assert_eq!(
            sp % 16,
            cpu::SP_AT_ENTRY,
            "the ABI wants the stack pointer aligned at a function's entry"
        );
        assert!(sp < base.addr() && base.addr() - sp < 256);
        assert!(frame == 0 || (sp..base.addr()).contains(&frame), "frame pointers end: {frame:#x}");
        assert_eq!(state & cpu::STATE, 0, "flags that the ABI wants clear are clear");
    });
}

#[test]
fn a_backtrace_ends_at_the_entry() {
    #[inline(never)]
    fn above_the_base() {
        black_box(above_the_base as fn());
    }
    fn trace() -> String {
        std::backtrace::Backtrace::force_capture().to_string()
    }
    unsafe extern "C" fn entry_of_the_test(traces: *mut ()) -> Context {
        let mut on_host = String::new();
        let here = trace();
        crate::cases::on_host::<Backend, _>(|| on_host = trace());
        // SAFETY: the test passes its array.
        unsafe { *traces.cast::<[String; 2]>() = [here, on_host] };
        Context::HOST
    }
    with_room(|room| {
        let (limit, base) = room.stack();
        let mut traces = [const { String::new() }; 2];
        // SAFETY: the stack is the room's, and `traces` outlives the context. Above the base lies what an unwinder that
        // went on would take for a return address.
        run::<Backend>(unsafe {
            let base = base.sub(64);
            base.cast::<[usize; 8]>().write([above_the_base as *const () as usize + 1; 8]);
            native::prepare(limit, base, entry_of_the_test, (&raw mut traces).cast())
        });
        for trace in &traces {
            assert!(trace.contains("entry_of_the_test"), "the walk reaches the entry:\n{trace}");
            assert!(!trace.contains("above_the_base"), "and goes no further:\n{trace}");
            assert!(
                !trace.contains("a_backtrace_ends_at_the_entry::{{closure}}"),
                "nor to the host:\n{trace}"
            );
        }
    });
}
