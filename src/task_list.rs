//! The list of tasks that reports carry.

use crate::scheduler::Scheduler;
use crate::task::{State, TaskBlock};
use alloc::borrow::Cow;
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
        for (id, block) in self.scheduler.tasks.iter() {
            let TaskBlock { state, name, waiting, .. } = block;
            if *state == State::Exited {
                continue;
            }
            lines += 1;
            if lines > self.most {
                continue;
            }
            if lines > 1 {
                f.write_str("\n")?;
            }
            write!(f, "  task {id}")?;
            if let Some(name) = name {
                let name: &Cow<'static, str> = name;
                write!(f, " \"{name}\"")?;
            }
            match state {
                State::Blocked => write!(f, ": {waiting}")?,
                State::Ready => f.write_str(": ready")?,
                State::Running => f.write_str(": running")?,
                State::InHost => f.write_str(": in a host call")?,
                State::Free | State::Exited => {}
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
