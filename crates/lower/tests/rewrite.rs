//! What becomes of the rest of the module: indices, names, custom sections.

mod common;

use std::collections::BTreeMap;

use common::Running;
use wasmparser::{ElementItems, ExternalKind, KnownCustom, Name, Operator, Parser, Payload, TypeRef};
use windlass_lower::{Engine, Lowered, Optimize, Options};

/// Intrinsics and imports in turn, and every construct that holds a function index. Whatever is called logs its own
/// number.
const INDICES: &str = r#"
    (import "windlass" "enter" (func $enter (result i32)))
    (import "env" "log" (func $log (param i32)))
    (import "windlass" "leave" (func $leave (param i32)))
    (import "env" "log_sp" (func $log_sp))
    (import "windlass" "run" (func $run (param i32)))
    (import "windlass" "enter" (func $enter_again (result i32)))
    (import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 2)
    (type $none (func))
    (table $tasks (export "table") 8 funcref)
    (table $second 4 funcref)
    (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
    (global $held (mut funcref) (ref.func $two))
    (global $held_import (mut funcref) (ref.func $log_sp))
    (start $begin)
    (elem (table $tasks) (i32.const 1) func $one $log_sp $entry)
    (elem (table $second) (i32.const 0) funcref (ref.func $two) (ref.func $log_sp))
    (elem (table $tasks) (i32.const 4) func $three $log)
    (elem declare func $four $log_sp)
    (func $begin (call $log (i32.const 100)))
    (func $one (export "one") (call $log (i32.const 1)))
    (func $two (export "two") (call $log (i32.const 2)))
    (func $three (call $log (i32.const 3)))
    (func $four (call $log (i32.const 4)))
    (func $entry (param i32) (result i32) (call $leave (i32.const 0)) (call $log (i32.const 5)) (i32.const 0))
    (export "log again" (func $log))
    (func (export "go")
        (call_indirect $tasks (type $none) (i32.const 1))
        (call_indirect $tasks (type $none) (i32.const 2))
        (call_indirect $second (type $none) (i32.const 0))
        (call_indirect $second (type $none) (i32.const 1))
        (call_indirect $tasks (type $none) (i32.const 4))
        (call_indirect $tasks (param i32) (i32.const 6) (i32.const 5))
        (table.set $tasks (i32.const 6) (ref.func $four))
        (call_indirect $tasks (type $none) (i32.const 6))
        (table.set $tasks (i32.const 6) (global.get $held))
        (call_indirect $tasks (type $none) (i32.const 6))
        (table.set $tasks (i32.const 6) (global.get $held_import))
        (call_indirect $tasks (type $none) (i32.const 6))
        (call $log (call $enter))
        (call $log (call $enter_again)))
    (func (export "task")
        (call $run (call $prepare (i32.const 65536) (i32.const 66560) (i32.const 3) (i32.const 0)))
        (call $run (i32.load (i32.const 0))))
"#;

fn check_indices(lowered: &Lowered) {
    let mut guest = Running::new(lowered);
    assert_eq!(guest.trace(), [100], "the start function");
    assert_eq!(guest.go(), [1, 0, 2, 0, 3, 6, 4, 2, 0, 1, 0]);
    guest.call::<(), ()>("task", ());
    guest.call::<(), ()>("one", ());
    guest.call::<(), ()>("two", ());
    guest.call::<i32, ()>("log again", 77);
    assert_eq!(guest.trace(), [5, 1, 2, 77]);
}

#[test]
fn every_function_index_is_mapped() {
    let wasm = common::bare_guest(INDICES);
    for optimize in Optimize::ALL {
        for via in Engine::ALL {
            let mut options = Options::default();
            (options.via, options.optimize) = (*via, *optimize);
            check_indices(&common::lower_with(&wasm, &options));
        }
    }
}

#[test]
fn functions_that_are_in_no_table_survive_the_optimiser() {
    let wasm = common::guest(
        r#"
        (type $none (func))
        (table 8 funcref)
        (global $held funcref (ref.func $one))
        (export "two" (func $two))
        (func $one (call $log (i32.const 1)))
        (func $two (call $log (i32.const 2)))
        (func (export "go")
            (table.set (i32.const 6) (global.get $held))
            (call_indirect (type $none) (i32.const 6))
            (table.set (i32.const 6) (ref.func $two))
            (call_indirect (type $none) (i32.const 6)))
        "#,
    );
    assert_eq!(Running::everywhere(&wasm, &Options::default()).go(), [1, 2]);
}

#[test]
fn imports_are_bracketed_wherever_they_are_meant() {
    let wasm = common::bare_guest(
        r#"
        (import "windlass" "enter" (func $enter (result i32)))
        (import "env" "call" (func $call (param i32)))
        (import "env" "log" (func $log (param i32)))
        (memory 1)
        (global (export "__stack_pointer") (mut i32) (i32.const 65536))
        (table 4 funcref)
        (elem (i32.const 0) func $call)
        (elem $passive func $call)
        (global $held funcref (ref.func $call))
        (export "call again" (func $call))
        (func (export "nested") (param i32) (call $log (i32.const 1)))
        (func (export "go")
            (call_indirect (param i32) (i32.const 0) (i32.const 0))
            (table.set (i32.const 1) (global.get $held))
            (call_indirect (param i32) (i32.const 0) (i32.const 1))
            (table.init $passive (i32.const 2) (i32.const 0) (i32.const 1))
            (call_indirect (param i32) (i32.const 0) (i32.const 2)))
        "#,
    );
    let lowered = common::lower(&wasm);
    let callers = users_of_imports(&lowered.wasm);
    for (import, callers) in ["env.call", "env.log"].iter().zip(&callers) {
        let bracket = format!("windlass.bracket.{import}");
        assert_eq!(callers, &[bracket], "only the bracket refers to {import}");
    }
    let mut guest = Running::from_wasm(&lowered.wasm);
    assert_eq!(guest.go(), [1, 1, 1]);
    guest.call::<i32, ()>("call again", 0);
    assert_eq!(guest.trace(), [1]);
}

fn payloads(wasm: &[u8]) -> Vec<Payload<'_>> {
    Parser::new(0).parse_all(wasm).collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}"))
}

/// For each imported function the names of the functions that refer to it; elements, exports and globals count, too.
fn users_of_imports(wasm: &[u8]) -> Vec<Vec<String>> {
    let names = function_names(wasm);
    let mut users = vec![Vec::new(); imports(wasm).iter().filter(|import| import.1).count()];
    let mut used = |function: u32, by: &str| {
        if let Some(users) = users.get_mut(function as usize) {
            users.push(by.to_owned());
        }
    };
    let mut next = imports(wasm).iter().filter(|import| import.1).count() as u32;
    for payload in payloads(wasm) {
        match payload {
            Payload::ExportSection(section) => {
                for export in section.into_iter().flatten() {
                    if export.kind == ExternalKind::Func {
                        used(export.index, "an export");
                    }
                }
            }
            Payload::ElementSection(section) => {
                for element in section.into_iter().flatten() {
                    if let ElementItems::Functions(functions) = element.items {
                        for function in functions.into_iter().flatten() {
                            used(function, "an element");
                        }
                    }
                }
            }
            Payload::GlobalSection(section) => {
                for global in section.into_iter().flatten() {
                    for operator in global.init_expr.get_operators_reader().into_iter().flatten() {
                        if let Operator::RefFunc { function_index } = operator {
                            used(function_index, "a global");
                        }
                    }
                }
            }
            Payload::CodeSectionEntry(body) => {
                for operator in body.get_operators_reader().into_iter().flatten().flatten() {
                    if let Operator::Call { function_index } | Operator::RefFunc { function_index } = operator
                    {
                        used(function_index, names.get(&next).map_or("?", String::as_str));
                    }
                }
                next += 1;
            }
            _ => {}
        }
    }
    users
}

fn function_names(wasm: &[u8]) -> BTreeMap<u32, String> {
    let mut names = BTreeMap::new();
    for payload in payloads(wasm) {
        if let Payload::CustomSection(section) = payload
            && let KnownCustom::Name(subsections) = section.as_known()
        {
            for subsection in subsections.into_iter().flatten() {
                if let Name::Function(map) = subsection {
                    for naming in map.into_iter().flatten() {
                        names.insert(naming.index, naming.name.to_owned());
                    }
                }
            }
        }
    }
    names
}

fn customs(wasm: &[u8]) -> BTreeMap<String, Vec<u8>> {
    payloads(wasm)
        .into_iter()
        .filter_map(|payload| match payload {
            Payload::CustomSection(section) => Some((section.name().to_owned(), section.data().to_owned())),
            _ => None,
        })
        .collect()
}

fn exports(wasm: &[u8]) -> BTreeMap<String, u32> {
    let mut exports = BTreeMap::new();
    for payload in payloads(wasm) {
        if let Payload::ExportSection(section) = payload {
            for export in section.into_iter().flatten() {
                exports.insert(export.name.to_owned(), export.index);
            }
        }
    }
    exports
}

/// The imports, and whether each is a function.
fn imports(wasm: &[u8]) -> Vec<(String, bool)> {
    let mut imports = Vec::new();
    for payload in payloads(wasm) {
        if let Payload::ImportSection(section) = payload {
            for import in section.into_imports().flatten() {
                let name = format!("{}.{}", import.module, import.name);
                imports.push((name, matches!(import.ty, TypeRef::Func(_))));
            }
        }
    }
    imports
}

#[test]
fn names_follow_their_functions() {
    let lowered = common::lower(&common::bare_guest(INDICES));
    let names = function_names(&lowered.wasm);
    let exports = exports(&lowered.wasm);
    let name_of = |export: &str| names[&exports[export]].as_str();
    assert_eq!(name_of("one"), "one");
    assert_eq!(name_of("two"), "two");
    assert_eq!(name_of("log again"), "windlass.bracket.env.log");
    for name in ["begin", "three", "four", "entry", "log", "log_sp", "windlass.run", "windlass.leave"] {
        assert!(names.values().any(|n| n == name), "{name} in {names:?}");
    }
    assert!(!names.values().any(|name| name == "enter_again"));
}

#[test]
fn names_can_be_dropped() {
    let mut options = Options::default();
    options.keep_names = false;
    let lowered = common::lower_with(&common::bare_guest(INDICES), &options);
    assert!(!customs(&lowered.wasm).contains_key("name"));
}

#[test]
fn imports_and_exports_are_the_guests_own() {
    let wasm = common::bare_guest(INDICES);
    let lowered = common::lower(&wasm);
    let expected = [("env.log".to_owned(), true), ("env.log_sp".to_owned(), true)];
    assert_eq!(imports(&lowered.wasm), expected);
    let names = |wasm: &[u8]| exports(wasm).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&lowered.wasm), names(&wasm), "asyncify's exports are gone");
}

const CUSTOMS: &str = r#"
    (@custom "windlass.exports" "add\00ii>i\00")
    (@custom "__wasm_bindgen_unstable" "anything \00\ff")
    (@custom "producers" "\01\08language\01\04Rust\00")
    (@custom "target_features" "\02+\0fmutable-globals+\08sign-ext")
    (@custom "mine" "kept")
    (@custom ".debug_info" "wrong afterwards")
    (@custom ".debug_line" "wrong afterwards")
    (@custom "sourceMappingURL" "\03a.b")
"#;

fn check_customs(lowered: &Lowered) {
    let customs = customs(&lowered.wasm);
    assert_eq!(customs["windlass.abi"], [1, 0, 0, 0]);
    assert_eq!(customs["windlass.exports"], b"add\0ii>i\0");
    assert_eq!(customs["__wasm_bindgen_unstable"], b"anything \0\xff");
    assert_eq!(customs["producers"], b"\x01\x08language\x01\x04Rust\0");
    assert_eq!(customs["mine"], b"kept");
    assert!(customs.contains_key("target_features"));
    assert!(customs.contains_key("name"));
    assert_eq!(
        customs["windlass.lowered"],
        format!("windlass-lower {} {}", env!("CARGO_PKG_VERSION"), lowered.report.engine).as_bytes()
    );
    assert!(customs.keys().all(|name| !name.starts_with(".debug_")));
    assert!(!customs.contains_key("sourceMappingURL"));
    assert!(lowered.report.notes[0].contains("debug information was dropped"));
}

#[test]
fn custom_sections_are_kept_and_debug_information_is_dropped() {
    let with_tasks = common::guest(&format!(
        r#"(func $go (export "go") (call $run (i32.const 0))) (table 1 funcref) {CUSTOMS}"#
    ));
    for (_, lowered) in common::lower_everywhere(&with_tasks, &Options::default()) {
        assert_eq!(lowered.report.wasm_opt.is_some(), lowered.report.engine == Engine::Binaryen);
        check_customs(&lowered);
    }

    let without_tasks = common::bare_guest(&format!(
        r#"
        (import "windlass" "exit" (func $exit))
        (memory 1)
        (global (export "__stack_pointer") (mut i32) (i32.const 65536))
        (func $go (export "go") (call $exit))
        {CUSTOMS}
        "#
    ));
    let lowered = common::lower(&without_tasks);
    assert!(lowered.report.wasm_opt.is_none());
    check_customs(&lowered);
}

#[test]
fn the_output_is_deterministic() {
    let wasm = common::bare_guest(INDICES);
    assert_eq!(common::lower(&wasm).wasm, common::lower(&wasm).wasm);
}

#[test]
fn proposals_are_known_without_the_section_that_lists_them() {
    // A `wasm-opt` that has not been told refuses each of these, or the module for them.
    let wasm = common::guest(
        r#"
        (table 1 funcref)
        (global $bits (mut v128) (v128.const i64x2 1 2))
        (func (export "go")
            (local f32)
            (memory.copy (i32.const 0) (i32.const 8) (i32.const 4))
            (call $log (i32.extend8_s (i32.const 0xff)))
            (call $log (i32.trunc_sat_f32_s (local.get 0)))
            (call $log (i32x4.extract_lane 2 (global.get $bits)))
            (call $pair) (call $log) (call $log)
            (call $run (i32.const 0)))
        (func $pair (result i32 i32) (i32.const 6) (i32.const 7))
        "#,
    );
    assert_eq!(Running::everywhere(&wasm, &Options::default()).go(), [-1, 0, 2, 7, 6]);
}

#[test]
fn an_imported_memory_is_used() {
    let wasm = common::bare_guest(
        r#"
        (import "windlass" "run" (func $run (param i32)))
        (import "env" "memory" (memory 1))
        (import "windlass" "leave" (func $leave (param i32)))
        (global (export "__stack_pointer") (mut i32) (i32.const 65536))
        (table 1 funcref)
        (func (export "go") (call $run (i32.const 0)) (call $leave (i32.const 0)))
        "#,
    );
    let lowered = common::lower(&wasm);
    assert_eq!(imports(&lowered.wasm), [("env.memory".to_owned(), false)]);
}

#[test]
fn brackets_pass_every_type_of_argument_and_result() {
    let wasm = common::bare_guest(
        r#"
        (import "windlass" "exit" (func $exit))
        (import "env" "many" (func $many (param i32 i64 f32 f64 externref) (result externref f64 i32)))
        (memory 1)
        (global (export "__stack_pointer") (mut i32) (i32.const 65536))
        (func (export "go") (param externref) (result externref f64 i32)
            (call $many (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (local.get 0)))
        "#,
    );
    let lowered = common::lower(&wasm);
    assert_eq!(users_of_imports(&lowered.wasm), [["windlass.bracket.env.many"]]);
}
