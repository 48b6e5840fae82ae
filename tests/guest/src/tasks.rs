//! The exports that need tasks.

use crate::host;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use windlass::channel::{self, Receiver, Sender};
use windlass::sync::{Condvar, Mutex, WaitGroup};
use windlass::{Builder, Duration, OnceLocal, park, sleep, spawn, yield_now};

/// What all exports share.
struct Shared {
    trace: RefCell<Vec<&'static str>>,
    /// Turns of the background task.
    turns: Cell<i32>,
    stop: Cell<bool>,
    signals: [(Sender<i32>, Receiver<i32>); 3],
    lock: Mutex<()>,
}

static SHARED: OnceLocal<Shared> = OnceLocal::new();

fn shared() -> &'static Shared {
    match SHARED.get() {
        Some(shared) => shared,
        None => unreachable!("exports are refused before init"),
    }
}

fn note(event: &'static str) {
    shared().trace.borrow_mut().push(event);
}

pub(crate) fn init(mode: i32) {
    let signals = [channel::unbounded(), channel::unbounded(), channel::unbounded()];
    let fresh = Shared {
        trace: RefCell::default(),
        turns: Cell::new(0),
        stop: Cell::new(false),
        signals,
        lock: Mutex::new(()),
    };
    if SHARED.set(fresh).is_err() {
        unreachable!("init runs once");
    }
    note("init");
    match mode {
        // An endless task that sleeps a millisecond a turn.
        1 => background("sleeper", || sleep(Duration::from_millis(1)).is_ok()),
        // An endless task that yields.
        2 => background("yielder", || {
            yield_now();
            true
        }),
        // Blocks for ever.
        3 => {
            let _ = park();
        }
        // Would have to wait for the host where that may not block.
        4 => {
            let _ = sleep(Duration::from_millis(5));
        }
        // The host calls back while init runs.
        5 => {
            let answer = host::call(50);
            if answer == 7 {
                note("init was called back");
            }
        }
        6 => panic!("init failed on purpose"),
        7 => windlass::exit(3),
        _ => {}
    }
    note("init done");
}

fn background(name: &'static str, mut turn: impl FnMut() -> bool + 'static) {
    let task = Builder::new().name(name).spawn(move || {
        while !shared().stop.get() && turn() {
            shared().turns.set(shared().turns.get() + 1);
        }
        note("background ended");
    });
    if let Err(error) = task {
        panic!("{error}");
    }
}

/// The events so far, one a line; forgets them.
#[windlass::export]
fn trace() -> String {
    shared().trace.take().join("\n")
}

/// Turns of the background task so far.
#[windlass::export]
fn turns() -> i32 {
    shared().turns.get()
}

#[windlass::export]
fn stop_background() {
    shared().stop.set(true);
}

/// Yields `n` times.
#[windlass::export]
fn yield_times(n: i32) {
    for _ in 0..n {
        yield_now();
    }
}

/// Waits for ever.
#[windlass::export]
fn block() -> i32 {
    note("block: waits");
    let cancelled = park().is_err();
    note("block: goes on");
    i32::from(cancelled)
}

/// Waits for signal `which`; -1: cancelled.
#[windlass::export]
fn wait(which: i32) -> i32 {
    note("wait: begins");
    let value = shared().signals[which as usize % 3].1.recv().unwrap_or(-1);
    note("wait: ends");
    value
}

#[windlass::export]
fn signal(which: i32, value: i32) {
    if shared().signals[which as usize % 3].0.send(value).is_err() {
        unreachable!("an unbounded channel that stays open");
    }
}

/// Starts a task that signals `which` after `ms` milliseconds; it goes on after this call.
#[windlass::export]
fn signal_later(which: i32, value: i32, ms: i32) {
    spawn(move || {
        if sleep(Duration::from_millis(u64::from(ms.unsigned_abs()))).is_ok() {
            signal(which, value);
        }
    });
}

/// Rule 4: spawns a task that calls the host, which calls `inner`; this call finishes while `inner` is in progress.
#[windlass::export]
fn outer() -> i32 {
    let caller = spawn(|| {
        note("caller: calls the host");
        let answer = host::call(4);
        note("caller: host returned");
        answer
    });
    note("outer: waits");
    let value = shared().signals[0].1.recv().unwrap_or(-1);
    note("outer: goes on");
    signal(1, value + 1);
    drop(caller);
    note("outer: ends");
    value
}

/// Rule 4: lets `outer` finish, then finishes itself.
#[windlass::export]
fn inner() -> i32 {
    note("inner: signals");
    signal(0, 10);
    let value = shared().signals[1].1.recv().unwrap_or(-1);
    note("inner: ends");
    value
}

/// Calls the host `what`, with events around it.
#[windlass::export]
fn nested_traced(what: i32) -> i32 {
    note("nested: calls the host");
    let value = host::call(what);
    note("nested: host returned");
    value
}

/// Calls the host `what` twice, and is suspended after each; returns the sum.
#[windlass::export]
fn call_around_yield(what: i32) -> i32 {
    let first = host::call(what);
    yield_now();
    let second = host::call(what);
    yield_now();
    first + second
}

/// Calls the host `what` from a task with a stack of `bytes`; -1: no such task.
#[windlass::export]
fn nested_on(bytes: i32, what: i32) -> i32 {
    let task = Builder::new().name("small").stack_size(bytes as usize).spawn(move || host::call(what));
    task.ok().and_then(|task| task.join().ok()).unwrap_or(-1)
}

/// Waits for signal `which`, and returns `bytes`.
#[windlass::export]
fn wait_bytes(which: i32, bytes: Vec<u8>) -> Vec<u8> {
    wait(which);
    bytes
}

/// Blocks one task on each thing that there is to wait for, then itself on the last of them.
#[windlass::export]
fn block_on_everything() {
    let blocked = |name: &'static str, task: fn()| {
        let Ok(handle) = Builder::new().name(name).spawn(task) else { unreachable!("no limit is set") };
        handle
    };
    blocked("sender", || {
        let _ = channel::rendezvous().0.send(());
    });
    blocked("receiver", || {
        let _ = channel::rendezvous::<()>().1.recv();
    });
    blocked("locker", || {
        let lock = Mutex::new(());
        let _held = lock.lock();
        let _ = lock.lock();
    });
    blocked("waiter", || {
        let lock = Mutex::new(());
        if let Ok(guard) = lock.lock() {
            let _ = Condvar::new().wait(guard);
        }
    });
    blocked("counter", || {
        let group = WaitGroup::new();
        group.add(1);
        let _ = group.wait();
    });
    spawn(|| {
        let _ = park();
    });
    let parked = blocked("parked", || {
        let _ = park();
    });
    let _ = parked.join();
}

/// Takes the lock, waits for signal 2, and lets it go.
#[windlass::export]
fn hold_lock() {
    if let Ok(guard) = shared().lock.lock() {
        let _ = shared().signals[2].1.recv();
        drop(guard);
    }
}

/// Ends the module.
#[windlass::export]
fn exit_with(code: i32) {
    windlass::exit(code);
}

/// Fills the task's stack.
#[windlass::export]
fn overflow(depth: i32) -> i32 {
    let mut frame = [depth as u8; 64];
    core::hint::black_box(&mut frame);
    if depth == 0 {
        return 0;
    }
    yield_if_deep(depth);
    overflow(depth - 1) + i32::from(core::hint::black_box(&frame)[0] != depth as u8)
}

/// Makes every frame of `overflow` one that may be suspended.
fn yield_if_deep(depth: i32) {
    if depth < 0 {
        yield_now();
    }
}

/// Suspends at depth `depth` of `overflow`'s recursion, checks every frame on the way back; -1 if something was lost.
#[windlass::export]
fn deep_yield(depth: i32) -> i32 {
    let local = i64::from(depth) * 7919;
    let mut frame = [depth; 4];
    core::hint::black_box(&mut frame);
    if depth <= 0 {
        yield_now();
        return 0;
    }
    let below = deep_yield(depth - 1);
    if below < 0 || frame != [depth; 4] || local != i64::from(depth) * 7919 {
        return -1;
    }
    below + 1
}

/// Recurses `depth` deep with nothing in the shadow stack but several values in each frame. Suspends at the bottom and, down and up, at
/// each level that `every` divides. Returns what all values make together.
#[windlass::export]
fn deep_frames(depth: i32, every: i32) -> i64 {
    descend(depth, every.max(1), i64::from(depth), 0x9e37_79b9, 1.5)
}

#[inline(never)]
fn descend(depth: i32, every: i32, a: i64, b: i64, c: f64) -> i64 {
    let pauses = depth % every == 0;
    if pauses {
        yield_now();
    }
    if depth <= 0 {
        return a ^ b;
    }
    let below = descend(depth - 1, every, b, a.wrapping_mul(31).wrapping_add(b), c + f64::from(depth));
    if pauses {
        yield_now();
    }
    // Nothing of this can be computed before the call.
    (below ^ a).wrapping_mul(b | 1).wrapping_add((c * below as f64) as i64)
}

/// Spawns a task that goes `depth` deep and waits there for signal `which`; it goes on after this call.
#[windlass::export]
fn wait_deep(depth: i32, which: i32) {
    #[inline(never)]
    fn dive(depth: i32, which: i32, sum: i32) -> i32 {
        if depth <= 0 {
            return wait(which);
        }
        (dive(depth - 1, which, sum.wrapping_mul(7) ^ depth) ^ sum).wrapping_mul(depth | 1)
    }
    spawn(move || {
        core::hint::black_box(dive(depth, which, which));
        note("surfaced");
    });
}

/// Spawns `n` tasks at once, which yield and finish, and joins them. Returns how many did.
#[windlass::export]
fn many(n: i32) -> i32 {
    let mut handles = Vec::new();
    for index in 0..n {
        let builder = Builder::new().stack_size(2048);
        match builder.spawn(move || {
            yield_now();
            index
        }) {
            Ok(handle) => handles.push(handle),
            Err(_) => break,
        }
    }
    let mut finished = 0;
    for (index, handle) in handles.into_iter().enumerate() {
        if handle.join().is_ok_and(|result| result == index as i32) {
            finished += 1;
        }
    }
    finished
}

/// What the runtime holds: 0 tasks, 1 stacks in use, 2 stacks pooled, 3 switches.
#[windlass::export]
fn stats(which: i32) -> i64 {
    let stats = windlass::runtime::stats();
    match which {
        0 => stats.tasks as i64,
        1 => stats.stacks.in_use as i64,
        2 => stats.stacks.pooled as i64,
        _ => stats.switches as i64,
    }
}

/// Spawns with a stack of `bytes`: 0 worked, 1 too small, 2 too large, 3 no memory, 4 another error.
#[windlass::export]
fn spawn_with_stack(bytes: i64) -> i32 {
    use windlass::SpawnErrorKind;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    match Builder::new().stack_size(bytes).spawn(|| ()) {
        Ok(_) => 0,
        Err(error) => match error.kind {
            SpawnErrorKind::StackTooSmall { .. } => 1,
            SpawnErrorKind::StackTooLarge => 2,
            SpawnErrorKind::OutOfMemory => 3,
            _ => 4,
        },
    }
}

/// Tries a run inside its task, where wasm32 cannot wait for it, and then waits for ever. Returns only if the run was not refused.
#[windlass::export]
fn run_inside_then_block() -> i32 {
    match windlass::try_run(|| 1) {
        Err(windlass::RunError::InTask) => block(),
        Ok(value) => value,
        Err(_) => -1,
    }
}
