//! `loom`: the models of `tests/loom`, which try what threads share in every order.

use std::process::Command;

use cargo_windlass::error::Result;

use crate::no_arguments;
use crate::tally::{Report, Tally};
use crate::workspace::Workspace;

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut tally = Tally::default();
    tally.tests("loom", Report::Libtest, &mut test(workspace));
    tally.close()
}

/// Optimised: there are many orders.
pub(crate) fn test(workspace: &Workspace) -> Command {
    let mut test = workspace.cargo("test");
    test.args(["--release", "--package", "loom-tests", "--features", "models", "--no-fail-fast"]);
    test
}
