//! The host against a guest made by hand. One program, as each would link the engine again.

mod calls;
mod fake;
mod fixture;
mod futures;
mod load;
mod polled;
