//! The host of an instance: what its imports do.
//!
//! An import notes its name, its arguments and what the memory looks like, and returns what a hash of all that says.
//! In a lowered module those that suspend follow the protocol of Binaryen's asyncify pass:
//!
//! ```text
//!        outside                          the import
//!   call the export ────────► state 0: note it, start_unwind, return anything
//!   state 1: stop_unwind ◄────────────────────┘
//!   start_rewind, call again ─► state 2: the same arguments? stop_rewind, return the value
//! ```

use crate::case::{Buffers, Case, Limits, Signature};
use crate::engine::{Machine, Stop, Thrown};
use crate::rng::{Rng, mix};
use crate::value::{Type, Value};

/// Before its frames, a suspended call has their end and the buffer's: `current` and `end`.
const HEADER: u32 = 8;

/// So many bytes behind a buffer that is smaller than its place have this value.
const BEHIND: usize = 64;
const UNTOUCHED: u8 = 0xc5;

/// How a host of a lowered module behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Policy {
    /// How probable it is that an import that may suspend does so.
    pub probability: f64,
    /// Whether the buffer is left alone until the call is over. Else it is overwritten, or the guest's again, as soon
    /// as the call goes on.
    pub stable: bool,
    /// Whether an import may suspend again when it is to return.
    pub again: bool,
}

/// Who suspends calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Means {
    /// Nobody.
    Never,
    /// The engine does.
    Engine(Policy),
    /// The lowered module does.
    Lowered(Policy),
}

/// A call of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Of which context.
    pub context: usize,
    /// Of which import.
    pub name: String,
    /// With what.
    pub args: Vec<Value>,
    /// A hash of the guest's memory at that moment.
    pub memory: u64,
}

/// What an import does in the end.
#[derive(Clone, Debug)]
enum Answer {
    Values(Vec<Value>),
    Throws(Thrown),
}

/// An import that suspended the call in which it was called.
#[derive(Clone, Debug)]
struct Pending {
    name: String,
    args: Vec<Value>,
    answer: Answer,
    number: u64,
    /// Where the frames are, and for how much there is room.
    buffer: (u32, u32),
    /// What the guest had there.
    borrowed: Vec<u8>,
    /// How far the frames went.
    used: u32,
}

/// The host of one instance.
#[derive(Debug)]
pub struct Host {
    seed: u64,
    suspending: Vec<String>,
    buffers: Buffers,
    memory: String,
    work: u32,
    limits: Limits,
    room: u32,
    throws: u64,
    pub(crate) tags: Vec<Signature>,
    means: Means,
    decisions: Rng,
    pending: Vec<Option<Pending>>,
    active: usize,
    /// What was called.
    pub log: Vec<Event>,
    /// How often a call was suspended.
    pub suspensions: u64,
    /// How much of its buffer each suspension took.
    pub used: Vec<u32>,
    /// How many exceptions imports threw.
    pub thrown: u64,
}

impl Host {
    /// A host for the case, whose first context is the active one.
    pub fn new(case: &Case, means: Means, contexts: usize) -> Host {
        Host {
            seed: case.seed,
            suspending: case.suspending.clone(),
            buffers: case.buffers,
            memory: case.memory.clone(),
            work: case.work,
            limits: case.limits,
            room: case.room,
            throws: case.throws,
            tags: case.tags.clone(),
            thrown: 0,
            means,
            decisions: Rng::new(case.seed, "decisions"),
            pending: vec![None; contexts.max(1)],
            active: 0,
            log: Vec::new(),
            suspensions: 0,
            used: Vec::new(),
        }
    }

    /// What the calls of imports from now on belong to.
    pub fn activate(&mut self, context: usize) {
        self.active = context;
    }

    /// Whether the active context is suspended.
    pub fn is_suspended(&self) -> bool {
        self.pending.get(self.active).is_some_and(Option::is_some)
    }

    /// The import that suspended the active context.
    pub fn suspended_by(&self) -> Option<&str> {
        self.pending.get(self.active)?.as_ref().map(|pending| pending.name.as_str())
    }

    /// Where the active context is kept.
    pub fn buffer(&self) -> Option<(u32, u32)> {
        self.pending.get(self.active)?.as_ref().map(|pending| pending.buffer)
    }

    /// Notes how far the frames of the active context go.
    ///
    /// # Errors
    ///
    /// If that is not within the buffer.
    pub fn unwound(&mut self, machine: &mut dyn Machine) -> Result<(), Stop> {
        let memory = self.memory.clone();
        let Some(Some(pending)) = self.pending.get_mut(self.active) else {
            return Err(Stop::Fault("unwound, but no import suspended the call".to_owned()));
        };
        let (start, size) = pending.buffer;
        let current = read(machine.memory(&memory), start);
        if !(start + HEADER..=start + size).contains(&current) {
            return Err(Stop::Fault(format!(
                "after unwinding, current is {current:#x} and the buffer at {start:#x}"
            )));
        }
        let behind = machine.memory(&memory).get((start + size) as usize..);
        let behind = behind.map_or(&[][..], |behind| &behind[..behind.len().min(BEHIND)]);
        if self.room < u32::MAX && behind.iter().any(|byte| *byte != UNTOUCHED) {
            return Err(Stop::Fault(format!("written behind the end of the buffer at {start:#x}")));
        }
        pending.used = current - start;
        self.used.push(pending.used);
        Ok(())
    }

    /// An import.
    pub(crate) fn import(
        &mut self,
        machine: &mut dyn Machine,
        name: &str,
        args: &[Value],
        types: &[Type],
    ) -> Result<Vec<Value>, Stop> {
        let state = self.state(machine)?;
        if self.is_suspended() {
            return self.import_again(machine, name, args, types, state);
        }
        if state != 0 {
            return Err(Stop::Fault(format!("{name} is called in state {state}")));
        }
        if self.log.len() >= self.limits.calls {
            return Err(Stop::Exhausted("too many calls of imports".to_owned()));
        }
        let number = self.log.len() as u64;
        let memory = self.hash_of_memory(machine);
        let event = Event { context: self.active, name: name.to_owned(), args: args.to_vec(), memory };
        let answer = self.answer(&event, number, types);
        self.log.push(event);
        let may_suspend = self
            .suspending
            .iter()
            .any(|suspending| suspending.split_once('.').is_some_and(|(_, suspending)| suspending == name));
        if !may_suspend {
            return self.give(answer);
        }
        if self.decides(1.0) {
            let pending = Pending {
                name: name.to_owned(),
                args: args.to_vec(),
                answer,
                number,
                buffer: (0, 0),
                borrowed: Vec::new(),
                used: 0,
            };
            return self.suspend(machine, pending, types);
        }
        self.effect(machine, number);
        self.give(answer)
    }

    /// An import that suspended the call, called once more.
    fn import_again(
        &mut self,
        machine: &mut dyn Machine,
        name: &str,
        args: &[Value],
        types: &[Type],
        state: u32,
    ) -> Result<Vec<Value>, Stop> {
        let Some(pending) = self.pending.get_mut(self.active).and_then(Option::take) else {
            return Err(Stop::Fault("nothing is suspended".to_owned()));
        };
        if state != 2 {
            return Err(Stop::Fault(format!("{name} is called again in state {state}")));
        }
        if (pending.name.as_str(), pending.args.as_slice()) != (name, args) {
            return Err(Stop::Fault(format!(
                "{} {:?} is called again as {name} {args:?}",
                pending.name, pending.args
            )));
        }
        machine.call("asyncify_stop_rewind", &[])?;
        self.is_state(machine, 0, "stop_rewind")?;
        self.take_back(machine, &pending)?;
        if self.decides_again() {
            return self.suspend(machine, pending, types);
        }
        self.effect(machine, pending.number);
        self.give(pending.answer)
    }

    fn give(&mut self, answer: Answer) -> Result<Vec<Value>, Stop> {
        match answer {
            Answer::Values(values) => Ok(values),
            Answer::Throws(thrown) => {
                self.thrown += 1;
                Err(Stop::Exception(thrown))
            }
        }
    }

    /// The values that the import of the active context returns, for an engine that suspends calls by itself. None:
    /// it suspends again.
    pub fn return_values(&mut self, machine: &mut dyn Machine) -> Option<Vec<Value>> {
        if self.decides_again() {
            self.suspensions += 1;
            return None;
        }
        let pending = self.pending.get_mut(self.active)?.take()?;
        self.effect(machine, pending.number);
        // Engines that suspend calls have no exceptions here.
        self.give(pending.answer).ok()
    }

    fn policy(&self) -> Option<Policy> {
        match self.means {
            Means::Never => None,
            Means::Engine(policy) | Means::Lowered(policy) => Some(policy),
        }
    }

    fn decides(&mut self, factor: f64) -> bool {
        let Some(policy) = self.policy() else { return false };
        let suspends = self.decisions.chance(policy.probability * factor);
        suspends && self.suspensions < self.limits.suspensions
    }

    fn decides_again(&mut self) -> bool {
        self.policy().is_some_and(|policy| policy.again) && self.decides(0.1)
    }

    fn suspend(
        &mut self,
        machine: &mut dyn Machine,
        mut pending: Pending,
        types: &[Type],
    ) -> Result<Vec<Value>, Stop> {
        if let Means::Lowered(policy) = self.means {
            // With one context any buffer will do, and a host that allocates them takes another each time.
            let context = match self.pending.len() {
                1 if !policy.stable => (mix(self.suspensions) % 4) as usize,
                _ => self.active,
            };
            let (start, place) = self.buffers.place(context);
            let mut size = place.min(self.room);
            let memory = machine.memory(&self.memory);
            if let Buffers::Borrowed { .. } = self.buffers {
                size = size.min((memory.len() as u32).saturating_sub(start));
                if size < 1024 {
                    // No room: it cannot suspend.
                    return self.give(pending.answer);
                }
                pending.borrowed = memory[start as usize..(start + size) as usize].to_vec();
            }
            if size < place {
                let end = (start + size) as usize;
                memory[end..end + BEHIND].fill(UNTOUCHED);
            }
            pending.buffer = (start, size);
            write(memory, start, start + HEADER);
            write(memory, start + 4, start + size);
            machine.call("asyncify_start_unwind", &[Value::I32(start)])?;
            self.is_state(machine, 1, "start_unwind")?;
        }
        self.suspensions += 1;
        let mut anything = Rng::new(self.suspensions, "dummies");
        if let Some(slot) = self.pending.get_mut(self.active) {
            *slot = Some(pending);
        }
        match self.means {
            Means::Engine(_) => Err(Stop::Suspend),
            _ => Ok(types.iter().map(|ty| Value::random(*ty, &mut anything)).collect()),
        }
    }

    /// The call goes on: what becomes of its buffer.
    fn take_back(&mut self, machine: &mut dyn Machine, pending: &Pending) -> Result<(), Stop> {
        let Means::Lowered(policy) = self.means else { return Ok(()) };
        let (start, _) = pending.buffer;
        let memory = machine.memory(&self.memory);
        let current = read(memory, start);
        if current != start + HEADER {
            return Err(Stop::Fault(format!(
                "after stop_rewind, current is {current:#x} and the buffer at {start:#x}"
            )));
        }
        if let Buffers::Borrowed { .. } = self.buffers {
            let end = start as usize + pending.borrowed.len();
            if let Some(place) = memory.get_mut(start as usize..end) {
                place.copy_from_slice(&pending.borrowed);
            }
        } else if !policy.stable {
            let used = start as usize + HEADER as usize..(start + pending.used) as usize;
            if let Some(used) = memory.get_mut(used) {
                for (index, byte) in used.iter_mut().enumerate() {
                    *byte = 0xa5 ^ index as u8;
                }
            }
        }
        Ok(())
    }

    /// The state, as a lowered module has it; 0 for others.
    fn state(&self, machine: &mut dyn Machine) -> Result<u32, Stop> {
        match self.means {
            Means::Lowered(_) => state(machine),
            _ => Ok(0),
        }
    }

    fn is_state(&self, machine: &mut dyn Machine, wanted: u32, after: &str) -> Result<(), Stop> {
        match self.state(machine)? {
            state if state == wanted => Ok(()),
            state => Err(Stop::Fault(format!("the state is {state} after {after}"))),
        }
    }

    fn hash_of_memory(&self, machine: &mut dyn Machine) -> u64 {
        let memory = machine.memory(&self.memory);
        let seen = &memory[..memory.len().min(1024)];
        seen.chunks(8).fold(0, |hash, chunk| {
            let word = chunk.iter().fold(0, |word, byte| word << 8 | u64::from(*byte));
            (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
        })
    }

    fn answer(&self, event: &Event, number: u64, types: &[Type]) -> Answer {
        let hash = event.args.iter().fold(mix(self.seed ^ number), |hash, arg| mix(hash ^ arg.bits()));
        let mut rng = Rng::new(hash, &event.name);
        let mut random = |types: &[Type]| types.iter().map(|ty| Value::random(*ty, &mut rng)).collect();
        let throws = self.throws > 0 && !self.tags.is_empty() && mix(hash).is_multiple_of(self.throws);
        if throws {
            let tag = (mix(hash ^ 1) % self.tags.len() as u64) as usize;
            return Answer::Throws(Thrown { tag: Some(tag), values: random(&self.tags[tag].params) });
        }
        Answer::Values(random(types))
    }

    /// A suspending import writes into the guest's memory before it returns.
    fn effect(&self, machine: &mut dyn Machine, number: u64) {
        if self.work > 8 {
            let hash = mix(self.seed.wrapping_add(number));
            let at = (hash % u64::from(self.work - 8)) as usize;
            if let Some(place) = machine.memory(&self.memory).get_mut(at..at + 8) {
                place.copy_from_slice(&hash.to_le_bytes());
            }
        }
    }
}

/// The state of a lowered module.
///
/// # Errors
///
/// If it does not tell.
pub fn state(machine: &mut dyn Machine) -> Result<u32, Stop> {
    match machine.call("asyncify_get_state", &[])?.as_slice() {
        [Value::I32(state)] => Ok(*state),
        other => Err(Stop::Fault(format!("the state is {other:?}"))),
    }
}

fn read(memory: &[u8], at: u32) -> u32 {
    let at = at as usize;
    memory.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
}

fn write(memory: &mut [u8], at: u32, value: u32) {
    let at = at as usize;
    if let Some(place) = memory.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
    }
}
