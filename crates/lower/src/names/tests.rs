//! Sections as they are read again.

use wasm_encoder::{IndirectNameMap, NameMap, NameSection};
use wasmparser::{BinaryReader, Name, NameSectionReader};

use super::Names;
use crate::module::Module;

/// What is behind the section's name, the identifier and the size.
fn data(names: &NameSection) -> Vec<u8> {
    let mut wasm = wasm_encoder::Module::new();
    wasm.section(names);
    let wasm = wasm.finish();
    let module = Module::index(&wasm).unwrap();
    module.custom("name").unwrap_or_default().to_vec()
}

fn reader(data: &[u8]) -> NameSectionReader<'_> {
    NameSectionReader::new(BinaryReader::new(data, 0))
}

/// One line for each thing that has a name.
fn lines(section: &NameSection) -> Vec<String> {
    let data = data(section);
    let mut lines = Vec::new();
    for subsection in reader(&data) {
        let (kind, map) = match subsection.unwrap() {
            Name::Module { name, .. } => {
                lines.push(format!("module {name}"));
                continue;
            }
            Name::Local(map) => {
                for function in map {
                    let function = function.unwrap();
                    for naming in function.names.into_iter().map(Result::unwrap) {
                        lines.push(format!("local {} of {} {}", naming.index, function.index, naming.name));
                    }
                }
                continue;
            }
            Name::Function(map) => ("function", map),
            Name::Global(map) => ("global", map),
            _ => panic!("a subsection that nobody writes"),
        };
        for naming in map.into_iter().map(Result::unwrap) {
            lines.push(format!("{kind} {} {}", naming.index, naming.name));
        }
    }
    lines
}

fn names(moved: &[Option<u32>]) -> Names<'_> {
    Names { moved, added: vec![(4, "windlass.a".to_owned())], globals: vec![(2, "windlass.g".to_owned())] }
}

#[test]
fn names_follow_their_functions_and_go_with_them() {
    let wasm = wat::parse_str(
        "(module $guest
            (global $count i32 (i32.const 0)) (global i32 (i32.const 0))
            (memory $memory 1)
            (func $first (param $x i32) (local $y i32))
            (func $gone (local $z i32))
            (func $last (local $w i32) block $label end))",
    )
    .unwrap();
    let module = Module::parse(&wasm).unwrap();
    let section = reader(module.custom("name").unwrap());
    let section = names(&[Some(5), None, Some(0)]).section(Some(section)).unwrap();
    assert_eq!(
        lines(&section),
        [
            "module guest",
            "function 0 last",
            "function 4 windlass.a",
            "function 5 first",
            "local 0 of 0 w",
            "local 0 of 5 x",
            "local 1 of 5 y",
            "global 0 count",
            "global 2 windlass.g",
        ]
    );
}

#[test]
fn without_a_section_there_is_one_with_what_was_added() {
    let section = names(&[Some(0)]).section(None).unwrap();
    assert_eq!(lines(&section), ["function 4 windlass.a", "global 2 windlass.g"]);
    let nothing = Names { moved: &[], added: Vec::new(), globals: Vec::new() };
    assert!(lines(&nothing.section(None).unwrap()).is_empty());
}

/// An index that comes twice has one name, and one that is no function's has none.
#[test]
fn a_damaged_section_becomes_a_sound_one() {
    let mut functions = NameMap::new();
    let mut locals = IndirectNameMap::new();
    for (function, name) in [(1, "b"), (0, "second"), (0, "first"), (9, "unknown")] {
        functions.append(function, name);
        let mut map = NameMap::new();
        map.append(0, &format!("local of {name}"));
        locals.append(function, &map);
    }
    let mut damaged = NameSection::new();
    damaged.functions(&functions);
    damaged.locals(&locals);
    let damaged = data(&damaged);
    let section = names(&[Some(0), Some(1)]).section(Some(reader(&damaged))).unwrap();
    assert_eq!(
        lines(&section),
        [
            "function 0 first",
            "function 1 b",
            "function 4 windlass.a",
            "local 0 of 0 local of second",
            "local 0 of 1 local of b",
            "global 2 windlass.g",
        ]
    );
}
