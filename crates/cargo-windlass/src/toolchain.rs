//! Finding a Rust toolchain that can build for wasm32.
//!
//! Three ways, tried in this order; nothing is installed here.
//!
//! | [`Source`] | needs | builds with |
//! | --- | --- | --- |
//! | `Installed` | the target's libraries (`rustup target add`) | the toolchain in use |
//! | `Sources` | the library's sources (`rustup component add rust-src`) | the toolchain in use and `-Zbuild-std` |
//! | `Debian` | the packages in [`DEBIAN_PACKAGES`] | Debian's toolchain in `/usr/bin` and `-Zbuild-std` |
//!
//! `-Zbuild-std` needs `RUSTC_BOOTSTRAP=1`. It is set for those commands alone: build scripts that probe the
//! compiler switch to unstable code when they see it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;

/// The target triple of a reactor.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What Debian must have installed for [`Source::Debian`].
pub const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22"];

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

/// A toolchain that can build for wasm32.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    source: Source,
    version: String,
}

impl Toolchain {
    /// The first way that works, or the one that [`OVERRIDE`] asks for.
    ///
    /// # Errors
    /// No way works: the message says what to install. Or the override is not one of the three words.
    pub fn find() -> Result<Self> {
        let wanted = Self::wanted()?;
        for (source, _) in Source::ALL {
            if wanted.is_none_or(|wanted| wanted == source)
                && let Some(found) = Self::probe(source)
            {
                return Ok(found);
            }
        }
        Err(Error::new(match wanted {
            Some(source) => format!(
                "{OVERRIDE} asks for a toolchain that is not complete; install it with\n  {}",
                install_line(source)
            ),
            None => format!(
                "no Rust toolchain here can build for {TARGET}; install one of these:\n  {}\n  {}\n  {}",
                install_line(Source::Installed),
                install_line(Source::Sources),
                install_line(Source::Debian)
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
    pub fn probe(source: Source) -> Option<Self> {
        let rustc = || match source {
            Source::Installed | Source::Sources => {
                Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            }
            Source::Debian => Command::new("/usr/bin/rustc"),
        };
        let complete = match source {
            Source::Installed => {
                let printed = process::ask(rustc().args(["--print", "target-libdir", "--target", TARGET]))?;
                has_core(Path::new(&printed))
            }
            Source::Sources => has_sources(&process::ask(rustc().args(["--print", "sysroot"]))?),
            Source::Debian => {
                Path::new("/etc/debian_version").exists()
                    && Path::new("/usr/bin/cargo").exists()
                    && has_sources("/usr")
                    && process::ask(rustc().args(["--print", "target-list"]))?
                        .lines()
                        .any(|line| line == TARGET)
            }
        };
        let version = process::ask(rustc().arg("--version"))?;
        complete.then_some(Self { source, version })
    }

    /// Where the target's `core` comes from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// `cargo SUBCOMMAND --target wasm32-unknown-unknown` in `dir`, with what this toolchain needs besides.
    ///
    /// # Errors
    /// `cargo metadata` does not understand the package in `dir`.
    pub fn cargo(&self, subcommand: &str, library: Library, dir: &Path) -> Result<Command> {
        let mut command = self.bare_cargo();
        command.arg(subcommand).current_dir(dir);
        if self.source == Source::Debian {
            command.env("CARGO_TARGET_DIR", self.target_dir(&target_dir(dir)?));
        }
        if self.source != Source::Installed {
            command.env("RUSTC_BOOTSTRAP", "1").arg(match library {
                Library::Alloc => "-Zbuild-std=core,alloc",
                Library::Std => "-Zbuild-std=std,panic_abort",
            });
        }
        command.args(["--target", TARGET]);
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
        process::ask(self.bare_cargo().args(["clippy", "--version"])).is_some()
    }

    fn bare_cargo(&self) -> Command {
        if self.source != Source::Debian {
            return Command::new(cargo());
        }
        let mut command = Command::new("/usr/bin/cargo");
        command.env("PATH", process::path_with(&["/usr/bin".into()]));
        for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
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
pub fn install_line(source: Source) -> String {
    match source {
        Source::Installed => format!("rustup target add {TARGET}"),
        Source::Sources => "rustup component add rust-src".into(),
        Source::Debian => {
            format!("apt-get install --no-install-recommends {}", DEBIAN_PACKAGES.join(" "))
        }
    }
}
