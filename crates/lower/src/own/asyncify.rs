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

mod calls;
pub(crate) mod check;
mod moving;
mod stable;

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, InstructionSink, MemArg};
use wasmparser::{Operator, ValType};

use crate::Options;
use crate::error::Error;
use crate::module::Module;
use crate::own::added::Added;
use crate::own::calls::{Calls, Root};
use crate::own::encode::finish_function;
use crate::own::frame::{Frames, Store};
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
        check::check(module)?;
        let roots = check::roots(module, options)?;
        let bottoms = check::callers_of(module, &["stop_unwind", "start_rewind"])?;

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
