//! Wake-ups from other threads: none is lost, and waiting for one is not a deadlock.
#![cfg(feature = "scheduler")]

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use windlass::{RunError, current, park, spawn, try_run, yield_now};

#[test]
fn a_parked_task_is_woken_by_another_thread() {
    let value = Arc::new(AtomicU32::new(0));
    let shared = Arc::clone(&value);
    windlass::run(move || {
        let unparker = current().unparker().expect("alive");
        let thread = thread::spawn(move || {
            shared.store(7, Ordering::Release);
            unparker.unpark();
        });
        while value.load(Ordering::Acquire) != 7 {
            park().expect("not cancelled");
        }
        thread.join().expect("no panic");
    });
}

/// Two that yield to each other have nothing else to look at, but for the inbox.
#[test]
fn a_parked_task_is_woken_while_others_yield() {
    windlass::run(|| {
        let woken = Rc::new(Cell::new(false));
        let parked = spawn({
            let woken = Rc::clone(&woken);
            move || {
                park().expect("not cancelled");
                woken.set(true);
            }
        });
        let unparker = parked.task().unparker().expect("alive");
        let posted = Arc::new(AtomicU32::new(0));
        let thread = thread::spawn({
            let posted = Arc::clone(&posted);
            move || {
                unparker.unpark();
                posted.store(1, Ordering::Release);
            }
        });
        let yields = [(); 2].map(|()| {
            let posted = Arc::clone(&posted);
            spawn(move || {
                while posted.load(Ordering::Acquire) == 0 {
                    yield_now();
                }
                (0..200).for_each(|_| yield_now());
            })
        });
        for task in yields {
            task.join().expect("no panic");
        }
        assert!(woken.get());
        parked.join().expect("no panic");
        thread.join().expect("no panic");
    });
}

#[test]
fn no_wake_up_is_lost_between_many_threads_and_many_tasks() {
    const ROUNDS: u32 = 2000;
    const THREADS: usize = 4;
    windlass::run(|| {
        let tasks: Vec<_> = (0..THREADS)
            .map(|_| {
                spawn(|| {
                    let (ping, pong) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
                    let (their_ping, their_pong) = (Arc::clone(&ping), Arc::clone(&pong));
                    let unparker = current().unparker().expect("alive");
                    let thread = thread::spawn(move || {
                        for round in 1..=ROUNDS {
                            while their_ping.load(Ordering::Acquire) != round {
                                thread::yield_now();
                            }
                            their_pong.store(round, Ordering::Release);
                            unparker.unpark();
                        }
                    });
                    for round in 1..=ROUNDS {
                        ping.store(round, Ordering::Release);
                        while pong.load(Ordering::Acquire) != round {
                            park().expect("not cancelled");
                        }
                    }
                    thread.join().expect("no panic");
                })
            })
            .collect();
        for task in tasks {
            task.join().expect("no panic");
        }
    });
}

#[test]
fn without_anybody_who_could_wake_it_a_parked_task_is_a_deadlock() {
    let error = try_run(|| {
        let unparker = current().unparker().expect("alive");
        drop(unparker);
        park()
    })
    .map(|result| result.is_ok());
    assert!(matches!(error, Err(RunError::Deadlock { .. })));
}

#[test]
fn an_unpark_after_the_task_and_its_runtime_are_gone_does_nothing() {
    let unparker =
        thread::spawn(|| windlass::run(|| current().unparker().expect("alive"))).join().expect("no panic");
    unparker.unpark();
    unparker.unpark();
}
