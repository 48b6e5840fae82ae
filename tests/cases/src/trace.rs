//! What happened, line by line; and what most cases need.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Display;
use windlass::channel::SendError;
use windlass::{Duration, Instant, JoinHandle};

/// The events of a case. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Trace(Rc<RefCell<Vec<String>>>);

impl Trace {
    /// A trace without events.
    pub fn new() -> Trace {
        Trace::default()
    }

    /// Adds an event.
    pub fn note(&self, event: impl Display) {
        let line = format!("{event}");
        self.0.borrow_mut().push(line);
    }

    /// Adds an event with its time, which must be a whole number of milliseconds.
    pub fn note_with_time(&self, event: impl Display) {
        let nanos = Instant::now().as_nanos();
        let (ms, rest) = (nanos / 1_000_000, nanos % 1_000_000);
        match rest {
            0 => self.note(format_args!("[{ms} ms] {event}")),
            // The clocks of the runners stand still but for waiting.
            _ => self.note(format_args!("[{nanos} ns] {event}")),
        }
    }

    /// The events so far, each ended by a newline.
    pub fn text(&self) -> String {
        let mut text = self.0.borrow().join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

/// `note!(trace, "format", ...)`
macro_rules! note {
    ($trace:expr, $($format:tt)+) => { $trace.note(format_args!($($format)+)) };
}

/// As `note!`, with the time.
macro_rules! timed {
    ($trace:expr, $($format:tt)+) => { $trace.note_with_time(format_args!($($format)+)) };
}

/// Spawns `f` with a handle to the trace.
///
/// Boxed: one task's code instead of a hundred of the same, each of which the tool would have to lower. `values` has closures that
/// lie on their tasks' stacks.
pub(crate) fn task<T: 'static>(trace: &Trace, f: impl FnOnce(Trace) -> T + 'static) -> JoinHandle<T> {
    fn spawn<T: 'static>(trace: Trace, f: Box<dyn FnOnce(Trace) -> T>) -> JoinHandle<T> {
        windlass::spawn(move || f(trace))
    }
    spawn(trace.clone(), Box::new(f))
}

/// Joins a task that ends.
pub(crate) fn end<T>(handle: JoinHandle<T>) -> T {
    match handle.join() {
        Ok(value) => value,
        Err(error) => panic!("join: {error}"),
    }
}

/// Joins them in this order.
pub(crate) fn end_all<T>(handles: impl IntoIterator<Item = JoinHandle<T>>) {
    for handle in handles {
        end(handle);
    }
}

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Blocks for `duration`, in a task that nobody cancels.
pub(crate) fn sleep(duration: Duration) {
    if let Err(error) = windlass::sleep(duration) {
        panic!("sleep: {error}");
    }
}

/// The instant so many milliseconds after the clock's origin.
pub(crate) const fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// How a send ended, with the value that came back.
pub(crate) fn sent(result: Result<(), SendError<i32>>) -> String {
    match result {
        Ok(()) => "sent".to_owned(),
        Err(SendError::Closed(value)) => format!("closed, {value} is back"),
        Err(SendError::TimedOut(value)) => format!("timed out, {value} is back"),
        Err(SendError::Cancelled(value)) => format!("cancelled, {value} is back"),
        Err(error) => format!("{error}"),
    }
}

/// Notes when it is dropped.
#[derive(Debug)]
pub(crate) struct Noisy {
    name: &'static str,
    trace: Trace,
}

impl Noisy {
    pub(crate) fn new(name: &'static str, trace: &Trace) -> Noisy {
        Noisy { name, trace: trace.clone() }
    }

    /// A method, so that a closure that asks for the name captures the whole.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }
}

impl Drop for Noisy {
    fn drop(&mut self) {
        note!(self.trace, "dropped: {}", self.name);
    }
}
