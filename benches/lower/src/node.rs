//! Carries out a plan on Node, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::arguments::Arguments;
use crate::error::{Result, within};
use crate::plan::{self, Bench};
use crate::report::Log;
use crate::stats::Figures;
use crate::subject::Needs;

/// Turns on V8's own stack switching; older versions do not know it.
const NATIVE: &str = "--experimental-wasm-wasmfx";

/// A module with two memories.
const TWO_MEMORIES: &str =
    "WebAssembly.validate(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 5, 2, 0, 0, 0, 0))";

/// In KiB. Unoptimised, a frame of an asyncified interpreter loop takes tens of KiB on V8 11; the main thread has 8 MiB.
const STACK: &str = "--stack-size=6000";

/// Such as `26.10.0 (V8 14.6)`.
const VERSIONS: &str = "`${process.versions.node} (V8 ${process.versions.v8.split('.', 2).join('.')})`";

const RUNNER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node/run.mjs");

pub(crate) struct Node<'a> {
    program: &'a Path,
    /// As in tables.
    pub(crate) name: String,
    native: bool,
    several_memories: bool,
}

impl Node<'_> {
    pub(crate) fn find(program: &Path) -> Result<Node<'_>> {
        let answer = |args: &[&str]| -> Result<Option<String>> {
            let output = Command::new(program).args(args).output().map_err(within(program.display()))?;
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Ok(output.status.success().then_some(said))
        };
        let versions =
            answer(&["-p", VERSIONS])?.ok_or_else(|| format!("{} does not run", program.display()))?;
        let native = answer(&[NATIVE, "-p", "0"])?.is_some();
        let several_memories = answer(&["-p", TWO_MEMORIES])?.is_some_and(|said| said == "true");
        Ok(Node { program, name: format!("node {versions}"), native, several_memories })
    }

    fn has(&self, needs: Needs) -> bool {
        match needs {
            Needs::Nothing => true,
            Needs::SeveralMemories => self.several_memories,
            Needs::StackSwitching => self.native,
        }
    }

    pub(crate) fn run(&self, arguments: &Arguments, benches: &[Bench], log: &mut Log) -> Result<()> {
        let plan = arguments.out.join("plan.json");
        let text = plan::to_json(benches, |needs| self.has(needs)).to_string();
        fs::write(&plan, text).map_err(within(plan.display()))?;
        let mut command = Command::new(self.program);
        command.arg(STACK);
        if self.native {
            command.arg(NATIVE);
        }
        let mut child = command
            .arg(RUNNER)
            .arg(&plan)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(within(self.program.display()))?;
        let lines = child.stdout.take().ok_or("no standard output")?;
        for line in BufReader::new(lines).lines() {
            self.line(&line?, benches, log)?;
        }
        let status = child.wait()?;
        if !status.success() {
            return Err(format!("{} {RUNNER} ended with {status}", self.program.display()).into());
        }
        Ok(())
    }

    fn line(&self, line: &str, benches: &[Bench], log: &mut Log) -> Result<()> {
        let value: Value = serde_json::from_str(line).map_err(within(line))?;
        let text = |key: &str| value[key].as_str().ok_or_else(|| format!("no `{key}` in {line}"));
        let number = |key: &str| value[key].as_f64().ok_or_else(|| format!("no `{key}` in {line}"));
        let bench = text("bench")?;
        let bench =
            benches.iter().find(|known| known.name == bench).ok_or("a bench that was not asked for")?;
        let subject = text("subject")?;
        if value["error"].is_string() {
            log.failed(&self.name, bench, subject, &text("error")?.into());
        } else {
            let runs = number("runs")? as usize;
            let (median, min) = (number("median")?, number("min")?);
            let figures = Figures { median, min, runs, ratio: value["ratio"].as_f64() };
            log.timed(&self.name, bench, subject, figures, text("result")?);
        }
        Ok(())
    }
}
