//! Cortex-M on the boards mps2-an385 (M3), mps2-an386 (M4) and mps2-an505 (M33): `cortex-m-rt` starts it.
//!
//! Tasks run on MSP, as after a reset.

// For its critical section.
use cortex_m as _;

unsafe extern "C" {
    safe fn program() -> !;
}

#[cortex_m_rt::entry]
fn main() -> ! {
    program()
}
