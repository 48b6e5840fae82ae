//! Channels and locks that cross threads: the order of service, what is given back, and that no wake-up is lost.
#![cfg(all(feature = "std", feature = "scheduler", feature = "timers"))]

mod watchdog;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use watchdog::watched;
use windlass::platform::MockClock;
use windlass::remote::channel::{self, Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError};
use windlass::remote::{Condvar, Mutex, Semaphore};
use windlass::{
    Cancelled, Duration, RunError, current, park, park_timeout, run, runtime, spawn, try_run, yield_now,
};

/// Long enough never to pass.
const LONG: Duration = Duration::from_secs(1000);
/// Passes soon.
const SOON: Duration = Duration::from_millis(2);

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<(Sender<u32>, Receiver<u32>)>();
    is_shared::<(Mutex<u32>, Condvar, Semaphore)>();
    // What need not be `Sync` may still pass through, and be locked.
    is_shared::<(Sender<std::cell::Cell<u32>>, Mutex<std::cell::Cell<u32>>)>();
};

/// Runs `f` in a task on a thread of its own.
fn task_on_a_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> thread::JoinHandle<T> {
    thread::spawn(move || run(f))
}

type Ends = (Sender<u32>, Receiver<u32>);

/// Each kind of channel.
fn kinds() -> [fn() -> Ends; 4] {
    [channel::rendezvous, || channel::bounded(1), || channel::bounded(7), channel::unbounded]
}

#[test]
fn values_arrive_in_order_between_tasks_and_threads() {
    const COUNT: u32 = 1000;
    fn send(to: Sender<u32>) {
        (0..COUNT).for_each(|n| to.send(n).expect("open"));
    }
    watched(|| {
        for kind in kinds() {
            for (sends_in_task, receives_in_task) in
                [(true, true), (true, false), (false, true), (false, false)]
            {
                let (to, from) = kind();
                let sender =
                    if sends_in_task { task_on_a_thread(|| send(to)) } else { thread::spawn(|| send(to)) };
                let receive = move || from.into_iter().collect::<Vec<_>>();
                let received = if receives_in_task { run(receive) } else { receive() };
                assert_eq!(received, (0..COUNT).collect::<Vec<_>>());
                sender.join().expect("no panic");
            }
        }
    });
}

#[test]
fn receivers_are_served_first_come_first_served() {
    watched(|| {
        let (to, from) = channel::rendezvous();
        let (ready, is_ready) = channel::rendezvous();
        let receivers = task_on_a_thread(move || {
            let tasks: Vec<_> = (0..5)
                .map(|_| {
                    let from = from.clone();
                    spawn(move || from.recv())
                })
                .collect();
            // Behind them in the run queue, so they wait by now.
            yield_now();
            ready.send(()).expect("open");
            tasks.into_iter().map(|task| task.join().expect("no panic")).collect::<Vec<_>>()
        });
        is_ready.recv().expect("open");
        (0..5).for_each(|n| to.send(n).expect("open"));
        assert_eq!(receivers.join().expect("no panic"), (0..5).map(Ok).collect::<Vec<_>>());
    });
}

#[test]
fn senders_are_served_first_come_first_served_and_their_values_move_up() {
    watched(|| {
        let (to, from) = channel::bounded(2);
        let (ready, is_ready) = channel::rendezvous();
        let senders = task_on_a_thread(move || {
            let tasks: Vec<_> = (0..6)
                .map(|n| {
                    let to = to.clone();
                    spawn(move || to.send(n))
                })
                .collect();
            drop(to);
            yield_now();
            ready.send(()).expect("open");
            tasks.into_iter().for_each(|task| task.join().expect("no panic").expect("open"));
        });
        is_ready.recv().expect("open");
        assert_eq!(from.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        senders.join().expect("no panic");
    });
}

#[test]
fn tasks_of_one_thread_hand_over_too() {
    let trace = run(|| {
        let (to, from) = channel::rendezvous();
        let receiver = spawn(move || from.into_iter().collect::<Vec<u32>>());
        for n in 0..5 {
            to.send(n).expect("open");
        }
        drop(to);
        receiver.join().expect("no panic")
    });
    assert_eq!(trace, [0, 1, 2, 3, 4]);
}

#[test]
fn what_cannot_be_sent_at_once_comes_back() {
    let (to, from) = channel::rendezvous();
    assert_eq!(to.try_send("a"), Err(TrySendError::Full("a")));
    assert_eq!(from.try_recv(), Err(TryRecvError::Empty));
    let (to, from) = channel::bounded(1);
    assert_eq!(to.try_send("a"), Ok(()));
    assert_eq!(to.try_send("b"), Err(TrySendError::Full("b")));
    assert!(to.close());
    assert!(!from.close(), "it was closed before");
    assert_eq!(to.try_send("c"), Err(TrySendError::Closed("c")));
    assert_eq!(to.send("d"), Err(SendError::Closed("d")));
    assert_eq!(from.try_recv(), Ok("a"), "what was sent before is received");
    assert_eq!(from.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(from.recv(), Err(RecvError::Closed));
}

#[test]
fn after_a_timeout_the_value_comes_back() {
    fn check() {
        let (to, from) = channel::rendezvous();
        assert_eq!(to.send_timeout("a", SOON), Err(SendError::TimedOut("a")));
        assert_eq!(to.send_timeout("b", Duration::ZERO), Err(SendError::TimedOut("b")));
        assert_eq!(from.recv_timeout(SOON), Err(RecvError::TimedOut));
        assert_eq!(to.try_send("c"), Err(TrySendError::Full("c")), "nobody waits any more");
        assert_eq!(from.try_recv(), Err(TryRecvError::Empty));
        drop(to);
        assert_eq!(from.recv_timeout(LONG), Err(RecvError::Closed));
    }
    watched(|| {
        check();
        run(check);
    });
}

#[test]
fn a_cancelled_task_gets_its_value_back() {
    watched(|| {
        run(|| {
            let (to, from) = channel::rendezvous();
            let sender = spawn(move || to.send("a"));
            yield_now();
            sender.cancel();
            assert_eq!(sender.join().expect("no panic"), Err(SendError::Cancelled("a")));
            assert_eq!(from.recv(), Err(RecvError::Closed));

            let (to, from) = channel::rendezvous::<u32>();
            let receiver = spawn(move || (from.recv(), from.recv()));
            receiver.cancel();
            let answers = receiver.join().expect("no panic");
            assert_eq!(answers, (Err(RecvError::Cancelled), Err(RecvError::Cancelled)));
            assert_eq!(to.send(1), Err(SendError::Closed(1)));
        });
    });
}

#[test]
fn closing_wakes_all_who_wait_on_any_thread_and_gives_back_what_they_send() {
    watched(|| {
        for closes_by_drop in [false, true] {
            let (to, from) = channel::rendezvous();
            let threads: Vec<_> = (0..2)
                .map(|n| {
                    let to = to.clone();
                    thread::spawn(move || to.send(n))
                })
                .collect();
            let tasks = {
                let to = to.clone();
                task_on_a_thread(move || {
                    let tasks: Vec<_> = (2..5)
                        .map(|n| {
                            let to = to.clone();
                            spawn(move || to.send(n))
                        })
                        .collect();
                    tasks.into_iter().map(|task| task.join().expect("no panic")).collect::<Vec<_>>()
                })
            };
            if closes_by_drop {
                drop(from);
            } else {
                assert!(from.close());
            }
            for (n, thread) in threads.into_iter().enumerate() {
                assert_eq!(thread.join().expect("no panic"), Err(SendError::Closed(n)));
            }
            let expected: Vec<_> = (2..5).map(|n| Err(SendError::Closed(n))).collect();
            assert_eq!(tasks.join().expect("no panic"), expected);
        }
    });
}

#[test]
fn values_are_dropped_once() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    watched(|| {
        let dropped = Arc::new(AtomicUsize::new(0));
        let new = || Counted(Arc::clone(&dropped));
        let count = || dropped.load(Ordering::Relaxed);
        let (to, from) = channel::unbounded();
        (0..3).for_each(|_| assert!(to.try_send(new()).is_ok()));
        drop(from.recv().ok());
        assert_eq!(count(), 1);
        drop(from);
        assert_eq!(count(), 3, "with the last receiver");
        drop(to.send(new()));
        assert_eq!(count(), 4, "it came back");

        let (to, from) = channel::rendezvous();
        assert!(to.send_timeout(new(), SOON).is_err());
        assert_eq!(count(), 5);
        let receiver = task_on_a_thread(move || drop(from.recv().ok()));
        to.send(new()).expect("open");
        receiver.join().expect("no panic");
        assert_eq!(count(), 6);
    });
}

#[test]
fn the_token_of_unpark_is_not_touched() {
    watched(|| {
        let (to, from) = channel::rendezvous();
        let (done, is_done) = channel::rendezvous();
        let other = thread::spawn(move || {
            to.send(1).expect("open");
            is_done.recv().expect("open");
        });
        run(move || {
            current().unpark();
            assert_eq!(from.recv(), Ok(1), "it waits although there is a token");
            assert_eq!(park_timeout(LONG), Ok(true), "the token is still there");
            done.send(()).expect("open");
            assert_eq!(park_timeout(SOON), Ok(false), "and no other came");
        });
        other.join().expect("no panic");
    });
}

#[test]
fn an_unparker_does_not_end_a_wait_for_another_thread() {
    watched(|| {
        let (to, from) = channel::rendezvous();
        let (unparkers, unparker) = channel::rendezvous();
        let task = task_on_a_thread(move || {
            unparkers.send(current().unparker().expect("alive")).expect("open");
            let received = from.recv();
            (received, park())
        });
        unparker.recv().expect("open").unpark();
        to.send(5).expect("open");
        assert_eq!(task.join().expect("no panic"), (Ok(5), Ok(())));
    });
}

#[test]
fn reports_say_what_a_task_waits_for() {
    let error = thread::spawn(|| {
        runtime::Builder::new().platform(MockClock::new()).install().expect("a new thread");
        let (to, from) = channel::rendezvous::<u32>();
        let result = try_run(move || from.recv());
        drop(to);
        result
    })
    .join()
    .expect("no panic");
    match error {
        // That clock may not wait without a deadline.
        Err(error @ RunError::WouldWait { .. }) => {
            assert!(error.to_string().contains("receiving from a remote channel"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_value_is_received_once_whatever_times_out() {
    const SENDERS: usize = 4;
    let each = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
    watched(move || {
        for capacity in [0, 1, 3] {
            let (to, from) = channel::bounded(capacity);
            let senders: Vec<_> = (0..SENDERS)
                .map(|sender| {
                    let to = to.clone();
                    task_on_a_thread(move || {
                        (0..each)
                            .filter_map(|n| {
                                let value = sender * each + n;
                                let timeout = Duration::from_micros(n as u64 % 40);
                                match to.send_timeout(value, timeout) {
                                    Ok(()) => Some(value),
                                    Err(SendError::TimedOut(back)) => {
                                        assert_eq!(back, value);
                                        None
                                    }
                                    Err(other) => panic!("{other:?}"),
                                }
                            })
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            drop(to);
            let receivers: Vec<_> = (0..2)
                .map(|kind| {
                    let from = from.clone();
                    let receive = move || {
                        let mut received = Vec::new();
                        loop {
                            match from.recv_timeout(Duration::from_micros(received.len() as u64 % 30)) {
                                Ok(value) => received.push(value),
                                Err(RecvError::TimedOut) => {}
                                Err(_) => return received,
                            }
                        }
                    };
                    if kind == 0 { thread::spawn(receive) } else { task_on_a_thread(receive) }
                })
                .collect();
            let mut sent = BTreeSet::new();
            for sender in senders {
                sent.extend(sender.join().expect("no panic"));
            }
            let mut received = BTreeSet::new();
            for receiver in receivers {
                for value in receiver.join().expect("no panic") {
                    assert!(received.insert(value), "{value} came twice");
                }
            }
            assert_eq!(sent, received);
        }
    });
}

#[test]
fn every_value_is_received_once_whoever_is_cancelled() {
    let rounds = if cfg!(debug_assertions) { 500 } else { 2_000 };
    watched(move || {
        for round in 0..rounds {
            let (to, from) = channel::rendezvous::<u32>();
            let sender = thread::spawn(move || to.send(round).is_ok());
            let received = run(move || {
                let receiver = spawn(move || from.recv());
                for _ in 0..round % 7 {
                    yield_now();
                }
                receiver.cancel();
                receiver.join().expect("no panic")
            });
            match received {
                Ok(value) => {
                    assert_eq!(value, round);
                    assert!(sender.join().expect("no panic"));
                }
                Err(error) => {
                    assert_eq!(error, RecvError::Cancelled);
                    assert!(!sender.join().expect("no panic"), "it was not taken");
                }
            }
        }
    });
}

#[test]
fn no_wake_up_is_lost_between_threads_that_answer_each_other() {
    let rounds = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
    watched(move || {
        let (ping, pings) = channel::rendezvous();
        let (pong, pongs) = channel::rendezvous();
        let echo = task_on_a_thread(move || {
            for value in pings {
                // Now and then late, so that the other one goes to sleep.
                if value % 512 == 0 {
                    thread::sleep(Duration::from_micros(200));
                }
                pong.send(value).expect("open");
            }
        });
        run(move || {
            for value in 0..rounds {
                ping.send(value).expect("open");
                assert_eq!(pongs.recv(), Ok(value));
            }
        });
        echo.join().expect("no panic");
    });
}

#[test]
fn a_mutex_is_held_by_one_at_a_time() {
    static INSIDE: AtomicBool = AtomicBool::new(false);
    const EACH: usize = 200;
    fn add(total: &Mutex<usize>, waits: impl Fn()) {
        for _ in 0..EACH {
            let mut total = total.lock().expect("not cancelled");
            assert!(!INSIDE.swap(true, Ordering::Relaxed), "two are inside");
            let before = *total;
            waits();
            *total = before + 1;
            INSIDE.store(false, Ordering::Relaxed);
        }
    }
    watched(|| {
        let total = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let total = Arc::clone(&total);
                if n % 2 == 0 {
                    thread::spawn(move || add(&total, thread::yield_now))
                } else {
                    task_on_a_thread(move || {
                        let other = Arc::clone(&total);
                        let other = spawn(move || add(&other, yield_now));
                        add(&total, yield_now);
                        other.join().expect("no panic");
                    })
                }
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(*total.lock().expect("not cancelled"), 6 * EACH);
        let mut total = Arc::into_inner(total).expect("the last one");
        *total.get_mut() += 1;
        assert_eq!(total.into_inner(), 6 * EACH + 1);
    });
}

#[test]
fn a_mutex_is_handed_over_to_who_has_waited_longest() {
    watched(|| {
        run(|| {
            let order = Arc::new(Mutex::new(Vec::new()));
            let guard = order.lock().expect("not cancelled");
            let tasks: Vec<_> = (0..4)
                .map(|n| {
                    let order = Arc::clone(&order);
                    spawn(move || order.lock().map(|mut order| order.push(n)))
                })
                .collect();
            yield_now();
            assert!(order.try_lock().is_none());
            tasks[1].cancel();
            drop(guard);
            assert!(order.try_lock().is_none(), "it was not open in between");
            let answers: Vec<_> = tasks.into_iter().map(|task| task.join().expect("no panic")).collect();
            assert!(matches!(answers[..], [Ok(()), Err(Cancelled { .. }), Ok(()), Ok(())]), "{answers:?}");
            assert_eq!(*order.try_lock().expect("open"), [0, 2, 3]);
        });
    });
}

#[test]
fn a_panic_of_the_holder_unlocks_a_mutex() {
    let mutex = Arc::new(Mutex::new(1));
    let theirs = Arc::clone(&mutex);
    let result = task_on_a_thread(move || {
        let _guard = theirs.lock().expect("not cancelled");
        panic!("while it holds the lock");
    });
    assert!(Result::<(), _>::is_err(&result.join()));
    assert_eq!(mutex.try_lock().as_deref(), Some(&1));
}

#[test]
fn a_condition_variable_misses_nothing() {
    const COUNT: usize = 2000;
    watched(|| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let theirs = Arc::clone(&shared);
        // Each makes it odd or even, in turns.
        let other = task_on_a_thread(move || {
            for _ in 0..COUNT {
                let number = theirs.0.lock().expect("not cancelled");
                let mut number =
                    theirs.1.wait_while(number, |number| *number % 2 == 0).expect("not cancelled");
                *number += 1;
                theirs.1.notify_one();
            }
        });
        for _ in 0..COUNT {
            let number = shared.0.lock().expect("not cancelled");
            let mut number = shared.1.wait_while(number, |number| *number % 2 == 1).expect("not cancelled");
            *number += 1;
            shared.1.notify_all();
        }
        other.join().expect("no panic");
        assert_eq!(*shared.0.lock().expect("not cancelled"), 2 * COUNT);
    });
}

#[test]
fn a_condition_variables_timeout_and_cancellation_lose_no_notification() {
    watched(|| {
        run(|| {
            let shared = Arc::new((Mutex::new(()), Condvar::new()));
            let (guard, notified) =
                shared.1.wait_timeout(shared.0.lock().expect("not cancelled"), SOON).expect("not cancelled");
            assert!(!notified);
            drop(guard);
            assert!(!shared.1.notify_one(), "nobody waits any more");

            let waits = |shared: &Arc<(Mutex<()>, Condvar)>| {
                let shared = Arc::clone(shared);
                spawn(move || {
                    let guard = shared.0.lock()?;
                    shared.1.wait(guard).map(drop)
                })
            };
            let (first, second) = (waits(&shared), waits(&shared));
            yield_now();
            // The first is notified, but cannot lock any more: the second is notified in its place.
            let guard = shared.0.lock().expect("open");
            assert!(shared.1.notify_one());
            yield_now();
            first.cancel();
            yield_now();
            drop(guard);
            assert!(matches!(first.join().expect("no panic"), Err(Cancelled { .. })));
            assert_eq!(second.join().expect("no panic"), Ok(()));
        });
    });
}

#[test]
fn a_semaphore_lets_so_many_in() {
    const PERMITS: usize = 2;
    watched(|| {
        let shared = Arc::new((Semaphore::new(PERMITS), AtomicUsize::new(0), AtomicUsize::new(0)));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let shared = Arc::clone(&shared);
                task_on_a_thread(move || {
                    let (semaphore, inside, most) = &*shared;
                    for _ in 0..200 {
                        semaphore.acquire().expect("not cancelled");
                        most.fetch_max(inside.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                        yield_now();
                        inside.fetch_sub(1, Ordering::AcqRel);
                        semaphore.release(1);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert!((1..=PERMITS).contains(&shared.2.load(Ordering::Acquire)));
        assert!(shared.0.try_acquire() && shared.0.try_acquire() && !shared.0.try_acquire());
        assert_eq!(shared.0.acquire_timeout(SOON), Ok(false));
        shared.0.release(1);
        assert_eq!(shared.0.acquire_timeout(LONG), Ok(true));
    });
}
