//! 32-bit ARM with the AAPCS, Thumb and A32, with and without floating-point registers: Cortex-M (armv6-m to armv8-m), Linux, bare metal.
//! From armv5t on.
//!
//! ABI: <https://github.com/ARM-software/abi-aa/blob/main/aapcs32/aapcs32.rst>, *Core registers* and *The Stack*.
//!
//! # What is saved
//!
//! | register | by whom |
//! | --- | --- |
//! | sp | it is the context |
//! | pc, r6, r7, r11 | pushed here: the compiler lets no inline assembly clobber r6, its base pointer, nor its frame pointer, which is r7 in Thumb and r11 in A32 |
//! | r4, r5, r8 to r10, s16 to s31, lr, and all that a call may destroy | the compiler, as far as they are live and the target has them, because they are clobbered |
//! | FPSCR, CONTROL | nobody: they belong to the thread |
//!
//! Where r9 is the platform's (`-Crelocation-model=ropi-rwpi`), the compiler refuses to clobber it and this file.
//!
//! # One text
//!
//! The code has instructions of armv6-m only, with low registers, and labels at multiples of 4: it assembles for each of these CPUs, and nothing
//! here asks which it is. (On stable Rust nothing could: whether a target is Thumb or has Thumb-2 shows in no `cfg`.) With the
//! wider instructions of Thumb-2 a switch would have two instructions less, or three where r11 is the compiler's.
//!
//! # The two states of a stack
//!
//! ```text
//!          fresh                            suspended
//! base ─►  ┌───────────────────────┐        ┌───────────────────────┐ ◄─ base
//!          │ free                  │        │ frames of the context │
//!          │                       │        │ ...                   │
//!          │                       │        │ r7                    │
//!          │                       │        │ r6                    │
//!          │                       │        │ r11                   │
//!          │                       │        │ address of `2:` below │ ◄─ r1
//!          │                       │        ├───────────────────────┤
//!          │                       │        │ free                  │
//! limit ─► └───────────────────────┘        └───────────────────────┘ ◄─ limit
//!
//! r1   ─►  [ address of trampoline | entry | base ]     a `Start`, which lies anywhere
//! ```
//!
//! *Continue.* To continue a context, load it into r1 and jump to the address it points at, by `mov pc`: that stays in the state, Thumb
//! or A32, of the code, whatever the lowest bit of the address is. The code there moves sp; until then sp stays on the former
//! stack, and no live word is ever below sp.
//!
//! # Interrupts on Cortex-M
//!
//! Tasks run on the stack pointer that was active when `run` was called. On reset that is MSP, and then an interrupt pushes its
//! frame onto the stack of the running task and its handler goes on there: count in *each* task's stack 32 bytes for the frame, 72
//! more once anything uses floating point (the CPU reserves them, and fills them only if a handler uses it, too: nothing here touches that
//! state), 4 to align it, and the handlers' own frames, for each level of priority that can nest. A program that calls `run` on PSP
//! (`CONTROL.SPSEL`) has its handlers on MSP: then a task's stack needs room for one frame, 36 or 108 bytes.
//!
//! PSPLIM and MSPLIM of armv8-m are not switched: they must be 0, as on reset, or below all stacks.
//!
//! # Walking a stack
//!
//! The trampoline declares that nobody can unwind it and zeroes r7 and r11, so that an unwinder and a frame-pointer walk end at a task's entry.

use core::arch::{asm, naked_asm};

use crate::native;

/// The backend's name.
pub const BACKEND: &str = "arm";
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest usable stack, in bytes. What interrupts and signals need there comes on top.
pub const STACK_MIN: usize = 384;

/// Saves the running stack into `*save`, then continues the stack `to`.
///
/// # Safety
/// `save` is writable, `to` is fresh or suspended, and the running stack stays as it is until it is continued.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut usize, to: usize) {
    // SAFETY: r6, r7, r11 and sp are as before when the block ends at `2:`, all else is declared clobbered; without `nostack` the
    // compiler keeps nothing below sp, so the push is free to happen.
    unsafe {
        asm!(
            "adr r2, 2f",
            "mov r3, r11",
            "push {{r2, r3, r6, r7}}",
            "mov r3, sp",
            "str r3, [{save}]",
            "ldr r2, [r1]",
            "mov pc, r2",
            ".p2align 2", // what `adr` reaches
            "2:",         // somebody continued us, by *Continue*
            "mov sp, r1",
            "pop {{r2, r3, r6, r7}}",
            "mov r11, r3",
            save = in(reg) save,        // where the running context goes
            inlateout("r1") to => _,    // the context to continue
            out("r2") _,                // scratch, while `save` is still needed
            out("r3") _,
            lateout("r0") _, lateout("r4") _, lateout("r5") _, lateout("r8") _, lateout("r9") _, lateout("r10") _,
            lateout("r12") _, lateout("lr") _,
            // Left out where the target has none. (`clobber_abi` names d16 also where there are 16, of which the compiler warns.)
            lateout("d0") _, lateout("d1") _, lateout("d2") _, lateout("d3") _, lateout("d4") _, lateout("d5") _,
            lateout("d6") _, lateout("d7") _, lateout("d8") _, lateout("d9") _, lateout("d10") _, lateout("d11") _,
            lateout("d12") _, lateout("d13") _, lateout("d14") _, lateout("d15") _,
            lateout("q8") _, lateout("q9") _, lateout("q10") _, lateout("q11") _, lateout("q12") _, lateout("q13") _,
            lateout("q14") _, lateout("q15") _,
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
    unsafe { asm!("ldr r2, [r1]", "mov pc, r2", in("r1") to, options(noreturn, nostack)) }
}

/// Nothing: the CPUs without caches have no such hint.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    let _ = address;
}

/// Where a fresh stack begins: r1 is the context, a `Start`, and what its entry gets; sp is anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".fnstart",
        ".cantunwind",
        ".cfi_undefined lr",
        "mov r0, r1",
        "ldr r2, [r1, #8]", // the base: aligned to 16, and a call wants 8
        "mov sp, r2",
        "movs r7, #0", // ends the chain of frame pointers
        "mov r11, r7",
        "ldr r2, [r1, #4]",
        "blx r2", // the entry
        "cmp r0, #0",
        "bne 2f",
        "bl {host}",
        "2:",
        "mov r1, r0", // the context that follows
        "ldr r2, [r1]",
        "mov pc, r2",
        ".fnend",
        ".cfi_endproc",
        host = sym native::host_after_end,
    )
}

/// Calls `f(arg)` below `top` on another stack.
///
/// A function of its own, with a frame pointer, so that the frame's description does not depend on the stack pointer: a
/// backtrace out of `f` goes on through the caller's stack.
///
/// # Safety
/// The memory below `top` is a stack with nothing alive on it. `f` may be called with `arg` and does not unwind.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_on(top: usize, f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        ".fnstart",
        "push {{r7, lr}}",
        ".save {{r7, lr}}",
        ".cfi_def_cfa_offset 8",
        ".cfi_offset lr, -4",
        ".cfi_offset r7, -8",
        ".setfp r7, sp",
        "mov r7, sp",
        ".cfi_def_cfa_register r7",
        "movs r3, #7",
        "bics r0, r0, r3",
        "mov sp, r0",
        "mov r0, r2",
        "blx r1",
        "mov sp, r7",
        "pop {{r7, pc}}",
        ".fnend",
        ".cfi_endproc",
    )
}
