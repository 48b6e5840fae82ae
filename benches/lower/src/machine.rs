//! What the figures were measured on and with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use crate::arguments::Arguments;
use crate::error::{Result, within};
use crate::node::Node;

const LOCK: &str = include_str!("../../../Cargo.lock");

/// A line each for the machine, the engines and the tools.
pub(crate) fn describe(arguments: &Arguments, nodes: &[Node<'_>]) -> Result<String> {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpus = available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let mut engines: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let wasmtime = wasmtime();
    engines.push(&wasmtime);
    let mut lines = vec![
        format!(
            "machine: {}, {cpus} CPUs, {} {}, load {}",
            model.map_or("unknown CPU", |(_, name)| name),
            std::env::consts::OS,
            read("/proc/sys/kernel/osrelease").trim(),
            load.split(' ').next().unwrap_or("unknown")
        ),
        format!("engines: {}", engines.join(", ")),
        format!("own:     {}", version(&arguments.lower)?),
        format!("binaryen: {} ({})", version(&arguments.wasm_opt)?, arguments.wasm_opt.display()),
    ];
    if let Some(second) = &arguments.second_wasm_opt {
        lines.push(format!("binaryen-second: {} ({})", version(second)?, second.display()));
    }
    Ok(lines.join("\n"))
}

/// The engine in this process.
pub(crate) fn wasmtime() -> String {
    let version = LOCK.split("[[package]]").find_map(|package| {
        let version = package.trim_start().strip_prefix("name = \"wasmtime\"\nversion = \"")?;
        version.split('"').next()
    });
    format!("wasmtime {}", version.unwrap_or("unknown"))
}

fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().map_err(within(program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
