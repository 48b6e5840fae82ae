//! Lists of names, as `--pass-arg=KEY@LIST` gives them.
//!
//! Names stand between commas, or one a line, and `@FILE` means what is in the file. A comma between brackets is part of
//! the name, as C++ names have them. `[` and `]` around the whole list, quotes around a name and `\28` for `(` are
//! understood, as they come from Emscripten's settings and Binaryen's messages.

use std::fs;
use std::path::Path;

use crate::program::failure::Failure;

/// Reads a list.
pub(crate) fn parse(key: &str, text: &str) -> Result<Vec<String>, Failure> {
    match text.strip_prefix('@') {
        Some(file) => {
            let file = Path::new(file);
            let text = fs::read_to_string(file).map_err(|error| Failure::file("read", file, &error))?;
            split(key, &text)
        }
        None => split(key, text),
    }
}

fn split(key: &str, text: &str) -> Result<Vec<String>, Failure> {
    let text = text.trim();
    let names: Vec<&str> =
        if text.contains('\n') { text.lines().collect() } else { at_commas(key, bare(text))? };
    Ok(names
        .into_iter()
        .map(|name| unescaped(unquoted(name.trim())))
        .filter(|name| !name.is_empty())
        .collect())
}

/// The text without brackets that enclose all of it.
fn bare(text: &str) -> &str {
    let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else { return text };
    let mut depth = 0_i32;
    for character in inside.chars() {
        depth += step(character);
        if depth < 0 {
            return text;
        }
    }
    inside
}

fn at_commas<'a>(key: &str, text: &'a str) -> Result<Vec<&'a str>, Failure> {
    let (mut names, mut start, mut depth) = (Vec::new(), 0, 0_i32);
    for (at, character) in text.char_indices() {
        depth += step(character);
        if character == ',' && depth == 0 {
            names.push(&text[start..at]);
            start = at + 1;
        }
    }
    if depth != 0 {
        return Err(Failure::new(format!("the brackets in the list of `{key}` do not match"))
            .with_help(format!("write the names to a file, one a line, and say `--pass-arg={key}@@FILE`")));
    }
    names.push(&text[start..]);
    Ok(names)
}

fn step(character: char) -> i32 {
    match character {
        '(' | '<' | '[' | '{' => 1,
        ')' | '>' | ']' | '}' => -1,
        _ => 0,
    }
}

fn unquoted(name: &str) -> &str {
    ['"', '\''].iter().find_map(|quote| name.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(name)
}

/// The name with each `\` and two hexadecimal digits as the byte that they stand for.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'\\');
        let byte = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{parse, split};

    #[test]
    fn names_stand_between_commas_or_one_a_line() {
        for (text, expected) in [
            ("", &[][..]),
            ("a", &["a"]),
            ("a,b*, c", &["a", "b*", "c"]),
            ("f(int, char*),g<a, b>::h", &["f(int, char*)", "g<a, b>::h"]),
            ("[a,b]", &["a", "b"]),
            ("['a',\"b\"]", &["a", "b"]),
            ("[T]::f,[U]", &["[T]::f", "[U]"]),
            ("f\\28int\\2c\\20char\\29", &["f(int, char)"]),
            ("a\\zz\\", &["a\\zz\\"]),
            ("operator<\nf(int, int)\r\n\nb\n", &["operator<", "f(int, int)", "b"]),
        ] {
            assert_eq!(
                split("key", text).as_deref(),
                Ok(&expected.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn brackets_must_match() {
        let failure = split("asyncify-addlist", "operator<,b").unwrap_err().to_string();
        assert_eq!(
            failure,
            "error: the brackets in the list of `asyncify-addlist` do not match\n\
             help: write the names to a file, one a line, and say `--pass-arg=asyncify-addlist@@FILE`"
        );
    }

    #[test]
    fn a_file_that_is_missing_is_named() {
        let failure = parse("asyncify-addlist", "@no/such/file").unwrap_err().to_string();
        assert!(failure.starts_with("error: cannot read `no/such/file`: "), "{failure}");
    }
}
