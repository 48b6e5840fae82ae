//! What is measured: every bench with its subjects, for all engines alike. On Node `node/run.mjs` carries it out, on
//! wasmtime `engine.rs`.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::error::{Result, within};
use crate::guests;
use crate::report::Log;
use crate::subject::{
    self, ASYNCIFY, BASE, BINARYEN, C_WINDLASS, Guest, Needs, Recipe, TASKS_ASYNCIFY, TASKS_BINARYEN,
    TASKS_WINDLASS,
};

/// The package and the import that suspends: the module loader, from which by the call graph 878 of 1,321 functions may
/// suspend. The programs import no module.
pub(crate) const QUICKJS: (&str, &[&str]) =
    ("@jitl/quickjs-wasmfile-release-sync/dist/emscripten-module.wasm", &["a.h"]);

pub(crate) struct Bench {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// Of what is reported.
    pub(crate) unit: &'static str,
    /// From milliseconds to that.
    pub(crate) scale: f64,
    pub(crate) warm_ms: u32,
    pub(crate) runs: u32,
    /// The subject that ratios are to, if it is there.
    pub(crate) base: &'static str,
    pub(crate) subjects: Vec<Subject>,
}

/// What a unit of work is.
pub(crate) enum Kind {
    /// QuickJS runs a program.
    Program { source: &'static str },
    /// An export is called with a number.
    Function { export: &'static str, argument: i32 },
    /// Tasks take turns: so many rounds as fill a while.
    Switches { setup: [i32; 4] },
    /// The same, but the host suspends and resumes them, by the functions of Binaryen's ABI.
    Driven { setup: [i32; 4] },
    /// A new module, in which a task suspends once.
    First { setup: [i32; 4] },
}

#[derive(Clone)]
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    pub(crate) wasm: PathBuf,
    pub(crate) needs: Needs,
}

/// How much is measured.
struct Effort {
    warm_ms: u32,
    runs: u32,
    /// For units of a few milliseconds.
    short_runs: u32,
    /// Frames below a suspension.
    depths: &'static [i32],
}

/// All benches that are asked for. What cannot be lowered is told to the log and left out.
pub(crate) fn plan(arguments: &Arguments, log: &mut Log) -> Result<Vec<Bench>> {
    let effort = if arguments.quick {
        Effort { warm_ms: 400, runs: 5, short_runs: 15, depths: &[1, 100] }
    } else {
        Effort { warm_ms: 1_500, runs: 9, short_runs: 41, depths: &[1, 10, 100, 1000] }
    };
    let mut benches = Vec::new();
    programs(arguments, log, &effort, &mut benches)?;
    functions(arguments, log, &effort, &mut benches)?;
    tasks(arguments, log, &effort, &mut benches)?;
    tasks_of_asyncify(arguments, log, &effort, &mut benches)?;
    Ok(benches)
}

/// The plan as JSON, for an engine that has those things.
pub(crate) fn to_json(benches: &[Bench], has: impl Fn(Needs) -> bool) -> Value {
    let bench = |bench: &Bench| {
        let subject = |subject: &Subject| json!({ "subject": subject.name, "wasm": subject.wasm, "scale": bench.scale });
        let subjects: Vec<Value> =
            bench.subjects.iter().filter(|subject| has(subject.needs)).map(subject).collect();
        let mut value = json!({
            "bench": bench.name, "warm_ms": bench.warm_ms, "runs": bench.runs, "base": bench.base, "subjects": subjects,
        });
        let more = match &bench.kind {
            Kind::Program { source } => json!({ "kind": "program", "program": source }),
            Kind::Function { export, argument } => {
                json!({ "kind": "function", "run": export, "argument": argument })
            }
            Kind::Switches { setup } => json!({ "kind": "switches", "setup": setup }),
            Kind::Driven { setup } => json!({ "kind": "driven", "setup": setup }),
            Kind::First { setup } => json!({ "kind": "first", "setup": setup }),
        };
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        value
    };
    Value::Array(benches.iter().map(bench).collect())
}

/// QuickJS running programs none of which suspends.
fn programs(arguments: &Arguments, log: &mut Log, effort: &Effort, benches: &mut Vec<Bench>) -> Result<()> {
    let name = |program: &str| format!("quickjs/{program}");
    let quick = |program: &str| !arguments.quick || ["fib", "sort", "regex"].contains(&program);
    let wanted: Vec<_> =
        guests::JS.iter().filter(|(program, _)| quick(program) && arguments.wants(&name(program))).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let guest = Guest { name: "quickjs", wasm: arguments.packages.join(QUICKJS.0), suspending: QUICKJS.1 };
    let made = all(arguments, log, &guest, &[&[BASE], ASYNCIFY].concat());
    for (program, source) in wanted {
        benches.push(Bench {
            name: name(program),
            kind: Kind::Program { source },
            unit: "ms",
            scale: 1.0,
            warm_ms: effort.warm_ms,
            runs: effort.runs,
            base: BASE.name,
            subjects: made.clone(),
        });
    }
    Ok(())
}

/// Programs in C that call an import that may suspend, if a condition held.
fn functions(arguments: &Arguments, log: &mut Log, effort: &Effort, benches: &mut Vec<Bench>) -> Result<()> {
    for &(program, text, export, argument) in guests::C {
        let name = format!("c/{program}");
        if !arguments.wants(&name) {
            continue;
        }
        let wasm = write(arguments, program, &guests::assemble(text)?)?;
        let guest = Guest { name: program, wasm, suspending: &["env.may_suspend"] };
        let mut made = all(arguments, log, &guest, &[&[BASE], ASYNCIFY].concat());
        let windlass = format!("{program}-windlass");
        let wasm = write(arguments, &windlass, &guests::assemble(&guests::by_windlass(text)?)?)?;
        let guest = Guest { name: &windlass, wasm, suspending: &[] };
        made.extend(all(arguments, log, &guest, C_WINDLASS));
        benches.push(Bench {
            name,
            kind: Kind::Function { export, argument },
            unit: "ms",
            scale: 1.0,
            warm_ms: effort.warm_ms,
            runs: effort.short_runs,
            base: BASE.name,
            subjects: made,
        });
    }
    Ok(())
}

/// Suspending and resuming by our ABI, beside Binaryen and the engine's own.
fn tasks(arguments: &Arguments, log: &mut Log, effort: &Effort, benches: &mut Vec<Bench>) -> Result<()> {
    let lives: &[u32] = if arguments.quick { &[8] } else { guests::LIVE };
    let mut wanted = Vec::new();
    for &live in lives {
        for &depth in effort.depths {
            wanted.push((format!("switch/live{live}/depth{depth}"), live, depth, 2));
        }
    }
    wanted.push(("switch/ring1000".to_owned(), 8, 3, 1000));
    let first = ("first/live8/depth100".to_owned(), 8, 100, 1);
    wanted.push(first);
    wanted.retain(|(name, ..)| arguments.wants(name));
    if wanted.is_empty() {
        return Ok(());
    }

    let windlass = write(arguments, "tasks-windlass", &guests::tasks(guests::WINDLASS)?)?;
    let asyncify = write(arguments, "tasks-asyncify", &guests::tasks(guests::ASYNCIFY)?)?;
    let native = write(arguments, "tasks-native", &guests::tasks(guests::NATIVE)?)?;
    let windlass = Guest { name: "tasks-windlass", wasm: windlass, suspending: &[] };
    let asyncify = Guest { name: "tasks-asyncify", wasm: asyncify, suspending: &[] };
    let mut made = all(arguments, log, &windlass, TASKS_WINDLASS);
    made.extend(all(arguments, log, &asyncify, TASKS_BINARYEN));
    made.push(Subject { name: "native", wasm: native, needs: Needs::StackSwitching });
    for (name, live, depth, tasks) in wanted {
        let setup = setup(tasks, live, depth);
        benches.push(if name.starts_with("first") {
            let kind = Kind::First { setup };
            let (runs, subjects) = (effort.short_runs, made.clone());
            Bench { name, kind, unit: "us", scale: 1e3, warm_ms: 0, runs, base: BASE.name, subjects }
        } else {
            switches(effort, name, Kind::Switches { setup }, tasks, BASE.name, &made)
        });
    }
    Ok(())
}

/// Suspending and resuming by Binaryen's ABI: driven from inside the module, by the pass's imports, and from outside it, by
/// its exports, with an import that suspends.
fn tasks_of_asyncify(
    arguments: &Arguments,
    log: &mut Log,
    effort: &Effort,
    benches: &mut Vec<Bench>,
) -> Result<()> {
    let ways: [(&str, &str, &str, &[&str]); 2] = [
        ("inside", "tasks-asyncify", guests::ASYNCIFY, &[]),
        ("host", "tasks-driven", guests::DRIVEN, &["env.pause"]),
    ];
    for (driver, guest, text, suspending) in ways {
        let name = |depth: &i32| format!("asyncify/{driver}/depth{depth}");
        let wanted: Vec<i32> =
            effort.depths.iter().copied().filter(|depth| arguments.wants(&name(depth))).collect();
        if wanted.is_empty() {
            continue;
        }
        let wasm = write(arguments, guest, &guests::tasks(text)?)?;
        let made = all(arguments, log, &Guest { name: guest, wasm, suspending }, TASKS_ASYNCIFY);
        for depth in wanted {
            let setup = setup(2, 8, depth);
            let kind = if driver == "host" { Kind::Driven { setup } } else { Kind::Switches { setup } };
            benches.push(switches(effort, name(&depth), kind, 2, BINARYEN.name, &made));
        }
    }
    Ok(())
}

/// Number of tasks, live values, depth, and size of a stack.
fn setup(tasks: i32, live: u32, depth: i32) -> [i32; 4] {
    let live = live.cast_signed();
    // All frames are on the task's stack, with any engine; our own may leave half of it empty.
    let stack = (depth * (8 * live + 128) + 2048) / 16 * 16;
    [tasks, live, depth, stack]
}

fn switches(
    effort: &Effort,
    name: String,
    kind: Kind,
    tasks: i32,
    base: &'static str,
    made: &[Subject],
) -> Bench {
    let scale = 1e6 / f64::from(tasks);
    let (warm_ms, runs, subjects) = (effort.warm_ms / 8, effort.short_runs, made.to_vec());
    Bench { name, kind, unit: "ns", scale, warm_ms, runs, base, subjects }
}

/// Every recipe's module that can be made.
fn all(arguments: &Arguments, log: &mut Log, guest: &Guest<'_>, recipes: &[Recipe]) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for &recipe in recipes {
        match subject::make(arguments, guest, recipe, false) {
            Ok(made) => {
                subjects.push(Subject { name: recipe.name, wasm: made.wasm, needs: recipe.needs() });
            }
            Err(error) => log.left_out(&error),
        }
    }
    subjects
}

fn write(arguments: &Arguments, name: &str, wasm: &[u8]) -> Result<PathBuf> {
    let file: &Path = &arguments.out.join(name).with_extension("base.wasm");
    fs::write(file, wasm).map_err(within(file.display()))?;
    Ok(file.to_owned())
}
