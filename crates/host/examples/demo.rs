//! The demo: calls the reactor of `examples/reactor` again and again, and prints what happens.
//!
//! `cargo xtask demo` builds and lowers the guest and runs this with its path. Time is a mock clock, which moves when the guest waits
//! and when this program says so, so the trace is the same every time.

use std::error::Error;
use std::time::Duration;
use windlass_host::{Caller, MockClock, Reactor};

fn main() -> Result<(), Box<dyn Error>> {
    let path =
        std::env::args().nth(1).ok_or("usage: demo REACTOR.wasm (lowered; `cargo xtask demo` makes it)")?;
    let clock = MockClock::new();
    let mut reactor = Reactor::builder()
        .clock(clock.clone())
        .may_block(true)
        .on_log(|line| println!("{line}"))
        .import("env", "call_outside", |caller: &mut Caller<'_, ()>, a: i32, b: i32| {
            println!("host: called from inside; calling add({a}, {b})");
            caller.call::<_, i32>("add", (a, b))
        })
        .from_file(&path)?;

    println!("host: hello before _initialize");
    explain(reactor.call::<_, String>("hello", ("too early",)));

    println!("host: _initialize");
    reactor.initialize()?;

    println!("host: hello");
    explain(reactor.call::<_, String>("hello", ("reactor",)));

    println!("host: add, three times; each waits a millisecond in the adder");
    for (a, b) in [(3, 5), (7, 9), (6, 1)] {
        explain(reactor.call::<_, i32>("add", (a, b)));
    }

    println!("host: 25 ms pass between two calls; the ticker goes on during the next");
    clock.advance(Duration::from_millis(25));
    explain(reactor.call::<_, i32>("add", (20, 22)));

    println!("host: reentrant_add, which calls the host, which calls add");
    explain(reactor.call::<_, i32>("reentrant_add", (2, 3)));

    println!("host: spawn_and_return");
    explain(reactor.call::<_, ()>("spawn_and_return", ()));

    println!("host: ask_nobody, with a deadline of 30 ms, while the ticker ticks");
    explain(reactor.call_with_deadline::<_, i32>("ask_nobody", (), Duration::from_millis(30)));

    println!("host: stop_ticker, and one more tick's time");
    explain(reactor.call::<_, ()>("stop_ticker", ()));
    clock.advance(Duration::from_millis(10));

    println!("host: ask_nobody, with the same deadline, when nothing ticks any more");
    explain(reactor.call_with_deadline::<_, i32>("ask_nobody", (), Duration::from_millis(30)));

    println!("host: the reactor is as usable as before");
    explain(reactor.call::<_, i32>("add", (40, 2)));

    println!("host: done");
    Ok(())
}

/// Prints a call's result, or its error.
fn explain<T: std::fmt::Debug>(result: windlass_host::Result<T>) {
    match result {
        Ok(value) => println!("      = {value:?}"),
        Err(error) => {
            let text = error.to_string();
            let mut lines = text.lines();
            println!("      ! {}", lines.next().unwrap_or_default());
            for line in lines {
                println!("      | {line}");
            }
        }
    }
}
