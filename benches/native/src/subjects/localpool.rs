//! futures: its `LocalPool`.

use std::future::Future;

use futures_executor::{LocalPool, LocalSpawner};
use futures_util::future::RemoteHandle;
use futures_util::task::LocalSpawnExt;

use crate::subject::Subject;
use crate::subjects::executor::{self, Executor};
use crate::subjects::nested::YieldNow;

pub(crate) const LOCALPOOL: Subject = Subject {
    name: "localpool",
    packages: &["futures-executor"],
    about: "LocalPool, joined through a RemoteHandle",
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
struct Local(LocalSpawner);

impl Executor for Local {
    type Handle = RemoteHandle<()>;

    fn run<T, F: Future<Output = T>>(main: impl FnOnce(Local) -> F) -> T {
        let mut pool = LocalPool::new();
        let spawner = pool.spawner();
        pool.run_until(main(Local(spawner)))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> RemoteHandle<()> {
        self.0.spawn_local_with_handle(task).expect("the pool is there")
    }

    fn join(handle: RemoteHandle<()>) -> impl Future<Output = ()> {
        handle
    }

    fn detach(handle: RemoteHandle<()>) {
        handle.forget();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        YieldNow::<true>(false)
    }
}
