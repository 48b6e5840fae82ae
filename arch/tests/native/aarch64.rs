//! `AArch64`: what `registers.rs` needs to know.

use core::arch::{asm, naked_asm};

use windlass_arch::Context;

use super::registers::Hop;

pub(super) type Word = u64;
/// What a call keeps.
pub(super) type Saved = [Word; 19];
pub(super) const NAMES: [&str; 19] = [
    "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "d8", "d9", "d10", "d11",
    "d12", "d13", "d14", "d15",
];

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn with_registers(
    set: *const Saved,
    got: *mut Saved,
    f: unsafe extern "C" fn(*mut Hop),
    arg: *mut Hop,
) {
    naked_asm!(
        "stp x29, x30, [sp, #-176]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "str x1, [sp, #160]",
        "ldp x19, x20, [x0]",
        "ldp x21, x22, [x0, #16]",
        "ldp x23, x24, [x0, #32]",
        "ldp x25, x26, [x0, #48]",
        "ldp x27, x28, [x0, #64]",
        "ldp x29, x9, [x0, #80]",
        "fmov d8, x9",
        "ldp d9, d10, [x0, #96]",
        "ldp d11, d12, [x0, #112]",
        "ldp d13, d14, [x0, #128]",
        "ldr d15, [x0, #144]",
        "mov x0, x3",
        "blr x2",
        "ldr x1, [sp, #160]",
        "stp x19, x20, [x1]",
        "stp x21, x22, [x1, #16]",
        "stp x23, x24, [x1, #32]",
        "stp x25, x26, [x1, #48]",
        "stp x27, x28, [x1, #64]",
        "fmov x9, d8",
        "stp x29, x9, [x1, #80]",
        "stp d9, d10, [x1, #96]",
        "stp d11, d12, [x1, #112]",
        "stp d13, d14, [x1, #128]",
        "str d15, [x1, #144]",
        "ldp x19, x20, [sp, #16]",
        "ldp x21, x22, [sp, #32]",
        "ldp x23, x24, [sp, #48]",
        "ldp x25, x26, [sp, #64]",
        "ldp x27, x28, [sp, #80]",
        "ldp d8, d9, [sp, #96]",
        "ldp d10, d11, [sp, #112]",
        "ldp d12, d13, [sp, #128]",
        "ldp d14, d15, [sp, #144]",
        "ldp x29, x30, [sp], #176",
        "ret",
    )
}

/// Overwrites what a call keeps, and keeps it.
pub(super) unsafe extern "C" fn scratch(_: *mut ()) {
    // SAFETY: writes registers that the block says it clobbers.
    unsafe {
        asm!("mov x20, xzr", "mov x21, xzr", "mov x22, xzr", "mov x23, xzr", "mov x24, xzr", "mov x25, xzr", "mov x26, xzr",
            "mov x27, xzr", "mov x28, xzr", "fmov d8, xzr", "fmov d9, xzr", "fmov d10, xzr", "fmov d11, xzr",
            "fmov d12, xzr", "fmov d13, xzr", "fmov d14, xzr", "fmov d15, xzr",
            out("x20") _, out("x21") _, out("x22") _, out("x23") _, out("x24") _, out("x25") _, out("x26") _,
            out("x27") _, out("x28") _, clobber_abi("C"));
    }
}

/// FPCR.
pub(super) type Control = u64;

pub(super) fn control_words() -> Control {
    let word;
    // SAFETY: reads a register.
    unsafe { asm!("mrs {}, fpcr", out(reg) word, options(nostack, nomem)) };
    word
}

pub(super) fn set_control_words(word: Control) {
    // SAFETY: the test sets the rounding only, and computes nothing in between.
    unsafe { asm!("msr fpcr, {}", in(reg) word, options(nostack)) }
}

pub(super) fn rounding_down(word: Control) -> Control {
    word | 0x80_0000
}

pub(super) fn rounding_up(word: Control) -> Control {
    word | 0x40_0000
}

/// What the first instruction of an entry finds.
#[repr(C)]
pub(super) struct Begin {
    pub(super) sp: usize,
    /// The frame pointer.
    pub(super) frame: usize,
    pub(super) state: usize,
    pub(super) end: extern "C" fn() -> Context,
}

/// sp modulo 16.
pub(super) const SP_AT_ENTRY: usize = 0;
/// There are none.
pub(super) const STATE: usize = 0;

/// Fills its `Begin` in, then goes on to `end`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn entry(begin: *mut ()) -> Context {
    naked_asm!("mov x9, sp", "stp x9, x29, [x0]", "ldr x9, [x0, #24]", "br x9")
}
