//! Runs a case, as it is and lowered, and says where they differ.

use std::collections::BTreeMap;
use std::fmt::Debug;

use crate::case::{Buffers, Call, Case};
use crate::engine::{
    Engine, Interpreter, Machine, Progress, SharedHost, Stop, Suspended, Thrown, instantiate,
};
use crate::host::{Event, Host, Means, Policy, state};
use crate::relay::with_relays;
use crate::rng::Rng;
use crate::value::Value;

/// How a call of an export ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It returned.
    Values(Vec<Value>),
    /// It trapped.
    Trap,
    /// It threw what nobody caught.
    Exception(Thrown),
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
    /// How much of its buffer each suspension took.
    used: Vec<u32>,
    /// How many exceptions the host threw.
    thrown: u64,
}

impl Run {
    /// How many calls trapped.
    fn traps(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| **outcome == Outcome::Trap).count() as u64
    }

    /// How many calls threw.
    fn exceptions(&self) -> u64 {
        self.outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Exception(_))).count() as u64
    }

    /// How many exceptions were thrown. Generated code counts those of its own.
    fn thrown(&self) -> u64 {
        let own = self.globals.iter().find(|(name, _)| name == "thrown");
        match own {
            Some((_, Some(Value::I32(own)))) => self.thrown + u64::from(*own),
            _ => self.thrown,
        }
    }
}

/// Why there is nothing to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRun {
    /// The run says nothing: the engine gave up.
    Inconclusive(String),
    /// The lowered module did something that it must not do.
    Fault(String),
    /// There is no instance.
    Stillborn(String),
    /// It trapped amid a suspension, as it does if the buffer is too small.
    NoRoom(NoRoom),
}

/// A run that ended amid a suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom {
    /// How.
    text: String,
    /// Which suspension it was, from 0.
    suspension: usize,
    /// The size of its buffer.
    room: u32,
    /// What was called before.
    log: Vec<Event>,
}

/// How much less than all of a buffer may be too little: a stable one keeps room for the header of a segment that may
/// never come.
const SLACK: u32 = 32;

impl NoRoom {
    fn new(text: String, host: &SharedHost) -> NoRoom {
        let mut host = host.get();
        NoRoom {
            text,
            suspension: host.used.len(),
            room: host.buffer().map_or(0, |(_, size)| size),
            log: std::mem::take(&mut host.log),
        }
    }

    /// What was wrong with the trap, if that is how the run goes on where there is enough room. An error: that run does
    /// not tell.
    fn judge(&self, run: &Run) -> Result<Option<String>, String> {
        let needed = run.used.get(self.suspension);
        match needed {
            // The guest may see how large its memory is, and do something else.
            Some(needed) if run.log.starts_with(&self.log) => {
                let fits = needed + SLACK <= self.room;
                Ok(fits.then(|| format!("{}: {needed} bytes would fit {}", self.text, self.room)))
            }
            _ => Err(format!("{}, and otherwise in a larger memory", self.text)),
        }
    }
}

/// One run of a case, the calls one after another.
///
/// # Errors
///
/// If the run says nothing, or shows a fault by itself.
pub fn sequence(engine: Engine, case: &Case, wasm: &[u8], means: Means) -> Result<Run, NoRun> {
    let host = SharedHost::new(Host::new(case, means, 1));
    let mut machine = instantiate(engine, wasm, &host).map_err(stillborn)?;
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
        outcomes.push(outcome(done.map(Option::unwrap_or_default), &host)?);
    }
    Ok(finish(case, machine.as_mut(), &host, outcomes))
}

/// One run of the original in wasmi, or of a lowered module in any engine, with all calls at once: each may be suspended,
/// then any of them goes on. Which one, the seed decides.
///
/// # Errors
///
/// If the run says nothing, or shows a fault by itself.
pub fn interleaved(engine: Engine, case: &Case, wasm: &[u8], means: Means) -> Result<Run, NoRun> {
    let contexts = case.calls.len();
    let host = SharedHost::new(Host::new(case, means, contexts));
    if let Means::Lowered(_) = means {
        let mut machine = instantiate(engine, wasm, &host).map_err(stillborn)?;
        let outcomes =
            interleave(case, machine.as_mut(), &host, |machine, _, call, resumes| match resumes {
                true => resume_lowered(machine, &host, call),
                false => call_lowered(machine, &host, call),
            })?;
        return Ok(finish(case, machine.as_mut(), &host, outcomes));
    }
    let relayed = with_relays(wasm);
    let mut machine = Interpreter::new(relayed.as_deref().unwrap_or(wasm), &host).map_err(stillborn)?;
    let mut suspended: Vec<Option<Suspended>> = (0..contexts).map(|_| None).collect();
    let outcomes = interleave(case, &mut machine, &host, |machine, context, call, _| {
        let progress = match suspended[context].take() {
            None => machine.start(&call.export, &call.args),
            Some(call) => {
                let values = host.get().return_values(machine);
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
    })?;
    Ok(finish(case, &mut machine, &host, outcomes))
}

/// Goes on with one of the calls, which the seed chooses, until all are over. `step` is told which, and whether it has
/// been suspended.
fn interleave<M: Machine + ?Sized>(
    case: &Case,
    machine: &mut M,
    host: &SharedHost,
    mut step: impl FnMut(&mut M, usize, &Call, bool) -> Result<Option<Vec<Value>>, Stop>,
) -> Result<Vec<Outcome>, NoRun> {
    let contexts = case.calls.len();
    machine.set_global("fuel", Value::I32(case.fuel * contexts as u32));
    let mut schedule = Rng::new(case.seed, "schedule");
    let mut outcomes = vec![None; contexts];
    loop {
        let unfinished: Vec<usize> = (0..contexts).filter(|context| outcomes[*context].is_none()).collect();
        let Some(context) = schedule.pick(&unfinished) else { break };
        let call = &case.calls[context];
        machine.refuel();
        host.get().activate(context);
        let resumes = host.get().is_suspended();
        let done = step(machine, context, call, resumes);
        if !matches!(done, Ok(None)) {
            outcomes[context] = Some(outcome(done.map(Option::unwrap_or_default), host)?);
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// Calls an export of a lowered module. None: it is suspended.
fn call_lowered(
    machine: &mut dyn Machine,
    host: &SharedHost,
    call: &Call,
) -> Result<Option<Vec<Value>>, Stop> {
    let result = machine.call(&call.export, &call.args);
    if let Err(stop @ (Stop::Trap(_) | Stop::Exception(_))) = &result {
        let text = stop.to_string();
        let state = state(machine)?;
        let import = host.get().suspended_by().map(str::to_owned);
        match import {
            // A stable buffer is written to while the call unwinds. Or it is something else: with more room it would be, too.
            Some(import) => {
                return Err(Stop::NoRoom(format!("{text} in state {state}, suspended by {import}")));
            }
            None if state != 0 => return Err(Stop::Fault(format!("{text} in state {state}"))),
            None => {}
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
                Stop::Trap(text) => Stop::NoRoom(format!("stop_unwind: {text}")),
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

fn outcome(result: Result<Vec<Value>, Stop>, host: &SharedHost) -> Result<Outcome, NoRun> {
    match result {
        Ok(values) => Ok(Outcome::Values(values)),
        Err(Stop::Trap(_)) => Ok(Outcome::Trap),
        Err(Stop::Exception(thrown)) => Ok(Outcome::Exception(thrown)),
        Err(Stop::NoRoom(text)) => Err(NoRun::NoRoom(NoRoom::new(text, host))),
        Err(stop) => Err(no_run(stop)),
    }
}

fn no_run(stop: Stop) -> NoRun {
    match stop {
        Stop::Exhausted(text) => NoRun::Inconclusive(text),
        stop => NoRun::Fault(stop.to_string()),
    }
}

fn stillborn(stop: Stop) -> NoRun {
    NoRun::Stillborn(stop.to_string())
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
    Run {
        outcomes,
        log: std::mem::take(&mut host.log),
        memories,
        globals,
        suspensions: host.suspensions,
        used: std::mem::take(&mut host.used),
        thrown: host.thrown,
    }
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
                if base != lowered
                    && let Some(at) = (0..base.len()).find(|at| base[*at] != lowered[*at])
                {
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
    /// Those of them that were done once more, as their buffers were too small.
    pub enlarged: u64,
    /// How often a call was suspended in them.
    pub suspensions: u64,
    /// How many calls of imports there were in them.
    pub events: u64,
    /// How many calls of exports trapped in the original.
    pub traps: u64,
    /// How many exceptions were thrown in it, by generated code and by the host.
    pub thrown: u64,
    /// How many calls of exports ended with one.
    pub uncaught: u64,
    /// What could not be compared, by the reason.
    pub inconclusive: BTreeMap<String, u64>,
    /// How they differ, with the run in which they do.
    pub difference: Option<String>,
    /// How they differ in wasmi, if they do not in another engine.
    pub of_wasmi: Option<String>,
}

/// A run of the original and one of the lowered module that must be alike.
type Pair = (Result<Run, NoRun>, Result<Run, NoRun>);

/// Compares a case with its lowered form: never suspended, now and then, whenever it may be, and, in wasmi, with all
/// calls interleaved. Stops at the first difference.
pub fn compare(engine: Engine, case: &Case, lowered: &[u8], stable: bool) -> Verdict {
    let mut verdict = Verdict::default();
    let base = match sequence(engine, case, &case.wasm, Means::Never) {
        Ok(base) => base,
        Err(NoRun::Stillborn(text)) if engine.takes(&case.wasm) => {
            // A segment that does not fit, for example: neither must do anything.
            let run = sequence(engine, case, lowered, Means::Lowered(Policy::default()));
            if !matches!(run, Err(NoRun::Stillborn(_))) {
                verdict.difference = Some(format!("the original has no instance: {text}"));
            }
            verdict.runs += 1;
            return verdict;
        }
        Err(no_run) => {
            verdict.nothing("original", no_run);
            return verdict;
        }
    };
    verdict.of_original(&base);
    let policy = |probability, again| Policy { probability, stable, again };
    for policy in [policy(0.0, false), policy(0.3, true), policy(1.0, false)] {
        let means = Means::Lowered(policy);
        let run = sequence(engine, case, lowered, means);
        let again = || {
            let (case, lowered) = case.with_larger_buffers(lowered)?;
            let base = sequence(engine, &case, &case.wasm, Means::Never);
            Some((base, sequence(engine, &case, &lowered, means)))
        };
        if verdict.add(&format!("one after another, {policy:?}"), &base, run, again) {
            return verdict;
        }
    }
    if engine == Engine::Wasmi && matches!(case.buffers, Buffers::Reserved { .. }) {
        for policy in [policy(0.4, true), policy(1.0, false)] {
            let pair = |case: &Case, lowered: &[u8]| {
                let base = interleaved(engine, case, &case.wasm, Means::Engine(policy));
                (base, interleaved(engine, case, lowered, Means::Lowered(policy)))
            };
            let (base, run) = pair(case, lowered);
            let base = match base {
                Ok(base) => base,
                Err(no_run) => {
                    verdict.nothing("original, interleaved", no_run);
                    continue;
                }
            };
            let again = || {
                let (case, lowered) = case.with_larger_buffers(lowered)?;
                Some(pair(&case, &lowered))
            };
            if verdict.add(&format!("{INTERLEAVED}, {policy:?}"), &base, run, again) {
                return verdict;
            }
        }
    }
    verdict
}

/// How the description of a difference begins that another engine cannot repeat.
const INTERLEAVED: &str = "interleaved";

/// Whether a difference in wasmi is the fault of wasmi: another engine finds none.
///
/// No other engine suspends calls by itself. For interleaved calls it is asked instead whether it makes of the lowered
/// module what wasmi makes of the original, or something else of the original than wasmi.
#[cfg(feature = "wasmtime")]
pub fn is_of_wasmi(case: &Case, lowered: &[u8], stable: bool, difference: &str) -> bool {
    let other = Engine::Wasmtime;
    let verdict = compare(other, case, lowered, stable);
    if verdict.difference.is_some() || !verdict.inconclusive.is_empty() {
        return false;
    }
    if !difference.starts_with(INTERLEAVED) {
        return true;
    }
    let alike = |a: Result<Run, NoRun>, b: Result<Run, NoRun>| match (a, b) {
        (Ok(a), Ok(b)) => Some(self::difference(&a, &b).is_none()),
        _ => None,
    };
    let policy = |probability, again| Policy { probability, stable, again };
    let repeated = [policy(0.4, true), policy(1.0, false)].into_iter().all(|policy| {
        let base = interleaved(Engine::Wasmi, case, &case.wasm, Means::Engine(policy));
        alike(base, interleaved(other, case, lowered, Means::Lowered(policy))) == Some(true)
    });
    let original = |engine| sequence(engine, case, &case.wasm, Means::Never);
    repeated || alike(original(Engine::Wasmi), original(other)) == Some(false)
}

/// Compares what wasmi makes of a case with what another engine does. If that is wasmi, or wasmi does not take the
/// module, the engine runs it twice.
pub fn compare_engines(engine: Engine, case: &Case) -> Verdict {
    let mut verdict = Verdict::default();
    let first = if Engine::Wasmi.takes(&case.wasm) { Engine::Wasmi } else { engine };
    match sequence(first, case, &case.wasm, Means::Never) {
        Ok(base) => {
            verdict.of_original(&base);
            let run = sequence(engine, case, &case.wasm, Means::Never);
            verdict.add("as it is", &base, run, || None);
        }
        Err(no_run) => verdict.nothing("original", no_run),
    }
    verdict
}

/// A message without what is of one case only: numbers and names.
pub fn pattern(text: &str) -> String {
    let mut pattern = String::new();
    let mut name = false;
    for c in text.chars() {
        let shown = match c {
            '`' => {
                name = !name;
                c
            }
            _ if name => '_',
            _ if c.is_ascii_digit() => '#',
            'a'..='f' if pattern.ends_with(['#', '_']) || pattern.ends_with("#x") => '#',
            _ => c,
        };
        if !(matches!(shown, '#' | '_') && pattern.ends_with(shown)) {
            pattern.push(shown);
        }
    }
    pattern.chars().take(160).collect()
}

impl Verdict {
    fn of_original(&mut self, run: &Run) {
        self.traps += run.traps();
        self.thrown += run.thrown();
        self.uncaught += run.exceptions();
    }

    /// Notes a run without anything to compare.
    fn nothing(&mut self, which: &str, no_run: NoRun) {
        let text = match no_run {
            NoRun::Inconclusive(text) | NoRun::Fault(text) | NoRun::Stillborn(text) => text,
            NoRun::NoRoom(no_room) => no_room.text,
        };
        *self.inconclusive.entry(pattern(&format!("{which}: {text}"))).or_default() += 1;
    }

    /// Compares a run with that of the original; true if it differs. If it trapped for want of room, both are done again
    /// with a lot of it: then they must be alike, and the room must have been too little.
    fn add(
        &mut self,
        how: &str,
        base: &Run,
        run: Result<Run, NoRun>,
        again: impl FnOnce() -> Option<Pair>,
    ) -> bool {
        self.runs += 1;
        let found = match run {
            Ok(run) => {
                self.count(&run);
                Ok(difference(base, &run))
            }
            Err(NoRun::NoRoom(no_room)) => {
                self.enlarged += 1;
                self.judge(&no_room, again())
            }
            Err(NoRun::Fault(fault)) => Ok(Some(fault)),
            Err(NoRun::Stillborn(text)) => Ok(Some(format!("no instance: {text}"))),
            Err(NoRun::Inconclusive(text)) => Err(text),
        };
        match found {
            Ok(found) => self.difference = found.map(|found| format!("{how}: {found}")),
            Err(text) => self.nothing("lowered", NoRun::Inconclusive(text)),
        }
        self.difference.is_some()
    }

    fn judge(&mut self, no_room: &NoRoom, again: Option<Pair>) -> Result<Option<String>, String> {
        let (base, run) = match again {
            Some((Ok(base), run)) => (base, run),
            _ => return Err(format!("{}, and there is no more", no_room.text)),
        };
        match run {
            Ok(run) => {
                self.count(&run);
                match difference(&base, &run) {
                    Some(difference) => Ok(Some(format!("with larger buffers: {difference}"))),
                    None => no_room.judge(&run),
                }
            }
            Err(NoRun::NoRoom(large)) => Ok(Some(format!("{}, with room for {}", large.text, large.room))),
            Err(NoRun::Fault(text) | NoRun::Stillborn(text)) => {
                Ok(Some(format!("with larger buffers: {text}")))
            }
            Err(NoRun::Inconclusive(text)) => Err(text),
        }
    }

    fn count(&mut self, run: &Run) {
        self.suspensions += run.suspensions;
        self.events += run.log.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::{Case, Means, Policy, Verdict, compare, sequence};
    use crate::case::Buffers;
    use crate::engine::Engine;
    use crate::via::Via;

    const MODULE: &str = r#"
        (module
            (import "env" "s0" (func $s0 (param i32) (result i32)))
            (memory (export "memory") 17)
            (func (export "run") (param i32) (result i32)
                (i32.add (local.get 0) (call $s0 (local.get 0)))))"#;

    const ALWAYS: Policy = Policy { probability: 1.0, stable: false, again: false };

    /// The module, lowered, and what a suspension takes.
    fn lowered() -> (Case, Vec<u8>, u32) {
        let wasm = wat::parse_str(MODULE).expect("is text format");
        let case = Case::new(1, wasm, Buffers::GENERATED).expect("a case");
        let case = Case { room: u32::MAX, ..case };
        let via = Via::library("own", "balanced", false).expect("an engine");
        let lowered = via.lower(&case.wasm, &case.suspending).expect("is lowered");
        let run = sequence(Engine::Wasmi, &case, &lowered, Means::Lowered(ALWAYS)).expect("runs");
        let used = run.used[0];
        (case, lowered, used)
    }

    fn compare_with(case: &Case, lowered: &[u8], room: u32) -> Verdict {
        compare(Engine::Wasmi, &Case { room, ..case.clone() }, lowered, false)
    }

    /// The lowered module with another comparison in `stop_unwind`: `end < current + frames + 16`.
    fn with_check(lowered: &[u8], check: [u8; 4]) -> Vec<u8> {
        const CHECK: [u8; 4] = [0x42, 16, 0x7c, 0x54];
        let found: Vec<usize> = (0..lowered.len()).filter(|at| lowered[*at..].starts_with(&CHECK)).collect();
        assert_eq!(found.len(), 1, "the comparison is in another place");
        let mut wasm = lowered.to_vec();
        wasm[found[0]..found[0] + 4].copy_from_slice(&check);
        wasm
    }

    #[test]
    fn what_does_not_fit_is_compared_with_more_room() {
        let (case, lowered, used) = lowered();
        for (room, enlarged) in [(used, false), (used - 1, true), (24, true)] {
            let verdict = compare_with(&case, &lowered, room);
            assert_eq!((verdict.difference, verdict.enlarged > 0), (None, enlarged), "room for {room}");
            assert!(verdict.inconclusive.is_empty());
        }
    }

    #[test]
    fn a_trap_though_there_is_room_differs() {
        let (case, lowered, used) = lowered();
        // 47 bytes too early.
        let early = with_check(&lowered, [0x42, 63, 0x7c, 0x54]);
        let difference = compare_with(&case, &early, used + 40).difference.expect("differs");
        assert!(difference.contains("would fit"), "{difference}");
        assert_eq!(compare_with(&case, &early, used + 47).difference, None);
        // `!=`: always.
        let never = with_check(&lowered, [0x42, 16, 0x7c, 0x52]);
        let difference = compare_with(&case, &never, 8192).difference.expect("differs");
        assert!(difference.contains("with room for"), "{difference}");
        // 16 bytes too late.
        let late = with_check(&lowered, [0x42, 0, 0x7c, 0x54]);
        let difference = compare_with(&case, &late, used - 1).difference.expect("differs");
        assert!(difference.contains("after unwinding"), "{difference}");
    }
}
