//! `_initialize` of a guest whose C runtime has one of its own.
//!
//! On `wasm32-wasip1` the linker takes `_initialize` from `crt1-reactor.o`. It runs the constructors, and recent
//! releases of wasi-libc trap when it is called again. The guest's own part, which runs the init functions and says
//! through the error door that they have run, is then exported as `windlass_initialize`. Hosts shall not have to know:
//!
//! ```text
//!            the guest exports                    the lowered module exports
//!  wrapped   _initialize (crt)                    _initialize: the crt's the first time, then the guest's
//!            windlass_initialize
//!  renamed   windlass_initialize                  _initialize: the guest's
//!  as it is  _initialize                          _initialize
//!            windlass_initialize, _start          windlass_initialize, _start: a command, which no host initialises
//! ```
//!
//! *Open Constructors*: while they run a call is open, as while init does. So a trap in them leaves the instance
//! poisoned, and what they import is called out of an open call.

use wasm_encoder::{BlockType, Function};
use wasmparser::ExternalKind;

use crate::error::{Error, ErrorKind};
use crate::module::Module;
use crate::runtime::Runtime;

/// What hosts call before anything else.
pub(crate) const INITIALIZE: &str = "_initialize";

/// The guest's part of it, where the C runtime has taken the name.
pub(crate) const GUEST_INITIALIZE: &str = "windlass_initialize";

/// The entry of a command. WASI forbids it beside `_initialize`.
const START: &str = "_start";

/// What the lowered module's `_initialize` is.
#[derive(Clone, Copy)]
pub(crate) enum Initialize {
    /// What it was, if there was one.
    AsItIs,
    /// What the guest exports as `windlass_initialize`.
    Renamed,
    /// A new function that calls these two functions of the guest.
    Wrapped { crt: u32, guest: u32 },
}

impl Initialize {
    pub(crate) fn of(module: &Module<'_>) -> Result<Initialize, Error> {
        if !is_pending(module) {
            return Ok(Initialize::AsItIs);
        }
        Ok(match (module.procedure(INITIALIZE)?, module.procedure(GUEST_INITIALIZE)?) {
            (Some(crt), Some(guest)) => Initialize::Wrapped { crt, guest },
            (None, Some(_)) => Initialize::Renamed,
            (_, None) => Initialize::AsItIs,
        })
    }
}

/// Whether the lowering makes the module's `_initialize`.
pub(crate) fn is_pending(module: &Module<'_>) -> bool {
    let exports = |name| module.exports.iter().any(|export| export.name == name);
    exports(GUEST_INITIALIZE) && !exports(START)
}

impl Module<'_> {
    /// The function without parameters and results that is exported under a name.
    pub(crate) fn procedure(&self, name: &str) -> Result<Option<u32>, Error> {
        let Some(export) = self.exports.iter().find(|export| export.name == name) else {
            return Ok(None);
        };
        if export.kind != ExternalKind::Func {
            return Err(Error::new(ErrorKind::Abi, format!("export `{name}` is no function"))
                .with_help("the ABI keeps the name: give the guest's own export another"));
        }
        match self.function_type(export.index) {
            Some(ty) if ty.params().is_empty() && ty.results().is_empty() => Ok(Some(export.index)),
            ty => Err(Error::new(
                ErrorKind::Abi,
                format!(
                    "export `{name}` has type {}; its type is () -> ()",
                    ty.map_or_else(String::new, crate::abi::signature)
                ),
            )
            .with_help("the ABI keeps the name: give the guest's own export another")),
        }
    }
}

/// Values of the global `constructors`.
const NEW: i32 = 0;
const RUNNING: i32 = 1;
const OVER: i32 = 2;

impl Runtime {
    /// `_initialize()`, from the functions of [`Initialize::Wrapped`].
    pub(crate) fn initialize(&self, crt: u32, guest: u32) -> Function {
        let g = self.globals;
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.global_get(g.constructors()).i32_const(NEW).i32_eq();
        self.accepts(&mut code);
        code.i32_and().if_(BlockType::Empty);
        code.i32_const(RUNNING).global_set(g.constructors());
        self.open(&mut code);
        code.call(crt);
        self.close(&mut code);
        code.i32_const(OVER).global_set(g.constructors()).end();
        // They trapped, or called a host that calls this: the guest's `enter` refuses without the mark. With it init
        // would run on what is half constructed.
        code.global_get(g.constructors()).i32_const(RUNNING).i32_eq();
        code.if_(BlockType::Empty).i32_const(0).global_set(g.in_host()).end();
        // What has been initialised says so itself.
        code.call(guest).end();
        function
    }
}
