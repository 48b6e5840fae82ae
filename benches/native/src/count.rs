//! Instructions, as valgrind counts them: exactly, and the same every time. The difference of two runs over the difference
//! of their operations, so that what comes before and after does not count.

use std::path::Path;
use std::process::Command;

use crate::child;
use crate::error::{Result, within};
use crate::plan::Job;

/// The two numbers of operations; both are whole rounds of a thousand tasks.
const FEW: u64 = 20_000;
const MANY: u64 = 120_000;

/// For one operation of the job.
pub(crate) fn instructions(job: &Job) -> Result<f64> {
    let few = total(job, job.family.operations(job.size, FEW))?;
    let many = total(job, job.family.operations(job.size, MANY))?;
    Ok((many as f64 - few as f64) / (MANY - FEW) as f64)
}

fn total(job: &Job, n: u64) -> Result<u64> {
    count(&job.entrant.program, &child::arguments(job, n))
}

fn count(program: &Path, args: &[String]) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    let output = child::run(valgrind.arg(program).args(args)).map_err(within("valgrind"))?;
    parse(&output.err).ok_or_else(|| format!("valgrind says no number:\n{}", output.err).into())
}

/// Complains, with the line that installs it, if valgrind is not there.
pub(crate) fn present() -> Result<()> {
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err("`valgrind` is missing; install it with\n  apt-get install valgrind".into()),
    }
}

/// Out of a line such as `==123== I   refs:      1,234,567` (a newer one says `I refs:`).
fn parse(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| {
        let (before, number) = line.split_once("refs:")?;
        before.trim_end().ends_with(" I").then_some(number)
    })?;
    line.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_count_is_found_in_what_valgrind_says() {
        let said = "==9== Cachegrind, a cache profiler\n==9== \n==9== I   refs:      1,234,567\n";
        assert_eq!(parse(said), Some(1_234_567));
        assert_eq!(parse("==9== I refs: 12\n"), Some(12));
        assert_eq!(parse("==9== D refs: 12\n"), None);
    }
}
