//! `fuzz`: random modules, lowered and suspended at random, beside what they were. `tests/lower` is the program; here is
//! what it is run with.

use std::io::stderr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process::{self, which};

use crate::tally::Tally;
use crate::workspace::Workspace;
use crate::{no_arguments, setup};

struct Fuzz {
    name: &'static str,
    does: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const FUZZES: &[Fuzz] = &[Fuzz {
    name: "lower",
    does: "the lowering engine, each configuration as long as the next [--minutes N] [--seed N]",
    run: lower,
}];

/// A way to make, lower and run modules.
struct Configuration {
    name: &'static str,
    args: &'static [&'static str],
    needs: Needs,
}

/// A program that is not built here.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    WasmOpt,
    /// A Node that has what legacy exceptions are lowered to.
    NewNode,
}

/// The first version that has references to exceptions.
const EXNREF: u32 = 25;

const CONFIGURATIONS: &[Configuration] = &[
    Configuration {
        name: "speed",
        args: &["--optimize", "speed", "--options", "wasmi", "--vary"],
        needs: Needs::Nothing,
    },
    Configuration {
        name: "balanced",
        args: &["--optimize", "balanced", "--options", "wasmi", "--vary"],
        needs: Needs::Nothing,
    },
    Configuration {
        name: "size",
        args: &["--optimize", "size", "--options", "wasmi", "--vary"],
        needs: Needs::Nothing,
    },
    Configuration {
        name: "stable",
        args: &["--stable", "--options", "wasmi", "--vary"],
        needs: Needs::Nothing,
    },
    // What wasm-smith thinks of, and the structured generator does not.
    Configuration {
        name: "smith",
        args: &["--source", "smith", "--options", "wasmi", "--vary"],
        needs: Needs::Nothing,
    },
    // Another engine.
    Configuration {
        name: "wasmtime",
        args: &["--engine", "wasmtime", "--options", "wasmi", "--vary"],
        needs: Needs::Nothing,
    },
    // What wasmi cannot run.
    Configuration {
        name: "exceptions",
        args: &["--engine", "wasmtime", "--options", "basic,multi-value,references,exceptions", "--vary"],
        needs: Needs::Nothing,
    },
    Configuration {
        name: "everything",
        args: &["--engine", "wasmtime", "--options", "wasmi,exceptions", "--optimize", "speed"],
        needs: Needs::Nothing,
    },
    // What wasmtime cannot run.
    Configuration {
        name: "legacy",
        args: &["--engine", "node", "--options", "wasmi,legacy-exceptions", "--vary"],
        needs: Needs::NewNode,
    },
    // The proof that the comparison itself is in order.
    Configuration { name: "binaryen", args: &["--via", "binaryen"], needs: Needs::WasmOpt },
];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        for Fuzz { name, does, .. } in FUZZES {
            println!("{name:<6} {does}");
        }
        return Ok(());
    };
    let fuzz = FUZZES.iter().find(|fuzz| fuzz.name == name).ok_or_else(|| {
        Error::new(format!(
            "nothing to fuzz is named `{name}`; what there is is shown by\n  cargo xtask fuzz"
        ))
    })?;
    (fuzz.run)(workspace, rest)
}

fn lower(workspace: &Workspace, args: &[String]) -> Result<()> {
    let mut minutes = 10.0;
    // Other modules each time; a difference names its seed.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut seed = now.as_secs() << 20;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| Error::new(format!("`{arg}` needs a value")));
        let not_a_number = || Error::new(format!("`{arg}` needs a number"));
        match arg.as_str() {
            "--minutes" => minutes = value()?.parse().map_err(|_| not_a_number())?,
            "--seed" => seed = value()?.parse().map_err(|_| not_a_number())?,
            _ => no_arguments(std::slice::from_ref(arg))?,
        }
    }
    let mut tally = Tally::default();
    configurations(workspace, &mut tally, seed, minutes);
    tally.close()
}

/// Each configuration is one test of the tally, and together they take `minutes`.
pub(crate) fn configurations(workspace: &Workspace, tally: &mut Tally, seed: u64, minutes: f64) {
    let build = || {
        let mut build = workspace.with_wasmtime("build");
        process::run(build.args(["--bin", "fuzz-lower"]).stdout(stderr()))?;
        setup::wasm_opt(workspace)
    };
    let line = process::line(workspace.with_wasmtime("build").args(["--bin", "fuzz-lower"]));
    let Some(wasm_opt) = tally.prepare("fuzz-lower", &line, build) else { return };
    let each = minutes / CONFIGURATIONS.len() as f64;
    for Configuration { name, args, needs } in CONFIGURATIONS {
        let mut fuzz = program(workspace);
        fuzz.args(*args);
        match needs {
            Needs::Nothing => {}
            Needs::WasmOpt => {
                fuzz.arg("--program").arg(&wasm_opt);
            }
            Needs::NewNode => match new_node(workspace) {
                Some(node) => {
                    fuzz.arg("--node").arg(node);
                }
                None => {
                    println!(
                        "!! fuzz: {name} is left out, as there is no Node {EXNREF} or later; to run it too: \
                         cargo xtask setup new-node\n"
                    );
                    continue;
                }
            },
        }
        fuzz.arg("--minutes").arg(format!("{each:.3}")).arg("--seed").arg(seed.to_string());
        tally.check(&format!("fuzz {name}"), &process::line(&fuzz), || process::run(&mut fuzz));
    }
}

/// `WINDLASS_NODE`, `node`, or the one that `setup` installs, if it is new enough.
fn new_node(workspace: &Workspace) -> Option<PathBuf> {
    let installed = workspace.target().join("tools/node/node_modules/node/bin/node");
    let known = [std::env::var_os("WINDLASS_NODE").map(PathBuf::from), which("node"), Some(installed)];
    let is_new = |node: &Path| {
        let version = process::ask(Command::new(node).arg("--version"))?;
        let major = version.trim().trim_start_matches('v').split('.').next()?.parse::<u32>().ok()?;
        Some(major >= EXNREF)
    };
    known.into_iter().flatten().find(|node| is_new(node) == Some(true))
}

fn program(workspace: &Workspace) -> Command {
    let file: PathBuf = workspace.target().join("release/fuzz-lower");
    let mut fuzz = workspace.program(file);
    fuzz.arg("--jobs").arg(available_parallelism().map_or(1, usize::from).to_string());
    fuzz.arg("--output").arg(workspace.target().join("fuzz-lower"));
    fuzz
}
