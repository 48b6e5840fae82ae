//! `cargo windlass run`, on a module written by hand: a guest without the scheduler, which needs no lowering.

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
    Command::new(env!("CARGO_BIN_EXE_cargo-windlass"))
        .args(["windlass", "run"])
        .arg(file)
        .args(words)
        .output()
        .expect("the program starts")
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
