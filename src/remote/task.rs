//! A task's side of waiting for other threads: the one file here that knows the scheduler.

use super::What;
use crate::dispatcher;
use crate::inbox::Remote;
use crate::runtime;
use crate::scheduler::Block;
use crate::task::Wake;
use crate::time::{Duration, Moment};
use crate::unparker::Wakeup;

/// Whether a task runs on this thread.
pub(crate) fn is_running() -> bool {
    runtime::existing().is_some() && runtime::with(|scheduler| scheduler.running().is_some())
}

/// What wakes the running task, or none outside of tasks.
pub(crate) fn remote() -> Option<Remote> {
    let inbox = &runtime::existing()?.inbox;
    runtime::with(|scheduler| {
        let me = scheduler.running()?;
        if me.remote().is_none() {
            me.set_remote(Remote::new(me.id(), inbox));
        }
        me.remote().cloned()
    })
}

/// Ends the present [`block`] of a task: at once if it is one of this thread, else by its runtime's inbox.
pub(crate) fn wake(remote: &Remote) {
    match runtime::existing().and_then(|runtime| remote.task_of(&runtime.inbox)) {
        Some(id) => runtime::with(|scheduler| scheduler.wake_remote(id)),
        None => remote.post(Wakeup::REMOTE),
    }
}

/// Blocks the running task until it is woken, for its present wait or an earlier one.
pub(crate) fn block(what: What, deadline: Option<Moment>) -> Wake {
    // Only a task gets here, so the name is for nobody.
    dispatcher::block("remote", &Block { deadline, ..Block::on(what.waiting()) })
}

/// The moment, by the runtime's clock, that lies `timeout` ahead.
#[cfg(feature = "timers")]
pub(crate) fn moment(timeout: Duration) -> Option<Moment> {
    Some(crate::time::Instant::now() + timeout)
}

/// Without timers nobody can ask for one.
#[cfg(not(feature = "timers"))]
pub(crate) fn moment(_: Duration) -> Option<Moment> {
    None
}
