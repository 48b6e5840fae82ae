//! A short look around before a thread goes to sleep.
//!
//! To sleep and be woken takes tens of microseconds where the other thread is on another CPU; two threads that answer each other have
//! the answer in a fraction of one. So a thread looks for what it waits for as long as a part of what sleeping costs, then sleeps.
//! It never looks for longer than that each time it sleeps, so a thread that has nothing to do uses no CPU.
//!
//! It learns: each time that looking was in vain it looks half as long, soon not at all, as where both threads share a CPU or the other
//! one is slow. Every now and then it tries again. Where there is one CPU it never looks: nothing can change meanwhile.

use core::cell::Cell;
use core::hint::spin_loop;
use std::sync::OnceLock;

/// Most rounds; a round is tens of nanoseconds.
const MOST: u32 = 400;

/// Fewer are not worth it.
const LEAST: u32 = 16;

/// After so many sleeps without a look it tries again.
const PATIENCE: u32 = 32;

/// How long a thread looks before it sleeps.
#[derive(Debug)]
pub(crate) struct Spin {
    rounds: Cell<u32>,
    sleeps: Cell<u32>,
}

impl Spin {
    pub(crate) const fn new() -> Spin {
        Spin { rounds: Cell::new(MOST), sleeps: Cell::new(0) }
    }

    /// Waits by `sleep`, unless something is `there` before.
    pub(crate) fn or_sleep(&self, mut there: impl FnMut() -> bool, sleep: impl FnOnce()) {
        for _ in 0..self.rounds() {
            if there() {
                self.rounds.set(MOST);
                return;
            }
            spin_loop();
        }
        self.rounds.set(self.rounds.get() / 2);
        sleep();
    }

    fn rounds(&self) -> u32 {
        if !has_company() {
            return 0;
        }
        if self.rounds.get() < LEAST {
            self.sleeps.set(self.sleeps.get() + 1);
            if self.sleeps.get() < PATIENCE {
                return 0;
            }
            self.sleeps.set(0);
            self.rounds.set(MOST);
        }
        self.rounds.get()
    }
}

/// Whether there is another CPU, on which something can happen meanwhile.
fn has_company() -> bool {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| std::thread::available_parallelism().map_or(1, |cpus| cpus.get())) > 1
}
