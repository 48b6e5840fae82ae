//! The seam on OS threads: each context is a thread, and one baton goes round.
//!
//! For the tools that cannot follow a stack pointer (`ThreadSanitizer`, Miri), for a CPU that has no file of its own yet, and as the
//! contract written in ordinary Rust: where another backend behaves differently, that one is wrong.
//!
//! ```text
//!   thread of A                         thread of B
//!   switch(&a, B): give(B, turn) ─────► wait() returns the turn
//!                  wait()               runs ...
//!                    ◄───────────────── switch(&b, a): give(a, turn)
//! ```
//!
//! *One Baton.* Of all threads whose contexts take turns, one runs; the others wait in `Baton::wait`. The turn carries the
//! two words (`runtime`, and the host of the innermost `run`), so each thread's copy is right while it runs.
//!
//! A context is the address of its `Baton`, and holds one reference to it from `prepare` until it ended or was discarded. The
//! thread starts with the first turn. A thread that ended is joined by whoever has the turn next, so no thread outlives its
//! context by more than a switch.
//!
//! *The limit.* A context that is discarded while suspended leaves its thread asleep for the rest of the program. There is no
//! portable way to end a thread in the middle of its frames but to unwind them, and that would run destructors which no other
//! backend runs, beside the thread that has the baton.
//!
//! The memory of the stack is not used; the threads have stacks of their own.

use core::cell::{Cell, OnceCell};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::{Context, Entry};

pub use crate::words::{runtime, set_runtime};

/// The backend's name.
pub const BACKEND: &str = "threads";
/// What the ends of a stack are multiples of, in bytes.
pub const STACK_ALIGN: usize = 16;
/// The smallest stack, in bytes: what a CPU asks for, so that a size which works here works there.
pub const STACK_MIN: usize = 768;

/// Room for the frames of a debug build under a sanitizer; mostly address space.
const THREAD_STACK: usize = 1 << 20;

std::thread_local! {
    /// This thread's baton: of its context, or made when it first waits in `run`.
    static MINE: OnceCell<Arc<Baton>> = const { OnceCell::new() };

    /// The context that waits in the innermost `run`, 0 outside of any.
    static HOST: Cell<usize> = const { Cell::new(0) };
}

#[derive(Default)]
struct Baton {
    state: Mutex<State>,
    given: Condvar,
}

#[derive(Default)]
struct State {
    /// What the thread begins with; `None` once there is a thread.
    start: Option<First>,
    thread: Option<JoinHandle<()>>,
    /// The baton itself, between `give` and the end of `wait`.
    turn: Option<Turn>,
}

struct First {
    entry: Entry,
    arg: *mut (),
}

/// What the next thread needs to know.
struct Turn {
    runtime: *mut (),
    host: usize,
    /// The thread that ended with this turn.
    ended: Option<JoinHandle<()>>,
}

// SAFETY: by *One Baton* the pointers are used by one thread at a time, and handed over under a mutex.
unsafe impl Send for First {}
// SAFETY: likewise.
unsafe impl Send for Turn {}

impl Turn {
    fn of_this_thread(ended: Option<JoinHandle<()>>) -> Turn {
        Turn { runtime: runtime(), host: HOST.get(), ended }
    }
}

impl Baton {
    fn of_this_thread() -> Arc<Baton> {
        MINE.with(|mine| Arc::clone(mine.get_or_init(Arc::default)))
    }

    /// # Safety
    /// `context` is the address of a baton that somebody holds.
    unsafe fn of_context(context: usize) -> Arc<Baton> {
        let baton = core::ptr::with_exposed_provenance::<Baton>(context);
        // SAFETY: the address came from an `Arc`, and it is alive by the caller's word.
        unsafe {
            Arc::increment_strong_count(baton);
            Arc::from_raw(baton)
        }
    }

    /// The address, without a reference of its own.
    fn address(self: &Arc<Baton>) -> usize {
        Arc::as_ptr(self).expose_provenance()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic leaves the state half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(self: &Arc<Baton>, turn: Turn) {
        let mut state = self.lock();
        if let Some(start) = state.start.take() {
            let baton = Arc::clone(self);
            let thread = thread::Builder::new().stack_size(THREAD_STACK).spawn(move || live(baton, &start));
            state.thread = Some(thread.expect("the threads backend needs a thread for each context"));
        }
        debug_assert!(state.turn.is_none(), "a context was continued twice");
        state.turn = Some(turn);
        drop(state);
        self.given.notify_one();
    }

    fn wait(&self) {
        let state = self.lock();
        let mut state = self
            .given
            .wait_while(state, |state| state.turn.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        let turn = state.turn.take();
        drop(state);
        let Turn { runtime, host, ended } = turn.expect("`wait_while` waits for a turn");
        set_runtime(runtime);
        HOST.set(host);
        if let Some(thread) = ended {
            thread.join().expect("a context's thread does not unwind");
        }
    }
}

/// The life of a context's thread.
fn live(baton: Arc<Baton>, start: &First) {
    let address = baton.address();
    let fresh = MINE.with(|mine| mine.set(Arc::clone(&baton)).is_ok());
    debug_assert!(fresh, "the thread is new");
    baton.wait();
    // SAFETY: whoever prepared the context promised that `entry` may be called with `arg`.
    let next = unsafe { (start.entry)(start.arg) };
    // SAFETY: the entry promised a context that may be continued.
    let next = unsafe { successor(next) };
    let ended = baton.lock().thread.take();
    drop(baton);
    // SAFETY: the context has ended, and this is the reference that it held since `prepare`.
    unsafe { release(address) };
    next.give(Turn::of_this_thread(ended));
}

/// The baton of `next`, or of the innermost host.
///
/// # Safety
/// `next` obeys *One Owner*.
unsafe fn successor(next: Context) -> Arc<Baton> {
    let next = if next.is_host() { HOST.get() } else { next.0 };
    assert!(next != 0, "left to the host outside of `run`");
    // SAFETY: a context holds a reference to its baton, and so does a `run` that waits.
    unsafe { Baton::of_context(next) }
}

/// # Safety
/// `context` holds a reference to its baton, which it gives up.
unsafe fn release(context: usize) {
    // SAFETY: the caller's promise; `of_context` gave the address the same provenance.
    unsafe { Arc::decrement_strong_count(core::ptr::with_exposed_provenance::<Baton>(context)) }
}

/// Where a context begins, to be used again and again for one after the other: each gets a pointer to this.
///
/// It is the first field of what its user knows of a context.
#[repr(C)]
#[derive(Debug)]
pub struct Start {
    limit: Cell<*mut u8>,
    base: Cell<*mut u8>,
}

impl Start {
    /// A start without a stack.
    #[must_use]
    pub const fn new() -> Start {
        Start { limit: Cell::new(core::ptr::null_mut()), base: Cell::new(core::ptr::null_mut()) }
    }

    /// Says where later contexts begin: on the stack from `limit` (low end) to `base` (high end).
    pub fn set_stack(&self, limit: *mut u8, base: *mut u8) {
        self.limit.set(limit);
        self.base.set(base);
    }

    /// Makes a context that calls `entry` with the address of this start when it is first continued.
    ///
    /// # Safety
    /// As for [`prepare`], of the stack that [`Start::set_stack`] was told. This stays where it is until the context has been continued.
    #[must_use]
    pub unsafe fn prepare(&self, entry: Entry) -> Context {
        let this = core::ptr::from_ref(self).cast_mut().cast();
        // SAFETY: the caller's promise.
        unsafe { prepare(self.limit.get(), self.base.get(), entry, this) }
    }
}

impl Default for Start {
    fn default() -> Start {
        Start::new()
    }
}

/// Makes a context that calls `entry(arg)` when it is first continued. The stack stays unused.
///
/// # Safety
/// Both ends are multiples of [`STACK_ALIGN`], at least [`STACK_MIN`] apart. `entry` does not unwind, and whatever it needs
/// is alive when the context runs.
#[must_use]
pub unsafe fn prepare(limit: *mut u8, base: *mut u8, entry: Entry, arg: *mut ()) -> Context {
    debug_assert!(limit.addr().is_multiple_of(STACK_ALIGN) && base.addr().is_multiple_of(STACK_ALIGN));
    debug_assert!(base.addr().saturating_sub(limit.addr()) >= STACK_MIN);
    let state = State { start: Some(First { entry, arg }), ..State::default() };
    let baton = Arc::new(Baton { state: Mutex::new(state), given: Condvar::new() });
    Context(Arc::into_raw(baton).expose_provenance())
}

/// Leaves the running context into `*save` and continues `to`. Returns when somebody continues what was saved.
///
/// Not to the host: for that there is [`leave`].
///
/// # Safety
/// Called on a context's stack, under a [`run`]. `save` is writable. `to` obeys *One Owner* and *Own Thread*.
pub unsafe fn switch(save: *mut Context, to: Context) {
    debug_assert!(!to.is_host());
    // SAFETY: the caller's promise.
    unsafe { exchange(save, to) }
}

/// A switch, also to the host.
///
/// # Safety
/// As for [`switch`].
unsafe fn exchange(save: *mut Context, to: Context) {
    let mine = Baton::of_this_thread();
    // SAFETY: the caller's promise.
    let next = unsafe { successor(to) };
    // SAFETY: `save` is writable, and by *Saved First* this comes before the turn is given.
    unsafe { save.write(Context(mine.address())) };
    next.give(Turn::of_this_thread(None));
    drop(next);
    mine.wait();
}

/// Continues `first` from the host's stack. Returns when a context leaves to the host or ends with [`Context::HOST`].
///
/// With `first` the host there is nothing to do.
///
/// # Safety
/// `first` obeys *One Owner* and *Own Thread*.
pub unsafe fn run(first: Context) {
    if first.is_host() {
        return;
    }
    let mine = Baton::of_this_thread();
    let outer = HOST.get();
    HOST.set(mine.address());
    // SAFETY: the caller's promise.
    unsafe { successor(first) }.give(Turn::of_this_thread(None));
    mine.wait();
    HOST.set(outer);
}

/// Leaves the running context into `*save`; the innermost [`run`] returns.
///
/// # Safety
/// As for [`switch`].
pub unsafe fn leave(save: *mut Context) {
    // SAFETY: the caller's promise.
    unsafe { exchange(save, Context::HOST) }
}

/// Ends the running context and continues `to`: the last thing that an entry does, `return finish(to)`.
///
/// # Safety
/// Called by an entry, in its own frame. `to` obeys *One Owner* and *Own Thread*, and is not the host.
#[inline(always)]
pub unsafe fn finish(to: Context) -> Context {
    to
}

/// Gives up a context that is suspended or was never started. Nothing on its stack is dropped.
///
/// # Safety
/// The context is not continued again, and nobody relies on a destructor or a borrow that lives on its stack.
pub unsafe fn discard(context: Context) {
    // SAFETY: the context is alive, by the caller's word.
    let baton = unsafe { Baton::of_context(context.0) };
    // A suspended one's thread keeps a reference of its own, and sleeps on: see *The limit*.
    drop(baton.lock().thread.take());
    // SAFETY: the context is given up, and this is the reference that it held since `prepare`.
    unsafe { release(context.0) };
}

/// A hint that has no use here.
#[inline(always)]
pub fn prefetch(address: usize) {
    let _ = address;
}

/// Calls `f(arg)` where it is: there is no stack to spare here, and a `run` inside `f` waits on this thread.
///
/// # Safety
/// `f` may be called with `arg`, does not unwind, and does not [`switch`] or [`leave`] except under a `run` of its own.
pub unsafe fn on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
    // SAFETY: the caller's promise.
    unsafe { f(arg) }
}
