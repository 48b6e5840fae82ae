//! The thirteen rules of a reactor (`docs/semantics.md`), sentence by sentence, with the guest `tests/guest` in wasmtime.
//! `tests/node/rules.test.mjs` has the same list in Node.
//!
//! ```text
//!  host.rs   through windlass-host, as an embedder sees the guest
//!  raw.rs    through wasmtime alone: nothing but the guest itself guards the guest, and every import is recorded
//! ```
//!
//! Time is a mock clock's in both.

#[path = "rules/host.rs"]
mod host;
#[path = "rules/raw.rs"]
mod raw;

#[path = "rules/asynchronous.rs"]
mod asynchronous;
#[path = "rules/calls.rs"]
mod calls;
#[path = "rules/direct.rs"]
mod direct;
#[path = "rules/frames.rs"]
mod frames;
#[path = "rules/init.rs"]
mod init;
#[path = "rules/poison.rs"]
mod poison;
#[path = "rules/reuse.rs"]
mod reuse;
#[path = "rules/timers.rs"]
mod timers;
#[path = "rules/values.rs"]
mod values;
#[path = "rules/waiting.rs"]
mod waiting;
