//! The module `remote`, with its task's side made up.

pub(crate) mod task;
#[path = "../../../../src/remote/waiter.rs"]
pub(crate) mod waiter;
#[path = "../../../../src/remote/waiters.rs"]
pub(crate) mod waiters;

mod channel;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Send,
    Receive,
    Work,
}
