//! Building a guest: cargo for wasm32, then the lowering.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass_lower::{Options, Report};

use crate::error::{Error, Result};
use crate::process;
use crate::toolchain::{Library, Toolchain};

/// What to build and how.
#[derive(Debug, Clone)]
pub struct Build {
    /// Where cargo starts: the directory of the package, or of its workspace.
    pub dir: PathBuf,
    /// The profile, by name.
    pub profile: String,
    /// How much of the standard library the guest uses.
    pub library: Library,
    /// More arguments for `cargo build`, such as `--package NAME`.
    pub cargo_args: Vec<String>,
    /// How to lower the module; `None` leaves it as cargo made it.
    pub lower: Option<Options>,
    /// The file to write instead of `NAME.lowered.wasm` beside the module that cargo made.
    pub out: Option<PathBuf>,
}

/// A module that was built.
#[derive(Debug, Clone)]
pub struct Module {
    /// The file as cargo made it.
    pub built: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a module after cargo had made it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was lowered.
    Lowered {
        /// The lowered file.
        file: PathBuf,
        /// What the lowering did.
        report: Report,
        /// How long that took.
        took: Duration,
    },
    /// It was left alone: nobody asked for more, or it imports no intrinsics, having no scheduler.
    AsBuilt {
        /// The file.
        file: PathBuf,
        /// Its size in bytes.
        bytes: usize,
        /// Whether it could have been lowered.
        needs_lowering: bool,
    },
}

impl Module {
    /// The file to give to a host.
    pub fn file(&self) -> &Path {
        match &self.outcome {
            Outcome::Lowered { file, .. } | Outcome::AsBuilt { file, .. } => file,
        }
    }

    /// What the lowering wants to be known, a sentence each.
    pub fn notes(&self) -> &[String] {
        match &self.outcome {
            Outcome::Lowered { report, .. } => &report.notes,
            Outcome::AsBuilt { .. } => &[],
        }
    }

    /// What the module needs of an engine, a phrase each.
    pub fn needs(&self) -> &[String] {
        match &self.outcome {
            Outcome::Lowered { report, .. } => &report.needs,
            Outcome::AsBuilt { .. } => &[],
        }
    }
}

impl fmt::Display for Module {
    /// Where it is and how big.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Lowered { file, report, took } => {
                write!(f, "{}: {report}, {:.2} s", file.display(), took.as_secs_f64())
            }
            Outcome::AsBuilt { file, bytes, needs_lowering } => {
                let why = if *needs_lowering { "not lowered" } else { "needs no lowering" };
                write!(f, "{}: {bytes} bytes, {why}", file.display())
            }
        }
    }
}

impl Build {
    /// Builds and, unless asked not to, lowers.
    ///
    /// # Errors
    /// The build or the lowering failed; there is nothing to lower; or one file is to be written for several modules.
    pub fn run(&self, toolchain: &Toolchain) -> Result<Vec<Module>> {
        let built = self.cargo(toolchain)?;
        if built.is_empty() {
            return Err(Error::new(
                "the build made no wasm module; a guest needs `crate-type = [\"cdylib\"]` under `[lib]` in its Cargo.toml",
            ));
        }
        if self.out.is_some() && built.len() > 1 {
            return Err(Error::new(format!(
                "the build made {} modules, too many for one output file; choose one with `--package`",
                built.len()
            )));
        }
        built.into_iter().map(|file| self.finish(file)).collect()
    }

    /// Runs cargo and returns the modules that it made.
    fn cargo(&self, toolchain: &Toolchain) -> Result<Vec<PathBuf>> {
        let mut command = toolchain.cargo("build", self.library, &self.dir)?;
        command.args(["--profile", &self.profile]);
        command.args(&self.cargo_args);
        command.arg("--message-format=json-render-diagnostics");
        Ok(modules(&messages(&mut command)?))
    }

    fn finish(&self, built: PathBuf) -> Result<Module> {
        let wasm = read(&built)?;
        let told = |error| explain(&error).within(built.display());
        let info = windlass_lower::inspect(&wasm).map_err(told)?;
        // What is no guest at all goes to the lowering, whose error says so.
        let nothing_to_do = info.is_guest() && !info.needs_lowering();
        let outcome = match &self.lower {
            Some(options) if !nothing_to_do => {
                let start = Instant::now();
                let lowered = windlass_lower::lower(&wasm, options).map_err(told)?;
                let took = start.elapsed();
                let file = self.out.clone().unwrap_or_else(|| built.with_extension("lowered.wasm"));
                write(&file, &lowered.wasm)?;
                Outcome::Lowered { file, report: lowered.report, took }
            }
            _ => {
                let file = self.out.clone().unwrap_or_else(|| built.clone());
                if file != built {
                    write(&file, &wasm)?;
                }
                Outcome::AsBuilt { file, bytes: wasm.len(), needs_lowering: info.needs_lowering() }
            }
        };
        Ok(Module { built, outcome })
    }
}

/// An error of the lowering, with its remedy.
pub fn explain(error: &windlass_lower::Error) -> Error {
    match error.help() {
        Some(help) => Error::new(format!("{error}\nhelp: {help}")),
        None => Error::new(error.to_string()),
    }
}

/// Runs the command and returns what it wrote to standard output; its errors go where this process's go.
fn messages(command: &mut Command) -> Result<String> {
    process::output(command.stdin(Stdio::null()))
}

/// The wasm files among the artifacts of cargo's messages.
fn modules(messages: &str) -> Vec<PathBuf> {
    let artifact = |line: &str| -> Option<Vec<PathBuf>> {
        let message: Value = serde_json::from_str(line).ok()?;
        if message.get("reason")? != "compiler-artifact" {
            return None;
        }
        let files = message.get("filenames")?.as_array()?;
        Some(
            files
                .iter()
                .filter_map(Value::as_str)
                .map(PathBuf::from)
                .filter(|file| file.extension().is_some_and(|end| end == "wasm"))
                .collect(),
        )
    };
    messages.lines().filter_map(artifact).flatten().collect()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).map_err(|error| io_error("read", file, &error))
}

fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(file, bytes).map_err(|error| io_error("write", file, &error))
}

fn io_error(what: &str, file: &Path, error: &io::Error) -> Error {
    Error::new(format!("cannot {what} {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::modules;
    use std::path::PathBuf;

    #[test]
    fn only_wasm_artifacts_are_modules() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","filenames":["/t/libcore.rlib"]}"#,
            "\n",
            r#"{"reason":"compiler-artifact","filenames":["/t/guest.wasm","/t/guest.d"]}"#,
            "\n",
            r#"{"reason":"build-script-executed","filenames":["/t/no.wasm"]}"#,
            "\nnot json\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        assert_eq!(modules(messages), [PathBuf::from("/t/guest.wasm")]);
    }
}
