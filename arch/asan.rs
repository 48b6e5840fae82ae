//! Tells AddressSanitizer of each switch: feature `asan`, with `-Zsanitizer=address`.
//!
//! It knows where a thread's stack ends, tidies up to there when something unwinds, and keeps locals in a *fake stack* beside the real
//! one, to find uses after a return. So it takes a panic in one context for the end of frames that are alive in others, and what a panic
//! left behind on a stack for an overflow. Its interface for fibers
//! (<https://github.com/llvm/llvm-project/blob/main/compiler-rt/include/sanitizer/common_interface_defs.h>) wants a call before
//! each switch, with the ends of the stack that goes on, and one after it, on that stack.
//!
//! ```text
//!   switch:   start(&mine, ends of `to`) ─── switch ───► finish(its own)      after somebody's switch
//!                                                   ───► begin: finish(none)  on a fresh stack
//!   entry returns:  start(no return, ends of `to`) ─── jump ───► ...
//! ```
//!
//! *Known Ends*: every stack that a context begins on is in [`STACKS`]; what is in none of them is the OS thread's own, whose ends the
//! sanitizer told when it was left for the first time.
//!
//! Between `start` and `finish` nothing of a fake stack is touched. After the last `start` of a stack its fake one is gone, and
//! with it the locals of any compiled function; so the end of a stack is in assembly.

use core::arch::naked_asm;
use core::cell::Cell;
use core::ffi::c_void;
use core::ptr;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::native::{self, Start};

unsafe extern "C" {
    fn __sanitizer_start_switch_fiber(fake: *mut *mut c_void, limit: *const c_void, size: usize);
    fn __asan_unpoison_memory_region(limit: *const c_void, size: usize);
    fn __sanitizer_finish_switch_fiber(fake: *mut c_void, limit: *mut *const c_void, size: *mut usize);
}

/// Low end and size of a stack; two registers for the assembly below.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ends {
    limit: usize,
    size: usize,
}

/// The low ends of stacks by their high ends.
static STACKS: Mutex<BTreeMap<usize, usize>> = Mutex::new(BTreeMap::new());

std::thread_local! {
    /// Of the OS thread's own stack, once it was left.
    static OWN: Cell<Ends> = const { Cell::new(Ends { limit: 0, size: 0 }) };

    /// The fake stack of the innermost `run`'s host, while that is not running.
    static HOST: Cell<*mut c_void> = const { Cell::new(ptr::null_mut()) };
}

/// Contexts will begin on the stack from `limit` to `base`: Known Ends.
pub(crate) fn know(limit: usize, base: usize) {
    let mut stacks = STACKS.lock().unwrap_or_else(PoisonError::into_inner);
    // Its memory may have been another stack's.
    while let Some((&other, _)) = stacks.range(limit + 1..).next().filter(|(_, other)| **other < base) {
        stacks.remove(&other);
    }
    stacks.insert(base, limit);
}

/// The ends of the stack of a context.
fn ends(context: usize) -> Ends {
    // SAFETY: a context is where to go on at, and of a fresh one a `Start`.
    ends_at(unsafe { Start::base_of_fresh(context) }.unwrap_or(context))
}

/// The ends of the stack that an address lies in, or is the high end of.
fn ends_at(address: usize) -> Ends {
    let stacks = STACKS.lock().unwrap_or_else(PoisonError::into_inner);
    match stacks.range(address..).next() {
        Some((base, limit)) if *limit <= address => Ends { limit: *limit, size: base - limit },
        _ => OWN.get(),
    }
}

/// A context is given up: frames on its stack have no end, and what the sanitizer noted of them goes.
pub(crate) fn forget(context: usize) {
    let Ends { limit, size } = ends(context);
    // SAFETY: only notes; nobody uses that stack.
    unsafe { __asan_unpoison_memory_region(ptr::without_provenance(limit), size) };
}

/// What a suspended context needs when it goes on.
pub(crate) struct Left(*mut c_void);

/// Comes before the running stack is left for that of `to`. Between this and [`arrive`] comes only the switch.
#[inline(always)]
pub(crate) fn depart(to: usize) -> Left {
    let mut left = Left(ptr::null_mut());
    let Ends { limit, size } = ends(to);
    // SAFETY: what follows is a switch to that stack.
    unsafe { __sanitizer_start_switch_fiber(&raw mut left.0, ptr::without_provenance(limit), size) };
    left
}

/// Comes first when a stack goes on that was left.
#[inline(always)]
pub(crate) fn arrive(left: &Left) {
    arrived(left.0);
}

fn arrived(fake: *mut c_void) {
    let (mut limit, mut size) = (ptr::null(), 0);
    // SAFETY: a switch to this stack has happened, which was left with that fake stack.
    unsafe { __sanitizer_finish_switch_fiber(fake, &raw mut limit, &raw mut size) };
    if OWN.get().size == 0 {
        // Nobody but the host can have been left before.
        OWN.set(Ends { limit: limit.addr(), size });
    }
}

/// Around a `run`: the host's fake stack is where `on_host` finds it.
#[inline(always)]
pub(crate) fn run(to: usize, switch: impl FnOnce()) {
    let outer = HOST.get();
    let left = depart(to);
    HOST.set(left.0);
    switch();
    arrived(HOST.get());
    HOST.set(outer);
}

/// Around a call on the host's stack: `call` passes its arguments on to `native`'s `call_on`.
pub(crate) fn on_host(host: usize, f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    struct Call {
        f: unsafe extern "C" fn(*mut ()),
        arg: *mut (),
        ends: Ends,
    }
    unsafe extern "C" fn call(call: *mut ()) {
        arrived(HOST.get());
        // SAFETY: the call below.
        let Call { f, arg, ends } = unsafe { &*call.cast::<Call>() };
        // SAFETY: the promise of `on_host`'s caller.
        unsafe { f(*arg) };
        let mut fake = ptr::null_mut();
        // SAFETY: what follows is the return to that stack.
        unsafe {
            __sanitizer_start_switch_fiber(&raw mut fake, ptr::without_provenance(ends.limit), ends.size);
        }
        HOST.set(fake);
    }
    let here: usize;
    // SAFETY: reads a register.
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) here, options(nomem, nostack, preserves_flags)) };
    let mut all = Call { f, arg, ends: ends_at(here) };
    let left = depart(host);
    // SAFETY: as in `native::on_host`.
    unsafe { crate::cpu::call_on(host, call, (&raw mut all).cast()) };
    arrive(&left);
}

/// In the place of a context's entry: what its trampoline calls. rdi is the `Start`, in which the true entry is, too.
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn begin(start: *mut ()) {
    naked_asm!(
        ".cfi_startproc",
        "push rdi", // aligned to 16 now
        ".cfi_def_cfa_offset 16",
        "call {begun}",
        "mov rdi, [rsp]",
        "call [rdi + {entry}]",
        "mov [rsp], rax", // what the entry returned
        "mov rdi, rax",
        "call {next}",
        "mov [rsp], rax", // the context that follows, never the host's mark
        "mov rdi, rax",
        "call {ends}",
        "mov rsi, rax", // its limit; rdx is its size
        "xor edi, edi", // this stack is not continued
        "call {start}",
        "pop rax",
        ".cfi_def_cfa_offset 8",
        "ret",
        ".cfi_endproc",
        begun = sym begun,
        entry = const Start::TRUE_ENTRY,
        next = sym next,
        ends = sym ends_for_assembly,
        start = sym __sanitizer_start_switch_fiber,
    )
}

extern "sysv64" fn begun() {
    arrived(ptr::null_mut());
}

/// What an entry returned, as a stack to go on with.
extern "sysv64" fn next(context: usize) -> usize {
    if context == 0 { native::host_after_end() } else { context }
}

extern "sysv64" fn ends_for_assembly(context: usize) -> Ends {
    ends(context)
}
