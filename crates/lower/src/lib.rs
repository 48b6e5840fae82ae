#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod abi;
mod binaryen;
mod emit;
mod error;
mod finish;
mod info;
mod initialize;
mod mark;
mod module;
mod names;
mod runtime;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use crate::error::{Error, ErrorKind};
pub use crate::info::{Export, Info, Type, inspect};

use crate::abi::Guest;
use crate::binaryen::WasmOpt;
use crate::module::Module;

/// How a module is to be lowered.
///
/// The default lowers via Binaryen with the stack check, at `-O2`, and keeps function names.
///
/// ```
/// let mut options = windlass_lower::Options::default();
/// options.stack_check = false;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What makes calls suspend and resume.
    pub via: Engine,
    /// Whether each write of the shadow stack pointer is checked against the running task's stack.
    pub stack_check: bool,
    /// The `wasm-opt` to run. Else the variable `WINDLASS_WASM_OPT` names it, or it is looked for on `PATH` and
    /// in `./node_modules/.bin`.
    pub wasm_opt: Option<PathBuf>,
    /// How much `wasm-opt` optimises after it has made the module suspendable.
    pub optimize: Optimize,
    /// Whether the name section is kept, so that traps name functions.
    pub keep_names: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            via: Engine::default(),
            stack_check: true,
            wasm_opt: None,
            optimize: Optimize::default(),
            keep_names: true,
        }
    }
}

/// What makes calls suspend and resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// The asyncify pass of an installed `wasm-opt`.
    #[default]
    Binaryen,
}

impl Engine {
    /// Every engine.
    pub const ALL: &[Engine] = &[Engine::Binaryen];

    /// The name, as in `--via` and in section `windlass.lowered`.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Binaryen => "binaryen",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(name: &str) -> Result<Engine, String> {
        Engine::ALL
            .iter()
            .copied()
            .find(|engine| engine.name() == name)
            .ok_or_else(|| "the engine is `binaryen`".to_owned())
    }
}

/// How much `wasm-opt` optimises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Optimize {
    /// Not at all. The asyncify pass leaves much for an optimiser to clean up: the result is about half as large
    /// again and slow.
    None,
    /// `-O1`: quickly.
    Quick,
    /// `-O2`: for speed.
    #[default]
    Speed,
    /// `-O3`: for speed, at any price in time and size.
    MoreSpeed,
    /// `-Os`: for size.
    Size,
    /// `-Oz`: for size, at any price in time and speed.
    MoreSize,
}

impl Optimize {
    fn flag(self) -> Option<&'static str> {
        Some(match self {
            Optimize::None => return None,
            Optimize::Quick => "-O1",
            Optimize::Speed => "-O2",
            Optimize::MoreSpeed => "-O3",
            Optimize::Size => "-Os",
            Optimize::MoreSize => "-Oz",
        })
    }
}

impl FromStr for Optimize {
    type Err = String;

    fn from_str(level: &str) -> Result<Optimize, String> {
        Ok(match level {
            "0" => Optimize::None,
            "1" => Optimize::Quick,
            "2" => Optimize::Speed,
            "3" => Optimize::MoreSpeed,
            "s" => Optimize::Size,
            "z" => Optimize::MoreSize,
            _ => return Err("the levels are 0, 1, 2, 3, s and z".to_owned()),
        })
    }
}

/// A lowered module.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Lowered {
    /// The module: core wasm without imports from `windlass`.
    pub wasm: Vec<u8>,
    /// What was done.
    pub report: Report,
}

/// What [`lower`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Size of the guest.
    pub bytes_before: usize,
    /// Size of the lowered module.
    pub bytes_after: usize,
    /// The engine that was asked for.
    pub engine: Engine,
    /// The version of the `wasm-opt` that ran. None: nothing in the guest suspends, so none was needed.
    pub wasm_opt: Option<String>,
    /// What the user may want to know, a sentence each.
    pub notes: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} bytes, engine {}", self.bytes_before, self.bytes_after, self.engine)?;
        match &self.wasm_opt {
            Some(version) => write!(f, " (wasm-opt {version})"),
            None => write!(f, " (nothing suspends: wasm-opt not needed)"),
        }
    }
}

/// Lowers a guest: defines the intrinsics that it imports from module `windlass`.
///
/// The same guest, options and `wasm-opt` give the same bytes.
///
/// # Errors
///
/// If the bytes are no valid module, no guest, a guest of another ABI version or one that has been lowered; if it
/// uses something that the engine cannot suspend; if `wasm-opt` is missing or fails. The error names the construct
/// and the remedy.
pub fn lower(wasm: &[u8], options: &Options) -> Result<Lowered, Error> {
    let module = Module::parse(wasm)?;
    let guest = Guest::check(&module)?;
    let emitted = emit::emit(&module, &guest, options)?;
    let (transformed, wasm_opt) = match options.via {
        Engine::Binaryen if guest.suspends() => {
            let wasm_opt = WasmOpt::find(options)?;
            let transformed = wasm_opt.asyncify(&emitted.wasm, options)?;
            (transformed, Some(wasm_opt.version))
        }
        Engine::Binaryen => (emitted.wasm, None),
    };
    let wasm_after = finish::finish(&transformed, options.via.name(), wasm_opt.is_some())?;

    let mut notes = Vec::new();
    if emitted.dropped_debug_info {
        notes.push(
            "debug information was dropped: it would not describe the lowered code. \
             Build with `debug = false`; the name section is kept"
                .to_owned(),
        );
    }
    Ok(Lowered {
        report: Report {
            bytes_before: wasm.len(),
            bytes_after: wasm_after.len(),
            engine: options.via,
            wasm_opt,
            notes,
        },
        wasm: wasm_after,
    })
}
