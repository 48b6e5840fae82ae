//! Exceptions that leave a resumed function.
//!
//! Who called it is not on the stack: its frame still waits in memory. So the loop that resumes frames catches what
//! comes out of one, keeps it in a global, and resumes the next frame all the same. That throws the exception again,
//! at the place of its call:
//!
//! ```text
//!   frames                        the loop             a resume function
//!   read    throws  ──────────►  exception = e
//!   parse   no try around    ◄──  resumes it    ──►    restore: throws e, to the loop
//!   load    try_table        ◄──  resumes it    ──►    lands in its try_table, throws e there, catches it
//! ```
//!
//! Functions without a site in a `try_table` throw it in `restore`, which they call anyway; the others after each
//! landing. A module in which no suspending call stands in a `try_table` has nothing of all that.

use wasm_encoder::{BlockType, Catch, InstructionSink, RefType as EncodedRef, ValType as Encoded};
use wasmparser::{Operator, RefType, ValType};

use crate::error::Error;
use crate::module::Module;
use crate::own::added::Added;
use crate::own::body::is_tail_call;
use crate::own::calls::{Calls, Reach};
use crate::own::encode::finish_function;
use crate::own::frame;

/// The exception on its way, and who throws it.
#[derive(Clone, Copy)]
pub(crate) struct Thrown {
    /// The global; null: there is none.
    exception: u32,
    /// `raise()`: throws it, if there is one.
    raise: u32,
}

impl Thrown {
    pub(crate) fn new(added: &mut Added) -> Thrown {
        let exception = added.global(ValType::Ref(RefType::EXNREF), "windlass.exception");
        let raise = added.reserve(&[], &[], "windlass.raise");
        let mut code = Vec::new();
        let mut sink = InstructionSink::new(&mut code);
        let null = frame::heap_type(RefType::EXNREF);
        sink.global_get(exception).local_tee(0).ref_is_null().if_(BlockType::Empty).return_().end();
        sink.ref_null(null).global_set(exception);
        sink.local_get(0).throw_ref().end();
        added.define(raise, finish_function(&[Encoded::Ref(EncodedRef::EXNREF)], code));
        Thrown { exception, raise }
    }

    /// Throws the exception, if there is one.
    pub(crate) fn raise(&self, sink: &mut InstructionSink<'_>) {
        sink.call(self.raise);
    }

    /// The same where normal code passes, too.
    pub(crate) fn test_and_raise(&self, sink: &mut InstructionSink<'_>) {
        sink.global_get(self.exception).ref_is_null().i32_eqz().if_(BlockType::Empty);
        sink.call(self.raise).end();
    }

    /// Calls a resume function, and keeps what it throws. The call is made in three more blocks.
    pub(crate) fn keep(&self, sink: &mut InstructionSink<'_>, call: impl FnOnce(&mut InstructionSink<'_>)) {
        sink.block(BlockType::Empty);
        caught(sink, |sink| {
            call(sink);
            sink.br(2);
        });
        sink.global_set(self.exception).end();
    }
}

/// Code that catches what comes out of other code, which lies in two more blocks and has to leave them. The exception
/// is on the stack behind.
pub(crate) fn caught(sink: &mut InstructionSink<'_>, code: impl FnOnce(&mut InstructionSink<'_>)) {
    sink.block(BlockType::Result(Encoded::Ref(EncodedRef::EXNREF)));
    sink.try_table(BlockType::Empty, [Catch::AllRef { label: 0 }]);
    code(sink);
    sink.end().unreachable().end();
}

/// Whether an exception that comes out of a suspending call may be caught in the function that made the call.
pub(crate) fn is_caught(module: &Module<'_>, calls: &Calls) -> Result<bool, Error> {
    for (function, body) in (module.function_imports.len() as u32..).zip(&module.bodies) {
        if !calls.suspends(function) || !calls.tries(function) {
            continue;
        }
        // For each open block the number of those that catch, itself included.
        let mut open = vec![0_u32];
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            let around = open.last().copied().unwrap_or(0);
            match &operator {
                Operator::TryTable { try_table } => {
                    open.push(around + u32::from(!try_table.catches.is_empty()))
                }
                Operator::Block { .. }
                | Operator::Loop { .. }
                | Operator::If { .. }
                | Operator::Try { .. } => {
                    open.push(around);
                }
                Operator::End | Operator::Delegate { .. } => {
                    open.pop();
                }
                _ if around > 0 && !is_tail_call(&operator) => {
                    if let Reach::Suspension { .. } = calls.reach(function, &operator) {
                        return Ok(true);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(false)
}
