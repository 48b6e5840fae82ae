//! Rust types as parameters and results of typed calls.

use crate::value::{Type, Value};

/// One argument on its way to the guest; text and bytes are still the caller's.
#[derive(Clone, Copy, Debug)]
#[doc(hidden)]
pub enum Arg<'a> {
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    String(&'a str),
    Bytes(&'a [u8]),
}

impl Arg<'_> {
    pub(crate) fn ty(&self) -> Type {
        match self {
            Self::I32(_) => Type::I32,
            Self::U32(_) => Type::U32,
            Self::I64(_) => Type::I64,
            Self::U64(_) => Type::U64,
            Self::F32(_) => Type::F32,
            Self::F64(_) => Type::F64,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
        }
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type that can be an argument: the numbers, text and bytes, owned or borrowed, and [`Value`].
pub trait Param: sealed::Sealed {
    #[doc(hidden)]
    fn arg(&self) -> Arg<'_>;
}

/// The arguments of a call: `()`, one [`Param`], a tuple of up to eight, or a slice of [`Value`]s.
pub trait Params {
    #[doc(hidden)]
    fn args(&self) -> Vec<Arg<'_>>;
}

/// What a call returns: `()`, a number, `String`, `Vec<u8>`, or `Option<Value>` for whatever it is.
pub trait Returned: Sized {
    #[doc(hidden)]
    fn accepts(result: Option<Type>) -> bool;
    #[doc(hidden)]
    fn describe() -> &'static str;
    #[doc(hidden)]
    fn from_value(value: Option<Value>) -> Option<Self>;
}

macro_rules! param {
    ($($ty:ty, $self:ident => $arg:expr;)*) => {$(
        impl sealed::Sealed for $ty {}
        impl Param for $ty {
            fn arg(&$self) -> Arg<'_> {
                $arg
            }
        }
        impl Params for $ty {
            fn args(&self) -> Vec<Arg<'_>> {
                vec![self.arg()]
            }
        }
    )*};
}

param! {
    i32, self => Arg::I32(*self);
    u32, self => Arg::U32(*self);
    i64, self => Arg::I64(*self);
    u64, self => Arg::U64(*self);
    f32, self => Arg::F32(*self);
    f64, self => Arg::F64(*self);
    &str, self => Arg::String(self);
    String, self => Arg::String(self);
    &String, self => Arg::String(self);
    &[u8], self => Arg::Bytes(self);
    Vec<u8>, self => Arg::Bytes(self);
    &Vec<u8>, self => Arg::Bytes(self);
    Value, self => match self {
        Value::I32(number) => Arg::I32(*number),
        Value::U32(number) => Arg::U32(*number),
        Value::I64(number) => Arg::I64(*number),
        Value::U64(number) => Arg::U64(*number),
        Value::F32(number) => Arg::F32(*number),
        Value::F64(number) => Arg::F64(*number),
        Value::String(text) => Arg::String(text),
        Value::Bytes(bytes) => Arg::Bytes(bytes),
    };
}

impl<const N: usize> sealed::Sealed for &[u8; N] {}
impl<const N: usize> Param for &[u8; N] {
    fn arg(&self) -> Arg<'_> {
        Arg::Bytes(*self)
    }
}
impl<const N: usize> Params for &[u8; N] {
    fn args(&self) -> Vec<Arg<'_>> {
        vec![self.arg()]
    }
}

impl Params for &[Value] {
    fn args(&self) -> Vec<Arg<'_>> {
        self.iter().map(Param::arg).collect()
    }
}

impl Params for () {
    fn args(&self) -> Vec<Arg<'_>> {
        Vec::new()
    }
}

macro_rules! params {
    ($($name:ident)*) => {
        impl<$($name: Param),*> Params for ($($name,)*) {
            #[expect(non_snake_case, reason = "the fields are named after their types")]
            fn args(&self) -> Vec<Arg<'_>> {
                let ($($name,)*) = self;
                vec![$($name.arg()),*]
            }
        }
    };
}

params!(A);
params!(A B);
params!(A B C);
params!(A B C D);
params!(A B C D E);
params!(A B C D E F);
params!(A B C D E F G);
params!(A B C D E F G H);

macro_rules! returned {
    ($($ty:ty, $variant:ident, $name:literal;)*) => {$(
        impl Returned for $ty {
            fn accepts(result: Option<Type>) -> bool {
                result == Some(Type::$variant)
            }
            fn describe() -> &'static str {
                concat!(" -> ", $name)
            }
            fn from_value(value: Option<Value>) -> Option<Self> {
                match value {
                    Some(Value::$variant(value)) => Some(value),
                    _ => None,
                }
            }
        }
    )*};
}

returned! {
    i32, I32, "i32";
    u32, U32, "u32";
    i64, I64, "i64";
    u64, U64, "u64";
    f32, F32, "f32";
    f64, F64, "f64";
    String, String, "string";
    Vec<u8>, Bytes, "bytes";
}

impl Returned for () {
    fn accepts(result: Option<Type>) -> bool {
        result.is_none()
    }
    fn describe() -> &'static str {
        ""
    }
    fn from_value(value: Option<Value>) -> Option<Self> {
        value.is_none().then_some(())
    }
}

impl Returned for Option<Value> {
    fn accepts(_result: Option<Type>) -> bool {
        true
    }
    fn describe() -> &'static str {
        " -> any"
    }
    fn from_value(value: Option<Value>) -> Option<Self> {
        Some(value)
    }
}
