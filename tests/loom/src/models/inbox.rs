//! The inbox of one owner, and two who wake.

use super::check;
use crate::atomics::park;
use crate::inbox::{Inbox, Remote};
use crate::remote::task::inbox;
use crate::task::TaskId;
use crate::unparker::Wakeup;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU8, Ordering};
use loom::thread;

/// What each waker has done is visible to the owner once it is woken; no order of putting in and going to sleep loses one.
fn two_wakers(tasks: [u32; 2]) {
    // With both of a node's kinds of wake-up.
    let kinds = [Wakeup::UNPARK, Wakeup::REMOTE];
    let inbox = inbox();
    let one = Remote::new(TaskId(tasks[0]), &inbox);
    let two = if tasks[0] == tasks[1] { one.clone() } else { Remote::new(TaskId(tasks[1]), &inbox) };
    let done = Arc::new([AtomicU8::new(0), AtomicU8::new(0)]);
    let threads: Vec<_> = [one, two]
        .into_iter()
        .zip(0..)
        .map(|(remote, n)| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                done[n].store(1, Ordering::Relaxed);
                remote.post(kinds[n]);
            })
        })
        .collect();
    let mut woken = [false; 2];
    while woken != [true; 2] {
        inbox.drain(|task, wakeup| {
            for n in 0..2 {
                if task == TaskId(tasks[n]) && wakeup.contains(kinds[n]) {
                    assert_eq!(done[n].load(Ordering::Relaxed), 1, "the wake-up came before its cause");
                    assert!(!woken[n], "it came twice");
                    woken[n] = true;
                }
            }
        });
        if woken != [true; 2] && inbox.is_empty() {
            park();
        }
    }
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    inbox.close();
}

#[test]
fn two_threads_wake_one_task() {
    check(Some(3), || two_wakers([0, 0]));
}

#[test]
fn two_threads_wake_two_tasks() {
    check(Some(3), || two_wakers([0, 1]));
}

#[test]
fn one_that_wakes_again_and_again_is_heard_after_its_last_time() {
    check(None, || {
        let inbox = inbox();
        let remote = Remote::new(TaskId(0), &inbox);
        let count = Arc::new(AtomicU8::new(0));
        let theirs = Arc::clone(&count);
        let waker = thread::spawn(move || {
            for n in 1..=2 {
                theirs.store(n, Ordering::Relaxed);
                remote.post(Wakeup::UNPARK);
            }
        });
        // The condition of the task, which it looks at when it is woken.
        let mut seen = 0;
        while seen != 2 {
            let mut woken = false;
            inbox.drain(|_, _| woken = true);
            if woken {
                seen = count.load(Ordering::Relaxed);
            } else if inbox.is_empty() {
                park();
            }
        }
        waker.join().expect("no panic");
        inbox.close();
    });
}

#[test]
fn wake_ups_of_one_thread_come_in_their_order() {
    check(None, || {
        let inbox = inbox();
        let remotes = [0, 1].map(|task| Remote::new(TaskId(task), &inbox));
        let waker = thread::spawn(move || remotes.iter().for_each(|remote| remote.post(Wakeup::UNPARK)));
        let mut order = Vec::new();
        while order.len() < 2 {
            inbox.drain(|task, _| order.push(task));
            if order.len() < 2 && inbox.is_empty() {
                park();
            }
        }
        assert_eq!(order, [TaskId(0), TaskId(1)]);
        waker.join().expect("no panic");
    });
}

#[test]
fn an_owner_that_goes_leaves_nothing_behind() {
    check(None, || {
        let inbox = Inbox::new(None);
        let one = Remote::new(TaskId(0), &inbox);
        let two = one.clone();
        let threads = [one, two].map(|remote| thread::spawn(move || remote.post(Wakeup::UNPARK)));
        inbox.close();
        drop(inbox);
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        // What is still counted is a leak to loom.
    });
}
