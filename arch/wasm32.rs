//! WebAssembly: the seam is imported, the post-link tool defines it (`docs/abi.md`, sections 2 to 4).
//!
//! WebAssembly hides its call stack, so no code in the module itself can leave one. The tool rewrites the functions that may
//! be suspended and replaces these imports; a module that it has not seen fails to instantiate, and the missing import's
//! name says why.
//!
//! A stack here is the *shadow* stack: the memory of locals whose address is taken. A context lies at its low end.

use core::cell::Cell;

use crate::{Context, Entry};

pub use crate::words::{runtime, set_runtime};

/// The backend's name.
pub const BACKEND: &str = "wasm32";
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest usable stack, in bytes: room for the context, some frames, and the shadow stack.
pub const STACK_MIN: usize = 1024;

mod import {
    use crate::{Context, Entry};

    #[link(wasm_import_module = "windlass")]
    unsafe extern "C" {
        pub(super) fn prepare(limit: *mut u8, base: *mut u8, entry: Entry, arg: *mut ()) -> Context;
        pub(super) fn switch(save: *mut Context, to: Context);
        pub(super) fn run(first: Context);
        pub(super) fn leave(save: *mut Context);
        pub(super) fn discard(context: Context);
    }
}

/// Where a context begins, to be used again and again for one after the other: each gets a pointer to this.
///
/// It is the first field of what its user knows of a context.
#[repr(C)]
#[derive(Debug)]
pub struct Start {
    limit: Cell<*mut u8>,
    base: Cell<*mut u8>,
}

impl Start {
    /// A start without a stack.
    #[must_use]
    pub const fn new() -> Start {
        Start { limit: Cell::new(core::ptr::null_mut()), base: Cell::new(core::ptr::null_mut()) }
    }

    /// Says where later contexts begin: on the stack from `limit` (low end) to `base` (high end).
    pub fn set_stack(&self, limit: *mut u8, base: *mut u8) {
        self.limit.set(limit);
        self.base.set(base);
    }

    /// Makes a context that calls `entry` with the address of this start when it is first continued.
    ///
    /// # Safety
    /// As for [`prepare`], of the stack that [`Start::set_stack`] was told. This stays where it is until the context has been continued.
    #[must_use]
    pub unsafe fn prepare(&self, entry: Entry) -> Context {
        let this = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the caller's promise.
        unsafe { prepare(self.limit.get(), self.base.get(), entry, this) }
    }
}

impl Default for Start {
    fn default() -> Start {
        Start::new()
    }
}

/// Makes a context that calls `entry(arg)` on the stack from `limit` (low end) to `base` (high end) when it is first
/// continued.
///
/// # Safety
/// Both ends are multiples of [`STACK_ALIGN`], at least [`STACK_MIN`] apart. The memory is writable and belongs to the
/// context until that ended or was discarded; the tool checks that what runs on it fits into it. `entry` does not unwind,
/// and whatever it needs is alive when the context runs.
#[inline(always)]
#[must_use]
pub unsafe fn prepare(limit: *mut u8, base: *mut u8, entry: Entry, arg: *mut ()) -> Context {
    // SAFETY: the caller's promise is the import's condition.
    unsafe { import::prepare(limit, base, entry, arg) }
}

/// Leaves the running context into `*save` and continues `to`. Returns when somebody continues what was saved.
///
/// Not to the host: for that there is [`leave`].
///
/// # Safety
/// Called on a context's stack, under a [`run`]. `save` is writable. `to` obeys *One Owner*.
#[inline(always)]
pub unsafe fn switch(save: *mut Context, to: Context) {
    debug_assert!(!to.is_host());
    // SAFETY: the caller's promise is the import's condition.
    unsafe { import::switch(save, to) }
}

/// Continues `first` from the host's stack. Returns when a context leaves to the host or ends with [`Context::HOST`].
///
/// With `first` the host there is nothing to do.
///
/// # Safety
/// `first` obeys *One Owner*. (On a context's stack it traps: there the host calls in first, through an import.)
#[inline(always)]
pub unsafe fn run(first: Context) {
    if !first.is_host() {
        // SAFETY: the caller's promise is the import's condition.
        unsafe { import::run(first) }
    }
}

/// Leaves the running context into `*save`; the innermost [`run`] returns.
///
/// # Safety
/// As for [`switch`].
#[inline(always)]
pub unsafe fn leave(save: *mut Context) {
    // SAFETY: the caller's promise is the import's condition.
    unsafe { import::leave(save) }
}

/// Ends the running context and continues `to`: the last thing that an entry does, `return finish(to)`.
///
/// # Safety
/// Called by an entry, in its own frame. `to` obeys *One Owner* and *Own Thread*, and is not the host.
#[inline(always)]
pub unsafe fn finish(to: Context) -> Context {
    to
}

/// Gives up a context that is suspended or was never started. Nothing on its stack is dropped.
///
/// # Safety
/// The context is not continued again, and nobody relies on a destructor or a borrow that lives on its stack.
#[inline(always)]
pub unsafe fn discard(context: Context) {
    // SAFETY: the caller's promise is the import's condition.
    unsafe { import::discard(context) }
}

/// A hint that has no use here.
#[inline(always)]
pub fn prefetch(address: usize) {
    let _ = address;
}

/// Calls `f(arg)` where it is: whoever may start a nested [`run`] was called by the host, out of an import, and the tool's
/// bracket around that import has already given the host its shadow stack back.
///
/// # Safety
/// `f` may be called with `arg`, does not unwind, and does not [`switch`] or [`leave`] except under a `run` of its own.
#[inline(always)]
pub unsafe fn on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { f(arg) }
}
