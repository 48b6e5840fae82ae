//! What a module says besides its code is still there, and still true, after the own engine.

mod common;

use common::asyncify::{Policy, Running, options, own_ways};
use windlass_lower::Options;

/// Name, place and contents of every section; numbers for those of the format.
fn sections(wasm: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("a valid module");
        match &payload {
            wasmparser::Payload::CustomSection(section) => {
                found.push((section.name().to_owned(), section.data().to_vec()));
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    found.push((id.to_string(), wasm[range].to_vec()));
                }
            }
        }
    }
    found
}

const CUSTOM: &str = r#"(module
    (@custom "first" (before first) "1")
    (type $f (func (param i32) (result i32)))
    (@custom "after types" (after type) "2")
    (import "env" "pause" (func $pause (type $f)))
    (memory (export "memory") 2)
    (@custom "after memories" (after memory) "3")
    (@custom "after memories" (after memory) "3 again")
    (func $run (export "run") (type $f) (i32.add (call $pause (local.get 0)) (i32.const 1)))
    (@custom "before code" (before code) "4")
    (data (i32.const 0) "x")
    (@custom "target_features" "\01+\0fmutable-globals")
    (@custom "producers" "\01\08language\01\04Rust\00")
    (@custom "__wasm_bindgen_unstable" "\01\02\03")
    (@custom "last" "5"))"#;

#[test]
fn custom_sections_stay_where_they_are() {
    let wasm = common::assemble(CUSTOM);
    let customs = |wasm: &[u8]| -> Vec<(String, Vec<u8>)> {
        let is_custom = |section: &(String, Vec<u8>)| section.0.parse::<u8>().is_err();
        sections(wasm).into_iter().filter(is_custom).filter(|section| section.0 != "name").collect()
    };
    for way in own_ways() {
        let lowered = common::lower_with(&wasm, &way.options).wasm;
        let mut after = customs(&lowered);
        let (by, _) = after.pop().expect("says who lowered it");
        assert_eq!(by, "windlass.lowered");
        assert_eq!(after, customs(&wasm), "{}", way.name);
        // The order of all.
        let place = |wasm: &[u8], name: &str| sections(wasm).iter().position(|section| section.0 == name);
        let before = |first: &str, second: &str| place(&lowered, first) < place(&lowered, second);
        assert!(before("first", "1") && before("1", "after types") && before("after types", "2"));
        assert!(before("5", "after memories") && before("after memories", "7"));
        assert!(before("before code", "10") && before("11", "target_features"));
    }
}

/// A guest that takes the functions of the ABI itself: their imports vanish, and with them indices move.
const NAMED: &str = r#"(module $a_module
    (import "asyncify" "start_unwind" (func $start_unwind (param i32)))
    (import "env" "pause" (func $pause (param i32) (result i32)))
    (import "asyncify" "stop_unwind" (func $stop_unwind))
    (import "env" "log" (func $log (param i32) (result i32)))
    (memory (export "memory") 2)
    (global $a_global (mut i32) (i32.const 0))
    (func $plain (param $where i32) (if (local.get $where) (then unreachable)))
    (func $suspends (param $a i32) (param $b i64) (result i32)
        (local $c f32)
        (global.set $a_global (call $pause (local.get $a)))
        (call $plain (local.get $a))
        (i32.const 1))
    (func $traps_itself (param $a i32) (result i32) (drop (call $pause (local.get $a))) unreachable)
    (func (export "run_plain") (result i32) (call $suspends (i32.const 1) (i64.const 0)))
    (func (export "run_itself") (result i32) (call $traps_itself (i32.const 1)))
    (func (export "run_first") (call $plain (i32.const 1)))
    (func $never (call $stop_unwind) (call $start_unwind (i32.const 16))))"#;

#[test]
fn a_trap_names_the_function_it_is_in() {
    let wasm = common::assemble(NAMED);
    for way in own_ways() {
        let mut running = Running::of(&wasm, &way.options, Policy::Always);
        for (export, name) in [("run_plain", "plain"), ("run_first", "plain")] {
            assert!(running.call(export, &[]).is_err());
            assert_eq!(running.trapped_in(), name, "{}, {export}", way.name);
        }
        // On the way there, and where it is resumed.
        assert!(running.call("run_itself", &[]).is_err());
        let name = running.trapped_in();
        assert!(name == "traps_itself" || name == "windlass.resume.traps_itself", "{}: {name}", way.name);
    }
}

#[test]
fn names_of_the_module_of_locals_and_of_globals_are_kept() {
    use wasmparser::{KnownCustom, Name, Payload};
    let wasm = common::assemble(NAMED);
    for way in own_ways() {
        let lowered = common::lower_with(&wasm, &way.options).wasm;
        let functions = common::names(&lowered);
        let index = |name: &str| {
            let mut found = functions.iter().filter(|(_, other)| other == name);
            let index = found.next().unwrap_or_else(|| panic!("no `{name}`")).0;
            assert!(found.next().is_none(), "two functions are called `{name}`");
            index
        };
        // `pause` and `log` are the imports that are left; functions follow in their order.
        assert_eq!([index("pause"), index("log"), index("plain"), index("suspends")], [0, 1, 2, 3]);
        let (mut module_name, mut locals, mut globals) = (None, Vec::new(), Vec::new());
        for payload in wasmparser::Parser::new(0).parse_all(&lowered) {
            if let Payload::CustomSection(section) = payload.expect("a valid module")
                && let KnownCustom::Name(names) = section.as_known()
            {
                for subsection in names {
                    match subsection.expect("names") {
                        Name::Module { name, .. } => module_name = Some(name.to_owned()),
                        Name::Global(map) => {
                            globals = map
                                .into_iter()
                                .map(|naming| naming.expect("a name").name.to_owned())
                                .collect();
                        }
                        Name::Local(map) => {
                            for function in map {
                                let function = function.expect("names");
                                if function.index == index("suspends") {
                                    let names = function.names.into_iter();
                                    locals =
                                        names.map(|naming| naming.expect("a name").name.to_owned()).collect();
                                }
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
        assert_eq!(module_name.as_deref(), Some("a_module"), "{}", way.name);
        assert_eq!(locals[..3], ["a", "b", "c"], "{}", way.name);
        assert_eq!(globals[0], "a_global", "{}", way.name);
        assert!(globals.contains(&"windlass.unwinding".to_owned()), "{}", way.name);
    }
}

#[test]
fn a_module_without_names_gets_few() {
    // Traps say why by the names of functions; those are kept even then.
    let text = CUSTOM.replace("$run", "").replace("$pause (type", "(type").replace("call $pause", "call 0");
    let wasm = common::assemble(&text);
    let lowered = common::lower_with(&wasm, &options()).wasm;
    let names = common::names(&lowered);
    let traps =
        names.iter().filter(|(_, name)| name.starts_with("windlass.the_asyncify_buffer_is_too_small"));
    assert!(names.is_empty() || traps.count() == 1, "{names:?}");
}

#[test]
fn names_can_be_left_out() {
    let mut options = options();
    options.keep_names = false;
    let lowered = common::lower_with(&common::assemble(NAMED), &options).wasm;
    assert_eq!(common::names(&lowered), []);
}

#[test]
fn debug_information_is_dropped_with_a_note() {
    let text = CUSTOM.replace(
        "(@custom \"last\" \"5\")",
        "(@custom \".debug_info\" \"x\") (@custom \"sourceMappingURL\" \"\\01a\")",
    );
    let lowered = common::lower_with(&common::assemble(&text), &options());
    assert!(!sections(&lowered.wasm).iter().any(|section| section.0.starts_with(".debug")));
    assert!(lowered.report.notes.iter().any(|note| note.contains("debug information was dropped")));
}

#[test]
fn the_same_bytes_come_out_each_time() {
    let wasm = common::assemble(NAMED);
    for way in own_ways() {
        let first = common::lower_with(&wasm, &way.options).wasm;
        for _ in 0..5 {
            assert!(first == common::lower_with(&wasm, &way.options).wasm, "{}", way.name);
        }
    }
}

/// Lowered in each way; the engine of these tests has no shared memory, so the validator has to do.
#[track_caller]
fn is_lowered(text: &str) -> Vec<Vec<u8>> {
    let wasm = common::assemble(text);
    let ways = own_ways().into_iter();
    ways.map(|way| {
        let options: Options = way.options;
        common::lower_with(&wasm, &options).wasm
    })
    .collect()
}

#[test]
fn shared_memory_stays_shared_and_atomics_stay() {
    let text = r#"(module
        (import "env" "pause" (func $pause (param i32) (result i32)))
        (import "env" "memory" (memory 2 10 shared))
        (func (export "run") (param $a i32) (result i64)
            (i32.atomic.store (i32.const 16) (call $pause (local.get $a)))
            (i64.atomic.rmw.add (i32.const 24) (i64.extend_i32_u (call $pause (i32.atomic.load (i32.const 16)))))
            (drop (memory.atomic.notify (i32.const 16) (call $pause (i32.const 1))))
            (drop (i32.atomic.rmw.cmpxchg (i32.const 16) (call $pause (i32.const 2)) (call $pause (i32.const 3))))
            (atomic.fence)))"#;
    for lowered in is_lowered(text) {
        let mut shared = 0;
        for payload in wasmparser::Parser::new(0).parse_all(&lowered) {
            if let wasmparser::Payload::ImportSection(section) = payload.expect("a valid module") {
                for import in section.into_imports() {
                    if let wasmparser::TypeRef::Memory(memory) = import.expect("an import").ty {
                        shared += usize::from(memory.shared && memory.maximum == Some(10));
                    }
                }
            }
        }
        assert_eq!(shared, 1);
    }
}
