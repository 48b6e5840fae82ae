//! `bench`: builds and runs the programs below `benches/`. What they compare with comes from npm, into the target
//! directory.

use std::env::consts::ARCH;
use std::io::stderr;
use std::path::Path;

use cargo_windlass::build::Build;
use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};
use cargo_windlass::toolchain::{Library, Target, Toolchain};

use crate::guest::REACTOR;
use crate::workspace::Workspace;
use crate::{npm, setup};

struct Bench {
    name: &'static str,
    does: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const BENCHES: &[Bench] = &[Bench {
    name: "lower",
    does: "the lowering engine beside Binaryen's, on Node and wasmtime \
           [--quick] [--json FILE] [--only PATTERN] [--gate]",
    run: lower,
}];

/// What `bench lower` takes from npm: Binaryen, and two big modules.
const PACKAGES: &[(&str, &str)] = &[
    ("binaryen", "132"),
    ("@jitl/quickjs-wasmfile-release-sync", "0.32.0"),
    ("@sqlite.org/sqlite-wasm", "3.41.2+build.1"),
];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        for Bench { name, does, .. } in BENCHES {
            println!("{name:<6} {does}");
        }
        return Ok(());
    };
    let bench = BENCHES.iter().find(|bench| bench.name == name).ok_or_else(|| {
        Error::new(format!("no bench `{name}`; the benches are shown by\n  cargo xtask bench"))
    })?;
    (bench.run)(workspace, rest)
}

pub(crate) fn lower(workspace: &Workspace, args: &[String]) -> Result<()> {
    check_lower_arguments(args)?;
    let gate = args.iter().any(|arg| arg == "--gate");
    let dir = workspace.target().join("bench/lower");
    let out = dir.join("out");
    setup::create_dir(&out)?;
    let packages = npm::packages(workspace, &dir.join("npm"), PACKAGES)?;

    build(workspace, "windlass-lower", &[])?;
    let toolchain = setup::toolchain(Target::Unknown)?;
    let smallest = dir.join("smallest.wasm");
    build_smallest(workspace, &toolchain, &smallest)?;
    if gate {
        // The gate runs nothing.
        process::run(workspace.with_wasmtime("build").args(["--bin", "bench-lower"]).stdout(stderr()))?;
    } else {
        // By itself: together they would share features, and another wasmtime be built.
        let native = ARCH == "x86_64" && cfg!(unix);
        build(workspace, "bench-lower", if native { &["--features", "stack-switching"] } else { &[] })?;
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

fn build(workspace: &Workspace, package: &str, args: &[&str]) -> Result<()> {
    let mut build = workspace.cargo("build");
    build.args(["--release", "--quiet", "--package", package]).args(args);
    process::run(build.stdout(stderr()))
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

/// What is typed; the program takes more.
fn check_lower_arguments(args: &[String]) -> Result<()> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--quick" | "--gate" => {}
            "--json" | "--only" => {
                args.next().ok_or_else(|| Error::new(format!("`{arg}` needs a value")))?;
            }
            _ => return Err(Error::new(format!("unexpected argument `{arg}`"))),
        }
    }
    Ok(())
}
