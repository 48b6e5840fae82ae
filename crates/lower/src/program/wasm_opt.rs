//! Stands in for Binaryen's `wasm-opt`, so that a toolchain that calls it can be pointed here.
//!
//! ```text
//!            --asyncify?
//! line ─┬─── no ─► the installed wasm-opt, with the line as it is
//!       └── yes ─► the installed wasm-opt, with every other pass ─► lower ─► strip ─► OUT
//! ```
//!
//! Other passes run before the lowering wherever they stand in the line, as optimising lowered code gains nothing. Where
//! that would not be the same, it is an error, or what only optimises is left out with a note. So it is if no `wasm-opt`
//! is installed.

mod line;
mod list;
mod option;
mod settings;

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use wasmparser::{Parser, Payload};
use windlass_lower::{Abi, Error, Optimize, Options, WasmOpt};

use crate::program::explain;
use crate::program::failure::Failure;
use crate::program::functions::Functions;
use crate::program::output::{self, Output};
use crate::program::progress::Progress;
use crate::program::wasm_opt::line::Line;
use crate::program::wasm_opt::settings::Settings;

/// What the program is called, or its first argument is.
pub(crate) const NAME: &str = "wasm-opt";

/// The version whose command line this is, for the answer to `--version` where no `wasm-opt` is installed.
const VERSION: &str = "108";

/// Why an optimisation is skipped although there is a `wasm-opt`.
const LISTED: &str =
    "it stands after --asyncify, and might remove functions that its lists name; put it before";

/// Passes that work on what Binaryen's asyncify made, as their names begin.
pub(crate) const MODIFIES_ASYNCIFY: &str = "--mod-asyncify-";

/// A source map that says nothing.
const EMPTY_MAP: &str = r#"{"version":3,"sources":[],"names":[],"mappings":""}"#;

const HELP: &str = "\
windlass-lower in place of Binaryen's wasm-opt

wasm-opt --asyncify [--pass-arg=asyncify-...] [OTHER PASSES AND OPTIONS] [IN] -o OUT

Lowers IN, or standard input, as `windlass-lower --abi asyncify` does. Other passes are run before by the installed
wasm-opt: that of WINDLASS_WASM_OPT, else from PATH or ./node_modules/.bin. A line without --asyncify goes to it as it
is.

  --pass-arg=asyncify-imports@LIST            imports that may suspend [default: all]
  --pass-arg=asyncify-ignore-imports          none does
  --pass-arg=asyncify-ignore-indirect         no call through a table does
  --pass-arg=asyncify-addlist@LIST            functions that may suspend although no way is seen
  --pass-arg=asyncify-removelist@LIST         functions that are never on the stack of a suspension
  --pass-arg=asyncify-onlylist@LIST           the only functions that may suspend
  --pass-arg=asyncify-verbose                 say on standard output which functions may suspend, and why
  -O3, -O4                                    also: lower for speed
  -O, -Os, -Oz                                also: lower for size
  -g                                          keep the name section

A LIST has names with `,` between them, where `*` stands for any text, or is `@` and a file with one a line.
";

/// Does what the line asks for.
pub(crate) fn run(arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    if has("--version") {
        output::print(version().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if has("--help") || has("-h") {
        output::print(HELP.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if WasmOpt::is_asking() {
        return Err(Failure::new("windlass-lower was called as wasm-opt by itself")
            .with_help("WINDLASS_WASM_OPT or PATH leads back to it: name Binaryen's"));
    }
    if has("--asyncify") {
        lower(&Line::parse(arguments)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    match WasmOpt::installed(None) {
        Ok(installed) => {
            refuse_ours(arguments)?;
            pass_on(&installed, arguments)
        }
        Err(missing) => copy(&Line::parse(arguments)?, &missing),
    }
}

/// As `wasm-opt` answers, since Emscripten reads the number; the rest is how we know ourselves.
fn version() -> String {
    let installed = if WasmOpt::is_asking() { None } else { WasmOpt::installed(None).ok() };
    let number = installed.as_ref().map_or(VERSION, WasmOpt::version);
    format!("wasm-opt version {number} (windlass-lower {})\n", env!("CARGO_PKG_VERSION"))
}

/// Leaves a line that does not lower to the installed program.
fn pass_on(installed: &WasmOpt, arguments: &[OsString]) -> Result<ExitCode, Failure> {
    let status = installed
        .command()
        .args(arguments)
        .status()
        .map_err(|error| Failure::new(format!("cannot run wasm-opt: {error}")))?;
    // A signal has no code.
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}

/// Refuses passes that look for what Binaryen's own pass leaves in a module, where there is our work instead.
fn refuse_ours(arguments: &[OsString]) -> Result<(), Failure> {
    let pass =
        arguments.iter().filter_map(|word| word.to_str()).find(|word| word.starts_with(MODIFIES_ASYNCIFY));
    let Some(pass) = pass else { return Ok(()) };
    let line = Line::parse(arguments)?;
    let Some(input) = &line.input else { return Ok(()) };
    let wasm = read(Some(input))?;
    if windlass_lower::inspect(&wasm).is_ok_and(|info| info.lowered.is_some()) {
        return Err(Failure::new(format!(
            "`{pass}` is for code of Binaryen's asyncify, and windlass-lower made `{}`",
            input.display()
        ))
        .with_help("leave it out; with Emscripten, leave out -sASYNCIFY_LAZY_LOAD_CODE"));
    }
    Ok(())
}

/// Does what can be done of a line that does not lower where there is no `wasm-opt`, if that is enough.
fn copy(line: &Line, missing: &Error) -> Result<ExitCode, Failure> {
    if let Some(change) = line.change() {
        return Err(changes(change, missing));
    }
    let wasm = read(line.input.as_deref())?;
    if is_text(&wasm) {
        return Err(text_needs(missing));
    }
    note_skipped(line, &line.optimisers(), &missing.to_string());
    let wasm = line.strip().apply(&wasm).map_err(|error| invalid(line, &error))?;
    write(line, &wasm)?;
    Ok(ExitCode::SUCCESS)
}

fn lower(line: &Line) -> Result<(), Failure> {
    line.check()?;
    let settings = Settings::read(&line.pass_arguments)?;
    let mut wasm = read(line.input.as_deref())?;
    let progress = Progress::begin(wasm.len(), line.runs_others(settings.lists_functions()), 3);
    progress.step("running the other passes");
    if let Some(prepared) = prepare(line, &settings, &wasm)? {
        wasm = prepared;
    }

    progress.step(format!("lowering {} bytes", wasm.len()));
    let mut options = Options::default();
    options.abi = Abi::Asyncify;
    options.optimize = match (line.shrink_level, line.optimize_level) {
        (1.., _) => Optimize::Size,
        (_, 3..) => Optimize::Speed,
        _ => Optimize::Balanced,
    };
    options.keep_names = line.keeps_names();
    for warning in settings.apply(&wasm, &mut options)? {
        if !line.quiet {
            eprintln!("warning: {warning}");
        }
    }
    let lowered = windlass_lower::lower(&wasm, &options)
        .map_err(|error| Failure::module(&line.input_name(), &error))?;

    progress.step("writing");
    let stripped = line.strip().apply(&lowered.wasm).map_err(|error| invalid(line, &error))?;
    let map = line.output_map.as_deref().map(|path| Output::write(path, EMPTY_MAP.as_bytes())).transpose()?;
    write(line, &stripped)?;
    if let Some(map) = map {
        map.keep()?;
    }
    drop(progress);

    if !line.quiet {
        let map = line
            .output_map
            .as_ref()
            .map(|_| "the source map is empty: it would not describe the lowered code");
        for note in lowered.report.notes.iter().map(String::as_str).chain(settings.notes()).chain(map) {
            eprintln!("note: {note}");
        }
    }
    if settings.verbose {
        let known = Functions::read(&wasm);
        let reasons = lowered.report.functions.iter().filter(|function| !function.why.is_empty());
        let text: String = reasons.map(|function| explain::explanation(function, &known)).collect();
        output::print(text.as_bytes())?;
    }
    Ok(())
}

/// Runs the other passes, if there are any; None if the module stays as it is.
fn prepare(line: &Line, settings: &Settings, wasm: &[u8]) -> Result<Option<Vec<u8>>, Failure> {
    let text = is_text(wasm);
    let lists = settings.lists_functions();
    if !text && !line.runs_others(lists) {
        note_skipped(line, &line.lost(lists), LISTED);
        return Ok(None);
    }
    let installed = match WasmOpt::installed(None) {
        Ok(installed) => installed,
        Err(missing) => {
            if let Some(change) = line.change() {
                return Err(changes(change, &missing));
            }
            if text {
                return Err(text_needs(&missing));
            }
            note_skipped(line, &line.optimisers(), &missing.to_string());
            return Ok(None);
        }
    };
    note_skipped(line, &line.lost(lists), LISTED);

    let temporary = |error: io::Error| Failure::new(format!("cannot use a temporary file: {error}"));
    let directory = tempfile::Builder::new().prefix("windlass-lower-").tempdir().map_err(temporary)?;
    let (before, after) = (directory.path().join("before"), directory.path().join("after.wasm"));
    fs::write(&before, wasm).map_err(temporary)?;
    let mut command = installed.command();
    command.arg(&before).arg("-o").arg(&after);
    // The lists need names, and the lowering drops DWARF in any case.
    command.args(["-g", "--strip-dwarf"]);
    if !line.runs_others(lists) {
        // It would warn that it has nothing to do.
        command.arg("--quiet");
    }
    command.args(line.others(lists, !imports_asyncify(wasm)));
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| Failure::new(format!("cannot run wasm-opt: {error}")))?;
    if !status.success() {
        return Err(Failure::new(format!("wasm-opt (version {}) failed with {status}", installed.version()))
            .with_help(
                "what it said stands above; it was given every option of the line that is not about asyncify",
            ));
    }
    fs::read(&after).map(Some).map_err(temporary)
}

/// Says what was not done that would have made the module faster or smaller.
fn note_skipped(line: &Line, options: &[&str], reason: &str) {
    if !options.is_empty() && !line.quiet {
        eprintln!("note: {} skipped: {reason}", options.join(" "));
    }
}

fn changes(option: &str, missing: &Error) -> Failure {
    Failure::from(missing).about(&format!("`{option}` changes the module"))
}

fn text_needs(missing: &Error) -> Failure {
    Failure::from(missing).about("the input is not binary WebAssembly")
}

fn invalid(line: &Line, error: &wasmparser::BinaryReaderError) -> Failure {
    let input = line.input_name();
    Failure::new(format!("{}: not a valid WebAssembly module: {error}", input.display()))
}

/// Whether the input is to be taken for text, as `wasm-opt` does.
fn is_text(wasm: &[u8]) -> bool {
    !wasm.starts_with(b"\0asm")
}

/// Whether the module suspends and resumes by itself.
fn imports_asyncify(wasm: &[u8]) -> bool {
    Parser::new(0).parse_all(wasm).map_while(Result::ok).any(|payload| match payload {
        Payload::ImportSection(section) => {
            section.into_imports().map_while(Result::ok).any(|import| import.module == "asyncify")
        }
        _ => false,
    })
}

fn read(input: Option<&Path>) -> Result<Vec<u8>, Failure> {
    match input {
        Some(path) => fs::read(path).map_err(|error| Failure::file("read", path, &error)),
        None => {
            let mut bytes = Vec::new();
            io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
            Ok(bytes)
        }
    }
}

fn write(line: &Line, wasm: &[u8]) -> Result<(), Failure> {
    match line.output.as_deref() {
        Some(path) if path == Path::new("-") => output::print(wasm),
        Some(path) => Output::write(path, wasm)?.keep(),
        None => {
            if !line.quiet {
                eprintln!("warning: no output file specified, not emitting output");
            }
            Ok(())
        }
    }
}
