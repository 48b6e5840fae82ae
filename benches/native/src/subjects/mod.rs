//! Who is measured, a file each. Every one is written as a user would write it.

pub(crate) mod hand_async;
pub(crate) mod threads;
pub(crate) mod windlass;

mod blocking;
mod nested;
mod ring;
mod switch;

#[cfg(feature = "async-channel")]
pub(crate) mod async_channel;
#[cfg(feature = "async-executor")]
pub(crate) mod async_executor;
#[cfg(feature = "context")]
pub(crate) mod context;
#[cfg(feature = "corosensei")]
pub(crate) mod corosensei;
#[cfg(feature = "embassy")]
pub(crate) mod embassy;
#[cfg(feature = "flume")]
pub(crate) mod flume;
#[cfg(feature = "generator")]
pub(crate) mod generator;
#[cfg(feature = "kanal")]
pub(crate) mod kanal;
#[cfg(feature = "localpool")]
pub(crate) mod localpool;
#[cfg(feature = "may")]
pub(crate) mod may;
#[cfg(feature = "tokio")]
pub(crate) mod tokio;

#[cfg(any(feature = "async-executor", feature = "localpool", feature = "tokio"))]
mod executor;
#[cfg(feature = "tokio")]
mod future_channel;
#[cfg(any(feature = "async-executor", feature = "embassy", feature = "localpool", feature = "tokio"))]
mod gate;

mod pool;
