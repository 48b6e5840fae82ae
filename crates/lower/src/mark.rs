//! The in-host mark: the functions that open and close calls, and the brackets around host imports.
//!
//! `calls` counts the calls that are open; `in_host` is set while a host import runs. A call that arrives while
//! another is open is accepted only with the mark set: without it the other one has trapped, and its frames are
//! gone.

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};
use wasmparser::FuncType;

use crate::runtime::Runtime;

impl Runtime {
    /// `enter() -> opened`
    pub(crate) fn enter(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.accepts(&mut code);
        code.i32_eqz().if_(BlockType::Empty).i32_const(0).return_().end();
        self.open(&mut code);
        code.i32_const(1).end();
        function
    }

    /// Whether a call may be opened, on the operand stack.
    pub(crate) fn accepts(&self, code: &mut InstructionSink<'_>) {
        let g = self.globals;
        code.global_get(g.calls()).i32_eqz();
        code.global_get(g.in_host()).i32_or();
    }

    pub(crate) fn open(&self, code: &mut InstructionSink<'_>) {
        let g = self.globals;
        code.global_get(g.calls()).i32_const(1).i32_add().global_set(g.calls());
        code.i32_const(0).global_set(g.in_host());
    }

    /// `exit()`
    pub(crate) fn exit(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.close(&mut code);
        code.end();
        function
    }

    pub(crate) fn close(&self, code: &mut InstructionSink<'_>) {
        let g = self.globals;
        code.global_get(g.calls()).i32_eqz();
        code.if_(BlockType::Empty).unreachable().end();
        code.global_get(g.calls()).i32_const(1).i32_sub().global_set(g.calls());
        code.global_get(g.calls()).i32_const(0).i32_ne().global_set(g.in_host());
    }

    /// `fail()`: the frames above are lost to the trap, and with them whoever would have restored the globals.
    pub(crate) fn fail(&self) -> Function {
        let g = self.globals;
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.close(&mut code);
        self.leave_task_stack(&mut code);
        code.global_get(g.calls()).i32_eqz().if_(BlockType::Empty);
        self.reset_host_stack(&mut code);
        code.end();
        code.unreachable().end();
        function
    }

    /// `refuse()`: no frame of a poisoned instance will ever go on, so each refusal may use the whole stack again.
    pub(crate) fn refuse(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.leave_task_stack(&mut code);
        self.reset_host_stack(&mut code);
        code.unreachable().end();
        function
    }

    fn reset_host_stack(&self, code: &mut InstructionSink<'_>) {
        code.i32_const(self.stack_pointer.initial);
        code.global_set(self.stack_pointer.global);
        code.i32_const(0).global_set(self.globals.host_sp());
    }

    /// The function that guest code calls in place of a host import.
    ///
    /// The import runs on the host's shadow stack, and nothing that it leaves behind, by nested calls that failed
    /// for instance, reaches the caller.
    pub(crate) fn bracket(&self, import: u32, ty: &FuncType) -> Function {
        let g = self.globals;
        let params = ty.params().len() as u32;
        let mut saved =
            vec![self.stack_pointer.global, g.current(), g.stack_limit(), g.host_sp(), g.in_host()];
        if self.has_pending {
            saved.extend(g.pending());
        }
        let calls = params + saved.len() as u32;
        let mut function = Function::new([(saved.len() as u32 + 1, ValType::I32)]);
        let mut code = function.instructions();
        for (local, global) in (params..).zip(&saved) {
            code.global_get(*global).local_set(local);
        }
        code.global_get(g.calls()).local_set(calls);
        // Only a task gives its stack up: on the host's stack, the innermost frames are below `host_sp`.
        self.leave_task_stack(&mut code);
        code.i32_const(1).global_set(g.in_host());
        for param in 0..params {
            code.local_get(param);
        }
        code.call(import);
        // A call inside is still open: it trapped, the host caught that, and went on.
        code.global_get(g.calls()).local_get(calls).i32_ne();
        code.if_(BlockType::Empty).unreachable().end();
        for (local, global) in (params..).zip(&saved) {
            code.local_get(local).global_set(*global);
        }
        code.end();
        function
    }
}
