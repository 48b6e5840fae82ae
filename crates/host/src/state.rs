//! What a store carries beside the embedder's own state.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::Waker,
};

use wasmtime::{Func, Memory, StoreLimits};

use crate::{
    clock::{Alarm, Clock},
    convert::Arg,
    error::{Error, Result},
    value::{self, Signature, Type},
};

/// Data of a store.
pub(crate) struct State<T> {
    /// Distinguishes the calls of different reactors.
    pub(crate) serial: u64,
    pub(crate) user: T,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Log,
    pub(crate) may_block: bool,
    /// What the guest asked for with `wake_at`.
    pub(crate) next_wake: Option<u64>,
    /// The earliest that it asked for since a sweep began.
    pub(crate) earliest_wake: Option<u64>,
    /// Set by an asynchronous reactor: what to do about `next_wake`.
    pub(crate) alarm: Option<(Box<dyn Alarm>, Waker)>,
    pub(crate) exports: Arc<Exports>,
    pub(crate) health: Health,
    /// Calls from the host into the guest that have not returned.
    pub(crate) open: u32,
    /// The outermost of them.
    pub(crate) outermost: Option<Arc<str>>,
    pub(crate) store_limits: StoreLimits,
    pub(crate) fuel: Option<u64>,
    /// Whether the engine counts epochs.
    pub(crate) interruptible: bool,
    pub(crate) interrupt: Arc<AtomicBool>,
}

impl<T> State<T> {
    pub(crate) fn next_serial() -> u64 {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        SERIAL.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn set_wake(&mut self, until: Option<u64>) {
        self.next_wake = until;
        self.earliest_wake = match (self.earliest_wake, until) {
            (Some(earliest), Some(until)) => Some(earliest.min(until)),
            (earliest, until) => earliest.or(until),
        };
        if let Some((alarm, waker)) = &mut self.alarm {
            match until {
                Some(until) => alarm.set(until, waker.clone()),
                None => alarm.clear(),
            }
        }
    }
}

/// What the host itself remembers about an instance. A guest with a scheduler has its own memory of most of this; the host's
/// serves guests without one, and saves entering an instance that must refuse.
#[derive(Debug, Default)]
pub(crate) struct Health {
    pub(crate) initialised: bool,
    pub(crate) poisoned: Option<Poison>,
    /// Closed, with the report of that moment.
    pub(crate) closed: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Poison {
    pub(crate) by: String,
    pub(crate) cause: String,
}

impl Health {
    /// Whether calls are accepted at all.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(report) = &self.closed {
            return Err(Error::Closed { report: report.clone() });
        }
        match &self.poisoned {
            Some(Poison { by, cause }) => Err(Error::Poisoned { by: by.clone(), cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// The first trap counts: the outer calls that it takes with it explain nothing.
    pub(crate) fn poison(&mut self, by: &str, cause: impl Into<String>) {
        self.poisoned.get_or_insert_with(|| Poison { by: by.to_owned(), cause: cause.into() });
    }
}

/// An export that a host may call.
pub(crate) struct Export {
    pub(crate) name: Arc<str>,
    pub(crate) func: Func,
    /// `None` for what cannot be called with numbers alone.
    pub(crate) signature: Option<Signature>,
    /// Whether the signature stands in `windlass.exports`; else signs are not known.
    pub(crate) declared: bool,
    /// How many values it returns.
    pub(crate) results: usize,
    /// The wasm type, for messages.
    pub(crate) wasm_type: String,
}

impl Export {
    /// Compares a call with the signature and says as what the result is to be read.
    ///
    /// # Errors
    ///
    /// [`Error::Signature`].
    pub(crate) fn check(
        &self,
        args: &[Arg<'_>],
        accepts: fn(Option<Type>) -> bool,
        result: &str,
    ) -> Result<Option<Type>> {
        let mismatch = || {
            let mut given = self.name.to_string();
            let types: Vec<Type> = args.iter().map(Arg::ty).collect();
            // Writing to a string does not fail.
            let _ = value::list(&mut given, &types);
            given.push_str(result);
            let declared = match &self.signature {
                Some(signature) => signature.to_string(),
                None => format!("{}, {}", self.name, self.wasm_type),
            };
            Error::Signature { declared, given }
        };
        let signature = self.signature.as_ref().ok_or_else(mismatch)?;
        let same = |have: Type, want: Type| have == want || (!self.declared && have == unsigned(want));
        let fits = args.len() == signature.params.len()
            && args.iter().zip(&signature.params).all(|(arg, &want)| same(arg.ty(), want));
        if !fits {
            return Err(mismatch());
        }
        [signature.result, signature.result.map(|ty| if self.declared { ty } else { unsigned(ty) })]
            .into_iter()
            .find(|&ty| accepts(ty))
            .ok_or_else(mismatch)
    }
}

fn unsigned(ty: Type) -> Type {
    match ty {
        Type::I32 => Type::U32,
        Type::I64 => Type::U64,
        other => other,
    }
}

/// The instance's exports by name.
#[derive(Default)]
pub(crate) struct Exports {
    pub(crate) memory: Option<Memory>,
    pub(crate) functions: BTreeMap<Arc<str>, Arc<Export>>,
    /// Whether the guest has an error door.
    pub(crate) door: bool,
    /// The names to offer when another was asked for.
    pub(crate) names: Vec<String>,
}

/// Where the guest's log goes.
pub(crate) enum Log {
    Sink(Box<dyn FnMut(&str) + Send>),
    Kept(VecDeque<String>),
}

/// Lines kept when nobody listens: enough for a test or a command, without growing for ever in a server.
const KEPT_LINES: usize = 1_000;

impl Log {
    pub(crate) fn line(&mut self, line: &str) {
        match self {
            Self::Sink(sink) => sink(line),
            Self::Kept(lines) => {
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(line.to_owned());
            }
        }
    }
}
