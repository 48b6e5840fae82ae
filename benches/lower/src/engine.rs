//! Carries out a plan on wasmtime, as `node/run.mjs` does on Node.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use wasmtime::{Config, Engine, Instance, Linker, Module, Store, TypedFunc, Val};

use crate::driven::Driven;
use crate::error::{Result, within};
use crate::machine;
use crate::plan::{Bench, Kind, Subject};
use crate::quickjs::QuickJs;
use crate::report::Log;
use crate::stats::Figures;
use crate::subject::Needs;

/// A unit is at least so long, if the bench lets its length be chosen.
const UNIT_MS: f64 = 2.0;

/// Rounds before those that count: there is no second tier to wait for.
const WARM_ROUNDS: u32 = 3;

/// QuickJS recurses; the main thread has 8 MiB.
const MAX_WASM_STACK: usize = 4 << 20;

/// Whether this build measures the engine's own stack switching.
const NATIVE: bool = cfg!(all(feature = "stack-switching", target_arch = "x86_64", unix));

fn has(needs: Needs) -> bool {
    match needs {
        Needs::Nothing | Needs::SeveralMemories => true,
        Needs::StackSwitching => NATIVE,
    }
}

pub(crate) fn run(benches: &[Bench], log: &mut Log) -> Result<()> {
    let mut engines = Engines::new()?;
    for bench in benches {
        engines.run(bench, log);
    }
    Ok(())
}

struct Engines {
    /// As in tables.
    name: String,
    plain: Engine,
    /// Apart: with stack switching Cranelift inlines nothing.
    native: Option<Engine>,
    modules: HashMap<PathBuf, Module>,
}

/// A subject of one bench, running.
trait Guest {
    /// Before each warming round.
    fn restart(&mut self) -> Result<()> {
        Ok(())
    }

    /// One unit of work; returns its milliseconds.
    fn unit(&mut self) -> Result<f64>;

    /// The result as text.
    fn close(&mut self) -> Result<String>;
}

impl Engines {
    fn new() -> Result<Engines> {
        let mut config = Config::new();
        config.max_wasm_stack(MAX_WASM_STACK);
        #[cfg(feature = "stack-switching")]
        config.async_stack_size(2 * MAX_WASM_STACK);
        let plain = Engine::new(&config)?;
        Ok(Engines { name: machine::wasmtime(), plain, native: native(config)?, modules: HashMap::new() })
    }

    fn run(&mut self, bench: &Bench, log: &mut Log) {
        let mut running: Vec<(&Subject, Box<dyn Guest>, Vec<f64>)> = Vec::new();
        for subject in bench.subjects.iter().filter(|subject| has(subject.needs)) {
            match self.start(bench, subject) {
                Ok(guest) => running.push((subject, guest, Vec::new())),
                Err(error) => log.failed(&self.name, bench, subject.name, &error),
            }
        }
        let warm = if matches!(bench.kind, Kind::First { .. }) { 0 } else { WARM_ROUNDS };
        for round in 0..warm + bench.runs {
            running.retain_mut(|(subject, guest, times)| {
                let restarted = if round == 0 { guest.restart() } else { Ok(()) };
                match restarted.and_then(|()| guest.unit()) {
                    Ok(time) if round >= warm => times.push(time * bench.scale),
                    Ok(_) => {}
                    Err(error) => {
                        log.failed(&self.name, bench, subject.name, &error);
                        return false;
                    }
                }
                true
            });
        }
        let base = running.iter().find(|(subject, ..)| subject.name == bench.base);
        let base = base.map(|(_, _, times)| times.clone()).unwrap_or_default();
        for (subject, mut guest, times) in running {
            match guest.close() {
                Ok(result) => {
                    log.timed(&self.name, bench, subject.name, Figures::beside(&base, &times), &result);
                }
                Err(error) => log.failed(&self.name, bench, subject.name, &error),
            }
        }
    }

    fn start(&mut self, bench: &Bench, subject: &Subject) -> Result<Box<dyn Guest>> {
        let engine = match &self.native {
            Some(native) if subject.needs == Needs::StackSwitching => native.clone(),
            _ => self.plain.clone(),
        };
        let module = self.module(&engine, &subject.wasm)?;
        Ok(match &bench.kind {
            Kind::Program { source } => {
                Box::new(Program { quickjs: QuickJs::new(&module, source)?, result: String::new() })
            }
            Kind::Function { export, argument } => Box::new(Function {
                running: Running::new(&module)?,
                export,
                argument: *argument,
                result: String::new(),
            }),
            Kind::Switches { setup } => Box::new(Switches::of(Inside::new(&module, *setup)?)),
            Kind::Driven { setup } => Box::new(Switches::of(Driven::new(&module, *setup)?)),
            // Compiled ahead of time, a module has nothing left to compile at first use.
            Kind::First { setup } => Box::new(FirstSwitch { module, setup: *setup, result: 0 }),
        })
    }

    fn module(&mut self, engine: &Engine, file: &Path) -> Result<Module> {
        if let Some(module) = self.modules.get(file) {
            return Ok(module.clone());
        }
        let module = Module::from_file(engine, file).map_err(within(file.display()))?;
        self.modules.insert(file.to_owned(), module.clone());
        Ok(module)
    }
}

#[cfg(all(feature = "stack-switching", target_arch = "x86_64", unix))]
fn native(mut config: Config) -> Result<Option<Engine>> {
    config.wasm_function_references(true);
    config.wasm_exceptions(true);
    config.wasm_stack_switching(true);
    Ok(Some(Engine::new(&config)?))
}

#[cfg(not(all(feature = "stack-switching", target_arch = "x86_64", unix)))]
fn native(_config: Config) -> Result<Option<Engine>> {
    Ok(None)
}

/// An instance whose imports do nothing: none is called.
struct Running {
    store: Store<()>,
    instance: Instance,
}

impl Running {
    fn new(module: &Module) -> Result<Running> {
        let mut store = Store::new(module.engine(), ());
        let mut linker = Linker::new(module.engine());
        linker.define_unknown_imports_as_default_values(&mut store, module)?;
        let instance = linker.instantiate(&mut store, module)?;
        Ok(Running { store, instance })
    }

    fn setup(&mut self, [tasks, live, depth, stack]: [i32; 4]) -> Result<()> {
        let setup: TypedFunc<(i32, i32, i32, i32), ()> =
            self.instance.get_typed_func(&mut self.store, "setup")?;
        Ok(setup.call(&mut self.store, (tasks, live, depth, stack))?)
    }

    fn number(&mut self, export: &str) -> Result<i32> {
        let function: TypedFunc<(), i32> = self.instance.get_typed_func(&mut self.store, export)?;
        Ok(function.call(&mut self.store, ())?)
    }
}

struct Program {
    quickjs: QuickJs,
    result: String,
}

impl Guest for Program {
    fn unit(&mut self) -> Result<f64> {
        let start = Instant::now();
        let value = self.quickjs.evaluate()?;
        let time = milliseconds(start);
        self.result = self.quickjs.take(value)?;
        Ok(time)
    }

    fn close(&mut self) -> Result<String> {
        Ok(self.result.clone())
    }
}

struct Function {
    running: Running,
    export: &'static str,
    argument: i32,
    result: String,
}

impl Guest for Function {
    fn unit(&mut self) -> Result<f64> {
        let Running { store, instance } = &mut self.running;
        let function = instance
            .get_func(&mut *store, self.export)
            .ok_or_else(|| format!("no export `{}`", self.export))?;
        let mut results = [Val::I32(0)];
        let start = Instant::now();
        function.call(store, &[Val::I32(self.argument)], &mut results)?;
        let time = milliseconds(start);
        self.result = match &results[0] {
            Val::I32(value) => value.to_string(),
            Val::F64(bits) => f64::from_bits(*bits).to_string(),
            other => return Err(format!("a result {other:?}").into()),
        };
        Ok(time)
    }

    fn close(&mut self) -> Result<String> {
        Ok(self.result.clone())
    }
}

/// Tasks that take turns.
pub(crate) trait Rounds {
    /// So many rounds of turns.
    fn go(&mut self, count: i32) -> Result<()>;

    /// Ends the tasks; returns what they computed.
    fn finish(&mut self) -> Result<i32>;
}

/// Tasks that the module itself drives.
struct Inside {
    running: Running,
    go: TypedFunc<i32, ()>,
}

impl Inside {
    fn new(module: &Module, setup: [i32; 4]) -> Result<Inside> {
        let mut running = Running::new(module)?;
        running.setup(setup)?;
        let go = running.instance.get_typed_func(&mut running.store, "go")?;
        Ok(Inside { running, go })
    }
}

impl Rounds for Inside {
    fn go(&mut self, count: i32) -> Result<()> {
        Ok(self.go.call(&mut self.running.store, count)?)
    }

    fn finish(&mut self) -> Result<i32> {
        self.running.number("finish")
    }
}

struct Switches {
    tasks: Box<dyn Rounds>,
    count: i32,
}

impl Switches {
    fn of(tasks: impl Rounds + 'static) -> Switches {
        Switches { tasks: Box::new(tasks), count: 1 }
    }
}

impl Guest for Switches {
    /// Finds a count of rounds that fills a unit.
    fn restart(&mut self) -> Result<()> {
        loop {
            let time = self.unit()? * f64::from(self.count);
            if time >= UNIT_MS {
                return Ok(());
            }
            let more = (1.2 * UNIT_MS / time.max(0.001)).min(8.0);
            // Far below what an i32 holds: a round takes nanoseconds, a unit milliseconds.
            self.count = (f64::from(self.count) * more).ceil() as i32;
        }
    }

    fn unit(&mut self) -> Result<f64> {
        let start = Instant::now();
        self.tasks.go(self.count)?;
        Ok(milliseconds(start) / f64::from(self.count))
    }

    fn close(&mut self) -> Result<String> {
        Ok(self.tasks.finish()?.to_string())
    }
}

struct FirstSwitch {
    module: Module,
    setup: [i32; 4],
    result: i32,
}

impl Guest for FirstSwitch {
    fn unit(&mut self) -> Result<f64> {
        let mut running = Running::new(&self.module)?;
        let start = Instant::now();
        running.setup(self.setup)?;
        self.result = running.number("once")?;
        Ok(milliseconds(start))
    }

    fn close(&mut self) -> Result<String> {
        Ok(self.result.to_string())
    }
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
