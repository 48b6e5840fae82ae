//! x86-64 with Microsoft's ABI: Windows.
//!
//! ABI: <https://learn.microsoft.com/cpp/build/x64-calling-convention> and, on unwinding,
//! <https://learn.microsoft.com/cpp/build/exception-handling-x64>. The thread's block: `NT_TIB` and `TEB` of `winternl.h`, at gs.
//!
//! # What is saved
//!
//! | register | by whom |
//! | --- | --- |
//! | rsp | it is the context |
//! | rip, rbp, rbx | pushed here: the compiler lets no inline assembly clobber rbp and rbx |
//! | `StackBase`, `StackLimit`, `DeallocationStack` of the thread's block | pushed here: they tell the system where the stack is |
//! | `ExceptionList` of the thread's block | pushed here: Wine keeps a list through the stack there. Windows with 64 bits does not use it |
//! | rsi, rdi, r12 to r15, xmm6 to xmm15, and all that a call may destroy | the compiler, as far as they are live, because they are clobbered |
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
//!          │                       │        │ ExceptionList         │
//!          │                       │        │ DeallocationStack     │
//!          │                       │        │ StackLimit            │
//!          │                       │        │ StackBase             │
//!          │                       │        │ address of `2:` below │ ◄─ rsi
//!          │                       │        ├───────────────────────┤
//!          │                       │        │ free                  │
//! limit ─► └───────────────────────┘        └───────────────────────┘ ◄─ limit
//!
//! rsi  ─►  [ address of trampoline | entry | base | limit ]     a `Start`, which lies anywhere
//! ```
//!
//! *Continue.* To continue a context, load it into rsi and jump to the address it points at. The code there moves rsp and says to the
//! thread's block which stack it is on. The jump is a `jmp`, never a `ret`, which would be predicted by another stack's calls.
//!
//! *Whole Stack.* A context's stack has all of its memory from the start, so its limit never moves, and it is the
//! `DeallocationStack`, too. (The host's stack does grow: the system moves the limit, and `call_on` writes down where to.) A frame larger than a
//! page probes each page down to the limit and beyond (`__chkstk`), so it finds the guard below.
//!
//! # Walking a stack
//!
//! The trampoline describes a return address, and that is 0, so an unwinder ends at a task's entry; rbp is 0 there, too.

use core::arch::{asm, naked_asm};

use crate::native;

/// The backend's name.
pub const BACKEND: &str = "x86_64";
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest usable stack, in bytes. The system puts a record of several KiB on the stack where a panic begins.
pub const STACK_MIN: usize = 1024;

/// Saves the running stack into `*save`, then continues the stack `to`.
///
/// # Safety
/// `save` is writable, `to` is fresh or suspended, and the running stack stays as it is until it is continued.
#[inline(always)]
pub(crate) unsafe fn switch(save: *mut usize, to: usize) {
    // SAFETY: rbx, rbp, rsp and the thread's block are as before when the block ends, all else is declared clobbered; without
    // `nostack` the compiler keeps nothing below rsp, so the pushes are free to happen.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "push qword ptr gs:[0x00]",
            "push qword ptr gs:[0x1478]",
            "push qword ptr gs:[0x10]",
            "push qword ptr gs:[0x08]",
            "lea rax, [rip + 2f]",
            "push rax",
            "mov [{save}], rsp",
            "jmp [rsi]",
            "2:", // somebody continued us, by *Continue*
            "lea rsp, [rsi + 8]",
            "pop qword ptr gs:[0x08]",
            "pop qword ptr gs:[0x10]",
            "pop qword ptr gs:[0x1478]",
            "pop qword ptr gs:[0x00]",
            "pop rbp",
            "pop rbx",
            save = in(reg) save,      // where the running context goes
            inlateout("rsi") to => _, // the context to continue
            out("rax") _,             // scratch, while `save` is still needed
            lateout("rdi") _,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("win64"), // of xmm6 to xmm15 a call may destroy the upper parts: they are among them
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
        asm!("prefetcht0 [{0}]", "prefetcht0 [{0} + 64]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
}

/// Where a fresh stack begins: rsi is the context, a `Start`, and what its entry gets; rsp is anything.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".seh_proc {this}",
        ".seh_stackalloc 40", // as the frame is when the entry is called
        ".seh_endprologue",
        "mov rax, [rsi + 24]", // the limit
        "mov rsp, [rsi + 16]", // the base: aligned to 16, as a call wants it
        "mov gs:[0x08], rsp",
        "mov gs:[0x10], rax",
        "mov gs:[0x1478], rax",
        "mov qword ptr gs:[0x00], -1", // the end of the list
        "push 0", // the return address
        "sub rsp, 40", // room that a callee may use, 32 bytes, and alignment
        "xor ebp, ebp",
        "mov rcx, rsi",
        "call [rsi + 8]", // the entry
        "test rax, rax",
        "jnz 2f",
        "call {host}", // the host's
        "2:",
        "mov rsi, rax", // the context that follows
        "jmp [rsi]",
        ".seh_endproc",
        this = sym trampoline,
        host = sym native::host_after_end,
    )
}

/// Calls `f(arg)` below `top` on another stack, a suspended one.
///
/// A function of its own, with a frame pointer, so that the frame's description does not depend on the stack pointer: a
/// backtrace out of `f` goes on through the caller's stack.
///
/// # Safety
/// `top` is a suspended stack, and nothing below it is alive. `f` may be called with `arg` and does not unwind.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn call_on(top: usize, f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    naked_asm!(
        ".seh_proc {this}",
        "push rbx",
        ".seh_pushreg rbx",
        "push rbp",
        ".seh_pushreg rbp",
        "mov rbp, rsp",
        ".seh_setframe rbp, 0",
        ".seh_endprologue",
        "push qword ptr gs:[0x00]",
        "push qword ptr gs:[0x1478]",
        "push qword ptr gs:[0x10]",
        "push qword ptr gs:[0x08]",
        "mov rbx, rcx",
        "mov rsp, rcx",
        "mov rax, [rcx + 8]", // what `switch` has pushed before the address to go on at
        "mov gs:[0x08], rax",
        "mov rax, [rcx + 16]",
        "mov gs:[0x10], rax",
        "mov rax, [rcx + 24]",
        "mov gs:[0x1478], rax",
        "mov rax, [rcx + 32]",
        "mov gs:[0x00], rax",
        "and rsp, -16",
        "sub rsp, 32", // room that a callee may use
        "mov rcx, r8",
        "call rdx",
        "mov rax, gs:[0x10]",
        "mov [rbx + 16], rax", // *Whole Stack*: the host's limit may have moved
        "lea rsp, [rbp - 32]",
        "pop qword ptr gs:[0x08]",
        "pop qword ptr gs:[0x10]",
        "pop qword ptr gs:[0x1478]",
        "pop qword ptr gs:[0x00]",
        "pop rbp",
        "pop rbx",
        "ret",
        ".seh_endproc",
        this = sym call_on,
    )
}
