//! x86: what `registers.rs` needs to know.

use core::arch::{asm, naked_asm};

use windlass_arch::Context;

use super::registers::Hop;

pub(super) type Word = u32;
/// What a call keeps.
pub(super) type Saved = [Word; 4];
pub(super) const NAMES: [&str; 4] = ["ebx", "esi", "edi", "ebp"];

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn with_registers(
    set: *const Saved,
    got: *mut Saved,
    f: unsafe extern "C" fn(*mut Hop),
    arg: *mut Hop,
) {
    naked_asm!(
        "push ebx",
        "push esi",
        "push edi",
        "push ebp",
        "mov eax, [esp + 20]",
        "mov ecx, [esp + 28]",
        "mov edx, [esp + 32]",
        "mov ebx, [eax]",
        "mov esi, [eax + 4]",
        "mov edi, [eax + 8]",
        "mov ebp, [eax + 12]",
        "sub esp, 12", // with what is above and the return address: aligned for the call
        "mov [esp], edx",
        "call ecx",
        "add esp, 12",
        "mov eax, [esp + 24]",
        "mov [eax], ebx",
        "mov [eax + 4], esi",
        "mov [eax + 8], edi",
        "mov [eax + 12], ebp",
        "pop ebp",
        "pop edi",
        "pop esi",
        "pop ebx",
        "ret",
    )
}

/// Overwrites what a call keeps, and keeps it.
pub(super) unsafe extern "C" fn scratch(_: *mut ()) {
    // SAFETY: writes registers that the block says it clobbers.
    unsafe {
        asm!("xor ebx, ebx", "xor edi, edi", out("ebx") _, out("edi") _, clobber_abi("cdecl"));
    }
}

/// The x87 control word, and MXCSR where there is one.
pub(super) type Control = (u16, u32);

pub(super) fn control_words() -> Control {
    let mut x87 = 0_u16;
    // SAFETY: stores the word to the local.
    unsafe { asm!("fnstcw [{}]", in(reg) &raw mut x87, options(nostack)) };
    #[cfg(target_feature = "sse")]
    {
        let mut mxcsr = 0_u32;
        // SAFETY: stores the word to the local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack)) };
        // The lower six bits are the exceptions that happened, not control.
        (x87, mxcsr & !0x3f)
    }
    #[cfg(not(target_feature = "sse"))]
    (x87, 0)
}

pub(super) fn set_control_words((x87, mxcsr): Control) {
    // SAFETY: the test sets the rounding only, and computes nothing in between.
    unsafe { asm!("fldcw [{}]", in(reg) &raw const x87, options(nostack)) };
    #[cfg(target_feature = "sse")]
    // SAFETY: likewise.
    unsafe {
        asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack));
    }
    #[cfg(not(target_feature = "sse"))]
    let _ = mxcsr;
}

pub(super) fn rounding_down((x87, mxcsr): Control) -> Control {
    (x87 | 0x0400, if cfg!(target_feature = "sse") { mxcsr | 0x2000 } else { 0 })
}

pub(super) fn rounding_up((x87, mxcsr): Control) -> Control {
    (x87 | 0x0800, if cfg!(target_feature = "sse") { mxcsr | 0x4000 } else { 0 })
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

/// esp modulo 16: the return address lies on the stack.
pub(super) const SP_AT_ENTRY: usize = 12;
/// The direction flag.
pub(super) const STATE: usize = 0x400;

/// Fills its `Begin` in, then goes on to `end`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn entry(begin: *mut ()) -> Context {
    naked_asm!(
        "mov eax, [esp + 4]",
        "mov [eax], esp",
        "mov [eax + 4], ebp",
        "pushfd",
        "pop ecx",
        "mov [eax + 8], ecx",
        "jmp [eax + 12]",
    )
}
