//! Blocks, loops and branches.

use std::borrow::Cow;

use wasm_encoder::{Instruction, ValType};

use crate::generate::body::{Body, Label};

impl Body<'_> {
    pub(super) fn enter(&mut self, carries: &[ValType]) {
        self.labels.push(Label { carries: carries.to_vec(), catches: false });
    }

    pub(super) fn end(&mut self) {
        self.labels.pop();
        self.emit(Instruction::End);
    }

    /// A few statements, then the results.
    pub(super) fn sequence(&mut self, results: &[ValType], depth: usize) {
        for _ in 0..self.rng.below(3) {
            self.statement(depth);
        }
        self.push_all(results, depth);
    }

    /// Parameters for a block: none without multi-value.
    pub(super) fn block_params(&mut self, depth: usize) -> Vec<ValType> {
        if !self.features().multi_value || !self.rng.percent(35) {
            return Vec::new();
        }
        let params = self.some_types(1, 3);
        self.push_all(&params, depth);
        params
    }

    /// Uses up the parameters of a block, possibly after statements with them beneath.
    pub(super) fn take_params(&mut self, params: &[ValType], depth: usize) {
        if !params.is_empty() && self.rng.percent(60) {
            self.statement(depth);
        }
        self.consume_all(params);
    }

    pub(super) fn block(&mut self, results: &[ValType], depth: usize) {
        let params = self.block_params(depth);
        let ty = self.block_type(&params, results);
        self.emit(Instruction::Block(ty));
        self.enter(results);
        self.take_params(&params, depth);
        self.sequence(results, depth);
        self.end();
    }

    pub(super) fn if_else(&mut self, results: &[ValType], depth: usize) {
        let params = self.block_params(depth);
        self.condition(depth);
        let ty = self.block_type(&params, results);
        self.emit(Instruction::If(ty));
        self.enter(results);
        self.take_params(&params, depth);
        self.arm(results, depth);
        if params.as_slice() != results || self.rng.percent(60) {
            self.emit(Instruction::Else);
            self.take_params(&params, depth);
            self.arm(results, depth);
        }
        self.end();
    }

    pub(super) fn arm(&mut self, results: &[ValType], depth: usize) {
        if self.rng.percent(12) {
            self.statement(depth);
            self.leave(depth);
            if self.rng.percent(30) {
                // Dead.
                self.statement(depth.min(2));
            }
            if self.rng.percent(60) {
                return;
            }
        }
        self.sequence(results, depth);
    }

    pub(super) fn condition(&mut self, depth: usize) {
        self.push(ValType::I32, depth);
        if self.rng.percent(60) {
            let bit = 1 << self.rng.below(4);
            self.emit(Instruction::I32Const(bit));
            self.emit(Instruction::I32And);
        }
    }

    pub(super) fn looped(&mut self, results: &[ValType], depth: usize) {
        let params = self.block_params(depth);
        let ty = self.block_type(&params, results);
        self.emit(Instruction::Loop(ty));
        self.enter(&params);
        self.stop_if_empty();
        self.take_params(&params, depth);
        for _ in 0..self.rng.between(1, 2) {
            self.statement(depth);
        }
        if self.rng.percent(80) {
            self.push_all(&params, depth);
            self.condition(depth);
            self.emit(Instruction::BrIf(0));
            self.consume_all(&params);
        }
        self.push_all(results, depth);
        self.end();
    }

    /// A branch that may be taken, with the values that it carries; those are used up behind it. With `kept`, one
    /// value of that type is on the stack before and after, and may be what is carried.
    pub(super) fn branch_if(&mut self, depth: usize, kept: Option<ValType>) {
        let label = self.rng.below(self.labels.len());
        let carries = self.carries(label);
        if let Some(kept) = kept
            && carries == [kept]
        {
            self.condition(depth);
            return self.emit(Instruction::BrIf(label as u32));
        }
        self.push_all(&carries, depth);
        self.condition(depth);
        self.emit(Instruction::BrIf(label as u32));
        self.consume_all(&carries);
    }

    pub(super) fn carries(&self, label: usize) -> Vec<ValType> {
        self.labels[self.labels.len() - 1 - label].carries.clone()
    }

    /// A `br_table` to several labels that carry the same.
    pub(super) fn branch_table(&mut self, depth: usize) {
        let label = self.rng.below(self.labels.len());
        let carries = self.carries(label);
        let alike: Vec<u32> = (0..self.labels.len())
            .filter(|other| self.carries(*other) == carries)
            .map(|other| other as u32)
            .collect();
        let targets: Vec<u32> = (0..self.rng.between(1, 5)).filter_map(|_| self.rng.pick(&alike)).collect();
        self.push_all(&carries, depth);
        self.push(ValType::I32, depth);
        self.emit(Instruction::I32Const(7));
        self.emit(Instruction::I32And);
        self.emit(Instruction::BrTable(Cow::Owned(targets), label as u32));
    }

    /// Something that control does not come back from.
    pub(super) fn leave(&mut self, depth: usize) {
        match self.rng.below(12) {
            0..=4 => {
                let label = self.rng.below(self.labels.len());
                let carries = self.carries(label);
                self.push_all(&carries, depth);
                self.emit(Instruction::Br(label as u32));
            }
            5..=7 => {
                let results = self.results.clone();
                self.push_all(&results, depth);
                self.emit(Instruction::Return);
            }
            8..=9 => self.branch_table(depth),
            10 if self.tail_call(depth) => {}
            11 if self.throw(depth) => {}
            11 if self.features().traps && self.rng.percent(30) => {
                self.emit(Instruction::Unreachable);
            }
            _ => {
                let label = self.labels.len() - 1;
                let carries = self.carries(label);
                self.push_all(&carries, depth);
                self.emit(Instruction::Br(label as u32));
            }
        }
    }
}
