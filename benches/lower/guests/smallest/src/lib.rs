//! The smallest reactor: a task that counts, a channel, and an export that receives the next number. The gate on sizes weighs it.
//!
//! What a guest may leave out, it does: there is no `free`, as nothing is allocated after init, and a panic says nothing.
#![cfg_attr(target_arch = "wasm32", no_std)]

#[cfg(target_arch = "wasm32")]
mod bare;

use windlass::{Builder, OnceLocal, channel};

static NUMBERS: OnceLocal<channel::Receiver<i32>> = OnceLocal::new();

#[windlass::init]
fn init() {
    let (numbers, inbox) = channel::rendezvous();
    let _ = NUMBERS.set(inbox);
    let _ = Builder::new().spawn(move || (1..).try_for_each(|number| numbers.send(number)));
}

#[windlass::export]
fn next() -> i32 {
    NUMBERS.get().and_then(|numbers| numbers.recv().ok()).unwrap_or(0)
}
