//! The engine `binaryen`: runs the asyncify pass of an installed `wasm-opt`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use crate::Options;
use crate::error::{Error, ErrorKind};
use crate::module;

/// The variable that names the program, where no option does.
const VARIABLE: &str = "WINDLASS_WASM_OPT";

/// How to get the program, for whoever lacks it.
const INSTALL: &str = "install it with `apt-get install binaryen`, `brew install binaryen` or \
                       `npm install binaryen`, or name it with --wasm-opt or WINDLASS_WASM_OPT";

/// A `wasm-opt` that answered.
pub(crate) struct WasmOpt {
    path: PathBuf,
    /// As the program gives it, e.g. "108" or "version_123".
    pub(crate) version: String,
}

impl WasmOpt {
    /// Finds the program: the option, the variable, the search path, an npm project.
    pub(crate) fn find(options: &Options) -> Result<WasmOpt, Error> {
        let named = options
            .wasm_opt
            .clone()
            .map(|path| (path, "--wasm-opt"))
            .or_else(|| variable().map(|path| (path, VARIABLE)));
        if let Some((path, by)) = named {
            return WasmOpt::ask(path).map_err(|error| {
                Error::new(ErrorKind::WasmOptMissing, format!("{error} (named by {by})")).with_help(INSTALL)
            });
        }
        match search() {
            Some(path) => WasmOpt::ask(path),
            None => Err(Error::new(
                ErrorKind::WasmOptMissing,
                "the guest suspends tasks, which needs `wasm-opt`; it is neither on PATH nor in \
                 ./node_modules/.bin",
            )
            .with_help(INSTALL)),
        }
    }

    fn ask(path: PathBuf) -> Result<WasmOpt, Error> {
        let output = Command::new(&path)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| cannot_run(&path, &error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("wasm-opt version "))
            .and_then(|rest| rest.split_whitespace().next());
        match version {
            Some(version) => Ok(WasmOpt { version: version.to_owned(), path }),
            None => Err(Error::new(
                ErrorKind::WasmOptMissing,
                format!("`{}` is no wasm-opt: it does not answer to --version", path.display()),
            )
            .with_help(INSTALL)),
        }
    }

    /// Transforms the module so that `asyncify.*` work in it, then optimises.
    pub(crate) fn asyncify(&self, wasm: &[u8], options: &Options) -> Result<Vec<u8>, Error> {
        let directory = tempfile::Builder::new()
            .prefix("windlass-lower-")
            .tempdir()
            .map_err(|error| io("cannot make a temporary directory", &error))?;
        let input = directory.path().join("guest.wasm");
        let result = directory.path().join("asyncified.wasm");
        fs::write(&input, wasm).map_err(|error| io("cannot write a temporary file", &error))?;

        let mut command = Command::new(&self.path);
        command.arg(&input).arg("-o").arg(&result);
        // The brackets keep every import on the host's side: none unwinds.
        command.args(["--asyncify", "--pass-arg=asyncify-ignore-imports"]);
        if let Some(level) = options.optimize.flag() {
            command.arg(level);
        }
        if options.keep_names {
            command.arg("-g");
        }
        // A stripped module does not list its proposals, and the emitter may have added one.
        command.args(module::proposals_in_use(wasm));
        let output = command.stdin(Stdio::null()).output().map_err(|error| cannot_run(&self.path, &error))?;
        if !output.status.success() {
            return Err(self.failed(&output));
        }
        fs::read(&result).map_err(|error| {
            Error::new(
                ErrorKind::WasmOptFailed,
                format!("`{}` wrote no module: {error}", self.path.display()),
            )
        })
    }

    fn failed(&self, output: &Output) -> Error {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        // Fatal messages come first; what follows may be a dump of the module.
        let said: String = said.chars().take(2000).collect();
        Error::new(
            ErrorKind::WasmOptFailed,
            format!(
                "`{}` (version {}) failed with {}:\n{said}",
                self.path.display(),
                self.version,
                output.status
            ),
        )
        .with_help(
            "a wasm-opt older than the guest's compiler may not know its proposals: try a newer one \
             (`npm install binaryen`)",
        )
    }
}

fn variable() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn search() -> Option<PathBuf> {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    let npm = Path::new("node_modules").join(".bin");
    let names: &[&str] = if cfg!(windows) { &["wasm-opt.exe", "wasm-opt.cmd"] } else { &["wasm-opt"] };
    env::split_paths(&path)
        .chain([npm])
        .flat_map(|directory| names.iter().map(move |name| directory.join(name)))
        .find(|candidate| candidate.is_file())
}

fn cannot_run(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::WasmOptMissing, format!("cannot run `{}`: {error}", path.display()))
        .with_help(INSTALL)
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: {error}"))
}
