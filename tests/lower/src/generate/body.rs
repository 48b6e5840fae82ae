//! The body of one function: statements and expressions.
//!
//! A *statement* leaves the operand stack as it was, an *expression* pushes one value. Both may contain the other, so
//! a call happens with operands beneath it in its own block and in those around it.

use wasm_encoder::{BlockType, Function, Instruction, ValType};

use crate::generate::plan::Plan;
use crate::rng::Rng;

/// What a branch may go to.
pub(super) struct Label {
    /// What the branch carries.
    pub(super) carries: Vec<ValType>,
    /// Whether it is the label of a legacy `catch`, to which `rethrow` may refer.
    pub(super) catches: bool,
}

pub(super) struct Body<'a> {
    pub(super) plan: &'a mut Plan,
    pub(super) rng: &'a mut Rng,
    pub(super) code: Vec<Instruction<'static>>,
    /// With the parameters.
    pub(super) locals: Vec<ValType>,
    params: usize,
    pub(super) results: Vec<ValType>,
    pub(super) labels: Vec<Label>,
    /// How many instructions there may still be, about.
    pub(super) budget: usize,
}

impl<'a> Body<'a> {
    pub(super) fn new(plan: &'a mut Plan, function: u32, rng: &'a mut Rng) -> Body<'a> {
        let (params, results) = plan.signature_of(function);
        let mut locals = params.clone();
        let features = plan.shape.features;
        let most = if features.big && rng.percent(10) { 9 } else { 2 };
        for ty in &plan.values {
            let count = rng.between(1, most);
            locals.extend([*ty].repeat(count));
        }
        let budget = plan.shape.statements / 2 + rng.below(plan.shape.statements);
        let function = Label { carries: results.clone(), catches: false };
        Body {
            plan,
            rng,
            code: Vec::new(),
            params: params.len(),
            locals,
            results,
            labels: vec![function],
            budget,
        }
    }

    pub(super) fn generate(mut self) -> Function {
        let depth = self.plan.shape.depth;
        self.stop_if_empty();
        while self.budget > 0 {
            self.budget = self.budget.saturating_sub(1);
            self.statement(depth);
        }
        self.budget = 8;
        if self.rng.percent(40) {
            for local in 0..self.locals.len() {
                self.emit(Instruction::LocalGet(local as u32));
                self.mix(self.locals[local]);
            }
        }
        let results = self.results.clone();
        if !(self.rng.percent(25) && self.tail_call(depth)) {
            self.push_all(&results, depth);
            if self.rng.percent(20) {
                self.emit(Instruction::Return);
            }
        }
        self.emit(Instruction::End);
        let mut function = Function::new_with_locals_types(self.locals.iter().skip(self.params).copied());
        for instruction in &self.code {
            function.instruction(instruction);
        }
        function
    }

    pub(super) fn emit(&mut self, instruction: Instruction<'static>) {
        self.code.push(instruction);
    }

    pub(super) fn features(&self) -> super::Features {
        self.plan.shape.features
    }

    /// Everything Ends.
    pub(super) fn stop_if_empty(&mut self) {
        let tick = self.plan.tick();
        self.emit(tick);
        self.emit(Instruction::If(BlockType::Empty));
        for ty in self.results.clone() {
            self.constant(ty);
        }
        self.emit(Instruction::Return);
        self.emit(Instruction::End);
    }

    /// One of the locals of the type, or a new one.
    pub(super) fn local(&mut self, ty: ValType) -> u32 {
        let of_type: Vec<usize> = (0..self.locals.len()).filter(|local| self.locals[*local] == ty).collect();
        let known = if self.rng.percent(4) { None } else { self.rng.pick(&of_type) };
        known.unwrap_or_else(|| {
            self.locals.push(ty);
            self.locals.len() - 1
        }) as u32
    }

    pub(super) fn global(&mut self, ty: ValType) -> Option<u32> {
        // The first three are the fuel and the accumulators.
        let of_type = (3..self.plan.globals.len()).filter(|global| self.plan.globals[*global] == ty);
        let of_type: Vec<usize> = of_type.collect();
        self.rng.pick(&of_type).map(|global| global as u32)
    }

    pub(super) fn some_type(&mut self) -> ValType {
        self.rng.pick(&self.plan.values).unwrap_or(ValType::I32)
    }

    pub(super) fn some_types(&mut self, low: usize, high: usize) -> Vec<ValType> {
        (0..self.rng.between(low, high)).map(|_| self.some_type()).collect()
    }

    pub(super) fn block_type(&mut self, params: &[ValType], results: &[ValType]) -> BlockType {
        match (params, results) {
            ([], []) => BlockType::Empty,
            ([], [result]) => BlockType::Result(*result),
            _ => BlockType::FunctionType(self.plan.ty(params, results)),
        }
    }

    // Expressions.

    pub(super) fn push_all(&mut self, types: &[ValType], depth: usize) {
        if types.len() > 1 && self.rng.percent(25) && self.call_with_results(types, depth) {
            return;
        }
        for ty in types {
            self.push(*ty, depth);
        }
    }

    /// Pushes a value of the type.
    pub(super) fn push(&mut self, ty: ValType, depth: usize) {
        self.budget = self.budget.saturating_sub(1);
        if depth == 0 || self.budget == 0 {
            return self.leaf(ty);
        }
        let depth = depth - 1;
        if !self.plan.tags.is_empty() && self.rng.percent(4) {
            return self.caught(&[ty], depth);
        }
        match self.rng.below(100) {
            0..=17 => self.leaf(ty),
            18..=41 => self.operation(ty, depth),
            42..=67 => {
                if !self.call_for(ty, depth) {
                    self.leaf(ty);
                }
            }
            68..=74 => self.if_else(&[ty], depth),
            75..=81 => self.block(&[ty], depth),
            82..=85 => self.looped(&[ty], depth),
            86..=89 => self.select(ty, depth),
            90..=93 => {
                self.push(ty, depth);
                let local = self.local(ty);
                self.emit(Instruction::LocalTee(local));
            }
            94..=95 => {
                self.push(ty, depth);
                self.branch_if(depth, Some(ty));
            }
            96 => {
                // What follows is dead, and is generated all the same.
                self.leave(depth);
                if self.rng.percent(50) {
                    self.push(ty, depth.min(2));
                }
                // Else the value comes from the stack of unreachable code, which has any.
                else if matches!(ty, ValType::Ref(_)) {
                    self.constant(ty);
                }
            }
            97 => {
                if self.plan.tags.is_empty() {
                    self.push(ty, depth);
                } else {
                    self.caught(&[ty], depth);
                }
            }
            _ => {
                self.statement(depth);
                self.push(ty, depth);
            }
        }
    }

    pub(super) fn leaf(&mut self, ty: ValType) {
        match self.rng.below(10) {
            0..=2 => self.constant(ty),
            3..=7 => {
                let local = self.local(ty);
                self.emit(Instruction::LocalGet(local));
            }
            _ => match self.global(ty) {
                Some(global) => self.emit(Instruction::GlobalGet(global)),
                None => self.constant(ty),
            },
        }
    }

    pub(super) fn constant(&mut self, ty: ValType) {
        let number = if self.rng.percent(60) { self.rng.number() % 19 } else { self.rng.number() };
        let instruction = match ty {
            ValType::I32 => Instruction::I32Const(number as i32),
            ValType::I64 => Instruction::I64Const(number as i64),
            ValType::F32 => Instruction::F32Const((number as i32 as f32 / 4.0).into()),
            ValType::F64 => Instruction::F64Const((number as i64 as f64 / 8.0).into()),
            ValType::V128 => Instruction::V128Const(i128::from(number) << 40 | i128::from(number)),
            ValType::FUNCREF if self.rng.percent(60) => {
                let callable: Vec<u32> = self.plan.callable().collect();
                Instruction::RefFunc(self.rng.pick(&callable).unwrap_or(0))
            }
            ValType::Ref(ty) => Instruction::RefNull(ty.heap_type),
        };
        self.emit(instruction);
    }

    pub(super) fn select(&mut self, ty: ValType, depth: usize) {
        self.push(ty, depth);
        self.push(ty, depth);
        self.push(ValType::I32, depth);
        let typed = matches!(ty, ValType::Ref(_)) || self.features().references && self.rng.percent(30);
        self.emit(if typed { Instruction::TypedSelect(ty) } else { Instruction::Select });
    }

    // What becomes of values.

    pub(super) fn consume_all(&mut self, types: &[ValType]) {
        for ty in types.iter().rev() {
            self.consume(*ty);
        }
    }

    /// Pops a value. Everything Shows, so most are kept somewhere.
    pub(super) fn consume(&mut self, ty: ValType) {
        match self.rng.below(10) {
            0..=4 => {
                let local = self.local(ty);
                self.emit(Instruction::LocalSet(local));
            }
            5..=8 => self.mix(ty),
            _ => self.emit(Instruction::Drop),
        }
    }

    /// Pops a value into an accumulator.
    pub(super) fn mix(&mut self, ty: ValType) {
        let (to_integer, wide) = match ty {
            ValType::I32 => (None, false),
            ValType::I64 => (None, true),
            ValType::F32 => (Some(Instruction::I32ReinterpretF32), false),
            ValType::F64 => (Some(Instruction::I64ReinterpretF64), true),
            ValType::V128 => (Some(Instruction::I64x2ExtractLane(self.rng.below(2) as u8)), true),
            ValType::Ref(_) => (Some(Instruction::RefIsNull), false),
        };
        if let Some(to_integer) = to_integer {
            self.emit(to_integer);
        }
        let mix = if wide { self.plan.mix64() } else { self.plan.mix32() };
        self.emit(mix);
    }
}
