//! async-channel: channels of futures.

use async_channel::{Receiver, Sender, bounded};

use crate::meter::Measured;
use crate::subject::{Subject, for_size};
use crate::subjects::future_channel;

pub(crate) const ASYNC_CHANNEL: Subject = Subject {
    name: "async-channel",
    packages: &["async-channel"],
    about: "futures on tokio's runtime of the current thread; capacity 1, as it has no less",
    most_tasks: None,
    countable: true,
    benches: &[("pingpong", pingpong), ("message", pingpong), ("stream", future_channel::stream::<Futures>)],
};

struct Futures;

/// It has none without a buffer.
fn with_buffer<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    bounded(capacity.max(1))
}

future_channel::channels!(Futures, Sender, Receiver, with_buffer, send, recv);

fn pingpong(size: u64, n: u64) -> Measured {
    for_size!(size, SIZE => future_channel::pingpong::<Futures, SIZE>(n))
}
