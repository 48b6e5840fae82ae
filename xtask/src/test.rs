//! `test`: every test there is, step by step, and one closing line. docs/testing.md has what each step is for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;
use cargo_windlass::toolchain::{Library, Target, Toolchain};

use crate::guest::{CONFORMANCE, CONFORMANCE_DEBUG, Guest, REACTOR, RULES, RULES_DIRECT, RULES_WASIP1};
use crate::tally::{Report, Tally};
use crate::workspace::Workspace;
use crate::{bench, demo, fuzz, models, programs, setup};

/// The guests of the reactor rules, and the variables that tell test programs where they are.
const GUESTS: &[(&str, Guest)] = &[
    ("WINDLASS_TEST_GUEST", RULES),
    ("WINDLASS_TEST_GUEST_DIRECT", RULES_DIRECT),
    ("WINDLASS_TEST_GUEST_WASIP1", RULES_WASIP1),
];

/// A package outside the workspace: its test harness brings a panic handler of its own.
const BINDGEN: &str = "tests/bindgen";

/// Another one: it has the scheduler without a heap.
const FIXED: &str = "tests/fixed";

struct Step {
    name: &'static str,
    does: &'static str,
    run: fn(&mut Bench<'_>),
}

const STEPS: &[Step] = &[
    Step { name: "native", does: "every package on this machine, debug", run: native },
    Step { name: "direct", does: "the scheduler's package without the scheduler", run: direct },
    Step {
        name: "fixed",
        does: "the scheduler without a heap, optimised and not; no allocator is linked",
        run: fixed,
    },
    Step { name: "release", does: "arch and scheduler, optimised", run: release },
    Step { name: "threads", does: "arch and scheduler on the threads backend", run: threads },
    Step {
        name: "loom",
        does: "what threads share, in every order",
        run: |bench| bench.tally.tests("loom", Report::Libtest, &mut models::test(bench.workspace)),
    },
    Step {
        name: "seam",
        does: "the conformance suite of arch on wasm32, optimised and not, in Node",
        run: seam,
    },
    Step { name: "node", does: "the reactor rules, called from JavaScript", run: node },
    Step { name: "demo", does: "the demo's trace is the checked-in one", run: demo },
    Step { name: "bindgen", does: "a lowered guest under wasm-bindgen-test", run: bindgen },
    Step {
        name: "binaryen",
        does: "the reactor rules, in wasmtime and Node, lowered by way of Binaryen",
        run: binaryen,
    },
    Step {
        name: "programs",
        does: "real programs, lowered in each way, in Node and wasmtime",
        run: |bench| programs::run(bench.workspace, &mut bench.tally),
    },
    Step { name: "fuzz", does: "random modules, for a minute; always from the same seed", run: fuzz },
    Step { name: "sizes", does: "the sizes that `bench lower` allows", run: sizes },
    Step { name: "counts", does: "the instructions that `bench native` allows", run: counts },
];

/// For random modules.
const FUZZ_MINUTES: f64 = 1.0;
const FUZZ_SEED: u64 = 1 << 40;

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    if args.first().is_some_and(|arg| arg == "--list") {
        crate::no_arguments(&args[1..])?;
        for Step { name, does, .. } in STEPS {
            println!("{name:<8} {does}");
        }
        return Ok(());
    }
    let wanted: BTreeSet<&str> = args.iter().map(String::as_str).collect();
    if let Some(unknown) = wanted.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        return Err(Error::new(format!(
            "no step `{unknown}`; the steps are shown by\n  cargo xtask test --list"
        )));
    }
    let mut bench = Bench { workspace, tally: Tally::default(), tools: None, wasm_opt: None, guests: None };
    for step in STEPS {
        if wanted.is_empty() || wanted.contains(step.name) {
            (step.run)(&mut bench);
        }
    }
    bench.tally.close()
}

/// What the steps share. A thing that several need is made once, by the first.
struct Bench<'a> {
    workspace: &'a Workspace,
    tally: Tally,
    tools: Option<Option<Tools>>,
    wasm_opt: Option<Option<PathBuf>>,
    guests: Option<Option<Vec<(&'static str, PathBuf)>>>,
}

/// What the steps on wasm32 need.
#[derive(Clone)]
struct Tools {
    toolchain: Toolchain,
    node: PathBuf,
}

impl Bench<'_> {
    /// `None` if the tools cannot be had, which the tally then knows.
    fn tools(&mut self) -> Option<Tools> {
        let tally = &mut self.tally;
        let make = || {
            tally.prepare("setup", "cargo xtask setup", || {
                Ok(Tools { toolchain: setup::toolchain(Target::Unknown)?, node: setup::node()? })
            })
        };
        self.tools.get_or_insert_with(make).clone()
    }

    /// Binaryen's program; the tally knows if it cannot be had.
    fn wasm_opt(&mut self) -> Option<PathBuf> {
        let Self { workspace, tally, .. } = self;
        let make = || tally.prepare("wasm-opt", "cargo xtask setup wasm-opt", || setup::wasm_opt(workspace));
        self.wasm_opt.get_or_insert_with(make).clone()
    }

    /// Whether there is a debugger; the tally knows if not.
    fn gdb(&mut self) -> bool {
        self.tally.prepare("gdb", "cargo xtask setup gdb", setup::gdb).is_some()
    }

    /// Builds and lowers a guest.
    fn build(&mut self, guest: &Guest) -> Option<PathBuf> {
        let workspace = self.workspace;
        self.tally
            .prepare(guest.name, &guest.line(), || guest.build(workspace, &setup::toolchain(guest.target)?))
    }

    /// Tells the command where the guests of the rules are; `None` if they cannot be built.
    fn with_guests<'c>(&mut self, command: &'c mut Command) -> Option<&'c mut Command> {
        if self.guests.is_none() {
            let build = |(variable, guest): &(&'static str, Guest)| Some((*variable, self.build(guest)?));
            self.guests = Some(GUESTS.iter().map(build).collect());
        }
        Some(command.envs(self.guests.clone()??))
    }
}

fn native(bench: &mut Bench<'_>) {
    let mut test = bench.workspace.cargo("test");
    test.args(["--workspace", "--no-fail-fast"]);
    // Tests of the tool lower by way of Binaryen, too.
    let Some(wasm_opt) = bench.wasm_opt() else { return };
    test.env("WINDLASS_WASM_OPT", wasm_opt);
    let Some(test) = bench.with_guests(&mut test) else { return };
    if !bench.gdb() {
        return;
    }
    bench.tally.tests("native", Report::Libtest, test);
}

/// The tests of what knows of stacks, but not their doc tests.
fn of_stacks(test: &mut Command) -> &mut Command {
    test.args(["--package", "windlass-arch", "--package", "windlass", "--package", "test-cases"]);
    test.args(["--lib", "--tests", "--no-fail-fast"])
}

fn direct(bench: &mut Bench<'_>) {
    let mut test = bench.workspace.cargo("test");
    test.args([
        "--package",
        "windlass",
        "--no-default-features",
        "--features",
        "std,timers",
        "--lib",
        "--test",
        "direct",
    ]);
    bench.tally.tests("direct", Report::Libtest, &mut test);
}

fn fixed(bench: &mut Bench<'_>) {
    for args in [&["--locked"][..], &["--locked", "--release"]] {
        let mut test = bench.workspace.cargo("test");
        test.current_dir(bench.workspace.path(FIXED)).args(args);
        test.env("CARGO_TARGET_DIR", bench.workspace.target().join("fixed"));
        bench.tally.tests("fixed", Report::Libtest, &mut test);
    }
}

fn release(bench: &mut Bench<'_>) {
    if !bench.gdb() {
        return;
    }
    let mut test = bench.workspace.cargo("test");
    of_stacks(test.arg("--release"));
    bench.tally.tests("release", Report::Libtest, &mut test);
}

fn threads(bench: &mut Bench<'_>) {
    let mut test = bench.workspace.threads("test");
    bench.tally.tests("threads", Report::Libtest, of_stacks(&mut test));
}

fn seam(bench: &mut Bench<'_>) {
    for guest in [&CONFORMANCE, &CONFORMANCE_DEBUG] {
        let Some(module) = bench.build(guest) else { return };
        let Some(tools) = bench.tools() else { return };
        let mut run = bench.workspace.program(tools.node);
        run.arg("arch/tests/wasm/run.mjs").arg(module);
        bench.tally.tests("seam", Report::Cases, &mut run);
    }
}

fn node(bench: &mut Bench<'_>) {
    let Some(mut test) = of_rules_in_node(bench, "node") else { return };
    let Some(test) = bench.with_guests(&mut test) else { return };
    bench.tally.tests("node", Report::Node, test);
}

fn of_rules_in_node(bench: &mut Bench<'_>, step: &str) -> Option<Command> {
    let tools = bench.tools()?;
    let files = match bench.workspace.files(".test.mjs") {
        Ok(files) => files,
        Err(error) => {
            bench.tally.check(step, &format!("cargo xtask test {step}"), || Err(error));
            return None;
        }
    };
    let mut test = bench.workspace.program(tools.node);
    test.args(["--test", "--test-reporter=tap"]).args(files);
    Some(test)
}

fn binaryen(bench: &mut Bench<'_>) {
    let Some(wasm_opt) = bench.wasm_opt() else { return };
    let workspace = bench.workspace;
    let mut guests = Vec::new();
    for (variable, guest) in GUESTS {
        let line = format!("{} --via binaryen", guest.line());
        let built = bench.tally.prepare(&format!("{}, via binaryen", guest.name), &line, || {
            guest.build_via_binaryen(workspace, &setup::toolchain(guest.target)?, &wasm_opt)
        });
        let Some(file) = built else { return };
        guests.push((*variable, file));
    }
    let mut test = workspace.cargo("test");
    test.args(["--package", "windlass-host", "--no-fail-fast", "--test", "rules", "--test", "traces"]);
    bench.tally.tests("binaryen, wasmtime", Report::Libtest, test.envs(guests.clone()));
    let Some(mut test) = of_rules_in_node(bench, "binaryen") else { return };
    bench.tally.tests("binaryen, node", Report::Node, test.envs(guests));
}

fn fuzz(bench: &mut Bench<'_>) {
    fuzz::configurations(bench.workspace, &mut bench.tally, FUZZ_SEED, FUZZ_MINUTES);
}

fn sizes(bench: &mut Bench<'_>) {
    gate(bench, "sizes", "lower");
}

fn counts(bench: &mut Bench<'_>) {
    gate(bench, "counts", "native");
}

fn gate(bench: &mut Bench<'_>, step: &str, name: &str) {
    let workspace = bench.workspace;
    let line = format!("cargo xtask bench {name} --gate");
    bench.tally.check(step, &line, || bench::gate(workspace, name));
}

fn demo(bench: &mut Bench<'_>) {
    let Some(module) = bench.build(&REACTOR) else { return };
    let workspace = bench.workspace;
    bench.tally.check("demo", "cargo xtask test demo", || demo::matches_trace(workspace, &module));
}

fn bindgen(bench: &mut Bench<'_>) {
    let Some(tools) = bench.tools() else { return };
    let workspace = bench.workspace;
    let line = "cargo build --package windlass-lower && cargo xtask setup";
    let ready = bench.tally.prepare("bindgen tools", line, || {
        process::run(workspace.cargo("build").args(["--package", "windlass-lower"]))?;
        setup::bindgen_runner(workspace)
    });
    if ready.is_none() {
        return;
    }
    let dir = workspace.path(BINDGEN);
    match tools.toolchain.cargo("test", Library::Alloc, &dir) {
        Ok(mut test) => {
            test.env("CARGO_TARGET_DIR", tools.toolchain.target_dir(workspace.target()));
            // For tests/bindgen/runner.
            test.env("WINDLASS_LOWER", workspace.target().join("debug/windlass-lower"));
            bench.tally.tests("bindgen", Report::Libtest, &mut test);
        }
        Err(error) => bench.tally.check("bindgen", "cargo xtask test bindgen", || Err(error)),
    }
}
