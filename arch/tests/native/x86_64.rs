//! x86-64, System V: what `registers.rs` needs to know.

use core::arch::{asm, naked_asm};

use windlass_arch::Context;

use super::registers::Hop;

pub(super) type Word = u64;
/// What a call keeps.
pub(super) type Saved = [Word; 6];
pub(super) const NAMES: [&str; 6] = ["rbx", "rbp", "r12", "r13", "r14", "r15"];

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn with_registers(
    set: *const Saved,
    got: *mut Saved,
    f: unsafe extern "C" fn(*mut Hop),
    arg: *mut Hop,
) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rsi", // seven pushes and the return address: aligned for the call
        "mov rax, rdx",
        "mov rbx, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov r12, [rdi + 16]",
        "mov r13, [rdi + 24]",
        "mov r14, [rdi + 32]",
        "mov r15, [rdi + 40]",
        "mov rdi, rcx",
        "call rax",
        "pop rsi",
        "mov [rsi], rbx",
        "mov [rsi + 8], rbp",
        "mov [rsi + 16], r12",
        "mov [rsi + 24], r13",
        "mov [rsi + 32], r14",
        "mov [rsi + 40], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Overwrites what a call keeps, and keeps it.
pub(super) unsafe extern "C" fn scratch(_: *mut ()) {
    // SAFETY: writes registers that the block says it clobbers.
    unsafe {
        asm!("xor r12, r12", "xor r13, r13", "xor r14, r14", "xor r15, r15",
            out("r12") _, out("r13") _, out("r14") _, out("r15") _, clobber_abi("sysv64"));
    }
}

/// MXCSR and the x87 control word.
pub(super) type Control = (u32, u16);

pub(super) fn control_words() -> Control {
    let (mut mxcsr, mut x87) = (0_u32, 0_u16);
    // SAFETY: stores both words to the two locals.
    unsafe {
        asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87, options(nostack));
    }
    // The lower six bits are the exceptions that happened, not control.
    (mxcsr & !0x3f, x87)
}

pub(super) fn set_control_words((mxcsr, x87): Control) {
    // SAFETY: the test sets rounding and precision only, and computes nothing in between.
    unsafe {
        asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const x87, options(nostack));
    }
}

pub(super) fn rounding_down((mxcsr, x87): Control) -> Control {
    (mxcsr | 0x2000, x87 | 0x0400)
}

pub(super) fn rounding_up((mxcsr, x87): Control) -> Control {
    (mxcsr | 0x4000, x87 | 0x0800)
}

/// What the first instruction of an entry finds.
#[repr(C)]
pub(super) struct Begin {
    pub(super) sp: usize,
    /// The frame pointer.
    pub(super) frame: usize,
    /// The flags.
    pub(super) state: usize,
    pub(super) end: extern "C" fn() -> Context,
}

/// rsp modulo 16: the return address lies on the stack.
pub(super) const SP_AT_ENTRY: usize = 8;
/// The direction flag.
pub(super) const STATE: usize = 0x400;

/// Fills its `Begin` in, then goes on to `end`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn entry(begin: *mut ()) -> Context {
    naked_asm!(
        "mov [rdi], rsp",
        "mov [rdi + 8], rbp",
        "pushfq",
        "pop [rdi + 16]",
        "mov rdi, [rdi + 24]",
        "jmp rdi",
    )
}
