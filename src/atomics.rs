//! What is checked with loom is built from these names and no others: `tests/loom` has the same sources and another table.

pub(crate) use alloc::sync::Arc;
#[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
pub(crate) use core::sync::atomic::fence;
pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU8, Ordering};
#[cfg(all(feature = "std", not(target_arch = "wasm32")))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard},
    thread::{Thread, current as current_thread, park, park_timeout},
};
