//! Building for targets whose libraries need not be installed.
//!
//! Where `rustup target add` was done, the toolchain in use builds. Elsewhere Debian's does, with a standard library from its sources: rustup's
//! own sources match no compiler but its own, and are often not there.

use std::path::Path;
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::{process, toolchain};

use crate::setup;
use crate::workspace::Workspace;

/// What Debian must have installed.
const PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];

/// The standard library's sources, of Debian.
const SOURCES: &str = "/usr/lib/rustlib/src/rust/library/core";

/// `cargo`, for a target; the subcommand is still to come. `std` says whether the program uses the standard library or `core` and `alloc` only.
///
/// # Errors
/// No toolchain here can build for the target, and none can be installed.
pub(crate) fn cargo(workspace: &Workspace, triple: &str, std: bool) -> Result<Command> {
    let mut command =
        if is_installed(triple) { workspace.program(toolchain::cargo()) } else { debian(workspace, std)? };
    command.arg("--config").arg(format!("build.target=\"{triple}\""));
    Ok(command)
}

/// Whether the toolchain in use has the target's libraries.
fn is_installed(triple: &str) -> bool {
    process::ask(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]))
        .and_then(|dir| Path::new(&dir).read_dir().ok())
        .is_some_and(|entries| {
            entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libcore-"))
        })
}

/// Debian's `cargo`, which builds the standard library, too.
fn debian(workspace: &Workspace, std: bool) -> Result<Command> {
    let there =
        || ["/usr/bin/cargo", "/usr/bin/rustc", SOURCES].into_iter().all(|path| Path::new(path).exists());
    if !there() {
        setup::apt_install(PACKAGES)?;
    }
    if !there() {
        return Err(Error::new(format!(
            "no toolchain here can build for other targets; install one with\n  apt-get install --no-install-recommends {}",
            PACKAGES.join(" ")
        )));
    }
    let mut command = workspace.program("/usr/bin/cargo");
    command.arg(if std { "-Zbuild-std=std,panic_unwind" } else { "-Zbuild-std=core,alloc" });
    command.env("RUSTC_BOOTSTRAP", "1");
    // Two compilers in one directory would each rebuild what the other has built.
    command.env("CARGO_TARGET_DIR", workspace.target().join("web"));
    for name in ["RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(name);
    }
    command.env("CARGO", "/usr/bin/cargo");
    command.env("PATH", process::path_with(&["/usr/bin".into()]));
    Ok(command)
}
