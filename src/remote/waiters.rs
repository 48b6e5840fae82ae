//! Who waits for something that threads share: a FIFO list of waiters on the stacks of those who wait.
//!
//! ```text
//!   behind the lock            on the stacks of those who wait
//!   Waiters { first ──────────► Waiter ⇄ Waiter ⇄ Waiter ◄── last }
//!                                 payload, waker: by the lock, until
//!                                 outcome: written last, read without the lock
//! ```
//!
//! *Anchored*, *Last Touch* and *Own Condition*: see [`remote`](super).
#![allow(unsafe_code, reason = "a list through the stacks of those who wait")]

use super::What;
use super::waiter::{Interrupted, Waker, wait_until};
use crate::atomics::{AtomicU8, Mutex, MutexGuard, Ordering};
use crate::task::Wake;
use crate::time::Duration;
use core::cell::Cell;
use core::marker::PhantomData;
use core::ptr;
use std::sync::PoisonError;

/// Takes a lock. Nothing that can panic happens under it.
pub(super) fn lock<S>(mutex: &Mutex<S>) -> MutexGuard<'_, S> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const WAITING: u8 = 0;
const DONE: u8 = 1;
const ALL: u8 = 2;

/// One that waits, with what it offers or expects.
pub(super) struct Waiter<P> {
    previous: Cell<*const Waiter<P>>,
    next: Cell<*const Waiter<P>>,
    waker: Cell<Option<Waker>>,
    outcome: AtomicU8,
    payload: P,
}

impl<P> Waiter<P> {
    pub(super) fn new(payload: P) -> Waiter<P> {
        Waiter {
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            waker: Cell::new(None),
            outcome: AtomicU8::new(WAITING),
            payload,
        }
    }

    /// What it offered or was given, once it waits no more.
    pub(super) fn into_payload(self) -> P {
        self.payload
    }

    fn outcome(&self) -> Option<Wake> {
        match self.outcome.load(Ordering::Acquire) {
            DONE => Some(Wake::Done),
            ALL => Some(Wake::All),
            _ => None,
        }
    }
}

/// The list, first come, first served.
#[derive(Debug)]
pub(super) struct Waiters<P> {
    first: *const Waiter<P>,
    last: *const Waiter<P>,
}

// SAFETY: the list lies behind a lock, and so does all of a waiter that others reach; the payloads go from thread to thread.
unsafe impl<P: Send> Send for Waiters<P> {}

impl<P> Waiters<P> {
    pub(super) const fn new() -> Waiters<P> {
        Waiters { first: ptr::null(), last: ptr::null() }
    }

    /// # Safety
    /// *Anchored*: the waiter is in no list, and is unlinked before it moves or goes away.
    unsafe fn push(&mut self, waiter: &Waiter<P>) {
        waiter.previous.set(self.last);
        if self.last.is_null() {
            self.first = waiter;
        } else {
            // SAFETY: Anchored.
            unsafe { (*self.last).next.set(waiter) };
        }
        self.last = waiter;
    }

    /// Takes `waiter`, which is in this list or has an outcome, out.
    fn unlink(&mut self, waiter: &Waiter<P>) {
        let (previous, next) = (waiter.previous.replace(ptr::null()), waiter.next.replace(ptr::null()));
        if previous.is_null() {
            self.first = next;
        } else {
            // SAFETY: Anchored.
            unsafe { (*previous).next.set(next) };
        }
        if next.is_null() {
            self.last = previous;
        } else {
            // SAFETY: Anchored.
            unsafe { (*next).previous.set(previous) };
        }
    }

    /// Takes out who has waited longest.
    pub(super) fn pop(&mut self) -> Option<Taken<'_, P>> {
        let waiter = self.first;
        // SAFETY: Anchored.
        self.unlink(unsafe { waiter.as_ref() }?);
        Some(Taken { waiter, list: PhantomData })
    }
}

/// A waiter that was taken out, and waits for its outcome.
#[must_use = "it waits until it is given an outcome"]
pub(super) struct Taken<'a, P> {
    waiter: *const Waiter<P>,
    list: PhantomData<&'a mut Waiters<P>>,
}

impl<P> Taken<'_, P> {
    pub(super) fn payload(&self) -> &P {
        // SAFETY: it has no outcome yet, so it is still there.
        unsafe { &(*self.waiter).payload }
    }

    /// What it waited for has happened. Wake it when the lock is free.
    #[must_use = "it sleeps until it is woken"]
    pub(super) fn done(self) -> Waker {
        self.end(DONE)
    }

    /// It has happened for everybody. Wake it when the lock is free.
    #[must_use = "it sleeps until it is woken"]
    pub(super) fn all(self) -> Waker {
        self.end(ALL)
    }

    fn end(self, outcome: u8) -> Waker {
        // SAFETY: it has no outcome yet, so it is still there; Last Touch.
        unsafe {
            let waker = (*self.waiter).waker.take();
            (*self.waiter).outcome.store(outcome, Ordering::Release);
            match waker {
                Some(waker) => waker,
                None => unreachable!("a waiter has a waker when it is linked"),
            }
        }
    }
}

/// A waiter that is linked into the list that `list` finds behind `lock`.
pub(super) struct Queued<'a, S, P> {
    lock: &'a Mutex<S>,
    list: fn(&mut S) -> &mut Waiters<P>,
    waiter: &'a Waiter<P>,
}

impl<'a, S, P> Queued<'a, S, P> {
    /// Appends the caller, and gives the lock back.
    pub(super) fn new(
        lock: &'a Mutex<S>,
        mut state: MutexGuard<'a, S>,
        list: fn(&mut S) -> &mut Waiters<P>,
        waiter: &'a Waiter<P>,
    ) -> Queued<'a, S, P> {
        waiter.waker.set(Some(Waker::of_caller()));
        // SAFETY: Anchored: `Queued` borrows the waiter and unlinks it when it is dropped; nobody outside this module forgets one.
        unsafe { list(&mut state).push(waiter) };
        drop(state);
        Queued { lock, list, waiter }
    }

    /// Waits until somebody takes the waiter out.
    pub(super) fn wait(self, what: What, timeout: Option<Duration>) -> Wake {
        let waiter = self.waiter;
        let interrupted = wait_until(what, timeout, || waiter.outcome().is_some());
        drop(self);
        // An outcome that came at the last moment counts: a value may have been handed over with it.
        match (waiter.outcome(), interrupted) {
            (Some(outcome), _) => outcome,
            (None, Err(Interrupted::TimedOut)) => Wake::TimedOut,
            (None, Err(Interrupted::Cancelled)) => Wake::Cancelled,
            (None, Ok(())) => unreachable!("it waited for an outcome"),
        }
    }
}

impl<S, P> Drop for Queued<'_, S, P> {
    fn drop(&mut self) {
        if self.waiter.outcome().is_some() {
            return;
        }
        let mut state = lock(self.lock);
        // Looked at again, now that nobody else can write it.
        if self.waiter.outcome().is_none() {
            (self.list)(&mut state).unlink(self.waiter);
        }
    }
}
