//! Making tasks and waiting for their results.
//!
//! ```text
//!   base of the task's stack
//!   ┌──────────────────────────┐
//!   │ closure, later result    │  the task moves the closure out and the result in; a handle reads it from there,
//!   ├──────────────────────────┤  so neither spawning nor joining allocates
//!   │ frames                   │
//! ```
//!
//! Both end at the base, so whoever knows the type knows the place.
//!
//! A *warm* spawn, which finds a free task block that has kept its stack, is inlined into the caller: its size and alignment are
//! constants there. Every other one goes through one function for all types.
//!
//! *Result Home*: after the task has exited, exactly one of these drops or takes the result: the task itself if it was detached
//! before, else its only handle. The stack goes back to the pool at the same moment.
#![allow(unsafe_code, reason = "the closure and the result live on the task's stack")]

use crate::current::Task;
use crate::dispatcher::{self, JoinRefused};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::error::SpawnErrorKind;
use crate::error::{JoinError, Panic, SpawnError};
use crate::name::Text;
use crate::runtime;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::stacks::{self, StackError};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::task::Flags;
use crate::task::{KEPT_PACKET, TaskId, TaskRef};
use core::alloc::Layout;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use windlass_arch::Entry;
use windlass_arch::{self as arch, Context};

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
mod fixed;

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
    if const { WARM && Packet::of::<F, T>().fits_kept() } {
        let scheduler = runtime::scheduler();
        // SAFETY: Short Borrow.
        if let Some(task) = (unsafe { &mut *scheduler }).readmit() {
            // SAFETY: the block has kept the stack for this task, with room for the packet.
            let context = unsafe {
                place::<F>(task.top()).write(f);
                task.start.prepare(entry::<F, T>)
            };
            // SAFETY: Short Borrow.
            unsafe { &mut *scheduler }.start(task, context);
            return JoinHandle::of(task);
        }
    }
    match Builder::new().spawn(f) {
        Ok(handle) => handle,
        Err(error) => panic!("windlass: {error}"),
    }
}

/// Whether a warm spawn is inlined. Where code is shipped over a wire, one function for all types is worth more; and without a heap each
/// block has its stack.
const WARM: bool = cfg!(all(feature = "alloc", not(target_arch = "wasm32")));

/// The smallest stack, in bytes, that a free block keeps: one in which it is known without a look that there is room for a small packet.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
const KEPT_MIN: usize = 4096;

/// Where a value lies that ends at the base of a stack.
#[cfg_attr(not(target_arch = "wasm32"), inline(always))]
fn place<T>(base: *mut u8) -> *mut T {
    // SAFETY: what `stacks::StackProvider` promises of every stack.
    unsafe { core::hint::assert_unchecked(base.addr().is_multiple_of(arch::STACK_ALIGN)) };
    let mask = !(align_of::<T>() - 1);
    base.wrapping_sub(size_of::<T>()).map_addr(|address| address & mask).cast()
}

/// What lies at the base of a task's stack: first its closure, later its result.
#[derive(Clone, Copy)]
struct Packet {
    size: usize,
    align: usize,
}

impl Packet {
    const fn of<F, T>() -> Packet {
        let (f, t) = (Layout::new::<F>(), Layout::new::<Result<T, Panic>>());
        let size = if f.size() > t.size() { f.size() } else { t.size() };
        let align = if f.align() > t.align() { f.align() } else { t.align() };
        Packet { size, align: if align > arch::STACK_ALIGN { align } else { arch::STACK_ALIGN } }
    }

    /// The smallest stack for such a task, in bytes.
    const fn stack_size(self) -> usize {
        self.size + self.align + arch::STACK_MIN
    }

    /// Whether it is small enough for what a kept stack has room for.
    const fn fits_kept(self) -> bool {
        self.size <= KEPT_PACKET && self.align <= arch::STACK_ALIGN
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
    name: Option<Text>,
    stack_size: Option<usize>,
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    unguarded: bool,
}

impl Builder {
    /// Returns a builder of a task without a name and with the runtime's stack size.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the task, for reports. Without a heap a name is a `&'static str`.
    #[must_use]
    pub fn name(mut self, name: impl Into<Text>) -> Builder {
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

    /// Lets the task's stack do without a guard, so that it takes no more memory than its size: from 1 KiB on, many to a page.
    ///
    /// On `std` an overwritten limit is noticed when the task ends, which ends the program with a report. Elsewhere stacks have no guard
    /// anyway.
    ///
    /// # Safety
    /// The task, with all that it calls, never needs more than its stack size; signal handlers on this stack count, too.
    ///
    /// # Examples
    /// ```
    /// windlass::run(|| {
    ///     let builder = windlass::Builder::new().stack_size(4 << 10);
    ///     // SAFETY: this closure hardly needs a stack.
    ///     let task = unsafe { builder.unguarded() }.spawn(|| 7).unwrap();
    ///     assert_eq!(task.join().unwrap(), 7);
    /// });
    /// ```
    #[must_use]
    #[cfg_attr(
        not(any(feature = "alloc", target_arch = "wasm32")),
        allow(unused_mut, reason = "there no stack has a guard")
    )]
    pub unsafe fn unguarded(mut self) -> Builder {
        #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
        {
            self.unguarded = true;
        }
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
        match self.prepare(Packet::of::<F, T>(), entry::<F, T>) {
            Err(kind) => Err(SpawnError { kind, closure: f }),
            Ok(task) => {
                // SAFETY: the place lies in the new stack, which nobody else uses; the task has not begun.
                unsafe { place::<F>(task.top()).write(f) };
                Ok(JoinHandle::of(task))
            }
        }
    }

    /// Makes a task that will call `entry` with its block, and queues it; the caller puts the closure into its place.
    ///
    /// For all types of closures: there are many, and this is the long part.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    fn prepare(self, packet: Packet, entry: Entry) -> Result<TaskRef, SpawnErrorKind> {
        let runtime = runtime::current();
        let usual = runtime.stack_size.get();
        let size = self.stack_size.unwrap_or(usual);
        let minimum = packet.stack_size();
        if size > stacks::MAX_SIZE {
            return Err(SpawnErrorKind::StackTooLarge);
        }
        if size < minimum {
            return Err(SpawnErrorKind::StackTooSmall { minimum });
        }
        // Smaller ones are not kept, so that `spawn` need not look.
        let usual = size == usual && size >= KEPT_MIN && !self.unguarded;
        // What ended since the host loop had control may be what is asked for now.
        dispatcher::release_stacks();
        let admit = || {
            runtime::with(|scheduler| match scheduler.ended {
                Some(_) => Err(SpawnErrorKind::Ended),
                None => scheduler.admit(usual, runtime),
            })
        };
        let mut admitted = admit();
        if matches!(admitted, Err(SpawnErrorKind::TooManyTasks))
            && runtime::with(|scheduler| scheduler.tasks.keep_none())
        {
            dispatcher::release_stacks();
            admitted = admit();
        }
        let task = admitted?;
        if task.stack().is_none() {
            let mut stacks = runtime.stacks.borrow_mut();
            #[cfg(not(target_arch = "wasm32"))]
            let acquired = if self.unguarded { stacks.acquire_unguarded(size) } else { stacks.acquire(size) };
            // There none has a guard: the lowered code looks.
            #[cfg(target_arch = "wasm32")]
            let acquired = stacks.acquire(size);
            drop(stacks);
            match acquired {
                Ok(stack) => {
                    task.set_stack(stack);
                    if WARM && usual {
                        task.begin_at(KEPT_PACKET);
                    }
                }
                Err(error) => {
                    task.set(Flags::ODD.and(Flags::EXITED));
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
        if !(WARM && usual && packet.fits_kept()) {
            task.begin_at(packet.size + (packet.align - arch::STACK_ALIGN));
            if WARM {
                // If the block keeps the stack, the next task begins where it always does.
                task.set(Flags::EXTRAS);
            }
        }
        // SAFETY: the stack is the task's and as long as asked for; `spawn` fills the packet before it does anything else.
        let context = unsafe { task.start.prepare(entry) };
        runtime::with(|scheduler| scheduler.start(task, context));
        Ok(task)
    }
}

unsafe extern "C" fn entry<F, T>(arg: *mut ()) -> Context
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    // SAFETY: `Start::prepare` gives its own address, which is the block's.
    let me = unsafe { TaskRef::from_raw(arg.cast_const().cast()) };
    // SAFETY: `spawn` put the closure there; the task starts once.
    let f = unsafe { place::<F>(me.top()).read() };
    let result = catch(f);
    let home = place::<Result<T, Panic>>(me.top());
    // SAFETY: the closure was moved out, so its place is free.
    unsafe { home.write(result) };
    // SAFETY: this is the entry, and nothing here is left to drop.
    unsafe { dispatcher::exit(me, drop_result::<T>) }
}

/// The result's destructor is the task's own code: it may block.
extern "C" fn drop_result<T>(me: TaskRef) {
    // SAFETY: Result Home: the task has exited but for this, and no handle exists any more.
    let _ = catch(|| unsafe { place::<Result<T, Panic>>(me.top()).drop_in_place() });
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
/// *Handled*: the task's block is not given to another task before the handle gives it back, and a runtime stays as long as one of its blocks
/// is in use.
pub struct JoinHandle<T> {
    task: TaskRef,
    result: PhantomData<*mut Result<T, Panic>>,
}

impl<T> JoinHandle<T> {
    #[inline(always)]
    fn of(task: TaskRef) -> JoinHandle<T> {
        JoinHandle { task, result: PhantomData }
    }

    /// Waits until the task has finished, and returns its result.
    ///
    /// # Context
    /// Task.
    ///
    /// # Blocking
    /// Until the task has finished, or the caller is cancelled.
    ///
    /// # Errors
    /// [`JoinError::Panicked`], [`JoinError::Cancelled`] (the caller was), [`JoinError::Itself`], [`JoinError::NoRuntime`].
    ///
    /// # Panics
    /// Outside a task, unless the task has finished.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let task = ManuallyDrop::new(self).task;
        let plain = if task.has_exited() { task.exited_plain() } else { dispatcher::join(task) };
        if plain {
            // SAFETY: Result Home: the task has exited and this was its handle, which is forgotten.
            let result = unsafe { place::<Result<T, Panic>>(task.top()).read() };
            dispatcher::reap_plain(task);
            return result.map_err(JoinError::Panicked);
        }
        JoinHandle::of(task).finish()
    }

    /// The rest of a join that did not see a plain task's end.
    #[cold]
    #[inline(never)]
    #[track_caller]
    fn finish(self) -> Result<T, JoinError> {
        match dispatcher::joined(self.task) {
            Ok(()) => self.take().map_err(JoinError::Panicked),
            Err(JoinRefused::Cancelled) => Err(JoinError::Cancelled),
            Err(JoinRefused::Itself) => Err(JoinError::Itself),
            Err(JoinRefused::NoRuntime) => Err(JoinError::NoRuntime),
        }
    }

    /// Returns whether the task has finished, or will not because its runtime is gone.
    ///
    /// # Context
    /// Task or host.
    pub fn is_finished(&self) -> bool {
        self.task.has_exited() || runtime::existing().is_none()
    }

    /// Makes every call of the task that would block return `Cancelled`, the present one first.
    ///
    /// The task itself decides what to do about it; it ends by returning.
    ///
    /// # Context
    /// Task or host.
    pub fn cancel(&self) {
        if runtime::existing().is_some() {
            runtime::with(|scheduler| scheduler.cancel(self.id()));
        }
    }

    /// Returns the task's id.
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// Returns the task, to unpark or cancel it.
    pub fn task(&self) -> Task {
        Task::new(self.id())
    }

    /// Takes the result of a task that has exited.
    pub(crate) fn take(self) -> Result<T, Panic> {
        let task = ManuallyDrop::new(self).task;
        debug_assert!(task.has_exited(), "Result Home");
        // SAFETY: Result Home: the task has exited and this was its handle, which is forgotten.
        let result = unsafe { place::<Result<T, Panic>>(task.top()).read() };
        dispatcher::reap(task);
        result
    }

    /// Gives up the type: for a table of calls.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn into_raw(self) -> RawHandle {
        let task = ManuallyDrop::new(self).task;
        RawHandle { task, detach: |task| drop(JoinHandle::<T>::of(task)) }
    }

    /// # Safety
    /// `raw` came from `into_raw` of a handle of this type.
    #[cfg(feature = "asynchronous")]
    pub(crate) unsafe fn from_raw(raw: RawHandle) -> JoinHandle<T> {
        JoinHandle::of(ManuallyDrop::new(raw).task)
    }
}

/// A handle whose type the table that holds it does not know.
#[cfg(feature = "asynchronous")]
#[derive(Debug)]
pub(crate) struct RawHandle {
    task: TaskRef,
    detach: fn(TaskRef),
}

#[cfg(feature = "asynchronous")]
impl RawHandle {
    pub(crate) fn id(&self) -> TaskId {
        self.task.id()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.task.has_exited()
    }
}

#[cfg(feature = "asynchronous")]
impl Drop for RawHandle {
    fn drop(&mut self) {
        (self.detach)(self.task);
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if dispatcher::detach(self.task) {
            /// Gives the stack back, also if the result's destructor panics.
            struct Reap(TaskRef);
            impl Drop for Reap {
                fn drop(&mut self) {
                    dispatcher::reap(self.0);
                }
            }
            let _reap = Reap(self.task);
            // SAFETY: Result Home: the task has exited and this is its handle.
            unsafe { place::<Result<T, Panic>>(self.task.top()).drop_in_place() };
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}
