//! Calls, direct, through the table, and instead of a return.

use wasm_encoder::{Instruction, ValType};

use crate::generate::body::Body;
use crate::generate::plan::{Group, Signature};

impl Body<'_> {
    /// Calls something that returns a value of the type, which is left; what else it returns is used up.
    pub(super) fn call_for(&mut self, ty: ValType, depth: usize) -> bool {
        let Some(function) = self.some_function(|(_, results)| results.contains(&ty)) else { return false };
        let (params, results) = self.plan.signature_of(function);
        self.call(function, &params, depth);
        let places: Vec<usize> = (0..results.len()).filter(|place| results[*place] == ty).collect();
        let place = self.rng.pick(&places).unwrap_or(0);
        for ty in results[place + 1..].iter().rev() {
            self.consume(*ty);
        }
        if place > 0 {
            let local = self.local(ty);
            self.emit(Instruction::LocalSet(local));
            for ty in results[..place].iter().rev() {
                if self.rng.percent(50) {
                    self.emit(Instruction::Drop);
                } else {
                    // Into a new local: the one above must keep its value.
                    self.locals.push(*ty);
                    self.emit(Instruction::LocalSet(self.locals.len() as u32 - 1));
                }
            }
            self.emit(Instruction::LocalGet(local));
        }
        true
    }

    pub(super) fn call_with_results(&mut self, wanted: &[ValType], depth: usize) -> bool {
        let Some(function) = self.some_function(|(_, results)| results == wanted) else { return false };
        let (params, _) = self.plan.signature_of(function);
        self.call(function, &params, depth.saturating_sub(1));
        true
    }

    /// A function of that kind, preferably an import that suspends.
    pub(super) fn some_function(&mut self, kind: impl Fn(&Signature) -> bool) -> Option<u32> {
        let of_kind = |function: &u32| kind(&self.plan.types[self.plan.type_of(*function) as usize]);
        let functions: Vec<u32> = self.plan.callable().filter(of_kind).collect();
        let imports = self.plan.imports.len() as u32;
        let ours: Vec<u32> = functions.iter().copied().filter(|function| *function < imports).collect();
        if self.rng.percent(40) && !ours.is_empty() {
            return self.rng.pick(&ours);
        }
        self.rng.pick(&functions)
    }

    pub(super) fn call(&mut self, function: u32, params: &[ValType], depth: usize) {
        self.push_all(params, depth);
        match self.indirect(function, depth) {
            Some(ty) => self.emit(Instruction::CallIndirect { type_index: ty, table_index: 0 }),
            None => self.emit(Instruction::Call(function)),
        }
    }

    /// Sometimes pushes the place of the function in the table, or that of one of the same type.
    pub(super) fn indirect(&mut self, function: u32, depth: usize) -> Option<u32> {
        if !self.rng.percent(35) {
            return None;
        }
        let ty = self.plan.type_of(function);
        let Group { start, length, .. } = *self.plan.groups.iter().find(|group| group.ty == ty)?;
        if self.rng.percent(40) {
            self.push(ValType::I32, depth.min(2));
            self.emit(Instruction::I32Const(length as i32 - 1));
            self.emit(Instruction::I32And);
            self.emit(Instruction::I32Const(start as i32));
            self.emit(Instruction::I32Add);
        } else {
            let place = start as usize + self.rng.below(length as usize);
            self.emit(Instruction::I32Const(place as i32));
        }
        if self.features().traps && self.rng.percent(2) {
            // Another type, or null.
            self.rarely();
            self.emit(Instruction::I32Add);
        }
        Some(ty)
    }

    /// Pushes 1, but 0 in most cases.
    pub(super) fn rarely(&mut self) {
        self.push(ValType::I32, 1);
        self.emit(Instruction::I32Const(15));
        self.emit(Instruction::I32And);
        self.emit(Instruction::I32Const(5));
        self.emit(Instruction::I32Eq);
    }

    /// Leaves the function by a tail call.
    pub(super) fn tail_call(&mut self, depth: usize) -> bool {
        if !self.features().tail_calls {
            return false;
        }
        let wanted = self.results.clone();
        let Some(function) = self.some_function(|(_, results)| *results == wanted) else { return false };
        let (params, _) = self.plan.signature_of(function);
        self.push_all(&params, depth.saturating_sub(1));
        match self.indirect(function, depth.min(1)) {
            Some(ty) => self.emit(Instruction::ReturnCallIndirect { type_index: ty, table_index: 0 }),
            None => self.emit(Instruction::ReturnCall(function)),
        }
        true
    }
}
