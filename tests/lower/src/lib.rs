//! Transparent suspension: a lowered module, suspended and resumed at any of its suspending imports, behaves exactly as
//! the original does.
//!
//! ```text
//!   generate, smith ─► case ─┬────────────► drive, host (engine) ─► run ─┐
//!   csmith, corpus           └─► via ─► drive, host (engine) ─► run ─────┴─► difference ─► shrink
//! ```
//!
//! *Seen from outside* is: results, traps, the imports called with their arguments and what the memory looked like then,
//! final memories and exported globals. All of it is compared as bits.

#![forbid(unsafe_code)]

pub mod case;
pub mod csmith;
pub mod drive;
pub mod engine;
pub mod fuzz;
pub mod generate;
pub mod host;
pub mod memory;
pub mod node;
pub mod relay;
pub mod rng;
pub mod shrink;
pub mod smith;
pub mod value;
pub mod via;
