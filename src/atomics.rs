//! Atomics, and what else threads and interrupts share: what is checked with loom is built from these names and no others; `tests/loom`
//! has the same sources and another table.
//!
//! Where the CPU has no compare-and-swap (Cortex-M0, RISC-V without the A extension), `portable-atomic` makes it of a critical section,
//! which the program supplies: docs/decisions/0027.

pub(crate) use core::sync::atomic::Ordering;

#[cfg(target_has_atomic = "ptr")]
#[allow(unused_imports, reason = "without the scheduler there is nothing to share but a number")]
pub(crate) use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicUsize};
#[cfg(not(target_has_atomic = "ptr"))]
#[allow(unused_imports, reason = "without the scheduler there is nothing to share but a number")]
pub(crate) use portable_atomic::{AtomicPtr, AtomicU8, AtomicUsize};

#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
#[allow(unused_imports, reason = "as above")]
pub(crate) use alloc::sync::Arc;
#[cfg(all(feature = "alloc", not(target_has_atomic = "ptr")))]
#[allow(unused_imports, reason = "as above")]
pub(crate) use portable_atomic_util::Arc;

#[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
pub(crate) use core::sync::atomic::fence;
#[cfg(all(feature = "std", feature = "scheduler", not(target_arch = "wasm32")))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard},
    thread::{Thread, current as current_thread, park, park_timeout},
};
