//! The workspace: where its files are, and `cargo` in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::{process, toolchain};

pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self> {
        // As `cargo run` says now, not as it was when this was built: a target directory may serve several checkouts.
        let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package)
            .parent()
            .ok_or_else(|| Error::new("xtask must be a directory of the workspace"))?
            .to_owned();
        let target = toolchain::target_dir(&root)?;
        Ok(Self { root, target })
    }

    pub(crate) fn path(&self, inner: &str) -> PathBuf {
        self.root.join(inner)
    }

    /// The target directory of builds for this machine.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// `cargo SUBCOMMAND` at the workspace's root.
    pub(crate) fn cargo(&self, subcommand: &str) -> Command {
        let mut command = self.program(toolchain::cargo());
        command.arg(subcommand);
        command
    }

    /// `cargo SUBCOMMAND` for the backend that makes each context an OS thread.
    pub(crate) fn threads(&self, subcommand: &str) -> Command {
        let mut command = self.cargo(subcommand);
        command.env("RUSTFLAGS", "--cfg=windlass_backend=\"threads\"");
        command.env("CARGO_TARGET_DIR", self.target.join("threads"));
        command
    }

    /// `cargo SUBCOMMAND --release` for the packages that run modules in wasmtime besides `windlass-host`: always all of them, so that
    /// one wasmtime is built for all.
    pub(crate) fn with_wasmtime(&self, subcommand: &str) -> Command {
        let mut command = self.cargo(subcommand);
        command.args(["--release", "--package", "bench-lower", "--package", "lower-tests"]);
        command.args(["--package", "program-tests", "--features", "lower-tests/wasmtime"]);
        command
    }

    /// Another program at the workspace's root.
    pub(crate) fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// Files that are part of the project and end in `suffix`, relative to the root: what git tracks or would.
    pub(crate) fn files(&self, suffix: &str) -> Result<Vec<PathBuf>> {
        let listed = process::output(self.program("git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        Ok(listed
            .split('\0')
            .filter(|name| name.ends_with(suffix))
            .map(PathBuf::from)
            .filter(|file| self.root.join(file).exists())
            .collect())
    }
}
