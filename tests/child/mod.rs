//! Tests in a process of their own: the test program again, with a variable that says which part to play.

use std::process::{Command, Output};

const PART: &str = "WINDLASS_TEST_PART";

/// What runs programs of this target, if the system does not: an emulator or a loader, with its arguments.
const RUNNER: &str = "WINDLASS_TEST_RUNNER";

/// The beginning of a command that runs this program again.
pub(crate) fn again() -> Command {
    let runner = std::env::var(RUNNER).unwrap_or_default();
    let mut words = runner.split_whitespace();
    let Some(program) = words.next() else {
        return Command::new(std::env::current_exe().expect("a path"));
    };
    let mut command = Command::new(program);
    // The running program may be the runner.
    command.args(words).arg(std::env::args_os().next().expect("a path"));
    command
}

/// The part that this process is to play: that of the test itself if there is none.
pub(crate) fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// Runs the test `name` of this file again, with a part to play.
pub(crate) fn run(name: &str, part: &str) -> Output {
    under(&[], name, part)
}

/// As [`run`], as the argument of another program.
pub(crate) fn under(program: &[&str], name: &str, part: &str) -> Output {
    let mut command = match program {
        [] => again(),
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            command.args(arguments).arg(std::env::current_exe().expect("a path"));
            command
        }
    };
    command
        .args(["--exact", name, "--nocapture", "--test-threads=1", "--include-ignored"])
        .env(PART, part)
        .output()
        .unwrap_or_else(|error| panic!("{program:?} does not start: {error}"))
}

/// Plays `child` in a process of its own and passes its failure on; for tests that measure their process.
pub(crate) fn alone(name: &str, child: fn()) {
    if part().is_some() {
        return child();
    }
    let output = run(name, "alone");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{text}", output.status);
    print!("{}", String::from_utf8_lossy(&output.stdout));
}
