//! `valgrind`: memcheck on programs that switch stacks. Errors are ours; so is a warning that a switch looked like a very large frame.

use std::io::Write;
use std::process::Command;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

use crate::tally::{Report, Tally};
use crate::workspace::Workspace;
use crate::{no_arguments, setup};

/// What `examples/count` does, and how often.
const EXAMPLES: &[(&str, &str)] =
    &[("yield", "20000"), ("rendezvous", "5000"), ("spawn", "5000"), ("call", "5000")];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut tally = Tally::default();
    run(workspace, &mut tally);
    tally.close()
}

/// As steps of a tally.
pub(crate) fn run(workspace: &Workspace, tally: &mut Tally) {
    if tally.prepare("valgrind", "cargo xtask setup valgrind", setup::valgrind).is_none() {
        return;
    }
    let mut test = workspace.cargo("test");
    test.args(["--package", "windlass", "--test", "stacks", "--", "--ignored"]);
    tally.tests("stacks under valgrind", Report::Libtest, &mut test);
    let mut build = workspace.cargo("build");
    build.args(["--release", "--package", "windlass", "--example", "count"]);
    let line = process::line(&build);
    if tally.prepare("count", &line, || process::run(&mut build)).is_none() {
        return;
    }
    for (what, times) in EXAMPLES {
        let mut count = workspace.program("valgrind");
        count.args(["--error-exitcode=9", "--leak-check=no"]);
        count.arg(workspace.target().join("release/examples/count")).args([what, times]);
        let line = process::line(&count);
        tally.check(&format!("count {what} under valgrind"), &line, || checked(&mut count));
    }
}

/// Neither errors nor warnings.
fn checked(command: &mut Command) -> Result<()> {
    let output = command.output().map_err(|error| process::cannot_start(command, &error))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if output.status.success() && is_clean(&text) {
        return Ok(());
    }
    // What it said is worth more than what can be said about it.
    let _ = std::io::stderr().write_all(&output.stderr);
    Err(Error::new(format!("memcheck complains; it ended with {}", output.status)))
}

fn is_clean(text: &str) -> bool {
    text.contains("ERROR SUMMARY: 0 errors from 0 contexts") && !text.contains("Warning")
}

#[cfg(test)]
mod tests {
    use super::is_clean;

    #[test]
    fn errors_and_warnings_are_seen() {
        let good = "==7== Memcheck, a memory error detector\n==7== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)\n";
        assert!(is_clean(good));
        assert!(!is_clean(&good.replace("0 errors from 0", "1 errors from 1")));
        let warning = "==7== Warning: client switching stacks?  SP change: 0x1ffefff000 --> 0x4a3a000\n";
        assert!(!is_clean(&format!("{warning}{good}")));
        assert!(!is_clean(""));
    }
}
