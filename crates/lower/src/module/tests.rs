//! What the other stages ask a module.

use super::{Module, matches_pattern};

#[track_caller]
fn assemble(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {fields})")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_star_stands_for_any_text() {
    for (pattern, name, expected) in [
        ("render", "render", true),
        ("render", "renders", false),
        ("render", "prerender", false),
        ("", "", true),
        ("", "a", false),
        ("*", "", true),
        ("*", "anything", true),
        ("**", "", true),
        ("core::*", "core::", true),
        ("core::*", "core::fmt::write", true),
        ("core::*", "alloc::core::fmt", false),
        ("*::write", "core::fmt::write", true),
        ("*::write", "core::fmt::write_str", false),
        ("*fmt*", "core::fmt::write", true),
        ("*fmt*", "fmt", true),
        ("*fmt*", "core::ops", false),
        ("a*b*c", "abc", true),
        ("a*b*c", "a-b-b-c", true),
        ("a*b*c", "acb", false),
        // What one part has matched the next one cannot.
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("ab*bc", "abc", false),
        ("*ab*ab*", "ab-a", false),
        // The last part is at the end, not where it is found first.
        ("a*b", "abab", true),
        ("a*b*", "a", false),
        // Nothing else is special.
        ("f?", "fn", false),
        ("[a]", "a", false),
        ("é*é", "é-é", true),
    ] {
        assert_eq!(matches_pattern(pattern, name), expected, "`{pattern}` for `{name}`");
    }
}

/// Whoever has a table, or a reference to a function, has what may be put into it.
#[test]
fn tables_are_shared_where_a_table_or_a_reference_passes_the_border() {
    for shared in [
        r#"(import "env" "it" (table 1 funcref))"#,
        r#"(table (export "it") 1 funcref)"#,
        r#"(import "env" "it" (func (param i32 funcref)))"#,
        r#"(import "env" "it" (func (result i32 funcref)))"#,
        r#"(func (export "it") (param funcref))"#,
        r#"(func (export "it") (result funcref) unreachable)"#,
        r#"(import "env" "it" (func $it (param funcref))) (export "it" (func $it))"#,
        r#"(import "env" "it" (global funcref))"#,
        r#"(global (export "it") funcref (ref.null func))"#,
        r#"(global (export "it") (mut funcref) (ref.null func))"#,
        r#"(import "env" "it" (tag (param funcref)))"#,
        r#"(tag (export "it") (param funcref))"#,
        // Not the first of its kind.
        r#"(import "env" "one" (global i32)) (import "env" "it" (global funcref))"#,
        r#"(import "env" "one" (tag)) (import "env" "it" (tag (param funcref)))"#,
        r#"(func (export "one")) (func (export "it") (param funcref))"#,
    ] {
        assert!(Module::parse(&assemble(shared)).unwrap().tables_are_shared(), "{shared}");
    }
    for own in [
        "",
        "(table 1 funcref) (func $f) (elem (i32.const 0) $f)",
        "(func (param funcref) (result funcref) unreachable)",
        "(global funcref (ref.null func))",
        "(global (mut funcref) (ref.null func))",
        "(tag (param funcref))",
        r#"(memory (export "memory") 1)"#,
        r#"(func (export "f") (param i32 externref) (result externref) unreachable)"#,
        r#"(import "env" "f" (func (param externref)))"#,
        r#"(import "env" "g" (global externref)) (global funcref (ref.null func))"#,
        r#"(import "env" "t" (tag (param externref))) (tag (param funcref))"#,
        r#"(global (export "g") i32 (i32.const 0)) (global funcref (ref.null func))"#,
        r#"(tag (export "t")) (tag (param funcref))"#,
    ] {
        assert!(!Module::parse(&assemble(own)).unwrap().tables_are_shared(), "{own}");
    }
}

/// Five functions: imported without a name, exported, exported with a name, twice exported, and nothing of that.
const NAMED: &str = r#"
    (import "env" "log" (func))
    (func (export "exported"))
    (func $named (export "other"))
    (func (export "first") (export "second"))
    (func)
"#;

#[test]
fn a_function_is_called_by_its_name_or_by_what_else_there_is() {
    let wasm = assemble(NAMED);
    let module = Module::parse(&wasm).unwrap();
    let names: Vec<String> = (0..5).map(|function| module.function_name(function)).collect();
    assert_eq!(names, ["env.log", "exported", "named", "first", "#4"]);
    let labels: Vec<String> = (0..5).map(|function| module.function_label(function)).collect();
    assert_eq!(labels, ["number 0", "`exported`", "`named`", "`first`", "number 4"]);
}

#[test]
fn patterns_name_functions_in_their_order() {
    let wasm = assemble(NAMED);
    let module = Module::parse(&wasm).unwrap();
    let matching = |patterns: &[&str]| {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        module.matching("--deny", &patterns).map_err(|error| error.to_string())
    };
    let unknown = |pattern: &str| Err(format!("--deny `{pattern}` names no function"));
    assert_eq!(matching(&[]), Ok(vec![]));
    assert_eq!(matching(&["first", "env.*"]), Ok(vec![3, 0]));
    assert_eq!(matching(&["*e*"]), Ok(vec![0, 1, 2, 3]));
    assert_eq!(matching(&["#4", "#0"]), Ok(vec![4, 0]));
    assert_eq!(matching(&["#5"]), unknown("#5"));
    assert_eq!(matching(&["#first"]), unknown("#first"));
    // Whatever it is exported as names it, too.
    assert_eq!(matching(&["first", "second", "other"]), Ok(vec![3, 3, 2]));
}

#[test]
fn references_are_taken_by_segments_and_globals() {
    let wasm = assemble(
        "(table 9 funcref)
        (func $f0) (func $f1) (func $f2) (func $f3) (func $f4)
        (elem (i32.const 0) $f2)
        (elem (i32.const 1) funcref (ref.func $f4) (ref.null func))
        (elem declare func $f1)
        (global funcref (ref.func $f3))
        (global i32 (i32.const -7))",
    );
    let module = Module::parse(&wasm).unwrap();
    // In the order of the sections.
    assert_eq!(module.referenced, [3, 2, 4, 1]);
    assert_eq!(module.declared, [1]);
    let globals: Vec<_> = module.globals.iter().map(|global| (global.initial, global.function)).collect();
    assert_eq!(globals, [(None, Some(3)), (Some(-7), None)]);
}
