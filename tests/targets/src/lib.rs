//! What the programs for boards share: the start, memory, a clock that jumps, and how they say what they found.
//!
//! A program is a `fn main()`, given to [`program!`]. It writes by semihosting, which QEMU passes on, and ends with status 0, or with
//! another one by a panic. The board, one file each in `board/`, starts it.
#![no_std]

extern crate alloc;

#[cfg_attr(target_arch = "arm", path = "board/cortex_m.rs")]
#[cfg_attr(any(target_arch = "riscv32", target_arch = "riscv64"), path = "board/riscv.rs")]
#[cfg_attr(target_arch = "aarch64", path = "board/aarch64.rs")]
mod board;
#[cfg(feature = "cases")]
mod clock;
mod heap;

#[cfg(feature = "cases")]
pub use clock::Clock;
pub use heap::Memory;
pub use semihosting::{print, println};

/// Whether floating-point registers are part of the target's calling convention.
pub const FLOAT: bool = cfg!(windlass_float);

/// The word after the program's name in the emulator's command line, in pieces of up to `N` bytes with the name.
///
/// # Panics
/// The emulator gives no command line.
pub fn argument<const N: usize>(with: impl FnOnce(Option<&str>)) {
    let arguments = semihosting::experimental::env::args::<N>();
    let arguments = arguments.expect("the emulator tells the arguments, and there is room for them");
    with((&arguments).nth(1).map(|argument| argument.expect("an argument is UTF-8")));
}

/// Makes a function the program, with a heap of so many bytes.
#[macro_export]
macro_rules! program {
    ($main:path, heap: $size:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn program() -> ! {
            static MEMORY: $crate::Memory<{ $size }> = $crate::Memory::new();
            MEMORY.give();
            $main();
            $crate::end()
        }
    };
}

/// Called by [`program!`].
pub fn end() -> ! {
    semihosting::process::exit(0)
}
