//! Green threads that wind and unwind.
//!
//! Windlass runs blocking-style code as *tasks*, each with a stack of its own, on one OS thread: natively by switching stacks in
//! assembly, on wasm32 by unwinding, where exported functions resume the run queue until the caller's own task is done.
//!
//! ```
//! let sum = windlass::run(|| {
//!     let (numbers, inbox) = windlass::channel::bounded(1);
//!     windlass::spawn(move || {
//!         for n in 1..=4 {
//!             numbers.send(n).unwrap();
//!         }
//!     });
//!     inbox.iter().sum::<u32>()
//! });
//! assert_eq!(sum, 10);
//! ```
//!
//! # Principles
//!
//! * *Decide, then switch.* Operations edit tables and return a decision; one module carries it out.
//! * *First come, first served.* Every queue is FIFO; a wake-up goes to the tail; hand-overs cannot be overtaken.
//! * *Nothing is lost.* An operation that cannot take a value gives it back; a wake-up cannot fail.
//! * *Not preemptive.* A task that neither blocks nor yields holds its thread; a wasm host bounds it by fuel or epochs.
//!
//! # Reading order
//!
//! `task`, `scheduler`, `dispatcher`, then `spawn` and `channel`; [`reactor`] for wasm. `docs/architecture.md` has the map.
//!
//! # Features
//!
//! * `std` (default): a runtime per thread, the system's clock, guarded stacks, panics that reach `join`.
//! * `scheduler` (default): tasks. Without it a reactor's exports are called directly and nothing may block.
//! * `asynchronous` (default): exports can be started, polled and cancelled, and a host wakes background tasks.
//! * `timers` (default): `sleep`, and what has a timeout or a deadline.
//! * `pool` (default): many cores: [`pool`], whose workers are OS threads with a runtime each. Not on wasm32.
//! * `reports`: errors in words, with the list of tasks; implied by `std`. Without it a host gets the error's code only.
//! * `alloc`: the global allocator, for stacks, queues and channels; implied by `std`, `asynchronous` and `reports`, and always there on
//!   wasm32. Without it the scheduler runs in a [`runtime::Memory`], and channels are made of a [`channel::Storage`]. Without it
//!   and without the scheduler there are only [`Instant`] and the attributes.
//! * `dlmalloc`: the global allocator of a wasm32 guest.
//! * `panic-handler`: the panic handler of a `no_std` wasm32 guest.
//! * `asan`: tells AddressSanitizer of each switch; for programs that are built with it.
#![no_std]
#![deny(unsafe_code)]
#![debugger_visualizer(gdb_script_file = "../debug/gdb.py")]

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
mod atomics;
#[cfg(all(feature = "std", not(target_arch = "wasm32")))]
mod clock;
#[cfg(feature = "scheduler")]
mod current;
#[cfg(all(feature = "scheduler", feature = "alloc", not(target_arch = "wasm32")))]
mod debugger;
#[cfg(feature = "scheduler")]
mod dispatcher;
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
mod error;
#[cfg(all(
    feature = "scheduler",
    feature = "alloc",
    not(all(target_arch = "wasm32", not(target_feature = "atomics")))
))]
mod inbox;
#[cfg(all(feature = "scheduler", not(feature = "alloc"), not(target_arch = "wasm32")))]
#[path = "inbox/fixed.rs"]
mod inbox;
#[cfg(all(feature = "scheduler", target_arch = "wasm32", not(target_feature = "atomics")))]
#[path = "inbox/alone.rs"]
mod inbox;
#[cfg(feature = "scheduler")]
mod name;
#[cfg(all(feature = "scheduler", any(feature = "alloc", target_arch = "wasm32")))]
mod room;
#[cfg(all(feature = "scheduler", not(any(feature = "alloc", target_arch = "wasm32"))))]
#[path = "room/fixed.rs"]
mod room;
#[cfg(all(feature = "scheduler", any(feature = "alloc", target_arch = "wasm32")))]
mod run_queue;
#[cfg(all(feature = "scheduler", not(any(feature = "alloc", target_arch = "wasm32"))))]
#[path = "run_queue/fixed.rs"]
mod run_queue;
#[cfg(feature = "scheduler")]
mod scheduler;
#[cfg(feature = "scheduler")]
mod spawn;
#[cfg(all(feature = "std", feature = "scheduler", not(target_arch = "wasm32")))]
mod spin;
#[cfg(feature = "scheduler")]
mod task;
#[cfg(all(feature = "scheduler", any(test, feature = "reports")))]
mod task_list;
mod time;
#[cfg(all(feature = "scheduler", feature = "timers", any(feature = "alloc", target_arch = "wasm32")))]
mod timer_queue;
#[cfg(all(feature = "scheduler", feature = "timers", not(any(feature = "alloc", target_arch = "wasm32"))))]
#[path = "timer_queue/fixed.rs"]
mod timer_queue;
#[cfg(all(feature = "scheduler", not(feature = "timers")))]
#[path = "timer_queue/none.rs"]
mod timer_queue;
#[cfg(feature = "scheduler")]
mod unparker;
#[cfg(feature = "scheduler")]
mod wait_queue;

#[cfg(feature = "scheduler")]
pub mod channel;
#[cfg(all(feature = "timers", not(feature = "scheduler"), any(feature = "alloc", target_arch = "wasm32")))]
mod direct;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
mod log;
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
mod once_local;
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
pub mod platform;
#[cfg(all(feature = "pool", not(target_arch = "wasm32")))]
pub mod pool;
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
pub mod reactor;
#[cfg(all(feature = "std", feature = "scheduler", not(target_arch = "wasm32")))]
pub mod remote;
#[cfg(feature = "scheduler")]
mod run;
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
pub mod runtime;
#[cfg(feature = "scheduler")]
pub mod stacks;
#[cfg(feature = "scheduler")]
pub mod sync;

#[cfg(feature = "scheduler")]
pub use current::{Task, current, exit, park, try_current, yield_now};
#[cfg(all(feature = "scheduler", feature = "timers"))]
pub use current::{park_timeout, sleep, sleep_until};
#[cfg(all(
    feature = "timers",
    not(feature = "scheduler"),
    any(feature = "alloc", target_arch = "wasm32")
))]
pub use direct::{sleep, sleep_until};
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
pub use error::{Cancelled, Panic, RunError};
#[cfg(feature = "scheduler")]
pub use error::{JoinError, SpawnError, SpawnErrorKind};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
#[doc(hidden)]
pub use log::__format;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub use log::log;
#[cfg(any(feature = "alloc", feature = "scheduler", target_arch = "wasm32"))]
pub use once_local::OnceLocal;
#[cfg(feature = "scheduler")]
pub use run::{run, try_run};
#[cfg(feature = "scheduler")]
pub use spawn::{Builder, JoinHandle, spawn};
#[cfg(feature = "scheduler")]
pub use task::TaskId;
pub use time::{Duration, Instant};
#[cfg(feature = "scheduler")]
pub use unparker::Unparker;
pub use windlass_macros::{export, init};

#[cfg(all(feature = "dlmalloc", target_arch = "wasm32"))]
mod global_allocator {
    #[global_allocator]
    static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;
}

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
