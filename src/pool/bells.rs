//! Who must be told of new work: a byte for each worker.
//!
//! ```text
//!                 nothing found                    no task is ready
//!   [looking] ───────────────────► [listening] ───────────────────────► [idle]
//!       ▲                               │   ▲                              │
//!       └────────── rung ───────────────┴───┼────────── rung ──────────────┤
//!                                           └── its own tasks go on ───────┘
//! ```
//!
//! *Look Again*: a worker that finds no work says that it is listening, and then looks once more. Who has added work looks for a
//! worker to ring afterwards. A fence stands between the two steps on both sides, so one of the two sees the other: either the
//! worker finds the work, or it is rung. (That all are looking is an answer, too: each of them will look again before it listens.)
//!
//! Idle workers are rung first: they have nothing else to do, and others would interrupt their tasks.

use crate::atomics::{AtomicU8, Ordering, fence};
use alloc::boxed::Box;

const LOOKING: u8 = 0;
const LISTENING: u8 = 1;
const IDLE: u8 = 2;

/// The bells of a pool.
#[derive(Debug)]
pub(crate) struct Bells {
    states: Box<[AtomicU8]>,
}

impl Bells {
    /// All workers are looking.
    pub(crate) fn new(workers: usize) -> Bells {
        Bells { states: (0..workers).map(|_| AtomicU8::new(LOOKING)).collect() }
    }

    /// The worker has found nothing. It must look once more before it waits.
    pub(crate) fn listen(&self, worker: usize) {
        self.states[worker].swap(LISTENING, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Whether nobody has rung since.
    pub(crate) fn is_listening(&self, worker: usize) -> bool {
        self.states[worker].load(Ordering::Acquire) != LOOKING
    }

    /// The worker looks again, by itself. Returns whether nobody had rung.
    pub(crate) fn look(&self, worker: usize) -> bool {
        let state = &self.states[worker];
        state.load(Ordering::Relaxed) != LOOKING && state.swap(LOOKING, Ordering::AcqRel) != LOOKING
    }

    /// Something has changed that every worker must see: rings one of them, which is to be woken whatever it was doing.
    pub(crate) fn summon(&self, worker: usize) {
        fence(Ordering::SeqCst);
        self.states[worker].swap(LOOKING, Ordering::AcqRel);
    }

    /// The worker's thread is about to wait, unless it was rung.
    pub(crate) fn rest(&self, worker: usize) {
        self.change(worker, LISTENING, IDLE);
    }

    /// The worker's thread goes on.
    pub(crate) fn resume(&self, worker: usize) {
        self.change(worker, IDLE, LISTENING);
    }

    fn change(&self, worker: usize, from: u8, to: u8) {
        // It has failed if the worker was rung, which stands.
        let _ = self.states[worker].compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// There is new work: chooses a worker that is to be woken, other than `but`; looks from `start` on, so that not always the same
    /// is the first.
    pub(crate) fn ring(&self, start: usize, but: Option<usize>) -> Option<usize> {
        fence(Ordering::SeqCst);
        let workers = self.states.len();
        let from_start =
            || (0..workers).map(|index| (start + index) % workers).filter(|index| Some(*index) != but);
        let idle = from_start().find(|&index| {
            let state = &self.states[index];
            state.load(Ordering::Relaxed) == IDLE
                && state.compare_exchange(IDLE, LOOKING, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        });
        idle.or_else(|| {
            from_start().find(|&index| {
                let state = &self.states[index];
                state.load(Ordering::Relaxed) != LOOKING && state.swap(LOOKING, Ordering::AcqRel) != LOOKING
            })
        })
    }
}
