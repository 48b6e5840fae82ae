//! Which calls may suspend, and why.
//!
//! Suspension starts in a *root*: the function that stands in for `windlass.switch`, an import that may suspend. From
//! there it spreads to callers: a function that calls one that may suspend may suspend. A call through a table may
//! reach every function of its type whose reference is taken anywhere; as soon as one of those may suspend, so may
//! every call through a table with that type.
//!
//! ```text
//!   main ──► render ──► write ──► switch        root
//!               │ table, type (i32) -> ()
//!               └──► flush ──► write
//! ```
//!
//! The spreading is breadth first, so the first way found to each function is a shortest one: the report's *why*.
//!
//! *Caught Mistakes*: whoever says by an option that a function or a call through a table never suspends may be wrong.
//! There the lowered code tests, after the call, and traps. It never goes on as if the call had returned.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};

use wasmparser::{FuncType, Operator};

use crate::error::Error;
use crate::module::Module;

/// Nobody reads a longer one, and the chains of all functions could be quadratic.
const LONGEST_CHAIN: usize = 100;

/// What may come out of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// A result, a trap or an exception.
    Nothing,
    /// A suspension that the user says cannot be.
    Mistake,
    /// A suspension. `again`: who resumes makes the call again, with the same arguments.
    Suspension { again: bool },
}

/// A function where suspension starts.
#[derive(Clone, Copy)]
pub(crate) struct Root {
    pub(crate) function: u32,
    pub(crate) again: bool,
}

/// What the analysis is told.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) roots: Vec<Root>,
    /// Functions through which no suspension passes, by construction: no test is needed in them.
    pub(crate) barriers: Vec<u32>,
    pub(crate) allowed: Vec<u32>,
    pub(crate) denied: Vec<u32>,
    pub(crate) ignore_indirect: bool,
    /// Whether functions that the module does not know may be in its tables, and may suspend.
    pub(crate) strangers: bool,
}

/// One step of a chain.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    pub(crate) callee: u32,
    pub(crate) indirect: bool,
}

pub(crate) struct Calls {
    /// For each type the first that is equal.
    canonical: Vec<u32>,
    /// For each function whether it may suspend.
    suspends: Vec<bool>,
    again: Vec<bool>,
    /// For each function that may suspend, but for the roots: the call by which it does.
    why: Vec<Option<Step>>,
    /// For each canonical type whether a call through a table may suspend, by what it may reach.
    indirect: Vec<bool>,
    ignore_indirect: bool,
    strangers: bool,
    /// The functions whose references code takes.
    referred_to: BTreeSet<u32>,
    /// For each function whether it has a block that catches exceptions.
    tries: Vec<bool>,
    /// For each function what its code is told about the suspensions that it meets.
    roles: Vec<Role>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    Allowed,
    Denied,
    Barrier,
}

/// What one function calls.
#[derive(Default)]
struct Callees {
    direct: Vec<u32>,
    /// Canonical types.
    indirect: Vec<u32>,
    referred_to: Vec<u32>,
    tries: bool,
}

impl Calls {
    /// Finds what may suspend.
    pub(crate) fn analyse(module: &Module<'_>, rules: &Rules) -> Result<Calls, Error> {
        let canonical = canonical(&module.types);
        let imports = module.function_imports.len();
        let count = imports + module.functions.len();
        let mut roles = vec![Role::Plain; count];
        for (list, role) in
            [(&rules.allowed, Role::Allowed), (&rules.denied, Role::Denied), (&rules.barriers, Role::Barrier)]
        {
            for function in list {
                roles[*function as usize] = role;
            }
        }

        let mut referenced = vec![false; count];
        let mut callers: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut callers_by_type: Vec<Vec<u32>> = vec![Vec::new(); module.types.len()];
        for function in &module.referenced {
            referenced[*function as usize] = true;
        }
        let mut tries = vec![false; count];
        let mut referred_to = BTreeSet::new();
        for (position, body) in module.bodies.iter().enumerate() {
            let function = (imports + position) as u32;
            let callees = callees(body, &canonical, count)?;
            tries[function as usize] = callees.tries;
            for function in callees.referred_to {
                *referenced.get_mut(function as usize).ok_or_else(unknown)? = true;
                referred_to.insert(function);
            }
            for callee in callees.direct {
                callers[callee as usize].push(function);
            }
            for ty in callees.indirect {
                callers_by_type[ty as usize].push(function);
            }
        }
        if module.tables_are_shared() {
            // Whoever holds an exported function may put it into the table.
            for function in module.exported_functions() {
                referenced[function as usize] = true;
            }
        }

        let mut calls = Calls {
            canonical,
            suspends: vec![false; count],
            again: vec![false; count],
            why: vec![None; count],
            indirect: vec![false; module.types.len()],
            ignore_indirect: rules.ignore_indirect,
            strangers: rules.strangers,
            referred_to,
            tries,
            roles,
        };
        let mut pending = VecDeque::new();
        for root in &rules.roots {
            calls.again[root.function as usize] = root.again;
            calls.suspends[root.function as usize] = true;
            pending.push_back(root.function);
        }
        for function in &rules.allowed {
            if !std::mem::replace(&mut calls.suspends[*function as usize], true) {
                pending.push_back(*function);
            }
        }
        while let Some(callee) = pending.pop_front() {
            let mut reached = |calls: &mut Calls, caller: u32, indirect: bool| {
                let role = calls.roles[caller as usize];
                if !calls.suspends[caller as usize] && matches!(role, Role::Plain | Role::Allowed) {
                    calls.suspends[caller as usize] = true;
                    calls.why[caller as usize] = Some(Step { callee, indirect });
                    pending.push_back(caller);
                }
            };
            for caller in &callers[callee as usize] {
                reached(&mut calls, *caller, false);
            }
            let ty = module.function_type_index(callee).map(|ty| calls.canonical[ty as usize] as usize);
            if let Some(ty) = ty
                && referenced[callee as usize]
                && !std::mem::replace(&mut calls.indirect[ty], true)
            {
                for caller in &callers_by_type[ty] {
                    if !calls.ignore_indirect || calls.roles[*caller as usize] == Role::Allowed {
                        reached(&mut calls, *caller, true);
                    }
                }
            }
        }
        Ok(calls)
    }

    /// Whether a function may suspend.
    pub(crate) fn suspends(&self, function: u32) -> bool {
        self.suspends.get(function as usize).is_some_and(|suspends| *suspends)
    }

    /// The functions whose references code takes.
    pub(crate) fn referred_to(&self) -> &BTreeSet<u32> {
        &self.referred_to
    }

    /// Whether a function has a block that catches exceptions.
    pub(crate) fn tries(&self, function: u32) -> bool {
        self.tries.get(function as usize).is_some_and(|tries| *tries)
    }

    /// The calls from a function to what suspends, or the first of them.
    pub(crate) fn chain(&self, function: u32) -> Vec<Step> {
        let mut chain = Vec::new();
        let mut at = function;
        while chain.len() < LONGEST_CHAIN
            && let Some(step) = self.why[at as usize]
        {
            chain.push(step);
            at = step.callee;
        }
        chain
    }

    /// What may come out of an operator in a function.
    pub(crate) fn reach(&self, caller: u32, operator: &Operator<'_>) -> Reach {
        let role = self.roles[caller as usize];
        let (reaches, again) = match *operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                (self.suspends(function_index), self.again[function_index as usize])
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                let known = self.indirect[self.canonical[type_index as usize] as usize];
                // What is known to be wrong is caught; a stranger is always possible. Only the user can know better.
                let trusted = role == Role::Allowed;
                let excluded = self.ignore_indirect && !trusted;
                if excluded || (!known && self.strangers && !trusted) {
                    return match role {
                        Role::Barrier => Reach::Nothing,
                        _ if known || self.strangers => Reach::Mistake,
                        _ => Reach::Nothing,
                    };
                }
                (known || trusted, false)
            }
            _ => return Reach::Nothing,
        };
        match role {
            _ if !reaches => Reach::Nothing,
            Role::Barrier => Reach::Nothing,
            Role::Denied => Reach::Mistake,
            Role::Plain | Role::Allowed => Reach::Suspension { again },
        }
    }

    /// Whether a call through a table of a type may suspend, whoever makes it.
    pub(crate) fn is_suspending_type(&self, index: u32) -> bool {
        self.canonical.get(index as usize).is_some_and(|ty| self.indirect[*ty as usize])
    }
}

/// For each type the first that is equal.
fn canonical(types: &[FuncType]) -> Vec<u32> {
    let mut first = HashMap::new();
    types.iter().zip(0..).map(|(ty, index)| *first.entry(ty).or_insert(index)).collect()
}

fn unknown() -> Error {
    Error::new(crate::ErrorKind::Invalid, "not a valid WebAssembly module: an unknown index")
}

fn callees(
    body: &wasmparser::FunctionBody<'_>,
    canonical: &[u32],
    functions: usize,
) -> Result<Callees, Error> {
    let mut callees = Callees::default();
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        match operators.read()? {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                if function_index as usize >= functions {
                    return Err(unknown());
                }
                callees.direct.push(function_index);
            }
            Operator::CallIndirect { type_index, .. } | Operator::ReturnCallIndirect { type_index, .. } => {
                callees.indirect.push(*canonical.get(type_index as usize).ok_or_else(unknown)?);
            }
            Operator::Try { .. } | Operator::TryTable { .. } => callees.tries = true,
            Operator::RefFunc { function_index } => callees.referred_to.push(function_index),
            _ => {}
        }
    }
    callees.direct.sort_unstable();
    callees.direct.dedup();
    callees.indirect.sort_unstable();
    callees.indirect.dedup();
    Ok(callees)
}
