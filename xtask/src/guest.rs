//! Guests of the workspace: built for wasm32 with profile `guest`, and lowered.

use std::path::Path;

use cargo_windlass::build::{Build, Module};
use cargo_windlass::error::{Error, Result};
use cargo_windlass::toolchain::{Library, Toolchain};

use crate::workspace::Workspace;

/// Builds and lowers the package in directory `dir`, and tells sizes and times on standard error.
pub(crate) fn build(
    workspace: &Workspace,
    toolchain: &Toolchain,
    wasm_opt: &Path,
    dir: &str,
    cargo_args: &[&str],
) -> Result<Module> {
    let mut options = windlass_lower::Options::default();
    options.wasm_opt = Some(wasm_opt.to_owned());
    let build = Build {
        dir: workspace.path(dir),
        profile: "guest".into(),
        library: Library::Alloc,
        cargo_args: cargo_args.iter().map(ToString::to_string).collect(),
        lower: Some(options),
        out: None,
    };
    let module = build.run(toolchain)?.pop().ok_or_else(|| Error::new(format!("{dir} made no module")))?;
    eprintln!("{module}");
    Ok(module)
}
