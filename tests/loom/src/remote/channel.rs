//! A channel's waiters, as tasks and as threads.

#[path = "../../../../src/remote/channel/state.rs"]
mod state;

use super::task::run_task;
use crate::channel::{RecvError, SendError};
use crate::models::check;
use crate::time::Duration;
use loom::sync::Arc;
use loom::thread;
use state::Channel;

const NOW: Option<Duration> = Some(Duration::ZERO);

fn pair(capacity: usize) -> (Arc<Channel<u8>>, Arc<Channel<u8>>) {
    let channel = Arc::new(Channel::new(capacity));
    (Arc::clone(&channel), channel)
}

#[test]
fn a_value_passes_from_thread_to_thread() {
    for capacity in [0, 1] {
        check(None, move || {
            let (to, from) = pair(capacity);
            let sender = thread::spawn(move || to.send(7, None));
            assert_eq!(from.recv(None), Ok(7));
            assert_eq!(sender.join().expect("no panic"), Ok(()));
        });
    }
}

#[test]
fn a_value_passes_from_task_to_task() {
    for capacity in [0, 1] {
        check(Some(3), move || {
            let (to, from) = pair(capacity);
            let sender = thread::spawn(move || run_task(|| to.send(7, None)));
            assert_eq!(run_task(|| from.recv(None)), Ok(7));
            assert_eq!(sender.join().expect("no panic"), Ok(()));
        });
    }
}

#[test]
fn two_senders_find_one_receiver_that_is_a_task() {
    check(Some(2), || {
        let (to, from) = pair(0);
        let senders = [1, 2].map(|value| {
            let to = Arc::clone(&to);
            thread::spawn(move || to.send(value, None))
        });
        let received = run_task(|| [from.recv(None), from.recv(None)]);
        assert!(received == [Ok(1), Ok(2)] || received == [Ok(2), Ok(1)]);
        senders.into_iter().for_each(|sender| assert_eq!(sender.join().expect("no panic"), Ok(())));
    });
}

#[test]
fn a_value_is_received_or_comes_back_when_the_sender_gives_up() {
    check(None, || {
        let (to, from) = pair(0);
        let sender = thread::spawn(move || {
            let sent = to.send(7, NOW);
            to.close();
            sent
        });
        let received = from.recv(None);
        match sender.join().expect("no panic") {
            Ok(()) => assert_eq!(received, Ok(7)),
            Err(error) => {
                assert_eq!(error, SendError::TimedOut(7));
                assert_eq!(received, Err(RecvError::Closed));
            }
        }
    });
}

#[test]
fn a_value_is_received_or_comes_back_when_the_receiver_gives_up() {
    check(Some(3), || {
        let (to, from) = pair(0);
        let sender = thread::spawn(move || to.send(7, None));
        let received = run_task(|| from.recv(NOW));
        from.close();
        match sender.join().expect("no panic") {
            Ok(()) => assert_eq!(received, Ok(7)),
            Err(error) => {
                assert_eq!(error, SendError::Closed(7));
                assert_eq!(received, Err(RecvError::TimedOut));
            }
        }
    });
}

#[test]
fn closing_wakes_both_sides() {
    check(Some(3), || {
        let (to, from) = pair(0);
        let closes = Arc::clone(&to);
        let sender = thread::spawn(move || to.send(7, None));
        let closer = thread::spawn(move || closes.close());
        let received = run_task(|| from.recv(None));
        assert!(closer.join().expect("no panic"));
        match sender.join().expect("no panic") {
            Ok(()) => assert_eq!(received, Ok(7)),
            Err(error) => {
                assert_eq!(error, SendError::Closed(7));
                assert_eq!(received, Err(RecvError::Closed));
            }
        }
    });
}

#[test]
fn who_gives_up_at_the_last_moment_leaves_the_others_in_the_list() {
    check(Some(4), || {
        let (to, from) = pair(0);
        let gives_up = Arc::clone(&from);
        let gives_up = thread::spawn(move || gives_up.recv(NOW));
        let sender = thread::spawn(move || {
            let sent = to.send(7, NOW);
            to.close();
            sent
        });
        let waits = from.recv(None);
        let gave_up = gives_up.join().expect("no panic");
        let received = [waits, gave_up].into_iter().filter(|result| *result == Ok(7)).count();
        assert_eq!(received, usize::from(sender.join().expect("no panic").is_ok()));
    });
}
