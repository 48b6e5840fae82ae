//! Asynchronous calls as futures, on any executor and without one of their own.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    call::AsyncCall,
    convert::{Params, Returned},
    error::{Error, Result},
    reactor::Reactor,
    session::{Deferred, Shared},
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

impl<T: 'static> Reactor<T> {
    /// Makes the calls of this reactor futures.
    pub fn into_async(self) -> AsyncReactor<T> {
        let shared = Arc::new(Shared::new(self));
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
        let key = self.shared.enter()?.core().start_background()?;
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
            match start(&mut core.reactor) {
                Ok(call) => {
                    let key = core.watch(&call);
                    Ok((call, key))
                }
                Err(error) => {
                    // It may have poisoned the instance, which the others must hear.
                    core.news = true;
                    entered.wake_all();
                    Err(error)
                }
            }
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
        let returned = entered.core().take(key, call);
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
            self.shared.leave(key);
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
        let error = entered.core().take_background();
        entered.pass_on(self.key, error.is_some());
        error.map_or(Poll::Pending, Poll::Ready)
    }
}

impl<T: 'static> Drop for Background<T> {
    fn drop(&mut self) {
        self.shared.leave(self.key);
        self.shared.defer(Deferred::ForgetBackground);
    }
}

impl<T> fmt::Debug for Background<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Background").finish_non_exhaustive()
    }
}
