//! The guest as the tool sees it: validated, with the index spaces that the other stages ask about.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use wasmparser::{
    ElementItems, ElementKind, ExternalKind, FuncType, FunctionBody, GlobalType, KnownCustom, MemoryType,
    Name, Operator, Parser, Payload, TableType, TypeRef, ValType, Validator, WasmFeatures,
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
    /// Types of tags, imported ones first.
    pub(crate) tags: Vec<u32>,
    pub(crate) imported_tags: usize,
    pub(crate) exports: Vec<Export<'a>>,
    /// What functions are exported as, for each the first.
    exported_names: HashMap<u32, &'a str>,
    /// Functions that an element segment declares so that code may take their references.
    pub(crate) declared: Vec<u32>,
    /// Functions whose references are taken outside of code: in element segments and by globals.
    pub(crate) referenced: Vec<u32>,
    /// The start function.
    pub(crate) start: Option<u32>,
    /// Whether a table is imported.
    pub(crate) imports_table: bool,
    pub(crate) function_names: BTreeMap<u32, &'a str>,
    pub(crate) global_names: BTreeMap<u32, &'a str>,
    pub(crate) customs: Vec<(&'a str, &'a [u8])>,
}

/// What the tool can read. Garbage collection and typed function references are left out: neither rustc nor
/// clang emits them, and the index spaces below would have to know about them.
pub(crate) fn features() -> WasmFeatures {
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

/// Whether the bytes begin like a module.
fn check_header(wasm: &[u8]) -> Result<(), Error> {
    if !wasm.starts_with(b"\0asm") {
        let is_text = wasm.trim_ascii_start().starts_with(b"(");
        return Err(Error::new(
            ErrorKind::Invalid,
            "not a WebAssembly module: it does not begin with `\\0asm`",
        )
        .with_help(match is_text {
            true => {
                "it looks like the text format: assemble it first, e.g. by `wasm-tools parse` or `wat2wasm`"
            }
            false => {
                "give the `.wasm` file that the linker wrote, e.g. \
                 target/wasm32-unknown-unknown/release/NAME.wasm"
            }
        }));
    }
    if Parser::is_component(wasm) {
        return Err(Error::new(ErrorKind::Unsupported, "this is a component, not a core module")
            .with_help("lower the core module first, then make the component of it"));
    }
    Ok(())
}

/// Whether the bytes are a module that an engine would take.
pub(crate) fn validate(wasm: &[u8]) -> Result<(), Error> {
    check_header(wasm)?;
    Validator::new_with_features(features()).validate_all(wasm)?;
    Ok(())
}

impl<'a> Module<'a> {
    /// Validates and indexes a module.
    pub(crate) fn parse(wasm: &'a [u8]) -> Result<Module<'a>, Error> {
        validate(wasm)?;
        Module::index(wasm)
    }

    /// Indexes a module that is known to be valid.
    pub(crate) fn index(wasm: &'a [u8]) -> Result<Module<'a>, Error> {
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
            tags: Vec::new(),
            imported_tags: 0,
            exports: Vec::new(),
            exported_names: HashMap::new(),
            declared: Vec::new(),
            referenced: Vec::new(),
            start: None,
            imports_table: false,
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
            Payload::TagSection(section) => {
                for tag in section {
                    self.tags.push(tag?.func_type_idx);
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
                    self.referenced.extend(function);
                    self.globals.push(Global { ty: global.ty, imported: false, initial, function });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    if export.kind == ExternalKind::Func {
                        self.exported_names.entry(export.index).or_insert(export.name);
                    }
                    self.exports.push(Export { name: export.name, kind: export.kind, index: export.index });
                }
            }
            Payload::ElementSection(section) => {
                for element in section {
                    let element = element?;
                    let functions = functions(element.items)?;
                    if matches!(element.kind, ElementKind::Declared) {
                        self.declared.extend(&functions);
                    }
                    self.referenced.extend(functions);
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
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
                self.imports_table = true;
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
            TypeRef::Tag(ty) => {
                self.tags.push(ty.func_type_idx);
                self.imported_tags += 1;
                "tag"
            }
        };
        self.other_imports.push(OtherImport { module, name, kind });
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

    /// The index of the type of a function, imported or defined.
    pub(crate) fn function_type_index(&self, function: u32) -> Option<u32> {
        let function = function as usize;
        match self.function_imports.get(function) {
            Some(import) => Some(import.ty),
            None => self.functions.get(function - self.function_imports.len()).copied(),
        }
    }

    /// The type of a function, imported or defined.
    pub(crate) fn function_type(&self, function: u32) -> Option<&FuncType> {
        self.types.get(self.function_type_index(function)? as usize)
    }

    /// The type of a place in a table.
    pub(crate) fn table_index_type(&self, table: u32) -> ValType {
        match self.tables.get(table as usize) {
            Some(table) if table.table64 => ValType::I64,
            _ => ValType::I32,
        }
    }

    /// Whether the host can put functions into a table, or take them out: it holds the table, or references to
    /// functions pass between it and the module.
    pub(crate) fn tables_are_shared(&self) -> bool {
        let refers = |types: &[ValType]| {
            types.iter().any(|ty| matches!(ty, ValType::Ref(reference) if reference.is_func_ref()))
        };
        let passed = |ty: Option<&FuncType>| ty.is_some_and(|ty| refers(ty.params()) || refers(ty.results()));
        let by_global =
            |index: usize| self.globals.get(index).is_some_and(|global| refers(&[global.ty.content_type]));
        let by_tag = |index: usize| passed(self.tags.get(index).and_then(|ty| self.types.get(*ty as usize)));
        let exported = |export: &Export<'_>| match export.kind {
            ExternalKind::Table => true,
            ExternalKind::Func | ExternalKind::FuncExact => passed(self.function_type(export.index)),
            ExternalKind::Global => by_global(export.index as usize),
            ExternalKind::Tag => by_tag(export.index as usize),
            ExternalKind::Memory => false,
        };
        let imported_globals = self.globals.iter().take_while(|global| global.imported).count();
        self.imports_table
            || self.exports.iter().any(exported)
            || (0..self.function_imports.len() as u32).any(|function| passed(self.function_type(function)))
            || (0..imported_globals).any(by_global)
            || (0..self.imported_tags).any(by_tag)
    }

    /// The functions that are exported.
    pub(crate) fn exported_functions(&self) -> impl Iterator<Item = u32> {
        let functions = self.exports.iter().filter(|export| export.kind == ExternalKind::Func);
        functions.map(|export| export.index)
    }

    /// What a function is called: its name, else what it is exported or imported as, else `#` and its index.
    pub(crate) fn function_name(&self, function: u32) -> String {
        if let Some(name) = self.function_names.get(&function) {
            return (*name).to_owned();
        }
        if let Some(name) = self.exported_names.get(&function) {
            return (*name).to_owned();
        }
        match self.function_imports.get(function as usize) {
            Some(import) => format!("{}.{}", import.module, import.name),
            None => format!("#{function}"),
        }
    }

    /// What a function is called where an import should be told by what it is imported as.
    pub(crate) fn qualified_name(&self, function: u32) -> String {
        match self.function_imports.get(function as usize) {
            Some(import) => format!("{}.{}", import.module, import.name),
            None => self.function_name(function),
        }
    }

    /// The functions that the patterns of an option name; each has to name one at least.
    pub(crate) fn matching(&self, option: &str, patterns: &[String]) -> Result<Vec<u32>, Error> {
        let count = (self.function_imports.len() + self.functions.len()) as u32;
        let mut found = Vec::new();
        for pattern in patterns {
            let before = found.len();
            match pattern.strip_prefix('#').map(str::parse) {
                Some(Ok(index)) if index < count => found.push(index),
                Some(_) => {}
                None => {
                    let exports = self.exports.iter().filter(|export| {
                        matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact)
                            && matches_pattern(pattern, export.name)
                    });
                    let exported: BTreeSet<u32> = exports.map(|export| export.index).collect();
                    let named = |function: &u32| {
                        exported.contains(function)
                            || matches_pattern(pattern, &self.function_name(*function))
                    };
                    found.extend((0..count).filter(named));
                }
            }
            if found.len() == before {
                return Err(names_no_function(option, pattern));
            }
        }
        Ok(found)
    }

    /// What to call a function in a message: its name, else what it is exported as, else its number.
    pub(crate) fn function_label(&self, function: u32) -> String {
        if let Some(name) = self.function_names.get(&function) {
            return format!("`{name}`");
        }
        match self.exported_names.get(&function) {
            Some(name) => format!("`{name}`"),
            None => format!("number {function}"),
        }
    }
}

/// A pattern that nothing matches.
pub(crate) fn names_no_function(option: &str, pattern: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{option} `{pattern}` names no function")).with_help(
        "names are those of the name section, which the linker writes with `-g`, and of exports; \
             `*` stands for any text, `#7` for function 7",
    )
}

/// Whether a name is what a pattern says, where `*` stands for any text.
pub fn matches_pattern(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// The functions that an element segment refers to.
fn functions(items: ElementItems<'_>) -> Result<Vec<u32>, Error> {
    let mut found = Vec::new();
    match items {
        ElementItems::Functions(functions) => {
            for function in functions {
                found.push(function?);
            }
        }
        ElementItems::Expressions(_, expressions) => {
            for expression in expressions {
                if let Operator::RefFunc { function_index } = expression?.get_operators_reader().read()? {
                    found.push(function_index);
                }
            }
        }
    }
    Ok(found)
}
