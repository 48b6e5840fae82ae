//! Running steps one after the other and adding up the tests that they ran.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

/// How a step reports its tests.
#[derive(Clone, Copy)]
pub(crate) enum Report {
    /// `test result: ok. 12 passed; 0 failed; ...`, once for each test program.
    Libtest,
    /// `# pass 5`, as the TAP reporter of `node:test` writes.
    Node,
    /// `12 cases, 0 failed`, as `arch/tests/wasm/run.mjs` writes.
    Cases,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Counts {
    passed: u64,
    failed: u64,
}

/// What the steps so far have shown. A step that fails does not keep the next one from running.
#[derive(Default)]
pub(crate) struct Tally {
    total: Counts,
    steps: u64,
    failures: Vec<String>,
}

impl Tally {
    /// Runs `command`, shows what it writes and counts its tests. A step that ran none has failed.
    pub(crate) fn tests(&mut self, name: &str, report: Report, command: &mut Command) {
        let line = process::line(command);
        let start = self.open(name, &line);
        let (mut counts, result) = match watch(command, report) {
            Ok((counts, status)) => (counts, judge(counts, status)),
            Err(error) => (Counts::default(), Err(error)),
        };
        if result.is_err() {
            // So that a step which did not get as far as its tests shows in the closing line, too.
            counts.failed = counts.failed.max(1);
        }
        self.close_step(name, start, counts, result, &line);
    }

    /// Runs `check` as a step of one test. `line` repeats it.
    pub(crate) fn check(&mut self, name: &str, line: &str, check: impl FnOnce() -> Result<()>) {
        let start = self.open(name, line);
        let result = check();
        let counts = Counts { passed: result.is_ok().into(), failed: result.is_err().into() };
        self.close_step(name, start, counts, result, line);
    }

    /// Runs a step that counts for itself: how many tests passed, and what is wrong with each of the others.
    pub(crate) fn cases(&mut self, name: &str, line: &str, run: impl FnOnce() -> Result<(u64, Vec<String>)>) {
        let start = self.open(name, line);
        let (counts, result) = match run() {
            Ok((passed, wrong)) => {
                wrong.iter().for_each(|wrong| println!("{wrong}"));
                let counts = Counts { passed, failed: wrong.len() as u64 };
                let result = match counts {
                    Counts { failed: 1.., .. } => Err(Error::new("tests failed")),
                    Counts { passed: 0, .. } => Err(Error::new("ran no test at all")),
                    _ => Ok(()),
                };
                (Counts { failed: counts.failed.max(result.is_err().into()), ..counts }, result)
            }
            Err(error) => (Counts { passed: 0, failed: 1 }, Err(error)),
        };
        self.close_step(name, start, counts, result, line);
    }

    /// Does what later steps need. No test if it succeeds; if it fails, a failed one.
    pub(crate) fn prepare<T>(
        &mut self,
        name: &str,
        line: &str,
        prepare: impl FnOnce() -> Result<T>,
    ) -> Option<T> {
        let start = self.open(name, line);
        match prepare() {
            Ok(value) => {
                self.close_step(name, start, Counts::default(), Ok(()), line);
                Some(value)
            }
            Err(error) => {
                let counts = Counts { passed: 0, failed: 1 };
                self.close_step(name, start, counts, Err(error), line);
                None
            }
        }
    }

    /// Prints what failed, how to repeat it and, last, the closing line.
    pub(crate) fn close(self) -> Result<()> {
        for failure in &self.failures {
            println!("{failure}");
        }
        let Counts { passed, failed } = self.total;
        println!("{passed} passed, {failed} failed");
        if self.failures.is_empty() { Ok(()) } else { Err(Error::new("")) }
    }

    fn open(&mut self, name: &str, line: &str) -> Instant {
        self.steps += 1;
        println!("== {name}: {line}");
        Instant::now()
    }

    fn close_step(&mut self, name: &str, start: Instant, counts: Counts, result: Result<()>, line: &str) {
        let seconds = start.elapsed().as_secs_f64();
        let Counts { passed, failed } = counts;
        match result {
            Ok(()) if counts == Counts::default() => println!("-- {name}: done, {seconds:.1} s\n"),
            Ok(()) => println!("-- {name}: {passed} passed, {seconds:.1} s\n"),
            Err(error) => {
                println!("-- {name}: {passed} passed, {failed} failed, {seconds:.1} s");
                println!("   {error}\n");
                self.failures.push(format!("failed: {name}; to repeat it:\n  {line}"));
            }
        }
        self.total.passed += passed;
        self.total.failed += failed;
    }
}

fn judge(counts: Counts, status: ExitStatus) -> Result<()> {
    if !status.success() {
        return Err(Error::new(format!("ended with {status}")));
    }
    if counts.failed > 0 {
        return Err(Error::new("reports failed tests, but ended with success"));
    }
    if counts.passed == 0 {
        return Err(Error::new("ran no test at all"));
    }
    Ok(())
}

/// Runs the command, passing its standard output on line by line.
fn watch(command: &mut Command, report: Report) -> Result<(Counts, ExitStatus)> {
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(|error| process::cannot_start(command, &error))?;
    let mut counts = Counts::default();
    let broken = |error| Error::new(format!("cannot read the step's output: {error}"));
    if let Some(out) = child.stdout.take() {
        let mut out = BufReader::new(out);
        let mut line = Vec::new();
        while out.read_until(b'\n', &mut line).map_err(broken)? > 0 {
            let text = String::from_utf8_lossy(&line);
            print!("{text}");
            let found = match report {
                Report::Libtest => libtest(&text),
                Report::Node => node(&text),
                Report::Cases => cases(&text),
            };
            counts.passed += found.passed;
            counts.failed += found.failed;
            line.clear();
        }
    }
    let status = child.wait().map_err(broken)?;
    Ok((counts, status))
}

/// The counts in a line such as `test result: FAILED. 3 passed; 1 failed; 0 ignored; ...`.
fn libtest(line: &str) -> Counts {
    let Some(summary) = line.strip_prefix("test result: ") else {
        return Counts::default();
    };
    let count = |what: &str| -> u64 {
        summary
            .split([';', '.'])
            .filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u64>().ok())
            .sum()
    };
    Counts { passed: count("passed"), failed: count("failed") }
}

/// The counts in a line such as `# pass 5`. A cancelled test is one that did not pass.
fn node(line: &str) -> Counts {
    let count = |what: &str| -> u64 {
        line.strip_prefix("# ").and_then(|rest| rest.strip_prefix(what)?.trim().parse().ok()).unwrap_or(0)
    };
    Counts { passed: count("pass "), failed: count("fail ") + count("cancelled ") }
}

/// The counts in a line such as `12 cases, 0 failed`.
fn cases(line: &str) -> Counts {
    let parse = || -> Option<Counts> {
        let (all, rest) = line.trim_end().split_once(" cases, ")?;
        let failed = rest.strip_suffix(" failed")?.parse().ok()?;
        Some(Counts { passed: all.parse::<u64>().ok()?.checked_sub(failed)?, failed })
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Report, Tally, cases, libtest, node};
    use std::process::Command;

    fn counts(passed: u64, failed: u64) -> Counts {
        Counts { passed, failed }
    }

    #[test]
    fn libtest_lines_are_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";
        let bad = "test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(libtest(ok), counts(12, 0));
        assert_eq!(libtest(bad), counts(3, 4));
        assert_eq!(libtest("test tally::tests::counts ... ok\n"), counts(0, 0));
        assert_eq!(libtest("the line: test result: ok. 9 passed;"), counts(0, 0));
    }

    #[test]
    fn node_lines_are_counted() {
        assert_eq!(node("# pass 5\n"), counts(5, 0));
        assert_eq!(node("# fail 2\n"), counts(0, 2));
        assert_eq!(node("# cancelled 1\n"), counts(0, 1));
        assert_eq!(node("    # pass 5\n"), counts(0, 0));
        assert_eq!(node("# tests 7\n"), counts(0, 0));
    }

    #[test]
    fn lines_of_cases_are_counted() {
        assert_eq!(cases("12 cases, 2 failed\n"), counts(10, 2));
        assert_eq!(cases("turns::yield ... ok\n"), counts(0, 0));
        assert_eq!(cases("1 cases, 2 failed\n"), counts(0, 0));
    }

    #[test]
    #[cfg(unix)]
    fn a_step_without_tests_fails() {
        let mut tally = Tally::default();
        tally.tests("empty", Report::Libtest, &mut Command::new("true"));
        assert_eq!(tally.total, counts(0, 1));
        assert!(tally.close().is_err());
    }

    #[test]
    #[cfg(unix)]
    fn a_step_that_breaks_off_counts_as_a_failed_test() {
        let mut tally = Tally::default();
        let script = "echo 'test result: ok. 2 passed; 0 failed;'; exit 101";
        let mut step = Command::new("sh");
        tally.tests("broken", Report::Libtest, step.args(["-c", script]));
        assert_eq!(tally.total, counts(2, 1));
        assert!(tally.close().is_err());
    }

    #[test]
    fn a_step_that_counts_for_itself_fails_with_one_of_its_tests() {
        let mut tally = Tally::default();
        tally.cases("good", "line", || Ok((2, Vec::new())));
        assert_eq!((tally.total, tally.failures.len()), (counts(2, 0), 0));
        tally.cases("bad", "line", || Ok((3, vec!["wrong".into()])));
        assert_eq!((tally.total, tally.failures.len()), (counts(5, 1), 1));
        tally.cases("empty", "line", || Ok((0, Vec::new())));
        assert_eq!((tally.total, tally.failures.len()), (counts(5, 2), 2));
        assert!(tally.close().is_err());
    }

    #[test]
    #[cfg(unix)]
    fn steps_add_up() {
        let mut tally = Tally::default();
        for _ in 0..2 {
            let mut step = Command::new("echo");
            step.arg("test result: ok. 2 passed; 0 failed; 0 ignored");
            tally.tests("good", Report::Libtest, &mut step);
        }
        tally.check("golden", "line", || Ok(()));
        assert_eq!(tally.total, counts(5, 0));
        assert!(tally.close().is_ok());
    }
}
