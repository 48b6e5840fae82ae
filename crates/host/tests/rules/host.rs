//! The guest through windlass-host.

use std::{env, fs, sync::OnceLock};

use windlass_host::{Caller, Error, Image, Limits, MockClock, Params, Reactor, Result, Returned};

/// What the guest's `test.call` does.
pub(crate) type OnCall = fn(&mut Caller<'_, World>, i32) -> Result<i32>;

/// The embedder's state.
pub(crate) struct World {
    mode: i32,
    on_call: OnCall,
    /// `test.init_mode` was entered so often.
    pub(crate) init_modes: u32,
    /// What `test.call` was entered with, in order.
    pub(crate) calls: Vec<i32>,
    /// What `on_call` wants to tell the test.
    pub(crate) notes: Vec<String>,
}

/// A guest to be.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    direct: bool,
    mode: i32,
    may_block: bool,
    memory: Option<usize>,
    on_call: OnCall,
}

/// The guest with the scheduler, whose init does nothing, in a host that may not block.
pub(crate) fn guest() -> Setup {
    Setup {
        direct: false,
        mode: 0,
        may_block: false,
        memory: None,
        on_call: |_, what| panic!("the guest calls {what}"),
    }
}

/// The guest without the scheduler.
pub(crate) fn direct() -> Setup {
    Setup { direct: true, ..guest() }
}

impl Setup {
    /// What init does; see `tests/guest/src/tasks.rs`.
    pub(crate) fn mode(self, mode: i32) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn may_block(self) -> Self {
        Self { may_block: true, ..self }
    }

    /// Most bytes of memory.
    pub(crate) fn memory(self, bytes: usize) -> Self {
        Self { memory: Some(bytes), ..self }
    }

    pub(crate) fn on_call(self, on_call: OnCall) -> Self {
        Self { on_call, ..self }
    }

    /// An instance that is not initialised.
    pub(crate) fn instance(self) -> Rig {
        let clock = MockClock::new();
        let world = World {
            mode: self.mode,
            on_call: self.on_call,
            init_modes: 0,
            calls: Vec::new(),
            notes: Vec::new(),
        };
        let limits = self.memory.map_or_else(Limits::default, |bytes| Limits::default().memory(bytes));
        let reactor = Reactor::with_state(world)
            .limits(limits)
            .clock(clock.clone())
            .may_block(self.may_block)
            .import("test", "init_mode", |caller: &mut Caller<'_, World>| {
                caller.state_mut().init_modes += 1;
                caller.state().mode
            })
            .import("test", "call", |caller: &mut Caller<'_, World>, what: i32| {
                caller.state_mut().calls.push(what);
                let on_call = caller.state().on_call;
                on_call(caller, what)
            })
            .instantiate(if self.direct { direct_image() } else { image() })
            .expect("the guest can be instantiated");
        Rig { reactor, clock }
    }

    /// An initialised instance.
    pub(crate) fn ready(self) -> Rig {
        let mut rig = self.instance();
        rig.reactor.initialize().expect("init works");
        rig
    }
}

/// An instance and its clock.
pub(crate) struct Rig {
    pub(crate) reactor: Reactor<World>,
    pub(crate) clock: MockClock,
}

impl Rig {
    /// A call that works.
    #[track_caller]
    pub(crate) fn call<R: Returned>(&mut self, name: &str, params: impl Params) -> R {
        match self.reactor.call(name, params) {
            Ok(result) => result,
            Err(error) => panic!("`{name}` failed: {error}"),
        }
    }

    /// A call that fails.
    #[track_caller]
    pub(crate) fn fails<R: Returned>(&mut self, name: &str, params: impl Params) -> Error {
        match self.reactor.call::<_, R>(name, params) {
            Ok(_) => panic!("`{name}` worked"),
            Err(error) => error,
        }
    }

    /// The events since the last time.
    #[track_caller]
    pub(crate) fn trace(&mut self) -> Vec<String> {
        let trace: String = self.call("trace", ());
        trace.lines().map(str::to_owned).collect()
    }
}

/// The kind of an error and its text.
pub(crate) fn told(error: &Error) -> (&'static str, &str) {
    (error.kind(), error.report().unwrap_or(""))
}

/// The module in the file that the variable names.
pub(crate) fn module(variable: &str) -> Vec<u8> {
    let Some(path) = env::var_os(variable) else {
        panic!("{variable} is not set; `cargo xtask test` builds the guest and sets it");
    };
    match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{}: {error}; `cargo xtask test` builds the guest", path.display()),
    }
}

pub(crate) const GUEST: &str = "WINDLASS_TEST_GUEST";
pub(crate) const DIRECT: &str = "WINDLASS_TEST_GUEST_DIRECT";

fn compile(variable: &str) -> Image {
    Image::new(&module(variable), &Limits::default()).expect("the guest can be compiled")
}

/// The tool that lowered the guest, its version and engine.
pub(crate) fn lowered_by() -> &'static str {
    image().lowered_by().expect("the guest is lowered")
}

fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| compile(GUEST))
}

fn direct_image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| compile(DIRECT))
}
