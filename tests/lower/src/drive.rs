//! Runs a case, as it is and lowered, and says where they differ.

use std::fmt::Debug;

use crate::case::{Buffers, Call, Case};
use crate::engine::{Engine, Interpreter, Machine, Progress, SharedHost, Stop, Suspended, instantiate};
use crate::host::{Event, Host, Means, Policy, state};
use crate::rng::Rng;
use crate::value::Value;

/// How a call of an export ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
    Values(Vec<Value>),
    /// It trapped.
    Trap,
}

/// What can be seen of a run from outside.
#[derive(Debug)]
pub struct Run {
    outcomes: Vec<Outcome>,
    log: Vec<Event>,
    memories: Vec<(String, Vec<u8>)>,
    globals: Vec<(String, Option<Value>)>,
    /// How often a call was suspended.
    pub suspensions: u64,
}

impl Run {
    /// How many calls trapped.
    fn traps(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| **outcome == Outcome::Trap).count() as u64
    }
}

/// Why there is nothing to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRun {
    /// The run says nothing: the engine gave up.
    Inconclusive(String),
    /// The lowered module did something that it must not do.
    Fault(String),
}

/// One run of a case, the calls one after another.
///
/// # Errors
///
/// If the run says nothing, or shows a fault by itself.
pub fn sequence(engine: Engine, case: &Case, wasm: &[u8], means: Means) -> Result<Run, NoRun> {
    let host = SharedHost::new(Host::new(case, means, 1));
    let mut machine = instantiate(engine, wasm, &host).map_err(no_run)?;
    let mut outcomes = Vec::new();
    for call in &case.calls {
        machine.refuel();
        machine.set_global("fuel", Value::I32(case.fuel));
        let mut done = match means {
            Means::Lowered(_) => call_lowered(machine.as_mut(), &host, call),
            _ => machine.call(&call.export, &call.args).map(Some),
        };
        while let Ok(None) = done {
            done = resume_lowered(machine.as_mut(), &host, call);
        }
        outcomes.push(outcome(done.map(Option::unwrap_or_default))?);
    }
    Ok(finish(case, machine.as_mut(), &host, outcomes))
}

/// One run of a case in wasmi with all calls at once: each may be suspended, then any of them goes on. Which one, the
/// seed decides.
///
/// # Errors
///
/// If the run says nothing, or shows a fault by itself.
pub fn interleaved(case: &Case, wasm: &[u8], means: Means) -> Result<Run, NoRun> {
    let contexts = case.calls.len();
    let host = SharedHost::new(Host::new(case, means, contexts));
    let mut machine = Interpreter::new(wasm, &host).map_err(no_run)?;
    // For all contexts together: it bounds how deep a call may be, and what is suspended has to fit its buffer.
    machine.set_global("fuel", Value::I32(case.fuel));
    let mut schedule = Rng::new(case.seed, "schedule");
    let mut outcomes = vec![None; contexts];
    let mut suspended: Vec<Option<Suspended>> = (0..contexts).map(|_| None).collect();
    loop {
        let unfinished: Vec<usize> = (0..contexts).filter(|context| outcomes[*context].is_none()).collect();
        let Some(context) = schedule.pick(&unfinished) else { break };
        let call = &case.calls[context];
        machine.refuel();
        host.get().activate(context);
        let resumes = host.get().is_suspended();
        let done = match means {
            Means::Lowered(_) if resumes => resume_lowered(&mut machine, &host, call),
            Means::Lowered(_) => call_lowered(&mut machine, &host, call),
            _ => {
                let progress = match suspended[context].take() {
                    None => machine.start(&call.export, &call.args),
                    Some(call) => {
                        let values = host.get().return_values(&mut machine);
                        match values {
                            None => Ok(Progress::Suspended(call)),
                            Some(values) => machine.resume(call, &values),
                        }
                    }
                };
                progress.map(|progress| match progress {
                    Progress::Done(values) => Some(values),
                    Progress::Suspended(call) => {
                        suspended[context] = Some(call);
                        None
                    }
                })
            }
        };
        if !matches!(done, Ok(None)) {
            outcomes[context] = Some(outcome(done.map(Option::unwrap_or_default))?);
        }
    }
    Ok(finish(case, &mut machine, &host, outcomes.into_iter().flatten().collect()))
}

/// Calls an export of a lowered module. None: it is suspended.
fn call_lowered(
    machine: &mut dyn Machine,
    host: &SharedHost,
    call: &Call,
) -> Result<Option<Vec<Value>>, Stop> {
    let result = machine.call(&call.export, &call.args);
    if let Err(Stop::Trap(text)) = &result {
        let text = text.clone();
        let state = state(machine)?;
        if state != 0 || host.get().is_suspended() {
            let name = host.get().suspended_by().unwrap_or("nothing").to_owned();
            return Err(Stop::Fault(format!("{text} in state {state}, suspended by {name}")));
        }
    }
    let values = result?;
    // Not in the `match`: it would keep the lock.
    let suspended = host.get().is_suspended();
    match (state(machine)?, suspended) {
        (0, false) => Ok(Some(values)),
        (1, true) => {
            machine.call("asyncify_stop_unwind", &[]).map_err(|stop| match stop {
                // It does nothing but move frames to the buffer.
                Stop::Trap(text) => Stop::Exhausted(format!("stop_unwind: {text}")),
                stop => stop,
            })?;
            if state(machine)? != 0 {
                return Err(Stop::Fault("still unwinding after stop_unwind".to_owned()));
            }
            host.get().unwound(machine)?;
            Ok(None)
        }
        (state, suspended) => Err(Stop::Fault(format!(
            "{} returned in state {state}, {}",
            call.export,
            if suspended { "suspended" } else { "not suspended" },
        ))),
    }
}

/// Goes on with a suspended call. None: it is suspended again.
fn resume_lowered(
    machine: &mut dyn Machine,
    host: &SharedHost,
    call: &Call,
) -> Result<Option<Vec<Value>>, Stop> {
    let Some((start, _)) = host.get().buffer() else {
        return Err(Stop::Fault("nothing is suspended".to_owned()));
    };
    machine.call("asyncify_start_rewind", &[Value::I32(start)])?;
    if state(machine)? != 2 {
        return Err(Stop::Fault("not rewinding after start_rewind".to_owned()));
    }
    call_lowered(machine, host, call)
}

fn outcome(result: Result<Vec<Value>, Stop>) -> Result<Outcome, NoRun> {
    match result {
        Ok(values) => Ok(Outcome::Values(values)),
        Err(Stop::Trap(_)) => Ok(Outcome::Trap),
        Err(stop) => Err(no_run(stop)),
    }
}

fn no_run(stop: Stop) -> NoRun {
    match stop {
        Stop::Exhausted(text) => NoRun::Inconclusive(text),
        stop => NoRun::Fault(stop.to_string()),
    }
}

fn finish(case: &Case, machine: &mut dyn Machine, host: &SharedHost, outcomes: Vec<Outcome>) -> Run {
    let mut memories = Vec::new();
    for name in &case.memories {
        let mut memory = machine.memory(name).to_vec();
        if *name == case.memory
            && let Some(reserved) = memory.get_mut(case.buffers.reserved())
        {
            reserved.fill(0);
        }
        memories.push((name.clone(), memory));
    }
    let globals = case.globals.iter().map(|name| (name.clone(), machine.global(name))).collect();
    let mut host = host.get();
    Run { outcomes, log: std::mem::take(&mut host.log), memories, globals, suspensions: host.suspensions }
}

/// Where two runs differ. None: nowhere.
pub fn difference(base: &Run, lowered: &Run) -> Option<String> {
    first("call of an import", &base.log, &lowered.log)
        .or_else(|| first("outcome", &base.outcomes, &lowered.outcomes))
        .or_else(|| first("global", &base.globals, &lowered.globals))
        .or_else(|| {
            for ((name, base), (_, lowered)) in base.memories.iter().zip(&lowered.memories) {
                if base.len() != lowered.len() {
                    return Some(format!("size of memory {name}: {} and {}", base.len(), lowered.len()));
                }
                if let Some(at) = (0..base.len()).find(|at| base[*at] != lowered[*at]) {
                    return Some(format!("memory {name} at {at:#x}: {:#x} and {:#x}", base[at], lowered[at]));
                }
            }
            None
        })
}

fn first<T: PartialEq + Debug>(what: &str, base: &[T], lowered: &[T]) -> Option<String> {
    let longer = base.len().max(lowered.len());
    let at = (0..longer).find(|at| base.get(*at) != lowered.get(*at))?;
    let show = |one: Option<&T>| one.map_or_else(|| "none".to_owned(), |one| format!("{one:?}"));
    Some(format!("{what} {at}: {} and {}", show(base.get(at)), show(lowered.get(at))))
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Runs of the lowered module that were compared.
    pub runs: u64,
    /// How often a call was suspended in them.
    pub suspensions: u64,
    /// How many calls of imports there were in them.
    pub events: u64,
    /// How many calls of exports trapped in the original.
    pub traps: u64,
    /// What could not be compared.
    pub inconclusive: u64,
    /// How they differ, with the run in which they do.
    pub difference: Option<String>,
}

/// Compares a case with its lowered form: never suspended, now and then, whenever it may be, and, in wasmi, with all
/// calls interleaved. Stops at the first difference.
pub fn compare(engine: Engine, case: &Case, lowered: &[u8], stable: bool) -> Verdict {
    let mut verdict = Verdict::default();
    let base = match sequence(engine, case, &case.wasm, Means::Never) {
        Ok(base) => base,
        Err(_) => {
            verdict.inconclusive += 1;
            return verdict;
        }
    };
    verdict.traps += base.traps();
    let policy = |probability, again| Policy { probability, stable, again };
    for policy in [policy(0.0, false), policy(0.3, true), policy(1.0, false)] {
        let run = sequence(engine, case, lowered, Means::Lowered(policy));
        if verdict.add(&base, run, &format!("one after another, {policy:?}")) {
            return verdict;
        }
    }
    if engine == Engine::Wasmi && matches!(case.buffers, Buffers::Reserved { .. }) {
        for policy in [policy(0.4, true), policy(1.0, false)] {
            let Ok(base) = interleaved(case, &case.wasm, Means::Engine(policy)) else {
                verdict.inconclusive += 1;
                continue;
            };
            let run = interleaved(case, lowered, Means::Lowered(policy));
            if verdict.add(&base, run, &format!("interleaved, {policy:?}")) {
                return verdict;
            }
        }
    }
    verdict
}

/// Compares what wasmi makes of a case with what another engine does; wasmi itself is run twice.
pub fn compare_engines(engine: Engine, case: &Case) -> Verdict {
    let mut verdict = Verdict::default();
    match sequence(Engine::Wasmi, case, &case.wasm, Means::Never) {
        Ok(base) => {
            verdict.traps += base.traps();
            let run = sequence(engine, case, &case.wasm, Means::Never);
            verdict.add(&base, run, "as it is");
        }
        Err(_) => verdict.inconclusive += 1,
    }
    verdict
}

impl Verdict {
    /// Adds a run; true if it differs.
    fn add(&mut self, base: &Run, run: Result<Run, NoRun>, how: &str) -> bool {
        self.runs += 1;
        match run {
            Ok(run) => {
                self.suspensions += run.suspensions;
                self.events += run.log.len() as u64;
                self.difference = difference(base, &run);
            }
            Err(NoRun::Inconclusive(_)) => self.inconclusive += 1,
            Err(NoRun::Fault(fault)) => self.difference = Some(fault),
        }
        if let Some(difference) = &mut self.difference {
            *difference = format!("{how}: {difference}");
        }
        self.difference.is_some()
    }
}
