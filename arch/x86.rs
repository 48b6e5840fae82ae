//! x86 with 32 bits and the System V ABI (i686, i586; the C calling convention): Linux, the BSDs, bare metal.
//!
//! ABI: <https://gitlab.com/x86-psABIs/i386-ABI>, section 2.2; the stack is aligned to 16 at a call, as GCC has it since 4.5 and the
//! document since version 1.0.
//!
//! # What is saved
//!
//! | register | by whom |
//! | --- | --- |
//! | esp | it is the context |
//! | eip, ebp, esi | pushed here: the compiler lets no inline assembly clobber ebp and esi |
//! | ebx, edi, and all that a call may destroy, x87 and SSE registers with it | the compiler, as far as they are live, because they are clobbered |
//! | MXCSR, x87 control word, direction flag | nobody: they belong to the thread |
//!
//! # The two states of a stack
//!
//! ```text
//!          fresh                            suspended
//! base ─►  ┌───────────────────────┐        ┌───────────────────────┐ ◄─ base
//!          │ free                  │        │ frames of the context │
//!          │                       │        │ ...                   │
//!          │                       │        │ esi                   │
//!          │                       │        │ ebp                   │
//!          │                       │        │ address of `2:` below │ ◄─ edx
//!          │                       │        ├───────────────────────┤
//!          │                       │        │ free                  │
//! limit ─► └───────────────────────┘        └───────────────────────┘ ◄─ limit
//!
//! edx  ─►  [ address of trampoline | entry | base ]     a `Start`, which lies anywhere
//! ```
//!
//! *Continue.* To continue a context, load it into edx and jump to the address it points at. The code there moves esp; until
//! then esp stays on the former stack, so that an interrupt never finds a live word below esp (there is no red zone).
//!
//! The jump is a `jmp`, never a `ret`: the CPU predicts a return by the calls it has seen, and those were another stack's. Where code
//! lies is known only at run time and there is no addressing relative to eip, so `switch` asks by a `call` of the next instruction;
//! CPUs know that idiom and do not count it as a call.
//!
//! # Walking a stack
//!
//! The trampoline declares eip undefined and zeroes ebp, so that an unwinder and a frame-pointer walk both end at a task's
//! entry. There is nothing sensible beyond it: whoever continued the task last is not its caller.

use core::arch::{asm, naked_asm};

use crate::native;

/// The backend's name.
pub const BACKEND: &str = "x86";
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest usable stack, in bytes. Signal handlers without a stack of their own need several KiB more.
pub const STACK_MIN: usize = 512;

/// Saves the running stack into `*save`, then continues the stack `to`.
///
/// # Safety
/// `save` is writable, `to` is fresh or suspended, and the running stack stays as it is until it is continued.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut usize, to: usize) {
    // SAFETY: esi, ebp and esp are as before when the block ends at `2:`, all else is declared clobbered; without `nostack`
    // the compiler keeps nothing below esp, so the pushes are free to happen.
    unsafe {
        asm!(
            "pushl %esi",
            "pushl %ebp",
            "call 3f",
            "3:",
            "addl $(2f - 3b), (%esp)",
            "movl %esp, ({save})",
            "jmpl *(%edx)",
            "2:", // somebody continued us, by *Continue*
            "leal 4(%edx), %esp",
            "popl %ebp",
            "popl %esi",
            save = in(reg) save,      // where the running context goes
            inlateout("edx") to => _, // the context to continue
            lateout("ebx") _,
            lateout("edi") _,
            clobber_abi("cdecl"),
            options(att_syntax), // the other one has no difference of labels
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
    unsafe { asm!("jmp [edx]", in("edx") to, options(noreturn, nostack)) }
}

/// Fetches the two cache lines at `address`, a stack pointer or any word, into the cache.
#[inline(always)]
pub(crate) fn prefetch(address: usize) {
    // The instruction came with SSE.
    #[cfg(target_feature = "sse")]
    // SAFETY: a prefetch never faults, and changes nothing but what is cached.
    unsafe {
        asm!(
            "prefetcht0 [{0}]",
            "prefetcht0 [{0} + 64]",
            in(reg) address,
            options(nostack, preserves_flags, readonly),
        );
    }
    #[cfg(not(target_feature = "sse"))]
    let _ = address;
}

/// Where a fresh stack begins: edx is the context, a `Start`, and what its entry gets; esp is anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined eip",
        "mov esp, [edx + 8]", // the base: aligned to 16, as a call wants it
        "xor ebp, ebp",       // ends the chain of frame pointers
        "sub esp, 16",
        "mov [esp], edx",
        "call [edx + 4]", // the entry
        "mov edx, eax",   // the context that follows
        "test eax, eax",
        "jz 2f",
        "jmp [edx]",
        "2:", // the host's
        "call {host}",
        "mov edx, eax",
        "jmp [edx]",
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
        "push ebp",
        ".cfi_def_cfa_offset 8",
        ".cfi_offset ebp, -8",
        "mov ebp, esp",
        ".cfi_def_cfa_register ebp",
        "mov eax, [ebp + 16]", // arg
        "mov esp, [ebp + 8]",
        "and esp, -16",
        "sub esp, 16",
        "mov [esp], eax",
        "call [ebp + 12]",
        "mov esp, ebp",
        "pop ebp",
        ".cfi_def_cfa esp, 4",
        "ret",
        ".cfi_endproc",
    )
}
