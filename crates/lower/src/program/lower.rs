//! `windlass-lower IN -o OUT`: reads a module, writes the lowered one, says so in one line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use windlass_lower::{Abi, Engine, Optimize, Options};

use crate::program::failure::Failure;
use crate::program::output::{self, Output};
use crate::program::progress::Progress;
use crate::program::report;
use crate::program::selection::Selection;

const AFTER_HELP: &str = "\
Also:
  windlass-lower explain IN FUNCTION    Say why a function may suspend
  windlass-lower wasm-opt ARGUMENT...   Stand in for Binaryen's wasm-opt, with its command line";

/// Lowers a wasm module whose functions suspend: makes core wasm of it that any engine runs.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
pub(crate) struct Arguments {
    /// The module that the linker wrote
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// Where to write the lowered module
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    #[command(flatten)]
    selection: Selection,

    /// What makes calls suspend and resume: own or binaryen
    #[arg(long, value_name = "ENGINE", default_value_t = Engine::default())]
    via: Engine,

    /// What the lowered code is to be best at: speed, balanced or size
    #[arg(long, value_name = "AIM", default_value_t = Optimize::default())]
    optimize: Optimize,

    /// With `--abi asyncify`: the host leaves the buffer of a suspended call alone, so frames may stay in it
    #[arg(long)]
    stable_buffer: bool,

    /// Leave writes of the shadow stack pointer unchecked: smaller, but an overflow corrupts memory
    #[arg(long)]
    no_stack_check: bool,

    /// Write what was done to each function, and why it may suspend
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,

    /// With `--via binaryen`: the wasm-opt to run [default: WINDLASS_WASM_OPT, else from PATH or ./node_modules/.bin]
    #[arg(long, value_name = "PATH")]
    wasm_opt: Option<PathBuf>,

    /// Drop the name section
    #[arg(long)]
    strip_names: bool,
}

impl Arguments {
    fn check(&self) -> Result<(), Failure> {
        self.selection.check()?;
        let selection = &self.selection;
        if self.via == Engine::Binaryen && selection.abi == Abi::Windlass {
            let given = [
                ("--allow", !selection.allow.is_empty()),
                ("--deny", !selection.deny.is_empty()),
                ("--ignore-indirect", selection.ignore_indirect),
            ];
            if let Some((option, _)) = given.iter().find(|(_, given)| *given) {
                return Err(Failure::new(format!("`{option}` does not go with `--via binaryen`")).with_help(
                    "with `--abi windlass`, only the own engine takes it: leave out `--via binaryen` or the option",
                ));
            }
        }
        if self.stable_buffer && selection.abi == Abi::Windlass {
            return Err(Failure::new("`--stable-buffer` does not go with `--abi windlass`").with_help(
                "only the ABI `asyncify` has a buffer that belongs to the host: leave the option out",
            ));
        }
        if self.stable_buffer && self.via == Engine::Binaryen {
            return Err(Failure::new("`--stable-buffer` does not go with `--via binaryen`")
                .with_help("Binaryen's pass always keeps frames in the buffer: leave the option out"));
        }
        if self.wasm_opt.is_some() && self.via == Engine::Own {
            return Err(Failure::new("`--wasm-opt` does not go with `--via own`").with_help(
                "the own engine, which is the default, runs no wasm-opt: leave the option out or add `--via binaryen`",
            ));
        }
        if let Some(report) = &self.report {
            // Devices may be both.
            let is_device = |path: &Path| fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
            let same = |path: &PathBuf| {
                path == report || (!is_device(path) && output::target(path) == output::target(report))
            };
            if same(&self.input) || same(&self.output) {
                return Err(Failure::new(format!(
                    "`{}` cannot be both a module and the report",
                    report.display()
                ))
                .with_help("give `--report` a file of its own, e.g. report.json"));
            }
        }
        Ok(())
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        self.selection.apply(&mut options);
        options.via = self.via;
        options.optimize = self.optimize;
        options.stable_buffer = self.stable_buffer;
        options.stack_check = !self.no_stack_check;
        options.wasm_opt.clone_from(&self.wasm_opt);
        options.keep_names = !self.strip_names;
        options
    }
}

/// Does it.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.check()?;
    let wasm = fs::read(&arguments.input).map_err(|error| Failure::file("read", &arguments.input, &error))?;

    let progress = Progress::begin(wasm.len(), arguments.via == Engine::Binaryen, 2);
    progress.step(format!("lowering {} bytes, engine {}", wasm.len(), arguments.via));
    let lowered = windlass_lower::lower(&wasm, &arguments.options())
        .map_err(|error| Failure::module(&arguments.input, &error))?;

    progress.step(format!("writing {} bytes", lowered.wasm.len()));
    let mut outputs = vec![Output::write(&arguments.output, &lowered.wasm)?];
    if let Some(path) = &arguments.report {
        let json = report::json(&lowered.report, arguments.optimize)
            .map_err(|error| Failure::new(format!("cannot make the report: {error}")))?;
        outputs.push(Output::write(path, json.as_bytes())?);
    }
    // What cannot be replaced can fail late.
    outputs.sort_by_key(Output::is_file);
    for output in outputs {
        output.keep()?;
    }
    drop(progress);

    let needs = lowered.report.needs.iter().map(|need| format!("the module needs {need}"));
    let notes = lowered.report.notes.iter().cloned().chain(needs);
    for note in notes.chain(arguments.selection.unmatched(&wasm)) {
        eprintln!("note: {note}");
    }
    output::print(format!("{}: {}\n", arguments.output.display(), lowered.report).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
