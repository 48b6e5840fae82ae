//! Compares many random modules with their lowered forms.
//!
//! ```text
//! fuzz-lower --cases 1000 --via binaryen --options basic,v128
//! fuzz-lower --minutes 10 --via own --options wasmi --vary --jobs 2
//! fuzz-lower --seed 4711 --cases 1 --shrink
//! ```

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use lower_tests::engine::Engine;
use lower_tests::fuzz::{Extent, Settings, Source, fuzz, keep};
use lower_tests::generate::{Features, Shape};
use lower_tests::node::Node;
use lower_tests::shrink::shrink;
use lower_tests::via::Via;

/// Compares random modules with their lowered forms, suspended and resumed at random.
#[derive(Parser)]
struct Args {
    /// How many modules; without it and --minutes, 200.
    #[arg(long)]
    cases: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How long at most.
    #[arg(long)]
    minutes: Option<f64>,
    /// Threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// structured, smith or csmith.
    #[arg(long, default_value = "structured")]
    source: Source,
    /// wasmi, wasmtime or node.
    #[arg(long, default_value = "wasmi")]
    engine: Engine,
    /// The Node of --engine node; without it WINDLASS_NODE, or `node` on PATH.
    #[arg(long)]
    node: Option<PathBuf>,
    /// own (the library), binaryen (an installed `wasm-opt`), or none: wasmi and the engine are compared.
    #[arg(long, default_value = "own")]
    via: String,
    /// A program that lowers, instead of the library or `wasm-opt`; the arguments follow `--`, where {in}, {out},
    /// {imports} and {import} are replaced.
    #[arg(long)]
    program: Option<PathBuf>,
    /// What it is to be best at: speed, balanced or size. For Binaryen a level, `-O1` unless given.
    #[arg(long)]
    optimize: Option<String>,
    /// Hosts leave the buffer alone until a call is over.
    #[arg(long)]
    stable: bool,
    /// What modules may use, with commas between: basic, wasmi, multi-value, v128, ...
    #[arg(long, default_value = "basic")]
    options: Features,
    /// Each module uses only some of that.
    #[arg(long)]
    vary: bool,
    /// Functions in a structured module.
    #[arg(long, default_value_t = Shape::default().functions)]
    functions: usize,
    /// How deep it is nested.
    #[arg(long, default_value_t = Shape::default().depth)]
    depth: usize,
    /// How long functions are.
    #[arg(long, default_value_t = Shape::default().statements)]
    statements: usize,
    /// Where cases that differ go.
    #[arg(long, default_value = "target/fuzz-lower")]
    output: PathBuf,
    /// Looks for a smaller case for the first one that differs.
    #[arg(long)]
    shrink: bool,
    /// Arguments for --program.
    #[arg(last = true)]
    arguments: Vec<std::ffi::OsString>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn via(args: &Args) -> Result<Option<Via>, String> {
    if let Some(program) = &args.program
        && !args.arguments.is_empty()
    {
        return Ok(Some(Via::Binary(program.clone(), args.arguments.clone())));
    }
    let optimize = args.optimize.as_deref();
    Ok(Some(match args.via.as_str() {
        "none" => return Ok(None),
        "binaryen" => {
            let program = args.program.clone().unwrap_or_else(|| PathBuf::from("wasm-opt"));
            Via::wasm_opt(&program, optimize.unwrap_or("-O1"))
        }
        "own" => match &args.program {
            Some(program) => Via::windlass_lower(program, "own", optimize.unwrap_or("balanced"), args.stable),
            None => Via::library("own", optimize.unwrap_or("balanced"), args.stable)?,
        },
        _ => return Err("--via is own, binaryen or none".to_owned()),
    }))
}

/// The Node in which every lowered exception runs: the first version that has references to them.
const EXNREF: u32 = 25;

fn node(args: &Args) -> Result<Option<Node>, String> {
    if args.engine != Engine::Node {
        return Ok(None);
    }
    let other = args.node.clone().or_else(|| std::env::var_os("WINDLASS_NODE").map(PathBuf::from));
    Node::new(&other.unwrap_or_else(|| PathBuf::from("node"))).map(Some)
}

fn run(args: &Args) -> Result<bool, String> {
    let mut features = args.options;
    if args.source == Source::Smith && args.stable {
        return Err("--source smith has no place for a buffer of its own, as --stable needs: the host borrows a piece of \
                    the guest's memory and gives it back before the guest goes on"
            .to_owned());
    }
    #[cfg(feature = "wasmtime")]
    if args.engine == Engine::Wasmtime && features.legacy_exceptions {
        return Err("wasmtime has no legacy exceptions: --engine node --node PATH runs them".to_owned());
    }
    if args.engine == Engine::Wasmi && (features.exceptions || features.legacy_exceptions) {
        return Err("wasmi has no exceptions: --engine wasmtime, or --engine node, runs them".to_owned());
    }
    let node = node(args)?;
    if let Some(node) = &node {
        // JavaScript has none.
        features.v128_host = false;
        if (features.exceptions || features.legacy_exceptions) && node.version < EXNREF {
            return Err(format!(
                "Node {} has no exnref: --node PATH, or WINDLASS_NODE, names one of version {EXNREF} or later",
                node.version
            ));
        }
    }
    let shape = Shape { functions: args.functions, depth: args.depth, statements: args.statements, features };
    let settings = Settings {
        source: args.source,
        shape,
        vary: args.vary,
        engine: args.engine,
        node,
        via: via(args)?,
        stable: args.stable,
    };
    let without_end = if args.minutes.is_some() { u64::MAX } else { 200 };
    let extent = Extent {
        seed: args.seed,
        cases: args.cases.unwrap_or(without_end),
        time: args.minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
        jobs: args.jobs,
        output: args.output.clone(),
        progress: true,
    };
    let total = fuzz(&settings, &extent)?;
    for (reason, (count, seed)) in &total.refused {
        println!("refused, {count} of them, e.g. seed {seed}: {reason}");
    }
    for (reason, count) in &total.sum.inconclusive {
        println!("inconclusive, {count} of them: {reason}");
    }
    for (seed, difference) in &total.of_wasmi {
        println!("seed {seed}, wasmi alone: {difference}");
    }
    for (seed, difference) in total.differences.iter().take(10) {
        println!("seed {seed}: {difference}");
    }
    if args.shrink
        && let Some((seed, _)) = total.differences.first()
        && let Some(small) = shrink(&settings, *seed)
    {
        let directory = args.output.join(format!("{seed}-small"));
        let lowered = settings.lower(&small.case).ok().flatten();
        keep(&directory, &small.case, lowered.as_deref(), &settings, &small.difference)
            .map_err(|error| format!("{}: {error}", directory.display()))?;
        println!(
            "{}: {} bytes, {:?}: {}",
            directory.display(),
            small.case.wasm.len(),
            small.shape,
            small.difference
        );
    }
    println!("{}", total.line());
    if total.sum.runs == 0 && total.differences.is_empty() {
        return Err("nothing was compared".to_owned());
    }
    Ok(total.differences.is_empty())
}
