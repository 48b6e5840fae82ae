//! `sabotage arch`: of every CPU file, each saved register in turn is not saved, and the conformance suite must see it.
//!
//! ```text
//!   arch/ ──copy──► target/sabotage/arch ──edit──► build ──► run: some test must fail
//!                                        ──as it is──► run: none may
//! ```
//!
//! An edit is text in the CPU file, which must be there exactly once: what moves on without its edit is an error, not a register that nobody
//! checks any more.

mod registers;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

use crate::setup;
use crate::workspace::Workspace;

/// A CPU file, how it can be broken, and its suite.
struct Cpu {
    name: &'static str,
    /// In `arch/`.
    file: &'static str,
    registers: fn() -> Vec<Broken>,
    suite: fn(&Workspace) -> Result<Suite>,
}

/// A register that is not saved.
struct Broken {
    register: String,
    /// Text of the file, and what it becomes.
    edits: Vec<(String, String)>,
}

/// A conformance suite. The commands run in the copy, so none names a directory of the workspace.
struct Suite {
    build: Command,
    /// Parts of it, one after the other until one fails. Each writes `test NAME ... ok` or `... FAILED` for each test, as libtest does, and ends
    /// well if all passed.
    run: Vec<Command>,
}

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    let cpus = registers::CPUS;
    let Some(("arch", wanted)) = args.split_first().map(|(what, rest)| (what.as_str(), rest)) else {
        let names: Vec<_> = cpus.iter().map(|cpu| cpu.name).collect();
        return Err(Error::new(format!(
            "say what: cargo xtask sabotage arch [CPU...]\n  {}",
            names.join(" ")
        )));
    };
    if let Some(unknown) = wanted.iter().find(|name| cpus.iter().all(|cpu| cpu.name != name.as_str())) {
        return Err(Error::new(format!("no CPU `{unknown}`; they are shown by\n  cargo xtask sabotage")));
    }
    let copy = Copy::make(workspace)?;
    let (mut caught, mut missed) = (0, 0);
    for cpu in cpus.iter().filter(|cpu| wanted.is_empty() || wanted.iter().any(|name| name == cpu.name)) {
        println!("== {}", cpu.name);
        let source = copy.restore(workspace, cpu)?;
        let failed = copy.run(workspace, cpu)?;
        if !failed.is_empty() {
            return Err(Error::new(format!("the suite of {} fails as it is: {}", cpu.name, list(&failed))));
        }
        println!("{:<18} passes", "as it is");
        for broken in (cpu.registers)() {
            let text =
                apply(&source, &broken).map_err(|what| Error::new(format!("arch/{}: {what}", cpu.file)))?;
            copy.write(cpu, &text)?;
            let failed = copy.run(workspace, cpu)?;
            if failed.is_empty() {
                missed += 1;
                println!("{:<18} NOT SEEN", broken.register);
            } else {
                caught += 1;
                println!("{:<18} {}", broken.register, list(&failed));
            }
        }
        copy.restore(workspace, cpu)?;
    }
    println!("{caught} registers caught, {missed} missed");
    if missed == 0 { Ok(()) } else { Err(Error::new("a register can be lost without a test that sees it")) }
}

/// The file's text with the edits made.
fn apply(source: &str, Broken { register, edits }: &Broken) -> Result<String, String> {
    let mut text = source.to_owned();
    for (from, to) in edits {
        match text.matches(from.as_str()).count() {
            1 => text = text.replacen(from.as_str(), to, 1),
            found => return Err(format!("{found} places, not one, to break {register} at:\n{from}")),
        }
    }
    Ok(text)
}

fn list(failed: &BTreeSet<String>) -> String {
    failed.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// The package `windlass-arch` in a workspace of its own.
struct Copy {
    root: PathBuf,
}

impl Copy {
    fn make(workspace: &Workspace) -> Result<Copy> {
        let root = workspace.target().join("sabotage");
        for file in workspace.files("")?.iter().filter(|file| file.starts_with("arch")) {
            let to = root.join(file);
            setup::create_dir(to.parent().unwrap_or(&root))?;
            let text = read(&workspace.path(&file.display().to_string()))?;
            write(&to, &text)?;
        }
        let manifest = read(&workspace.path("Cargo.toml"))?;
        write(
            &root.join("Cargo.toml"),
            &format!("[workspace]\nresolver = \"3\"\nmembers = [\"arch\"]\n{}", shared(&manifest)),
        )?;
        Ok(Copy { root })
    }

    fn file(&self, cpu: &Cpu) -> PathBuf {
        self.root.join("arch").join(cpu.file)
    }

    fn write(&self, cpu: &Cpu, text: &str) -> Result<()> {
        write(&self.file(cpu), text)
    }

    /// The CPU file as it is.
    fn restore(&self, workspace: &Workspace, cpu: &Cpu) -> Result<String> {
        let source = read(&workspace.path("arch").join(cpu.file))?;
        self.write(cpu, &source)?;
        Ok(source)
    }

    /// The tests that fail.
    fn run(&self, workspace: &Workspace, cpu: &Cpu) -> Result<BTreeSet<String>> {
        let Suite { mut build, run } = (cpu.suite)(workspace)?;
        let quiet = build.current_dir(&self.root).stdout(Stdio::null());
        process::run(quiet)
            .map_err(|error| Error::new(format!("{}: what is broken must build: {error}", cpu.name)))?;
        for mut part in run {
            let output = part
                .current_dir(&self.root)
                .output()
                .map_err(|error| process::cannot_start(&part, &error))?;
            let failed = failures(&String::from_utf8_lossy(&output.stdout), output.status.success());
            if !failed.is_empty() {
                return Ok(failed);
            }
        }
        Ok(BTreeSet::new())
    }
}

/// What failed, of the lines that a suite wrote: if it broke off, the test that it was in.
fn failures(text: &str, ended_well: bool) -> BTreeSet<String> {
    let short = |name: &str| name.rsplit("::").next().unwrap_or(name).to_owned();
    let mut failed: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(short))
        .collect();
    if !ended_well && failed.is_empty() {
        let last =
            text.lines().filter_map(|line| line.strip_prefix("test ")?.split(" ... ").next()).next_back();
        failed.insert(
            last.map_or_else(|| "it ended badly".to_owned(), |name| format!("{} (it ended)", short(name))),
        );
    }
    failed
}

/// What the package takes from the workspace's manifest, and the profiles.
fn shared(manifest: &str) -> String {
    let mut keep = false;
    let mut text = String::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            keep = ["[workspace.package]", "[workspace.lints.", "[profile."]
                .iter()
                .any(|head| line.starts_with(head));
        }
        if keep {
            text += line;
            text.push('\n');
        }
    }
    text
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).map_err(|error| Error::new(format!("cannot read {}: {error}", file.display())))
}

fn write(file: &Path, text: &str) -> Result<()> {
    // What is the same is not touched, or cargo would build it again.
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(file, text).map_err(|error| Error::new(format!("cannot write {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::{Broken, apply, failures, shared};

    fn broken(from: &str) -> Broken {
        Broken { register: "r1".into(), edits: vec![(from.into(), "nop".into())] }
    }

    #[test]
    fn an_edit_is_made_at_one_place_or_refused() {
        assert_eq!(apply("push r1; push r2", &broken("push r1")).as_deref(), Ok("nop; push r2"));
        for source in ["push r2", "push r1; push r1"] {
            assert!(apply(source, &broken("push r1")).is_err());
        }
    }

    #[test]
    fn the_test_in_which_a_suite_broke_off_has_failed() {
        let text = "running 2 tests\ntest a::b ... ok\ntest a::c ... ";
        assert_eq!(failures(text, false).into_iter().collect::<Vec<_>>(), ["c (it ended)"]);
        let text = "test a::b ... ok\ntest a::c ... FAILED\ntest a::d ... ok\n";
        assert_eq!(failures(text, false).into_iter().collect::<Vec<_>>(), ["c"]);
        assert!(failures("test a::b ... ok\n", true).is_empty());
        assert_eq!(failures("", false).len(), 1);
    }

    #[test]
    fn what_the_packages_share_is_copied() {
        let manifest = "[workspace]\nmembers = []\n[workspace.package]\nedition = \"2024\"\n[package]\nname = \"x\"\n[profile.dev]\ndebug = 1\n";
        assert_eq!(shared(manifest), "[workspace.package]\nedition = \"2024\"\n[profile.dev]\ndebug = 1\n");
    }

    #[test]
    fn every_edit_finds_its_place() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../arch");
        for cpu in super::registers::CPUS {
            let source = super::read(&root.join(cpu.file)).expect("the CPU's file");
            for broken in (cpu.registers)() {
                assert!(apply(&source, &broken).is_ok(), "{} {}", cpu.name, broken.register);
            }
        }
    }
}
