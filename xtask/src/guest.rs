//! Guests of the workspace: built for wasm32 with profile `guest`, and lowered.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_windlass::build::{Build, Module};
use cargo_windlass::error::{Error, Result};
use cargo_windlass::toolchain::{Library, Toolchain};

use crate::workspace::Workspace;

/// Where the guest `name` goes. Cargo gives builds of one package with different features the same name.
pub(crate) fn file(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let dir = workspace.target().join("guests");
    fs::create_dir_all(&dir)
        .map_err(|error| Error::new(format!("cannot create {}: {error}", dir.display())))?;
    Ok(dir.join(name).with_extension("wasm"))
}

/// Builds and lowers the package in directory `dir`, and tells sizes and times on standard error.
pub(crate) fn build(
    workspace: &Workspace,
    toolchain: &Toolchain,
    wasm_opt: &Path,
    dir: &str,
    cargo_args: &[&str],
    out: Option<PathBuf>,
) -> Result<Module> {
    let mut options = windlass_lower::Options::default();
    options.wasm_opt = Some(wasm_opt.to_owned());
    let build = Build {
        dir: workspace.path(dir),
        profile: "guest".into(),
        library: Library::Alloc,
        cargo_args: cargo_args.iter().map(ToString::to_string).collect(),
        lower: Some(options),
        out,
    };
    let module = build.run(toolchain)?.pop().ok_or_else(|| Error::new(format!("{dir} made no module")))?;
    eprintln!("{module}");
    Ok(module)
}
