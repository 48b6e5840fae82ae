//! `AArch64` with AAPCS64: Linux, macOS, the BSDs, bare metal, with floating point or without.
//!
//! ABI: <https://github.com/ARM-software/abi-aa/blob/main/aapcs64/aapcs64.rst>, sections 6.1 and 6.4.
//!
//! # What is saved
//!
//! | register | by whom |
//! | --- | --- |
//! | sp | it is the context |
//! | pc, x19, x29 | stored here: the compiler lets no inline assembly clobber x19 and x29 |
//! | x20 to x28, d8 to d15, and all that a call may destroy, x30 with it | the compiler, as far as they are live, because they are clobbered |
//! | x18 | nobody, where it is the platform's (macOS, Android, Windows); elsewhere it is one that a call may destroy |
//! | FPCR, FPSR, and what the system keeps in TPIDR registers | nobody: they belong to the thread |
//!
//! A call keeps the lower halves of v8 to v15 alone; all of each is clobbered, so the compiler keeps what it needs of the upper ones.
//!
//! # The two states of a stack
//!
//! ```text
//!          fresh                            suspended
//! base ─►  ┌───────────────────────┐        ┌───────────────────────┐ ◄─ base
//!          │ free                  │        │ frames of the context │
//!          │                       │        │ ...                   │
//!          │                       │        │ (nothing)             │
//!          │                       │        │ x29                   │
//!          │                       │        │ x19                   │
//!          │                       │        │ address of `2:` below │ ◄─ x1
//!          │                       │        ├───────────────────────┤
//!          │                       │        │ free                  │
//! limit ─► └───────────────────────┘        └───────────────────────┘ ◄─ limit
//!
//! x1   ─►  [ address of trampoline | entry | base ]     a `Start`, which lies anywhere
//! ```
//!
//! *Continue.* To continue a context, load it into x1 and jump to the address it points at. The code there moves sp; until
//! then sp stays on the former stack, so that an interrupt never finds a live word below sp (there is no red zone).
//!
//! The jump is a `br`, never a `ret`: the CPU predicts a return by the calls it has seen, and those were another stack's. It goes by
//! x16 and lands on a `bti` (written as the hint it is, which older CPUs pass over), so pages may be guarded by branch target
//! identification. No address is signed here: a function that signs its return address does so with its own sp, which is the same
//! when it is continued.
//!
//! # Walking a stack
//!
//! The trampoline declares x30 undefined and zeroes x29, so that an unwinder and a frame-pointer walk both end at a task's
//! entry. There is nothing sensible beyond it: whoever continued the task last is not its caller.

use core::arch::{asm, naked_asm};

use crate::native;

/// The backend's name.
pub const BACKEND: &str = "aarch64";
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest usable stack, in bytes. Signal handlers without a stack of their own need several KiB more.
pub const STACK_MIN: usize = 768;

/// Saves the running stack into `*save`, then continues the stack `to`.
///
/// # Safety
/// `save` is writable, `to` is fresh or suspended, and the running stack stays as it is until it is continued.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut usize, to: usize) {
    // SAFETY: x19, x29 and sp are as before when the block ends at `2:`, all else is declared clobbered; without `nostack`
    // the compiler keeps nothing below sp, so the stores are free to happen.
    unsafe {
        asm!(
            "adr x9, 2f",
            "stp x9, x19, [sp, #-32]!",
            "str x29, [sp, #16]",
            "mov x9, sp",
            "str x9, [{save}]",
            "ldr x16, [x1]",
            "br x16",
            "2:", // somebody continued us, by *Continue*
            "hint #36", // bti j
            "ldp x19, x29, [x1, #8]",
            "add sp, x1, #32",
            save = in(reg) save,     // where the running context goes
            inlateout("x1") to => _, // the context to continue
            out("x9") _,             // scratch, while `save` is still needed
            out("x16") _,            // where `to` goes on
            lateout("x20") _,
            lateout("x21") _,
            lateout("x22") _,
            lateout("x23") _,
            lateout("x24") _,
            lateout("x25") _,
            lateout("x26") _,
            lateout("x27") _,
            lateout("x28") _,
            clobber_abi("C"), // x30 and v0 to v31 are among them
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
    unsafe { asm!("ldr x16, [x1]", "br x16", in("x1") to, options(noreturn, nostack)) }
}

/// Fetches the two cache lines at `address`, a stack pointer or any word, into the cache.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    // SAFETY: a prefetch never faults, and changes nothing but what is cached.
    unsafe {
        asm!(
            "prfm pldl1keep, [{0}]",
            "prfm pldl1keep, [{0}, #64]",
            in(reg) address,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Where a fresh stack begins: x1 is the context, a `Start`, and what its entry gets; sp is anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        "hint #36",             // bti j
        "ldp x9, x10, [x1, #8]", // the entry and the base
        "mov x0, x1",
        "mov sp, x10", // aligned to 16, as it always must be
        "mov x29, xzr", // ends the chain of frame pointers
        "blr x9",
        "cbnz x0, 2f",
        "bl {host}", // the host's
        "2:",
        "mov x1, x0", // the context that follows
        "ldr x16, [x1]",
        "br x16",
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
        "hint #34", // bti c
        "stp x29, x30, [sp, #-16]!",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset x29, -16",
        ".cfi_offset x30, -8",
        "mov x29, sp",
        ".cfi_def_cfa_register x29",
        "and x9, x0, #-16",
        "mov sp, x9",
        "mov x0, x2",
        "blr x1",
        "mov sp, x29",
        "ldp x29, x30, [sp], #16",
        ".cfi_def_cfa sp, 0",
        "ret",
        ".cfi_endproc",
    )
}
