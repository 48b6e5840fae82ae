//! What the figures were measured on and with.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

use crate::error::{Result, within};

const LOCK: &str = include_str!("../../../Cargo.lock");

/// Such as `AMD EPYC, 2 CPUs, linux 6.18.44, load 0.30`.
pub fn name() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpus = available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    format!(
        "{}, {cpus} CPUs, {} {}, load {}",
        model.map_or("unknown CPU", |(_, name)| name),
        std::env::consts::OS,
        read("/proc/sys/kernel/osrelease").trim(),
        load.split(' ').next().unwrap_or("unknown")
    )
}

/// The package and its version in the workspace's lock file, such as `wasmtime 48.0.8`.
pub fn package(name: &str) -> String {
    let start = format!("name = \"{name}\"\nversion = \"");
    let version = LOCK
        .split("[[package]]")
        .find_map(|package| package.trim_start().strip_prefix(&start)?.split('"').next());
    format!("{name} {}", version.unwrap_or("unknown"))
}

/// What a program says of its version.
///
/// # Errors
/// When it cannot be started.
pub fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().map_err(within(program.display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert!(package("windlass").starts_with("windlass 0."), "{}", package("windlass"));
        assert_eq!(package("no-such-package"), "no-such-package unknown");
    }
}
