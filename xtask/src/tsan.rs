//! `tsan`: the tests of what threads share under `ThreadSanitizer`, on the backend that makes each context an OS thread, as the
//! sanitizer cannot follow a stack that is switched.
//!
//! The standard library must be built with it, too, and that takes what no single toolchain has: sources that match the compiler
//! (Debian packages them), the sanitizer's runtime (the nightly toolchain has it), and a linker that takes the runtime as a whole.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_windlass::error::{Error, Result};

use crate::no_arguments;
use crate::tally::{Report, Tally};
use crate::workspace::Workspace;

const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Test programs in which threads meet.
const TESTS: &[&str] = &["pool", "remote", "wake_from_threads"];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut test = test(workspace, &Tools::find()?);
    let mut tally = Tally::default();
    // A race does not fail the test in which it is found, but the program that ran it.
    tally.tests("tsan", Report::Libtest, &mut test);
    tally.close()
}

struct Tools {
    cargo: PathBuf,
    /// The sanitizer's runtime.
    runtime: PathBuf,
    /// The directory of `ld.lld`.
    linker: PathBuf,
}

impl Tools {
    fn find() -> Result<Tools> {
        if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
            return Err(Error::new(format!("`tsan` runs on {TRIPLE} only")));
        }
        let there = |path: &str, install: &str| {
            let path = PathBuf::from(path);
            if path.exists() { Ok(path) } else { Err(missing(&path, install)) }
        };
        let install = "apt-get install --no-install-recommends cargo rustc rust-src lld";
        let cargo = there("/usr/bin/cargo", install)?;
        there("/usr/bin/rustc", install)?;
        there("/usr/lib/rustlib/src/rust/library", install)?;
        let linker = newest("/usr/lib", "llvm-", "bin/ld.lld")
            .and_then(|file| file.parent().map(Path::to_owned))
            .ok_or_else(|| missing(Path::new("ld.lld"), install))?;
        let toolchains = env::var_os("RUSTUP_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".rustup")))
            .unwrap_or_default()
            .join("toolchains");
        let runtime =
            toolchains.join(format!("nightly-{TRIPLE}/lib/rustlib/{TRIPLE}/lib/librustc-nightly_rt.tsan.a"));
        if !runtime.exists() {
            return Err(missing(&runtime, "rustup toolchain install nightly --profile minimal"));
        }
        Ok(Tools { cargo, runtime, linker })
    }
}

fn missing(path: &Path, install: &str) -> Error {
    Error::new(format!("`{}` is missing; install it with\n  {install}", path.display()))
}

/// `DIR/PREFIX<version>/FILE` of the highest version that has the file.
fn newest(dir: &str, prefix: &str, file: &str) -> Option<PathBuf> {
    fs::read_dir(dir)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let version: u32 = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join(file)))
        })
        .filter(|(_, file)| file.exists())
        .max_by_key(|(version, _)| *version)
        .map(|(_, file)| file)
}

fn test(workspace: &Workspace, tools: &Tools) -> Command {
    let link = |arg: String| format!("-Clink-arg={arg}");
    let mut flags = vec![
        "--cfg=windlass_backend=\"threads\"".to_owned(),
        // Its fences are of no use to the sanitizer, which this replaces by operations.
        "--cfg=crossbeam_sanitize_thread".to_owned(),
        "-Zsanitizer=thread".to_owned(),
        "-Zexternal-clangrt".to_owned(),
        link("-Wl,--whole-archive".to_owned()),
        link(tools.runtime.display().to_string()),
        link("-Wl,--no-whole-archive".to_owned()),
        link(format!("-B{}", tools.linker.display())),
        link("-fuse-ld=lld".to_owned()),
        link("-Wl,--export-dynamic".to_owned()),
    ];
    flags.extend(["stdc++", "m", "dl", "pthread", "c"].map(|library| link(format!("-l{library}"))));
    let mut test = workspace.program(&tools.cargo);
    test.args(["test", "-Zbuild-std", "--target", TRIPLE, "--package", "windlass", "--no-fail-fast"]);
    for name in TESTS {
        test.args(["--test", name]);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(PathBuf::from("/usr/bin")).chain(env::split_paths(&path));
    test.env("PATH", env::join_paths(dirs).unwrap_or(path));
    test.env("RUSTC_BOOTSTRAP", "1");
    test.env("RUSTFLAGS", flags.join(" "));
    test.env("CARGO_TARGET_DIR", workspace.target().join("tsan"));
    // What a toolchain that runs this says of itself.
    for name in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_ENCODED_RUSTFLAGS"] {
        test.env_remove(name);
    }
    test
}
