//! `cargo windlass run`, on modules written by hand: a guest without the scheduler, which needs no lowering, and one that suspends.

#![cfg(feature = "cli")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, process};

const GUEST: &str = r#"
(module
    (@custom "windlass.abi" "\01\00\00\00")
    (@custom "windlass.exports" "add\00ii>i\00half\00d>d\00fail\00>v\00")
    (memory (export "memory") 1)
    (func (export "_initialize"))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
    (func (export "fail") unreachable))
"#;

/// A task leaves in its middle, is gone on with, and doubles its number.
const SUSPENDS: &str = r#"
(module
    (@custom "windlass.abi" "\01\00\00\00")
    (@custom "windlass.exports" "twice\00i>i\00")
    (import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
    (import "windlass" "run" (func $run (param i32)))
    (import "windlass" "leave" (func $leave (param i32)))
    (memory (export "memory") 2)
    (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
    (table funcref (elem $task))
    (func (export "_initialize"))
    (func (export "windlass_stack_overflow") unreachable)
    (func $task (param $number i32) (result i32)
        (call $leave (i32.const 0))
        (i32.store (i32.const 4) (i32.mul (local.get $number) (i32.const 2)))
        (i32.const 0))
    (func (export "twice") (param $number i32) (result i32)
        (call $run (call $prepare (i32.const 65536) (i32.const 66560) (i32.const 0) (local.get $number)))
        (call $run (i32.load (i32.const 0)))
        (i32.load (i32.const 4))))
"#;

/// The guest in a file of its own, gone when the test is over.
struct File(PathBuf);

impl File {
    fn with(name: &str, wat: &str) -> File {
        let file = env::temp_dir().join(format!("windlass-run-{}-{name}.wasm", process::id()));
        fs::write(&file, wat::parse_str(wat).expect("the text is right")).expect("there is room");
        File(file)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // It may be gone.
        let _ = fs::remove_file(&self.0);
    }
}

fn run(file: &Path, words: &[&str]) -> Output {
    program(file, words).output().expect("the program starts")
}

fn program(file: &Path, words: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_cargo-windlass"));
    program.args(["windlass", "run"]).arg(file).args(words);
    program
}

/// Where no other program can be found.
fn run_alone(file: &Path, words: &[&str]) -> Output {
    let nowhere = env::temp_dir();
    let mut program = program(file, words);
    program.current_dir(&nowhere).env("PATH", "").env_remove("WINDLASS_WASM_OPT");
    program.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn results_are_printed_a_line_each() {
    let file = File::with("results", GUEST);
    let output = run(&file.0, &["--", "add", "-3", "5", ",", "half", "5", "--then", "add", "40", "2"]);
    assert_eq!(text(&output.stdout), "2\n2.5\n42\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn without_a_call_the_exports_are_shown() {
    let file = File::with("list", GUEST);
    let output = run(&file.0, &[]);
    assert!(text(&output.stdout).contains("add(i32, i32) -> i32\n"), "{}", text(&output.stdout));
    assert!(output.status.success());
}

#[test]
fn a_call_that_fails_ends_the_run() {
    let file = File::with("fail", GUEST);
    let output = run(&file.0, &["--", "add", "1", "1", ",", "fail", ",", "add", "2", "2"]);
    assert_eq!(text(&output.stdout), "2\n");
    assert!(text(&output.stderr).starts_with("error: fail: "), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_slip_of_the_keyboard_has_no_effects() {
    let file = File::with("slip", GUEST);
    for (words, message) in [
        (&["--", "add", "1", "1", ",", "ad", "2", "2"][..], "there is no export `ad`"),
        (&["--", "add", "1", "1", ",", "add", "2", "two"][..], "`two` is not of type i32"),
        (&["--", "add", "1", "1", ","][..], "there is no call before or after"),
    ] {
        let output = run(&file.0, words);
        assert_eq!(text(&output.stdout), "");
        assert!(text(&output.stderr).contains(message), "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn what_cannot_be_loaded_is_named() {
    let file = File::with("import", r#"(module (import "env" "f" (func)) (func (export "g")))"#);
    let output = run(&file.0, &["--", "g"]);
    assert!(text(&output.stderr).contains("imports `env.f`"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));

    let output = run(Path::new("no-such-file.wasm"), &["--", "g"]);
    assert!(text(&output.stderr).contains("cannot read no-such-file.wasm"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_guest_that_suspends_is_lowered_by_this_program_alone() {
    let file = File::with("suspends", SUSPENDS);
    for options in [&[][..], &["--optimize", "speed"], &["--optimize", "balanced"], &["--optimize", "size"]] {
        let output = run_alone(&file.0, &[options, &["--via", "own", "--", "twice", "21"]].concat());
        assert_eq!(text(&output.stdout), "42\n", "{options:?}: {}", text(&output.stderr));
        assert!(output.status.success());
    }
    let output = run_alone(&file.0, &["--", "twice", "-4"]);
    assert_eq!(text(&output.stdout), "-8\n", "{}", text(&output.stderr));
}

#[test]
fn by_way_of_binaryen_its_program_is_needed() {
    let file = File::with("binaryen", SUSPENDS);
    let output = run_alone(&file.0, &["--via", "binaryen", "--", "twice", "21"]);
    assert!(text(&output.stderr).contains("wasm-opt"), "{}", text(&output.stderr));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let file = File::with("options", SUSPENDS);
    for (options, message, code) in [
        (&["--wasm-opt", "wasm-opt"][..], "`--wasm-opt` does not go with `--via own`", 1),
        (&["--optimize", "2"], "the aim is one of speed, balanced, size", 2),
        (&["-O", "2"], "unexpected argument '-O'", 2),
        (&["--via", "wasmfx"], "the engine is one of own, binaryen", 2),
    ] {
        let output = run(&file.0, &[options, &["--", "twice", "21"]].concat());
        assert!(text(&output.stderr).contains(message), "{options:?}: {}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{options:?}");
        assert_eq!(text(&output.stdout), "");
    }
}
