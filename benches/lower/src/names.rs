//! Names are no weight that a module must have: where bytes count, it is weighed without.

use crate::error::Result;

/// Magic number and version.
const HEADER: usize = 8;

/// The module without its custom section `name`.
pub(crate) fn strip(wasm: &[u8]) -> Result<Vec<u8>> {
    let (header, mut rest) = wasm.split_at_checked(HEADER).ok_or("no module")?;
    let mut stripped = header.to_vec();
    while let Some((&id, after)) = rest.split_first() {
        let (length, content) = number(after)?;
        let (content, next) = content.split_at_checked(length).ok_or("a section ends too late")?;
        if id != 0 || !content.starts_with(b"\x04name") {
            stripped.extend(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Ok(stripped)
}

/// An unsigned LEB128, and what follows it.
fn number(bytes: &[u8]) -> Result<(usize, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).ok_or("a number does not end")?;
    let (digits, rest) = bytes.split_at(end + 1);
    let value = digits.iter().rev().try_fold(0_usize, |value, byte| {
        value.checked_mul(0x80).map(|value| value | usize::from(byte & 0x7f))
    });
    Ok((value.ok_or("a number is too large")?, rest))
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn only_names_go() {
        let text = r#"(module $m (@custom "a" "b") (func $f (export "f")) (@custom "c" "d"))"#;
        let named = wat::parse_str(text).expect("it is a module");
        let bare = wat::parse_str(r#"(module (@custom "a" "b") (func (export "f")) (@custom "c" "d"))"#);
        assert_eq!(strip(&named).ok(), bare.ok());
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert!(strip(b"\0asm").is_err());
        assert!(strip(b"\0asm\x01\0\0\0\x01\x05").is_err());
    }
}
