//! `lint`: formatting, clippy on every target and feature set, documentation, packaging. One complaint does not keep
//! the next from being found.

use std::process::Command;
use std::time::Instant;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;
use cargo_windlass::toolchain::{Library, Target, Toolchain};

use crate::workspace::Workspace;
use crate::{doc, fmt, no_arguments, package, setup};

/// The feature sets of `windlass` on this machine, besides the default one.
const NATIVE_FEATURES: &[&str] = &[
    "",
    "alloc",
    "reports",
    "asynchronous",
    "timers",
    "scheduler",
    "scheduler,timers",
    "alloc,scheduler",
    "alloc,scheduler,timers",
    "std",
    "std,timers",
    "std,scheduler",
    "std,scheduler,asynchronous",
    "std,scheduler,timers",
    "asan",
    "pool",
    "pool,timers",
];

/// And on wasm32.
const WASM_FEATURES: &[&str] = &[
    "",
    "alloc",
    "reports",
    "asynchronous",
    "timers",
    "scheduler",
    "scheduler,dlmalloc,panic-handler",
    "scheduler,reports,asynchronous,timers,dlmalloc,panic-handler",
];

/// Packages that are built for wasm32, and how.
const GUESTS: &[(&str, &[&str])] = &[
    ("arch", &[]),
    ("arch", &["--example", "conformance-guest"]),
    ("examples/reactor", &[]),
    ("tests/guest", &[]),
    ("tests/guest", &["--no-default-features"]),
];

/// Tests that are built for wasm32, outside the workspace.
const BINDGEN: &str = "tests/bindgen";

/// The tests of the scheduler without a heap, outside the workspace as well.
const FIXED: &str = "tests/fixed";

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut lint = Lint::default();
    lint.step("formatting", || fmt::format(workspace, true));
    native(workspace, &mut lint);
    fixed(workspace, &mut lint);
    if let Some(toolchain) = toolchain(Target::Unknown, &mut lint) {
        wasm32(workspace, &toolchain, &mut lint);
    }
    if let Some(toolchain) = toolchain(Target::Wasip1, &mut lint) {
        wasip1(workspace, &toolchain, &mut lint);
    }
    lint.step("documentation", || doc::command(workspace, &[]));
    lint.step("packages", || package::check(workspace));
    lint.close()
}

fn native(workspace: &Workspace, lint: &mut Lint) {
    let present = lint.step("clippy", || {
        process::ask(workspace.cargo("clippy").arg("--version"))
            .ok_or_else(|| Error::new("clippy is missing; install it with\n  rustup component add clippy"))
    });
    if present.is_none() {
        return;
    }
    lint.step("clippy, everything", || {
        clippy(workspace.cargo("clippy").args(["--workspace", "--all-targets"]))
    });
    lint.step("clippy, bench-native with its peers", || {
        let mut command = workspace.cargo("clippy");
        clippy(command.args(["--package", "bench-native", "--features", "peers", "--all-targets"]))
    });
    lint.step("clippy, threads backend", || {
        let mut threads = workspace.threads("clippy");
        clippy(threads.args(["--package", "windlass", "--package", "windlass-arch", "--all-targets"]))
    });
    lint.step("clippy, models", || {
        let mut models = workspace.cargo("clippy");
        clippy(models.args(["--package", "loom-tests", "--features", "models", "--all-targets"]))
    });
    for features in NATIVE_FEATURES {
        lint.step(&format!("clippy, windlass with features `{features}`"), || {
            let mut command = workspace.cargo("clippy");
            clippy(command.args(["--package", "windlass"]).args(only(features)))
        });
    }
}

fn fixed(workspace: &Workspace, lint: &mut Lint) {
    lint.step(&format!("clippy, {FIXED}"), || {
        let mut command = workspace.cargo("clippy");
        command.current_dir(workspace.path(FIXED)).args(["--locked", "--bins", "--tests"]);
        clippy(command.env("CARGO_TARGET_DIR", workspace.target().join("fixed")))
    });
}

fn toolchain(target: Target, lint: &mut Lint) -> Option<Toolchain> {
    lint.step(&format!("setup, {target}"), || {
        let toolchain = setup::toolchain(target)?;
        setup::clippy(&toolchain)?;
        Ok(toolchain)
    })
}

fn wasm32(workspace: &Workspace, toolchain: &Toolchain, lint: &mut Lint) {
    let cargo = |dir| toolchain.cargo("clippy", Library::Alloc, &workspace.path(dir));
    for features in WASM_FEATURES {
        lint.step(&format!("clippy, wasm32, windlass with features `{features}`"), || {
            clippy(cargo("")?.args(only(features)))
        });
    }
    for (dir, args) in GUESTS {
        let name = format!("clippy, wasm32, {dir} {}", args.join(" "));
        lint.step(name.trim_end(), || clippy(cargo(dir)?.args(*args)));
    }
    lint.step(&format!("clippy, wasm32, {BINDGEN}"), || {
        let mut command = cargo(BINDGEN)?;
        command.env("CARGO_TARGET_DIR", toolchain.target_dir(workspace.target()));
        clippy(command.arg("--tests"))
    });
}

/// Only what differs: the reactor's entries.
fn wasip1(workspace: &Workspace, toolchain: &Toolchain, lint: &mut Lint) {
    lint.step("clippy, wasip1, tests/guest", || {
        clippy(&mut toolchain.cargo("clippy", Library::Alloc, &workspace.path("tests/guest"))?)
    });
}

/// The steps so far.
#[derive(Default)]
struct Lint {
    failed: Vec<String>,
}

impl Lint {
    fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Option<T> {
        eprintln!("== {name}");
        let start = Instant::now();
        match step() {
            Ok(value) => {
                eprintln!("-- {name}: ok, {:.1} s", start.elapsed().as_secs_f64());
                Some(value)
            }
            Err(error) => {
                eprintln!("-- {name}: failed\n{error}");
                self.failed.push(name.to_owned());
                None
            }
        }
    }

    fn close(self) -> Result<()> {
        if self.failed.is_empty() {
            return Ok(());
        }
        Err(Error::new(format!("these steps of lint failed:\n  {}", self.failed.join("\n  "))))
    }
}

fn clippy(command: &mut Command) -> Result<()> {
    process::run(command.args(["--quiet", "--keep-going", "--", "-Dwarnings"]))
}

fn only(features: &str) -> [String; 2] {
    ["--no-default-features".into(), format!("--features={features}")]
}
