//! Finding a Rust toolchain that can build for wasm32.
//!
//! Three ways, tried in this order; nothing is installed here.
//!
//! | [`Source`] | needs | builds with |
//! | --- | --- | --- |
//! | `Installed` | the target's libraries (`rustup target add`) | the toolchain in use |
//! | `Sources` | the library's sources (`rustup component add rust-src`) | the toolchain in use and `-Zbuild-std` |
//! | `Debian` | the packages in [`Target::debian_packages`] | Debian's toolchain in `/usr/bin` and `-Zbuild-std` |
//!
//! On wasm32-wasip1 a reactor is linked with the C runtime's `crt1-reactor.o`: rustup's libraries come with one, the other two
//! ways need Debian's package `wasi-libc` besides.
//!
//! `-Zbuild-std` needs `RUSTC_BOOTSTRAP=1`. It is set for those commands alone: build scripts that probe the
//! compiler switch to unstable code when they see it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::process;

/// A target that reactors are built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Target {
    /// wasm32-unknown-unknown.
    #[default]
    Unknown,
    /// wasm32-wasip1.
    Wasip1,
}

impl Target {
    /// Every target.
    pub const ALL: &[Self] = &[Self::Unknown, Self::Wasip1];

    /// The triple.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Unknown => "wasm32-unknown-unknown",
            Self::Wasip1 => "wasm32-wasip1",
        }
    }

    /// What Debian must have installed for [`Source::Debian`].
    pub fn debian_packages(self) -> &'static [&'static str] {
        match self {
            Self::Unknown => &["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"],
            Self::Wasip1 => {
                &["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22", "wasi-libc"]
            }
        }
    }

    /// What the program's start is linked from, if this source has it. Outer `None`: it is missing.
    fn start(self, source: Source, libdir: &Path) -> Option<Option<PathBuf>> {
        if self == Self::Unknown {
            return Some(None);
        }
        let dir = match source {
            Source::Installed => libdir.join("self-contained"),
            Source::Sources | Source::Debian => WASI_LIBC.into(),
        };
        let start = dir.join("crt1-reactor.o");
        start.exists().then_some(Some(start))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.triple())
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(triple: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|target| target.triple() == triple)
            .ok_or_else(|| "the targets are wasm32-unknown-unknown and wasm32-wasip1".to_owned())
    }
}

/// Where Debian's `wasi-libc` is.
const WASI_LIBC: &str = "/usr/lib/wasm32-wasi";

/// The package with `cargo clippy` for [`Source::Debian`].
pub const DEBIAN_CLIPPY: &str = "rust-web-clippy";

/// The variable that fixes the way (`installed`, `sources` or `debian`) instead of taking the first that works.
pub const OVERRIDE: &str = "WINDLASS_TOOLCHAIN";

/// Where the target's `core` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The toolchain in use has it.
    Installed,
    /// It is built from the sources of the toolchain in use.
    Sources,
    /// It is built from Debian's sources, by Debian's toolchain.
    Debian,
}

impl Source {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Installed, "installed"), (Self::Sources, "sources"), (Self::Debian, "debian")];
}

/// How much of the standard library a guest uses. Makes a difference only where it is built from source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// `core` and `alloc`.
    Alloc,
    /// All of `std`.
    Std,
}

/// A toolchain that can build for a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    source: Source,
    target: Target,
    version: String,
    start: Option<PathBuf>,
}

impl Toolchain {
    /// The first way that works, or the one that [`OVERRIDE`] asks for.
    ///
    /// # Errors
    /// No way works: the message says what to install. Or the override is not one of the three words.
    pub fn find(target: Target) -> Result<Self> {
        let wanted = Self::wanted()?;
        for (source, _) in Source::ALL {
            if wanted.is_none_or(|wanted| wanted == source)
                && let Some(found) = Self::probe(source, target)
            {
                return Ok(found);
            }
        }
        Err(Error::new(match wanted {
            Some(source) => format!(
                "{OVERRIDE} asks for a toolchain that is not complete; install it with\n  {}",
                install_line(source, target)
            ),
            None => format!(
                "no Rust toolchain here can build for {target}; install one of these:\n  {}\n  {}\n  {}",
                install_line(Source::Installed, target),
                install_line(Source::Sources, target),
                install_line(Source::Debian, target)
            ),
        }))
    }

    /// The way that [`OVERRIDE`] asks for.
    ///
    /// # Errors
    /// The variable is set to another word.
    pub fn wanted() -> Result<Option<Source>> {
        let Some(word) = env::var_os(OVERRIDE) else {
            return Ok(None);
        };
        Source::ALL.iter().find(|(_, name)| word == *name).map(|&(source, _)| Some(source)).ok_or_else(|| {
            Error::new(format!(
                "{OVERRIDE} is {word:?}; it must be `installed`, `sources`, `debian` or not set"
            ))
        })
    }

    /// The toolchain of this kind, if it is complete.
    pub fn probe(source: Source, target: Target) -> Option<Self> {
        let rustc = || match source {
            Source::Installed | Source::Sources => {
                Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            }
            Source::Debian => Command::new("/usr/bin/rustc"),
        };
        let print = |what| process::ask(rustc().args(["--print", what, "--target", target.triple()]));
        let libdir = PathBuf::from(print("target-libdir")?);
        let complete = match source {
            Source::Installed => has_core(&libdir),
            Source::Sources => has_sources(&print("sysroot")?),
            Source::Debian => {
                Path::new("/etc/debian_version").exists()
                    && Path::new("/usr/bin/cargo").exists()
                    && has_sources("/usr")
            }
        };
        if !complete {
            return None;
        }
        let start = target.start(source, &libdir)?;
        let version = process::ask(rustc().arg("--version"))?;
        Some(Self { source, target, version, start })
    }

    /// Where the target's `core` comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// `cargo SUBCOMMAND --target TRIPLE` in `dir`, with what this toolchain needs besides.
    ///
    /// # Errors
    /// `cargo metadata` does not understand the package in `dir`.
    pub fn cargo(&self, subcommand: &str, library: Library, dir: &Path) -> Result<Command> {
        let mut command = self.subcommand(subcommand);
        command.current_dir(dir);
        if self.source == Source::Debian {
            command.env("CARGO_TARGET_DIR", self.target_dir(&target_dir(dir)?));
        }
        if self.source != Source::Installed {
            command.env("RUSTC_BOOTSTRAP", "1").arg(match library {
                Library::Alloc => "-Zbuild-std=core,alloc",
                Library::Std => "-Zbuild-std=std,panic_abort",
            });
        }
        command.args(["--target", self.target.triple()]);
        if let Some(start) = &self.start {
            command.arg("--config").arg(link_arguments(self.target, self.source, start));
        }
        Ok(command)
    }

    /// Where this toolchain builds, if others build in `target`.
    pub fn target_dir(&self, target: &Path) -> PathBuf {
        match self.source {
            // Two compilers in one directory would each rebuild what the other has built.
            Source::Debian => target.join("web"),
            Source::Installed | Source::Sources => target.to_owned(),
        }
    }

    /// Whether `cargo clippy` exists in this toolchain.
    pub fn has_clippy(&self) -> bool {
        process::ask(self.subcommand("clippy").arg("--version")).is_some()
    }

    /// `cargo SUBCOMMAND` of this toolchain.
    fn subcommand(&self, name: &str) -> Command {
        if self.source != Source::Debian {
            let mut command = Command::new(cargo());
            command.arg(name);
            return command;
        }
        // Cargo looks for the programs of subcommands where rustup has put its own, before `PATH`.
        let program = if name == "clippy" { "/usr/bin/cargo-clippy" } else { "/usr/bin/cargo" };
        let mut command = Command::new(program);
        command.arg(name);
        for name in ["RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        command.env("CARGO", "/usr/bin/cargo");
        command.env("PATH", process::path_with(&["/usr/bin".into()]));
        command
    }
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.source {
            Source::Installed => "with its installed libraries",
            Source::Sources => "building core from its sources",
            Source::Debian => "of Debian, building core from its sources",
        };
        write!(f, "{} {how}", self.version)
    }
}

/// The `cargo` that runs this program, else the one on `PATH`.
pub fn cargo() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The target directory of the package or workspace in `dir`.
///
/// # Errors
/// `cargo metadata` does not understand the package.
pub fn target_dir(dir: &Path) -> Result<PathBuf> {
    let mut command = Command::new(cargo());
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(dir);
    let metadata = process::output(&mut command)?;
    serde_json::from_str::<serde_json::Value>(&metadata)
        .ok()
        .and_then(|value| Some(PathBuf::from(value.get("target_directory")?.as_str()?)))
        .ok_or_else(|| Error::new("`cargo metadata` names no target directory"))
}

fn has_core(libdir: &Path) -> bool {
    let Ok(entries) = libdir.read_dir() else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    })
}

fn has_sources(sysroot: &str) -> bool {
    Path::new(sysroot).join("lib/rustlib/src/rust/library/core").exists()
}

/// The line that makes this way work.
pub fn install_line(source: Source, target: Target) -> String {
    match (source, target) {
        (Source::Installed, _) => format!("rustup target add {target}"),
        (Source::Sources, Target::Unknown) => "rustup component add rust-src".into(),
        (Source::Sources, Target::Wasip1) => {
            "rustup component add rust-src, and apt-get install wasi-libc".into()
        }
        (Source::Debian, _) => {
            format!("apt-get install --no-install-recommends {}", target.debian_packages().join(" "))
        }
    }
}

/// A setting for cargo: link the start of a reactor, which rustc adds to programs only, and the C library, which it adds
/// to what uses `std`. A guest without still needs its `memcmp`.
fn link_arguments(target: Target, source: Source, start: &Path) -> String {
    let mut flags = vec![format!("-Clink-arg={}", start.display()), "-Clink-arg=-lc".into()];
    flags.extend(start.parent().map(|dir| format!("-Lnative={}", dir.display())));
    if source != Source::Installed {
        // The toolchain brings nothing else for the target.
        flags.push("-Clink-self-contained=no".into());
    }
    // A JSON list of strings is a TOML one, too.
    format!("target.{target}.rustflags={}", serde_json::Value::from(flags))
}
