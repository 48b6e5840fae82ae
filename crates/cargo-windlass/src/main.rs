//! `cargo windlass`: builds guests and calls their exports.

mod calls;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use cargo_windlass::build::Build;
use cargo_windlass::error::{Error, Result};
use cargo_windlass::toolchain::{Library, Target, Toolchain};
use clap::{Args, Parser};
use windlass_lower::{Engine, Optimize, Options};

/// What cargo calls `cargo-windlass` with: the name of the subcommand comes first.
#[derive(Parser)]
#[command(name = "cargo", bin_name = "cargo", disable_help_subcommand = true)]
enum Cargo {
    /// Builds and runs windlass reactors
    #[command(subcommand, version, arg_required_else_help = true)]
    Windlass(Command),
}

#[derive(Parser)]
enum Command {
    /// Builds a guest for wasm32 and lowers it
    Build(BuildArguments),
    /// Calls exports of a guest: `cargo windlass run FILE -- add 3 5 --then greet bob`
    Run(run::Arguments),
}

#[derive(Args)]
struct BuildArguments {
    /// Build with profile `release`
    #[arg(short, long, conflicts_with = "profile")]
    release: bool,

    /// The profile to build with
    #[arg(long, value_name = "NAME", default_value = "dev")]
    profile: String,

    /// The package to build
    #[arg(short, long, value_name = "NAME")]
    package: Option<String>,

    /// The example to build, instead of the library
    #[arg(long, value_name = "NAME")]
    example: Option<String>,

    /// Features of the package, separated by commas
    #[arg(short = 'F', long, value_name = "FEATURES")]
    features: Option<String>,

    /// Leave the package's default features off
    #[arg(long)]
    no_default_features: bool,

    /// Where to start, instead of the current directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,

    /// The target
    #[arg(long, value_name = "TRIPLE", default_value_t = Target::default())]
    target: Target,

    /// Leave the module as cargo made it
    #[arg(long)]
    no_lower: bool,

    /// The file to write [default: NAME.lowered.wasm, beside what cargo made]
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// Where the standard library is built from its sources, build no more than `core` and `alloc`
    #[arg(long)]
    no_std: bool,

    #[command(flatten)]
    lowering: Lowering,
}

/// How to lower.
#[derive(Args)]
struct Lowering {
    /// What makes calls suspend and resume: own or binaryen
    #[arg(long, value_name = "ENGINE", default_value_t = Engine::default())]
    via: Engine,

    /// What the lowered code is to be best at: speed, balanced or size
    #[arg(long, value_name = "AIM", default_value_t = Optimize::default())]
    optimize: Optimize,

    /// Leave writes of the shadow stack pointer unchecked: smaller, but an overflow corrupts memory
    #[arg(long)]
    no_stack_check: bool,

    /// With `--via binaryen`: the wasm-opt to run [default: WINDLASS_WASM_OPT, else from PATH or ./node_modules/.bin]
    #[arg(long, value_name = "FILE")]
    wasm_opt: Option<PathBuf>,

    /// Drop the name section
    #[arg(long)]
    strip_names: bool,
}

impl Lowering {
    fn options(&self) -> Result<Options> {
        if self.wasm_opt.is_some() && self.via == Engine::Own {
            return Err(Error::new(
                "`--wasm-opt` does not go with `--via own`\nhelp: the own engine, which is the default, runs no \
                 wasm-opt: leave the option out or add `--via binaryen`",
            ));
        }
        let mut options = Options::default();
        options.via = self.via;
        options.optimize = self.optimize;
        options.stack_check = !self.no_stack_check;
        options.wasm_opt.clone_from(&self.wasm_opt);
        options.keep_names = !self.strip_names;
        Ok(options)
    }
}

fn main() -> ExitCode {
    let Cargo::Windlass(command) = Cargo::parse();
    let result = match command {
        Command::Build(arguments) => build(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Run(arguments) => run::run(&arguments),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build(arguments: &BuildArguments) -> Result<()> {
    let lower = if arguments.no_lower { None } else { Some(arguments.lowering.options()?) };
    let toolchain = Toolchain::find(arguments.target)?;
    let build = Build {
        dir: arguments.dir.clone(),
        profile: if arguments.release { "release".into() } else { arguments.profile.clone() },
        library: if arguments.no_std { Library::Alloc } else { Library::Std },
        cargo_args: arguments.for_cargo(),
        lower,
        out: arguments.out.clone(),
    };
    for module in build.run(&toolchain)? {
        for note in module.notes() {
            eprintln!("note: {note}");
        }
        for need in module.needs() {
            eprintln!("note: the module needs {need}");
        }
        println!("{module}");
    }
    Ok(())
}

impl BuildArguments {
    fn for_cargo(&self) -> Vec<String> {
        let mut args = Vec::new();
        for (name, value) in
            [("--package", &self.package), ("--example", &self.example), ("--features", &self.features)]
        {
            if let Some(value) = value {
                args.extend([name.to_owned(), value.clone()]);
            }
        }
        if self.no_default_features {
            args.push("--no-default-features".into());
        }
        args
    }
}
