//! Channels: rendezvous, bounded, unbounded, and what `try_` says.

use crate::Trace;
use crate::channel::{bounded, rendezvous, unbounded};
use crate::trace::{end, end_all, sent, task};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use windlass::channel::{TryRecvError, TrySendError};
use windlass::yield_now;

pub(crate) fn rendezvous_sender_first(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let sender = task(trace, move |trace| {
        note!(trace, "sender: sends 1");
        note!(trace, "sender: {}", sent(outbox.send(1)));
    });
    let receiver = task(trace, move |trace| {
        note!(trace, "receiver: receives");
        note!(trace, "receiver: got {:?}", inbox.recv());
    });
    end_all([sender, receiver]);
}

pub(crate) fn rendezvous_receiver_first(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let receiver = task(trace, move |trace| {
        note!(trace, "receiver: receives");
        note!(trace, "receiver: got {:?}", inbox.recv());
    });
    let sender = task(trace, move |trace| {
        note!(trace, "sender: sends 1");
        note!(trace, "sender: {}", sent(outbox.send(1)));
    });
    end_all([sender, receiver]);
}

pub(crate) fn rendezvous_alternates(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let sender = task(trace, move |trace| {
        for value in 1..=3 {
            note!(trace, "sender: sends {value}");
            note!(trace, "sender: {}", sent(outbox.send(value)));
        }
    });
    let receiver = task(trace, move |trace| {
        for _ in 0..3 {
            note!(trace, "receiver: receives");
            note!(trace, "receiver: got {:?}", inbox.recv());
        }
    });
    end_all([sender, receiver]);
}

fn fills_and_drains(trace: &Trace, capacity: usize, values: i32) {
    let (outbox, inbox) = bounded(capacity);
    let sender = task(trace, move |trace| {
        for value in 1..=values {
            note!(trace, "sender: sends {value}");
            note!(trace, "sender: {}", sent(outbox.send(value)));
        }
    });
    let receiver = task(trace, move |trace| {
        for _ in 0..values {
            note!(trace, "receiver: got {:?}", inbox.recv());
        }
    });
    end_all([sender, receiver]);
}

pub(crate) fn bounded_one_fills_and_drains(trace: &Trace) {
    fills_and_drains(trace, 1, 4);
}

pub(crate) fn bounded_three_fills_and_drains(trace: &Trace) {
    fills_and_drains(trace, 3, 5);
}

pub(crate) fn a_blocked_sender_moves_up(trace: &Trace) {
    let (outbox, inbox) = bounded(1);
    let senders = [("a", 1), ("b", 2), ("c", 3)].map(|(name, value)| {
        let outbox = outbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: sends {value}");
            note!(trace, "{name}: {}", sent(outbox.send(value)));
        })
    });
    yield_now();
    note!(trace, "main: got {:?}", inbox.recv());
    note!(trace, "main: try_send: {}", tried(outbox.try_send(9)));
    note!(trace, "main: got {:?}", inbox.recv());
    note!(trace, "main: got {:?}", inbox.recv());
    end_all(senders);
}

pub(crate) fn unbounded_never_blocks_the_sender(trace: &Trace) {
    let (outbox, inbox) = unbounded();
    let receiver = task(trace, move |trace| {
        for value in inbox {
            note!(trace, "receiver: got {value}");
        }
        note!(trace, "receiver: ends");
    });
    for value in 1..=4 {
        note!(trace, "main: {}", sent(outbox.send(value)));
    }
    drop(outbox);
    end(receiver);
}

/// How a `try_send` ended, with the value that came back.
pub(crate) fn tried(result: Result<(), TrySendError<i32>>) -> String {
    match result {
        Ok(()) => "sent".to_owned(),
        Err(TrySendError::Full(value)) => format!("full, {value} is back"),
        Err(TrySendError::Closed(value)) => format!("closed, {value} is back"),
        Err(error) => format!("{error}"),
    }
}

pub(crate) fn trying_on_a_rendezvous(trace: &Trace) {
    let (outbox, inbox) = bounded(0);
    note!(trace, "nobody waits: {}", tried(outbox.try_send(1)));
    note!(trace, "nobody waits: {:?}", inbox.try_recv());
    let receiver = {
        let inbox = inbox.clone();
        task(trace, move |trace| note!(trace, "receiver: got {:?}", inbox.recv()))
    };
    yield_now();
    note!(trace, "a receiver waits: {}", tried(outbox.try_send(2)));
    note!(trace, "it has its value: {}", tried(outbox.try_send(3)));
    end(receiver);
    let sender = {
        let outbox = outbox.clone();
        task(trace, move |trace| note!(trace, "sender: {}", sent(outbox.send(4))))
    };
    yield_now();
    note!(trace, "a sender waits: {:?}", inbox.try_recv());
    note!(trace, "its value is taken: {:?}", inbox.try_recv());
    end(sender);
}

pub(crate) fn trying_on_a_buffer(trace: &Trace) {
    let (outbox, inbox) = bounded(1);
    note!(trace, "empty: {:?}", inbox.try_recv());
    note!(trace, "empty: {}", tried(outbox.try_send(1)));
    note!(trace, "full: {}", tried(outbox.try_send(2)));
    note!(trace, "full: {:?}", inbox.try_recv());
    note!(trace, "empty: {}", tried(outbox.try_send(3)));
    outbox.close();
    note!(trace, "closed: {}", tried(outbox.try_send(4)));
    note!(trace, "closed, a value left: {:?}", inbox.try_recv());
    let none: Result<i32, TryRecvError> = inbox.try_recv();
    note!(trace, "closed: {none:?}");
}
