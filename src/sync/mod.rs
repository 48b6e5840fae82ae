//! Locks and the like between tasks of one thread. Waiters are served first come, first served.

mod condvar;
mod mutex;
mod wait_group;

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use wait_group::WaitGroup;
