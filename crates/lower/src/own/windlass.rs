//! The windlass ABI on lazy resume: `prepare`, `switch`, `run`, `leave`, `discard`.
//!
//! A context lies at the low end of its stack. Frames follow it upward, in *segments*; the shadow stack grows downward
//! from the base:
//!
//! ```text
//!  limit    +32       +48                                          <- sp          base
//!  │ context │ segment │ frames │ segment │ frames │     free     │ shadow stack    │
//!             base seg.           seg ──► top       │<- RESERVE ->│ floor
//! ```
//!
//! One unwinding writes one segment, innermost frame first, and resuming takes frames off in that order, from low to
//! high addresses, each when what it called has returned. So a task that suspends again before a segment is used up
//! opens another one above it, and a task that suspends where it suspended before, in a loop, uses one place again and
//! again: a switch costs the same at any depth.
//!
//! ```text
//!  segment:   0 prev: the segment below, 0: none
//!             4 cur:  the next frame         (while the context does not run; else in globals)
//!             8 end:  behind the last frame
//!            12 room: 0 in the task's stack; else the end of the chunk, + 1 if the chunk begins with this segment
//! ```
//!
//! *Exact Bounds*: a frame is written only where it ends `RESERVE` below the shadow stack pointer: the bytes that a
//! leaf function may use below the pointer, and the header of one more segment. What does not fit goes on in a chunk
//! from the guest's `windlass_frames_alloc`; without that export, or without memory, the overflow is reported before
//! anything was overwritten. The segment that did not fit becomes two: the rest, whose frames are further out, is put
//! in below it.
//!
//! *Half Empty*: frames that were taken off leave a hole at the low end of their segment, which nothing can use as long
//! as frames behind it are pending. Before a segment is opened above one that is more hole than frames, the frames
//! move down. So the memory in use is at most twice what the pending frames need.

use wasm_encoder::{BlockType, InstructionSink, MemArg, ValType as Encoded};
use wasmparser::ValType;

use crate::abi::Intrinsic;
use crate::own::added::Added;
use crate::own::encode::finish_function;
use crate::own::frame::{Frames, Store};
use crate::own::thrown::Thrown;
use crate::runtime::Globals;

/// What LLVM's leaf functions may use below the shadow stack pointer without moving it, and a segment's header.
const RESERVE: i32 = 128 + SEGMENT;

/// The size of a context.
const CONTEXT: i32 = 32;

/// The size of a segment's header.
const SEGMENT: i32 = 16;

/// Stacks below this size cannot hold a context, the reserve and one small frame.
const SMALLEST_STACK: i32 = 256;

/// How many globals are kept while the guest is asked for memory.
const KEPT: usize = 11;

/// The size of a chunk, unless a single frame needs more.
const CHUNK: i32 = 4096;

const fn field(offset: u64) -> MemArg {
    MemArg { offset, align: 2, memory_index: 0 }
}

/// Fields of a context.
const SEG: MemArg = field(0);
const SP: MemArg = field(8);
const FLOOR: MemArg = field(12);
const ENTRY: MemArg = field(16);
const ARG: MemArg = field(20);
const STATE: MemArg = field(24);

/// Fields of a segment.
const PREV: MemArg = field(0);
const CUR: MemArg = field(4);
const END: MemArg = field(8);
const ROOM: MemArg = field(12);

/// Values of `STATE`.
const NEW: i32 = 0;
const SUSPENDED: i32 = 1;
const RUNNING: i32 = 2;
const DISCARDED: i32 = 3;

/// What the first stage left for this one: functions without a body, and what they need.
#[derive(Clone)]
pub(crate) struct Seam {
    /// The functions that stand for `prepare`, `switch`, `run`, `leave` and `discard`.
    pub(crate) intrinsics: Vec<(Intrinsic, u32)>,
    /// Reports that the running task has overflowed its stack.
    pub(crate) overflow: u32,
    pub(crate) stack_pointer: u32,
    pub(crate) globals: Globals,
    /// `windlass_frames_alloc` and `windlass_frames_free`.
    pub(crate) chunks: Option<(u32, u32)>,
}

pub(crate) struct Shell {
    seam: Seam,
    store: Store,
    /// Behind the last frame of the segment that is being resumed.
    end: u32,
    /// The segment that is being resumed, or written.
    seg: u32,
    /// The segment that frames are written to: `seg`, or a chunk that goes on where it was full.
    tail: u32,
    /// The context to go on with; 0: the host.
    target: u32,
    /// A chunk that is kept for the next time.
    spare: u32,
    open: u32,
    pop: u32,
    chunk: u32,
    free: u32,
}

impl Shell {
    pub(crate) fn new(seam: Seam, added: &mut Added) -> Shell {
        use ValType::I32;
        let mut global = |name: &str| added.global(I32, format!("windlass.{name}"));
        let unwinding = global("unwinding");
        let [cur, end, seg] = seam.globals.pending();
        let (wp, room, tail, target) = (global("wp"), global("room"), global("tail"), global("target"));
        let (entry, spare) = (global("entry"), global("spare"));
        let grow = added.reserve(&[I32], &[], "windlass.grow");
        let mistake = added.reserve_trap(MISTAKE);
        let full = added.reserve_trap(FULL);
        let open = added.reserve(&[], &[], "windlass.open");
        let pop = added.reserve(&[], &[I32], "windlass.pop");
        let chunk = added.reserve(&[I32], &[I32], "windlass.chunk");
        let free = added.reserve(&[I32], &[], "windlass.free");
        let store = Store { memory: 0, unwinding, wp, room, cur, entry, grow, mistake, full };
        Shell { seam, store, end, seg, tail, target, spare, open, pop, chunk, free }
    }

    pub(crate) fn store(&self) -> Store {
        self.store
    }

    /// Functions through which no suspension passes.
    pub(crate) fn barriers(&self) -> Vec<u32> {
        let seam = &self.seam;
        let suspend = |intrinsic: &Intrinsic| matches!(intrinsic, Intrinsic::Switch | Intrinsic::Leave);
        let intrinsics = seam.intrinsics.iter().filter(|(intrinsic, _)| !suspend(intrinsic));
        let chunks = seam.chunks.iter().flat_map(|(alloc, free)| [*alloc, *free]);
        intrinsics.map(|(_, function)| *function).chain([seam.overflow]).chain(chunks).collect()
    }

    /// Functions where suspension starts.
    pub(crate) fn roots(&self) -> Vec<u32> {
        let suspend = |intrinsic: &Intrinsic| matches!(intrinsic, Intrinsic::Switch | Intrinsic::Leave);
        let intrinsics = self.seam.intrinsics.iter().filter(|(intrinsic, _)| suspend(intrinsic));
        intrinsics.map(|(_, function)| *function).collect()
    }

    /// Defines the functions of its own, and returns the bodies of the intrinsics.
    pub(crate) fn define(
        &self,
        frames: &mut Frames,
        added: &mut Added,
        resume_table: u32,
    ) -> Vec<(u32, Vec<u8>)> {
        added.define(self.store.grow, self.grow());
        added.define(self.store.mistake, self.mistake());
        added.define(self.store.full, self.mistake());
        added.define(self.open, self.open());
        added.define(self.pop, self.pop());
        added.define(self.chunk, self.chunk());
        added.define(self.free, self.free());
        let entry_type = added.ty(&[ValType::I32], &[ValType::I32]);
        let params = added.resume_params.clone();
        let resume_type = added.ty(&params, &[]);
        let next = frames.result(added, ValType::I32, 0);
        let types =
            Types { entry: entry_type, resume: resume_type, resume_table, thrown: frames.thrown, next };
        let bodies = self.seam.intrinsics.iter().map(|(intrinsic, function)| {
            let body = match intrinsic {
                Intrinsic::Prepare => prepare(),
                Intrinsic::Switch => self.switch(true),
                Intrinsic::Leave => self.switch(false),
                Intrinsic::Run => self.run(&types, added),
                _ => self.discard(),
            };
            (*function, body)
        });
        bodies.collect()
    }

    /// Traps. The host may still ask for the error, in code that must not believe that it is suspended.
    fn mistake(&self) -> Vec<u8> {
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.i32_const(0).global_set(self.store.unwinding).unreachable().end();
        finish_function(&[], code)
    }

    /// `switch(save, to)`, and `leave(save)`, which switches to the host. Only opens the segment: the frames are
    /// written by the callers, as they return.
    fn switch(&self, has_target: bool) -> Vec<u8> {
        let seam = &self.seam;
        let g = seam.globals;
        let (save, to) = (0, 1);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        // Only a task can leave its stack.
        sink.global_get(g.current()).i32_eqz().if_(BlockType::Empty).unreachable().end();
        sink.local_get(save).global_get(g.current()).i32_store(field(0));
        // *Exact Bounds* holds from here on: there is room for a segment's header.
        sink.global_get(seam.stack_pointer).global_get(g.stack_limit()).i32_lt_u();
        sink.if_(BlockType::Empty).call(seam.overflow).end();
        sink.global_get(g.current()).global_get(seam.stack_pointer).i32_store(SP);
        if has_target {
            sink.local_get(to);
        } else {
            sink.i32_const(0);
        }
        sink.global_set(self.target);
        // In a loop the segment is used up each time, and lies in the task's stack.
        sink.global_get(self.store.cur).global_get(self.end).i32_ne();
        sink.global_get(self.seg).i32_load(ROOM).i32_or().if_(BlockType::Empty).call(self.open).end();
        self.begin(&mut sink);
        sink.i32_const(1).global_set(self.store.unwinding);
        sink.end();
        finish_function(&[], code)
    }

    /// Frames are written to `seg` from here on.
    fn begin(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).global_set(self.tail);
        sink.global_get(self.seg).i32_const(SEGMENT).i32_add().global_set(self.store.wp);
        sink.global_get(self.seg).i32_load(ROOM).i32_const(-2).i32_and().global_set(self.store.room);
        sink.global_get(self.store.room).i32_eqz().if_(BlockType::Empty);
        sink.global_get(self.seam.stack_pointer).i32_const(RESERVE).i32_sub().global_set(self.store.room);
        sink.end();
    }

    /// `open()`: makes `seg` a segment without frames.
    fn open(&self) -> Vec<u8> {
        let g = self.seam.globals;
        let (cur, end, seg) = (self.store.cur, self.end, self.seg);
        let (from, to, new) = (0, 1, 2);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(cur).global_get(end).i32_eq().if_(BlockType::Empty);
        // Used up, in a chunk. If it is the last one, the task's own stack is empty again.
        sink.global_get(seg).i32_load(PREV).if_(BlockType::Empty).return_().end();
        self.drop_chunk(&mut sink);
        sink.global_get(g.current()).i32_const(CONTEXT).i32_add().global_set(seg);
        sink.global_get(seg).i32_const(0).i32_store(PREV);
        sink.global_get(seg).i32_const(0).i32_store(ROOM);
        sink.return_().end();

        // *Half Empty*
        sink.global_get(cur).local_set(from);
        sink.global_get(seg).i32_const(SEGMENT).i32_add().local_set(to);
        sink.local_get(from).local_get(to).i32_sub();
        sink.global_get(end).local_get(from).i32_sub().i32_gt_u().if_(BlockType::Empty);
        sink.local_get(to).global_set(cur);
        sink.loop_(BlockType::Empty);
        sink.local_get(to).local_get(from).i32_load(field(0)).i32_store(field(0));
        sink.local_get(to).i32_const(4).i32_add().local_set(to);
        sink.local_get(from).i32_const(4).i32_add().local_tee(from);
        sink.global_get(end).i32_lt_u().br_if(0);
        sink.end();
        sink.local_get(to).global_set(end);
        sink.end();

        sink.global_get(seg).global_get(cur).i32_store(CUR);
        sink.global_get(seg).global_get(end).i32_store(END);
        sink.global_get(end).local_set(new);
        sink.global_get(seg).i32_load(ROOM).i32_const(-2).i32_and().local_tee(from).if_(BlockType::Empty);
        sink.local_get(from).local_get(new).i32_sub().i32_const(SEGMENT).i32_lt_u().if_(BlockType::Empty);
        sink.i32_const(CHUNK).call(self.chunk).local_tee(new);
        sink.i32_const(CHUNK + 1).i32_add().local_set(from);
        sink.end().end();
        sink.local_get(new).global_get(seg).i32_store(PREV);
        sink.local_get(new).local_get(from).i32_store(ROOM);
        sink.local_get(new).global_set(seg);
        sink.end();
        finish_function(&[Encoded::I32; 3], code)
    }

    /// `grow(bytes)`: the segment that is being written goes on in a chunk.
    fn grow(&self) -> Vec<u8> {
        let (bytes, new) = (0, 1);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        self.close_tail(&mut sink);
        // A whole chunk, or as much as the frame needs, in units of 16.
        sink.local_get(bytes).i32_const(SEGMENT + 15).i32_add().i32_const(-16).i32_and().local_tee(bytes);
        sink.i32_const(CHUNK).local_get(bytes).i32_const(CHUNK).i32_gt_u().select().local_set(bytes);
        sink.local_get(bytes).call(self.chunk).local_set(new);
        sink.local_get(new).global_get(self.tail).i32_load(PREV).i32_store(PREV);
        sink.global_get(self.tail).local_get(new).i32_store(PREV);
        sink.local_get(new).local_get(bytes).i32_add().global_set(self.store.room);
        sink.local_get(new).global_get(self.store.room).i32_const(1).i32_or().i32_store(ROOM);
        sink.local_get(new).i32_const(SEGMENT).i32_add().global_set(self.store.wp);
        sink.local_get(new).global_set(self.tail);
        sink.end();
        finish_function(&[Encoded::I32], code)
    }

    /// What was written to the tail is pending.
    fn close_tail(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.tail).global_get(self.tail).i32_const(SEGMENT).i32_add().i32_store(CUR);
        sink.global_get(self.tail).global_get(self.store.wp).i32_store(END);
    }

    /// `pop() -> more`: goes to the segment below the one that is used up; 0: there is none.
    fn pop(&self) -> Vec<u8> {
        let g = self.seam.globals;
        let prev = 0;
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.seg).i32_load(PREV).local_set(prev);
        sink.global_get(self.seg).i32_load(ROOM).i32_eqz().if_(BlockType::Empty);
        // What lay above is free for the shadow stack again.
        sink.global_get(self.seg).i32_const(RESERVE).i32_add().global_set(g.stack_limit());
        sink.else_();
        self.drop_chunk(&mut sink);
        sink.end();
        sink.local_get(prev).i32_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
        sink.local_get(prev).global_set(self.seg);
        self.load_segment(&mut sink);
        sink.i32_const(1).end();
        finish_function(&[Encoded::I32], code)
    }

    /// `cur` and `end` of `seg` to their globals.
    fn load_segment(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).i32_load(CUR).global_set(self.store.cur);
        sink.global_get(self.seg).i32_load(END).global_set(self.end);
    }

    /// Frees the chunk that begins with `seg`, if one does.
    fn drop_chunk(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.seg).i32_load(ROOM).i32_const(1).i32_and().if_(BlockType::Empty);
        sink.global_get(self.seg).call(self.free).end();
    }

    /// `chunk(bytes) -> address`
    fn chunk(&self) -> Vec<u8> {
        let (bytes, address) = (0, 1);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.global_get(self.spare).i32_const(0).i32_ne();
        sink.local_get(bytes).i32_const(CHUNK).i32_eq().i32_and().if_(BlockType::Empty);
        sink.global_get(self.spare).i32_const(0).global_set(self.spare).return_().end();
        if let Some((alloc, _)) = self.seam.chunks {
            self.on_host_stack(&mut sink, 2, |sink| {
                sink.local_get(bytes).call(alloc).local_set(address);
            });
        }
        sink.local_get(address).i32_eqz().if_(BlockType::Empty);
        sink.i32_const(0).global_set(self.store.unwinding).call(self.seam.overflow).end();
        sink.local_get(address).end();
        finish_function(&[Encoded::I32; 1 + KEPT], code)
    }

    /// `free(address)`: of a chunk, by the header that it begins with.
    fn free(&self) -> Vec<u8> {
        let (address, bytes) = (0, 1);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(address).i32_load(ROOM).i32_const(-2).i32_and().local_get(address).i32_sub();
        sink.local_set(bytes);
        sink.local_get(bytes).i32_const(CHUNK).i32_eq();
        sink.global_get(self.spare).i32_eqz().i32_and().if_(BlockType::Empty);
        sink.local_get(address).global_set(self.spare).return_().end();
        if let Some((_, free)) = self.seam.chunks {
            self.on_host_stack(&mut sink, 2, |sink| {
                sink.local_get(address).local_get(bytes).call(free);
            });
        }
        sink.end();
        finish_function(&[Encoded::I32; 1 + KEPT], code)
    }

    /// Calls the guest as if no task ran and nothing were suspended. Uses [`KEPT`] locals.
    fn on_host_stack(
        &self,
        sink: &mut InstructionSink<'_>,
        first_local: u32,
        call: impl FnOnce(&mut InstructionSink<'_>),
    ) {
        let g = self.seam.globals;
        let store = self.store;
        let globals: [u32; KEPT] = [
            self.seam.stack_pointer,
            g.current(),
            g.stack_limit(),
            store.unwinding,
            // An allocator that asks the host, which runs tasks meanwhile, is against the rules, and costs no more.
            store.wp,
            store.room,
            store.cur,
            self.end,
            self.seg,
            self.tail,
            self.target,
        ];
        for (local, global) in (first_local..).zip(globals) {
            sink.global_get(global).local_set(local);
        }
        // A suspended context can be discarded while no task runs.
        sink.global_get(g.current()).if_(BlockType::Empty);
        sink.global_get(g.host_sp()).global_set(self.seam.stack_pointer).end();
        for global in [g.current(), g.stack_limit(), self.store.unwinding] {
            sink.i32_const(0).global_set(global);
        }
        call(sink);
        for (local, global) in (first_local..).zip(globals) {
            sink.local_get(local).global_set(global);
        }
    }

    /// `run(first)`: the trampoline that every switch comes back to.
    fn run(&self, types: &Types, added: &Added) -> Vec<u8> {
        let seam = &self.seam;
        let g = seam.globals;
        let (context, next, outer) = (0, 1, 2);
        // A task that waits for the host call in which this runs has frames pending, too.
        let saved = [seam.stack_pointer, g.host_sp(), self.store.cur, self.end, self.seg];
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        // A task would put the loops of the host on its own stack.
        sink.global_get(g.current()).if_(BlockType::Empty).unreachable().end();
        for (local, global) in (outer..).zip(saved) {
            sink.global_get(global).local_set(local);
        }
        sink.global_get(seam.stack_pointer).global_set(g.host_sp());

        sink.block(BlockType::Empty).loop_(BlockType::Empty);
        sink.local_get(context).i32_eqz().br_if(1);
        sink.local_get(context).global_set(g.current());
        sink.local_get(context).i32_load(FLOOR).global_set(g.stack_limit());
        sink.local_get(context).i32_load(SP).global_set(seam.stack_pointer);
        sink.local_get(context).i32_load(SEG).global_set(self.seg);
        self.load_segment(&mut sink);
        sink.local_get(context).i32_load(STATE).i32_const(SUSPENDED).i32_eq().if_(BlockType::Empty);
        sink.local_get(context).i32_const(RUNNING).i32_store(STATE);
        self.resume(&mut sink, types, added);
        sink.global_get(types.next).local_set(next);
        sink.else_();
        // It runs already, or was discarded.
        sink.local_get(context).i32_load(STATE).i32_const(NEW).i32_ne();
        sink.if_(BlockType::Empty).unreachable().end();
        sink.local_get(context).i32_const(RUNNING).i32_store(STATE);
        sink.local_get(context).i32_load(ARG);
        sink.local_get(context).i32_load(ENTRY);
        sink.call_indirect(0, types.entry).local_set(next);
        sink.end();

        sink.global_get(self.store.unwinding).if_(BlockType::Empty);
        sink.i32_const(0).global_set(self.store.unwinding);
        self.close_tail(&mut sink);
        sink.local_get(context).global_get(self.seg).i32_store(SEG);
        // The highest frame in the task's stack is the tail's last, or the last before a chunk took over.
        sink.global_get(self.seg).i32_load(ROOM).i32_eqz().if_(BlockType::Empty);
        sink.local_get(context).global_get(self.seg).i32_load(END);
        sink.i32_const(RESERVE).i32_add().i32_store(FLOOR);
        sink.else_();
        sink.local_get(context).global_get(g.stack_limit()).i32_store(FLOOR);
        sink.end();
        sink.local_get(context).i32_const(SUSPENDED).i32_store(STATE);
        sink.global_get(self.target).local_set(next);
        sink.end();
        // Nothing is written to a context whose entry has returned: the guest may have freed its stack.
        sink.local_get(next).local_set(context).br(0);
        sink.end().end();

        for (local, global) in (outer..).zip(saved) {
            sink.local_get(local).global_set(global);
        }
        sink.i32_const(0).global_set(g.current());
        sink.i32_const(0).global_set(g.stack_limit());
        sink.end();
        finish_function(&[Encoded::I32; 6], code)
    }

    /// Takes frames off until one suspends again or none is left.
    fn resume(&self, sink: &mut InstructionSink<'_>, types: &Types, added: &Added) {
        sink.block(BlockType::Empty).loop_(BlockType::Empty);
        sink.global_get(self.store.cur).global_get(self.end).i32_eq().if_(BlockType::Empty);
        sink.call(self.pop).br_if(1).br(2).end();
        let call = |sink: &mut InstructionSink<'_>| {
            sink.global_get(self.store.cur);
            added.resume_arguments(sink);
            sink.global_get(self.store.cur).i32_load(field(0));
            sink.call_indirect(types.resume_table, types.resume);
        };
        match &types.thrown {
            Some(thrown) => thrown.keep(sink, call),
            None => call(sink),
        }
        sink.global_get(self.store.unwinding).i32_eqz().br_if(0);
        sink.end().end();
        if let Some(thrown) = &types.thrown {
            // Nobody has caught it.
            thrown.raise(sink);
        }
    }

    /// `discard(context)`: whoever switches to it after all meets a trap, not half a task.
    fn discard(&self) -> Vec<u8> {
        let (context, seg, prev) = (0, 1, 2);
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        sink.local_get(context).i32_load(STATE).i32_const(SUSPENDED);
        sink.i32_gt_u().if_(BlockType::Empty).unreachable().end();
        sink.local_get(context).i32_const(DISCARDED).i32_store(STATE);
        sink.local_get(context).i32_load(SEG).local_set(seg);
        sink.loop_(BlockType::Empty);
        sink.local_get(seg).i32_load(PREV).local_set(prev);
        sink.local_get(seg).i32_load(ROOM).i32_const(1).i32_and().if_(BlockType::Empty);
        sink.local_get(seg).call(self.free).end();
        sink.local_get(prev).local_tee(seg).br_if(0);
        sink.end();
        sink.end();
        finish_function(&[Encoded::I32; 2], code)
    }
}

/// Indices that are known when all bodies are written.
struct Types {
    entry: u32,
    resume: u32,
    resume_table: u32,
    thrown: Option<Thrown>,
    /// The result global of an entry function that was suspended.
    next: u32,
}

/// What a trap says, by the name of the function it is in.
pub(crate) const MISTAKE: &str = "windlass.suspended_through_a_function_that_was_not_lowered";

const FULL: &str = "windlass.no_memory_for_references";

/// `prepare(limit, base, entry, arg) -> context`
fn prepare() -> Vec<u8> {
    let (limit, base, entry, arg) = (0, 1, 2, 3);
    let frames = CONTEXT + SEGMENT;
    let mut code = Vec::new();
    let mut sink = InstructionSink::new(&mut code);
    sink.local_get(base).local_get(limit).i32_lt_u();
    sink.local_get(base).local_get(limit).i32_sub();
    sink.i32_const(SMALLEST_STACK).i32_lt_u().i32_or();
    sink.if_(BlockType::Empty).unreachable().end();
    sink.local_get(limit).local_get(limit).i32_const(CONTEXT).i32_add().i32_store(SEG);
    sink.local_get(limit).local_get(base).i32_store(SP);
    sink.local_get(limit).local_get(limit).i32_const(frames + RESERVE).i32_add().i32_store(FLOOR);
    sink.local_get(limit).local_get(entry).i32_store(ENTRY);
    sink.local_get(limit).local_get(arg).i32_store(ARG);
    sink.local_get(limit).i32_const(NEW).i32_store(STATE);
    // The segment without frames that every context begins with.
    let segment = |at: MemArg| MemArg { offset: at.offset + CONTEXT as u64, ..at };
    sink.local_get(limit).i32_const(0).i32_store(segment(PREV));
    sink.local_get(limit).i32_const(0).i32_store(segment(ROOM));
    for bound in [CUR, END] {
        sink.local_get(limit).local_get(limit).i32_const(frames).i32_add().i32_store(segment(bound));
    }
    sink.local_get(limit).end();
    finish_function(&[], code)
}
