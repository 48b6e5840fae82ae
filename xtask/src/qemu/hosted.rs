//! Targets with the standard library: QEMU's user mode, the loader of a foreign C library, Wine.

use std::path::PathBuf;
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};

use super::Row;
use crate::tally::{Report, Tally};
use crate::workspace::Workspace;
use crate::{cross, setup};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: AARCH64.triple,
        does: "Linux on AArch64, in QEMU's user mode",
        run: |workspace, tally| AARCH64.test(workspace, tally),
    },
    Row {
        name: I686.triple,
        does: "Linux on x86 with 32 bits, on this machine",
        run: |workspace, tally| I686.test(workspace, tally),
    },
    Row {
        name: WINDOWS.triple,
        does: "Windows on x86-64, under Wine",
        run: |workspace, tally| WINDOWS.test(workspace, tally),
    },
    Row {
        name: RISCV64.triple,
        does: "Linux on RISC-V, in QEMU's user mode",
        run: |workspace, tally| RISCV64.test(workspace, tally),
    },
];

/// A target with the standard library.
pub(crate) struct Target {
    triple: &'static str,
    /// Debian's packages with linker, C library and what runs programs.
    packages: &'static [&'static str],
    linker: &'static str,
    /// What runs a program of the target, with its arguments.
    runner: &'static [&'static str],
    /// What else cargo and the programs need.
    prepare: fn(&Workspace, &mut Command) -> Result<()>,
    /// The test programs of `windlass`.
    tests: &'static [&'static str],
    /// Tests that are left out, and why.
    skip: &'static [(&'static str, &'static str)],
}

/// Test programs that say the same everywhere. Left out on each of these targets: `debugger` (gdb on this machine's programs) and `ui` (what
/// the compiler says).
const EVERYWHERE: &[&str] = &[
    "book",
    "edges",
    "ends",
    "mistakes",
    "model",
    "panics_beside_tasks",
    "pool",
    "remote",
    "rules",
    "scale",
    "wake_from_threads",
];

/// With those that look at the memory and the guards of stacks.
const UNIX: &[&str] = &[
    "book",
    "edges",
    "ends",
    "mistakes",
    "model",
    "overflow",
    "panics_beside_tasks",
    "pool",
    "remote",
    "rules",
    "scale",
    "stack_memory",
    "stacks",
    "wake_from_threads",
];

const NO_GUARDS: &str = "QEMU's user mode says yes to guards by `madvise` and makes none";
const SLOW_MAPPINGS: &str =
    "QEMU's user mode keeps a list of each page that is reserved, and the test reserves many";

/// For QEMU's user mode. `overflow`, `stacks` and `stack_memory` are about the kernel's guards and counts, which it does not have.
const IN_QEMU: &[(&str, &str)] = &[
    ("a_stack_overflow_names_the_task_and_its_stack", NO_GUARDS),
    ("no_wake_up_is_lost_while_pools_begin_and_end", SLOW_MAPPINGS),
];

pub(crate) const AARCH64: Target = Target {
    triple: "aarch64-unknown-linux-gnu",
    packages: &["qemu-user-static", "gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
    linker: "aarch64-linux-gnu-gcc",
    runner: &["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"],
    prepare: |_, _| Ok(()),
    tests: EVERYWHERE,
    skip: IN_QEMU,
};

pub(crate) const RISCV64: Target = Target {
    triple: "riscv64gc-unknown-linux-gnu",
    packages: &["qemu-user-static", "gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross"],
    linker: "riscv64-linux-gnu-gcc",
    runner: &["qemu-riscv64-static", "-L", "/usr/riscv64-linux-gnu"],
    prepare: |_, _| Ok(()),
    tests: EVERYWHERE,
    skip: IN_QEMU,
};

pub(crate) const I686: Target = Target {
    triple: "i686-unknown-linux-gnu",
    packages: &["gcc-i686-linux-gnu", "libc6-dev-i386-cross"],
    linker: "i686-linux-gnu-gcc",
    // The CPU runs them; QEMU's user mode hangs in programs with threads.
    runner: &["/usr/i686-linux-gnu/lib/ld-linux.so.2", "--library-path", "/usr/i686-linux-gnu/lib"],
    prepare: |_, _| Ok(()),
    tests: UNIX,
    skip: &[],
};

pub(crate) const WINDOWS: Target = Target {
    triple: "x86_64-pc-windows-gnu",
    packages: &["gcc-mingw-w64-x86-64", "wine", "wine64"],
    linker: "x86_64-w64-mingw32-gcc",
    runner: &["wine"],
    prepare: wine,
    tests: EVERYWHERE,
    skip: &[(
        "a_destructor_that_runs_after_the_runtime_is_gone_cannot_make_another",
        "there the standard library drops what was made first before the runtime, not after it",
    )],
};

impl Target {
    /// All of its tests.
    fn test(&self, workspace: &Workspace, tally: &mut Tally) {
        let triple = self.triple;
        let line = format!("cargo xtask qemu {triple}");
        if tally.prepare(triple, &line, || self.install()).is_none() {
            return;
        }
        for profile in ["dev", "release"] {
            let Some(mut suite) = tally.prepare(triple, &line, || self.conformance(workspace, profile))
            else {
                return;
            };
            tally.tests(&format!("{triple}, arch, {profile}"), Report::Libtest, &mut suite);
        }
        let tests = |profile: &str, tests: &[&str]| -> Result<Command> {
            let mut command = self.cargo(workspace)?;
            command.args(["test", "--profile", profile, "--package", "windlass", "--package", "test-cases"]);
            command.args(["--no-fail-fast", "--lib"]);
            for test in tests {
                command.args(["--test", test]);
            }
            command.args(["--test", "traces", "--"]);
            for (name, why) in self.skip {
                println!("left out: {name}: {why}");
                command.args(["--skip", name]);
            }
            Ok(command)
        };
        for (profile, names) in [("dev", self.tests), ("release", &["edges"][..])] {
            let Some(mut command) = tally.prepare(triple, &line, || tests(profile, names)) else { return };
            tally.tests(&format!("{triple}, windlass, {profile}"), Report::Libtest, &mut command);
        }
    }

    /// `cargo test` of the conformance suite.
    pub(crate) fn conformance(&self, workspace: &Workspace, profile: &str) -> Result<Command> {
        let mut command = self.cargo(workspace)?;
        command.args(["test", "--profile", profile, "--package", "windlass-arch"]);
        command.args(["--features", "std", "--test", "conformance"]);
        Ok(command)
    }

    /// What linker and runner there must be.
    pub(crate) fn install(&self) -> Result<()> {
        let missing = || [self.linker, self.runner[0]].into_iter().find(|name| !is_there(name));
        if missing().is_some() {
            setup::apt_install(self.packages)?;
        }
        match missing() {
            None => Ok(()),
            Some(name) => Err(Error::new(format!(
                "`{name}` is missing; install it with\n  apt-get install --no-install-recommends {}",
                self.packages.join(" ")
            ))),
        }
    }

    /// `cargo` for the target, with its linker and what runs its programs.
    fn cargo(&self, workspace: &Workspace) -> Result<Command> {
        let mut command = cross::cargo(workspace, self.triple, true)?;
        let variable = format!("CARGO_TARGET_{}", self.triple.to_uppercase().replace('-', "_"));
        command.env(format!("{variable}_LINKER"), self.linker);
        let runner = self.runner.join(" ");
        // What hangs is ended.
        command.env(format!("{variable}_RUNNER"), format!("timeout 300 {runner}"));
        // For tests/child.
        command.env("WINDLASS_TEST_RUNNER", runner);
        (self.prepare)(workspace, &mut command)?;
        Ok(command)
    }
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') { PathBuf::from(program).exists() } else { which(program).is_some() }
}

/// Where Wine keeps its state and finds libraries.
fn wine(workspace: &Workspace, command: &mut Command) -> Result<()> {
    const GCC: &str = "x86_64-w64-mingw32-gcc";
    let dir = workspace.target().join("wine");
    setup::create_dir(&dir)?;
    let stub = dir.join("bcryptprimitives.dll");
    if !stub.exists() {
        let mut gcc = workspace.program(GCC);
        gcc.args(["-shared", "-O2", "-o"]).arg(&stub);
        process::run(gcc.args(["tests/targets/windows/bcryptprimitives.c", "-ladvapi32"]))?;
    }
    let library = process::output(Command::new(GCC).arg("-print-file-name=libgcc_s_seh-1.dll"))?;
    let libraries = PathBuf::from(library.trim()).parent().map(|dir| dir.to_owned()).unwrap_or_default();
    let of_wine = |path: &PathBuf| format!("Z:{}", path.display().to_string().replace('/', "\\"));
    command.env("WINEPATH", format!("{};{}", of_wine(&dir), of_wine(&libraries)));
    command.env("WINEPREFIX", dir.join("prefix"));
    command.env("WINEDEBUG", "-all");
    Ok(())
}
