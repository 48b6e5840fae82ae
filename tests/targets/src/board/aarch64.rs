//! AArch64 on the machine `virt`: one core.

use core::arch::{asm, global_asm};

global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    "mov x0, #3 << 20", // CPACR_EL1.FPEN: floating-point registers may be used
    "msr cpacr_el1, x0",
    "isb",
    "adrp x0, __stack_top",
    "add x0, x0, :lo12:__stack_top",
    "mov sp, x0",
    "adrp x0, __bss_start",
    "add x0, x0, :lo12:__bss_start",
    "adrp x1, __bss_end",
    "add x1, x1, :lo12:__bss_end",
    "2: cmp x0, x1",
    "b.eq 3f",
    "str xzr, [x0], #8",
    "b 2b",
    "3: bl program",
);

struct OneCore;
critical_section::set_impl!(OneCore);

/// DAIF.I.
const MASKED: usize = 1 << 7;

// SAFETY: there is one core, and nothing interrupts it while interrupts are masked.
unsafe impl critical_section::Impl for OneCore {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        let before: usize;
        // SAFETY: not in user mode.
        unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) before) };
        before & MASKED == 0
    }

    unsafe fn release(enable: critical_section::RawRestoreState) {
        if enable {
            // SAFETY: they were enabled before.
            unsafe { asm!("msr daifclr, #2") };
        }
    }
}
