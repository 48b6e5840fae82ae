//! Traps where a suspension comes out of a call that never suspends, as the user says.
//!
//! Such a call is followed by a test. One in tail position has no code behind it; it calls a function that makes the
//! call and the test in its place, so that it leaves the frame, and the handlers around it, all the same. So does one in
//! a function that starts to unwind by itself: who is called then returns into a suspension that is not its own.

use std::collections::BTreeMap;

use wasm_encoder::{BlockType, InstructionSink, ValType as Encoded};
use wasmparser::ValType;

use crate::error::Error;
use crate::module::Module;
use crate::own::added::Added;
use crate::own::encode::finish_function;
use crate::own::frame::Store;

/// Traps if a call came back because of a suspension.
pub(crate) fn write(code: &mut Vec<u8>, store: &Store) {
    let mut sink = InstructionSink::new(code);
    sink.global_get(store.unwinding).if_(BlockType::Empty).call(store.mistake).end();
}

/// The functions that stand between a call and who is called.
#[derive(Default)]
pub(crate) struct Guards {
    direct: BTreeMap<u32, u32>,
    /// By type and table.
    indirect: BTreeMap<(u32, u32), u32>,
}

impl Guards {
    /// The function that calls another one, which was `function` and is `callee` now.
    pub(crate) fn direct(
        &mut self,
        module: &Module<'_>,
        function: u32,
        callee: u32,
        store: &Store,
        added: &mut Added,
    ) -> Result<u32, Error> {
        if let Some(guard) = self.direct.get(&function) {
            return Ok(*guard);
        }
        let ty =
            module.function_type(function).ok_or_else(|| super::internal("a function without a type"))?;
        let name = format!("windlass.guard.{}", module.function_name(function));
        let guard = define(ty.params(), ty.results(), name, store, added, |sink| {
            sink.call(callee);
        });
        self.direct.insert(function, guard);
        Ok(guard)
    }

    /// The function that calls through a table. The place in the table is its last argument.
    pub(crate) fn indirect(
        &mut self,
        module: &Module<'_>,
        ty: u32,
        table: u32,
        store: &Store,
        added: &mut Added,
    ) -> Result<u32, Error> {
        if let Some(guard) = self.indirect.get(&(ty, table)) {
            return Ok(*guard);
        }
        let signature = module.types.get(ty as usize).ok_or_else(|| super::internal("an unknown type"))?;
        let params: Vec<ValType> =
            signature.params().iter().copied().chain([module.table_index_type(table)]).collect();
        super::check_params(&params)?;
        let name = format!("windlass.guard.table.{table}.{ty}");
        let guard = define(&params, signature.results(), name, store, added, |sink| {
            sink.call_indirect(table, ty);
        });
        self.indirect.insert((ty, table), guard);
        Ok(guard)
    }
}

fn define(
    params: &[ValType],
    results: &[ValType],
    name: String,
    store: &Store,
    added: &mut Added,
    call: impl FnOnce(&mut InstructionSink<'_>),
) -> u32 {
    let guard = added.reserve(params, results, name);
    let mut code = Vec::new();
    let mut sink = InstructionSink::new(&mut code);
    for param in 0..params.len() as u32 {
        sink.local_get(param);
    }
    let before = params.len() as u32;
    sink.global_get(store.unwinding).local_set(before);
    call(&mut sink);
    sink.global_get(store.unwinding).local_get(before).i32_gt_u();
    sink.if_(BlockType::Empty).call(store.mistake).end();
    sink.end();
    added.define(guard, finish_function(&[Encoded::I32], code));
    guard
}
