//! The engine `binaryen`: runs the asyncify pass of an installed `wasm-opt`.
//!
//! The tool itself answers to `wasm-opt`'s command line, so the `wasm-opt` on `PATH` may be this program again. It says
//! so when asked for its version, and the search goes on; a variable in the child's environment keeps two of them from
//! asking each other for ever.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use crate::error::{Error, ErrorKind};
use crate::finish;
use crate::module::{self, Module};
use crate::{Lowered, Options, Report, abi};

/// The variable that names the program, where no option does.
const VARIABLE: &str = "WINDLASS_WASM_OPT";

/// The variable that is set for every `wasm-opt` that is run.
const INSIDE: &str = "WINDLASS_LOWER_INSIDE";

/// What `windlass-lower` says of itself in its answer to `wasm-opt --version`, behind the number.
const OURSELVES: &str = "(windlass-lower ";

/// How to get the program, for whoever lacks it.
const INSTALL: &str = "install it with `apt-get install binaryen`, `brew install binaryen` or \
                       `npm install binaryen`, or name it with --wasm-opt or WINDLASS_WASM_OPT";

/// An installed `wasm-opt` that answered.
#[derive(Clone, Debug)]
pub struct WasmOpt {
    path: PathBuf,
    /// As the program gives it, e.g. "108" or "version_123".
    pub(crate) version: String,
}

/// Why a candidate is no `wasm-opt`.
enum Unfit {
    /// It is this program under another name.
    Ourselves,
    Broken(Error),
}

impl WasmOpt {
    /// Finds the program: where `named` says, else the variable `WINDLASS_WASM_OPT`, the search path, an npm project.
    /// What it finds is never `windlass-lower` under the name of `wasm-opt`.
    ///
    /// # Errors
    ///
    /// If there is none, or the one that was named does not run.
    pub fn installed(named: Option<&Path>) -> Result<WasmOpt, Error> {
        let named = named
            .map(|path| (path.to_owned(), "--wasm-opt"))
            .or_else(|| variable().map(|path| (path, VARIABLE)));
        if let Some((path, by)) = named {
            return WasmOpt::ask(path.clone()).map_err(|unfit| {
                let message = match unfit {
                    Unfit::Broken(error) => error.to_string(),
                    Unfit::Ourselves => {
                        format!("`{}` is windlass-lower itself under another name", path.display())
                    }
                };
                Error::new(ErrorKind::WasmOptMissing, format!("{message} (named by {by})")).with_help(INSTALL)
            });
        }
        for path in candidates() {
            match WasmOpt::ask(path) {
                Ok(found) => return Ok(found),
                Err(Unfit::Ourselves) => {}
                Err(Unfit::Broken(error)) => return Err(error),
            }
        }
        Err(Error::new(
            ErrorKind::WasmOptMissing,
            "this needs Binaryen's `wasm-opt`, which is neither on PATH nor in ./node_modules/.bin",
        )
        .with_help(INSTALL))
    }

    /// The number of its version, e.g. "108".
    pub fn version(&self) -> &str {
        &self.version
    }

    /// A command that runs it, without arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env(INSIDE, "1");
        command
    }

    /// Whether this process was started by `windlass-lower` that took it for a `wasm-opt`. It must not look for one
    /// in its turn.
    pub fn is_asking() -> bool {
        env::var_os(INSIDE).is_some()
    }

    pub(crate) fn find(options: &Options) -> Result<WasmOpt, Error> {
        WasmOpt::installed(options.wasm_opt.as_deref())
    }

    fn ask(path: PathBuf) -> Result<WasmOpt, Unfit> {
        let output = Command::new(&path)
            .arg("--version")
            .env(INSIDE, "1")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Unfit::Broken(cannot_run(&path, &error)))?;
        let text = String::from_utf8_lossy(&output.stdout);
        if text.contains(OURSELVES) {
            return Err(Unfit::Ourselves);
        }
        let version = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("wasm-opt version "))
            .and_then(|rest| rest.split_whitespace().next());
        match version {
            Some(version) => Ok(WasmOpt { version: version.to_owned(), path }),
            None => Err(Unfit::Broken(
                Error::new(
                    ErrorKind::WasmOptMissing,
                    format!("`{}` is no wasm-opt: it does not answer to --version", path.display()),
                )
                .with_help(INSTALL),
            )),
        }
    }

    /// Transforms the module so that `asyncify.*` work in it, then optimises.
    pub(crate) fn asyncify(&self, wasm: &[u8], options: &Options) -> Result<Vec<u8>, Error> {
        // The brackets keep every import on the host's side: none unwinds.
        self.transform(wasm, options, &["--pass-arg=asyncify-ignore-imports".to_owned()])
    }

    fn transform(&self, wasm: &[u8], options: &Options, arguments: &[String]) -> Result<Vec<u8>, Error> {
        let directory = tempfile::Builder::new()
            .prefix("windlass-lower-")
            .tempdir()
            .map_err(|error| io("cannot make a temporary directory", &error))?;
        let input = directory.path().join("guest.wasm");
        let result = directory.path().join("asyncified.wasm");
        fs::write(&input, wasm).map_err(|error| io("cannot write a temporary file", &error))?;

        let mut command = self.command();
        command.arg(&input).arg("-o").arg(&result);
        command.arg("--asyncify").args(arguments).arg(options.optimize.flag());
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

/// Lowers a module that was written against the pass: nothing is added to what the pass does.
pub(crate) fn lower_asyncify(wasm: &[u8], options: &Options) -> Result<Lowered, Error> {
    let module = Module::parse(wasm)?;
    if let Some(import) = module.function_imports.iter().find(|import| import.module == abi::MODULE) {
        return Err(Error::new(
            ErrorKind::Abi,
            format!("the module imports `windlass.{}`, which is no part of the ABI `asyncify`", import.name),
        )
        .with_help("lower it with `--abi windlass`, which is the default"));
    }
    if let Some(export) = module.exports.iter().find(|export| abi::ASYNCIFY_EXPORTS.contains(&export.name)) {
        return Err(Error::new(
            ErrorKind::AlreadyLowered,
            format!("the module exports `{}`: it has been through the pass before", export.name),
        )
        .with_help("give the module that the linker wrote"));
    }

    let mut arguments = vec!["--strip-dwarf".to_owned()];
    if !options.suspending_imports.is_empty() {
        arguments.push(format!("--pass-arg=asyncify-imports@{}", options.suspending_imports.join(",")));
    }
    if options.ignore_indirect {
        arguments.push("--pass-arg=asyncify-ignore-indirect".to_owned());
    }
    let lists = [("addlist", &options.allow), ("removelist", &options.deny), ("onlylist", &options.only)];
    for (list, functions) in lists {
        let functions: Vec<&str> =
            functions.iter().map(|function| listed(&module, function)).collect::<Result<_, Error>>()?;
        if !functions.is_empty() {
            arguments.push(format!("--pass-arg=asyncify-{list}@{}", functions.join(",")));
        }
    }
    if !options.allow.is_empty() {
        // What the own engine does for such functions: their callers follow.
        arguments.push("--pass-arg=asyncify-propagate-addlist".to_owned());
    }

    let wasm_opt = WasmOpt::find(options)?;
    let transformed = wasm_opt.transform(wasm, options, &arguments)?;
    let lowered = finish::finish(&transformed, options.via.name(), false)?;
    let mut notes = Vec::new();
    if module.customs.iter().any(|(name, _)| name.starts_with(".debug_")) {
        notes.push(
            "debug information was dropped: it would not describe the lowered code. The name section is kept"
                .to_owned(),
        );
    }
    Ok(Lowered {
        report: Report {
            bytes_before: wasm.len(),
            bytes_after: lowered.len(),
            abi: options.abi,
            engine: options.via,
            wasm_opt: Some(wasm_opt.version),
            functions: Vec::new(),
            notes,
            needs: Vec::new(),
        },
        wasm: lowered,
    })
}

/// A function as a list of the pass names it: by its name, which `#` and an index are looked up for.
fn listed<'a>(module: &Module<'a>, function: &'a str) -> Result<&'a str, Error> {
    let unsupported = |message: String| {
        Error::new(ErrorKind::Unsupported, message)
            .with_help("name functions by patterns with `*`, or lower with `--via own`")
    };
    let name = match function.strip_prefix('#').and_then(|index| index.parse().ok()) {
        Some(index) => module.function_names.get(&index).copied().ok_or_else(|| {
            unsupported(format!("function {function} has no name, and Binaryen's pass takes only names"))
        })?,
        None => function,
    };
    let mut depth = 0_i32;
    for character in name.chars() {
        match character {
            '(' | '<' | '[' | '{' => depth += 1,
            ')' | '>' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                return Err(unsupported(format!("the lists of Binaryen's pass cannot hold `{name}`")));
            }
            _ => {}
        }
    }
    if depth == 0 {
        Ok(name)
    } else {
        Err(unsupported(format!("the lists of Binaryen's pass cannot hold `{name}`")))
    }
}

fn variable() -> Option<PathBuf> {
    env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn candidates() -> impl Iterator<Item = PathBuf> {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    let npm = Path::new("node_modules").join(".bin");
    let names: &[&str] = if cfg!(windows) { &["wasm-opt.exe", "wasm-opt.cmd"] } else { &["wasm-opt"] };
    let directories: Vec<PathBuf> = env::split_paths(&path).chain([npm]).collect();
    directories
        .into_iter()
        .flat_map(move |directory| names.iter().map(move |name| directory.join(name)))
        .filter(|candidate| candidate.is_file())
}

fn cannot_run(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::WasmOptMissing, format!("cannot run `{}`: {error}", path.display()))
        .with_help(INSTALL)
}

fn io(what: &str, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("{what}: {error}"))
}
