//! What a module says about itself: the sections of the ABI, read for people and hosts.

use crate::abi::{ABI_SECTION, EXPORTS_SECTION, LOWERED_SECTION, MODULE};
use crate::error::{Error, ErrorKind};
use crate::initialize;
use crate::module::Module;

/// What a module says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The guest's ABI version, from section `windlass.abi`.
    pub abi_version: Option<u32>,
    /// What lowered the module, from section `windlass.lowered`: the tool's name, version and engine.
    pub lowered: Option<String>,
    /// The intrinsics that the module imports from module `windlass`, in its order. None are left once it
    /// has been lowered.
    pub intrinsics: Vec<String>,
    /// The exports that the guest declared, from section `windlass.exports`.
    pub exports: Vec<Export>,
    /// Whether the lowering is still to make its `_initialize`.
    initialize_pending: bool,
}

impl Info {
    /// Whether the module was built with `windlass`: it names an ABI version, or imports intrinsics.
    pub fn is_guest(&self) -> bool {
        self.abi_version.is_some() || !self.intrinsics.is_empty()
    }

    /// Whether the module still has to be lowered before an engine can instantiate it or a host can initialise it.
    pub fn needs_lowering(&self) -> bool {
        !self.intrinsics.is_empty() || self.initialize_pending
    }
}

/// An export that the guest declared.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Export {
    /// The name under which hosts call it.
    pub name: String,
    /// The types of its parameters.
    pub params: Vec<Type>,
    /// The type of its result, if it has one.
    pub result: Option<Type>,
}

/// The type of a parameter or result of a declared export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Type {
    /// Signed, 32 bits.
    I32,
    /// Unsigned, 32 bits.
    U32,
    /// Signed, 64 bits.
    I64,
    /// Unsigned, 64 bits.
    U64,
    /// Floating point, 32 bits.
    F32,
    /// Floating point, 64 bits.
    F64,
    /// UTF-8 text.
    String,
    /// Bytes.
    Bytes,
}

impl Type {
    fn from_code(code: u8) -> Option<Type> {
        Some(match code {
            b'i' => Type::I32,
            b'I' => Type::U32,
            b'l' => Type::I64,
            b'L' => Type::U64,
            b'f' => Type::F32,
            b'd' => Type::F64,
            b's' => Type::String,
            b'b' => Type::Bytes,
            _ => return None,
        })
    }
}

/// Reads what a module says about itself.
///
/// # Errors
///
/// If the bytes are no valid module, or a section of the ABI is malformed. That the module is no guest, or of
/// another ABI version, is no error here: the answer says so.
pub fn inspect(wasm: &[u8]) -> Result<Info, Error> {
    let module = Module::parse(wasm)?;
    let intrinsics = module
        .function_imports
        .iter()
        .filter(|import| import.module == MODULE)
        .map(|import| import.name.to_owned())
        .collect();
    let abi_version = parse_version(&module)?;
    Ok(Info {
        abi_version,
        initialize_pending: abi_version.is_some() && initialize::is_pending(&module),
        lowered: module.custom(LOWERED_SECTION).map(|by| String::from_utf8_lossy(by).into_owned()),
        intrinsics,
        exports: parse_exports(&module)?,
    })
}

/// The version in section `windlass.abi`, if the section is there.
pub(crate) fn parse_version(module: &Module<'_>) -> Result<Option<u32>, Error> {
    let Some(data) = module.custom(ABI_SECTION) else {
        return Ok(None);
    };
    match <[u8; 4]>::try_from(data) {
        Ok(bytes) => Ok(Some(u32::from_le_bytes(bytes))),
        Err(_) => Err(Error::new(
            ErrorKind::Abi,
            format!("section `windlass.abi` has {} bytes; the ABI version has 4", data.len()),
        )
        .with_help(
            "more than 4 bytes come from two versions of `windlass` in one guest: \
             see `cargo tree --duplicates`",
        )),
    }
}

/// The records of section `windlass.exports`: name, zero, parameter codes, `>`, result code, zero.
pub(crate) fn parse_exports(module: &Module<'_>) -> Result<Vec<Export>, Error> {
    let mut exports = Vec::new();
    for (_, data) in module.customs.iter().filter(|(name, _)| *name == EXPORTS_SECTION) {
        let mut rest = *data;
        while !rest.is_empty() {
            let (export, after) = record(rest).map_err(|what| {
                Error::new(
                    ErrorKind::Abi,
                    format!("section `windlass.exports`, record {}: {what}", exports.len()),
                )
                .with_help("the guest's `windlass` and this tool must be of one ABI version")
            })?;
            exports.push(export);
            rest = after;
        }
    }
    Ok(exports)
}

fn record(data: &[u8]) -> Result<(Export, &[u8]), String> {
    let (name, rest) = field(data).ok_or("the name does not end")?;
    let name = std::str::from_utf8(name).map_err(|_| "the name is not UTF-8")?;
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    let (codes, rest) = field(rest).ok_or_else(|| format!("`{name}`: the types do not end"))?;
    let [params @ .., b'>', result] = codes else {
        return Err(format!("`{name}`: the types do not end in `>` and a result"));
    };
    let type_of = |code: u8| {
        Type::from_code(code)
            .ok_or_else(|| format!("`{name}`: unknown type code `{}`", char::from(code).escape_default()))
    };
    let export = Export {
        name: name.to_owned(),
        params: params.iter().map(|code| type_of(*code)).collect::<Result<_, _>>()?,
        result: match *result {
            b'v' => None,
            code => Some(type_of(code)?),
        },
    };
    Ok((export, rest))
}

/// Splits at the next zero byte.
fn field(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = data.iter().position(|byte| *byte == 0)?;
    Some((&data[..end], &data[end + 1..]))
}
