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
//! A *warm* spawn, which finds a free task block that has kept its stack, is inlined into the caller: its size and alignment are
//! constants there. Every other one goes through one function for all types.
//!
//! *Result Home*: after the task has exited, exactly one of these drops or takes the result: the task itself if it was detached
//! before, else its only handle. The stack goes back to the pool at the same moment.
#![allow(unsafe_code, reason = "the closure and the result live on the task's stack")]

use crate::current::Task;
use crate::dispatcher;
use crate::error::{JoinError, Panic, SpawnError, SpawnErrorKind};
use crate::runtime::{self, Runtime};
use crate::stacks::{self, StackError, StackMemory};
use crate::task::{Flags, State, TaskId, TaskRef, Wake};
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
#[inline]
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    if const { WARM && stack_for(Layout::new::<Packet<F, T>>()) <= KEPT_MIN } {
        let scheduler = runtime::scheduler();
        // SAFETY: Short Borrow.
        if let Some(task) = (unsafe { &mut *scheduler }).readmit() {
            let (handle, context) = begin_warm(task, f);
            // SAFETY: Short Borrow.
            unsafe { &mut *scheduler }.start(task, context);
            return handle;
        }
    }
    match Builder::new().spawn(f) {
        Ok(handle) => handle,
        Err(error) => panic!("windlass: {error}"),
    }
}

/// Whether a warm spawn is inlined. Where code is shipped over a wire, one function for all types is worth more.
const WARM: bool = cfg!(not(target_arch = "wasm32"));

/// The smallest stack, in bytes, that a free block keeps: one for which it is known without a look that a small packet fits.
const KEPT_MIN: usize = 4096;

/// The smallest stack for a task with this packet.
const fn stack_for(packet: Layout) -> usize {
    let align = if packet.align() > arch::STACK_ALIGN { packet.align() } else { arch::STACK_ALIGN };
    packet.size() + align + arch::STACK_MIN
}

/// Lays a task out on its stack: returns the place of its packet, and its context.
///
/// # Safety
/// The stack is the task's until its end, and at least [`stack_for`] the packet long. The packet is filled before the context is continued,
/// and `entry` takes it.
#[inline(always)]
unsafe fn lay_out(stack: &StackMemory, packet: Layout, entry: Entry) -> (*mut (), Context) {
    let align = packet.align().max(arch::STACK_ALIGN);
    let place = stack.base().wrapping_sub(packet.size()).map_addr(|address| address & !(align - 1));
    let base = place.map_addr(|address| address & !(arch::STACK_ALIGN - 1));
    // SAFETY: there are at least `STACK_MIN` bytes between limit and base, by the caller's word.
    let context = unsafe { arch::prepare(stack.limit(), base, entry, place.cast()) };
    (place.cast(), context)
}

/// Lays a task out on the stack that its block has kept.
#[inline(always)]
fn begin_warm<F, T>(task: TaskRef, f: F) -> (JoinHandle<T>, Context)
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    let Some(stack) = task.stack() else { unreachable!("a block that has kept its stack has one") };
    // SAFETY: the block has kept the stack for its next task, it is at least `KEPT_MIN` long, and the packet is filled next.
    let (place, context) = unsafe { lay_out(stack, Layout::new::<Packet<F, T>>(), entry::<F, T>) };
    let packet = place.cast::<Packet<F, T>>();
    // SAFETY: the packet lies in the task's stack, which nobody else uses.
    unsafe { (*packet).closure = ManuallyDrop::new(f) };
    (JoinHandle { task, id: task.id(), result: packet.cast(), not_send: PhantomData }, context)
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
            Ok((task, packet)) => {
                let packet = packet.cast::<Packet<F, T>>();
                // SAFETY: the packet lies in the new stack, which nobody else uses; the task has not begun.
                unsafe { (*packet).closure = ManuallyDrop::new(f) };
                // Both fields of the packet lie at its beginning.
                Ok(JoinHandle { task, id: task.id(), result: packet.cast(), not_send: PhantomData })
            }
        }
    }

    /// Makes a task that will call `entry` with the place of its packet, which the caller fills, and queues it.
    ///
    /// For all types of closures: there are many, and this is the long part.
    fn prepare(self, packet: Layout, entry: Entry) -> Result<(TaskRef, *mut ()), SpawnErrorKind> {
        let runtime = runtime::current();
        let usual = runtime.stack_size.get();
        let size = self.stack_size.unwrap_or(usual);
        let minimum = stack_for(packet);
        if size > stacks::MAX_SIZE {
            return Err(SpawnErrorKind::StackTooLarge);
        }
        if size < minimum {
            return Err(SpawnErrorKind::StackTooSmall { minimum });
        }
        // Smaller ones are not kept, so that `spawn` need not look.
        let usual = size == usual && size >= KEPT_MIN;
        // What ended since the host loop had control may be what is asked for now.
        dispatcher::release_stacks();
        let task = runtime::with(|scheduler| {
            if scheduler.ended.is_some() {
                return Err(SpawnErrorKind::Ended);
            }
            if scheduler.tasks.is_full() {
                return Err(SpawnErrorKind::TooManyTasks);
            }
            scheduler.admit(usual).map_err(|_| SpawnErrorKind::OutOfMemory)
        })?;
        if task.stack().is_none() {
            match runtime.stacks.borrow_mut().acquire(size) {
                Ok(stack) => task.stack.set(Some(stack)),
                Err(error) => {
                    task.set(Flags::ODD);
                    runtime::with(|scheduler| scheduler.tasks.free(task));
                    return Err(match error {
                        StackError::OutOfMemory => SpawnErrorKind::OutOfMemory,
                        StackError::TooManyGuards => SpawnErrorKind::TooManyGuards,
                    });
                }
            }
            if !usual {
                task.set(Flags::ODD);
            }
        }
        if let Some(name) = self.name {
            task.set_name(name);
        }
        let Some(stack) = task.stack() else { unreachable!("set above, or kept") };
        // SAFETY: the stack is the task's and as long as asked for; `spawn` fills the packet before it does anything else.
        let (place, context) = unsafe { lay_out(stack, packet, entry) };
        runtime::with(|scheduler| scheduler.start(task, context));
        Ok((task, place))
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
    dispatcher::exit(|| {
        // The result's destructor is the task's own code: it may block.
        // SAFETY: Result Home: no handle exists any more.
        let _ = catch(|| unsafe { ManuallyDrop::drop(&mut (*packet).result) });
    })
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
///
/// *Handled*: the task's block is not given to another task before the handle gives it back.
pub struct JoinHandle<T> {
    /// Followed only while there is a runtime.
    task: TaskRef,
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
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let Some(runtime) = runtime::existing() else { return Err(JoinError::NoRuntime) };
        if self.task.state.get() != State::Exited {
            // SAFETY: Short Borrow.
            if unsafe { &*runtime.scheduler() }.running() == Some(self.task) {
                return Err(JoinError::Itself);
            }
            if dispatcher::join(runtime, self.task) != Wake::Done {
                return self.give_up();
            }
        }
        self.take_from(runtime).map_err(JoinError::Panicked)
    }

    /// The joining task was cancelled: the joined one must not wake it when it waits for something else.
    #[cold]
    fn give_up(self) -> Result<T, JoinError> {
        // It is still the same task: *Handled*.
        self.task.joiner.set(None);
        Err(JoinError::Cancelled)
    }

    /// Returns whether the task has finished.
    ///
    /// # Context
    /// Task or host.
    pub fn is_finished(&self) -> bool {
        runtime::existing().is_none() || self.task.state.get() == State::Exited
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
        self.take_from(runtime::current())
    }

    /// As [`JoinHandle::take`], of a task of this runtime. A task's runtime is the same after a switch.
    #[inline(always)]
    fn take_from(self, runtime: &Runtime) -> Result<T, Panic> {
        debug_assert!(self.is_finished(), "Result Home");
        // SAFETY: Result Home: the task has exited and this is its handle, which forgets itself.
        let result = unsafe { ptr::read(self.result) };
        let task = self.task;
        mem::forget(self);
        dispatcher::reap(runtime, task);
        result
    }

    /// Gives up the type: for a table of calls.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn into_raw(self) -> RawHandle {
        let raw = RawHandle {
            task: self.task,
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
        JoinHandle { task: raw.task, id: raw.id, result: raw.result.cast(), not_send: PhantomData }
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
    task: TaskRef,
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
        self.task.state.get() == State::Exited
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
        if dispatcher::detach(self.task) {
            /// Gives the stack back, also if the result's destructor panics.
            struct Reap(TaskRef);
            impl Drop for Reap {
                fn drop(&mut self) {
                    dispatcher::reap(runtime::current(), self.0);
                }
            }
            let _reap = Reap(self.task);
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
