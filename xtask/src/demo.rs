//! `demo`: builds examples/reactor, lowers it and lets the host's demo program call it.

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use std::{fs, io};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

use crate::guest::REACTOR;
use crate::workspace::Workspace;
use crate::{only_switch, setup};

/// The checked-in trace.
const TRACE: &str = "xtask/demo.trace";

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    let bless = only_switch(args, "--bless")?;
    let mut program = program(workspace)?;
    let start = Instant::now();
    if bless {
        let trace = process::output(&mut program)?;
        fs::write(workspace.path(TRACE), &trace).map_err(|error| cannot("write", &error))?;
        print!("{trace}");
    } else {
        process::run(&mut program)?;
    }
    eprintln!("demo: ran in {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// Whether the demo prints the checked-in trace.
pub(crate) fn matches_trace(workspace: &Workspace, module: &Path) -> Result<()> {
    let golden = workspace.path(TRACE);
    let expected = fs::read_to_string(golden).map_err(|error| cannot("read", &error))?;
    let trace = process::output(&mut host(workspace, module))?;
    if trace == expected {
        return Ok(());
    }
    let first = trace
        .lines()
        .zip(expected.lines())
        .position(|(a, b)| a != b)
        .unwrap_or_else(|| trace.lines().count().min(expected.lines().count()));
    let nth = |text: &str| text.lines().nth(first).unwrap_or("(the end)").to_owned();
    Err(Error::new(format!(
        "the trace differs from {TRACE} in line {}:\n  expected: {}\n  printed:  {}\n\
         if the new one is right: cargo xtask demo --bless",
        first + 1,
        nth(&expected),
        nth(&trace)
    )))
}

fn program(workspace: &Workspace) -> Result<Command> {
    let toolchain = setup::toolchain(REACTOR.target)?;
    let module = REACTOR.build(workspace, &toolchain)?;
    Ok(host(workspace, &module))
}

fn host(workspace: &Workspace, module: &Path) -> Command {
    let mut command = workspace.cargo("run");
    command.args(["--quiet", "--package", "windlass-host", "--example", "demo"]);
    command.arg("--").arg(module);
    command
}

fn cannot(what: &str, error: &io::Error) -> Error {
    Error::new(format!("cannot {what} {TRACE}: {error}"))
}
