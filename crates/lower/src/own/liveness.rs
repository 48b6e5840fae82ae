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
//!
//! *Enough is Enough*: loops nested by the thousand can take as many sweeps, and sets of fifty thousand locals, one for
//! each of a million labels, would fill a machine. Past a limit on either every local counts as live, which is what a
//! function gets that is written to harm: its frames are larger and no less right. A set is kept only where something
//! asks for it: for labels that a branch goes to, and for blocks with arms.

#[cfg(test)]
mod tests;

use wasmparser::{FrameKind, Operator};

use crate::own::body::{Block, Body, NONE, catch_label};

/// How much may be done for one function, in words of sets: a second's work. The longest functions that engines take
/// may have four sweeps, one a tenth as long forty.
const MOST_WORK: usize = 1 << 30;

/// What a sweep does for an operator takes as long as so many words of a set.
const OPERATOR: usize = 64;

/// How many words of sets may be kept at a time.
const MOST_KEPT: usize = 1 << 24;

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
    /// What is live after the block, where a branch to it goes unless it is a loop; None: nothing asks.
    after: Option<Set>,
    /// What the arms seen so far need at their beginning: the `else` arm, or the handlers.
    arms: Option<Set>,
}

/// Whether anything asks what is live after a block.
fn keeps(block: &Block) -> bool {
    match block.kind {
        FrameKind::Loop => false,
        FrameKind::If | FrameKind::LegacyTry => true,
        _ => block.targeted,
    }
}

/// The locals that are live after one of the sites; all of them, if it takes too much to know.
pub(crate) fn live_across_sites(body: &Body<'_>) -> Set {
    let mut sweeps = Sweeps {
        body,
        empty: Set::new(body.locals.len()),
        heads: vec![None; body.blocks.len()],
        changed: false,
        kept: 0,
        work: 0,
    };
    loop {
        sweeps.changed = false;
        match sweeps.sweep() {
            Some(found) if !sweeps.changed => return found,
            Some(_) => {}
            None => break,
        }
    }
    let mut all = Set::new(body.locals.len());
    (0..body.locals.len() as u32).for_each(|local| all.insert(local));
    all
}

struct Sweeps<'b, 'a> {
    body: &'b Body<'a>,
    empty: Set,
    /// What is live at the heads of loops, as far as is known, where a branch goes there.
    heads: Vec<Option<Set>>,
    /// Whether a head has changed in this sweep.
    changed: bool,
    /// Sets that are kept.
    kept: usize,
    /// What has been done, in words.
    work: usize,
}

impl Sweeps<'_, '_> {
    /// What is live where a branch goes to.
    fn label<'s>(&'s self, open: &'s [Open], depth: u32) -> &'s Set {
        let target = open.len().checked_sub(1 + depth as usize).map(|target| &open[target]);
        let label = target.and_then(|target| match &self.heads[target.block as usize] {
            Some(head) => Some(head),
            None => target.after.as_ref(),
        });
        label.unwrap_or(&self.empty)
    }

    /// Counts sets that are gone through.
    fn spend(&mut self, sets: usize) {
        self.work += sets * self.empty.0.len();
    }

    /// What is found with what is known of heads; None: it is enough.
    fn sweep(&mut self) -> Option<Set> {
        let body = self.body;
        let words = self.empty.0.len();
        let mut found = self.empty.clone();
        let mut live = self.empty.clone();
        let mut open: Vec<Open> = Vec::new();
        // What handlers need, for each enclosing `try` whose body is being swept: its own and those further out.
        let mut handlers: Vec<Set> = Vec::new();
        self.kept = self.heads.iter().flatten().count();

        for (index, op) in body.ops.iter().enumerate().rev() {
            self.work += OPERATOR;
            if self.work > MOST_WORK || (self.kept + handlers.len()) * words > MOST_KEPT {
                return None;
            }
            match &op.operator {
                Operator::End | Operator::Delegate { .. } => {
                    let after = keeps(&body.blocks[op.block as usize]).then(|| live.clone());
                    if after.is_some() {
                        // Together with what the arms need.
                        self.kept += 2;
                        self.spend(1);
                    }
                    open.push(Open { block: op.block, after, arms: None });
                    if let Operator::Delegate { .. } = op.operator {
                        // Whoever is delegated to is further out and counts already.
                        self.catch(&mut handlers, None);
                    }
                }
                Operator::Else => {
                    if let Some(open) = open.last_mut()
                        && let Some(after) = &open.after
                    {
                        open.arms = Some(live.clone());
                        live.copy(after);
                        self.spend(2);
                    }
                }
                Operator::Catch { .. } | Operator::CatchAll => {
                    if let Some(open) = open.last_mut()
                        && let Some(after) = &open.after
                    {
                        let arms = open.arms.get_or_insert_with(|| self.empty.clone());
                        arms.add(&live);
                        live.copy(after);
                        // The sweep meets the first handler last: now all are known, and the body begins.
                        if body.blocks[open.block as usize].arms.first() == Some(&(index as u32)) {
                            let arms = arms.clone();
                            self.catch(&mut handlers, Some(arms));
                        }
                        self.spend(2);
                    }
                }
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Try { .. }
                | Operator::TryTable { .. } => {
                    let open = open.pop()?;
                    self.kept -= if open.after.is_some() { 2 } else { 0 };
                    match op.operator {
                        Operator::Loop { .. } if body.blocks[op.block as usize].targeted => {
                            self.head(op.block, &live);
                        }
                        Operator::If { .. } => {
                            live.add(open.arms.as_ref().or(open.after.as_ref()).unwrap_or(&self.empty));
                            self.spend(1);
                        }
                        Operator::Try { .. } | Operator::TryTable { .. } => {
                            handlers.pop();
                        }
                        _ => {}
                    }
                }
                _ if !op.live => continue,
                Operator::Br { relative_depth } => {
                    live.copy(self.label(&open, *relative_depth));
                    self.spend(1);
                }
                Operator::BrIf { relative_depth }
                | Operator::BrOnNull { relative_depth }
                | Operator::BrOnNonNull { relative_depth } => {
                    live.add(self.label(&open, *relative_depth));
                    self.spend(1);
                }
                Operator::BrTable { targets } => {
                    live.clear();
                    for depth in targets.targets().flatten().chain([targets.default()]) {
                        live.add(self.label(&open, depth));
                    }
                    self.spend(targets.len() as usize + 2);
                }
                Operator::Return
                | Operator::Unreachable
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallIndirect { .. }
                | Operator::ReturnCallRef { .. } => {
                    live.clear();
                    self.spend(1);
                }
                Operator::Throw { .. } | Operator::ThrowRef | Operator::Rethrow { .. } => {
                    live.copy(handlers.last().unwrap_or(&self.empty));
                    self.spend(1);
                }
                Operator::Call { .. } | Operator::CallIndirect { .. } | Operator::CallRef { .. } => {
                    if let Some(handlers) = handlers.last() {
                        live.add(handlers);
                        self.spend(1);
                    }
                    // An exception leaves the call from where the callee resumes: what handlers need is live there, too.
                    if op.site != NONE {
                        found.add(&live);
                        self.spend(1);
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
                let mut handler = self.empty.clone();
                for catch in &try_table.catches {
                    // Labels count from outside the block.
                    handler.add(self.label(&open, catch_label(catch) + 1));
                }
                self.spend(try_table.catches.len());
                self.catch(&mut handlers, Some(handler));
            }
            // A `try` without handlers catches nothing.
            if matches!(op.operator, Operator::End)
                && body.blocks[op.block as usize].kind == FrameKind::LegacyTry
                && body.blocks[op.block as usize].arms.is_empty()
            {
                self.catch(&mut handlers, None);
            }
        }
        Some(found)
    }

    /// The body of a `try` begins: an exception goes to its handlers or on to those further out.
    fn catch(&mut self, handlers: &mut Vec<Set>, own: Option<Set>) {
        let mut all = own.unwrap_or_else(|| self.empty.clone());
        if let Some(outer) = handlers.last() {
            all.add(outer);
        }
        handlers.push(all);
        self.spend(2);
    }

    /// The head of a loop that is branched to is reached. Sets only grow from sweep to sweep.
    fn head(&mut self, block: u32, live: &Set) {
        self.spend(1);
        let known = &mut self.heads[block as usize];
        match known {
            Some(head) if head == live => {}
            Some(head) => {
                head.add(live);
                self.changed = true;
            }
            // Nothing and not known are the same.
            None if *live == self.empty => {}
            None => {
                *known = Some(live.clone());
                self.kept += 1;
                self.changed = true;
            }
        }
    }
}
