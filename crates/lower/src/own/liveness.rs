//! Which locals a function still needs after its sites.
//!
//! One backward sweep over the structured code, without a control-flow graph: a branch takes over the set of its
//! label, the end of a block is its label's set, and a loop's label has the set of its head, which a sweep knows only
//! when it gets there. So the sweep is repeated until no head changes: at most once more than loops are nested.
//!
//! ```text
//!   local.set 0        {}                 ▲
//!   loop               {0}  = the head    │ the sweep
//!     call $site       {0}                │
//!     br_if 0          {0}  ∪ the head    │
//!   end                {}                 │
//! ```
//!
//! Frames have one layout for all sites of a function, so what is asked for is the union over the sites. A local that
//! is not live at a site is stored there all the same; what is read back is never used.

use wasmparser::{FrameKind, Operator};

use crate::own::body::{Body, NONE, catch_label};

/// A set of locals.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Set(Vec<u64>);

impl Set {
    fn new(locals: usize) -> Set {
        Set(vec![0; locals.div_ceil(64)])
    }

    fn insert(&mut self, local: u32) {
        self.0[local as usize / 64] |= 1 << (local % 64);
    }

    fn remove(&mut self, local: u32) {
        self.0[local as usize / 64] &= !(1 << (local % 64));
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    fn add(&mut self, other: &Set) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word |= other;
        }
    }

    fn copy(&mut self, other: &Set) {
        self.0.copy_from_slice(&other.0);
    }

    pub(crate) fn contains(&self, local: u32) -> bool {
        self.0.get(local as usize / 64).is_some_and(|word| word >> (local % 64) & 1 == 1)
    }

    /// Its members, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = u32> {
        (0..self.0.len() as u32 * 64).filter(|local| self.contains(*local))
    }
}

/// An enclosing block, seen from its end.
struct Open {
    block: u32,
    /// What is live where a branch to the block goes.
    label: Set,
    /// What is live after the block.
    after: Set,
    /// What the arms seen so far need at their beginning: the `else` arm, or the handlers.
    arms: Option<Set>,
}

/// The locals that are live after one of the sites.
pub(crate) fn live_across_sites(body: &Body<'_>) -> Set {
    let mut heads = vec![Set::new(body.locals.len()); body.blocks.len()];
    loop {
        let (found, changed) = sweep(body, &mut heads);
        if !changed {
            return found;
        }
    }
}

fn sweep(body: &Body<'_>, heads: &mut [Set]) -> (Set, bool) {
    let empty = Set::new(body.locals.len());
    let mut found = empty.clone();
    let mut changed = false;
    let mut live = empty.clone();
    let mut open: Vec<Open> = Vec::new();
    // What handlers need, for each enclosing `try` whose body is being swept.
    let mut handlers: Vec<Set> = Vec::new();

    for (index, op) in body.ops.iter().enumerate().rev() {
        let target =
            |open: &[Open], depth: u32| -> Option<usize> { open.len().checked_sub(1 + depth as usize) };
        match &op.operator {
            Operator::End | Operator::Delegate { .. } => {
                let block = &body.blocks[op.block as usize];
                let label = if block.kind == FrameKind::Loop { &heads[op.block as usize] } else { &live };
                open.push(Open { block: op.block, label: label.clone(), after: live.clone(), arms: None });
                if let Operator::Delegate { .. } = op.operator {
                    // Whoever is delegated to is further out and counts already.
                    handlers.push(empty.clone());
                }
            }
            Operator::Else => {
                if let Some(open) = open.last_mut() {
                    open.arms = Some(live.clone());
                    live.copy(&open.after);
                }
            }
            Operator::Catch { .. } | Operator::CatchAll => {
                if let Some(open) = open.last_mut() {
                    open.arms.get_or_insert_with(|| empty.clone()).add(&live);
                    live.copy(&open.after);
                    // The sweep meets the first handler last: now all are known, and the body begins.
                    if body.blocks[open.block as usize].arms.first() == Some(&(index as u32)) {
                        handlers.push(open.arms.clone().unwrap_or_else(|| empty.clone()));
                    }
                }
            }
            Operator::Block { .. } => {
                open.pop();
            }
            Operator::Loop { .. } => {
                open.pop();
                let head = &mut heads[op.block as usize];
                if *head != live {
                    // Sets only grow from sweep to sweep.
                    head.add(&live);
                    changed = true;
                }
            }
            Operator::If { .. } => {
                if let Some(open) = open.pop() {
                    live.add(open.arms.as_ref().unwrap_or(&open.after));
                }
            }
            Operator::Try { .. } => {
                handlers.pop();
                open.pop();
            }
            Operator::TryTable { .. } => {
                handlers.pop();
                open.pop();
            }
            _ if !op.live => continue,
            Operator::Br { relative_depth } => {
                if let Some(target) = target(&open, *relative_depth) {
                    live.copy(&open[target].label);
                }
            }
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => {
                if let Some(target) = target(&open, *relative_depth) {
                    live.add(&open[target].label);
                }
            }
            Operator::BrTable { targets } => {
                live.clear();
                for depth in targets.targets().flatten().chain([targets.default()]) {
                    if let Some(target) = target(&open, depth) {
                        live.add(&open[target].label);
                    }
                }
            }
            Operator::Return
            | Operator::Unreachable
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => live.clear(),
            Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
                live.clear();
                handlers.iter().for_each(|handler| live.add(handler));
            }
            Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => {
                if op.site != NONE {
                    found.add(&live);
                }
                handlers.iter().for_each(|handler| live.add(handler));
                // An exception leaves the call from where the callee resumes: what handlers need is live there, too.
                if op.site != NONE {
                    found.add(&live);
                }
            }
            Operator::LocalGet { local_index } => live.insert(*local_index),
            Operator::LocalSet { local_index } => live.remove(*local_index),
            Operator::LocalTee { local_index } => live.remove(*local_index),
            _ => {}
        }
        // The body of a `try_table` begins, for the sweep, at its end: what its clauses branch to.
        if matches!(op.operator, Operator::End)
            && body.blocks[op.block as usize].kind == FrameKind::TryTable
            && let Some(start) = body.ops.get(body.blocks[op.block as usize].start as usize)
            && let Operator::TryTable { try_table } = &start.operator
        {
            let mut handler = empty.clone();
            for catch in &try_table.catches {
                // Labels count from outside the block.
                if let Some(target) = target(&open, catch_label(catch) + 1) {
                    handler.add(&open[target].label);
                }
            }
            handlers.push(handler);
        }
        // A `try` without handlers catches nothing.
        if matches!(op.operator, Operator::End)
            && body.blocks[op.block as usize].kind == FrameKind::LegacyTry
            && body.blocks[op.block as usize].arms.is_empty()
        {
            handlers.push(empty.clone());
        }
    }
    (found, changed)
}
