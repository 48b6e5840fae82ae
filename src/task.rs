//! Tasks: their identity, their state, and the table of task blocks.
//!
//! ```text
//!             spawn (1)            switched to (2)           returns (5)
//!   [free] ─────────────► [ready] ────────────────► [running] ─────────► [exited] ──► [free]
//!                            ▲  ▲      yield (3)     │  │  ▲              joined or detached (6)
//!                            │  └────────────────────┘  │  │ import returns
//!                       wake │          block (4)       │  └──────── [in a host call]
//!                            └──── [blocked] ◄──────────┘               ▲
//!                                                   calls the host ─────┘
//! ```
//!
//! 1 [`Tasks::admit`] or [`Tasks::reuse`], 2 `Scheduler::next`, 3 `Scheduler::take_turn`, 4 `Scheduler::block`, 5 `Scheduler::exit`,
//! 6 [`Tasks::free`]. Ready and running are told apart by the scheduler's word alone, so a yield touches no block.
//!
//! Invariants:
//! * *One Home*: a task is in at most one of the run queue (ready), a wait queue (blocked) and nowhere; a blocked task may be in the
//!   timer queue besides.
//! * *Fresh Ids*: a block's generation grows each time it is freed, so a stale [`TaskId`] finds nothing.
//! * *Stable Blocks*: a block stays where it is until its runtime is dropped, or `shrink` gives it up while nobody uses it; and a
//!   [`TaskRef`] is used only by the thread of that runtime, while it exists. So following one needs no look-up and no check.
#![allow(unsafe_code, reason = "task blocks are reached through plain pointers (Stable Blocks)")]

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::inbox::Remote;
use crate::name::{Name, Text};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::room::{self, NoMemory};
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use crate::runtime::Runtime;
use crate::scheduler::Scheduler;
use crate::stacks::StackMemory;
use crate::time::Instant;
use crate::timer_queue::NEVER;
use crate::wait_queue::Waiter;
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
use core::mem::offset_of;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use windlass_arch::{self as arch, Context, Start};

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
mod fixed;
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
pub(crate) use fixed::Tasks;

/// Identifies a task of one runtime; never reused for another task while 2^32 tasks pass through the same slot.
///
/// Prints as its number: `7` for the first task in slot 7, `7.2` for the third.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    index: u32,
    generation: u32,
}

#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
impl TaskId {
    pub(crate) fn new(index: u32, generation: u32) -> TaskId {
        TaskId { index, generation }
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            0 => write!(f, "{}", self.index),
            generation => write!(f, "{}.{generation}", self.index),
        }
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({self})")
    }
}

/// What a blocked task waits for, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(
    not(all(feature = "pool", not(target_arch = "wasm32"))),
    allow(dead_code, reason = "the numbers are the same everywhere, for the debugger")
)]
#[repr(u8)]
pub(crate) enum Waiting {
    /// Not blocked.
    Nothing,
    #[cfg_attr(not(feature = "timers"), allow(dead_code, reason = "only timers make it"))]
    Sleep,
    Park,
    /// For the end of another task, [`TaskBlock::joined`].
    Join,
    Send,
    Receive,
    Lock,
    Condvar,
    WaitGroup,
    /// For the host, which called in again.
    Host,
    /// For ever: the module has ended.
    Exit,
    /// From here on: for something that other threads share, as `remote::What` says.
    RemoteSend,
    RemoteReceive,
    RemoteLock,
    RemoteCondvar,
    RemoteSemaphore,
    PoolJoin,
    PoolWork,
}

impl Waiting {
    /// Whether another thread ends it.
    pub(crate) fn is_remote(self) -> bool {
        self as u8 >= Waiting::RemoteSend as u8
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Waiting::Nothing => "ready",
            Waiting::Sleep => "sleeping",
            Waiting::Park => "parked",
            Waiting::Join => "joining task",
            Waiting::Send => "sending to a channel",
            Waiting::Receive => "receiving from a channel",
            Waiting::Lock => "locking a mutex",
            Waiting::Condvar => "waiting for a condition variable",
            Waiting::WaitGroup => "waiting for a wait group",
            Waiting::Host => "in a host call",
            Waiting::Exit => "in exit",
            Waiting::RemoteSend => "sending to a remote channel",
            Waiting::RemoteReceive => "receiving from a remote channel",
            Waiting::RemoteLock => "locking a remote mutex",
            Waiting::RemoteCondvar => "waiting for a remote condition variable",
            Waiting::RemoteSemaphore => "acquiring a remote semaphore",
            Waiting::PoolJoin => "joining a task of a pool",
            Waiting::PoolWork => "waiting for work of its pool",
        })
    }
}

/// Why a blocked task goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
#[repr(u8)]
pub(crate) enum Wake {
    /// What it waited for happened.
    Done,
    /// It happened for everybody: the channel was closed, all were notified.
    All,
    /// Its deadline passed first.
    TimedOut,
    /// It was cancelled.
    Cancelled,
}

/// What is known of a task besides what it waits for: a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags(u8);

impl Flags {
    /// A *plain* task: alive, and nothing special about it.
    pub(crate) const NONE: Flags = Flags(0);
    /// Sticky: every later call that would block returns `Cancelled`.
    pub(crate) const CANCELLED: Flags = Flags(1);
    /// An `unpark` that came before its `park`.
    pub(crate) const TOKEN: Flags = Flags(2);
    /// A host loop waits for this task's end.
    pub(crate) const AWAITED: Flags = Flags(4);
    /// Nobody holds a handle: the block is freed at exit.
    pub(crate) const DETACHED: Flags = Flags(8);
    /// It has a name, or an unparker was asked for.
    pub(crate) const EXTRAS: Flags = Flags(16);
    /// Its stack is not of the usual size, or it has none: the block does not keep it.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) const ODD: Flags = Flags(32);
    /// Another task joins it: `joiner` says who.
    pub(crate) const JOINED: Flags = Flags(64);
    /// It is over, or there is no task in this block. Nothing else is set from then on, but for `ODD`.
    pub(crate) const EXITED: Flags = Flags(128);

    #[inline(always)]
    pub(crate) const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// All that is known of a task, but for its context while it is ready (the run queue has that).
///
/// What blocking, waking and timers look at is in the first cache line.
#[repr(C)]
#[cfg_attr(target_pointer_width = "64", repr(align(64)))]
pub(crate) struct TaskBlock {
    /// First, so that a task gets its block.
    pub(crate) start: Start,
    /// Where to continue while blocked.
    pub(crate) context: Cell<Context>,
    /// While it is in a wait queue, its node there; while it joins, the block of the joined task.
    object: Cell<*const ()>,
    /// The task that joins this one, if it is `JOINED`; of a free block the next free one.
    pub(crate) joiner: Cell<Option<TaskRef>>,
    pub(crate) waiting: Cell<Waiting>,
    pub(crate) wake: Cell<Wake>,
    flags: Cell<Flags>,
    /// The age of its timer, if it has one.
    #[cfg(feature = "timers")]
    pub(crate) timer_age: Cell<u32>,
    /// When its timer expires, if it has one.
    pub(crate) timer: Cell<Instant>,
    generation: Cell<u32>,
    index: u32,
    /// The runtime that the block belongs to.
    #[cfg(all(feature = "alloc", not(all(target_arch = "wasm32", not(target_feature = "atomics")))))]
    home: *const Runtime,
    /// A free block may have kept the stack of the task before.
    pub(crate) stack: Cell<Option<StackMemory>>,
    name: Cell<Option<Name>>,
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    remote: Cell<Option<Remote>>,
    /// What it is woken by from elsewhere.
    #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
    node: crate::inbox::Node,
}

#[cfg(all(feature = "alloc", target_pointer_width = "64", not(feature = "asan")))]
const _: () = assert!(size_of::<TaskBlock>() == 128, "two cache lines");

#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
impl TaskBlock {
    /// For `debugger.rs`: object, flags, generation, index, name.
    pub(crate) const FIELDS: [usize; 5] = [
        offset_of!(TaskBlock, object),
        offset_of!(TaskBlock, flags),
        offset_of!(TaskBlock, generation),
        offset_of!(TaskBlock, index),
        offset_of!(TaskBlock, name),
    ];
}

/// Where there is no heap, there is one runtime, and nobody need remember which.
#[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
type Runtime = ();

impl TaskBlock {
    const fn new(index: u32, flags: Flags, home: *const Runtime, next: Option<TaskRef>) -> TaskBlock {
        // Where there is one runtime, nobody need remember which.
        let _ = home;
        TaskBlock {
            start: Start::new(),
            context: Cell::new(Context::HOST),
            object: Cell::new(ptr::null()),
            joiner: Cell::new(next),
            waiting: Cell::new(Waiting::Nothing),
            wake: Cell::new(Wake::Done),
            flags: Cell::new(flags),
            #[cfg(feature = "timers")]
            timer_age: Cell::new(0),
            timer: Cell::new(NEVER),
            generation: Cell::new(0),
            index,
            #[cfg(all(
                feature = "alloc",
                not(all(target_arch = "wasm32", not(target_feature = "atomics")))
            ))]
            home,
            stack: Cell::new(None),
            name: Cell::new(None),
            #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
            remote: Cell::new(None),
            #[cfg(not(any(feature = "alloc", target_arch = "wasm32")))]
            node: crate::inbox::Node::new(index),
        }
    }

    /// The block's number, for [`Tasks::at`].
    #[cfg(feature = "timers")]
    pub(crate) fn number(&self) -> u32 {
        self.index
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId { index: self.index, generation: self.generation.get() }
    }

    /// The runtime's scheduler.
    #[inline(always)]
    pub(crate) fn scheduler(&self) -> *mut Scheduler {
        #[cfg(not(all(
            feature = "alloc",
            not(all(target_arch = "wasm32", not(target_feature = "atomics")))
        )))]
        return crate::runtime::scheduler();
        #[cfg(all(feature = "alloc", not(all(target_arch = "wasm32", not(target_feature = "atomics")))))]
        // SAFETY: a block belongs to a runtime, and is there no longer than that.
        unsafe { &*self.home }.scheduler()
    }

    /// Gives the block of a new task its stack.
    pub(crate) fn set_stack(&self, stack: StackMemory) {
        self.stack.set(Some(stack));
    }

    /// Where the stack's high end is; null without a stack.
    #[inline(always)]
    pub(crate) fn top(&self) -> *mut u8 {
        self.stack().map_or(ptr::null_mut(), StackMemory::base)
    }

    /// Says where on its stack the task begins: so many bytes below the base.
    pub(crate) fn begin_at(&self, bytes: usize) {
        let align = arch::STACK_ALIGN - 1;
        let base = self.top().wrapping_sub(bytes).map_addr(|address| address & !align);
        self.start.set_stack(self.stack().map_or(base, StackMemory::limit), base);
    }

    /// The task's stack.
    #[inline(always)]
    pub(crate) fn stack(&self) -> Option<&StackMemory> {
        // SAFETY: the stack is exchanged only at the task's beginning and end; nobody holds the reference that long.
        unsafe { &*self.stack.as_ptr() }.as_ref()
    }

    /// The task's name.
    pub(crate) fn name(&self) -> Option<&Name> {
        // SAFETY: as for the stack.
        unsafe { &*self.name.as_ptr() }.as_ref()
    }

    /// Names the task, once, before it is queued.
    pub(crate) fn set_name(&self, name: Text) {
        self.name.set(Some(Name::new(name)));
        self.set(Flags::EXTRAS);
    }

    /// What other threads wake the task by, if anybody asked for it.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn remote(&self) -> Option<&Remote> {
        // SAFETY: set once, and taken away at the task's end; nobody holds the reference that long.
        unsafe { &*self.remote.as_ptr() }.as_ref()
    }

    /// As [`TaskBlock::remote`], for a task that had none.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn set_remote(&self, remote: Remote) {
        debug_assert!(self.remote().is_none(), "one node a task");
        self.remote.set(Some(remote));
        self.set(Flags::EXTRAS);
    }

    /// Whether somebody may have what wakes the task from elsewhere.
    #[cfg(any(feature = "alloc", target_arch = "wasm32"))]
    pub(crate) fn has_unparker(&self) -> bool {
        self.remote().is_some_and(Remote::is_shared)
    }

    /// Whether it may block while it runs: it is not cancelled.
    #[inline(always)]
    pub(crate) fn may_block(&self) -> bool {
        !self.has(Flags::CANCELLED)
    }

    #[inline(always)]
    pub(crate) fn is_blocked(&self) -> bool {
        self.waiting.get() != Waiting::Nothing
    }

    /// Whether it has exited, and was plain until then.
    #[inline(always)]
    pub(crate) fn exited_plain(&self) -> bool {
        self.flags.get() == Flags::EXITED
    }

    #[inline(always)]
    pub(crate) fn has_exited(&self) -> bool {
        self.flags.get().0 >= Flags::EXITED.0
    }

    /// The task that joins this one, if that is all there is about it.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn only_joiner(&self) -> Option<TaskRef> {
        if self.flags.get() != Flags::JOINED {
            return None;
        }
        let joiner = self.joiner.get();
        // SAFETY: whoever sets `JOINED` says who it is.
        unsafe { core::hint::assert_unchecked(joiner.is_some()) };
        joiner
    }

    /// A plain task, or one that is only joined, is over.
    #[inline(always)]
    pub(crate) fn exit_plain(&self) {
        self.flags.set(Flags::EXITED);
    }

    /// Whether any of these flags is set.
    #[inline(always)]
    pub(crate) fn has(&self, flags: Flags) -> bool {
        self.flags.get().0 & flags.0 != 0
    }

    #[inline(always)]
    pub(crate) fn set(&self, flags: Flags) {
        self.flags.set(self.flags.get().and(flags));
    }

    /// Takes one flag back. Returns whether it was set.
    pub(crate) fn take(&self, flag: Flags) -> bool {
        let had = self.has(flag);
        self.flags.set(Flags(self.flags.get().0 & !flag.0));
        had
    }

    /// The task becomes blocked, in no queue.
    #[inline(always)]
    pub(crate) fn wait_for(&self, waiting: Waiting) {
        self.waiting.set(waiting);
        self.object.set(ptr::null());
    }

    /// The task becomes blocked as `waiter`, which is in a queue.
    #[inline(always)]
    pub(crate) fn wait_as(&self, waiting: Waiting, waiter: &Waiter) {
        self.waiting.set(waiting);
        self.object.set(ptr::from_ref(waiter).cast());
    }

    /// The task becomes blocked until `task` has exited.
    #[inline(always)]
    pub(crate) fn wait_for_end(&self, task: TaskRef) {
        self.waiting.set(Waiting::Join);
        self.object.set(task.as_raw().cast());
    }

    /// The node of a blocked task in its wait queue, if it is in one.
    pub(crate) fn waiter(&self) -> Option<NonNull<Waiter>> {
        match self.waiting.get() {
            Waiting::Nothing | Waiting::Join => None,
            _ => NonNull::new(self.object.get().cast_mut().cast()),
        }
    }

    /// The task that a blocked task joins, if it does.
    pub(crate) fn joined(&self) -> Option<TaskRef> {
        // SAFETY: while it joins, `object` is what `wait_for_end` put there.
        (self.waiting.get() == Waiting::Join).then(|| unsafe { TaskRef::from_raw(self.object.get().cast()) })
    }
}

/// A task block: where a task's data is, as long as its runtime is there.
///
/// Says nothing of which task has the block at the moment: whoever holds one across a switch also knows that the task is still there (it is
/// his own, he has its handle, or it is blocked in his queue), or holds a [`TaskId`] instead.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct TaskRef(NonNull<TaskBlock>);

/// See [`TaskRef::NOBODY`].
struct Nobody(TaskBlock);

// SAFETY: nobody changes it.
unsafe impl Sync for Nobody {}

static NOBODY: Nobody = Nobody(TaskBlock::new(u32::MAX, Flags::CANCELLED, ptr::null(), None));

impl TaskRef {
    /// In the place of a running task while there is none. Cancelled: so who asks whether the running task may block need not ask
    /// whether there is one.
    pub(crate) const NOBODY: TaskRef = TaskRef(NonNull::from_ref(&NOBODY.0));

    #[inline(always)]
    pub(crate) fn as_raw(self) -> *const TaskBlock {
        self.0.as_ptr()
    }

    /// # Safety
    /// The pointer came from [`TaskRef::as_raw`].
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: *const TaskBlock) -> TaskRef {
        // SAFETY: the caller's promise.
        TaskRef(unsafe { NonNull::new_unchecked(raw.cast_mut()) })
    }

    /// Asks the memory for the block, which is going to be used soon.
    #[cfg(all(feature = "timers", any(feature = "alloc", target_arch = "wasm32")))]
    #[inline(always)]
    pub(crate) fn prefetch(self) {
        arch::prefetch(self.0.as_ptr().addr());
    }

    /// The task, or none if it is nobody.
    #[inline(always)]
    pub(crate) fn somebody(self) -> Option<TaskRef> {
        (self != TaskRef::NOBODY).then_some(self)
    }

    /// The block, for as long as the caller likes.
    ///
    /// # Safety
    /// Not longer than the runtime is there.
    #[cfg(all(feature = "std", unix))]
    pub(crate) unsafe fn block<'a>(self) -> &'a TaskBlock {
        // SAFETY: Stable Blocks, and the caller's promise.
        unsafe { self.0.as_ref() }
    }
}

impl Deref for TaskRef {
    type Target = TaskBlock;

    #[inline(always)]
    fn deref(&self) -> &TaskBlock {
        // SAFETY: Stable Blocks. All fields that change are cells.
        unsafe { self.0.as_ref() }
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskRef({})", self.id())
    }
}

/// Blocks in one piece of memory.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
const CHUNK: usize = if cfg!(target_arch = "wasm32") { 8 } else { 64 };

/// How many free blocks keep the stack that their task had, in the long run; the stack provider pools the rest.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
const KEEP: usize = 64;

/// How many bytes at the base of a kept stack are for the next task's closure and result.
pub(crate) const KEPT_PACKET: usize = 64;

/// Whether blocks keep stacks at all. Where code is shipped over a wire the way by the provider is short enough.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
const KEEPS: bool = cfg!(not(target_arch = "wasm32"));

/// The table of task blocks.
///
/// Nobody counts tasks: the number of blocks limits them, and a block's way from one list to another is all that a warm spawn and its end
/// leave behind here.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
pub(crate) struct Tasks {
    /// Free blocks that have kept a stack of the usual size, the one freed last first: its memory is warm.
    kept: Option<TaskRef>,
    /// Free blocks whose stack goes back to the provider when there is time.
    surplus: Option<TaskRef>,
    /// Free blocks without a stack.
    free: Option<TaskRef>,
    /// How many blocks are not in that list.
    taken: usize,
    most: usize,
    /// The generation of new blocks: above that of all blocks that were given up (Fresh Ids).
    generation: u32,
    /// Each of [`CHUNK`] blocks, which never move; the one with the highest number first.
    chunks: Vec<Vec<TaskBlock>>,
}

/// The blocks of one of the lists.
#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
fn list(first: Option<TaskRef>) -> impl Iterator<Item = TaskRef> {
    core::iter::successors(first, |task| task.joiner.get())
}

#[cfg(all(feature = "alloc", not(target_arch = "wasm32")))]
impl Tasks {
    /// For `debugger.rs`.
    pub(crate) const CHUNKS: usize = offset_of!(Tasks, chunks);
    pub(crate) const CHUNK_LENGTH: usize = CHUNK;
}

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl Tasks {
    /// A table without blocks, for at most so many tasks.
    pub(crate) const fn new(most: usize) -> Tasks {
        Tasks { kept: None, surplus: None, free: None, taken: 0, most, generation: 0, chunks: Vec::new() }
    }

    /// How many blocks are not free. Counts, so it takes its time.
    pub(crate) fn alive(&self) -> usize {
        self.taken - list(self.kept).chain(list(self.surplus)).count()
    }

    /// How many free blocks have stacks. Counts, too.
    pub(crate) fn stacks(&self) -> usize {
        list(self.kept).chain(list(self.surplus)).filter(|task| task.stack().is_some()).count()
    }

    /// Changes how many tasks there may be; those that are alive stay.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
        // A warm spawn does not look at the limit: there are no warm ones but those that come back from now on.
        self.forget_usual();
    }

    /// Whether there may not be one more task. Right where neither kept nor surplus blocks are left.
    pub(crate) fn is_full(&self) -> bool {
        self.taken >= self.most
    }

    fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// How many blocks there will be after [`Tasks::grow`].
    pub(crate) fn capacity_after_growth(&self) -> usize {
        self.capacity() + CHUNK
    }

    /// Makes more blocks. Room for them in every queue is the caller's matter, before.
    #[cold]
    pub(crate) fn grow(&mut self, home: *const Runtime) -> Result<(), NoMemory> {
        let first = u32::try_from(self.capacity()).map_err(|_| NoMemory)?;
        first.checked_add(CHUNK as u32).ok_or(NoMemory)?;
        room::reserve(&mut self.chunks, 1)?;
        let mut chunk = Vec::new();
        room::reserve(&mut chunk, CHUNK)?;
        // So that the lowest number is used first.
        for index in (first..first + CHUNK as u32).rev() {
            let block = TaskBlock::new(index, Flags::EXITED, home, self.free);
            block.generation.set(self.generation);
            room::push(&mut chunk, block);
            self.free = chunk.last().map(|block| TaskRef(NonNull::from(block)));
        }
        room::push(&mut self.chunks, chunk);
        Ok(())
    }

    /// Takes a free block without a stack, if there is one and there may be one more task; the caller fills it.
    pub(crate) fn admit(&mut self) -> Option<TaskRef> {
        if self.taken >= self.most {
            return None;
        }
        let task = self.free?;
        self.free = task.joiner.take();
        self.taken += 1;
        task.flags.set(Flags::NONE);
        Some(task)
    }

    /// Takes a free block that has kept its stack, which has the usual size.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn reuse(&mut self) -> Option<TaskRef> {
        if !KEEPS {
            return None;
        }
        let task = self.kept?;
        self.kept = task.joiner.get();
        task.flags.set(Flags::NONE);
        Some(task)
    }

    /// Gives the block of a task back that has exited. One that was plain keeps its stack for the next task.
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    pub(crate) fn free(&mut self, task: TaskRef) {
        if task.exited_plain() {
            self.keep(task);
        } else {
            self.free_with_flags(task);
        }
    }

    /// As [`Tasks::free`], of a task that has exited plain.
    #[inline(always)]
    pub(crate) fn keep(&mut self, task: TaskRef) {
        // Whoever has its id finds nothing.
        task.generation.set(task.generation.get().wrapping_add(1));
        let list = if KEEPS { &mut self.kept } else { &mut self.surplus };
        task.joiner.set(list.replace(task));
    }

    #[cold]
    #[inline(never)]
    fn free_with_flags(&mut self, task: TaskRef) {
        debug_assert!(task.has_exited());
        let odd = task.has(Flags::ODD);
        task.flags.set(Flags::EXITED);
        if KEEPS && !odd {
            task.begin_at(KEPT_PACKET);
        }
        drop(task.name.take());
        let _ = task.remote.take();
        self.keep(task);
        if KEEPS && odd {
            self.kept = task.joiner.replace(self.surplus);
            self.surplus = Some(task);
        }
    }

    /// Takes a stack that is to go back to its provider; its block has none then.
    pub(crate) fn take_surplus(&mut self) -> Option<StackMemory> {
        loop {
            let task = self.surplus?;
            self.surplus = task.joiner.replace(self.free.replace(task));
            self.taken -= 1;
            // A block whose task could not be spawned has none.
            if let Some(stack) = task.stack.take() {
                return Some(stack);
            }
        }
    }

    pub(crate) fn has_surplus(&self) -> bool {
        self.surplus.is_some()
    }

    /// Kept stacks are surplus from now on, as far as there are more than is worth while: not those that were used last. Returns whether
    /// there is surplus then.
    pub(crate) fn trim(&mut self) -> bool {
        if !KEEPS {
            return false;
        }
        if let Some(last) = list(self.kept).nth(KEEP - 1) {
            let rest = last.joiner.take();
            self.add_to_surplus(rest);
        }
        self.has_surplus()
    }

    fn add_to_surplus(&mut self, first: Option<TaskRef>) {
        if let Some(last) = list(first).last() {
            last.joiner.set(self.surplus);
            self.surplus = first;
        }
    }

    /// Makes what is kept surplus. Returns whether anything was.
    pub(crate) fn keep_none(&mut self) -> bool {
        if !KEEPS {
            return false;
        }
        let kept = self.kept.take();
        self.add_to_surplus(kept);
        kept.is_some()
    }

    /// Gives up the blocks with the highest numbers, as far as nobody uses them. Returns how many blocks there are then.
    ///
    /// No block that is free has a stack: the caller took them away.
    pub(crate) fn shrink(&mut self) -> usize {
        let is_free = |block: &TaskBlock| block.stack().is_none();
        while let Some(chunk) = self.chunks.pop_if(|chunk| chunk.iter().all(is_free)) {
            for block in &chunk {
                // After 2^32 tasks in one block it begins anew, as ids say.
                self.generation = self.generation.max(block.generation.get().wrapping_add(1));
            }
        }
        self.chunks.shrink_to_fit();
        // Those that are left in the list, by number.
        (self.free, self.taken) = (None, self.capacity());
        for block in self.chunks.iter().rev().flatten().filter(|block| is_free(block)) {
            block.joiner.set(self.free);
            self.free = Some(TaskRef(NonNull::from(block)));
            self.taken -= 1;
        }
        self.capacity()
    }

    /// No block keeps the stack that it has: there is another usual size from now on, or there may be fewer tasks.
    pub(crate) fn forget_usual(&mut self) {
        if !KEEPS {
            return;
        }
        self.keep_none();
        // Also of a task that has exited, and whose handle somebody holds. A free block is made plain when it is used again.
        for block in self.chunks.iter().flatten() {
            block.set(Flags::ODD);
        }
    }

    /// The block with this number, which exists.
    #[cfg(feature = "timers")]
    pub(crate) fn at(&self, number: u32) -> TaskRef {
        let index = number as usize;
        TaskRef(NonNull::from(&self.chunks[index / CHUNK][CHUNK - 1 - index % CHUNK]))
    }

    /// The block of a task that still has one.
    pub(crate) fn find(&self, id: TaskId) -> Option<TaskRef> {
        let index = id.index as usize;
        let block = self.chunks.get(index / CHUNK)?.get(CHUNK - 1 - index % CHUNK)?;
        // A free block's id is nobody's yet; a task that has exited is found until its handle is gone.
        (block.generation.get() == id.generation).then(|| TaskRef(NonNull::from(block)))
    }

    /// Every task that has not exited, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskBlock> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().rev()).filter(|block| !block.has_exited())
    }
}

#[cfg(any(feature = "alloc", target_arch = "wasm32"))]
impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(TaskBlock::id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Flags, KEEP, TaskRef, Tasks};
    use crate::stacks::StackMemory;
    use core::ptr::{self, NonNull};

    fn admit(tasks: &mut Tasks) -> TaskRef {
        let task = tasks.admit().or_else(|| {
            tasks.grow(ptr::null()).expect("memory");
            tasks.admit()
        });
        task.expect("room")
    }

    fn end(tasks: &mut Tasks, task: TaskRef) {
        task.set(Flags::EXITED);
        tasks.free(task);
    }

    #[test]
    fn an_id_is_found_until_its_task_is_freed_and_never_again() {
        let mut tasks = Tasks::new(usize::MAX);
        let first = admit(&mut tasks);
        let id = first.id();
        assert_eq!(tasks.find(id), Some(first));
        first.set(Flags::ODD);
        end(&mut tasks, first);
        assert!(tasks.take_surplus().is_none(), "it had no stack");
        assert_eq!(tasks.find(id), None);
        let second = admit(&mut tasks);
        assert_eq!(second, first, "the block freed last is used first");
        assert_ne!(second.id(), id);
        assert_eq!(tasks.find(id), None);
    }

    #[test]
    fn blocks_keep_their_stacks_and_are_reused_last_in_first_out() {
        let mut tasks = Tasks::new(usize::MAX);
        let mut all = alloc::vec::Vec::new();
        for _ in 0..KEEP + 2 {
            let task = admit(&mut tasks);
            task.set_stack(StackMemory::new(NonNull::dangling(), 4096));
            all.push(task);
        }
        for &task in &all {
            end(&mut tasks, task);
        }
        assert_eq!((tasks.alive(), tasks.stacks()), (0, KEEP + 2));
        assert!(!tasks.has_surplus(), "all are kept");
        assert!(tasks.trim());
        assert!(tasks.take_surplus().is_some() && tasks.take_surplus().is_some());
        assert!(tasks.take_surplus().is_none());
        let last = [KEEP + 1, KEEP].map(|number| all[number]);
        assert_eq!(last.map(Some), [tasks.reuse(), tasks.reuse()], "what was used last is warm");
        tasks.forget_usual();
        assert_eq!((tasks.reuse(), tasks.alive(), tasks.stacks()), (None, 2, KEEP - 2));
        end(&mut tasks, last[0]);
        assert_eq!(core::iter::from_fn(|| tasks.take_surplus()).count(), KEEP - 1);
        assert_eq!((tasks.alive(), tasks.stacks()), (1, 0));
    }

    #[test]
    fn blocks_above_the_last_that_is_used_are_given_up_and_their_ids_are_not_found_again() {
        let mut tasks = Tasks::new(usize::MAX);
        let all: alloc::vec::Vec<_> = (0..10 * CHUNK).map(|_| admit(&mut tasks)).collect();
        let used = [0, CHUNK + 3].map(|number| all[number]);
        let ids: alloc::vec::Vec<_> = all.iter().map(|task| task.id()).collect();
        for &task in &all {
            task.set_stack(StackMemory::new(NonNull::dangling(), 4096));
            if !used.contains(&task) {
                end(&mut tasks, task);
            }
        }
        assert!(tasks.keep_none());
        while tasks.take_surplus().is_some() {}
        assert_eq!(tasks.shrink(), 2 * CHUNK);
        assert_eq!((tasks.alive(), tasks.capacity()), (2, 2 * CHUNK));
        let again: alloc::vec::Vec<_> = (0..10 * CHUNK - 2).map(|_| admit(&mut tasks)).collect();
        assert_eq!(again[0], all[1], "the lowest number first");
        for (id, task) in ids.iter().zip(&all) {
            assert_eq!(tasks.find(*id).is_some(), used.contains(task));
        }
        assert_eq!((tasks.alive(), tasks.capacity()), (10 * CHUNK, 10 * CHUNK));
    }

    #[test]
    fn the_limit_on_tasks_may_be_lowered_below_what_is_alive() {
        let mut tasks = Tasks::new(2);
        let (first, second) = (admit(&mut tasks), admit(&mut tasks));
        assert!(tasks.is_full() && tasks.admit().is_none());
        tasks.set_most(1);
        end(&mut tasks, first);
        assert!(tasks.take_surplus().is_none());
        assert_eq!((tasks.alive(), tasks.is_full()), (1, true));
        tasks.set_most(3);
        let third = admit(&mut tasks);
        admit(&mut tasks);
        assert!(tasks.is_full() && tasks.admit().is_none());
        for task in [second, third] {
            end(&mut tasks, task);
        }
        assert!(tasks.take_surplus().is_none());
        assert_eq!((tasks.alive(), tasks.is_full()), (1, false));
        // Two are free, and one of them is one too many.
        tasks.set_most(2);
        assert!(tasks.take_surplus().is_none());
        assert!(tasks.admit().is_some() && tasks.is_full() && tasks.admit().is_none());
    }
}
