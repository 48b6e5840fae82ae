//! `qemu`: the tests on CPUs that this machine is not, in QEMU. docs/testing.md has what each row is for.

mod bare;
pub(crate) mod hosted;

use std::collections::BTreeSet;

use cargo_windlass::error::{Error, Result};

use crate::no_arguments;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// One target.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    pub(crate) run: fn(&Workspace, &mut Tally),
}

/// All rows, a table a file.
const TABLES: &[&[Row]] = &[bare::ROWS, hosted::ROWS];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    let rows = || TABLES.iter().copied().flatten();
    if args.first().is_some_and(|arg| arg == "--list") {
        no_arguments(&args[1..])?;
        for Row { name, does, .. } in rows() {
            println!("{name:<29} {does}");
        }
        return Ok(());
    }
    let wanted: BTreeSet<&str> = args.iter().map(String::as_str).collect();
    if let Some(unknown) = wanted.iter().find(|name| rows().all(|row| row.name != **name)) {
        return Err(Error::new(format!(
            "no target `{unknown}`; the targets are shown by\n  cargo xtask qemu --list"
        )));
    }
    let mut tally = Tally::default();
    for row in rows().filter(|row| wanted.is_empty() || wanted.contains(row.name)) {
        (row.run)(workspace, &mut tally);
    }
    tally.close()
}
