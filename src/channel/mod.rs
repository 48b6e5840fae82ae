//! Channels between tasks of one thread.
//!
//! Three kinds with one pair of ends: [`rendezvous`] holds nothing, [`bounded`] holds up to its capacity, [`unbounded`] as much as
//! there is memory for. Both ends can be cloned; each value goes to one receiver. Waiters are served first come, first served, on both
//! sides.
//!
//! ```text
//!   senders waiting ──►  [ buffer ]  ──► receivers waiting
//! ```
//!
//! *One Side*: receivers wait only while the buffer is empty and no sender waits; senders wait only while the buffer is full. So a
//! value for a waiting receiver goes straight into its slot, on its stack, and it becomes ready: a hand-over costs one copy.
//!
//! A channel is closed by [`Sender::close`], [`Receiver::close`], or when the last end of a side is dropped. Values in the buffer are
//! still received, or dropped with the last receiver; a blocked `send` gets its value back.
//!
//! # Examples
//! ```
//! windlass::run(|| {
//!     let (questions, inbox) = windlass::channel::rendezvous::<u32>();
//!     let (outbox, answers) = windlass::channel::bounded::<u32>(4);
//!     windlass::spawn(move || {
//!         for question in inbox {
//!             outbox.send(question * 2).unwrap();
//!         }
//!     });
//!     questions.send(21).unwrap();
//!     assert_eq!(answers.recv().unwrap(), 42);
//! });
//! ```
#![allow(unsafe_code, reason = "hands values over through slots on the stacks of blocked tasks")]

mod error;

pub use error::{RecvError, SendError, TryRecvError, TrySendError};

use crate::dispatcher;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Slot, Waiting, Wake};
use crate::time::Moment;
#[cfg(feature = "timers")]
use crate::time::{Duration, Instant};
use crate::wait_queue::WaitQueue;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::fmt;

/// Returns a channel that holds nothing: `send` waits until a receiver takes the value.
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    pair(None)
}

/// Returns a channel that holds up to `capacity` values: `send` waits while it is full.
///
/// A capacity of 0 makes a [`rendezvous`] channel.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    pair(Some(Holding::up_to(capacity)))
}

/// Returns a channel without a limit: `send` never waits.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    pair(Some(Holding::up_to(usize::MAX)))
}

fn pair<T>(holding: Option<Holding<T>>) -> (Sender<T>, Receiver<T>) {
    let channel = Rc::new(Channel {
        buffer: RefCell::new(VecDeque::new()),
        holding,
        closed: Cell::new(false),
        senders: Side::new(),
        receivers: Side::new(),
    });
    (Sender(Rc::clone(&channel)), Receiver(channel))
}

struct Channel<T> {
    buffer: RefCell<VecDeque<T>>,
    /// `None`: it holds nothing.
    holding: Option<Holding<T>>,
    closed: Cell<bool>,
    senders: Side,
    receivers: Side,
}

/// How values are held.
///
/// By pointers to functions: who has rendezvous channels only has none of a buffer's code, which is most of a channel's.
struct Holding<T> {
    capacity: usize,
    push: fn(&mut VecDeque<T>, T),
    pop: fn(&mut VecDeque<T>) -> Option<T>,
}

impl<T> Holding<T> {
    fn up_to(capacity: usize) -> Holding<T> {
        Holding { capacity, push: VecDeque::push_back, pop: VecDeque::pop_front }
    }
}

/// One side of a channel.
struct Side {
    /// Ends alive.
    ends: Cell<usize>,
    waiting: WaitQueue,
}

impl Side {
    fn new() -> Side {
        Side { ends: Cell::new(1), waiting: WaitQueue::new() }
    }
}

/// Where a blocked end expects or offers a value; on its own stack.
type Place<T> = Cell<Option<T>>;

impl<T> Channel<T> {
    /// Takes the longest waiting end of `side` off the queue; `wake` says what its call returns. Returns its place, to be used
    /// before the next switch.
    fn take_waiting(&self, side: &Side, wake: Wake) -> Option<&Place<T>> {
        runtime::with(|scheduler| {
            let task: Slot = side.waiting.first()?;
            let place = scheduler.tasks[task].value.cast::<Place<T>>();
            scheduler.wake(task, wake);
            // SAFETY: the task blocked in this channel with a `Place<T>` on its stack, and runs only after a switch.
            Some(unsafe { &*place })
        })
    }

    fn send(&self, value: T, deadline: Option<Moment>) -> Result<(), SendError<T>> {
        let value = match self.try_send(value) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(value)) => return Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let place: Place<T> = Cell::new(Some(value));
        let wake = self.wait("Sender::send", Waiting::Send, &self.senders, deadline, &place);
        match (wake, place.take()) {
            (Wake::Done, _) | (_, None) => Ok(()),
            (Wake::All, Some(value)) => Err(SendError::Closed(value)),
            (Wake::TimedOut, Some(value)) => Err(SendError::TimedOut(value)),
            (Wake::Cancelled, Some(value)) => Err(SendError::Cancelled(value)),
        }
    }

    fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.closed.get() {
            return Err(TrySendError::Closed(value));
        }
        if let Some(place) = self.take_waiting(&self.receivers, Wake::Done) {
            place.set(Some(value));
            return Ok(());
        }
        let mut buffer = self.buffer.borrow_mut();
        match &self.holding {
            Some(holding) if buffer.len() < holding.capacity => {
                (holding.push)(&mut buffer, value);
                Ok(())
            }
            _ => Err(TrySendError::Full(value)),
        }
    }

    fn recv(&self, deadline: Option<Moment>) -> Result<T, RecvError> {
        match self.try_recv() {
            Ok(value) => return Ok(value),
            Err(TryRecvError::Closed) => return Err(RecvError::Closed),
            Err(TryRecvError::Empty) => {}
        }
        let place: Place<T> = Cell::new(None);
        let wake = self.wait("Receiver::recv", Waiting::Receive, &self.receivers, deadline, &place);
        match (wake, place.take()) {
            (_, Some(value)) => Ok(value),
            (Wake::TimedOut, None) => Err(RecvError::TimedOut),
            (Wake::Cancelled, None) => Err(RecvError::Cancelled),
            (Wake::All | Wake::Done, None) => Err(RecvError::Closed),
        }
    }

    fn try_recv(&self) -> Result<T, TryRecvError> {
        let first = self.holding.as_ref().and_then(|holding| (holding.pop)(&mut self.buffer.borrow_mut()));
        let next = self.take_waiting(&self.senders, Wake::Done).and_then(Cell::take);
        match (first, next) {
            (Some(first), next) => {
                // There is room now: the longest waiting sender's value moves up.
                if let (Some(next), Some(holding)) = (next, &self.holding) {
                    (holding.push)(&mut self.buffer.borrow_mut(), next);
                }
                Ok(first)
            }
            (None, Some(next)) => Ok(next),
            (None, None) if self.closed.get() => Err(TryRecvError::Closed),
            (None, None) => Err(TryRecvError::Empty),
        }
    }

    fn wait(
        &self,
        what: &'static str,
        waiting: Waiting,
        side: &Side,
        deadline: Option<Moment>,
        place: &Place<T>,
    ) -> Wake {
        let value = core::ptr::from_ref(place).cast_mut().cast();
        dispatcher::block(what, &Block { waiting, queue: Some(&side.waiting), deadline, value })
    }

    fn close(&self) -> bool {
        if self.closed.replace(true) {
            return false;
        }
        if self.receivers.waiting.is_empty() && self.senders.waiting.is_empty() {
            return true;
        }
        runtime::with(|scheduler| {
            scheduler.wake_all(&self.receivers.waiting, Wake::All);
            scheduler.wake_all(&self.senders.waiting, Wake::All);
        });
        true
    }

    fn drop_end(&self, side: &Side) {
        side.ends.set(side.ends.get() - 1);
        if side.ends.get() == 0 {
            self.close();
        }
        if self.receivers.ends.get() == 0 {
            // Nobody can receive them any more. Their destructors may use the channel, so it is not borrowed meanwhile.
            let rest = self.buffer.take();
            drop(rest);
        }
    }
}

/// The end that values go into.
pub struct Sender<T>(Rc<Channel<T>>);

impl<T> Sender<T> {
    /// Sends `value`, waiting while the channel is full.
    ///
    /// # Context
    /// Task; the host where it need not wait.
    ///
    /// # Blocking
    /// Until there is room (a rendezvous channel: until a receiver takes the value).
    ///
    /// # Errors
    /// [`SendError::Closed`] or [`SendError::Cancelled`], with the value.
    ///
    /// # Panics
    /// If it would wait outside a task.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.0.send(value, None)
    }

    /// Like [`Sender::send`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`Sender::send`], and [`SendError::TimedOut`], with the value.
    ///
    /// # Panics
    /// If it would wait outside a task.
    #[cfg(feature = "timers")]
    #[track_caller]
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        match self.try_send(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => self.0.send(value, Some(Instant::now() + timeout)),
        }
    }

    /// Sends `value` if that is possible at once.
    ///
    /// # Context
    /// Task or host.
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
        self.0.closed.get()
    }
}

/// The end that values come out of.
pub struct Receiver<T>(Rc<Channel<T>>);

impl<T> Receiver<T> {
    /// Receives a value, waiting while there is none.
    ///
    /// # Context
    /// Task; the host where it need not wait.
    ///
    /// # Blocking
    /// Until a value comes or the channel is closed.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the channel is closed and empty; [`RecvError::Cancelled`].
    ///
    /// # Panics
    /// If it would wait outside a task.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.0.recv(None)
    }

    /// Like [`Receiver::recv`], for at most `timeout`.
    ///
    /// # Errors
    /// As [`Receiver::recv`], and [`RecvError::TimedOut`].
    ///
    /// # Panics
    /// If it would wait outside a task.
    #[cfg(feature = "timers")]
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvError> {
        match self.try_recv() {
            Ok(value) => Ok(value),
            Err(TryRecvError::Closed) => Err(RecvError::Closed),
            Err(TryRecvError::Empty) => self.0.recv(Some(Instant::now() + timeout)),
        }
    }

    /// Receives a value if there is one.
    ///
    /// # Context
    /// Task or host.
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
        self.0.closed.get()
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
                let ends = &self.0.$side.ends;
                ends.set(ends.get() + 1);
                $name(Rc::clone(&self.0))
            }
        }

        impl<T> Drop for $name<T> {
            fn drop(&mut self) {
                self.0.drop_end(&self.0.$side);
            }
        }

        impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    .field("closed", &self.0.closed.get())
                    .finish_non_exhaustive()
            }
        }
    };
}

end!(Sender, senders);
end!(Receiver, receivers);
