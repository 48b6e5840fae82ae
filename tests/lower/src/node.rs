//! Cases for Node, in batches: JavaScript is the one host that has legacy exceptions.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::case::{Buffers, Case, Signature};
use crate::drive::Verdict;
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
pub fn write(directory: &Path, case: &Case, lowered: &[u8], stable: bool) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("base.wasm"), &case.wasm)?;
    fs::write(directory.join("lowered.wasm"), lowered)?;
    fs::write(directory.join("case.json"), json(case, stable))
}

/// Runs the cases in the directories `0`, `1`, ... below this one, and compares.
///
/// # Errors
///
/// If Node or the script fails.
pub fn compare(directory: &Path, count: usize) -> Result<Vec<Verdict>, String> {
    let known =
        Command::new("node").arg("--v8-options").output().map_err(|error| format!("node: {error}"))?;
    let known = String::from_utf8_lossy(&known.stdout).into_owned();
    let output = Command::new("node")
        .args(FLAGS.iter().filter(|flag| known.contains(**flag)))
        .arg("--stack-size=3000")
        .arg(SCRIPT)
        .arg(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("node: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut verdicts = vec![Verdict::default(); count];
    let mut seen = 0;
    for line in text.lines() {
        let mut fields = line.splitn(7, '\t');
        let mut number = || fields.next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        let (index, runs, suspensions, events, traps, inconclusive) =
            (number(), number(), number(), number(), number(), number());
        let difference = fields.next().filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(verdict) = verdicts.get_mut(index as usize) {
            *verdict = Verdict { runs, suspensions, events, traps, inconclusive, difference };
            seen += 1;
        }
    }
    if !output.status.success() || seen != count {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(format!("node: {seen} of {count} cases, {}: {}", output.status, text.trim()));
    }
    Ok(verdicts)
}

fn json(case: &Case, stable: bool) -> String {
    let (start, size) = case.buffers.place(0);
    let borrowed = matches!(case.buffers, Buffers::Borrowed { .. });
    let reserved = case.buffers.reserved();
    let calls = case.calls.iter().map(|call| {
        let args = list(call.args.iter().map(|arg| value(*arg)));
        format!("{{\"export\":{},\"args\":{args}}}", quoted(&call.export))
    });
    format!(
        "{{\"seed\":\"{}\",\"suspending\":{},\"calls\":{},\"imports\":{},\"exports\":{},\"globals\":{},\
         \"memories\":{},\"memory\":{},\"start\":{start},\"size\":{size},\"borrowed\":{borrowed},\
         \"reserved\":[{},{}],\"fuel\":{},\"work\":{},\"stable\":{stable},\"calls_at_most\":{},\"suspensions_at_most\":{}}}\n",
        case.seed,
        list(case.suspending.iter().map(|name| quoted(name))),
        list(calls),
        list(case.imports.iter().map(signature)),
        list(case.exports.iter().map(signature)),
        list(case.globals.iter().map(|name| quoted(name))),
        list(case.memories.iter().map(|name| quoted(name))),
        quoted(&case.memory),
        reserved.start,
        reserved.end,
        case.fuel,
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
