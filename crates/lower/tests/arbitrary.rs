//! Whatever the bytes are, the answer is a module or an error.

mod common;

use std::sync::LazyLock;

use proptest::prelude::{Strategy, any, prop, proptest};
use windlass_lower::{Abi, ErrorKind, Optimize, Options, inspect, lower};

/// A guest with every section that the tool reads, and that needs no `wasm-opt`: a run each would take too long.
static GUEST: LazyLock<Vec<u8>> = LazyLock::new(|| {
    common::bare_guest(
        r#"
        (import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
        (import "env" "log" (func $log (param i32)))
        (import "windlass" "run" (func $run (param i32)))
        (import "windlass" "enter" (func $enter (result i32)))
        (memory (export "memory") 2)
        (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
        (global funcref (ref.func $log))
        (table 2 funcref)
        (start $start)
        (elem (i32.const 0) func $entry $log)
        (func $start (param) (call $log (i32.const 0)))
        (func $entry (param $arg i32) (result i32)
            (local $name i64)
            (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 16)))
            (i32.const 0))
        (func (export "go")
            (drop (call $enter))
            (call $run (call $prepare (i32.const 65536) (i32.const 66560) (i32.const 0) (i32.const 0))))
        (func (export "_initialize") (call $log (i32.const 1)))
        (func (export "windlass_initialize") (call $log (i32.const 2)))
        (data (i32.const 0) "some data")
        (@custom "windlass.exports" "go\00>v\00")
        "#,
    )
});

/// A guest whose code suspends, with blocks, tables, references and several values around it.
static SUSPENDS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    common::bare_guest(
        r#"
        (import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
        (import "windlass" "run" (func $run (param i32)))
        (import "windlass" "leave" (func $leave (param i32)))
        (memory 2)
        (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
        (table 2 funcref)
        (elem (i32.const 0) func $entry)
        (func (export "go")
            (call $run (call $prepare (i32.const 65536) (i32.const 66560) (i32.const 0) (i32.const 0))))
        (func $entry (param i32) (result i32)
            (drop (call $work (local.get 0) (i64.const 1) (ref.null extern))) (drop) (drop) (i32.const 0))
        (func $stop (call $leave (i32.const 0)))
        (func $odd (param i32) (result i32) (call $stop) (return_call $odd (local.get 0)))
        WORK"#
            .replace("WORK", WORK)
            .as_str(),
    )
});

/// The same for the asyncify ABI.
static PAUSES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    common::assemble(
        &r#"(module
        (import "env" "stop" (func $stop))
        (import "env" "odd" (func $odd (param i32) (result i32)))
        (memory (export "memory") 2)
        (table (export "table") 2 funcref)
        (elem (i32.const 0) func $stop $odd)
        (export "work" (func $work))
        WORK)"#
            .replace("WORK", WORK),
    )
});

const WORK: &str = r#"
    (type $f (func (param i32) (result i32)))
    (func $work (param $a i32) (param $l i64) (param $x externref) (result i64 f64 i32)
        (local $f f32) (local $v v128) (local $r funcref)
        (local.set $f (f32.convert_i32_s (local.get $a)))
        (i64.mul (local.get $l) (i64.const 3))
        (f64.const 0.5)
        (block $out (result i32)
            (call $stop)
            (loop $again (result i32)
                (local.set $a (i32.add (local.get $a) (call $odd (local.get $a))))
                (if (i32.and (local.get $a) (i32.const 1))
                    (then (call $stop) (br $out (i32.const 4)))
                    (else (br_if $again (call $odd (i32.const 3)))))
                (block $b (block $c (br_table $b $c $again (local.get $a))) (call $stop))
                (call_indirect (type $f) (i32.const 2) (local.get $a))
                (br_if $out (local.get $a))
                (i32.add (i32.trunc_f32_s (local.get $f)))
                (i32.add (i32x4.extract_lane 2 (local.get $v)))
                (i32.add (ref.is_null (local.get $x)))
                (i32.add (ref.is_null (local.get $r))))))
"#;

fn answer(wasm: &[u8]) {
    let _ = inspect(wasm);
    for (abi, optimize) in [(Abi::Windlass, Optimize::Balanced), (Abi::Asyncify, Optimize::Speed)] {
        let mut options = Options::default();
        (options.abi, options.optimize) = (abi, optimize);
        match lower(wasm, &options) {
            // What comes out has been validated; that it can be read again says that the sections are whole.
            Ok(lowered) => assert!(inspect(&lowered.wasm).is_ok()),
            Err(error) => assert_ne!(error.kind(), ErrorKind::Internal, "{error}"),
        }
    }
}

/// In all ways of the own engine.
fn answers(wasm: &[u8], abi: Abi) {
    for optimize in Optimize::ALL {
        for stable in [false, true] {
            let mut options = Options::default();
            (options.abi, options.optimize, options.stable_buffer) = (abi, *optimize, stable);
            if let Err(error) = lower(wasm, &options) {
                assert_ne!(error.kind(), ErrorKind::Internal, "{abi} {optimize}: {error}");
            }
        }
    }
}

fn changed(wasm: &[u8], changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut wasm = wasm.to_vec();
    for (place, byte) in changes {
        let place = place.index(wasm.len());
        wasm[place] = *byte;
    }
    wasm
}

/// Where the code is: nearly every byte of it means something.
fn code(wasm: &[u8]) -> std::ops::Range<usize> {
    let mut sections = wasmparser::Parser::new(0).parse_all(wasm).map_while(Result::ok);
    let code = sections.find_map(|payload| match payload {
        wasmparser::Payload::CodeSectionStart { range, .. } => Some(range),
        _ => None,
    });
    code.unwrap_or(0..wasm.len())
}

#[test]
fn the_guests_themselves_are_lowered() {
    common::lower(&GUEST);
    common::lower(&SUSPENDS);
    common::lower_with(&PAUSES, &common::asyncify::options());
}

#[test]
fn code_that_is_ill_typed_around_calls_is_refused() {
    // The analysis meets it before the validator has seen the operator.
    for body in [
        "call $odd",
        "call $stop i32.const 1 call $odd drop call $odd",
        "return_call $odd",
        "call_indirect (type $f)",
        "i32.const 0 call_indirect (type $f)",
        "return_call_indirect (type $f)",
        "if call $stop end",
        "i32.const 1 block call $odd drop end",
        "i32.const 1 block if call $stop end end",
        "i32.const 1 block (param i32) call $stop drop call $odd end",
        "block (param i32) call $stop end",
        "loop (param i32 i32) call $stop end",
        "i32.const 1 if (param i32) call $stop end",
        "i32.const 1 loop call $odd br_if 0 end",
        "f32.const 1 call $odd",
        "call $stop end",
        "block call $stop",
        "else call $stop",
        "i32.const 1 if call $stop else else call $stop end",
        "br 7 call $stop",
        "call $stop br_table 0 9 1",
        "call $stop local.get 77",
        "call $stop call 99",
        "call $stop call_indirect 5 (type $f)",
        "call $stop ref.func 99",
        "call $stop i32.const 3",
        "unreachable call $odd if call $odd else call $stop end",
        "try_table (catch_all 5) call $stop end",
        "try call $stop catch 7 call $stop end",
        "try call $stop delegate 9",
        "call $stop throw 3",
        "call $stop rethrow 0",
        "local.get 0 local.get 0 select call $odd",
    ] {
        let abi = |imports: &str| {
            common::assemble(&format!(
                r#"(module {imports}
                (type $f (func (param i32) (result i32)))
                (memory 2)
                (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
                (table 2 funcref)
                (elem (i32.const 0) func $odd)
                (func $f (export "f") {body})
                (@custom "windlass.abi" "\01\00\00\00"))"#
            ))
        };
        let odd = "(func $odd (param i32) (result i32) (call $stop) (i32.const 1))";
        let asyncify = abi(&format!(r#"(import "env" "stop" (func $stop)) {odd}"#));
        let windlass = abi(&format!(
            r#"(import "windlass" "leave" (func $leave (param i32)))
            (func $stop (call $leave (i32.const 0))) {odd}"#
        ));
        for (wasm, abi) in [(asyncify, Abi::Asyncify), (windlass, Abi::Windlass)] {
            for optimize in Optimize::ALL {
                let mut options = Options::default();
                (options.abi, options.optimize) = (abi, *optimize);
                let error = lower(&wasm, &options).expect_err(body);
                assert_eq!(error.kind(), ErrorKind::Invalid, "{abi} {optimize}, {body}: {error}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        answer(&bytes);
        answer(&[b"\0asm\x01\0\0\0", bytes.as_slice()].concat());
    }

    #[test]
    fn a_guest_with_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        for guest in [&GUEST, &SUSPENDS, &PAUSES] {
            answer(&changed(guest, &changes));
        }
    }

    #[test]
    fn code_with_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..3)) {
        for (guest, abi) in [(&SUSPENDS, Abi::Windlass), (&PAUSES, Abi::Asyncify)] {
            let range = code(guest);
            let code = changed(&guest[range.clone()], &changes);
            answers(&[&guest[..range.start], &code, &guest[range.end..]].concat(), abi);
        }
    }

    #[test]
    fn a_guest_with_a_byte_off_by_one(place in any::<prop::sample::Index>(), up in any::<bool>()) {
        let mut wasm = GUEST.clone();
        let place = place.index(wasm.len());
        wasm[place] = if up { wasm[place].wrapping_add(1) } else { wasm[place].wrapping_sub(1) };
        answer(&wasm);
    }

    #[test]
    fn a_guest_cut_short(end in (0..GUEST.len()).prop_map(|end| end)) {
        answer(&GUEST[..end]);
    }
}
