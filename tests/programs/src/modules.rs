//! The modules, which the harness in JavaScript makes.

use std::path::PathBuf;
use std::{env, fs};

use wasmtime::{Engine, Error, Module, Result};

/// A way in which the programs were lowered: a line of `harness/lowerings.mjs`.
pub struct Lowering {
    /// The name of its folder.
    pub name: String,
    /// Whether the buffer must stay as it is while frames are in it.
    pub stable: bool,
}

fn directory() -> PathBuf {
    env::var_os("WINDLASS_PROGRAMS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/programs")),
        PathBuf::from,
    )
}

/// All that were prepared.
///
/// # Errors
///
/// Nothing was prepared.
pub fn lowerings() -> Result<Vec<Lowering>> {
    let path = directory().join("lowerings");
    let list = fs::read_to_string(&path).map_err(|error| {
        Error::msg(format!("{}: {error}; run `node tests/programs/run.mjs --prepare`", path.display()))
    })?;
    let lowering = |line: &str| {
        let (name, stable) = match line.strip_suffix(" stable") {
            Some(name) => (name, true),
            None => (line, false),
        };
        Lowering { name: name.to_owned(), stable }
    };
    Ok(list.lines().map(lowering).collect())
}

/// A program, lowered or as its compiler wrote it.
///
/// # Errors
///
/// It could not be lowered, or is not valid.
pub fn module(engine: &Engine, program: &str, lowering: Option<&Lowering>) -> Result<Module> {
    let folder = lowering.map_or("base", |lowering| &lowering.name);
    let path = directory().join(folder).join(format!("{program}.wasm"));
    if !path.exists() {
        let why = fs::read_to_string(path.with_extension("wasm.error"));
        let why = why.unwrap_or_else(|_| "run `node tests/programs/run.mjs --prepare`".into());
        return Err(Error::msg(format!("there is no {}: {why}", path.display())));
    }
    Module::from_file(engine, path)
}
