//! What one process measured, and how it tells the one that asked.

use std::fs;
use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::error::{Result, within};

/// So many operations took so much: nanoseconds, or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) ops: u64,
    pub(crate) total: u64,
}

impl Measured {
    /// Times `f`, which does `ops` operations.
    pub(crate) fn of(ops: u64, f: impl FnOnce()) -> Measured {
        let start = Instant::now();
        f();
        Measured::since(start, ops)
    }

    pub(crate) fn since(start: Instant, ops: u64) -> Measured {
        Measured { ops, total: nanos(start, Instant::now()) }
    }

    /// Tells, and ends the process at once: for where tasks are left that wait for ever. Taking a million of them down is
    /// not what is measured.
    pub(crate) fn leave(self) -> ! {
        self.tell();
        io::stdout().flush().expect("somebody reads it");
        // SAFETY: nothing is left to do; destructors would complain of those that wait, one by one.
        unsafe { libc::_exit(0) }
    }

    /// What `tasks` idle tasks take: called where they are all alive, as [`resident`] was before the first.
    pub(crate) fn memory(tasks: u64, before: u64) -> ! {
        Measured { ops: tasks, total: resident().saturating_sub(before) }.leave()
    }

    pub(crate) fn one(self) -> f64 {
        self.total as f64 / self.ops as f64
    }

    /// The child's whole output.
    pub(crate) fn tell(self) {
        println!("{} {}", self.ops, self.total);
    }

    /// The parent's side.
    pub(crate) fn parse(text: &str) -> Result<Measured> {
        let told = || -> Option<Measured> {
            let (ops, total) = text.trim().split_once(' ')?;
            Some(Measured { ops: ops.parse().ok()?, total: total.parse().ok()? })
        };
        told().ok_or_else(|| format!("said `{}` instead of a measurement", text.trim()).into())
    }
}

fn nanos(start: Instant, end: Instant) -> u64 {
    u64::try_from(end.duration_since(start).as_nanos()).unwrap_or(u64::MAX)
}

/// Times what many tasks do together: from the first that begins to the last that ends. Making them is left out, and so is
/// their end: who is done goes on with the same, which is counted, until all are.
///
/// Counts are read and written, but not as one: all tasks are on one thread. It is shared between threads by runtimes that
/// want `Send`.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    begun: AtomicU64,
    running: AtomicU64,
    /// What was done by those who were done.
    more: AtomicU64,
    start: OnceLock<Instant>,
    end: OnceLock<Instant>,
}

impl Meter {
    /// For so many tasks.
    pub(crate) fn new(tasks: u64) -> Meter {
        Meter { running: AtomicU64::new(tasks), ..Meter::default() }
    }

    /// A task begins with what is measured.
    #[inline]
    pub(crate) fn begin(&self) {
        if self.begun.load(Ordering::Relaxed) == 0 {
            self.begun.store(1, Ordering::Relaxed);
            self.start.get_or_init(Instant::now);
        }
    }

    /// A task has done its part. Returns whether it was the last.
    #[inline]
    pub(crate) fn end(&self) -> bool {
        let running = self.running.load(Ordering::Relaxed) - 1;
        self.running.store(running, Ordering::Relaxed);
        if running == 0 {
            self.end.get_or_init(Instant::now);
        }
        running == 0
    }

    /// Asked by a task that is done: whether others are not. If so it does one operation more.
    #[inline]
    pub(crate) fn others_run(&self) -> bool {
        let run = self.running.load(Ordering::Relaxed) > 0;
        if run {
            self.more.store(self.more.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        run
    }

    /// After the last task's end, where each has done its part of `ops`.
    pub(crate) fn measured(&self, ops: u64) -> Measured {
        match (self.start.get(), self.end.get()) {
            (Some(&start), Some(&end)) => {
                Measured { ops: ops + self.more.load(Ordering::Relaxed), total: nanos(start, end) }
            }
            _ => unreachable!("every task begins and ends"),
        }
    }
}

/// The process's resident memory in bytes; 0 where the system does not tell.
pub(crate) fn resident() -> u64 {
    let read = || -> Result<u64> {
        let file = "/proc/self/status";
        let status = fs::read_to_string(file).map_err(within(file))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    };
    read().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Measured, Meter};

    #[test]
    fn what_is_told_is_understood() {
        let measured = Measured { ops: 20, total: 50 };
        assert_eq!(Measured::parse("20 50\n").expect("two numbers"), measured);
        assert_eq!(measured.one(), 2.5);
        for bad in ["", "20", "a 1", "1 2 3"] {
            assert!(Measured::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_meter_runs_from_the_first_begin_to_the_last_end() {
        let meter = Meter::new(2);
        meter.begin();
        let first = *meter.start.get().expect("begun");
        meter.begin();
        meter.end();
        assert!(meter.end.get().is_none() && meter.others_run());
        meter.end();
        assert!(!meter.others_run());
        assert_eq!(*meter.start.get().expect("begun"), first);
        assert_eq!(meter.measured(7).ops, 8, "one more while the other ran");
    }
}
