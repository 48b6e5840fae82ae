//! Create, switch and finish call stacks.
//!
//! A [`Context`] is a call stack that is not running. This crate makes one ([`prepare`]), exchanges it for the running
//! one ([`switch`]), and lets it go ([`discard`], or its entry returns). It knows nothing of tasks, queues or time: whoever
//! decides *what* runs next is a layer above, and hands the decision down as a `Context`.
//!
//! ```text
//!   host's stack          stacks of contexts
//!
//!   run(A) ─────────────► A ── switch(&a, B) ──► B       task to task: no loop in between
//!                         ▲                      │
//!                         └── switch(&b, a) ─────┘
//!   run returns ◄──────── A ── leave(&a), or its entry returns HOST
//! ```
//!
//! # The contract
//!
//! Every backend keeps these rules; `tests/cases` checks them on each.
//!
//! * *One Owner.* A context is continued, discarded or ended exactly once. [`switch`] and [`leave`] make a new one of the
//!   caller; the old value is spent.
//! * *Saved First.* `switch` and `leave` store the caller's context before anything else runs, so the place may be the slot
//!   of a queue that the next context reads.
//! * *Own Thread.* A context is continued only on the OS thread that first continued it. (Without `std`: there is one.)
//! * *Dead Stack.* When an entry returns, its stack may be reused as soon as the next context runs, not before.
//! * *Innermost Run.* [`run`] nests: on the host's stack, out of [`on_host`], and (not on wasm) on a context's. Any context that is not
//!   running may be continued under any `run`, inner or outer; [`leave`] and [`Context::HOST`] mean the innermost `run` at
//!   that moment.
//! * *No Unwinding.* A panic may be caught on the stack where it started. One that reaches an entry's own frame aborts.
//! * *Thread State.* What belongs to the OS thread is not switched: floating-point control and status words, the direction
//!   flag (clear, as the ABI has it), the signal mask, the panic count of `std`. A context is not continued from a
//!   destructor that runs because of a panic.
//!
//! # Why symmetric
//!
//! A context names its successor. Passing through a loop on the host's stack instead costs a second switch for each yield,
//! and the place to decide is the caller's anyway. `run` and `leave` are there for the two ends of the day.
//!
//! # Backends
//!
//! * A CPU: one file with the few functions that need assembly, wrapped by `native.rs`.
//! * wasm32: the functions are imports of the module `windlass`, which the post-link tool defines (`docs/abi.md`).
//! * OS threads that hand over a baton (`threads.rs`): slow, portable, for the tools that cannot follow a stack pointer.
//!   Chosen by `--cfg windlass_backend="threads"` in `RUSTFLAGS`, and under Miri.
//!
//! `docs/porting.md` tells how to add a CPU.

#![no_std]
#[cfg(feature = "std")]
extern crate std;

#[macro_use]
mod words;

// Everything that depends on the target is decided here. First the CPU, by its architecture and its ABI.
cfg_select! {
    all(target_arch = "x86_64", target_pointer_width = "64", not(any(windows, target_os = "uefi"))) => {
        #[path = "x86_64.rs"]
        mod cpu;
        #[doc(hidden)]
        pub mod native;
        #[cfg(feature = "asan")]
        mod asan;
    }
    all(target_arch = "x86_64", windows) => {
        #[path = "x86_64_windows.rs"]
        mod cpu;
        #[doc(hidden)]
        pub mod native;
    }
    all(target_arch = "x86", not(any(windows, target_os = "uefi"))) => {
        #[path = "x86.rs"]
        mod cpu;
        #[doc(hidden)]
        pub mod native;
    }
    all(target_arch = "aarch64", target_pointer_width = "64", not(any(windows, target_os = "uefi"))) => {
        #[path = "aarch64.rs"]
        mod cpu;
        #[doc(hidden)]
        pub mod native;
    }
    target_arch = "arm" => {
        #[path = "arm.rs"]
        mod cpu;
        #[doc(hidden)]
        pub mod native;
    }
    any(target_arch = "riscv32", target_arch = "riscv64") => {
        #[path = "riscv.rs"]
        mod cpu;
        #[doc(hidden)]
        pub mod native;
    }
    // Without a CPU of its own.
    any(target_arch = "wasm32", miri, windlass_backend = "threads") => {}
    _ => {
        compile_error!("windlass does not know this CPU or its ABI: docs/porting.md tells how to add it");
    }
}

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod wasm32;

#[cfg(all(feature = "std", not(target_family = "wasm")))]
#[doc(hidden)]
pub mod threads;

// What the crate's root stands for.
cfg_select! {
    any(miri, windlass_backend = "threads") => { use threads as backend; }
    target_arch = "wasm32" => { use wasm32 as backend; }
    _ => { use native as backend; }
}

#[cfg(all(target_arch = "wasm32", target_feature = "atomics", not(feature = "std")))]
compile_error!(
    "wasm32 with atomics has threads, and windlass keeps its state per thread only with the feature `std`: see \
     docs/porting.md"
);

#[cfg(all(any(miri, windlass_backend = "threads"), any(not(feature = "std"), target_family = "wasm")))]
compile_error!("the threads backend needs OS threads and the feature `std`: see docs/porting.md");

#[cfg(all(feature = "asan", not(all(target_arch = "x86_64", not(any(windows, target_os = "uefi"))))))]
compile_error!("the feature `asan` is there for x86-64 with the System V ABI only");

pub use backend::{
    BACKEND, STACK_ALIGN, STACK_MIN, Start, discard, finish, leave, on_host, prefetch, prepare, run, runtime,
    set_runtime, switch,
};

/// A call stack that is not running: suspended, or prepared and not yet started.
///
/// The value is one word whose meaning is the backend's. Copying it does not copy the stack: of all copies one is used.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context(usize);

impl Context {
    /// The host's stack, where the innermost [`run`] waits.
    pub const HOST: Context = Context(0);

    /// Whether this is [`Context::HOST`].
    #[inline(always)]
    #[must_use]
    pub const fn is_host(self) -> bool {
        self.0 == 0
    }

    /// The word itself, 0 for the host.
    #[inline(always)]
    #[must_use]
    pub const fn as_raw(self) -> usize {
        self.0
    }

    /// The context of a word that [`Context::as_raw`] gave.
    ///
    /// # Safety
    /// The word comes from `as_raw` in this program. (What may be done with the context is *One Owner*'s matter.)
    #[inline(always)]
    #[must_use]
    pub const unsafe fn from_raw(raw: usize) -> Context {
        Context(raw)
    }
}

/// The first function on a stack. What it returns continues after it; [`Context::HOST`] lets the innermost [`run`] return.
pub type Entry = unsafe extern "C" fn(arg: *mut ()) -> Context;
