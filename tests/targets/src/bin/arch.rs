//! The conformance suite of `windlass-arch`, and the CPU's registers.
#![no_std]
#![no_main]

use core::cell::UnsafeCell;

use cases::{Room, STACKS, Stack};
use target::println;

#[path = "../../../../arch/tests/cases/mod.rs"]
mod cases;
#[cfg(any(target_arch = "arm", target_arch = "riscv32", target_arch = "riscv64"))]
#[path = "../../../../arch/tests/registers/mod.rs"]
mod registers;

#[allow(unused_imports, reason = "asked for by the registers of CPUs whose `cfg` does not say it")]
use target::FLOAT;

cases::seam!(
    Backend = windlass_arch,
    many: 100_000,
    one_host_stack: true,
    run_anywhere: true,
    on_host: windlass_arch::on_host
);

/// A case's name, and what it does.
type Case = (&'static str, fn(&mut Room<'_>));

macro_rules! list {
    ($($module:ident::$name:ident),* $(,)?) => {
        const CASES: &[Case] =
            &[$((concat!(stringify!($module), "::", stringify!($name)), cases::$module::$name::<Backend>)),*];
    };
}
cases::each_case!(list);

#[cfg(any(target_arch = "arm", target_arch = "riscv32", target_arch = "riscv64"))]
macro_rules! register_list {
    ($($module:ident::$name:ident),* $(,)?) => {
        const REGISTER_CASES: &[Case] =
            &[$((concat!(stringify!($module), "::", stringify!($name)), $module::$name::<Backend>)),*];
    };
}
#[cfg(any(target_arch = "arm", target_arch = "riscv32", target_arch = "riscv64"))]
registers::each_register_case!(register_list);
#[cfg(not(any(target_arch = "arm", target_arch = "riscv32", target_arch = "riscv64")))]
const REGISTER_CASES: &[Case] = &[];

struct Stacks(UnsafeCell<[Stack; STACKS]>);
// SAFETY: one thread, and one case at a time.
unsafe impl Sync for Stacks {}
static MEMORY: Stacks = Stacks(UnsafeCell::new([Stack::NEW; STACKS]));

// Nothing here allocates.
target::program!(main, heap: 1024);

fn main() {
    // Registers first: they tell best what is wrong with a switch.
    for (name, case) in REGISTER_CASES.iter().chain(CASES) {
        // Before it runs, so that it is known which one broke off.
        target::print!("test {name} ... ");
        // SAFETY: cases run one after another.
        case(&mut Room::new(unsafe { &mut *MEMORY.0.get() }));
        println!("ok");
    }
    println!("{} cases, 0 failed", CASES.len() + REGISTER_CASES.len());
}
