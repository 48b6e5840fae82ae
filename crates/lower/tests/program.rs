//! The program: its one line, its files, its exit status.

#![cfg(feature = "program")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn lower(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_windlass-lower"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn directory_with_guest() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    let guest = common::guest("(table 1 funcref)");
    fs::write(directory.path().join("in.wasm"), guest).unwrap_or_else(|error| panic!("{error}"));
    directory
}

#[test]
fn lowers_a_file_and_says_so_in_one_line() {
    let directory = directory_with_guest();
    let output = lower(directory.path(), &["in.wasm", "-o", "out.wasm"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    let size = |name: &str| {
        let read = fs::read(directory.path().join(name));
        read.unwrap_or_else(|error| panic!("{error}")).len()
    };
    let expected =
        format!("out.wasm: {} -> {} bytes, engine binaryen (wasm-opt ", size("in.wasm"), size("out.wasm"));
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(text.lines().count(), 1);
    assert_eq!(complaint, "");
}

#[test]
fn takes_its_options() {
    let directory = directory_with_guest();
    let arguments = [
        "in.wasm",
        "--output",
        "out.wasm",
        "--via",
        "binaryen",
        "--no-stack-check",
        "-Os",
        "--strip-names",
        "--wasm-opt",
        "wasm-opt",
    ];
    let output = lower(directory.path(), &arguments);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
}

#[test]
fn an_error_exits_with_1_and_says_what_helps() {
    let directory = directory_with_guest();
    let fails = |arguments: &[&str]| {
        let output = lower(directory.path(), arguments);
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.is_empty());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let text = fails(&["missing.wasm", "-o", "out.wasm"]);
    assert!(text.starts_with("error: cannot read `missing.wasm`: "), "{text}");

    let text = fails(&["in.wasm", "-o", "no/such/out.wasm"]);
    assert!(text.starts_with("error: cannot write `no/such/out.wasm`: "), "{text}");

    let text = fails(&["in.wasm", "-o", "out.wasm", "--wasm-opt", "./none"]);
    assert!(text.starts_with("error: in.wasm: cannot run `./none`: "), "{text}");
    assert!(text.contains("\nhelp: install it with `apt-get install binaryen`"), "{text}");
}

#[test]
fn finds_wasm_opt_by_variable_path_and_npm_project() {
    let directory = directory_with_guest();
    let lower = |wasm_opt: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-lower"));
        command
            .current_dir(directory.path())
            .args(["in.wasm", "-o", "out.wasm"])
            .env("PATH", directory.path());
        match wasm_opt {
            Some(path) => command.env("WINDLASS_WASM_OPT", path),
            None => command.env_remove("WINDLASS_WASM_OPT"),
        };
        let output = command.output().unwrap_or_else(|error| panic!("{error}"));
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (found, text) = lower(None);
    assert!(!found && text.contains("neither on PATH nor in ./node_modules/.bin"), "{text}");
    let (found, text) = lower(Some("./none"));
    assert!(!found && text.contains("(named by WINDLASS_WASM_OPT)"), "{text}");

    #[cfg(unix)]
    {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let installed = std::env::split_paths(&path)
            .map(|place| place.join("wasm-opt"))
            .find(|program| program.is_file())
            .unwrap_or_else(|| panic!("no wasm-opt: apt-get install binaryen"));
        let bin = directory.path().join("node_modules/.bin");
        fs::create_dir_all(&bin).unwrap_or_else(|error| panic!("{error}"));
        std::os::unix::fs::symlink(installed, bin.join("wasm-opt")).unwrap_or_else(|error| panic!("{error}"));
        let (found, text) = lower(None);
        assert!(found, "{text}");
    }
}
