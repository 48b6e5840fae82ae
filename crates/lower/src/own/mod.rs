//! The own engine: functions that may suspend are rewritten so that they can be left at a call and be gone on with
//! later, and everything else stays as it was.
//!
//! ```text
//!   a module ──► calls.rs     who may suspend, and why
//!            ──► legacy.rs    exceptions as values, where one of those needs that
//!            ──► body.rs      one such function: operators, blocks, operands
//!            ──► liveness.rs  what it needs after its calls
//!            ──► code.rs      its bodies, with frames by frame.rs
//!            ──► windlass.rs  who unwinds and resumes: the ABI
//!            ──► assemble.rs  the module again, with what was added
//! ```
//!
//! **A suspension.** The function that suspends sets a flag and returns. Each caller tests the flag after the call,
//! writes one frame and returns as well, down to who runs the task. Code that does not suspend pays for the test and
//! nothing else.
//!
//! **A resumption** is lazy. Only the innermost frame is taken: its *resume function* puts the values back, goes on
//! after the call, and returns its result through a global. Then the next frame's turn has come. A task that suspends
//! again meanwhile leaves the other frames where they are:
//!
//! ```text
//!   stack         frames                    resumed            suspended again
//!   main          main                      main               main
//!   render   ──►  render              ──►   render       ──►   render
//!   write         write                     write_r running    write        the only one written
//!   switch
//! ```
//!
//! So a switch costs what the innermost function's frame costs, at any depth.

mod added;
mod assemble;
pub(crate) mod asyncify;
mod body;
mod calls;
mod code;
mod encode;
mod frame;
mod guard;
#[cfg(test)]
mod guests;
mod legacy;
mod liveness;
#[cfg(test)]
mod tests;
mod thrown;
pub(crate) mod windlass;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use wasm_encoder::InstructionSink;
use wasmparser::{
    FuncToValidate, FuncValidatorAllocations, Operator, ValType, ValidPayload, Validator, ValidatorResources,
};

use crate::error::{Error, ErrorKind};
use crate::module::{self, Module};
use crate::own::added::Added;
use crate::own::body::Body;
use crate::own::calls::{Calls, Reach, Root, Rules, Step};
use crate::own::code::{Kind, Layout, Surroundings};
use crate::own::encode::{finish_function, zero};
use crate::own::frame::Frames;
use crate::own::thrown::Thrown;
use crate::{Form, FunctionReport, Hop, Optimize, Options};

/// A body that stands for an interpreter's loop has a `br_table` with at least so many targets in a loop.
const INTERPRETER: u32 = 12;

/// What came out.
pub(crate) struct Transformed {
    pub(crate) wasm: Vec<u8>,
    pub(crate) functions: Vec<FunctionReport>,
    pub(crate) dropped_debug_info: bool,
    /// Whether legacy exception handling was translated.
    pub(crate) translated: bool,
    /// Whether it has a memory that the module did not have, besides one that it had.
    pub(crate) second_memory: bool,
}

/// Who unwinds and resumes.
#[derive(Clone)]
pub(crate) enum Seam {
    Windlass(windlass::Seam),
    Asyncify,
}

enum Shell {
    Windlass(windlass::Shell),
    Asyncify(Box<asyncify::Shell>),
}

/// Where the functions of the module are in the new one.
pub(crate) struct Indices {
    /// Themselves.
    pub(crate) places: Vec<u32>,
    /// What code calls in their place.
    pub(crate) calls: Vec<u32>,
    /// What a reference to them refers to.
    pub(crate) references: Vec<u32>,
    /// The module whose imports are gone.
    pub(crate) removed: Option<&'static str>,
}

/// Makes the functions of a valid module suspendable.
pub(crate) fn transform(wasm: &[u8], seam: Seam, options: &Options) -> Result<Transformed, Error> {
    let bodies = validators(wasm)?;
    let module = Module::index(wasm)?;
    let imports = module.function_imports.len() as u32;
    let count = imports + module.functions.len() as u32;
    let is_asyncify = matches!(seam, Seam::Asyncify);
    let removed =
        module.function_imports.iter().filter(|import| is_asyncify && import.module == asyncify::MODULE);
    let mut added = Added::new(&module, count - removed.count() as u32, !is_asyncify);
    let (mut shell, indices, roots, barriers) = match seam.clone() {
        Seam::Windlass(seam) => {
            let shell = windlass::Shell::new(seam, &mut added);
            let same: Vec<u32> = (0..count).collect();
            let indices =
                Indices { places: same.clone(), calls: same.clone(), references: same, removed: None };
            let roots = shell.roots().into_iter().map(|function| Root { function, again: false }).collect();
            let barriers = shell.barriers();
            (Shell::Windlass(shell), indices, roots, barriers)
        }
        Seam::Asyncify => {
            let shell = asyncify::Shell::new(&module, options, &mut added)?;
            let (indices, roots, barriers) = (shell.indices(&module), shell.roots(), shell.barriers());
            (Shell::Asyncify(Box::new(shell)), indices, roots, barriers)
        }
    };
    let denied = match options.only.is_empty() {
        true => module.matching("--deny", &options.deny)?,
        false => {
            let only = module.matching("--only", &options.only)?;
            (imports..count).filter(|function| !only.contains(function)).collect()
        }
    };
    let allowed = if options.only.is_empty() { &options.allow } else { &options.only };
    let allowed = allowed_functions(&module, allowed, &barriers, is_asyncify)?;
    let rules = Rules {
        roots,
        barriers,
        allowed,
        denied,
        ignore_indirect: options.ignore_indirect,
        strangers: is_asyncify && module.tables_are_shared(),
    };
    let calls = Calls::analyse(&module, &rules)?;
    if legacy::is_needed(&module, &calls)? {
        let transformed = transform(&legacy::translate(&module)?, seam, options)?;
        return Ok(Transformed { translated: true, ..transformed });
    }
    if is_asyncify {
        asyncify::check::check_start(&module, &calls)?;
    }
    let resume_table = added.resume_table.table;
    let first_own_table = module.tables.len() as u32 + u32::from(!added.resume_table.is_shared);
    let store = match &shell {
        Shell::Windlass(shell) => shell.store(),
        Shell::Asyncify(shell) => shell.store(),
    };
    let thrown = thrown::is_caught(&module, &calls)?.then(|| Thrown::new(&mut added));
    let mut frames = Frames::new(store, thrown, first_own_table);

    // Chains share them: of a hundred thousand functions each may have a hundred.
    let names: Vec<Arc<str>> = (0..count).map(|function| module.qualified_name(function).into()).collect();
    let roots: HashSet<u32> = rules.roots.iter().map(|root| root.function).collect();
    let mut lowered = Vec::with_capacity(bodies.len());
    let mut reports = Vec::with_capacity(bodies.len());
    let mut allocations = FuncValidatorAllocations::default();
    for (position, to_validate) in bodies.into_iter().enumerate() {
        let function = imports + position as u32;
        let body = &module.bodies[position];
        let mut validator = to_validate.into_validator(std::mem::take(&mut allocations));
        let is_root = roots.contains(&function);
        let around = Surroundings {
            module: &module,
            calls: &calls,
            indices: &indices,
            function,
            id: added.next_resume(),
        };
        let made = if calls.suspends(function) && !is_root {
            let ty = module.function_type(function).ok_or_else(|| internal("a function without a type"))?;
            let (params, results) = (ty.params(), ty.results());
            let read = body::read(wasm, &mut validator, body, params, results, &calls, function)?;
            match read.sites.is_empty() {
                false => function_bodies(&read, &around, options.optimize, &mut frames, &mut added)?,
                // Every call that may suspend is in tail position: there is nothing to come back to.
                true => {
                    let made = untouched(body, &around, false, &mut frames, &mut added)?;
                    Made { sites: read.suspending, ..made }
                }
            }
        } else {
            let bottom = match &mut shell {
                Shell::Asyncify(shell) => {
                    shell.bottom(&module, function, body, &calls, &indices, &mut added)?
                }
                Shell::Windlass(_) => None,
            };
            match bottom {
                Some(code) => Made { form: Form::Drives, code, more: 0, sites: 0 },
                None if is_root && is_asyncify => {
                    let made = untouched(body, &around, true, &mut frames, &mut added)?;
                    Made { form: Form::Starts, ..made }
                }
                None => untouched(body, &around, false, &mut frames, &mut added)?,
            }
        };
        allocations = validator.into_allocations();
        reports.push(FunctionReport {
            index: function,
            name: names[function as usize].to_string(),
            form: made.form,
            why: why(&names, &calls, function),
            sites: made.sites,
            bytes_before: body.range().len(),
            bytes_after: made.code.len() + made.more,
        });
        lowered.push(made.code);
    }
    let mut exports = assemble::Exports::default();
    match &mut shell {
        Shell::Windlass(shell) => {
            for (function, body) in shell.define(&mut frames, &mut added, resume_table) {
                if let Some(place) = function.checked_sub(imports) {
                    lowered[place as usize] = body;
                }
            }
            // A task that gets here by way of a host function that nobody knows of, in a table, must not leave it.
            let is_root = |function: u32| rules.roots.iter().any(|root| root.function == function);
            for function in module.exported_functions() {
                if calls.suspends(function) && !is_root(function) {
                    let guard = frames.guards.direct(&module, function, function, &store, &mut added)?;
                    exports.replaced.insert(function, guard);
                }
            }
        }
        Shell::Asyncify(shell) => {
            for function in asyncify::check::exported(&module, &calls) {
                exports.replaced.insert(function, shell.wrapper(&module, function, &mut added)?);
            }
            exports.more = shell.exports();
            shell.define(&module, &indices, &mut frames, &mut added, resume_table)?;
        }
    }
    let referred_to = calls.referred_to().iter().filter(|function| exports.replaced.contains_key(function));
    exports.declared = referred_to.map(|function| indices.references[*function as usize]).collect();
    let assembled = assemble::assemble(&module, &indices, &exports, &lowered, &added, &frames, options)?;
    Ok(Transformed {
        wasm: assembled.wasm,
        functions: reports,
        dropped_debug_info: assembled.dropped_debug_info,
        translated: false,
        second_memory: module.memories.len() == 1 && !added.memories.is_empty(),
    })
}

/// The functions that `--allow` names, but for those through which nothing can suspend, whatever the user says.
fn allowed_functions(
    module: &Module<'_>,
    patterns: &[String],
    barriers: &[u32],
    is_asyncify: bool,
) -> Result<Vec<u32>, Error> {
    let mut allowed = module.matching("--allow", patterns)?;
    let is_plain = |pattern: &&String| is_asyncify && !pattern.contains('*');
    for pattern in patterns.iter().filter(is_plain) {
        let named = module.matching("--allow", std::slice::from_ref(pattern))?;
        if named.iter().any(|function| barriers.contains(function)) {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("--allow `{pattern}` names a function that drives the unwinding"),
            )
            .with_help("it calls `asyncify.stop_unwind` or `start_rewind`, so nothing suspends through it: leave it out"));
        }
    }
    allowed.retain(|function| !barriers.contains(function));
    Ok(allowed)
}

/// What knows the types of operands in the functions' bodies.
fn validators(wasm: &[u8]) -> Result<Vec<FuncToValidate<ValidatorResources>>, Error> {
    let mut validator = Validator::new_with_features(module::features());
    let mut bodies = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let ValidPayload::Func(body, _) = validator.payload(&payload?)? {
            bodies.push(body);
        }
    }
    Ok(bodies)
}

/// The bodies that stand in for one function.
struct Made {
    form: Form,
    code: Vec<u8>,
    /// Bytes of the bodies elsewhere.
    more: usize,
    sites: u32,
}

fn function_bodies(
    body: &Body<'_>,
    around: &Surroundings<'_>,
    optimize: Optimize,
    frames: &mut Frames,
    added: &mut Added,
) -> Result<Made, Error> {
    let module = around.module;
    let located = |error: Error| error.in_function(&module.function_label(around.function));
    let live = liveness::live_across_sites(body);
    let layout = Layout::new(body, &live);
    let name = module.function_name(around.function);
    let params = added.resume_params.clone();
    let resume = added.reserve(&params, &[], format!("windlass.resume.{name}"));
    added.resume.push(resume);
    let mut emit = |kind| code::emit(kind, body, &layout, around, frames, added).map_err(located);
    let wish = wish(body, optimize);
    let clone = match wish {
        Wish::Single => None,
        _ => Some((emit(Kind::Normal)?, emit(Kind::Resume)?)),
    };
    let single = match wish {
        Wish::Clone => None,
        _ => Some(emit(Kind::Single)?),
    };
    let size = |clone: &(Vec<u8>, Vec<u8>)| clone.0.len() + clone.1.len();
    let (form, code, resumed) = match (clone, single) {
        (Some(clone), Some(single)) if size(&clone) <= single.len() + ENTRY => {
            (Form::Clone, clone.0, clone.1)
        }
        (Some(clone), None) => (Form::Clone, clone.0, clone.1),
        (_, single) => {
            let resumed = enter_single(body, around, frames, added);
            (Form::Single, single.unwrap_or_default(), resumed)
        }
    };
    let more = resumed.len();
    added.define(resume, resumed);
    Ok(Made { form, code, more, sites: body.suspending })
}

/// What a function should get.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wish {
    Clone,
    Single,
    /// Whichever is smaller.
    Smaller,
}

/// With so many operators a function without a loop around a site has one body even where speed counts most.
const LONG: usize = 500;

/// About as large is the function that enters a single body.
const ENTRY: usize = 16;

/// Which bodies a function should get.
fn wish(body: &Body<'_>, optimize: Optimize) -> Wish {
    if body.tail_call_in_try {
        // A resume function returns what is called in tail position, instead of making room for it. Its blocks would
        // catch what they must not.
        return Wish::Single;
    }
    let is_interpreter = body.site_in_loop && body.widest_switch_in_loop >= INTERPRETER;
    match optimize {
        // What runs once a call need not be in two places.
        Optimize::Speed if !body.site_in_loop && body.ops.len() > LONG => Wish::Single,
        Optimize::Speed => Wish::Clone,
        Optimize::Balanced if is_interpreter => Wish::Clone,
        Optimize::Balanced | Optimize::Size => Wish::Smaller,
    }
}

/// The resume function of a function with a single body: calls it, with the frame as its entry.
fn enter_single(
    body: &Body<'_>,
    around: &Surroundings<'_>,
    frames: &mut Frames,
    added: &mut Added,
) -> Vec<u8> {
    let results = frames.results(added, &body.results);
    let mut code = Vec::new();
    let mut sink = InstructionSink::new(&mut code);
    sink.local_get(0).global_set(frames.store.entry);
    for ty in &body.locals[..body.params] {
        zero(&mut sink, *ty);
    }
    sink.call(around.indices.places[around.function as usize]);
    for global in results.iter().rev() {
        sink.global_set(*global);
    }
    sink.end();
    finish_function(&[], code)
}

/// A function that does not suspend: as it was, but for indices, and for traps where it might after all. `drives`: it
/// starts to unwind by itself, and is called again as a whole; what it calls must not suspend.
fn untouched(
    body: &wasmparser::FunctionBody<'_>,
    around: &Surroundings<'_>,
    drives: bool,
    frames: &mut Frames,
    added: &mut Added,
) -> Result<Made, Error> {
    let wasm = around.module.wasm;
    let Range { start, end } = body.range();
    let mut code = Vec::with_capacity(end - start);
    let mut copied = start;
    let mut form = Form::Untouched;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset()?;
        let after = operators.original_position();
        let reach = around.calls.reach(around.function, &operator);
        let guarded = drives && matches!(reach, Reach::Suspension { .. });
        let replaced = match operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } if guarded => {
                let callee = around.indices.calls[function_index as usize];
                let guard =
                    frames.guards.direct(around.module, function_index, callee, &frames.store, added)?;
                let opcode = if body::is_tail_call(&operator) { 0x12 } else { 0x10 };
                Some((opcode, u32::MAX, guard))
            }
            Operator::CallIndirect { type_index, table_index }
            | Operator::ReturnCallIndirect { type_index, table_index }
                if guarded =>
            {
                let guard =
                    frames.guards.indirect(around.module, type_index, table_index, &frames.store, added)?;
                let opcode = if body::is_tail_call(&operator) { 0x12 } else { 0x10 };
                Some((opcode, u32::MAX, guard))
            }
            Operator::Call { function_index } => {
                Some((0x10, function_index, around.indices.calls[function_index as usize]))
            }
            Operator::RefFunc { function_index } => {
                Some((0xd2, function_index, around.indices.references[function_index as usize]))
            }
            Operator::ReturnCall { function_index } => code::tail_callee(around, &operator, frames, added)?
                .map(|callee| (0x12, function_index, callee)),
            Operator::ReturnCallIndirect { .. } => {
                code::tail_callee(around, &operator, frames, added)?.map(|callee| (0x12, u32::MAX, callee))
            }
            _ => None,
        };
        if let Some((opcode, old, index)) = replaced
            && old != index
        {
            code.extend_from_slice(&wasm[copied..at]);
            code.push(opcode);
            wasm_encoder::Encode::encode(&index, &mut code);
            copied = after;
        }
        if reach == Reach::Mistake {
            form = Form::Guarded;
            if !body::is_tail_call(&operator) {
                code.extend_from_slice(&wasm[copied..after]);
                copied = after;
                guard::write(&mut code, &frames.store);
            }
        }
    }
    code.extend_from_slice(&wasm[copied..end]);
    Ok(Made { form, code, more: 0, sites: 0 })
}

fn why(names: &[Arc<str>], calls: &Calls, function: u32) -> Vec<Hop> {
    let hop = |step: Step| Hop { callee: names[step.callee as usize].clone(), indirect: step.indirect };
    calls.chain(function).into_iter().map(hop).collect()
}

/// Engines take no function with more parameters.
fn check_params(params: &[ValType]) -> Result<(), Error> {
    match params.len() {
        0..=1000 => Ok(()),
        count => Err(Error::new(
            ErrorKind::Unsupported,
            format!("a call through a table with {} arguments needs a function with {count}", count - 1),
        )
        .with_help("engines take 1,000 at most; pass some of them in memory")),
    }
}

fn internal(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("{what}, in a module that was found valid"))
}
