//! Whatever the bytes are, the answer is a module or an error.

mod common;

use std::sync::LazyLock;

use proptest::prelude::{Strategy, any, prop, proptest};
use windlass_lower::{Options, inspect, lower};

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

fn answer(wasm: &[u8]) {
    let mut options = Options::default();
    // A mutation may turn the guest into one that suspends: that is refused at once.
    options.wasm_opt = Some("no wasm-opt here".into());
    let _ = inspect(wasm);
    if let Ok(lowered) = lower(wasm, &options) {
        // What comes out has been validated; that it can be read again says that the sections are whole.
        assert!(inspect(&lowered.wasm).is_ok());
    }
}

#[test]
fn the_guest_itself_is_lowered() {
    common::lower(&GUEST);
}

proptest! {
    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        answer(&bytes);
        answer(&[b"\0asm\x01\0\0\0", bytes.as_slice()].concat());
    }

    #[test]
    fn a_guest_with_bytes_changed(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut wasm = GUEST.clone();
        for (place, byte) in changes {
            let place = place.index(wasm.len());
            wasm[place] = byte;
        }
        answer(&wasm);
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
