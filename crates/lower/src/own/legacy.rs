//! Legacy exception handling in the words of the standard one.
//!
//! The innermost frame is resumed first. Whoever resumes an outer one later throws into it what came out of the inner
//! one, so an exception has to be a value. In the legacy proposal it is none: only the handler that caught it can throw
//! it again. And no engine takes a module with instructions of both kinds, so it is all functions or none.
//!
//! ```text
//!  try t            block $done t
//!                     block $all (params) -> exnref
//!                       block $tag (params) -> (what $tag carries)
//!                         try_table t (catch $tag $tag) (catch_all_ref $all)
//!    body                   body
//!                         end
//!                         br $done
//!  catch $tag           end
//!    h1                 h1
//!                       br $done
//!  catch_all          end
//!                     local.set $kept           only where a `rethrow` names the handler,
//!    h2               h2                        and there alone `$all` takes an exnref
//!    rethrow 0        local.get $kept, throw_ref
//!  end              end
//! ```
//!
//! A branch to the label of the `try` goes to `$done`. `rethrow` reads the local of the handler that it names: *One
//! Local a Depth*, as a handler inside another one needs a second, but one beside it does not.
//!
//! `delegate` passes over the handlers between a `try` and the body where the exception is to be thrown. So it is
//! caught as a value, brought there by a branch, and thrown:
//!
//! ```text
//!  try t            block $out t                        the body of the target, inside its try_table:
//!                     block $all (params) -> exnref
//!                       try_table t (catch_all_ref $all)     block $deliver (params) -> exnref
//!    body                 body                                 ... br $deliver ...
//!                       end                                    br $done
//!                       br $out                              end
//!                     end                                    throw_ref
//!  delegate n         br $deliver
//!                   end
//! ```
//!
//! Where that is the caller `$deliver` stands around the whole function. Where nothing lies between the `try` is a
//! block. `plan.rs` finds all that before anything is written.
//!
//! Indices stay what they are: types and locals are added behind those that were there.

mod plan;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use wasm_encoder::reencode::{RoundtripReencoder, utils};
use wasm_encoder::{BlockType, Catch, Encode, InstructionSink, RawSection, TypeSection, ValType as Encoded};
use wasmparser::{FuncType, FunctionBody, Operator, Parser, Payload, RefType, ValType};

use crate::error::{Error, ErrorKind};
use crate::module::Module;
use crate::own::body::is_tail_call;
use crate::own::calls::{Calls, Reach};
use crate::own::encode::encoded;
use crate::own::internal;
use crate::own::legacy::plan::{Form, Plan};

/// What engines take, by the JavaScript API's limits.
const MOST_VALUES: usize = 1000;
const MOST_TYPES: usize = 1_000_000;
const MOST_LOCALS: u32 = 50_000;
const MOST_CATCHES: usize = 10_000;
const LARGEST_BODY: usize = 7_654_321;

/// More values than that in the added types and a module was made to harm.
const MOST_ADDED_VALUES: usize = 1 << 22;

const EXNREF: ValType = ValType::Ref(RefType::EXNREF);

/// Whether a call that may suspend stands inside a legacy `try` or inside one of its handlers.
pub(crate) fn is_needed(module: &Module<'_>, calls: &Calls) -> Result<bool, Error> {
    let imports = module.function_imports.len() as u32;
    for (function, body) in (imports..).zip(&module.bodies) {
        if calls.suspends(function) && calls.tries(function) && suspends_in_try(body, calls, function)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn suspends_in_try(body: &FunctionBody<'_>, calls: &Calls, function: u32) -> Result<bool, Error> {
    // For each block whether it is a legacy `try`.
    let mut open = Vec::new();
    let mut tries = 0;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let operator = operators.read()?;
        match &operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. } => open.push(false),
            Operator::Try { .. } => {
                open.push(true);
                tries += 1;
            }
            Operator::End | Operator::Delegate { .. } => {
                tries -= u32::from(open.pop().unwrap_or(false));
            }
            // A tail call leaves the `try` first.
            _ if tries > 0 && !is_tail_call(&operator) => {
                if let Reach::Suspension { .. } = calls.reach(function, &operator) {
                    return Ok(true);
                }
            }
            _ => {}
        }
    }
    Ok(false)
}

/// The module with the standard instructions in place of the legacy ones.
pub(crate) fn translate(module: &Module<'_>) -> Result<Vec<u8>, Error> {
    let wasm = module.wasm;
    let imports = module.function_imports.len() as u32;
    let mut types = Types::new(module);
    let mut code = Vec::with_capacity(wasm.len());
    module.bodies.len().encode(&mut code);
    for (function, body) in (imports..).zip(&module.bodies) {
        let translated = self::function(module, function, body, &mut types)
            .map_err(|error| error.in_function(&module.function_label(function)))?;
        translated.as_deref().unwrap_or(&wasm[body.range()]).encode(&mut code);
    }

    let mut translated = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match payload {
            Payload::TypeSection(section) => translated.section(&types.section(section)?),
            Payload::CodeSectionStart { .. } => translated.section(&RawSection { id: 10, data: &code }),
            payload => match payload.as_section() {
                Some((id, range)) => translated.section(&RawSection { id, data: &wasm[range] }),
                None => &mut translated,
            },
        };
    }
    Ok(translated.finish())
}

/// The function's new body; None if it may stay as it is.
fn function(
    module: &Module<'_>,
    function: u32,
    body: &FunctionBody<'_>,
    types: &mut Types<'_>,
) -> Result<Option<Vec<u8>>, Error> {
    let Some(plan) = Plan::read(body)? else { return Ok(None) };
    let ty = module.function_type(function).ok_or_else(|| internal("a function without a type"))?;

    let mut locals = body.get_locals_reader()?;
    let groups = locals.get_count();
    let first_group = locals.original_position();
    let mut own_locals = ty.params().len() as u32;
    for _ in 0..groups {
        own_locals = own_locals.saturating_add(locals.read()?.0);
    }
    let written = &module.wasm[first_group..locals.original_position()];

    let mut writer = Writer {
        types,
        plan: &plan,
        code: Vec::with_capacity(body.range().len()),
        frames: Vec::new(),
        height: 0,
        first_local: own_locals,
        kept: 0,
        most_kept: 0,
        deliver: vec![0; plan.tries.len()],
        opened: 0,
    };
    writer.body(module.wasm, body)?;
    let (code, added) = (writer.code, writer.most_kept);
    if added > 0 && own_locals.saturating_add(added) > MOST_LOCALS {
        return Err(too_many("locals"));
    }

    let mut new = Vec::with_capacity(code.len() + written.len() + 8);
    (groups + u32::from(added > 0)).encode(&mut new);
    new.extend_from_slice(written);
    if added > 0 {
        added.encode(&mut new);
        Encoded::EXNREF.encode(&mut new);
    }
    new.extend_from_slice(&code);
    if new.len() > LARGEST_BODY {
        return Err(too_many("instructions"));
    }
    Ok(Some(new))
}

/// A block of the function as it was.
struct Frame {
    /// Where a branch to it goes: the level of a block in the new function, from the outermost on.
    level: u32,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    /// One that stays as it is, or a `try` that is a block now.
    Plain,
    Function,
    TryTable {
        index: usize,
    },
    Try {
        index: usize,
        params: Option<u32>,
        /// The handlers that have begun.
        begun: usize,
        /// Where the exception is that the handler caught.
        local: Option<u32>,
    },
}

struct Writer<'w, 'm> {
    types: &'w mut Types<'m>,
    plan: &'w Plan,
    code: Vec<u8>,
    frames: Vec<Frame>,
    /// How many blocks of the new function are open.
    height: u32,
    first_local: u32,
    /// How many handlers are open whose exception is in a local.
    kept: u32,
    most_kept: u32,
    /// For each `try` that takes exceptions out of others: the level of its `$deliver`.
    deliver: Vec<u32>,
    /// How many `try` and `try_table` have begun.
    opened: usize,
}

impl Writer<'_, '_> {
    fn body(&mut self, wasm: &[u8], body: &FunctionBody<'_>) -> Result<(), Error> {
        self.height = 1;
        self.frames.push(Frame { level: 0, kind: Kind::Function });
        if self.plan.delivers_to_caller {
            self.open_block(BlockType::Result(Encoded::EXNREF));
        }
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let (operator, at) = operators.read_with_offset()?;
            if !self.operator(&operator)? {
                self.code.extend_from_slice(&wasm[at..operators.original_position()]);
            }
        }
        Ok(())
    }

    /// Writes what stands in for an operator; false if that is itself.
    fn operator(&mut self, operator: &Operator<'_>) -> Result<bool, Error> {
        match operator {
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. } => {
                self.frames.push(Frame { level: self.height, kind: Kind::Plain });
                self.height += 1;
                return Ok(false);
            }
            Operator::Try { blockty } => self.open_try(*blockty)?,
            Operator::TryTable { try_table } => self.open_try_table(try_table)?,
            Operator::Catch { .. } | Operator::CatchAll => self.handler()?,
            Operator::Delegate { .. } => self.close_delegate()?,
            Operator::End => return self.close(),
            Operator::Rethrow { relative_depth } => {
                let Kind::Try { local: Some(local), .. } = self.frame(*relative_depth)?.kind else {
                    return Err(internal("a `rethrow` of no handler"));
                };
                self.sink().local_get(local).throw_ref();
            }
            Operator::Br { relative_depth } => {
                let label = self.label(*relative_depth)?;
                self.sink().br(label);
            }
            Operator::BrIf { relative_depth } => {
                let label = self.label(*relative_depth)?;
                self.sink().br_if(label);
            }
            Operator::BrTable { targets } => {
                let labels: Vec<u32> =
                    targets.targets().map(|target| self.label(target?)).collect::<Result<_, Error>>()?;
                let default = self.label(targets.default())?;
                self.sink().br_table(labels, default);
            }
            Operator::BrOnNull { .. }
            | Operator::BrOnNonNull { .. }
            | Operator::BrOnCast { .. }
            | Operator::BrOnCastFail { .. } => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "a branch on a reference beside legacy exception handling",
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.code)
    }

    fn frame(&self, depth: u32) -> Result<&Frame, Error> {
        let place = self.frames.len().checked_sub(depth as usize + 1);
        place.and_then(|place| self.frames.get(place)).ok_or_else(|| internal("an unknown label"))
    }

    /// What now says the same as a label.
    fn label(&self, depth: u32) -> Result<u32, Error> {
        Ok(self.to(self.frame(depth)?.level))
    }

    /// The label of an open block by its level.
    fn to(&self, level: u32) -> u32 {
        self.height - 1 - level
    }

    fn open_block(&mut self, ty: BlockType) -> u32 {
        self.sink().block(ty);
        self.height += 1;
        self.height - 1
    }

    /// Ends a block of the new function.
    fn end(&mut self) {
        self.sink().end();
        self.height -= 1;
    }

    /// Goes to the end of a block.
    fn leave(&mut self, level: u32) {
        let label = self.to(level);
        self.sink().br(label);
    }

    fn open_try(&mut self, ty: wasmparser::BlockType) -> Result<(), Error> {
        let index = self.opened;
        self.opened += 1;
        let planned = &self.plan.tries[index];
        let params = params(ty);
        let level = self.open_block(block_type(ty));
        let kind = Kind::Try { index, params, begun: 0, local: None };
        let catches: Vec<Catch> = match planned.form {
            Form::Block => {
                self.frames.push(Frame { level, kind: Kind::Plain });
                return Ok(());
            }
            Form::Delegate { .. } => {
                let caught = self.types.block(params, None, true)?;
                self.open_block(caught);
                vec![Catch::AllRef { label: 0 }]
            }
            Form::Handlers => {
                if planned.handlers.len() > MOST_CATCHES {
                    return Err(too_many("handlers of one `try`"));
                }
                for handler in planned.handlers.iter().rev() {
                    let caught = self.types.block(params, handler.tag, handler.is_rethrown)?;
                    self.open_block(caught);
                }
                let catch = |(label, handler): (u32, &plan::Handler)| match (handler.tag, handler.is_rethrown)
                {
                    (Some(tag), false) => Catch::One { tag, label },
                    (Some(tag), true) => Catch::OneRef { tag, label },
                    (None, false) => Catch::All { label },
                    (None, true) => Catch::AllRef { label },
                };
                (0..).zip(&planned.handlers).map(catch).collect()
            }
            Form::TryTable => return Err(internal("a `try` that is none")),
        };
        self.sink().try_table(block_type(ty), catches);
        self.height += 1;
        self.frames.push(Frame { level, kind });
        self.open_deliver(index, params)
    }

    fn open_try_table(&mut self, table: &wasmparser::TryTable) -> Result<(), Error> {
        let index = self.opened;
        self.opened += 1;
        let mut catches = Vec::with_capacity(table.catches.len());
        for catch in &table.catches {
            catches.push(match *catch {
                wasmparser::Catch::One { tag, label } => Catch::One { tag, label: self.label(label)? },
                wasmparser::Catch::OneRef { tag, label } => Catch::OneRef { tag, label: self.label(label)? },
                wasmparser::Catch::All { label } => Catch::All { label: self.label(label)? },
                wasmparser::Catch::AllRef { label } => Catch::AllRef { label: self.label(label)? },
            });
        }
        self.sink().try_table(block_type(table.ty), catches);
        self.frames.push(Frame { level: self.height, kind: Kind::TryTable { index } });
        self.height += 1;
        self.open_deliver(index, params(table.ty))
    }

    /// Inside a `try_table`: where exceptions come to that others delegate to it.
    fn open_deliver(&mut self, index: usize, params: Option<u32>) -> Result<(), Error> {
        if self.plan.tries[index].delivers {
            let delivered = self.types.block(params, None, true)?;
            self.deliver[index] = self.open_block(delivered);
        }
        Ok(())
    }

    fn close_deliver(&mut self, index: usize, level: u32) {
        if self.plan.tries[index].delivers {
            self.leave(level);
            self.end();
            self.sink().throw_ref();
        }
    }

    /// Begins a handler, which ends the body or the handler before.
    fn handler(&mut self) -> Result<(), Error> {
        let Some(Frame { level, kind: Kind::Try { index, params, begun, local } }) = self.frames.pop() else {
            return Err(internal("a handler outside of a `try`"));
        };
        if begun == 0 {
            self.close_deliver(index, level);
            self.end();
        }
        self.kept -= u32::from(local.is_some());
        self.leave(level);
        self.end();
        let mut local = None;
        if self.plan.tries[index].handlers[begun].is_rethrown {
            let kept = self.first_local.saturating_add(self.kept);
            self.sink().local_set(kept);
            local = Some(kept);
            self.kept += 1;
            self.most_kept = self.most_kept.max(self.kept);
        }
        self.frames.push(Frame { level, kind: Kind::Try { index, params, begun: begun + 1, local } });
        Ok(())
    }

    fn close_delegate(&mut self) -> Result<(), Error> {
        let Some(Frame { level, kind }) = self.frames.pop() else {
            return Err(internal("a `delegate` outside of a `try`"));
        };
        if let Kind::Try { index, .. } = kind
            && let Form::Delegate { to } = self.plan.tries[index].form
        {
            self.end();
            self.leave(level);
            self.end();
            // Around the function it is the first block that was opened.
            self.leave(to.map_or(1, |to| self.deliver[to]));
        }
        self.end();
        Ok(())
    }

    fn close(&mut self) -> Result<bool, Error> {
        let Some(Frame { level, kind }) = self.frames.pop() else {
            return Err(internal("an `end` of no block"));
        };
        match kind {
            Kind::Function if self.plan.delivers_to_caller => {
                self.sink().return_();
                self.end();
                self.sink().throw_ref();
            }
            Kind::TryTable { index } => self.close_deliver(index, level),
            Kind::Try { local, .. } => self.kept -= u32::from(local.is_some()),
            Kind::Plain | Kind::Function => {}
        }
        self.end();
        Ok(true)
    }
}

/// The types of the module, and those of the blocks that are added.
struct Types<'m> {
    module: &'m [FuncType],
    /// For each tag its type.
    tags: &'m [u32],
    known: HashMap<FuncType, u32>,
    new: Vec<FuncType>,
    /// For a type whose parameters a block has, a tag and whether there is a reference: the block's.
    blocks: HashMap<(Option<u32>, Option<u32>, bool), BlockType>,
    added_values: usize,
}

impl<'m> Types<'m> {
    fn new(module: &'m Module<'_>) -> Types<'m> {
        Types {
            module: &module.types,
            tags: &module.tags,
            known: module.types.iter().cloned().zip(0..).collect(),
            new: Vec::new(),
            blocks: HashMap::new(),
            added_values: 0,
        }
    }

    /// The type of a block with the parameters of a type, that gives what a tag carries and, if wanted, an exception.
    fn block(&mut self, params: Option<u32>, tag: Option<u32>, reference: bool) -> Result<BlockType, Error> {
        if let Some(block) = self.blocks.get(&(params, tag, reference)) {
            return Ok(*block);
        }
        let module = self.module;
        let ty = |index: Option<u32>| match index {
            Some(index) => module.get(index as usize).map(FuncType::params),
            None => Some(&[][..]),
        };
        let unknown = || internal("an unknown type");
        let carrier = match tag {
            Some(tag) => Some(*self.tags.get(tag as usize).ok_or_else(unknown)?),
            None => None,
        };
        let taken = ty(params).ok_or_else(unknown)?;
        let mut given = ty(carrier).ok_or_else(unknown)?.to_vec();
        given.extend(reference.then_some(EXNREF));
        let block = match (taken, &given[..]) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(encoded(*result)),
            _ => {
                self.added_values += taken.len() + given.len();
                if given.len() > MOST_VALUES || self.added_values > MOST_ADDED_VALUES {
                    return Err(too_many("values that its tags carry"));
                }
                let ty = FuncType::new(taken.iter().copied(), given);
                let next = self.module.len() + self.new.len();
                let index = *self.known.entry(ty).or_insert_with_key(|ty| {
                    self.new.push(ty.clone());
                    next as u32
                });
                if index as usize >= MOST_TYPES {
                    return Err(too_many("types"));
                }
                BlockType::FunctionType(index)
            }
        };
        self.blocks.insert((params, tag, reference), block);
        Ok(block)
    }

    /// The type section, with those that were added.
    fn section(&self, section: wasmparser::TypeSectionReader<'_>) -> Result<TypeSection, Error> {
        let mut types = TypeSection::new();
        utils::parse_type_section(&mut RoundtripReencoder, &mut types, section).map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("the module cannot be encoded again: {error}"))
        })?;
        for ty in &self.new {
            let encode = |types: &[ValType]| types.iter().map(|ty| encoded(*ty)).collect::<Vec<_>>();
            types.ty().function(encode(ty.params()), encode(ty.results()));
        }
        Ok(types)
    }
}

/// The type that says which parameters a block has, if it may have some.
fn params(ty: wasmparser::BlockType) -> Option<u32> {
    match ty {
        wasmparser::BlockType::FuncType(index) => Some(index),
        wasmparser::BlockType::Empty | wasmparser::BlockType::Type(_) => None,
    }
}

fn block_type(ty: wasmparser::BlockType) -> BlockType {
    match ty {
        wasmparser::BlockType::Empty => BlockType::Empty,
        wasmparser::BlockType::Type(ty) => BlockType::Result(encoded(ty)),
        wasmparser::BlockType::FuncType(index) => BlockType::FunctionType(index),
    }
}

fn too_many(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("in standard exception handling it has more {what} than engines take"),
    )
    .with_help("build the guest for standard exception handling")
}
