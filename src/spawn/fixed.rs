//! The way of a new task where each block has its stack.

use super::{Builder, Packet};
use crate::error::SpawnErrorKind;
use crate::runtime;
use crate::task::TaskRef;
use windlass_arch::{self as arch, Entry};

impl Builder {
    /// Makes a task that will call `entry` with its block, and queues it; the caller puts the closure into its place.
    #[inline(never)]
    pub(super) fn prepare(self, packet: Packet, entry: Entry) -> Result<TaskRef, SpawnErrorKind> {
        let runtime = runtime::current();
        let minimum = packet.stack_size();
        if self.stack_size.unwrap_or(0) > runtime.stack_size {
            return Err(SpawnErrorKind::StackTooLarge);
        }
        if self.stack_size.unwrap_or(runtime.stack_size) < minimum {
            return Err(SpawnErrorKind::StackTooSmall { minimum });
        }
        let task = runtime.with(|scheduler| match scheduler.ended {
            Some(_) => Err(SpawnErrorKind::Ended),
            None => scheduler.admit(),
        })?;
        if let Some(name) = self.name {
            task.set_name(name);
        }
        task.begin_at(packet.size + (packet.align - arch::STACK_ALIGN));
        // SAFETY: the stack is the task's and long enough; `spawn` fills the packet before it does anything else.
        let context = unsafe { task.start.prepare(entry) };
        runtime.with(|scheduler| scheduler.start(task, context));
        Ok(task)
    }
}
