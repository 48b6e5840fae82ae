//! The name section, at the indices that functions and globals have after the lowering.

use wasm_encoder::reencode::{self, utils};
use wasm_encoder::{IndirectNameMap, NameMap, NameSection};

use crate::error::Error;
use crate::runtime::Globals;

type Result<T> = std::result::Result<T, reencode::Error<Error>>;

/// What the new section says besides what the old one said.
pub(crate) struct Names<'a> {
    /// The new index of each function of the guest; None for those that are gone.
    pub(crate) moved: &'a [Option<u32>],
    /// The functions that were added, in order.
    pub(crate) added: Vec<(u32, String)>,
    /// The first of the tool's globals.
    pub(crate) first_global: u32,
}

impl Names<'_> {
    /// Writes the section again.
    pub(crate) fn section(&self, section: wasmparser::NameSectionReader<'_>) -> Result<NameSection> {
        let mut names = NameSection::new();
        for subsection in section {
            match subsection? {
                wasmparser::Name::Module { name, .. } => names.module(name),
                wasmparser::Name::Function(map) => names.functions(&self.functions(map)?),
                wasmparser::Name::Local(map) => names.locals(&self.locals(map)?),
                wasmparser::Name::Global(map) => names.globals(&self.globals(map)?),
                // Labels would have to follow the added checks; the others are for readers of text only.
                _ => {}
            }
        }
        Ok(names)
    }

    fn functions(&self, map: wasmparser::NameMap<'_>) -> Result<NameMap> {
        let mut names = self.added.clone();
        for naming in map {
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

    fn globals(&self, map: wasmparser::NameMap<'_>) -> Result<NameMap> {
        let mut names = utils::name_map(map, Ok)?;
        for (index, name) in (self.first_global..).zip(Globals::NAMES) {
            names.append(index, name);
        }
        Ok(names)
    }
}
