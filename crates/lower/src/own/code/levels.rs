//! Beginning in the middle of a function.
//!
//! A *level* is the code directly in one block, or in one arm of it. Its *targets* are its
//! sites and the blocks in it that contain sites. At its start one empty block is opened for each target; each ends
//! where the target is, so a branch to it lands there. The number of the site to go on after is in local `k`, and as
//! sites are numbered in program order, each target is an interval of `k`; 0 means that nothing is resumed:
//!
//! ```text
//!   block $t2  block $t1              ;; opened at the start of the level
//!     br_table k: 0 -> on, 1 -> $t1, 2..5 -> $t2
//!     ...  call $f  (test)            ;; site 1
//!   end $t1   k = 0                   ;; landed: from here on it is normal code
//!     ...
//!   end $t2
//!     loop  ;; has sites 2 to 5: does the same inside
//! ```
//!
//! A block must end with an empty stack, so at each landing the level's own operands are dropped and read again from
//! their temps, where a resumed frame has put them. Operands of enclosing blocks stay where they are: they were read
//! again before the block was entered. What a call returned is in a local by then, on both ways.
//!
//! *Postponed Dispatch*: where a level begins with a block that contains sites, and keeps nothing on the stack, its
//! targets are handed down and the innermost level has one table for all. Compilers write a `switch` as a nest of
//! blocks as deep as it has cases: a table in each would be quadratic.
//!
//! *Loops*: the table is at the head, inside the loop, and 0 falls through, so a loop is never entered but at its
//! head.

#[cfg(test)]
mod tests;

use wasm_encoder::BlockType;
use wasmparser::{FrameKind, Operator, ValType};

use super::{Control, Emitter, Kind};
use crate::error::Error;
use crate::own::body::{Block, Body, NONE, Operand};
use crate::own::thrown::Thrown;

/// V8 takes no `br_table` with 65,520 targets or more.
const LONGEST_TABLE: u32 = 65_000;

/// From so many entries a target on, a table of targets is not worth its size.
const SPARSE: u32 = 3;

/// A target of a level.
#[derive(Clone, Copy)]
pub(super) struct Item {
    pub(super) op: u32,
    /// The sites that it stands for, from 1.
    pub(super) first: u32,
    pub(super) last: u32,
    /// Whether it is a site itself.
    pub(super) site: bool,
}

/// The targets of each block, in order.
pub(super) struct Items {
    pub(super) blocks: Vec<Vec<Item>>,
    /// The start of the last block with targets in it.
    pub(super) last_child: u32,
}

impl Items {
    pub(super) fn of(body: &Body<'_>) -> Items {
        let mut items: Vec<Vec<Item>> = vec![Vec::new(); body.blocks.len()];
        let mut open = vec![0];
        let mut last_child = 0;
        for (op, current) in (0..).zip(&body.ops) {
            if current.site != NONE
                && let Some(block) = open.last()
            {
                let k = current.site + 1;
                items[*block as usize].push(Item { op, first: k, last: k, site: true });
            }
            if current.block == NONE {
                continue;
            }
            let block = &body.blocks[current.block as usize];
            if block.start == op {
                if !block.sites.is_empty()
                    && let Some(outer) = open.last()
                {
                    let (first, last) = (block.sites.start + 1, block.sites.end);
                    items[*outer as usize].push(Item { op, first, last, site: false });
                    last_child = op;
                }
                open.push(current.block);
            } else if block.end == op {
                open.pop();
            }
        }
        Items { blocks: items, last_child }
    }

    /// Those of the arm that begins after an operator.
    pub(super) fn arm(&self, body: &Body<'_>, block: u32, start: u32) -> Vec<Item> {
        let is_before = |op: u32| start != NONE && op <= start;
        let Block { arms, end, .. } = &body.blocks[block as usize];
        let end = *arms.get(arms.partition_point(|arm| is_before(*arm))).unwrap_or(end);
        // All in the order of the function: there may be as many arms as operators.
        let items = &self.blocks[block as usize];
        let from = items.partition_point(|item| is_before(item.op));
        let to = items.partition_point(|item| item.op < end);
        items.get(from..to).unwrap_or_default().to_vec()
    }
}

/// A target that a dispatch may branch to.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) item: Item,
    /// The label, counted from the outermost; None: it is arrived at by falling.
    pub(super) label: Option<u32>,
}

/// A level with targets that are still ahead.
pub(super) struct Level {
    /// In reverse.
    pub(super) ahead: Vec<Target>,
}

impl Emitter<'_, '_> {
    /// The next arm of the innermost block; returns where to go on.
    pub(super) fn arm(&mut self, op: u32) -> u32 {
        let Some(control) = self.control.last_mut() else { return op + 1 };
        let block = control.block;
        if control.one_arm {
            return self.body.blocks[block as usize].end;
        }
        let flow = control.flow;
        if std::mem::take(&mut control.has_level) {
            self.levels.pop();
        }
        let bytes = self.body.bytes(op);
        self.code.extend_from_slice(bytes);
        self.flow = flow;
        let items = if self.kind == Kind::Normal { Vec::new() } else { self.items.arm(self.body, block, op) };
        if items.is_empty() {
            // Where only the other arm is resumed normal code comes here, or none at all.
            self.save(op);
        } else {
            if let Some(control) = self.control.last_mut() {
                control.has_level = true;
            }
            self.begin(&items, block, op, &[]);
        }
        op + 1
    }

    /// Arrives at a target of the current level.
    pub(super) fn target(&mut self, op: u32, target: Target) -> Result<u32, Error> {
        let site = self.body.ops[op as usize].site;
        if site == NONE {
            return self.child(op, target);
        }
        let site_index = site as usize;
        let site = &self.body.sites[site_index];
        let own = self.body.own(&site.own).to_vec();
        if site.again {
            self.land(&own, target, Some(site_index));
            self.flow = true;
            self.plain(op)?;
            self.check(site_index as u32);
        } else {
            let mut results = site.results.clone();
            let mut next = op + 1;
            if let ([_], Operator::Drop) = (&results[..], &self.body.ops[next as usize].operator) {
                // Nobody wants it: it need not be in a local at the landing.
                results.clear();
                next += 1;
            }
            if self.flow {
                let locals = self.result_locals(&results);
                self.plain(op)?;
                self.check(site_index as u32);
                if next > op + 1 {
                    self.sink().drop();
                }
                for local in locals.iter().rev() {
                    self.sink().local_set(*local);
                }
                self.land(&own, target, Some(site_index));
                if let Some(thrown) = self.thrown() {
                    thrown.test_and_raise(&mut self.sink());
                }
                for local in &locals {
                    self.sink().local_get(*local);
                }
            } else {
                // Nothing but a resumed call arrives here.
                self.land(&own, target, Some(site_index));
                if let Some(thrown) = self.thrown() {
                    thrown.raise(&mut self.sink());
                }
                let globals = self.frames.results(self.added, &results);
                let references = results.iter().rposition(|ty| matches!(ty, ValType::Ref(_)));
                let locals = self.result_locals(&results[..references.map_or(0, |last| last + 1)]);
                for ((place, ty), global) in results.iter().enumerate().zip(globals) {
                    match ty {
                        // The prologue has taken all references, lest one be held for nothing.
                        ValType::Ref(_) => {
                            self.sink().local_get(locals[place]);
                        }
                        _ => {
                            self.sink().global_get(global);
                        }
                    }
                }
            }
            self.flow = true;
            self.save(op);
            return Ok(next);
        }
        self.save(op);
        Ok(op + 1)
    }

    /// What throws an exception out of a resumed call again, if that is done after landings.
    pub(super) fn thrown(&self) -> Option<Thrown> {
        self.frames.thrown.filter(|_| self.body.catches())
    }

    /// Ends the target's block: what lies on the stack is put aside before and is there again after it.
    pub(super) fn land(&mut self, own: &[Operand], target: Target, site: Option<usize>) {
        if target.label.is_some() {
            if self.flow {
                for operand in own.iter().rev() {
                    if self.is_kept(operand) {
                        self.sink().drop();
                    } else {
                        let temp = self.temp(operand.slot, operand.ty);
                        self.sink().local_set(temp);
                    }
                }
            }
            self.sink().end();
            self.labels -= 1;
        } else if self.flow {
            // Fallen into, with everything in place.
            return;
        }
        if let Some(site) = site
            && !self.reset[site]
            && self.is_k_read_after(site)
        {
            let k = self.k();
            self.sink().i32_const(0).local_set(k);
        }
        for operand in own {
            if self.body.is_constant(operand.producer) {
                let bytes = self.body.bytes(operand.producer);
                self.code.extend_from_slice(bytes);
            } else {
                let temp = self.temp(operand.slot, operand.ty);
                self.sink().local_get(temp);
            }
        }
    }

    /// Whether anything looks at `k` after a site: in another round of a loop, or before a block with targets.
    pub(super) fn is_k_read_after(&self, site: usize) -> bool {
        let site = &self.body.sites[site];
        self.k_matters && (site.in_loop || site.op < self.items.last_child)
    }

    /// Whether an operand can be had again without the stack.
    pub(super) fn is_kept(&self, operand: &Operand) -> bool {
        let saved = || self.body.saved.get(&operand.producer);
        self.body.is_constant(operand.producer)
            || saved().is_some_and(|saved| saved.iter().any(|saved| saved.slot == operand.slot))
    }

    /// Enters a block with targets in it.
    pub(super) fn child(&mut self, op: u32, target: Target) -> Result<u32, Error> {
        let block_index = self.body.ops[op as usize].block;
        let block = &self.body.blocks[block_index as usize];
        let mut own = self.body.own(&block.own).to_vec();
        let is_if = block.kind == FrameKind::If;
        let kind = block.kind;
        // Targets of enclosing levels that this one decides about, too.
        let pending = std::mem::take(&mut self.pending);
        if is_if {
            // The condition has a local of its own, which is 0 as long as nothing but dispatches has run.
            own.pop();
        }
        let has_else = block.arms.first().copied();
        let first_arm = self.items.arm(self.body, block_index, op);
        let second_arm = match has_else {
            Some(arm) if is_if => self.items.arm(self.body, block_index, arm),
            _ => Vec::new(),
        };

        if is_if && self.flow {
            let local = self.condition();
            self.sink().local_set(local);
        }
        self.land(&own, target, None);

        let mut one_arm = false;
        let mut next = op + 1;
        let mut items = first_arm;
        let mut start = op;
        match kind {
            FrameKind::If if self.flow => {
                let local = self.condition();
                self.sink().local_get(local);
                let k = self.k();
                self.k_read = true;
                match (items.last().map(|item| item.last), second_arm.is_empty()) {
                    (Some(_), true) => {
                        self.sink().local_get(k).i32_or();
                    }
                    (Some(last), false) => {
                        self.sink().local_get(k).i32_const(1).i32_sub();
                        self.sink().i32_const(last as i32).i32_lt_u().i32_or();
                    }
                    (None, _) => {}
                }
                self.plain(op)?;
            }
            FrameKind::If => match (items.last().map(|item| item.last), has_else) {
                (Some(last), Some(_)) if !second_arm.is_empty() => {
                    let k = self.k();
                    self.k_read = true;
                    self.sink().local_get(k).i32_const(last as i32 + 1).i32_lt_u();
                    self.plain(op)?;
                }
                (Some(_), _) => {
                    one_arm = true;
                    self.as_block(op);
                }
                (None, arm) => {
                    // Only the other arm is resumed.
                    one_arm = true;
                    self.as_block(op);
                    if let Some(arm) = arm {
                        next = arm + 1;
                        start = arm;
                    }
                    items.clone_from(&second_arm);
                }
            },
            FrameKind::Loop if !self.flow && !block.targeted => self.as_block(op),
            FrameKind::Loop => {
                self.plain(op)?;
            }
            _ => self.plain(op)?,
        }
        self.labels += 1;
        let flow = self.flow;
        if kind == FrameKind::Loop && block.targeted {
            self.flow = true;
        }
        let has_level = !items.is_empty();
        self.control.push(Control {
            label: self.labels - 1,
            block: block_index,
            has_level,
            one_arm: one_arm && start == op,
            flow,
        });
        if has_level {
            self.begin(&items, block_index, start, &pending);
        } else {
            // An `if` that is resumed in its other arm only.
            self.save(op);
        }
        Ok(next)
    }

    /// Writes the start of a block, of whatever kind, as a plain one.
    pub(super) fn as_block(&mut self, op: u32) {
        // The type follows the one byte of the opcode.
        let bytes = self.body.bytes(op);
        self.code.push(0x02);
        self.code.extend_from_slice(&bytes[1..]);
    }

    /// Begins a level: opens the targets' blocks and dispatches, or hands both down.
    pub(super) fn begin(&mut self, items: &[Item], block: u32, start: u32, pending: &[Target]) {
        let params: Vec<(u32, ValType)> = {
            let block = &self.body.blocks[block as usize];
            (block.height..).zip(block.params.iter().copied()).collect()
        };
        // Not in their temps: who is resumed may have restored other operands there, of the same slots.
        let waiting: Vec<u32> = params.iter().map(|(slot, ty)| self.waiting(*slot, *ty)).collect();
        for local in waiting.iter().rev() {
            self.sink().local_set(*local);
        }
        let postponed = params.is_empty() && self.can_hand_down(items, start);
        let lonely = !self.flow && items.len() == 1 && pending.is_empty();
        let without_label = postponed || lonely;

        // The last target's block is the outermost one.
        let mut targets: Vec<Target> = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate().rev() {
            if place == 0 && without_label {
                targets.push(Target { item: *item, label: None });
                continue;
            }
            self.sink().block(BlockType::Empty);
            targets.push(Target { item: *item, label: Some(self.labels) });
            self.labels += 1;
        }
        if postponed {
            let mut handed: Vec<Target> = targets.iter().rev().skip(1).copied().collect();
            handed.extend_from_slice(pending);
            self.pending = handed;
        } else if !lonely {
            let mut all: Vec<Target> = targets.iter().rev().copied().collect();
            all.extend_from_slice(pending);
            self.dispatch(&all);
        }
        self.levels.push(Level { ahead: targets });
        if self.flow {
            for local in &waiting {
                self.sink().local_get(*local);
            }
            if !waiting.is_empty() {
                self.save(start);
            }
        }
    }

    /// Whether the first target is a block that can decide for its siblings.
    pub(super) fn can_hand_down(&self, items: &[Item], start: u32) -> bool {
        let Some(first) = items.first().filter(|item| !item.site) else { return false };
        // Without normal code nothing before the block is written.
        let adjacent = first.op == start.wrapping_add(1);
        if self.flow && !adjacent {
            return false;
        }
        let index = self.body.ops[first.op as usize].block;
        let block = &self.body.blocks[index as usize];
        match block.kind {
            FrameKind::If => {
                // Without normal code an `if` of which one arm is resumed is a plain block.
                let arms =
                    block.arms.first().map_or(0, |arm| self.items.arm(self.body, index, *arm).len().min(1))
                        + self.items.arm(self.body, index, first.op).len().min(1);
                !self.flow && arms == 1 && block.own.len() == 1
            }
            _ => block.own.is_empty(),
        }
    }

    /// Branches to the target of `k`; 0 falls through, if it can occur.
    pub(super) fn dispatch(&mut self, targets: &[Target]) {
        let (Some(first), Some(last)) = (targets.first(), targets.last()) else { return };
        let k = self.k();
        let falls = self.flow;
        let count = targets.len() as u32;
        self.k_read |= falls || count > 1;
        let entries = last.item.last - first.item.first + 1;
        let is_table = count > 1 && entries <= SPARSE * count + 8 && entries <= LONGEST_TABLE;
        let only_sites = targets.iter().all(|target| target.item.site);
        let read_after = || targets.iter().any(|target| self.is_k_read_after(target.item.first as usize - 1));
        let resets = only_sites && (count == 1 || is_table) && read_after();
        if resets {
            for target in targets {
                self.reset[target.item.first as usize - 1] = true;
            }
        }
        let label = |target: &Target| target.label.unwrap_or(0);
        if count == 1 {
            if falls {
                self.sink().local_get(k);
                self.reset_k(resets, k);
                let depth = self.depth(label(first));
                self.sink().br_if(depth);
            } else {
                self.reset_k(resets, k);
                let depth = self.depth(label(first));
                self.sink().br(depth);
            }
            return;
        }
        if falls {
            self.sink().block(BlockType::Empty);
            self.labels += 1;
        }
        let fall = self.labels.wrapping_sub(1);
        if is_table {
            self.sink().local_get(k);
            self.reset_k(resets, k);
            let mut table = Vec::new();
            let skipped = first.item.first;
            if skipped <= 3 {
                table.extend(
                    (0..skipped).map(|_| if falls { self.depth(fall) } else { self.depth(label(first)) }),
                );
            } else {
                self.sink().i32_const(skipped as i32).i32_sub();
            }
            for target in targets {
                let depth = self.depth(label(target));
                table.extend((target.item.first..=target.item.last).map(|_| depth));
            }
            let default = if falls { self.depth(fall) } else { self.depth(label(last)) };
            if !falls {
                // The last entries are the default.
                while table.last() == Some(&default) {
                    table.pop();
                }
            }
            self.sink().br_table(table, default);
        } else {
            if falls {
                let depth = self.depth(fall);
                self.sink().local_get(k).i32_eqz().br_if(depth);
            }
            for target in targets.iter().skip(1).rev() {
                let depth = self.depth(label(target));
                self.sink().local_get(k).i32_const(target.item.first as i32).i32_ge_u().br_if(depth);
            }
            let depth = self.depth(label(first));
            self.sink().br(depth);
        }
        if falls {
            self.sink().end();
            self.labels -= 1;
        }
    }

    pub(super) fn reset_k(&mut self, resets: bool, k: u32) {
        if resets && self.k_matters {
            self.sink().i32_const(0).local_set(k);
        }
    }
}
