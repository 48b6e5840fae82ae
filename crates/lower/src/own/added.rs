//! What the transformation adds to a module: types, functions and globals, each behind those that were there, so that
//! no index of the guest's own changes.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use wasm_encoder::InstructionSink;
use wasmparser::{FuncType, ValType};

use crate::module::Module;
use crate::own::encode::zero;

/// A function that the tool adds.
pub(crate) struct AddedFunction {
    pub(crate) ty: u32,
    pub(crate) name: String,
    /// Whether a trap in it is explained by its name alone.
    pub(crate) explains: bool,
    /// Its body, local declarations included; empty until it is defined.
    pub(crate) code: Vec<u8>,
}

pub(crate) struct AddedGlobal {
    pub(crate) ty: ValType,
    pub(crate) name: String,
    /// For an i32; other types begin with zero or null.
    pub(crate) initial: i32,
}

/// Where resume functions are called through.
///
/// In a table of their own, so that nobody sees them. Not so in a windlass guest: wasm-bindgen takes no module with two
/// tables of functions, so there they lie behind the functions of the guest's table, if it is not imported and not so
/// long already that they might not fit. Whoever makes it grow later does so behind them.
#[derive(Clone, Copy)]
pub(crate) struct ResumeTable {
    pub(crate) table: u32,
    pub(crate) first: u32,
    /// Whether it is the module's own.
    pub(crate) is_shared: bool,
}

impl ResumeTable {
    fn of(module: &Module<'_>, shares: bool) -> ResumeTable {
        // Each function has one at most.
        let fits = |length: u64| length + module.functions.len() as u64 <= u32::MAX.into();
        match module.tables.first() {
            Some(table)
                if shares
                    && !module.imports_table
                    && !table.table64
                    && table.element_type.is_func_ref()
                    && fits(table.initial) =>
            {
                // A valid 32-bit table's length fits.
                ResumeTable { table: 0, first: table.initial as u32, is_shared: true }
            }
            _ => ResumeTable { table: module.tables.len() as u32, first: 0, is_shared: false },
        }
    }
}

pub(crate) struct Added {
    types: HashMap<FuncType, u32>,
    pub(crate) new_types: Vec<FuncType>,
    first_type: u32,
    /// The index that the first added function has.
    pub(crate) first_function: u32,
    pub(crate) functions: Vec<AddedFunction>,
    pub(crate) first_global: u32,
    pub(crate) globals: Vec<AddedGlobal>,
    /// The functions that resume frames.
    pub(crate) resume: Vec<u32>,
    pub(crate) resume_table: ResumeTable,
    /// What resume functions take: the frame, and what makes their type one that the module does not have.
    pub(crate) resume_params: Vec<ValType>,
    /// Memories of the tool's own, in 64 KiB pages.
    pub(crate) memories: Vec<u64>,
}

impl Added {
    /// Nothing yet, behind a module whose functions will be so many.
    pub(crate) fn new(module: &Module<'_>, functions: u32, shares_table: bool) -> Added {
        let mut types = HashMap::new();
        for (index, ty) in (0..).zip(&module.types) {
            types.entry(ty.clone()).or_insert(index);
        }
        let resume_table = ResumeTable::of(module, shares_table);
        Added {
            resume_params: if resume_table.is_shared { resume_params(&types) } else { vec![ValType::I32] },
            types,
            new_types: Vec::new(),
            first_type: module.types.len() as u32,
            first_function: functions,
            functions: Vec::new(),
            first_global: module.globals.len() as u32,
            globals: Vec::new(),
            resume: Vec::new(),
            resume_table,
            memories: Vec::new(),
        }
    }

    /// Pushes what resume functions take behind the frame.
    pub(crate) fn resume_arguments(&self, sink: &mut InstructionSink<'_>) {
        for ty in &self.resume_params[1..] {
            zero(sink, *ty);
        }
    }

    /// The index of a type, which is added if there is none.
    pub(crate) fn ty(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let ty = FuncType::new(params.iter().copied(), results.iter().copied());
        if let Some(index) = self.types.get(&ty) {
            return *index;
        }
        let index = self.first_type + self.new_types.len() as u32;
        self.types.insert(ty.clone(), index);
        self.new_types.push(ty);
        index
    }

    /// The index of a function that is defined later.
    pub(crate) fn reserve(
        &mut self,
        params: &[ValType],
        results: &[ValType],
        name: impl Into<String>,
    ) -> u32 {
        let ty = self.ty(params, results);
        self.functions.push(AddedFunction { ty, name: name.into(), explains: false, code: Vec::new() });
        self.first_function + self.functions.len() as u32 - 1
    }

    /// The index of a function that traps, and says why by its name.
    pub(crate) fn reserve_trap(&mut self, name: &str) -> u32 {
        let function = self.reserve(&[], &[], name);
        if let Some(added) = self.functions.last_mut() {
            added.explains = true;
        }
        function
    }

    pub(crate) fn define(&mut self, function: u32, code: Vec<u8>) {
        if let Some(added) = self.functions.get_mut((function - self.first_function) as usize) {
            added.code = code;
        }
    }

    /// The place that the next resume function will have in its table, by which frames name it.
    pub(crate) fn next_resume(&self) -> u32 {
        self.resume_table.first + self.resume.len() as u32
    }

    /// A new mutable global, initially zero or null.
    pub(crate) fn global(&mut self, ty: ValType, name: impl Into<String>) -> u32 {
        self.globals.push(AddedGlobal { ty, name: name.into(), initial: 0 });
        self.first_global + self.globals.len() as u32 - 1
    }

    /// A new mutable i32.
    pub(crate) fn word(&mut self, name: impl Into<String>, initial: i32) -> u32 {
        self.globals.push(AddedGlobal { ty: ValType::I32, name: name.into(), initial });
        self.first_global + self.globals.len() as u32 - 1
    }
}

/// The parameters of resume functions. In a table of the guest's they must not be what a wild index calls, so they get
/// more than they need until the guest has no such type.
fn resume_params(types: &HashMap<FuncType, u32>) -> Vec<ValType> {
    let mut params = vec![ValType::I32];
    while types.contains_key(&FuncType::new(params.iter().copied(), [])) {
        params.push(ValType::F32);
    }
    params
}
