//! What the futures of one reactor share: the reactor behind a lock, the calls that are waited for, and their wakers.
//!
//! ```text
//!  CallFuture::poll ──► lock ──► sweep, if there is news ──► own outcome
//!                                  windlass_poll(0), windlass_poll(id) of every pending call
//!  alarm (wake_at) ──► news ──► wakers
//! ```
//!
//! Whoever is polled first after news sweeps for all: it polls every pending call and leaves the outcomes for their futures.
//! News is a timer, a call from outside, a cancellation, or tasks that were still runnable after the last sweep.
//!
//! Invariants. *Registered First*: a future leaves its waker before it sweeps, so that news in between is not lost. *Wake
//! Outside*: embedders' wakers are called without the lock, as they may drop futures, which need it.

use std::{
    collections::BTreeMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    thread::{self, ThreadId},
};

use crate::{
    call::AsyncCall,
    clock::lock,
    convert::Returned,
    error::{Error, Result},
    guest::Polled,
    reactor::Reactor,
};

/// Behind every handle and future of an asynchronous reactor.
pub(crate) struct Shared<T: 'static> {
    core: Mutex<Core<T>>,
    /// Who holds `core`: an import that comes back here must get an error instead of a deadlock.
    owner: Mutex<Option<ThreadId>>,
    wakers: Arc<Wakers>,
    /// What came back while `core` was held, to be done when it is released.
    deferred: Mutex<Vec<Deferred>>,
}

/// What a future or handle leaves behind.
#[derive(Clone, Copy)]
pub(crate) enum Deferred {
    Forget(u64),
    Cancel(u64),
    ForgetBackground,
    Close,
}

pub(crate) struct Core<T: 'static> {
    pub(crate) reactor: Reactor<T>,
    watched: BTreeMap<u64, Watched>,
    next_key: u64,
    backgrounds: u32,
    background_error: Option<Error>,
    /// There is news that no sweep has seen.
    pub(crate) news: bool,
}

/// A call that a future waits for.
struct Watched {
    id: i32,
    name: Arc<str>,
    /// `Ok`: the result can be taken.
    outcome: Option<Result<()>>,
}

/// The wakers of all pending futures; as a waker itself it is given to the alarm.
#[derive(Default)]
struct Wakers {
    due: AtomicBool,
    list: Mutex<BTreeMap<u64, Waker>>,
}

impl Wakers {
    fn all(&self) -> Vec<Waker> {
        lock(&self.list).values().cloned().collect()
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.due.store(true, Ordering::SeqCst);
        self.all().into_iter().for_each(Waker::wake);
    }
}

impl<T: 'static> Core<T> {
    /// Takes a call that was started among those that are swept.
    pub(crate) fn watch<R>(&mut self, call: &AsyncCall<R>) -> u64 {
        let watched = Watched { id: call.id, name: Arc::clone(call.shared_name()), outcome: None };
        let key = self.new_key();
        self.watched.insert(key, watched);
        key
    }

    /// The call's outcome, once it has one.
    pub(crate) fn take<R: Returned>(&mut self, key: u64, call: &AsyncCall<R>) -> Option<Result<R>> {
        let outcome = self.watched.get_mut(&key)?.outcome.take()?;
        self.watched.remove(&key);
        let returned = outcome.and_then(|()| self.reactor.guest().take(call));
        // The others must hear that the instance refuses.
        self.news |= returned.as_ref().is_err_and(Error::poisons);
        Some(returned)
    }

    pub(crate) fn start_background(&mut self) -> Result<u64> {
        self.reactor.set_background(true)?;
        self.backgrounds += 1;
        Ok(self.new_key())
    }

    /// What ended the background.
    pub(crate) fn take_background(&mut self) -> Option<Error> {
        self.background_error.take().or_else(|| self.reactor.refuses())
    }

    fn new_key(&mut self) -> u64 {
        self.next_key += 1;
        self.news = true;
        self.next_key
    }

    /// Polls whatever is pending once, and returns the calls that were settled.
    fn sweep(&mut self, due: bool) -> Vec<u64> {
        self.news = false;
        let state = self.reactor.store.data_mut();
        state.earliest_wake = state.next_wake;
        let mut runnable = false;
        let mut settled = Vec::new();
        if due || self.backgrounds > 0 {
            match self.reactor.poll_background() {
                Ok(more) => runnable |= more,
                Err(error) if self.backgrounds > 0 => self.background_error = Some(error),
                // Somebody must hear of it; the others hear that the instance refuses.
                Err(error) => {
                    if let Some((&key, watched)) =
                        self.watched.iter_mut().find(|(_, watched)| watched.outcome.is_none())
                    {
                        watched.outcome = Some(Err(error));
                        settled.push(key);
                    }
                }
            }
        }
        let mut pending = false;
        for (&key, watched) in &mut self.watched {
            if watched.outcome.is_some() {
                continue;
            }
            match self.reactor.guest().poll(watched.id, &watched.name) {
                Ok(Polled::Pending) => pending = true,
                Ok(Polled::Runnable) => {
                    pending = true;
                    runnable = true;
                }
                Ok(Polled::Done) => {
                    watched.outcome = Some(Ok(()));
                    settled.push(key);
                }
                Err(error) => {
                    watched.outcome = Some(Err(error));
                    settled.push(key);
                }
            }
        }
        // A poll that found its call done stopped there, and a timer that came due in between may have finished a call that was
        // polled before it: look again.
        let state = self.reactor.store.data();
        let timer_ran = state.earliest_wake.is_some_and(|until| until <= state.clock.now());
        let waiting = pending || (self.backgrounds > 0 && self.background_error.is_none());
        self.news = waiting && (runnable || !settled.is_empty() || timer_ran);
        settled
    }

    fn settle_all(&mut self, error: impl Fn() -> Error) {
        let unsettled = self.watched.values_mut().filter(|watched| watched.outcome.is_none());
        unsettled.for_each(|watched| watched.outcome = Some(Err(error())));
    }

    pub(crate) fn close(&mut self) -> String {
        let report = self.reactor.close();
        self.settle_all(|| Error::Closed { report: report.clone() });
        report
    }

    /// Cancels a call that nobody waits for any more.
    fn forget(&mut self, key: u64) {
        if let Some(watched) = self.watched.remove(&key)
            && !matches!(watched.outcome, Some(Err(_)))
            // It may have ended meanwhile, and a poisoned instance refuses: there is nobody to tell.
            && self.reactor.guest().cancel(watched.id).is_ok()
        {
            self.news = true;
        }
    }

    fn cancel(&mut self, key: u64) {
        if let Some(watched) = self.watched.get_mut(&key)
            && watched.outcome.is_none()
        {
            // As above; the future is told all the same.
            let _ = self.reactor.guest().cancel(watched.id);
            watched.outcome = Some(Err(Error::Cancelled));
            self.news = true;
        }
    }

    fn forget_background(&mut self) {
        self.backgrounds -= 1;
        if self.backgrounds == 0 {
            // A poisoned or closed instance refuses, and runs nothing in the background either.
            let _ = self.reactor.set_background(false);
            self.background_error = None;
        }
    }
}

impl<T: 'static> Shared<T> {
    pub(crate) fn new(mut reactor: Reactor<T>) -> Self {
        let wakers = Arc::new(Wakers::default());
        let state = reactor.store.data_mut();
        state.alarm = Some((state.clock.alarm(), Waker::from(Arc::clone(&wakers))));
        state.set_wake(state.next_wake);
        Self {
            core: Mutex::new(Core {
                reactor,
                watched: BTreeMap::new(),
                next_key: 0,
                backgrounds: 0,
                background_error: None,
                news: false,
            }),
            owner: Mutex::new(None),
            wakers,
            deferred: Mutex::new(Vec::new()),
        }
    }

    /// Takes the lock.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] if this thread has it.
    pub(crate) fn enter(&self) -> Result<Entered<'_, T>> {
        let me = thread::current().id();
        if *lock(&self.owner) == Some(me) {
            return Err(Error::Busy);
        }
        let core = lock(&self.core);
        *lock(&self.owner) = Some(me);
        Ok(Entered { shared: self, core: Some(core), wake: Vec::new() })
    }

    /// Forgets the waker of a future that is dropped.
    pub(crate) fn leave(&self, key: u64) {
        lock(&self.wakers.list).remove(&key);
    }

    /// Does it now, or when this thread leaves the call that it is in.
    pub(crate) fn defer(&self, what: Deferred) {
        match self.enter() {
            Ok(mut entered) => entered.perform(what),
            // This thread holds the core and looks here before it lets go.
            Err(_) => lock(&self.deferred).push(what),
        }
    }
}

/// The core, held.
pub(crate) struct Entered<'a, T: 'static> {
    shared: &'a Shared<T>,
    core: Option<MutexGuard<'a, Core<T>>>,
    /// *Wake Outside*.
    wake: Vec<Waker>,
}

impl<T: 'static> Entered<'_, T> {
    /// The core; there until `self` is dropped.
    pub(crate) fn core(&mut self) -> &mut Core<T> {
        match &mut self.core {
            Some(core) => core,
            None => unreachable!("the core is given up in `drop` only"),
        }
    }

    pub(crate) fn wake_all(&mut self) {
        self.wake.extend(self.shared.wakers.all());
    }

    fn perform(&mut self, what: Deferred) {
        let core = self.core();
        match what {
            Deferred::Forget(key) => core.forget(key),
            Deferred::Cancel(key) => core.cancel(key),
            Deferred::ForgetBackground => core.forget_background(),
            Deferred::Close => {
                core.close();
            }
        }
        self.wake_all();
    }

    /// Registers the waker, and sweeps if there is news.
    pub(crate) fn attend(&mut self, key: u64, waker: &Waker) {
        let wakers = &self.shared.wakers;
        lock(&wakers.list).insert(key, waker.clone());
        let due = wakers.due.swap(false, Ordering::SeqCst);
        let core = self.core();
        if !core.news && !due {
            return;
        }
        let settled = core.sweep(due);
        let list = lock(&self.shared.wakers.list);
        self.wake
            .extend(settled.iter().filter(|&&other| other != key).filter_map(|key| list.get(key)).cloned());
        // Backgrounds have no outcome of their own, but must learn what ended the reactor.
        if let Some(core) = &self.core
            && (core.background_error.is_some() || core.reactor.refuses().is_some())
        {
            let backgrounds =
                list.iter().filter(|(other, _)| **other != key && !core.watched.contains_key(other));
            self.wake.extend(backgrounds.map(|(_, waker)| waker.clone()));
        }
    }

    /// If there is still news, has one of the waiting futures polled again: this one, or another if this one is done.
    pub(crate) fn pass_on(&mut self, key: u64, done: bool) {
        let shared = self.shared;
        let mut list = lock(&shared.wakers.list);
        if done {
            list.remove(&key);
        }
        if !self.core().news {
            return;
        }
        let core = self.core();
        let waits = |other: &u64| core.watched.get(other).is_none_or(|watched| watched.outcome.is_none());
        let next = if done {
            list.iter().find(|(other, _)| waits(other)).map(|entry| entry.1)
        } else {
            list.get(&key)
        };
        let next = next.cloned();
        self.wake.extend(next);
    }
}

impl<T: 'static> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        loop {
            let deferred = mem::take(&mut *lock(&self.shared.deferred));
            if deferred.is_empty() {
                break;
            }
            deferred.into_iter().for_each(|what| self.perform(what));
        }
        *lock(&self.shared.owner) = None;
        self.core = None;
        mem::take(&mut self.wake).into_iter().for_each(Waker::wake);
    }
}
