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
//! 1 [`Tasks::admit`] or [`Tasks::reuse`], 2 `Scheduler::next`, 3 `Scheduler::yield_now`, 4 `Scheduler::block`, 5 `Scheduler::exit`,
//! 6 [`Tasks::free`]. Ready and running are told apart by the scheduler's word alone, so a yield touches no block.
//!
//! Invariants:
//! * *One Home*: a task is in at most one of the run queue (ready), a wait queue (blocked) and nowhere; a blocked task may be in the
//!   timer queue besides.
//! * *Fresh Ids*: a block's generation grows each time it is freed, so a stale [`TaskId`] finds nothing.
//! * *Stable Blocks*: a block stays where it is until its runtime is dropped, and a [`TaskRef`] is used only by the thread of that
//!   runtime, while it exists. So following one needs no look-up and no check.
#![allow(unsafe_code, reason = "task blocks are reached through plain pointers (Stable Blocks)")]

use crate::inbox::Remote;
use crate::room::{self, NoMemory};
use crate::stacks::StackMemory;
use crate::timer_queue::{NOWHERE, Place};
use crate::wait_queue::Waiter;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;
use core::ops::Deref;
use core::ptr::{self, NonNull};
use windlass_arch::Context;

/// Identifies a task of one runtime; never reused for another task while 2^32 tasks pass through the same slot.
///
/// Prints as its number: `7` for the first task in slot 7, `7.2` for the third.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    index: u32,
    generation: u32,
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

/// Where a task is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum State {
    Free,
    /// Ready, running or blocked.
    Alive,
    InHost,
    Exited,
}

/// What a blocked task waits for, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Waiting {
    /// Not blocked.
    Nothing,
    #[cfg_attr(not(feature = "timers"), allow(dead_code, reason = "only timers make it"))]
    Sleep,
    Park,
    /// For another task's end; [`TaskBlock::joined`] says whose.
    Join,
    Send,
    Receive,
    Lock,
    Condvar,
    WaitGroup,
    /// For ever: the module has ended.
    Exit,
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
            Waiting::Exit => "in exit",
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

/// What is known of a task besides its state: a set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flags(u8);

impl Flags {
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

    #[inline(always)]
    pub(crate) const fn and(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// All that is known of a task, but for its context while it is ready (the run queue has that).
pub(crate) struct TaskBlock {
    /// Where to continue while blocked.
    pub(crate) context: Cell<Context>,
    /// While it is in a wait queue, its node there; while it joins, the block of the joined task.
    object: Cell<*const ()>,
    /// The task that joins this one; of a free block the next free one.
    pub(crate) joiner: Cell<Option<TaskRef>>,
    pub(crate) waiting: Cell<Waiting>,
    pub(crate) wake: Cell<Wake>,
    pub(crate) state: Cell<State>,
    flags: Cell<Flags>,
    pub(crate) timer: Cell<Place>,
    generation: Cell<u32>,
    index: u32,
    /// The scheduler's number of the usual stack size, if the stack has that size.
    pub(crate) usual: Cell<u32>,
    /// A free block may have kept the stack of the task before.
    pub(crate) stack: Cell<Option<StackMemory>>,
    name: Cell<Option<Cow<'static, str>>>,
    remote: Cell<Option<Remote>>,
}

impl TaskBlock {
    fn new(index: u32) -> TaskBlock {
        TaskBlock {
            context: Cell::new(Context::HOST),
            object: Cell::new(ptr::null()),
            joiner: Cell::new(None),
            waiting: Cell::new(Waiting::Nothing),
            wake: Cell::new(Wake::Done),
            state: Cell::new(State::Free),
            flags: Cell::new(Flags::NONE),
            timer: Cell::new(NOWHERE),
            generation: Cell::new(0),
            index,
            usual: Cell::new(0),
            stack: Cell::new(None),
            name: Cell::new(None),
            remote: Cell::new(None),
        }
    }

    pub(crate) fn id(&self) -> TaskId {
        TaskId { index: self.index, generation: self.generation.get() }
    }

    /// The task's stack.
    pub(crate) fn stack(&self) -> Option<&StackMemory> {
        // SAFETY: the stack is exchanged only at the task's beginning and end; nobody holds the reference that long.
        unsafe { &*self.stack.as_ptr() }.as_ref()
    }

    /// The task's name.
    pub(crate) fn name(&self) -> Option<&Cow<'static, str>> {
        // SAFETY: as for the stack.
        unsafe { &*self.name.as_ptr() }.as_ref()
    }

    /// Names the task, once, before it is queued.
    pub(crate) fn set_name(&self, name: Cow<'static, str>) {
        self.name.set(Some(name));
        self.set(Flags::EXTRAS);
    }

    /// What other threads wake the task by, if anybody asked for it.
    pub(crate) fn remote(&self) -> Option<&Remote> {
        // SAFETY: set once, and taken away at the task's end; nobody holds the reference that long.
        unsafe { &*self.remote.as_ptr() }.as_ref()
    }

    /// As [`TaskBlock::remote`], for a task that had none.
    pub(crate) fn set_remote(&self, remote: Remote) {
        debug_assert!(self.remote().is_none(), "one node a task");
        self.remote.set(Some(remote));
        self.set(Flags::EXTRAS);
    }

    #[inline(always)]
    pub(crate) fn is_blocked(&self) -> bool {
        self.waiting.get() != Waiting::Nothing
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
        self.object.set(task.0.as_ptr().cast_const().cast());
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
        if self.waiting.get() != Waiting::Join {
            return None;
        }
        NonNull::new(self.object.get().cast_mut().cast()).map(TaskRef)
    }
}

/// A task block: where a task's data is, as long as its runtime is there.
///
/// Says nothing of which task has the block at the moment: whoever holds one across a switch also knows that the task is still there (it is
/// his own, he has its handle, or it is blocked in his queue), or holds a [`TaskId`] instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct TaskRef(NonNull<TaskBlock>);

impl TaskRef {
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
const CHUNK: usize = if cfg!(target_arch = "wasm32") { 8 } else { 64 };

/// How many free blocks keep the stack that their task had; the stack provider pools the rest.
const KEEP: u32 = 64;

/// The table of task blocks.
pub(crate) struct Tasks {
    /// Free blocks that have kept a stack of the usual size, the one freed last first: its memory is warm.
    kept: Option<TaskRef>,
    /// How many more blocks may keep their stacks.
    room: u32,
    /// Other free blocks.
    free: Option<TaskRef>,
    alive: usize,
    /// Each of [`CHUNK`] blocks, which never move.
    chunks: Vec<Vec<TaskBlock>>,
}

impl Tasks {
    pub(crate) const fn new() -> Tasks {
        Tasks { kept: None, room: KEEP, free: None, alive: 0, chunks: Vec::new() }
    }

    /// How many blocks are not free.
    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    fn capacity(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    /// How many blocks there will be after [`Tasks::grow`].
    pub(crate) fn capacity_after_growth(&self) -> usize {
        self.capacity() + CHUNK
    }

    /// How many free blocks have kept their stacks.
    pub(crate) fn kept(&self) -> usize {
        (KEEP - self.room) as usize
    }

    /// Makes more blocks. Room for them in every queue is the caller's matter, before.
    #[cold]
    pub(crate) fn grow(&mut self) -> Result<(), NoMemory> {
        let first = u32::try_from(self.capacity()).map_err(|_| NoMemory)?;
        first.checked_add(CHUNK as u32).ok_or(NoMemory)?;
        room::reserve(&mut self.chunks, 1)?;
        let mut chunk = Vec::new();
        room::reserve(&mut chunk, CHUNK)?;
        for index in first..first + CHUNK as u32 {
            room::push(&mut chunk, TaskBlock::new(index));
        }
        // So that the lowest number is used first.
        for block in chunk.iter().rev() {
            block.joiner.set(self.free);
            self.free = Some(TaskRef(NonNull::from(block)));
        }
        room::push(&mut self.chunks, chunk);
        Ok(())
    }

    /// Takes a free block without a stack, if there is one; the caller fills it.
    pub(crate) fn admit(&mut self) -> Option<TaskRef> {
        let task = self.free?;
        self.free = task.joiner.take();
        task.state.set(State::Alive);
        self.alive += 1;
        Some(task)
    }

    /// Takes a free block that has kept its stack, which has the usual size.
    #[inline(always)]
    pub(crate) fn reuse(&mut self) -> Option<TaskRef> {
        let task = self.kept?;
        self.kept = task.joiner.take();
        self.room += 1;
        task.state.set(State::Alive);
        self.alive += 1;
        Some(task)
    }

    /// Gives a block back. With `keep` its stack has the usual size, and may stay with it; returns the stack that did not.
    #[inline(always)]
    #[must_use = "the stack goes back to its provider"]
    pub(crate) fn free(&mut self, task: TaskRef, keep: bool) -> Option<StackMemory> {
        if task.flags.get() != Flags::NONE {
            clear(task);
        }
        task.generation.set(task.generation.get().wrapping_add(1));
        task.state.set(State::Free);
        self.alive -= 1;
        if keep && self.room > 0 {
            self.room -= 1;
            task.joiner.set(self.kept);
            self.kept = Some(task);
            return None;
        }
        self.free_without_stack(task)
    }

    #[cold]
    fn free_without_stack(&mut self, task: TaskRef) -> Option<StackMemory> {
        task.joiner.set(self.free);
        self.free = Some(task);
        task.stack.take()
    }

    /// Takes the stack from a block that has kept one, which is free all the same.
    pub(crate) fn unkeep(&mut self) -> Option<StackMemory> {
        let task = self.kept?;
        self.kept = task.joiner.take();
        self.room += 1;
        self.free_without_stack(task)
    }

    /// The block of a task that still has one.
    pub(crate) fn find(&self, id: TaskId) -> Option<TaskRef> {
        let index = id.index as usize;
        let block = self.chunks.get(index / CHUNK)?.get(index % CHUNK)?;
        (block.generation.get() == id.generation && block.state.get() != State::Free)
            .then(|| TaskRef(NonNull::from(block)))
    }

    /// Every block in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskBlock> {
        self.chunks.iter().flatten().filter(|block| block.state.get() != State::Free)
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(TaskBlock::id)).finish()
    }
}

/// Takes away what few tasks have.
#[cold]
#[inline(never)]
fn clear(task: TaskRef) {
    task.flags.set(Flags::NONE);
    // Where nothing is borrowed: a name's memory or a node's is the allocator's, which may be the user's code.
    drop(task.name.take());
    drop(task.remote.take());
}

#[cfg(test)]
mod tests {
    use super::{KEEP, Tasks};
    use crate::stacks::StackMemory;
    use core::ptr::NonNull;

    #[test]
    fn an_id_is_found_until_its_task_is_freed_and_never_again() {
        let mut tasks = Tasks::new();
        tasks.grow().expect("memory");
        let first = tasks.admit().expect("room");
        let id = first.id();
        assert_eq!(tasks.find(id), Some(first));
        assert!(tasks.free(first, false).is_none());
        assert_eq!(tasks.find(id), None);
        let second = tasks.admit().expect("room");
        assert_eq!(second, first, "the block freed last is used first");
        assert_ne!(second.id(), id);
        assert_eq!(tasks.find(id), None);
    }

    #[test]
    fn blocks_keep_their_stacks_up_to_a_limit_and_are_reused_last_in_first_out() {
        let mut tasks = Tasks::new();
        let mut all = alloc::vec::Vec::new();
        for _ in 0..KEEP + 2 {
            let task = tasks.admit().or_else(|| {
                tasks.grow().expect("memory");
                tasks.admit()
            });
            let task = task.expect("room");
            task.stack.set(Some(StackMemory::new(NonNull::dangling(), 16)));
            all.push(task);
        }
        for (number, &task) in all.iter().enumerate() {
            assert_eq!(tasks.free(task, true).is_some(), number >= KEEP as usize);
        }
        assert_eq!((tasks.alive(), tasks.kept()), (0, KEEP as usize));
        assert_eq!(tasks.reuse(), Some(all[KEEP as usize - 1]));
        assert!(tasks.unkeep().is_some());
        assert_eq!(tasks.reuse(), Some(all[KEEP as usize - 3]));
        assert_eq!((tasks.alive(), tasks.kept()), (2, KEEP as usize - 3));
    }
}
