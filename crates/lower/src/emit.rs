//! Writes the guest again, without the imports of module `windlass` and with what stands in for them.
//!
//! ```text
//!  function indices   before   windlass.switch | env.log | f | g
//!                     after    env.log | asyncify.* | f | g | switch | overflow | bracket of env.log
//! ```
//!
//! What defined `windlass.switch` is now the function `switch`; what called, exported or took the address of
//! `env.log` now means the bracket. Only the bracket itself calls the import. `asyncify.*` are there only by way of
//! Binaryen; for the own engine `switch` is a place that `own/windlass.rs` fills. A guest with `windlass_initialize` gets
//! one more function, or only another name for its export.

use std::collections::BTreeMap;

use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    CodeSection, ConstExpr, ElementSection, Elements, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, GlobalSection, GlobalType, ImportSection, SectionId, TypeSection, ValType,
};
use wasmparser::{KnownCustom, Operator};

use crate::abi::{self, Guest, Intrinsic};
use crate::error::{Error, ErrorKind};
use crate::initialize::{GUEST_INITIALIZE, INITIALIZE, Initialize};
use crate::module::{self, Module};
use crate::names::Names;
use crate::own::windlass::Seam;
use crate::runtime::{Asyncify, Globals, Runtime};
use crate::{Engine, FunctionReport, Options};

type Result<T = ()> = std::result::Result<T, reencode::Error<Error>>;

/// The module that the engine transforms next, and what was left out of it.
pub(crate) struct Emitted {
    pub(crate) wasm: Vec<u8>,
    /// For the own engine: the functions that it defines.
    pub(crate) seam: Option<Seam>,
    pub(crate) origins: Origins,
    /// Whether DWARF, or a reference to debug information elsewhere, was dropped.
    pub(crate) dropped_debug_info: bool,
}

/// Where the guest's functions went.
pub(crate) struct Origins {
    moved: Vec<Option<u32>>,
}

impl Origins {
    /// Options for the emitted module: where functions are given by their indices those are other ones.
    pub(crate) fn options(&self, options: &Options) -> std::result::Result<Options, Error> {
        let mut options = options.clone();
        let lists =
            [("--allow", &mut options.allow), ("--deny", &mut options.deny), ("--only", &mut options.only)];
        for (option, patterns) in lists {
            for pattern in patterns {
                let Some(Ok(index)) = pattern.strip_prefix('#').map(str::parse::<usize>) else { continue };
                match self.moved.get(index) {
                    Some(Some(index)) => *pattern = format!("#{index}"),
                    _ => return Err(module::names_no_function(option, pattern)),
                }
            }
        }
        Ok(options)
    }

    /// A report on the emitted module's functions, as one on the guest's.
    pub(crate) fn report(&self, functions: Vec<FunctionReport>) -> Vec<FunctionReport> {
        let guest: BTreeMap<u32, u32> =
            self.moved.iter().zip(0..).filter_map(|(new, old)| new.map(|new| (new, old))).collect();
        // A function without a name is called by its index.
        let renamed = |name: &str| {
            let index = name.strip_prefix('#')?.parse().ok()?;
            guest.get(&index).map(|index| format!("#{index}"))
        };
        let functions = functions.into_iter();
        functions
            .filter_map(|mut function| {
                function.index = *guest.get(&function.index)?;
                if let Some(name) = renamed(&function.name) {
                    function.name = name;
                }
                for hop in &mut function.why {
                    if let Some(name) = renamed(&hop.callee) {
                        hop.callee = name.into();
                    }
                }
                Some(function)
            })
            .collect()
    }
}

/// Removes the intrinsics' imports and adds their definitions.
pub(crate) fn emit(
    module: &Module<'_>,
    guest: &Guest,
    options: &Options,
) -> std::result::Result<Emitted, Error> {
    let mut emitter = Emitter::new(module, guest, options)?;
    let mut encoded = wasm_encoder::Module::new();
    emitter.parse_core_module(&mut encoded, wasmparser::Parser::new(0), module.wasm)?;
    let seam = match options.via {
        Engine::Own => emitter.seam(guest),
        Engine::Binaryen => None,
    };
    let origins = Origins { moved: emitter.moved };
    Ok(Emitted { wasm: encoded.finish(), seam, origins, dropped_debug_info: emitter.dropped_debug_info })
}

/// A function that the tool adds.
#[derive(Clone, Copy)]
enum Added {
    Intrinsic(Intrinsic),
    Overflow,
    /// The bracket of an imported function, by its index in the guest.
    Bracket(u32),
    /// `_initialize`, from these functions of the guest.
    Initialize {
        crt: u32,
        guest: u32,
    },
}

struct Emitter<'a> {
    module: &'a Module<'a>,
    keep_names: bool,
    check_stack: bool,
    via: Engine,
    runtime: Runtime,
    initialize: Initialize,
    /// The added function for [`Initialize::Wrapped`].
    wrapper: u32,
    /// What a function index of the guest means in code, elements and exports.
    functions: Vec<u32>,
    /// Where the function with an index of the guest itself went; None for intrinsics.
    moved: Vec<Option<u32>>,
    added: Vec<Added>,
    /// The index of the first added function.
    first_added: u32,
    /// The types of the added functions.
    added_types: Vec<u32>,
    /// The type of `start_unwind` and `start_rewind`, and of their counterparts.
    asyncify_types: [u32; 2],
    new_types: Vec<(usize, usize)>,
    /// See [`referenced_functions`]; empty once they have been written.
    referenced: Vec<u32>,
    dropped_debug_info: bool,
}

impl<'a> Emitter<'a> {
    fn new(
        module: &'a Module<'a>,
        guest: &Guest,
        options: &Options,
    ) -> std::result::Result<Emitter<'a>, Error> {
        let mut types = Types { module, new: Vec::new() };

        // Imports that stay keep their order; asyncify's follow.
        let mut moved = Vec::new();
        let mut imports = 0;
        for intrinsic in &guest.intrinsics {
            moved.push(match intrinsic {
                Some(_) => None,
                None => {
                    imports += 1;
                    Some(imports - 1)
                }
            });
        }
        let via_asyncify = guest.suspends() && options.via == Engine::Binaryen;
        let asyncify = via_asyncify.then_some(Asyncify {
            start_unwind: imports,
            stop_unwind: imports + 1,
            start_rewind: imports + 2,
            stop_rewind: imports + 3,
        });
        if asyncify.is_some() {
            imports += Asyncify::IMPORTS.len() as u32;
        }
        let defined = module.functions.len() as u32;
        moved.extend((0..defined).map(|function| Some(imports + function)));
        let first_added = imports + defined;

        let mut added: Vec<Added> = Intrinsic::ALL
            .into_iter()
            .filter(|intrinsic| guest.uses(*intrinsic))
            .map(Added::Intrinsic)
            .collect();
        if guest.moves() {
            added.push(Added::Overflow);
        }
        for (index, import) in (0..).zip(&module.function_imports) {
            if import.module != abi::MODULE && !is_descriptor(import.name) {
                added.push(Added::Bracket(index));
            }
        }

        if let Initialize::Wrapped { crt, guest } = guest.initialize {
            added.push(Added::Initialize { crt, guest });
        }

        let mut functions: Vec<Option<u32>> = moved.clone();
        let (mut overflow, mut wrapper) = (first_added, first_added);
        let mut added_types = Vec::new();
        for (index, added) in (first_added..).zip(&added) {
            added_types.push(match *added {
                Added::Intrinsic(intrinsic) => {
                    for (slot, imported) in functions.iter_mut().zip(&guest.intrinsics) {
                        if *imported == Some(intrinsic) {
                            *slot = Some(index);
                        }
                    }
                    let (params, results) = intrinsic.arity();
                    types.index(params, results)
                }
                Added::Overflow => {
                    overflow = index;
                    types.index(0, 0)
                }
                Added::Bracket(import) => {
                    functions[import as usize] = Some(index);
                    module.function_imports[import as usize].ty
                }
                Added::Initialize { .. } => {
                    wrapper = index;
                    types.index(0, 0)
                }
            });
        }
        let functions = functions
            .into_iter()
            .map(|index| index.ok_or_else(|| unknown("function")))
            .collect::<std::result::Result<Vec<u32>, Error>>()?;

        let runtime = Runtime {
            stack_pointer: guest.stack_pointer,
            globals: Globals { first: module.globals.len() as u32 },
            asyncify,
            has_pending: options.via == Engine::Own && guest.moves(),
            overflow,
            report_overflow: guest
                .stack_overflow
                .and_then(|function| functions.get(function as usize).copied()),
            entry_type: types.index(1, 1),
        };
        Ok(Emitter {
            module,
            // The own engine names functions in its report, and drops the names itself.
            keep_names: options.keep_names || options.via == Engine::Own,
            check_stack: options.stack_check && guest.uses(Intrinsic::Run),
            via: options.via,
            runtime,
            initialize: guest.initialize,
            wrapper,
            functions,
            moved,
            added,
            first_added,
            added_types,
            asyncify_types: [types.index(0, 0), types.index(1, 0)],
            new_types: types.new,
            referenced: match asyncify {
                Some(_) => referenced_functions(module),
                None => Vec::new(),
            },
            dropped_debug_info: false,
        })
    }

    /// What the own engine has to know.
    fn seam(&self, guest: &Guest) -> Option<Seam> {
        let added = (self.first_added..).zip(&self.added);
        let intrinsics: Vec<(Intrinsic, u32)> = added
            .filter_map(|(index, added)| match added {
                Added::Intrinsic(intrinsic) if intrinsic.is_seam() => Some((*intrinsic, index)),
                _ => None,
            })
            .collect();
        let moved = |function: u32| self.functions.get(function as usize).copied();
        (!intrinsics.is_empty()).then(|| Seam {
            intrinsics,
            overflow: self.runtime.overflow,
            stack_pointer: self.runtime.stack_pointer.global,
            globals: self.runtime.globals,
            chunks: guest.chunks.and_then(|(alloc, free)| Some((moved(alloc)?, moved(free)?))),
        })
    }

    /// What a function index of the guest means now.
    fn mapped(&self, function: u32) -> Result<u32> {
        let index = self.functions.get(function as usize).copied();
        index.ok_or_else(|| reencode::Error::UserError(unknown("function")))
    }

    /// Writes the passive segment of [`referenced_functions`].
    fn hold_referenced(&mut self, elements: &mut ElementSection) -> Result {
        let mut functions = Vec::new();
        for function in std::mem::take(&mut self.referenced) {
            functions.push(self.function_index(function)?);
        }
        if !functions.is_empty() {
            elements.passive(Elements::Functions(functions.into()));
        }
        Ok(())
    }

    fn names(&self) -> Names<'_> {
        let added = self.added.iter().map(|added| self.name_of(*added));
        Names {
            moved: &self.moved,
            added: (self.first_added..).zip(added).collect(),
            globals: (self.runtime.globals.first..)
                .zip(Globals::names(self.via, self.runtime.asyncify.is_some() || self.runtime.has_pending))
                .map(|(index, name)| (index, name.to_owned()))
                .collect(),
        }
    }

    fn name_of(&self, added: Added) -> String {
        match added {
            Added::Intrinsic(intrinsic) => format!("windlass.{}", intrinsic.name()),
            Added::Overflow => "windlass.overflow".to_owned(),
            Added::Bracket(import) => {
                let import = &self.module.function_imports[import as usize];
                format!("windlass.bracket.{}.{}", import.module, import.name)
            }
            Added::Initialize { .. } => "windlass.initialize".to_owned(),
        }
    }
}

/// A function that does nothing but trap.
fn trap() -> Function {
    let mut function = Function::new([]);
    function.instructions().unreachable().end();
    function
}

/// Functions whose references are taken, in code or by a global, and that need be in no table.
///
/// The optimiser of wasm-opt 108 takes such a function for one that is never called and empties it, although code may
/// put the reference into a table. It keeps what is in a passive segment.
fn referenced_functions(module: &Module<'_>) -> Vec<u32> {
    let mut functions: Vec<u32> = module.globals.iter().filter_map(|g| g.function).collect();
    functions.extend(&module.declared);
    functions.sort_unstable();
    functions.dedup();
    functions
}

/// What wasm-bindgen runs itself, in an interpreter of its own that knows no brackets.
fn is_descriptor(name: &str) -> bool {
    name.starts_with("__wbindgen_describe")
}

/// Sections about code offsets or other files, wrong or useless after the transformation. wasm-opt would write DWARF
/// again in a form that wasm-bindgen's parser refuses.
pub(crate) fn is_debug_info(section: &str) -> bool {
    section.starts_with(".debug_")
        || section.starts_with("metadata.code.")
        || section == "sourceMappingURL"
        || section == "external_debug_info"
}

/// An index that validation should have refused.
fn unknown(space: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("a {space} index is out of range in a module that was found valid"),
    )
}

/// The type section: finds the types that the added functions need, or adds them.
struct Types<'a> {
    module: &'a Module<'a>,
    new: Vec<(usize, usize)>,
}

impl Types<'_> {
    /// The type with so many i32 parameters and results.
    fn index(&mut self, params: usize, results: usize) -> u32 {
        let all_i32 = |types: &[wasmparser::ValType], count: usize| {
            types.len() == count && types.iter().all(|ty| *ty == wasmparser::ValType::I32)
        };
        let old = self
            .module
            .types
            .iter()
            .position(|ty| all_i32(ty.params(), params) && all_i32(ty.results(), results));
        if let Some(index) = old {
            return index as u32;
        }
        let new = self.new.iter().position(|ty| *ty == (params, results));
        let new = new.unwrap_or_else(|| {
            self.new.push((params, results));
            self.new.len() - 1
        });
        (self.module.types.len() + new) as u32
    }
}

impl Reencode for Emitter<'_> {
    type Error = Error;

    fn function_index(&mut self, function: u32) -> Result<u32> {
        self.mapped(function)
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result {
        utils::parse_type_section(self, types, section)?;
        for (params, results) in &self.new_types {
            types.ty().function(vec![ValType::I32; *params], vec![ValType::I32; *results]);
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
            if import.module != abi::MODULE {
                utils::parse_import(self, imports, import)?;
            }
        }
        if self.runtime.asyncify.is_some() {
            for (name, params) in Asyncify::IMPORTS {
                let ty = EntityType::Function(self.asyncify_types[params]);
                imports.import("asyncify", name, ty);
            }
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: wasmparser::FunctionSectionReader<'_>,
    ) -> Result {
        utils::parse_function_section(self, functions, section)?;
        for ty in &self.added_types {
            functions.function(*ty);
        }
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result {
        utils::parse_global_section(self, globals, section)?;
        for _ in Globals::names(self.via, self.runtime.asyncify.is_some() || self.runtime.has_pending) {
            let ty = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
            globals.global(ty, &ConstExpr::i32_const(0));
        }
        Ok(())
    }

    fn parse_export(&mut self, exports: &mut ExportSection, mut export: wasmparser::Export<'_>) -> Result {
        match (self.initialize, export.name) {
            (Initialize::Wrapped { .. }, INITIALIZE) => {
                exports.export(INITIALIZE, ExportKind::Func, self.wrapper);
                return Ok(());
            }
            (Initialize::Wrapped { .. }, GUEST_INITIALIZE) => return Ok(()),
            (Initialize::Renamed, GUEST_INITIALIZE) => export.name = INITIALIZE,
            _ => {}
        }
        utils::parse_export(self, exports, export)
    }

    fn parse_element_section(
        &mut self,
        elements: &mut ElementSection,
        section: wasmparser::ElementSectionReader<'_>,
    ) -> Result {
        utils::parse_element_section(self, elements, section)?;
        self.hold_referenced(elements)
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut wasm_encoder::Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result {
        // The guest has no element section if this is still to be done here.
        if matches!(before, Some(SectionId::DataCount | SectionId::Code)) && !self.referenced.is_empty() {
            let mut elements = ElementSection::new();
            self.hold_referenced(&mut elements)?;
            module.section(&elements);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: wasmparser::CodeSectionReader<'_>,
    ) -> Result {
        utils::parse_code_section(self, code, section)?;
        for added in &self.added {
            code.function(&match *added {
                // A place for the own engine to put it.
                Added::Intrinsic(intrinsic) if intrinsic.is_seam() && self.via == Engine::Own => trap(),
                Added::Intrinsic(intrinsic) => self.runtime.intrinsic(intrinsic),
                Added::Overflow => self.runtime.overflow(),
                Added::Bracket(import) => {
                    let ty = self.module.function_type(import);
                    let own = self.moved.get(import as usize).copied().flatten();
                    match (own, ty) {
                        (Some(own), Some(ty)) => self.runtime.bracket(own, ty),
                        _ => return Err(reencode::Error::UserError(unknown("function"))),
                    }
                }
                Added::Initialize { crt, guest } => {
                    self.runtime.initialize(self.mapped(crt)?, self.mapped(guest)?)
                }
            });
        }
        Ok(())
    }

    fn parse_function_body(&mut self, code: &mut CodeSection, body: wasmparser::FunctionBody<'_>) -> Result {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut operators = body.get_operators_reader()?;
        let stack_pointer = self.runtime.stack_pointer.global;
        while !operators.eof() {
            let operator = operators.read()?;
            let moves_stack = matches!(
                operator,
                Operator::GlobalSet { global_index } if global_index == stack_pointer
            );
            function.instruction(&self.instruction(operator)?);
            if moves_stack && self.check_stack {
                self.runtime.check(&mut function.instructions());
            }
        }
        code.function(&function);
        Ok(())
    }

    fn parse_custom_section(
        &mut self,
        module: &mut wasm_encoder::Module,
        section: wasmparser::CustomSectionReader<'_>,
    ) -> Result {
        if is_debug_info(section.name()) {
            self.dropped_debug_info = true;
            return Ok(());
        }
        if let KnownCustom::Name(names) = section.as_known() {
            // A damaged section is left out like one that the user does not want.
            if self.keep_names
                && let Ok(names) = self.names().section(Some(names))
            {
                module.section(&names);
            }
            return Ok(());
        }
        module.section(&utils::custom_section(self, section));
        Ok(())
    }
}
