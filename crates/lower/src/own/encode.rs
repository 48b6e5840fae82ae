//! Bytes of bodies, types and constants.

use wasm_encoder::{ConstExpr, Encode, InstructionSink, ValType as Encoded};
use wasmparser::ValType;

use crate::own::frame;

/// A body: its local declarations, then its code.
pub(crate) fn finish_function(locals: &[Encoded], code: Vec<u8>) -> Vec<u8> {
    let mut runs: Vec<(u32, Encoded)> = Vec::new();
    for ty in locals {
        match runs.last_mut() {
            Some((count, last)) if last == ty => *count += 1,
            _ => runs.push((1, *ty)),
        }
    }
    let mut function = Vec::with_capacity(code.len() + 8);
    runs.len().encode(&mut function);
    for (count, ty) in runs {
        count.encode(&mut function);
        ty.encode(&mut function);
    }
    function.extend(code);
    function
}

/// A type as the encoder has it.
pub(crate) fn encoded(ty: ValType) -> Encoded {
    match ty {
        ValType::I32 => Encoded::I32,
        ValType::I64 => Encoded::I64,
        ValType::F32 => Encoded::F32,
        ValType::F64 => Encoded::F64,
        ValType::V128 => Encoded::V128,
        ValType::Ref(ty) if ty.is_func_ref() => Encoded::FUNCREF,
        ValType::Ref(ty) if ty.is_extern_ref() => Encoded::EXTERNREF,
        ValType::Ref(_) => Encoded::EXNREF,
    }
}

/// Zero or null, as the initial value of a global.
pub(crate) fn zero_value(ty: ValType) -> ConstExpr {
    match ty {
        ValType::I32 => ConstExpr::i32_const(0),
        ValType::I64 => ConstExpr::i64_const(0),
        ValType::F32 => ConstExpr::f32_const(0.0.into()),
        ValType::F64 => ConstExpr::f64_const(0.0.into()),
        ValType::V128 => ConstExpr::v128_const(0),
        ValType::Ref(reference) => ConstExpr::ref_null(frame::heap_type(reference)),
    }
}

/// Pushes zero or null.
pub(crate) fn zero(sink: &mut InstructionSink<'_>, ty: ValType) {
    match ty {
        ValType::I32 => sink.i32_const(0),
        ValType::I64 => sink.i64_const(0),
        ValType::F32 => sink.f32_const(0.0.into()),
        ValType::F64 => sink.f64_const(0.0.into()),
        ValType::V128 => sink.v128_const(0),
        ValType::Ref(reference) => sink.ref_null(frame::heap_type(reference)),
    };
}

/// Pushes what a resumed call returned.
pub(crate) fn take_result(sink: &mut InstructionSink<'_>, global: u32, ty: ValType) {
    sink.global_get(global);
    if let ValType::Ref(_) = ty {
        // What nobody needs any more must not be held.
        zero(sink, ty);
        sink.global_set(global);
    }
}
