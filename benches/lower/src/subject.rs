//! Subjects: what a guest is lowered by. Each makes a file, kept under a name that has everything in it that the file
//! depends on, so that Binaryen's minutes are spent once.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::error::{Result, within};

/// How a guest is lowered.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Not at all.
    Untouched,
    /// `windlass-lower` with these arguments; those for imports that suspend come on top with the asyncify ABI.
    Own(&'static [&'static str]),
    /// `wasm-opt --asyncify` with these arguments.
    Binaryen(&'static [&'static str]),
}

#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) name: &'static str,
    pub(crate) way: Way,
}

/// What an engine must have to run a module, and not every one has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// More than one memory in a module.
    SeveralMemories,
    /// Stack switching of the engine's own.
    StackSwitching,
}

impl Recipe {
    /// What an engine must have to run what comes out.
    pub(crate) fn needs(&self) -> Needs {
        match self.way {
            // Frames that leave the host's buffer go to a memory of the tool's own.
            Way::Own(args) if args.contains(&"asyncify") && !args.contains(&"--stable-buffer") => {
                Needs::SeveralMemories
            }
            _ => Needs::Nothing,
        }
    }
}

const fn own(name: &'static str, args: &'static [&'static str]) -> Recipe {
    Recipe { name, way: Way::Own(args) }
}

pub(crate) const BASE: Recipe = Recipe { name: "base", way: Way::Untouched };

pub(crate) const BINARYEN: Recipe = Recipe { name: "binaryen", way: Way::Binaryen(&["--asyncify", "-O3"]) };

/// Modules of others, where an import or two suspend. With a stable buffer there is one memory, as Node 20 demands.
pub(crate) const ASYNCIFY: &[Recipe] = &[OWN_ASYNCIFY[0], OWN_ASYNCIFY[1], OWN_ASYNCIFY[2], BINARYEN];

/// Of those, our own.
pub(crate) const OWN_ASYNCIFY: &[Recipe; 3] = &[
    own("own-speed", &["--abi", "asyncify", "--stable-buffer", "--optimize", "speed"]),
    own("own-balanced", &["--abi", "asyncify", "--stable-buffer", "--optimize", "balanced"]),
    own("own-size", &["--abi", "asyncify", "--stable-buffer", "--optimize", "size"]),
];

/// Modules of our ABI.
pub(crate) const WINDLASS: &[Recipe] = &[
    own("own-speed", &["--optimize", "speed"]),
    own("own-balanced", &["--optimize", "balanced"]),
    own("own-size", &["--optimize", "size"]),
    own("via-binaryen", &["--via", "binaryen", "--optimize", "speed"]),
];

/// The same, of a guest that is to be small.
pub(crate) const SMALLEST: &[Recipe] = &[
    own("own-speed", &["--optimize", "speed", "--strip-names"]),
    own("own-balanced", &["--optimize", "balanced", "--strip-names"]),
    own("own-size", &["--optimize", "size", "--strip-names"]),
];

/// Programs in C that were written against our ABI, beside the same by the other.
pub(crate) const C_WINDLASS: &[Recipe] = &[
    own("windlass-speed", &["--optimize", "speed"]),
    own("windlass-balanced", &["--optimize", "balanced"]),
    own("windlass-size", &["--optimize", "size"]),
];

/// For the tasks of guests/switch: our ABI.
pub(crate) const TASKS_WINDLASS: &[Recipe] = &[
    own("own-speed", &["--optimize", "speed"]),
    own("own-balanced", &["--optimize", "balanced"]),
    own("via-binaryen", &["--via", "binaryen", "--optimize", "speed"]),
];

/// Binaryen's lowering of the same, beside those.
pub(crate) const TASKS_BINARYEN: &[Recipe] = &[Recipe { name: "asyncify-binaryen", way: BINARYEN.way }];

/// Tasks of Binaryen's ABI. Without an aim, as who types the command for the first time.
pub(crate) const TASKS_ASYNCIFY: &[Recipe] = &[
    BINARYEN,
    own("own", &["--abi", "asyncify"]),
    own("own-speed", &["--abi", "asyncify", "--optimize", "speed"]),
    own("own-stable", &["--abi", "asyncify", "--stable-buffer"]),
    own("own-stable-speed", &["--abi", "asyncify", "--stable-buffer", "--optimize", "speed"]),
];

/// A guest and which of its imports suspend.
pub(crate) struct Guest<'a> {
    pub(crate) name: &'a str,
    pub(crate) wasm: PathBuf,
    /// As `module.name`, for the asyncify ABI. None: those that the pass itself provides.
    pub(crate) suspending: &'a [&'a str],
}

/// What a subject made of a guest.
pub(crate) struct Made {
    pub(crate) wasm: PathBuf,
    /// How long it took; none if the file was there.
    pub(crate) took: Option<Duration>,
}

/// Lowers a guest, unless that was done before and `afresh` does not matter.
pub(crate) fn make(arguments: &Arguments, guest: &Guest<'_>, recipe: Recipe, afresh: bool) -> Result<Made> {
    let Some((program, mut command)) = command(arguments, guest, recipe.way) else {
        return Ok(Made { wasm: guest.wasm.clone(), took: None });
    };
    let what = format!("{} of {}", recipe.name, guest.name);
    let mut key = DefaultHasher::new();
    for file in [&guest.wasm, &program, &arguments.wasm_opt] {
        fs::read(file).map_err(within(file.display()))?.hash(&mut key);
    }
    format!("{:?}", command.get_args().collect::<Vec<_>>()).hash(&mut key);
    let name = format!("{}.{}.{:016x}.wasm", guest.name, recipe.name, key.finish());
    let wasm = arguments.out.join(name);
    if wasm.exists() && !afresh {
        return Ok(Made { wasm, took: None });
    }
    let partial = wasm.with_extension("partial");
    command.arg("-o").arg(&partial).stdin(Stdio::null());
    let start = Instant::now();
    let output = command.output().map_err(within(program.display()))?;
    let took = start.elapsed();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().find(|line| line.contains("error")).or(said.lines().next()).unwrap_or("");
        return Err(format!("{what}: {} failed: {said}", program.display()).into());
    }
    fs::rename(&partial, &wasm).map_err(within(&what))?;
    Ok(Made { wasm, took: Some(took) })
}

/// The program, and the command but for the output.
fn command(arguments: &Arguments, guest: &Guest<'_>, way: Way) -> Option<(PathBuf, Command)> {
    let (program, mut command) = match way {
        Way::Untouched => return None,
        Way::Own(args) => {
            let mut command = Command::new(&arguments.lower);
            command.args(args).env("WINDLASS_WASM_OPT", &arguments.wasm_opt);
            if args.contains(&"asyncify") {
                for import in guest.suspending {
                    command.args(["--suspending-import", import]);
                }
            }
            (arguments.lower.clone(), command)
        }
        Way::Binaryen(args) => (arguments.wasm_opt.clone(), binaryen(&arguments.wasm_opt, guest, args)),
    };
    command.arg(&guest.wasm);
    Some((program, command))
}

fn binaryen(wasm_opt: &Path, guest: &Guest<'_>, args: &[&str]) -> Command {
    let mut command = Command::new(wasm_opt);
    // What engines have had for years; `--all-features` makes modules that none here reads.
    for feature in [
        "bulk-memory",
        "mutable-globals",
        "nontrapping-float-to-int",
        "reference-types",
        "sign-ext",
        "multivalue",
    ] {
        command.arg(format!("--enable-{feature}"));
    }
    command.args(args);
    let imports = if guest.suspending.is_empty() {
        "asyncify-ignore-imports".to_owned()
    } else {
        format!("asyncify-imports@{}", guest.suspending.join(","))
    };
    command.arg(format!("--pass-arg={imports}"));
    command
}

/// How long another `wasm-opt` takes.
pub(crate) fn time_of(wasm_opt: &Path, arguments: &Arguments, guest: &Guest<'_>) -> Result<Duration> {
    let Way::Binaryen(args) = BINARYEN.way else { return Err("the baseline is Binaryen".into()) };
    let out = arguments.out.join("second.wasm");
    let start = Instant::now();
    let output = binaryen(wasm_opt, guest, args)
        .arg(&guest.wasm)
        .arg("-o")
        .arg(&out)
        .output()
        .map_err(within(wasm_opt.display()))?;
    if !output.status.success() {
        return Err(format!("{}: {}", wasm_opt.display(), String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(start.elapsed())
}
