//! What the tests of this package share: the modules that `node tests/programs/run.mjs --prepare` made, and a host that suspends and
//! resumes them in wasmtime. The programs, their input and the ways of lowering are those of the tests in Node; the hosts are written
//! a second time, so that an engine with another compiler runs the same.

mod host;
mod modules;
mod same;

pub use host::{Chance, Host, Plan, Value, attach, call, call_unit, enter, give, take_text, to_guest};
pub use modules::{Lowering, lowerings, module};
pub use same::{engine, same_as_base, with_large_stack};
