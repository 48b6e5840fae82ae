//! Tasks and channels in a guest that wasm-bindgen glues to JavaScript. `runner` lowers it first: never after.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::rc::Rc;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::cell::RefCell;

use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;
use windlass::{channel, run, spawn, yield_now};

#[wasm_bindgen_test]
fn tasks_take_turns() {
    let trace = Rc::new(RefCell::new(Vec::new()));
    let seen = trace.clone();
    run(move || {
        let tasks = [1, 2, 3].map(|task| {
            let trace = trace.clone();
            spawn(move || {
                for turn in 0..3 {
                    trace.borrow_mut().push((turn, task));
                    yield_now();
                }
            })
        });
        for task in tasks {
            task.join().expect("it returns");
        }
    });
    let expected: Vec<(i32, i32)> = (0..3).flat_map(|turn| [1, 2, 3].map(|task| (turn, task))).collect();
    assert_eq!(*seen.borrow(), expected);
}

#[wasm_bindgen_test]
fn join_gives_the_result() {
    let sum = run(|| {
        let tasks: Vec<_> = (1..=100_u32).map(|n| spawn(move || n * n)).collect();
        tasks.into_iter().map(|task| task.join().expect("it returns")).sum::<u32>()
    });
    assert_eq!(sum, 338_350);
}

#[wasm_bindgen_test]
fn a_rendezvous_hands_over_in_order() {
    let received = run(|| {
        let (sender, receiver) = channel::rendezvous();
        let producer = spawn(move || {
            for n in 0..10 {
                sender.send(n).expect("there is a receiver");
            }
        });
        let received: Vec<i32> = receiver.iter().collect();
        producer.join().expect("it returns");
        received
    });
    assert_eq!(received, (0..10).collect::<Vec<_>>());
}

#[wasm_bindgen_test]
fn a_full_channel_blocks_its_sender() {
    let sent = run(|| {
        let (sender, receiver) = channel::bounded(2);
        let sent = Rc::new(RefCell::new(0));
        let count = sent.clone();
        let producer = spawn(move || {
            for n in 0..5 {
                sender.send(n).expect("there is a receiver");
                *count.borrow_mut() += 1;
            }
        });
        yield_now();
        let before = *sent.borrow();
        assert_eq!(receiver.iter().count(), 5);
        producer.join().expect("it returns");
        before
    });
    assert_eq!(sent, 2);
}

#[wasm_bindgen_test]
fn deep_frames_survive_switches() {
    fn down(depth: u32) -> u32 {
        let local = core::hint::black_box([depth; 8]);
        let below = if depth == 0 { 0 } else { down(depth - 1) };
        yield_now();
        below + core::hint::black_box(local)[7]
    }
    let sums = run(|| {
        let tasks = [spawn(|| down(20)), spawn(|| down(30))];
        tasks.map(|task| task.join().expect("it returns"))
    });
    assert_eq!(sums, [210, 465]);
}

#[wasm_bindgen_test]
fn javascript_values_survive_switches() {
    let text = run(|| {
        let value = JsValue::from_str("held across a switch");
        let other = spawn(|| {
            let value = JsValue::from_f64(2.5);
            yield_now();
            value.as_f64()
        });
        yield_now();
        let number = other.join().expect("it returns").expect("it is a number");
        value.as_string().expect("it is a string") + &number.to_string()
    });
    assert_eq!(text, "held across a switch2.5");
}

#[wasm_bindgen_test]
fn runs_follow_one_another() {
    for n in 0..50 {
        assert_eq!(run(move || spawn(move || n).join().expect("it returns")), n);
    }
}
