//! What runs modules: the same few operations for each engine.

mod interpreter;
#[cfg(feature = "wasmtime")]
mod native;

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use interpreter::{Interpreter, Progress, Suspended};
#[cfg(feature = "wasmtime")]
pub use native::Native;

use crate::host::Host;
use crate::value::{Type, Value};

/// Instructions that one call from outside may take, in the engine's own measure, before it counts as endless.
pub const ENGINE_FUEL: u64 = 150_000_000;

/// Why a call did not return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The guest trapped.
    Trap(String),
    /// An exception that nobody caught, or that an import throws.
    Exception(Thrown),
    /// The engine gave up: out of stack or out of fuel. Says nothing about the guest.
    Exhausted(String),
    /// A lowered module trapped amid a suspension, as it does if the buffer is too small.
    NoRoom(String),
    /// The host of a module that was not lowered suspends the call, where the engine can do that by itself.
    Suspend,
    /// The lowered module did something that it must not do.
    Fault(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Trap(text) => write!(f, "trap: {text}"),
            Stop::Exception(thrown) => write!(f, "an exception: {thrown:?}"),
            Stop::Exhausted(text) => write!(f, "the engine gave up: {text}"),
            Stop::NoRoom(text) => write!(f, "{text} while unwinding"),
            Stop::Suspend => write!(f, "suspended"),
            Stop::Fault(text) => write!(f, "{text}"),
        }
    }
}

impl Error for Stop {}

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thrown {
    /// Which of the exported tags it has. None: another one.
    pub tag: Option<usize>,
    /// What it carries.
    pub values: Vec<Value>,
}

/// An instance, from outside or from within an import.
pub trait Machine {
    /// Calls an export.
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop>;

    /// An exported memory; empty if there is none of the name.
    fn memory(&mut self, export: &str) -> &mut [u8];

    /// An exported global.
    fn global(&mut self, export: &str) -> Option<Value>;

    /// Sets an exported global, if there is a mutable one of the name.
    fn set_global(&mut self, export: &str, value: Value);

    /// Lets the engine run as long again.
    fn refuel(&mut self);
}

/// The host of an instance, for its imports.
#[derive(Clone, Debug)]
pub struct SharedHost(Arc<Mutex<Host>>);

impl SharedHost {
    /// A host for one instance.
    pub fn new(host: Host) -> SharedHost {
        SharedHost(Arc::new(Mutex::new(host)))
    }

    /// The host. Imports do not nest, so nobody else has it.
    pub fn get(&self) -> MutexGuard<'_, Host> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of the exported tags.
    #[cfg(feature = "wasmtime")]
    fn tags(&self) -> Vec<String> {
        self.get().tags.iter().map(|tag| tag.name.clone()).collect()
    }

    fn import(
        &self,
        machine: &mut dyn Machine,
        name: &str,
        args: &[Value],
        results: &[Type],
    ) -> Result<Vec<Value>, Stop> {
        self.get().import(machine, name, args, results)
    }
}

/// Which engine runs the modules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// wasmi: compiles fast.
    #[default]
    Wasmi,
    /// wasmtime: can do exceptions.
    #[cfg(feature = "wasmtime")]
    Wasmtime,
    /// Node, in batches: can do legacy exceptions.
    Node,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> Result<Engine, String> {
        match name {
            "wasmi" => Ok(Engine::Wasmi),
            #[cfg(feature = "wasmtime")]
            "wasmtime" => Ok(Engine::Wasmtime),
            #[cfg(not(feature = "wasmtime"))]
            "wasmtime" => Err("wasmtime needs `--features wasmtime`".to_owned()),
            "node" => Ok(Engine::Node),
            _ => Err("the engine is wasmi, wasmtime or node".to_owned()),
        }
    }
}

impl Engine {
    /// Whether it can compile the module.
    pub fn takes(self, wasm: &[u8]) -> bool {
        match self {
            #[cfg(feature = "wasmtime")]
            Engine::Wasmtime => Native::compiles(wasm),
            Engine::Wasmi | Engine::Node => Interpreter::compiles(wasm),
        }
    }
}

/// Makes an instance in this process.
///
/// # Errors
///
/// If the engine does not take the module.
pub fn instantiate(engine: Engine, wasm: &[u8], host: &SharedHost) -> Result<Box<dyn Machine>, Stop> {
    match engine {
        #[cfg(feature = "wasmtime")]
        Engine::Wasmtime => Ok(Box::new(Native::new(wasm, host)?)),
        Engine::Wasmi | Engine::Node => Ok(Box::new(Interpreter::new(wasm, host)?)),
    }
}
