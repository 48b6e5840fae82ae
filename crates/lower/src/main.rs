//! The program `windlass-lower`: reads a guest, writes the lowered module, says so in one line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Parser;
use windlass_lower::{Engine, Optimize, Options};

/// Lowers a windlass guest: makes core wasm of it that any engine runs.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The module that the linker wrote
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// Where to write the lowered module
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,

    /// What makes calls suspend and resume
    #[arg(long, value_name = "ENGINE", default_value_t = Engine::default())]
    via: Engine,

    /// Leave writes of the shadow stack pointer unchecked: smaller, but an overflow corrupts memory
    #[arg(long)]
    no_stack_check: bool,

    /// The wasm-opt to run [default: WINDLASS_WASM_OPT, else from PATH or ./node_modules/.bin]
    #[arg(long, value_name = "PATH")]
    wasm_opt: Option<PathBuf>,

    /// How much wasm-opt optimises: 0, 1, 2, 3, s or z
    #[arg(short = 'O', long, value_name = "LEVEL", default_value = "2")]
    optimize: Optimize,

    /// Drop the name section
    #[arg(long)]
    strip_names: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(line) => {
            println!("{line}");
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<String, String> {
    let mut options = Options::default();
    options.via = arguments.via;
    options.stack_check = !arguments.no_stack_check;
    options.wasm_opt.clone_from(&arguments.wasm_opt);
    options.optimize = arguments.optimize;
    options.keep_names = !arguments.strip_names;

    let file = |what: &str, path: &Path, error: &io::Error| {
        format!("error: cannot {what} `{}`: {error}", path.display())
    };
    let guest = fs::read(&arguments.input).map_err(|error| file("read", &arguments.input, &error))?;
    let lowered = windlass_lower::lower(&guest, &options).map_err(|error| {
        let mut text = format!("error: {}: {error}", arguments.input.display());
        if let Some(help) = error.help() {
            text.push_str("\nhelp: ");
            text.push_str(help);
        }
        text
    })?;
    fs::write(&arguments.output, &lowered.wasm).map_err(|error| file("write", &arguments.output, &error))?;
    for note in &lowered.report.notes {
        eprintln!("note: {note}");
    }
    Ok(format!("{}: {}", arguments.output.display(), lowered.report))
}
