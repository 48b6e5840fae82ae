//! What the attributes refuse, and the words they refuse it with.
//!
//! Each case is compiled as a crate of its own; the compiler's output must contain the expected lines, whatever else it says, so that
//! the test does not depend on the compiler's version.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A package of its own around `source`, which is `file`; `windlass` with `features`, and `more` in the manifest.
fn cargo(command: &str, name: &str, (file, source): (&str, &str), features: &str, more: &str) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("ui").join(name);
    fs::create_dir_all(dir.join("src")).expect("a folder for the case");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n\
         windlass = {{ path = '{}', default-features = false, features = [{features}] }}\n{more}",
        root.display()
    );
    fs::write(dir.join("Cargo.toml"), manifest).expect("the manifest");
    fs::write(dir.join("src").join(file), source).expect("the source");
    // The versions that this build has, so that nothing is looked up.
    fs::copy(root.join("Cargo.lock"), dir.join("Cargo.lock")).expect("the lock file");
    Command::new(env!("CARGO"))
        .args([command, "--quiet", "--offline", "--color=never", "--manifest-path"])
        .arg(dir.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui-target"))
        // The cases are the same whichever backend this test is built for.
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo")
}

/// Compiles `source` against this package, for this machine, and returns what the compiler says; `None` if it compiles.
fn errors(name: &str, source: &str) -> Option<String> {
    let output = cargo("check", name, ("lib.rs", source), "\"alloc\"", "");
    (!output.status.success()).then(|| text(&output))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
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
        #[windlass::export] fn memory() {}
        #[windlass::export] fn _start() {}
        #[windlass::export] fn fmod(a: f64, b: f64) -> f64 { a % b }
        #[windlass::export] struct NotAFunction;
        #[windlass::init] fn init(_: i32) {}
        ",
        &[
            "an export cannot borrow: its arguments live with the call's task; use String or Vec<u8>",
            "a function with `#[windlass::export]` cannot be generic: the host calls one function",
            "a function with `#[windlass::export]` cannot be async: tasks block instead",
            "a function with `#[windlass::export]` cannot be unsafe: the host cannot uphold a contract",
            "does not begin with `windlass` or `_`, and is not `memory`",
            "fn memory() {}",
            "fn _start() {}",
            "`fmod` is a function that compiled code calls by this name",
            "this attribute belongs on a function",
            "an init function takes no parameters",
        ],
    );
}

#[test]
fn where_panics_abort_the_program_says_first_which_task_it_was() {
    let source = "
        fn main() {
            windlass::run(|| {
                let builder = windlass::Builder::new().name(\"fragile\");
                builder.spawn(|| panic!(\"the last words\")).unwrap().join().unwrap();
            });
        }
    ";
    let profile = "\n[profile.dev]\npanic = \"abort\"\n";
    let output = cargo("run", "aborts", ("main.rs", source), "\"std\", \"scheduler\"", profile);
    let text = text(&output);
    let named = text.find("windlass: a panic in task 1 \"fragile\" ends the program");
    let message = text.find("the last words");
    assert!(named.is_some() && named < message, "{text}");
    assert!(!output.status.success());
}

/// A doc test has a `main`, which a `no_std` library cannot; so the README's reactor is compiled here.
#[test]
fn the_reactor_of_the_readme_compiles() {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    let (_, rest) = readme.split_once("```rust,ignore\n").expect("the reactor's example");
    let (source, _) = rest.split_once("```").expect("its end");
    let output = cargo("check", "readme", ("lib.rs", source), "\"alloc\", \"scheduler\"", "");
    assert!(output.status.success(), "{}", text(&output));
}
