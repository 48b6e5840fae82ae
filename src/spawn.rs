//! Making tasks and waiting for their results.
//!
//! ```text
//!   base of the task's stack
//!   ┌──────────────────────────┐
//!   │ Packet: closure, later   │  the task moves the closure out and the result in; a handle reads it from there,
//!   │ its result               │  so neither spawning nor joining allocates
//!   ├──────────────────────────┤
//!   │ frames                   │
//! ```
//!
//! *Result Home*: after the task has exited, exactly one of these drops or takes the result: the task itself if it was detached
//! before, else its only handle. The stack goes back to the pool at the same moment.
#![allow(unsafe_code, reason = "the closure and the result live on the task's stack")]

use crate::current::Task;
use crate::dispatcher;
use crate::error::{JoinError, Panic, SpawnError, SpawnErrorKind};
use crate::runtime;
use crate::scheduler::Block;
use crate::stacks::{self, StackError};
use crate::task::{Slot, State, TaskId, Waiting, Wake};
use alloc::borrow::Cow;
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::{self, ManuallyDrop};
use core::ptr;
use windlass_arch::{self as arch, Context, Entry};

/// Spawns `f` as a task of the calling thread's runtime, at the tail of the run queue, and returns a handle to it.
///
/// The task never leaves this thread. It starts when the running task next blocks or yields.
///
/// # Context
/// Task or host.
///
/// # Panics
/// When there is no memory or the limit on tasks is reached; [`Builder::spawn`] returns that as an error.
///
/// # Examples
/// ```
/// let sum = windlass::run(|| {
///     let task = windlass::spawn(|| (1..=100).sum::<u32>());
///     task.join().unwrap()
/// });
/// assert_eq!(sum, 5050);
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match Builder::new().spawn(f) {
        Ok(handle) => handle,
        Err(error) => panic!("windlass: {error}"),
    }
}

/// Name and stack size of a task to spawn.
///
/// # Examples
/// ```
/// windlass::run(|| {
///     let task = windlass::Builder::new().name("adder").stack_size(64 << 10).spawn(|| 2 + 2).unwrap();
///     assert_eq!(task.join().unwrap(), 4);
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Builder {
    name: Option<Cow<'static, str>>,
    stack_size: Option<usize>,
}

impl Builder {
    /// Returns a builder of a task without a name and with the runtime's stack size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the task, for reports.
    #[must_use]
    pub fn name(mut self, name: impl Into<Cow<'static, str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Sets the stack size in bytes; rounded up to what the provider has.
    ///
    /// The closure and its result, and a few dozen bytes of the context, come out of it.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Spawns `f` as [`spawn()`] does.
    ///
    /// # Errors
    /// A [`SpawnError`], which gives `f` back, if the stack size is out of range, memory is short, or a limit is reached.
    pub fn spawn<F, T>(self, f: F) -> Result<JoinHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.prepare(Layout::new::<Packet<F, T>>(), entry::<F, T>) {
            Err(kind) => Err(SpawnError { kind, closure: f }),
            Ok((id, packet)) => {
                let packet = packet.cast::<Packet<F, T>>();
                // SAFETY: the packet lies in the new stack, which nobody else uses; the task has not begun.
                unsafe { (*packet).closure = ManuallyDrop::new(f) };
                // SAFETY: a field of the packet.
                let result = unsafe { &raw mut (*packet).result }.cast();
                Ok(JoinHandle { id, result, not_send: PhantomData })
            }
        }
    }

    /// Makes a task that will call `entry` with the place of its packet, which the caller fills, and queues it.
    ///
    /// For all types of closures: there are many, and this is the long part.
    fn prepare(self, packet: Layout, entry: Entry) -> Result<(TaskId, *mut ()), SpawnErrorKind> {
        let runtime = runtime::current();
        let size = self.stack_size.unwrap_or(runtime.stack_size.get());
        let align = packet.align().max(arch::STACK_ALIGN);
        let minimum = packet.size() + align + arch::STACK_MIN;
        if size > stacks::MAX_SIZE {
            return Err(SpawnErrorKind::StackTooLarge);
        }
        if size < minimum {
            return Err(SpawnErrorKind::StackTooSmall { minimum });
        }
        let id = runtime::with(|scheduler| {
            if scheduler.ended.is_some() {
                return Err(SpawnErrorKind::Ended);
            }
            if scheduler.tasks.alive() >= runtime.max_tasks.get() {
                return Err(SpawnErrorKind::TooManyTasks);
            }
            scheduler.admit().map_err(|_| SpawnErrorKind::OutOfMemory)
        })?;
        let acquired = runtime.stacks.borrow_mut().acquire(size);
        runtime::with(|scheduler| match acquired {
            Ok(stack) => {
                let place =
                    stack.base().wrapping_sub(packet.size()).map_addr(|address| address & !(align - 1));
                let base = place.map_addr(|address| address & !(arch::STACK_ALIGN - 1));
                // SAFETY: there are at least `STACK_MIN` bytes between limit and base; the stack is kept until the task's end.
                let context = unsafe { arch::prepare(stack.limit(), base, entry, place.cast()) };
                let block = &mut scheduler.tasks[id.slot()];
                block.stack = Some(stack);
                block.name = self.name;
                scheduler.start(id.slot(), context);
                Ok((id, place.cast()))
            }
            Err(error) => {
                scheduler.tasks.free(id.slot());
                Err(match error {
                    StackError::OutOfMemory => SpawnErrorKind::OutOfMemory,
                    StackError::TooManyGuards => SpawnErrorKind::TooManyGuards,
                })
            }
        })
    }
}

/// What lies at the base of a task's stack.
#[repr(C)]
union Packet<F, T> {
    closure: ManuallyDrop<F>,
    result: ManuallyDrop<Result<T, Panic>>,
}

unsafe extern "C" fn entry<F, T>(arg: *mut ()) -> Context
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let packet = arg.cast::<Packet<F, T>>();
    // SAFETY: `spawn` put the closure there; the task starts once.
    let f = unsafe { ManuallyDrop::take(&mut (*packet).closure) };
    let result = catch(f);
    // SAFETY: the closure was moved out, so its place is free.
    unsafe { (*packet).result = ManuallyDrop::new(result) };
    if mem::needs_drop::<Result<T, Panic>>() && dispatcher::is_detached() {
        // The result's destructor is the task's own code: it may block.
        // SAFETY: Result Home: no handle exists any more.
        let _ = catch(|| unsafe { ManuallyDrop::drop(&mut (*packet).result) });
    }
    dispatcher::exit()
}

#[cfg(feature = "std")]
fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).map_err(|payload| Panic { payload })
}

/// Where a panic ends the program, it says first which task it was.
#[cfg(all(feature = "std", panic = "abort", not(target_arch = "wasm32")))]
pub(crate) fn name_panicking_tasks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(alloc::boxed::Box::new(move |info| {
            if let Some(task) = crate::current::try_current() {
                match task.name() {
                    Some(name) => {
                        std::eprintln!("windlass: a panic in task {} \"{name}\" ends the program", task.id())
                    }
                    None => std::eprintln!("windlass: a panic in task {} ends the program", task.id()),
                }
            }
            before(info);
        }));
    });
}

#[cfg(not(feature = "std"))]
fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    Ok(f())
}

/// The right to a task's result. Dropping it detaches the task, which goes on.
pub struct JoinHandle<T> {
    id: TaskId,
    result: *mut Result<T, Panic>,
    not_send: PhantomData<*mut ()>,
}

impl<T> JoinHandle<T> {
    /// Waits until the task has finished, and returns its result.
    ///
    /// # Context
    /// Task.
    ///
    /// # Blocking
    /// Until the task has finished, or the caller is cancelled.
    ///
    /// # Errors
    /// [`JoinError::Panicked`], [`JoinError::Cancelled`] (the caller was), [`JoinError::Itself`].
    ///
    /// # Panics
    /// Outside a task, unless the task has finished.
    pub fn join(self) -> Result<T, JoinError> {
        loop {
            let (finished, itself) = match runtime::existing() {
                None => return Err(JoinError::NoRuntime),
                Some(_) => runtime::with(|scheduler| {
                    let slot = self.id.slot();
                    (scheduler.tasks[slot].state == State::Exited, scheduler.running() == Some(slot))
                }),
            };
            if finished {
                return self.take().map_err(JoinError::Panicked);
            }
            if itself {
                return Err(JoinError::Itself);
            }
            match dispatcher::block("JoinHandle::join", &Block::on(Waiting::Join(self.id))) {
                Wake::Cancelled => return Err(JoinError::Cancelled),
                Wake::Done | Wake::All | Wake::TimedOut => {}
            }
        }
    }

    /// Returns whether the task has finished.
    ///
    /// # Context
    /// Task or host.
    pub fn is_finished(&self) -> bool {
        runtime::existing().is_none()
            || runtime::with(|scheduler| scheduler.tasks[self.id.slot()].state == State::Exited)
    }

    /// Makes every call of the task that would block return `Cancelled`, the present one first.
    ///
    /// The task itself decides what to do about it; it ends by returning.
    ///
    /// # Context
    /// Task or host.
    pub fn cancel(&self) {
        if runtime::existing().is_some() {
            runtime::with(|scheduler| scheduler.cancel(self.id));
        }
    }

    /// Returns the task's id.
    pub fn id(&self) -> TaskId {
        self.id
    }

    /// Returns the task, to unpark or cancel it.
    pub fn task(&self) -> Task {
        Task::new(self.id)
    }

    /// Takes the result of a task that has exited.
    pub(crate) fn take(self) -> Result<T, Panic> {
        debug_assert!(self.is_finished(), "Result Home");
        // SAFETY: Result Home: the task has exited and this is its handle, which forgets itself.
        let result = unsafe { ptr::read(self.result) };
        let slot = self.id.slot();
        mem::forget(self);
        dispatcher::reap(slot);
        result
    }

    /// Gives up the type: for a table of calls.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn into_raw(self) -> RawHandle {
        let raw = RawHandle {
            id: self.id,
            result: self.result.cast(),
            detach: |raw| drop(JoinHandle::<T>::from(raw)),
        };
        mem::forget(self);
        raw
    }

    /// Takes the type on again.
    #[cfg(feature = "asynchronous")]
    fn from(raw: &RawHandle) -> JoinHandle<T> {
        JoinHandle { id: raw.id, result: raw.result.cast(), not_send: PhantomData }
    }

    /// # Safety
    /// `raw` came from `into_raw` of a handle of this type.
    #[cfg(feature = "asynchronous")]
    pub(crate) unsafe fn from_raw(raw: RawHandle) -> JoinHandle<T> {
        let handle = JoinHandle::from(&raw);
        mem::forget(raw);
        handle
    }
}

/// A handle whose type the table that holds it does not know.
#[cfg(feature = "asynchronous")]
#[derive(Debug)]
pub(crate) struct RawHandle {
    id: TaskId,
    result: *mut (),
    detach: fn(&RawHandle),
}

#[cfg(feature = "asynchronous")]
impl RawHandle {
    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    pub(crate) fn is_finished(&self) -> bool {
        runtime::with(|scheduler| scheduler.tasks[self.id.slot()].state == State::Exited)
    }
}

#[cfg(feature = "asynchronous")]
impl Drop for RawHandle {
    fn drop(&mut self) {
        (self.detach)(self);
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if runtime::existing().is_none() {
            return;
        }
        if dispatcher::detach(self.id.slot()) {
            /// Gives the stack back, also if the result's destructor panics.
            struct Reap(Slot);
            impl Drop for Reap {
                fn drop(&mut self) {
                    dispatcher::reap(self.0);
                }
            }
            let _reap = Reap(self.id.slot());
            // SAFETY: Result Home: the task has exited and this is its handle.
            unsafe { ptr::drop_in_place(self.result) };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
