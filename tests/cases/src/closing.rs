//! Closing a channel: who does it, and what becomes of those who wait and of the values.

use crate::Trace;
use crate::channel::{bounded, rendezvous, unbounded};
use crate::channels::tried;
use crate::trace::{Noisy, end, end_all, sent, task};
use windlass::yield_now;

pub(crate) fn the_last_sender_dropped_closes(trace: &Trace) {
    let (first, inbox) = rendezvous();
    let second = first.clone();
    let receiver = task(trace, move |trace| {
        for value in inbox {
            note!(trace, "receiver: got {value}");
        }
        note!(trace, "receiver: closed");
    });
    yield_now();
    note!(trace, "main: {}", sent(first.send(1)));
    drop(first);
    note!(trace, "main: dropped one sender; closed: {}", second.is_closed());
    yield_now();
    note!(trace, "main: {}", sent(second.send(2)));
    drop(second);
    note!(trace, "main: dropped the other");
    end(receiver);
}

pub(crate) fn the_receiver_dropped_gives_values_back(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let senders = [("a", 1), ("b", 2), ("c", 3)].map(|(name, value)| {
        let outbox = outbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: sends {value}");
            note!(trace, "{name}: {}", sent(outbox.send(value)));
        })
    });
    yield_now();
    drop(inbox);
    note!(trace, "main: dropped the receiver; closed: {}", outbox.is_closed());
    end_all(senders);
}

pub(crate) fn close_wakes_receivers_in_order(trace: &Trace) {
    let (outbox, inbox) = unbounded::<i32>();
    let receivers = ["a", "b", "c"].map(|name| {
        let inbox = inbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: receives");
            note!(trace, "{name}: got {:?}", inbox.recv());
        })
    });
    yield_now();
    note!(trace, "main: closes: {}", outbox.close());
    note!(trace, "main: closes again: {}", outbox.close());
    end_all(receivers);
}

pub(crate) fn close_wakes_senders_and_keeps_the_buffer(trace: &Trace) {
    let (outbox, inbox) = bounded(2);
    let senders = [("a", 1), ("b", 2), ("c", 3), ("d", 4)].map(|(name, value)| {
        let outbox = outbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: sends {value}");
            note!(trace, "{name}: {}", sent(outbox.send(value)));
        })
    });
    yield_now();
    note!(trace, "main: closes: {}", outbox.close());
    end_all(senders);
    for _ in 0..3 {
        note!(trace, "main: got {:?}", inbox.recv());
    }
}

pub(crate) fn a_receivers_close_refuses_values(trace: &Trace) {
    let (outbox, inbox) = unbounded();
    note!(trace, "main: {}", sent(outbox.send(1)));
    note!(trace, "main: closes: {}", inbox.close());
    note!(trace, "main: send: {}", sent(outbox.send(2)));
    note!(trace, "main: try_send: {}", tried(outbox.try_send(3)));
    note!(trace, "main: got {:?}", inbox.recv());
    note!(trace, "main: got {:?}", inbox.recv());
}

pub(crate) fn a_value_handed_over_outlives_the_close(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let receiver = task(trace, move |trace| {
        note!(trace, "receiver: receives");
        note!(trace, "receiver: got {:?}", inbox.recv());
        note!(trace, "receiver: got {:?}", inbox.recv());
    });
    yield_now();
    note!(trace, "main: {}", sent(outbox.send(1)));
    note!(trace, "main: closes: {}", outbox.close());
    end(receiver);
}

pub(crate) fn buffered_values_are_dropped_with_the_channel(trace: &Trace) {
    let (outbox, inbox) = unbounded();
    for name in ["1", "2", "3"] {
        if outbox.send(Noisy::new(name, trace)).is_err() {
            note!(trace, "main: the channel is closed");
        }
    }
    if let Ok(value) = inbox.recv() {
        note!(trace, "main: got {}", value.name());
    }
    drop(outbox);
    note!(trace, "main: dropped the sender");
    drop(inbox);
    note!(trace, "main: dropped the receiver");
}
