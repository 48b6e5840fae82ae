//! Channels between tasks of one thread.
//!
//! Three kinds with one pair of ends: [`rendezvous`] holds nothing, [`bounded`] holds up to its capacity, [`unbounded`] as much as
//! there is memory for. A [`Storage`] makes the first two without a heap. Both ends can be cloned; each value goes to one receiver. Waiters are served first come, first served, on both
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
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
mod heap;
mod shared;
#[cfg(not(target_arch = "wasm32"))]
mod storage;

pub use error::{RecvError, SendError, TryRecvError, TrySendError};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub use heap::{bounded, rendezvous, unbounded};
#[cfg(not(target_arch = "wasm32"))]
pub use storage::{InUse, Storage};

use crate::dispatcher;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::{Waiting, Wake};
use crate::time::Moment;
#[cfg(feature = "timers")]
use crate::time::{Duration, Instant};
use crate::wait_queue::{WaitQueue, Waiter};
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::{self, MaybeUninit};
use core::ptr::NonNull;
use shared::Shared;

struct Channel<T> {
    /// `None`: it holds nothing.
    holding: Option<Holding<T>>,
    closed: Cell<bool>,
    /// It is open and holds nothing: values go from task to task, and there is no more to look at.
    is_plain: Cell<bool>,
    senders: Side,
    receivers: Side,
}

/// How values are held.
///
/// By pointers to functions: who has rendezvous channels only has none of a buffer's code, which is most of a channel's; and the two ends
/// need not know where their channel's memory is.
///
/// *Own Buffer*: the buffer is what the two functions expect, and nobody else uses it; neither calls the user's code.
struct Holding<T> {
    buffer: NonNull<()>,
    /// Appends a value, or gives it back if there is no room.
    push: unsafe fn(NonNull<()>, T) -> Result<(), T>,
    /// Takes the first value out.
    pop: unsafe fn(NonNull<()>) -> Option<T>,
}

impl<T> Holding<T> {
    fn push(&self, value: T) -> Result<(), T> {
        // SAFETY: Own Buffer.
        unsafe { (self.push)(self.buffer, value) }
    }

    fn pop(&self) -> Option<T> {
        // SAFETY: Own Buffer.
        unsafe { (self.pop)(self.buffer) }
    }
}

/// One side of a channel.
struct Side {
    /// Ends alive.
    ends: Cell<usize>,
    waiting: WaitQueue,
}

impl Side {
    const fn new() -> Side {
        Side { ends: Cell::new(1), waiting: WaitQueue::new() }
    }
}

/// A blocked end, on its own stack: its node in the queue, and the place where it expects or offers a value.
///
/// *Filled*: a sender's place holds its value while it waits, and still if it is woken for any other reason than [`Wake::Done`]; a receiver's
/// is empty while it waits, and holds a value if it is woken with `Wake::Done`.
#[repr(C)]
struct Offer<T> {
    node: Waiter,
    place: UnsafeCell<MaybeUninit<T>>,
}

impl<T> Offer<T> {
    #[inline(always)]
    fn of(value: MaybeUninit<T>) -> Offer<T> {
        Offer { node: Waiter::new(), place: UnsafeCell::new(value) }
    }

    /// # Safety
    /// *Filled*, and nobody takes the value again.
    #[inline(always)]
    unsafe fn take(&self) -> T {
        // SAFETY: the caller's promise.
        unsafe { (*self.place.get()).assume_init_read() }
    }
}

/// Drops the value of a sender that may not wait: outside of tasks that is a panic.
struct Unsent<'a, T>(&'a Offer<T>);

impl<T> Drop for Unsent<'_, T> {
    fn drop(&mut self) {
        // SAFETY: Filled: nobody has seen it, and the sender goes no further.
        drop(unsafe { self.0.take() });
    }
}

impl<T> Channel<T> {
    /// A channel that holds nothing, with an end on each side.
    const fn new() -> Channel<T> {
        Channel {
            holding: None,
            closed: Cell::new(false),
            is_plain: Cell::new(true),
            senders: Side::new(),
            receivers: Side::new(),
        }
    }

    /// From the beginning the channel holds values so: *Own Buffer*, which is there as long as the channel.
    fn hold(&mut self, holding: Holding<T>) {
        self.holding = Some(holding);
        self.is_plain.set(false);
    }

    /// Wakes the longest waiting end of `side`, for it has what it waited for, or will have: its offer stays until the next switch.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn wake_first<'a>(&self, side: &'a Side) -> Option<&'a Offer<T>> {
        let (first, task) = side.waiting.pop()?;
        runtime::with(|scheduler| scheduler.make_ready(task, Wake::Done));
        // SAFETY: whoever waits in this channel does so with the node of an `Offer<T>`, which begins with it.
        Some(unsafe { &*core::ptr::from_ref(first).cast::<Offer<T>>() })
    }

    /// Gives the value to the longest waiting receiver, or back.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn hand_over(&self, value: T) -> Result<(), T> {
        let Some(first) = self.wake_first(&self.receivers) else { return Err(value) };
        // SAFETY: Filled: it was empty, and its receiver has not gone on.
        unsafe { (*first.place.get()).write(value) };
        Ok(())
    }

    /// Takes the value of the longest waiting sender.
    #[inline(always)]
    fn take_over(&self) -> Option<T> {
        let first = self.wake_first(&self.senders)?;
        // SAFETY: Filled: its sender has not gone on, and will see that it is woken for this.
        Some(unsafe { first.take() })
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[track_caller]
    fn send(&self, value: T, deadline: Option<Moment>) -> Result<(), SendError<T>> {
        let value = match self.hand_over(value) {
            Ok(()) => return Ok(()),
            Err(value) => value,
        };
        if self.is_plain.get() {
            return self.wait_to_send(value, deadline);
        }
        match self.store(value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(value)) => Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => self.wait_to_send(value, deadline),
        }
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[track_caller]
    fn wait_to_send(&self, value: T, deadline: Option<Moment>) -> Result<(), SendError<T>> {
        let offer = Offer::of(MaybeUninit::new(value));
        let unsent = Unsent(&offer);
        let wake = self.wait("Sender::send", Waiting::Send, &self.senders, deadline, &offer.node);
        mem::forget(unsent);
        if wake == Wake::Done {
            return Ok(());
        }
        // SAFETY: Filled.
        let value = unsafe { offer.take() };
        Err(match wake {
            Wake::TimedOut => SendError::TimedOut(value),
            Wake::Cancelled => SendError::Cancelled(value),
            Wake::All | Wake::Done => SendError::Closed(value),
        })
    }

    fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.hand_over(value).or_else(|value| self.store(value))
    }

    /// Puts the value into the buffer. (Nobody waits to receive.)
    fn store(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.closed.get() {
            return Err(TrySendError::Closed(value));
        }
        let Some(holding) = &self.holding else { return Err(TrySendError::Full(value)) };
        holding.push(value).map_err(TrySendError::Full)
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[track_caller]
    fn recv(&self, deadline: Option<Moment>) -> Result<T, RecvError> {
        if self.is_plain.get() {
            if let Some(value) = self.take_over() {
                return Ok(value);
            }
        } else {
            match self.try_recv() {
                Ok(value) => return Ok(value),
                Err(TryRecvError::Closed) => return Err(RecvError::Closed),
                Err(TryRecvError::Empty) => {}
            }
        }
        let offer = Offer::of(MaybeUninit::uninit());
        let wake = self.wait("Receiver::recv", Waiting::Receive, &self.receivers, deadline, &offer.node);
        match wake {
            // SAFETY: Filled.
            Wake::Done => Ok(unsafe { offer.take() }),
            Wake::All => Err(RecvError::Closed),
            Wake::TimedOut => Err(RecvError::TimedOut),
            Wake::Cancelled => Err(RecvError::Cancelled),
        }
    }

    fn try_recv(&self) -> Result<T, TryRecvError> {
        if let Some(holding) = &self.holding
            && let Some(value) = self.fetch(holding)
        {
            return Ok(value);
        }
        if let Some(value) = self.take_over() {
            return Ok(value);
        }
        Err(if self.closed.get() { TryRecvError::Closed } else { TryRecvError::Empty })
    }

    /// Takes a value out of the buffer; the longest waiting sender's value moves up.
    fn fetch(&self, holding: &Holding<T>) -> Option<T> {
        let value = holding.pop()?;
        if let Some(next) = self.take_over() {
            let stored = holding.push(next);
            debug_assert!(stored.is_ok(), "there is the room of what was taken out");
        }
        Some(value)
    }

    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[track_caller]
    fn wait(
        &self,
        what: &'static str,
        waiting: Waiting,
        side: &Side,
        deadline: Option<Moment>,
        node: &Waiter,
    ) -> Wake {
        dispatcher::block_here(what, &Block { waiting, queue: Some((&side.waiting, node)), deadline })
    }

    fn close(&self) -> bool {
        if self.closed.replace(true) {
            return false;
        }
        self.is_plain.set(false);
        if self.receivers.waiting.is_empty() && self.senders.waiting.is_empty()
            || runtime::existing().is_none()
        {
            // Nobody waits, or nobody of those who do will go on: their thread is ending.
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
            // Nobody can receive them any more. Their destructors may use the channel.
            while let Some(value) = self.holding.as_ref().and_then(Holding::pop) {
                drop(value);
            }
        }
    }
}

/// The end that values go into.
pub struct Sender<T>(Shared<T>);

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
    #[inline]
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
pub struct Receiver<T>(Shared<T>);

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
    #[inline]
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

    #[inline]
    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

/// Receives until the channel is closed or the task cancelled; owns the receiver.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline]
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
                $name(self.0.clone())
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
