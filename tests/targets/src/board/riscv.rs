//! RISC-V on the machine `virt`: one core, in machine mode.

use core::arch::{asm, global_asm};

global_asm!(
    ".section .text.start, \"ax\"",
    ".global _start",
    "_start:",
    ".option push",
    ".option norelax",
    "la gp, __global_pointer$",
    ".option pop",
    "la sp, __stack_top",
    "li t0, 1 << 13", // mstatus.FS: floating-point registers may be used, where there are some
    "csrs mstatus, t0",
    "la t0, __bss_start",
    "la t1, __bss_end",
    "2: beq t0, t1, 3f",
    "sb zero, 0(t0)",
    "addi t0, t0, 1",
    "j 2b",
    "3: la t0, 4f",
    "csrw mtvec, t0",
    "call program",
    ".p2align 2",
    "4: csrr a0, mcause",
    "csrr a1, mepc",
    "tail {trap}",
    trap = sym trap,
);

/// Nothing here may trap.
extern "C" fn trap(cause: usize, at: usize) -> ! {
    panic!("trap: mcause {cause:#x}, mepc {at:#x}");
}

struct OneCore;
critical_section::set_impl!(OneCore);

/// mstatus.MIE.
const INTERRUPTS: usize = 1 << 3;

// SAFETY: there is one core, and nothing interrupts it while MIE is clear.
unsafe impl critical_section::Impl for OneCore {
    unsafe fn acquire() -> critical_section::RawRestoreState {
        let before: usize;
        // SAFETY: in machine mode; clears MIE.
        unsafe { asm!("csrrci {}, mstatus, {}", out(reg) before, const INTERRUPTS) };
        before & INTERRUPTS != 0
    }

    unsafe fn release(enable: critical_section::RawRestoreState) {
        if enable {
            // SAFETY: they were enabled before.
            unsafe { asm!("csrsi mstatus, {}", const INTERRUPTS) };
        }
    }
}
