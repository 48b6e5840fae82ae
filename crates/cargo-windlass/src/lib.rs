//! What `cargo windlass` does, for programs that do the same: finding a toolchain that builds for wasm32, building
//! a guest and lowering it.
//!
//! ```text
//! toolchain ──► build ──► cargo build ──► windlass-lower ──► NAME.lowered.wasm
//! ```

pub mod build;
pub mod error;
pub mod process;
pub mod toolchain;
