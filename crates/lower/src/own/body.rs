//! One function as the emitter needs it: its operators, its blocks, and what lies on the operand stack at each place
//! where the lowered code may have to begin in the middle.
//!
//! The function is read once, with a validator beside, which knows the types of operands. A *shadow* of the operand
//! stack remembers which operator produced each operand:
//!
//! ```text
//!   i32.const 1      slot 0: a constant
//!   local.get $x     slot 1: made by operator 1   ─┐ beneath the call: lost when the call
//!   block            ── level ──                   │ is suspended, so it must be in a local
//!     local.get $y   slot 2: made by operator 3    │ by then. Operator 1 is marked as *saved*.
//!     call $f        a site: takes slot 2         ─┘
//! ```
//!
//! *One Temp a Slot*: an operand's slot is its height above the bottom of the stack. As long as an operand lies in a
//! slot nothing else can, so one local for each (slot, type) holds every saved operand.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;

use wasmparser::{
    AbstractHeapType, FrameKind, FuncValidator, FunctionBody, HeapType, Operator, OperatorsReader, RefType,
    ValType, ValidatorResources,
};

use crate::error::{Error, ErrorKind};
use crate::own::calls::{Calls, Reach};

/// No operator, no block.
pub(crate) const NONE: u32 = u32::MAX;

/// More operands than that below the sites of one function, or among what its operators and blocks take and give by the
/// many, and a module was made to harm: a call of two bytes may return a thousand.
const MOST_OPERANDS: usize = 1 << 19;

pub(crate) struct Op<'a> {
    pub(crate) operator: Operator<'a>,
    /// Where its bytes begin in the module; they end where the next one's begin.
    pub(crate) at: usize,
    /// Whether control can reach it.
    pub(crate) live: bool,
    /// For the start, each further arm and the end of a block: the block.
    pub(crate) block: u32,
    /// For a call that may suspend: its site.
    pub(crate) site: u32,
}

/// An operand that lies on the stack.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    pub(crate) slot: u32,
    pub(crate) ty: ValType,
    /// The operator that made it.
    pub(crate) producer: u32,
}

pub(crate) struct Block {
    /// Its first operator; [`NONE`] for the function itself.
    pub(crate) start: u32,
    /// `else`, `catch` and `catch_all`.
    pub(crate) arms: Vec<u32>,
    /// `end` or `delegate`.
    pub(crate) end: u32,
    pub(crate) kind: FrameKind,
    /// Slots below it.
    pub(crate) height: u32,
    pub(crate) params: Vec<ValType>,
    /// Whether a live branch goes to it.
    pub(crate) targeted: bool,
    /// The sites inside, by index.
    pub(crate) sites: Range<u32>,
    /// What the enclosing block has on the stack before it, its own parameters and condition included.
    pub(crate) own: Range<u32>,
}

/// A call that may suspend and after which the function goes on.
pub(crate) struct Site {
    pub(crate) op: u32,
    /// Whether resuming calls again, instead of taking the result.
    pub(crate) again: bool,
    pub(crate) results: Vec<ValType>,
    /// What its block has on the stack beneath what the call takes; for one that is called again, with that.
    pub(crate) own: Range<u32>,
    /// Whether an exception out of the call may be caught in this function.
    pub(crate) in_try: bool,
    pub(crate) in_loop: bool,
}

pub(crate) struct Body<'a> {
    /// The whole module, which [`Op::at`] is an offset into.
    pub(crate) wasm: &'a [u8],
    pub(crate) ops: Vec<Op<'a>>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) sites: Vec<Site>,
    pub(crate) operands: Vec<Operand>,
    /// Types of parameters and locals.
    pub(crate) locals: Vec<ValType>,
    pub(crate) params: usize,
    pub(crate) results: Vec<ValType>,
    /// For each operator with an operand that must be in a local: what it pushes, from the lowest such operand up.
    pub(crate) saved: HashMap<u32, Vec<Operand>>,
    /// The operands that are beneath a site and no constants.
    pub(crate) beneath: Vec<(u32, ValType)>,
    /// Calls that may suspend, those in tail position included.
    pub(crate) suspending: u32,
    /// Whether the function has a loop with a site in it.
    pub(crate) site_in_loop: bool,
    /// Whether it makes a tail call where exceptions are caught, which do not catch those of the one called.
    pub(crate) tail_call_in_try: bool,
    /// The most targets that a `br_table` in a loop has.
    pub(crate) widest_switch_in_loop: u32,
}

impl<'a> Body<'a> {
    /// The bytes of an operator.
    pub(crate) fn bytes(&self, op: u32) -> &'a [u8] {
        let end = self.ops.get(op as usize + 1).map_or(self.end_at(), |next| next.at);
        &self.wasm[self.ops[op as usize].at..end]
    }

    fn end_at(&self) -> usize {
        // The last operator is the function's `end`: one byte.
        self.ops.last().map_or(0, |op| op.at + 1)
    }

    pub(crate) fn own(&self, range: &Range<u32>) -> &[Operand] {
        &self.operands[range.start as usize..range.end as usize]
    }

    /// Whether an exception out of one of its sites may be caught in it.
    pub(crate) fn catches(&self) -> bool {
        self.sites.iter().any(|site| site.in_try)
    }

    /// Whether an operator is a constant, which is written again instead of being kept in a local.
    pub(crate) fn is_constant(&self, op: u32) -> bool {
        matches!(
            self.ops[op as usize].operator,
            Operator::I32Const { .. }
                | Operator::I64Const { .. }
                | Operator::F32Const { .. }
                | Operator::F64Const { .. }
                | Operator::V128Const { .. }
                | Operator::RefNull { .. }
        )
    }
}

/// Reads and validates one function.
pub(crate) fn read<'a>(
    wasm: &'a [u8],
    validator: &mut FuncValidator<ValidatorResources>,
    body: &FunctionBody<'a>,
    params: &[ValType],
    results: &[ValType],
    calls: &Calls,
    function: u32,
) -> Result<Body<'a>, Error> {
    let mut binary = body.get_binary_reader();
    validator.read_locals(&mut binary)?;
    let mut operators = OperatorsReader::new(binary);
    let locals = (0..validator.len_locals()).filter_map(|local| validator.get_local_type(local)).collect();
    let size = body.range().len();
    let mut reader = Reader {
        body: Body {
            wasm,
            ops: Vec::with_capacity(size / 2),
            blocks: Vec::new(),
            sites: Vec::new(),
            operands: Vec::new(),
            locals,
            params: params.len(),
            results: results.to_vec(),
            saved: HashMap::new(),
            beneath: Vec::new(),
            suspending: 0,
            site_in_loop: false,
            tail_call_in_try: false,
            widest_switch_in_loop: 0,
        },
        stack: Vec::new(),
        marked: 0,
        open: Vec::new(),
        made_several: Vec::new(),
        result_types: HashSet::new(),
        counted: 0,
        loops: 0,
        tries: 0,
    };
    reader.open_block(NONE, FrameKind::Block, Vec::new(), 0, true);
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset()?;
        reader.operator(validator, calls, function, operator, at)?;
    }
    operators.finish()?;
    let mut body = reader.body;
    drop_tail_sites(&mut body);
    body.site_in_loop = body.sites.iter().any(|site| site.in_loop);
    body.beneath.sort_unstable_by_key(|(slot, ty)| (*slot, crate::own::frame::rank(*ty)));
    body.beneath.dedup();
    Ok(body)
}

struct Open {
    block: u32,
    /// An exception out of it is caught here: it is the body of a `try`, not one of its handlers.
    catches: bool,
    /// Control cannot reach it.
    dead: bool,
    is_loop: bool,
}

/// An operator with several results.
struct Several {
    producer: u32,
    /// The slot of its first result.
    slot: usize,
    types: Rc<[ValType]>,
}

struct Reader<'a> {
    body: Body<'a>,
    /// The shadow of the operand stack, while control can reach the place.
    stack: Vec<(u32, ValType)>,
    /// The operands in slots below this one are marked as saved.
    marked: usize,
    open: Vec<Open>,
    /// The operators with several results of which the stack holds some, from its bottom up.
    made_several: Vec<Several>,
    /// The types of such results, each list once.
    result_types: HashSet<Rc<[ValType]>>,
    /// How many operands are noted somewhere.
    counted: usize,
    loops: u32,
    tries: u32,
}

impl<'a> Reader<'a> {
    fn operator(
        &mut self,
        validator: &mut FuncValidator<ValidatorResources>,
        calls: &Calls,
        function: u32,
        operator: Operator<'a>,
        at: usize,
    ) -> Result<(), Error> {
        let op = self.body.ops.len() as u32;
        let live = self.is_live(validator);
        let (pops, _) = operator.operator_arity(validator).ok_or_else(|| arity(at))?;
        let before = validator.operand_stack_height() as usize;

        let (mut site, mut block) = (NONE, NONE);
        if live {
            match calls.reach(function, &operator) {
                Reach::Nothing | Reach::Mistake => {}
                Reach::Suspension { again } => {
                    self.body.suspending += 1;
                    // A tail call needs nothing: who is called returns to our caller.
                    if !is_tail_call(&operator) {
                        site = self.site(op, again, before, pops as usize)?;
                    }
                }
            }
            self.branches(&operator);
            self.body.tail_call_in_try |= self.tries > 0 && is_tail_call(&operator);
        }
        match &operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::Try { .. }
            | Operator::TryTable { .. } => {
                let height = before.saturating_sub(pops as usize);
                // Where nothing arrives there is no shadow to tell types from, and nobody will ask.
                let has_condition = matches!(operator, Operator::If { .. });
                let params = match live {
                    true => {
                        let end = before - usize::from(has_condition);
                        self.count(end - height)?;
                        self.stack[height..end].iter().map(|(_, ty)| *ty).collect()
                    }
                    false => Vec::new(),
                };
                block = self.open_block(op, kind(&operator), params, height as u32, live);
                if live {
                    self.own(block, before)?;
                }
            }
            Operator::Else | Operator::Catch { .. } | Operator::CatchAll => {
                if let Some(open) = self.open.last_mut() {
                    block = open.block;
                    if open.catches {
                        open.catches = false;
                        self.tries -= 1;
                    }
                    self.body.blocks[block as usize].arms.push(op);
                }
            }
            Operator::End | Operator::Delegate { .. } => {
                if let Some(open) = self.open.pop() {
                    block = open.block;
                    self.loops -= u32::from(open.is_loop);
                    self.tries -= u32::from(open.catches);
                    let sites = self.body.sites.len() as u32;
                    let block = &mut self.body.blocks[block as usize];
                    block.end = op;
                    block.sites.end = sites;
                }
            }
            _ => {}
        }

        validator.op(at, &operator)?;
        let after = validator.operand_stack_height() as usize;
        let goes_on = self.is_live(validator);
        self.body.ops.push(Op { operator, at, live, block, site });
        if goes_on {
            // What remains of the old operands, then the new ones.
            let kept = match &self.body.ops[op as usize].operator {
                Operator::End
                | Operator::Else
                | Operator::Catch { .. }
                | Operator::CatchAll
                | Operator::Delegate { .. } => {
                    if block == NONE {
                        0
                    } else {
                        self.body.blocks[block as usize].height as usize
                    }
                }
                _ => before.saturating_sub(pops as usize),
            };
            self.stack.truncate(kept);
            self.marked = self.marked.min(kept);
            while self.made_several.pop_if(|several| several.slot >= kept).is_some() {}
            for slot in kept..after {
                let ty = validator.get_operand_type(after - 1 - slot).flatten().ok_or_else(|| arity(at))?;
                self.stack.push((op, storable(ty)));
            }
            let types =
                |stack: &[(u32, ValType)]| stack[kept..].iter().map(|(_, ty)| *ty).collect::<Vec<_>>();
            if after - kept > 1 {
                let types = self.shared(types(&self.stack));
                self.made_several.push(Several { producer: op, slot: kept, types });
            }
            if site != NONE {
                self.body.sites[site as usize].results = types(&self.stack);
                self.count(after - kept)?;
            }
        }
        Ok(())
    }

    /// Whether control can reach the next operator. The validator starts afresh in a block, even in one that control
    /// cannot reach.
    fn is_live(&self, validator: &FuncValidator<ValidatorResources>) -> bool {
        validator.get_control_frame(0).is_some_and(|frame| !frame.unreachable)
            && self.open.last().is_some_and(|open| !open.dead)
    }

    fn open_block(
        &mut self,
        start: u32,
        kind: FrameKind,
        params: Vec<ValType>,
        height: u32,
        live: bool,
    ) -> u32 {
        let block = self.body.blocks.len() as u32;
        let sites = self.body.sites.len() as u32;
        let catches = matches!(kind, FrameKind::LegacyTry | FrameKind::TryTable);
        let is_loop = kind == FrameKind::Loop;
        self.body.blocks.push(Block {
            start,
            arms: Vec::new(),
            end: NONE,
            kind,
            height,
            params,
            targeted: false,
            sites: sites..sites,
            own: 0..0,
        });
        self.open.push(Open { block, catches, dead: !live, is_loop });
        self.loops += u32::from(is_loop);
        self.tries += u32::from(catches);
        block
    }

    /// Notes what the enclosing block has on the stack before a block.
    fn own(&mut self, block: u32, height: usize) -> Result<(), Error> {
        let level = self
            .open
            .iter()
            .rev()
            .nth(1)
            .map_or(0, |open| self.body.blocks[open.block as usize].height as usize);
        let own = self.operands(level, height)?;
        self.body.blocks[block as usize].own = own;
        Ok(())
    }

    /// A list of types, which is held once.
    fn shared(&mut self, types: Vec<ValType>) -> Rc<[ValType]> {
        if let Some(known) = self.result_types.get(&types[..]) {
            return known.clone();
        }
        let types: Rc<[ValType]> = types.into();
        self.result_types.insert(types.clone());
        types
    }

    /// Counts operands that are noted; too many are refused.
    fn count(&mut self, operands: usize) -> Result<(), Error> {
        self.counted += operands;
        if self.counted > MOST_OPERANDS {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a function keeps too many operands on the stack across calls that may suspend",
            )
            .with_help("no compiler is known to write such a function: deny it, or make it smaller"));
        }
        Ok(())
    }

    fn operands(&mut self, from: usize, to: usize) -> Result<Range<u32>, Error> {
        self.count(to - from)?;
        let start = self.body.operands.len();
        for (slot, (producer, ty)) in (from..to).zip(&self.stack[from..to]) {
            self.body.operands.push(Operand { slot: slot as u32, ty: *ty, producer: *producer });
        }
        Ok(start as u32..self.body.operands.len() as u32)
    }

    fn site(&mut self, op: u32, again: bool, height: usize, pops: usize) -> Result<u32, Error> {
        let beneath = if again { height } else { height - pops };
        for slot in self.marked..beneath {
            let (producer, ty) = self.stack[slot];
            if self.body.is_constant(producer) {
                continue;
            }
            self.body.beneath.push((slot as u32, ty));
            let several = self.made_several.binary_search_by_key(&producer, |several| several.producer);
            let alone = [ty];
            let (first, types) = match several {
                Ok(several) => (self.made_several[several].slot, &*self.made_several[several].types),
                Err(_) => (slot, &alone[..]),
            };
            let types = &types[slot - first..];
            let entry = self.body.saved.entry(producer).or_default();
            // An operand further down may have been met before.
            let more = types.len().saturating_sub(entry.len());
            if more > 0 {
                let saved = (slot as u32..).zip(types);
                *entry = saved.map(|(slot, ty)| Operand { slot, ty: *ty, producer }).collect();
                self.count(more)?;
            }
        }
        self.marked = self.marked.max(beneath);
        let level = self.open.last().map_or(0, |open| self.body.blocks[open.block as usize].height as usize);
        let own = self.operands(level, beneath)?;
        let site = self.body.sites.len() as u32;
        let (in_try, in_loop) = (self.tries > 0, self.loops > 0);
        self.body.sites.push(Site { op, again, results: Vec::new(), own, in_try, in_loop });
        Ok(site)
    }

    fn branches(&mut self, operator: &Operator<'a>) {
        match operator {
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth } => self.target(*relative_depth),
            Operator::BrTable { targets } => {
                if self.loops > 0 {
                    let width = &mut self.body.widest_switch_in_loop;
                    *width = (*width).max(targets.len());
                }
                self.target(targets.default());
                for target in targets.targets().flatten() {
                    self.target(target);
                }
            }
            Operator::TryTable { try_table } => {
                for catch in &try_table.catches {
                    self.target(catch_label(catch));
                }
            }
            _ => {}
        }
    }

    fn target(&mut self, depth: u32) {
        let open = self.open.len().checked_sub(1 + depth as usize);
        if let Some(open) = open {
            let block = self.open[open].block;
            self.body.blocks[block as usize].targeted = true;
        }
    }
}

/// The label that a clause of `try_table` branches to.
pub(crate) fn catch_label(catch: &wasmparser::Catch) -> u32 {
    match *catch {
        wasmparser::Catch::One { label, .. }
        | wasmparser::Catch::OneRef { label, .. }
        | wasmparser::Catch::All { label }
        | wasmparser::Catch::AllRef { label } => label,
    }
}

/// The type of a local that can hold a value: references without their more exact types.
fn storable(ty: ValType) -> ValType {
    let ValType::Ref(reference) = ty else { return ty };
    ValType::Ref(match reference.heap_type() {
        HeapType::Abstract { ty: AbstractHeapType::Extern | AbstractHeapType::NoExtern, .. } => {
            RefType::EXTERNREF
        }
        HeapType::Abstract { ty: AbstractHeapType::Exn | AbstractHeapType::NoExn, .. } => RefType::EXNREF,
        _ => RefType::FUNCREF,
    })
}

pub(crate) fn is_tail_call(operator: &Operator<'_>) -> bool {
    matches!(
        operator,
        Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } | Operator::ReturnCallRef { .. }
    )
}

fn kind(operator: &Operator<'_>) -> FrameKind {
    match operator {
        Operator::Loop { .. } => FrameKind::Loop,
        Operator::If { .. } => FrameKind::If,
        Operator::Try { .. } => FrameKind::LegacyTry,
        Operator::TryTable { .. } => FrameKind::TryTable,
        _ => FrameKind::Block,
    }
}

fn arity(at: usize) -> Error {
    Error::new(ErrorKind::Invalid, format!("not a valid WebAssembly module: an operator at offset {at:#x}"))
}

/// Forgets the sites after which the function only returns what the call returned: the caller's frame is the next one
/// that matters. A site inside a `try` stays, as does one that is called again.
fn drop_tail_sites(body: &mut Body<'_>) {
    let returns = returns(body);
    let tail: Vec<bool> = body
        .sites
        .iter()
        .map(|site| {
            let returns = returns.get(site.op as usize + 1).is_some_and(|returns| *returns);
            returns && !site.again && !site.in_try && site.results == body.results
        })
        .collect();
    if !tail.contains(&true) {
        return;
    }
    // Where each site goes.
    let mut renumbered = Vec::with_capacity(tail.len() + 1);
    let mut next = 0;
    for tail in &tail {
        renumbered.push(next);
        next += u32::from(!tail);
    }
    renumbered.push(next);
    for op in &mut body.ops {
        if op.site != NONE {
            op.site = if tail[op.site as usize] { NONE } else { renumbered[op.site as usize] };
        }
    }
    for block in &mut body.blocks {
        block.sites = renumbered[block.sites.start as usize]..renumbered[block.sites.end as usize];
    }
    let mut keep = tail.iter();
    body.sites.retain(|_| keep.next().is_some_and(|tail| !tail));
}

/// For each operator whether control that arrives at it does nothing but return.
fn returns(body: &Body<'_>) -> Vec<bool> {
    let mut returns = vec![false; body.ops.len() + 1];
    if body.sites.is_empty() {
        return returns;
    }
    if let Some(end) = returns.last_mut() {
        *end = true;
    }
    for (op, current) in body.ops.iter().enumerate().rev() {
        returns[op] = match current.operator {
            Operator::Return => true,
            Operator::End => returns[op + 1],
            Operator::Else => returns[body.blocks[current.block as usize].end as usize],
            _ => false,
        };
    }
    returns
}
