//! A clock that stands still but for waiting.

use alloc::rc::Rc;
use core::cell::Cell;

use windlass::Instant;
use windlass::platform::{MayNotBlock, Platform};

/// Jumps to the time that is waited for. Clones share the time. As `MockClock`, and can be set back between cases.
#[derive(Clone, Debug, Default)]
pub struct Clock(Rc<Cell<u64>>);

impl Clock {
    /// At zero again: only while nobody looks.
    pub fn reset(&self) {
        self.0.set(0);
    }
}

impl Platform for Clock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.get())
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        let until = until.ok_or(MayNotBlock)?;
        self.0.set(self.0.get().max(until.as_nanos()));
        Ok(())
    }
}
