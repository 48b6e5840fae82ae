//! What threads share, built from loom's atomics: the sources are those of `windlass`, with another table of names.
//!
//! Made up is only what surrounds them: `remote/task.rs` is a host loop with one task, as `dispatcher.rs` has it for many; a wait is
//! never awake for a while first (`spin`), as loom tries every order anyway.
#![cfg(all(test, feature = "models"))]
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the sources are another crate's, which uses more of them"
)]

extern crate alloc;

/// The table: what `src/atomics.rs` has of `core` and `std`.
mod atomics {
    pub(crate) use crate::parking::{Thread, current_thread, park, park_timeout};
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, Ordering, fence};
    pub(crate) use loom::sync::{Arc, Mutex, MutexGuard};
}

#[path = "../../../src/inbox.rs"]
mod inbox;
#[path = "../../../src/unparker.rs"]
mod unparker;

#[path = "../../../src/pool/bells.rs"]
mod bells;
#[path = "../../../src/channel/error.rs"]
mod channel;
mod remote;

mod spin {
    pub(crate) struct Spin;

    impl Spin {
        pub(crate) const fn new() -> Spin {
            Spin
        }

        pub(crate) fn or_sleep(&self, _: impl FnMut() -> bool, sleep: impl FnOnce()) {
            sleep();
        }
    }
}

mod task {
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct TaskId(pub(crate) u32);

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Wake {
        Done,
        All,
        TimedOut,
        Cancelled,
    }
}

mod time {
    pub(crate) use core::time::Duration;
}

mod models;
mod parking;
