//! Real programs, lowered and suspended: `tests/programs`, in Node and in wasmtime.

use std::path::PathBuf;

use cargo_windlass::error::Result;
use cargo_windlass::process::{self, which};

use crate::setup;
use crate::tally::{Report, Tally};
use crate::workspace::Workspace;

/// The folders of `tests/programs`, but for Emscripten's.
const FOLDERS: &[&str] = &["quickjs", "sqlite", "rust-guest", "coroutines", "asyncify"];

/// Those that need more than a gigabyte of tools, which nobody installs for them.
const EMSCRIPTEN: &[&str] = &["emscripten", "exceptions"];

struct Tools {
    node: PathBuf,
    wasm_opt: PathBuf,
}

pub(crate) fn run(workspace: &Workspace, tally: &mut Tally) {
    let line = "cargo build --package windlass-lower && cargo xtask setup new-node wasm-opt clang";
    let tools = tally.prepare("programs, tools", line, || -> Result<Tools> {
        process::run(workspace.cargo("build").args(["--package", "windlass-lower"]))?;
        setup::clang()?;
        Ok(Tools { node: setup::new_node(workspace)?, wasm_opt: setup::wasm_opt(workspace)? })
    });
    let Some(Tools { node, wasm_opt }) = tools else { return };
    let mut folders = FOLDERS.to_vec();
    match which("emcc") {
        Some(_) => folders.extend(EMSCRIPTEN),
        None => println!(
            "!! programs: {} are left out, as there is no `emcc`; to run them too: apt-get install emscripten\n",
            EMSCRIPTEN.join(" and ")
        ),
    }
    let modules = workspace.target().join("programs");
    let mut test = workspace.program(node);
    test.arg("tests/programs/run.mjs").args(folders);
    test.env("WINDLASS_LOWER", workspace.target().join("debug/windlass-lower"));
    test.env("WINDLASS_WASM_OPT", wasm_opt).env("WINDLASS_PROGRAMS", &modules);
    tally.tests("programs", Report::Node, &mut test);

    let mut test = workspace.with_wasmtime("test");
    test.args(["--no-fail-fast", "--test", "*", "--", "--ignored"]).env("WINDLASS_PROGRAMS", modules);
    tally.tests("programs, wasmtime", Report::Libtest, &mut test);
}
