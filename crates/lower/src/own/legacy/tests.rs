//! Translated functions, run in wasmtime, which knows nothing of legacy exceptions.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wasmtime::{Caller, Config, Engine, Extern, Linker, Store, Tag, TypedFunc, Val};

use super::{is_needed, translate};
use crate::error::ErrorKind;
use crate::module::{self, Module};
use crate::own::calls::{Calls, Root, Rules};

/// `$throw` throws nothing for 0, `$a` for 1, `$b` for 2, else `$n` with its argument.
const PRELUDE: &str = r#"
    (import "env" "log" (func $log (param i32)))
    (tag $a (export "a"))
    (tag $b (export "b"))
    (tag $n (export "n") (param i32))
    (func $throw (param i32)
        (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $a)))
        (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $b)))
        (if (i32.gt_u (local.get 0) (i32.const 2)) (then (throw $n (local.get 0)))))
"#;

fn assemble(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {PRELUDE} {body})")).unwrap_or_else(|error| panic!("{error}"))
}

/// Translates; what comes out is valid where legacy exceptions are not.
#[track_caller]
fn translated(wasm: &[u8]) -> Vec<u8> {
    let module = Module::parse(wasm).unwrap_or_else(|error| panic!("{error}"));
    let translated = translate(&module).unwrap_or_else(|error| panic!("{error}"));
    let features = module::features() - WasmFeatures::LEGACY_EXCEPTIONS;
    if let Err(error) = Validator::new_with_features(features).validate_all(&translated) {
        panic!("{error}:\n{}", wasmprinter::print_bytes(&translated).unwrap_or_default());
    }
    translated
}

/// Calls the translated `f: (i32) -> i32` with each argument and compares what it logs and how it ends.
#[track_caller]
fn check(body: &str, expected: &[(i32, &str)]) {
    let wasm = translated(&assemble(body));
    let mut config = Config::new();
    config.wasm_exceptions(true);
    let engine = Engine::new(&config).unwrap();
    let compiled = wasmtime::Module::new(&engine, &wasm).unwrap();
    for (arg, expected) in expected {
        let mut store = Store::new(&engine, String::new());
        let mut linker = Linker::new(&engine);
        let log =
            |mut caller: Caller<'_, String>, value: i32| caller.data_mut().push_str(&format!("{value} "));
        linker.func_wrap("env", "log", log).unwrap();
        let instance = linker.instantiate(&mut store, &compiled).unwrap();
        let f: TypedFunc<i32, i32> = instance.get_typed_func(&mut store, "f").unwrap();
        let end = match f.call(&mut store, *arg) {
            Ok(result) => format!("= {result}"),
            Err(error) => match store.take_pending_exception() {
                Some(exception) => {
                    let thrown = exception.tag(&mut store).unwrap();
                    let is_it = |store: &mut Store<String>, tag: Option<Extern>| match tag {
                        Some(Extern::Tag(tag)) => Tag::eq(&tag, &thrown, store),
                        _ => false,
                    };
                    let tags = ["a", "b", "n"];
                    let name = tags.into_iter().find(|name| {
                        let tag = instance.get_export(&mut store, name);
                        is_it(&mut store, tag)
                    });
                    let carried: Vec<Val> = exception.fields(&mut store).unwrap().collect();
                    let carried = carried.first().and_then(Val::i32).map(|value| format!(" {value}"));
                    format!("throws {}{}", name.unwrap_or("?"), carried.unwrap_or_default())
                }
                None => panic!("{error}"),
            },
        };
        assert_eq!(format!("{}{end}", store.data()), *expected, "f({arg})");
    }
}

#[test]
fn a_handler_takes_its_tag_and_what_that_carries() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                local.get 0
                call $throw
                i32.const 100
            catch $n
                i32.const 1000
                i32.add
            catch $a
                i32.const 200
            end)"#,
        &[(0, "= 100"), (1, "= 200"), (2, "throws b"), (7, "= 1007")],
    );
}

#[test]
fn catch_all_takes_the_rest() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                local.get 0
                call $throw
                i32.const 100
            catch $a
                i32.const 200
            catch_all
                i32.const 300
            end)"#,
        &[(0, "= 100"), (1, "= 200"), (2, "= 300"), (7, "= 300")],
    );
}

#[test]
fn of_two_handlers_of_a_tag_the_first_counts() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                local.get 0
                call $throw
                i32.const 100
            catch $n
            catch $n
                i32.const 1
                i32.add
            end)"#,
        &[(0, "= 100"), (5, "= 5"), (1, "throws a")],
    );
}

#[test]
fn a_try_without_handlers_catches_nothing() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try
                    local.get 0
                    call $throw
                end
                i32.const 100
            catch $a
                i32.const 200
            end)"#,
        &[(0, "= 100"), (1, "= 200"), (7, "throws n 7")],
    );
}

#[test]
fn what_a_handler_throws_is_not_its_own() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    local.get 0
                    call $throw
                    i32.const 100
                catch $n
                    drop
                    throw $a
                catch $a
                    i32.const 200
                end
            catch $a
                i32.const 300
            end)"#,
        &[(0, "= 100"), (1, "= 200"), (7, "= 300")],
    );
}

#[test]
fn rethrow_throws_what_its_own_handler_caught() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    local.get 0
                    call $throw
                    i32.const 100
                catch $n
                    call $log
                    rethrow 0
                catch_all
                    i32.const -1
                    call $log
                    rethrow 0
                end
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        &[(0, "= 100"), (7, "7 = 1007"), (1, "-1 throws a"), (2, "-1 throws b")],
    );
}

/// The inner handler has caught 50, the outer one what the argument says.
#[test]
fn rethrow_throws_what_an_outer_handler_caught() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                local.get 0
                call $throw
                i32.const 100
            catch_all
                try (result i32)
                    i32.const 50
                    call $throw
                    i32.const 200
                catch $n
                    call $log
                    block
                        local.get 0
                        i32.const 9
                        i32.eq
                        br_if 0
                        rethrow 2
                    end
                    rethrow 0
                end
            end)"#,
        &[(0, "= 100"), (1, "50 throws a"), (7, "50 throws n 7"), (9, "50 throws n 50")],
    );
}

/// Thrown again in the body of a `try` inside the handler, it is that one's to catch.
#[test]
fn rethrow_in_a_try_inside_the_handler_is_caught_there() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                local.get 0
                call $throw
                i32.const 100
            catch_all
                try (result i32)
                    rethrow 1
                catch $n
                    i32.const 1000
                    i32.add
                end
            end)"#,
        &[(0, "= 100"), (7, "= 1007"), (2, "throws b")],
    );
}

/// The second of two tries in a row has the first one's local; that of the handler around them stays.
#[test]
fn handlers_beside_each_other_do_not_disturb_the_one_around() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try
                local.get 0
                call $throw
            catch_all
                try
                    try
                        i32.const 40
                        call $throw
                    catch_all
                        rethrow 0
                    end
                catch $n
                    call $log
                end
                try
                    try
                        i32.const 41
                        call $throw
                    catch_all
                        rethrow 0
                    end
                catch $n
                    call $log
                end
                rethrow 0
            end
            i32.const 100)"#,
        &[(0, "= 100"), (1, "40 41 throws a"), (7, "40 41 throws n 7")],
    );
}

#[test]
fn delegate_passes_over_the_tries_between() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    try (result i32)
                        local.get 0
                        call $throw
                        i32.const 100
                    delegate 1
                    i32.const 1
                    i32.add
                catch_all
                    i32.const 200
                end
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        &[(0, "= 101"), (7, "= 1007"), (1, "throws a")],
    );
}

#[test]
fn delegate_to_the_try_around_is_as_if_there_was_none() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    local.get 0
                    call $throw
                    i32.const 100
                delegate 0
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        &[(0, "= 100"), (7, "= 1007"), (1, "throws a")],
    );
}

#[test]
fn delegate_to_the_caller_passes_over_every_try() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    local.get 0
                    call $throw
                    i32.const 100
                delegate 1
            catch_all
                i32.const 200
            end)"#,
        &[(0, "= 100"), (7, "throws n 7"), (1, "throws a")],
    );
}

/// A label that is no `try` stands for the body that it is in.
#[test]
fn delegate_to_a_block_throws_where_the_block_is() {
    for (block, end) in [("block (result i32)", "end"), ("loop (result i32)", "end"), {
        ("i32.const 1 if (result i32)", "else i32.const 5 end")
    }] {
        check(
            &format!(
                r#"(func (export "f") (param i32) (result i32)
                    try (result i32)
                        {block}
                            try (result i32)
                                try (result i32)
                                    local.get 0
                                    call $throw
                                    i32.const 100
                                delegate 1
                            catch_all
                                i32.const 200
                            end
                        {end}
                    catch $n
                        i32.const 1000
                        i32.add
                    end)"#
            ),
            &[(0, "= 100"), (7, "= 1007"), (1, "throws a")],
        );
    }
}

/// The label is of a `try` whose handler runs: its handlers are over, what is around it catches.
#[test]
fn delegate_to_a_try_from_its_handler_throws_around_it() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    throw $a
                catch $a
                    try (result i32)
                        try (result i32)
                            local.get 0
                            call $throw
                            i32.const 100
                        delegate 1
                    catch_all
                        i32.const 200
                    end
                catch $n
                    drop
                    i32.const 300
                end
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        &[(0, "= 100"), (7, "= 1007"), (2, "throws b")],
    );
}

/// It catches nothing, so what is thrown in its body is not its own.
#[test]
fn delegate_to_a_try_without_handlers_throws_around_it() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try $bare (result i32)
                    try (result i32)
                        try (result i32)
                            local.get 0
                            call $throw
                            i32.const 100
                        delegate $bare
                    catch_all
                        i32.const 200
                    end
                end
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        &[(0, "= 100"), (7, "= 1007"), (1, "throws a")],
    );
}

#[test]
fn handlers_beside_each_other_share_a_local() {
    let beside = "try catch $a rethrow 0 catch_all rethrow 0 end ".repeat(3);
    let wasm = translated(&assemble(&format!("(func try catch_all {beside} rethrow 0 end)")));
    let module = Module::parse(&wasm).unwrap();
    let mut locals = module.bodies.last().unwrap().get_locals_reader().unwrap();
    assert_eq!((locals.get_count(), locals.read().unwrap().0), (1, 2));
}

/// The target delegates in its turn, past the handlers that stand between.
#[test]
fn delegate_to_a_try_that_delegates_goes_on() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            try (result i32)
                try (result i32)
                    try (result i32)
                        try (result i32)
                            try (result i32)
                                local.get 0
                                call $throw
                                i32.const 100
                            delegate 1
                        catch_all
                            i32.const 200
                        end
                    delegate 1
                catch_all
                    i32.const 300
                end
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        &[(0, "= 100"), (7, "= 1007"), (1, "throws a")],
    );
}

/// No engine takes both in one module, but the format does.
#[test]
fn delegate_to_a_try_table_is_caught_by_it() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            block $caught (result i32)
                try_table (result i32) (catch $n $caught)
                    try (result i32)
                        try (result i32)
                            local.get 0
                            call $throw
                            i32.const 100
                        delegate 1
                    catch_all
                        i32.const 200
                    end
                end
                return
            end
            i32.const 1000
            i32.add)"#,
        &[(0, "= 100"), (7, "= 1007"), (1, "throws a")],
    );
}

#[test]
fn bodies_have_parameters_and_several_results() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            (local i64)
            try (result i32)
                i32.const 3
                i64.const 4
                try (param i32 i64) (result i64 i32)
                    local.set 1
                    i32.const 10
                    i32.mul
                    local.get 1
                    try (param i32 i64) (result i64 i32)
                        local.set 1
                        local.get 0
                        call $throw
                        local.get 1
                        i64.const 1
                        i64.add
                        local.set 1
                        local.set 0
                        local.get 1
                        local.get 0
                    delegate 1
                catch_all
                    i64.const 8
                    i32.const 80
                end
                local.set 0
                i32.wrap_i64
                local.get 0
                i32.add
            catch $n
                i32.const 1000
                i32.add
            end)"#,
        // 3 * 10 + (4 + 1).
        &[(0, "= 35"), (7, "= 1007"), (1, "throws a")],
    );
}

#[test]
fn branches_leave_bodies_and_handlers() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            (local $rounds i32)
            block $out
                loop $again
                    (local.set $rounds (i32.add (local.get $rounds) (i32.const 1)))
                    try $try
                        local.get 0
                        call $throw
                        local.get $rounds
                        i32.const 3
                        i32.lt_u
                        br_if $again
                        i32.const 4
                        local.get $rounds
                        br_if $try
                        unreachable
                    catch $n
                        call $log
                        (local.set 0 (i32.sub (local.get 0) (i32.const 5)))
                        local.get 0
                        br_table $try $again $again $out
                    catch $a
                        i32.const 55
                        return
                    catch_all
                        br $out
                    end
                    i32.const 60
                    local.get $rounds
                    i32.add
                    return
                end
            end
            i32.const 70
            local.get $rounds
            i32.add)"#,
        &[
            (0, "= 63"),
            (1, "= 55"),
            (2, "= 71"),
            // 0: to the end of the `try`.
            (5, "5 = 61"),
            // 1 and 2: again, and then $a and $b are thrown.
            (6, "6 = 55"),
            (7, "7 = 72"),
            (8, "8 = 71"),
        ],
    );
}

#[test]
fn branches_find_their_labels_where_others_are_delivered() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            block $out (result i32)
                try $outer (result i32)
                    try $inner (result i32)
                        try $delegating (result i32)
                            local.get 0
                            call $throw
                            i32.const 100
                            local.get 0
                            i32.eqz
                            br_if $outer
                            br $delegating
                        delegate $outer
                    catch_all
                        i32.const 200
                        br $out
                    end
                catch $n
                    br $out
                catch $b
                    i32.const 300
                    br 2
                end
                i32.const 1
                i32.add
            end)"#,
        &[(0, "= 101"), (1, "throws a"), (2, "= 300"), (7, "= 7")],
    );
}

#[test]
fn code_that_control_cannot_reach_stays_valid() {
    check(
        r#"(func (export "f") (param i32) (result i32)
            local.get 0
            return
            try (param i32) (result i32)
                try
                    br 0
                    try (param i64 f32) (result f64)
                        unreachable
                    delegate 2
                    drop
                delegate 1
            catch $n
                rethrow 0
                try (result i32)
                    rethrow 1
                catch_all
                    rethrow 1
                    rethrow 0
                end
            catch_all
                i32.const 1
                br 1
            end)"#,
        &[(5, "= 5")],
    );
}

#[test]
fn functions_without_legacy_instructions_stay_byte_for_byte() {
    let wasm = assemble(
        r#"(func (result i32)
            (local i32 i32 i64)
            block (result exnref)
                try_table (catch_all_ref 0)
                    i32.const 1
                    call $throw
                end
                i32.const 1
                return
            end
            throw_ref)
        (func try catch_all end)"#,
    );
    let translated = translated(&wasm);
    let (before, after) = (Module::parse(&wasm).unwrap(), Module::parse(&translated).unwrap());
    let bytes = |module: &Module<'_>, position: usize| module.bodies[position].as_bytes().to_vec();
    assert_eq!(before.bodies.len(), after.bodies.len());
    for position in 0..2 {
        assert_eq!(bytes(&before, position), bytes(&after, position));
    }
    assert_ne!(bytes(&before, 2), bytes(&after, 2));
}

#[test]
fn every_section_keeps_its_place_and_its_bytes() {
    let wasm = wat::parse_str(
        r#"(module
            (@custom "first" (before first) "1")
            (type (func (param i32) (result i32)))
            (import "env" "thrown" (tag $thrown (type 1)))
            (type (func (param i64)))
            (memory 1)
            (@custom ".debug_line" (before code) "2")
            (func $f try (result i32) i32.const 1 catch $thrown drop rethrow 0 end drop)
            (data (i32.const 0) "data")
            (@custom "target_features" (after last) "3"))"#,
    )
    .unwrap();
    let translated = translated(&wasm);
    let sections = |wasm: &[u8]| -> Vec<(u8, Vec<u8>)> {
        let payloads = Parser::new(0).parse_all(wasm).map(|payload| payload.unwrap());
        let sections = payloads.filter_map(|payload| match payload {
            Payload::CodeSectionStart { .. } | Payload::TypeSection(_) => None,
            payload => payload.as_section(),
        });
        sections.map(|(id, range)| (id, wasm[range].to_vec())).collect()
    };
    assert_eq!(sections(&wasm), sections(&translated));
    let (before, after) = (Module::parse(&wasm).unwrap(), Module::parse(&translated).unwrap());
    assert_eq!(before.types, after.types[..before.types.len()]);
}

/// Without recursion, and in linear time.
#[test]
fn tries_may_be_nested_deeply() {
    const DEEP: usize = 10_000;
    for (begin, end) in [
        ("try", "catch $n drop end"),
        ("try", "catch $n drop rethrow 0 end"),
        ("try", "delegate 0"),
        ("try try", "delegate 1 catch_all end"),
        // A handler in a handler, each with an exception to keep.
        ("try catch_all", "rethrow 0 end"),
    ] {
        let (begin, end) = (format!("{begin} ").repeat(DEEP), format!("{end} ").repeat(DEEP));
        translated(&assemble(&format!("(func {begin} {end})")));
    }
}

#[test]
fn what_engines_would_not_take_is_refused() {
    let many = |count: usize, text: &str| text.repeat(count);
    for (wasm, refusal) in [
        (
            assemble(&format!(
                "(func $f {} {})",
                many(50_001, "try catch_all "),
                many(50_001, "rethrow 0 end ")
            )),
            "function `f`: in standard exception handling it has more locals than engines take",
        ),
        (
            assemble(&format!("(func $f try {} end)", many(10_001, "catch $a "))),
            "function `f`: in standard exception handling it has more handlers of one `try` than engines take",
        ),
        (
            assemble(&format!(
                "(tag $wide (param {})) (func $f block (result {}) try catch $wide rethrow 0 end unreachable end {})",
                many(1000, "i32 "),
                many(1000, "i32 "),
                many(1000, "drop ")
            )),
            "function `f`: in standard exception handling it has more values that its tags carry than engines take",
        ),
    ] {
        let module = Module::parse(&wasm).unwrap();
        let error = translate(&module).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.to_string(), refusal);
    }
}

#[test]
fn it_is_needed_where_a_call_inside_a_try_may_suspend() {
    for (body, expected) in [
        ("call $log", false),
        ("try call $throw catch_all end call $log", false),
        ("call $log try catch_all end", false),
        ("block try catch_all end call $log end", false),
        ("try delegate 0 call $log", false),
        ("try catch_all end try_table call $log end", false),
        ("try return_call $log catch_all end", false),
        ("try call $log catch_all end", true),
        ("try catch $a call $log end", true),
        ("try catch_all call $log end", true),
        ("try call $log delegate 0", true),
        ("try block call $log end catch_all end", true),
        ("try block end try catch_all end call $log end", true),
    ] {
        let wasm = assemble(&body_with_argument(body));
        let module = Module::parse(&wasm).unwrap();
        let rules = Rules { roots: vec![Root { function: 0, again: false }], ..Rules::default() };
        let calls = Calls::analyse(&module, &rules).unwrap();
        assert_eq!(is_needed(&module, &calls).unwrap(), expected, "{body}");
    }
}

/// A function with that body, whose calls of `$log` have what they take.
fn body_with_argument(body: &str) -> String {
    let body = body.replace("call $throw", "i32.const 0 call $throw").replace("return_call $log", "tail");
    let body =
        body.replace("call $log", "i32.const 0 call $log").replace("tail", "i32.const 0 return_call $log");
    format!("(func {body})")
}

#[test]
fn the_text_of_a_small_function() {
    let wasm = wat::parse_str(
        r#"(module
            (tag $n (param i32))
            (func $risky)
            (func $f (result i32)
                try (result i32)
                    try
                        try
                            call $risky
                        delegate 1
                    catch $n
                        drop
                    end
                    i32.const 1
                catch $n
                catch_all
                    call $risky
                    rethrow 0
                end))"#,
    )
    .unwrap();
    let text = wasmprinter::print_bytes(translated(&wasm)).unwrap();
    let start = text.find("  (func $f").unwrap();
    assert_eq!(
        &text[start..],
        r#"  (func $f (;1;) (type 2) (result i32)
    (local exnref)
    block (result i32) ;; label = @1
      block (result exnref) ;; label = @2
        block (result i32) ;; label = @3
          try_table (result i32) (catch $n 0 (;@3;)) (catch_all_ref 1 (;@2;)) ;; label = @4
            block (result exnref) ;; label = @5
              block ;; label = @6
                block (result i32) ;; label = @7
                  try_table (catch $n 0 (;@7;)) ;; label = @8
                    block ;; label = @9
                      block (result exnref) ;; label = @10
                        try_table (catch_all_ref 0 (;@10;)) ;; label = @11
                          call $risky
                        end
                        br 1 (;@9;)
                      end
                      br 4 (;@5;)
                    end
                  end
                  br 1 (;@6;)
                end
                drop
              end
              i32.const 1
              br 4 (;@1;)
            end
            throw_ref
          end
          br 2 (;@1;)
        end
        br 1 (;@1;)
      end
      local.set 0
      call $risky
      local.get 0
      throw_ref
    end
  )
)
"#
    );
}
