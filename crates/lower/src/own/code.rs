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

mod levels;

use std::collections::HashMap;

use wasm_encoder::{BlockType, Catch, InstructionSink, ValType as Encoded};
use wasmparser::{Operator, ValType};

use crate::error::{Error, ErrorKind};
use crate::module::Module;
use crate::own::Indices;
use crate::own::added::Added;
use crate::own::body::{Body, NONE, is_tail_call};
use crate::own::calls::{Calls, Reach};
use crate::own::code::levels::{Items, Level, Target};
use crate::own::encode::{encoded, finish_function, take_result, zero};
use crate::own::frame::{self, Frames, Store};
use crate::own::guard;

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
