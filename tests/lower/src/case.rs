//! A case: a module, and what is done with it.

use wasmparser::{ExternalKind, FuncType, Parser, Payload, TypeRef};

use crate::generate;
use crate::memory::{pages, with_memories};
use crate::rng::Rng;
use crate::value::{Type, Value};

/// How many times as large those buffers are in which everything must fit.
const LARGER: u32 = 16;

/// What a host does with the memory in which a lowered module keeps a suspended call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffers {
    /// There is a place for each context, and the guest's own code leaves it alone.
    Reserved {
        /// Where the first one is.
        start: u32,
        /// The size of each.
        size: u32,
        /// How many there are.
        count: u32,
    },
    /// There is none: the host takes a piece of the guest's memory and gives it back before the guest runs again.
    Borrowed {
        /// Where the piece is.
        start: u32,
        /// Its size at most.
        size: u32,
    },
}

impl Buffers {
    /// Those of generated modules.
    pub const GENERATED: Buffers =
        Buffers::Reserved { start: generate::BUFFERS, size: generate::BUFFER, count: generate::CONTEXTS };

    /// For modules that know of none.
    pub const BORROWED: Buffers = Buffers::Borrowed { start: 2048, size: 60_000 };

    /// Address and size of one.
    pub fn place(self, context: usize) -> (u32, u32) {
        match self {
            Buffers::Reserved { start, size, count } => {
                (start + (context as u32 % count.max(1)) * size, size)
            }
            Buffers::Borrowed { start, size } => (start, size),
        }
    }

    /// Others, so many times as large, from this address on.
    #[must_use]
    fn larger(self, at: u32) -> Buffers {
        match self {
            Buffers::Reserved { size, count, .. } => {
                Buffers::Reserved { start: at, size: size * LARGER, count }
            }
            Buffers::Borrowed { size, .. } => Buffers::Borrowed { start: at, size: size * LARGER },
        }
    }

    /// How much all of them take.
    fn bytes(self) -> u32 {
        match self {
            Buffers::Reserved { size, count, .. } => size * count,
            Buffers::Borrowed { size, .. } => size,
        }
    }

    /// What the guest does not have for itself.
    pub fn reserved(self) -> std::ops::Range<usize> {
        match self {
            Buffers::Reserved { start, size, count } => start as usize..(start + size * count) as usize,
            Buffers::Borrowed { .. } => 0..0,
        }
    }
}

/// One call of an export.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is called.
    pub export: String,
    /// With what.
    pub args: Vec<Value>,
}

/// How far a run may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Calls of imports; a run with more is cut short and says nothing.
    pub calls: usize,
    /// Suspensions; after so many, there are no further ones.
    pub suspensions: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { calls: 20_000, suspensions: 4_000 }
    }
}

/// A module, and what is done with it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Determines everything that the host decides.
    pub seed: u64,
    /// The original.
    pub wasm: Vec<u8>,
    /// The imports that suspend, `module.name`.
    pub suspending: Vec<String>,
    /// The exports to call, one after another.
    pub calls: Vec<Call>,
    /// Where suspended calls are kept.
    pub buffers: Buffers,
    /// How much of a buffer is used at most.
    pub room: u32,
    /// An import throws in one of so many calls; 0: never.
    pub throws: u64,
    /// What the exported global `fuel` is set to before each call.
    pub fuel: u32,
    /// Whether suspending imports write into the guest's memory below this.
    pub work: u32,
    /// How far a run may go.
    pub limits: Limits,
    /// The imports: name, parameters, results.
    pub imports: Vec<Signature>,
    /// The exports that are functions.
    pub exports: Vec<Signature>,
    /// The exported tags, and what they carry.
    pub tags: Vec<Signature>,
    /// The exported globals.
    pub globals: Vec<String>,
    /// The exported memories.
    pub memories: Vec<String>,
    /// The one where suspended calls are kept, as it is exported.
    pub memory: String,
}

/// The name and type of a function at the border.
#[derive(Clone, Debug)]
pub struct Signature {
    /// As imported or exported.
    pub name: String,
    /// What it takes.
    pub params: Vec<Type>,
    /// What it returns.
    pub results: Vec<Type>,
}

impl Case {
    /// Looks at the module and decides what to call. The imports whose names begin with `s` suspend. None: there is
    /// nothing to call, or the module is none.
    pub fn new(seed: u64, wasm: Vec<u8>, buffers: Buffers) -> Option<Case> {
        let mut types: Vec<FuncType> = Vec::new();
        let mut functions: Vec<u32> = Vec::new();
        let mut tag_types: Vec<u32> = Vec::new();
        let mut tags = Vec::new();
        let mut suspending = Vec::new();
        let mut imports = Vec::new();
        let mut exports = Vec::new();
        let mut globals = Vec::new();
        let mut memories = Vec::new();
        let mut memory = None;
        for payload in Parser::new(0).parse_all(&wasm) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        types.push(ty.ok()?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import.ok()?;
                        let TypeRef::Func(ty) = import.ty else { return None };
                        if import.name.starts_with('s') {
                            suspending.push(format!("{}.{}", import.module, import.name));
                        }
                        imports.push(signature(import.name, types.get(ty as usize)?)?);
                        functions.push(ty);
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        functions.push(ty.ok()?);
                    }
                }
                Payload::TagSection(section) => {
                    for tag in section {
                        tag_types.push(tag.ok()?.func_type_idx);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export.ok()?;
                        let name = export.name.to_owned();
                        match export.kind {
                            ExternalKind::Func => {
                                let ty = *functions.get(export.index as usize)?;
                                // Else of types that no host here has.
                                if let Some(signature) = signature(&name, types.get(ty as usize)?)
                                    && export.index as usize >= imports.len()
                                {
                                    exports.push(signature);
                                }
                            }
                            ExternalKind::Global => globals.push(name),
                            ExternalKind::Tag => {
                                let ty = *tag_types.get(export.index as usize)?;
                                tags.extend(signature(&name, types.get(ty as usize)?));
                            }
                            ExternalKind::Memory => {
                                if export.index == 0 {
                                    memory.get_or_insert_with(|| name.clone());
                                }
                                memories.push(name);
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let mut rng = Rng::new(seed, "calls");
        let reserved = matches!(buffers, Buffers::Reserved { .. });
        // Those that are not generated for it do little in a call.
        let count = if reserved { rng.between(2, 4) } else { rng.between(8, 12) };
        let mut calls = Vec::new();
        for _ in 0..count.min(exports.len() * 2) {
            let export = exports.get(rng.below(exports.len()))?;
            let args = export.params.iter().map(|ty| Value::random(*ty, &mut rng)).collect();
            calls.push(Call { export: export.name.clone(), args });
        }
        let mut rng = Rng::new(seed, "host");
        let small = reserved && rng.percent(6);
        let room = if small { 1 << rng.between(7, 13) } else { u32::MAX };
        let throws = rng.pick(&[0, 0, 12, 40, 120]).unwrap_or(0);
        (!calls.is_empty()).then_some(Case {
            seed,
            wasm,
            suspending,
            calls,
            buffers,
            room,
            throws,
            fuel: 60 + rng.below(200) as u32,
            work: if reserved { generate::WORK } else { 0 },
            limits: Limits::default(),
            imports,
            exports,
            tags,
            globals,
            memories,
            memory: memory.unwrap_or_default(),
        })
    }

    /// The case and its lowered form with much larger buffers, at the end of a memory that has grown by them. None: the
    /// memory is not the module's own.
    pub fn with_larger_buffers(&self, lowered: &[u8]) -> Option<(Case, Vec<u8>)> {
        const PAGE: u64 = 65_536;
        let end = pages(&self.wasm)? * PAGE;
        let buffers = self.buffers.larger(u32::try_from(end).ok()?);
        let more = u64::from(buffers.bytes()).div_ceil(PAGE);
        let enlarge = |wasm: &[u8]| {
            with_memories(wasm, |index, memory| {
                if index == 0 {
                    memory.minimum += more;
                    memory.maximum = memory.maximum.map(|maximum| maximum + more);
                }
            })
        };
        let case = Case { wasm: enlarge(&self.wasm)?, buffers, room: u32::MAX, ..self.clone() };
        Some((case, enlarge(lowered)?))
    }
}

fn signature(name: &str, ty: &FuncType) -> Option<Signature> {
    let types =
        |types: &[wasmparser::ValType]| types.iter().map(|ty| Type::of(*ty)).collect::<Option<Vec<_>>>();
    Some(Signature { name: name.to_owned(), params: types(ty.params())?, results: types(ty.results())? })
}
