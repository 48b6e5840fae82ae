//! What stands around calls: gates around imports, stubs for what is called again, wrappers around exports, and the loop
//! that resumes frames.

use wasm_encoder::{BlockType, InstructionSink, ValType as Encoded};
use wasmparser::ValType;

use super::{Shell, field, trap};
use crate::own::added::Added;
use crate::own::encode::{encoded, finish_function, take_result, zero};
use crate::own::frame::{self, Frames};
use crate::own::thrown::{self, Thrown};

impl Shell {
    /// Calls an import. A call of an export out of it may have ended in a trap that the host caught: what belongs to
    /// the call out here is put back. `catches`: exceptions out of imports may be caught in the module.
    pub(super) fn gate(&self, import: u32, params: u32, suspends: bool, catches: bool) -> Vec<u8> {
        let saved = self.saved();
        let kept: Vec<(u32, u32)> = (params..).zip(saved.iter().copied()).collect();
        let before = params + saved.len() as u32;
        let (waits, begun) = (before + 1, before + 2);
        let back = |sink: &mut InstructionSink<'_>| {
            if self.stable {
                self.check_buffer(sink, &kept, waits, begun);
            }
            for (local, global) in kept.iter().filter(|(_, global)| *global == self.depth) {
                sink.local_get(*local).global_get(*global).i32_ne();
            }
            sink.if_(BlockType::Empty);
            for (local, global) in &kept {
                sink.local_get(*local).global_set(*global);
            }
            sink.end();
            for (local, global) in kept.iter().filter(|(_, global)| *global == self.in_import) {
                sink.local_get(*local).global_set(*global);
            }
        };
        let returned = |sink: &mut InstructionSink<'_>| {
            back(sink);
            // The host may call what does not suspend while it suspends something.
            sink.global_get(self.store.unwinding).local_get(before).i32_gt_u().if_(BlockType::Empty);
            if suspends {
                sink.i32_const(1).global_set(self.confirmed);
            } else {
                sink.call(self.traps[trap::STRANGER]);
            }
            sink.end();
        };
        let call = |sink: &mut InstructionSink<'_>| {
            for param in 0..params {
                sink.local_get(param);
            }
            sink.call(import);
        };
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        for (local, global) in &kept {
            sink.global_get(*global).local_set(*local);
        }
        sink.global_get(self.store.unwinding).local_set(before);
        if self.stable {
            sink.global_get(self.store.cur).global_get(self.end).i32_ne();
            sink.global_get(self.seg).if_(BlockType::Result(Encoded::I32));
            sink.global_get(self.seg).i32_load(field(0)).else_().i32_const(0).end();
            sink.i32_or().local_set(waits);
            sink.global_get(self.begun).local_set(begun);
            sink.i32_const(0).global_set(self.begun);
        }
        sink.i32_const(1).global_set(self.in_import);
        if catches {
            thrown::caught(&mut sink, |sink| {
                call(sink);
                returned(sink);
                sink.return_();
            });
            back(&mut sink);
            // Nobody would ever look at the flag.
            sink.global_get(self.store.unwinding).local_get(before).i32_gt_u();
            self.trap_if(&mut sink, trap::THREW);
            sink.throw_ref();
        } else {
            call(&mut sink);
            returned(&mut sink);
        }
        sink.end();
        finish_function(&vec![Encoded::I32; saved.len() + 3], code)
    }

    /// A function that does nothing but call an import that may suspend, and its resume function.
    pub(super) fn stub(
        &self,
        gate: u32,
        params: &[ValType],
        results: &[ValType],
        id: u32,
        frames: &mut Frames,
        added: &mut Added,
    ) -> (Vec<u8>, Vec<u8>) {
        let mut order: Vec<(u32, ValType)> = (0..).zip(params.iter().copied()).collect();
        order.sort_by_key(|(_, ty)| frame::rank(*ty));
        let types: Vec<ValType> = order.iter().map(|(_, ty)| *ty).collect();
        let globals = frames.results(added, results);
        let mut write = |first: u32, kind_is_resume: bool| {
            let values: Vec<(u32, ValType)> = order.iter().map(|(param, ty)| (first + param, *ty)).collect();
            let mut code = Vec::new();
            let mut sink = InstructionSink::new(&mut code);
            if kind_is_resume && Frames::has_helpers(&types) {
                sink.local_get(0).call(frames.restore(added, &types, false)).drop();
                for (local, _) in values.iter().rev() {
                    sink.local_set(*local);
                }
            } else if kind_is_resume {
                frames.restore_in_place(added, &mut sink, &values, 0, false);
            }
            sink.block(BlockType::Empty);
            for param in 0..params.len() as u32 {
                sink.local_get(first + param);
            }
            sink.call(gate);
            sink.global_get(self.store.unwinding).br_if(0);
            if kind_is_resume {
                for global in globals.iter().rev() {
                    sink.global_set(*global);
                }
            }
            sink.return_().end();
            sink.i32_const(1);
            let mut locals: Vec<Encoded> = match kind_is_resume {
                true => params.iter().map(|ty| encoded(*ty)).collect(),
                false => Vec::new(),
            };
            if Frames::has_helpers(&types) {
                for (local, _) in &values {
                    sink.local_get(*local);
                }
                sink.i32_const(id as i32).call(frames.spill(added, &types));
            } else {
                let free = first + params.len() as u32;
                locals.extend([Encoded::I32; 2]);
                frames.spill_in_place(added, &mut sink, &values, id, (free, free + 1));
            }
            if !kind_is_resume {
                for ty in results {
                    zero(&mut sink, *ty);
                }
            }
            sink.end();
            finish_function(&locals, code)
        };
        let normal = write(0, false);
        // Resume functions have one parameter in this ABI.
        (normal, write(1, true))
    }

    /// A wrapper around a call: where an unwinding ends and a rewinding begins. `number` is that of the function, from
    /// 1; 0: it is in a table.
    pub(super) fn wrap(
        &self,
        number: i32,
        params: &[ValType],
        results: &[ValType],
        frames: &mut Frames,
        added: &mut Added,
        call: impl FnOnce(&mut InstructionSink<'_>, u32),
    ) -> Vec<u8> {
        let globals = frames.results(added, results);
        let block = match results {
            [] => BlockType::Empty,
            [result] => BlockType::Result(encoded(*result)),
            _ => BlockType::FunctionType(added.ty(&[], results)),
        };
        let count = params.len() as u32;
        let saved = self.saved();
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        for (local, global) in (count..).zip(&saved) {
            sink.global_get(*global).local_set(local);
        }
        sink.global_get(self.depth).global_get(self.in_import).i32_mul();
        sink.i32_const(1).i32_add().global_set(self.depth);
        sink.i32_const(0).global_set(self.in_import);
        let enter = |sink: &mut InstructionSink<'_>| {
            sink.global_get(self.rewinding).if_(block);
            if !self.stable {
                // `start_rewind` has put the frames on top already.
                let top = count + 2;
                sink.global_get(self.rewind_first).if_(BlockType::Empty);
                sink.global_get(self.rewind_base).local_set(top).end();
            }
            sink.i32_const(number).call(self.resume);
            for (global, ty) in globals.iter().zip(results) {
                take_result(sink, *global, *ty);
            }
            sink.else_();
            // Nothing is pending in a call that has just begun.
            sink.global_get(self.end).global_set(self.store.cur);
            if self.stable {
                sink.i32_const(0).global_set(self.seg);
            }
            call(sink, count);
            sink.end();
        };
        let leave = |sink: &mut InstructionSink<'_>| {
            sink.i32_const(number);
            for (local, _) in (count..).zip(&saved) {
                sink.local_get(local);
            }
            sink.call(self.leave);
        };
        if frames.thrown.is_some() {
            thrown::caught(&mut sink, |sink| {
                enter(sink);
                leave(sink);
                sink.return_();
            });
            leave(&mut sink);
            sink.throw_ref();
        } else {
            enter(&mut sink);
            leave(&mut sink);
        }
        sink.end();
        finish_function(&vec![Encoded::I32; saved.len()], code)
    }

    /// `resume(number)`: takes the frames of one call, then one after the other.
    pub(super) fn resume_loop(
        &self,
        resume_type: u32,
        resume_table: u32,
        thrown: Option<Thrown>,
        added: &Added,
    ) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        if self.stable {
            self.claim_stable(&mut sink);
        } else {
            self.claim(&mut sink);
        }
        sink.block(BlockType::Empty).loop_(BlockType::Empty);
        sink.global_get(self.store.cur).global_get(self.end).i32_eq().if_(BlockType::Empty);
        if self.stable {
            self.pop_stable(&mut sink);
        }
        sink.br(2).end();
        let call = |sink: &mut InstructionSink<'_>| {
            sink.global_get(self.store.cur);
            added.resume_arguments(sink);
            sink.global_get(self.store.cur).i32_load(self.at(0));
            sink.call_indirect(resume_table, resume_type);
        };
        match &thrown {
            Some(thrown) => thrown.keep(&mut sink, call),
            None => call(&mut sink),
        }
        // Whoever suspended must have been called again, and have said that the rewinding is over.
        sink.global_get(self.rewinding).if_(BlockType::Empty).call(self.traps[trap::NOT_REWOUND]).end();
        sink.global_get(self.store.unwinding).i32_eqz().br_if(0);
        sink.end().end();
        if let Some(thrown) = &thrown {
            // Nobody has caught it.
            thrown.raise(&mut sink);
        }
        sink.end();
        finish_function(&[Encoded::I32], code)
    }
}
