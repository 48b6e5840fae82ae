//! Writes the lowered bodies: one emitter for the three kinds.
//!
//! ```text
//!   Normal           the function as it was, a test after each site
//!   Resume           begins at a site: fn_r(frame)
//!   Single           both in one: the function, which begins at a site if `entry` says so
//! ```
//!
//! All three have one cold end, to which every site branches with its number when the flag is set:
//!
//! ```text
//!   block $cold (result i32)
//!     ... call $f   i32.const 3   global.get $unwinding   br_if $cold   drop ...
//!     return
//!   end                           ;; the site's number is on the stack
//!   local.get ..  i32.const fn  call $spill      ;; one frame
//!   i32.const 0  ...                             ;; some result; nobody reads it
//! ```
//!
//! **Beginning in the middle.** A *level* is the code directly in one block, or in one arm of it. Its *targets* are its
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

use std::collections::HashMap;

use wasm_encoder::{BlockType, Catch, ConstExpr, Encode, InstructionSink, ValType as Encoded};
use wasmparser::{FrameKind, Operator, ValType};

use crate::error::{Error, ErrorKind};
use crate::module::Module;
use crate::own::Indices;
use crate::own::added::Added;
use crate::own::body::{Block, Body, NONE, Operand, is_tail_call};
use crate::own::calls::{Calls, Reach};
use crate::own::frame::{self, Frames, Store};
use crate::own::guard;
use crate::own::thrown::Thrown;

/// Which body to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Resume,
    Single,
}

/// The engines' limit for one function.
const MOST_BYTES: usize = 7_654_321;

/// The most locals that engines take in one function.
const MOST_LOCALS: usize = 50_000;

/// V8 takes no `br_table` with 65,520 targets or more.
const LONGEST_TABLE: u32 = 65_000;

/// From so many entries a target on, a table of targets is not worth its size.
const SPARSE: u32 = 3;

/// What the emitter needs to know about the module around a function.
pub(crate) struct Surroundings<'s> {
    pub(crate) module: &'s Module<'s>,
    pub(crate) calls: &'s Calls,
    pub(crate) indices: &'s Indices,
    /// The function's index before.
    pub(crate) function: u32,
    /// Its place in the resume table.
    pub(crate) id: u32,
}

/// The locals that a frame of a function holds, in its order.
pub(crate) struct Layout {
    locals: Vec<(u32, ValType)>,
    temps: Vec<(u32, ValType)>,
    types: Vec<ValType>,
}

impl Layout {
    /// The layout for values that are live across a site.
    pub(crate) fn new(body: &Body<'_>, live: &crate::own::liveness::Set) -> Layout {
        let mut locals: Vec<(u32, ValType)> =
            live.members().map(|local| (local, body.locals[local as usize])).collect();
        let mut temps = body.beneath.clone();
        locals.sort_by_key(|(_, ty)| frame::rank(*ty));
        temps.sort_by_key(|(_, ty)| frame::rank(*ty));
        let mut types: Vec<ValType> = locals.iter().chain(&temps).map(|(_, ty)| *ty).collect();
        types.sort_by_key(|ty| frame::rank(*ty));
        Layout { locals, temps, types }
    }
}

/// A body: its local declarations, then its code.
pub(crate) fn finish_function(locals: &[Encoded], code: Vec<u8>) -> Vec<u8> {
    let mut runs: Vec<(u32, Encoded)> = Vec::new();
    for ty in locals {
        match runs.last_mut() {
            Some((count, last)) if last == ty => *count += 1,
            _ => runs.push((1, *ty)),
        }
    }
    let mut function = Vec::with_capacity(code.len() + 8);
    runs.len().encode(&mut function);
    for (count, ty) in runs {
        count.encode(&mut function);
        ty.encode(&mut function);
    }
    function.extend(code);
    function
}

/// A type as the encoder has it.
pub(crate) fn encoded(ty: ValType) -> Encoded {
    match ty {
        ValType::I32 => Encoded::I32,
        ValType::I64 => Encoded::I64,
        ValType::F32 => Encoded::F32,
        ValType::F64 => Encoded::F64,
        ValType::V128 => Encoded::V128,
        ValType::Ref(ty) if ty.is_func_ref() => Encoded::FUNCREF,
        ValType::Ref(ty) if ty.is_extern_ref() => Encoded::EXTERNREF,
        ValType::Ref(_) => Encoded::EXNREF,
    }
}

/// Zero or null, as the initial value of a global.
pub(crate) fn zero_value(ty: ValType) -> ConstExpr {
    match ty {
        ValType::I32 => ConstExpr::i32_const(0),
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0.0.into()),
        ValType::F64 => ConstExpr::f64_const(0.0.into()),
        ValType::V128 => ConstExpr::v128_const(0),
        ValType::Ref(reference) => ConstExpr::ref_null(frame::heap_type(reference)),
    }
}

/// Pushes zero or null.
pub(crate) fn zero(sink: &mut InstructionSink<'_>, ty: ValType) {
    match ty {
        ValType::I32 => sink.i32_const(0),
        ValType::I64 => sink.i64_const(0),
        ValType::F32 => sink.f32_const(0.0.into()),
        ValType::F64 => sink.f64_const(0.0.into()),
        ValType::V128 => sink.v128_const(0),
        ValType::Ref(reference) => sink.ref_null(frame::heap_type(reference)),
    };
}

/// Writes one body of a function.
pub(crate) fn emit(
    kind: Kind,
    body: &Body<'_>,
    layout: &Layout,
    around: &Surroundings<'_>,
    frames: &mut Frames,
    added: &mut Added,
) -> Result<Vec<u8>, Error> {
    let mut written = write(kind, body, layout, around, frames, added, true)?;
    if !written.k_read {
        written = write(kind, body, layout, around, frames, added, false)?;
    }
    let Written { prologue, code, extra, .. } = written;

    let mut locals: Vec<Encoded> = Vec::new();
    let skipped = if kind == Kind::Resume { 0 } else { body.params };
    locals.extend(body.locals.iter().skip(skipped).map(|ty| encoded(*ty)));
    locals.extend(extra.iter().map(|ty| encoded(*ty)));
    if body.locals.len() + extra.len() + added.resume_params.len() > MOST_LOCALS {
        return Err(too_large("would need more locals"));
    }
    let function = finish_function(&locals, [prologue, code].concat());
    if function.len() > MOST_BYTES {
        return Err(too_large("would be larger"));
    }
    Ok(function)
}

struct Written {
    prologue: Vec<u8>,
    code: Vec<u8>,
    /// Types of the locals behind the function's own.
    extra: Vec<ValType>,
    k_read: bool,
}

fn write(
    kind: Kind,
    body: &Body<'_>,
    layout: &Layout,
    around: &Surroundings<'_>,
    frames: &mut Frames,
    added: &mut Added,
    k_matters: bool,
) -> Result<Written, Error> {
    let shift = if kind == Kind::Resume { added.resume_params.len() as u32 } else { 0 };
    let mut emitter = Emitter {
        kind,
        body,
        around,
        store: frames.store,
        frames,
        added,
        code: Vec::new(),
        shift,
        first_extra: shift + body.locals.len() as u32,
        extra: Vec::new(),
        temps: HashMap::new(),
        waiting: HashMap::new(),
        results: Vec::new(),
        k: None,
        k_read: kind == Kind::Normal,
        k_matters,
        condition: None,
        labels: 0,
        control: Vec::new(),
        levels: Vec::new(),
        items: Items::of(body),
        reset: vec![false; body.sites.len()],
        flow: kind != Kind::Resume,
        pending: Vec::new(),
    };
    if kind == Kind::Single {
        // It holds the frame's address first.
        emitter.k();
    }
    emitter.body()?;
    emitter.cold_end(layout)?;
    let prologue = emitter.prologue(layout);
    let Emitter { code, extra, k_read, .. } = emitter;
    Ok(Written { prologue, code, extra, k_read })
}

fn too_large(how: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("the lowered function {how} than engines take"))
        .with_help("split the function, or deny it if it is never on the stack of a suspension")
}

/// A target of a level.
#[derive(Clone, Copy)]
struct Item {
    op: u32,
    /// The sites that it stands for, from 1.
    first: u32,
    last: u32,
    /// Whether it is a site itself.
    site: bool,
}

/// The targets of each block, in order.
struct Items {
    blocks: Vec<Vec<Item>>,
    /// The start of the last block with targets in it.
    last_child: u32,
}

impl Items {
    fn of(body: &Body<'_>) -> Items {
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
    fn arm(&self, body: &Body<'_>, block: u32, start: u32) -> Vec<Item> {
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
struct Target {
    item: Item,
    /// The label, counted from the outermost; None: it is arrived at by falling.
    label: Option<u32>,
}

/// A level with targets that are still ahead.
struct Level {
    /// In reverse.
    ahead: Vec<Target>,
}

/// A block of the function that is open, as it was written.
struct Control {
    label: u32,
    block: u32,
    has_level: bool,
    /// Only one arm of it was written, as a plain block.
    one_arm: bool,
    /// Whether normal code arrived at it.
    flow: bool,
}

struct Emitter<'e, 'a> {
    kind: Kind,
    body: &'e Body<'a>,
    around: &'e Surroundings<'e>,
    store: Store,
    frames: &'e mut Frames,
    added: &'e mut Added,
    code: Vec<u8>,
    /// By how much the indices of the function's locals change.
    shift: u32,
    first_extra: u32,
    extra: Vec<ValType>,
    temps: HashMap<(u32, u32), u32>,
    waiting: HashMap<(u32, u32), u32>,
    /// Locals with what a call returned, by type and occurrence.
    results: Vec<(ValType, u32, u32)>,
    k: Option<u32>,
    /// Whether anything depends on `k`. If not, the body is written once more without setting it.
    k_read: bool,
    k_matters: bool,
    condition: Option<u32>,
    /// Labels that are open in what was written.
    labels: u32,
    control: Vec<Control>,
    levels: Vec<Level>,
    items: Items,
    /// Sites before whose landing `k` is reset.
    reset: Vec<bool>,
    /// Whether normal code arrives here.
    flow: bool,
    /// Targets that the level which begins next decides about, too.
    pending: Vec<Target>,
}

impl Emitter<'_, '_> {
    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    fn extra(&mut self, ty: ValType) -> u32 {
        self.extra.push(ty);
        self.first_extra + self.extra.len() as u32 - 1
    }

    fn k(&mut self) -> u32 {
        match self.k {
            Some(k) => k,
            None => {
                let k = self.extra(ValType::I32);
                self.k = Some(k);
                k
            }
        }
    }

    fn condition(&mut self) -> u32 {
        match self.condition {
            Some(condition) => condition,
            None => {
                let condition = self.extra(ValType::I32);
                self.condition = Some(condition);
                condition
            }
        }
    }

    fn temp(&mut self, slot: u32, ty: ValType) -> u32 {
        let key = (slot, frame::rank(ty));
        if let Some(temp) = self.temps.get(&key) {
            return *temp;
        }
        let temp = self.extra(ty);
        self.temps.insert(key, temp);
        temp
    }

    /// Where a block's parameter waits while the dispatch at its start is made.
    fn waiting(&mut self, slot: u32, ty: ValType) -> u32 {
        let key = (slot, frame::rank(ty));
        if let Some(local) = self.waiting.get(&key) {
            return *local;
        }
        let local = self.extra(ty);
        self.waiting.insert(key, local);
        local
    }

    /// The locals for what a call returned.
    fn result_locals(&mut self, types: &[ValType]) -> Vec<u32> {
        let mut locals = Vec::with_capacity(types.len());
        for (place, ty) in types.iter().enumerate() {
            let occurrence = types[..place].iter().filter(|other| *other == ty).count() as u32;
            let known = self
                .results
                .iter()
                .find(|(other, other_occurrence, _)| other == ty && *other_occurrence == occurrence);
            locals.push(match known {
                Some((_, _, local)) => *local,
                None => {
                    let local = self.extra(*ty);
                    self.results.push((*ty, occurrence, local));
                    local
                }
            });
        }
        locals
    }

    /// How far out a label is from here.
    fn depth(&self, label: u32) -> u32 {
        self.labels - 1 - label
    }

    /// The label that a branch of the function goes to.
    fn branch(&self, depth: u32) -> u32 {
        let control = self.control.len().checked_sub(1 + depth as usize);
        self.depth(control.map_or(0, |control| self.control[control].label))
    }

    fn block_type(&mut self, results: &[ValType]) -> BlockType {
        match results {
            [] => BlockType::Empty,
            [result] => BlockType::Result(encoded(*result)),
            _ => BlockType::FunctionType(self.added.ty(&[], results)),
        }
    }

    fn body(&mut self) -> Result<(), Error> {
        // The function's own label, then the cold end's.
        self.labels = 2;
        self.sink().block(BlockType::Result(Encoded::I32));
        let mut label = 0;
        if self.kind == Kind::Resume {
            let results = self.body.results.clone();
            let ty = self.block_type(&results);
            self.sink().block(ty);
            label = self.labels;
            self.labels += 1;
        }
        let has_level = self.kind != Kind::Normal && !self.body.sites.is_empty();
        self.control.push(Control { label, block: 0, has_level, one_arm: false, flow: self.flow });
        if has_level {
            let items = self.items.arm(self.body, 0, NONE);
            self.begin(&items, 0, NONE, &[]);
        }
        let mut op = 0;
        // The last operator is the function's own end.
        let last = self.body.ops.len() as u32 - 1;
        while op < last {
            op = self.step(op)?;
            if self.code.len() > MOST_BYTES {
                return Err(too_large("would be larger"));
            }
        }
        Ok(())
    }

    /// Writes an operator, or skips what nothing arrives at; returns the next one.
    fn step(&mut self, op: u32) -> Result<u32, Error> {
        let current = &self.body.ops[op as usize];
        let target = self.levels.last().and_then(|level| level.ahead.last()).copied();
        if let Some(target) = target
            && target.item.op == op
            && self.control.last().is_some_and(|control| control.has_level)
        {
            if let Some(level) = self.levels.last_mut() {
                level.ahead.pop();
            }
            return self.target(op, target);
        }
        let block = current.block;
        let starts = block != NONE && self.body.blocks[block as usize].start == op;
        if starts && (!current.live || !self.flow) {
            return Ok(self.body.blocks[block as usize].end + 1);
        }
        let is_mark = block != NONE && !starts;
        if !is_mark && (!current.live || !self.flow) {
            return Ok(op + 1);
        }
        match current.operator {
            Operator::Else | Operator::Catch { .. } | Operator::CatchAll => return Ok(self.arm(op)),
            Operator::End | Operator::Delegate { .. } => self.end(op),
            _ => {
                self.plain(op)?;
                if starts {
                    self.labels += 1;
                    let control = Control {
                        label: self.labels - 1,
                        block,
                        has_level: false,
                        one_arm: false,
                        flow: self.flow,
                    };
                    self.control.push(control);
                }
                if current.site != NONE {
                    self.check(current.site);
                } else {
                    self.guard(op);
                }
            }
        }
        self.save(op);
        Ok(op + 1)
    }

    /// The next arm of the innermost block; returns where to go on.
    fn arm(&mut self, op: u32) -> u32 {
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

    fn end(&mut self, op: u32) {
        if let Some(control) = self.control.pop()
            && control.has_level
        {
            self.levels.pop();
        }
        match self.body.ops[op as usize].operator {
            Operator::Delegate { relative_depth } => {
                self.labels -= 1;
                let depth = self.branch(relative_depth);
                self.sink().delegate(depth);
            }
            _ => {
                self.labels -= 1;
                self.sink().end();
            }
        }
        self.flow = true;
    }

    /// Arrives at a target of the current level.
    fn target(&mut self, op: u32, target: Target) -> Result<u32, Error> {
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
    fn thrown(&self) -> Option<Thrown> {
        self.frames.thrown.filter(|_| self.body.catches())
    }

    /// Ends the target's block: what lies on the stack is put aside before and is there again after it.
    fn land(&mut self, own: &[Operand], target: Target, site: Option<usize>) {
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
    fn is_k_read_after(&self, site: usize) -> bool {
        let site = &self.body.sites[site];
        self.k_matters && (site.in_loop || site.op < self.items.last_child)
    }

    /// Whether an operand can be had again without the stack.
    fn is_kept(&self, operand: &Operand) -> bool {
        let saved = || self.body.saved.get(&operand.producer);
        self.body.is_constant(operand.producer)
            || saved().is_some_and(|saved| saved.iter().any(|saved| saved.slot == operand.slot))
    }

    /// Enters a block with targets in it.
    fn child(&mut self, op: u32, target: Target) -> Result<u32, Error> {
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
    fn as_block(&mut self, op: u32) {
        // The type follows the one byte of the opcode.
        let bytes = self.body.bytes(op);
        self.code.push(0x02);
        self.code.extend_from_slice(&bytes[1..]);
    }

    /// Begins a level: opens the targets' blocks and dispatches, or hands both down.
    fn begin(&mut self, items: &[Item], block: u32, start: u32, pending: &[Target]) {
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
    fn can_hand_down(&self, items: &[Item], start: u32) -> bool {
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
    fn dispatch(&mut self, targets: &[Target]) {
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

    fn reset_k(&mut self, resets: bool, k: u32) {
        if resets && self.k_matters {
            self.sink().i32_const(0).local_set(k);
        }
    }

    /// The test after a site.
    fn check(&mut self, site: u32) {
        let cold = self.depth(1);
        let flag = self.store.unwinding;
        self.sink().i32_const(site as i32 + 1).global_get(flag).br_if(cold).drop();
    }

    /// The trap after a call that suspends though it must not.
    fn guard(&mut self, op: u32) {
        let operator = &self.body.ops[op as usize].operator;
        // One in tail position has its test with it.
        if !is_tail_call(operator)
            && self.around.calls.reach(self.around.function, operator) == Reach::Mistake
        {
            guard::write(&mut self.code, &self.store);
        }
    }

    /// Puts operands that a site needs into their temps as soon as they are there.
    fn save(&mut self, op: u32) {
        let Some(saved) = self.body.saved.get(&op) else { return };
        let temps: Vec<u32> = saved.iter().map(|operand| self.temp(operand.slot, operand.ty)).collect();
        if let [temp] = temps[..] {
            self.sink().local_tee(temp);
            return;
        }
        for temp in temps.iter().rev() {
            self.sink().local_set(*temp);
        }
        for temp in &temps {
            self.sink().local_get(*temp);
        }
    }

    /// Writes an operator as it was, but for indices.
    fn plain(&mut self, op: u32) -> Result<(), Error> {
        let resume = self.kind == Kind::Resume;
        let shift = self.shift;
        let operator = &self.body.ops[op as usize].operator;
        match operator {
            Operator::Call { function_index } => {
                let function = self.around.indices.calls[*function_index as usize];
                self.sink().call(function);
            }
            Operator::RefFunc { function_index } => {
                let function = self.around.indices.references[*function_index as usize];
                self.sink().ref_func(function);
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => {
                match tail_callee(self.around, operator, self.frames, self.added)? {
                    // What is called returns here, and what it returned is on its way to the caller's frame.
                    Some(callee) if resume => {
                        self.sink().call(callee);
                        self.return_();
                    }
                    Some(callee) => {
                        self.sink().return_call(callee);
                    }
                    None => {
                        if let Operator::ReturnCallIndirect { type_index, table_index } = operator {
                            match resume {
                                true => {
                                    self.sink().call_indirect(*table_index, *type_index);
                                    self.return_();
                                }
                                false => {
                                    self.sink().return_call_indirect(*table_index, *type_index);
                                }
                            }
                        }
                    }
                }
            }
            Operator::LocalGet { local_index } if shift > 0 => {
                self.sink().local_get(local_index + shift);
            }
            Operator::LocalSet { local_index } if shift > 0 => {
                self.sink().local_set(local_index + shift);
            }
            Operator::LocalTee { local_index } if shift > 0 => {
                self.sink().local_tee(local_index + shift);
            }
            Operator::Br { relative_depth } => {
                let depth = self.branch(*relative_depth);
                self.sink().br(depth);
            }
            Operator::BrIf { relative_depth } => {
                let depth = self.branch(*relative_depth);
                self.sink().br_if(depth);
            }
            Operator::BrTable { targets } => {
                let table: Vec<u32> = targets.targets().flatten().map(|depth| self.branch(depth)).collect();
                let default = self.branch(targets.default());
                self.sink().br_table(table, default);
            }
            Operator::Rethrow { relative_depth } => {
                let depth = self.branch(*relative_depth);
                self.sink().rethrow(depth);
            }
            Operator::Return if resume => self.return_(),
            Operator::TryTable { try_table } => {
                let catches = try_table
                    .catches
                    .iter()
                    .map(|catch| match *catch {
                        wasmparser::Catch::One { tag, label } => {
                            Catch::One { tag, label: self.branch(label) }
                        }
                        wasmparser::Catch::OneRef { tag, label } => {
                            Catch::OneRef { tag, label: self.branch(label) }
                        }
                        wasmparser::Catch::All { label } => Catch::All { label: self.branch(label) },
                        wasmparser::Catch::AllRef { label } => Catch::AllRef { label: self.branch(label) },
                    })
                    .collect::<Vec<Catch>>();
                let ty = match try_table.ty {
                    wasmparser::BlockType::Empty => BlockType::Empty,
                    wasmparser::BlockType::Type(ty) => BlockType::Result(encoded(ty)),
                    wasmparser::BlockType::FuncType(ty) => BlockType::FunctionType(ty),
                };
                self.sink().try_table(ty, catches);
            }
            Operator::BrOnNull { .. } | Operator::BrOnNonNull { .. } | Operator::ReturnCallRef { .. } => {
                return Err(Error::new(
                    ErrorKind::Internal,
                    "typed function references in a module that was found to be without",
                ));
            }
            _ => {
                let bytes = self.body.bytes(op);
                self.code.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    fn return_(&mut self) {
        if self.kind != Kind::Resume {
            self.sink().return_();
            return;
        }
        let label = self.control.first().map_or(0, |control| control.label);
        let depth = self.depth(label);
        self.sink().br(depth);
    }

    /// The end of the function: what it returns, and how it is suspended.
    fn cold_end(&mut self, layout: &Layout) -> Result<(), Error> {
        let results = self.body.results.clone();
        if self.kind == Kind::Resume {
            self.sink().end();
            self.labels -= 1;
            for global in self.frames.results(self.added, &results).iter().rev() {
                self.sink().global_set(*global);
            }
        }
        self.sink().return_().end();
        if self.body.sites.is_empty() {
            // Nothing branches here, and the validator knows.
            self.sink().unreachable().end();
            return Ok(());
        }
        let id = self.around.id as i32;
        let values = self.values(layout);
        if Frames::has_helpers(&layout.types) {
            let spill = self.frames.spill(self.added, &layout.types);
            for local in values {
                self.sink().local_get(local);
            }
            self.sink().i32_const(id).call(spill);
        } else {
            let locals = (self.extra(ValType::I32), self.extra(ValType::I32));
            let values: Vec<(u32, ValType)> = values.into_iter().zip(layout.types.iter().copied()).collect();
            let mut sink = InstructionSink::new(&mut self.code);
            self.frames.spill_in_place(self.added, &mut sink, &values, self.around.id, locals);
        }
        if self.kind != Kind::Resume {
            for ty in &results {
                zero(&mut self.sink(), *ty);
            }
        }
        self.sink().end();
        Ok(())
    }

    /// The locals that hold the values of a frame, in its order.
    fn values(&mut self, layout: &Layout) -> Vec<u32> {
        let mut values: Vec<(u32, u32)> =
            layout.locals.iter().map(|(local, ty)| (frame::rank(*ty), local + self.shift)).collect();
        for (slot, ty) in &layout.temps {
            values.push((frame::rank(*ty), self.temp(*slot, *ty)));
        }
        values.sort_by_key(|(rank, _)| *rank);
        values.into_iter().map(|(_, local)| local).collect()
    }

    /// What a resumed function begins with: everything is where it was at the site.
    fn prologue(&mut self, layout: &Layout) -> Vec<u8> {
        if self.kind == Kind::Normal || self.body.sites.is_empty() {
            return Vec::new();
        }
        let store = self.store;
        let values = self.values(layout);
        let mut results: Vec<(u32, u32, ValType)> = Vec::new();
        for (ty, occurrence, local) in &self.results {
            results.push((*local, self.frames.result(self.added, *ty, *occurrence), *ty));
        }
        let is_single = self.kind == Kind::Single;
        // In a single body the frame's address arrives in `k`.
        let frame_local = if is_single { self.k() } else { 0 };
        let mut code = Vec::new();
        let catches = self.body.catches();
        let restore = Frames::has_helpers(&layout.types)
            .then(|| self.frames.restore(self.added, &layout.types, catches));
        let mut sink = InstructionSink::new(&mut code);
        if is_single {
            sink.global_get(store.entry).local_tee(frame_local).if_(BlockType::Empty);
            sink.i32_const(0).global_set(store.entry);
        }
        match restore {
            Some(restore) => {
                sink.local_get(frame_local).call(restore);
                match self.k.filter(|_| self.k_matters) {
                    Some(k) => sink.local_set(k),
                    None => sink.drop(),
                };
                for local in values.iter().rev() {
                    sink.local_set(*local);
                }
            }
            None => {
                let values: Vec<(u32, ValType)> =
                    values.into_iter().zip(layout.types.iter().copied()).collect();
                self.frames.restore_in_place(self.added, &mut sink, &values, frame_local, catches);
                if let Some(k) = self.k.filter(|_| self.k_matters) {
                    sink.local_get(frame_local).i32_load(self.frames.at(4)).local_set(k);
                }
            }
        }
        for (local, global, ty) in results {
            take_result(&mut sink, global, ty);
            sink.local_set(local);
        }
        if is_single {
            sink.end();
        }
        code
    }
}

/// The function that a tail call goes to instead; None: through its table, as it did.
///
/// One that is made again has to keep its arguments, in a frame of the function that stands for it. One from which no
/// suspension must come goes through a guard.
pub(crate) fn tail_callee(
    around: &Surroundings<'_>,
    operator: &Operator<'_>,
    frames: &mut Frames,
    added: &mut Added,
) -> Result<Option<u32>, Error> {
    let reach = around.calls.reach(around.function, operator);
    let store = frames.store;
    Ok(match *operator {
        Operator::ReturnCall { function_index } => Some(match reach {
            Reach::Nothing | Reach::Suspension { again: false } => {
                around.indices.calls[function_index as usize]
            }
            Reach::Suspension { again: true } => around.indices.references[function_index as usize],
            Reach::Mistake => {
                let callee = around.indices.calls[function_index as usize];
                frames.guards.direct(around.module, function_index, callee, &store, added)?
            }
        }),
        Operator::ReturnCallIndirect { type_index, table_index } if reach == Reach::Mistake => {
            Some(frames.guards.indirect(around.module, type_index, table_index, &store, added)?)
        }
        _ => None,
    })
}

/// Pushes what a resumed call returned.
pub(crate) fn take_result(sink: &mut InstructionSink<'_>, global: u32, ty: ValType) {
    sink.global_get(global);
    if let ValType::Ref(_) = ty {
        // What nobody needs any more must not be held.
        zero(sink, ty);
        sink.global_set(global);
    }
}
