//! x86-64 with the System V ABI: Linux, macOS, the BSDs, bare metal.
//!
//! ABI: <https://gitlab.com/x86-psABIs/x86-64-ABI>, section 3.2.
//!
//! # What is saved
//!
//! | register | by whom |
//! | --- | --- |
//! | rsp | it is the context |
//! | rip, rbp, rbx | pushed here: the compiler lets no inline assembly clobber rbp and rbx |
//! | r12 to r15, and all that a call may destroy | the compiler, as far as they are live, because they are clobbered |
//! | MXCSR, x87 control word, direction flag | nobody: they belong to the thread |
//!
//! # The two states of a stack
//!
//! ```text
//!          fresh                            suspended
//! base ─►  ┌───────────────────────┐        ┌───────────────────────┐ ◄─ base
//!          │ free                  │        │ frames of the context │
//!          │                       │        │ ...                   │
//!          │                       │        │ rbx                   │
//!          │                       │        │ rbp                   │
//!          │                       │        │ address of `2:` below │ ◄─ rsi
//!          │                       │        ├───────────────────────┤
//!          │                       │        │ free                  │
//! limit ─► └───────────────────────┘        └───────────────────────┘ ◄─ limit
//!
//! rsi  ─►  [ address of trampoline | entry | base ]     a `Start`, which lies anywhere
//! ```
//!
//! *Continue.* To continue a context, load it into rsi and jump to the address it points at. The code there moves rsp; until
//! then rsp stays on the former stack, so that an interrupt never finds a live word below rsp (there may be no red zone).
//!
//! The jump is a `jmp`, never a `ret`: the CPU predicts a return by the calls it has seen, and those were another stack's.
//!
//! # Walking a stack
//!
//! The trampoline declares rip undefined and zeroes rbp, so that an unwinder and a frame-pointer walk both end at a task's
//! entry. There is nothing sensible beyond it: whoever continued the task last is not its caller.

use core::arch::{asm, naked_asm};

use crate::native;

/// The backend's name.
pub const BACKEND: &str = "x86_64";
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
    // SAFETY: rbx, rbp and rsp are as before when the block ends at `2:`, all else is declared clobbered; without `nostack`
    // the compiler keeps nothing below rsp, so the pushes are free to happen.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [{save}], rsp",
            "jmp [rsi]",
            "2:", // somebody continued us, by *Continue*
            "lea rsp, [rsi + 8]",
            "pop rbp",
            "pop rbx",
            save = in(reg) save,  // where the running context goes
            in("rsi") to,         // the context to continue
            out("rax") _,         // scratch, while `save` is still needed
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("sysv64"),
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
    unsafe { asm!("jmp [rsi]", in("rsi") to, options(noreturn, nostack)) }
}

/// Fetches the two cache lines at `address`, a stack pointer or any word, into the cache.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    // SAFETY: a prefetch never faults, and changes nothing but what is cached.
    unsafe {
        asm!(
            "prefetcht0 [{0}]",
            "prefetcht0 [{0} + 64]",
            in(reg) address,
            options(nostack, preserves_flags, readonly),
        );
    }
}

/// Where a fresh stack begins: rsi is the context, a `Start`, and what its entry gets; rsp is anything.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        "mov rdi, rsi",
        "mov rsp, [rsi + 16]", // the base: aligned to 16, as a call wants it
        "xor ebp, ebp",        // ends the chain of frame pointers
        "call [rsi + 8]",      // the entry
        "mov rsi, rax",        // the context that follows
        "test rax, rax",
        "jz 2f",
        "jmp [rsi]",
        "2:", // the host's
        "call {host}",
        "mov rsi, rax",
        "jmp [rsi]",
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
pub(crate) unsafe extern "sysv64" fn call_on(top: usize, f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_signal_frame",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rdi",
        "and rsp, -16",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}
