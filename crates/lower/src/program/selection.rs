//! The options that say what may suspend, which lowering and `explain` have in common.

use clap::Args;
use wasmparser::{Parser, Payload, TypeRef};
use windlass_lower::{Abi, Options, matches_pattern};

use crate::program::explain::{edits, nearest};
use crate::program::failure::Failure;

/// A name so many edits away from another may be meant by it.
const NEAR: usize = 2;

/// What may suspend.
#[derive(Args)]
pub(crate) struct Selection {
    /// What the module and its host were written against: windlass or asyncify
    #[arg(long, value_name = "ABI", default_value_t = Abi::default())]
    pub(crate) abi: Abi,

    /// With `--abi asyncify`: an import that may suspend; `*` stands for any text [default: every import]
    #[arg(long, value_name = "MODULE.NAME")]
    suspending_import: Vec<String>,

    /// A function that may suspend although no way is seen: its name, a pattern with `*`, or #INDEX
    #[arg(long, value_name = "PATTERN")]
    pub(crate) allow: Vec<String>,

    /// A function that is never on the stack of a suspension; it traps if it is
    #[arg(long, value_name = "PATTERN")]
    pub(crate) deny: Vec<String>,

    /// No call through a table suspends; it traps if one does
    #[arg(long)]
    pub(crate) ignore_indirect: bool,
}

impl Selection {
    /// Checks the options against each other.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let imports = &self.suspending_import;
        if self.abi == Abi::Windlass && !imports.is_empty() {
            return Err(Failure::new("`--suspending-import` does not go with `--abi windlass`").with_help(
                "imports of the host never suspend there: leave the option out, or add `--abi asyncify` \
                 if the module was written for Binaryen's asyncify",
            ));
        }
        if let Some(import) = imports.iter().find(|import| !import.contains(['.', '*'])) {
            return Err(Failure::new(format!("`--suspending-import {import}` names no module")).with_help(
                format!("say MODULE.NAME, for C mostly `env.{import}`; `*` stands for any text"),
            ));
        }
        let patterns = self.allow.iter().map(|pattern| ("--allow", pattern));
        for (option, pattern) in patterns.chain(self.deny.iter().map(|pattern| ("--deny", pattern))) {
            if pattern.is_empty() {
                return Err(Failure::new(format!("the pattern of `{option}` is empty"))
                    .with_help("give the name of a function, a pattern with `*`, or `#` and its index"));
            }
        }
        Ok(())
    }

    /// What is said of each listed import that the module does not have.
    pub(crate) fn unmatched(&self, wasm: &[u8]) -> Vec<String> {
        let imports = imports(wasm);
        let is_there = |pattern: &&String| imports.iter().any(|import| matches_pattern(pattern, import));
        let missing = self.suspending_import.iter().filter(|pattern| !is_there(pattern));
        missing
            .map(|pattern| {
                let note = format!("the module imports nothing that `--suspending-import {pattern}` names");
                let near = imports.iter().map(String::as_str).filter(|import| edits(import, pattern) <= NEAR);
                match nearest(near, pattern).join(" or ") {
                    names if names.is_empty() => note,
                    names => format!("{note}; did you mean {names}?"),
                }
            })
            .collect()
    }

    /// Takes the options over.
    pub(crate) fn apply(&self, options: &mut Options) {
        options.abi = self.abi;
        options.suspending_imports.clone_from(&self.suspending_import);
        options.allow.clone_from(&self.allow);
        options.deny.clone_from(&self.deny);
        options.ignore_indirect = self.ignore_indirect;
    }
}

/// The functions that a valid module imports, as `MODULE.NAME`.
fn imports(wasm: &[u8]) -> Vec<String> {
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        let Payload::ImportSection(section) = payload else { continue };
        for import in section.into_imports().map_while(Result::ok) {
            if let TypeRef::Func(_) | TypeRef::FuncExact(_) = import.ty {
                imports.push(format!("{}.{}", import.module, import.name));
            }
        }
    }
    imports
}
