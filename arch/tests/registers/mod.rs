//! Registers and control words, checked from assembly so that the compiler's own clobbers cannot hide a mistake: what is the same
//! for every CPU. Cases like those in `cases/`, without `std`, so that they run on a board as well.
//!
//! A CPU's file beside this one has the assembly:
//!
//! * `NAMES`, the callee-saved registers, and `SIGNIFICANT`, the bits that each has;
//! * `with_registers(set, got, f, arg)`: loads them, calls `f(arg)`, and stores what they are then;
//! * `CONTROL`, two values of the control word's writable part, `control()` and `set_control(word)`; empty where there is none;
//! * `entry`, which stores the stack pointer, the frame pointers and the return address that an entry begins with.

use core::cell::Cell;
use core::hint::black_box;

use windlass_arch::Context;

use crate::cases::{Room, Seam, leave, nobody, run};

#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(any(target_arch = "riscv32", target_arch = "riscv64"), path = "riscv.rs")]
mod cpu;

use cpu::{CONTROL, NAMES, SIGNIFICANT, control, entry, set_control, with_registers};

/// Calls the macro `$then` with the path of each case.
macro_rules! each_register_case {
    ($then:ident) => {
        $then! {
            registers::callee_saved_registers_survive_a_switch,
            registers::the_frame_pointer_survives_a_switch,
            registers::callee_saved_registers_survive_run_and_leave,
            registers::callee_saved_registers_survive_on_host,
            registers::callee_saved_registers_survive_an_end,
            registers::control_words_belong_to_the_thread,
            registers::an_entry_begins_as_after_a_call,
        }
    };
}
pub(crate) use each_register_case;

/// A value for each register.
pub(crate) type Saved = [u64; NAMES.len()];

/// What `with_registers` calls.
pub(crate) type HopBy = unsafe extern "C" fn(*mut Hop);

#[repr(C)]
pub(crate) struct Hop {
    save: *const Cell<Context>,
    to: *const Cell<Context>,
}

unsafe extern "C" fn hop_by_switch<B: Seam>(hop: *mut Hop) {
    // SAFETY: the case's places outlive the call, and the context is suspended.
    unsafe { B::switch((*(*hop).save).as_ptr(), (*(*hop).to).get()) }
}

/// Finds its own frame by the frame pointer alone: the stack pointer is moved to align the local. (Any function saves the frame
/// pointer for its caller, and so hides from `with_registers` what a switch did to it.)
unsafe extern "C" fn hop_by_switch_of_an_aligned_frame<B: Seam>(hop: *mut Hop) {
    #[repr(align(256))]
    struct Aligned(*mut Hop);
    let local = black_box(Aligned(hop));
    let hop_again = black_box(&local).0;
    // SAFETY: as above.
    unsafe { B::switch((*(*hop_again).save).as_ptr(), (*(*hop_again).to).get()) }
    assert_eq!(black_box(&local).0, hop);
}

unsafe extern "C" fn hop_by_leave<B: Seam>(hop: *mut Hop) {
    // SAFETY: likewise, under a `run`.
    unsafe { B::leave((*(*hop).save).as_ptr()) }
}

unsafe extern "C" fn hop_by_run<B: Seam>(hop: *mut Hop) {
    // SAFETY: the context is suspended.
    unsafe { B::run((*(*hop).to).get()) }
}

unsafe extern "C" fn hop_by_on_host<B: Seam>(_: *mut Hop) {
    unsafe extern "C" fn scratch(_: *mut ()) {
        let (set, mut got) = ([0; NAMES.len()], [0; NAMES.len()]);
        unsafe extern "C" fn nothing(_: *mut Hop) {}
        // SAFETY: `nothing` takes anything.
        unsafe { with_registers(&raw const set, &raw mut got, nothing, core::ptr::null_mut()) };
    }
    // SAFETY: `scratch` takes anything.
    unsafe { B::plain_on_host(scratch, core::ptr::null_mut()) }
}

/// Registers that a hop did not bring back, as bits. They are told on the host's stack: with `std` a panic in an entry aborts without
/// a word.
struct Lost(Cell<u64>);

impl Lost {
    fn nothing() -> Lost {
        Lost(Cell::new(0))
    }

    fn note(&self, seed: u64, f: HopBy, save: &Cell<Context>, to: &Cell<Context>) {
        // Each half of a register differs between seeds, too.
        let set: Saved =
            core::array::from_fn(|i| (seed << 48) | (0x1111 << 32) | (seed << 16) | (0x101 * (i as u64 + 1)));
        let mut got: Saved = [0; NAMES.len()];
        let mut hop = Hop { save, to };
        // SAFETY: the callees keep the ABI, or that is what fails here.
        unsafe { with_registers(&raw const set, &raw mut got, f, &raw mut hop) };
        let pairs = black_box(set).into_iter().zip(black_box(got));
        for (i, (set, got)) in pairs.enumerate() {
            if (set ^ got) & SIGNIFICANT != 0 {
                self.0.set(self.0.get() | 1 << i);
            }
        }
    }

    #[track_caller]
    fn is_nothing(&self) {
        let lost = self.0.get();
        let name = NAMES.iter().enumerate().find(|(i, _)| lost >> i & 1 != 0);
        assert!(name.is_none(), "registers lost in a hop: {name:?}, all as bits: {lost:#b}");
    }
}

pub(crate) fn callee_saved_registers_survive_a_switch<B: Seam>(room: &mut Room<'_>) {
    switches_keep_registers::<B>(room, hop_by_switch::<B>);
}

pub(crate) fn the_frame_pointer_survives_a_switch<B: Seam>(room: &mut Room<'_>) {
    switches_keep_registers::<B>(room, hop_by_switch_of_an_aligned_frame::<B>);
}

fn switches_keep_registers<B: Seam>(room: &mut Room<'_>, hop: HopBy) {
    let lost = Lost::nothing();
    let (a, b) = (nobody(), nobody());
    let first = room.prepare::<B, _>(|| {
        for round in 0..10 {
            lost.note(0xa0 + round, hop, &a, &b);
        }
        b.get()
    });
    b.set(room.prepare::<B, _>(|| {
        for round in 0..10 {
            lost.note(0xb0 + round, hop, &b, &a);
        }
        Context::HOST
    }));
    run::<B>(first);
    lost.is_nothing();
}

pub(crate) fn callee_saved_registers_survive_run_and_leave<B: Seam>(room: &mut Room<'_>) {
    let lost = Lost::nothing();
    let task = nobody();
    let rounds = Cell::new(0);
    task.set(room.prepare::<B, _>(|| {
        loop {
            rounds.set(rounds.get() + 1);
            lost.note(0xc0 + rounds.get(), hop_by_leave::<B>, &task, &task);
        }
    }));
    for round in 0..10 {
        lost.note(0xd0 + round, hop_by_run::<B>, &task, &task);
    }
    assert_eq!(rounds.get(), 10);
    lost.is_nothing();
}

pub(crate) fn callee_saved_registers_survive_on_host<B: Seam>(room: &mut Room<'_>) {
    let lost = Lost::nothing();
    run::<B>(room.prepare::<B, _>(|| {
        lost.note(0xe0, hop_by_on_host::<B>, &nobody(), &nobody());
        Context::HOST
    }));
    lost.is_nothing();
}

/// What continues after an entry gets nothing from it but its own registers.
pub(crate) fn callee_saved_registers_survive_an_end<B: Seam>(room: &mut Room<'_>) {
    let lost = Lost::nothing();
    let a = nobody();
    let b = Cell::new(room.prepare::<B, _>(|| {
        lost.note(0xb0, hop_by_on_host::<B>, &nobody(), &nobody());
        a.get()
    }));
    let first = room.prepare::<B, _>(|| {
        lost.note(0xa0, hop_by_switch::<B>, &a, &b);
        Context::HOST
    });
    lost.note(0xf0, hop_by_run::<B>, &nobody(), &Cell::new(first));
    lost.is_nothing();
}

pub(crate) fn control_words_belong_to_the_thread<B: Seam>(room: &mut Room<'_>) {
    let Some([down, up]) = CONTROL else {
        return;
    };
    let usual = control();
    let seen = Cell::new([0; 3]);
    let task = nobody();
    task.set(room.prepare::<B, _>(|| {
        let first = control();
        set_control(up);
        leave::<B>(&task);
        let [_, host, _] = seen.get();
        seen.set([first, host, control()]);
        Context::HOST
    }));
    set_control(down);
    run::<B>(task.get());
    seen.set([0, control(), 0]);
    set_control(usual);
    run::<B>(task.get());
    assert_eq!(seen.get(), [down, up, usual]);
}

/// What `entry` stores, and the function that it goes on with.
#[repr(C)]
pub(crate) struct Seen {
    stack: usize,
    frames: [usize; 2],
    end: unsafe extern "C" fn() -> Context,
}

pub(crate) fn an_entry_begins_as_after_a_call<B: Seam>(room: &mut Room<'_>) {
    unsafe extern "C" fn end() -> Context {
        Context::HOST
    }
    let lost = Lost::nothing();
    let (limit, base) = room.stack();
    let mut seen = Seen { stack: 0, frames: [1; 2], end };
    // SAFETY: the stack is the room's, and `seen` outlives the context.
    let task = unsafe { B::prepare(limit, base, entry, (&raw mut seen).cast()) };
    // In a nested run, where nothing that a frame pointer may hold is zero by chance, nor a frame of the new stack.
    run::<B>(room.prepare::<B, _>(|| {
        lost.note(0xf0, hop_by_run::<B>, &nobody(), &Cell::new(task));
        Context::HOST
    }));
    lost.is_nothing();
    let Seen { stack, frames, .. } = black_box(seen);
    assert_eq!(
        stack % cpu::ALIGN_AT_ENTRY,
        0,
        "the ABI wants the stack pointer aligned at a function's entry"
    );
    assert!(stack < base.addr() && base.addr() - stack < 256);
    for frame in frames {
        assert!(frame == 0 || (stack..base.addr()).contains(&frame), "frame pointers end: {frame:#x}");
    }
}
