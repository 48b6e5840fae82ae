//! `cargo` for a target that is not this machine.
//!
//! As for wasm32 (`cargo_windlass::toolchain`), three ways: the toolchain in use has the target's libraries, or it has their sources, or
//! Debian's toolchain has them. The first that works is taken; `WINDLASS_TOOLCHAIN` fixes it.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;
use cargo_windlass::toolchain::{self, OVERRIDE, Source, Target, Toolchain};

use crate::setup;
use crate::workspace::Workspace;

/// `cargo` at the workspace's root, for the target `triple`; a subcommand and what is built are the caller's to add. `std` says whether all of the
/// standard library is needed, or `core` and `alloc` do.
///
/// Debian's toolchain is installed if nothing else is there.
pub(crate) fn cargo(workspace: &Workspace, triple: &str, std: bool) -> Result<Command> {
    let source = find_or_install(triple)?;
    let mut command = workspace.program(match source {
        Source::Debian => "/usr/bin/cargo".into(),
        _ => toolchain::cargo(),
    });
    if source == Source::Debian {
        // What rustup sets for its own toolchain must not reach this one.
        for name in ["RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        command.env("CARGO", "/usr/bin/cargo").env("PATH", process::path_with(&["/usr/bin".into()]));
    }
    if source != Source::Installed {
        let library = if std { "-Zbuild-std=std,panic_unwind" } else { "-Zbuild-std=core,alloc" };
        command.env("RUSTC_BOOTSTRAP", "1").arg(library);
    }
    command.env("CARGO_TARGET_DIR", target_dir(workspace)).env("CARGO_BUILD_TARGET", triple);
    Ok(command)
}

/// Where that builds, for all targets.
pub(crate) fn target_dir(workspace: &Workspace) -> PathBuf {
    workspace.target().join("cross")
}

fn find_or_install(triple: &str) -> Result<Source> {
    let wanted = Toolchain::wanted()?;
    let may = |source: &Source| wanted.is_none_or(|wanted| wanted == *source);
    let find = || {
        let ways = [Source::Installed, Source::Sources, Source::Debian];
        ways.into_iter().filter(may).find(|&source| is_complete(source, triple))
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    let packages = Target::Unknown.debian_packages();
    if may(&Source::Debian) && is_debian() {
        setup::apt_install(packages)?;
        if let Some(found) = find() {
            return Ok(found);
        }
    }
    Err(Error::new(format!(
        "no Rust toolchain here can build for {triple}{}; install one of these:\n  rustup target add {triple}\n  \
         rustup component add rust-src\n  apt-get install --no-install-recommends {}",
        if wanted.is_some() { format!(" as {OVERRIDE} asks for") } else { String::new() },
        packages.join(" ")
    )))
}

fn is_complete(source: Source, triple: &str) -> bool {
    let rustc = if source == Source::Debian { "/usr/bin/rustc" } else { "rustc" };
    let print = |what| process::ask(Command::new(rustc).args(["--print", what, "--target", triple]));
    let has_sources = |sysroot: &Path| sysroot.join("lib/rustlib/src/rust/library/core").exists();
    match source {
        Source::Installed => print("target-libdir").is_some_and(|dir| has_core(Path::new(&dir))),
        Source::Sources => print("sysroot").is_some_and(|root| has_sources(Path::new(&root))),
        _ => is_debian() && Path::new("/usr/bin/cargo").exists() && has_sources(Path::new("/usr")),
    }
}

fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists()
}

fn has_core(libraries: &Path) -> bool {
    let Ok(entries) = libraries.read_dir() else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
}
