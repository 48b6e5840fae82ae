//! Putting a reactor together.

use std::{
    collections::VecDeque,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use wasmtime::{Extern, Linker, Store, StoreLimitsBuilder, UpdateDeadline, Val};

use crate::{
    clock::{Clock, SystemClock},
    error::{Error, Result},
    guest::Guest,
    image::{Image, derive, reserved},
    imports::{Define, IntoImport, define_host},
    limits::Limits,
    reactor::Reactor,
    section::ABI_VERSION,
    state::{Export, Exports, Health, Log, State},
};

type Definition<T> = Box<dyn FnOnce(&mut Linker<State<T>>) -> Result<()> + Send>;

/// What a reactor is to have; made by [`Reactor::builder`] and [`Reactor::with_state`].
pub struct Builder<T: 'static = ()> {
    state: T,
    imports: Vec<Definition<T>>,
    clock: Arc<dyn Clock>,
    log: Log,
    may_block: bool,
    limits: Limits,
}

impl<T: 'static> Builder<T> {
    pub(crate) fn new(state: T) -> Self {
        Self {
            state,
            imports: Vec::new(),
            clock: Arc::new(SystemClock::new()),
            log: Log::Kept(VecDeque::new()),
            may_block: false,
            limits: Limits::default(),
        }
    }

    /// Gives the guest the function `module.name`. A name that the module does not import is no error; one that is defined
    /// twice is, when the reactor is made.
    ///
    /// Numbers cross as they are. A guest passes text as address and length, which [`Caller::read_str`](crate::Caller::read_str)
    /// reads.
    ///
    /// # Examples
    ///
    /// ```
    /// use windlass_host::{Caller, Reactor};
    ///
    /// let builder = Reactor::builder().import("env", "twice", |caller: &mut Caller, number: i32| {
    ///     caller.call::<_, i32>("add", (number, number))
    /// });
    /// # let _ = builder;
    /// ```
    #[must_use]
    pub fn import<Args, R>(
        mut self,
        module: &str,
        name: &str,
        function: impl IntoImport<T, Args, R>,
    ) -> Self {
        let (module, name) = (module.to_owned(), name.to_owned());
        self.imports.push(Box::new(move |linker| {
            if module == "windlass" || module == "windlass_host" {
                return Err(Error::load(format_args!(
                    "the import `{module}.{name}` was defined by the embedder, but module `{module}` belongs to Windlass"
                )));
            }
            function.define(&mut Define(linker), &module, &name)
        }));
        self
    }

    /// Takes the time from `clock`; the default is [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Passes each line of the guest's log to `sink`. Without one, [`Reactor::take_log`] has the newest lines.
    #[must_use]
    pub fn on_log(mut self, sink: impl FnMut(&str) + Send + 'static) -> Self {
        self.log = Log::Sink(Box::new(sink));
        self
    }

    /// Whether the guest may sleep in a synchronous call. The default is no: such a call fails with
    /// [`Error::WouldWait`].
    #[must_use]
    pub fn may_block(mut self, may: bool) -> Self {
        self.may_block = may;
        self
    }

    /// Limits what the guest uses.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Compiles and instantiates the binary module in the file `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] if it cannot be read, and as [`Builder::from_bytes`].
    pub fn from_file(self, path: impl AsRef<Path>) -> Result<Reactor<T>> {
        let path = path.as_ref();
        let bytes =
            fs::read(path).map_err(|error| Error::load(format_args!("{}: {error}", path.display())))?;
        self.from_bytes(&bytes)
    }

    /// Compiles and instantiates a binary module. [`Image`] does it in two steps, for several instances of one module.
    ///
    /// # Errors
    ///
    /// As [`Image::new`] and [`Builder::instantiate`].
    pub fn from_bytes(self, bytes: &[u8]) -> Result<Reactor<T>> {
        let image = Image::new(bytes, &self.limits)?;
        self.instantiate(&image)
    }

    /// Makes an instance. It is not initialised yet.
    ///
    /// # Errors
    ///
    /// [`Error::MissingImport`]; [`Error::AbiMismatch`]; [`Error::Unsupported`] for a limit of tasks on a guest without the
    /// scheduler; [`Error::Load`] for imports of another type, imports defined twice, limits too small for the module, or limits
    /// that the image was not compiled for.
    pub fn instantiate(self, image: &Image) -> Result<Reactor<T>> {
        image.check(&self.limits)?;
        let module = image.module();
        let engine = module.engine();
        let mut linker = Linker::new(engine);
        define_host(&mut linker)?;
        for define in self.imports {
            define(&mut linker)?;
        }

        let interrupt = Arc::new(AtomicBool::new(false));
        let mut store_limits = StoreLimitsBuilder::new();
        if let Some(bytes) = self.limits.memory {
            store_limits = store_limits.memory_size(bytes);
        }
        let mut store = Store::new(
            engine,
            State {
                serial: State::<T>::next_serial(),
                user: self.state,
                clock: self.clock,
                log: self.log,
                may_block: self.may_block,
                next_wake: None,
                earliest_wake: None,
                alarm: None,
                exports: Arc::new(Exports::default()),
                health: Health::default(),
                open: 0,
                outermost: None,
                store_limits: store_limits.build(),
                fuel: self.limits.fuel,
                interruptible: self.limits.interruptible,
                interrupt: Arc::clone(&interrupt),
            },
        );
        store.limiter(|state| &mut state.store_limits);
        if self.limits.interruptible {
            store.epoch_deadline_callback(move |_| {
                // Another reactor of the same image may be meant.
                Ok(if interrupt.load(Ordering::SeqCst) {
                    UpdateDeadline::Interrupt
                } else {
                    UpdateDeadline::Continue(1)
                })
            });
        }
        let mut reactor = Reactor { store, image: image.clone() };
        // The module's start function needs fuel like any other call.
        reactor.guest();

        for import in module.imports() {
            if linker.get_by_import(&mut reactor.store, &import).is_none() {
                return Err(Error::MissingImport {
                    module: import.module().to_owned(),
                    name: import.name().to_owned(),
                });
            }
        }
        let instance = linker
            .instantiate(&mut reactor.store, module)
            .map_err(|error| Error::load(format_args!("{error:#}")))?;

        let mut exports = Exports {
            names: image.signatures().iter().map(|signature| signature.name.clone()).collect(),
            ..Exports::default()
        };
        let all: Vec<(Arc<str>, Extern)> = instance
            .exports(&mut reactor.store)
            .map(|export| (Arc::from(export.name()), export.into_extern()))
            .collect();
        for (name, item) in all {
            match item {
                Extern::Memory(memory) if &*name == "memory" => exports.memory = Some(memory),
                Extern::Func(func) => {
                    let ty = func.ty(&reactor.store);
                    // Only calls are converted; the ABI's own exports have many results of nobody's making.
                    if reserved(&name) && ty.results().len() > 1 {
                        continue;
                    }
                    let declared = image.signatures().iter().find(|signature| *signature.name == *name);
                    let export = Export {
                        name: Arc::clone(&name),
                        func,
                        signature: declared.cloned().or_else(|| derive(&name, &ty)),
                        declared: declared.is_some() && image.declares(),
                        results: ty.results().len(),
                        wasm_type: ty.to_string(),
                    };
                    exports.functions.insert(name, Arc::new(export));
                }
                _ => {}
            }
        }
        exports.door = exports.functions.contains_key("windlass_error_code");
        let versioned = exports.functions.contains_key("windlass_abi_version");
        reactor.store.data_mut().exports = Arc::new(exports);

        let mut guest = reactor.guest();
        if versioned {
            check_version(&mut guest)?;
        }
        if let Some(tasks) = self.limits.tasks {
            guest.helper("windlass_max_tasks", &[Val::I32(tasks.cast_signed())])?;
        }
        Ok(reactor)
    }
}

fn check_version<T: 'static>(guest: &mut Guest<'_, T>) -> Result<()> {
    match guest.helper("windlass_abi_version", &[])? {
        Some(Val::I32(found)) if found.cast_unsigned() == ABI_VERSION => Ok(()),
        Some(Val::I32(found)) => {
            Err(Error::AbiMismatch { found: found.cast_unsigned(), expected: ABI_VERSION })
        }
        other => Err(Error::protocol(format_args!("`windlass_abi_version` returned {other:?}"))),
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Builder<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("state", &self.state)
            .field("may_block", &self.may_block)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
