//! What a wasm32 reactor imports: from the host, and from the lowering tool.
#![allow(unsafe_code, reason = "imported functions")]

mod import {
    #[link(wasm_import_module = "windlass_host")]
    unsafe extern "C" {
        pub(super) safe fn now() -> i64;
        pub(super) safe fn wait(until: i64) -> i32;
        pub(super) safe fn wake_at(until: i64);
        pub(super) fn log(text: *const u8, len: usize);
    }

    #[cfg(feature = "scheduler")]
    #[link(wasm_import_module = "windlass")]
    unsafe extern "C" {
        pub(super) safe fn enter() -> i32;
        pub(super) safe fn exit();
        pub(super) safe fn fail() -> !;
        pub(super) safe fn refuse() -> !;
    }
}

pub(crate) fn now() -> i64 {
    import::now()
}

pub(crate) fn wait(until: i64) -> i32 {
    import::wait(until)
}

pub(crate) fn wake_at(until: i64) {
    import::wake_at(until);
}

pub(crate) fn log(text: &str) {
    // SAFETY: the host reads `len` bytes at `text`, which outlive the call.
    unsafe { import::log(text.as_ptr(), text.len()) };
}

/// Opens a call; `false`: the instance is poisoned.
#[cfg(feature = "scheduler")]
pub(super) fn enter() -> bool {
    import::enter() == 1
}

#[cfg(feature = "scheduler")]
pub(super) fn exit() {
    import::exit();
}

/// After `enter` has said no: gives the host's shadow stack back, and traps.
#[cfg(feature = "scheduler")]
pub(super) fn refuse() -> ! {
    import::refuse()
}

/// Closes the call, gives the host's shadow stack back, and traps.
#[cfg(feature = "scheduler")]
pub(super) fn fail() -> ! {
    import::fail()
}
