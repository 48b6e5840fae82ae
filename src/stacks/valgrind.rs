//! Requests to valgrind, so that its tools take a switch for a switch and not for a very large frame.
//!
//! A request is a sequence of instructions that does nothing on a CPU and that valgrind knows when it translates it: four rotations
//! that add up to two full turns, and an exchange of a register with itself. The numbers are those of `valgrind.h`
//! (<https://valgrind.org/docs/manual/manual-core-adv.html>). Elsewhere than on x86-64 nothing is asked.
#![allow(unsafe_code, reason = "assembly that only valgrind sees")]

use core::ptr::NonNull;

const RUNNING_ON_VALGRIND: usize = 0x1001;
const STACK_REGISTER: usize = 0x1501;
const STACK_DEREGISTER: usize = 0x1502;
/// Memcheck's own: "MC" in the two high bytes, its request 1.
const MAKE_MEM_UNDEFINED: usize = 0x4d43_0001;

/// Whether the program runs under valgrind.
pub(super) fn is_here() -> bool {
    request(RUNNING_ON_VALGRIND, 0, 0) != 0
}

/// Whether it is memcheck, which follows the content of memory. Other tools leave its requests alone.
pub(super) fn checks_memory() -> bool {
    request(MAKE_MEM_UNDEFINED, 0, 0) != 0
}

/// Announces `[limit, limit + size)` as a stack; returns its number.
#[cold]
pub(super) fn register(limit: NonNull<u8>, size: usize) -> usize {
    let limit = limit.as_ptr().expose_provenance();
    request(STACK_REGISTER, limit, limit + size - 1)
}

/// Takes the announcement back.
#[cold]
pub(super) fn deregister(number: usize) {
    request(STACK_DEREGISTER, number, 0);
}

/// Tells memcheck that the former content of this memory is gone, and that it may be written.
#[cold]
pub(super) fn forget(limit: NonNull<u8>, size: usize) {
    request(MAKE_MEM_UNDEFINED, limit.as_ptr().expose_provenance(), size);
}

#[cfg(target_arch = "x86_64")]
fn request(code: usize, first: usize, second: usize) -> usize {
    let request = [code, first, second, 0, 0, 0];
    let result;
    // SAFETY: on a CPU nothing changes but the flags: rdx is the result, and 0. Under valgrind it reads the six words at rax.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") request.as_ptr(),   // the request
            inout("rdx") 0usize => result, // what it returns where nobody listens
            options(nostack),
        );
    }
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn request(_: usize, _: usize, _: usize) -> usize {
    0
}
