//! The name section, at the indices that functions and globals have after the lowering.

#[cfg(test)]
mod tests;

use wasm_encoder::reencode::{self, utils};
use wasm_encoder::{IndirectNameMap, NameMap, NameSection};

use crate::error::Error;

type Result<T> = std::result::Result<T, reencode::Error<Error>>;

/// What the new section says besides what the old one said.
pub(crate) struct Names<'a> {
    /// The new index of each function of the guest; None for those that are gone.
    pub(crate) moved: &'a [Option<u32>],
    /// The functions that were added, in order.
    pub(crate) added: Vec<(u32, String)>,
    /// The globals that were added, in order.
    pub(crate) globals: Vec<(u32, String)>,
}

impl Names<'_> {
    /// Writes the section again, or one with what was added alone.
    pub(crate) fn section(&self, section: Option<wasmparser::NameSectionReader<'_>>) -> Result<NameSection> {
        let mut names = NameSection::new();
        let (mut functions, mut globals) = (None, None);
        let (mut module, mut locals) = (None, None);
        for subsection in section.into_iter().flatten() {
            match subsection? {
                wasmparser::Name::Module { name, .. } => module = Some(name),
                wasmparser::Name::Function(map) => functions = Some(map),
                wasmparser::Name::Local(map) => locals = Some(map),
                wasmparser::Name::Global(map) => globals = Some(map),
                // Labels would have to follow the added checks; the others are for readers of text only.
                _ => {}
            }
        }
        if let Some(module) = module {
            names.module(module);
        }
        names.functions(&self.functions(functions)?);
        if let Some(locals) = locals {
            names.locals(&self.locals(locals)?);
        }
        if globals.is_some() || !self.globals.is_empty() {
            names.globals(&self.globals(globals)?);
        }
        Ok(names)
    }

    fn functions(&self, map: Option<wasmparser::NameMap<'_>>) -> Result<NameMap> {
        let mut names = self.added.clone();
        for naming in map.into_iter().flatten() {
            let naming = naming?;
            if let Some(Some(index)) = self.moved.get(naming.index as usize) {
                names.push((*index, naming.name.to_owned()));
            }
        }
        // The order is the format's; a damaged section may name one function twice.
        names.sort();
        names.dedup_by_key(|(index, _)| *index);
        let mut sorted = NameMap::new();
        for (index, name) in &names {
            sorted.append(*index, name);
        }
        Ok(sorted)
    }

    fn locals(&self, map: wasmparser::IndirectNameMap<'_>) -> Result<IndirectNameMap> {
        let mut functions = Vec::new();
        for naming in map {
            let naming = naming?;
            if let Some(Some(index)) = self.moved.get(naming.index as usize) {
                functions.push((*index, utils::name_map(naming.names, Ok)?));
            }
        }
        functions.sort_by_key(|(index, _)| *index);
        functions.dedup_by_key(|(index, _)| *index);
        let mut sorted = IndirectNameMap::new();
        for (index, names) in &functions {
            sorted.append(*index, names);
        }
        Ok(sorted)
    }

    fn globals(&self, map: Option<wasmparser::NameMap<'_>>) -> Result<NameMap> {
        let mut names = map.map_or_else(|| Ok(NameMap::new()), |map| utils::name_map(map, Ok))?;
        for (index, name) in &self.globals {
            names.append(*index, name);
        }
        Ok(names)
    }
}
