//! Statements: what leaves the operand stack as it was.

use std::borrow::Cow;

use wasm_encoder::{BlockType, Instruction, ValType};

use crate::generate::body::Body;

impl Body<'_> {
    pub(super) fn statement(&mut self, depth: usize) {
        self.budget = self.budget.saturating_sub(1);
        let ty = self.some_type();
        if depth == 0 || self.budget == 0 {
            self.leaf(ty);
            return self.consume(ty);
        }
        let depth = depth - 1;
        if !self.plan.tags.is_empty() && self.rng.percent(9) {
            return self.exceptional(depth);
        }
        match self.rng.below(100) {
            0..=14 => {
                self.push(ty, depth);
                let local = self.local(ty);
                self.emit(Instruction::LocalSet(local));
            }
            15..=19 => {
                self.push(ty, depth);
                match self.global(ty) {
                    Some(global) => self.emit(Instruction::GlobalSet(global)),
                    None => self.consume(ty),
                }
            }
            20..=24 => self.store(depth),
            25..=26 => {
                self.push(ty, depth);
                self.emit(Instruction::Drop);
            }
            27..=44 => self.call_statement(depth),
            45..=52 => self.if_statement(depth),
            53..=57 => self.block(&[], depth),
            58..=64 => self.looped(&[], depth),
            65..=69 => self.branch_if(depth, None),
            70..=73 => self.switch(depth),
            74..=86 => {
                let operands = self.some_types(1, 4);
                self.push_all(&operands, depth);
                for _ in 0..self.rng.between(1, 2) {
                    self.statement(depth);
                }
                self.consume_all(&operands);
            }
            87..=88 if self.features().multi_value => {
                let results = self.some_types(2, 3);
                match self.rng.below(3) {
                    0 => self.block(&results, depth),
                    1 => self.if_else(&results, depth),
                    _ => self.looped(&results, depth),
                }
                self.consume_all(&results);
            }
            89 if self.features().grow => self.grow(),
            90 if self.features().traps => {
                self.rarely();
                self.emit(Instruction::If(BlockType::Empty));
                self.emit(Instruction::Unreachable);
                self.emit(Instruction::End);
            }
            91..=93 => {
                self.condition(depth);
                self.emit(Instruction::If(BlockType::Empty));
                self.enter(&[]);
                self.statement(depth);
                if self.rng.percent(50) || !self.tail_call(depth) {
                    self.leave(depth);
                }
                if self.rng.percent(25) {
                    self.statement(depth.min(2));
                }
                self.end();
            }
            94..=95 if self.features().references => self.reference_statement(depth),
            _ => self.call_statement(depth),
        }
    }

    pub(super) fn call_statement(&mut self, depth: usize) {
        let Some(function) = self.some_function(|_| true) else { return };
        let (params, results) = self.plan.signature_of(function);
        self.call(function, &params, depth);
        self.consume_all(&results);
    }

    pub(super) fn if_statement(&mut self, depth: usize) {
        let params = self.block_params(depth);
        if !params.is_empty() {
            let keep = self.rng.percent(50);
            let results = if keep { params.clone() } else { Vec::new() };
            let ty = self.block_type(&params, &results);
            self.condition(depth);
            self.emit(Instruction::If(ty));
            self.enter(&results);
            self.take_params(&params, depth);
            self.arm(&results, depth);
            if !keep {
                self.emit(Instruction::Else);
                self.take_params(&params, depth);
            }
            self.end();
            return self.consume_all(&results);
        }
        self.condition(depth);
        self.emit(Instruction::If(BlockType::Empty));
        self.enter(&[]);
        self.arm(&[], depth);
        if self.rng.percent(50) {
            self.emit(Instruction::Else);
            self.arm(&[], depth);
        }
        self.end();
    }

    /// Nested blocks, and a `br_table` into them.
    pub(super) fn switch(&mut self, depth: usize) {
        let arms = self.rng.between(1, 4);
        let carries = self.some_types(0, 1);
        let ty = self.block_type(&[], &carries);
        for _ in 0..=arms {
            self.emit(Instruction::Block(ty));
            self.enter(&carries);
        }
        self.push_all(&carries, depth);
        self.push(ValType::I32, depth);
        self.emit(Instruction::I32Const(7));
        self.emit(Instruction::I32And);
        let targets = (0..arms as u32).collect();
        self.emit(Instruction::BrTable(Cow::Owned(targets), arms as u32));
        for _ in 0..arms {
            self.end();
            self.consume_all(&carries);
            self.statement(depth);
            self.push_all(&carries, depth);
            if self.rng.percent(60) {
                let outermost = arms.min(self.labels.len() - 1);
                let to = self.rng.below(outermost);
                let label = if self.carries(to) == carries { to } else { 0 };
                if self.carries(label) == carries {
                    self.emit(Instruction::Br(label as u32));
                }
            }
        }
        self.end();
        self.consume_all(&carries);
    }

    pub(super) fn grow(&mut self) {
        self.push(ValType::I32, 1);
        self.emit(Instruction::I32Const(1));
        self.emit(Instruction::I32And);
        let memory = self.rng.below(1 + usize::from(self.features().memories)) as u32;
        self.emit(Instruction::MemoryGrow(memory));
        self.mix(ValType::I32);
        self.emit(Instruction::MemorySize(memory));
        self.mix(ValType::I32);
    }

    pub(super) fn reference_statement(&mut self, depth: usize) {
        let (ty, table) = (ValType::EXTERNREF, 1);
        self.push(ValType::I32, depth.min(2));
        self.emit(Instruction::I32Const(7));
        self.emit(Instruction::I32And);
        if self.rng.percent(50) {
            self.push(ty, depth);
            self.emit(Instruction::TableSet(table));
        } else {
            self.emit(Instruction::TableGet(table));
            self.consume(ty);
        }
    }
}
