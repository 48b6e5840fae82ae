//! kanal: channels, of futures and of threads.

use kanal::{AsyncReceiver, AsyncSender, Receiver, Sender, bounded, bounded_async};

use crate::meter::Measured;
use crate::subject::{Subject, for_size};
use crate::subjects::blocking;
use crate::subjects::future_channel;
use crate::subjects::threads::echo;

pub(crate) const KANAL: Subject = Subject {
    name: "kanal",
    packages: &["kanal"],
    about: "futures on tokio's runtime of the current thread; capacity 0",
    most_tasks: None,
    countable: true,
    benches: &[("pingpong", pingpong), ("message", pingpong), ("stream", future_channel::stream::<Futures>)],
};

pub(crate) const KANAL_THREADS: Subject = Subject {
    name: "kanal_threads",
    packages: &[],
    about: "threads of the system; capacity 0",
    most_tasks: None,
    countable: false,
    benches: &[("pingpong", of_threads), ("pool/pingpong", of_threads)],
};

struct Futures;

future_channel::channels!(Futures, AsyncSender, AsyncReceiver, bounded_async, send, recv);

struct Threads;

blocking::channels!(Threads, Sender, Receiver, bounded(0));

fn pingpong(size: u64, n: u64) -> Measured {
    for_size!(size, SIZE => future_channel::pingpong::<Futures, SIZE>(n))
}

fn of_threads(_: u64, n: u64) -> Measured {
    blocking::pingpong::<Threads, 8, _>(n, echo)
}
