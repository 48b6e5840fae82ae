//! `fuzz`: random modules, lowered and suspended at random, beside what they were. `tests/lower` is the program; here is
//! what it is run with.

use std::io::stderr;
use std::path::PathBuf;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::{SystemTime, UNIX_EPOCH};

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

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
}

const CONFIGURATIONS: &[Configuration] = &[
    Configuration { name: "speed", args: &["--optimize", "speed", "--options", "wasmi", "--vary"] },
    Configuration { name: "balanced", args: &["--optimize", "balanced", "--options", "wasmi", "--vary"] },
    Configuration { name: "size", args: &["--optimize", "size", "--options", "wasmi", "--vary"] },
    Configuration { name: "stable", args: &["--stable", "--options", "wasmi", "--vary"] },
    // What wasm-smith thinks of, and the structured generator does not.
    Configuration { name: "smith", args: &["--source", "smith"] },
    // Another engine, and what wasmi cannot run.
    Configuration {
        name: "wasmtime",
        args: &["--engine", "wasmtime", "--options", "wasmi,exceptions,legacy-exceptions", "--vary"],
    },
    // The proof that the comparison itself is in order.
    Configuration { name: "binaryen", args: &["--via", "binaryen"] },
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
    for Configuration { name, args } in CONFIGURATIONS {
        let mut fuzz = program(workspace);
        fuzz.args(*args);
        if args.contains(&"binaryen") {
            fuzz.arg("--program").arg(&wasm_opt);
        }
        fuzz.arg("--minutes").arg(format!("{each:.3}")).arg("--seed").arg(seed.to_string());
        tally.check(&format!("fuzz {name}"), &process::line(&fuzz), || process::run(&mut fuzz));
    }
}

fn program(workspace: &Workspace) -> Command {
    let file: PathBuf = workspace.target().join("release/fuzz-lower");
    let mut fuzz = workspace.program(file);
    fuzz.arg("--jobs").arg(available_parallelism().map_or(1, usize::from).to_string());
    fuzz.arg("--output").arg(workspace.target().join("fuzz-lower"));
    fuzz
}
