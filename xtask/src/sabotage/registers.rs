//! Which registers each CPU file saves, and the text that does it.
//!
//! What the compiler saves stands in the list of clobbers: without its line, it is not saved. A clobber that stands for a whole convention
//! becomes a list of all that it stands for but one. What is saved by hand is loaded from nowhere: the instruction that loads it becomes one
//! that moves the stack pointer alone, or loads the other register of the two.

use std::process::Command;

use cargo_windlass::error::Result;

use super::{Broken, Cpu, Suite};
use crate::qemu::hosted::{self, Target};
use crate::workspace::Workspace;

pub(super) const CPUS: &[Cpu] = &[
    Cpu { name: "x86_64", file: "x86_64.rs", registers: x86_64, suite: of_this_machine },
    Cpu {
        name: "x86_64_windows",
        file: "x86_64_windows.rs",
        registers: x86_64_windows,
        suite: |workspace| hosted(workspace, &hosted::WINDOWS),
    },
    Cpu { name: "x86", file: "x86.rs", registers: x86, suite: |workspace| hosted(workspace, &hosted::I686) },
    Cpu {
        name: "aarch64",
        file: "aarch64.rs",
        registers: aarch64,
        suite: |workspace| hosted(workspace, &hosted::AARCH64),
    },
];

fn of_this_machine(workspace: &Workspace) -> Result<Suite> {
    suite(&|| {
        let mut command = workspace.cargo("test");
        command.args([
            "--release",
            "--package",
            "windlass-arch",
            "--features",
            "std",
            "--test",
            "conformance",
        ]);
        command.env("CARGO_TARGET_DIR", workspace.target());
        Ok(command)
    })
}

fn hosted(workspace: &Workspace, target: &Target) -> Result<Suite> {
    target.install()?;
    suite(&|| target.conformance(workspace, "release"))
}

/// The tests on this CPU's own backend of a suite that `cargo test` runs: those of registers first, which tell best, then all.
fn suite(test: &dyn Fn() -> Result<Command>) -> Result<Suite> {
    let part = |tests: &[&str]| {
        let mut run = test()?;
        run.args(["--quiet", "--", "--test-threads=1", "--format=pretty"]).args(tests);
        run.env("RUST_BACKTRACE", "0");
        Ok(run)
    };
    let mut build = test()?;
    build.args(["--quiet", "--no-run"]);
    Ok(Suite { build, run: vec![part(&["native::registers", "native::cpu"])?, part(&["native"])?] })
}

fn broken(register: &str, from: &str, to: &str) -> Broken {
    Broken { register: register.to_owned(), edits: vec![(from.to_owned(), to.to_owned())] }
}

/// A register that stands in the list of clobbers.
fn clobber(register: &str) -> Broken {
    broken(register, &format!("            lateout(\"{register}\") _,\n"), "")
}

/// A register that a convention's clobbers stand for, `all`.
fn in_convention(register: &str, convention: &str, all: &[String]) -> Broken {
    let others: String = all
        .iter()
        .filter(|other| *other != register)
        .map(|other| format!("lateout(\"{other}\") _,"))
        .collect();
    broken(register, &format!("            clobber_abi(\"{convention}\"),"), &format!("            {others}"))
}

fn numbered(prefix: &str, numbers: std::ops::RangeInclusive<u32>) -> Vec<String> {
    numbers.map(|number| format!("{prefix}{number}")).collect()
}

/// In `switch`, whose lines have this margin; another function may have the same line with less.
fn in_switch(register: &str, from: &str, to: &str) -> Broken {
    broken(register, &format!("\n            \"{from}\","), &format!("\n            \"{to}\","))
}

fn x86_64() -> Vec<Broken> {
    let mut all = vec![
        in_switch("rbx", "pop rbx", "lea rsp, [rsp + 8]"),
        in_switch("rbp", "pop rbp", "lea rsp, [rsp + 8]"),
    ];
    all.extend(["r12", "r13", "r14", "r15"].map(clobber));
    all
}

fn x86_64_windows() -> Vec<Broken> {
    let mut all = vec![
        in_switch("rbx", "pop rbx", "lea rsp, [rsp + 8]"),
        in_switch("rbp", "pop rbp", "lea rsp, [rsp + 8]"),
        in_switch("StackBase", "pop qword ptr gs:[0x08]", "lea rsp, [rsp + 8]"),
        in_switch("StackLimit", "pop qword ptr gs:[0x10]", "lea rsp, [rsp + 8]"),
        in_switch("DeallocationStack", "pop qword ptr gs:[0x1478]", "lea rsp, [rsp + 8]"),
        in_switch("ExceptionList", "pop qword ptr gs:[0x00]", "lea rsp, [rsp + 8]"),
        broken("rsi", "            inlateout(\"rsi\") to => _,", "            in(\"rsi\") to,"),
    ];
    all.extend(["rdi", "r12", "r13", "r14", "r15"].map(clobber));
    let mut convention: Vec<String> = ["rcx", "rdx"].map(str::to_owned).into();
    convention.extend(numbered("r", 8..=11));
    convention.extend(numbered("xmm", 0..=15));
    all.extend(numbered("xmm", 6..=15).iter().map(|register| in_convention(register, "win64", &convention)));
    all
}

fn x86() -> Vec<Broken> {
    let mut all = vec![
        in_switch("esi", "popl %esi", "leal 4(%esp), %esp"),
        in_switch("ebp", "popl %ebp", "leal 4(%esp), %esp"),
    ];
    all.extend(["ebx", "edi"].map(clobber));
    all
}

fn aarch64() -> Vec<Broken> {
    let mut all = vec![
        in_switch("x19", "ldp x19, x29, [x1, #8]", "ldr x29, [x1, #16]"),
        in_switch("x29", "ldp x19, x29, [x1, #8]", "ldr x19, [x1, #8]"),
    ];
    all.extend(numbered("x", 20..=28).iter().map(|register| clobber(register)));
    // But those that `switch` names itself.
    let mut convention: Vec<String> = ["x0", "x17", "x18", "x30"].map(str::to_owned).into();
    convention.extend(numbered("x", 2..=8));
    convention.extend(numbered("x", 10..=15));
    convention.extend(numbered("v", 0..=31));
    all.extend(numbered("v", 8..=15).iter().map(|register| in_convention(register, "C", &convention)));
    all
}
