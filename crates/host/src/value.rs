//! Types, values and signatures of exported calls, for callers that learn them at run time.

use std::fmt;

use crate::error::{Error, Result};

/// The type of a parameter or result, as `windlass.exports` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `i32`.
    I32,
    /// `u32`.
    U32,
    /// `i64`.
    I64,
    /// `u64`.
    U64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
}

impl Type {
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            b'i' => Self::I32,
            b'I' => Self::U32,
            b'l' => Self::I64,
            b'L' => Self::U64,
            b'f' => Self::F32,
            b'd' => Self::F64,
            b's' => Self::String,
            b'b' => Self::Bytes,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::U64 => "u64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::String => "string",
            Self::Bytes => "bytes",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A value of one of the types that cross between host and guest.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// An `i32`.
    I32(i32),
    /// A `u32`.
    U32(u32),
    /// An `i64`.
    I64(i64),
    /// A `u64`.
    U64(u64),
    /// An `f32`.
    F32(f32),
    /// An `f64`.
    F64(f64),
    /// UTF-8 text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl Value {
    /// The value's type.
    pub fn ty(&self) -> Type {
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

    /// Reads a value of type `ty` from a command line's word.
    ///
    /// Strings are taken as they are. So are bytes, unless the text begins with `hex:`.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] if the text is no value of that type.
    ///
    /// # Examples
    ///
    /// ```
    /// use windlass_host::{Type, Value};
    ///
    /// assert_eq!(Value::parse(Type::U32, "7")?, Value::U32(7));
    /// assert_eq!(Value::parse(Type::Bytes, "hex:00ff")?, Value::Bytes(vec![0, 255]));
    /// assert!(Value::parse(Type::I32, "seven").is_err());
    /// # Ok::<(), windlass_host::Error>(())
    /// ```
    pub fn parse(ty: Type, text: &str) -> Result<Self> {
        fn number<N: std::str::FromStr<Err: fmt::Display>>(ty: Type, text: &str) -> Result<N> {
            text.parse().map_err(|reason: N::Err| Error::Parse {
                text: text.to_owned(),
                wanted: ty.to_string(),
                reason: reason.to_string(),
            })
        }
        Ok(match ty {
            Type::I32 => Self::I32(number(ty, text)?),
            Type::U32 => Self::U32(number(ty, text)?),
            Type::I64 => Self::I64(number(ty, text)?),
            Type::U64 => Self::U64(number(ty, text)?),
            Type::F32 => Self::F32(number(ty, text)?),
            Type::F64 => Self::F64(number(ty, text)?),
            Type::String => Self::String(text.to_owned()),
            Type::Bytes => Self::Bytes(match text.strip_prefix("hex:") {
                Some(digits) => hex(digits).ok_or_else(|| Error::Parse {
                    text: text.to_owned(),
                    wanted: ty.to_string(),
                    reason: "`hex:` wants an even number of hexadecimal digits".to_owned(),
                })?,
                None => text.as_bytes().to_vec(),
            }),
        })
    }
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| u8::try_from(digit(high)? << 4 | digit(low)?).ok()).collect()
}

impl fmt::Display for Value {
    /// Numbers and text as they are, bytes as `hex:` and digits: what [`Value::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::I32(number) => number.fmt(f),
            Self::U32(number) => number.fmt(f),
            Self::I64(number) => number.fmt(f),
            Self::U64(number) => number.fmt(f),
            Self::F32(number) => number.fmt(f),
            Self::F64(number) => number.fmt(f),
            Self::String(text) => f.pad(text),
            Self::Bytes(bytes) => {
                f.write_str("hex:")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

/// What an exported call takes and returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The export's name.
    pub name: String,
    /// The types of its parameters.
    pub params: Vec<Type>,
    /// The type of its result, if it has one.
    pub result: Option<Type>,
}

impl fmt::Display for Signature {
    /// Like `greet(string, u32) -> string`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        list(f, &self.params)?;
        match self.result {
            Some(result) => write!(f, " -> {result}"),
            None => Ok(()),
        }
    }
}

/// Writes `(a, b)`.
pub(crate) fn list<D: fmt::Display>(f: &mut impl fmt::Write, items: &[D]) -> fmt::Result {
    f.write_char('(')?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    f.write_char(')')
}
