//! What the figures were measured on and with.

use bench_common::machine::{name, package, version};

use crate::arguments::Arguments;
use crate::error::Result;
use crate::node::Node;

/// A line each for the machine, the engines and the tools.
pub(crate) fn describe(arguments: &Arguments, nodes: &[Node<'_>]) -> Result<String> {
    let mut engines: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let wasmtime = wasmtime();
    engines.push(&wasmtime);
    let mut lines = vec![
        format!("machine: {}", name()),
        format!("engines: {}", engines.join(", ")),
        format!("own:     {}", version(&arguments.lower)?),
        format!("binaryen: {} ({})", version(&arguments.wasm_opt)?, arguments.wasm_opt.display()),
    ];
    if let Some(second) = &arguments.second_wasm_opt {
        lines.push(format!("binaryen-second: {} ({})", version(second)?, second.display()));
    }
    Ok(lines.join("\n"))
}

/// The engine in this process.
pub(crate) fn wasmtime() -> String {
    package("wasmtime")
}
