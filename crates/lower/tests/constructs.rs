//! Every construct of the format around calls that suspend, by what it does: lowered in each way and suspended at each
//! call, a module does what it did before.

mod common;

use std::fmt::Write as _;

use common::asyncify::{own_ways, subject, whole};

/// Why the second opinion is missing, if it is.
mod lacks {
    pub(super) const REFERENCES: &str = "binaryen keeps no references across a suspension";
    pub(super) const SEVERAL: &str = "binaryen 108 does not validate what asyncify makes of several results";
    pub(super) const TAIL_CALLS: &str = "binaryen 108 does not know tail calls";
    pub(super) const MEMORIES: &str = "binaryen 108 does not know several memories";
}

// Values across a call.

#[test]
fn locals_of_each_type() {
    let seen = subject(
        r#"
        (func (export "run") (param $a i32) (param $b i64) (param $c f32) (param $d f64) (result i64)
            (local $w i32) (local $x i64) (local $y f32) (local $z f64)
            (local.set $w (i32.mul (local.get $a) (i32.const 3)))
            (local.set $x (i64.mul (local.get $b) (i64.const 5)))
            (local.set $y (f32.mul (local.get $c) (f32.const 7)))
            (local.set $z (f64.mul (local.get $d) (f64.const 9)))
            (drop (call $pause (local.get $a)))
            (drop (call $log (local.get $w)))
            (drop (call $log (i32.trunc_f32_s (f32.mul (local.get $y) (local.get $c)))))
            (drop (call $log (i32.trunc_f64_s (f64.mul (local.get $z) (local.get $d)))))
            (i64.add (local.get $b) (local.get $x)))
        "#,
    )
    .same();
    assert_eq!(seen.text[..2], ["pause(1000)", "log(3000)"]);
    assert_eq!(seen.results(), ["run: 0x177600001776"]);
}

#[test]
fn vectors_as_parameter_local_operand_and_result() {
    whole(
        r#"(module
        (import "env" "pause_v" (func $pause (param v128) (result v128)))
        (memory (export "memory") 2)
        (global $g (export "g") (mut v128) (v128.const i32x4 1 2 3 4))
        (func $inner (param $p v128) (result v128)
            (local $l v128)
            (local.set $l (i32x4.mul (local.get $p) (global.get $g)))
            (i32x4.add (local.get $p)
                (i32x4.sub (call $pause (local.get $l)) (local.get $l))))
        (func (export "run") (param $p v128)
            (global.set $g (i32x4.add (i32x4.mul (local.get $p) (local.get $p)) (call $inner (local.get $p))))
            (v128.store (i32.const 32) (global.get $g))))"#,
    )
    .same();
}

#[test]
fn operands_beneath_a_call() {
    subject(
        r#"
        (func (export "run") (param $a i32) (param $b i64) (param $c f32) (param $d f64)
            (i32.store (i32.add (local.get $a) (i32.const 1))
                (i32.sub (i32.mul (local.get $a) (i32.const 7))
                    (i32.add (i32.xor (local.get $a) (i32.const 5)) (call $pause (local.get $a)))))
            (i64.store (i32.add (local.get $a) (i32.const 16))
                (i64.sub (i64.mul (local.get $b) (i64.const 7))
                    (i64.extend_i32_u (call $pause (i32.const 2)))))
            (f32.store (i32.add (local.get $a) (i32.const 32))
                (f32.sub (f32.mul (local.get $c) (f32.const 7))
                    (f32.convert_i32_u (call $pause (i32.const 3)))))
            (f64.store (i32.add (local.get $a) (i32.const 48))
                (f64.sub (f64.mul (local.get $d) (f64.const 7))
                    (f64.convert_i32_u (call $pause (i32.const 4))))))
        "#,
    )
    .same();
}

#[test]
fn operands_of_enclosing_blocks() {
    subject(
        r#"
        (func (export "run") (param $a i32) (result i32)
            (local $i i32)
            (i32.mul (local.get $a) (i32.const 3))
            (block (result i32)
                (i32.mul (local.get $a) (i32.const 5))
                (block (result i32)
                    (i32.mul (local.get $a) (i32.const 7))
                    (loop (result i32)
                        (i32.add (i32.mul (local.get $a) (i32.const 11)) (call $pause (local.get $i)))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br_if 1 (i32.gt_u (local.get $i) (i32.const 3)))
                        drop
                        (br 0))
                    (i32.add))
                (i32.xor))
            (i32.sub))
        "#,
    )
    .same();
}

#[test]
fn constants_of_each_type_beneath() {
    whole(
        r#"(module
        (import "env" "pause" (func $pause (result i32)))
        (memory (export "memory") 2)
        (func (export "run")
            (i32.store (i32.const 8) (i32.sub (i32.const -1) (call $pause)))
            (i64.store (i32.const 16)
                (i64.sub (i64.const -0x123456789abcdef) (i64.extend_i32_u (call $pause))))
            (f32.store (i32.const 24) (f32.sub (f32.const 1.5e10) (f32.convert_i32_u (call $pause))))
            (f64.store (i32.const 32) (f64.sub (f64.const -0x1.8p100) (f64.convert_i32_u (call $pause))))
            (v128.store (i32.const 48)
                (i32x4.sub (v128.const i32x4 1 2 3 -4) (i32x4.splat (call $pause))))))"#,
    )
    .same();
}

#[test]
fn an_operand_that_was_a_local_keeps_what_it_was() {
    // The local changes between the push and the call.
    subject(
        r#"
        (func (export "run") (param $a i32) (result i32)
            (local.get $a)
            (local.set $a (i32.const 5))
            (local.get $a)
            (local.set $a (i32.const 6))
            (local.get $a)
            (call $pause (local.get $a))
            (i32.mul) (i32.sub) (i32.mul) (i32.add (local.get $a)))
        "#,
    )
    .same();
}

#[test]
fn a_result_that_is_the_next_calls_argument() {
    subject(
        r#"
        (func (export "run") (param $a i32) (result i32)
            (call $pause (call $log (call $pause (call $pause (call $log (call $pause (local.get $a))))))))
        "#,
    )
    .same();
}

#[test]
fn results_that_are_dropped_stored_and_teed() {
    subject(
        r#"
        (global $g (export "g") (mut i32) (i32.const 0))
        (func (export "run") (param $a i32) (result i32)
            (local $x i32)
            (drop (call $pause (i32.const 1)))
            (local.set $x (call $pause (i32.const 2)))
            (global.set $g (local.tee $a (call $pause (i32.const 3))))
            (i32.store (i32.const 16) (call $pause (local.get $x)))
            (i32.add (local.get $a) (local.get $x)))
        "#,
    )
    .same();
}

#[test]
fn imports_of_each_result_type_and_none() {
    whole(
        r#"(module
        (import "env" "pause_n" (func $n))
        (import "env" "pause_i" (func $i (param i64 f32 f64) (result i32)))
        (import "env" "pause_l" (func $l (param i32) (result i64)))
        (import "env" "pause_f" (func $f (param i64) (result f32)))
        (import "env" "pause_d" (func $d (param f32) (result f64)))
        (memory (export "memory") 2)
        (func (export "run") (param $a i64) (param $b f32) (param $c f64)
            (call $n)
            (i32.store (i32.const 8) (call $i (local.get $a) (local.get $b) (local.get $c)))
            (i64.store (i32.const 16) (call $l (i32.wrap_i64 (local.get $a))))
            (call $n)
            (f32.store (i32.const 24) (call $f (local.get $a)))
            (f64.store (i32.const 32) (call $d (local.get $b)))))"#,
    )
    .same();
}

#[test]
fn not_a_numbers_keep_their_bits() {
    subject(
        r#"
        (func (export "run") (param $a i32)
            (local $f f32) (local $d f64)
            (local.set $f (f32.reinterpret_i32 (i32.const 0x7fa12345)))
            (local.set $d (f64.reinterpret_i64 (i64.const 0xfff123456789abcd)))
            (i32.const 16)
            (f32.reinterpret_i32 (i32.const 0xffe54321))
            (drop (call $pause (local.get $a)))
            (f32.store)
            (f32.store (i32.const 24) (local.get $f))
            (f64.store (i32.const 32) (local.get $d)))
        "#,
    )
    .same();
}

// References.

const REFERENCES: &str = r#"
    (import "env" "pause" (func $pause (param i32) (result i32)))
    (import "env" "pause_x" (func $pause_x (param externref) (result externref)))
    (import "env" "pause_f" (func $pause_f (param funcref) (result funcref)))
    (import "env" "log_x" (func $log_x (param externref)))
    (import "env" "log_f" (func $log_f (param funcref)))
    (import "env" "log" (func $log (param i32) (result i32)))
    (memory (export "memory") 2)
    (table $t 4 funcref)
    (type $callee (func (param i32) (result i32)))
    (func $c0 (export "callee0") (param i32) (result i32) (i32.add (local.get 0) (i32.const 7)))
    (func $c1 (export "callee1") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 7)))
    (func $which (param funcref) (result i32)
        (if (ref.is_null (local.get 0)) (then (return (i32.const -1))))
        (table.set $t (i32.const 1) (local.get 0))
        (call_indirect $t (type $callee) (i32.const 100) (i32.const 1)))
"#;

#[test]
fn host_references_as_local_operand_parameter_and_result() {
    whole(&format!(
        r#"(module {REFERENCES}
        (func $inner (param $x externref) (param $y externref) (result externref)
            (local $n externref)
            (call $log_x (call $pause_x (local.get $y)))
            (local.get $y)
            (call $log_x (local.get $n))
            (drop (call $pause (i32.const 0)))
            (call $log_x (local.get $x))
            (call $log_x)
            (select (result externref) (local.get $x) (local.get $n) (call $pause (i32.const 1))))
        (func (export "run") (param $x externref) (param $y externref) (result externref)
            (call $log_x (call $inner (local.get $x) (local.get $y)))
            (call $inner (ref.null extern) (local.get $x))))"#
    ))
    .without_binaryen(lacks::REFERENCES)
    .rounds(30)
    .same();
}

#[test]
fn function_references_as_local_operand_parameter_and_result() {
    whole(&format!(
        r#"(module {REFERENCES}
        (elem declare func $c0 $c1 $pause)
        (func $inner (param $x funcref) (param $y funcref) (result funcref)
            (local $n funcref) (local $p funcref)
            (local.set $p (ref.func $pause))
            (drop (call $log (call $which (call $pause_f (local.get $y)))))
            (local.get $y)
            (ref.func $c1)
            (drop (call $pause (i32.const 0)))
            (drop (call $log (call $which)))
            (drop (call $log (call $which)))
            (drop (call $log (call $which (local.get $n))))
            (drop (call $log (call $which (local.get $p))))
            (local.get $x))
        (func (export "run") (result i32)
            (drop (call $log (call $which (call $inner (ref.func $c0) (ref.null func)))))
            (call $which (call $inner (ref.null func) (ref.func $c1)))))"#
    ))
    .without_binaryen(lacks::REFERENCES)
    .rounds(30)
    .same();
}

#[test]
fn references_deep_in_a_recursion() {
    // Places of the tool's table are taken and given back in all orders.
    whole(&format!(
        r#"(module {REFERENCES}
        (func $down (export "run") (param $n i32) (param $x externref) (result externref)
            (local $own externref)
            (local.set $n (i32.rem_u (local.get $n) (i32.const 17)))
            (local.set $own (call $pause_x (local.get $x)))
            (if (local.get $n)
                (then
                    (call $log_x
                        (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $own)))
                    (call $log_x (call $pause_x (local.get $x)))))
            (call $log_x (local.get $x))
            (local.get $own)))"#
    ))
    .without_binaryen(lacks::REFERENCES)
    .rounds(5)
    .same();
}

#[test]
fn references_among_numbers() {
    whole(&format!(
        r#"(module {REFERENCES}
        (func (export "run")
            (param $a i32) (param $x externref) (param $b f64) (param $f funcref) (param $c i64) (param $y externref)
            (result f64)
            (local.get $c) (local.get $y) (local.get $b) (local.get $f) (local.get $a) (local.get $x)
            (drop (call $pause (local.get $a)))
            (call $log_x) (drop (call $log)) (drop (call $log (call $which)))
            (local.set $b)
            (call $log_x)
            (i32.wrap_i64) (drop (call $log))
            (call $log_x (local.get $x)) (call $log_x (local.get $y))
            (local.get $b)))"#
    ))
    .without_binaryen(lacks::REFERENCES)
    .rounds(10)
    .same();
}

// Several values.

const SEVERAL: &str = r#"
    (import "env" "pause" (func $pause (param i32) (result i32)))
    (import "env" "log" (func $log (param i32)))
    (import "env" "pause_3" (func $pause_3 (param i32 i32) (result i32 f64 i32)))
    (import "env" "log_3" (func $log_3 (param i32 f64 i32)))
    (import "env" "pause_7" (func $pause_7 (result i64 i32 i64 i32 f32 i32 i64)))
    (import "env" "log_7" (func $log_7 (param i64 i32 i64 i32 f32 i32 i64)))
    (memory (export "memory") 2)
"#;

#[test]
fn functions_with_several_results() {
    whole(&format!(
        r#"(module {SEVERAL}
        (func $swap (param i32 i64) (result i64 i32)
            (call $log (call $pause (local.get 0)))
            (local.get 1) (local.get 0))
        (func $pass (param $a i32) (param $b i32) (result i32 f64 i32)
            (call $pause_3 (local.get $b) (local.get $a)))
        (func $seven (param $n i32) (result i64 i32 i64 i32 f32 i32 i64)
            (call $log (call $pause (i32.const 1)))
            (call $pause_7)
            (call $log (call $pause (local.get $n))))
        (func (export "run") (param $a i32) (param $b i64) (result i32 i64 i32)
            (local $x f64)
            (i32.mul (local.get $a) (i32.const 3))
            (call $swap (local.get $a) (local.get $b))
            (call $pass (local.get $a) (i32.const 9))
            (call $log (call $pause))
            (local.set $x)
            (i32.sub)
            (call $log_7 (call $seven (local.get $a)))
            (call $log_3 (i32.const 1) (local.get $x) (i32.const 2)))
        (func (export "run2") (result i32 f64 i32)
            (local $i i32)
            (loop $again (result i32 f64 i32)
                (call $pass (i32.const 5) (call $pause (local.get $i)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (if (i32.lt_u (local.get $i) (i32.const 4))
                    (then (call $log_7 (call $pause_7)) (br $again)))
                (call $log (call $pause (i32.const 7))))))"#
    ))
    .without_binaryen(lacks::SEVERAL)
    .same();
}

#[test]
fn operands_from_an_operator_with_several_results() {
    whole(&format!(
        r#"(module {SEVERAL}
        (func $three (param i32) (result i32 f64 i32)
            (local.get 0) (f64.convert_i32_u (local.get 0)) (i32.add (local.get 0) (i32.const 1)))
        (func (export "run") (param $a i32)
            ;; Some of them, all of them, and some beneath others.
            (call $three (local.get $a))
            (call $log (call $pause))
            (drop)
            (call $three (i32.const 40))
            (call $log (call $pause (i32.const 3)))
            (call $log_3)
            (call $three (call $pause (i32.const 50)))
            (call $log (call $pause))
            (call $three (i32.const 60))
            (call $log (call $pause (i32.const 4)))
            (call $log_3)
            (drop) (call $log) (call $log)))"#
    ))
    .without_binaryen(lacks::SEVERAL)
    .same();
}

#[test]
fn blocks_with_parameters_and_results() {
    whole(&format!(
        r#"(module {SEVERAL}
        (func (export "run") (param $a i32)
            (local.get $a)
            (i32.mul (local.get $a) (i32.const 3))
            (f64.convert_i32_u (local.get $a))
            (i32.const 9)
            (block $out (param i32 f64 i32) (result i32 f64 i32)
                (call $log (call $pause))
                (call $log (call $pause (i32.const 1)))
                (call $pause (i32.const 2))
                (br_if $out (call $pause (i32.const 3)))
                (drop) (i32.const 99))
            (call $log_3)
            (call $log))
        (func (export "run2") (param $a i32) (result i32 f64 i32)
            (i32.const -1)
            (local.get $a) (f64.const 0.5) (i32.const 6)
            (block (param i32 f64 i32) (result i32 f64 i32)
                (block (param f64 i32) (result f64)
                    (call $log (call $pause)))
                (call $pause (i32.const 9)))
            (if (param i32 f64) (result i32 f64 i32) 
                (then (call $pause (i32.const 10)))
                (else (drop) (call $log (call $pause)) (call $pause_3 (i32.const 2) (i32.const 1))))
            (call $log_3)
            (drop)
            (call $pause_3 (i32.const 4) (i32.const 5))))"#
    ))
    .without_binaryen(lacks::SEVERAL)
    .same();
}

#[test]
fn loops_with_parameters_and_results() {
    whole(&format!(
        r#"(module {SEVERAL}
        (func (export "run") (param $a i32) (result i64 i32)
            (local $i i32)
            (i64.extend_i32_u (local.get $a)) (i32.const 5)
            (loop $again (param i64 i32) (result i64 i32)
                (call $log (i32.wrap_i64 (i64.extend_i32_s (call $pause))))
                (i64.mul (i64.const 3))
                (call $pause (local.get $i))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 4)))))
        ;; Nothing but the parameters' types before the first call, and a nest of such loops.
        (func (export "run2") (param $a i32) (result i32)
            (local $i i32) (local $j i32)
            (i32.const 100) (local.get $a)
            (loop $outer (param i32 i32) (result i32)
                (i32.add)
                (local.set $j (i32.const 0))
                (i32.const 8)
                (loop $inner (param i32 i32) (result i32 i32)
                    (call $pause (local.get $j))
                    (i32.sub)
                    (local.set $j (i32.add (local.get $j) (i32.const 1)))
                    (br_if $inner (i32.lt_u (local.get $j) (i32.const 3))))
                (call $pause)
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $outer (i32.lt_u (local.get $i) (i32.const 3)))
                (i32.mul))))"#
    ))
    .without_binaryen(lacks::SEVERAL)
    .same();
}

#[test]
fn ifs_with_parameters_and_results() {
    whole(&format!(
        r#"(module {SEVERAL}
        (func $each (param $c i32) (param $a i32) (result i32 f64)
            (local.get $a) (f64.const 1.5)
            (if (param i32 f64) (result i32 f64) (local.get $c)
                (then (call $log (call $pause (i32.const 1))))
                (else (drop) (call $pause) (f64.convert_i32_u (call $pause (i32.const 2)))))
            (if (param i32 f64) (result i32 f64) (local.get $c)
                (then)
                (else (drop) (call $pause) (f64.convert_i32_u (call $pause (i32.const 2)))))
            (if (param i32 f64) (result i32 f64) (local.get $c)
                (then (drop) (call $pause) (f64.convert_i32_u (call $pause (i32.const 2)))))
            (if (param i32 f64) (result i32 f64) (call $pause (local.get $c))
                (then (call $log (call $pause (i32.const 7))))))
        (func (export "run") (result i32 f64) (call $each (i32.const 0) (i32.const 10)))
        (func (export "run2") (result i32 f64) (call $each (i32.const 1) (i32.const 11))))"#
    ))
    .without_binaryen(lacks::SEVERAL)
    .same();
}

// `if`.

/// Calls `$each` with 0, 1, 2, 3.
const EACH: &str = r#"
    (func (export "run") (result i32) (call $each (i32.const 0)))
    (func (export "run1") (result i32) (call $each (i32.const 1)))
    (func (export "run2") (result i32) (call $each (i32.const 2)))
    (func (export "run3") (result i32) (call $each (i32.const 3)))
"#;

/// A function `$each (param $c i32) (result i32)` of which every call is compared.
#[track_caller]
fn each(body: &str) {
    subject(&format!(
        r#"{EACH} (func $each (param $c i32) (result i32)
            (local $x i32) (local $y i32) (local $i i32) (local $j i32)
            (local.set $x (i32.mul (local.get $c) (i32.const 100)))
            {body})"#
    ))
    .same();
}

#[test]
fn an_if_with_a_call_in_one_arm() {
    each(
        "(if (i32.and (local.get $c) (i32.const 1)) (then (local.set $x (call $pause (local.get $x)))))
          (call $pause (local.get $x))",
    );
    each(
        "(if (i32.and (local.get $c) (i32.const 1)) (then (local.set $x (call $pause (local.get $x))))
              (else (local.set $x (i32.const 4))))
          (local.get $x)",
    );
    each(
        "(if (i32.and (local.get $c) (i32.const 1)) (then (local.set $x (i32.const 4)))
              (else (local.set $x (call $pause (local.get $x)))))
          (i32.add (call $log (local.get $x)) (call $pause (i32.const 1)))",
    );
    each(
        "(if (result i32) (i32.and (local.get $c) (i32.const 1)) (then (i32.const 4))
              (else (i32.add (local.get $x) (call $pause (local.get $x)))))",
    );
}

#[test]
fn an_if_with_calls_in_both_arms() {
    each(
        "(if (result i32) (i32.and (local.get $c) (i32.const 1))
              (then (i32.add (call $pause (i32.const 1)) (call $pause (i32.const 2))))
              (else (i32.sub (call $pause (i32.const 3)) (call $pause (i32.const 4)))))
          (i32.mul (call $pause (local.get $x)))",
    );
    each(
        "(i32.add (local.get $x) (i32.const 3))
          (if (result i32) (call $log (i32.and (local.get $c) (i32.const 1)))
              (then (call $pause (i32.const 1)))
              (else (i32.sub (call $pause (i32.const 3)) (call $pause (i32.const 4)))))
          (i32.mul)",
    );
}

#[test]
fn nested_ifs() {
    each("(if (i32.and (local.get $c) (i32.const 1))
            (then
                (if (i32.and (local.get $c) (i32.const 2))
                    (then (local.set $x (call $pause (i32.const 1))))
                    (else (if (call $pause (local.get $x)) (then (local.set $x (call $pause (i32.const 2)))))))
                (drop (call $log (local.get $x))))
            (else
                (if (i32.and (local.get $c) (i32.const 2))
                    (then (drop (call $log (i32.const 9))))
                    (else (local.set $x (i32.add (local.get $x) (call $pause (i32.const 3))))))
                (if (i32.eqz (local.get $c)) (then (drop (call $pause (i32.const 4)))))))
          (call $pause (local.get $x))");
}

#[test]
fn ifs_in_a_loop_whose_conditions_change() {
    each(
        "(loop $again
            (if (i32.and (local.get $y) (i32.const 1))
                (then (local.set $x (call $pause (local.get $x))))
                (else
                    (drop (call $log (local.get $y)))
                    (if (i32.and (local.get $y) (i32.const 2)) (then (drop (call $pause (local.get $y)))))))
            (if (i32.eq (local.get $y) (local.get $c)) (then) (else (drop (call $pause (i32.const -1)))))
            (local.set $y (i32.add (local.get $y) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $y) (i32.const 8))))
          (local.get $x)",
    );
}

#[test]
fn a_condition_that_is_a_result() {
    each(
        "(if (i32.and (call $pause (local.get $c)) (local.get $c)) (then (drop (call $pause (i32.const 1)))))
          (select (call $pause (i32.const 2)) (call $pause (i32.const 3)) (call $pause (i32.const 4)))",
    );
}

// Loops and branches.

#[test]
fn nested_loops() {
    each(
        "(loop $outer
            (local.set $j (i32.const 0))
            (drop (call $log (local.get $i)))
            (loop $inner
                (local.set $x (i32.add (local.get $x) (call $pause (local.get $j))))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $inner (i32.lt_u (local.get $j) (i32.const 3))))
            (loop $second
                (local.set $x (i32.xor (local.get $x) (call $pause (local.get $j))))
                (local.set $j (i32.sub (local.get $j) (i32.const 1)))
                (br_if $outer (i32.eq (i32.add (local.get $i) (local.get $j)) (i32.const 20)))
                (br_if $second (local.get $j)))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $outer (i32.le_u (local.get $i) (local.get $c))))
          (local.get $x)",
    );
}

#[test]
fn a_loop_that_is_entered_by_a_table_and_left_by_one() {
    each(
        "(local.set $i (i32.const 3))
          (block $out
            (block $b (block $a (br_table $a $b $out (local.get $c))
            ) (drop (call $pause (i32.const 1)))
            ) (drop (call $pause (i32.const 2)))
            (loop $again
                (local.set $i (i32.sub (local.get $i) (i32.const 1)))
                (local.set $x (i32.add (local.get $x) (call $pause (local.get $i))))
                (br_table $out $again $again (local.get $i))))
          (local.get $x)",
    );
}

#[test]
fn branches_that_carry_a_value() {
    each(
        "(block $out (result i32)
            (i32.const 1000)
            (i32.add (block $in (result i32)
                (br_if $out (i32.const 50) (i32.eq (call $pause (i32.const 1)) (i32.const -1)))
                (br_if $in (local.get $c))
                (br $in (call $pause (i32.const 2))))
            )
            (br_if $out (i32.eqz (local.get $c)))
            (i32.mul (call $pause (i32.const 3)))
            (br_table $out $out (local.get $c)))",
    );
    each(
        "(block $a (result i32)
            (block $b (result i32)
                (block $c (result i32)
                    (br_table $a $b $c $a (call $pause (local.get $c)) (local.get $c)))
                (i32.add (call $pause (i32.const 5))))
            (i32.sub (call $pause (i32.const 6))))
          (i32.mul (local.get $c))",
    );
}

#[test]
fn branches_out_of_a_loop_past_calls() {
    each(
        "(block $done (result i32)
            (i32.const 7)
            (loop $again (result i32)
                (local.set $y (i32.add (local.get $y) (i32.const 1)))
                (drop (call $pause (local.get $y)))
                (br_if $again (i32.lt_u (local.get $y) (local.get $c)))
                (if (i32.eq (local.get $c) (i32.const 2)) (then (br $done (call $pause (i32.const 8)))))
                (if (i32.eq (local.get $c) (i32.const 3)) (then (return (call $pause (i32.const 9)))))
                (call $log (local.get $y)))
            (i32.add))",
    );
}

#[test]
fn a_branch_to_the_function_itself() {
    each(
        "(drop (br_if 0 (call $pause (i32.const 1)) (i32.eq (local.get $c) (i32.const 1))))
          (block (br_if 0 (local.get $c)) (br 1 (call $pause (i32.const 2))))
          (drop (block (result i32) (br_table 0 0 1 (call $pause (i32.const 4)) (local.get $c))))
          (i32.const 3)",
    );
}

/// A `switch` as compilers write it: a nest of as many blocks as it has cases.
fn switch(cases: usize, site: impl Fn(usize) -> bool, around: &str, targets: &str) -> String {
    let mut text = "(block $default ".to_owned();
    for case in (0..cases).rev() {
        write!(text, "(block $c{case} ").expect("fits");
    }
    write!(text, "(br_table {targets} (i32.rem_u (local.get $y) (i32.const {})))", cases + 2).expect("fits");
    for case in 0..cases {
        let import = if site(case) { "$pause" } else { "$log" };
        write!(
            text,
            ") (local.set $x (i32.add (local.get $x) (call {import} (i32.const {case}))))
             (br_if $default (i32.and (local.get $x) (i32.const 3)))"
        )
        .expect("fits");
    }
    around.replace("SWITCH", &format!("{text})"))
}

#[test]
fn a_switch_of_300_cases_with_a_call_in_each() {
    let dense: String = (0..300).map(|case| format!("$c{case} ")).chain(["$default".to_owned()]).collect();
    let in_loop = "
        (loop $again
            SWITCH
            (local.set $y (i32.add (local.get $y) (i32.const 7)))
            (br_if $again (i32.lt_u (local.get $y) (i32.const 700))))
        (local.get $x)";
    each(&switch(300, |_| true, in_loop, &dense));
}

#[test]
fn a_switch_with_calls_in_few_cases_and_sparse_targets() {
    let sparse: String =
        (0..60).map(|case| format!("$c{} ", case * 7 % 40)).chain(["$default".to_owned()]).collect();
    let in_loop = "
        (loop $again
            (drop (call $log (local.get $y)))
            SWITCH
            (drop (call $pause (local.get $x)))
            (local.set $y (i32.add (local.get $y) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $y) (i32.const 45))))
        (local.get $x)";
    each(&switch(40, |case| case % 13 == 5, in_loop, &sparse));
    each(&switch(40, |case| !(2..=37).contains(&case), in_loop, &sparse));
    // An operand beneath the nest, and nothing before it.
    let beneath = "
        (i32.mul (local.get $c) (i32.const 1000))
        (local.set $y (i32.add (local.get $c) (i32.const 3)))
        SWITCH
        (i32.add (local.get $x))";
    each(&switch(40, |_| true, beneath, &sparse));
}

#[test]
fn many_sites_in_one_block_of_a_nest_and_few_in_others() {
    // Intervals of sites of very different sizes: a table of them would be sparse.
    let many: String = (0..90).map(|n| format!("(local.set $x (call $pause (i32.const {n})))")).collect();
    each(&format!(
        "(if (i32.eq (local.get $c) (i32.const 1)) (then {many}))
         (block (block (br_if 0 (i32.eq (local.get $c) (i32.const 2))) (drop (call $pause (i32.const 1)))))
         (if (i32.eq (local.get $c) (i32.const 3)) (then {many}) (else (drop (call $pause (i32.const 2)))))
         (call $pause (local.get $x))"
    ));
}

#[test]
fn deep_nests_of_each_kind_of_block() {
    let kinds = [
        ("(block ", ")"),
        ("(loop ", ")"),
        ("(if (local.get $c) (then ", "))"),
        ("(if (i32.eqz (local.get $c)) (then (drop (call $log (i32.const 2)))) (else ", "))"),
    ];
    let mut text = "(local.set $x (i32.add (local.get $x) (call $pause (local.get $x))))".to_owned();
    for depth in 0..120 {
        let (start, end) = kinds[depth * 7 % 4];
        let more = if depth % 5 == 0 { "(drop (call $pause (i32.const 3)))" } else { "" };
        text = format!("{start}{text}{more}{end}");
    }
    each(&format!("{text} (local.get $x)"));
}

#[test]
fn code_that_nothing_arrives_at() {
    each("(block (br 0) (drop (call $pause (i32.const 99))) (block (drop (call $pause (i32.const 98)))))
          (drop (call $pause (i32.const 1)))
          (if (i32.eq (local.get $c) (i32.const 1))
            (then (return (call $pause (i32.const 2))) (drop (call $pause (i32.const 97)))
                (loop (drop (call $pause (i32.const 94))) (br 0))))
          (if (i32.eq (local.get $c) (i32.const 2))
            (then unreachable (drop (call $pause)) (if (then (drop (call $pause (i32.const 93)))) (else (drop (call $pause (i32.const 92)))))))
          (block $out (result i32)
            (br_table $out $out (i32.const 5) (local.get $c))
            (drop (i32.add (call $pause)))
            (block (result i32) (call $pause (i32.const 96))))
          (block (loop (br 1)) (drop (call $pause (i32.const 95))))
          (i32.add (call $pause (i32.const 3)))");
}

#[test]
fn a_block_that_never_ends_before_calls_that_are_never_made() {
    each(
        "(drop (call $pause (i32.const 1)))
          (loop $again
            (local.set $y (i32.add (local.get $y) (call $pause (local.get $y))))
            (if (i32.gt_u (local.get $y) (i32.const 3000)) (then (return (local.get $y))))
            (br $again))
          (call $pause (i32.const 2))",
    );
}

#[test]
fn a_trap_is_the_same_trap() {
    each(
        "(if (i32.eq (local.get $c) (i32.const 1)) (then (drop (call $pause (i32.const 1))) unreachable))
          (if (i32.eq (local.get $c) (i32.const 2))
            (then (drop (i32.div_u (call $pause (i32.const 1)) (i32.const 0)))))
          (call $pause (i32.load (i32.mul (local.get $c) (i32.const 0x10000000))))",
    );
}

#[test]
fn many_sites_in_one_function() {
    let sites: String = (0..300)
        .map(|n| {
            format!(
                "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 3)) (call $pause (i32.const {n}))))"
            )
        })
        .collect();
    each(&format!("{sites} (local.get $x)"));
}

#[test]
fn more_sites_in_one_block_than_a_table_may_have_targets() {
    // V8 takes no `br_table` with more than 65,520. The engine of these tests takes no function with so many constants,
    // so the tables have to do.
    let with_sites = |sites: usize| {
        let sites = "(drop (call $pause (i32.const 1)))\n".repeat(sites);
        common::assemble(&format!(
            r#"(module
            (import "env" "pause" (func $pause (param i32) (result i32)))
            (memory (export "memory") 2)
            (func (export "run") {sites}))"#
        ))
    };
    let (most, more) = (with_sites(60_000), with_sites(70_000));
    for way in own_ways().into_iter().filter(|way| !way.options.stable_buffer) {
        let longest = |wasm: &[u8]| longest_table(&common::lower_with(wasm, &way.options).wasm);
        assert!((60_000..=65_520).contains(&longest(&most)), "{}: {} targets", way.name, longest(&most));
        assert!(longest(&more) <= 65_520, "{}: {} targets", way.name, longest(&more));
    }
}

/// The most targets that a `br_table` of a module has, but for the last.
fn longest_table(wasm: &[u8]) -> u32 {
    let mut longest = 0;
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::CodeSectionEntry(body) = payload.expect("a valid module") {
            for operator in body.get_operators_reader().expect("operators") {
                if let wasmparser::Operator::BrTable { targets } = operator.expect("an operator") {
                    longest = longest.max(targets.len());
                }
            }
        }
    }
    longest
}

// Many values.

#[test]
fn more_values_than_helpers_take() {
    // Of every type, as locals and as operands; 256 of them are live at the call.
    let types = ["i32", "i64", "f32", "f64"];
    let locals: String = (0..240).map(|n| format!("(local $l{n} {}) ", types[n % 4])).collect();
    let set: String = (0..240)
        .map(|n| {
            let ty = types[n % 4];
            let convert = match ty {
                "i32" => String::new(),
                "i64" => "i64.extend_i32_u".to_owned(),
                ty => format!("{ty}.convert_i32_u"),
            };
            format!("(i32.add (local.get $a) (i32.const {n})) {convert} (local.set $l{n})\n")
        })
        .collect();
    let store: String = (0..240)
        .map(|n| format!("({}.store (i32.const {}) (local.get $l{n}))\n", types[n % 4], n * 8))
        .collect();
    let push: String = (0..16).map(|n| format!("(i32.mul (local.get $a) (i32.const {n}))\n")).collect();
    let take: String = (0..16).map(|_| "(drop (call $log))\n".to_owned()).collect();
    subject(&format!(
        r#"(func (export "run") (param $a i32) {locals}
            {set} {push}
            (drop (call $pause (i32.const 1)))
            {take}
            (drop (call $pause (i32.const 2)))
            {store})"#
    ))
    .same();
}

#[test]
fn more_references_and_vectors_than_helpers_take() {
    let types = ["v128", "externref", "funcref", "i32"];
    let locals: String = (0..220).map(|n| format!("(local $l{n} {}) ", types[n % 4])).collect();
    let set: String = (0..220)
        .map(|n| match types[n % 4] {
            "v128" => format!("(local.set $l{n} (i32x4.splat (i32.add (local.get $a) (i32.const {n}))))\n"),
            "externref" if n % 8 == 1 => format!("(local.set $l{n} (local.get $x))\n"),
            "funcref" if n % 8 == 2 => format!("(local.set $l{n} (ref.func $c{}))\n", n / 8 % 2),
            "i32" => format!("(local.set $l{n} (i32.const {n}))\n"),
            _ => String::new(),
        })
        .collect();
    let take: String = (0..220)
        .map(|n| match types[n % 4] {
            "v128" => format!("(v128.store (i32.const {}) (local.get $l{n}))\n", n * 16),
            "externref" => format!("(call $log_x (local.get $l{n}))\n"),
            "funcref" => format!("(drop (call $log (call $which (local.get $l{n}))))\n"),
            _ => format!("(drop (call $log (local.get $l{n})))\n"),
        })
        .collect();
    whole(&format!(
        r#"(module {REFERENCES}
        (elem declare func $c0 $c1)
        (func (export "run") (param $a i32) (param $x externref) {locals}
            {set}
            (drop (call $pause (i32.const 1)))
            (call $log_x (call $pause_x (local.get $x)))
            {take}))"#
    ))
    .without_binaryen(lacks::REFERENCES)
    .rounds(3)
    .same();
}

#[test]
fn an_import_that_takes_as_many_arguments_as_there_may_be() {
    // All of them are in the frame, for the call again.
    for count in [250, 998, 999, 1000] {
        let kind =
            |n: usize| if n % 50 == 7 { "externref" } else { ["i32", "i64", "f32", "f64", "v128"][n % 5] };
        let types: String = (0..count).map(|n| format!("{} ", kind(n))).collect();
        let args: String = (0..count)
            .map(|n| match kind(n) {
                "v128" => format!("(v128.const i32x4 {n} 2 3 4)"),
                "externref" => "(local.get $x)".to_owned(),
                ty => format!("({ty}.const {n})"),
            })
            .collect();
        let seen = whole(&format!(
            r#"(module
            (import "env" "pause" (func $pause (param {types}) (result i32)))
            (memory (export "memory") 2)
            (func (export "run") (param $x externref) (param $a i32) (result i32)
                (i32.sub (local.get $a) (call $pause {args}))))"#
        ))
        .without_binaryen(lacks::REFERENCES)
        .same();
        assert_eq!(seen.results(), ["run: 0"], "{count} arguments");
    }
}

#[test]
fn more_locals_than_one_byte_counts() {
    let locals: String = (0..400).map(|n| format!("(local $l{n} i64) ")).collect();
    subject(&format!(
        r#"(func (export "run") (param $a i64) (result i64) {locals}
            (local.set $l3 (i64.mul (local.get $a) (i64.const 3)))
            (local.set $l127 (i64.mul (local.get $a) (i64.const 5)))
            (local.set $l399 (i64.mul (local.get $a) (i64.const 7)))
            (local.set $l200 (i64.extend_i32_u (call $pause (i32.const 1))))
            (drop (call $pause (i32.const 2)))
            (i64.add (i64.add (local.get $l3) (local.get $l127)) (i64.sub (local.get $l200) (local.get $l399))))"#
    ))
    .same();
}

// Kinds of calls.

#[test]
fn calls_in_tail_position() {
    subject(
        r#"
        (func $a (param i32) (result i32) (call $pause (local.get 0)))
        (func $b (param i32) (result i32) (return (call $a (i32.add (local.get 0) (i32.const 1)))))
        (func $c (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (call $b (i32.const 5)))
                (else (block (result i32) (call $a (i32.const 6))))))
        (func $d (param i32) (if (local.get 0) (then (call $e (local.get 0)) (return))) (call $e (i32.const 3)))
        (func $e (param i32) (drop (call $c (local.get 0))))
        (func (export "run") (result i32) (call $c (i32.const 0)))
        (func (export "run1") (result i32) (call $c (i32.const 1)))
        (func (export "run2") (call $d (i32.const 0)))
        (func (export "run3") (call $d (i32.const 1)))
        ;; A tail position that is none: the result is another one, or something is left to do.
        (func (export "run4") (param $x i32) (result i32)
            (local.get $x) (drop (call $b (i32.const 1))))
        (func (export "run5") (param $x i32) (result i32)
            (loop $l (result i32) (call $b (local.get $x)) (br_if $l (i32.eqz (local.tee $x (i32.const 1))))))
        "#,
    )
    .same();
}

#[test]
fn tail_calls() {
    subject(
        r#"
        (type $f (func (param i32) (result i32)))
        (table $t 4 funcref)
        (elem (i32.const 0) $a $b $pause $log)
        (func $a (param i32) (result i32)
            (drop (call $pause (local.get 0)))
            (return_call $pause (i32.add (local.get 0) (i32.const 1))))
        (func $b (param i32) (result i32)
            (drop (call $log (call $pause (local.get 0))))
            (return_call $a (i32.add (local.get 0) (i32.const 10))))
        (func $only (param i32) (result i32) (return_call $pause (local.get 0)))
        (func $through (param $callee i32) (result i32)
            (if (i32.eq (local.get $callee) (i32.const 3)) (then (return_call $log (i32.const 30))))
            (drop (call $pause (local.get $callee)))
            (return_call_indirect $t (type $f) (i32.const 20) (local.get $callee)))
        (func $mixed (param $x i32) (result i32)
            (if (call $pause (i32.const 0)) (then (return_call $only (local.get $x))))
            (return_call $b (local.get $x)))
        (func (export "run") (param i32) (result i32) (i32.add (local.get 0) (call $b (local.get 0))))
        (func (export "run1") (result i32) (i32.add (call $through (i32.const 0)) (call $through (i32.const 1))))
        (func (export "run2") (result i32) (i32.sub (call $through (i32.const 2)) (call $through (i32.const 3))))
        (func (export "run3") (result i32) (return_call $only (i32.const 7)))
        (func (export "run4") (result i32) (return_call_indirect $t (type $f) (i32.const 8) (i32.const 2)))
        (func (export "run5") (result i32) (return_call $mixed (i32.const 9)))
        "#,
    )
    .without_binaryen(lacks::TAIL_CALLS)
    .same();
}

#[test]
fn a_hundred_thousand_tail_calls_take_no_stack() {
    subject(
        r#"
        (type $f (func (param i32) (result i32)))
        (table $t 2 funcref)
        (elem (i32.const 0) $odd $even)
        (func $even (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (return (i32.const 42))))
            (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 10000)))
                (then (drop (call $pause (local.get $n)))))
            (return_call $odd (i32.sub (local.get $n) (i32.const 1))))
        (func $odd (param $n i32) (result i32)
            (return_call_indirect $t (type $f) (i32.sub (local.get $n) (i32.const 1)) (i32.const 1)))
        (func (export "run") (result i32) (call $even (i32.const 100000)))
        "#,
    )
    .without_binaryen(lacks::TAIL_CALLS)
    .same();
}

#[test]
fn calls_through_a_table() {
    subject(
        r#"
        (type $f (func (param i32) (result i32)))
        (type $g (func (param i32)))
        (table $t (export "table") 8 funcref)
        (elem (i32.const 0) $lowered $plain $pause $log $other)
        (func $lowered (param i32) (result i32) (i32.add (local.get 0) (call $pause (local.get 0))))
        (func $plain (param i32) (result i32) (i32.mul (local.get 0) (i32.const 9)))
        (func $other (param i32) (drop (call $log (local.get 0))))
        (func (export "run") (result i32)
            (local $i i32) (local $sum i32)
            (loop $again
                (local.set $sum
                    (i32.add (local.get $sum)
                        (call_indirect $t (type $f) (i32.add (local.get $i) (i32.const 50)) (local.get $i))))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 4))))
            (call_indirect $t (type $g) (i32.const 1) (i32.const 4))
            (local.get $sum))
        (func (export "run1") (result i32) (call_indirect $t (type $f) (i32.const 1) (i32.const 4)))
        (func (export "run2") (result i32) (call_indirect $t (type $f) (i32.const 1) (i32.const 7)))
        (func (export "run3") (result i32) (call_indirect $t (type $f) (i32.const 1) (i32.const 2)))
        "#,
    )
    .same();
}

#[test]
fn tables_that_change() {
    subject(
        r#"
        (type $f (func (param i32) (result i32)))
        (table $t (export "table") 2 20 funcref)
        (table $u (export "second") 4 funcref)
        (elem $e func $a $b $pause)
        (elem $d funcref (ref.func $b) (ref.null func) (ref.func $a))
        (func $a (param i32) (result i32) (call $pause (i32.add (local.get 0) (i32.const 1))))
        (func $b (param i32) (result i32) (i32.add (call $pause (local.get 0)) (i32.const 2)))
        (func (export "run") (result i32)
            (table.init $t $e (i32.const 0) (i32.const 1) (i32.const 2))
            (drop (call $log (table.grow $t (ref.func $a) (call $pause (i32.const 3)))))
            (drop (call $log (table.grow $t (ref.func $a) (i32.sub (call $pause (i32.const 3)) (i32.const 1000)))))
            (call_indirect $t (type $f) (i32.const 5) (i32.const 1)))
        (func (export "run1") (result i32)
            (table.init $u $d (i32.const 1) (i32.const 0) (i32.const 3))
            (table.copy $t $u (i32.const 0) (i32.const 1) (i32.const 1))
            (table.set $u (i32.const 0) (table.get $t (i32.const 1)))
            (table.fill $u (i32.const 2) (ref.func $pause) (i32.const 2))
            (elem.drop $d)
            (i32.add (call_indirect $u (type $f) (i32.const 1) (i32.const 0))
                (i32.add (call_indirect $u (type $f) (i32.const 2) (i32.const 1))
                    (call_indirect $u (type $f) (i32.const 3) (i32.const 2)))))
        (func (export "run2") (table.init $u $d (i32.const 1) (i32.const 0) (i32.const 3)))
        (func (export "run3") (result i32 i32) (table.size $t) (table.size $u))
        "#,
    )
    .without_binaryen(lacks::REFERENCES)
    .same();
}

#[test]
fn references_of_functions_that_only_an_export_declares() {
    // A function, and an import that is called again.
    subject(
        r#"
        (type $f (func (param i32) (result i32)))
        (table 2 funcref)
        (export "paused" (func $pause))
        (func $it (export "it") (type $f) (i32.add (call $pause (local.get 0)) (i32.const 1)))
        (func $call (param $place i32) (result i32)
            (i32.add (call_indirect (type $f) (i32.const 5) (local.get $place)) (i32.const 2)))
        (func (export "run") (result i32)
            (table.set (i32.const 0) (ref.func $it))
            (table.set (i32.const 1) (ref.func $pause))
            (i32.sub (call $call (i32.const 0)) (call $call (i32.const 1))))
        "#,
    )
    .same();
}

#[test]
fn memories_that_change() {
    subject(
        r#"
        (data $d "passive data of a segment")
        (data (i32.const 100) "active")
        (func (export "run") (result i32)
            (memory.init $d (i32.const 16) (i32.const 3) (i32.sub (call $pause (i32.const 1)) (i32.const 990)))
            (memory.copy (i32.const 200) (i32.const 16) (i32.const 20))
            (memory.fill (i32.const 300) (call $pause (i32.const 2)) (i32.const 10))
            (data.drop $d)
            (memory.grow (i32.sub (call $pause (i32.const 3)) (i32.const 1001))))
        (func (export "run1") (memory.init $d (i32.const 16) (i32.const 0) (call $pause (i32.const 1))))
        (func (export "run2") (result i32) (call $pause (memory.size)))
        "#,
    )
    .same();
}

#[test]
fn several_memories() {
    whole(
        r#"(module
        (import "env" "pause" (func $pause (param i32) (result i32)))
        (memory (export "memory") 2)
        (memory $b (export "b") 1 3)
        (memory $c 1)
        (data $b (i32.const 8) "in the second")
        (func (export "run") (result i32)
            (i32.store $b (i32.const 0) (call $pause (i32.load $b offset=2 (i32.const 8))))
            (i64.store $c (i32.const 0) (i64.extend_i32_u (call $pause (memory.size $c))))
            (memory.copy $b $c (i32.const 100) (i32.const 0) (i32.const 16))
            (memory.fill $c (i32.const 50) (call $pause (i32.const 3)) (i32.const 5))
            (drop (memory.grow $b (i32.const 1)))
            (v128.store $b (i32.const 300) (v128.load $c (i32.const 48)))
            (i32.load8_u $c (i32.const 51))))"#,
    )
    .without_binaryen(lacks::MEMORIES)
    .same();
}

#[test]
fn imported_memory_table_and_globals() {
    whole(
        r#"(module
        (import "env" "pause" (func $pause (param i32) (result i32)))
        (import "env" "memory" (memory $m 2))
        (import "env" "table" (table $t 4 funcref))
        (import "env" "g" (global $g i32))
        (import "env" "h" (global $h (mut f64)))
        (export "memory" (memory $m))
        (export "t" (table $t))
        (export "h" (global $h))
        (type $f (func (param i32) (result i32)))
        (global $own (export "own") (mut i64) (i64.const 4))
        (elem (i32.const 1) $a)
        (func $a (param i32) (result i32) (i32.add (global.get $g) (call $pause (local.get 0))))
        (func (export "run") (param i32) (result i32)
            (global.set $h (f64.add (global.get $h) (f64.convert_i32_u (call $pause (i32.const 9)))))
            (i32.store (i32.const 0) (call_indirect $t (type $f) (local.get 0) (i32.const 1)))
            (global.set $own (i64.mul (global.get $own) (i64.extend_i32_u (call $pause (i32.const 8)))))
            (i32.load (i32.const 0))))"#,
    )
    .same();
}

#[test]
fn globals_of_each_type() {
    whole(&format!(
        r#"(module {REFERENCES}
        (global $i (export "i") (mut i32) (i32.const -3))
        (global $l (export "l") (mut i64) (i64.const 5))
        (global $f (export "f") (mut f32) (f32.const 0.5))
        (global $d (export "d") (mut f64) (f64.const 0.25))
        (global $v (export "v") (mut v128) (v128.const i64x2 1 2))
        (global $x (export "x") (mut externref) (ref.null extern))
        (global $r (export "r") (mut funcref) (ref.func $lowered))
        (global $k i32 (i32.const 12))
        (func $lowered (param i32) (result i32) (i32.add (local.get 0) (call $pause (local.get 0))))
        (func (export "run") (param $x externref)
            (drop (call $log (call $which (global.get $r))))
            (global.set $i (i32.add (global.get $i) (call $pause (global.get $k))))
            (global.set $l (i64.add (global.get $l) (i64.extend_i32_u (call $pause (i32.const 1)))))
            (global.set $f (f32.add (global.get $f) (f32.convert_i32_u (call $pause (i32.const 1)))))
            (global.set $d (f64.add (global.get $d) (f64.convert_i32_u (call $pause (i32.const 1)))))
            (global.set $v (i32x4.add (global.get $v) (i32x4.splat (call $pause (i32.const 1)))))
            (global.set $x (call $pause_x (local.get $x)))
            (global.set $r (call $pause_f (global.get $r)))
            (call $log_x (global.get $x))
            (drop (call $log (call $which (global.get $r))))))"#
    ))
    .without_binaryen(lacks::REFERENCES)
    .rounds(3)
    .same();
}

// Depth.

#[test]
fn recursion_suspended_at_the_bottom_and_on_the_way_back() {
    whole(
        r#"(module
        (import "env" "pause" (func $pause (param i32) (result i32)))
        (memory (export "memory") 4)
        (func $down (param $n i32) (param $l i64) (result i64)
            (if (i32.eqz (local.get $n)) (then (return (i64.extend_i32_u (call $pause (i32.const 0))))))
            (i64.mul (local.get $l) (i64.const 3))
            (call $down (i32.sub (local.get $n) (i32.const 1)) (i64.add (local.get $l) (i64.const 7)))
            (if (i32.eqz (i32.rem_u (local.get $n) (i32.const 10)))
                (then (drop (call $pause (local.get $n)))))
            (i64.add)
            (i64.xor (local.get $l)))
        (func (export "run") (result i64) (call $down (i32.const 1000) (i64.const 1))))"#,
    )
    .same();
}

#[test]
fn a_tree_of_calls_suspended_at_every_leaf() {
    whole(
        r#"(module
        (import "env" "pause" (func $pause (param i32) (result i32)))
        (memory (export "memory") 2)
        (func $tree (param $n i32) (param $path i32) (result i32)
            (if (result i32) (local.get $n)
                (then
                    (i32.add
                        (i32.mul (i32.const 3)
                            (call $tree (i32.sub (local.get $n) (i32.const 1)) (i32.shl (local.get $path) (i32.const 1))))
                        (call $tree (i32.sub (local.get $n) (i32.const 1))
                            (i32.add (i32.shl (local.get $path) (i32.const 1)) (i32.const 1)))))
                (else (i32.xor (local.get $path) (call $pause (local.get $path))))))
        (func (export "run") (result i32) (call $tree (i32.const 7) (i32.const 1))))"#,
    )
    .same();
}

// Exports, imports, the start function.

#[test]
fn an_exported_import_and_a_function_exported_twice() {
    subject(
        r#"
        (export "run" (func $pause))
        (export "run_log" (func $log))
        (func $f (export "run_first") (export "run_second") (param i32) (result i32)
            (i32.add (call $pause (i32.const 1)) (call $log (local.get 0))))
        "#,
    )
    .same();
}

#[test]
fn imports_that_are_imported_twice() {
    whole(
        r#"(module
        (import "env" "pause" (func $a (param i32) (result i32)))
        (import "env" "pause" (func $b (param i32) (result i32)))
        (import "env" "pause_c" (func $c (param i64)))
        (memory (export "memory") 2)
        (func (export "run") (result i32)
            (call $c (i64.const 3)) (i32.add (call $a (i32.const 1)) (call $b (i32.const 2)))))"#,
    )
    .same();
}

#[test]
fn a_start_function_that_does_not_suspend() {
    subject(
        r#"
        (global $g (export "g") (mut i32) (i32.const 0))
        (start $init)
        (func $init (global.set $g (i32.add (global.get $g) (i32.const 5))))
        (func (export "run") (result i32)
            (call $init) (i32.add (call $pause (i32.const 1)) (global.get $g)))
        "#,
    )
    .same();
}

#[test]
fn equal_types_are_one_type() {
    subject(
        r#"
        (type $a (func (param i32) (result i32)))
        (type $b (func (param i32) (result i32)))
        (table $t 2 funcref)
        (elem (i32.const 0) $f $g)
        (func $f (type $a) (call $pause (local.get 0)))
        (func $g (type $b) (i32.const 6))
        (func (export "run") (result i32)
            (i32.add (call_indirect $t (type $b) (i32.const 1) (i32.const 0))
                (call_indirect $t (type $a) (i32.const 2) (i32.const 1))))
        "#,
    )
    .same();
}
