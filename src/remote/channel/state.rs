//! What the ends of a channel share.

use crate::atomics::{Mutex, MutexGuard};
use crate::channel::{RecvError, SendError, TryRecvError, TrySendError};
use crate::remote::What;
use crate::remote::waiter::Waker;
use crate::remote::waiters::{Queued, Waiter, Waiters, lock};
use crate::task::Wake;
use crate::time::Duration;
use alloc::collections::VecDeque;
use core::cell::Cell;
use core::mem;

pub(super) struct Channel<T> {
    /// 0: it holds nothing.
    capacity: usize,
    state: Mutex<State<T>>,
}

/// *One Side*: receivers wait only while the buffer is empty and no sender waits; senders wait only while the buffer is full.
pub(super) struct State<T> {
    buffer: VecDeque<T>,
    closed: bool,
    pub(super) senders: Side<T>,
    pub(super) receivers: Side<T>,
}

/// One side of a channel.
pub(super) struct Side<T> {
    /// Ends alive.
    pub(super) ends: usize,
    waiting: Waiters<Place<T>>,
}

/// Where a blocked end expects or offers a value.
type Place<T> = Cell<Option<T>>;

/// Finds a side.
pub(super) type Which<T> = fn(&mut State<T>) -> &mut Side<T>;

impl<T> Side<T> {
    fn new() -> Side<T> {
        Side { ends: 1, waiting: Waiters::new() }
    }
}

impl<T> State<T> {
    /// Gives `value` to a receiver, who is to be woken, or to the buffer.
    fn offer(&mut self, value: T, capacity: usize) -> Result<Option<Waker>, TrySendError<T>> {
        if self.closed {
            return Err(TrySendError::Closed(value));
        }
        if let Some(receiver) = self.receivers.waiting.pop() {
            receiver.payload().set(Some(value));
            return Ok(Some(receiver.done()));
        }
        if self.buffer.len() < capacity {
            self.buffer.push_back(value);
            return Ok(None);
        }
        Err(TrySendError::Full(value))
    }

    /// Takes the oldest value, and lets the longest waiting sender's move up. The sender is to be woken.
    fn take(&mut self) -> Result<(T, Option<Waker>), TryRecvError> {
        let first = self.buffer.pop_front();
        let (next, waker) = match self.senders.waiting.pop() {
            Some(sender) => (sender.payload().take(), Some(sender.done())),
            None => (None, None),
        };
        match (first, next) {
            (Some(first), next) => {
                self.buffer.extend(next);
                Ok((first, waker))
            }
            (None, Some(next)) => Ok((next, waker)),
            (None, None) if self.closed => Err(TryRecvError::Closed),
            (None, None) => Err(TryRecvError::Empty),
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Channel<T> {
    pub(super) fn new(capacity: usize) -> Channel<T> {
        let state =
            State { buffer: VecDeque::new(), closed: false, senders: Side::new(), receivers: Side::new() };
        Channel { capacity, state: Mutex::new(state) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }

    pub(super) fn send(&self, value: T, timeout: Option<Duration>) -> Result<(), SendError<T>> {
        let mut state = self.lock();
        let value = match state.offer(value, self.capacity) {
            Ok(waker) => {
                drop(state);
                wake(waker);
                return Ok(());
            }
            Err(TrySendError::Closed(value)) => return Err(SendError::Closed(value)),
            Err(TrySendError::Full(value)) => value,
        };
        let waiter = Waiter::new(Cell::new(Some(value)));
        let queued = Queued::new(&self.state, state, |state| &mut state.senders.waiting, &waiter);
        let outcome = queued.wait(What::Send, timeout);
        match (outcome, waiter.into_payload().into_inner()) {
            (Wake::Done, _) | (_, None) => Ok(()),
            (Wake::All, Some(value)) => Err(SendError::Closed(value)),
            (Wake::TimedOut, Some(value)) => Err(SendError::TimedOut(value)),
            (Wake::Cancelled, Some(value)) => Err(SendError::Cancelled(value)),
        }
    }

    pub(super) fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        let waker = self.lock().offer(value, self.capacity)?;
        wake(waker);
        Ok(())
    }

    pub(super) fn recv(&self, timeout: Option<Duration>) -> Result<T, RecvError> {
        let mut state = self.lock();
        match state.take() {
            Ok((value, waker)) => {
                drop(state);
                wake(waker);
                return Ok(value);
            }
            Err(TryRecvError::Closed) => return Err(RecvError::Closed),
            Err(TryRecvError::Empty) => {}
        }
        let waiter = Waiter::new(Cell::new(None));
        let queued = Queued::new(&self.state, state, |state| &mut state.receivers.waiting, &waiter);
        let outcome = queued.wait(What::Receive, timeout);
        match (outcome, waiter.into_payload().into_inner()) {
            (_, Some(value)) => Ok(value),
            (Wake::TimedOut, None) => Err(RecvError::TimedOut),
            (Wake::Cancelled, None) => Err(RecvError::Cancelled),
            (Wake::All | Wake::Done, None) => Err(RecvError::Closed),
        }
    }

    pub(super) fn try_recv(&self) -> Result<T, TryRecvError> {
        let (value, waker) = self.lock().take()?;
        wake(waker);
        Ok(value)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    pub(super) fn close(&self) -> bool {
        if mem::replace(&mut self.lock().closed, true) {
            return false;
        }
        // From now on nobody begins to wait, but waking is not done under the lock.
        loop {
            let mut state = self.lock();
            let waker = match state.receivers.waiting.pop() {
                Some(receiver) => receiver.all(),
                None => match state.senders.waiting.pop() {
                    Some(sender) => sender.all(),
                    None => return true,
                },
            };
            drop(state);
            waker.wake();
        }
    }

    pub(super) fn add_end(&self, side: Which<T>) {
        side(&mut self.lock()).ends += 1;
    }

    pub(super) fn drop_end(&self, side: Which<T>) {
        let mut state = self.lock();
        let ends = &mut side(&mut state).ends;
        *ends -= 1;
        let last = *ends == 0;
        // Nobody can receive them any more. Their destructors are user code.
        let rest = if state.receivers.ends == 0 { mem::take(&mut state.buffer) } else { VecDeque::new() };
        drop(state);
        if last {
            self.close();
        }
        drop(rest);
    }
}
