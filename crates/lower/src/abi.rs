//! Whether a module keeps the guest's half of the wasm ABI, and what the other stages need to know about it.

use wasmparser::{ExternalKind, FuncType, Operator, ValType};

use crate::Engine;
use crate::error::{Error, ErrorKind};
use crate::initialize::{Initialize, is_pending};
use crate::module::Module;

/// The ABI version that the tool lowers.
pub(crate) const VERSION: u32 = 1;

/// The module whose imports the tool defines.
pub(crate) const MODULE: &str = "windlass";

/// The section with the guest's ABI version.
pub(crate) const ABI_SECTION: &str = "windlass.abi";

/// The section with the guest's declared exports.
pub(crate) const EXPORTS_SECTION: &str = "windlass.exports";

/// The section that the tool leaves behind.
pub(crate) const LOWERED_SECTION: &str = "windlass.lowered";

/// The guest's export that takes the report of a stack overflow.
const STACK_OVERFLOW: &str = "windlass_stack_overflow";

/// The guest's exports that hand out memory for frames and take it back.
const FRAMES: [&str; 2] = ["windlass_frames_alloc", "windlass_frames_free"];

/// What Binaryen's asyncify pass exports from the modules that it has transformed.
pub(crate) const ASYNCIFY_EXPORTS: [&str; 5] = [
    "asyncify_start_unwind",
    "asyncify_stop_unwind",
    "asyncify_start_rewind",
    "asyncify_stop_rewind",
    "asyncify_get_state",
];

/// A function that the guest imports and the tool defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Intrinsic {
    Prepare,
    Switch,
    Run,
    Leave,
    Discard,
    Enter,
    Exit,
    Fail,
    Refuse,
}

impl Intrinsic {
    pub(crate) const ALL: [Intrinsic; 9] = [
        Intrinsic::Prepare,
        Intrinsic::Switch,
        Intrinsic::Run,
        Intrinsic::Leave,
        Intrinsic::Discard,
        Intrinsic::Enter,
        Intrinsic::Exit,
        Intrinsic::Fail,
        Intrinsic::Refuse,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Intrinsic::Prepare => "prepare",
            Intrinsic::Switch => "switch",
            Intrinsic::Run => "run",
            Intrinsic::Leave => "leave",
            Intrinsic::Discard => "discard",
            Intrinsic::Enter => "enter",
            Intrinsic::Exit => "exit",
            Intrinsic::Fail => "fail",
            Intrinsic::Refuse => "refuse",
        }
    }

    /// Numbers of i32 parameters and results.
    pub(crate) fn arity(self) -> (usize, usize) {
        match self {
            Intrinsic::Prepare => (4, 1),
            Intrinsic::Switch => (2, 0),
            Intrinsic::Run | Intrinsic::Leave | Intrinsic::Discard => (1, 0),
            Intrinsic::Enter => (0, 1),
            Intrinsic::Exit | Intrinsic::Fail | Intrinsic::Refuse => (0, 0),
        }
    }

    /// Whether it moves between stacks, and so is defined by the engine.
    pub(crate) fn is_seam(self) -> bool {
        match self {
            Intrinsic::Prepare
            | Intrinsic::Switch
            | Intrinsic::Run
            | Intrinsic::Leave
            | Intrinsic::Discard => true,
            Intrinsic::Enter | Intrinsic::Exit | Intrinsic::Fail | Intrinsic::Refuse => false,
        }
    }

    fn named(name: &str) -> Option<Intrinsic> {
        Intrinsic::ALL.into_iter().find(|intrinsic| intrinsic.name() == name)
    }
}

/// The shadow stack pointer.
#[derive(Clone, Copy)]
pub(crate) struct StackPointer {
    /// The global.
    pub(crate) global: u32,
    /// Its value before anything ran: the top of the host's shadow stack.
    pub(crate) initial: i32,
}

/// A module that can be lowered.
pub(crate) struct Guest {
    /// For each imported function the intrinsic that it is, if it is one.
    pub(crate) intrinsics: Vec<Option<Intrinsic>>,
    pub(crate) stack_pointer: StackPointer,
    /// The function that is exported as `windlass_stack_overflow`.
    pub(crate) stack_overflow: Option<u32>,
    /// The functions that are exported as `windlass_frames_alloc` and `windlass_frames_free`.
    pub(crate) chunks: Option<(u32, u32)>,
    pub(crate) initialize: Initialize,
}

impl Guest {
    pub(crate) fn uses(&self, intrinsic: Intrinsic) -> bool {
        self.intrinsics.contains(&Some(intrinsic))
    }

    /// Whether it moves between stacks at all.
    pub(crate) fn moves(&self) -> bool {
        self.intrinsics.iter().flatten().any(|intrinsic| intrinsic.is_seam())
    }

    /// Whether a context can be suspended, and so whether asyncify is needed at all.
    pub(crate) fn suspends(&self) -> bool {
        self.uses(Intrinsic::Switch) || self.uses(Intrinsic::Leave)
    }

    /// Checks everything that can be checked before anything is written.
    pub(crate) fn check(module: &Module<'_>, via: Engine) -> Result<Guest, Error> {
        not_lowered(module)?;
        let intrinsics = intrinsics(module)?;
        // Without the scheduler there may be an `_initialize` to make, and nothing else.
        let makes_initialize = is_pending(module) && module.custom(ABI_SECTION).is_some();
        if intrinsics.iter().all(Option::is_none) && !makes_initialize {
            return Err(Error::new(
                ErrorKind::NotAGuest,
                "not a windlass guest: it imports nothing from module `windlass`; nothing to lower",
            )
            .with_help(
                "a module that was written for Binaryen's asyncify needs `--abi asyncify`; one that was built \
                 without the feature `scheduler` runs as it is; else check that this is the right file",
            ));
        }
        version(module)?;
        crate::info::parse_exports(module)?;
        linked(module)?;
        memory(module)?;
        let guest = Guest {
            intrinsics,
            stack_pointer: stack_pointer(module)?,
            stack_overflow: module.procedure(STACK_OVERFLOW)?,
            chunks: chunks(module)?,
            initialize: Initialize::of(module)?,
        };
        if guest.uses(Intrinsic::Run) {
            table(module)?;
        }
        if guest.suspends() {
            drives_no_asyncify(module)?;
            if via == Engine::Binaryen {
                asyncify_can(module)?;
            }
        }
        if module.functions.is_empty() {
            return Err(Error::new(
                ErrorKind::Abi,
                "the module defines no function: there is nothing that could call the intrinsics",
            ));
        }
        Ok(guest)
    }
}

/// The exports that hand out memory for frames: both, of the right types, or none.
fn chunks(module: &Module<'_>) -> Result<Option<(u32, u32)>, Error> {
    let [alloc, free] = FRAMES.map(|name| module.exports.iter().find(|export| export.name == name));
    let (alloc, free) = match (alloc, free) {
        (Some(alloc), Some(free)) => (alloc, free),
        (None, None) => return Ok(None),
        (Some(export), None) | (None, Some(export)) => {
            return Err(Error::new(
                ErrorKind::Abi,
                format!("the guest exports `{}`, but not both of {}", export.name, FRAMES.join(" and ")),
            ));
        }
    };
    for (export, results) in [(alloc, 1), (free, 0)] {
        let params = 2 - results;
        let ty = Some(export.index)
            .filter(|_| export.kind == ExternalKind::Func)
            .and_then(|function| module.function_type(function));
        let is_i32 = |types: &[ValType], count: usize| {
            types.len() == count && types.iter().all(|ty| *ty == ValType::I32)
        };
        if !ty.is_some_and(|ty| is_i32(ty.params(), params) && is_i32(ty.results(), results)) {
            return Err(Error::new(
                ErrorKind::Abi,
                format!(
                    "export `{}` has type {}; its type is {}",
                    export.name,
                    ty.map_or_else(|| "of no function".to_owned(), signature),
                    signature(&FuncType::new(vec![ValType::I32; params], vec![ValType::I32; results])),
                ),
            )
            .with_help("the ABI keeps the name: give the guest's own export another"));
        }
    }
    Ok(Some((alloc.index, free.index)))
}

/// Which of the imported functions are intrinsics.
fn intrinsics(module: &Module<'_>) -> Result<Vec<Option<Intrinsic>>, Error> {
    for import in &module.other_imports {
        if import.module == MODULE {
            return Err(unknown_intrinsic(import.name, Some(import.kind)));
        }
    }
    let mut found = Vec::new();
    for (index, import) in module.function_imports.iter().enumerate() {
        if import.module != MODULE {
            found.push(None);
            continue;
        }
        let Some(intrinsic) = Intrinsic::named(import.name) else {
            return Err(unknown_intrinsic(import.name, None));
        };
        let (params, results) = intrinsic.arity();
        let is_i32 = |types: &[ValType], count: usize| {
            types.len() == count && types.iter().all(|ty| *ty == ValType::I32)
        };
        let ty = module.function_type(index as u32);
        if !ty.is_some_and(|ty| is_i32(ty.params(), params) && is_i32(ty.results(), results)) {
            return Err(Error::new(
                ErrorKind::Abi,
                format!(
                    "intrinsic `{}` is imported with type {}; its type is {}",
                    intrinsic.name(),
                    ty.map_or_else(String::new, signature),
                    signature(&FuncType::new(vec![ValType::I32; params], vec![ValType::I32; results])),
                ),
            )
            .with_help("the guest's `windlass` and this tool must be of one ABI version"));
        }
        found.push(Some(intrinsic));
    }
    Ok(found)
}

fn unknown_intrinsic(name: &str, kind: Option<&str>) -> Error {
    let what = match kind {
        Some(kind) => format!("the {kind} `{name}`"),
        None => format!("`{name}`"),
    };
    let known: Vec<&str> = Intrinsic::ALL.iter().map(|i| i.name()).collect();
    Error::new(ErrorKind::Abi, format!("unknown intrinsic: the module imports {what} from module `windlass`"))
        .with_help(format!(
            "ABI version {VERSION} has the functions {}; a newer guest needs a newer windlass-lower",
            known.join(", ")
        ))
}

pub(crate) fn signature(ty: &FuncType) -> String {
    let list = |types: &[ValType]| {
        let types: Vec<String> = types.iter().map(ValType::to_string).collect();
        types.join(", ")
    };
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}

/// The version in section `windlass.abi`, which has to be there once.
fn version(module: &Module<'_>) -> Result<(), Error> {
    match crate::info::parse_version(module)? {
        Some(VERSION) => Ok(()),
        Some(other) => Err(Error::new(
            ErrorKind::Abi,
            format!("the guest has ABI version {other}; this tool lowers version {VERSION}"),
        )
        .with_help("use the windlass-lower of the guest's `windlass`")),
        None => Err(Error::new(
            ErrorKind::Abi,
            "the module imports from module `windlass` but has no section `windlass.abi`",
        )
        .with_help(
            "the section is in the crate `windlass`: link it, and strip no custom sections \
             before the lowering",
        )),
    }
}

/// What has been lowered is no guest any more, whatever the ABI.
pub(crate) fn not_lowered(module: &Module<'_>) -> Result<(), Error> {
    match module.custom(LOWERED_SECTION) {
        Some(by) => Err(Error::new(
            ErrorKind::AlreadyLowered,
            format!("already lowered (by {})", String::from_utf8_lossy(by)),
        )
        .with_help("lower the module that the linker wrote, once")),
        None => Ok(()),
    }
}

/// Relocations hold function indices and code offsets, which the tool changes.
pub(crate) fn linked(module: &Module<'_>) -> Result<(), Error> {
    let relocation = module.customs.iter().find(|(name, _)| *name == "linking" || name.starts_with("reloc."));
    match relocation {
        Some((name, _)) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the module has a section `{name}`: it is an object file or keeps relocations"),
        )
        .with_help("lower what the linker wrote, without `--relocatable` or `--emit-relocs`")),
        None => Ok(()),
    }
}

fn memory(module: &Module<'_>) -> Result<(), Error> {
    let [memory] = module.memories.as_slice() else {
        let count = module.memories.len();
        return Err(Error::new(
            ErrorKind::Unsupported,
            match count {
                0 => "the module has no memory; a context is an address in memory 0".to_owned(),
                _ => format!("the module has {count} memories; a guest has one"),
            },
        ));
    };
    if memory.memory64 {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "the module's memory has 64-bit addresses (memory64); the ABI's are 32-bit",
        )
        .with_help("build for a wasm32 target"));
    }
    Ok(())
}

/// Entry functions are called through table 0.
fn table(module: &Module<'_>) -> Result<(), Error> {
    match module.tables.first() {
        Some(table) if table.table64 => Err(Error::new(
            ErrorKind::Unsupported,
            "table 0 has 64-bit indices (memory64); the ABI's are 32-bit",
        )
        .with_help("build for a wasm32 target")),
        Some(table) if table.element_type.is_func_ref() => Ok(()),
        Some(_) => Err(Error::new(
            ErrorKind::Abi,
            "table 0 does not hold functions; a task's entry is an index into it",
        )),
        None => Err(Error::new(
            ErrorKind::Abi,
            "the module has no table; a task's entry is an index into table 0",
        )),
    }
}

fn stack_pointer(module: &Module<'_>) -> Result<StackPointer, Error> {
    const NAME: &str = "__stack_pointer";
    let exported = module
        .exports
        .iter()
        .find(|export| export.kind == ExternalKind::Global && export.name == NAME)
        .map(|export| export.index);
    let named = || {
        let mut names = module.global_names.iter();
        names.find(|(_, name)| **name == NAME).map(|(index, _)| *index)
    };
    let Some(index) = exported.or_else(named) else {
        return Err(Error::new(
            ErrorKind::Abi,
            "no shadow stack pointer: no global is exported or named `__stack_pointer`",
        )
        .with_help(
            "build the guest with RUSTFLAGS=-Clink-arg=--export=__stack_pointer, \
             or keep the name section (no `strip`)",
        ));
    };
    let broken = |what: &str| Error::new(ErrorKind::Abi, format!("`__stack_pointer` {what}"));
    let Some(global) = module.globals.get(index as usize) else {
        return Err(broken("names a global that does not exist"));
    };
    if global.imported {
        return Err(broken("is imported: position-independent modules are not supported")
            .with_help("link the guest statically, without `-fPIC`, `-shared` or `-pie`"));
    }
    if global.ty.content_type != ValType::I32 || !global.ty.mutable {
        return Err(broken("is not a mutable i32"));
    }
    match global.initial {
        Some(initial) => Ok(StackPointer { global: index, initial }),
        None => Err(broken("is not initialised by an `i32.const`")),
    }
}

/// A module that suspends and resumes by itself cannot be suspended by tasks, too.
fn drives_no_asyncify(module: &Module<'_>) -> Result<(), Error> {
    let import = module.function_imports.iter().find(|i| i.module == "asyncify");
    if let Some(import) = import {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the module imports `asyncify.{}`: it drives asyncify itself", import.name),
        )
        .with_help("one module, one owner: let windlass suspend and resume, or asyncify, not both"));
    }
    let export = module.exports.iter().find(|export| ASYNCIFY_EXPORTS.contains(&export.name));
    if let Some(export) = export {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("the module exports `{}`: `wasm-opt --asyncify` has been run on it", export.name),
        )
        .with_help("lower the module that the linker wrote; windlass-lower runs the pass itself"));
    }
    Ok(())
}

/// What Binaryen's asyncify cannot transform, or would transform wrongly.
fn asyncify_can(module: &Module<'_>) -> Result<(), Error> {
    for (position, body) in module.bodies.iter().enumerate() {
        let function = (module.function_imports.len() + position) as u32;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            if let Some((construct, remedy)) = untransformable(&operators.read()?) {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "function {} uses {construct}, which Binaryen's asyncify cannot suspend",
                        module.function_label(function)
                    ),
                )
                .with_help(remedy));
            }
        }
    }
    Ok(())
}

fn untransformable(operator: &Operator<'_>) -> Option<(&'static str, &'static str)> {
    const TAIL: &str = "build the guest without the target feature `tail-call`";
    const EXCEPTION: &str = "build the guest with panic=abort and without exception handling";
    match operator {
        Operator::ReturnCall { .. } => Some(("`return_call`", TAIL)),
        Operator::ReturnCallIndirect { .. } => Some(("`return_call_indirect`", TAIL)),
        Operator::ReturnCallRef { .. } => Some(("`return_call_ref`", TAIL)),
        Operator::Try { .. } => Some(("`try`", EXCEPTION)),
        Operator::TryTable { .. } => Some(("`try_table`", EXCEPTION)),
        _ => None,
    }
}
