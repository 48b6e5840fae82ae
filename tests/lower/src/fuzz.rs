//! Many cases, on several threads.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use wasmparser::{Validator, WasmFeatures};

use crate::case::{Buffers, Case};
use crate::csmith;
use crate::drive::{self, Verdict};
use crate::engine::Engine;
use crate::generate::{Shape, generate};
use crate::node::{self, Node};
use crate::rng::Rng;
use crate::smith;
use crate::via::{NotLowered, Via};

/// How many cases Node gets at once.
const BATCH: u64 = 40;

/// How often progress is printed.
const PROGRESS: Duration = Duration::from_secs(30);

/// Where modules come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// [`generate`].
    #[default]
    Structured,
    /// [`smith`].
    Smith,
    /// [`csmith`].
    Csmith,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(name: &str) -> Result<Source, String> {
        match name {
            "structured" => Ok(Source::Structured),
            "smith" => Ok(Source::Smith),
            "csmith" => Ok(Source::Csmith),
            _ => Err("the source is structured, smith or csmith".to_owned()),
        }
    }
}

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where modules come from.
    pub source: Source,
    /// What they are like.
    pub shape: Shape,
    /// Whether each has only some of the features.
    pub vary: bool,
    /// What runs them.
    pub engine: Engine,
    /// The program, if that is Node.
    pub node: Option<Node>,
    /// What lowers them. None: nothing does; what the engine makes of a case is compared with what wasmi does.
    pub via: Option<Via>,
    /// Whether hosts leave the buffer alone until a call is over.
    pub stable: bool,
}

impl Settings {
    /// The case of a seed, if there is one.
    pub fn case(&self, seed: u64) -> Option<Case> {
        let mut features = self.shape.features;
        if self.vary {
            features = features.some(&mut Rng::new(seed, "features"));
        }
        match self.source {
            Source::Structured => {
                Case::new(seed, generate(seed, &Shape { features, ..self.shape }), Buffers::GENERATED)
            }
            Source::Csmith => csmith::case(seed).ok(),
            Source::Smith => Case::new(seed, smith::generate(seed, features)?, Buffers::BORROWED),
        }
    }

    /// Lowers the case.
    ///
    /// # Errors
    ///
    /// If it is refused.
    pub fn lower(&self, case: &Case) -> Result<Option<Vec<u8>>, NotLowered> {
        self.via.as_ref().map(|via| via.lower(&case.wasm, &case.suspending)).transpose()
    }

    /// Compares a case with its lowered form, in this process.
    pub fn compare(&self, case: &Case, lowered: Option<&[u8]>) -> Verdict {
        match lowered {
            None => drive::compare_engines(self.engine, case),
            Some(lowered) => match is_valid(lowered) {
                Ok(()) => {
                    self.confirmed(case, lowered, drive::compare(self.engine, case, lowered, self.stable))
                }
                Err(error) => {
                    Verdict { difference: Some(format!("not valid: {error}")), ..Verdict::default() }
                }
            },
        }
    }

    /// The verdict, with a difference that is the fault of wasmi told apart from others, if there is another engine to
    /// ask.
    #[cfg(feature = "wasmtime")]
    fn confirmed(&self, case: &Case, lowered: &[u8], mut verdict: Verdict) -> Verdict {
        if self.engine == Engine::Wasmi
            && let Some(difference) = &verdict.difference
            && drive::is_of_wasmi(case, lowered, self.stable, difference)
        {
            verdict.of_wasmi = verdict.difference.take();
        }
        verdict
    }

    #[cfg(not(feature = "wasmtime"))]
    fn confirmed(&self, _: &Case, _: &[u8], verdict: Verdict) -> Verdict {
        verdict
    }

    /// Whether the case of a seed, lowered anew, differs, and how.
    pub fn difference(&self, case: &Case) -> Option<String> {
        let lowered = match self.lower(case) {
            Ok(lowered) => lowered,
            Err(NotLowered::Refused(_)) => return None,
            Err(broken) => return Some(broken.to_string()),
        };
        if self.engine == Engine::Node {
            return in_node(self, &[(case.clone(), lowered)]).ok()?.pop()?.difference;
        }
        self.compare(case, lowered.as_deref()).difference
    }
}

fn is_valid(wasm: &[u8]) -> Result<(), String> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    validator.validate_all(wasm).map(|_| ()).map_err(|error| error.to_string())
}

/// How long, how much, and where to.
#[derive(Clone, Debug)]
pub struct Extent {
    /// The first seed.
    pub seed: u64,
    /// How many.
    pub cases: u64,
    /// How long at most.
    pub time: Option<Duration>,
    /// On how many threads.
    pub jobs: usize,
    /// Where cases that differ are written to.
    pub output: PathBuf,
    /// Whether progress is printed.
    pub progress: bool,
}

/// What came out of many cases.
#[derive(Debug, Default)]
pub struct Total {
    /// Cases that were compared.
    pub cases: u64,
    /// Seeds without a module.
    pub without: u64,
    /// The sums of all verdicts.
    pub sum: Verdict,
    /// Seeds that differ, and how.
    pub differences: Vec<(u64, String)>,
    /// Seeds that differ in wasmi alone, and how.
    pub of_wasmi: Vec<(u64, String)>,
    /// Cases that were not lowered, by the reason, with a seed.
    pub refused: BTreeMap<String, (u64, u64)>,
}

impl Total {
    fn add(&mut self, verdict: &Verdict) {
        self.cases += 1;
        self.sum.runs += verdict.runs;
        self.sum.suspensions += verdict.suspensions;
        self.sum.events += verdict.events;
        self.sum.traps += verdict.traps;
        self.sum.enlarged += verdict.enlarged;
        self.sum.thrown += verdict.thrown;
        self.sum.uncaught += verdict.uncaught;
        for (reason, count) in &verdict.inconclusive {
            *self.sum.inconclusive.entry(reason.clone()).or_default() += count;
        }
    }

    /// The line at the end.
    pub fn line(&self) -> String {
        format!(
            "{} cases, {} seeds without, {} suspensions in {} runs with {} calls of imports, {} traps, \
             {} exceptions thrown, {} caught, {} uncaught, {} enlarged, {} inconclusive, {} refused, {} differences of wasmi alone, {} differences",
            self.cases,
            self.without,
            self.sum.suspensions,
            self.sum.runs,
            self.sum.events,
            self.sum.traps,
            self.sum.thrown,
            self.sum.thrown.saturating_sub(self.sum.uncaught),
            self.sum.uncaught,
            self.sum.enlarged,
            self.sum.inconclusive.values().sum::<u64>(),
            self.refused.values().map(|(count, _)| count).sum::<u64>(),
            self.of_wasmi.len(),
            self.differences.len(),
        )
    }
}

/// Compares many cases.
///
/// # Errors
///
/// If files cannot be written or Node does not run.
pub fn fuzz(settings: &Settings, extent: &Extent) -> Result<Total, String> {
    if settings.source == Source::Csmith {
        csmith::compiler()?;
    }
    let total = Mutex::new(Total::default());
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let step = if settings.engine == Engine::Node { BATCH } else { 1 };
    let work = || -> Result<(), String> {
        while !stop.load(Ordering::Relaxed) {
            let first = next.fetch_add(step, Ordering::Relaxed);
            if first >= extent.cases || extent.time.is_some_and(|time| started.elapsed() > time) {
                break;
            }
            let seeds = first..(first + step).min(extent.cases);
            let seeds: Vec<u64> = seeds.map(|index| extent.seed.wrapping_add(index)).collect();
            batch(settings, extent, &total, &seeds)?;
        }
        Ok(())
    };
    let result = thread::scope(|scope| {
        let workers: Vec<_> = (0..extent.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        let mut said = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(20));
            if extent.progress && said.elapsed() > PROGRESS {
                said = Instant::now();
                eprintln!("{:.0?}: {}", started.elapsed(), lock(&total).line());
            }
        }
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(_) => Err("a worker panicked".to_owned()),
        })
    });
    result?;
    Ok(total.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn lock(total: &Mutex<Total>) -> std::sync::MutexGuard<'_, Total> {
    total.lock().unwrap_or_else(PoisonError::into_inner)
}

fn batch(settings: &Settings, extent: &Extent, total: &Mutex<Total>, seeds: &[u64]) -> Result<(), String> {
    let mut cases = Vec::new();
    for seed in seeds {
        let Some(case) = settings.case(*seed) else {
            lock(total).without += 1;
            continue;
        };
        match settings.lower(&case) {
            Ok(lowered) => cases.push((case, lowered)),
            Err(broken @ NotLowered::Broken(_)) => {
                let difference = broken.to_string();
                kept(settings, extent, &case, None, &difference)?;
                lock(total).differences.push((case.seed, difference));
            }
            Err(NotLowered::Refused(reason)) => {
                lock(total).refused.entry(drive::pattern(&reason)).or_insert((0, *seed)).0 += 1;
            }
        }
    }
    let verdicts = match settings.engine {
        Engine::Node => in_node(settings, &cases)?,
        _ => cases.iter().map(|(case, lowered)| settings.compare(case, lowered.as_deref())).collect(),
    };
    for ((case, lowered), verdict) in cases.iter().zip(verdicts) {
        lock(total).add(&verdict);
        if let Some(difference) = verdict.of_wasmi {
            kept(settings, extent, case, lowered.as_deref(), &format!("wasmi alone, {difference}"))?;
            lock(total).of_wasmi.push((case.seed, difference));
        }
        if let Some(difference) = verdict.difference {
            kept(settings, extent, case, lowered.as_deref(), &difference)?;
            lock(total).differences.push((case.seed, difference));
        }
    }
    Ok(())
}

fn kept(
    settings: &Settings,
    extent: &Extent,
    case: &Case,
    lowered: Option<&[u8]>,
    difference: &str,
) -> Result<(), String> {
    let directory = extent.output.join(case.seed.to_string());
    keep(&directory, case, lowered, settings, difference)
        .map_err(|error| format!("{}: {error}", directory.display()))
}

fn in_node(settings: &Settings, cases: &[(Case, Option<Vec<u8>>)]) -> Result<Vec<Verdict>, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    for (index, (case, lowered)) in cases.iter().enumerate() {
        node::write(&directory.path().join(index.to_string()), case, lowered.as_deref(), settings.stable)
            .map_err(|error| error.to_string())?;
    }
    let node = settings.node.as_ref().ok_or("there is no Node")?;
    if cases.is_empty() { Ok(Vec::new()) } else { node.compare(directory.path(), cases.len()) }
}

/// Writes a case that differs, with all that is needed to look at it.
///
/// # Errors
///
/// If that does not work.
pub fn keep(
    directory: &Path,
    case: &Case,
    lowered: Option<&[u8]>,
    settings: &Settings,
    difference: &str,
) -> io::Result<()> {
    node::write(directory, case, lowered, settings.stable)?;
    fs::write(
        directory.join("difference.txt"),
        format!("{difference}\n\n{settings:#?}\n\n{:#?}\n", case.calls),
    )?;
    for (name, wasm) in [("base.wat", Some(case.wasm.as_slice())), ("lowered.wat", lowered)] {
        if let Some(text) = wasm.and_then(|wasm| wasmprinter::print_bytes(wasm).ok()) {
            fs::write(directory.join(name), text)?;
        }
    }
    Ok(())
}
