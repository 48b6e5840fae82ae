//! The developer commands: `cargo xtask COMMAND`. CI calls nothing else.

mod asan;
mod bench;
mod ci;
mod cross;
mod demo;
mod doc;
mod fmt;
mod fuzz;
mod go;
mod guest;
mod lint;
mod models;
mod npm;
mod package;
mod programs;
mod qemu;
mod sabotage;
mod setup;
mod tally;
mod test;
mod tsan;
mod valgrind;
mod workspace;

use std::env;
use std::process::ExitCode;

use cargo_windlass::error::{Error, Result};

use crate::workspace::Workspace;

struct Command {
    name: &'static str,
    does: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        does: "find or install what the other commands need, or the tools named [--list] [TOOL...]",
        run: setup::command,
    },
    Command {
        name: "demo",
        does: "build, lower and run examples/reactor; its trace goes to standard output [--bless]",
        run: demo::command,
    },
    Command {
        name: "test",
        does: "run every test, or the steps named; the last line is `N passed, N failed` [--list] [STEP...]",
        run: test::command,
    },
    Command {
        name: "qemu",
        does: "the tests on other CPUs, in QEMU, or on those named [--list] [TARGET...]",
        run: qemu::command,
    },
    Command {
        name: "fuzz",
        does: "compare random modules with their lowered forms; without a name, list what there is [NAME [ARGUMENT...]]",
        run: fuzz::command,
    },
    Command { name: "loom", does: "try what threads share in every order", run: models::command },
    Command {
        name: "tsan",
        does: "the tests of what threads share, under ThreadSanitizer",
        run: tsan::command,
    },
    Command {
        name: "asan",
        does: "run the tests of arch and scheduler with AddressSanitizer; needs the nightly toolchain",
        run: asan::command,
    },
    Command {
        name: "valgrind",
        does: "run a test and an example under valgrind's memcheck: no errors, no warnings",
        run: valgrind::command,
    },
    Command {
        name: "qemu",
        does: "the tests of other CPUs and systems, under what runs them here [--list] [TARGET...]",
        run: qemu::command,
    },
    Command {
        name: "sabotage",
        does: "break `switch` register by register: the conformance suite must see each [arch [CPU...]]",
        run: sabotage::command,
    },
    Command {
        name: "bench",
        does: "run a benchmark, or check the limits of all; without a name, list them [NAME [ARGUMENT...] | --gate]",
        run: bench::command,
    },
    Command {
        name: "lint",
        does: "formatting, clippy on every target and feature set, documentation, packaging",
        run: lint::command,
    },
    Command { name: "fmt", does: "format every Rust file [--check]", run: fmt::command },
    Command { name: "doc", does: "build the documentation; warnings are errors", run: doc::command },
    Command { name: "ci", does: "what a change must pass: lint, then test", run: ci::command },
];

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    match dispatch(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `test` has said everything by its closing line, which stays the last.
            if !error.to_string().is_empty() {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &[String]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        print!("{}", usage());
        return Ok(());
    };
    if ["help", "-h", "--help"].contains(&name.as_str()) {
        print!("{}", usage());
        return Ok(());
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(Error::new(format!("no command `{name}`\n{}", usage())));
    };
    (command.run)(&Workspace::find()?, rest)
}

fn usage() -> String {
    let mut text = String::from("cargo xtask COMMAND\n\n");
    for Command { name, does, .. } in COMMANDS {
        text += &format!("  {name:<8} {does}\n");
    }
    text
}

/// For commands that take none.
fn no_arguments(args: &[String]) -> Result<()> {
    match args.first() {
        None => Ok(()),
        Some(arg) => Err(Error::new(format!("unexpected argument `{arg}`"))),
    }
}

/// For commands that take one switch: whether it is there.
fn only_switch(args: &[String], switch: &str) -> Result<bool> {
    match args {
        [] => Ok(false),
        [arg] if arg == switch => Ok(true),
        [arg, ..] if arg == switch => no_arguments(&args[1..]).map(|()| true),
        _ => no_arguments(args).map(|()| false),
    }
}
