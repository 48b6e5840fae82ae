//! Sizes and lowering times, and the gate on sizes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::arguments::Arguments;
use crate::error::{Result, within};
use crate::plan::QUICKJS;
use crate::report::Log;
use crate::stats::Figures;
use crate::subject::{self, ASYNCIFY, BASE, Guest, Recipe, WINDLASS};

/// What sizes may not exceed, times the base.
const GATE: &[(&str, &str, f64)] =
    &[("quickjs", "own-speed", 2.1), ("quickjs", "own-balanced", 1.7), ("quickjs", "own-size", 1.5)];

/// SQLite, where the system calls that read and write suspend.
const SQLITE: (&str, &[&str]) = (
    "@sqlite.org/sqlite-wasm/sqlite-wasm/jswasm/sqlite3.wasm",
    &["wasi_snapshot_preview1.fd_read", "wasi_snapshot_preview1.fd_write"],
);

/// A lowering that has taken so long is not repeated.
const ENOUGH: Duration = Duration::from_secs(10);

/// In the column of the engine: nothing is run.
const NO_ENGINE: &str = "lowering";

pub(crate) fn measure(arguments: &Arguments, log: &mut Log) -> Result<()> {
    let packages = &arguments.packages;
    let mut guests: Vec<(Guest<'_>, &[Recipe])> = vec![
        (Guest { name: "quickjs", wasm: packages.join(QUICKJS.0), suspending: QUICKJS.1 }, ASYNCIFY),
        (Guest { name: "sqlite", wasm: packages.join(SQLITE.0), suspending: SQLITE.1 }, ASYNCIFY),
    ];
    if let Some(wasm) = arguments.reactor.clone() {
        guests.push((Guest { name: "reactor", wasm, suspending: &[] }, WINDLASS));
    }
    for (guest, recipes) in guests {
        let names = ["size", "gzip", "lowering"].map(|group| format!("{group}/{}", guest.name));
        if !names.iter().any(|name| arguments.wants(name)) {
            continue;
        }
        if arguments.quick && guest.name == "sqlite" {
            continue;
        }
        sizes(log, &guest, BASE, &guest.wasm)?;
        for &recipe in recipes {
            if let Err(error) = lower(arguments, log, &guest, recipe) {
                log.left_out(&error);
            }
        }
        if let Some(second) = &arguments.second_wasm_opt
            && guest.name == "quickjs"
            && !arguments.quick
        {
            times(log, &guest, "binaryen-second", &[subject::time_of(second, arguments, &guest)?]);
        }
    }
    Ok(())
}

/// Lowers as often as its time allows.
fn lower(arguments: &Arguments, log: &mut Log, guest: &Guest<'_>, recipe: Recipe) -> Result<()> {
    let runs = match (arguments.quick, recipe.name.contains("binaryen")) {
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
    sizes(log, guest, recipe, &made.wasm)?;
    times(log, guest, recipe.name, &took);
    Ok(())
}

fn sizes(log: &mut Log, guest: &Guest<'_>, recipe: Recipe, file: &Path) -> Result<()> {
    let wasm = fs::read(file).map_err(within(file.display()))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&wasm)?;
    let zipped = gzip.finish()?;
    for (group, bytes) in [("size", wasm.len()), ("gzip", zipped.len())] {
        let bench = format!("{group}/{}", guest.name);
        log.number(&bench, recipe.name, NO_ENGINE, "B", Figures::exact(bytes as f64));
    }
    Ok(())
}

fn times(log: &mut Log, guest: &Guest<'_>, subject: &str, took: &[Duration]) {
    if took.is_empty() {
        return;
    }
    let seconds: Vec<f64> = took.iter().map(Duration::as_secs_f64).collect();
    let bench = format!("lowering/{}", guest.name);
    log.number(&bench, subject, NO_ENGINE, "s", Figures::of(&seconds));
}

/// Whether all sizes are within the gate.
pub(crate) fn gate(arguments: &Arguments) -> Result<()> {
    let guest = Guest { name: "quickjs", wasm: arguments.packages.join(QUICKJS.0), suspending: QUICKJS.1 };
    let bytes =
        |file: &Path| -> Result<f64> { Ok(fs::metadata(file).map_err(within(file.display()))?.len() as f64) };
    let base = bytes(&guest.wasm)?;
    let mut missed = Vec::new();
    for &(name, subject, limit) in GATE {
        let recipe =
            ASYNCIFY.iter().find(|recipe| recipe.name == subject).ok_or("the gate names no subject")?;
        let made = subject::make(arguments, &guest, *recipe, true)?;
        let ratio = bytes(&made.wasm)? / base;
        let verdict = if ratio <= limit { "ok" } else { "MISSED" };
        println!("size/{name} {subject}: {ratio:.3} times the base, at most {limit}: {verdict}");
        if ratio > limit {
            missed.push(subject);
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("too big: {}", missed.join(", ")).into()) }
}
