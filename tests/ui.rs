//! What the attributes refuse, and the words they refuse it with.
//!
//! Each case is compiled as a crate of its own; the compiler's output must contain the expected lines, whatever else it says, so that
//! the test does not depend on the compiler's version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles `source` against this package, for this machine, and returns what the compiler says; `None` if it compiles.
fn errors(name: &str, source: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ui").join(name);
    fs::create_dir_all(dir.join("src")).expect("a folder for the case");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         windlass = {{ path = '{}', default-features = false }}\n",
        root.display()
    );
    fs::write(dir.join("Cargo.toml"), manifest).expect("the manifest");
    fs::write(dir.join("src/lib.rs"), source).expect("the source");
    // The versions that this build has, so that nothing is looked up.
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).expect("the lock file");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--quiet", "--offline", "--color=never", "--manifest-path"])
        .arg(dir.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui-target"))
        .output()
        .expect("cargo");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success()).then_some(text)
}

fn refuses(name: &str, source: &str, expected: &[&str]) {
    let text = errors(name, source).expect("the case must not compile");
    for line in expected {
        assert!(text.contains(line), "`{line}` is not in what the compiler says:\n{text}");
    }
}

#[test]
fn every_type_that_crosses_is_accepted() {
    let source = "
        #[windlass::init] fn init() {}
        #[windlass::export] fn numbers(a: i32, b: u32, c: i64, d: u64, e: f32, f: f64) -> f64 { \
            a as f64 + b as f64 + c as f64 + d as f64 + e as f64 + f }
        #[windlass::export] fn text(_: String) -> String { String::new() }
        #[windlass::export] fn bytes(mut b: Vec<u8>) -> Vec<u8> { b.clear(); b }
        #[windlass::export(name = \"with-a-dash\")] fn nothing() {}
    ";
    assert_eq!(errors("accepted", source), None);
}

#[test]
fn a_parameter_of_another_type_is_refused() {
    refuses(
        "parameter",
        "#[windlass::export] fn f(flag: bool) { let _ = flag; }",
        &[
            "`bool` cannot be a parameter of a `#[windlass::export]`",
            "use i32, u32, i64, u64, f32, f64, String or Vec<u8>",
        ],
    );
}

#[test]
fn a_result_of_another_type_is_refused() {
    refuses(
        "result",
        "#[windlass::export] fn f() -> (i32, i32) { (1, 2) }",
        &[
            "`(i32, i32)` cannot be the result of a `#[windlass::export]`",
            "return i32, u32, i64, u64, f32, f64, String, Vec<u8> or nothing",
        ],
    );
}

#[test]
fn what_an_export_cannot_be_is_refused() {
    refuses(
        "shape",
        "
        #[windlass::export] fn borrows(text: &str) { let _ = text; }
        #[windlass::export] fn generic<T>(value: T) { drop(value); }
        #[windlass::export] async fn later() {}
        #[windlass::export] unsafe fn trusting() {}
        #[windlass::export(name = \"windlass_poll\")] fn ours() {}
        #[windlass::export] struct NotAFunction;
        #[windlass::init] fn init(_: i32) {}
        ",
        &[
            "an export cannot borrow: its arguments live with the call's task; use String or Vec<u8>",
            "a function with `#[windlass::export]` cannot be generic: the host calls one function",
            "a function with `#[windlass::export]` cannot be async: tasks block instead",
            "a function with `#[windlass::export]` cannot be unsafe: the host cannot uphold a contract",
            "does not begin with `windlass`",
            "this attribute belongs on a function",
            "an init function takes no parameters",
        ],
    );
}
