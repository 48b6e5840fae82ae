//! Values of WebAssembly as bits, the same for each engine.

use std::fmt;

use crate::rng::Rng;

/// The types that cross the border between host and guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
    /// A 32-bit float.
    F32,
    /// A 64-bit float.
    F64,
    /// A vector.
    V128,
    /// A function or null.
    Func,
    /// A number of the host's, or null.
    Extern,
}

impl Type {
    /// The type, if it is one of those.
    pub fn of(ty: wasmparser::ValType) -> Option<Type> {
        Some(match ty {
            wasmparser::ValType::I32 => Type::I32,
            wasmparser::ValType::I64 => Type::I64,
            wasmparser::ValType::F32 => Type::F32,
            wasmparser::ValType::F64 => Type::F64,
            wasmparser::ValType::V128 => Type::V128,
            wasmparser::ValType::FUNCREF => Type::Func,
            wasmparser::ValType::EXTERNREF => Type::Extern,
            wasmparser::ValType::Ref(_) => return None,
        })
    }

    /// The name in the text format.
    pub fn name(self) -> &'static str {
        match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::V128 => "v128",
            Type::Func => "funcref",
            Type::Extern => "externref",
        }
    }
}

/// A value. Floats are their bits, so that equal means the same bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Value {
    /// A 32-bit integer.
    I32(u32),
    /// A 64-bit integer.
    I64(u64),
    /// The bits of a 32-bit float.
    F32(u32),
    /// The bits of a 64-bit float.
    F64(u64),
    /// A vector.
    V128(u128),
    /// Whether there is a function: which one cannot be told from outside.
    Func(bool),
    /// A number of the host's, or null.
    Extern(Option<u32>),
}

impl Value {
    /// Zero or null.
    pub fn zero(ty: Type) -> Value {
        match ty {
            Type::I32 => Value::I32(0),
            Type::I64 => Value::I64(0),
            Type::F32 => Value::F32(0),
            Type::F64 => Value::F64(0),
            Type::V128 => Value::V128(0),
            Type::Func => Value::Func(false),
            Type::Extern => Value::Extern(None),
        }
    }

    /// A value of the type: small integers, bit patterns, floats, never a NaN, as the bits of those may change on
    /// the way.
    pub fn random(ty: Type, rng: &mut Rng) -> Value {
        let small = rng.percent(50);
        let bits = if small { rng.number() % 17 } else { rng.number() };
        match ty {
            Type::I32 => Value::I32(bits as u32),
            Type::I64 => Value::I64(bits),
            Type::F32 => {
                let float = if small { bits as f32 - 4.0 } else { f32::from_bits(bits as u32) };
                Value::F32(if float.is_nan() { 1.5_f32.to_bits() } else { float.to_bits() })
            }
            Type::F64 => {
                let float = if small { bits as f64 / 4.0 } else { f64::from_bits(bits) };
                Value::F64(if float.is_nan() { 2.5_f64.to_bits() } else { float.to_bits() })
            }
            Type::V128 => Value::V128(u128::from(bits) << 64 | u128::from(rng.number())),
            Type::Func => Value::Func(false),
            Type::Extern => Value::Extern((!rng.percent(20)).then_some(bits as u32)),
        }
    }

    /// What goes into a hash.
    pub fn bits(self) -> u64 {
        match self {
            Value::I32(bits) | Value::F32(bits) => u64::from(bits),
            Value::I64(bits) | Value::F64(bits) => bits,
            Value::V128(bits) => (bits >> 64) as u64 ^ (bits as u64).rotate_left(17),
            Value::Func(is_some) => u64::from(is_some),
            Value::Extern(number) => number.map_or(1 << 32, u64::from),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::I32(bits) => write!(f, "i32:{:#x}", bits),
            Value::I64(bits) => write!(f, "i64:{:#x}", bits),
            Value::F32(bits) => write!(f, "f32:{:?}={bits:#x}", f32::from_bits(bits)),
            Value::F64(bits) => write!(f, "f64:{:?}={bits:#x}", f64::from_bits(bits)),
            Value::V128(bits) => write!(f, "v128:{bits:#x}"),
            Value::Func(is_some) => write!(f, "funcref:{}", if is_some { "some" } else { "null" }),
            Value::Extern(None) => write!(f, "externref:null"),
            Value::Extern(Some(number)) => write!(f, "externref:{number:#x}"),
        }
    }
}
