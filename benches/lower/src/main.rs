#![doc = include_str!("../README.md")]

mod arguments;
mod driven;
mod embedded;
mod engine;
mod guests;
mod machine;
mod names;
mod node;
mod plan;
mod quickjs;
mod report;
mod size;
mod subject;

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use bench_common::{error, stats};

use crate::arguments::Arguments;
use crate::error::Result;
use crate::node::Node;
use crate::report::Log;

fn main() -> ExitCode {
    match Arguments::parse(env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.gate {
        return size::gate(arguments);
    }
    let start = Instant::now();
    let mut log = Log::default();
    let benches = plan::plan(arguments, &mut log)?;
    let nodes = arguments.nodes.iter().map(|program| Node::find(program)).collect::<Result<Vec<_>>>()?;
    if !benches.is_empty() {
        for node in &nodes {
            node.run(arguments, &benches, &mut log)?;
        }
        engine::run(&benches, &mut log)?;
    }
    size::measure(arguments, &mut log)?;

    println!("{}", machine::describe(arguments, &nodes)?);
    log.print();
    if let Some(file) = &arguments.json {
        log.write(file)?;
    }
    eprintln!("bench lower: {:.0} s", start.elapsed().as_secs_f64());
    log.close()
}
