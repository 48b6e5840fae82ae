//! A runtime of one task: what `dispatcher.rs` does when nothing is ready, with the real inbox.

use super::What;
use crate::atomics::{Arc, current_thread, park};
use crate::inbox::{Inbox, Notify, Remote, Shared};
use crate::task::{TaskId, Wake};
use crate::time::Duration;
use crate::unparker::Wakeup;
use core::cell::RefCell;

/// What a platform does before and after its wait.
pub(crate) type Hook = Box<dyn Fn()>;

pub(crate) struct Runtime {
    pub(crate) inbox: Shared,
    pub(crate) remote: Remote,
    pub(crate) rest: Hook,
    pub(crate) resume: Hook,
}

loom::thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = RefCell::new(None);
}

/// A list that unparks this thread.
pub(crate) fn inbox() -> Shared {
    let thread = current_thread();
    let notify: Notify = Box::new(move || thread.unpark());
    Inbox::new(Some(notify))
}

/// Runs `f` as the one task of this thread.
pub(crate) fn run<T>(inbox: Shared, (rest, resume): (Hook, Hook), f: impl FnOnce(Remote) -> T) -> T {
    let remote = Remote::new(TaskId(0), &inbox);
    let runtime = Runtime { inbox: Arc::clone(&inbox), remote: remote.clone(), rest, resume };
    RUNTIME.with(|place| *place.borrow_mut() = Some(runtime));
    let value = f(remote);
    inbox.close();
    RUNTIME.with(|place| place.borrow_mut().take());
    value
}

/// A task that only waits.
pub(crate) fn run_task<T>(f: impl FnOnce() -> T) -> T {
    run(inbox(), (Box::new(|| ()), Box::new(|| ())), |_| f())
}

fn with<T>(f: impl FnOnce(&Runtime) -> T) -> Option<T> {
    RUNTIME.with(|place| place.borrow().as_ref().map(f))
}

pub(crate) fn is_running() -> bool {
    with(|_| ()).is_some()
}

pub(crate) fn remote() -> Option<Remote> {
    with(|runtime| runtime.remote.clone())
}

pub(crate) fn wake(remote: &Remote) {
    remote.post(Wakeup::REMOTE);
}

/// The host loop: the inbox; if it brought nothing and is empty, a wait.
pub(crate) fn block(_: What, deadline: Option<()>) -> Wake {
    with(|runtime| {
        loop {
            let mut woken = false;
            runtime.inbox.drain(|_, wakeup| woken |= wakeup.contains(Wakeup::REMOTE));
            if woken {
                return Wake::Done;
            }
            if deadline.is_some() {
                return Wake::TimedOut;
            }
            if runtime.inbox.is_empty() {
                (runtime.rest)();
                park();
                (runtime.resume)();
            }
        }
    })
    .expect("a task runs")
}

/// A timeout has passed when it is looked at.
pub(crate) fn moment(_: Duration) -> Option<()> {
    Some(())
}
