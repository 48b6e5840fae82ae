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
mod own;
mod runtime;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

pub use crate::binaryen::WasmOpt;
pub use crate::error::{Error, ErrorKind};
pub use crate::info::{Export, Info, Type, inspect};
pub use crate::module::matches_pattern;

use crate::abi::Guest;
use crate::module::Module;

/// How a module is to be lowered.
///
/// The default lowers a Windlass guest with the own engine, balanced between speed and size, with the stack check,
/// and keeps function names.
///
/// ```
/// let mut options = windlass_lower::Options::default();
/// options.stack_check = false;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What the module and its host were written against.
    pub abi: Abi,
    /// What makes calls suspend and resume.
    pub via: Engine,
    /// What the lowered code is to be best at.
    pub optimize: Optimize,
    /// With [`Abi::Asyncify`]: the imports that may suspend, as `module.name`, where `*` stands for any text. None
    /// listed: every import may.
    pub suspending_imports: Vec<String>,
    /// With the own engine: functions that may suspend although the analysis sees no way, by name or pattern with
    /// `*`, or as `#` and the function's index. Each of their calls through a table may, too.
    pub allow: Vec<String>,
    /// With the own engine: functions that are never on the stack of a suspension, whatever the analysis sees, in the
    /// form of [`allow`](Options::allow). Should one be on it after all, it traps.
    pub deny: Vec<String>,
    /// If not empty: only these functions may suspend, in the form of [`allow`](Options::allow), each of them whatever
    /// the analysis sees, and every other one is [denied](Options::deny). `allow` and `deny` stay empty then.
    pub only: Vec<String>,
    /// With the own engine: no call through a table ever suspends. Should one do so after all, it traps.
    pub ignore_indirect: bool,
    /// With [`Abi::Asyncify`] and the own engine: the host leaves the buffer of a suspended call alone until the call
    /// is over, so frames may stay in it.
    pub stable_buffer: bool,
    /// Whether each write of the shadow stack pointer is checked against the running task's stack.
    pub stack_check: bool,
    /// The `wasm-opt` to run. Else the variable `WINDLASS_WASM_OPT` names it, or it is looked for on `PATH` and
    /// in `./node_modules/.bin`.
    pub wasm_opt: Option<PathBuf>,
    /// Whether the name section is kept, so that traps name functions.
    pub keep_names: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            abi: Abi::default(),
            via: Engine::default(),
            optimize: Optimize::default(),
            suspending_imports: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
            only: Vec::new(),
            ignore_indirect: false,
            stable_buffer: false,
            stack_check: true,
            wasm_opt: None,
            keep_names: true,
        }
    }
}

/// What a module and its host were written against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Abi {
    /// The intrinsics of module `windlass`.
    #[default]
    Windlass,
    /// The imports, exports and data structure of Binaryen's pass `--asyncify`.
    Asyncify,
}

impl Abi {
    /// Every ABI.
    pub const ALL: &[Abi] = &[Abi::Windlass, Abi::Asyncify];

    /// The name, as in `--abi`.
    pub fn name(self) -> &'static str {
        match self {
            Abi::Windlass => "windlass",
            Abi::Asyncify => "asyncify",
        }
    }
}

/// What makes calls suspend and resume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Engine {
    /// The tool itself: a check after each call that may suspend, and lazy resume.
    #[default]
    Own,
    /// The asyncify pass of an installed `wasm-opt`.
    Binaryen,
}

impl Engine {
    /// Every engine.
    pub const ALL: &[Engine] = &[Engine::Own, Engine::Binaryen];

    /// The name, as in `--via` and in section `windlass.lowered`.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Own => "own",
            Engine::Binaryen => "binaryen",
        }
    }
}

/// What the lowered code is to be best at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Optimize {
    /// Code that does not suspend runs at almost full speed. With Binaryen: `-O3`.
    Speed,
    /// Loops that are interpreters as with `Speed`, everything else as with `Size`. With Binaryen: `-O2`.
    #[default]
    Balanced,
    /// The smallest module. With Binaryen: `-Os`.
    Size,
}

impl Optimize {
    /// Every choice.
    pub const ALL: &[Optimize] = &[Optimize::Speed, Optimize::Balanced, Optimize::Size];

    /// The name, as in `--optimize`.
    pub fn name(self) -> &'static str {
        match self {
            Optimize::Speed => "speed",
            Optimize::Balanced => "balanced",
            Optimize::Size => "size",
        }
    }

    /// The level of `wasm-opt`.
    fn flag(self) -> &'static str {
        match self {
            Optimize::Speed => "-O3",
            Optimize::Balanced => "-O2",
            Optimize::Size => "-Os",
        }
    }
}

/// Names as text, and text as the thing named.
macro_rules! named {
    ($($type:ty, $what:literal;)*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<$type, String> {
                <$type>::ALL.iter().copied().find(|one| one.name() == name).ok_or_else(|| {
                    let names: Vec<&str> = <$type>::ALL.iter().map(|one| one.name()).collect();
                    format!(concat!($what, " is one of {}"), names.join(", "))
                })
            }
        }
    )*};
}

named! {
    Abi, "the ABI";
    Engine, "the engine";
    Optimize, "the aim";
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
    /// The ABI that was lowered.
    pub abi: Abi,
    /// The engine that was asked for.
    pub engine: Engine,
    /// The version of the `wasm-opt` that ran, if one was needed.
    pub wasm_opt: Option<String>,
    /// With the own engine: every function that the module defines, in order.
    pub functions: Vec<FunctionReport>,
    /// What the user may want to know, a sentence each.
    pub notes: Vec<String>,
    /// What the lowered module needs of an engine beyond WebAssembly 2.0 and what the guest needed, a phrase each.
    pub needs: Vec<String>,
}

/// What the own engine did with one function.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionReport {
    /// Its index in the module that was given.
    pub index: u32,
    /// Its name, from the name section or its export; else `#` and its index.
    pub name: String,
    /// How its body was made.
    pub form: Form,
    /// Why it may suspend: the shortest chain of calls from it, itself left out, to what suspends; of a longer one the
    /// first hundred. Empty: it may not.
    pub why: Vec<Hop>,
    /// Calls that may suspend.
    pub sites: u32,
    /// Size of its body before.
    pub bytes_before: usize,
    /// Size of the bodies that stand in for it.
    pub bytes_after: usize,
}

/// One call in a [chain](FunctionReport::why).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hop {
    /// The function that is called.
    pub callee: Arc<str>,
    /// Whether the call goes through a table, where the callee is one of those that it may reach.
    pub indirect: bool,
}

/// How a function's body was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// Left as it was.
    Untouched,
    /// Left alone although the analysis found that it may suspend; traps if it is suspended.
    Guarded,
    /// A body that runs and a body that resumes.
    Clone,
    /// One body that runs and resumes.
    Single,
    /// It starts to unwind by itself, by `asyncify.start_unwind`, and is called again as a whole.
    Starts,
    /// It drives the unwinding, by `asyncify.stop_unwind` or `start_rewind`: no suspension passes through it.
    Drives,
}

impl Form {
    /// The name, as in reports.
    pub fn name(self) -> &'static str {
        match self {
            Form::Untouched => "untouched",
            Form::Guarded => "guarded",
            Form::Clone => "clone",
            Form::Single => "single",
            Form::Starts => "starts",
            Form::Drives => "drives",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {} bytes, engine {}", self.bytes_before, self.bytes_after, self.engine)?;
        match (&self.wasm_opt, self.engine) {
            (Some(version), _) => write!(f, " (wasm-opt {version})"),
            (None, Engine::Binaryen) => write!(f, " (nothing suspends: wasm-opt not needed)"),
            (None, Engine::Own) => Ok(()),
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
    if (options.abi, options.via) == (Abi::Asyncify, Engine::Binaryen) {
        return binaryen::lower_asyncify(wasm, options);
    }
    if options.abi == Abi::Asyncify {
        return lower_asyncify(wasm, options);
    }
    let module = Module::parse(wasm)?;
    let guest = Guest::check(&module, options.via)?;
    let emitted = emit::emit(&module, &guest, options)?;
    let mut dropped_debug_info = emitted.dropped_debug_info;
    let mut functions = Vec::new();
    let mut translated = false;
    let mut wasm_opt = None;
    let transformed = match (options.via, emitted.seam) {
        (Engine::Binaryen, _) if guest.suspends() => {
            let program = WasmOpt::find(options)?;
            let transformed = program.asyncify(&emitted.wasm, options)?;
            wasm_opt = Some(program.version);
            transformed
        }
        (Engine::Own, Some(seam)) => {
            let options = emitted.origins.options(options)?;
            let transformed = own::transform(&emitted.wasm, own::Seam::Windlass(seam), &options)?;
            dropped_debug_info |= transformed.dropped_debug_info;
            functions = emitted.origins.report(transformed.functions);
            translated = transformed.translated;
            transformed.wasm
        }
        _ => emitted.wasm,
    };
    let wasm_after = finish::finish(&transformed, options.via.name(), wasm_opt.is_some())?;
    Ok(Lowered {
        report: Report {
            bytes_before: wasm.len(),
            bytes_after: wasm_after.len(),
            abi: options.abi,
            engine: options.via,
            wasm_opt,
            functions,
            notes: notes(dropped_debug_info),
            needs: needs(translated, false),
        },
        wasm: wasm_after,
    })
}

/// Lowers a module for the asyncify ABI with the own engine.
fn lower_asyncify(wasm: &[u8], options: &Options) -> Result<Lowered, Error> {
    let module = Module::parse(wasm)?;
    abi::not_lowered(&module)?;
    abi::linked(&module)?;
    let transformed = own::transform(wasm, own::Seam::Asyncify, options)?;
    let wasm_after = finish::finish(&transformed.wasm, options.via.name(), false)?;
    Ok(Lowered {
        report: Report {
            bytes_before: wasm.len(),
            bytes_after: wasm_after.len(),
            abi: options.abi,
            engine: options.via,
            wasm_opt: None,
            functions: transformed.functions,
            notes: notes(transformed.dropped_debug_info),
            needs: needs(transformed.translated, transformed.second_memory),
        },
        wasm: wasm_after,
    })
}

/// What the user may want to know.
fn notes(dropped_debug_info: bool) -> Vec<String> {
    let dropped = "debug information was dropped: it would not describe the lowered code. \
                   Build with `debug = false`; the name section is kept";
    dropped_debug_info.then(|| dropped.to_owned()).into_iter().collect()
}

/// What the module needs of an engine.
fn needs(translated: bool, second_memory: bool) -> Vec<String> {
    let needs = [
        (
            second_memory,
            "an engine with several memories, such as V8 12.0 (Node 22), as frames are in a second one; \
             `--stable-buffer` needs none, if the host leaves the buffer alone until the call is over",
        ),
        (
            translated,
            "an engine with `exnref`, such as V8 13.7 (Node 25): a call that may suspend stands in a `try`, so \
             exceptions were translated to `try_table`",
        ),
    ];
    needs.into_iter().filter(|(holds, _)| *holds).map(|(_, need)| need.to_owned()).collect()
}

/// Tells of each function that a module defines whether it may suspend and why, by the own engine's analysis.
///
/// # Errors
///
/// Those of [`lower`].
pub fn explain(wasm: &[u8], options: &Options) -> Result<Vec<FunctionReport>, Error> {
    Ok(lower(wasm, options)?.report.functions)
}
