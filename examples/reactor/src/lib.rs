//! A reactor: init starts a ticker and an adder, which go on in the background whenever the host has called in; exports use them.
//!
//! `cargo xtask demo` builds it, lowers it, and calls it from a host (`crates/host/examples/demo.rs`).
#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(unsafe_code, reason = "declares a host import")]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use core::cell::Cell;
use windlass::channel::{self, Receiver, Sender};
use windlass::{Duration, OnceLocal, log, sleep, yield_now};

/// What init made and exports use.
struct Shared {
    questions: Sender<i32>,
    answers: Receiver<i32>,
    /// Nobody sends into it.
    nobody: (Sender<i32>, Receiver<i32>),
    ticking: Cell<bool>,
}

static SHARED: OnceLocal<Shared> = OnceLocal::new();

fn shared() -> &'static Shared {
    match SHARED.get() {
        Some(shared) => shared,
        None => unreachable!("exports are refused before init"),
    }
}

#[windlass::init]
fn init() {
    let (questions, inbox) = channel::rendezvous();
    let (outbox, answers) = channel::rendezvous();
    if SHARED
        .set(Shared { questions, answers, nobody: channel::rendezvous(), ticking: Cell::new(true) })
        .is_err()
    {
        unreachable!("init runs once");
    }
    let builder = windlass::Builder::new().name("ticker");
    if let Err(error) = builder.spawn(ticker) {
        log!("no ticker: {error}");
    }
    if let Err(error) = windlass::Builder::new().name("adder").spawn(move || adder(&inbox, &outbox)) {
        log!("no adder: {error}");
    }
    log!("init: started a ticker, every 10 ms, and an adder");
}

/// Ticks every ten milliseconds while the host has called in.
fn ticker() {
    let mut ticks = 0;
    while shared().ticking.get() && sleep(Duration::from_millis(10)).is_ok() {
        ticks += 1;
        log!("    tick {ticks}");
    }
    log!("    ticker: stopped");
}

/// Takes two numbers, thinks for a millisecond, and answers with their sum.
fn adder(inbox: &Receiver<i32>, outbox: &Sender<i32>) {
    while let (Ok(a), Ok(b)) = (inbox.recv(), inbox.recv()) {
        if sleep(Duration::from_millis(1)).is_err() || outbox.send(a.wrapping_add(b)).is_err() {
            break;
        }
    }
}

#[windlass::export]
fn hello(name: String) -> String {
    format!("hello, {name}!")
}

#[windlass::export]
fn add(a: i32, b: i32) -> i32 {
    log!("  add: {a} + {b}");
    let Shared { questions, answers, .. } = shared();
    let asked = questions.send(a).is_ok() && questions.send(b).is_ok();
    match answers.recv() {
        Ok(sum) if asked => sum,
        _ => unreachable!("the adder lives as long as the reactor"),
    }
}

#[cfg(target_arch = "wasm32")]
#[link(wasm_import_module = "env")]
unsafe extern "C" {
    /// The host calls `add` and returns what it says.
    safe fn call_outside(a: i32, b: i32) -> i32;
}

/// Natively there is no host to call.
#[cfg(not(target_arch = "wasm32"))]
fn call_outside(a: i32, b: i32) -> i32 {
    add(a, b)
}

#[windlass::export]
fn reentrant_add(a: i32, b: i32) -> i32 {
    log!("  reentrant_add: calling the host");
    let sum = call_outside(a, b);
    log!("  reentrant_add: the host says {sum}");
    sum
}

#[windlass::export]
fn spawn_and_return() {
    let steps = || {
        for step in 1..=3 {
            log!("    background: step {step}");
            if sleep(Duration::from_millis(10)).is_err() {
                return;
            }
        }
    };
    if let Err(error) = windlass::Builder::new().name("background").spawn(steps) {
        log!("no background task: {error}");
    }
    yield_now();
    log!("  spawn_and_return: returns while its task sleeps");
}

/// Waits for an answer to a question that nobody was asked.
#[windlass::export]
fn ask_nobody() -> i32 {
    shared().nobody.1.recv().unwrap_or(-1)
}

#[windlass::export]
fn stop_ticker() {
    shared().ticking.set(false);
}
