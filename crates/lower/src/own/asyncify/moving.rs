//! Frames in a memory of the tool's own: they go to the buffer when an unwinding is over, and come back when it is rewound.

use wasm_encoder::{BlockType, InstructionSink, MemArg, ValType as Encoded};

use super::{BORDER, CURRENT, LIMIT, MARK, SMALL, Shell, field, trap};
use crate::own::encode::finish_function;

impl Shell {
    pub(super) fn moving_bodies(&self) -> Vec<(u32, Vec<u8>)> {
        let [start_unwind, stop_unwind, start_rewind, stop_rewind, get_state] = self.parts.functions;
        vec![
            (self.store.grow, self.grow()),
            (self.reserve, self.reserve()),
            (self.leave, self.leave()),
            (start_unwind, self.start_unwind()),
            (stop_unwind, self.stop_unwind()),
            (start_rewind, self.start_rewind()),
            (stop_rewind, self.stop_rewind()),
            (get_state, self.get_state()),
        ]
    }

    /// Traps unless the function whose number is on the stack is the one that is called now: local 0. Those in tables
    /// have no number, and may be called in another way.
    pub(super) fn check_number(&self, sink: &mut InstructionSink<'_>) {
        let (number, was) = (0, 1);
        sink.local_tee(was).local_get(number).i32_ne();
        sink.local_get(was).i32_const(0).i32_ne().i32_and();
        sink.local_get(number).i32_const(0).i32_ne().i32_and();
        self.trap_if(sink, trap::NOT_REWOUND);
    }

    /// Takes the last part that has not been handed out.
    pub(super) fn claim(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.rewind_base).global_get(self.rewind_end).i32_eq();
        self.trap_if(sink, trap::NOT_REWOUND);
        sink.i32_const(0).global_set(self.rewind_first);
        sink.global_get(self.rewind_end).i32_const(BORDER).i32_sub().global_set(self.end);
        sink.global_get(self.end).i32_load(self.at(8));
        self.check_number(sink);
        sink.global_get(self.end);
        sink.global_get(self.end).i32_load(self.at(0)).i32_sub().global_set(self.store.cur);
        sink.global_get(self.store.cur).global_set(self.rewind_end);
    }

    /// `reserve(end)`: makes the memory so large.
    pub(super) fn reserve(&self) -> Vec<u8> {
        let (end, pages) = (0, 1);
        let memory = self.store.memory;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(end).i32_const(16).i32_shr_u().i32_const(1).i32_add();
        sink.memory_size(memory).i32_sub().local_tee(pages);
        sink.i32_const(0).i32_gt_s().if_(BlockType::Empty);
        // Half as much again, lest it grow page by page; what is needed, if there is no more.
        sink.local_get(pages).memory_size(memory).i32_const(1).i32_shr_u().i32_add();
        sink.memory_grow(memory).i32_const(-1).i32_eq().if_(BlockType::Empty);
        sink.local_get(pages).memory_grow(memory).i32_const(-1).i32_eq();
        self.trap_if(&mut sink, trap::MEMORY);
        sink.end();
        sink.end().end();
        finish_function(&[Encoded::I32], code)
    }

    /// `grow(bytes)`
    pub(super) fn grow(&self) -> Vec<u8> {
        let bytes = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.wp).local_get(bytes).i32_add().call(self.reserve);
        self.set_room(&mut sink);
        sink.end();
        finish_function(&[], code)
    }

    pub(super) fn set_room(&self, sink: &mut InstructionSink<'_>) {
        sink.memory_size(self.store.memory).i32_const(16).i32_shl().global_set(self.store.room);
    }

    pub(super) fn start_unwind(&self) -> Vec<u8> {
        let data = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(data).global_set(self.data);
        for global in [self.store.wp, self.start, self.chunk] {
            sink.global_get(self.top).global_set(global);
        }
        self.set_room(&mut sink);
        let flags = [self.closed, self.is_left, self.confirmed, self.rewinding];
        for global in [self.left_cur, self.left_end].into_iter().chain(flags) {
            sink.i32_const(0).global_set(global);
        }
        sink.i32_const(1).global_set(self.store.unwinding);
        sink.end();
        finish_function(&[], code)
    }

    /// `leave(number, saved..)`: a call is over, or suspended. What was pending for the outer one is again.
    pub(super) fn leave(&self) -> Vec<u8> {
        let (number, size) = (0, 1 + self.saved().len() as u32);
        let store = self.store;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(store.unwinding).if_(BlockType::Empty);
        sink.global_get(self.confirmed).i32_eqz();
        self.trap_if(&mut sink, trap::STRANGER);
        // What was taken for the outermost call was not.
        sink.global_get(self.is_left);
        self.trap_if(&mut sink, trap::NESTED);
        sink.global_get(self.depth).i32_const(1).i32_gt_u().if_(BlockType::Empty);
        // A host function stands between this call and the next one that is left.
        sink.global_get(self.end).global_get(store.cur).i32_sub().local_set(size);
        sink.global_get(store.wp).local_get(size).i32_add().i32_const(BORDER).i32_add().call(self.reserve);
        self.set_room(&mut sink);
        sink.global_get(store.wp).global_get(store.cur).local_get(size);
        sink.memory_copy(store.memory, store.memory);
        sink.global_get(store.wp).local_get(size).i32_add().global_set(store.wp);
        sink.global_get(store.wp);
        sink.global_get(store.wp).global_get(self.chunk).i32_sub().i32_store(self.at(0));
        sink.global_get(store.wp).local_get(number).i32_store(self.at(8));
        sink.global_get(store.wp).i32_const(MARK).i32_store(self.at(12));
        sink.global_get(store.wp).i32_const(BORDER).i32_add().global_set(store.wp);
        sink.global_get(store.wp).global_set(self.chunk);
        sink.i32_const(1).global_set(self.closed);
        sink.else_();
        sink.global_get(store.cur).global_set(self.left_cur);
        sink.global_get(self.end).global_set(self.left_end);
        sink.i32_const(1).global_set(self.is_left);
        sink.i32_const(0).global_set(self.closed);
        sink.end();
        sink.local_get(number).global_set(self.left_function);
        sink.end();
        self.restore_saved(&mut sink);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    pub(super) fn stop_unwind(&self) -> Vec<u8> {
        let store = self.store;
        let (at, new, old, length, total, place) = (0, 1, 2, 3, 4, 5);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(store.unwinding).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).global_set(self.rewinding).return_().end();
        sink.i32_const(0).global_set(store.unwinding);
        // Nothing was unwound: the host thought better of it.
        sink.global_get(self.is_left).global_get(self.closed).i32_or().i32_eqz();
        sink.if_(BlockType::Empty).return_().end();
        sink.global_get(store.wp).global_get(self.start).i32_sub().local_set(new);
        sink.global_get(self.left_end).global_get(self.left_cur).i32_sub().local_set(old);
        sink.global_get(self.closed).if_(BlockType::Empty);
        // The last call that was left has its border already; it is written again, at the same place.
        sink.local_get(new).i32_const(BORDER).i32_sub().local_set(new);
        sink.global_get(self.start).local_get(new).i32_add().i32_load(self.at(0)).local_set(length);
        sink.else_();
        sink.global_get(store.wp).global_get(self.chunk).i32_sub().local_get(old).i32_add().local_set(length);
        sink.end();
        sink.local_get(new).local_get(old).i32_add().local_set(total);
        sink.global_get(self.data).i32_load(CURRENT).local_set(at);
        // What does not fit is not begun.
        sink.global_get(self.data).i32_load(LIMIT).i64_extend_i32_u();
        sink.local_get(at).i64_extend_i32_u();
        sink.local_get(total).i64_extend_i32_u().i64_add().i64_const(BORDER.into()).i64_add();
        sink.i64_lt_u();
        self.trap_if(&mut sink, trap::OVERFLOW);
        self.copy(&mut sink, (0, at), (store.memory, self.start), new, place);
        sink.local_get(at).local_get(new).i32_add().local_set(at);
        self.copy(&mut sink, (0, at), (store.memory, self.left_cur), old, place);
        sink.local_get(at).local_get(old).i32_add().local_tee(at);
        sink.local_get(length).i32_store(field(0));
        sink.local_get(at).local_get(total).i32_store(field(4));
        sink.local_get(at).global_get(self.left_function).i32_store(field(8));
        sink.local_get(at).i32_const(MARK).i32_store(field(12));
        sink.global_get(self.data).local_get(at).i32_const(BORDER).i32_add().i32_store(CURRENT);
        sink.end();
        finish_function(&[Encoded::I32; 6], code)
    }

    /// Copies so many bytes, a multiple of four, to the address in a local from that in a global. `i` is a spare local.
    pub(super) fn copy(
        &self,
        sink: &mut InstructionSink<'_>,
        (to_memory, to): (u32, u32),
        (from_memory, from): (u32, u32),
        size: u32,
        i: u32,
    ) {
        let at = |memory_index: u32| MemArg { offset: 0, align: 0, memory_index };
        sink.local_get(size).i32_const(SMALL).i32_gt_u().if_(BlockType::Empty);
        sink.local_get(to).global_get(from).local_get(size).memory_copy(to_memory, from_memory);
        sink.else_();
        sink.i32_const(0).local_set(i);
        sink.block(BlockType::Empty).loop_(BlockType::Empty);
        sink.local_get(i).local_get(size).i32_eq().br_if(1);
        sink.local_get(to).local_get(i).i32_add();
        sink.global_get(from).local_get(i).i32_add().i32_load(at(from_memory)).i32_store(at(to_memory));
        sink.local_get(i).i32_const(4).i32_add().local_set(i).br(0);
        sink.end().end();
        sink.end();
    }

    pub(super) fn start_rewind(&self) -> Vec<u8> {
        let store = self.store;
        let (data, at, size, i) = (0, 1, 2, 3);
        let word = |memory_index: u32| MemArg { offset: 0, align: 0, memory_index };
        let stop_unwind = self.parts.functions[1];
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        // Some never say that the unwinding is over.
        sink.call(stop_unwind);
        sink.local_get(data).i32_load(CURRENT).i32_const(BORDER).i32_sub().local_tee(at);
        sink.i32_load(MemArg { offset: 12, align: 0, memory_index: 0 }).i32_const(MARK).i32_ne();
        self.trap_if(&mut sink, trap::NO_FRAMES);
        sink.local_get(at).i32_load(MemArg { offset: 4, align: 0, memory_index: 0 }).local_tee(size);
        sink.local_get(at).i32_gt_u();
        self.trap_if(&mut sink, trap::NO_FRAMES);
        sink.local_get(at).local_get(size).i32_sub().local_set(at);
        sink.local_get(data).local_get(at).i32_store(CURRENT);
        sink.local_get(size).i32_const(BORDER).i32_add().local_set(size);
        sink.global_get(self.top).local_get(size).i32_add().call(self.reserve);
        sink.local_get(size).i32_const(SMALL).i32_gt_u().if_(BlockType::Empty);
        sink.global_get(self.top).local_get(at).local_get(size).memory_copy(store.memory, 0);
        sink.else_();
        sink.loop_(BlockType::Empty);
        sink.global_get(self.top).local_get(i).i32_add();
        sink.local_get(at).local_get(i).i32_add().i32_load(word(0)).i32_store(word(store.memory));
        sink.local_get(i).i32_const(4).i32_add().local_tee(i).local_get(size).i32_lt_u().br_if(0);
        sink.end().end();
        sink.global_get(self.top).global_set(self.rewind_base);
        sink.global_get(self.top).local_get(size).i32_add().global_set(self.top);
        sink.global_get(self.top).global_set(self.rewind_end);
        sink.i32_const(1).global_set(self.rewind_first);
        sink.i32_const(1).global_set(self.rewinding);
        sink.end();
        finish_function(&[Encoded::I32; 3], code)
    }

    pub(super) fn stop_rewind(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.rewinding);
        // Every call that was unwound has been entered again by now.
        sink.global_get(self.rewind_base).global_get(self.rewind_end).i32_ne();
        sink.global_get(self.rewind_first).i32_or().i32_and();
        self.trap_if(&mut sink, trap::NOT_REWOUND);
        sink.i32_const(0).global_set(self.rewinding);
        sink.end();
        finish_function(&[], code)
    }
}
