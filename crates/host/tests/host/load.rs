//! What is accepted, and what is refused before any guest code runs.

use crate::fake::{bytes, error, fake, from_wat, image, nested};
use windlass_host::{Caller, Error, Image, Limits, Reactor};

#[test]
fn signatures_are_those_of_the_section_that_the_module_still_exports() {
    let image = image(&Limits::default());
    let texts: Vec<String> = image.signatures().iter().map(ToString::to_string).collect();
    assert_eq!(
        texts[..3],
        ["add(i32, i32) -> i32", "mix(i32, u32, i64, u64, f32, f64) -> f64", "echo_u32(u32) -> u32"]
    );
    assert_eq!(texts.last().map(String::as_str), Some("echo_later(string) -> string"));
    assert_eq!(image.lowered_by(), Some("by hand"));
}

#[test]
fn a_module_that_was_not_lowered_names_the_import_and_the_tool() {
    let error = error(from_wat(
        r#"(module
            (import "windlass_host" "now" (func (result i64)))
            (import "windlass" "run" (func (param i32)))
            (import "windlass" "leave" (func (param i32)))
            (@custom "windlass.abi" "\01\00\00\00"))"#,
    ));
    assert!(matches!(&error, Error::NotLowered { import } if import == "windlass.run"), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the module imports `windlass.run`: it was not lowered; build it with `cargo windlass build`, or run `windlass-lower` on \
         it"
    );
}

#[test]
fn another_version_of_the_abi_is_refused_by_section_and_by_export() {
    for wat in [
        r#"(module (import "windlass" "run" (func (param i32))) (@custom "windlass.abi" "\02\00\00\00"))"#,
        r#"(module (func (export "windlass_abi_version") (result i32) (i32.const 2)))"#,
    ] {
        let error = error(from_wat(wat));
        assert!(matches!(error, Error::AbiMismatch { found: 2, expected: 1 }), "{error:?}");
    }
    let error = error(from_wat(r#"(module (@custom "windlass.abi" "\01"))"#));
    assert_eq!(
        error.to_string(),
        "the module could not be loaded: the section `windlass.abi` has 1 bytes instead of 4"
    );
}

#[test]
fn what_is_no_module_is_refused() {
    let error = error(Reactor::builder().from_bytes(b"(module)"));
    assert_eq!(
        error.to_string(),
        "the module could not be loaded: this is no WebAssembly binary (it does not begin with `\\0asm`)"
    );
    let cut = &bytes()[..500];
    assert!(matches!(Image::new(cut, &Limits::default()), Err(Error::Load { .. })));
    let missing = crate::fake::error(Reactor::builder().from_file("no/such/file.wasm"));
    assert!(
        missing.to_string().starts_with("the module could not be loaded: no/such/file.wasm: "),
        "{missing}"
    );
}

#[test]
fn a_missing_import_is_named_with_the_line_that_defines_it() {
    let missing = error(fake().builder.from_bytes(&bytes()));
    assert_eq!(
        missing.to_string(),
        "the module imports `env.call_outside`, which nobody provides: define it with `Builder::import(\"env\", \
         \"call_outside\", ...)`"
    );
    let wasi = error(from_wat(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#));
    assert!(
        wasi.to_string().ends_with("this host has no WASI; build the guest for wasm32-unknown-unknown"),
        "{wasi}"
    );
    let host = error(from_wat(r#"(module (import "windlass_host" "later" (func)))"#));
    assert!(
        host.to_string().ends_with("this host is older than the guest: update `windlass-host`"),
        "{host}"
    );
}

#[test]
fn an_import_of_another_type_or_defined_twice_or_in_our_module_is_refused() {
    let other =
        error(fake().builder.import("env", "call_outside", |_: &mut Caller<'_>| 1i64).from_bytes(&bytes()));
    assert!(matches!(&other, Error::Load { message } if message.contains("env::call_outside")), "{other}");
    let twice = error(fake().builder.import("env", "init", |_: &mut Caller<'_>| 0).from_bytes(&bytes()));
    assert!(
        matches!(&twice, Error::Load { message } if message.contains("`env::init` defined twice")),
        "{twice}"
    );
    let ours =
        error(fake().builder.import("windlass_host", "now", |_: &mut Caller<'_>| 0i64).from_bytes(&bytes()));
    assert!(matches!(&ours, Error::Load { message } if message.ends_with("belongs to Windlass")), "{ours}");
}

#[test]
fn a_section_that_contradicts_the_export_is_refused() {
    let error = error(from_wat(
        r#"(module (func (export "add") (param i64)) (@custom "windlass.exports" "add\00ii>i\00"))"#,
    ));
    assert!(
        matches!(&error, Error::Load { message } if message.starts_with("`windlass.exports` declares `add(i32, i32) -> i32`")),
        "{error}"
    );
}

#[test]
fn one_image_makes_many_instances_that_share_nothing() {
    let image = image(&Limits::default());
    let make = || {
        let builder = fake().builder.import("env", "call_outside", nested);
        builder.instantiate(&image).expect("it instantiates")
    };
    let (mut first, mut second) = (make(), make());
    first.initialize().expect("it initialises");
    assert!(matches!(second.call::<_, i32>("add", (1, 2)), Err(Error::NotInitialised)));
    let limits = Limits::default().fuel(1);
    let error =
        error(fake().builder.import("env", "call_outside", nested).limits(limits).instantiate(&image));
    assert_eq!(
        error.to_string(),
        "the module could not be loaded: the image was compiled without fuel: give `Image::new` the same limits as the reactor"
    );
}

#[test]
fn proposals_that_rustc_and_the_lowering_use_are_accepted() {
    let mut reactor = from_wat(
        r#"(module
            (memory (export "memory") 1)
            (table 2 funcref)
            (elem declare func $one)
            (func $one (result i32) (i32.const 1))
            (func $pair (param i32) (result i32 i32) (local.get 0) (local.get 0))
            (func $tail (param i32) (result i32) (return_call $id (local.get 0)))
            (func $id (param i32) (result i32) (local.get 0))
            (func (export "all") (param i32) (result i32)
                (table.set (i32.const 0) (ref.func $one))
                (memory.fill (i32.const 0) (i32.const 1) (i32.const 16))
                (i32.add
                    (i32.extend8_s (call $tail (local.get 0)))
                    (i32.add (call $pair (i32x4.extract_lane 0 (v128.load (i32.const 0))))))))"#,
    )
    .expect("it loads");
    assert_eq!(reactor.call::<_, i32>("all", 0xff).expect("it runs"), 0x0202_0202 - 1);
}
