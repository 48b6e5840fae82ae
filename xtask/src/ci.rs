//! `ci`: everything that a change must pass.

use cargo_windlass::error::Result;

use crate::workspace::Workspace;
use crate::{lint, no_arguments, test};

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    lint::command(workspace, &[])?;
    test::command(workspace, &[])
}
