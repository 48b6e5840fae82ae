//! The asyncify ABI on lazy resume: what a module or a host that was written for Binaryen's pass expects.
//!
//! ```text
//!   host                               module
//!   export main ──────────────────►  wrapper ─► main ─► f ─► gate ─► import sleep
//!     sleep: start_unwind(data)                                        │ flag is set
//!          ◄──────────────────────  wrapper ◄─ frame ◄─ frame ◄────────┘
//!   stop_unwind()                     frames go to the buffer at `data`
//!   ...
//!   start_rewind(data)                frames come back from it
//!   export main ──────────────────►  wrapper: takes the innermost frame, f, which calls `sleep` again
//!     sleep: stop_rewind(), returns                     f goes on; when it returns main's frame is taken
//! ```
//!
//! An import that may suspend is *called again* with the same arguments on resuming: a site of its own kind, whose
//! frame holds the arguments. So is a function of the module that calls `start_unwind` or `stop_rewind` itself.
//!
//! *The Buffer is the Guest's* (unless it is a stable one): between `start_rewind` and the next `stop_unwind` nothing of the tool's is in it. Frames
//! that wait for their turn are in a memory of the tool's own, on top of those of calls further out:
//!
//! ```text
//!   own memory   │ frames of an outer call │ frames of this call │ frames being written │
//!                                           cur ──►            end,  top              wp
//!   buffer       │ frames, innermost first │ border │
//!                                                    data.current
//! ```
//!
//! *Borders*: a host function may stand between two calls of exports. The frames of each call are followed by a border
//! {their length, the length of everything, which function it was, a mark}; rewinding goes the other way round, from the outermost call
//! inward: each wrapper that is entered takes the last part that nobody has taken.
//!
//! *Gates*: every import is called through a gate. That of an import which may suspend confirms that a suspension
//! came from there; that of another one traps. So a suspension that the analysis could not know of, by an import that
//! was not listed or by a host function in a table, never goes on with a result that does not exist.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, InstructionSink, MemArg, ValType as Encoded};
use wasmparser::{ExternalKind, Operator, ValType};

use crate::Options;
use crate::error::{Error, ErrorKind};
use crate::module::{Module, matches_pattern};
use crate::own::added::Added;
use crate::own::calls::{Calls, Root};
use crate::own::code::{encoded, finish_function, zero};
use crate::own::frame::{self, Frames, Store};
use crate::own::thrown::{self, Thrown};
use crate::own::{Indices, check_params, internal};

/// The module whose imports the pass defines.
pub(crate) const MODULE: &str = "asyncify";

/// The parts of the ABI, as imports and, with a prefix, as exports.
const PARTS: [&str; 5] = ["start_unwind", "stop_unwind", "start_rewind", "stop_rewind", "get_state"];

/// Follows the frames of a call: {length, length of everything, which function was called, mark}.
const BORDER: i32 = 16;

/// The header of a segment in a stable buffer.
const SEGMENT: i32 = 12;

/// No suspension needs so many bytes.
const FARTHEST: i32 = 0x4000_0000;

/// What a border ends with; found elsewhere only by accident.
const MARK: i32 = 0x776e_646c;

/// A move of fewer bytes is done word by word: a bulk copy costs a call in some engines.
const SMALL: i32 = 160;

/// What traps say, by the names of the functions they are in.
mod trap {
    pub(super) const MISTAKE: &str = "windlass.suspended_through_a_function_that_was_not_lowered";
    pub(super) const STRANGER: &str = "windlass.suspended_by_an_import_that_is_not_listed_as_suspending";
    pub(super) const OVERFLOW: &str = "windlass.the_asyncify_buffer_is_too_small";
    pub(super) const MEMORY: &str = "windlass.no_memory_for_frames";
    pub(super) const NO_FRAMES: &str = "windlass.start_rewind_of_a_buffer_without_frames";
    pub(super) const NOT_REWOUND: &str = "windlass.rewound_by_other_calls_than_those_that_were_unwound";
    pub(super) const OTHER_BUFFER: &str = "windlass.suspended_into_another_buffer_than_the_stable_one";
    pub(super) const THREW: &str = "windlass.an_import_threw_after_it_had_started_to_unwind";
    pub(super) const BUFFER_IN_USE: &str =
        "windlass.suspended_into_a_buffer_that_holds_frames_of_an_outer_call";
    pub(super) const NESTED: &str = "windlass.suspended_through_an_export_that_the_module_called_itself";
    pub(super) const TUNNEL: &str = "windlass.host_frames_amid_a_suspension_need_a_buffer_that_is_not_stable";
}

/// A function of the ABI.
#[derive(Clone, Copy)]
struct Parts {
    /// In the order of [`PARTS`].
    functions: [u32; 5],
}

pub(crate) struct Shell {
    store: Store,
    parts: Parts,
    stable: bool,
    /// `state` is 2.
    rewinding: u32,
    /// The host's or guest's {current, end}.
    data: u32,
    end: u32,
    top: u32,
    /// Where the frames of the suspension in progress begin, and those of the innermost call that is still open.
    start: u32,
    chunk: u32,
    /// Whether the last thing written is a border.
    closed: u32,
    /// Whether a call has been left without a border, as if it were the outermost one.
    is_left: u32,
    /// The function of that call.
    left_function: u32,
    /// The pending frames of the outermost call, which `stop_unwind` takes from where they are.
    left_cur: u32,
    left_end: u32,
    /// The frames that rewinding has not handed out: from `rewind_base` to `rewind_end`.
    rewind_base: u32,
    rewind_end: u32,
    /// Whether nothing of it has been handed out.
    rewind_first: u32,
    /// Wrappers that are open, one out of an import of the other. Only a hint: a trap, or an error that the host throws
    /// through the module, leaves it wrong. It is too large then, or 1.
    depth: u32,
    /// Whether an import is running. A wrapper that is entered while none is begins anew: what was open has trapped.
    in_import: u32,
    /// Whether the suspension came from where one may.
    confirmed: u32,
    /// `start_unwind` for code of the module itself, which is allowed to.
    start_inside: u32,
    /// With a stable buffer: the segment, and the buffer that is being resumed and its start.
    seg: u32,
    own_data: u32,
    own_start: u32,
    /// The buffer that a suspension began to fill last; 0: none did since the last import was called.
    begun: u32,
    resume: u32,
    leave: u32,
    reserve: u32,
    traps: BTreeMap<&'static str, u32>,
    roots: Vec<Root>,
    /// Functions of the module that stop an unwinding or start a rewinding.
    bottoms: Vec<u32>,
    /// For each import its gate.
    gates: Vec<Option<u32>>,
    /// For what suspends: the function that stands for it where a reference is taken.
    stubs: BTreeMap<u32, u32>,
    wrappers: BTreeMap<u32, u32>,
    indirect_wrappers: BTreeMap<(u32, u32), u32>,
}

const fn field(offset: u64) -> MemArg {
    MemArg { offset, align: 2, memory_index: 0 }
}

/// The data structure.
const CURRENT: MemArg = field(0);
const LIMIT: MemArg = field(4);

impl Shell {
    /// Checks the module and reserves what the ABI adds to it.
    pub(crate) fn new(module: &Module<'_>, options: &Options, added: &mut Added) -> Result<Shell, Error> {
        use ValType::I32;
        check(module)?;
        let roots = roots(module, options)?;
        let bottoms = callers_of(module, &["stop_unwind", "start_rewind"])?;

        let mut global = |name: &str| added.global(I32, format!("windlass.{name}"));
        let (unwinding, rewinding) = (global("unwinding"), global("rewinding"));
        let (cur, wp, room, entry) = (global("cur"), global("wp"), global("room"), global("entry"));
        let (data, end, start) = (global("data"), global("end"), global("start"));
        let (chunk, closed) = (global("chunk"), global("closed"));
        let (is_left, left_function) = (global("is_left"), global("left_function"));
        let (left_cur, left_end) = (global("left_cur"), global("left_end"));
        let (rewind_base, rewind_end) = (global("rewind_base"), global("rewind_end"));
        let (rewind_first, depth) = (global("rewind_first"), global("depth"));
        let in_import = global("in_import");
        let confirmed = global("confirmed");
        let (seg, own_data, own_start) = (global("seg"), global("own_data"), global("own_start"));
        let begun = global("begun");
        let grow = added.reserve(&[I32], &[], "windlass.grow");
        // No frame has the address 0: it says that there is none.
        let top = added.word("windlass.top", 16);
        let start_inside = added.reserve(&[I32], &[], "windlass.start_unwind");
        let resume = added.reserve(&[I32], &[], "windlass.resume");
        let saved = if options.stable_buffer { 7 } else { 5 };
        let leave = added.reserve(&vec![I32; 1 + saved], &[], "windlass.leave");
        let reserve = added.reserve(&[I32], &[], "windlass.reserve");
        let mut functions = [0; 5];
        for (slot, name) in functions.iter_mut().zip(PARTS) {
            let (params, results): (&[ValType], &[ValType]) = match name {
                "get_state" => (&[], &[I32]),
                "start_unwind" | "start_rewind" => (&[I32], &[]),
                _ => (&[], &[]),
            };
            *slot = added.reserve(params, results, format!("asyncify_{name}"));
        }
        let mut traps = BTreeMap::new();
        for name in [
            trap::MISTAKE,
            trap::STRANGER,
            trap::OVERFLOW,
            trap::MEMORY,
            trap::NO_FRAMES,
            trap::NOT_REWOUND,
            trap::OTHER_BUFFER,
            trap::THREW,
            trap::BUFFER_IN_USE,
            trap::NESTED,
            trap::TUNNEL,
        ] {
            traps.insert(name, added.reserve_trap(name));
        }
        let memory = if options.stable_buffer { 0 } else { module.memories.len() as u32 };
        if !options.stable_buffer {
            added.memories.push(1);
        }
        let mistake = traps[trap::MISTAKE];
        let store =
            Store { memory, unwinding, wp, room, cur, entry, grow, mistake, full: traps[trap::MEMORY] };

        let mut gates = Vec::new();
        let mut stubs = BTreeMap::new();
        for (function, import) in (0..).zip(&module.function_imports) {
            let is_part = import.module == MODULE;
            let ty = module.function_type(function).ok_or_else(|| internal("an import without a type"))?;
            let name = format!("windlass.gate.{}.{}", import.module, import.name);
            gates.push((!is_part).then(|| added.reserve(ty.params(), ty.results(), name)));
        }
        for root in &roots {
            let function = root.function;
            let ty = module.function_type(function).ok_or_else(|| internal("a function without a type"))?;
            let name = format!("windlass.again.{}", module.function_name(function));
            stubs.insert(function, added.reserve(ty.params(), ty.results(), name));
        }
        Ok(Shell {
            store,
            parts: Parts { functions },
            stable: options.stable_buffer,
            rewinding,
            data,
            end,
            top,
            start,
            chunk,
            closed,
            is_left,
            left_function,
            left_cur,
            left_end,
            rewind_base,
            rewind_end,
            rewind_first,
            depth,
            in_import,
            confirmed,
            start_inside,
            seg,
            own_data,
            own_start,
            begun,
            resume,
            leave,
            reserve,
            traps,
            roots,
            bottoms,
            gates,
            stubs,
            wrappers: BTreeMap::new(),
            indirect_wrappers: BTreeMap::new(),
        })
    }

    pub(crate) fn store(&self) -> Store {
        self.store
    }

    pub(crate) fn roots(&self) -> Vec<Root> {
        self.roots.clone()
    }

    pub(crate) fn barriers(&self) -> Vec<u32> {
        self.bottoms.clone()
    }

    /// Where the module's functions are afterwards.
    pub(crate) fn indices(&self, module: &Module<'_>) -> Indices {
        let mut imports = 0;
        let mut places = Vec::new();
        for import in &module.function_imports {
            let part = PARTS.iter().position(|part| import.module == MODULE && import.name == *part);
            places.push(match part {
                Some(0) => self.start_inside,
                Some(part) => self.parts.functions[part],
                None => {
                    imports += 1;
                    imports - 1
                }
            });
        }
        places.extend((0..module.functions.len() as u32).map(|function| imports + function));
        let mut calls = places.clone();
        let mut references = places.clone();
        for (function, gate) in self.gates.iter().enumerate() {
            if let Some(gate) = gate {
                calls[function] = *gate;
                references[function] = *gate;
            }
        }
        for (function, stub) in &self.stubs {
            references[*function as usize] = *stub;
        }
        Indices { places, calls, references, removed: Some(MODULE) }
    }

    /// The body of a function that the code emitter does not write: one that drives the unwinding itself.
    pub(crate) fn bottom(
        &mut self,
        module: &Module<'_>,
        function: u32,
        body: &wasmparser::FunctionBody<'_>,
        calls: &Calls,
        indices: &Indices,
        added: &mut Added,
    ) -> Result<Option<Vec<u8>>, Error> {
        if !self.bottoms.contains(&function) {
            return Ok(None);
        }
        let mut code = Vec::new();
        let mut copied = body.range().start;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            let after = operators.original_position();
            let replaced = match operator {
                Operator::Call { function_index } => {
                    Some((0x10, self.bottom_callee(module, function_index, calls, indices, added)?))
                }
                Operator::ReturnCall { function_index } => {
                    Some((0x12, self.bottom_callee(module, function_index, calls, indices, added)?))
                }
                Operator::RefFunc { function_index } => {
                    Some((0xd2, indices.references[function_index as usize]))
                }
                Operator::CallIndirect { type_index, table_index }
                    if calls.is_suspending_type(type_index) =>
                {
                    Some((0x10, self.indirect_wrapper(module, type_index, table_index, added)?))
                }
                Operator::ReturnCallIndirect { type_index, table_index }
                    if calls.is_suspending_type(type_index) =>
                {
                    Some((0x12, self.indirect_wrapper(module, type_index, table_index, added)?))
                }
                _ => None,
            };
            if let Some((opcode, callee)) = replaced {
                code.extend_from_slice(&module.wasm[copied..at]);
                code.push(opcode);
                wasm_encoder::Encode::encode(&callee, &mut code);
                copied = after;
            }
        }
        code.extend_from_slice(&module.wasm[copied..body.range().end]);
        Ok(Some(code))
    }

    fn bottom_callee(
        &mut self,
        module: &Module<'_>,
        callee: u32,
        calls: &Calls,
        indices: &Indices,
        added: &mut Added,
    ) -> Result<u32, Error> {
        let is_root = self.roots.iter().any(|root| root.function == callee);
        match calls.suspends(callee) && !is_root {
            true => self.wrapper(module, callee, added),
            false => Ok(indices.calls[callee as usize]),
        }
    }

    /// The function that stands for an exported one that may suspend.
    pub(crate) fn wrapper(
        &mut self,
        module: &Module<'_>,
        function: u32,
        added: &mut Added,
    ) -> Result<u32, Error> {
        if let Some(wrapper) = self.wrappers.get(&function) {
            return Ok(*wrapper);
        }
        let ty = module.function_type(function).ok_or_else(|| internal("a function without a type"))?;
        let name = format!("windlass.wrapper.{}", module.function_name(function));
        let wrapper = added.reserve(ty.params(), ty.results(), name);
        self.wrappers.insert(function, wrapper);
        Ok(wrapper)
    }

    fn indirect_wrapper(
        &mut self,
        module: &Module<'_>,
        ty: u32,
        table: u32,
        added: &mut Added,
    ) -> Result<u32, Error> {
        if let Some(wrapper) = self.indirect_wrappers.get(&(ty, table)) {
            return Ok(*wrapper);
        }
        let signature = module.types.get(ty as usize).ok_or_else(|| internal("an unknown type"))?;
        let index = [module.table_index_type(table)];
        let params: Vec<ValType> = signature.params().iter().copied().chain(index).collect();
        check_params(&params)?;
        let wrapper =
            added.reserve(&params, signature.results(), format!("windlass.wrapper.table.{table}.{ty}"));
        self.indirect_wrappers.insert((ty, table), wrapper);
        Ok(wrapper)
    }

    /// The exports of the ABI.
    pub(crate) fn exports(&self) -> Vec<(String, u32)> {
        PARTS
            .iter()
            .zip(self.parts.functions)
            .map(|(part, function)| (format!("asyncify_{part}"), function))
            .collect()
    }

    /// Defines everything that was reserved.
    pub(crate) fn define(
        &mut self,
        module: &Module<'_>,
        indices: &Indices,
        frames: &mut Frames,
        added: &mut Added,
        resume_table: u32,
    ) -> Result<(), Error> {
        for function in self.traps.values() {
            let mut code = Vec::new();
            let mut sink = InstructionSink::new(&mut code);
            // The host may go on calling, in code that must not believe that it is suspended.
            for flag in [self.store.unwinding, self.rewinding, self.seg] {
                sink.i32_const(0).global_set(flag);
            }
            sink.unreachable().end();
            added.define(*function, finish_function(&[], code));
        }
        for (function, gate) in (0..).zip(&self.gates) {
            let Some(gate) = gate else { continue };
            let ty = module.function_type(function).ok_or_else(|| internal("an import without a type"))?;
            let suspends = self.stubs.contains_key(&function);
            let import = indices.places[function as usize];
            let code = self.gate(import, ty.params().len() as u32, suspends, frames.thrown.is_some());
            added.define(*gate, code);
        }
        for (function, stub) in &self.stubs {
            let ty = module.function_type(*function).ok_or_else(|| internal("a function without a type"))?;
            let name = format!("windlass.resume.again.{}", module.function_name(*function));
            let params = added.resume_params.clone();
            let resume = added.reserve(&params, &[], name);
            let id = added.next_resume();
            added.resume.push(resume);
            let callee = indices.calls[*function as usize];
            let (normal, resumed) = self.stub(callee, ty.params(), ty.results(), id, frames, added);
            added.define(*stub, normal);
            added.define(resume, resumed);
        }
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(0).call(self.parts.functions[0]).i32_const(1).global_set(self.confirmed).end();
        added.define(self.start_inside, finish_function(&[], code));
        let resume_params = added.resume_params.clone();
        let resume_type = added.ty(&resume_params, &[]);
        let code = self.resume_loop(resume_type, resume_table, frames.thrown, added);
        added.define(self.resume, code);
        for (function, wrapper) in &self.wrappers {
            let ty = module.function_type(*function).ok_or_else(|| internal("a function without a type"))?;
            // What suspends by itself needs a frame, too, for the call again.
            let callee = indices.references[*function as usize];
            let number = *function as i32 + 1;
            let code = self.wrap(number, ty.params(), ty.results(), frames, added, |sink, params| {
                for param in 0..params {
                    sink.local_get(param);
                }
                sink.call(callee);
            });
            added.define(*wrapper, code);
        }
        for ((ty, table), wrapper) in &self.indirect_wrappers {
            let signature = module.types.get(*ty as usize).ok_or_else(|| internal("an unknown type"))?;
            let mut params = signature.params().to_vec();
            params.push(module.table_index_type(*table));
            let code = self.wrap(0, &params, signature.results(), frames, added, |sink, params| {
                for param in 0..params {
                    sink.local_get(param);
                }
                sink.call_indirect(*table, *ty);
            });
            added.define(*wrapper, code);
        }
        let bodies = if self.stable { self.stable_bodies() } else { self.moving_bodies() };
        for (function, code) in bodies {
            added.define(function, code);
        }
        Ok(())
    }

    /// Calls an import. A call of an export out of it may have ended in a trap that the host caught: what belongs to
    /// the call out here is put back. `catches`: exceptions out of imports may be caught in the module.
    fn gate(&self, import: u32, params: u32, suspends: bool, catches: bool) -> Vec<u8> {
        let saved = self.saved();
        let kept: Vec<(u32, u32)> = (params..).zip(saved.iter().copied()).collect();
        let before = params + saved.len() as u32;
        let (waits, begun) = (before + 1, before + 2);
        let back = |sink: &mut InstructionSink<'_>| {
            if self.stable {
                self.check_buffer(sink, &kept, waits, begun);
            }
            for (local, global) in kept.iter().filter(|(_, global)| *global == self.depth) {
                sink.local_get(*local).global_get(*global).i32_ne();
            }
            sink.if_(BlockType::Empty);
            for (local, global) in &kept {
                sink.local_get(*local).global_set(*global);
            }
            sink.end();
            for (local, global) in kept.iter().filter(|(_, global)| *global == self.in_import) {
                sink.local_get(*local).global_set(*global);
            }
        };
        let returned = |sink: &mut InstructionSink<'_>| {
            back(sink);
            // The host may call what does not suspend while it suspends something.
            sink.global_get(self.store.unwinding).local_get(before).i32_gt_u().if_(BlockType::Empty);
            if suspends {
                sink.i32_const(1).global_set(self.confirmed);
            } else {
                sink.call(self.traps[trap::STRANGER]);
            }
            sink.end();
        };
        let call = |sink: &mut InstructionSink<'_>| {
            for param in 0..params {
                sink.local_get(param);
            }
            sink.call(import);
        };
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        for (local, global) in &kept {
            sink.global_get(*global).local_set(*local);
        }
        sink.global_get(self.store.unwinding).local_set(before);
        if self.stable {
            sink.global_get(self.store.cur).global_get(self.end).i32_ne();
            sink.global_get(self.seg).if_(BlockType::Result(Encoded::I32));
            sink.global_get(self.seg).i32_load(field(0)).else_().i32_const(0).end();
            sink.i32_or().local_set(waits);
            sink.global_get(self.begun).local_set(begun);
            sink.i32_const(0).global_set(self.begun);
        }
        sink.i32_const(1).global_set(self.in_import);
        if catches {
            thrown::caught(&mut sink, |sink| {
                call(sink);
                returned(sink);
                sink.return_();
            });
            back(&mut sink);
            // Nobody would ever look at the flag.
            sink.global_get(self.store.unwinding).local_get(before).i32_gt_u();
            self.trap_if(&mut sink, trap::THREW);
            sink.throw_ref();
        } else {
            call(&mut sink);
            returned(&mut sink);
        }
        sink.end();
        finish_function(&vec![Encoded::I32; saved.len() + 3], code)
    }

    /// A function that does nothing but call an import that may suspend, and its resume function.
    fn stub(
        &self,
        gate: u32,
        params: &[ValType],
        results: &[ValType],
        id: u32,
        frames: &mut Frames,
        added: &mut Added,
    ) -> (Vec<u8>, Vec<u8>) {
        let mut order: Vec<(u32, ValType)> = (0..).zip(params.iter().copied()).collect();
        order.sort_by_key(|(_, ty)| frame::rank(*ty));
        let types: Vec<ValType> = order.iter().map(|(_, ty)| *ty).collect();
        let globals = frames.results(added, results);
        let mut write = |first: u32, kind_is_resume: bool| {
            let values: Vec<(u32, ValType)> = order.iter().map(|(param, ty)| (first + param, *ty)).collect();
            let mut code = Vec::new();
            let mut sink = InstructionSink::new(&mut code);
            if kind_is_resume && Frames::has_helpers(&types) {
                sink.local_get(0).call(frames.restore(added, &types, false)).drop();
                for (local, _) in values.iter().rev() {
                    sink.local_set(*local);
                }
            } else if kind_is_resume {
                frames.restore_in_place(added, &mut sink, &values, 0, false);
            }
            sink.block(BlockType::Empty);
            for param in 0..params.len() as u32 {
                sink.local_get(first + param);
            }
            sink.call(gate);
            sink.global_get(self.store.unwinding).br_if(0);
            if kind_is_resume {
                for global in globals.iter().rev() {
                    sink.global_set(*global);
                }
            }
            sink.return_().end();
            sink.i32_const(1);
            let mut locals: Vec<Encoded> = match kind_is_resume {
                true => params.iter().map(|ty| encoded(*ty)).collect(),
                false => Vec::new(),
            };
            if Frames::has_helpers(&types) {
                for (local, _) in &values {
                    sink.local_get(*local);
                }
                sink.i32_const(id as i32).call(frames.spill(added, &types));
            } else {
                let free = first + params.len() as u32;
                locals.extend([Encoded::I32; 2]);
                frames.spill_in_place(added, &mut sink, &values, id, (free, free + 1));
            }
            if !kind_is_resume {
                for ty in results {
                    zero(&mut sink, *ty);
                }
            }
            sink.end();
            finish_function(&locals, code)
        };
        let normal = write(0, false);
        // Resume functions have one parameter in this ABI.
        (normal, write(1, true))
    }

    /// A wrapper around a call: where an unwinding ends and a rewinding begins. `number` is that of the function, from
    /// 1; 0: it is in a table.
    fn wrap(
        &self,
        number: i32,
        params: &[ValType],
        results: &[ValType],
        frames: &mut Frames,
        added: &mut Added,
        call: impl FnOnce(&mut InstructionSink<'_>, u32),
    ) -> Vec<u8> {
        let globals = frames.results(added, results);
        let block = match results {
            [] => BlockType::Empty,
            [result] => BlockType::Result(encoded(*result)),
            _ => BlockType::FunctionType(added.ty(&[], results)),
        };
        let count = params.len() as u32;
        let saved = self.saved();
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        for (local, global) in (count..).zip(&saved) {
            sink.global_get(*global).local_set(local);
        }
        sink.global_get(self.depth).global_get(self.in_import).i32_mul();
        sink.i32_const(1).i32_add().global_set(self.depth);
        sink.i32_const(0).global_set(self.in_import);
        let enter = |sink: &mut InstructionSink<'_>| {
            sink.global_get(self.rewinding).if_(block);
            if !self.stable {
                // `start_rewind` has put the frames on top already.
                let top = count + 2;
                sink.global_get(self.rewind_first).if_(BlockType::Empty);
                sink.global_get(self.rewind_base).local_set(top).end();
            }
            sink.i32_const(number).call(self.resume);
            for (global, ty) in globals.iter().zip(results) {
                crate::own::code::take_result(sink, *global, *ty);
            }
            sink.else_();
            // Nothing is pending in a call that has just begun.
            sink.global_get(self.end).global_set(self.store.cur);
            if self.stable {
                sink.i32_const(0).global_set(self.seg);
            }
            call(sink, count);
            sink.end();
        };
        let leave = |sink: &mut InstructionSink<'_>| {
            sink.i32_const(number);
            for (local, _) in (count..).zip(&saved) {
                sink.local_get(local);
            }
            sink.call(self.leave);
        };
        if frames.thrown.is_some() {
            thrown::caught(&mut sink, |sink| {
                enter(sink);
                leave(sink);
                sink.return_();
            });
            leave(&mut sink);
            sink.throw_ref();
        } else {
            enter(&mut sink);
            leave(&mut sink);
        }
        sink.end();
        finish_function(&vec![Encoded::I32; saved.len()], code)
    }

    /// What belongs to one call, and is the outer one's again when it is over.
    fn saved(&self) -> Vec<u32> {
        match self.stable {
            true => {
                let (depth, in_import) = (self.depth, self.in_import);
                vec![self.store.cur, self.end, self.seg, self.own_data, self.own_start, depth, in_import]
            }
            false => vec![self.store.cur, self.end, self.top, self.depth, self.in_import],
        }
    }

    fn restore_saved(&self, sink: &mut InstructionSink<'_>) {
        for (local, global) in (1..).zip(self.saved()) {
            sink.local_get(local).global_set(global);
        }
    }

    /// `resume(number)`: takes the frames of one call, then one after the other.
    fn resume_loop(
        &self,
        resume_type: u32,
        resume_table: u32,
        thrown: Option<Thrown>,
        added: &Added,
    ) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        if self.stable {
            self.claim_stable(&mut sink);
        } else {
            self.claim(&mut sink);
        }
        sink.block(BlockType::Empty).loop_(BlockType::Empty);
        sink.global_get(self.store.cur).global_get(self.end).i32_eq().if_(BlockType::Empty);
        if self.stable {
            self.pop_stable(&mut sink);
        }
        sink.br(2).end();
        let call = |sink: &mut InstructionSink<'_>| {
            sink.global_get(self.store.cur);
            added.resume_arguments(sink);
            sink.global_get(self.store.cur).i32_load(self.at(0));
            sink.call_indirect(resume_table, resume_type);
        };
        match &thrown {
            Some(thrown) => thrown.keep(&mut sink, call),
            None => call(&mut sink),
        }
        // Whoever suspended must have been called again, and have said that the rewinding is over.
        sink.global_get(self.rewinding).if_(BlockType::Empty).call(self.traps[trap::NOT_REWOUND]).end();
        sink.global_get(self.store.unwinding).i32_eqz().br_if(0);
        sink.end().end();
        if let Some(thrown) = &thrown {
            // Nobody has caught it.
            thrown.raise(&mut sink);
        }
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    /// A word where frames are.
    fn at(&self, offset: u64) -> MemArg {
        MemArg { offset, align: 2, memory_index: self.store.memory }
    }

    fn get_state(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.unwinding);
        sink.global_get(self.rewinding).i32_const(1).i32_shl().i32_or().end();
        finish_function(&[], code)
    }

    /// Calls a trap if the condition on the stack holds.
    fn trap_if(&self, sink: &mut InstructionSink<'_>, name: &'static str) {
        sink.if_(BlockType::Empty).call(self.traps[name]).end();
    }
}

/// Frames in a memory of the tool's own.
impl Shell {
    fn moving_bodies(&self) -> Vec<(u32, Vec<u8>)> {
        let [start_unwind, stop_unwind, start_rewind, stop_rewind, get_state] = self.parts.functions;
        vec![
            (self.store.grow, self.grow()),
            (self.reserve, self.reserve()),
            (self.leave, self.leave()),
            (start_unwind, self.start_unwind()),
            (stop_unwind, self.stop_unwind()),
            (start_rewind, self.start_rewind()),
            (stop_rewind, self.stop_rewind()),
            (get_state, self.get_state()),
        ]
    }

    /// Traps unless the function whose number is on the stack is the one that is called now: local 0. Those in tables
    /// have no number, and may be called in another way.
    fn check_number(&self, sink: &mut InstructionSink<'_>) {
        let (number, was) = (0, 1);
        sink.local_tee(was).local_get(number).i32_ne();
        sink.local_get(was).i32_const(0).i32_ne().i32_and();
        sink.local_get(number).i32_const(0).i32_ne().i32_and();
        self.trap_if(sink, trap::NOT_REWOUND);
    }

    /// Takes the last part that has not been handed out.
    fn claim(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.rewind_base).global_get(self.rewind_end).i32_eq();
        self.trap_if(sink, trap::NOT_REWOUND);
        sink.i32_const(0).global_set(self.rewind_first);
        sink.global_get(self.rewind_end).i32_const(BORDER).i32_sub().global_set(self.end);
        sink.global_get(self.end).i32_load(self.at(8));
        self.check_number(sink);
        sink.global_get(self.end);
        sink.global_get(self.end).i32_load(self.at(0)).i32_sub().global_set(self.store.cur);
        sink.global_get(self.store.cur).global_set(self.rewind_end);
    }

    /// `reserve(end)`: makes the memory so large.
    fn reserve(&self) -> Vec<u8> {
        let (end, pages) = (0, 1);
        let memory = self.store.memory;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(end).i32_const(16).i32_shr_u().i32_const(1).i32_add();
        sink.memory_size(memory).i32_sub().local_tee(pages);
        sink.i32_const(0).i32_gt_s().if_(BlockType::Empty);
        // Half as much again, lest it grow page by page; what is needed, if there is no more.
        sink.local_get(pages).memory_size(memory).i32_const(1).i32_shr_u().i32_add();
        sink.memory_grow(memory).i32_const(-1).i32_eq().if_(BlockType::Empty);
        sink.local_get(pages).memory_grow(memory).i32_const(-1).i32_eq();
        self.trap_if(&mut sink, trap::MEMORY);
        sink.end();
        sink.end().end();
        finish_function(&[Encoded::I32], code)
    }

    /// `grow(bytes)`
    fn grow(&self) -> Vec<u8> {
        let bytes = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.wp).local_get(bytes).i32_add().call(self.reserve);
        self.set_room(&mut sink);
        sink.end();
        finish_function(&[], code)
    }

    fn set_room(&self, sink: &mut InstructionSink<'_>) {
        sink.memory_size(self.store.memory).i32_const(16).i32_shl().global_set(self.store.room);
    }

    fn start_unwind(&self) -> Vec<u8> {
        let data = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(data).global_set(self.data);
        for global in [self.store.wp, self.start, self.chunk] {
            sink.global_get(self.top).global_set(global);
        }
        self.set_room(&mut sink);
        let flags = [self.closed, self.is_left, self.confirmed, self.rewinding];
        for global in [self.left_cur, self.left_end].into_iter().chain(flags) {
            sink.i32_const(0).global_set(global);
        }
        sink.i32_const(1).global_set(self.store.unwinding);
        sink.end();
        finish_function(&[], code)
    }

    /// `leave(number, saved..)`: a call is over, or suspended. What was pending for the outer one is again.
    fn leave(&self) -> Vec<u8> {
        let (number, size) = (0, 1 + self.saved().len() as u32);
        let store = self.store;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(store.unwinding).if_(BlockType::Empty);
        sink.global_get(self.confirmed).i32_eqz();
        self.trap_if(&mut sink, trap::STRANGER);
        // What was taken for the outermost call was not.
        sink.global_get(self.is_left);
        self.trap_if(&mut sink, trap::NESTED);
        sink.global_get(self.depth).i32_const(1).i32_gt_u().if_(BlockType::Empty);
        // A host function stands between this call and the next one that is left.
        sink.global_get(self.end).global_get(store.cur).i32_sub().local_set(size);
        sink.global_get(store.wp).local_get(size).i32_add().i32_const(BORDER).i32_add().call(self.reserve);
        self.set_room(&mut sink);
        sink.global_get(store.wp).global_get(store.cur).local_get(size);
        sink.memory_copy(store.memory, store.memory);
        sink.global_get(store.wp).local_get(size).i32_add().global_set(store.wp);
        sink.global_get(store.wp);
        sink.global_get(store.wp).global_get(self.chunk).i32_sub().i32_store(self.at(0));
        sink.global_get(store.wp).local_get(number).i32_store(self.at(8));
        sink.global_get(store.wp).i32_const(MARK).i32_store(self.at(12));
        sink.global_get(store.wp).i32_const(BORDER).i32_add().global_set(store.wp);
        sink.global_get(store.wp).global_set(self.chunk);
        sink.i32_const(1).global_set(self.closed);
        sink.else_();
        sink.global_get(store.cur).global_set(self.left_cur);
        sink.global_get(self.end).global_set(self.left_end);
        sink.i32_const(1).global_set(self.is_left);
        sink.i32_const(0).global_set(self.closed);
        sink.end();
        sink.local_get(number).global_set(self.left_function);
        sink.end();
        self.restore_saved(&mut sink);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    fn stop_unwind(&self) -> Vec<u8> {
        let store = self.store;
        let (at, new, old, length, total, place) = (0, 1, 2, 3, 4, 5);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(store.unwinding).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).global_set(self.rewinding).return_().end();
        sink.i32_const(0).global_set(store.unwinding);
        // Nothing was unwound: the host thought better of it.
        sink.global_get(self.is_left).global_get(self.closed).i32_or().i32_eqz();
        sink.if_(BlockType::Empty).return_().end();
        sink.global_get(store.wp).global_get(self.start).i32_sub().local_set(new);
        sink.global_get(self.left_end).global_get(self.left_cur).i32_sub().local_set(old);
        sink.global_get(self.closed).if_(BlockType::Empty);
        // The last call that was left has its border already; it is written again, at the same place.
        sink.local_get(new).i32_const(BORDER).i32_sub().local_set(new);
        sink.global_get(self.start).local_get(new).i32_add().i32_load(self.at(0)).local_set(length);
        sink.else_();
        sink.global_get(store.wp).global_get(self.chunk).i32_sub().local_get(old).i32_add().local_set(length);
        sink.end();
        sink.local_get(new).local_get(old).i32_add().local_set(total);
        sink.global_get(self.data).i32_load(CURRENT).local_set(at);
        // What does not fit is not begun.
        sink.global_get(self.data).i32_load(LIMIT).i64_extend_i32_u();
        sink.local_get(at).i64_extend_i32_u();
        sink.local_get(total).i64_extend_i32_u().i64_add().i64_const(BORDER.into()).i64_add();
        sink.i64_lt_u();
        self.trap_if(&mut sink, trap::OVERFLOW);
        self.copy(&mut sink, (0, at), (store.memory, self.start), new, place);
        sink.local_get(at).local_get(new).i32_add().local_set(at);
        self.copy(&mut sink, (0, at), (store.memory, self.left_cur), old, place);
        sink.local_get(at).local_get(old).i32_add().local_tee(at);
        sink.local_get(length).i32_store(field(0));
        sink.local_get(at).local_get(total).i32_store(field(4));
        sink.local_get(at).global_get(self.left_function).i32_store(field(8));
        sink.local_get(at).i32_const(MARK).i32_store(field(12));
        sink.global_get(self.data).local_get(at).i32_const(BORDER).i32_add().i32_store(CURRENT);
        sink.end();
        finish_function(&[Encoded::I32; 6], code)
    }

    /// Copies so many bytes, a multiple of four, to the address in a local from that in a global. `i` is a spare local.
    fn copy(
        &self,
        sink: &mut InstructionSink<'_>,
        (to_memory, to): (u32, u32),
        (from_memory, from): (u32, u32),
        size: u32,
        i: u32,
    ) {
        let at = |memory_index: u32| MemArg { offset: 0, align: 0, memory_index };
        sink.local_get(size).i32_const(SMALL).i32_gt_u().if_(BlockType::Empty);
        sink.local_get(to).global_get(from).local_get(size).memory_copy(to_memory, from_memory);
        sink.else_();
        sink.i32_const(0).local_set(i);
        sink.block(BlockType::Empty).loop_(BlockType::Empty);
        sink.local_get(i).local_get(size).i32_eq().br_if(1);
        sink.local_get(to).local_get(i).i32_add();
        sink.global_get(from).local_get(i).i32_add().i32_load(at(from_memory)).i32_store(at(to_memory));
        sink.local_get(i).i32_const(4).i32_add().local_set(i).br(0);
        sink.end().end();
        sink.end();
    }

    fn start_rewind(&self) -> Vec<u8> {
        let store = self.store;
        let (data, at, size, i) = (0, 1, 2, 3);
        let word = |memory_index: u32| MemArg { offset: 0, align: 0, memory_index };
        let stop_unwind = self.parts.functions[1];
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        // Some never say that the unwinding is over.
        sink.call(stop_unwind);
        sink.local_get(data).i32_load(CURRENT).i32_const(BORDER).i32_sub().local_tee(at);
        sink.i32_load(MemArg { offset: 12, align: 0, memory_index: 0 }).i32_const(MARK).i32_ne();
        self.trap_if(&mut sink, trap::NO_FRAMES);
        sink.local_get(at).i32_load(MemArg { offset: 4, align: 0, memory_index: 0 }).local_tee(size);
        sink.local_get(at).i32_gt_u();
        self.trap_if(&mut sink, trap::NO_FRAMES);
        sink.local_get(at).local_get(size).i32_sub().local_set(at);
        sink.local_get(data).local_get(at).i32_store(CURRENT);
        sink.local_get(size).i32_const(BORDER).i32_add().local_set(size);
        sink.global_get(self.top).local_get(size).i32_add().call(self.reserve);
        sink.local_get(size).i32_const(SMALL).i32_gt_u().if_(BlockType::Empty);
        sink.global_get(self.top).local_get(at).local_get(size).memory_copy(store.memory, 0);
        sink.else_();
        sink.loop_(BlockType::Empty);
        sink.global_get(self.top).local_get(i).i32_add();
        sink.local_get(at).local_get(i).i32_add().i32_load(word(0)).i32_store(word(store.memory));
        sink.local_get(i).i32_const(4).i32_add().local_tee(i).local_get(size).i32_lt_u().br_if(0);
        sink.end().end();
        sink.global_get(self.top).global_set(self.rewind_base);
        sink.global_get(self.top).local_get(size).i32_add().global_set(self.top);
        sink.global_get(self.top).global_set(self.rewind_end);
        sink.i32_const(1).global_set(self.rewind_first);
        sink.i32_const(1).global_set(self.rewinding);
        sink.end();
        finish_function(&[Encoded::I32; 3], code)
    }

    fn stop_rewind(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.rewinding);
        // Every call that was unwound has been entered again by now.
        sink.global_get(self.rewind_base).global_get(self.rewind_end).i32_ne();
        sink.global_get(self.rewind_first).i32_or().i32_and();
        self.trap_if(&mut sink, trap::NOT_REWOUND);
        sink.i32_const(0).global_set(self.rewinding);
        sink.end();
        finish_function(&[], code)
    }
}

/// Frames that stay in the buffer.
///
/// ```text
///   start                                                  current
///   │ segment │ frames │ segment │ frames │ segment, start, mark │
/// ```
///
/// As in the windlass ABI, one unwinding writes one segment {the one below, next frame, end}; the border names the
/// topmost one. Two calls with a host function between them would have to share it: that traps.
impl Shell {
    fn stable_bodies(&self) -> Vec<(u32, Vec<u8>)> {
        let [start_unwind, stop_unwind, start_rewind, stop_rewind, get_state] = self.parts.functions;
        vec![
            (self.store.grow, self.stable_grow()),
            (self.reserve, finish_function(&[], vec![0x0b])),
            (self.leave, self.stable_leave()),
            (start_unwind, self.stable_start_unwind()),
            (stop_unwind, self.stable_stop_unwind()),
            (start_rewind, self.stable_start_rewind()),
            (stop_rewind, self.stop_rewind()),
            (get_state, self.get_state()),
        ]
    }

    fn stable_start_unwind(&self) -> Vec<u8> {
        let data = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(data).global_set(self.data);
        // The data may be filled in only now: the first frame asks for room.
        for global in [self.store.wp, self.store.room, self.confirmed, self.is_left, self.rewinding] {
            sink.i32_const(0).global_set(global);
        }
        sink.i32_const(1).global_set(self.store.unwinding);
        sink.end();
        finish_function(&[], code)
    }

    /// `grow(bytes)`: opens the segment at the first frame; later it is too late.
    fn stable_grow(&self) -> Vec<u8> {
        let bytes = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.wp).i32_eqz().if_(BlockType::Empty);
        self.stable_open(&mut sink);
        sink.end();
        sink.global_get(self.store.room).global_get(self.store.wp).i32_sub().local_get(bytes).i32_lt_s();
        self.trap_if(&mut sink, trap::OVERFLOW);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    /// Traps if a call out of an import has suspended into the buffer in which frames wait: they were overwritten.
    fn check_buffer(&self, sink: &mut InstructionSink<'_>, kept: &[(u32, u32)], waits: u32, begun: u32) {
        sink.global_get(self.begun).if_(BlockType::Empty);
        for (own_data, _) in kept.iter().filter(|(_, global)| *global == self.own_data) {
            sink.global_get(self.begun).local_get(*own_data).i32_eq();
        }
        sink.local_get(waits).i32_const(0).i32_ne().i32_and();
        self.trap_if(sink, trap::BUFFER_IN_USE);
        sink.else_();
        sink.local_get(begun).global_set(self.begun);
        sink.end();
    }

    fn stable_open(&self, sink: &mut InstructionSink<'_>) {
        let store = self.store;
        let new = 1;
        // A call that was resumed goes on in its buffer; others begin where `current` is.
        sink.global_get(self.seg).if_(BlockType::Empty);
        sink.global_get(self.data).global_get(self.own_data).i32_ne();
        self.trap_if(sink, trap::OTHER_BUFFER);
        sink.global_get(store.cur).global_get(self.end).i32_ne().if_(BlockType::Empty);
        sink.global_get(self.seg).global_get(store.cur).i32_store(field(4));
        sink.global_get(self.seg).global_get(self.end).i32_store(field(8));
        sink.global_get(self.end).local_tee(new).global_get(self.seg).i32_store(field(0));
        sink.local_get(new).global_set(self.seg);
        sink.end();
        sink.else_();
        // If frames of an outer call wait in that buffer the outer call finds out.
        sink.global_get(self.data).global_set(self.begun);
        sink.global_get(self.data).i32_load(CURRENT).global_set(self.own_start);
        sink.global_get(self.own_start).global_set(self.seg);
        // The header has to fit before it is written.
        sink.global_get(self.data)
            .i32_load(LIMIT)
            .global_get(self.own_start)
            .i32_const(SEGMENT + BORDER)
            .i32_add();
        sink.i32_lt_u();
        self.trap_if(sink, trap::OVERFLOW);
        sink.global_get(self.seg).i32_const(0).i32_store(field(0));
        sink.end();
        sink.global_get(self.seg).i32_const(SEGMENT).i32_add().global_set(store.wp);
        // Behind the last frame comes the header of another segment, or the border.
        sink.global_get(self.data).i32_load(LIMIT).i32_const(SEGMENT + BORDER).i32_sub().local_set(new);
        // Some hosts say that there is no limit; differences are signed.
        sink.global_get(store.wp).i32_const(FARTHEST).i32_add().local_get(new);
        sink.local_get(new).global_get(store.wp).i32_sub().i32_const(FARTHEST).i32_gt_u();
        sink.local_get(new).global_get(store.wp).i32_gt_u().i32_and().select();
        sink.global_set(store.room);
    }

    fn stable_leave(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.unwinding).if_(BlockType::Empty);
        sink.global_get(self.confirmed).i32_eqz();
        self.trap_if(&mut sink, trap::STRANGER);
        sink.global_get(self.is_left);
        self.trap_if(&mut sink, trap::TUNNEL);
        sink.i32_const(1).global_set(self.is_left);
        sink.local_get(0).global_set(self.left_function);
        // Nobody wrote a frame: every call was in tail position.
        sink.global_get(self.store.wp).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).call(self.store.grow).end();
        sink.global_get(self.seg).global_get(self.seg).i32_const(SEGMENT).i32_add().i32_store(field(4));
        sink.global_get(self.seg).global_get(self.store.wp).i32_store(field(8));
        sink.global_get(self.seg).global_set(self.left_cur);
        sink.global_get(self.own_start).global_set(self.left_end);
        sink.end();
        self.restore_saved(&mut sink);
        sink.end();
        finish_function(&[], code)
    }

    fn stable_stop_unwind(&self) -> Vec<u8> {
        let wp = self.store.wp;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.unwinding).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).global_set(self.rewinding).return_().end();
        sink.i32_const(0).global_set(self.store.unwinding);
        // Nothing was unwound: the host thought better of it.
        sink.global_get(wp).i32_eqz().if_(BlockType::Empty).return_().end();
        sink.global_get(wp).global_get(self.left_cur).i32_store(field(0));
        sink.global_get(wp).global_get(self.left_end).i32_store(field(4));
        sink.global_get(wp).global_get(self.left_function).i32_store(field(8));
        sink.global_get(wp).i32_const(MARK).i32_store(field(12));
        sink.global_get(self.data).global_get(wp).i32_const(BORDER).i32_add().i32_store(CURRENT);
        sink.end();
        finish_function(&[], code)
    }

    fn stable_start_rewind(&self) -> Vec<u8> {
        let (data, at) = (0, 1);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.call(self.parts.functions[1]);
        sink.local_get(data).i32_load(CURRENT).i32_const(BORDER).i32_sub().local_tee(at);
        sink.i32_load(field(12)).i32_const(MARK).i32_ne();
        self.trap_if(&mut sink, trap::NO_FRAMES);
        // Frames are used up as they are resumed: once.
        sink.local_get(at).i32_const(0).i32_store(field(12));
        sink.local_get(at).i32_load(field(8)).global_set(self.left_function);
        sink.local_get(at).i32_load(field(0)).global_set(self.rewind_base);
        sink.local_get(at).i32_load(field(4)).global_set(self.rewind_end);
        sink.local_get(data).global_get(self.rewind_end).i32_store(CURRENT);
        sink.local_get(data).global_set(self.data);
        sink.i32_const(1).global_set(self.rewind_first);
        sink.i32_const(1).global_set(self.rewinding);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    fn claim_stable(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.rewind_first).i32_eqz();
        self.trap_if(sink, trap::NOT_REWOUND);
        sink.i32_const(0).global_set(self.rewind_first);
        sink.global_get(self.left_function);
        self.check_number(sink);
        sink.global_get(self.rewind_base).global_set(self.seg);
        sink.global_get(self.rewind_end).global_set(self.own_start);
        sink.global_get(self.data).global_set(self.own_data);
        // All of it is handed out.
        sink.global_get(self.rewind_base).global_set(self.rewind_end);
        self.load_stable(sink);
    }

    fn load_stable(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).i32_load(field(4)).global_set(self.store.cur);
        sink.global_get(self.seg).i32_load(field(8)).global_set(self.end);
    }

    /// Goes to the segment below, if there is one, and on with the loop.
    fn pop_stable(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).i32_load(field(0)).if_(BlockType::Empty);
        sink.global_get(self.seg).i32_load(field(0)).global_set(self.seg);
        self.load_stable(sink);
        // To the loop's head.
        sink.br(2);
        sink.end();
        sink.i32_const(0).global_set(self.seg);
    }
}

/// What the ABI cannot do.
fn check(module: &Module<'_>) -> Result<(), Error> {
    let refused =
        |message: String, help: &str| Err(Error::new(ErrorKind::Unsupported, message).with_help(help));
    if let Some(import) = module.function_imports.iter().find(|import| import.module == crate::abi::MODULE) {
        return refused(
            format!("the module imports `windlass.{}`: it is a windlass guest", import.name),
            "lower it with --abi windlass",
        );
    }
    if let Some(import) =
        module.function_imports.iter().find(|import| import.module == MODULE && !PARTS.contains(&import.name))
    {
        return refused(
            format!("the module imports `asyncify.{}`, which the ABI does not have", import.name),
            "it has start_unwind, stop_unwind, start_rewind, stop_rewind and get_state",
        );
    }
    let known = |name: &str| PARTS.iter().any(|part| name.strip_prefix("asyncify_") == Some(part));
    if let Some(export) = module.exports.iter().find(|export| known(export.name)) {
        return refused(
            format!("the module exports `{}`: it has been through an asyncify pass", export.name),
            "lower the module that the linker wrote, once",
        );
    }
    match module.memories.first() {
        None => refused(
            "the module has no memory; the asyncify ABI keeps its data structure in memory 0".to_owned(),
            "give the module a memory",
        ),
        Some(memory) if memory.memory64 => refused(
            "the module's memory has 64-bit addresses (memory64)".to_owned(),
            "the asyncify ABI is lowered for 32-bit memories only; build for a wasm32 target",
        ),
        Some(_) => Ok(()),
    }
}

/// The imports that may suspend, and the functions that suspend by themselves.
fn roots(module: &Module<'_>, options: &Options) -> Result<Vec<Root>, Error> {
    let mut found = vec![false; options.suspending_imports.len()];
    let mut roots = Vec::new();
    for (function, import) in (0..).zip(&module.function_imports) {
        if import.module == MODULE {
            continue;
        }
        let name = format!("{}.{}", import.module, import.name);
        let mut suspends = options.suspending_imports.is_empty();
        for (pattern, found) in options.suspending_imports.iter().zip(&mut found) {
            if matches_pattern(pattern, &name) {
                *found = true;
                suspends = true;
            }
        }
        if suspends {
            roots.push(Root { function, again: true });
        }
    }
    for function in callers_of(module, &["start_unwind", "stop_rewind"])? {
        roots.push(Root { function, again: true });
    }
    Ok(roots)
}

/// The functions that call one of these parts of the ABI themselves.
fn callers_of(module: &Module<'_>, parts: &[&str]) -> Result<Vec<u32>, Error> {
    let wanted: Vec<u32> = (0..)
        .zip(&module.function_imports)
        .filter(|(_, import)| import.module == MODULE && parts.contains(&import.name))
        .map(|(function, _)| function)
        .collect();
    let mut callers = Vec::new();
    if wanted.is_empty() {
        return Ok(callers);
    }
    let imports = module.function_imports.len();
    for (position, body) in module.bodies.iter().enumerate() {
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            if let Operator::Call { function_index } | Operator::ReturnCall { function_index } =
                operators.read()?
                && wanted.contains(&function_index)
            {
                callers.push((imports + position) as u32);
                break;
            }
        }
    }
    Ok(callers)
}

/// A start function runs while the module is instantiated: nobody could call it again.
pub(crate) fn check_start(module: &Module<'_>, calls: &Calls) -> Result<(), Error> {
    match module.start {
        Some(start) if calls.suspends(start) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the start function {} may suspend, and nobody can call it again",
                module.function_label(start)
            ),
        )
        .with_help("export it and let the host call it, or deny it if it never suspends")),
        _ => Ok(()),
    }
}

/// The functions whose exports are wrappers.
pub(crate) fn exported(module: &Module<'_>, calls: &Calls) -> Vec<u32> {
    let functions = module.exports.iter().filter(|export| export.kind == ExternalKind::Func);
    functions.map(|export| export.index).filter(|function| calls.suspends(*function)).collect()
}
