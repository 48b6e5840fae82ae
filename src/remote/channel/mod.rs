//! Channels between tasks of all threads, and threads without tasks.
//!
//! Three kinds with one pair of ends, as in [`channel`](crate::channel): [`rendezvous`] holds nothing, [`bounded`] holds up to its
//! capacity, [`unbounded`] as much as there is memory for. Both ends can be cloned and shared; each value goes to one receiver. Waiters
//! are served first come, first served, on both sides, whatever thread they are on.
//!
//! A channel is closed by [`Sender::close`], [`Receiver::close`], or when the last end of a side is dropped. Values in the buffer are
//! still received, or dropped with the last receiver; a blocked `send` gets its value back.
//!
//! # Examples
//! ```
//! let (results, inbox) = windlass::remote::channel::unbounded();
//! for n in 1..=4 {
//!     let results = results.clone();
//!     windlass::pool::spawn(move || results.send(n * n).unwrap());
//! }
//! drop(results);
//! assert_eq!(inbox.iter().sum::<u32>(), 30);
//! ```

mod state;

pub use crate::channel::{RecvError, SendError, TryRecvError, TrySendError};

#[cfg(feature = "timers")]
use crate::time::Duration;
use alloc::sync::Arc;
use core::fmt;
use state::Channel;

/// Returns a channel that holds nothing: `send` waits until a receiver takes the value.
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    bounded(0)
}

/// Returns a channel that holds up to `capacity` values: `send` waits while it is full.
///
/// A capacity of 0 makes a [`rendezvous`] channel.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(capacity));
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

/// Returns a channel without a limit: `send` never waits.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// The end that values go into.
pub struct Sender<T>(Arc<Channel<T>>);

impl<T> Sender<T> {
    /// Sends `value`, waiting while the channel is full.
    ///
    /// # Context
    /// Any but interrupts. In a task the task waits, else the thread.
    ///
    /// # Blocking
    /// Until there is room (a rendezvous channel: until a receiver takes the value).
    ///
    /// # Errors
    /// [`SendError::Closed`] or, in a task, [`SendError::Cancelled`], with the value.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value, None)
    }

    /// Like [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send`], and [`SendError::TimedOut`], with the value.
    #[cfg(feature = "timers")]
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        self.0.send(value, Some(timeout))
    }

    /// Sends `value` if that is possible at once.
    ///
    /// # Context
    /// Any but interrupts.
    ///
    /// # Errors
    /// [`TrySendError::Full`] or [`TrySendError::Closed`], with the value.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.0.try_send(value)
    }

    /// Closes the channel for both sides. Returns whether it was open.
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Returns whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// The end that values come out of.
pub struct Receiver<T>(Arc<Channel<T>>);

impl<T> Receiver<T> {
    /// Receives a value, waiting while there is none.
    ///
    /// # Context
    /// Any but interrupts. In a task the task waits, else the thread.
    ///
    /// # Blocking
    /// Until a value comes or the channel is closed.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the channel is closed and empty; in a task [`RecvError::Cancelled`].
    pub fn recv(&self) -> Result<T, RecvError> {
        self.0.recv(None)
    }

    /// Like [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv`], and [`RecvError::TimedOut`].
    #[cfg(feature = "timers")]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        self.0.recv(Some(timeout))
    }

    /// Receives a value if there is one.
    ///
    /// # Context
    /// Any but interrupts.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] or [`TryRecvError::Closed`].
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    /// Closes the channel for both sides. Returns whether it was open.
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Returns whether the channel is closed; there may be values left to receive.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Returns an iterator that receives until the channel is closed, or the task cancelled.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }
}

/// Receives until the channel is closed or the task cancelled.
#[derive(Debug)]
pub struct Iter<'a, T>(&'a Receiver<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

/// Receives until the channel is closed or the task cancelled; owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// What the two ends have in common, but for the side.
macro_rules! end {
    ($name:ident, $side:ident) => {
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                self.0.add_end(|state| &mut state.$side);
                $name(Arc::clone(&self.0))
            }
        }

        impl<T> Drop for $name<T> {
            fn drop(&mut self) {
                self.0.drop_end(|state| &mut state.$side);
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("closed", &self.is_closed()).finish_non_exhaustive()
            }
        }
    };
}

end!(Sender, senders);
end!(Receiver, receivers);
