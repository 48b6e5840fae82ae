//! The reactor that the thirteen rules are tested with.
#![cfg_attr(target_arch = "wasm32", no_std)]
