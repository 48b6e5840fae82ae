//! Pools: order, fairness, stealing, panics, shutdown with work left, and that no wake-up is lost.
#![cfg(all(feature = "pool", feature = "timers"))]

mod watchdog;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use watchdog::watched;
use windlass::pool::{self, Builder, Pool};
use windlass::remote::channel;
use windlass::{Duration, JoinError, SpawnErrorKind, current, park, run, runtime, sleep, spawn, yield_now};

/// Each context is an OS thread there, so many of them take long.
const THREADS_BACKEND: bool = cfg!(windlass_backend = "threads");

fn workers(workers: usize) -> Pool {
    Builder::new().workers(workers).build().expect("threads")
}

/// A pool of one worker that does nothing until the sender is dropped.
fn held() -> (Pool, mpsc::Sender<()>) {
    let pool = workers(1);
    let (release, held) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    drop(pool.spawn(move || {
        begun.send(()).expect("open");
        // Waits with its thread, so no other task runs.
        let _ = held.recv();
    }));
    has_begun.recv().expect("open");
    (pool, release)
}

#[test]
fn results_come_back_to_threads_and_tasks() {
    watched(|| {
        let pool = workers(2);
        assert_eq!(pool.workers(), 2);
        assert_eq!(pool.spawn(|| 6 * 7).join().expect("no panic"), 42);
        let in_task = run(move || {
            let handles: Vec<_> = (0..10).map(|n| pool.spawn(move || n * n)).collect();
            handles.into_iter().map(|handle| handle.join().expect("no panic")).sum::<u32>()
        });
        assert_eq!(in_task, 285);
    });
}

#[test]
fn while_a_task_joins_the_others_of_its_runtime_go_on() {
    watched(|| {
        let pool = workers(1);
        run(move || {
            let (to, from) = channel::rendezvous();
            let joiner =
                spawn(move || pool.spawn(move || from.recv().expect("open")).join().expect("no panic"));
            yield_now();
            assert!(!joiner.is_finished());
            to.send(5).expect("open");
            assert_eq!(joiner.join().expect("no panic"), 5);
        });
    });
}

#[test]
fn a_panic_reaches_join_and_the_worker_goes_on() {
    watched(|| {
        let pool = workers(1);
        let error = pool.spawn(|| panic!("the {}rd", 3)).join();
        match Result::<(), _>::err(error) {
            Some(JoinError::Panicked(panic)) => assert_eq!(panic.message(), Some("the 3rd")),
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.spawn(|| 1).join().expect("no panic"), 1);
    });
}

#[test]
fn a_cancelled_joiner_gives_up_and_the_joined_task_goes_on() {
    watched(|| {
        let pool = workers(1);
        let (to, from) = channel::rendezvous::<u32>();
        let (results, result) = channel::rendezvous();
        run(move || {
            let handle = pool.spawn(move || results.send(from.recv()));
            let joiner = spawn(move || handle.join());
            yield_now();
            joiner.cancel();
            assert!(matches!(joiner.join().expect("no panic"), Err(JoinError::Cancelled)));
            to.send(7).expect("open");
            assert_eq!(result.recv(), Ok(Ok(7)));
        });
    });
}

#[test]
fn closures_start_in_the_order_in_which_they_came() {
    watched(|| {
        let (pool, release) = held();
        let (order, came) = mpsc::channel();
        for n in 0..200 {
            let order = order.clone();
            drop(pool.spawn(move || order.send(n)));
        }
        drop((order, release));
        assert_eq!(came.iter().collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    });
}

#[test]
fn a_workers_own_closures_come_first_and_every_eighth_from_outside() {
    watched(|| {
        let pool = workers(1);
        let (begun, has_begun) = mpsc::channel();
        let (release, held) = mpsc::channel::<()>();
        let (order, came) = mpsc::channel();
        let inside = order.clone();
        drop(pool.spawn(move || {
            begun.send(()).expect("open");
            let _ = held.recv();
            for n in 0..12 {
                let inside = inside.clone();
                drop(pool::spawn(move || inside.send(("own", n))));
            }
        }));
        has_begun.recv().expect("open");
        for n in 0..2 {
            let order = order.clone();
            drop(pool.spawn(move || order.send(("outside", n))));
        }
        drop((order, release));
        let order: Vec<_> = came.iter().collect();
        // It was this worker's first closure, so the seventh after it is its eighth.
        let mut expected: Vec<_> = (0..12).map(|n| ("own", n)).collect();
        expected.insert(6, ("outside", 0));
        expected.push(("outside", 1));
        assert_eq!(order, expected);
    });
}

#[test]
fn closures_from_outside_have_their_turn_beside_a_workers_own() {
    watched(|| {
        let pool = workers(1);
        let stop = Arc::new(AtomicBool::new(false));
        /// Has a successor, always.
        fn chain(stop: Arc<AtomicBool>) {
            if !stop.load(Ordering::Acquire) {
                drop(pool::spawn(move || chain(stop)));
            }
        }
        // More than a turn starts, so the worker's own queue is never empty.
        for _ in 0..64 {
            let stop = Arc::clone(&stop);
            drop(pool.spawn(move || chain(stop)));
        }
        for n in 0..10 {
            assert_eq!(pool.spawn(move || n).join().expect("no panic"), n);
        }
        stop.store(true, Ordering::Release);
        pool.shutdown();
    });
}

#[test]
fn closures_start_although_tasks_yield_for_ever() {
    watched(|| {
        let pool = workers(1);
        let stop = Arc::new(AtomicBool::new(false));
        let yielders: Vec<_> = (0..40)
            .map(|_| {
                let stop = Arc::clone(&stop);
                pool.spawn(move || {
                    while !stop.load(Ordering::Acquire) {
                        yield_now();
                    }
                })
            })
            .collect();
        for n in 0..10 {
            assert_eq!(pool.spawn(move || n).join().expect("no panic"), n);
        }
        stop.store(true, Ordering::Release);
        yielders.into_iter().for_each(|yielder| yielder.join().expect("no panic"));
    });
}

#[test]
fn tasks_go_on_however_many_closures_wait() {
    watched(|| {
        let (pool, release) = held();
        let started = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&started);
        let yielder = pool.spawn(move || {
            for _ in 0..10 {
                yield_now();
            }
            seen.load(Ordering::Relaxed)
        });
        for _ in 0..5_000 {
            let started = Arc::clone(&started);
            drop(pool.spawn(move || started.fetch_add(1, Ordering::Relaxed)));
        }
        drop(release);
        let before = yielder.join().expect("no panic");
        assert!((1..=10 * 16).contains(&before), "{before} closures came before ten yields");
    });
}

#[test]
fn a_million_closures_take_a_few_stacks() {
    let count = if THREADS_BACKEND { 5_000 } else { 1_000_000 };
    watched(move || {
        let (pool, release) = held();
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..count {
            let ran = Arc::clone(&ran);
            drop(pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed)));
        }
        let last = pool.spawn(|| runtime::stats().stacks);
        drop(release);
        let stacks = last.join().expect("no panic");
        assert_eq!(ran.load(Ordering::Relaxed), count);
        assert!(stacks.in_use + stacks.pooled <= 64, "{stacks:?}");
    });
}

#[test]
fn closures_that_block_for_each_other_all_start() {
    let count = if THREADS_BACKEND { 100 } else { 5_000 };
    watched(move || {
        let pool = workers(1);
        let (to, from) = channel::rendezvous();
        let receivers: Vec<_> = (0..count)
            .map(|_| {
                let from = from.clone();
                pool.spawn(move || from.recv().expect("open"))
            })
            .collect();
        // It comes after all of them, and without it none can end.
        drop(pool.spawn(move || (0..count).for_each(|n| to.send(n).expect("open"))));
        let received: Vec<_> = receivers.into_iter().map(|task| task.join().expect("no panic")).collect();
        assert_eq!(received, (0..count).collect::<Vec<_>>());
    });
}

#[test]
fn what_a_busy_worker_has_not_started_is_stolen() {
    watched(|| {
        let pool = workers(2);
        let sum = pool.spawn(|| {
            let done = Arc::new(AtomicUsize::new(0));
            for _ in 0..10 {
                let done = Arc::clone(&done);
                drop(pool::spawn(move || done.fetch_add(1, Ordering::Release)));
            }
            // Keeps its thread: only the other worker can run them.
            while done.load(Ordering::Acquire) < 10 {
                thread::yield_now();
            }
        });
        sum.join().expect("no panic");
    });
}

#[test]
fn a_started_task_stays_on_its_thread() {
    watched(|| {
        let pool = workers(2);
        let (to, from) = channel::rendezvous();
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let from = from.clone();
                pool.spawn(move || {
                    let home = thread::current().id();
                    for _ in 0..50 {
                        from.recv().expect("open");
                        yield_now();
                        assert_eq!(thread::current().id(), home);
                    }
                })
            })
            .collect();
        (0..20 * 50).for_each(|n| to.send(n).expect("open"));
        tasks.into_iter().for_each(|task| task.join().expect("no panic"));
    });
}

#[test]
fn spawn_in_a_task_of_a_pool_is_of_that_pool_and_elsewhere_of_the_global_one() {
    if THREADS_BACKEND {
        // A task's thread has no name there.
        return;
    }
    let name = || thread::current().name().map(str::to_owned);
    watched(move || {
        let pool = Builder::new().workers(1).name("mine").build().expect("threads");
        let (own, nested, global) = pool
            .spawn(move || {
                let nested = pool::spawn(name).join().expect("no panic");
                let global = pool::global().spawn(name).join().expect("no panic");
                (name(), nested, global)
            })
            .join()
            .expect("no panic");
        assert_eq!((own.as_deref(), nested.as_deref()), (Some("mine-0"), Some("mine-0")));
        let outside = pool::spawn(name).join().expect("no panic");
        for of_global in [global, outside] {
            let of_global = of_global.expect("a name");
            assert!(of_global.starts_with("windlass-pool-"), "{of_global}");
        }
    });
}

#[test]
fn pools_in_tasks_of_pools_end_before_them() {
    watched(|| {
        let outer = workers(1);
        let sum = outer.spawn(|| {
            let inner = workers(2);
            let tasks: Vec<_> = (0..10).map(|n| inner.spawn(move || n)).collect();
            let sum = tasks.into_iter().map(|task| task.join().expect("no panic")).sum::<u32>();
            inner.shutdown();
            sum
        });
        assert_eq!(sum.join().expect("no panic"), 45);
        outer.shutdown();
    });
}

#[test]
fn many_threads_spawn_at_once() {
    let each = if THREADS_BACKEND { 200 } else { 5_000 };
    watched(move || {
        let pool = Arc::new(workers(2));
        let sum = Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (pool, sum) = (Arc::clone(&pool), Arc::clone(&sum));
                thread::spawn(move || {
                    for _ in 0..each {
                        let sum = Arc::clone(&sum);
                        drop(pool.spawn(move || sum.fetch_add(1, Ordering::Relaxed)));
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        Arc::into_inner(pool).expect("the last one").shutdown();
        assert_eq!(sum.load(Ordering::Relaxed), 4 * each);
    });
}

#[test]
fn shutdown_waits_for_all_that_is_left() {
    watched(|| {
        for drops in [false, true] {
            let (pool, release) = held();
            let ran = Arc::new(AtomicUsize::new(0));
            for n in 0..300 {
                let ran = Arc::clone(&ran);
                drop(pool.spawn(move || {
                    let last = move || ran.fetch_add(1, Ordering::Relaxed);
                    match n % 3 {
                        0 => drop(last()),
                        // What it spawns counts, too.
                        1 => drop(pool::spawn(last)),
                        // So do local tasks, although nobody joins them.
                        _ => drop(spawn(move || {
                            sleep(Duration::from_millis(1)).expect("not cancelled");
                            last();
                        })),
                    }
                }));
            }
            drop(release);
            if drops {
                drop(pool);
            } else {
                pool.shutdown();
            }
            assert_eq!(ran.load(Ordering::Relaxed), 300);
        }
    });
}

#[test]
fn shutdown_in_a_task_lets_the_others_of_its_runtime_go_on() {
    watched(|| {
        let pool = workers(2);
        run(move || {
            let (to, from) = channel::rendezvous();
            drop(pool.spawn(move || from.recv()));
            let shutdown = spawn(move || pool.shutdown());
            yield_now();
            assert!(!shutdown.is_finished());
            to.send(()).expect("open");
            shutdown.join().expect("no panic");
        });
    });
}

#[test]
fn a_pool_that_is_shut_down_in_a_task_of_its_own_says_so() {
    watched(|| {
        let pool = workers(1);
        let (to, from) = channel::rendezvous::<Pool>();
        let task = pool.spawn(move || from.recv().expect("open").shutdown());
        to.send(pool).expect("open");
        match task.join() {
            Err(JoinError::Panicked(panic)) => {
                assert!(panic.message().is_some_and(|message| message.contains("would wait for itself")));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_pool_that_is_dropped_in_a_task_of_its_own_ends_by_itself() {
    watched(|| {
        let pool = Arc::new(workers(2));
        let theirs = Arc::clone(&pool);
        let (to, from) = channel::rendezvous();
        let task = pool.spawn(move || {
            from.recv().expect("open");
            drop(theirs);
            pool::spawn(|| 5).join().expect("no panic")
        });
        drop(pool);
        to.send(()).expect("open");
        assert_eq!(task.join().expect("no panic"), 5);
    });
}

#[test]
fn what_a_detached_task_returns_is_dropped_in_the_task() {
    struct Returned(channel::Sender<bool>);
    impl Drop for Returned {
        fn drop(&mut self) {
            // It may even wait.
            let _ = self.0.send(windlass::try_current().is_some());
        }
    }
    watched(|| {
        let pool = workers(1);
        let (dropped, was_dropped) = channel::rendezvous();
        drop(pool.spawn(move || Returned(dropped)));
        assert_eq!(was_dropped.recv(), Ok(true));
        pool.shutdown();
    });
}

#[test]
fn a_pool_has_workers() {
    let error = Builder::new().workers(0).build().expect_err("none");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a pool has at least one worker");
}

#[test]
fn a_closure_without_a_stack_is_refused_by_name_and_dropped() {
    watched(|| {
        let pool = Builder::new().workers(1).stack_size(1).build().expect("threads");
        let value = Arc::new(());
        let theirs = Arc::clone(&value);
        match pool.spawn(move || drop(theirs)).join() {
            Err(error @ JoinError::NotStarted(SpawnErrorKind::StackTooSmall { .. })) => {
                assert!(error.to_string().starts_with("the pool could not start the task: the stack size"));
            }
            other => panic!("{other:?}"),
        }
        pool.shutdown();
        assert!(Arc::into_inner(value).is_some(), "its closure is gone");
    });
}

#[test]
fn closures_wait_for_a_stack_until_a_task_has_ended() {
    watched(|| {
        let (pool, release) = held();
        // The main task, this one, and one more.
        drop(pool.spawn(|| runtime::set_max_tasks(3)));
        let (to, from) = channel::rendezvous();
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let from = from.clone();
                pool.spawn(move || from.recv().expect("open"))
            })
            .collect();
        drop(release);
        (0..10).for_each(|n| to.send(n).expect("open"));
        let mut received: Vec<_> = tasks.into_iter().map(|task| task.join().expect("no panic")).collect();
        received.sort_unstable();
        assert_eq!(received, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn no_wake_up_is_lost_between_spawning_and_going_to_sleep() {
    let rounds = if THREADS_BACKEND || cfg!(debug_assertions) { 3_000 } else { 20_000 };
    watched(move || {
        let pool = workers(2);
        for round in 0..rounds {
            // Now and then late, so that the workers sleep.
            if round % 64 == 0 {
                thread::sleep(Duration::from_micros(300));
            }
            assert_eq!(pool.spawn(move || round).join().expect("no panic"), round);
        }
        run(move || {
            for round in 0..rounds {
                let inner = pool.spawn(move || pool::spawn(move || round).join().expect("no panic"));
                assert_eq!(inner.join().expect("no panic"), round);
            }
        });
    });
}

#[test]
fn no_wake_up_is_lost_between_parked_tasks_of_two_workers() {
    let rounds = if THREADS_BACKEND { 500 } else { 3_000 };
    watched(move || {
        let pool = workers(2);
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                pool.spawn(move || {
                    let me = current();
                    for round in 0..rounds {
                        let unparker = me.unparker().expect("alive");
                        let other = pool::spawn(move || {
                            unparker.unpark();
                            round
                        });
                        park().expect("not cancelled");
                        assert_eq!(other.join().expect("no panic"), round);
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().expect("no panic"));
    });
}

#[test]
fn no_wake_up_is_lost_while_pools_begin_and_end() {
    let rounds = if THREADS_BACKEND { 50 } else { 300 };
    watched(move || {
        for round in 0..rounds {
            let pool = workers(1 + round % 3);
            let ran = Arc::new(AtomicUsize::new(0));
            for _ in 0..round % 5 {
                let ran = Arc::clone(&ran);
                drop(pool.spawn(move || ran.fetch_add(1, Ordering::Relaxed)));
            }
            pool.shutdown();
            assert_eq!(ran.load(Ordering::Relaxed), round % 5);
        }
    });
}
