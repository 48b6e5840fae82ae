//! The scheduler without a heap, on this machine: the tests of this package and the scenarios of `tests/cases`.
//!
//! Without `std` there is one runtime in a program, so each test is a process: this program, started again with the test's name. The
//! parent looks at how the process ended and at what it wrote, and reports as libtest does.

mod cases;
#[path = "../../../cases/golden.rs"]
#[expect(dead_code, reason = "another runner looks whether each golden has a case")]
mod golden;
mod linked;
mod tests;

use std::env;
use std::process::{Command, ExitCode, Output};
use std::time::Duration;

/// Looks at how a process ended. Returns what is wrong, if anything is.
type Check = Box<dyn Fn(&Output) -> Option<String>>;

/// One test.
struct Test {
    name: String,
    /// In the process of its own.
    run: Box<dyn Fn()>,
    /// In the parent.
    check: Check,
}

impl Test {
    /// A test that is right if it ends.
    fn new(name: &str, run: impl Fn() + 'static) -> Test {
        let check = |output: &Output| (!output.status.success()).then(|| format!("{}", output.status));
        Test { name: name.to_owned(), run: Box::new(run), check: Box::new(check) }
    }

    /// A test that is right if it ends the program and says `what`.
    fn panics(name: &str, what: &'static str, run: impl Fn() + 'static) -> Test {
        let check = move |output: &Output| match String::from_utf8_lossy(&output.stderr).contains(what) {
            true if !output.status.success() => None,
            _ => Some(format!("it did not end with `{what}`")),
        };
        Test { check: Box::new(check), ..Test::new(name, run) }
    }
}

/// After this time a process has hung.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut tests = tests::all();
    tests.extend(cases::all());
    tests.extend(linked::all());
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == "--alone"
    {
        let test = tests.iter().find(|test| test.name == *name).expect("the parent knows the names");
        (test.run)();
        return ExitCode::SUCCESS;
    }
    let wanted = |test: &&Test| {
        let mut names = arguments.iter().filter(|argument| !argument.starts_with('-')).peekable();
        names.peek().is_none() || names.any(|name| test.name.contains(name.as_str()))
    };
    let tests: Vec<&Test> = tests.iter().filter(wanted).collect();
    println!("\nrunning {} tests", tests.len());
    let failed = tests.iter().filter(|test| !passes(test)).count();
    let verdict = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {verdict}. {} passed; {failed} failed; 0 ignored", tests.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn passes(test: &Test) -> bool {
    let mut command = Command::new("timeout");
    command.arg(PATIENCE.as_secs().to_string());
    command.arg(env::current_exe().expect("it runs")).args(["--alone", &test.name]);
    let output = command.output().expect("`timeout` of the coreutils is there");
    let wrong = (test.check)(&output);
    println!("test {} ... {}", test.name, if wrong.is_none() { "ok" } else { "FAILED" });
    if let Some(wrong) = &wrong {
        println!("{wrong}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    wrong.is_none()
}
