//! Sleeping: order of deadlines, late insertions, zero, the past.

use crate::Trace;
use crate::trace::{at, end, end_all, ms, sleep, task};
use windlass::{Duration, sleep_until};

pub(crate) fn earlier_deadlines_first(trace: &Trace) {
    let tasks = [("a", 30), ("b", 10), ("c", 20)].map(|(name, delay)| {
        task(trace, move |trace| {
            sleep(ms(delay));
            timed!(trace, "{name}: wakes");
        })
    });
    end_all(tasks);
    timed!(trace, "main: goes on");
}

/// All sleep until 10 ms; a begins to at 0 ms, c at 2 ms, b at 4 ms, d at 0 ms, after a.
pub(crate) fn equal_deadlines_in_order_of_insertion(trace: &Trace) {
    let tasks = [("a", 0), ("b", 4), ("c", 2), ("d", 0)].map(|(name, begin)| {
        task(trace, move |trace| {
            sleep(ms(begin));
            timed!(trace, "{name}: sleeps");
            let woke = sleep_until(at(10));
            timed!(trace, "{name}: {woke:?}");
        })
    });
    end_all(tasks);
}

/// A queue of differences that counts b's sleep from a's start wakes b at 10 ms.
pub(crate) fn a_late_sleeper_is_not_woken_early(trace: &Trace) {
    let a = task(trace, |trace| {
        sleep(ms(10));
        timed!(trace, "a: wakes");
    });
    let b = task(trace, |trace| {
        sleep(ms(5));
        timed!(trace, "b: sleeps for 10 ms");
        sleep(ms(10));
        timed!(trace, "b: wakes");
    });
    end_all([a, b]);
}

pub(crate) fn sleep_zero_gives_no_turn(trace: &Trace) {
    let a = task(trace, |trace| timed!(trace, "a: runs"));
    timed!(trace, "main: {:?}", windlass::sleep(Duration::ZERO));
    end(a);
}

/// It is served when the timers are: after those that are ready.
pub(crate) fn a_deadline_in_the_past_gives_a_turn(trace: &Trace) {
    sleep(ms(5));
    let tasks = ["a", "b"].map(|name| task(trace, move |trace| timed!(trace, "{name}: runs")));
    timed!(trace, "main: sleeps until 3 ms");
    let woke = sleep_until(at(3));
    timed!(trace, "main: {woke:?}");
    end_all(tasks);
}

pub(crate) fn a_periodic_sleeper_does_not_drift(trace: &Trace) {
    let ticker = task(trace, |trace| {
        for tick in 1..=4 {
            let woke = sleep_until(at(10 * tick));
            timed!(trace, "ticker: {woke:?}");
            if tick == 2 {
                // Late for the third tick, not for the fourth.
                sleep(ms(15));
                timed!(trace, "ticker: is late");
            }
        }
    });
    end(ticker);
}
