//! Sizes and lowering times, and the gate on sizes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::arguments::Arguments;
use crate::embedded;
use crate::error::{Result, within};
use crate::names;
use crate::plan::QUICKJS;
use crate::report::Log;
use crate::stats::Figures;
use crate::subject::{self, ASYNCIFY, BASE, Guest, OWN_ASYNCIFY, Recipe, SMALLEST, WINDLASS};

/// What QuickJS may weigh, times the base.
const GATE: &[(&str, f64)] = &[("own-speed", 2.1), ("own-balanced", 1.7), ("own-size", 1.5)];

/// The guest that is weighed without names.
const SMALLEST_GUEST: &str = "smallest";

/// What the smallest reactor may weigh, in bytes and without names: the budget (docs/performance.md).
const SMALLEST_LIMIT: (&str, u64) = ("own-size", 10 << 10);

/// SQLite, where the system calls that read and write suspend.
const SQLITE: (&str, &[&str]) = (
    "@sqlite.org/sqlite-wasm/sqlite-wasm/jswasm/sqlite3.wasm",
    &["wasi_snapshot_preview1.fd_read", "wasi_snapshot_preview1.fd_write"],
);

/// A lowering that has taken so long is not repeated.
const ENOUGH: Duration = Duration::from_secs(10);

/// In the column of the engine: nothing is run.
const NO_ENGINE: &str = "lowering";

/// A module to weigh.
struct Weighed<'a> {
    guest: Guest<'a>,
    recipes: &'a [Recipe],
    /// Whether sizes are shown; else only times.
    sizes: bool,
}

pub(crate) fn measure(arguments: &Arguments, log: &mut Log) -> Result<()> {
    let mut modules = vec![Weighed { guest: smallest(arguments), recipes: SMALLEST, sizes: true }];
    if let Some(wasm) = arguments.reactor.clone() {
        let guest = Guest { name: "reactor", wasm, suspending: &[] };
        modules.push(Weighed { guest, recipes: WINDLASS, sizes: true });
    }
    modules.push(Weighed { guest: quickjs(arguments), recipes: ASYNCIFY, sizes: true });
    if !arguments.quick {
        let guest = Guest { name: "sqlite", wasm: arguments.packages.join(SQLITE.0), suspending: SQLITE.1 };
        modules.push(Weighed { guest, recipes: ASYNCIFY, sizes: true });
    }
    // Twenty times QuickJS; Binaryen's pass would take most of an hour.
    let guest = Guest { name: "wasm-opt", wasm: arguments.out.join("wasm-opt.base.wasm"), suspending: &[] };
    modules.push(Weighed { guest, recipes: OWN_ASYNCIFY, sizes: false });

    for module in modules {
        let Weighed { guest, recipes, .. } = &module;
        let groups: &[&str] =
            if module.sizes { &["size", "gzip", "lowering", "linear"] } else { &["lowering", "linear"] };
        if !groups.iter().any(|group| arguments.wants(&format!("{group}/{}", guest.name))) {
            continue;
        }
        if guest.name == "wasm-opt" {
            unpack(&arguments.wasm_opt, &guest.wasm)?;
        }
        if module.sizes {
            sizes(log, guest, BASE, &guest.wasm)?;
        }
        let linear = format!("linear/{}", guest.name);
        log.number(&linear, "MB", NO_ENGINE, "MB", Figures::exact(megabytes(&guest.wasm)?));
        for &recipe in *recipes {
            if let Err(error) = lower(arguments, log, &module, recipe) {
                log.left_out(&error);
            }
        }
        if let Some(second) = &arguments.second_wasm_opt
            && guest.name == "quickjs"
            && !arguments.quick
        {
            times(log, guest, "binaryen-second", &[subject::time_of(second, arguments, guest)?]);
        }
    }
    Ok(())
}

fn quickjs(arguments: &Arguments) -> Guest<'static> {
    Guest { name: "quickjs", wasm: arguments.packages.join(QUICKJS.0), suspending: QUICKJS.1 }
}

/// The reactor whose every byte counts.
fn smallest(arguments: &Arguments) -> Guest<'static> {
    Guest { name: SMALLEST_GUEST, wasm: arguments.smallest.clone(), suspending: &[] }
}

/// Writes the module that Binaryen's program is.
fn unpack(program: &Path, wasm: &Path) -> Result<()> {
    let text = fs::read_to_string(program).map_err(within(program.display()))?;
    let module = embedded::module(&text).map_err(within(program.display()))?;
    fs::write(wasm, module).map_err(within(wasm.display()))
}

/// Lowers as often as its time allows.
fn lower(arguments: &Arguments, log: &mut Log, module: &Weighed<'_>, recipe: Recipe) -> Result<()> {
    let guest = &module.guest;
    let binaryen = recipe.name.contains("binaryen");
    let runs = match (arguments.quick, binaryen) {
        (true, true) => 0,
        (true, false) => 3,
        (false, _) => 9,
    };
    let mut made = subject::make(arguments, guest, recipe, false)?;
    let mut took = Vec::from_iter(made.took);
    while took.len() < runs && took.iter().sum::<Duration>() < ENOUGH {
        made = subject::make(arguments, guest, recipe, true)?;
        took.extend(made.took);
    }
    if module.sizes {
        sizes(log, guest, recipe, &made.wasm)?;
    }
    times(log, guest, recipe.name, &took);
    if !binaryen && !took.is_empty() {
        let megabytes = megabytes(&guest.wasm)?;
        let each: Vec<f64> = took.iter().map(|took| milliseconds(took) / megabytes).collect();
        let bench = format!("linear/{}", guest.name);
        log.number(&bench, recipe.name, NO_ENGINE, "ms/MB", Figures::of(&each));
    }
    Ok(())
}

fn sizes(log: &mut Log, guest: &Guest<'_>, recipe: Recipe, file: &Path) -> Result<()> {
    let wasm = weighed(guest, file)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm)?;
    let zipped = gzip.finish()?;
    for (group, bytes) in [("size", wasm.len()), ("gzip", zipped.len())] {
        let bench = format!("{group}/{}", guest.name);
        log.number(&bench, recipe.name, NO_ENGINE, "B", Figures::exact(bytes as f64));
    }
    Ok(())
}

/// What of a file counts.
fn weighed(guest: &Guest<'_>, file: &Path) -> Result<Vec<u8>> {
    let wasm = fs::read(file).map_err(within(file.display()))?;
    // The tool needs its names, to find the shadow stack, and drops them.
    if guest.name == SMALLEST_GUEST { names::strip(&wasm) } else { Ok(wasm) }
}

fn times(log: &mut Log, guest: &Guest<'_>, subject: &str, took: &[Duration]) {
    if took.is_empty() {
        return;
    }
    let took: Vec<f64> = took.iter().map(milliseconds).collect();
    let bench = format!("lowering/{}", guest.name);
    log.number(&bench, subject, NO_ENGINE, "ms", Figures::of(&took));
}

fn milliseconds(took: &Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

fn bytes(file: &Path) -> Result<u64> {
    Ok(fs::metadata(file).map_err(within(file.display()))?.len())
}

fn megabytes(file: &Path) -> Result<f64> {
    Ok(bytes(file)? as f64 / 1e6)
}

/// Whether all sizes are within the gate.
pub(crate) fn gate(arguments: &Arguments) -> Result<()> {
    let mut missed = Vec::new();
    let mut check = |name: String, size: String, limit: String, within: bool| {
        println!("size/{name}: {size}, at most {limit}: {}", if within { "ok" } else { "MISSED" });
        if !within {
            missed.push(name);
        }
    };

    let guest = quickjs(arguments);
    let base = bytes(&guest.wasm)? as f64;
    for &(subject, limit) in GATE {
        let ratio = lowered(arguments, &guest, ASYNCIFY, subject)? as f64 / base;
        let name = format!("quickjs {subject}");
        check(name, format!("{ratio:.3} times the base"), limit.to_string(), ratio <= limit);
    }

    let guest = smallest(arguments);
    let (subject, limit) = SMALLEST_LIMIT;
    let size = lowered(arguments, &guest, SMALLEST, subject)?;
    let before = weighed(&guest, &guest.wasm)?.len();
    let size_and_before = format!("{size} bytes without names, {before} before");
    check(format!("smallest {subject}"), size_and_before, limit.to_string(), size <= limit);

    if missed.is_empty() { Ok(()) } else { Err(format!("too big: {}", missed.join(", ")).into()) }
}

/// Bytes that a subject makes of the guest, now.
fn lowered(arguments: &Arguments, guest: &Guest<'_>, recipes: &[Recipe], subject: &str) -> Result<u64> {
    let recipe = recipes.iter().find(|recipe| recipe.name == subject).ok_or("the gate names no subject")?;
    bytes(&subject::make(arguments, guest, *recipe, true)?.wasm)
}
