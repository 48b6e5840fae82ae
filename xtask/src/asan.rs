//! `asan`: the tests of what knows of stacks, with AddressSanitizer watching. docs/debugging.md says what it is told, and how.

use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;
use serde_json::Value;

use crate::tally::{Report, Tally};
use crate::workspace::Workspace;
use crate::{no_arguments, setup};

/// The only target that has both the sanitizer and a CPU file.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const PACKAGES: &[&str] = &["windlass-arch", "windlass", "test-cases"];

/// Test programs that cannot run so, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("overflow", "has signal handlers of its own, and the sanitizer reports a fault before they do"),
    ("stack_memory", "counts the pages, mappings and faults of its process, and the sanitizer makes many"),
    ("debugger", "is about what gdb sees of the code that users run"),
];

/// Single tests likewise.
const SKIPPED: &[(&str, &str)] = &[
    (
        "many_tasks_at_once_spawn_yield_and_finish_and_nothing_leaks",
        "counts what is on the heap, where the stacks are listed for the sanitizer",
    ),
    ("a_nested_call_is_on_the_hosts_stack", ADDRESSES),
    ("rule_05_a_nested_loop_runs_on_the_hosts_stack", ADDRESSES),
];

const ADDRESSES: &str = "compares the addresses of locals, which the sanitizer keeps beside the stacks";

/// A test asks for more memory than there is, and wants to be told. Leaks: tests leave suspended tasks behind on purpose, and the search
/// for leaks does not look for pointers on tasks' stacks.
const OPTIONS: &str = "allocator_may_return_null=1:detect_leaks=0";

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut tally = Tally::default();
    run(workspace, &mut tally);
    tally.close()
}

/// As steps of a tally.
pub(crate) fn run(workspace: &Workspace, tally: &mut Tally) {
    let ready = tally.prepare("nightly", "cargo xtask setup nightly", || {
        setup::nightly()?;
        programs(workspace)
    });
    let Some(programs) = ready else { return };
    for (what, why) in LEFT_OUT.iter().chain(SKIPPED) {
        println!("left out: {what}, which {why}");
    }
    let mut test = workspace.program("rustup");
    test.args(["run", "nightly", "cargo", "test", "--target", TARGET, "--features", "windlass/asan"]);
    test.args(["--no-fail-fast", "--lib"]);
    for package in PACKAGES {
        test.args(["--package", package]);
    }
    for program in &programs {
        test.args(["--test", program]);
    }
    test.arg("--");
    for (name, _) in SKIPPED {
        test.args(["--skip", name]);
    }
    environment(&mut test, workspace);
    tally.tests("asan", Report::Libtest, &mut test);
}

fn environment(test: &mut Command, workspace: &Workspace) {
    test.env("RUSTFLAGS", "-Zsanitizer=address");
    test.env("ASAN_OPTIONS", OPTIONS);
    test.env("CARGO_TARGET_DIR", workspace.target().join("asan"));
}

/// The names of the packages' test programs, but for those that are left out.
fn programs(workspace: &Workspace) -> Result<Vec<String>> {
    let metadata = process::output(workspace.cargo("metadata").args(["--no-deps", "--format-version", "1"]))?;
    let metadata: Value = serde_json::from_str(&metadata)
        .map_err(|error| Error::new(format!("`cargo metadata` is not understood: {error}")))?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut programs = Vec::new();
    for package in list(&metadata["packages"]) {
        if !PACKAGES.iter().any(|name| package["name"] == *name) {
            continue;
        }
        let tests = list(&package["targets"]).into_iter().filter(|target| target["kind"][0] == "test");
        programs.extend(tests.filter_map(|target| target["name"].as_str().map(str::to_owned)));
    }
    for (name, _) in LEFT_OUT {
        if !programs.iter().any(|program| program == name) {
            return Err(Error::new(format!(
                "xtask/src/asan.rs leaves out `{name}`, and there is no such test program"
            )));
        }
    }
    programs.retain(|program| LEFT_OUT.iter().all(|(name, _)| name != program));
    Ok(programs)
}
