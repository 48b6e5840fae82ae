//! The functions that stand in for the intrinsics which move between stacks, by way of Binaryen's asyncify. Those of the
//! own engine are in `own/windlass.rs`.
//!
//! A context lies at the low end of its stack, below the frames that asyncify writes upward, while the shadow
//! stack grows downward from the base:
//!
//! ```text
//!  limit      +32           pos ->              <- sp = end              base
//!  | context  | unwound frames |     free     | shadow stack of the task |
//!             |<- RED ZONE ->| lowest value of the stack pointer: `floor`
//! ```
//!
//! *Low Context*: frames that outgrow the stack run over its base. Were the context there, they would overwrite
//! `pos`, which tells asyncify where the next frame goes and `run` that they outgrew it. At the limit it is out of
//! their reach, so the overflow is always seen.
//!
//! *Two Halves*: asyncify takes a function that calls `start_unwind` or `stop_rewind` for the top of an unwinding
//! stack, and one that calls `stop_unwind` or `start_rewind` for its bottom; it instruments neither, and what calls
//! the bottom is not instrumented on its account. So no function may do both: `switch` and `leave` are the top,
//! `run` and `overflow` the bottom.

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};

use crate::Engine;
use crate::abi::{Intrinsic, StackPointer};

/// What LLVM's leaf functions may use below the shadow stack pointer without moving it.
const RED_ZONE: i32 = 128;

/// The size of a context.
const CONTEXT: i32 = 32;

/// Stacks below this size cannot hold a context, the red zone and one small frame.
const SMALLEST_STACK: i32 = 256;

/// Fields of a context. `POS` and `END` are asyncify's data structure.
const POS: MemArg = field(0);
const END: MemArg = field(4);
const SP: MemArg = field(8);
const FLOOR: MemArg = field(12);
const ENTRY: MemArg = field(16);
const ARG: MemArg = field(20);
const STATE: MemArg = field(24);
const RESERVED: MemArg = field(28);

/// Values of `STATE`.
const NEW: i32 = 0;
const SUSPENDED: i32 = 1;
const RUNNING: i32 = 2;
const DISCARDED: i32 = 3;

const fn field(offset: u64) -> MemArg {
    MemArg { offset, align: 2, memory_index: 0 }
}

/// Imports that the asyncify pass replaces.
#[derive(Clone, Copy)]
pub(crate) struct Asyncify {
    pub(crate) start_unwind: u32,
    pub(crate) stop_unwind: u32,
    pub(crate) start_rewind: u32,
    pub(crate) stop_rewind: u32,
}

impl Asyncify {
    /// Name and number of i32 parameters of each import, in the order of the fields.
    pub(crate) const IMPORTS: [(&str, usize); 4] =
        [("start_unwind", 1), ("stop_unwind", 0), ("start_rewind", 1), ("stop_rewind", 0)];
}

/// The tool's globals: all mutable i32, initially 0, from `first` on.
#[derive(Clone, Copy)]
pub(crate) struct Globals {
    pub(crate) first: u32,
}

impl Globals {
    /// The names of those that every module gets, in the order of the methods.
    const NAMES: [&str; 6] = [
        "windlass.current",
        "windlass.host_sp",
        "windlass.stack_limit",
        "windlass.calls",
        "windlass.in_host",
        "windlass.constructors",
    ];

    /// Those that follow if asyncify does the unwinding.
    const ASYNCIFY: [&str; 3] = ["windlass.unwinding", "windlass.rewinding", "windlass.target"];

    /// Those that follow if the own engine does: which frames of the running task are pending.
    const PENDING: [&str; 3] = ["windlass.cur", "windlass.end", "windlass.seg"];

    /// The names of the globals that a module gets.
    pub(crate) fn names(via: Engine, suspends: bool) -> impl Iterator<Item = &'static str> {
        let more: &[&str] = match via {
            _ if !suspends => &[],
            Engine::Own => &Globals::PENDING,
            Engine::Binaryen => &Globals::ASYNCIFY,
        };
        Globals::NAMES.iter().chain(more).copied()
    }

    /// The frame that is resumed next, the end of its segment, and the segment.
    pub(crate) fn pending(self) -> [u32; 3] {
        [self.first + 6, self.first + 7, self.first + 8]
    }

    /// The running context; 0 on the host's stack.
    pub(crate) fn current(self) -> u32 {
        self.first
    }
    /// The shadow stack pointer of the innermost `run`'s caller; 0 outside any `run`.
    pub(crate) fn host_sp(self) -> u32 {
        self.first + 1
    }
    /// The lowest value that the stack pointer may take; 0 on the host's stack.
    pub(crate) fn stack_limit(self) -> u32 {
        self.first + 2
    }
    /// Calls open.
    pub(crate) fn calls(self) -> u32 {
        self.first + 3
    }
    /// The in-host mark.
    pub(crate) fn in_host(self) -> u32 {
        self.first + 4
    }
    /// Set from `switch` until `run` has taken the unwound frames.
    fn unwinding(self) -> u32 {
        self.first + 6
    }
    /// Set from `run` until `switch` is reached again.
    fn rewinding(self) -> u32 {
        self.first + 7
    }
    /// The context that the unwinding makes room for; 0: the host.
    fn target(self) -> u32 {
        self.first + 8
    }
    /// How far the C runtime's constructors are, where [`Runtime::initialize`] runs them.
    pub(crate) fn constructors(self) -> u32 {
        self.first + 5
    }
}

/// Everything that the emitted functions refer to, by index in the emitted module.
pub(crate) struct Runtime {
    pub(crate) stack_pointer: StackPointer,
    pub(crate) globals: Globals,
    /// None if no context is ever suspended, or not by asyncify.
    pub(crate) asyncify: Option<Asyncify>,
    /// Whether the own engine keeps track of pending frames.
    pub(crate) has_pending: bool,
    /// The function of [`Runtime::overflow`].
    pub(crate) overflow: u32,
    /// The guest's `windlass_stack_overflow`.
    pub(crate) report_overflow: Option<u32>,
    /// The type (i32) -> i32 of an entry function.
    pub(crate) entry_type: u32,
}

impl Runtime {
    /// The function that defines an intrinsic.
    pub(crate) fn intrinsic(&self, intrinsic: Intrinsic) -> Function {
        match intrinsic {
            Intrinsic::Prepare => self.prepare(),
            Intrinsic::Switch => self.switch(true),
            Intrinsic::Run => self.run(),
            Intrinsic::Leave => self.switch(false),
            Intrinsic::Discard => self.discard(),
            Intrinsic::Enter => self.enter(),
            Intrinsic::Exit => self.exit(),
            Intrinsic::Fail => self.fail(),
            Intrinsic::Refuse => self.refuse(),
        }
    }

    /// `prepare(limit, base, entry, arg) -> context`
    fn prepare(&self) -> Function {
        let (limit, base, entry, arg) = (0, 1, 2, 3);
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.local_get(base).local_get(limit).i32_lt_u();
        code.local_get(base).local_get(limit).i32_sub();
        code.i32_const(SMALLEST_STACK).i32_lt_u().i32_or();
        code.if_(BlockType::Empty).unreachable().end();
        for zero in [POS, END, STATE, RESERVED] {
            code.local_get(limit).i32_const(0).i32_store(zero);
        }
        code.local_get(limit).local_get(base).i32_store(SP);
        code.local_get(limit).local_get(limit);
        code.i32_const(CONTEXT + RED_ZONE).i32_add().i32_store(FLOOR);
        code.local_get(limit).local_get(entry).i32_store(ENTRY);
        code.local_get(limit).local_get(arg).i32_store(ARG);
        code.local_get(limit).end();
        function
    }

    /// `switch(save, to)`, and `leave(save)`, which switches to the host.
    fn switch(&self, has_target: bool) -> Function {
        let g = self.globals;
        let (save, to) = (0, 1);
        let mut function = Function::new([]);
        let mut code = function.instructions();
        let Some(asyncify) = self.asyncify else {
            code.unreachable().end();
            return function;
        };
        // Back again: the frames below have been restored, and the caller goes on.
        code.global_get(g.rewinding()).if_(BlockType::Empty);
        code.i32_const(0).global_set(g.rewinding());
        code.call(asyncify.stop_rewind).return_().end();
        // Only a task can leave its stack.
        code.global_get(g.current()).i32_eqz();
        code.if_(BlockType::Empty).unreachable().end();
        code.local_get(save).global_get(g.current()).i32_store(field(0));
        // Not even room for the first frame; `start_unwind` would trap without a report.
        code.global_get(self.stack_pointer.global);
        code.global_get(g.stack_limit()).i32_lt_u();
        code.if_(BlockType::Empty).call(self.overflow).end();
        for bound in [SP, END] {
            code.global_get(g.current());
            code.global_get(self.stack_pointer.global).i32_store(bound);
        }
        self.reset_pos(&mut code);
        if has_target {
            code.local_get(to);
        } else {
            code.i32_const(0);
        }
        code.global_set(g.target());
        code.i32_const(1).global_set(g.unwinding());
        code.global_get(g.current()).call(asyncify.start_unwind);
        code.end();
        function
    }

    /// Empties the running context's room for frames.
    fn reset_pos(&self, code: &mut InstructionSink<'_>) {
        code.global_get(self.globals.current());
        code.global_get(self.globals.current());
        code.i32_const(CONTEXT).i32_add().i32_store(POS);
    }

    /// `run(first)`: the trampoline that every switch comes back to.
    fn run(&self) -> Function {
        let g = self.globals;
        let sp = self.stack_pointer.global;
        let (context, own_sp, outer_host_sp, next) = (0, 1, 2, 3);
        let mut function = Function::new([(3, ValType::I32)]);
        let mut code = function.instructions();
        // A task would put the loops of the host on its own stack.
        code.global_get(g.current());
        code.if_(BlockType::Empty).unreachable().end();
        code.global_get(g.host_sp()).local_set(outer_host_sp);
        code.global_get(sp).local_tee(own_sp).global_set(g.host_sp());

        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(context).i32_eqz().br_if(1);
        code.local_get(context).global_set(g.current());
        code.local_get(context).i32_load(FLOOR).global_set(g.stack_limit());
        code.local_get(context).i32_load(SP).global_set(sp);
        match self.asyncify {
            Some(asyncify) => {
                code.local_get(context).i32_load(STATE);
                code.i32_const(SUSPENDED).i32_eq().if_(BlockType::Empty);
                code.i32_const(1).global_set(g.rewinding());
                code.local_get(context).call(asyncify.start_rewind);
                code.else_();
                self.must_be_new(&mut code, context);
                code.end();
            }
            None => self.must_be_new(&mut code, context),
        }
        code.local_get(context).i32_const(RUNNING).i32_store(STATE);
        code.local_get(context).i32_load(ARG);
        code.local_get(context).i32_load(ENTRY);
        code.call_indirect(0, self.entry_type).local_set(next);
        if let Some(asyncify) = self.asyncify {
            code.global_get(g.unwinding()).if_(BlockType::Empty);
            code.i32_const(0).global_set(g.unwinding());
            code.local_get(context).i32_load(POS);
            code.local_get(context).i32_load(END);
            code.i32_gt_u().if_(BlockType::Empty);
            // The context is lost. `stop_unwind` wants bounds that hold, and the report wants the normal state.
            self.reset_pos(&mut code);
            code.call(asyncify.stop_unwind).call(self.overflow).end();
            code.call(asyncify.stop_unwind);
            code.local_get(context).i32_const(SUSPENDED).i32_store(STATE);
            code.global_get(g.target()).local_set(next);
            code.end();
        }
        // Nothing is written to a context whose entry has returned: the guest may have freed its stack.
        code.local_get(next).local_set(context).br(0);
        code.end().end();

        code.local_get(own_sp).global_set(sp);
        code.local_get(outer_host_sp).global_set(g.host_sp());
        self.off_task(&mut code);
        code.end();
        function
    }

    /// Traps unless the context has never run: it runs already, or was discarded.
    fn must_be_new(&self, code: &mut InstructionSink<'_>, context: u32) {
        code.local_get(context).i32_load(STATE).i32_const(NEW).i32_ne();
        code.if_(BlockType::Empty).unreachable().end();
    }

    /// From here on the host's stack is in use.
    fn off_task(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(0).global_set(self.globals.current());
        code.i32_const(0).global_set(self.globals.stack_limit());
    }

    /// Gives the host's shadow stack back, if a task runs.
    pub(crate) fn leave_task_stack(&self, code: &mut InstructionSink<'_>) {
        let g = self.globals;
        code.global_get(g.current()).if_(BlockType::Empty);
        code.global_get(g.host_sp());
        code.global_set(self.stack_pointer.global);
        self.off_task(code);
        code.end();
    }

    /// `discard(context)`: whoever switches to it after all meets a trap, not half a task.
    fn discard(&self) -> Function {
        let context = 0;
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.local_get(context).i32_load(STATE).i32_const(SUSPENDED);
        code.i32_gt_u().if_(BlockType::Empty).unreachable().end();
        code.local_get(context).i32_const(DISCARDED).i32_store(STATE);
        code.end();
        function
    }

    /// The running task has overflowed its stack: report and trap.
    pub(crate) fn overflow(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.leave_task_stack(&mut code);
        if let Some(report) = self.report_overflow {
            code.call(report);
            // Never reached. It makes this a function of the bottom half: without it each function that checks
            // the stack pointer would count as one that can suspend, because the report may call indirectly.
            if let Some(asyncify) = self.asyncify {
                code.call(asyncify.stop_unwind);
            }
        }
        code.unreachable().end();
        function
    }

    /// The check that follows each write of the stack pointer in guest code. After the write, so that it needs no
    /// local; nothing has been stored there yet.
    pub(crate) fn check(&self, code: &mut InstructionSink<'_>) {
        code.global_get(self.stack_pointer.global);
        code.global_get(self.globals.stack_limit()).i32_lt_u();
        code.if_(BlockType::Empty).call(self.overflow).end();
    }
}
