//! Yield: to the tail of the run queue; and the 64 switches after which the timers have their turn.

use crate::Trace;
use crate::trace::{at, end, end_all, task};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use windlass::{current, park, sleep_until, yield_now};

pub(crate) fn yields_interleave_three_tasks(trace: &Trace) {
    let tasks = ["a", "b", "c"].map(|name| {
        task(trace, move |trace| {
            for turn in 1..=3 {
                note!(trace, "{name}: {turn}");
                yield_now();
            }
        })
    });
    end_all(tasks);
}

/// Three rounds are ten visits to the host loop, which must not show.
pub(crate) fn two_hundred_tasks_keep_their_order(trace: &Trace) {
    let order = Rc::new(RefCell::new(Vec::new()));
    let tasks: Vec<_> = (0..200)
        .map(|index| {
            let order = Rc::clone(&order);
            windlass::spawn(move || {
                for round in 1..=3 {
                    order.borrow_mut().push((round, index));
                    yield_now();
                }
            })
        })
        .collect();
    end_all(tasks);
    let order = order.borrow();
    note!(trace, "turns: {}", order.len());
    for round in 1..=3 {
        let expected = (0..200).map(|index| (round, index));
        let found = order.iter().skip((round - 1) * 200).take(200).copied();
        note!(trace, "round {round}: in order: {}", found.eq(expected));
    }
}

pub(crate) fn a_yielder_does_not_starve_a_new_task(trace: &Trace) {
    let (turns, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let yielder = {
        let (turns, stop) = (Rc::clone(&turns), Rc::clone(&stop));
        windlass::spawn(move || {
            while !stop.get() {
                turns.set(turns.get() + 1);
                yield_now();
            }
        })
    };
    yield_now();
    note!(trace, "main: spawns a after {} turn of the yielder", turns.get());
    let seen = Rc::clone(&turns);
    end(task(trace, move |trace| note!(trace, "a: runs after {} turns", seen.get())));
    stop.set(true);
    note!(trace, "main: joined a after {} turns", turns.get());
    end(yielder);
}

/// The host loop lets 64 turns end and is back: main's and the sleeper's by blocking, 62 of the yielder. Then the sleeper is ready,
/// behind the yielder, which has one turn more.
pub(crate) fn a_yielder_does_not_starve_a_sleeper(trace: &Trace) {
    let (turns, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let seen = Rc::clone(&turns);
    let sleeper = task(trace, move |trace| {
        let woke = sleep_until(at(0));
        note!(trace, "sleeper: {woke:?} after {} turns of the yielder", seen.get());
    });
    let yielder = {
        let (turns, stop) = (Rc::clone(&turns), Rc::clone(&stop));
        windlass::spawn(move || {
            while !stop.get() {
                turns.set(turns.get() + 1);
                yield_now();
            }
        })
    };
    end(sleeper);
    note!(trace, "main: joined the sleeper after {} turns", turns.get());
    stop.set(true);
    end(yielder);
}

/// As above, where nobody yields: ping and pong block 62 times, and the one that is ready at the visit has one turn more.
pub(crate) fn tasks_that_wake_each_other_do_not_starve_a_sleeper(trace: &Trace) {
    let (turns, stop) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let seen = Rc::clone(&turns);
    let sleeper = task(trace, move |trace| {
        let woke = sleep_until(at(0));
        note!(trace, "sleeper: {woke:?} after {} turns of the others", seen.get());
    });
    let players: Rc<RefCell<Vec<windlass::Task>>> = Rc::default();
    let players = [0, 1].map(|me| {
        let (turns, stop, players) = (Rc::clone(&turns), Rc::clone(&stop), Rc::clone(&players));
        windlass::spawn(move || {
            players.borrow_mut().push(current());
            while !stop.get() {
                turns.set(turns.get() + 1);
                // In its first turn the first one is alone: the second one starts by itself.
                if let Some(other) = players.borrow().get(1 - me) {
                    other.unpark();
                }
                if park().is_err() {
                    return;
                }
            }
            // Whoever sees the end first tells the other.
            if let Some(other) = players.borrow().get(1 - me) {
                other.unpark();
            }
        })
    });
    end(sleeper);
    note!(trace, "main: joined the sleeper after {} turns", turns.get());
    stop.set(true);
    end_all(players);
}
