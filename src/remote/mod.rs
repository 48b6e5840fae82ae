//! What crosses threads: channels and locks that tasks of any runtime share, and threads without one.
//!
//! The names, the errors and the order of service are those of [`channel`](crate::channel) and [`sync`](crate::sync). A task that
//! must wait blocks, and its runtime goes on with others; on a plain thread the thread waits.
//!
//! ```text
//!   thread 1                                         thread 2
//!   task A: recv ──► lock, link a waiter, unlock      task B: send ──► lock, unlink A's waiter,
//!           block ◄─── inbox ◄─────────────────────────────────────── put the value there, unlock, wake A
//! ```
//!
//! What is shared lies behind a lock of the operating system that is held for a few instructions, never across a switch and never
//! while user code runs. Who waits has a *waiter* on its own stack, so waiting allocates nothing but, once a task, the node by which
//! other threads wake it.
//!
//! * *Anchored*: a waiter is linked only while the call whose stack it lies on waits: that call unlinks it before it returns, however
//!   it ends. A suspended task's stack is never freed while the task may go on.
//! * *Last Touch*: who takes a waiter out writes its outcome last, and never looks at it again; from then on it belongs to its owner.
//! * *Own Condition*: a wake-up carries nothing; who is woken looks at its waiter. So one that comes late, for a wait that has ended, does no
//!   harm; and the token of [`unpark`](crate::Task::unpark) is not touched, as this is another kind of waiting.
//!
//! Nobody can tell whether another thread will still send, so a task that waits here is never a deadlock: the runtime waits with it.
//! A plain thread waits by [`std::thread::park`], and may use up a token of `std`'s `unpark`, as `std`'s own channels do.
//!
//! # Examples
//! ```
//! let (questions, inbox) = windlass::remote::channel::rendezvous::<u32>();
//! let (outbox, answers) = windlass::remote::channel::bounded::<u32>(4);
//! let doubler = std::thread::spawn(move || {
//!     windlass::run(move || {
//!         for question in inbox {
//!             outbox.send(question * 2).unwrap();
//!         }
//!     })
//! });
//! questions.send(21).unwrap(); // this thread has no tasks: it waits itself
//! assert_eq!(answers.recv().unwrap(), 42);
//! questions.close();
//! doubler.join().unwrap();
//! ```

pub mod channel;
mod condvar;
mod mutex;
mod semaphore;
pub(crate) mod task;
pub(crate) mod waiter;
mod waiters;

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use semaphore::Semaphore;

use crate::task::Waiting;

/// What a task waits for, for reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Send,
    Receive,
    Lock,
    Condvar,
    Semaphore,
    #[cfg(feature = "pool")]
    Join,
    #[cfg(feature = "pool")]
    Work,
}

impl What {
    pub(crate) fn waiting(self) -> Waiting {
        match self {
            What::Send => Waiting::RemoteSend,
            What::Receive => Waiting::RemoteReceive,
            What::Lock => Waiting::RemoteLock,
            What::Condvar => Waiting::RemoteCondvar,
            What::Semaphore => Waiting::RemoteSemaphore,
            #[cfg(feature = "pool")]
            What::Join => Waiting::PoolJoin,
            #[cfg(feature = "pool")]
            What::Work => Waiting::PoolWork,
        }
    }
}
