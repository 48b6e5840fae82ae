//! The arguments of the pass `--asyncify`, as options of the lowering.

use wasmparser::{ExternalKind, Parser, Payload};
use windlass_lower::Options;

use crate::program::failure::Failure;
use crate::program::functions::Functions;
use crate::program::wasm_opt::list;

/// As an import that may suspend: none does, for what module `asyncify` has is known.
const NO_IMPORT: &str = "asyncify.none";

/// What `--pass-arg=asyncify-...` said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    imports: Vec<String>,
    ignore_imports: bool,
    ignore_indirect: bool,
    add: Vec<String>,
    remove: Vec<String>,
    only: Vec<String>,
    /// The export of the memory that has the data structure.
    memory: Option<String>,
    pub(crate) verbose: bool,
    notes: Vec<&'static str>,
}

impl Settings {
    /// Reads those of a line.
    pub(crate) fn read(arguments: &[(String, String)]) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        for (key, value) in arguments.iter().filter(|(key, _)| key.starts_with("asyncify")) {
            settings.take(key, value)?;
        }
        let others = !settings.add.is_empty() || !settings.remove.is_empty();
        if !settings.only.is_empty() && others {
            return Err(Failure::new("`asyncify-onlylist` does not go with another list of functions")
                .with_help(
                    "leave out `asyncify-addlist` and `asyncify-removelist`, or name all functions in them",
                ));
        }
        Ok(settings)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Failure> {
        match key {
            "asyncify-imports" => self.imports = list::parse(key, value)?,
            "asyncify-ignore-imports" => self.ignore_imports = true,
            "asyncify-ignore-indirect" => self.ignore_indirect = true,
            "asyncify-addlist" => self.add = list::parse(key, value)?,
            "asyncify-removelist" | "asyncify-blacklist" => self.remove = list::parse(key, value)?,
            "asyncify-onlylist" | "asyncify-whitelist" => self.only = list::parse(key, value)?,
            // Callers of a function that may suspend may suspend: so it always is here.
            "asyncify-propagate-addlist" => {}
            "asyncify-verbose" => self.verbose = true,
            "asyncify-memory" => self.memory = Some(value.to_owned()),
            "asyncify-asserts" => {
                self.notes.push("asyncify-asserts has no effect: what it checks is always checked");
            }
            "asyncify-ignore-unwind-from-catch" => {
                self.notes.push("asyncify-ignore-unwind-from-catch has no effect: no suspension is ignored");
            }
            "asyncify-in-secondary-memory" | "asyncify-secondary-memory-size" => {
                return Err(Failure::new(format!(
                    "`{key}` is not supported: frames are kept in the first memory"
                ))
                .with_help("leave it out, and give asyncify_start_unwind a buffer in the first memory"));
            }
            "asyncify-import-globals" | "asyncify-export-globals" | "asyncify-relocatable" => {
                return Err(Failure::new(format!(
                    "`{key}` is not supported: modules that are linked at run time cannot suspend together"
                ))
                .with_help("link the program into one module"));
            }
            _ => {
                return Err(Failure::new(format!("`--pass-arg={key}` is unknown")).with_help(
                    "`wasm-opt --help` lists what is known; what it does may matter, so it is not ignored",
                ));
            }
        }
        Ok(())
    }

    /// Whether functions are listed that must keep their names until the lowering.
    pub(crate) fn lists_functions(&self) -> bool {
        !(self.add.is_empty() && self.only.is_empty())
    }

    /// What the user may want to know, a sentence each.
    pub(crate) fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().copied()
    }

    /// Sets the options for the module. As with Binaryen, a list may name functions that are not there; the warnings
    /// say which.
    pub(crate) fn apply(&self, wasm: &[u8], options: &mut Options) -> Result<Vec<String>, Failure> {
        if let Some(memory) = &self.memory
            && has_other_memory(wasm, memory)
        {
            return Err(Failure::new(format!(
                "`asyncify-memory@{memory}` is not supported: the data structure is in the first memory"
            ))
            .with_help("leave it out, and give asyncify_start_unwind a buffer in the first memory"));
        }
        options.suspending_imports.clone_from(&self.imports);
        if self.ignore_imports && self.imports.is_empty() {
            options.suspending_imports.push(NO_IMPORT.to_owned());
        }
        options.ignore_indirect = self.ignore_indirect;
        let functions = Functions::read(wasm);
        let mut warnings = Vec::new();
        for (list, names, into) in [
            ("addlist", &self.add, &mut options.allow),
            ("removelist", &self.remove, &mut options.deny),
            ("onlylist", &self.only, &mut options.only),
        ] {
            let (known, unknown): (Vec<&String>, Vec<&String>) =
                names.iter().partition(|name| functions.has(name));
            into.extend(known.into_iter().cloned());
            warnings
                .extend(unknown.iter().map(|name| format!("asyncify-{list} names no function by `{name}`")));
        }
        if !self.only.is_empty() && options.only.is_empty() {
            // An empty list would mean every function.
            options.deny.push("*".to_owned());
        }
        Ok(warnings)
    }
}

/// Whether the module has several memories and the export of that name is not the first.
fn has_other_memory(wasm: &[u8], name: &str) -> bool {
    Parser::new(0).parse_all(wasm).map_while(Result::ok).any(|payload| match payload {
        Payload::ExportSection(section) => section
            .into_iter()
            .map_while(Result::ok)
            .any(|export| export.kind == ExternalKind::Memory && export.name == name && export.index != 0),
        _ => false,
    })
}
