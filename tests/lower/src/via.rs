//! What lowers a module: the library, or a program.

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use windlass_lower::ErrorKind;

/// Why there is no lowered module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotLowered {
    /// It was refused, with a reason.
    Refused(String),
    /// The library panicked, or made a module that is not valid: it must not, whatever the module is.
    Broken(String),
}

impl fmt::Display for NotLowered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotLowered::Refused(reason) => write!(f, "{reason}"),
            NotLowered::Broken(text) => write!(f, "not lowered: {text}"),
        }
    }
}

impl Error for NotLowered {}

/// What lowers a module.
#[derive(Clone, Debug)]
pub enum Via {
    /// A program. In its arguments, `{in}` and `{out}` stand for files, `{imports}` for the imports that suspend,
    /// `module.name` with commas between. An argument with `{import}` is there once for each of them.
    Binary(PathBuf, Vec<OsString>),
    /// The library, with these options; the imports that suspend are added.
    Library(Box<windlass_lower::Options>),
}

impl Via {
    /// The asyncify pass of a `wasm-opt`.
    pub fn wasm_opt(path: &Path, level: &str) -> Via {
        let mut args: Vec<OsString> =
            ["{in}", "-o", "{out}", "--asyncify", "--pass-arg=asyncify-imports@{imports}", level]
                .map(OsString::from)
                .into();
        for feature in [
            "mutable-globals",
            "nontrapping-float-to-int",
            "sign-ext",
            "simd",
            "bulk-memory",
            "multivalue",
            "reference-types",
            "tail-call",
        ] {
            args.push(format!("--enable-{feature}").into());
        }
        Via::Binary(path.to_owned(), args)
    }

    /// The program `windlass-lower`.
    pub fn windlass_lower(path: &Path, engine: &str, optimize: &str, stable: bool) -> Via {
        let mut args: Vec<OsString> =
            ["{in}", "-o", "{out}", "--abi", "asyncify", "--via", engine].map(OsString::from).into();
        args.extend(["--optimize", optimize, "--suspending-import={import}"].map(OsString::from));
        if stable {
            args.push("--stable-buffer".into());
        }
        Via::Binary(path.to_owned(), args)
    }

    /// The library.
    ///
    /// # Errors
    ///
    /// If there is no such engine or aim.
    pub fn library(engine: &str, optimize: &str, stable: bool) -> Result<Via, String> {
        let mut options = windlass_lower::Options::default();
        options.abi = windlass_lower::Abi::Asyncify;
        options.via = engine.parse()?;
        options.optimize = optimize.parse()?;
        options.stable_buffer = stable;
        Ok(Via::Library(Box::new(options)))
    }

    /// Lowers a module, all of whose suspending imports are named.
    ///
    /// # Errors
    ///
    /// If that does not work: the text says why.
    pub fn lower(&self, wasm: &[u8], suspending: &[String]) -> Result<Vec<u8>, NotLowered> {
        match self {
            Via::Binary(path, args) => binary(path, args, wasm, suspending),
            Via::Library(options) => {
                let mut options = options.clone();
                options.suspending_imports = suspending.to_vec();
                // It keeps nothing from one module to the next.
                let lower = AssertUnwindSafe(|| windlass_lower::lower(wasm, &options));
                match catch_unwind(lower) {
                    Ok(Ok(lowered)) => Ok(lowered.wasm),
                    Ok(Err(error)) if error.kind() == ErrorKind::Internal => {
                        Err(NotLowered::Broken(error.to_string()))
                    }
                    Ok(Err(error)) => Err(NotLowered::Refused(error.to_string())),
                    Err(payload) => {
                        let text = payload.downcast_ref::<String>().cloned();
                        let text =
                            text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        Err(NotLowered::Broken(format!("panicked: {}", text.unwrap_or_default())))
                    }
                }
            }
        }
    }
}

/// How the message of an internal error of `windlass-lower` begins, behind the file's name, and that of a panic.
const BROKEN: &[&str] = &["the lowered module is damaged", "panicked at"];

fn binary(path: &Path, args: &[OsString], wasm: &[u8], suspending: &[String]) -> Result<Vec<u8>, NotLowered> {
    let say = |what: &str, error: std::io::Error| NotLowered::Refused(format!("{what}: {error}"));
    let directory = tempfile::tempdir().map_err(|error| say("a temporary directory", error))?;
    let (input, output) = (directory.path().join("base.wasm"), directory.path().join("lowered.wasm"));
    fs::write(&input, wasm).map_err(|error| say("writing the module", error))?;
    let imports = suspending.join(",");
    let mut command = Command::new(path);
    for arg in args {
        match arg.to_str() {
            Some("{in}") => command.arg(&input),
            Some("{out}") => command.arg(&output),
            Some(text) if text.contains("{import}") => {
                command.args(suspending.iter().map(|import| text.replace("{import}", import)))
            }
            Some(text) => command.arg(text.replace("{imports}", &imports)),
            None => command.arg(arg),
        };
    }
    let result = command.stdin(Stdio::null()).output();
    let result = result.map_err(|error| say(&path.display().to_string(), error))?;
    if !result.status.success() {
        let text = String::from_utf8_lossy(&result.stderr);
        let text = text.lines().take(4).collect::<Vec<_>>().join(" / ");
        let text = text.replace(&directory.path().display().to_string(), "");
        let text = format!("{}: {}: {text}", path.display(), result.status);
        let broken = BROKEN.iter().any(|broken| text.contains(broken));
        return Err(if broken { NotLowered::Broken(text) } else { NotLowered::Refused(text) });
    }
    fs::read(&output).map_err(|error| say("reading the lowered module", error))
}
