//! Random modules that compute a lot and call imports everywhere.
//!
//! A seed and a [`Shape`] determine the module. Every function may call every other, directly and through a table, and
//! the imports `env.s0`, `env.s1`, ..., which may suspend, and `env.h0`, ..., which never do. *Everything Ends*: the
//! global `fuel` goes down at each function's entry and each loop's head, and a function that finds it below zero
//! returns. *Everything Shows*: values that come back from calls end in accumulators, in memory, in locals that are
//! read later, so that a wrong one does not stay unnoticed. *No NaN*: what may make one is followed by a call that
//! replaces it, as its bits are not the same everywhere.

mod block;
mod body;
mod call;
mod exception;
mod operation;
mod plan;
mod statement;

use std::str::FromStr;

use wasm_encoder::{
    CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind, ExportSection,
    FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType, Module, RefType,
    TableSection, TableType, TagKind, TagSection, TagType, TypeSection, ValType,
};

use crate::generate::body::Body;
use crate::generate::plan::{MIXERS, Plan};
use crate::rng::Rng;

/// The memory that the generated code reads and writes: from 0 up to this.
pub const WORK: u32 = 1024;

/// Where the buffers for suspended calls begin, in the memory that is exported as `memory`.
pub const BUFFERS: u32 = 65_536;

/// The size of one buffer, with its header.
pub const BUFFER: u32 = 4 * 65_536;

/// How many buffers there are.
pub const CONTEXTS: u32 = 4;

/// What a generated module is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many functions it defines, besides the generator's own.
    pub functions: usize,
    /// How deep expressions and blocks are nested.
    pub depth: usize,
    /// About how many instructions of the generator's choice a function has.
    pub statements: usize,
    /// What may be used beyond the first version of WebAssembly.
    pub features: Features,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { functions: 6, depth: 5, statements: 90, features: Features::default() }
    }
}

/// What may be used beyond the first version of WebAssembly, and what is not always wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Several results, and blocks with parameters.
    pub multi_value: bool,
    /// Vectors.
    pub v128: bool,
    /// Vectors in the types of imports and exports. JavaScript has none.
    pub v128_host: bool,
    /// Locals, operands and globals that are references, and a second table.
    pub references: bool,
    /// `return_call` and `return_call_indirect`.
    pub tail_calls: bool,
    /// A second memory.
    pub memories: bool,
    /// `try_table`, `throw`, `throw_ref`.
    pub exceptions: bool,
    /// `try`, `catch`, `rethrow`, `delegate`.
    pub legacy_exceptions: bool,
    /// Memories that grow.
    pub grow: bool,
    /// Traps, behind conditions that are rarely met.
    pub traps: bool,
    /// Functions with more than 16 parameters, and with dozens of locals.
    pub big: bool,
}

/// The features by name.
type Feature = (&'static str, fn(&mut Features) -> &mut bool);

const FEATURES: &[Feature] = &[
    ("multi-value", |features| &mut features.multi_value),
    ("v128", |features| &mut features.v128),
    ("v128-host", |features| &mut features.v128_host),
    ("references", |features| &mut features.references),
    ("tail-calls", |features| &mut features.tail_calls),
    ("memories", |features| &mut features.memories),
    ("exceptions", |features| &mut features.exceptions),
    ("legacy-exceptions", |features| &mut features.legacy_exceptions),
    ("grow", |features| &mut features.grow),
    ("traps", |features| &mut features.traps),
    ("big", |features| &mut features.big),
];

impl Features {
    /// What every engine and Binaryen's asyncify pass can do.
    pub const BASIC: Features = Features {
        multi_value: false,
        v128: false,
        v128_host: false,
        references: false,
        tail_calls: false,
        memories: false,
        exceptions: false,
        legacy_exceptions: false,
        grow: true,
        traps: true,
        big: true,
    };

    /// The names of those that are on.
    pub fn names(mut self) -> String {
        let on = FEATURES.iter().filter(|(_, feature)| *feature(&mut self)).map(|(name, _)| *name);
        on.collect::<Vec<_>>().join(",")
    }

    /// A random choice of those that are on: fewer at a time find other things than all at once.
    #[must_use]
    pub fn some(mut self, rng: &mut Rng) -> Features {
        for (_, feature) in FEATURES {
            let keep = rng.percent(65);
            *feature(&mut self) &= keep;
        }
        self
    }
}

impl FromStr for Features {
    type Err = String;

    /// Names with commas between. `basic` is [`Features::BASIC`]; `wasmi` is all that wasmi runs.
    fn from_str(names: &str) -> Result<Features, String> {
        let mut features = Features::default();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name {
                "basic" => features = Features::BASIC,
                "wasmi" => {
                    features = Features {
                        multi_value: true,
                        v128: true,
                        v128_host: true,
                        references: true,
                        tail_calls: true,
                        memories: true,
                        ..Features::BASIC
                    }
                }
                _ => match FEATURES.iter().find(|(known, _)| *known == name) {
                    Some((_, feature)) => *feature(&mut features) = true,
                    None => {
                        let known: Vec<&str> = FEATURES.iter().map(|(name, _)| *name).collect();
                        return Err(format!("{name}: the options are basic, wasmi, {}", known.join(", ")));
                    }
                },
            }
        }
        Ok(features)
    }
}

/// The module of that seed. Engines refuse modules with both kinds of exceptions: with both on, the seed decides.
pub fn generate(seed: u64, shape: &Shape) -> Vec<u8> {
    let mut shape = *shape;
    if shape.features.exceptions && shape.features.legacy_exceptions {
        let legacy = Rng::new(seed, "exceptions").percent(50);
        (shape.features.exceptions, shape.features.legacy_exceptions) = (!legacy, legacy);
    }
    let mut rng = Rng::new(seed, "module");
    let mut plan = Plan::new(&mut rng, &shape);
    let mut code = CodeSection::new();
    for mixer in MIXERS {
        code.function(&mixer(&plan));
    }
    for function in plan.own() {
        let mut rng = Rng::new(rng.number(), "function");
        code.function(&Body::new(&mut plan, function, &mut rng).generate());
    }
    assemble(&plan, &code, &mut rng)
}

fn assemble(plan: &Plan, code: &CodeSection, rng: &mut Rng) -> Vec<u8> {
    let features = plan.shape.features;
    let mut types = TypeSection::new();
    for (params, results) in &plan.types {
        types.ty().function(params.iter().copied(), results.iter().copied());
    }
    let mut imports = ImportSection::new();
    for import in &plan.imports {
        imports.import("env", &import.name, EntityType::Function(import.ty));
    }
    let mut functions = FunctionSection::new();
    for function in &plan.functions {
        functions.function(*function);
    }
    let mut tables = TableSection::new();
    let size = plan.table.len() as u64;
    let table = |element_type, minimum| TableType {
        element_type,
        minimum,
        maximum: Some(minimum),
        table64: false,
        shared: false,
    };
    tables.table(table(RefType::FUNCREF, size));
    if features.references {
        tables.table(table(RefType::EXTERNREF, 8));
    }
    let mut memories = MemorySection::new();
    let pages = u64::from((BUFFERS + CONTEXTS * BUFFER) / 65_536);
    let memory = |minimum| MemoryType {
        minimum,
        maximum: Some(minimum + 3),
        memory64: false,
        shared: false,
        page_size_log2: None,
    };
    memories.memory(memory(pages));
    if features.memories {
        memories.memory(memory(1));
    }
    let mut tags = TagSection::new();
    for ty in &plan.tags {
        tags.tag(TagType { kind: TagKind::Exception, func_type_idx: *ty });
    }
    let mut globals = GlobalSection::new();
    for ty in &plan.globals {
        globals.global(GlobalType { val_type: *ty, mutable: true, shared: false }, &initial(*ty, rng));
    }
    if !plan.tags.is_empty() {
        let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
        globals.global(ty, &ConstExpr::i32_const(0));
    }

    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0);
    if features.memories {
        exports.export("memory2", ExportKind::Memory, 1);
    }
    for (index, ty) in plan.globals.iter().enumerate() {
        let name = if index == 0 { "fuel".to_owned() } else { format!("g{index}") };
        if *ty != ValType::V128 {
            exports.export(&name, ExportKind::Global, index as u32);
        }
    }
    if !plan.tags.is_empty() {
        exports.export("thrown", ExportKind::Global, plan.thrown());
        for tag in 0..plan.tags.len() {
            exports.export(&format!("t{tag}"), ExportKind::Tag, tag as u32);
        }
    }
    for function in plan.own() {
        if plan.is_exported(function) {
            exports.export(&format!("f{function}"), ExportKind::Func, function);
        }
    }
    let mut elements = ElementSection::new();
    for (index, function) in plan.table.iter().enumerate() {
        if let Some(function) = function {
            let offset = ConstExpr::i32_const(index as i32);
            elements.active(None, &offset, Elements::Functions([*function].as_slice().into()));
        }
    }
    let mut data = DataSection::new();
    for memory in 0..=u32::from(features.memories) {
        data.active(memory, &ConstExpr::i32_const(0), rng.bytes(WORK as usize));
    }

    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
    if !plan.tags.is_empty() {
        module.section(&tags);
    }
    module.section(&globals).section(&exports).section(&elements).section(code).section(&data);
    module.finish()
}

fn initial(ty: ValType, rng: &mut Rng) -> ConstExpr {
    match ty {
        ValType::I32 => ConstExpr::i32_const(rng.number() as i32),
        ValType::I64 => ConstExpr::i64_const(rng.number() as i64),
        ValType::F32 => ConstExpr::f32_const((rng.below(1000) as f32 / 8.0).into()),
        ValType::F64 => ConstExpr::f64_const((rng.below(1000) as f64 / 16.0).into()),
        ValType::V128 => ConstExpr::v128_const(i128::from(rng.number()) << 3),
        ValType::Ref(ty) => ConstExpr::ref_null(ty.heap_type),
    }
}
