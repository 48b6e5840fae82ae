//! The guest made by hand, `tests/node/fake.wat`, with its imports and a clock that stands still.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use windlass_host::{Builder, Caller, Error, Image, Limits, MockClock, Reactor, Result};

/// What the guest saw: polls by id, 2000 and up cancellations, 4000 `windlass_poison`.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Vec<i32>>>);

impl Trace {
    pub(crate) fn take(&self) -> Vec<i32> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, what: i32) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

pub(crate) const WAT: &str = include_str!("../../../../tests/node/fake.wat");

pub(crate) fn bytes() -> Vec<u8> {
    wat::parse_str(WAT).expect("fake.wat is well-formed")
}

/// The parts of a test.
pub(crate) struct Fake {
    pub(crate) clock: MockClock,
    pub(crate) trace: Trace,
    pub(crate) builder: Builder<()>,
}

/// The fake guest's builder, but for `env.call_outside`.
pub(crate) fn fake() -> Fake {
    let (clock, trace) = (MockClock::new(), Trace::default());
    let of_guest = trace.clone();
    let builder = Reactor::builder()
        .clock(clock.clone())
        .import("env", "trace", move |_: &mut Caller<'_>, what: i32| of_guest.push(what))
        .import("env", "init", |_: &mut Caller<'_>| 0);
    Fake { clock, trace, builder }
}

/// `env.call_outside` adds by a nested call.
pub(crate) fn nested(caller: &mut Caller<'_>, a: i32, b: i32) -> Result<i32> {
    caller.call("add", (a, b))
}

/// Initialised, with `call_outside` as given and no limits that concern the compiler.
pub(crate) fn load(builder: Builder<()>) -> Reactor {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    let image = IMAGE.get_or_init(|| image(&Limits::default()));
    initialise(builder.instantiate(image))
}

/// Initialised, compiled for the builder's own limits.
pub(crate) fn compile(builder: Builder<()>) -> Reactor {
    initialise(builder.from_bytes(&bytes()))
}

fn initialise(reactor: Result<Reactor>) -> Reactor {
    let mut reactor = reactor.expect("the fake guest loads");
    reactor.initialize().expect("the fake guest initialises");
    reactor
}

/// Initialised, with nested calls.
pub(crate) fn reactor() -> (Reactor, MockClock, Trace) {
    let Fake { clock, trace, builder } = fake();
    (load(builder.import("env", "call_outside", nested)), clock, trace)
}

/// Made from other text than the fake guest's.
pub(crate) fn from_wat(wat: &str) -> Result<Reactor, Error> {
    Reactor::builder().from_bytes(&wat::parse_str(wat).expect("the test's text is well-formed"))
}

pub(crate) fn image(limits: &Limits) -> Image {
    Image::new(&bytes(), limits).expect("the fake guest compiles")
}

/// The error that is the outcome.
#[track_caller]
pub(crate) fn error<T: std::fmt::Debug>(outcome: Result<T>) -> Error {
    outcome.expect_err("the call must fail")
}
