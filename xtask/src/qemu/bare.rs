//! Boards without an operating system: the programs of `tests/targets`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};

use super::Row;
use crate::tally::{Report, Tally};
use crate::workspace::Workspace;
use crate::{cross, setup};

#[path = "../../../tests/cases/golden.rs"]
mod golden;

/// Where the programs are: outside the workspace.
const PACKAGE: &str = "tests/targets";

/// A board that QEMU knows, and the target whose programs run there.
struct Board {
    target: &'static str,
    /// The emulator, and the Debian package that has it.
    qemu: &'static str,
    package: &'static str,
    machine: &'static [&'static str],
}

const VIRT: &[&str] = &["-M", "virt", "-bios", "none"];

const THUMBV6M: Board = Board {
    target: "thumbv6m-none-eabi",
    qemu: "qemu-system-arm",
    package: "qemu-system-arm",
    // A Cortex-M3, which runs what is built for a Cortex-M0: no board with that one has memory for all cases.
    machine: &["-M", "mps2-an385"],
};
const THUMBV7M: Board = Board { target: "thumbv7m-none-eabi", ..THUMBV6M };
const THUMBV7EM: Board =
    Board { target: "thumbv7em-none-eabihf", machine: &["-M", "mps2-an386"], ..THUMBV6M };
const RISCV32: Board = Board {
    target: "riscv32imac-unknown-none-elf",
    qemu: "qemu-system-riscv32",
    package: "qemu-system-misc",
    machine: VIRT,
};
const RISCV64: Board = Board { target: "riscv64gc-unknown-none-elf", qemu: "qemu-system-riscv64", ..RISCV32 };
const AARCH64: Board = Board {
    target: "aarch64-unknown-none",
    qemu: "qemu-system-aarch64",
    machine: &["-M", "virt", "-cpu", "cortex-a57", "-net", "none"],
    ..THUMBV6M
};

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: THUMBV6M.target,
        does: "Cortex-M0's instructions, no compare-and-swap, on a Cortex-M3",
        run: |workspace, tally| run(&THUMBV6M, workspace, tally),
    },
    Row {
        name: THUMBV7M.target,
        does: "Cortex-M3",
        run: |workspace, tally| run(&THUMBV7M, workspace, tally),
    },
    Row {
        name: THUMBV7EM.target,
        does: "Cortex-M4 with floating-point registers",
        run: |workspace, tally| run(&THUMBV7EM, workspace, tally),
    },
    Row {
        name: RISCV32.target,
        does: "RISC-V, 32 bits, no floating-point registers",
        run: |workspace, tally| run(&RISCV32, workspace, tally),
    },
    Row {
        name: RISCV64.target,
        does: "RISC-V, 64 bits, with floating-point registers",
        run: |workspace, tally| run(&RISCV64, workspace, tally),
    },
    Row {
        name: AARCH64.target,
        does: "AArch64, Cortex-A57",
        run: |workspace, tally| run(&AARCH64, workspace, tally),
    },
];

/// How long a program may take, in seconds. They take less than one.
const LIMIT: &str = "60";

fn run(board: &Board, workspace: &Workspace, tally: &mut Tally) {
    let Board { target, .. } = board;
    let line = format!("cd {PACKAGE} && cargo build --release --target {target}");
    let Some(programs) = tally.prepare(target, &line, || build(board, workspace)) else {
        return;
    };
    tally.tests(&format!("{target}: arch"), Report::Cases, &mut board.runs(&programs.join("arch"), None));
    let cases = programs.join("cases");
    let line = format!("{} # and each other case", process::line(&board.runs(&cases, Some("CASE"))));
    tally.cases(&format!("{target}: cases"), &line, || compare(board, workspace, &cases));
}

impl Board {
    /// The emulator with this program.
    fn runs(&self, program: &Path, argument: Option<&str>) -> Command {
        let mut semihosting = String::from("enable=on,target=native,arg=program");
        if let Some(argument) = argument {
            semihosting += &format!(",arg={argument}");
        }
        // A program that hangs does not end by itself.
        let mut command = Command::new("timeout");
        command.args([LIMIT, self.qemu]).args(self.machine).arg("-nographic");
        command.args(["-semihosting-config", &semihosting]).arg("-kernel").arg(program);
        command.stdin(std::process::Stdio::null());
        command
    }
}

/// Builds the programs, and says where they are.
fn build(board: &Board, workspace: &Workspace) -> Result<PathBuf> {
    if which(board.qemu).is_none() && which("apt-get").is_some() {
        setup::apt_install(&[board.package])?;
    }
    let version =
        process::ask(Command::new(board.qemu).arg("--version")).ok_or_else(|| missing(board.qemu))?;
    eprintln!("{}", version.lines().next().unwrap_or_default());
    let mut cargo = cross::cargo(workspace, board.target, false)?;
    process::run(cargo.current_dir(workspace.path(PACKAGE)).args(["build", "--release", "--locked"]))?;
    Ok(cross::target_dir(workspace).join(board.target).join("release"))
}

fn missing(qemu: &str) -> Error {
    Error::new(format!(
        "`{qemu}` is missing; install it with\n  apt-get install qemu-system-arm qemu-system-misc, or brew install qemu"
    ))
}

/// Runs each case in an emulator of its own, so that it has a fresh runtime: how many left their golden traces, and what the others did.
fn compare(board: &Board, workspace: &Workspace, program: &Path) -> Result<(u64, Vec<String>)> {
    let goldens = golden::Goldens::new(&workspace.path("").to_string_lossy(), ".");
    let listed = process::output(&mut board.runs(program, None))?;
    let cases: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    if cases != goldens.names() {
        return Err(Error::new("the program's cases are not those of tests/cases/goldens"));
    }
    let mut wrong = Vec::new();
    for case in &cases {
        let problem = match process::output(&mut board.runs(program, Some(case))) {
            Ok(trace) => goldens.difference(case, &trace),
            Err(error) => Some(format!("{case}: {error}")),
        };
        wrong.extend(problem);
    }
    Ok((cases.len() as u64 - wrong.len() as u64, wrong))
}
