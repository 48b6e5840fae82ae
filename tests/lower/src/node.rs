//! Cases for Node, in batches: V8 is the one engine that has legacy exceptions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::case::{Buffers, Case, Signature};
use crate::drive::{Verdict, pattern};
use crate::value::{Type, Value};

/// The script that runs a directory of cases.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node/run.mjs");

/// What V8 may need to be told; those that it does not know are left out.
const FLAGS: &[&str] =
    &["--experimental-wasm-exnref", "--experimental-wasm-multi-memory", "--experimental-wasm-return-call"];

/// Writes a case and its lowered form to a directory of its own.
///
/// # Errors
///
/// If that does not work.
pub fn write(directory: &Path, case: &Case, lowered: Option<&[u8]>, stable: bool) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("base.wasm"), &case.wasm)?;
    if let Some(lowered) = lowered {
        fs::write(directory.join("lowered.wasm"), lowered)?;
    }
    fs::write(directory.join("case.json"), json(case, stable))
}

/// A Node.
#[derive(Clone, Debug)]
pub struct Node {
    program: PathBuf,
    flags: Vec<&'static str>,
    /// The first number of its version.
    pub version: u32,
}

impl Node {
    /// Looks at what the program can do.
    ///
    /// # Errors
    ///
    /// If it does not run.
    pub fn new(program: &Path) -> Result<Node, String> {
        let say = |what: &str| format!("{}: {what}", program.display());
        let ask = |arg: &str| {
            let output = Command::new(program).arg(arg).output();
            output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let known = ask("--v8-options").map_err(|error| say(&error.to_string()))?;
        let version = ask("--version").map_err(|error| say(&error.to_string()))?;
        let major =
            version.trim().trim_start_matches('v').split('.').next().and_then(|text| text.parse().ok());
        Ok(Node {
            program: program.to_owned(),
            flags: FLAGS.iter().copied().filter(|flag| known.contains(flag)).collect(),
            version: major.ok_or_else(|| say("is no Node"))?,
        })
    }

    /// Runs the cases in the directories `0`, `1`, ... below this one, and compares.
    ///
    /// # Errors
    ///
    /// If Node or the script fails.
    pub fn compare(&self, directory: &Path, count: usize) -> Result<Vec<Verdict>, String> {
        let output = Command::new(&self.program)
            .args(&self.flags)
            .arg("--stack-size=3000")
            .arg(SCRIPT)
            .arg(directory)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut verdicts = vec![None; count];
        for (index, verdict) in text.lines().filter_map(parse) {
            if let Some(place) = verdicts.get_mut(index) {
                *place = Some(verdict);
            }
        }
        let seen = verdicts.iter().flatten().count();
        if !output.status.success() || seen != count {
            let text = String::from_utf8_lossy(&output.stderr);
            return Err(format!("node: {seen} of {count} cases, {}: {}", output.status, text.trim()));
        }
        Ok(verdicts.into_iter().flatten().collect())
    }
}

/// A line of the script, with the number of its case.
fn parse(line: &str) -> Option<(usize, Verdict)> {
    let mut fields = line.split('\t');
    let mut number = || fields.next()?.parse::<u64>().ok();
    let index = number()?;
    let mut verdict = Verdict {
        runs: number()?,
        suspensions: number()?,
        events: number()?,
        traps: number()?,
        thrown: number()?,
        uncaught: number()?,
        enlarged: number()?,
        ..Verdict::default()
    };
    let inconclusive = number()?;
    let (reason, difference) = (fields.next()?, fields.next()?);
    if inconclusive > 0 {
        verdict.inconclusive.insert(pattern(reason), inconclusive);
    }
    verdict.difference = (!difference.is_empty()).then(|| difference.to_owned());
    Some((usize::try_from(index).ok()?, verdict))
}

fn json(case: &Case, stable: bool) -> String {
    let (start, place) = case.buffers.place(0);
    let room = place.min(case.room);
    let borrowed = matches!(case.buffers, Buffers::Borrowed { .. });
    let reserved = case.buffers.reserved();
    let calls = case.calls.iter().map(|call| {
        let args = list(call.args.iter().map(|arg| value(*arg)));
        format!("{{\"export\":{},\"args\":{args}}}", quoted(&call.export))
    });
    format!(
        "{{\"seed\":\"{}\",\"suspending\":{},\"calls\":{},\"imports\":{},\"exports\":{},\"tags\":{},\"globals\":{},\
         \"memories\":{},\"memory\":{},\"start\":{start},\"size\":{room},\"place\":{place},\"borrowed\":{borrowed},\
         \"reserved\":[{},{}],\"fuel\":{},\"throws\":{},\"work\":{},\"stable\":{stable},\"calls_at_most\":{},\"suspensions_at_most\":{}}}\n",
        case.seed,
        list(case.suspending.iter().map(|name| quoted(name))),
        list(calls),
        list(case.imports.iter().map(signature)),
        list(case.exports.iter().map(signature)),
        list(case.tags.iter().map(signature)),
        list(case.globals.iter().map(|name| quoted(name))),
        list(case.memories.iter().map(|name| quoted(name))),
        quoted(&case.memory),
        reserved.start,
        reserved.end,
        case.fuel,
        case.throws,
        case.work,
        case.limits.calls,
        case.limits.suspensions,
    )
}

fn signature(signature: &Signature) -> String {
    let types = |types: &[Type]| list(types.iter().map(|ty| quoted(ty.name())));
    format!(
        "{{\"name\":{},\"params\":{},\"results\":{}}}",
        quoted(&signature.name),
        types(&signature.params),
        types(&signature.results)
    )
}

/// Type and bits, as text: JSON's numbers are floats.
fn value(value: Value) -> String {
    let (ty, bits) = match value {
        Value::I32(bits) => (Type::I32, bits.to_string()),
        Value::I64(bits) => (Type::I64, bits.to_string()),
        Value::F32(bits) => (Type::F32, bits.to_string()),
        Value::F64(bits) => (Type::F64, bits.to_string()),
        Value::V128(bits) => (Type::V128, bits.to_string()),
        Value::Func(_) => (Type::Func, "null".to_owned()),
        Value::Extern(None) => (Type::Extern, "null".to_owned()),
        Value::Extern(Some(number)) => (Type::Extern, number.to_string()),
    };
    format!("[{},{}]", quoted(ty.name()), quoted(&bits))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for unit in text.encode_utf16() {
        match unit {
            0x20..=0x7e if unit != 0x22 && unit != 0x5c => quoted.push(char::from(unit as u8)),
            _ => quoted.push_str(&format!("\\u{unit:04x}")),
        }
    }
    quoted.push('"');
    quoted
}
