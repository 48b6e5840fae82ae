//! `lint`: formatting, clippy on every target and feature set, documentation, packaging.

use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;
use cargo_windlass::toolchain::{Library, Toolchain};

use crate::workspace::Workspace;
use crate::{doc, fmt, no_arguments, package, setup};

/// The feature sets of `windlass` beside the default one, on this machine.
const NATIVE_FEATURES: &[&str] = &["", "alloc", "scheduler", "std", "std,scheduler"];

/// And on wasm32.
const WASM_FEATURES: &[&str] = &["", "alloc", "scheduler", "scheduler,dlmalloc,panic-handler"];

/// Packages that are built for wasm32, besides `windlass`.
const GUESTS: &[&str] = &["arch", "examples/reactor", "tests/guest"];

/// Tests that are built for wasm32, outside the workspace.
const BINDGEN: &str = "tests/bindgen";

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    step("formatting");
    fmt::format(workspace, true)?;

    process::ask(workspace.cargo("clippy").arg("--version"))
        .ok_or_else(|| Error::new("clippy is missing; install it with\n  rustup component add clippy"))?;
    step("clippy, this machine");
    clippy(workspace.cargo("clippy").args(["--workspace", "--all-targets"]))?;
    for features in NATIVE_FEATURES {
        step(&format!("clippy, this machine, windlass with features `{features}`"));
        let mut command = workspace.cargo("clippy");
        clippy(command.args(["--package", "windlass"]).args(only(features)))?;
    }
    step("clippy, threads backend");
    let mut threads = workspace.threads("clippy");
    clippy(threads.args(["--package", "windlass", "--package", "windlass-arch", "--all-targets"]))?;

    let toolchain = setup::wasm32()?;
    setup::clippy(&toolchain)?;
    wasm32(workspace, &toolchain)?;

    step("documentation");
    doc::command(workspace, &[])?;
    step("packages");
    package::check(workspace)
}

fn wasm32(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let cargo = |dir| toolchain.cargo("clippy", Library::Alloc, &workspace.path(dir));
    for features in WASM_FEATURES {
        step(&format!("clippy, wasm32, windlass with features `{features}`"));
        clippy(cargo("")?.args(only(features)))?;
    }
    for dir in GUESTS {
        step(&format!("clippy, wasm32, {dir}"));
        clippy(&mut cargo(dir)?)?;
    }
    step(&format!("clippy, wasm32, {BINDGEN}"));
    clippy(cargo(BINDGEN)?.arg("--tests"))
}

fn step(name: &str) {
    eprintln!("== {name}");
}

fn clippy(command: &mut Command) -> Result<()> {
    process::run(command.args(["--quiet", "--", "-Dwarnings"]))
}

fn only(features: &str) -> [String; 2] {
    ["--no-default-features".into(), format!("--features={features}")]
}
