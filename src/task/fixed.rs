//! The table of task blocks where their number is fixed: a slice of blocks, each with a stack of its own for ever.

use super::{Flags, TaskBlock, TaskId, TaskRef};
use crate::inbox::Remote;
use crate::stacks::{StackMemory, fixed};
use core::fmt;
use core::ptr::{self, NonNull};

/// The table of task blocks.
pub(crate) struct Tasks {
    /// Free blocks, the one freed last first: its stack is warm.
    free: Option<TaskRef>,
    alive: usize,
    most: usize,
    blocks: &'static [TaskBlock],
}

impl TaskBlock {
    /// The block of this number, for a table that does not exist yet.
    pub(crate) fn of_table(index: usize, stack: StackMemory) -> TaskBlock {
        let block = TaskBlock::new(index as u32, Flags::EXITED, ptr::null(), None);
        block.set_stack(stack);
        block
    }

    /// What wakes the task from elsewhere.
    pub(crate) fn remote(&self) -> Remote {
        // SAFETY: Stable Blocks: without a heap a runtime, and so its blocks, is there as long as the program.
        unsafe { &*ptr::from_ref(&self.node) }.remote()
    }

    /// Whether somebody may have what wakes the task from elsewhere.
    pub(crate) fn has_unparker(&self) -> bool {
        self.node.is_shared()
    }

    /// Ends the program if the task wrote below its stack.
    fn check_stack(&self) {
        if self.stack().is_some_and(|stack| !fixed::is_whole(stack)) {
            self.report_overflow();
        }
    }

    #[cold]
    #[inline(never)]
    fn report_overflow(&self) -> ! {
        let (id, size) = (self.id(), self.stack().map_or(0, StackMemory::size));
        match self.name() {
            Some(name) => panic!(
                "windlass: stack overflow in task {id} \"{name}\": its stack of {size} bytes is full, and other memory may be damaged; \
                 give `runtime::Memory` larger stacks"
            ),
            None => panic!(
                "windlass: stack overflow in task {id}: its stack of {size} bytes is full, and other memory may be damaged; \
                 give `runtime::Memory` larger stacks"
            ),
        }
    }
}

impl Tasks {
    /// A table of these blocks, all of which are free.
    pub(crate) fn over(blocks: &'static [TaskBlock]) -> Tasks {
        let mut free = None;
        // So that the lowest number is used first.
        for block in blocks.iter().rev() {
            block.joiner.set(free);
            free = Some(TaskRef(NonNull::from(block)));
        }
        Tasks { free, alive: 0, most: blocks.len(), blocks }
    }

    /// How many blocks are not free.
    pub(crate) fn alive(&self) -> usize {
        self.alive
    }

    /// How many blocks there are.
    pub(crate) fn capacity(&self) -> usize {
        self.blocks.len()
    }

    /// Changes how many tasks there may be; those that are alive stay.
    pub(crate) fn set_most(&mut self, most: usize) {
        self.most = most;
    }

    /// Takes a free block, if there is one and there may be one more task; the caller fills it.
    pub(crate) fn admit(&mut self) -> Option<TaskRef> {
        if self.alive >= self.most {
            return None;
        }
        let task = self.free?;
        task.check_stack();
        self.free = task.joiner.take();
        self.alive += 1;
        task.flags.set(Flags::NONE);
        Some(task)
    }

    /// There are no warm starts: each free block has its stack.
    pub(crate) fn reuse(&mut self) -> Option<TaskRef> {
        None
    }

    /// Gives the block of a task back that has exited.
    pub(crate) fn free(&mut self, task: TaskRef) {
        debug_assert!(task.has_exited());
        self.keep(task);
    }

    /// As [`Tasks::free`].
    #[inline(never)]
    pub(crate) fn keep(&mut self, task: TaskRef) {
        task.check_stack();
        task.flags.set(Flags::EXITED);
        task.name.set(None);
        // Whoever has its id finds nothing.
        task.generation.set(task.generation.get().wrapping_add(1));
        task.node.renew(task.generation.get());
        task.joiner.set(self.free.replace(task));
        self.alive -= 1;
    }

    /// No stack goes back to anybody.
    pub(crate) fn has_surplus(&self) -> bool {
        false
    }

    /// Ends the program if a task wrote below its stack.
    pub(crate) fn check_stacks(&self) {
        self.blocks.iter().for_each(TaskBlock::check_stack);
    }

    /// The most that was used of any stack.
    pub(crate) fn stack_high_water(&self) -> usize {
        self.blocks.iter().filter_map(TaskBlock::stack).map(fixed::high_water).max().unwrap_or(0)
    }

    /// The block with this number, which exists.
    #[cfg(feature = "timers")]
    pub(crate) fn at(&self, number: u32) -> TaskRef {
        TaskRef(NonNull::from(&self.blocks[number as usize]))
    }

    /// The block of a task that still has one.
    pub(crate) fn find(&self, id: TaskId) -> Option<TaskRef> {
        let block = self.blocks.get(id.index as usize)?;
        // As in the table that grows.
        (block.generation.get() == id.generation).then(|| TaskRef(NonNull::from(block)))
    }

    /// Every task that has not exited, by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TaskBlock> {
        self.blocks.iter().filter(|block| !block.has_exited())
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(TaskBlock::id)).finish()
    }
}
