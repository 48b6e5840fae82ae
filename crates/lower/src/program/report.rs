//! The report of `--report`, as JSON.
//!
//! Fields are in a fixed order and functions in that of their indices, so the same run gives the same bytes.

use serde::Serialize;
use windlass_lower::{Optimize, Report};

/// What `--report` writes.
#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    abi: &'static str,
    engine: &'static str,
    optimize: &'static str,
    wasm_opt: Option<&'a str>,
    bytes_before: usize,
    bytes_after: usize,
    notes: &'a [String],
    needs: &'a [String],
    functions: Vec<Function<'a>>,
}

#[derive(Serialize)]
struct Function<'a> {
    index: u32,
    name: &'a str,
    form: &'static str,
    why: Vec<Call<'a>>,
    sites: u32,
    bytes_before: usize,
    bytes_after: usize,
}

#[derive(Serialize)]
struct Call<'a> {
    callee: &'a str,
    indirect: bool,
}

/// The report as text, with a line break at its end.
pub(crate) fn json(report: &Report, optimize: Optimize) -> Result<String, serde_json::Error> {
    let functions = report.functions.iter().map(|function| Function {
        index: function.index,
        name: &function.name,
        form: function.form.name(),
        why: function.why.iter().map(|hop| Call { callee: &hop.callee, indirect: hop.indirect }).collect(),
        sites: function.sites,
        bytes_before: function.bytes_before,
        bytes_after: function.bytes_after,
    });
    let document = Document {
        version: env!("CARGO_PKG_VERSION"),
        abi: report.abi.name(),
        engine: report.engine.name(),
        optimize: optimize.name(),
        wasm_opt: report.wasm_opt.as_deref(),
        bytes_before: report.bytes_before,
        bytes_after: report.bytes_after,
        notes: &report.notes,
        needs: &report.needs,
        functions: functions.collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    Ok(text)
}
