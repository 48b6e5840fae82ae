//! C programs of csmith, compiled by clang, with a suspending import at each edge of their control flow graphs.
//!
//! The linker leaves the low end of memory free, where generated modules have their buffers.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::case::{Buffers, Call, Case, Limits};
use crate::generate::{BUFFER, BUFFERS, CONTEXTS};
use crate::rng::Rng;

/// How to get the programs.
const INSTALL: &str = "apt-get install csmith libcsmith-dev clang-22 lld-22";

/// Other names that the compiler may have; the linker must be its own version's `wasm-ld`.
const COMPILERS: &[&str] = &["clang-22", "clang-21", "clang-20", "clang-19", "clang"];

/// How far a program may go.
const LIMITS: Limits = Limits { calls: 400_000, suspensions: 60_000 };

/// Checks that the programs are there, and says which clang.
///
/// # Errors
///
/// If one is missing.
pub fn compiler() -> Result<&'static str, String> {
    let works = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !works("csmith") {
        return Err(format!("csmith is missing: {INSTALL}"));
    }
    let found = COMPILERS.iter().copied().find(|compiler| works(compiler));
    found.ok_or_else(|| format!("clang is missing: {INSTALL}"))
}

/// The case of that seed.
///
/// # Errors
///
/// If csmith or the compiler fails.
pub fn case(seed: u64) -> Result<Case, String> {
    let compiler = compiler()?;
    let mut rng = Rng::new(seed, "csmith");
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (source, output) = (directory.path().join("program.c"), directory.path().join("program.wasm"));
    // It writes a file to where it is run.
    let program = run(Command::new("csmith")
        .current_dir(directory.path())
        .args(["--no-packed-struct", "--no-argc", "--max-funcs", "6", "--seed"])
        .arg((seed as u32).to_string()))?;
    fs::write(&source, program).map_err(|error| error.to_string())?;
    let level = rng.pick(&["-O0", "-O1", "-O2", "-Os", "-O3"]).unwrap_or("-O1");
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("csmith");
    run(Command::new(compiler)
        .args(["--target=wasm32", "-nostdlib", "-ffreestanding", "-fno-builtin", "-w", level])
        .args(["-fsanitize-coverage=trace-pc", "-Wl,--no-entry", "-Wl,-z,stack-size=262144"])
        .arg(format!("-Wl,--global-base={}", BUFFERS + CONTEXTS * BUFFER))
        .arg("-I")
        .arg(header)
        .args(["-I", "/usr/include/csmith", "-o"])
        .arg(&output)
        .arg(&source))?;
    let wasm = fs::read(&output).map_err(|error| error.to_string())?;
    let case = Case::new(seed, wasm, Buffers::GENERATED).ok_or("the program exports nothing")?;
    let calls = vec![Call { export: "run".to_owned(), args: Vec::new() }];
    Ok(Case { calls, limits: LIMITS, ..case })
}

fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.lines().find(|line| line.contains("error")).unwrap_or_default();
    Err(format!("{}: {}: {text}", command.get_program().display(), output.status))
}
