//! Guests of the workspace: built for wasm32, and lowered.

use std::fs;
use std::path::{Path, PathBuf};

use cargo_windlass::build::Build;
use cargo_windlass::error::{Error, Result};
use cargo_windlass::toolchain::{Library, Target, Toolchain};
use windlass_lower::{Engine, Options};

use crate::workspace::Workspace;

/// A guest of the workspace, and one way to build it.
pub(crate) struct Guest {
    /// The lowered file's, and of the step that makes it. Cargo gives all builds of one package the same.
    pub(crate) name: &'static str,
    dir: &'static str,
    pub(crate) target: Target,
    profile: &'static str,
    args: &'static [&'static str],
}

/// The one of the demo.
pub(crate) const REACTOR: Guest =
    Guest { name: "reactor", dir: "examples/reactor", target: Target::Unknown, profile: "guest", args: &[] };

/// The conformance cases of `windlass-arch`.
pub(crate) const CONFORMANCE: Guest = Guest {
    name: "conformance",
    dir: "arch",
    target: Target::Unknown,
    profile: "guest",
    args: &["--example", "conformance-guest"],
};

/// Those, unoptimised.
pub(crate) const CONFORMANCE_DEBUG: Guest =
    Guest { name: "conformance-debug", profile: "dev", ..CONFORMANCE };

/// The one of the reactor rules.
pub(crate) const RULES: Guest =
    Guest { name: "guest", dir: "tests/guest", target: Target::Unknown, profile: "guest", args: &[] };

/// That, without the scheduler.
pub(crate) const RULES_DIRECT: Guest =
    Guest { name: "guest-direct", args: &["--no-default-features"], ..RULES };

/// That, on wasip1.
pub(crate) const RULES_WASIP1: Guest = Guest { name: "guest-wasip1", target: Target::Wasip1, ..RULES };

impl Guest {
    /// What does the same as [`build`](Guest::build) by hand.
    pub(crate) fn line(&self) -> String {
        let mut words = vec!["cargo windlass build --profile", self.profile, "--dir", self.dir];
        words.extend(["--target", self.target.triple()]);
        words.extend(self.args);
        words.join(" ")
    }

    /// Builds and lowers it, tells sizes and times on standard error, and returns the file.
    pub(crate) fn build(&self, workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
        self.make(workspace, toolchain, &format!("{}.wasm", self.name), Some(Options::default()))
    }

    /// The same by way of Binaryen, into another file.
    pub(crate) fn build_via_binaryen(
        &self,
        workspace: &Workspace,
        toolchain: &Toolchain,
        wasm_opt: &Path,
    ) -> Result<PathBuf> {
        let mut options = Options::default();
        options.via = Engine::Binaryen;
        options.wasm_opt = Some(wasm_opt.to_owned());
        self.make(workspace, toolchain, &format!("{}.binaryen.wasm", self.name), Some(options))
    }

    /// As cargo makes it.
    pub(crate) fn build_unlowered(&self, workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
        self.make(workspace, toolchain, &format!("{}.unlowered.wasm", self.name), None)
    }

    fn make(
        &self,
        workspace: &Workspace,
        toolchain: &Toolchain,
        file: &str,
        lower: Option<Options>,
    ) -> Result<PathBuf> {
        let guests = workspace.target().join("guests");
        fs::create_dir_all(&guests)
            .map_err(|error| Error::new(format!("cannot create {}: {error}", guests.display())))?;
        let out = guests.join(file);
        let build = Build {
            dir: workspace.path(self.dir),
            profile: self.profile.into(),
            library: Library::Alloc,
            cargo_args: self.args.iter().map(ToString::to_string).collect(),
            lower,
            out: Some(out.clone()),
        };
        for module in build.run(toolchain)? {
            eprintln!("{module}");
        }
        Ok(out)
    }
}
