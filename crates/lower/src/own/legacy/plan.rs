//! What the tries of a function become, known before the first of them is written.
//!
//! An exception that is thrown in the body of a `try` with handlers is theirs. Thrown in a handler, or in a `try` without
//! any, it belongs to what is around. Thrown in a `try` that ends with `delegate n` it goes where label `n` is: into the
//! body that the label is of or stands in. That body may be one that delegates as well, so each `try` has an *owner* of
//! what is thrown in its body, in the end one with handlers or the caller:
//!
//! ```text
//!   try                        owner: itself
//!     try                      owner: itself
//!       try                    owner: the caller, so this one is written as one that delegates
//!         try                  owner: the caller, as that is where the enclosing body's go: a block
//!         delegate 0
//!       delegate 2
//!     catch_all
//!     end
//!   catch_all
//!   end
//! ```
//!
//! Owners of outer tries are found first: they are the ones that begin first.

use wasmparser::{FunctionBody, Operator};

use crate::error::Error;
use crate::own::internal;

/// A `try` or `try_table` by the order in which they begin; None is the caller.
type Owner = Option<usize>;

/// What a `try` becomes.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// A block: what is thrown in it goes its way without help.
    Block,
    /// A `try_table` with its handlers behind it.
    Handlers,
    /// A `try_table` that brings everything to an owner.
    Delegate { to: Owner },
    /// A `try_table` that was one before.
    TryTable,
}

pub(super) struct Handler {
    /// None: everything.
    pub(super) tag: Option<u32>,
    pub(super) is_rethrown: bool,
}

pub(super) struct Try {
    pub(super) form: Form,
    pub(super) handlers: Vec<Handler>,
    /// Whether exceptions out of others are brought to it.
    pub(super) delivers: bool,
}

pub(super) struct Plan {
    /// In the order in which they begin.
    pub(super) tries: Vec<Try>,
    pub(super) delivers_to_caller: bool,
}

/// A block that has begun.
#[derive(Clone, Copy)]
struct Open {
    /// Its index if it is a `try`.
    legacy: Option<usize>,
    /// The body, of a `try` or `try_table`, that its label is of or stands in.
    body: Owner,
}

/// One that has been read.
struct Read {
    handlers: Vec<Handler>,
    /// For a `try_table`: whether it catches anything.
    table: Option<bool>,
    /// The body that it stands in.
    around: Owner,
    /// For `delegate`: the body where exceptions are to be thrown.
    delegate: Option<Owner>,
}

impl Plan {
    /// The plan for a function; None if nothing in it is legacy.
    pub(super) fn read(body: &FunctionBody<'_>) -> Result<Option<Plan>, Error> {
        let mut tries: Vec<Read> = Vec::new();
        let mut open = vec![Open { legacy: None, body: None }];
        let mut is_legacy = false;
        let malformed = || internal("a label of no block");
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            let around = open.last().and_then(|block| block.body);
            let at = |depth: u32| {
                let place = open.len().checked_sub(depth as usize + 1);
                place.and_then(|place| open.get(place)).copied().ok_or_else(malformed)
            };
            match operator {
                Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                    open.push(Open { legacy: None, body: around });
                }
                Operator::Try { .. } => {
                    is_legacy = true;
                    let index = tries.len();
                    tries.push(Read { handlers: Vec::new(), table: None, around, delegate: None });
                    open.push(Open { legacy: Some(index), body: Some(index) });
                }
                Operator::TryTable { try_table } => {
                    let catches = !try_table.catches.is_empty();
                    open.push(Open { legacy: None, body: Some(tries.len()) });
                    tries.push(Read { handlers: Vec::new(), table: Some(catches), around, delegate: None });
                }
                Operator::Catch { .. } | Operator::CatchAll => {
                    let tag = match operator {
                        Operator::Catch { tag_index } => Some(tag_index),
                        _ => None,
                    };
                    let block = open.last_mut().ok_or_else(malformed)?;
                    let index = block.legacy.ok_or_else(malformed)?;
                    block.body = tries[index].around;
                    tries[index].handlers.push(Handler { tag, is_rethrown: false });
                }
                Operator::Rethrow { relative_depth } => {
                    let index = at(relative_depth)?.legacy.ok_or_else(malformed)?;
                    tries[index].handlers.last_mut().ok_or_else(malformed)?.is_rethrown = true;
                }
                Operator::Delegate { relative_depth } => {
                    // It counts from outside of its own `try`.
                    let target = at(relative_depth + 1)?.body;
                    let index = at(0)?.legacy.ok_or_else(malformed)?;
                    tries[index].delegate = Some(target);
                    open.pop();
                }
                Operator::End => {
                    open.pop();
                }
                _ => {}
            }
        }
        Ok(is_legacy.then(|| Plan::of(tries)))
    }

    fn of(read: Vec<Read>) -> Plan {
        let mut plan = Plan { tries: Vec::with_capacity(read.len()), delivers_to_caller: false };
        let mut owners: Vec<Owner> = Vec::with_capacity(read.len());
        for (index, one) in read.into_iter().enumerate() {
            let owner = |body: Owner| body.and_then(|body| owners[body]);
            let around = owner(one.around);
            let (form, owner) = match (one.table, one.delegate) {
                (Some(catches), _) => (Form::TryTable, if catches { Some(index) } else { around }),
                (None, Some(target)) => {
                    let to = owner(target);
                    (if to == around { Form::Block } else { Form::Delegate { to } }, to)
                }
                (None, None) if one.handlers.is_empty() => (Form::Block, around),
                (None, None) => (Form::Handlers, Some(index)),
            };
            if let Form::Delegate { to } = form {
                match to {
                    Some(to) => plan.tries[to].delivers = true,
                    None => plan.delivers_to_caller = true,
                }
            }
            owners.push(owner);
            plan.tries.push(Try { form, handlers: one.handlers, delivers: false });
        }
        plan
    }
}
