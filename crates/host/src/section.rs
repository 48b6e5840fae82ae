//! What the module says about itself: the sections and imports of `docs/abi.md` sections 1 and 2, read before compiling.

use wasmparser::{Parser, Payload};

use crate::{
    error::{Error, Result},
    value::{Signature, Type},
};

/// The version of the ABI that this host speaks.
pub const ABI_VERSION: u32 = 1;

/// The parts of a module that concern a host.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    /// `windlass.abi`.
    pub(crate) abi: Option<u32>,
    /// `windlass.exports`.
    pub(crate) exports: Vec<Signature>,
    /// `windlass.lowered`.
    pub(crate) lowered: Option<String>,
}

impl Sections {
    /// Reads the sections of a binary module.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] for what is not a well-formed module, [`Error::AbiMismatch`], and [`Error::NotLowered`] for a module that
    /// imports the intrinsics.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        if !bytes.starts_with(b"\0asm") {
            return Err(Error::load("this is no WebAssembly binary (it does not begin with `\\0asm`)"));
        }
        let mut sections = Self::default();
        let mut intrinsic = None;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(Error::load)? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import.map_err(Error::load)?;
                        if import.module == "windlass" && intrinsic.is_none() {
                            intrinsic = Some(format!("windlass.{}", import.name));
                        }
                    }
                }
                Payload::CustomSection(section) => match section.name() {
                    "windlass.abi" => {
                        let version = section.data().try_into().map(u32::from_le_bytes).map_err(|_| {
                            Error::load(format_args!(
                                "the section `windlass.abi` has {} bytes instead of 4",
                                section.data().len()
                            ))
                        })?;
                        sections.abi = Some(version);
                    }
                    "windlass.exports" => sections.exports.extend(exports(section.data())?),
                    "windlass.lowered" => {
                        sections.lowered = Some(String::from_utf8_lossy(section.data()).into_owned());
                    }
                    _ => {}
                },
                _ => {}
            }
        }
        // The version first: advice to lower would send the user to a tool that must refuse the module.
        if let Some(found) = sections.abi.filter(|&found| found != ABI_VERSION) {
            return Err(Error::AbiMismatch { found, expected: ABI_VERSION });
        }
        match intrinsic {
            Some(import) => Err(Error::NotLowered { import }),
            None => Ok(sections),
        }
    }
}

/// Reads the records of `windlass.exports`: name, zero, type codes, `>`, type code, zero.
fn exports(data: &[u8]) -> Result<Vec<Signature>> {
    let mut signatures = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let mut fields = rest.splitn(3, |&byte| byte == 0);
        let (Some(name), Some(types), Some(next)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(malformed(rest));
        };
        rest = next;
        let name_text = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
        let name_text = name_text.ok_or_else(|| malformed(name))?;
        let (params, result) = match types {
            [params @ .., b'>', b'v'] => (params, None),
            [params @ .., b'>', code] => {
                (params, Some(Type::from_code(*code).ok_or_else(|| malformed(name))?))
            }
            _ => return Err(malformed(name)),
        };
        let params = params.iter().map(|&code| Type::from_code(code)).collect::<Option<Vec<_>>>();
        signatures.push(Signature {
            name: name_text.to_owned(),
            params: params.ok_or_else(|| malformed(name))?,
            result,
        });
    }
    Ok(signatures)
}

fn malformed(name: &[u8]) -> Error {
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Error::load(format_args!(
        "the section `windlass.exports` is malformed at the export `{}`: build guest and host from the same release",
        String::from_utf8_lossy(name)
    ))
}

#[cfg(test)]
mod tests {
    use super::{Signature, Type, exports};

    #[test]
    fn records_are_read_in_order() {
        let read = exports(b"add\0ii>i\0greet\0s>s\0tick\0>v\0all\0iIlLfdsb>b\0").expect("well-formed");
        let texts: Vec<String> = read.iter().map(Signature::to_string).collect();
        assert_eq!(
            texts,
            [
                "add(i32, i32) -> i32",
                "greet(string) -> string",
                "tick()",
                "all(i32, u32, i64, u64, f32, f64, string, bytes) -> bytes",
            ]
        );
        assert_eq!(read[2], Signature { name: "tick".into(), params: vec![], result: None });
        assert_eq!(read[3].result, Some(Type::Bytes));
        assert_eq!(exports(b"").expect("empty"), []);
    }

    #[test]
    fn malformed_records_are_named() {
        for data in [
            &b"add\0ii>i"[..],
            b"add\0ii>\0x",
            b"add\0ii>\0",
            b"add\0iv>i\0",
            b"add\0ii\0",
            b"add",
            b"\0>v\0",
            b"add\0i>iadd\0",
        ] {
            let error = exports(data).expect_err("malformed").to_string();
            assert!(error.contains("`windlass.exports` is malformed at the export `"), "{error}");
        }
    }
}
