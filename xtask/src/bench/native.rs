//! `bench native`: peers come from crates.io, Go from where it is or from PyPI.

use std::process::{Command, Stdio};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

use super::{build, check_arguments};
use crate::workspace::Workspace;
use crate::{go, setup};

const PACKAGE: &str = "bench-native";

/// The features of the package that bring a peer each. `peers` has all of them.
const PEERS: &[&str] = &[
    "async-channel",
    "async-executor",
    "context",
    "corosensei",
    "embassy",
    "flume",
    "generator",
    "kanal",
    "localpool",
    "may",
    "tokio",
];

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    check_arguments(args, &["--quick", "--gate", "--go"], &["--json", "--html", "--only"])?;
    let has = |switch: &str| args.iter().any(|arg| arg == switch);
    setup::valgrind()?;
    let mut bench = workspace.program(workspace.target().join("release").join(PACKAGE));
    if has("--gate") {
        build(workspace, PACKAGE, "release", &[])?;
    } else {
        build(workspace, PACKAGE, "release-lto", &[])?;
        bench.arg("--lto").arg(workspace.target().join("release-lto").join(PACKAGE));
        for (name, reason) in build_with_peers(workspace)? {
            bench.arg("--missing").arg(format!("{name}=does not build: {reason}"));
        }
        match go::find(workspace, has("--go"))? {
            Some(go) => {
                bench.arg("--go").arg(go::build(workspace, &go, "benches/native/go")?);
            }
            None => {
                bench.args(["--missing", "go=there is no `go` on the PATH; --go gets one from PyPI"]);
            }
        }
    }
    process::run(bench.args(args.iter().filter(|arg| *arg != "--go")))
}

/// Builds with all peers that can be built. Returns the others, and what the compiler says.
fn build_with_peers(workspace: &Workspace) -> Result<Vec<(&'static str, String)>> {
    if build(workspace, PACKAGE, "release", &["--features", "peers"]).is_ok() {
        return Ok(Vec::new());
    }
    let mut good = Vec::new();
    let mut missing = Vec::new();
    for peer in PEERS {
        match complaint(&mut compile(workspace, peer))? {
            None => good.push(*peer),
            Some(complaint) => missing.push((*peer, complaint)),
        }
    }
    build(workspace, PACKAGE, "release", &["--features", &good.join(",")])?;
    Ok(missing)
}

fn compile(workspace: &Workspace, feature: &str) -> Command {
    let mut build = workspace.cargo("build");
    build.args(["--release", "--quiet", "--package", PACKAGE, "--features", feature]);
    build
}

/// The first line that says `error`, if it fails.
fn complaint(build: &mut Command) -> Result<Option<String>> {
    let cannot_start = |error| Error::new(format!("cannot start cargo: {error}"));
    let output = build.stdout(Stdio::null()).output().map_err(cannot_start)?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.starts_with("error"));
    Ok(Some(line.unwrap_or("cargo says no reason").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::complaint;
    use std::process::Command;

    #[test]
    #[cfg(unix)]
    fn a_build_that_fails_has_its_first_error_told() {
        let mut fails = Command::new("sh");
        fails.args(["-c", "printf 'warning: w\\nerror[E1]: first\\nerror: second\\n' >&2; exit 1"]);
        let told = complaint(&mut fails).map_err(|error| error.to_string());
        assert_eq!(told, Ok(Some("error[E1]: first".to_owned())));
        let told = complaint(&mut Command::new("true")).map_err(|error| error.to_string());
        assert_eq!(told, Ok(None));
    }
}
