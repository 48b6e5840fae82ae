//! async-executor: its `LocalExecutor`.

use std::future::Future;
use std::rc::Rc;

use async_executor::{LocalExecutor, Task};
use futures_lite::future::{block_on, yield_now};

use crate::subject::Subject;
use crate::subjects::executor::{self, Executor};

pub(crate) const ASYNC_EXECUTOR: Subject = Subject {
    name: "async-executor",
    packages: &["async-executor"],
    about: "LocalExecutor",
    most_tasks: None,
    countable: true,
    benches: &[
        ("yield", executor::yields::<Local>),
        ("yield-shuffled", executor::shuffled::<Local>),
        ("spawn", executor::spawn::<Local>),
        ("spawn-burst", executor::burst::<Local>),
        ("memory", executor::memory::<Local>),
    ],
};

#[derive(Clone)]
struct Local(Rc<LocalExecutor<'static>>);

impl Executor for Local {
    type Handle = Task<()>;

    fn run<T, F: Future<Output = T>>(main: impl FnOnce(Local) -> F) -> T {
        let executor = Rc::new(LocalExecutor::new());
        block_on(executor.run(main(Local(Rc::clone(&executor)))))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task<()> {
        self.0.spawn(task)
    }

    fn join(handle: Task<()>) -> impl Future<Output = ()> {
        handle
    }

    fn detach(handle: Task<()>) {
        handle.detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        yield_now()
    }
}
