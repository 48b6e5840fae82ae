//! Instructions that compute, load and store.

use wasm_encoder::{Instruction, MemArg, ValType};

use crate::generate::WORK;
use crate::generate::body::Body;

/// Operands, the instruction, whether a NaN may come out.
type Operation = (&'static [ValType], Instruction<'static>, bool);

const I32: ValType = ValType::I32;
const I64: ValType = ValType::I64;
const F32: ValType = ValType::F32;
const F64: ValType = ValType::F64;
const V128: ValType = ValType::V128;

const TO_I32: &[Operation] = &[
    (&[I32, I32], Instruction::I32Add, false),
    (&[I32, I32], Instruction::I32Sub, false),
    (&[I32, I32], Instruction::I32Mul, false),
    (&[I32, I32], Instruction::I32And, false),
    (&[I32, I32], Instruction::I32Xor, false),
    (&[I32, I32], Instruction::I32Shl, false),
    (&[I32, I32], Instruction::I32ShrS, false),
    (&[I32, I32], Instruction::I32Rotl, false),
    (&[I32, I32], Instruction::I32LtS, false),
    (&[I32, I32], Instruction::I32GeU, false),
    (&[I32], Instruction::I32Eqz, false),
    (&[I32], Instruction::I32Popcnt, false),
    (&[I32], Instruction::I32Clz, false),
    (&[I32], Instruction::I32Extend8S, false),
    (&[I64], Instruction::I32WrapI64, false),
    (&[I64], Instruction::I64Eqz, false),
    (&[I64, I64], Instruction::I64Ne, false),
    (&[I64, I64], Instruction::I64LtU, false),
    (&[F32], Instruction::I32ReinterpretF32, false),
    (&[F32, F32], Instruction::F32Lt, false),
    (&[F64, F64], Instruction::F64Ge, false),
    (&[F64], Instruction::I32TruncSatF64S, false),
    (&[F32], Instruction::I32TruncSatF32U, false),
];

const TO_I64: &[Operation] = &[
    (&[I64, I64], Instruction::I64Add, false),
    (&[I64, I64], Instruction::I64Sub, false),
    (&[I64, I64], Instruction::I64Mul, false),
    (&[I64, I64], Instruction::I64Or, false),
    (&[I64, I64], Instruction::I64Xor, false),
    (&[I64, I64], Instruction::I64ShrU, false),
    (&[I64, I64], Instruction::I64Rotr, false),
    (&[I64], Instruction::I64Ctz, false),
    (&[I32], Instruction::I64ExtendI32S, false),
    (&[I32], Instruction::I64ExtendI32U, false),
    (&[F64], Instruction::I64ReinterpretF64, false),
    (&[F32], Instruction::I64TruncSatF32S, false),
];

const TO_F32: &[Operation] = &[
    (&[F32, F32], Instruction::F32Add, true),
    (&[F32, F32], Instruction::F32Sub, true),
    (&[F32, F32], Instruction::F32Mul, true),
    (&[F32, F32], Instruction::F32Min, false),
    (&[F32, F32], Instruction::F32Copysign, false),
    (&[F32], Instruction::F32Neg, false),
    (&[F32], Instruction::F32Floor, false),
    (&[I32], Instruction::F32ConvertI32S, false),
    (&[I64], Instruction::F32ConvertI64U, false),
    (&[F64], Instruction::F32DemoteF64, false),
    (&[I32], Instruction::F32ReinterpretI32, true),
];

const TO_F64: &[Operation] = &[
    (&[F64, F64], Instruction::F64Add, true),
    (&[F64, F64], Instruction::F64Div, true),
    (&[F64, F64], Instruction::F64Mul, true),
    (&[F64, F64], Instruction::F64Max, false),
    (&[F64], Instruction::F64Abs, false),
    (&[F64], Instruction::F64Sqrt, true),
    (&[I32], Instruction::F64ConvertI32U, false),
    (&[I64], Instruction::F64ConvertI64S, false),
    (&[F32], Instruction::F64PromoteF32, false),
    (&[I64], Instruction::F64ReinterpretI64, true),
];

const TO_V128: &[Operation] = &[
    (&[V128, V128], Instruction::I32x4Add, false),
    (&[V128, V128], Instruction::I64x2Sub, false),
    (&[V128, V128], Instruction::V128Xor, false),
    (&[V128, V128], Instruction::I8x16Swizzle, false),
    (&[V128, V128, V128], Instruction::V128Bitselect, false),
    (&[I32], Instruction::I32x4Splat, false),
    (&[I64], Instruction::I64x2Splat, false),
    (&[F64], Instruction::F64x2Splat, false),
    (&[V128, I64], Instruction::I64x2ReplaceLane(1), false),
    (&[V128, F32], Instruction::F32x4ReplaceLane(2), false),
];

const FROM_V128_TO_I32: &[Operation] = &[
    (&[V128], Instruction::I32x4ExtractLane(3), false),
    (&[V128], Instruction::I8x16AllTrue, false),
    (&[V128], Instruction::V128AnyTrue, false),
    (&[V128], Instruction::I32x4Bitmask, false),
];

impl Body<'_> {
    /// Pushes the result of an instruction that computes or loads.
    pub(super) fn operation(&mut self, ty: ValType, depth: usize) {
        let features = self.plan.shape.features;
        if ty == ValType::I32 && features.references && self.rng.percent(10) {
            let of = if self.rng.percent(50) { ValType::FUNCREF } else { ValType::EXTERNREF };
            self.push(of, depth);
            return self.emit(Instruction::RefIsNull);
        }
        if ty == ValType::I32 && self.rng.percent(8) {
            return self.divide(depth);
        }
        let from_vector = features.v128 && self.rng.percent(12);
        let operations = match ty {
            ValType::I32 if from_vector => FROM_V128_TO_I32,
            ValType::I32 => TO_I32,
            ValType::I64 => TO_I64,
            ValType::F32 => TO_F32,
            ValType::F64 => TO_F64,
            ValType::V128 => TO_V128,
            ValType::Ref(_) => {
                if ty == ValType::EXTERNREF {
                    self.push(ValType::I32, depth.min(2));
                    self.emit(Instruction::I32Const(7));
                    self.emit(Instruction::I32And);
                    self.emit(Instruction::TableGet(1));
                } else {
                    self.constant(ty);
                }
                return;
            }
        };
        if self.rng.percent(20) {
            return self.load(ty, depth);
        }
        let chosen = self.rng.below(operations.len());
        let (operands, instruction, may_be_nan) = &operations[chosen];
        self.push_all(operands, depth);
        self.emit(instruction.clone());
        if *may_be_nan {
            self.canonicalize(ty);
        }
    }

    /// A division, by something odd unless it may trap.
    fn divide(&mut self, depth: usize) {
        self.push(ValType::I32, depth);
        self.push(ValType::I32, depth);
        if !(self.plan.shape.features.traps && self.rng.percent(10)) {
            self.emit(Instruction::I32Const(1));
            self.emit(Instruction::I32Or);
        }
        let divide = self.rng.percent(50);
        self.emit(if divide { Instruction::I32DivU } else { Instruction::I32RemU });
    }

    fn canonicalize(&mut self, ty: ValType) {
        let call = match ty {
            ValType::F32 => self.plan.canonical32(),
            ValType::F64 => self.plan.canonical64(),
            _ => return,
        };
        self.emit(call);
    }

    /// Pushes an address that can be read and written.
    fn address(&mut self, depth: usize) {
        self.push(ValType::I32, depth.min(2));
        if self.plan.shape.features.traps && self.rng.percent(1) {
            self.emit(Instruction::I32Const(i32::MIN));
            self.emit(Instruction::I32Or);
        } else {
            self.emit(Instruction::I32Const(WORK as i32 - 64));
            self.emit(Instruction::I32And);
        }
    }

    fn place(&mut self) -> MemArg {
        let memories = 1 + usize::from(self.plan.shape.features.memories);
        MemArg { offset: self.rng.below(40) as u64, align: 0, memory_index: self.rng.below(memories) as u32 }
    }

    fn load(&mut self, ty: ValType, depth: usize) {
        self.address(depth);
        let place = self.place();
        let instruction = match ty {
            ValType::I32 if self.rng.percent(40) => Instruction::I32Load8U(place),
            ValType::I32 => Instruction::I32Load(place),
            ValType::I64 => Instruction::I64Load(place),
            ValType::F32 => Instruction::F32Load(place),
            ValType::F64 => Instruction::F64Load(place),
            _ => Instruction::V128Load(place),
        };
        self.emit(instruction);
        self.canonicalize(ty);
    }

    /// Stores a value.
    pub(super) fn store(&mut self, depth: usize) {
        let numbers: Vec<ValType> =
            self.plan.values.iter().copied().filter(|ty| !matches!(ty, ValType::Ref(_))).collect();
        let ty = self.rng.pick(&numbers).unwrap_or(ValType::I32);
        self.address(depth);
        self.push(ty, depth);
        let place = self.place();
        let instruction = match ty {
            ValType::I32 if self.rng.percent(40) => Instruction::I32Store16(place),
            ValType::I32 => Instruction::I32Store(place),
            ValType::I64 => Instruction::I64Store(place),
            ValType::F32 => Instruction::F32Store(place),
            ValType::F64 => Instruction::F64Store(place),
            _ => Instruction::V128Store(place),
        };
        self.emit(instruction);
    }
}
