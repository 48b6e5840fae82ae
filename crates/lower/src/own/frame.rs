//! Frames: what a suspended call leaves in memory, and the functions that write and read it.
//!
//! ```text
//!   0      4      8
//!   │ fn   │ site │ i32 ... │ i64 ... │ f32 ... │ f64 ... │ v128 ... │ references │
//! ```
//!
//! `fn` is a place in the resume table, `site` the number of the call to go on after, from 1. The values follow,
//! sorted by type, so that functions with the same numbers of values of each type share two helpers:
//!
//! * `spill(site, values.., fn)` appends the frame at `wp` if it fits below `room`, else it calls `grow` first;
//! * `restore(frame) -> values.., site` reads it and moves `cur` behind it.
//!
//! So a function pays two bytes a value, not seven. References cannot be in memory: they lie in a table of the tool's
//! own, in the frame is the place, and reading clears it. A null needs no place: it is 0.
//!
//! *Written Once*: `room` is compared before anything is stored. A frame that does not fit is never begun.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use wasm_encoder::{BlockType, HeapType, InstructionSink, MemArg, ValType as Encoded};
use wasmparser::ValType;

use crate::own::added::Added;
use crate::own::encode::{encoded, finish_function};
use crate::own::guard::Guards;
use crate::own::thrown::Thrown;

/// `fn` and `site`.
pub(crate) const HEADER: u32 = 8;

/// With more values than that the helpers would have more parameters than engines like.
const MOST_VALUES: usize = 200;

/// The order of types in a frame.
pub(crate) fn rank(ty: ValType) -> u32 {
    match ty {
        ValType::I32 => 0,
        ValType::I64 => 1,
        ValType::F32 => 2,
        ValType::F64 => 3,
        ValType::V128 => 4,
        ValType::Ref(ty) if ty.is_func_ref() => 5,
        ValType::Ref(ty) if ty.is_extern_ref() => 6,
        ValType::Ref(_) => 7,
    }
}

/// Bytes of a value in a frame.
pub(crate) fn size(ty: ValType) -> u32 {
    match ty {
        ValType::I32 | ValType::F32 | ValType::Ref(_) => 4,
        ValType::I64 | ValType::F64 => 8,
        ValType::V128 => 16,
    }
}

/// Bytes of a frame with such values.
pub(crate) fn frame_size(types: &[ValType]) -> u32 {
    HEADER + types.iter().map(|ty| size(*ty)).sum::<u32>()
}

/// Where frames lie, and how far: the globals that every ABI has.
#[derive(Clone, Copy)]
pub(crate) struct Store {
    /// The memory.
    pub(crate) memory: u32,
    /// Not 0 while calls return because of a suspension.
    pub(crate) unwinding: u32,
    /// Where the next frame is written.
    pub(crate) wp: u32,
    /// Where it has to end at the latest.
    pub(crate) room: u32,
    /// The next frame to resume.
    pub(crate) cur: u32,
    /// The frame that a function with one body begins with; 0: it is called.
    pub(crate) entry: u32,
    /// `grow(bytes)`: makes `wp` and `room` such that a frame of that size fits, or does not return.
    pub(crate) grow: u32,
    /// Called where a suspension is caught as a mistake.
    pub(crate) mistake: u32,
    /// Called where a table for references cannot grow.
    pub(crate) full: u32,
}

/// The functions for references of one type.
struct References {
    /// `keep(reference) -> place`
    keep: u32,
    /// `take(place) -> reference`
    take: u32,
}

/// The helpers that were needed so far.
pub(crate) struct Frames {
    pub(crate) store: Store,
    /// What exceptions out of resumed functions need, if one may be caught.
    pub(crate) thrown: Option<Thrown>,
    pub(crate) guards: Guards,
    spills: HashMap<Vec<ValType>, u32>,
    /// Also by whether they throw the exception that is on its way.
    restores: HashMap<(Vec<ValType>, bool), u32>,
    references: HashMap<u32, References>,
    /// Types of the tables for references.
    pub(crate) reference_tables: Vec<wasmparser::RefType>,
    first_reference_table: u32,
    /// Globals that carry results of a type to whoever called: for each type, by occurrence.
    results: HashMap<(u32, u32), u32>,
}

impl Frames {
    /// `first_table` is the index of the first table for references.
    pub(crate) fn new(store: Store, thrown: Option<Thrown>, first_table: u32) -> Frames {
        Frames {
            store,
            thrown,
            guards: Guards::default(),
            spills: HashMap::new(),
            restores: HashMap::new(),
            references: HashMap::new(),
            reference_tables: Vec::new(),
            first_reference_table: first_table,
            results: HashMap::new(),
        }
    }

    /// Whether helpers move such values, rather than code in place.
    pub(crate) fn has_helpers(types: &[ValType]) -> bool {
        types.len() <= MOST_VALUES
    }

    /// The globals that carry results of these types.
    pub(crate) fn results(&mut self, added: &mut Added, types: &[ValType]) -> Vec<u32> {
        let mut seen: HashMap<u32, u32> = HashMap::new();
        types
            .iter()
            .map(|ty| {
                let occurrence = seen.entry(rank(*ty)).or_default();
                *occurrence += 1;
                self.result(added, *ty, *occurrence - 1)
            })
            .collect()
    }

    /// The global that carries the result of a type and occurrence, which has been asked for before or not.
    pub(crate) fn result(&mut self, added: &mut Added, ty: ValType, occurrence: u32) -> u32 {
        *self
            .results
            .entry((rank(ty), occurrence))
            .or_insert_with(|| added.global(ty, format!("windlass.result.{ty}.{occurrence}")))
    }

    /// `spill(site, values.., fn)`
    pub(crate) fn spill(&mut self, added: &mut Added, types: &[ValType]) -> u32 {
        if let Some(function) = self.spills.get(types) {
            return *function;
        }
        let params: Vec<ValType> =
            [ValType::I32].into_iter().chain(types.iter().copied()).chain([ValType::I32]).collect();
        let function = added.reserve(&params, &[], format!("windlass.spill.{}", signature(types)));
        self.spills.insert(types.to_vec(), function);
        let references: Vec<Option<u32>> =
            types.iter().map(|ty| self.references(added, *ty).map(|references| references.keep)).collect();

        let store = self.store;
        let (site, id, base) = (0, 1 + types.len() as u32, 2 + types.len() as u32);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        self.reserve(&mut sink, frame_size(types));
        sink.global_get(store.wp).local_tee(base).local_get(id).i32_store(self.at(0));
        sink.local_get(base).local_get(site).i32_store(self.at(4));
        let mut offset = HEADER;
        for ((ty, local), keep) in types.iter().zip(1..).zip(references) {
            sink.local_get(base).local_get(local);
            if let Some(keep) = keep {
                sink.call(keep);
            }
            self.store_value(&mut sink, *ty, offset);
            offset += size(*ty);
        }
        sink.local_get(base).i32_const(offset as i32).i32_add().global_set(store.wp);
        sink.end();
        added.define(function, finish_function(&[Encoded::I32], code));
        function
    }

    /// Code that makes sure that a frame of a size fits.
    pub(crate) fn reserve(&self, sink: &mut InstructionSink<'_>, size: u32) {
        let store = self.store;
        // Signed: `room` may lie below `wp` when the last frame used the space that `grow` keeps back.
        sink.global_get(store.room).global_get(store.wp).i32_sub();
        sink.i32_const(size as i32).i32_lt_s().if_(BlockType::Empty);
        sink.i32_const(size as i32).call(store.grow).end();
    }

    /// `restore(frame) -> values.., site`, for a function that catches exceptions out of its sites, or not.
    pub(crate) fn restore(&mut self, added: &mut Added, types: &[ValType], catches: bool) -> u32 {
        let thrown = self.thrown.filter(|_| !catches);
        let key = (types.to_vec(), thrown.is_some());
        if let Some(function) = self.restores.get(&key) {
            return *function;
        }
        let name = format!("windlass.restore.{}", signature(types));
        let name = if thrown.is_some() { name + ".raise" } else { name };
        let results: Vec<ValType> = types.iter().copied().chain([ValType::I32]).collect();
        let function = added.reserve(&[ValType::I32], &results, name);
        self.restores.insert(key, function);
        let mut code = Vec::new();
        let store = self.store;
        let mut offset = HEADER;
        for ty in types {
            let take = self.references(added, *ty).map(|references| references.take);
            let mut sink = InstructionSink::new(&mut code);
            sink.local_get(0);
            self.load_value(&mut sink, *ty, offset);
            if let Some(take) = take {
                sink.call(take);
            }
            offset += size(*ty);
        }
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(0).i32_load(self.at(4));
        sink.local_get(0).i32_const(offset as i32).i32_add().global_set(store.cur);
        if let Some(thrown) = thrown {
            thrown.raise(&mut sink);
        }
        sink.end();
        added.define(function, finish_function(&[], code));
        function
    }

    /// Code that does what `spill` does, for more values than a function should take. The site's number is on the
    /// stack; the last two are locals that are free.
    pub(crate) fn spill_in_place(
        &mut self,
        added: &mut Added,
        sink: &mut InstructionSink<'_>,
        values: &[(u32, ValType)],
        id: u32,
        (site, base): (u32, u32),
    ) {
        let types: Vec<ValType> = values.iter().map(|(_, ty)| *ty).collect();
        let store = self.store;
        let whole = frame_size(&types);
        sink.local_set(site);
        self.reserve(sink, whole);
        sink.global_get(store.wp).local_tee(base).i32_const(id as i32).i32_store(self.at(0));
        sink.local_get(base).local_get(site).i32_store(self.at(4));
        let mut offset = HEADER;
        for (local, ty) in values {
            sink.local_get(base).local_get(*local);
            if let Some((keep, _)) = self.reference_helpers(added, *ty) {
                sink.call(keep);
            }
            self.store_value(sink, *ty, offset);
            offset += size(*ty);
        }
        sink.local_get(base).i32_const(whole as i32).i32_add().global_set(store.wp);
    }

    /// Code that does what `restore` does, but for the site's number.
    pub(crate) fn restore_in_place(
        &mut self,
        added: &mut Added,
        sink: &mut InstructionSink<'_>,
        values: &[(u32, ValType)],
        frame: u32,
        catches: bool,
    ) {
        let mut offset = HEADER;
        for (local, ty) in values {
            sink.local_get(frame);
            self.load_value(sink, *ty, offset);
            if let Some((_, take)) = self.reference_helpers(added, *ty) {
                sink.call(take);
            }
            sink.local_set(*local);
            offset += size(*ty);
        }
        sink.local_get(frame).i32_const(offset as i32).i32_add().global_set(self.store.cur);
        if let Some(thrown) = self.thrown.filter(|_| !catches) {
            thrown.raise(sink);
        }
    }

    /// A word of a frame.
    pub(crate) fn at(&self, offset: u32) -> MemArg {
        MemArg { offset: offset.into(), align: 2, memory_index: self.store.memory }
    }

    /// Stores the value above its frame's address.
    pub(crate) fn store_value(&self, sink: &mut InstructionSink<'_>, ty: ValType, offset: u32) {
        let at = self.at(offset);
        match ty {
            ValType::I32 | ValType::Ref(_) => sink.i32_store(at),
            ValType::I64 => sink.i64_store(at),
            ValType::F32 => sink.f32_store(at),
            ValType::F64 => sink.f64_store(at),
            ValType::V128 => sink.v128_store(at),
        };
    }

    /// Loads a value from its frame's address.
    pub(crate) fn load_value(&self, sink: &mut InstructionSink<'_>, ty: ValType, offset: u32) {
        let at = self.at(offset);
        match ty {
            ValType::I32 | ValType::Ref(_) => sink.i32_load(at),
            ValType::I64 => sink.i64_load(at),
            ValType::F32 => sink.f32_load(at),
            ValType::F64 => sink.f64_load(at),
            ValType::V128 => sink.v128_load(at),
        };
    }

    /// `keep` and `take` for references of a type; None for numbers.
    pub(crate) fn reference_helpers(&mut self, added: &mut Added, ty: ValType) -> Option<(u32, u32)> {
        self.references(added, ty).map(|references| (references.keep, references.take))
    }

    fn references(&mut self, added: &mut Added, ty: ValType) -> Option<&References> {
        let ValType::Ref(reference) = ty else { return None };
        if !self.references.contains_key(&rank(ty)) {
            let table = self.first_reference_table + self.reference_tables.len() as u32;
            self.reference_tables.push(reference);
            let new = references(added, table, ty, reference, self.store.full);
            self.references.insert(rank(ty), new);
        }
        self.references.get(&rank(ty))
    }
}

/// Such as `i32x3.f64x1`.
fn signature(types: &[ValType]) -> String {
    let mut parts: Vec<(ValType, usize)> = Vec::new();
    for ty in types {
        match parts.last_mut() {
            Some((last, count)) if last == ty => *count += 1,
            _ => parts.push((*ty, 1)),
        }
    }
    let parts: Vec<String> = parts.iter().map(|(ty, count)| format!("{ty}x{count}")).collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(".") }
}

/// The heap type of a nullable reference, which is all that there is without typed function references.
pub(crate) fn heap_type(reference: wasmparser::RefType) -> HeapType {
    match encoded(ValType::Ref(reference)) {
        Encoded::Ref(reference) => reference.heap_type,
        _ => HeapType::FUNC,
    }
}

/// Writes `keep` and `take`.
///
/// *Below the Hint*: every place below `hint` is taken, so the search for a free one begins there. Place 0 is never
/// used: it stands for null.
fn references(
    added: &mut Added,
    table: u32,
    ty: ValType,
    reference: wasmparser::RefType,
    full: u32,
) -> References {
    let heap = heap_type(reference);
    let hint = added.global(ValType::I32, format!("windlass.hint.{ty}"));
    let keep = added.reserve(&[ty], &[ValType::I32], format!("windlass.keep.{ty}"));
    let take = added.reserve(&[ValType::I32], &[ty], format!("windlass.take.{ty}"));

    let (value, place) = (0, 1);
    let mut code = Vec::new();
    let mut sink = InstructionSink::new(&mut code);
    sink.local_get(value).ref_is_null().if_(BlockType::Empty).i32_const(0).return_().end();
    sink.global_get(hint).i32_const(1).global_get(hint).select().local_set(place);
    sink.block(BlockType::Empty).loop_(BlockType::Empty);
    sink.local_get(place).table_size(table).i32_ge_u().if_(BlockType::Empty);
    // Half as large again, and never a place that does not exist.
    sink.ref_null(heap).table_size(table).i32_const(1).i32_shr_u().i32_const(16).i32_add();
    sink.table_grow(table).i32_const(-1).i32_eq().if_(BlockType::Empty).call(full).end();
    sink.end();
    sink.local_get(place).table_get(table).ref_is_null().br_if(1);
    sink.local_get(place).i32_const(1).i32_add().local_set(place).br(0);
    sink.end().end();
    sink.local_get(place).local_get(value).table_set(table);
    sink.local_get(place).i32_const(1).i32_add().global_set(hint);
    sink.local_get(place).end();
    added.define(keep, finish_function(&[Encoded::I32], code));

    let (place, value) = (0, 1);
    let mut code = Vec::new();
    let mut sink = InstructionSink::new(&mut code);
    sink.local_get(place).i32_eqz().if_(BlockType::Empty).ref_null(heap).return_().end();
    sink.local_get(place).table_get(table).local_set(value);
    sink.local_get(place).ref_null(heap).table_set(table);
    sink.local_get(place).global_get(hint).i32_lt_u().if_(BlockType::Empty);
    sink.local_get(place).global_set(hint).end();
    sink.local_get(value).end();
    added.define(take, finish_function(&[encoded(ty)], code));
    References { keep, take }
}
