//! Writes the module: every section as it was, with what was added behind it.

use std::collections::HashMap;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    ConstExpr, CustomSection, DataCountSection, DataSection, ElementSection, Elements, ExportKind,
    ExportSection, FunctionSection, GlobalSection, GlobalType, ImportSection, MemorySection, MemoryType,
    Module, RawSection, RefType, Section, StartSection, TableSection, TableType, TagSection, TypeSection,
};
use wasmparser::{ExternalKind, KnownCustom, Parser, Payload};

use crate::Options;
use crate::emit::is_debug_info;
use crate::error::Error;
use crate::module;
use crate::names::Names;
use crate::own::Indices;
use crate::own::added::{Added, ResumeTable};
use crate::own::encode::{encoded, zero_value};
use crate::own::frame::Frames;

type Result<T = ()> = std::result::Result<T, reencode::Error<Error>>;

pub(crate) struct Assembled {
    pub(crate) wasm: Vec<u8>,
    pub(crate) dropped_debug_info: bool,
}

/// The sections of the new module, in the order of the format.
#[derive(Default)]
struct Sections {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    tables: TableSection,
    memories: MemorySection,
    tags: TagSection,
    globals: GlobalSection,
    exports: ExportSection,
    start: Option<StartSection>,
    elements: ElementSection,
    data_count: Option<DataCountSection>,
    data: DataSection,
}

/// Where a custom section stands: behind so many kinds of sections.
type Rank = u8;

/// What becomes of the exports.
#[derive(Default)]
pub(crate) struct Exports {
    /// For functions: what is exported in their place.
    pub(crate) replaced: HashMap<u32, u32>,
    pub(crate) more: Vec<(String, u32)>,
    /// Functions whose references code takes and that nothing else declares any more.
    pub(crate) declared: Vec<u32>,
}

struct Encoder<'i> {
    indices: &'i Indices,
    exports: &'i Exports,
    /// By how much table 0 is longer.
    longer: u64,
}

impl Reencode for Encoder<'_> {
    type Error = Error;

    fn parse_export(&mut self, exports: &mut ExportSection, export: wasmparser::Export<'_>) -> Result {
        if export.kind == ExternalKind::Func
            && let Some(replaced) = self.exports.replaced.get(&export.index)
        {
            exports.export(export.name, ExportKind::Func, *replaced);
            return Ok(());
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_table_section(
        &mut self,
        tables: &mut TableSection,
        section: wasmparser::TableSectionReader<'_>,
    ) -> Result {
        for (place, table) in section.into_iter().enumerate() {
            let mut table = table?;
            if place == 0 && self.longer > 0 {
                table.ty.initial += self.longer;
                // No engine gives anyone the places that are lost at the end.
                let longest = |maximum: u64| (maximum + self.longer).min(u32::MAX.into());
                table.ty.maximum = table.ty.maximum.map(longest);
            }
            utils::parse_table(self, tables, table)?;
        }
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result {
        for import in section.into_imports() {
            let import = import?;
            if self.indices.removed != Some(import.module) {
                utils::parse_import(self, imports, import)?;
            }
        }
        Ok(())
    }

    fn function_index(&mut self, function: u32) -> Result<u32> {
        self.indices
            .references
            .get(function as usize)
            .copied()
            .ok_or_else(|| reencode::Error::UserError(super::internal("a function index out of range")))
    }
}

/// Writes the module, with these bodies for its functions.
pub(crate) fn assemble(
    module: &module::Module<'_>,
    indices: &Indices,
    exports: &Exports,
    bodies: &[Vec<u8>],
    added: &Added,
    frames: &Frames,
    options: &Options,
) -> std::result::Result<Assembled, Error> {
    let mut sections = Sections::default();
    let longer = if added.resume_table.is_shared { added.resume.len() as u64 } else { 0 };
    let mut encoder = Encoder { indices, exports, longer };
    let mut customs: Vec<(Rank, CustomSection<'_>)> = Vec::new();
    let mut named = None;
    let mut dropped_debug_info = false;
    let mut rank = 0;
    for payload in Parser::new(0).parse_all(module.wasm) {
        let payload = payload?;
        rank = rank.max(rank_of(&payload));
        match payload {
            Payload::CustomSection(section) if is_debug_info(section.name()) => dropped_debug_info = true,
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::Name(names) if options.keep_names => named = Some(names),
                KnownCustom::Name(_) => {}
                _ => customs
                    .push((rank, CustomSection { name: section.name().into(), data: section.data().into() })),
            },
            payload => sections.copy(&mut encoder, payload)?,
        }
    }
    sections.add(added, frames);
    for (name, function) in &exports.more {
        sections.exports.export(name, ExportKind::Func, *function);
    }
    if !exports.declared.is_empty() {
        sections.elements.declared(Elements::Functions(exports.declared.as_slice().into()));
    }

    let mut new = Module::new();
    let mut customs = customs.into_iter().peekable();
    let mut place = |new: &mut Module, rank: Rank, section: Option<&dyn Emit>| {
        if let Some(section) = section {
            section.emit(new);
        }
        while let Some((_, custom)) = customs.next_if(|(at, _)| *at <= rank) {
            new.section(&custom);
        }
    };
    place(&mut new, 0, None);
    place(&mut new, 1, non_empty(&sections.types, sections.types.is_empty()));
    place(&mut new, 2, non_empty(&sections.imports, sections.imports.is_empty()));
    place(&mut new, 3, non_empty(&sections.functions, sections.functions.is_empty()));
    place(&mut new, 4, non_empty(&sections.tables, sections.tables.is_empty()));
    place(&mut new, 5, non_empty(&sections.memories, sections.memories.is_empty()));
    place(&mut new, 6, non_empty(&sections.tags, sections.tags.is_empty()));
    place(&mut new, 7, non_empty(&sections.globals, sections.globals.is_empty()));
    place(&mut new, 8, non_empty(&sections.exports, sections.exports.is_empty()));
    place(&mut new, 9, sections.start.as_ref().map(|start| start as &dyn Emit));
    place(&mut new, 10, non_empty(&sections.elements, sections.elements.is_empty()));
    place(&mut new, 11, sections.data_count.as_ref().map(|count| count as &dyn Emit));
    let code = code(bodies, added);
    place(&mut new, 12, Some(&RawSection { id: 10, data: &code }));
    place(&mut new, 13, non_empty(&sections.data, sections.data.is_empty()));
    let imports = module.function_imports.iter();
    let is_removed =
        imports.map(|import| indices.removed == Some(import.module)).chain(std::iter::repeat(false));
    let moved: Vec<Option<u32>> =
        indices.places.iter().zip(is_removed).map(|(place, removed)| (!removed).then_some(*place)).collect();
    // Where the guest has no names, only those are added that a trap's message is made of.
    let has_names = named.is_some();
    let functions = (added.first_function..).zip(&added.functions);
    let names = Names {
        moved: &moved,
        added: functions
            .filter(|(_, function)| has_names || function.explains)
            .map(|(index, function)| (index, function.name.clone()))
            .collect(),
        globals: (added.first_global..)
            .zip(&added.globals)
            .filter(|_| has_names)
            .map(|(index, global)| (index, global.name.clone()))
            .collect(),
    };
    // A damaged section is left out like one that the user does not want.
    if let Some(section) = names.section(named).ok().filter(|_| options.keep_names) {
        new.section(&section);
    }
    Ok(Assembled { wasm: new.finish(), dropped_debug_info })
}

impl Encoder<'_> {
    fn start(&self, function: u32) -> Result<u32> {
        let place = self.indices.calls.get(function as usize).copied();
        place.ok_or_else(|| reencode::Error::UserError(super::internal("a function index out of range")))
    }
}

trait Emit {
    fn emit(&self, module: &mut Module);
}

impl<S: Section> Emit for S {
    fn emit(&self, module: &mut Module) {
        module.section(self);
    }
}

fn non_empty<S: Emit>(section: &S, is_empty: bool) -> Option<&dyn Emit> {
    (!is_empty).then_some(section as &dyn Emit)
}

/// The code section: of sizes up to megabytes, so it is put together once.
fn code(bodies: &[Vec<u8>], added: &Added) -> Vec<u8> {
    let all = bodies.iter().chain(added.functions.iter().map(|function| &function.code));
    let mut section = Vec::with_capacity(all.clone().map(|body| body.len() + 5).sum());
    wasm_encoder::Encode::encode(&(bodies.len() + added.functions.len()), &mut section);
    for body in all {
        wasm_encoder::Encode::encode(&body.len(), &mut section);
        section.extend_from_slice(body);
    }
    section
}

fn rank_of(payload: &Payload<'_>) -> Rank {
    match payload {
        Payload::TypeSection(_) => 1,
        Payload::ImportSection(_) => 2,
        Payload::FunctionSection(_) => 3,
        Payload::TableSection(_) => 4,
        Payload::MemorySection(_) => 5,
        Payload::TagSection(_) => 6,
        Payload::GlobalSection(_) => 7,
        Payload::ExportSection(_) => 8,
        Payload::StartSection { .. } => 9,
        Payload::ElementSection(_) => 10,
        Payload::DataCountSection { .. } => 11,
        Payload::CodeSectionStart { .. } => 12,
        Payload::DataSection(_) => 13,
        _ => 0,
    }
}

impl Sections {
    fn copy(&mut self, encoder: &mut Encoder<'_>, payload: Payload<'_>) -> Result {
        match payload {
            Payload::TypeSection(section) => utils::parse_type_section(encoder, &mut self.types, section),
            Payload::ImportSection(section) => encoder.parse_import_section(&mut self.imports, section),
            Payload::FunctionSection(section) => {
                utils::parse_function_section(encoder, &mut self.functions, section)
            }
            Payload::TableSection(section) => encoder.parse_table_section(&mut self.tables, section),
            Payload::MemorySection(section) => {
                utils::parse_memory_section(encoder, &mut self.memories, section)
            }
            Payload::TagSection(section) => utils::parse_tag_section(encoder, &mut self.tags, section),
            Payload::GlobalSection(section) => {
                utils::parse_global_section(encoder, &mut self.globals, section)
            }
            Payload::ExportSection(section) => {
                utils::parse_export_section(encoder, &mut self.exports, section)
            }
            Payload::StartSection { func, .. } => {
                self.start = Some(StartSection { function_index: encoder.start(func)? });
                Ok(())
            }
            Payload::ElementSection(section) => {
                utils::parse_element_section(encoder, &mut self.elements, section)
            }
            Payload::DataCountSection { count, .. } => {
                self.data_count = Some(DataCountSection { count });
                Ok(())
            }
            Payload::DataSection(section) => utils::parse_data_section(encoder, &mut self.data, section),
            _ => Ok(()),
        }
    }

    fn add(&mut self, added: &Added, frames: &Frames) {
        for ty in &added.new_types {
            let types =
                |types: &[wasmparser::ValType]| types.iter().map(|ty| encoded(*ty)).collect::<Vec<_>>();
            self.types.ty().function(types(ty.params()), types(ty.results()));
        }
        for function in &added.functions {
            self.functions.function(function.ty);
        }
        for pages in &added.memories {
            self.memories.memory(MemoryType {
                minimum: *pages,
                maximum: None,
                memory64: false,
                shared: false,
                page_size_log2: None,
            });
        }
        for global in &added.globals {
            let initial = match global.ty {
                wasmparser::ValType::I32 => ConstExpr::i32_const(global.initial),
                ty => zero_value(ty),
            };
            let val_type = encoded(global.ty);
            self.globals.global(GlobalType { val_type, mutable: true, shared: false }, &initial);
        }
        let count = added.resume.len() as u64;
        let table = |element_type: RefType, minimum: u64, maximum: Option<u64>| TableType {
            element_type,
            table64: false,
            minimum,
            maximum,
            shared: false,
        };
        if !added.resume_table.is_shared {
            self.tables.table(table(RefType::FUNCREF, count, Some(count)));
        }
        for reference in &frames.reference_tables {
            if let wasm_encoder::ValType::Ref(reference) = encoded(wasmparser::ValType::Ref(*reference)) {
                self.tables.table(table(reference, 1, None));
            }
        }
        if !added.resume.is_empty() {
            let functions = Elements::Functions(added.resume.as_slice().into());
            let ResumeTable { table, first, .. } = added.resume_table;
            // Without a number it is table 0, in the encoding that every tool knows.
            let table = (table > 0).then_some(table);
            self.elements.active(table, &ConstExpr::i32_const(first as i32), functions);
        }
    }
}
