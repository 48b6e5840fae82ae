//! Channels with deadlines, and what happens when a value and a deadline come at the same instant.
//!
//! All deadlines that have come are served before any task runs. So at the instant of a deadline, a task that *woke* then is too
//! late to send or receive, whichever timer is older; a task that was ready before is not.

use crate::Trace;
use crate::channel::{bounded, rendezvous, unbounded};
use crate::channels::tried;
use crate::trace::{end, end_all, ms, sent, sleep, task};
use windlass::{Duration, yield_now};

pub(crate) fn a_receive_times_out(trace: &Trace) {
    let (outbox, inbox) = unbounded::<i32>();
    timed!(trace, "main: receives");
    timed!(trace, "main: got {:?}", inbox.recv_timeout(ms(10)));
    timed!(trace, "main: {}", sent(outbox.send(1)));
    timed!(trace, "main: got {:?}", inbox.recv_timeout(ms(10)));
}

pub(crate) fn a_receive_in_time_leaves_no_timer(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let receiver = task(trace, move |trace| {
        timed!(trace, "receiver: got {:?}", inbox.recv_timeout(ms(10)));
        // Were the timer still there, it would end this at 10 ms.
        timed!(trace, "receiver: got {:?}", inbox.recv_timeout(ms(20)));
    });
    sleep(ms(5));
    timed!(trace, "main: {}", sent(outbox.send(1)));
    end(receiver);
}

pub(crate) fn a_send_times_out(trace: &Trace) {
    let (outbox, inbox) = bounded(1);
    timed!(trace, "main: {}", sent(outbox.send_timeout(1, ms(10))));
    timed!(trace, "main: {}", sent(outbox.send_timeout(2, ms(10))));
    note!(trace, "main: left: {:?}", inbox.try_recv());
    note!(trace, "main: left: {:?}", inbox.try_recv());
}

pub(crate) fn a_send_in_time_leaves_no_timer(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let sender = task(trace, move |trace| {
        timed!(trace, "sender: {}", sent(outbox.send_timeout(1, ms(10))));
        // Were the timer still there, it would end this at 10 ms.
        timed!(trace, "sender: {}", sent(outbox.send_timeout(2, ms(20))));
    });
    sleep(ms(5));
    timed!(trace, "main: got {:?}", inbox.recv());
    end(sender);
}

pub(crate) fn a_deadline_is_served_before_a_later_sender(trace: &Trace) {
    let (outbox, kept) = rendezvous();
    let inbox = kept.clone();
    let receiver = task(trace, move |trace| {
        timed!(trace, "receiver: got {:?}", inbox.recv_timeout(ms(10)));
        timed!(trace, "receiver: tries: {:?}", inbox.try_recv());
    });
    let sender = task(trace, move |trace| {
        sleep(ms(10));
        timed!(trace, "sender: {}", tried(outbox.try_send(1)));
    });
    end_all([receiver, sender]);
}

pub(crate) fn a_deadline_is_served_before_an_earlier_sender(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let sender = task(trace, move |trace| {
        sleep(ms(10));
        timed!(trace, "sender: tries: {}", tried(outbox.try_send(1)));
        timed!(trace, "sender: {}", sent(outbox.send(2)));
    });
    let receiver = task(trace, move |trace| {
        timed!(trace, "receiver: got {:?}", inbox.recv_timeout(ms(10)));
        timed!(trace, "receiver: got {:?}", inbox.recv());
    });
    end_all([receiver, sender]);
}

pub(crate) fn a_ready_sender_beats_a_timeout_of_zero(trace: &Trace) {
    let (kept, inbox) = rendezvous();
    let outbox = kept.clone();
    let sender = task(trace, move |trace| timed!(trace, "sender: {}", sent(outbox.send(1))));
    timed!(trace, "main: got {:?}", inbox.recv_timeout(Duration::ZERO));
    end(sender);
    timed!(trace, "main: got {:?}", inbox.recv_timeout(Duration::ZERO));
}

pub(crate) fn a_receiver_that_timed_out_has_left_the_queue(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let receivers = [("a", 50), ("b", 5), ("c", 50)].map(|(name, timeout)| {
        let inbox = inbox.clone();
        task(trace, move |trace| timed!(trace, "{name}: got {:?}", inbox.recv_timeout(ms(timeout))))
    });
    sleep(ms(10));
    timed!(trace, "main: {}", sent(outbox.send(1)));
    timed!(trace, "main: {}", sent(outbox.send(2)));
    note!(trace, "main: tries: {}", tried(outbox.try_send(3)));
    end_all(receivers);
}

pub(crate) fn a_sender_that_timed_out_has_left_the_queue(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let senders = [("a", 1, 50), ("b", 2, 5), ("c", 3, 50)].map(|(name, value, timeout)| {
        let outbox = outbox.clone();
        task(trace, move |trace| timed!(trace, "{name}: {}", sent(outbox.send_timeout(value, ms(timeout)))))
    });
    sleep(ms(10));
    timed!(trace, "main: got {:?}", inbox.recv());
    timed!(trace, "main: got {:?}", inbox.recv());
    note!(trace, "main: tries: {:?}", inbox.try_recv());
    yield_now();
    note!(trace, "main: goes on");
    end_all(senders);
}
