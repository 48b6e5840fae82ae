//! The guest as the tool sees it: validated, with the index spaces that the other stages ask about.

use std::collections::BTreeMap;

use wasmparser::{
    ElementItems, ElementKind, ExternalKind, FuncType, FunctionBody, GlobalType, KnownCustom, MemoryType,
    Name, Operator, Parser, Payload, TableType, TypeRef, Validator, WasmFeatures,
};

use crate::error::{Error, ErrorKind};

/// An imported function.
pub(crate) struct FunctionImport<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ty: u32,
}

/// An import that is no function.
pub(crate) struct OtherImport<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: &'static str,
}

/// A global, imported ones first.
pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    pub(crate) imported: bool,
    /// The initial value, where it is a plain `i32.const`.
    pub(crate) initial: Option<i32>,
    /// The function that the initial value is a reference to.
    pub(crate) function: Option<u32>,
}

/// An export; the index is in the space that `kind` says.
pub(crate) struct Export<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: ExternalKind,
    pub(crate) index: u32,
}

/// A validated module.
pub(crate) struct Module<'a> {
    pub(crate) wasm: &'a [u8],
    pub(crate) types: Vec<FuncType>,
    pub(crate) function_imports: Vec<FunctionImport<'a>>,
    pub(crate) other_imports: Vec<OtherImport<'a>>,
    /// Types of the functions that the module defines.
    pub(crate) functions: Vec<u32>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    pub(crate) tables: Vec<TableType>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) globals: Vec<Global>,
    pub(crate) exports: Vec<Export<'a>>,
    /// Functions that an element segment declares so that code may take their references.
    pub(crate) declared: Vec<u32>,
    pub(crate) function_names: BTreeMap<u32, &'a str>,
    pub(crate) global_names: BTreeMap<u32, &'a str>,
    pub(crate) customs: Vec<(&'a str, &'a [u8])>,
}

/// What the tool can read. Garbage collection and typed function references are left out: neither rustc nor
/// clang emits them, and the index spaces below would have to know about them.
fn features() -> WasmFeatures {
    (WasmFeatures::default() | WasmFeatures::LEGACY_EXCEPTIONS)
        - WasmFeatures::GC
        - WasmFeatures::FUNCTION_REFERENCES
        - WasmFeatures::COMPONENT_MODEL
}

/// The proposals that rustc and clang turn on, by the option that makes `wasm-opt` accept each.
const PROPOSALS: [(WasmFeatures, &str); 9] = [
    (WasmFeatures::MUTABLE_GLOBAL, "--enable-mutable-globals"),
    (WasmFeatures::SIGN_EXTENSION, "--enable-sign-ext"),
    (WasmFeatures::SATURATING_FLOAT_TO_INT, "--enable-nontrapping-float-to-int"),
    (WasmFeatures::SIMD, "--enable-simd"),
    (WasmFeatures::RELAXED_SIMD, "--enable-relaxed-simd"),
    (WasmFeatures::BULK_MEMORY, "--enable-bulk-memory"),
    (WasmFeatures::REFERENCE_TYPES, "--enable-reference-types"),
    (WasmFeatures::MULTI_VALUE, "--enable-multivalue"),
    (WasmFeatures::THREADS, "--enable-threads"),
];

/// The options that make `wasm-opt` accept the proposals that a valid module uses: those without which it is not valid.
pub(crate) fn proposals_in_use(wasm: &[u8]) -> Vec<&'static str> {
    let valid = |features| Validator::new_with_features(features).validate_all(wasm).is_ok();
    let mut options: Vec<&'static str> = PROPOSALS
        .iter()
        .filter(|(feature, _)| !valid(features() - *feature))
        .map(|(_, option)| *option)
        .collect();
    if !valid(features() - WasmFeatures::EXTENDED_CONST) {
        options.push("--enable-extended-const");
    }
    options
}

/// Whether the bytes are a module that an engine would take.
pub(crate) fn validate(wasm: &[u8]) -> Result<(), Error> {
    if !wasm.starts_with(b"\0asm") {
        return Err(Error::new(
            ErrorKind::Invalid,
            "not a WebAssembly module: it does not begin with `\\0asm`",
        )
        .with_help(
            "give the `.wasm` file that the linker wrote, e.g. \
             target/wasm32-unknown-unknown/release/NAME.wasm",
        ));
    }
    if Parser::is_component(wasm) {
        return Err(Error::new(ErrorKind::Unsupported, "this is a component, not a core module")
            .with_help("lower the core module first, then make the component of it"));
    }
    Validator::new_with_features(features()).validate_all(wasm)?;
    Ok(())
}

impl<'a> Module<'a> {
    /// Validates and indexes a module.
    pub(crate) fn parse(wasm: &'a [u8]) -> Result<Module<'a>, Error> {
        validate(wasm)?;
        let mut module = Module {
            wasm,
            types: Vec::new(),
            function_imports: Vec::new(),
            other_imports: Vec::new(),
            functions: Vec::new(),
            bodies: Vec::new(),
            tables: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            exports: Vec::new(),
            declared: Vec::new(),
            function_names: BTreeMap::new(),
            global_names: BTreeMap::new(),
            customs: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            module.payload(payload?)?;
        }
        Ok(module)
    }

    fn payload(&mut self, payload: Payload<'a>) -> Result<(), Error> {
        match payload {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    self.types.push(ty?);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    self.import(import?);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section {
                    self.functions.push(ty?);
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    self.tables.push(table?.ty);
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(section) => {
                for global in section {
                    let global = global?;
                    let mut operators = global.init_expr.get_operators_reader();
                    let (mut initial, mut function) = (None, None);
                    match (operators.read()?, operators.read()?) {
                        (Operator::I32Const { value }, Operator::End) => initial = Some(value),
                        (Operator::RefFunc { function_index }, _) => function = Some(function_index),
                        _ => {}
                    }
                    self.globals.push(Global { ty: global.ty, imported: false, initial, function });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    self.exports.push(Export { name: export.name, kind: export.kind, index: export.index });
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    if matches!(element.kind, ElementKind::Declared) {
                        self.declare(element.items)?;
                    }
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            Payload::CustomSection(section) => {
                self.customs.push((section.name(), section.data()));
                if let KnownCustom::Name(names) = section.as_known() {
                    for subsection in names {
                        // A damaged name section costs names, not the run.
                        let Ok(subsection) = subsection else { break };
                        self.names(subsection);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, import: wasmparser::Import<'a>) {
        let (module, name) = (import.module, import.name);
        let kind = match import.ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.function_imports.push(FunctionImport { module, name, ty });
                return;
            }
            TypeRef::Table(ty) => {
                self.tables.push(ty);
                "table"
            }
            TypeRef::Memory(ty) => {
                self.memories.push(ty);
                "memory"
            }
            TypeRef::Global(ty) => {
                self.globals.push(Global { ty, imported: true, initial: None, function: None });
                "global"
            }
            TypeRef::Tag(_) => "tag",
        };
        self.other_imports.push(OtherImport { module, name, kind });
    }

    fn declare(&mut self, items: ElementItems<'a>) -> Result<(), Error> {
        match items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    self.declared.push(function?);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    let operator = expression?.get_operators_reader().read()?;
                    if let Operator::RefFunc { function_index } = operator {
                        self.declared.push(function_index);
                    }
                }
            }
        }
        Ok(())
    }

    fn names(&mut self, subsection: Name<'a>) {
        let (map, into) = match subsection {
            Name::Function(map) => (map, &mut self.function_names),
            Name::Global(map) => (map, &mut self.global_names),
            _ => return,
        };
        for naming in map.into_iter().map_while(Result::ok) {
            into.insert(naming.index, naming.name);
        }
    }

    /// The custom section of that name, if there is one.
    pub(crate) fn custom(&self, name: &str) -> Option<&'a [u8]> {
        self.customs.iter().find(|(section, _)| *section == name).map(|(_, data)| *data)
    }

    /// The type of a function, imported or defined.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        let function = function as usize;
        let ty = match self.function_imports.get(function) {
            Some(import) => import.ty,
            None => *self.functions.get(function - self.function_imports.len())?,
        };
        self.types.get(ty as usize)
    }

    /// What to call a function in a message: its name, else what it is exported as, else its number.
    pub(crate) fn function_label(&self, function: u32) -> String {
        if let Some(name) = self.function_names.get(&function) {
            return format!("`{name}`");
        }
        let exported =
            self.exports.iter().find(|export| export.kind == ExternalKind::Func && export.index == function);
        match exported {
            Some(export) => format!("`{}`", export.name),
            None => format!("number {function}"),
        }
    }
}
