//! The seam on a CPU: what is the same for all of them, around the few functions of a CPU file.
//!
//! A suspended context is a stack pointer, a fresh one a pointer to its [`Start`]; either way to a word that says where to go on. So is the host's: `run` is a switch that saves into the host word, `leave` one that
//! continues what the host word holds.
//!
//! *Host Word.* While code runs on a context's stack, the word `host` is the stack pointer of the innermost `run`, with all
//! that is alive on the host's stack above it. While code runs on the host's stack, the word is 0. `run` and `on_host` put
//! the former value back when they return, and both return in the order of the stack they wait on.

use core::cell::Cell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[cfg(feature = "asan")]
use crate::asan;
use crate::{Context, Entry, cpu};

pub use crate::cpu::{BACKEND, STACK_ALIGN, STACK_MIN};
pub use crate::words::{runtime, set_runtime};

per_thread! { static HOST: AtomicUsize = AtomicUsize::new(0); }

/// Where a context begins, to be used again and again for one after the other: each gets a pointer to this.
///
/// It is the first field of what its user knows of a context. A fresh context is a pointer to it; nothing is written to the stack.
#[repr(C)]
#[derive(Debug)]
pub struct Start {
    code: *const (),
    entry: Cell<*const ()>,
    base: Cell<*mut u8>,
    /// The system wants to know it.
    #[cfg(windows)]
    limit: Cell<*mut u8>,
    /// `entry` is the sanitizer's then.
    #[cfg(feature = "asan")]
    true_entry: Cell<*const ()>,
}

impl Start {
    /// A start without a stack.
    #[must_use]
    pub const fn new() -> Start {
        Start {
            code: cpu::trampoline as *const (),
            entry: Cell::new(core::ptr::null()),
            base: Cell::new(core::ptr::null_mut()),
            #[cfg(windows)]
            limit: Cell::new(core::ptr::null_mut()),
            #[cfg(feature = "asan")]
            true_entry: Cell::new(core::ptr::null()),
        }
    }

    /// Says where later contexts begin: on the stack from `limit` (low end) to `base` (high end).
    #[inline(always)]
    pub fn set_stack(&self, limit: *mut u8, base: *mut u8) {
        debug_assert!(limit.addr().is_multiple_of(STACK_ALIGN) && base.addr().is_multiple_of(STACK_ALIGN));
        debug_assert!(base.addr().saturating_sub(limit.addr()) >= STACK_MIN);
        self.base.set(base);
        #[cfg(windows)]
        self.limit.set(limit);
        #[cfg(feature = "asan")]
        asan::know(limit.addr(), base.addr());
    }

    /// Makes a context that calls `entry` with the address of this start when it is first continued.
    ///
    /// # Safety
    /// As for [`prepare`], of the stack that [`Start::set_stack`] was told. This stays where it is, and as it is, until the context has been
    /// continued.
    #[inline(always)]
    #[must_use]
    pub unsafe fn prepare(&self, entry: Entry) -> Context {
        self.entry.set(entry as *const ());
        #[cfg(feature = "asan")]
        self.true_entry.set(self.entry.replace(asan::begin as *const ()));
        Context(core::ptr::from_ref(self).expose_provenance())
    }
}

#[cfg(feature = "asan")]
impl Start {
    /// Where the true entry is.
    pub(crate) const TRUE_ENTRY: usize = core::mem::offset_of!(Start, true_entry);

    /// The base of a context's stack, if it is a fresh one.
    ///
    /// # Safety
    /// The context is fresh or suspended.
    pub(crate) unsafe fn base_of_fresh(context: usize) -> Option<usize> {
        let start = core::ptr::with_exposed_provenance::<Start>(context);
        // SAFETY: the first word is the address to go on at, of a fresh one the trampoline; then all of it is there.
        unsafe {
            let code = (&raw const (*start).code).read();
            (code == cpu::trampoline as *const ()).then(|| (*start).base.get().addr())
        }
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
/// context until that ended or was discarded; what runs on it fits into it, or faults on a guard below `limit`.
/// `entry` does not unwind, and whatever it needs is alive when the context runs.
#[must_use]
pub unsafe fn prepare(limit: *mut u8, base: *mut u8, entry: Entry, arg: *mut ()) -> Context {
    /// What lies at the base of the stack.
    #[repr(C, align(16))]
    struct First {
        start: Start,
        entry: Entry,
        arg: *mut (),
    }
    unsafe extern "C" fn begin(first: *mut ()) -> Context {
        // SAFETY: `prepare` put it above this frame, and nobody writes there.
        let First { entry, arg, .. } = unsafe { &*first.cast::<First>() };
        // SAFETY: the promise of whoever prepared the context.
        unsafe { entry(*arg) }
    }
    debug_assert!(limit.addr().is_multiple_of(STACK_ALIGN) && base.addr().is_multiple_of(STACK_ALIGN));
    debug_assert!(base.addr().saturating_sub(limit.addr()) >= STACK_MIN);
    let first = base.wrapping_sub(size_of::<First>()).cast::<First>();
    let start = Start {
        base: Cell::new(first.cast()),
        #[cfg(windows)]
        limit: Cell::new(limit),
        ..Start::new()
    };
    #[cfg(feature = "asan")]
    asan::know(limit.addr(), first.addr());
    // SAFETY: the memory below `base` is the context's, by the caller's word, and as aligned as its end.
    unsafe {
        first.write(First { start, entry, arg });
        (*first).start.prepare(begin)
    }
}

/// Leaves the running context into `*save` and continues `to`. Returns when somebody continues what was saved.
///
/// Not to the host: for that there is [`leave`].
///
/// # Safety
/// Called on a context's stack, under a [`run`]. `save` is writable. `to` obeys *One Owner* and *Own Thread*, and is not the host.
#[inline(always)]
pub unsafe fn switch(save: *mut Context, to: Context) {
    debug_assert!(!to.is_host());
    // SAFETY: `to` is a suspended stack, by the caller's word. `Context` is a transparent word.
    unsafe { hand_over(save.cast(), to.0) }
}

/// The switch itself.
///
/// # Safety
/// As for `cpu::switch`.
#[cfg(not(feature = "asan"))]
#[inline(always)]
unsafe fn hand_over(save: *mut usize, to: usize) {
    // SAFETY: the caller's promise.
    unsafe { cpu::switch(save, to) }
}

/// The switch itself, and the sanitizer knows of it.
///
/// # Safety
/// As for `cpu::switch`.
#[cfg(feature = "asan")]
unsafe fn hand_over(save: *mut usize, to: usize) {
    let left = asan::depart(to);
    // SAFETY: the caller's promise.
    unsafe { cpu::switch(save, to) };
    asan::arrive(&left);
}

/// Continues `first` from the host's stack. Returns when a context leaves to the host or ends with [`Context::HOST`].
///
/// The stack this is called on is the host's until it returns, even if it is itself a context's. With `first` the host
/// there is nothing to do.
///
/// # Safety
/// `first` obeys *One Owner* and *Own Thread*.
#[inline]
pub unsafe fn run(first: Context) {
    if first.is_host() {
        return;
    }
    let outer = HOST.with(|host| host.load(Relaxed));
    // SAFETY: `first` is a suspended stack. The host word is written before `first` runs, as *Host Word* asks for, and the
    // stack that it points into waits here.
    #[cfg(not(feature = "asan"))]
    unsafe {
        cpu::switch(HOST.with(AtomicUsize::as_ptr), first.0);
    }
    #[cfg(feature = "asan")]
    // SAFETY: as above.
    asan::run(first.0, || unsafe { cpu::switch(HOST.with(AtomicUsize::as_ptr), first.0) });
    HOST.with(|host| host.store(outer, Relaxed));
}

/// Leaves the running context into `*save`; the innermost [`run`] returns.
///
/// # Safety
/// As for [`switch`].
#[inline(always)]
pub unsafe fn leave(save: *mut Context) {
    // SAFETY: the host word is a suspended stack, by *Host Word*.
    unsafe { hand_over(save.cast(), host()) }
}

/// Ends the running context and continues `to`: the last thing that an entry does, `return finish(to)`.
///
/// To return `to` means the same. On a CPU this does not return, which saves the way back to where the entry was called.
///
/// # Safety
/// Called by an entry, in its own frame, with nothing left to drop. `to` obeys *One Owner* and *Own Thread*, and is not the host.
#[inline(always)]
pub unsafe fn finish(to: Context) -> Context {
    debug_assert!(!to.is_host());
    #[cfg(not(feature = "asan"))]
    // SAFETY: `to` is a suspended stack, by the caller's word.
    unsafe {
        cpu::finish(to.0)
    }
    // There is something to do where the entry was called.
    #[cfg(feature = "asan")]
    to
}

/// Gives up a context that is suspended or was never started. Nothing on its stack is dropped.
///
/// # Safety
/// The context is not continued again, and nobody relies on a destructor or a borrow that lives on its stack.
#[inline(always)]
pub unsafe fn discard(context: Context) {
    // The stack is the owner's memory and nothing else was taken.
    let _ = context;
    #[cfg(feature = "asan")]
    asan::forget(context.0);
}

/// Asks the memory for the two cache lines at an address, for instance of a suspended context: its own word, which is where its stack ends.
/// Only a hint, whatever the address is.
#[inline(always)]
pub fn prefetch(address: usize) {
    cpu::prefetch(address);
}

/// Calls `f(arg)` on the stack of the innermost [`run`]'s host, or where it is if that is the host's stack already.
///
/// # Safety
/// `f` may be called with `arg`, does not unwind, and does not [`switch`] or [`leave`] except under a `run` of its own.
#[inline]
pub unsafe fn on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    let host = HOST.with(|host| host.load(Relaxed));
    if host == 0 {
        // SAFETY: the caller's promise.
        return unsafe { f(arg) };
    }
    HOST.with(|host| host.store(0, Relaxed));
    // SAFETY: by *Host Word* everything alive on the host's stack lies above `host`, and it stays untouched: whatever `f`
    // starts there returns before `f` does.
    #[cfg(not(feature = "asan"))]
    unsafe {
        cpu::call_on(host, f, arg);
    }
    #[cfg(feature = "asan")]
    asan::on_host(host, f, arg);
    HOST.with(|word| word.store(host, Relaxed));
}

/// What a stack's trampoline calls when its entry has returned the host: the stack pointer of the innermost `run`.
pub(crate) extern "C" fn host_after_end() -> usize {
    host()
}

#[inline(always)]
fn host() -> usize {
    let host = HOST.with(|host| host.load(Relaxed));
    debug_assert!(host != 0, "left to the host outside of `run`");
    host
}
