//! `setup`: finds what the other commands need, and installs what can be installed. Done again it only looks.

use std::io::stderr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};
use cargo_windlass::toolchain::{self, Source, Target, Toolchain};

use crate::npm;
use crate::workspace::Workspace;

/// The version of `wasm-bindgen` that tests/bindgen pins; its test runner must be the same.
const BINDGEN: &str = "0.2.130";

/// The oldest Node that has what the tests use of `node:test`.
const NODE: u32 = 20;

/// The Node that [`new_node`] installs, by its package's version.
const NEW_NODE: &str = "26";

/// How long `rustup` may take: a download, or the discovery that there is no network.
const RUSTUP_LIMIT: Duration = Duration::from_secs(300);

struct Tool {
    name: &'static str,
    does: &'static str,
    install: fn(&Workspace) -> Result<()>,
}

const TOOLS: &[Tool] = &[
    Tool { name: "wasm32", does: "Rust toolchains for wasm32", install: |_| toolchains() },
    Tool { name: "wasm-opt", does: "Binaryen's program", install: |workspace| wasm_opt(workspace).map(drop) },
    Tool { name: "node", does: "the system's Node", install: |_| node().map(drop) },
    Tool {
        name: "bindgen",
        does: "the test runner of wasm-bindgen",
        install: |workspace| bindgen_runner(workspace).map(drop),
    },
    Tool {
        name: "new-node",
        does: "the newest Node, below the target directory",
        install: |workspace| new_node(workspace).map(drop),
    },
    Tool { name: "gdb", does: "the debugger, for tests of its script", install: |_| gdb() },
    Tool { name: "valgrind", does: "memcheck and cachegrind", install: |_| valgrind() },
    Tool { name: "clang", does: "clang and wasm-ld, for programs in C", install: |_| clang() },
    Tool { name: "valgrind", does: "valgrind, which counts instructions", install: |_| valgrind() },
    Tool { name: "nightly", does: "the toolchain that has sanitizers", install: |_| nightly() },
];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args.first().is_some_and(|arg| arg == "--list") {
        crate::no_arguments(&args[1..])?;
        for Tool { name, does, .. } in TOOLS {
            println!("{name:<8} {does}");
        }
        return Ok(());
    }
    if let Some(unknown) = args.iter().find(|name| TOOLS.iter().all(|tool| tool.name != name.as_str())) {
        return Err(Error::new(format!(
            "no tool `{unknown}`; the tools are shown by\n  cargo xtask setup --list"
        )));
    }
    for tool in TOOLS.iter().filter(|tool| args.is_empty() || args.iter().any(|name| name == tool.name)) {
        (tool.install)(workspace)?;
    }
    Ok(())
}

fn toolchains() -> Result<()> {
    Target::ALL.iter().try_for_each(|&target| toolchain(target).map(drop))
}

/// A toolchain that builds for `target`.
pub(crate) fn toolchain(target: Target) -> Result<Toolchain> {
    let found = find_or_install_toolchain(target)?;
    eprintln!("{target}: {found}");
    Ok(found)
}

fn find_or_install_toolchain(target: Target) -> Result<Toolchain> {
    let wanted = Toolchain::wanted()?;
    let may = |source| wanted.is_none_or(|wanted| wanted == source);
    if may(Source::Installed) {
        if let Some(found) = Toolchain::probe(Source::Installed, target) {
            return Ok(found);
        }
        let mut add = Command::new("rustup");
        add.args(["target", "add", target.triple()]);
        if which("rustup").is_some()
            && process::succeeds_within(&mut add, RUSTUP_LIMIT)
            && let Some(found) = Toolchain::probe(Source::Installed, target)
        {
            return Ok(found);
        }
    }
    let found = Toolchain::find(target);
    if found.is_err() && may(Source::Debian) && which("apt-get").is_some() {
        apt_install(target.debian_packages())?;
        return Toolchain::find(target);
    }
    found
}

/// Clippy for that toolchain.
pub(crate) fn clippy(toolchain: &Toolchain) -> Result<()> {
    if !toolchain.has_clippy() && toolchain.source() == Source::Debian {
        apt_install(&[toolchain::DEBIAN_CLIPPY])?;
    }
    if toolchain.has_clippy() {
        return Ok(());
    }
    Err(Error::new("clippy is missing; install it with\n  rustup component add clippy"))
}

/// Binaryen's `wasm-opt`.
pub(crate) fn wasm_opt(workspace: &Workspace) -> Result<PathBuf> {
    let found = find_or_install_wasm_opt(workspace)?;
    let version = process::output(Command::new(&found).arg("--version"))?;
    eprintln!("wasm-opt: {} ({})", version.trim(), found.display());
    Ok(found)
}

fn find_or_install_wasm_opt(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.path("tools");
    let find = || {
        which("wasm-opt").or_else(|| {
            let from_npm = tools.join("node_modules/.bin/wasm-opt");
            from_npm.exists().then_some(from_npm)
        })
    };
    let by_apt = || apt_install(&["binaryen"]);
    let by_npm = || {
        create_dir(&tools)?;
        let mut npm = workspace.program("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-save"]);
        process::run(npm.arg("--prefix").arg(&tools).arg("binaryen").stdout(stderr()))
    };
    let ways: [(&str, &dyn Fn() -> Result<()>); 2] = [("apt-get", &by_apt), ("npm", &by_npm)];
    let mut reasons = String::new();
    if let Some(found) = find() {
        return Ok(found);
    }
    for (program, install) in ways {
        if which(program).is_none() {
            continue;
        }
        match install() {
            Ok(()) => {
                if let Some(found) = find() {
                    return Ok(found);
                }
            }
            Err(error) => reasons += &format!("{error}\n"),
        }
    }
    Err(Error::new(format!(
        "{reasons}`wasm-opt` is missing; install Binaryen with one of these:\n  \
         apt-get install binaryen\n  brew install binaryen\n  npm install --global binaryen"
    )))
}

/// Node, which runs the tests of the JavaScript side.
pub(crate) fn node() -> Result<PathBuf> {
    let install = format!(
        "install Node {NODE} or later: `apt-get install nodejs` or `brew install node`, \
         or from https://nodejs.org"
    );
    let found = which("node").ok_or_else(|| Error::new(format!("`node` is missing; {install}")))?;
    let version = process::output(Command::new(&found).arg("--version"))?;
    let version = version.trim();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        return Err(Error::new(format!("`node` is version {version}, too old; {install}")));
    }
    eprintln!("node: {version}");
    Ok(found)
}

/// A Node that is newer than most systems': it has what wasm engines had learnt by then. npm installs it, once.
pub(crate) fn new_node(workspace: &Workspace) -> Result<PathBuf> {
    let dir = workspace.target().join("tools/node");
    let found = npm::packages(workspace, &dir, &[("node", NEW_NODE)])?.join("node/bin/node");
    let version = process::ask(Command::new(&found).arg("--version"))
        .ok_or_else(|| Error::new(format!("npm installed no `node` that runs: {}", found.display())))?;
    eprintln!("new node: {version}");
    Ok(found)
}

/// `clang` and the linker that it calls for wasm32.
pub(crate) fn clang() -> Result<()> {
    let missing = || ["clang", "wasm-ld"].into_iter().find(|name| which(name).is_none());
    if missing().is_some() && which("apt-get").is_some() {
        apt_install(&["clang", "lld"])?;
    }
    match missing() {
        None => {
            eprintln!("clang: found, and wasm-ld");
            Ok(())
        }
        Some(name) => Err(Error::new(format!(
            "`{name}` is missing; install it with\n  apt-get install clang lld, or brew install llvm lld"
        ))),
    }
}

/// `gdb`, with Python.
pub(crate) fn gdb() -> Result<()> {
    program("gdb")?;
    if process::ask(Command::new("gdb").args(["-nx", "-batch", "-ex", "python print(1)"])).as_deref()
        == Some("1")
    {
        return Ok(());
    }
    Err(Error::new(
        "this `gdb` has no Python; install one that has with\n  apt-get install gdb, or brew install gdb",
    ))
}

/// `valgrind`.
pub(crate) fn valgrind() -> Result<()> {
    program("valgrind")
}

/// A program whose package has its name.
fn program(name: &str) -> Result<()> {
    if which(name).is_none() && which("apt-get").is_some() {
        apt_install(&[name])?;
    }
    let version = process::ask(Command::new(name).arg("--version")).ok_or_else(|| {
        Error::new(format!(
            "`{name}` is missing; install it with\n  apt-get install {name}, or brew install {name}"
        ))
    })?;
    eprintln!("{name}: {}", version.lines().next().unwrap_or_default());
    Ok(())
}

/// The nightly toolchain. It is only looked for: which nightly there is, is the developer's choice.
pub(crate) fn nightly() -> Result<()> {
    let mut ask = Command::new("rustup");
    ask.args(["run", "nightly", "rustc", "--version"]).env("RUSTUP_AUTO_INSTALL", "0");
    let version = process::ask(&mut ask).ok_or_else(|| {
        Error::new(
            "the nightly toolchain is missing, which sanitizers need; install it with\n  rustup toolchain install nightly",
        )
    })?;
    eprintln!("nightly: {version}");
    Ok(())
}

/// `wasm-bindgen-test-runner` of the pinned version, in `tools/bin`.
pub(crate) fn bindgen_runner(workspace: &Workspace) -> Result<PathBuf> {
    let runner = workspace.path("tools/bin/wasm-bindgen-test-runner");
    let current = || {
        process::ask(Command::new(&runner).arg("--version"))
            .is_some_and(|version| version.split_whitespace().any(|word| word == BINDGEN))
    };
    if !current() {
        eprintln!("wasm-bindgen-test-runner: building version {BINDGEN}; this takes minutes, once");
        let mut install = workspace.cargo("install");
        // Not --locked: the tests need this version of the program, not its authors' dependencies.
        install.args(["wasm-bindgen-cli", "--version", BINDGEN, "--force", "--quiet"]);
        install.args(["--bin", "wasm-bindgen-test-runner", "--root"]);
        install.arg(workspace.path("tools"));
        install.env("CARGO_TARGET_DIR", workspace.target().join("tools"));
        for (name, value) in [("OPT_LEVEL", "1"), ("LTO", "off"), ("CODEGEN_UNITS", "16"), ("DEBUG", "false")]
        {
            install.env(format!("CARGO_PROFILE_RELEASE_{name}"), value);
        }
        process::run(install.stdout(stderr()))?;
        if !current() {
            return Err(Error::new(format!(
                "{} is still not version {BINDGEN} after it was installed; remove it and run this again",
                runner.display()
            )));
        }
    }
    eprintln!("wasm-bindgen-test-runner: {BINDGEN}");
    Ok(runner)
}

/// Installs Debian packages.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    let apt: &[&str] = if process::ask(Command::new("id").arg("-u")).as_deref() == Some("0") {
        &["apt-get"]
    } else if process::ask(Command::new("sudo").args(["-n", "true"])).is_some() {
        &["sudo", "-n", "apt-get"]
    } else {
        return Err(Error::new(format!(
            "Debian packages are missing, and only root may install them; run\n  \
             sudo apt-get install --no-install-recommends {}",
            packages.join(" ")
        )));
    };
    let run = |args: &[&str]| {
        let mut command = Command::new(apt[0]);
        command.args(&apt[1..]);
        command.args(["-q", "-y", "-o", "DPkg::Lock::Timeout=600"]);
        process::run(command.args(args).stdout(stderr()))
    };
    run(&["update"])?;
    run(&[&["install", "--no-install-recommends"], packages].concat())
}

pub(crate) fn create_dir(dir: &Path) -> Result<()> {
    std::fs::create_dir_all(dir)
        .map_err(|error| Error::new(format!("cannot create {}: {error}", dir.display())))
}
