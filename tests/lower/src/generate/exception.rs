//! Exceptions: thrown, caught, with calls wherever there is a place for them.

use std::borrow::Cow;

use wasm_encoder::{AbstractHeapType, BlockType, Catch, HeapType, Instruction, RefType, ValType};

use crate::generate::body::Body;

impl Body<'_> {
    /// Pushes what a tag carries, then throws it.
    pub(super) fn throw(&mut self, depth: usize) -> bool {
        let features = self.features();
        if features.legacy_exceptions && self.rng.percent(40) {
            let catching: Vec<usize> = (0..self.labels.len())
                .filter(|label| self.labels[self.labels.len() - 1 - label].catches)
                .collect();
            if let Some(label) = self.rng.pick(&catching) {
                self.emit(Instruction::Rethrow(label as u32));
                return true;
            }
        }
        if self.plan.tags.is_empty() {
            return false;
        }
        let tag = self.rng.below(self.plan.tags.len());
        let params = self.tag_params(tag);
        self.push_all(&params, depth);
        self.emit(Instruction::Throw(tag as u32));
        true
    }

    pub(super) fn tag_params(&self, tag: usize) -> Vec<ValType> {
        self.plan.types[self.plan.tags[tag] as usize].0.clone()
    }

    /// Statements that throw now and then.
    pub(super) fn risky(&mut self, results: &[ValType], depth: usize) {
        self.statement(depth);
        if self.rng.percent(50) {
            self.condition(depth.min(2));
            self.emit(Instruction::If(BlockType::Empty));
            self.enter(&[]);
            self.throw(depth.min(2));
            self.end();
        }
        self.sequence(results, depth);
    }

    /// An expression that is caught.
    pub(super) fn caught_value(&mut self, ty: ValType, depth: usize) -> bool {
        let features = self.features();
        if features.legacy_exceptions {
            let block = BlockType::Result(ty);
            self.legacy_body(block, &[ty], depth);
            return true;
        }
        if !features.exceptions {
            return false;
        }
        let tag = self.rng.below(self.plan.tags.len());
        let params = self.tag_params(tag);
        self.emit(Instruction::Block(BlockType::Result(ty)));
        self.enter(&[ty]);
        let caught = self.block_type(&[], &params);
        self.emit(Instruction::Block(caught));
        self.enter(&params);
        let catches = vec![Catch::One { tag: tag as u32, label: 0 }];
        self.emit(Instruction::TryTable(BlockType::Result(ty), Cow::Owned(catches)));
        self.enter(&[ty]);
        self.risky(&[ty], depth);
        self.end();
        self.emit(Instruction::Br(1));
        self.end();
        self.consume_all(&params);
        self.sequence(&[ty], depth);
        self.end();
        true
    }

    pub(super) fn try_table(&mut self, depth: usize) {
        const EXN: HeapType = HeapType::Abstract { shared: false, ty: AbstractHeapType::Exn };
        let exnref = ValType::Ref(RefType { nullable: true, heap_type: EXN });
        let with_reference = self.rng.percent(40);
        let caught = if with_reference { vec![exnref] } else { Vec::new() };
        let ty = self.block_type(&[], &caught);
        self.emit(Instruction::Block(BlockType::Empty));
        self.enter(&[]);
        self.emit(Instruction::Block(ty));
        self.enter(&caught);
        let catch = if with_reference { Catch::AllRef { label: 0 } } else { Catch::All { label: 0 } };
        self.emit(Instruction::TryTable(BlockType::Empty, Cow::Owned(vec![catch])));
        self.enter(&[]);
        self.risky(&[], depth);
        self.end();
        self.emit(Instruction::Br(1));
        self.end();
        // Caught, with the exception on the stack beneath a statement.
        self.statement(depth);
        if with_reference {
            if self.rng.percent(40) {
                let local = self.local(exnref);
                self.emit(Instruction::LocalSet(local));
                self.statement(depth);
                self.emit(Instruction::LocalGet(local));
            }
            let again = self.rng.percent(30);
            self.emit(if again { Instruction::ThrowRef } else { Instruction::Drop });
        }
        self.end();
    }

    pub(super) fn legacy_try(&mut self, depth: usize) {
        self.legacy_body(BlockType::Empty, &[], depth);
    }

    pub(super) fn legacy_body(&mut self, block: BlockType, results: &[ValType], depth: usize) {
        self.emit(Instruction::Try(block));
        self.enter(results);
        self.risky(results, depth);
        if self.rng.percent(20) {
            self.labels.pop();
            let label = self.rng.below(self.labels.len());
            return self.emit(Instruction::Delegate(label as u32));
        }
        if let Some(label) = self.labels.last_mut() {
            label.catches = true;
        }
        let tag = self.rng.below(self.plan.tags.len());
        let all = self.rng.percent(50);
        if !all || self.rng.percent(50) {
            self.emit(Instruction::Catch(tag as u32));
            let params = self.tag_params(tag);
            self.take_params(&params, depth);
            self.arm(results, depth);
        }
        if all {
            self.emit(Instruction::CatchAll);
            self.arm(results, depth);
        }
        self.end();
    }
}
