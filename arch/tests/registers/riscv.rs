//! RISC-V, 32 and 64 bits: s0 to s11, and fs0 to fs11 where the calling convention has them.

use core::arch::{asm, naked_asm};

use windlass_arch::Context;

use super::{Hop, HopBy, Saved};

pub(crate) use crate::FLOAT;

const ALL: [&str; 24] = [
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "fs0", "fs1", "fs2", "fs3",
    "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11",
];

/// No `cfg` of stable Rust says whether there are floating-point registers.
pub(crate) const NAMES: &[&str] = if FLOAT { &ALL } else { ALL.split_at(12).0 };

pub(crate) const ALIGN_AT_ENTRY: usize = 16;

/// Each is given 8 bytes.
#[cfg(target_arch = "riscv64")]
pub(crate) const SIGNIFICANT: u64 = u64::MAX;
#[cfg(target_arch = "riscv32")]
pub(crate) const SIGNIFICANT: u64 = u32::MAX as u64;

/// `$op` for each integer register, from or to `$base`.
macro_rules! integers {
    ($op:literal, $base:literal) => {
        integers!($op, $base; s0 0, s1 8, s2 16, s3 24, s4 32, s5 40, s6 48, s7 56, s8 64, s9 72, s10 80, s11 88)
    };
    ($op:literal, $base:literal; $($register:ident $offset:literal),*) => {
        concat!($($op, " ", stringify!($register), ", ", $offset, "(", $base, ")\n"),*)
    };
}

/// `$op` for each floating-point register.
macro_rules! floats {
    ($op:literal, $base:literal) => {
        integers!($op, $base; fs0 96, fs1 104, fs2 112, fs3 120, fs4 128, fs5 136, fs6 144, fs7 152, fs8 160,
            fs9 168, fs10 176, fs11 184)
    };
}

/// The function below, with the CPU's loads and stores.
macro_rules! with_registers {
    ($load:literal, $store:literal, $float_load:literal, $float_store:literal) => {
        /// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
        #[unsafe(naked)]
        unsafe extern "C" fn with_these(set: *const Saved, got: *mut Saved, f: HopBy, arg: *mut Hop, floats: bool) {
            naked_asm!(
                ".option push",
                ".option arch, +d",
                "addi sp, sp, -224",
                integers!($store, "sp"),
                concat!($store, " ra, 192(sp)"),
                concat!($store, " a1, 200(sp)"),
                concat!($store, " a4, 208(sp)"),
                "beqz a4, 2f",
                floats!($float_store, "sp"),
                floats!($float_load, "a0"),
                "2:",
                integers!($load, "a0"),
                "mv a0, a3",
                "jalr a2",
                concat!($load, " a1, 200(sp)"),
                concat!($load, " a4, 208(sp)"),
                integers!($store, "a1"),
                "beqz a4, 2f",
                floats!($float_store, "a1"),
                floats!($float_load, "sp"),
                "2:",
                integers!($load, "sp"),
                concat!($load, " ra, 192(sp)"),
                "addi sp, sp, 224",
                "ret",
                ".option pop",
            )
        }

        /// Stores sp, s0 and ra as they are before the first instruction of an entry.
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn entry(seen: *mut ()) -> Context {
            naked_asm!(
                concat!($store, " sp, 0(a0)"),
                concat!($store, " s0, {word}(a0)"),
                concat!($store, " s0, {word}*2(a0)"),
                concat!($load, " t1, {word}*3(a0)"),
                "jr t1",
                word = const size_of::<usize>(),
            )
        }
    };
}
#[cfg(target_arch = "riscv64")]
with_registers!("ld", "sd", "fld", "fsd");
#[cfg(target_arch = "riscv32")]
with_registers!("lw", "sw", "flw", "fsw");

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
///
/// # Safety
/// `set` may be read and `got` written, and `f` called with `arg`.
pub(crate) unsafe fn with_registers(set: *const Saved, got: *mut Saved, f: HopBy, arg: *mut Hop) {
    // SAFETY: the caller's promise; both arrays have room for what is loaded and stored.
    unsafe { with_these(set, got, f, arg, FLOAT) }
}

/// Rounding down, and up.
pub(crate) const CONTROL: Option<[usize; 2]> = if FLOAT { Some([2, 3]) } else { None };

/// The rounding mode.
pub(crate) fn control() -> usize {
    let mode;
    // SAFETY: reads a register that exists, as `CONTROL` says.
    unsafe {
        asm!(".option push", ".option arch, +d", "frrm {}", ".option pop", out(reg) mode, options(nostack));
    }
    mode
}

/// Sets the rounding mode.
pub(crate) fn set_control(mode: usize) {
    // SAFETY: the case sets the rounding only, and computes nothing in between.
    unsafe {
        asm!(".option push", ".option arch, +d", "fsrm {}", ".option pop", in(reg) mode, options(nostack));
    }
}
