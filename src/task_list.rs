//! The list of tasks that reports carry.

use crate::scheduler::Scheduler;
use core::fmt;

/// The list of tasks that errors carry: one line a task, but for the exited ones.
///
/// ```text
///   task 2 "adder": receiving from a channel
///   task 5: ready
/// ```
pub(crate) struct Report<'a> {
    pub(crate) scheduler: &'a Scheduler,
    /// Lines at most; what is left out is counted.
    pub(crate) most: usize,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = 0;
        for block in self.scheduler.tasks.iter() {
            lines += 1;
            if lines > self.most {
                continue;
            }
            if lines > 1 {
                f.write_str("\n")?;
            }
            write!(f, "  task {}", block.id())?;
            if let Some(name) = block.name() {
                write!(f, " \"{name}\"")?;
            }
            let running = self.scheduler.running().is_some_and(|me| me.id() == block.id());
            if running {
                f.write_str(": running")?;
            } else {
                write!(f, ": {}", block.waiting.get())?;
            }
            if let Some(joined) = block.joined() {
                write!(f, " {}", joined.id())?;
            }
        }
        if lines == 0 {
            f.write_str("  no task")?;
        }
        if lines > self.most {
            write!(f, "\n  and {} more", lines - self.most)?;
        }
        Ok(())
    }
}
