//! What our instructions may come to: the budgets of docs/performance.md. Counts repeat, so they can be held to a limit.

use std::env;
use std::process::Command;

use bench_common::table::aligned;

use crate::arguments::Arguments;
use crate::child;
use crate::count;
use crate::error::{Result, within};
use crate::plan::{self, Job};

/// Instructions for one operation.
const LIMITS: &[(&str, f64)] = &[
    ("yield/2", 40.0),
    ("yield/1000", 40.0),
    ("yield-beside-sleeper/2", 40.0),
    ("yield-beside-sleeper/1000", 40.0),
    ("pingpong", 150.0),
    ("spawn", 90.0),
    ("mutex", 15.0),
];

/// Allocations of a thousand tasks that are spawned and joined once the pool is warm.
const ALLOCATIONS: (&str, u64) = ("allocations", 0);

/// The program beside this one that counts them.
const ALLOCATIONS_PROGRAM: &str = "bench-native-allocations";

/// Prints a table, and fails if a line of it is beyond its limit.
pub(crate) fn check(arguments: &Arguments) -> Result<()> {
    count::present()?;
    let ours = plan::entrants(arguments)?.swap_remove(0);
    let mut rows = vec![["", "now", "limit", ""].map(str::to_owned).to_vec()];
    let mut missed = Vec::new();
    let mut row = |name: &str, now: String, limit: String, holds: bool| {
        rows.push(vec![name.to_owned(), now, limit, if holds { "ok" } else { "MISSED" }.to_owned()]);
        if !holds {
            missed.push(name.to_owned());
        }
    };
    for &(bench, limit) in LIMITS.iter().filter(|(bench, _)| arguments.wants(bench)) {
        let (family, size) = plan::find(bench).ok_or_else(|| format!("no bench `{bench}`"))?;
        let job = Job { bench: bench.to_owned(), family, size, entrant: ours.clone(), counted: true };
        let now = count::instructions(&job).map_err(within(bench))?;
        // To the digits that are shown: the two runs also write numbers of different length.
        let now = (now * 100.0).round() / 100.0;
        row(bench, format!("{now:.2}"), format!("{limit}"), now <= limit);
    }
    let (name, limit) = ALLOCATIONS;
    if arguments.wants(name) {
        let now = allocations()?;
        row(name, now.to_string(), limit.to_string(), now <= limit);
    }
    println!("instructions of ours for one operation (valgrind, difference of two runs)");
    print!("{}", aligned(&rows));
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("beyond the limit: {}", missed.join(", ")).into())
}

fn allocations() -> Result<u64> {
    let program = env::current_exe()?.with_file_name(ALLOCATIONS_PROGRAM);
    let output = child::run(&mut Command::new(&program)).map_err(within(program.display()))?;
    output.out.trim().parse().map_err(within(program.display()))
}
