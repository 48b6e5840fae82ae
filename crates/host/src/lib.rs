//! Runs Windlass reactors: WebAssembly modules whose exports are called again and again, may block, and run background tasks.
//!
//! ```text
//!  Image ──► Builder ──► Reactor<T> ──► call, start, poll, cancel      one thread, no executor
//!  compiled   imports,    one instance
//!  module     clock,          │
//!             limits          └────► AsyncReactor<T> ──► CallFuture    any executor
//! ```
//!
//! * [`Reactor`] has the synchronous calls, and asynchronous ones that the embedder polls.
//! * [`AsyncReactor`] makes futures of them.
//! * [`Caller`] is what an import gets: the embedder's state, the guest's memory, and nested calls.
//! * [`Error`] names everything that can go wrong, and says what to do.
//!
//! A call that traps leaves the instance *poisoned*: nothing runs on half-wound state, and each later call is refused with the
//! name of the one that trapped. A deadlock, a timeout or a call that would have to wait leaves it usable.

#![forbid(unsafe_code)]

mod builder;
mod call;
mod clock;
mod convert;
mod door;
mod error;
mod future;
mod guest;
mod image;
mod imports;
mod limits;
mod reactor;
mod section;
mod session;
mod state;
mod value;

pub use crate::{
    builder::Builder,
    call::{AsyncCall, Progress},
    clock::{Alarm, Clock, MockClock, SystemClock},
    convert::{Param, Params, Returned},
    error::{Error, Result},
    future::{AsyncReactor, Background, CallFuture, Canceller},
    image::Image,
    imports::{Caller, ImportParam, ImportResult, IntoImport},
    limits::{InterruptHandle, Limits},
    reactor::Reactor,
    section::ABI_VERSION,
    value::{Signature, Type, Value},
};

/// The examples of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
