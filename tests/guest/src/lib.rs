//! The reactor that the thirteen rules are tested with: `crates/host/tests/rules.rs` (wasmtime), `tests/node/rules.test.mjs` (Node).
//!
//! What init does is the host's choice (`test.init_mode`), and what a host call does, too (`test.call`). Both tests do the same.
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(unsafe_code, reason = "host imports, a constructor, a counting allocator, a deliberate trap")]

extern crate alloc;

#[cfg(target_arch = "wasm32")]
mod allocator;
#[cfg(feature = "scheduler")]
mod cases;
#[cfg(feature = "scheduler")]
mod tasks;

use alloc::string::String;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicI32, Ordering};

static CONSTRUCTED: AtomicI32 = AtomicI32::new(0);
static INITS: AtomicI32 = AtomicI32::new(0);

#[cfg(target_arch = "wasm32")]
const _: () = {
    extern "C" fn construct() {
        CONSTRUCTED.fetch_add(1, Ordering::Relaxed);
    }
    #[used]
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCT: extern "C" fn() = construct;
};

/// What the host provides.
#[cfg(target_arch = "wasm32")]
mod host {
    #[link(wasm_import_module = "test")]
    unsafe extern "C" {
        /// What init is to do.
        pub(crate) safe fn init_mode() -> i32;
        /// The host does what the test wants for `what`, calls into this reactor included.
        pub(crate) safe fn call(what: i32) -> i32;
    }
}

/// Natively the crate is only compiled.
#[cfg(not(target_arch = "wasm32"))]
mod host {
    pub(crate) fn init_mode() -> i32 {
        0
    }

    pub(crate) fn call(what: i32) -> i32 {
        what
    }
}

#[windlass::init]
fn init() {
    INITS.fetch_add(1, Ordering::Relaxed);
    let mode = host::init_mode();
    #[cfg(feature = "scheduler")]
    tasks::init(mode);
    // Would have to wait for the host where that may not block, as with the scheduler.
    #[cfg(not(feature = "scheduler"))]
    if mode == 4 {
        let _ = windlass::sleep(windlass::Duration::from_millis(5));
    }
}

/// How often the constructors ran.
#[windlass::export]
fn constructed() -> i32 {
    CONSTRUCTED.load(Ordering::Relaxed)
}

/// How often init ran.
#[windlass::export]
fn inits() -> i32 {
    INITS.load(Ordering::Relaxed)
}

#[windlass::export]
fn ping() -> i32 {
    7
}

#[windlass::export]
fn add(a: i32, b: i32) -> i32 {
    a.wrapping_add(b)
}

/// Every kind of number, in one sum.
#[windlass::export]
fn mix(a: i32, b: u32, c: i64, d: u64, e: f32, f: f64) -> f64 {
    f64::from(a) + f64::from(b) + c as f64 + d as f64 + f64::from(e) + f
}

#[windlass::export]
fn greet(name: String) -> String {
    alloc::format!("hello, {name}!")
}

#[windlass::export]
fn reverse(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

#[windlass::export]
fn biggest(a: u64) -> u64 {
    u64::MAX - a
}

#[windlass::export]
fn flip(a: u32) -> u32 {
    !a
}

#[windlass::export]
fn negate(a: i64) -> i64 {
    a.wrapping_neg()
}

#[windlass::export]
fn half(a: f32) -> f32 {
    a / 2.0
}

/// Calls the host, and returns what it says plus one.
#[windlass::export]
fn nested(what: i32) -> i32 {
    host::call(what) + 1
}

/// A real trap.
#[windlass::export]
fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

#[windlass::export]
fn panic() {
    panic!("on purpose");
}

/// Sleeps; 0: slept, 1: cancelled.
#[windlass::export]
fn sleep_ms(ms: i64) -> i32 {
    let duration = windlass::Duration::from_millis(ms.unsigned_abs());
    i32::from(windlass::sleep(duration).is_err())
}

/// Allocations made since the start.
#[windlass::export]
fn allocations() -> i64 {
    #[cfg(target_arch = "wasm32")]
    return allocator::allocations();
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Bytes allocated now.
#[windlass::export]
fn allocated() -> i64 {
    #[cfg(target_arch = "wasm32")]
    return allocator::allocated();
    #[cfg(not(target_arch = "wasm32"))]
    0
}
