//! Several senders and several receivers: first come, first served.

use crate::Trace;
use crate::channel::{bounded, rendezvous, unbounded};
use crate::trace::{end, end_all, ms, sent, sleep, task};
use windlass::yield_now;

/// Each value goes to the receiver that has waited longest: a gets 12 and 15, b 13 and 16, c 14 and 17. Were the waiters a stack, the
/// sums would be 25, 29 and 33.
pub(crate) fn three_receivers_take_turns(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let receivers = ["a", "b", "c"].map(|name| {
        let inbox = inbox.clone();
        task(trace, move |trace| {
            let sum: i32 = inbox.iter().take(2).sum();
            timed!(trace, "{name}: sum: {sum}");
        })
    });
    for value in 12..=17 {
        sleep(ms(1));
        timed!(trace, "main: {}", sent(outbox.send(value)));
    }
    end_all(receivers);
}

pub(crate) fn three_senders_take_turns(trace: &Trace) {
    let (outbox, inbox) = rendezvous();
    let senders = [("a", 10), ("b", 23), ("c", 40)].map(|(name, value)| {
        let outbox = outbox.clone();
        task(trace, move |trace| {
            timed!(trace, "{name}: {}", sent(outbox.send(value)));
            timed!(trace, "{name}: {}", sent(outbox.send(value + 1)));
        })
    });
    let mut sum = 0;
    for _ in 0..6 {
        sleep(ms(1));
        let value = inbox.recv().unwrap_or(0);
        timed!(trace, "main: got {value}");
        sum += value;
    }
    end_all(senders);
    note!(trace, "main: sum: {sum}");
}

pub(crate) fn four_senders_and_two_receivers(trace: &Trace) {
    let (outbox, inbox) = bounded(2);
    let senders = [("a", 1), ("b", 2), ("c", 3), ("d", 4)].map(|(name, value)| {
        let outbox = outbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: sends {value}");
            note!(trace, "{name}: {}", sent(outbox.send(value)));
        })
    });
    let receivers = ["x", "y"].map(|name| {
        let inbox = inbox.clone();
        task(trace, move |trace| note!(trace, "{name}: got {:?}", inbox.recv()))
    });
    end_all(receivers);
    note!(trace, "main: joined the receivers");
    end_all(senders);
    for _ in 0..3 {
        note!(trace, "main: left: {:?}", inbox.try_recv());
    }
}

pub(crate) fn nobody_overtakes_a_waiting_receiver(trace: &Trace) {
    let (outbox, inbox) = unbounded();
    let receivers = ["a", "b"].map(|name| {
        let inbox = inbox.clone();
        task(trace, move |trace| {
            note!(trace, "{name}: receives");
            note!(trace, "{name}: got {:?}", inbox.recv());
        })
    });
    yield_now();
    note!(trace, "main: {}", sent(outbox.send(1)));
    note!(trace, "main: {}", sent(outbox.send(2)));
    note!(trace, "main: try_recv: {:?}", inbox.try_recv());
    let late = task(trace, move |trace| note!(trace, "late: got {:?}", inbox.recv()));
    end_all(receivers);
    yield_now();
    note!(trace, "main: {}", sent(outbox.send(3)));
    end(late);
}
