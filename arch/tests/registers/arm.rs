//! 32-bit ARM: r4 to r11, and s16 to s31 where the calling convention has them.

#[cfg(target_abi = "eabihf")]
use core::arch::asm;
use core::arch::naked_asm;

use windlass_arch::Context;

use super::{Hop, HopBy, Saved};

#[cfg(not(target_abi = "eabihf"))]
pub(crate) const NAMES: &[&str] = &["r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11"];
#[cfg(target_abi = "eabihf")]
pub(crate) const NAMES: &[&str] = &[
    "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23",
    "s24", "s25", "s26", "s27", "s28", "s29", "s30", "s31",
];

pub(crate) const ALIGN_AT_ENTRY: usize = 8;

/// Each is given 8 bytes.
pub(crate) const SIGNIFICANT: u64 = u32::MAX as u64;

/// As many words.
type Words = [u32; NAMES.len()];

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
///
/// # Safety
/// `set` may be read and `got` written, and `f` called with `arg`.
pub(crate) unsafe fn with_registers(set: *const Saved, got: *mut Saved, f: HopBy, arg: *mut Hop) {
    let mut words: Words = [0; NAMES.len()];
    // SAFETY: the caller's promise.
    unsafe {
        let set_words: Words = (*set).map(|value| value as u32);
        with_words(&raw const set_words, &raw mut words, f, arg);
        got.write(words.map(u64::from));
    }
}

/// The floating-point half of [`with_words`], or nothing.
#[cfg(target_abi = "eabihf")]
macro_rules! floats {
    ($($line:literal),*) => { concat!($($line, "\n"),*) };
}
#[cfg(not(target_abi = "eabihf"))]
macro_rules! floats {
    ($($line:literal),*) => {
        ""
    };
}

/// In instructions that armv6-m has.
#[unsafe(naked)]
unsafe extern "C" fn with_words(set: *const Words, got: *mut Words, f: HopBy, arg: *mut Hop) {
    naked_asm!(
        "push {{r4, r5, r6, r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r1, r4, r5, r6, r7}}", // ten words: aligned for the call
        floats!(".fpu vfpv2", "vpush {{s16-s31}}"), // (a naked function does not know what the target has)
        "mov r12, r2",
        "mov lr, r3",
        "ldr r4, [r0, #16]",
        "mov r8, r4",
        "ldr r4, [r0, #20]",
        "mov r9, r4",
        "ldr r4, [r0, #24]",
        "mov r10, r4",
        "ldr r4, [r0, #28]",
        "mov r11, r4",
        floats!("add r4, r0, #32", "vldmia r4, {{s16-s31}}"),
        "ldr r4, [r0]",
        "ldr r5, [r0, #4]",
        "ldr r6, [r0, #8]",
        "ldr r7, [r0, #12]",
        "mov r0, lr",
        "blx r12",
        floats!("add r0, sp, #64", "ldr r0, [r0]"),
        floats!("add r1, r0, #32", "vstmia r1, {{s16-s31}}", "vpop {{s16-s31}}"),
        "pop {{r0}}", // `got`
        "str r4, [r0]",
        "str r5, [r0, #4]",
        "str r6, [r0, #8]",
        "str r7, [r0, #12]",
        "mov r4, r8",
        "str r4, [r0, #16]",
        "mov r4, r9",
        "str r4, [r0, #20]",
        "mov r4, r10",
        "str r4, [r0, #24]",
        "mov r4, r11",
        "str r4, [r0, #28]",
        "pop {{r4, r5, r6, r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4, r5, r6, r7, pc}}",
    )
}

/// Stores sp, r7 and r11 as they are before the first instruction of an entry.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn entry(seen: *mut ()) -> Context {
    naked_asm!(
        "mov r1, sp",
        "str r1, [r0]",
        "str r7, [r0, #4]",
        "mov r1, r11",
        "str r1, [r0, #8]",
        "ldr r1, [r0, #12]",
        "bx r1",
    )
}

/// Rounding down, and up.
#[cfg(target_abi = "eabihf")]
pub(crate) const CONTROL: Option<[usize; 2]> = Some([2 << 22, 1 << 22]);
#[cfg(not(target_abi = "eabihf"))]
pub(crate) const CONTROL: Option<[usize; 2]> = None;

/// The rounding mode, in its place in FPSCR.
pub(crate) fn control() -> usize {
    #[cfg_attr(not(target_abi = "eabihf"), expect(unused_mut, reason = "there is none"))]
    let mut word = 0_usize;
    #[cfg(target_abi = "eabihf")]
    // SAFETY: reads a register.
    unsafe {
        asm!("vmrs {}, fpscr", out(reg) word, options(nostack));
    }
    word & 3 << 22
}

/// Sets the rounding mode.
pub(crate) fn set_control(mode: usize) {
    let _ = mode;
    #[cfg(target_abi = "eabihf")]
    // SAFETY: the case sets the rounding only, and computes nothing in between.
    unsafe {
        asm!("vmsr fpscr, {}", in(reg) mode, options(nostack));
    }
}
