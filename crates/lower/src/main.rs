//! The program `windlass-lower`. It answers to three command lines:
//!
//! ```text
//! windlass-lower IN -o OUT [OPTION]...    program/lower.rs      lowers a module
//! windlass-lower explain IN FUNCTION      program/explain.rs    says why a function may suspend
//! windlass-lower wasm-opt ARGUMENT...     program/wasm_opt.rs   stands in for Binaryen's `wasm-opt`
//! ```
//!
//! The last one is for toolchains that call `wasm-opt`: it is also taken if the program is called by that name, or if
//! `--asyncify` is among the arguments.

mod program {
    pub(crate) mod explain;
    pub(crate) mod failure;
    pub(crate) mod functions;
    pub(crate) mod lower;
    pub(crate) mod output;
    pub(crate) mod progress;
    pub(crate) mod report;
    pub(crate) mod sections;
    pub(crate) mod selection;
    pub(crate) mod wasm_opt;
}

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::program::{explain, lower, wasm_opt};

fn main() -> ExitCode {
    let line: Vec<OsString> = env::args_os().collect();
    let (name, arguments) = line.split_first().map_or((None, &[][..]), |(name, rest)| (Some(name), rest));
    let called = name.and_then(|name| Path::new(name).file_stem()).is_some_and(|stem| stem == wasm_opt::NAME);

    let result = match arguments.first().and_then(|first| first.to_str()) {
        Some(wasm_opt::NAME) if !called => wasm_opt::run(&arguments[1..]),
        _ if called || arguments.iter().any(|argument| argument == "--asyncify") => wasm_opt::run(arguments),
        Some(explain::NAME) => explain::run(&explain::Arguments::parse_from(&line[1..])),
        _ => lower::run(&lower::Arguments::parse_from(&line)),
    };
    result.unwrap_or_else(|failure| {
        eprintln!("{failure}");
        ExitCode::FAILURE
    })
}
