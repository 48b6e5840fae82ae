//! Asynchronous calls as futures, on any executor and without one of their own.
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
    fmt, mem,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, ThreadId},
    time::Duration,
};

use crate::{
    call::AsyncCall,
    clock::lock,
    convert::{Params, Returned},
    error::{Error, Result},
    guest::Polled,
    reactor::Reactor,
    value::{Signature, Value},
};

/// A reactor whose calls are futures. Clones are handles to the same one; when the last is dropped it is closed.
///
/// It is `Send` where `T` is, and needs no particular executor. Guest code runs on the thread that polls a future; while it
/// does, the other futures of the reactor wait for their turn. A timer of the guest sets one [`Alarm`](crate::Alarm) of the
/// reactor's clock.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> windlass_host::Result<()> {
/// use windlass_host::Reactor;
///
/// let mut reactor = Reactor::builder().from_file("plugin.wasm")?;
/// reactor.initialize()?;
/// let reactor = reactor.into_async();
/// let fetch = reactor.call::<_, String>("fetch", "one");
/// let other = reactor.call::<_, String>("fetch", "two");
/// println!("{} {}", fetch.await?, other.await?);
/// # Ok(())
/// # }
/// ```
pub struct AsyncReactor<T: 'static = ()> {
    shared: Arc<Shared<T>>,
    handle: Arc<Handle<T>>,
}

/// Closes the reactor with the last [`AsyncReactor`]; futures hold only what it closes.
struct Handle<T: 'static>(Arc<Shared<T>>);

struct Shared<T: 'static> {
    core: Mutex<Core<T>>,
    /// Who holds `core`: an import that comes back here must get an error instead of a deadlock.
    owner: Mutex<Option<ThreadId>>,
    wakers: Arc<Wakers>,
    /// What came back while `core` was held, to be done when it is released.
    deferred: Mutex<Vec<Deferred>>,
}

#[derive(Clone, Copy)]
enum Deferred {
    Forget(u64),
    Cancel(u64),
    ForgetBackground,
    Close,
}

struct Core<T: 'static> {
    reactor: Reactor<T>,
    watched: BTreeMap<u64, Watched>,
    next_key: u64,
    backgrounds: u32,
    background_error: Option<Error>,
    /// There is news that no sweep has seen.
    news: bool,
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
    /// Polls whatever is pending once, and returns the calls that were settled.
    fn sweep(&mut self, due: bool) -> Vec<u64> {
        self.news = false;
        let state = self.reactor.store.data_mut();
        state.earliest_wake = state.next_wake;
        let mut runnable = false;
        let mut settled = Vec::new();
        if due || self.backgrounds > 0 {
            let now = state.clock.now();
            if state.next_wake.is_some_and(|until| until <= now) {
                state.set_wake(None);
            }
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

    fn close(&mut self) -> String {
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
    fn enter(&self) -> Result<Entered<'_, T>> {
        let me = thread::current().id();
        if *lock(&self.owner) == Some(me) {
            return Err(Error::Busy);
        }
        let core = lock(&self.core);
        *lock(&self.owner) = Some(me);
        Ok(Entered { shared: self, core: Some(core), wake: Vec::new() })
    }

    /// Does it now, or when this thread leaves the call that it is in.
    fn defer(&self, what: Deferred) {
        match self.enter() {
            Ok(mut entered) => entered.perform(what),
            // This thread holds the core and looks here before it lets go.
            Err(_) => lock(&self.deferred).push(what),
        }
    }
}

/// The core, held.
struct Entered<'a, T: 'static> {
    shared: &'a Shared<T>,
    core: Option<MutexGuard<'a, Core<T>>>,
    /// *Wake Outside*.
    wake: Vec<Waker>,
}

impl<T: 'static> Entered<'_, T> {
    /// The core; there until `self` is dropped.
    fn core(&mut self) -> &mut Core<T> {
        match &mut self.core {
            Some(core) => core,
            None => unreachable!("the core is given up in `drop` only"),
        }
    }

    fn wake_all(&mut self) {
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
    fn attend(&mut self, key: u64, waker: &Waker) {
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
    fn pass_on(&mut self, key: u64, done: bool) {
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

impl<T: 'static> Reactor<T> {
    /// Makes the calls of this reactor futures.
    pub fn into_async(mut self) -> AsyncReactor<T> {
        let wakers = Arc::new(Wakers::default());
        let state = self.store.data_mut();
        let alarm = state.clock.alarm();
        state.alarm = Some((alarm, Waker::from(Arc::clone(&wakers))));
        let next_wake = state.next_wake;
        state.set_wake(next_wake);
        let shared = Arc::new(Shared {
            core: Mutex::new(Core {
                reactor: self,
                watched: BTreeMap::new(),
                next_key: 0,
                backgrounds: 0,
                background_error: None,
                news: false,
            }),
            owner: Mutex::new(None),
            wakers,
            deferred: Mutex::new(Vec::new()),
        });
        AsyncReactor { handle: Arc::new(Handle(Arc::clone(&shared))), shared }
    }
}

impl<T: 'static> AsyncReactor<T> {
    /// Starts an asynchronous call at once; it runs when its future, or another of this reactor, is polled. Dropping the future
    /// cancels the call.
    ///
    /// The future's errors are those of [`Reactor::start`] and [`Reactor::poll`], [`Error::Closed`], and [`Error::Cancelled`]
    /// by a [`Canceller`].
    pub fn call<P: Params, R: Returned>(&self, name: &str, params: P) -> CallFuture<T, R> {
        self.begin(|reactor| reactor.start(name, params))
    }

    /// As [`AsyncReactor::call`], failing with [`Error::TimedOut`] after `timeout`.
    pub fn call_with_deadline<P: Params, R: Returned>(
        &self,
        name: &str,
        params: P,
        timeout: Duration,
    ) -> CallFuture<T, R> {
        self.begin(|reactor| reactor.start_with_deadline(name, params, timeout))
    }

    /// As [`AsyncReactor::call`], with types known at run time only.
    pub fn call_values(&self, name: &str, params: &[Value]) -> CallFuture<T, Option<Value>> {
        self.call(name, params)
    }

    /// Runs the guest's background tasks, by polls and timers, until the returned future is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for a guest without the scheduler; [`Error::Busy`] inside of an import.
    pub fn background(&self) -> Result<Background<T>> {
        let mut entered = self.shared.enter()?;
        let core = entered.core();
        core.reactor.set_background(true)?;
        core.backgrounds += 1;
        core.next_key += 1;
        core.news = true;
        let key = core.next_key;
        drop(entered);
        Ok(Background { shared: Arc::clone(&self.shared), key })
    }

    /// Borrows the reactor, for synchronous calls and the embedder's state. Pending futures are polled afterwards.
    ///
    /// # Blocking
    ///
    /// While another thread runs guest code.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] inside of an import: use its [`Caller`](crate::Caller).
    pub fn with<U>(&self, work: impl FnOnce(&mut Reactor<T>) -> U) -> Result<U> {
        let mut entered = self.shared.enter()?;
        // Before the work, in case it panics.
        entered.wake_all();
        let core = entered.core();
        core.news = true;
        Ok(work(&mut core.reactor))
    }

    /// What can be called; see [`Image::signatures`](crate::Image::signatures).
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] inside of an import.
    pub fn signatures(&self) -> Result<Vec<Signature>> {
        Ok(self.shared.enter()?.core().reactor.signatures().to_vec())
    }

    /// Closes the reactor: every pending and later call fails with [`Error::Closed`] and the list of tasks, which is returned,
    /// too.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] inside of an import.
    pub fn close(&self) -> Result<String> {
        let mut entered = self.shared.enter()?;
        let report = entered.core().close();
        entered.wake_all();
        Ok(report)
    }

    fn begin<R>(&self, start: impl FnOnce(&mut Reactor<T>) -> Result<AsyncCall<R>>) -> CallFuture<T, R> {
        let begun = self.shared.enter().and_then(|mut entered| {
            let core = entered.core();
            let call = start(&mut core.reactor)?;
            core.next_key += 1;
            core.news = true;
            let key = core.next_key;
            let watched = Watched { id: call.id, name: Arc::clone(call.shared_name()), outcome: None };
            core.watched.insert(key, watched);
            Ok((call, key))
        });
        let stage = match begun {
            Ok((call, key)) => Stage::Running { call, key },
            Err(error) => Stage::Failed(error),
        };
        CallFuture { shared: Arc::clone(&self.shared), stage }
    }
}

impl<T> Clone for AsyncReactor<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), handle: Arc::clone(&self.handle) }
    }
}

impl<T> fmt::Debug for AsyncReactor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncReactor").finish_non_exhaustive()
    }
}

impl<T: 'static> Drop for Handle<T> {
    fn drop(&mut self) {
        self.0.defer(Deferred::Close);
    }
}

/// A started call of an [`AsyncReactor`]. Dropping it cancels the call.
#[must_use = "dropping the future cancels the call"]
pub struct CallFuture<T: 'static, R> {
    shared: Arc<Shared<T>>,
    stage: Stage<R>,
}

enum Stage<R> {
    Failed(Error),
    Running { call: AsyncCall<R>, key: u64 },
    Finished,
}

impl<T: 'static, R> CallFuture<T, R> {
    /// A handle that cancels the call while somebody else awaits it.
    pub fn canceller(&self) -> Canceller<T> {
        let key = match self.stage {
            Stage::Running { key, .. } => Some(key),
            _ => None,
        };
        Canceller { shared: Arc::clone(&self.shared), key }
    }
}

// Nothing in a future points into it.
impl<T: 'static, R> Unpin for CallFuture<T, R> {}

impl<T: 'static, R: Returned> Future for CallFuture<T, R> {
    type Output = Result<R>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<R>> {
        let this = self.get_mut();
        let (call, key) = match &this.stage {
            Stage::Running { call, key } => (call, *key),
            _ => {
                return match mem::replace(&mut this.stage, Stage::Finished) {
                    Stage::Failed(error) => Poll::Ready(Err(error)),
                    // Polled after its end.
                    _ => Poll::Ready(Err(Error::NoSuchCall)),
                };
            }
        };
        let mut entered = match this.shared.enter() {
            Ok(entered) => entered,
            // The drop of this future cancels the call.
            Err(error) => return Poll::Ready(Err(error)),
        };
        entered.attend(key, context.waker());
        let core = entered.core();
        let outcome = core.watched.get_mut(&key).and_then(|watched| watched.outcome.take());
        let returned = outcome.map(|outcome| {
            core.watched.remove(&key);
            outcome.and_then(|()| core.reactor.guest().take(call))
        });
        entered.pass_on(key, returned.is_some());
        drop(entered);
        match returned {
            Some(returned) => {
                this.stage = Stage::Finished;
                Poll::Ready(returned)
            }
            None => Poll::Pending,
        }
    }
}

impl<T: 'static, R> Drop for CallFuture<T, R> {
    fn drop(&mut self) {
        if let Stage::Running { key, .. } = self.stage {
            lock(&self.shared.wakers.list).remove(&key);
            self.shared.defer(Deferred::Forget(key));
        }
    }
}

impl<T, R> fmt::Debug for CallFuture<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.stage {
            Stage::Running { call, .. } => call.name(),
            _ => "(over)",
        };
        f.debug_struct("CallFuture").field("name", &name).finish_non_exhaustive()
    }
}

/// Cancels a call from elsewhere than its future.
pub struct Canceller<T: 'static> {
    shared: Arc<Shared<T>>,
    key: Option<u64>,
}

impl<T: 'static> Canceller<T> {
    /// Ends the call; its future fails with [`Error::Cancelled`]. A call that is over is left alone.
    pub fn cancel(&self) {
        if let Some(key) = self.key {
            self.shared.defer(Deferred::Cancel(key));
        }
    }
}

impl<T> Clone for Canceller<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), key: self.key }
    }
}

impl<T> fmt::Debug for Canceller<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").finish_non_exhaustive()
    }
}

/// Keeps a guest's background tasks running; made by [`AsyncReactor::background`]. It ends only with the error that ends the
/// reactor.
#[must_use = "background tasks run while this is polled"]
pub struct Background<T: 'static> {
    shared: Arc<Shared<T>>,
    key: u64,
}

impl<T: 'static> Future for Background<T> {
    type Output = Error;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Error> {
        let mut entered = match self.shared.enter() {
            Ok(entered) => entered,
            Err(error) => return Poll::Ready(error),
        };
        entered.attend(self.key, context.waker());
        let core = entered.core();
        let error = core.background_error.take().or_else(|| core.reactor.refuses());
        entered.pass_on(self.key, error.is_some());
        error.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T: 'static> Drop for Background<T> {
    fn drop(&mut self) {
        lock(&self.shared.wakers.list).remove(&self.key);
        self.shared.defer(Deferred::ForgetBackground);
    }
}

impl<T> fmt::Debug for Background<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}
