//! `doc`: the documentation, with warnings as errors.

use cargo_windlass::error::Result;
use cargo_windlass::process;

use crate::no_arguments;
use crate::workspace::Workspace;

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut doc = workspace.cargo("doc");
    doc.args(["--workspace", "--no-deps"]);
    process::run(doc.env("RUSTDOCFLAGS", "-Dwarnings"))
}
