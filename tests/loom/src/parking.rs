//! `std`'s parking: a token that is kept until it is used up. (loom's own forgets it while a thread waits for a lock.)

use loom::sync::{Arc, Condvar, Mutex};

#[derive(Clone, Debug)]
pub(crate) struct Thread(Arc<Token>);

#[derive(Debug)]
struct Token {
    given: Mutex<bool>,
    changed: Condvar,
}

loom::thread_local! {
    static MINE: Thread = Thread(Arc::new(Token { given: Mutex::new(false), changed: Condvar::new() }));
}

pub(crate) fn current_thread() -> Thread {
    MINE.with(Clone::clone)
}

pub(crate) fn park() {
    let Thread(token) = current_thread();
    let mut given = token.given.lock().expect("no panic");
    while !*given {
        given = token.changed.wait(given).expect("no panic");
    }
    *given = false;
}

pub(crate) fn park_timeout(_: core::time::Duration) {
    panic!("time does not pass in a model: a timeout is zero, or never");
}

impl Thread {
    pub(crate) fn unpark(&self) {
        *self.0.given.lock().expect("no panic") = true;
        self.0.changed.notify_one();
    }
}
