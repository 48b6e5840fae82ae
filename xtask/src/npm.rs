//! Packages of npm, installed below the target directory, each list into a directory of its own.

use std::fs;
use std::io::stderr;
use std::path::{Path, PathBuf};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};

use crate::setup::create_dir;
use crate::workspace::Workspace;

/// `node_modules` with these packages and versions; they are installed into `dir` unless they are there.
pub(crate) fn packages(workspace: &Workspace, dir: &Path, packages: &[(&str, &str)]) -> Result<PathBuf> {
    let modules = dir.join("node_modules");
    let wanted: Vec<String> = packages.iter().map(|(name, version)| format!("{name}@{version}")).collect();
    let marker = dir.join("installed");
    let list = wanted.join("\n");
    if fs::read_to_string(&marker).is_ok_and(|found| found == list) {
        return Ok(modules);
    }
    which("npm").ok_or_else(|| {
        Error::new("`npm` is missing; install it with Node: `apt-get install npm` or `brew install node`")
    })?;
    eprintln!("npm installs into {}: {}", dir.display(), wanted.join(", "));
    create_dir(dir)?;
    let mut npm = workspace.program("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--prefix"]).arg(dir).args(&wanted);
    process::run(npm.stdout(stderr()))?;
    fs::write(&marker, list)
        .map_err(|error| Error::new(format!("cannot write {}: {error}", marker.display())))?;
    Ok(modules)
}
