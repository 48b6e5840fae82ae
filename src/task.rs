//! Tasks: their identity, their state, and the dense table of task blocks.
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
//! 1 [`Tasks::admit`], 2 `Scheduler::next`, 3 `Scheduler::yield_now`, 4 `Scheduler::block`, 5 `Scheduler::exit`, 6 [`Tasks::free`].
//!
//! Invariants:
//! * *One Home*: a task is in at most one of the run queue (ready), a wait queue (blocked) and nowhere; a blocked task may be in the
//!   timer queue besides.
//! * *Fresh Ids*: a slot's generation grows each time it is freed, so a stale [`TaskId`] finds nothing.

use crate::inbox::Remote;
use crate::room::{self, NoMemory};
use crate::stacks::StackMemory;
use crate::timer_queue::{NOWHERE, Place, Places};
use crate::wait_queue::WaitQueue;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::ptr;
use windlass_arch::Context;

/// The index of a task block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(u32);

impl Slot {
    /// No task; as the running task: the host.
    pub(crate) const NONE: Slot = Slot(u32::MAX);

    #[cfg(test)]
    pub(crate) const fn new(index: u32) -> Slot {
        Slot(index)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn is_none(self) -> bool {
        self == Slot::NONE
    }
}

/// Identifies a task of one runtime; never reused for another task while 2^32 tasks pass through the same slot.
///
/// Prints as its number: `7` for the first task in slot 7, `7.2` for the third.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskId {
    index: u32,
    generation: u32,
}

impl TaskId {
    pub(crate) fn slot(self) -> Slot {
        Slot(self.index)
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

/// Where a task is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    Free,
    Ready,
    Running,
    Blocked,
    InHost,
    Exited,
}

/// What a blocked task waits for, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Waiting {
    #[cfg_attr(not(feature = "timers"), allow(dead_code, reason = "only timers make it"))]
    Sleep,
    Park,
    Join(TaskId),
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
            Waiting::Sleep => "sleeping",
            Waiting::Park => "parked",
            Waiting::Join(id) => return write!(f, "joining task {id}"),
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

/// All that is known of a task, but for its context while it is ready (the run queue has that).
#[derive(Debug)]
pub(crate) struct TaskBlock {
    generation: u32,
    pub(crate) state: State,
    /// Where to continue while blocked.
    pub(crate) context: Context,
    /// Neighbours in the wait queue; `next` also links free slots.
    pub(crate) previous: Slot,
    pub(crate) next: Slot,
    /// The wait queue that the task is in, or null.
    pub(crate) queue: *const WaitQueue,
    pub(crate) waiting: Waiting,
    pub(crate) timer: Place,
    pub(crate) wake: Wake,
    /// Sticky: every later call that would block returns `Cancelled`.
    pub(crate) cancelled: bool,
    /// An `unpark` that came before its `park`.
    pub(crate) token: bool,
    /// A host loop waits for this task's end.
    pub(crate) awaited: bool,
    /// Nobody holds a handle: the slot is freed at exit.
    pub(crate) detached: bool,
    /// The value slot on the task's stack that a channel hands over through.
    pub(crate) value: *mut (),
    /// The task that joins this one.
    pub(crate) joiner: Slot,
    pub(crate) stack: Option<StackMemory>,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) remote: Option<Remote>,
}

impl TaskBlock {
    fn new() -> TaskBlock {
        TaskBlock {
            generation: 0,
            state: State::Free,
            context: Context::HOST,
            previous: Slot::NONE,
            next: Slot::NONE,
            queue: ptr::null(),
            waiting: Waiting::Park,
            timer: NOWHERE,
            wake: Wake::Done,
            cancelled: false,
            token: false,
            awaited: false,
            detached: false,
            value: ptr::null_mut(),
            joiner: Slot::NONE,
            stack: None,
            name: None,
            remote: None,
        }
    }
}

/// The table of task blocks.
#[derive(Debug)]
pub(crate) struct Tasks {
    blocks: Vec<TaskBlock>,
    /// The slot freed last, reused first: its memory is warm.
    free: Slot,
    alive: usize,
}

impl Tasks {
    pub(crate) const fn new() -> Tasks {
        Tasks { blocks: Vec::new(), free: Slot::NONE, alive: 0 }
    }

    /// How many slots are not free.
    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    /// Takes a free slot; the caller fills it.
    pub(crate) fn admit(&mut self) -> Result<TaskId, NoMemory> {
        if self.free.is_none() {
            room::reserve(&mut self.blocks, 1)?;
            room::push(&mut self.blocks, TaskBlock::new());
            self.free = Slot((self.blocks.len() - 1) as u32);
        }
        let slot = self.free;
        let block = &mut self[slot];
        let next = block.next;
        block.next = Slot::NONE;
        block.state = State::Ready;
        let generation = block.generation;
        self.free = next;
        self.alive += 1;
        Ok(TaskId { index: slot.0, generation })
    }

    /// Gives a slot back and returns the stack that the task had.
    pub(crate) fn free(&mut self, slot: Slot) -> Option<StackMemory> {
        let free = self.free;
        let block = &mut self[slot];
        let stack = block.stack.take();
        let generation = block.generation.wrapping_add(1);
        *block = TaskBlock { generation, next: free, ..TaskBlock::new() };
        self.free = slot;
        self.alive -= 1;
        stack
    }

    /// The id of the task in `slot`.
    pub(crate) fn id(&self, slot: Slot) -> TaskId {
        TaskId { index: slot.0, generation: self[slot].generation }
    }

    /// The slot of a task that still has one.
    pub(crate) fn find(&self, id: TaskId) -> Option<Slot> {
        let block = self.blocks.get(id.slot().index())?;
        (block.generation == id.generation && block.state != State::Free).then_some(id.slot())
    }

    /// Every slot in use.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (TaskId, &TaskBlock)> {
        self.blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| block.state != State::Free)
            .map(|(index, block)| (TaskId { index: index as u32, generation: block.generation }, block))
    }
}

impl core::ops::Index<Slot> for Tasks {
    type Output = TaskBlock;

    #[inline]
    fn index(&self, slot: Slot) -> &TaskBlock {
        &self.blocks[slot.index()]
    }
}

impl core::ops::IndexMut<Slot> for Tasks {
    #[inline]
    fn index_mut(&mut self, slot: Slot) -> &mut TaskBlock {
        &mut self.blocks[slot.index()]
    }
}

impl Places for Tasks {
    fn set_place(&mut self, task: Slot, place: Place) {
        self[task].timer = place;
    }
}
