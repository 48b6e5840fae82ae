//! The program under the command line of Binaryen's `wasm-opt`.

#![cfg(all(feature = "program", unix))]
#![allow(clippy::unwrap_used, reason = "what a test cannot set up fails it")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use wasmparser::{Parser, Payload};

/// A `wasm-opt` that changes nothing and writes down what it was called with.
const FAKE: &str = r#"#!/bin/sh
if [ "$1" = --version ]; then echo "wasm-opt version 99"; exit; fi
echo "$@" >> calls
while [ $# -gt 0 ]; do
    case "$1" in
        -o) output=$2; shift ;;
        -pa) shift ;;
        --minify-imports) echo "sleep => a" ;;
        --fail) echo "Fatal: no" >&2; exit 3 ;;
        -*) ;;
        *) input=$1 ;;
    esac
    shift
done
cat "$input" > "$output"
"#;

/// `main` may suspend, by a call through the table and by `env.sleep`; `pure` may not.
const MODULE: &str = r#"(module
    (import "env" "sleep" (func $sleep (param i32)))
    (import "env" "log" (func $log (param i32)))
    (memory (export "memory") 1)
    (table 1 funcref)
    (elem (i32.const 0) $work)
    (func $work (param i32) (call $sleep (local.get 0)) (call $log (local.get 0)))
    (func $main (export "main") (call_indirect (param i32) (i32.const 3) (i32.const 0)))
    (func $pure (export "pure") (result i32) (i32.const 7))
    (@custom "producers" (after last) "\00")
    (@custom "target_features" (after last) "\00"))"#;

/// A directory with `in.wasm`, and one on PATH, where the program is called `wasm-opt`.
struct Place {
    directory: tempfile::TempDir,
    path: String,
}

impl Place {
    /// Without a `wasm-opt` of somebody else.
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let ours = directory.path().join("ours");
        fs::create_dir(&ours).unwrap();
        symlink(env!("CARGO_BIN_EXE_windlass-lower"), ours.join("wasm-opt")).unwrap();
        fs::write(directory.path().join("in.wasm"), wat::parse_str(MODULE).unwrap()).unwrap();
        Place { path: ours.display().to_string(), directory }
    }

    /// With one, behind ours.
    fn with_fake() -> Place {
        let mut place = Place::new();
        let theirs = place.at("theirs");
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("wasm-opt"), FAKE).unwrap();
        fs::set_permissions(theirs.join("wasm-opt"), fs::Permissions::from_mode(0o755)).unwrap();
        place.path = format!("{}:{}:/usr/bin:/bin", place.path, theirs.display());
        place
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).env("PATH", &self.path).env_remove("WINDLASS_WASM_OPT");
        command
    }

    /// Runs the program under the name `wasm-opt`.
    fn run(&self, line: &str) -> Ran {
        Ran::new(self.command(&self.at("ours/wasm-opt")).args(line.split_whitespace()).output().unwrap())
    }

    /// What the other `wasm-opt` was called with, without the files in temporary directories.
    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        let plain = |word: &&str| !word.contains("windlass-lower-");
        calls.lines().map(|line| line.split(' ').filter(plain).collect::<Vec<_>>().join(" ")).collect()
    }

    fn sections(&self, name: &str) -> Vec<String> {
        let wasm = fs::read(self.at(name)).unwrap();
        let customs = Parser::new(0).parse_all(&wasm).filter_map(|payload| match payload.unwrap() {
            Payload::CustomSection(section) => Some(section.name().to_owned()),
            _ => None,
        });
        customs.collect()
    }

    fn is_lowered(&self, name: &str) -> bool {
        let wasm = fs::read(self.at(name)).unwrap();
        Parser::new(0).parse_all(&wasm).any(|payload| match payload.unwrap() {
            Payload::ExportSection(exports) => {
                exports.into_iter().any(|export| export.unwrap().name == "asyncify_start_unwind")
            }
            _ => false,
        })
    }
}

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn new(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn succeeds(self, err: &str) -> Ran {
        assert_eq!(self.err, err);
        assert_eq!(self.code, Some(0));
        self
    }

    #[track_caller]
    fn fails(self, err: &str) {
        assert_eq!(self.err, err);
        assert_eq!(self.code, Some(1));
        assert_eq!(self.out, "");
    }
}

const MISSING: &str = "this needs Binaryen's `wasm-opt`, which is neither on PATH nor in ./node_modules/.bin";
const INSTALL: &str = "help: install it with `apt-get install binaryen`, `brew install binaryen` or `npm install \
                       binaryen`, or name it with --wasm-opt or WINDLASS_WASM_OPT\n";

#[test]
fn lowers_and_says_nothing() {
    let place = Place::new();
    let ran =
        place.run("--asyncify --pass-arg=asyncify-imports@env.sleep -g in.wasm -o out.wasm").succeeds("");
    assert_eq!(ran.out, "");
    assert!(place.is_lowered("out.wasm"));
    assert!(place.sections("out.wasm").contains(&"name".to_owned()));
}

#[test]
fn is_asked_for_by_name_by_first_argument_and_by_asyncify() {
    let place = Place::new();
    let program = Path::new(env!("CARGO_BIN_EXE_windlass-lower"));
    for line in [&["wasm-opt", "--asyncify"][..], &["--asyncify"]] {
        let output = place.command(program).args(line).args(["in.wasm", "-o", "out.wasm"]).output().unwrap();
        Ran::new(output).succeeds("");
        assert!(place.is_lowered("out.wasm"));
        fs::remove_file(place.at("out.wasm")).unwrap();
    }
    let output = place.command(program).args(["wasm-opt", "--version"]).output().unwrap();
    assert_eq!(output.stdout, place.run("--version").out.as_bytes());
}

#[test]
fn the_version_is_that_of_the_installed_one() {
    let ours = format!("(windlass-lower {})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(Place::new().run("--version").succeeds("").out, format!("wasm-opt version 108 {ours}"));
    assert_eq!(Place::with_fake().run("--version").succeeds("").out, format!("wasm-opt version 99 {ours}"));
}

#[test]
fn reads_standard_input_and_writes_standard_output() {
    let place = Place::new();
    let line = ["--asyncify", "-", "-o", "-"];
    let input = fs::File::open(place.at("in.wasm")).unwrap();
    let output = place.command(&place.at("ours/wasm-opt")).args(line).stdin(input).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.stdout.starts_with(b"\0asm"));
}

#[test]
fn warns_if_nothing_is_written() {
    let place = Place::new();
    place.run("--asyncify in.wasm").succeeds("warning: no output file specified, not emitting output\n");
    place.run("--asyncify in.wasm --quiet").succeeds("");
}

#[test]
fn other_passes_run_before_with_names_kept() {
    let place = Place::with_fake();
    place
        .run(
            "--strip-dwarf --post-emscripten -O2 --low-memory-unused --asyncify --pass-arg=asyncify-imports@env.sleep \
             -pa other@1 --zero-filled-memory --strip-debug --strip-producers in.wasm -o in.wasm --mvp-features",
        )
        .succeeds("");
    let expected = "-o -g --strip-dwarf --post-emscripten -O2 --low-memory-unused -pa other@1 --zero-filled-memory \
                    --mvp-features";
    assert_eq!(place.calls(), [expected]);
    assert!(place.is_lowered("in.wasm"));
    let sections = place.sections("in.wasm");
    assert!(
        !sections.contains(&"name".to_owned()) && !sections.contains(&"producers".to_owned()),
        "{sections:?}"
    );
    assert!(sections.contains(&"target_features".to_owned()), "{sections:?}");
}

#[test]
fn nothing_is_run_where_there_is_nothing_to_run() {
    let place = Place::with_fake();
    place.run("--asyncify -O0 --strip-debug --mvp-features in.wasm -o out.wasm").succeeds("");
    assert_eq!(place.calls(), [""; 0]);
}

#[test]
fn what_drives_itself_is_not_inlined_before() {
    let place = Place::with_fake();
    let module = r#"(module (import "asyncify" "start_unwind" (func $start (param i32))) (memory 1)
        (func (export "f") (call $start (i32.const 16))))"#;
    fs::write(place.at("in.wasm"), wat::parse_str(module).unwrap()).unwrap();
    place.run("--asyncify -O3 in.wasm -o out.wasm").succeeds("");
    place.run("-O3 --asyncify in.wasm -o out.wasm").succeeds("");
    assert_eq!(
        place.calls(),
        ["-o -g --strip-dwarf -aimfs=0 -fimfs=0 -ocimfs=0 -O3", "-o -g --strip-dwarf -O3"]
    );
}

#[test]
fn listed_functions_are_not_optimised_away_before() {
    let place = Place::with_fake();
    place.run("--asyncify --pass-arg=asyncify-onlylist@main,work -O2 in.wasm -o out.wasm").succeeds(
        "note: -O2 skipped: it stands after --asyncify, and might remove functions that its lists name; put it before\n",
    );
    assert_eq!(place.calls(), [""; 0]);
    place.run("-O2 --asyncify --pass-arg=asyncify-onlylist@main,work in.wasm -o out.wasm").succeeds("");
    assert_eq!(place.calls(), ["-o -g --strip-dwarf -O2"]);
}

#[test]
fn without_a_wasm_opt_optimising_is_skipped_and_the_rest_an_error() {
    let place = Place::new();
    place
        .run("--asyncify -O2 --dce in.wasm -o out.wasm")
        .succeeds(&format!("note: -O2 --dce skipped: {MISSING}\n"));
    assert!(place.is_lowered("out.wasm"));
    for pass in ["--legalize-js-interface", "--post-emscripten", "--instrument-memory", "--never-heard-of"] {
        place
            .run(&format!("{pass} --asyncify in.wasm -o none.wasm"))
            .fails(&format!("error: `{pass}` changes the module: {MISSING}\n{INSTALL}"));
    }
    fs::write(place.at("in.wat"), MODULE).unwrap();
    place
        .run("--asyncify in.wat -o none.wasm")
        .fails(&format!("error: the input is not binary WebAssembly: {MISSING}\n{INSTALL}"));
    assert!(!place.at("none.wasm").exists());
}

#[test]
fn a_line_without_asyncify_goes_through_whole() {
    let place = Place::with_fake();
    let ran = place.run("--strip-dwarf --minify-imports in.wasm -o out.wasm --mvp-features").succeeds("");
    assert_eq!(ran.out, "sleep => a\n");
    assert_eq!(place.calls(), ["--strip-dwarf --minify-imports in.wasm -o out.wasm --mvp-features"]);
    let ran = place.run("--fail in.wasm");
    assert_eq!((ran.code, &*ran.err), (Some(3), "Fatal: no\n"));
}

#[test]
fn a_line_without_asyncify_and_wasm_opt_copies_at_most() {
    let place = Place::new();
    place
        .run("-Os in.wasm -o out.wasm -g --strip-producers")
        .succeeds(&format!("note: -Os skipped: {MISSING}\n"));
    assert_eq!(place.sections("out.wasm"), ["target_features", "name"]);
    place.run("in.wasm -o out.wasm").succeeds("");
    assert_eq!(place.sections("out.wasm"), ["producers", "target_features"]);
    place
        .run("--minify-imports in.wasm -o none.wasm")
        .fails(&format!("error: `--minify-imports` changes the module: {MISSING}\n{INSTALL}"));
}

#[test]
fn what_cannot_be_in_one_run_is_refused() {
    let place = Place::with_fake();
    let leave_out = "help: leave it out, or run wasm-opt with it on the lowered module\n";
    for option in ["-S", "--emit-text", "--emit-spec-wrapper=x"] {
        let name = option.split('=').next().unwrap();
        place
            .run(&format!("{option} --asyncify in.wasm -o out.wasm"))
            .fails(&format!("error: `{name}` does not go with `--asyncify`\n{leave_out}"));
    }
    place.run("--asyncify --minify-imports in.wasm -o out.wasm").fails(
        "error: `--minify-imports` stands after `--asyncify`, but other passes run before the lowering\n\
         help: put it before, if that is the same, or run wasm-opt with it on the lowered module\n",
    );
    place.run("--asyncify --mod-asyncify-never-unwind in.wasm -o out.wasm").fails(
        "error: `--mod-asyncify-never-unwind` is for the code that Binaryen's own pass makes\nhelp: leave it out\n",
    );
    assert_eq!(place.calls(), [""; 0]);
    assert!(!place.at("out.wasm").exists());
}

#[test]
fn passes_for_binaryens_asyncify_are_refused_on_ours() {
    let place = Place::with_fake();
    place.run("--asyncify in.wasm -o out.wasm").succeeds("");
    place.run("--mod-asyncify-never-unwind -O1 out.wasm -o lazy.wasm").fails(
        "error: `--mod-asyncify-never-unwind` is for code of Binaryen's asyncify, and windlass-lower made `out.wasm`\n\
         help: leave it out; with Emscripten, leave out -sASYNCIFY_LAZY_LOAD_CODE\n",
    );
    place.run("--mod-asyncify-never-unwind -O1 in.wasm -o lazy.wasm").succeeds("");
}

#[test]
fn arguments_of_the_pass_are_checked() {
    let place = Place::new();
    for (argument, message) in [
        (
            "asyncify-in-secondary-memory",
            "error: `asyncify-in-secondary-memory` is not supported: frames are kept in the first memory\n\
             help: leave it out, and give asyncify_start_unwind a buffer in the first memory\n",
        ),
        (
            "asyncify-relocatable",
            "error: `asyncify-relocatable` is not supported: modules that are linked at run time cannot suspend \
             together\nhelp: link the program into one module\n",
        ),
        (
            "asyncify-typo",
            "error: `--pass-arg=asyncify-typo` is unknown\n\
             help: `wasm-opt --help` lists what is known; what it does may matter, so it is not ignored\n",
        ),
        (
            "asyncify-imports@@none.txt",
            "error: cannot read `none.txt`: No such file or directory (os error 2)\n",
        ),
        (
            "asyncify-removelist@operator<,f",
            "error: the brackets in the list of `asyncify-removelist` do not match\n\
             help: write the names to a file, one a line, and say `--pass-arg=asyncify-removelist@@FILE`\n",
        ),
    ] {
        place.run(&format!("--asyncify --pass-arg={argument} in.wasm -o out.wasm")).fails(message);
    }
    place
        .run("--asyncify --pass-arg=asyncify-onlylist@main --pass-arg=asyncify-addlist@work in.wasm -o out.wasm")
        .fails(
            "error: `asyncify-onlylist` does not go with another list of functions\n\
             help: leave out `asyncify-addlist` and `asyncify-removelist`, or name all functions in them\n",
        );
    assert!(!place.at("out.wasm").exists());
}

#[test]
fn what_has_no_effect_is_noted() {
    let place = Place::new();
    place
        .run("--asyncify --pass-arg=asyncify-asserts --pass-arg=asyncify-memory@memory in.wasm -o out.wasm")
        .succeeds("note: asyncify-asserts has no effect: what it checks is always checked\n");
    place.run("--asyncify --pass-arg=asyncify-asserts in.wasm -o out.wasm -q").succeeds("");
}

#[test]
fn a_list_may_name_functions_that_are_not_there() {
    let place = Place::new();
    let line =
        "--asyncify --pass-arg=asyncify-removelist@printf,p* --pass-arg=asyncify-addlist@work,none in.wasm";
    let warnings = "warning: asyncify-addlist names no function by `none`\n\
                    warning: asyncify-removelist names no function by `printf`\n";
    place.run(&format!("{line} -o out.wasm")).succeeds(warnings);
    place.run(&format!("{line} -o out.wasm --quiet")).succeeds("");
}

#[test]
fn a_source_map_is_emptied() {
    let place = Place::new();
    fs::write(place.at("x.map"), "old").unwrap();
    place
        .run("--asyncify in.wasm -o out.wasm --input-source-map=x.map --output-source-map=x.map")
        .succeeds("note: the source map is empty: it would not describe the lowered code\n");
    let map = fs::read_to_string(place.at("x.map")).unwrap();
    assert_eq!(map, r#"{"version":3,"sources":[],"names":[],"mappings":""}"#);
}

#[test]
fn a_damaged_line_is_explained() {
    let place = Place::new();
    for (line, message) in [
        (
            "--asyncify a.wasm b.wasm",
            "error: two modules to read, `a.wasm` and `b.wasm`\n\
             help: wasm-opt reads one; the file to write goes behind `-o`\n",
        ),
        ("--asyncify in.wasm -o", "error: `-o` needs a value behind it\n"),
        ("--asyncify in.wasm -o a -o b", "error: `-o` is given twice\nhelp: one module is written\n"),
        (
            "--asyncify --asyncify in.wasm",
            "error: `--asyncify` is given twice\nhelp: a module is lowered once: leave one out\n",
        ),
        ("--asyncify -ol x in.wasm", "error: `-ol` needs a number behind it, such as 2\n"),
        ("--asyncify no.wasm", "error: cannot read `no.wasm`: No such file or directory (os error 2)\n"),
    ] {
        place.run(line).fails(message);
    }
}

#[test]
fn does_not_take_itself_for_the_installed_one() {
    let place = Place::new();
    let run = |arguments: &[&str], variable: &str| {
        let mut command = place.command(&place.at("ours/wasm-opt"));
        Ran::new(command.args(arguments).env("WINDLASS_WASM_OPT", variable).output().unwrap())
    };
    let ours = place.at("ours/wasm-opt").display().to_string();
    run(&["--legalize-js-interface", "in.wasm", "-o", "out.wasm"], &ours).fails(&format!(
        "error: `--legalize-js-interface` changes the module: `{ours}` is windlass-lower itself under another name \
         (named by WINDLASS_WASM_OPT)\n{INSTALL}"
    ));
}

#[test]
fn a_failing_pass_ends_it_and_leaves_the_output_alone() {
    let place = Place::with_fake();
    fs::write(place.at("out.wasm"), "before").unwrap();
    place.run("--fail --asyncify in.wasm -o out.wasm").fails(
        "Fatal: no\nerror: wasm-opt (version 99) failed with exit status: 3\n\
         help: what it said stands above; it was given every option of the line that is not about asyncify\n",
    );
    assert_eq!(fs::read_to_string(place.at("out.wasm")).unwrap(), "before");
}
