//! `qemu`: the tests of other CPUs and systems, each under what runs its programs here.

pub(crate) mod hosted;

use cargo_windlass::error::{Error, Result};

use crate::tally::Tally;
use crate::workspace::Workspace;

/// A target, and its tests.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    pub(crate) run: fn(&Workspace, &mut Tally),
}

const TABLES: &[&[Row]] = &[hosted::ROWS];

fn rows() -> impl Iterator<Item = &'static Row> {
    TABLES.iter().copied().flatten()
}

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args.first().is_some_and(|arg| arg == "--list") {
        crate::no_arguments(&args[1..])?;
        for Row { name, does, .. } in rows() {
            println!("{name:<28} {does}");
        }
        return Ok(());
    }
    if let Some(unknown) = args.iter().find(|name| rows().all(|row| row.name != name.as_str())) {
        return Err(Error::new(format!(
            "no target `{unknown}`; the targets are shown by\n  cargo xtask qemu --list"
        )));
    }
    let mut tally = Tally::default();
    for row in rows().filter(|row| args.is_empty() || args.iter().any(|name| name == row.name)) {
        (row.run)(workspace, &mut tally);
    }
    tally.close()
}
