//! RISC-V, 32 and 64 bits: the calling conventions `ilp32*` and `lp64*`, with and without floating-point registers, and `ilp32e`.
//!
//! ABI: <https://github.com/riscv-non-isa/riscv-elf-psabi-doc/blob/master/riscv-cc.adoc>, *Register Convention*.
//!
//! # What is saved
//!
//! | register | by whom |
//! | --- | --- |
//! | sp | it is the context |
//! | pc, s0, s1 | stored here: the compiler lets no inline assembly clobber s0, its frame pointer, and s1, its base pointer |
//! | s2 to s11, fs0 to fs11, ra, and all that a call may destroy | the compiler, as far as they are live and the target has them, because they are clobbered |
//! | gp, tp | nobody: they are the same for all contexts of a thread |
//! | fcsr, vector CSRs | nobody: fcsr belongs to the thread, the others to nobody across a call |
//!
//! # The two states of a stack
//!
//! ```text
//!          fresh                            suspended
//! base ─►  ┌───────────────────────┐        ┌───────────────────────┐ ◄─ base
//!          │ free                  │        │ frames of the context │
//!          │                       │        │ ...                   │
//!          │                       │        │ (one word unused)     │
//!          │                       │        │ s1                    │
//!          │                       │        │ s0                    │
//!          │                       │        │ address of `2:` below │ ◄─ a1
//!          │                       │        ├───────────────────────┤
//!          │                       │        │ free                  │
//! limit ─► └───────────────────────┘        └───────────────────────┘ ◄─ limit
//!
//! a1   ─►  [ address of trampoline | entry | base ]     a `Start`, which lies anywhere
//! ```
//!
//! *Continue.* To continue a context, load it into a1 and jump to the address it points at. The code there moves sp; until then sp
//! stays on the former stack, and no live word is ever below sp: there is no red zone, and a trap handler may write there. A
//! handler that has no stack of its own (`mscratch`) needs its room on each task's stack.
//!
//! The jump goes through t1. Through ra or t0 the CPU would take it for a return and predict it by the calls that it has seen,
//! which were another stack's (*Unprivileged ISA*, table of return-address prediction hints).
//!
//! # Walking a stack
//!
//! The trampoline declares ra undefined and zeroes s0, so that an unwinder and a frame-pointer walk both end at a task's entry.

use core::arch::{asm, naked_asm};

use crate::native;

/// The backend's name.
pub const BACKEND: &str = if cfg!(target_arch = "riscv64") { "riscv64" } else { "riscv32" };
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest usable stack, in bytes. Trap handlers without a stack of their own need more.
pub const STACK_MIN: usize = 96 * size_of::<usize>();

/// A load or store of a whole register, at so many words from an address.
#[cfg(target_arch = "riscv64")]
macro_rules! word {
    (load $register:literal, $n:literal, $address:literal) => {
        concat!("ld ", $register, ", ", $n, "*8(", $address, ")")
    };
    (store $register:literal, $n:literal, $address:literal) => {
        concat!("sd ", $register, ", ", $n, "*8(", $address, ")")
    };
    // What of a register's place in memory an unwinder is told.
    (saved $register:literal, $n:literal) => {
        concat!(".cfi_offset ", $register, ", ", $n, "*8")
    };
    (frame) => {
        "32"
    };
}
#[cfg(target_arch = "riscv32")]
macro_rules! word {
    (load $register:literal, $n:literal, $address:literal) => {
        concat!("lw ", $register, ", ", $n, "*4(", $address, ")")
    };
    (store $register:literal, $n:literal, $address:literal) => {
        concat!("sw ", $register, ", ", $n, "*4(", $address, ")")
    };
    (saved $register:literal, $n:literal) => {
        concat!(".cfi_offset ", $register, ", ", $n, "*4")
    };
    (frame) => {
        "16"
    };
}

/// Inline assembly that clobbers all that it may.
#[cfg(not(target_abi = "ilp32e"))]
macro_rules! asm_clobbering {
    ($($lines_and_operands:tt)*) => {
        asm!(
            $($lines_and_operands)*
            lateout("s2") _, lateout("s3") _, lateout("s4") _, lateout("s5") _, lateout("s6") _,
            lateout("s7") _, lateout("s8") _, lateout("s9") _, lateout("s10") _, lateout("s11") _,
            // Those that the target has not are left out.
            lateout("fs0") _, lateout("fs1") _, lateout("fs2") _, lateout("fs3") _,
            lateout("fs4") _, lateout("fs5") _, lateout("fs6") _, lateout("fs7") _,
            lateout("fs8") _, lateout("fs9") _, lateout("fs10") _, lateout("fs11") _,
            clobber_abi("C"),
        )
    };
}
#[cfg(target_abi = "ilp32e")]
macro_rules! asm_clobbering {
    ($($lines_and_operands:tt)*) => {
        asm!(
            $($lines_and_operands)*
            lateout("ra") _, lateout("t0") _, lateout("t2") _,
            lateout("a0") _, lateout("a2") _, lateout("a3") _, lateout("a4") _, lateout("a5") _,
        )
    };
}

/// Saves the running stack into `*save`, then continues the stack `to`.
///
/// # Safety
/// `save` is writable, `to` is fresh or suspended, and the running stack stays as it is until it is continued.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut usize, to: usize) {
    // SAFETY: s0, s1 and sp are as before when the block ends at `2:`, gp and tp are not touched, all else is declared clobbered;
    // without `nostack` the compiler keeps nothing below sp, so that the frame is free to be made.
    unsafe {
        asm_clobbering!(
            concat!("addi sp, sp, -", word!(frame)),
            "lla t1, 2f",
            word!(store "s0", 1, "sp"),
            word!(store "s1", 2, "sp"),
            word!(store "t1", 0, "sp"),
            word!(store "sp", 0, "{save}"),
            word!(load "t1", 0, "a1"),
            "jr t1",
            "2:", // somebody continued us, by *Continue*
            word!(load "s0", 1, "a1"),
            word!(load "s1", 2, "a1"),
            concat!("addi sp, a1, ", word!(frame)),
            save = in(reg) save,        // where the running context goes
            inlateout("a1") to => _,    // the context to continue
            out("t1") _,                // scratch, while `save` is still needed
        );
    }
}

/// Continues the stack `to`; the running one is not needed any more.
///
/// # Safety
/// `to` is fresh or suspended.
#[cfg(not(feature = "asan"))]
#[inline(always)]
pub(crate) unsafe fn finish(to: usize) -> ! {
    // SAFETY: by *Continue*.
    unsafe { asm!(word!(load "t1", 0, "a1"), "jr t1", in("a1") to, options(noreturn, nostack)) }
}

/// Nothing: few of these CPUs have a cache to fetch ahead into, and the hint is an extension (Zicbop).
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    let _ = address;
}

/// Where a fresh stack begins: a1 is the context, a `Start`, and what its entry gets; sp is anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined ra",
        "mv a0, a1",
        word!(load "sp", 2, "a1"), // the base: aligned to 16, as a call wants it
        "li s0, 0",                // ends the chain of frame pointers
        word!(load "t1", 1, "a1"),
        "jalr t1", // the entry
        "bnez a0, 2f",
        "call {host}",
        "2:",
        "mv a1, a0", // the context that follows
        word!(load "t1", 0, "a1"),
        "jr t1",
        ".cfi_endproc",
        host = sym native::host_after_end,
    )
}

/// Calls `f(arg)` below `top` on another stack.
///
/// A function of its own, with a frame pointer, so that the frame's description does not depend on the stack pointer: a
/// backtrace out of `f` goes on through the caller's stack. It is marked as a signal frame because gdb else takes frames that
/// go up in address for a corrupt stack.
///
/// # Safety
/// The memory below `top` is a stack with nothing alive on it. `f` may be called with `arg` and does not unwind.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_on(top: usize, f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        concat!("addi sp, sp, -", word!(frame)),
        concat!(".cfi_def_cfa_offset ", word!(frame)),
        word!(store "ra", 3, "sp"),
        word!(store "s0", 2, "sp"),
        word!(saved "ra", -1),
        word!(saved "s0", -2),
        concat!("addi s0, sp, ", word!(frame)),
        ".cfi_def_cfa s0, 0",
        "andi sp, a0, -16",
        "mv a0, a2",
        "jalr a1",
        concat!("addi sp, s0, -", word!(frame)),
        concat!(".cfi_def_cfa sp, ", word!(frame)),
        word!(load "ra", 3, "sp"),
        word!(load "s0", 2, "sp"),
        concat!("addi sp, sp, ", word!(frame)),
        "ret",
        ".cfi_endproc",
    )
}
