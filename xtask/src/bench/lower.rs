//! `bench lower`: what it compares with comes from npm, into the target directory.

use std::env::consts::ARCH;
use std::io::stderr;
use std::path::Path;

use cargo_windlass::build::Build;
use cargo_windlass::error::Result;
use cargo_windlass::process::{self, which};
use cargo_windlass::toolchain::{Library, Target, Toolchain};

use super::{build, check_arguments};
use crate::guest::REACTOR;
use crate::workspace::Workspace;
use crate::{npm, setup};

/// What it takes from npm: Binaryen, and two big modules.
const PACKAGES: &[(&str, &str)] = &[
    ("binaryen", "132"),
    ("@jitl/quickjs-wasmfile-release-sync", "0.32.0"),
    ("@sqlite.org/sqlite-wasm", "3.41.2+build.1"),
];

pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    check_arguments(args, &["--quick", "--gate"], &["--json", "--only"])?;
    let gate = args.iter().any(|arg| arg == "--gate");
    let dir = workspace.target().join("bench/lower");
    let out = dir.join("out");
    setup::create_dir(&out)?;
    let packages = npm::packages(workspace, &dir.join("npm"), PACKAGES)?;

    build(workspace, "windlass-lower", "release", &[])?;
    let toolchain = setup::toolchain(Target::Unknown)?;
    let smallest = dir.join("smallest.wasm");
    build_smallest(workspace, &toolchain, &smallest)?;
    if gate {
        // The gate runs nothing.
        process::run(workspace.with_wasmtime("build").args(["--bin", "bench-lower"]).stdout(stderr()))?;
    } else {
        // By itself: together they would share features, and another wasmtime be built.
        let native = ARCH == "x86_64" && cfg!(unix);
        build(
            workspace,
            "bench-lower",
            "release",
            if native { &["--features", "stack-switching"] } else { &[] },
        )?;
    }

    let release = workspace.target().join("release");
    let mut bench = workspace.program(release.join("bench-lower"));
    bench.arg("--lower").arg(release.join("windlass-lower"));
    bench.arg("--wasm-opt").arg(packages.join("binaryen/bin/wasm-opt"));
    bench.arg("--packages").arg(&packages).arg("--out").arg(&out).arg("--smallest").arg(&smallest);
    if !gate {
        bench.arg("--node").arg(setup::new_node(workspace)?);
        bench.arg("--node").arg(setup::node()?);
        if let Some(second) = which("wasm-opt") {
            bench.arg("--second-wasm-opt").arg(second);
        }
        bench.arg("--reactor").arg(REACTOR.build_unlowered(workspace, &toolchain)?);
    }
    process::run(bench.args(args))
}

/// The guest that is as small as can be, as cargo makes it: outside the workspace, by a profile of its own.
fn build_smallest(workspace: &Workspace, toolchain: &Toolchain, out: &Path) -> Result<()> {
    let target = toolchain.target_dir(&workspace.target().join("smallest"));
    let build = Build {
        dir: workspace.path("benches/lower/guests/smallest"),
        profile: "release".into(),
        library: Library::Alloc,
        cargo_args: vec!["--locked".into(), "--target-dir".into(), target.display().to_string()],
        lower: None,
        out: Some(out.to_owned()),
    };
    build.run(toolchain).map(drop)
}
