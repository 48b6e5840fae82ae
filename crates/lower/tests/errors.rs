//! What is refused, in which words, with which remedy.

mod common;

use windlass_lower::{Abi, Engine, Error, ErrorKind, Options, inspect, lower};

#[track_caller]
fn refused(wasm: &[u8], options: &Options) -> Error {
    match lower(wasm, options) {
        Ok(_) => panic!("lowered"),
        Err(error) => error,
    }
}

fn via_binaryen() -> Options {
    let mut options = Options::default();
    options.via = Engine::Binaryen;
    options
}

/// The guest is refused with that kind, a message and a help that contain the given words.
#[track_caller]
fn assert_refused(wasm: &[u8], kind: ErrorKind, message: &str, help: &str) {
    assert_refused_with(&Options::default(), wasm, kind, message, help);
}

#[track_caller]
fn assert_refused_with(options: &Options, wasm: &[u8], kind: ErrorKind, message: &str, help: &str) {
    let error = refused(wasm, options);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(message), "{error}");
    let remedy = error.help().unwrap_or_default();
    assert!(remedy.contains(help), "{remedy}");
}

const STACK_POINTER: &str = r#"(memory 1) (global (export "__stack_pointer") (mut i32) (i32.const 65536))"#;

const RUN: &str = r#"(import "windlass" "run" (func $run (param i32)))"#;
const LEAVE: &str = r#"(import "windlass" "leave" (func $leave (param i32)))"#;
const EXIT: &str = r#"(import "windlass" "exit" (func $exit))"#;

/// A guest that suspends, with the given fields, whatever they lack.
fn suspending(fields: &str) -> Vec<u8> {
    common::bare_guest(&format!(
        r#"{RUN} {LEAVE} {fields} (func $go (export "go") (call $run (i32.const 0)))"#
    ))
}

#[test]
fn what_is_no_module() {
    assert_refused(b"", ErrorKind::Invalid, "does not begin with `\\0asm`", "`.wasm` file");
    assert_refused(b"#!/bin/sh", ErrorKind::Invalid, "not a WebAssembly module", "linker");
    assert_refused(b"\0asm\x01\0\0\0\xff", ErrorKind::Invalid, "at offset 0x8", "");
    assert_refused(b"\0asm\x0d\0\x01\0", ErrorKind::Unsupported, "component", "core module");
    let ill_typed = common::assemble("(module (func (result i32)))");
    assert_refused(&ill_typed, ErrorKind::Invalid, "not a valid WebAssembly module", "");
}

#[test]
fn what_is_no_guest() {
    assert_refused(
        &common::assemble(r#"(module (import "env" "log" (func)) (memory 1))"#),
        ErrorKind::NotAGuest,
        "not a windlass guest: it imports nothing from module `windlass`; nothing to lower",
        "`scheduler`",
    );
}

#[test]
fn what_has_been_lowered() {
    let lowered = common::lower(&common::guest("(table 1 funcref)"));
    assert_refused(&lowered.wasm, ErrorKind::AlreadyLowered, "already lowered (by windlass-lower ", "once");
    let by_others = common::bare_guest(&format!(
        r#"{EXIT} {STACK_POINTER} (func) (@custom "windlass.lowered" "other 7 own")"#
    ));
    assert_refused(&by_others, ErrorKind::AlreadyLowered, "by other 7 own", "");
}

#[test]
fn other_versions() {
    let guest =
        |sections: &str| common::assemble(&format!("(module {EXIT} {STACK_POINTER} (func) {sections})"));
    assert_refused(&guest(""), ErrorKind::Abi, "no section `windlass.abi`", "strip no custom sections");
    assert_refused(
        &guest(r#"(@custom "windlass.abi" "\02\00\00\00")"#),
        ErrorKind::Abi,
        "ABI version 2; this tool lowers version 1",
        "windlass-lower",
    );
    assert_refused(
        &guest(r#"(@custom "windlass.abi" "\01\00\00\00\01\00\00\00")"#),
        ErrorKind::Abi,
        "has 8 bytes",
        "cargo tree --duplicates",
    );
}

#[test]
fn unknown_and_ill_typed_intrinsics() {
    let guest = |import: &str| common::bare_guest(&format!("{import} {STACK_POINTER} (func)"));
    assert_refused(
        &guest(r#"(import "windlass" "teleport" (func))"#),
        ErrorKind::Abi,
        "unknown intrinsic: the module imports `teleport` from module `windlass`",
        "prepare, switch, run",
    );
    assert_refused(
        &guest(r#"(import "windlass" "switch" (global i32))"#),
        ErrorKind::Abi,
        "imports the global `switch`",
        "",
    );
    assert_refused(
        &guest(r#"(import "windlass" "switch" (func (param i32 i64) (result i32)))"#),
        ErrorKind::Abi,
        "intrinsic `switch` is imported with type (i32, i64) -> (i32); its type is (i32, i32) -> ()",
        "one ABI version",
    );
}

#[test]
fn declared_exports_that_cannot_be_read() {
    for (section, message) in [
        (r"add", "record 0: the name does not end"),
        (r"\00i>i\00", "record 0: the name is empty"),
        (r"\ff\00i>i\00", "record 0: the name is not UTF-8"),
        (r"add\00ii>i", "record 0: `add`: the types do not end"),
        (r"add\00ii\00", "`add`: the types do not end in `>` and a result"),
        (r"add\00i>i\00sub\00ix>i\00", "record 1: `sub`: unknown type code `x`"),
        (r"add\00v>i\00", "unknown type code `v`"),
        (r"add\00i>\ff\00", r"unknown type code `\u{ff}`"),
    ] {
        let guest = common::bare_guest(&format!(
            r#"{EXIT} {STACK_POINTER} (func) (@custom "windlass.exports" "{section}")"#
        ));
        assert_refused(&guest, ErrorKind::Abi, message, "one ABI version");
        assert!(inspect(&guest).is_err());
    }
}

#[test]
fn no_stack_pointer_to_find() {
    assert_refused(
        &common::bare_guest(&format!("{EXIT} (memory 1) (global (mut i32) (i32.const 0)) (func)")),
        ErrorKind::Abi,
        "no global is exported or named `__stack_pointer`",
        "-Clink-arg=--export=__stack_pointer",
    );
    let guest = |global: &str| common::bare_guest(&format!("{EXIT} (memory 1) {global} (func)"));
    assert_refused(
        &common::bare_guest(&format!(
            r#"{EXIT} (import "env" "sp" (global $__stack_pointer (mut i32))) (memory 1) (func)"#
        )),
        ErrorKind::Abi,
        "`__stack_pointer` is imported",
        "statically",
    );
    assert_refused(
        &guest("(global $__stack_pointer i32 (i32.const 0))"),
        ErrorKind::Abi,
        "not a mutable i32",
        "",
    );
    assert_refused(
        &guest("(global $__stack_pointer (mut i32) (i32.add (i32.const 1) (i32.const 2)))"),
        ErrorKind::Abi,
        "not initialised by an `i32.const`",
        "",
    );
}

#[test]
fn a_named_stack_pointer_is_found() {
    let named = common::bare_guest(&format!(
        "{EXIT} (memory 1) (global $__stack_pointer (mut i32) (i32.const 65536)) (func)"
    ));
    common::lower(&named);
}

#[test]
fn memories_and_tables() {
    let sp = r#"(global (export "__stack_pointer") (mut i32) (i32.const 65536))"#;
    assert_refused(&suspending(sp), ErrorKind::Unsupported, "no memory", "");
    assert_refused(
        &suspending(&format!("{sp} (memory 1) (memory 1)")),
        ErrorKind::Unsupported,
        "2 memories",
        "",
    );
    assert_refused(
        &suspending(&format!("{sp} (memory i64 1)")),
        ErrorKind::Unsupported,
        "memory64",
        "wasm32",
    );
    assert_refused(
        &suspending(&format!("{sp} (memory 1) (table i64 1 funcref)")),
        ErrorKind::Unsupported,
        "table 0 has 64-bit indices",
        "wasm32",
    );
    assert_refused(&suspending(STACK_POINTER), ErrorKind::Abi, "no table", "");
    assert_refused(
        &suspending(&format!("{STACK_POINTER} (table 1 externref)")),
        ErrorKind::Abi,
        "table 0 does not hold functions",
        "",
    );
}

#[test]
fn what_asyncify_cannot_transform_is_named_with_its_function() {
    let guest = |fields: &str| suspending(&format!("(table 1 funcref) {STACK_POINTER} {fields}"));
    for (body, construct, remedy) in [
        ("return_call $go", "`return_call`", "`tail-call`"),
        ("(return_call_indirect (i32.const 0))", "`return_call_indirect`", "`tail-call`"),
        ("(block $b (try_table (catch_all $b)))", "`try_table`", "panic=abort"),
        ("try catch_all end", "`try`", "panic=abort"),
    ] {
        let message = format!("function `culprit` uses {construct}, which Binaryen's asyncify");
        assert_refused_with(
            &via_binaryen(),
            &guest(&format!("(func $innocent) (func $culprit {body})")),
            ErrorKind::Unsupported,
            &message,
            remedy,
        );
    }
    // Without a suspension asyncify does not run, and a tail call to an import goes through its bracket.
    let simple = common::bare_guest(&format!(
        r#"{EXIT} (import "env" "log_sp" (func $log_sp)) {STACK_POINTER} (func return_call $log_sp)"#
    ));
    common::lower_with(&simple, &via_binaryen());
}

#[test]
fn modules_of_other_tools() {
    let guest = |fields: &str| suspending(&format!("{fields} (table 1 funcref) {STACK_POINTER}"));
    assert_refused(
        &guest(r#"(import "asyncify" "start_unwind" (func (param i32)))"#),
        ErrorKind::Unsupported,
        "imports `asyncify.start_unwind`",
        "not both",
    );
    assert_refused(
        &suspending(&format!(r#"(table 1 funcref) {STACK_POINTER} (func (export "asyncify_get_state"))"#)),
        ErrorKind::Unsupported,
        "exports `asyncify_get_state`",
        "the linker wrote",
    );
    for section in ["linking", "reloc.CODE"] {
        assert_refused(
            &suspending(&format!(r#"(table 1 funcref) {STACK_POINTER} (@custom "{section}" "")"#)),
            ErrorKind::Unsupported,
            section,
            "--relocatable",
        );
    }
}

#[test]
fn whatever_the_abi_relocations_and_lowered_modules_are_refused() {
    let mut asyncify = Options::default();
    asyncify.abi = Abi::Asyncify;
    for section in ["linking", "reloc.CODE"] {
        let object = common::assemble(&format!(
            r#"(module (import "env" "sleep" (func $sleep)) (memory (export "memory") 1)
                (func (export "main") (call $sleep)) (@custom "{section}" "\02"))"#
        ));
        assert_refused_with(&asyncify, &object, ErrorKind::Unsupported, section, "--relocatable");
    }
    for via in Engine::ALL {
        let mut options = Options::default();
        options.via = *via;
        let lowered = common::lower_with(&common::guest("(table 1 funcref)"), &options);
        let message = "already lowered (by windlass-lower ";
        assert_refused_with(&asyncify, &lowered.wasm, ErrorKind::AlreadyLowered, message, "once");
    }
}

#[test]
fn an_overflow_report_of_a_wrong_type() {
    assert_refused(
        &suspending(&format!(
            r#"(table 1 funcref) {STACK_POINTER} (func (export "windlass_stack_overflow") (param i32))"#
        )),
        ErrorKind::Abi,
        "export `windlass_stack_overflow` has type (i32) -> (); its type is () -> ()",
        "",
    );
}

#[test]
fn a_module_without_functions() {
    assert_refused(
        &common::bare_guest(&format!("{EXIT} {STACK_POINTER}")),
        ErrorKind::Abi,
        "defines no function",
        "",
    );
}

#[test]
fn no_wasm_opt() {
    let guest = common::guest("(table 1 funcref)");
    let mut options = via_binaryen();
    options.wasm_opt = Some("/nowhere/wasm-opt".into());
    match lower(&guest, &options) {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WasmOptMissing);
            let text = error.to_string();
            assert!(text.contains("cannot run `/nowhere/wasm-opt`"), "{text}");
            assert!(text.contains("(named by --wasm-opt)"), "{text}");
            let help = error.help().unwrap_or_default();
            assert!(help.contains("apt-get install binaryen"), "{help}");
            assert!(help.contains("npm install binaryen"), "{help}");
        }
        Ok(_) => panic!("lowered"),
    }
    // What does not suspend needs none.
    let simple = common::bare_guest(&format!("{EXIT} {STACK_POINTER} (func)"));
    assert!(lower(&simple, &options).is_ok());
    // Nor does the own engine.
    options.via = Engine::Own;
    assert!(lower(&guest, &options).is_ok());
}

#[test]
fn inspection_tells_what_a_module_says_of_itself() {
    let guest = common::guest(
        r#"(table 1 funcref) (@custom "windlass.exports" "add\00iI>l\00say\00sb>v\00none\00>s\00x\00Lfd>d\00")"#,
    );
    let info = inspect(&guest).unwrap_or_else(|error| panic!("{error}"));
    assert!(info.is_guest() && info.needs_lowering());
    assert_eq!((info.abi_version, &info.lowered), (Some(1), &None));
    assert_eq!(info.intrinsics, ["prepare", "switch", "run", "leave", "discard", "enter", "exit", "fail"]);
    let exports: Vec<String> = info
        .exports
        .iter()
        .map(|export| format!("{}{:?} {:?}", export.name, export.params, export.result))
        .collect();
    assert_eq!(
        exports,
        [
            "add[I32, U32] Some(I64)",
            "say[String, Bytes] None",
            "none[] Some(String)",
            "x[U64, F32, F64] Some(F64)",
        ]
    );

    let lowered = common::lower(&guest);
    let after = inspect(&lowered.wasm).unwrap_or_else(|error| panic!("{error}"));
    assert!(after.is_guest() && !after.needs_lowering());
    assert_eq!(after.exports, info.exports);
    assert!(after.lowered.is_some_and(|by| by.starts_with("windlass-lower ")));

    let other = inspect(b"\0asm\x01\0\0\0").unwrap_or_else(|error| panic!("{error}"));
    assert!(!other.is_guest() && !other.needs_lowering());
}

#[test]
fn operands_beneath_too_many_calls() {
    // Each of a few bytes: lowered it would be a thousand times as large.
    let operands = "(local.get 0) ".repeat(600);
    let sites = "(call $leave (i32.const 0)) ".repeat(900);
    let drops = "(drop) ".repeat(600);
    let table = format!("(table 1 funcref) {STACK_POINTER}");
    assert_refused(
        &suspending(&format!("(func $deep (param i32) {operands} {sites} {drops}) {table}")),
        ErrorKind::Unsupported,
        "keeps too many operands on the stack across calls that may suspend",
        "deny it, or make it smaller",
    );
}
