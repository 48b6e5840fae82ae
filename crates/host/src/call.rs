//! Asynchronous calls of a reactor that the embedder polls itself.

use std::{fmt, marker::PhantomData, sync::Arc};

use crate::value::Type;

/// A call that [`Reactor::start`](crate::Reactor::start) started. Forgetting it leaves the call running and its result in the
/// guest; [`Reactor::cancel`](crate::Reactor::cancel) ends it.
#[must_use = "the call runs only when it is polled"]
pub struct AsyncCall<R> {
    pub(crate) reactor: u64,
    pub(crate) id: i32,
    name: Arc<str>,
    pub(crate) result: Option<Type>,
    returns: PhantomData<fn() -> R>,
}

impl<R> AsyncCall<R> {
    pub(crate) fn new(reactor: u64, id: i32, name: Arc<str>, result: Option<Type>) -> Self {
        Self { reactor, id, name, result, returns: PhantomData }
    }

    /// The guest's number for the call.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// The name of the export that was called.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }
}

impl<R> fmt::Debug for AsyncCall<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncCall").field("name", &self.name).field("id", &self.id).finish_non_exhaustive()
    }
}

/// How far an asynchronous call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<R> {
    /// It returned this.
    Done(R),
    /// It waits: for a timer (see [`Reactor::next_wake`](crate::Reactor::next_wake)) or for another call.
    Pending,
    /// It has not returned, and tasks are still runnable: poll again soon.
    Runnable,
}
