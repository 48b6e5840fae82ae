//! Frames that stay in the buffer.
//!
//! ```text
//!   start                                                  current
//!   │ segment │ frames │ segment │ frames │ segment, start, mark │
//! ```
//!
//! As in the windlass ABI, one unwinding writes one segment {the one below, next frame, end}; the border names the
//! topmost one. Two calls with a host function between them would have to share it: that traps.

use wasm_encoder::{BlockType, InstructionSink, ValType as Encoded};

use super::{BORDER, CURRENT, FARTHEST, LIMIT, MARK, SEGMENT, Shell, field, trap};
use crate::own::encode::finish_function;

impl Shell {
    pub(super) fn stable_bodies(&self) -> Vec<(u32, Vec<u8>)> {
        let [start_unwind, stop_unwind, start_rewind, stop_rewind, get_state] = self.parts.functions;
        vec![
            (self.store.grow, self.stable_grow()),
            (self.reserve, finish_function(&[], vec![0x0b])),
            (self.leave, self.stable_leave()),
            (start_unwind, self.stable_start_unwind()),
            (stop_unwind, self.stable_stop_unwind()),
            (start_rewind, self.stable_start_rewind()),
            (stop_rewind, self.stop_rewind()),
            (get_state, self.get_state()),
        ]
    }

    pub(super) fn stable_start_unwind(&self) -> Vec<u8> {
        let data = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(data).global_set(self.data);
        // The data may be filled in only now: the first frame asks for room.
        for global in [self.store.wp, self.store.room, self.confirmed, self.is_left, self.rewinding] {
            sink.i32_const(0).global_set(global);
        }
        sink.i32_const(1).global_set(self.store.unwinding);
        sink.end();
        finish_function(&[], code)
    }

    /// `grow(bytes)`: opens the segment at the first frame; later it is too late.
    pub(super) fn stable_grow(&self) -> Vec<u8> {
        let bytes = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.wp).i32_eqz().if_(BlockType::Empty);
        self.stable_open(&mut sink);
        sink.end();
        sink.global_get(self.store.room).global_get(self.store.wp).i32_sub().local_get(bytes).i32_lt_s();
        self.trap_if(&mut sink, trap::OVERFLOW);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    /// Traps if a call out of an import has suspended into the buffer in which frames wait: they were overwritten.
    pub(super) fn check_buffer(
        &self,
        sink: &mut InstructionSink<'_>,
        kept: &[(u32, u32)],
        waits: u32,
        begun: u32,
    ) {
        sink.global_get(self.begun).if_(BlockType::Empty);
        for (own_data, _) in kept.iter().filter(|(_, global)| *global == self.own_data) {
            sink.global_get(self.begun).local_get(*own_data).i32_eq();
        }
        sink.local_get(waits).i32_const(0).i32_ne().i32_and();
        self.trap_if(sink, trap::BUFFER_IN_USE);
        sink.else_();
        sink.local_get(begun).global_set(self.begun);
        sink.end();
    }

    pub(super) fn stable_open(&self, sink: &mut InstructionSink<'_>) {
        let store = self.store;
        let new = 1;
        // A call that was resumed goes on in its buffer; others begin where `current` is.
        sink.global_get(self.seg).if_(BlockType::Empty);
        sink.global_get(self.data).global_get(self.own_data).i32_ne();
        self.trap_if(sink, trap::OTHER_BUFFER);
        sink.global_get(store.cur).global_get(self.end).i32_ne().if_(BlockType::Empty);
        sink.global_get(self.seg).global_get(store.cur).i32_store(field(4));
        sink.global_get(self.seg).global_get(self.end).i32_store(field(8));
        sink.global_get(self.end).local_tee(new).global_get(self.seg).i32_store(field(0));
        sink.local_get(new).global_set(self.seg);
        sink.end();
        sink.else_();
        // If frames of an outer call wait in that buffer the outer call finds out.
        sink.global_get(self.data).global_set(self.begun);
        sink.global_get(self.data).i32_load(CURRENT).global_set(self.own_start);
        sink.global_get(self.own_start).global_set(self.seg);
        // The header has to fit before it is written.
        sink.global_get(self.data)
            .i32_load(LIMIT)
            .global_get(self.own_start)
            .i32_const(SEGMENT + BORDER)
            .i32_add();
        sink.i32_lt_u();
        self.trap_if(sink, trap::OVERFLOW);
        sink.global_get(self.seg).i32_const(0).i32_store(field(0));
        sink.end();
        sink.global_get(self.seg).i32_const(SEGMENT).i32_add().global_set(store.wp);
        // Behind the last frame comes the header of another segment, or the border.
        sink.global_get(self.data).i32_load(LIMIT).i32_const(SEGMENT + BORDER).i32_sub().local_set(new);
        // Some hosts say that there is no limit; differences are signed.
        sink.global_get(store.wp).i32_const(FARTHEST).i32_add().local_get(new);
        sink.local_get(new).global_get(store.wp).i32_sub().i32_const(FARTHEST).i32_gt_u();
        sink.local_get(new).global_get(store.wp).i32_gt_u().i32_and().select();
        sink.global_set(store.room);
    }

    pub(super) fn stable_leave(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.unwinding).if_(BlockType::Empty);
        sink.global_get(self.confirmed).i32_eqz();
        self.trap_if(&mut sink, trap::STRANGER);
        sink.global_get(self.is_left);
        self.trap_if(&mut sink, trap::TUNNEL);
        sink.i32_const(1).global_set(self.is_left);
        sink.local_get(0).global_set(self.left_function);
        // Nobody wrote a frame: every call was in tail position.
        sink.global_get(self.store.wp).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).call(self.store.grow).end();
        sink.global_get(self.seg).global_get(self.seg).i32_const(SEGMENT).i32_add().i32_store(field(4));
        sink.global_get(self.seg).global_get(self.store.wp).i32_store(field(8));
        sink.global_get(self.seg).global_set(self.left_cur);
        sink.global_get(self.own_start).global_set(self.left_end);
        sink.end();
        self.restore_saved(&mut sink);
        sink.end();
        finish_function(&[], code)
    }

    pub(super) fn stable_stop_unwind(&self) -> Vec<u8> {
        let wp = self.store.wp;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.store.unwinding).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).global_set(self.rewinding).return_().end();
        sink.i32_const(0).global_set(self.store.unwinding);
        // Nothing was unwound: the host thought better of it.
        sink.global_get(wp).i32_eqz().if_(BlockType::Empty).return_().end();
        sink.global_get(wp).global_get(self.left_cur).i32_store(field(0));
        sink.global_get(wp).global_get(self.left_end).i32_store(field(4));
        sink.global_get(wp).global_get(self.left_function).i32_store(field(8));
        sink.global_get(wp).i32_const(MARK).i32_store(field(12));
        sink.global_get(self.data).global_get(wp).i32_const(BORDER).i32_add().i32_store(CURRENT);
        sink.end();
        finish_function(&[], code)
    }

    pub(super) fn stable_start_rewind(&self) -> Vec<u8> {
        let (data, at) = (0, 1);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.call(self.parts.functions[1]);
        sink.local_get(data).i32_load(CURRENT).i32_const(BORDER).i32_sub().local_tee(at);
        sink.i32_load(field(12)).i32_const(MARK).i32_ne();
        self.trap_if(&mut sink, trap::NO_FRAMES);
        // Frames are used up as they are resumed: once.
        sink.local_get(at).i32_const(0).i32_store(field(12));
        sink.local_get(at).i32_load(field(8)).global_set(self.left_function);
        sink.local_get(at).i32_load(field(0)).global_set(self.rewind_base);
        sink.local_get(at).i32_load(field(4)).global_set(self.rewind_end);
        sink.local_get(data).global_get(self.rewind_end).i32_store(CURRENT);
        sink.local_get(data).global_set(self.data);
        sink.i32_const(1).global_set(self.rewind_first);
        sink.i32_const(1).global_set(self.rewinding);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    pub(super) fn claim_stable(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.rewind_first).i32_eqz();
        self.trap_if(sink, trap::NOT_REWOUND);
        sink.i32_const(0).global_set(self.rewind_first);
        sink.global_get(self.left_function);
        self.check_number(sink);
        sink.global_get(self.rewind_base).global_set(self.seg);
        sink.global_get(self.rewind_end).global_set(self.own_start);
        sink.global_get(self.data).global_set(self.own_data);
        // All of it is handed out.
        sink.global_get(self.rewind_base).global_set(self.rewind_end);
        self.load_stable(sink);
    }

    pub(super) fn load_stable(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).i32_load(field(4)).global_set(self.store.cur);
        sink.global_get(self.seg).i32_load(field(8)).global_set(self.end);
    }

    /// Goes to the segment below, if there is one, and on with the loop.
    pub(super) fn pop_stable(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).i32_load(field(0)).if_(BlockType::Empty);
        sink.global_get(self.seg).i32_load(field(0)).global_set(self.seg);
        self.load_stable(sink);
        // To the loop's head.
        sink.br(2);
        sink.end();
        sink.i32_const(0).global_set(self.seg);
    }
}
