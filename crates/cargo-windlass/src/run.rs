//! `cargo windlass run`: loads a guest, lowering it first if need be, and calls its exports one after the other.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use cargo_windlass::build::explain;
use cargo_windlass::error::{Error, Result};
use clap::Args;
use windlass_host::{Image, Limits, Reactor};

use crate::Lowering;
use crate::calls::{Call, overview};

#[derive(Args)]
pub(crate) struct Arguments {
    /// The module, lowered or as cargo made it
    file: PathBuf,

    /// Fail calls that would have to wait, instead of waiting
    #[arg(long)]
    no_block: bool,

    /// End a call that takes longer, with the list of tasks (a background timer hides a deadlock)
    #[arg(long, value_name = "MS")]
    deadline: Option<u64>,

    /// Exports and their arguments (bytes as `hex:0a1b`), calls separated by `,` or `--then`. None: shows what can be called
    #[arg(last = true, value_name = "CALL")]
    calls: Vec<String>,

    #[command(flatten)]
    lowering: Lowering,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let of_file = |error| explain_host(error).within(arguments.file.display());
    let wasm = lowered(arguments)?;
    let image = Image::new(&wasm, &Limits::default()).map_err(of_file)?;
    let signatures = image.signatures();
    if arguments.calls.is_empty() {
        println!("there {}", overview(signatures));
        return Ok(ExitCode::SUCCESS);
    }

    // All are read before the first is made: a slip of the keyboard has no effects.
    let calls = Call::all(&arguments.calls)?
        .into_iter()
        .map(|call| Ok((call.name, call.arguments(signatures)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut reactor = Reactor::builder()
        .may_block(!arguments.no_block)
        .on_log(|line| eprintln!("{line}"))
        .instantiate(&image)
        .map_err(of_file)?;
    if let Err(error) = reactor.initialize() {
        return ended("initialisation", error);
    }
    for (name, values) in calls {
        let result = match arguments.deadline {
            Some(ms) => reactor.call_with_deadline(name, values.as_slice(), Duration::from_millis(ms)),
            None => reactor.call_values(name, &values),
        };
        match result {
            Ok(Some(result)) => println!("{result}"),
            Ok(None) => {}
            Err(error) => return ended(name, error),
        }
    }
    // A guest without the scheduler has no tasks, and no report.
    if let Ok(report) = reactor.report()
        && report != "  no task"
    {
        eprintln!(
            "note: the calls are over, and these tasks have not finished; they only run during calls\n{report}"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What an error means for this program: a guest that ended itself chose the exit status.
fn ended(what: &str, error: windlass_host::Error) -> Result<ExitCode> {
    match error {
        windlass_host::Error::Exited { code } => {
            Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
        }
        error => Err(explain_host(error).within(what)),
    }
}

fn explain_host(error: windlass_host::Error) -> Error {
    match error {
        windlass_host::Error::MissingImport { module, name } => Error::new(format!(
            "the module imports `{module}.{name}`, and `cargo windlass run` provides only `windlass_host`; \
             load it from a program that uses `windlass-host` and defines the import"
        )),
        error => Error::new(error.to_string()),
    }
}

fn lowered(arguments: &Arguments) -> Result<Vec<u8>> {
    let file = &arguments.file;
    let options = arguments.lowering.options()?;
    let wasm =
        fs::read(file).map_err(|error| Error::new(format!("cannot read {}: {error}", file.display())))?;
    let told = |error| explain(&error).within(file.display());
    if !windlass_lower::inspect(&wasm).map_err(told)?.needs_lowering() {
        return Ok(wasm);
    }
    Ok(windlass_lower::lower(&wasm, &options).map_err(told)?.wasm)
}
