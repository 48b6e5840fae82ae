//! A reactor: one instance of a module, and synchronous and polled calls of its exports.

use std::{fmt, sync::Arc, time::Duration};

use wasmtime::{AsContextMut as _, Store, Val};

use crate::{
    builder::Builder,
    call::{AsyncCall, Progress},
    clock::Clock,
    convert::{Params, Returned},
    error::{Error, Result},
    guest::{Guest, Polled},
    image::Image,
    limits::InterruptHandle,
    state::{Log, State},
    value::{Signature, Value},
};

/// One instance of a module, with the embedder's state `T`.
///
/// # Examples
///
/// ```
/// use windlass_host::{Caller, Reactor};
///
/// # let bytes = wat::parse_str(r#"
/// #   (module (import "env" "tell" (func $tell (param i32)))
/// #     (func (export "add") (param i32 i32) (result i32)
/// #       (call $tell (local.get 0)) (i32.add (local.get 0) (local.get 1))))"#).unwrap();
/// let mut reactor = Reactor::builder()
///     .import("env", "tell", |_: &mut Caller, number: i32| println!("{number}"))
///     .from_bytes(&bytes)?;
/// reactor.initialize()?;
/// let sum: i32 = reactor.call("add", (3, 5))?;
/// assert_eq!(sum, 8);
/// # Ok::<(), windlass_host::Error>(())
/// ```
pub struct Reactor<T: 'static = ()> {
    pub(crate) store: Store<State<T>>,
    pub(crate) image: Image,
}

impl Reactor<()> {
    /// A builder for a reactor without state of the embedder's.
    pub fn builder() -> Builder<()> {
        Builder::new(())
    }
}

impl<T: 'static> Reactor<T> {
    /// A builder for a reactor with `state`, which imports reach through their [`Caller`](crate::Caller).
    pub fn with_state(state: T) -> Builder<T> {
        Builder::new(state)
    }

    /// Runs the guest's constructors and init functions: once, before anything else.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyInitialised`], or what the init functions did: [`Error::Deadlock`], [`Error::WouldWait`],
    /// [`Error::Panicked`], a trap and so on.
    pub fn initialize(&mut self) -> Result<()> {
        self.guest().initialise()
    }

    /// Calls an export and waits for its task, which runs with all the others.
    ///
    /// `P` is `()`, a number, text, bytes or a tuple of these; `R` is `()`, a number, `String`, `Vec<u8>` or `Option<Value>`.
    ///
    /// # Blocking
    ///
    /// For as long as the guest runs. It sleeps in the host only with [`Builder::may_block`].
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchExport`] and [`Error::Signature`] without entering the guest; otherwise what happened to the call.
    /// [`Error::poisons`] tells whether the instance can be used further.
    pub fn call<P: Params, R: Returned>(&mut self, name: &str, params: P) -> Result<R> {
        self.guest().call(name, &params, None)
    }

    /// As [`Reactor::call`], given up with [`Error::TimedOut`] after `timeout`. Only a guest that waits or yields notices.
    ///
    /// # Errors
    ///
    /// As [`Reactor::call`]; [`Error::Unsupported`] for a guest without the scheduler.
    pub fn call_with_deadline<P: Params, R: Returned>(
        &mut self,
        name: &str,
        params: P,
        timeout: Duration,
    ) -> Result<R> {
        self.guest().call(name, &params, Some(timeout))
    }

    /// As [`Reactor::call`], with types known at run time only; [`Reactor::signatures`] tells them.
    ///
    /// # Errors
    ///
    /// As [`Reactor::call`].
    pub fn call_values(&mut self, name: &str, params: &[Value]) -> Result<Option<Value>> {
        self.guest().call(name, &params, None)
    }

    /// What can be called; see [`Image::signatures`].
    pub fn signatures(&self) -> &[Signature] {
        self.image.signatures()
    }

    /// Starts an asynchronous call. It runs when it, or anything else, is polled or called.
    ///
    /// # Errors
    ///
    /// As [`Reactor::call`]; [`Error::Unsupported`] for a guest without the scheduler.
    pub fn start<P: Params, R: Returned>(&mut self, name: &str, params: P) -> Result<AsyncCall<R>> {
        self.guest().start(name, &params, None)
    }

    /// As [`Reactor::start`], failing with [`Error::TimedOut`] after `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Reactor::start`].
    pub fn start_with_deadline<P: Params, R: Returned>(
        &mut self,
        name: &str,
        params: P,
        timeout: Duration,
    ) -> Result<AsyncCall<R>> {
        self.guest().start(name, &params, Some(timeout))
    }

    /// Resumes the guest's tasks until `call` is done, nothing is runnable, or the guest's budget is spent.
    ///
    /// # Errors
    ///
    /// What happened to the call, which is then over; [`Error::NoSuchCall`] after that, after [`Progress::Done`], and for a call
    /// of another reactor.
    pub fn poll<R: Returned>(&mut self, call: &AsyncCall<R>) -> Result<Progress<R>> {
        self.owns(call)?;
        let mut guest = self.guest();
        Ok(match guest.poll(call.id, call.shared_name())? {
            Polled::Done => Progress::Done(guest.take(call)?),
            Polled::Pending => Progress::Pending,
            Polled::Runnable => Progress::Runnable,
        })
    }

    /// Polls `call` until it is done.
    ///
    /// # Blocking
    ///
    /// Sleeps until the guest's timers, whether the guest itself may block or not.
    ///
    /// # Errors
    ///
    /// As [`Reactor::poll`]. [`Error::Deadlock`] if no timer is left that could wake the call; it stays pending then, as another
    /// call may wake it.
    pub fn wait<R: Returned>(&mut self, call: &AsyncCall<R>) -> Result<R> {
        loop {
            match self.poll(call)? {
                Progress::Done(returned) => return Ok(returned),
                Progress::Runnable => {}
                Progress::Pending => {
                    let Some(until) = self.next_wake() else {
                        return Err(Error::Deadlock { report: self.report()? });
                    };
                    self.store.data().clock.sleep_until(until);
                    self.poll_background()?;
                }
            }
        }
    }

    /// Cancels an asynchronous call and forgets its result: its blocking calls fail inside the guest when next it runs.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchCall`] if it is over already.
    pub fn cancel<R>(&mut self, call: AsyncCall<R>) -> Result<()> {
        self.owns(&call)?;
        self.guest().cancel(call.id)
    }

    /// Resumes the guest's background tasks until nothing is runnable or the guest's budget is spent, and says whether anything
    /// is still runnable.
    ///
    /// # Errors
    ///
    /// What ends the module or poisons the instance.
    pub fn poll_background(&mut self) -> Result<bool> {
        let state = self.store.data_mut();
        // This is the poll that was asked for; a guest that wants no other need not say so.
        if state.next_wake.is_some_and(|until| until <= state.clock.now()) {
            state.set_wake(None);
        }
        Ok(self.guest().poll(0, &Arc::from("windlass_poll"))? == Polled::Runnable)
    }

    /// Whether the guest asks for wake-ups ([`Reactor::next_wake`]) even while no asynchronous call is pending.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for a guest without the scheduler.
    pub fn set_background(&mut self, on: bool) -> Result<()> {
        let mut guest = self.guest();
        guest.check()?;
        guest.helper("windlass_background", &[Val::I32(on.into())])?;
        Ok(())
    }

    /// When the guest wants [`Reactor::poll_background`] called, in the time of its [`Clock`].
    pub fn next_wake(&self) -> Option<u64> {
        self.store.data().next_wake
    }

    /// The guest's list of tasks and what each waits for.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for a guest without the scheduler.
    pub fn report(&mut self) -> Result<String> {
        self.guest().report()
    }

    /// Refuses every later call, and polls of pending ones, with [`Error::Closed`] and the guest's list of tasks, which is
    /// returned, too.
    pub fn close(&mut self) -> String {
        if let Some(report) = &self.store.data().health.closed {
            return report.clone();
        }
        // A guest that cannot report any more is closed all the same.
        let report = self.guest().report().unwrap_or_default();
        let state = self.store.data_mut();
        state.set_wake(None);
        state.health.closed = Some(report.clone());
        report
    }

    /// Why the instance refuses calls, if it is poisoned or closed.
    pub fn refuses(&self) -> Option<Error> {
        self.store.data().health.check().err()
    }

    /// The lines that the guest logged since the last time, if no sink was set: the newest 1,000.
    pub fn take_log(&mut self) -> Vec<String> {
        match &mut self.store.data_mut().log {
            Log::Kept(lines) => lines.drain(..).collect(),
            Log::Sink(_) => Vec::new(),
        }
    }

    /// A handle that ends a running call from another thread, if [`Limits::interruptible`](crate::Limits::interruptible) is set.
    pub fn interrupt_handle(&self) -> Option<InterruptHandle> {
        let state = self.store.data();
        state.interruptible.then(|| InterruptHandle {
            requested: Arc::clone(&state.interrupt),
            engine: self.store.engine().weak(),
        })
    }

    /// The embedder's state.
    pub fn state(&self) -> &T {
        &self.store.data().user
    }

    /// The embedder's state.
    pub fn state_mut(&mut self) -> &mut T {
        &mut self.store.data_mut().user
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.store.data().clock
    }

    pub(crate) fn guest(&mut self) -> Guest<'_, T> {
        let mut guest = Guest::new(self.store.as_context_mut());
        guest.outermost();
        guest
    }

    fn owns<R>(&self, call: &AsyncCall<R>) -> Result<()> {
        if call.reactor == self.store.data().serial { Ok(()) } else { Err(Error::NoSuchCall) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Reactor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.store.data();
        f.debug_struct("Reactor")
            .field("state", &state.user)
            .field("health", &state.health)
            .field("next_wake", &state.next_wake)
            .finish_non_exhaustive()
    }
}
