//! `bench`: builds and runs the programs below `benches/`.

mod lower;
mod native;

use std::io::stderr;

use cargo_windlass::error::{Error, Result};
use cargo_windlass::process;

use crate::workspace::Workspace;

struct Bench {
    name: &'static str,
    does: &'static str,
    run: fn(&Workspace, &[String]) -> Result<()>,
}

const BENCHES: &[Bench] = &[
    Bench {
        name: "native",
        does: "native tasks beside those of other schedulers: time, instructions, memory \
               [--quick] [--json FILE] [--html FILE] [--only PATTERN] [--gate] [--go]",
        run: native::run,
    },
    Bench {
        name: "lower",
        does: "the lowering engine beside Binaryen's, on Node and wasmtime \
               [--quick] [--json FILE] [--only PATTERN] [--gate]",
        run: lower::run,
    },
];

pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<()> {
    let Some((name, rest)) = args.split_first() else {
        for Bench { name, does, .. } in BENCHES {
            println!("{name:<6} {does}");
        }
        return Ok(());
    };
    if name == "--gate" {
        crate::no_arguments(rest)?;
        return gates(workspace);
    }
    let bench = BENCHES.iter().find(|bench| bench.name == name).ok_or_else(|| {
        Error::new(format!("no bench `{name}`; the benches are shown by\n  cargo xtask bench"))
    })?;
    (bench.run)(workspace, rest)
}

/// The gate of every bench; one that is missed does not keep the next from being checked.
fn gates(workspace: &Workspace) -> Result<()> {
    let mut missed = Vec::new();
    for Bench { name, .. } in BENCHES {
        if let Err(error) = gate(workspace, name) {
            eprintln!("error: bench {name}: {error}");
            missed.push(*name);
        }
    }
    if missed.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!("the gates of these benches were missed: {}", missed.join(", "))))
}

/// The gate of one.
pub(crate) fn gate(workspace: &Workspace, name: &str) -> Result<()> {
    command(workspace, &[name.to_owned(), "--gate".to_owned()])
}

fn build(workspace: &Workspace, package: &str, profile: &str, args: &[&str]) -> Result<()> {
    let mut build = workspace.cargo("build");
    build.args(["--profile", profile, "--quiet", "--package", package]).args(args);
    process::run(build.stdout(stderr()))
}

/// What is typed; the programs take more.
fn check_arguments(args: &[String], switches: &[&str], valued: &[&str]) -> Result<()> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if valued.contains(&arg.as_str()) {
            args.next().ok_or_else(|| Error::new(format!("`{arg}` needs a value")))?;
        } else if !switches.contains(&arg.as_str()) {
            return Err(Error::new(format!("unexpected argument `{arg}`")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_arguments;

    #[test]
    fn arguments_are_checked_before_anything_is_built() {
        let check = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(ToString::to_string).collect();
            check_arguments(&args, &["--quick"], &["--only"]).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["--only", "--quick", "--quick"]), Ok(()));
        assert_eq!(check(&["--only"]), Err("`--only` needs a value".to_owned()));
        assert_eq!(check(&["--slow"]), Err("unexpected argument `--slow`".to_owned()));
    }
}
