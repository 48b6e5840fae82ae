#![doc = include_str!("../README.md")]

mod arguments;
mod child;
mod count;
mod depth;
mod gate;
mod html;
mod machine;
mod meter;
mod plan;
mod report;
mod rounds;
mod shuffle;
mod subject;
mod subjects;
mod svg;

use std::env;
use std::fs;
use std::process::ExitCode;
use std::time::Instant;

use bench_common::{error, lines};

use crate::arguments::Arguments;
use crate::error::{Result, within};
use crate::report::Log;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--measure", subject, bench, n] => {
            n.parse().map_err(within(n)).and_then(|n| subject::measure(subject, bench, n))
        }
        _ => Arguments::parse(words.into_iter()).and_then(|arguments| run(&arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if arguments.gate {
        return gate::check(arguments);
    }
    let start = Instant::now();
    let mut log = Log::default();
    let jobs = plan::plan(arguments, &mut log)?;
    if jobs.iter().any(|job| job.counted) {
        count::present()?;
    }
    let about = machine::describe(arguments, &plan::entrants(arguments)?)?;
    println!("{about}");
    rounds::run(arguments, jobs, &mut log)?;
    print!("{}", log.tables());
    if let Some(file) = &arguments.json {
        lines::write(&log.lines, file)?;
    }
    if let Some(file) = &arguments.html {
        fs::write(file, html::page(&log, &about)).map_err(within(file.display()))?;
    }
    eprintln!("bench native: {:.0} s", start.elapsed().as_secs_f64());
    log.close()
}
