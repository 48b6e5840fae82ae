//! The functions of a module, by the names that options and reports call them.

use std::collections::{BTreeMap, HashMap};

use wasmparser::{ExternalKind, FuncType, KnownCustom, Name, Parser, Payload, TypeRef, ValType};
use windlass_lower::matches_pattern;

/// The functions, imported ones first.
#[derive(Default)]
pub(crate) struct Functions {
    functions: Vec<Function>,
}

#[derive(Default)]
struct Function {
    name: String,
    /// E.g. `(i32) -> ()`.
    ty: Option<String>,
}

impl Functions {
    /// Reads a module that is known to be valid; of any other, what comes before the fault.
    pub(crate) fn read(wasm: &[u8]) -> Functions {
        let mut functions = Vec::new();
        let mut types: Vec<String> = Vec::new();
        // Imports are called what they are imported as.
        let mut imports = 0;
        let (mut exports, mut names) = (HashMap::new(), BTreeMap::new());
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            match payload {
                Payload::TypeSection(section) => {
                    let read = section.into_iter_err_on_gc_types().map_while(Result::ok);
                    types.extend(read.map(|ty| signature(&ty)));
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports().map_while(Result::ok) {
                        if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import.ty {
                            let name = format!("{}.{}", import.module, import.name);
                            functions.push(Function { name, ty: types.get(ty as usize).cloned() });
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    imports = functions.len();
                    for ty in section.into_iter().map_while(Result::ok) {
                        let name = format!("#{}", functions.len());
                        functions.push(Function { name, ty: types.get(ty as usize).cloned() });
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section.into_iter().map_while(Result::ok) {
                        if export.kind == ExternalKind::Func {
                            exports.entry(export.index).or_insert(export.name);
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Name(subsections) = section.as_known() {
                        for subsection in subsections.into_iter().map_while(Result::ok) {
                            if let Name::Function(map) = subsection {
                                let read = map.into_iter().map_while(Result::ok);
                                names.extend(read.map(|naming| (naming.index, naming.name)));
                            }
                        }
                    }
                }
                _ => {}
            }
        }
        for (index, function) in (0..).zip(&mut functions).skip(imports) {
            if let Some(name) = names.get(&index).or_else(|| exports.get(&index)) {
                function.name = (*name).to_owned();
            }
        }
        Functions { functions }
    }

    /// The type of the functions of that name; None if they are none, or of different types.
    pub(crate) fn signature(&self, name: &str) -> Option<&str> {
        let mut types =
            self.functions.iter().filter(|function| function.name == name).map(|function| &function.ty);
        let first = types.next()?;
        if types.all(|ty| ty == first) { first.as_deref() } else { None }
    }

    /// Whether a pattern means one at least.
    pub(crate) fn has(&self, pattern: &str) -> bool {
        match pattern.strip_prefix('#').and_then(|index| index.parse::<usize>().ok()) {
            Some(index) => index < self.functions.len(),
            None => self.functions.iter().any(|function| matches_pattern(pattern, &function.name)),
        }
    }
}

fn signature(ty: &FuncType) -> String {
    let list = |types: &[ValType]| types.iter().map(ValType::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(ty.params()), list(ty.results()))
}
