//! `fmt`: rustfmt over every file of the project. File by file, because `cargo fmt` reaches neither packages
//! outside the workspace nor modules that a `cfg` leaves out.

use std::collections::BTreeSet;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};

use crate::only_switch;
use crate::workspace::Workspace;

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    format(workspace, only_switch(args, "--check")?)
}

pub(crate) fn format(workspace: &Workspace, check: bool) -> Result<()> {
    which("rustfmt")
        .ok_or_else(|| Error::new("`rustfmt` is missing; install it with\n  rustup component add rustfmt"))?;
    let mut rustfmt = workspace.program("rustfmt");
    rustfmt.args(["--edition", "2024"]);
    if !check {
        return process::run(rustfmt.args(workspace.files(".rs")?));
    }
    // Names only: a difference may be long, and computing it takes memory by the square of its length.
    rustfmt.args(["--check", "--files-with-diff"]).args(workspace.files(".rs")?);
    let output = rustfmt.output().map_err(|error| process::cannot_start(&rustfmt, &error))?;
    if output.status.success() {
        return Ok(());
    }
    // A module's file is looked at twice: by itself and with its parent.
    let names = String::from_utf8_lossy(&output.stdout);
    let names: BTreeSet<&str> = names.lines().collect();
    let complaints = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!(
        "these files are not formatted; format them with `cargo xtask fmt`\n  {}\n{complaints}",
        names.into_iter().collect::<Vec<_>>().join("\n  ")
    )))
}
