//! A big module at hand: Binaryen's own. npm's programs of Binaryen are JavaScript with the module in a string literal, a
//! character for each byte, where Emscripten writes byte 0 as character 256.

use crate::error::Result;

/// What the literal follows.
const BEFORE: &str = "binaryDecode('";

/// The module in such a program.
pub(crate) fn module(program: &str) -> Result<Vec<u8>> {
    let (_, literal) = program.split_once(BEFORE).ok_or("Binaryen's program has no module in it")?;
    let mut wasm = Vec::with_capacity(literal.len());
    let mut chars = literal.chars();
    loop {
        let char = match chars.next() {
            Some('\'') => return Ok(wasm),
            Some('\\') => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some(char @ ('\\' | '\'')) => char,
                other => return Err(format!("the module's text has an unknown escape: {other:?}").into()),
            },
            Some(char) => char,
            None => return Err("the module's text does not end".into()),
        };
        wasm.push(match u32::from(char) {
            256 => 0,
            code => u8::try_from(code)?,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::module;

    #[test]
    fn characters_are_bytes() {
        let program = r"var a;binaryDecode('Āasm\n\'\\ÿ')+'rest'";
        assert_eq!(module(program).ok().as_deref(), Some(b"\0asm\n'\\\xff".as_slice()));
    }

    #[test]
    fn other_programs_have_none() {
        assert!(module("#!/bin/sh").is_err());
        assert!(module("binaryDecode('no end").is_err());
    }
}
