//! The program: its one line, its files, its exit status, its report and its explanations.

#![cfg(feature = "program")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// `render` may suspend by way of the table, `measure` may not.
const CHAIN: &str = "
    (table 1 funcref)
    (elem (i32.const 0) $flush)
    (func $render (param $depth i32) (call $write_all))
    (func $write_all (call_indirect (param i32) (i32.const 1) (i32.const 0)))
    (func $flush (param i32) (call $to (i32.const 0) (local.get 0)))
    (func $measure (param i32) (result i32) (local.get 0))
    (func $main (export \"main\") (call $render (call $measure (i32.const 1))))";

fn lower(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_windlass-lower"))
        .current_dir(directory)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{error}"))
}

fn directory_with(fields: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap_or_else(|error| panic!("{error}"));
    fs::write(directory.path().join("in.wasm"), common::guest(fields))
        .unwrap_or_else(|error| panic!("{error}"));
    directory
}

fn directory_with_guest() -> tempfile::TempDir {
    directory_with("(table 1 funcref)")
}

/// A directory whose module was written for Binaryen's pass.
fn directory_with_asyncify_module() -> tempfile::TempDir {
    let directory = directory_with_guest();
    let module = common::assemble(
        r#"(module (import "env" "sleep" (func $sleep)) (import "env" "log" (func $log)) (memory (export "memory") 1)
            (func $main (export "main") (call $sleep) (call $log))
            (func $callback (export "callback") (call $log)))"#,
    );
    fs::write(directory.path().join("in.wasm"), module).unwrap_or_else(|error| panic!("{error}"));
    directory
}

/// What a run that succeeds says besides its result.
#[track_caller]
fn notes(directory: &Path, arguments: &[&str]) -> String {
    let output = lower(directory, arguments);
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let output = lower(directory, arguments);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn fails(directory: &Path, arguments: &[&str]) -> String {
    let output = lower(directory, arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn size(directory: &Path, name: &str) -> usize {
    fs::read(directory.join(name)).unwrap_or_else(|error| panic!("{error}")).len()
}

#[test]
fn lowers_a_file_and_says_so_in_one_line() {
    let directory = directory_with_guest();
    let directory = directory.path();
    let text = succeeds(directory, &["in.wasm", "-o", "out.wasm"]);
    let (before, after) = (size(directory, "in.wasm"), size(directory, "out.wasm"));
    assert_eq!(text, format!("out.wasm: {before} -> {after} bytes, engine own\n"));

    let text = succeeds(directory, &["in.wasm", "-o", "out.wasm", "--via", "binaryen"]);
    let after = size(directory, "out.wasm");
    let expected = format!("out.wasm: {before} -> {after} bytes, engine binaryen (wasm-opt ");
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn takes_its_options() {
    let directory = directory_with_guest();
    for via in [&["own"][..], &["binaryen", "--wasm-opt", "wasm-opt"]] {
        for optimize in ["speed", "balanced", "size"] {
            let options = [
                "in.wasm",
                "--output",
                "out.wasm",
                "--abi",
                "windlass",
                "--no-stack-check",
                "--strip-names",
                "--report",
                "report.json",
                "--optimize",
                optimize,
                "--via",
            ];
            succeeds(directory.path(), &[&options[..], via].concat());
        }
    }
    let options = ["--allow", "own_sp", "--deny", "pus*", "--allow", "#15", "--ignore-indirect"];
    succeeds(directory.path(), &[&["in.wasm", "-o", "out.wasm"][..], &options].concat());
}

#[test]
fn an_error_exits_with_1_and_says_what_helps() {
    let directory = directory_with_guest();
    let fails = |arguments: &[&str]| fails(directory.path(), arguments);
    let text = fails(&["missing.wasm", "-o", "out.wasm"]);
    assert!(text.starts_with("error: cannot read `missing.wasm`: "), "{text}");

    let text = fails(&["in.wasm", "-o", "no/such/out.wasm"]);
    assert!(text.starts_with("error: cannot write `no/such/out.wasm`: "), "{text}");

    let text = fails(&["in.wasm", "-o", "out.wasm", "--via", "binaryen", "--wasm-opt", "./none"]);
    assert!(text.starts_with("error: in.wasm: cannot run `./none`: "), "{text}");
    assert!(text.contains("\nhelp: install it with `apt-get install binaryen`"), "{text}");
}

#[test]
fn options_that_do_not_go_together_are_refused_with_what_to_do() {
    let directory = directory_with_guest();
    let own = "with `--abi windlass`, only the own engine takes it: leave out `--via binaryen` or the option";
    for (options, error, help) in [
        (
            &["--suspending-import", "env.sleep"][..],
            "`--suspending-import` does not go with `--abi windlass`",
            "imports of the host never suspend there: leave the option out, or add `--abi asyncify` if the module \
             was written for Binaryen's asyncify",
        ),
        (
            &["--abi", "asyncify", "--suspending-import", "sleep"],
            "`--suspending-import sleep` names no module",
            "say MODULE.NAME, for C mostly `env.sleep`; `*` stands for any text",
        ),
        (
            &["--stable-buffer"],
            "`--stable-buffer` does not go with `--abi windlass`",
            "only the ABI `asyncify` has a buffer that belongs to the host: leave the option out",
        ),
        (
            &["--stable-buffer", "--abi", "asyncify", "--via", "binaryen"],
            "`--stable-buffer` does not go with `--via binaryen`",
            "Binaryen's pass always keeps frames in the buffer: leave the option out",
        ),
        (&["--allow", "f", "--via", "binaryen"], "`--allow` does not go with `--via binaryen`", own),
        (&["--deny", "f", "--via", "binaryen"], "`--deny` does not go with `--via binaryen`", own),
        (
            &["--ignore-indirect", "--via", "binaryen"],
            "`--ignore-indirect` does not go with `--via binaryen`",
            own,
        ),
        (
            &["--wasm-opt", "wasm-opt"],
            "`--wasm-opt` does not go with `--via own`",
            "the own engine, which is the default, runs no wasm-opt: leave the option out or add `--via binaryen`",
        ),
        (
            &["--deny", ""],
            "the pattern of `--deny` is empty",
            "give the name of a function, a pattern with `*`, or `#` and its index",
        ),
        (
            &["--report", "in.wasm"],
            "`in.wasm` cannot be both a module and the report",
            "give `--report` a file of its own, e.g. report.json",
        ),
        (
            &["--report", "out.wasm"],
            "`out.wasm` cannot be both a module and the report",
            "give `--report` a file of its own, e.g. report.json",
        ),
    ] {
        let text = fails(directory.path(), &[&["in.wasm", "-o", "out.wasm"], options].concat());
        assert_eq!(text, format!("error: {error}\nhelp: {help}\n"));
    }
    assert!(!directory.path().join("out.wasm").exists());
}

#[test]
fn finds_wasm_opt_by_variable_path_and_npm_project() {
    let directory = directory_with_guest();
    let lower = |wasm_opt: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass-lower"));
        command
            .current_dir(directory.path())
            .args(["in.wasm", "-o", "out.wasm", "--via", "binaryen"])
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

        // The program under that name, found before, is not taken for it.
        let ours = env!("CARGO_BIN_EXE_windlass-lower");
        std::os::unix::fs::symlink(ours, directory.path().join("wasm-opt"))
            .unwrap_or_else(|error| panic!("{error}"));
        let (found, text) = lower(None);
        assert!(found, "{text}");
    }
}

#[test]
fn an_error_leaves_the_files_alone() {
    let directory = directory_with_guest();
    let directory = directory.path();
    let path = |name: &str| directory.join(name);
    fs::write(path("out.wasm"), "before").unwrap();
    fs::write(path("report.json"), "before").unwrap();
    fs::write(path("bad.wasm"), "no module").unwrap();
    fails(directory, &["bad.wasm", "-o", "out.wasm", "--report", "report.json"]);
    fails(directory, &["in.wasm", "-o", "out.wasm", "--report", "no/such/report.json"]);
    fails(directory, &["in.wasm", "-o", ".", "--report", "report.json"]);
    for name in ["out.wasm", "report.json"] {
        assert_eq!(fs::read_to_string(path(name)).unwrap(), "before");
    }
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["bad.wasm", "in.wasm", "out.wasm", "report.json"]);
}

#[cfg(unix)]
#[test]
fn the_output_may_be_the_input_a_link_or_a_device() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let directory = directory_with_guest();
    let path = |name: &str| directory.path().join(name);
    fs::write(path("real.wasm"), "before").unwrap();
    fs::set_permissions(path("real.wasm"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.wasm", path("link.wasm")).unwrap();
    succeeds(directory.path(), &["in.wasm", "-o", "link.wasm"]);
    assert!(fs::symlink_metadata(path("link.wasm")).unwrap().is_symlink());
    assert!(fs::read(path("real.wasm")).unwrap().starts_with(b"\0asm"));
    assert_eq!(fs::metadata(path("real.wasm")).unwrap().permissions().mode() & 0o777, 0o640);

    // What a link leads to need not be there.
    symlink("new.wasm", path("dangling.wasm")).unwrap();
    succeeds(directory.path(), &["in.wasm", "-o", "dangling.wasm"]);
    assert!(fs::symlink_metadata(path("dangling.wasm")).unwrap().is_symlink());
    assert_eq!(fs::read(path("new.wasm")).unwrap(), fs::read(path("real.wasm")).unwrap());

    succeeds(directory.path(), &["in.wasm", "-o", "/dev/null"]);
    succeeds(directory.path(), &["in.wasm", "-o", "in.wasm"]);
    assert_eq!(fs::read(path("in.wasm")).unwrap(), fs::read(path("real.wasm")).unwrap());
}

#[cfg(unix)]
#[test]
fn one_file_by_two_names_is_not_both_the_module_and_the_report() {
    use std::os::unix::fs::symlink;

    let directory = directory_with_guest();
    let path = |name: &str| directory.path().join(name);
    fs::create_dir(path("folder")).unwrap();
    symlink("out.wasm", path("link")).unwrap();
    symlink("link", path("link to link")).unwrap();
    symlink("../out.wasm", path("folder/link")).unwrap();
    symlink("in.wasm", path("input")).unwrap();
    let absolute = path("out.wasm");
    let absolute = absolute.to_str().unwrap();
    // The output is not there, and then it is.
    for round in 0..2 {
        for (output, report) in [
            ("out.wasm", "./out.wasm"),
            ("out.wasm", absolute),
            ("out.wasm", "folder/../out.wasm"),
            ("out.wasm", "link"),
            ("out.wasm", "link to link"),
            ("folder/link", "out.wasm"),
            ("link", "link to link"),
            ("out.wasm", "./in.wasm"),
            ("out.wasm", "input"),
        ] {
            let before = fs::read(path("out.wasm")).ok();
            let text = fails(directory.path(), &["in.wasm", "-o", output, "--report", report]);
            assert!(
                text.contains("cannot be both a module and the report\nhelp: "),
                "{output}, {report}: {text}"
            );
            assert_eq!(fs::read(path("out.wasm")).ok(), before, "{output}, {report}");
        }
        assert_eq!(path("out.wasm").exists(), round == 1);
        succeeds(directory.path(), &["in.wasm", "-o", "link", "--report", "folder/report.json"]);
    }
}

#[test]
fn the_report_has_each_function_and_why_it_may_suspend() {
    let directory = directory_with(CHAIN);
    let directory = directory.path();
    let line = ["in.wasm", "-o", "out.wasm", "--optimize", "size", "--report", "report.json"];
    succeeds(directory, &line);
    let text = fs::read_to_string(directory.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["abi"], "windlass");
    assert_eq!(report["engine"], "own");
    assert_eq!(report["optimize"], "size");
    assert_eq!(report["wasm_opt"], serde_json::Value::Null);
    assert_eq!(report["bytes_before"], size(directory, "in.wasm"));
    assert_eq!(report["bytes_after"], size(directory, "out.wasm"));
    assert_eq!(report["notes"], serde_json::json!([]));
    let functions = report["functions"].as_array().unwrap();
    let function = |name: &str| functions.iter().find(|function| function["name"] == name).unwrap();
    assert_eq!(
        function("write_all")["why"],
        serde_json::json!([
            { "callee": "flush", "indirect": true },
            { "callee": "to", "indirect": false },
            { "callee": "windlass.switch", "indirect": false },
        ])
    );
    assert_eq!(function("write_all")["sites"], 1);
    assert_eq!(function("measure")["why"], serde_json::json!([]));
    assert_eq!(function("measure")["form"], "untouched");
    assert_eq!(function("measure")["bytes_before"], function("measure")["bytes_after"]);
    let first = functions[0]["index"].as_u64().unwrap();
    let indices: Vec<u64> = functions.iter().map(|function| function["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, (first..first + functions.len() as u64).collect::<Vec<_>>());

    succeeds(directory, &line);
    assert_eq!(fs::read_to_string(directory.join("report.json")).unwrap(), text);
}

#[test]
fn an_index_is_that_of_the_module_that_is_read() {
    // Imports of `windlass` are gone when the code is lowered; indices in options and reports tell nothing of that.
    let anonymous = "
        (table 1 funcref)
        (func (call 5 (i32.const 0)))
        (func (call 20))
        (func $entry (param i32) (result i32) (call 21) (call $log (i32.const 1)) (i32.const 0))
        (elem (i32.const 0) $entry)
        (func $plain (call $log (i32.const 1)))";
    let directory = directory_with(anonymous);
    let directory = directory.path();
    let report = |options: &[&str]| -> serde_json::Value {
        succeeds(directory, &[&["in.wasm", "-o", "out.wasm", "--report", "report.json"], options].concat());
        serde_json::from_slice(&fs::read(directory.join("report.json")).unwrap()).unwrap()
    };
    let function = |report: &serde_json::Value, index: usize| -> serde_json::Value {
        let mut functions = report["functions"].as_array().unwrap().iter();
        functions.find(|function| function["index"] == index).unwrap().clone()
    };
    let whole = report(&[]);
    assert_eq!(function(&whole, 20)["name"], "#20");
    assert_eq!(function(&whole, 21)["name"], "#21");
    assert_eq!(
        function(&whole, 22)["why"],
        serde_json::json!([
            { "callee": "#21", "indirect": false },
            { "callee": "#20", "indirect": false },
            { "callee": "windlass.leave", "indirect": false },
        ])
    );
    assert_eq!(
        succeeds(directory, &["explain", "in.wasm", "#22"]),
        "`entry` may suspend:\n  calls `#21`\n  calls `#20`\n  calls windlass.leave, which suspends\n"
    );

    // By name and by index it is the same function.
    assert_eq!(function(&whole, 22)["form"], "clone");
    assert_eq!(function(&whole, 23)["why"], serde_json::json!([]));
    for option in ["--deny", "--allow"] {
        for (name, index) in [("entry", "#22"), ("plain", "#23")] {
            let by_name = report(&[option, name]);
            let wasm = fs::read(directory.join("out.wasm")).unwrap();
            assert_eq!(report(&[option, index]), by_name, "{option} {index}");
            assert!(fs::read(directory.join("out.wasm")).unwrap() == wasm, "{option} {index}");
        }
    }
    assert_eq!(function(&report(&["--deny", "#22"]), 22)["form"], "guarded");
    assert_eq!(function(&report(&["--deny", "#21"]), 22)["why"], serde_json::json!([]));
    // There are no such functions, or they are the intrinsics.
    for index in ["#0", "#13", "#24", "#33"] {
        let line = ["in.wasm", "-o", "out.wasm", "--deny", index];
        assert_eq!(
            fails(directory, &line),
            format!(
                "error: in.wasm: --deny `{index}` names no function\nhelp: names are those of the name section, \
                 which the linker writes with `-g`, and of exports; \
                 `*` stands for any text, `#7` for function 7\n"
            )
        );
    }
}

#[test]
fn explains_by_which_calls_a_function_may_suspend() {
    let directory = directory_with(CHAIN);
    let explain =
        |arguments: &[&str]| succeeds(directory.path(), &[&["explain", "in.wasm"], arguments].concat());
    let render = "`render` may suspend:\n  calls `write_all`\n  \
                  calls through the table, type (i32) -> (), which may be `flush`\n  \
                  calls `to`\n  calls windlass.switch, which suspends\n";
    assert_eq!(explain(&["render"]), render);
    assert_eq!(explain(&["rend*"]), render);
    assert_eq!(explain(&["measure"]), "`measure` never suspends\n");
    assert_eq!(explain(&["render", "--ignore-indirect"]), "`render` never suspends\n");
    assert_eq!(
        explain(&["*u*"]),
        "`push` never suspends\n`flush` may suspend:\n  calls `to`\n  calls windlass.switch, which suspends\n\
         `measure` never suspends\n"
    );
    let all = explain(&["*"]);
    assert!(all.contains(render) && all.contains("`main` may suspend:\n  calls `render`\n"), "{all}");
}

#[test]
fn a_function_that_is_not_there_is_answered_with_the_nearest() {
    let directory = directory_with(CHAIN);
    let explain = |function: &str| fails(directory.path(), &["explain", "in.wasm", function]);
    assert_eq!(
        explain("rendr"),
        "error: in.wasm defines no function `rendr`\nhelp: did you mean `render`? `#12` means a function by \
         its index, and `*` stands for any text\n"
    );
    let text = explain("#1000");
    assert!(text.starts_with("error: in.wasm defines no function #1000\nhelp: it defines #"), "{text}");
    assert_eq!(
        explain("x*y"),
        "error: in.wasm defines no function like `x*y`\nhelp: `*` alone lists every function\n"
    );
    let text = fails(directory.path(), &["explain", "missing.wasm", "f"]);
    assert!(text.starts_with("error: cannot read `missing.wasm`: "), "{text}");
}

#[test]
fn lowers_a_module_for_the_other_abi_by_either_engine() {
    let directory = directory_with_asyncify_module();
    for via in ["own", "binaryen"] {
        let options = ["--abi", "asyncify", "--suspending-import", "env.sleep", "--via", via];
        let notes = notes(directory.path(), &[&["in.wasm", "-o", "out.wasm"][..], &options].concat());
        let needs = "note: the module needs an engine with several memories, such as V8 12.0 (Node 22), as frames are \
                     in a second one; `--stable-buffer` needs none, if the host leaves the buffer alone until the \
                     call is over\n";
        assert_eq!(notes, if via == "own" { needs } else { "" });
        let wasm = fs::read(directory.path().join("out.wasm")).unwrap();
        let text = String::from_utf8_lossy(&wasm);
        for export in ["start_unwind", "stop_unwind", "start_rewind", "stop_rewind", "get_state"] {
            assert!(text.contains(&format!("asyncify_{export}")), "{via}: {export}");
        }
        let text =
            fails(directory.path(), &["out.wasm", "-o", "twice.wasm", "--abi", "asyncify", "--via", via]);
        assert!(text.starts_with("error: out.wasm: "), "{text}");
    }
}

#[test]
fn what_was_probably_meant_is_said() {
    let directory = directory_with_asyncify_module();
    let directory = directory.path();
    let line = ["in.wasm", "-o", "out.wasm", "--abi", "asyncify", "--stable-buffer"];
    assert_eq!(
        notes(directory, &[&line[..], &["--suspending-import", "env.slep"]].concat()),
        "note: the module imports nothing that `--suspending-import env.slep` names; did you mean `env.sleep`?\n"
    );
    let text = fails(directory, &["in.wasm", "-o", "out.wasm"]);
    assert!(text.contains("written for Binaryen's asyncify needs `--abi asyncify`"), "{text}");
    fs::write(directory.join("text.wasm"), "\n(module)").unwrap();
    let text = fails(directory, &["text.wasm", "-o", "out.wasm"]);
    assert!(text.ends_with("assemble it first, e.g. by `wasm-tools parse` or `wat2wasm`\n"), "{text}");
    let text = fails(directory, &["in.wasm", "-o", "none/out.wasm", "--abi", "asyncify"]);
    assert_eq!(text, "error: cannot write `none/out.wasm`: its directory does not exist\n");
}

#[test]
fn functions_that_unwind_by_themselves_are_explained() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let module = common::assemble(
        r#"(module
            (import "asyncify" "start_unwind" (func $start (param i32)))
            (import "asyncify" "stop_unwind" (func $stop))
            (import "env" "sleep" (func $nap))
            (memory 1)
            (func $begins (call $start (i32.const 8)))
            (func $task (call $begins) (call $nap))
            (func (export "loop") (call $task) (call $stop))
            (func $guarded (call $task)))"#,
    );
    fs::write(directory.join("in.wasm"), module).unwrap();
    let explain = |function: &str, options: &[&str]| {
        succeeds(directory, &[&["explain", "in.wasm", function, "--abi", "asyncify"][..], options].concat())
    };
    assert_eq!(
        explain("begins", &[]),
        "`begins` starts to unwind by itself, by `asyncify.start_unwind`, and is called again as a whole\n"
    );
    assert_eq!(
        explain("loop", &[]),
        "`loop` drives the unwinding, by `asyncify.stop_unwind` or `start_rewind`: nothing suspends through it\n"
    );
    assert_eq!(explain("task", &[]), "`task` may suspend:\n  calls env.sleep, which suspends\n");
    assert_eq!(
        explain("guarded", &["--deny", "guarded"]),
        "`guarded` never suspends, as the options say; it traps if what it calls does\n"
    );
    let text = fails(directory, &["in.wasm", "-o", "out.wasm", "--abi", "asyncify", "--allow", "loop"]);
    assert_eq!(
        text,
        "error: in.wasm: --allow `loop` names a function that drives the unwinding\n\
         help: it calls `asyncify.stop_unwind` or `start_rewind`, so nothing suspends through it: leave it out\n"
    );
}

#[test]
fn binaryens_lists_are_those_of_the_options() {
    let directory = directory_with_asyncify_module();
    let lower = |options: &[&str]| {
        let line =
            ["in.wasm", "-o", "out.wasm", "--abi", "asyncify", "--via", "binaryen", "--optimize", "size"];
        let notes = notes(directory.path(), &[&line[..], options].concat());
        let missing = "note: the module imports nothing that `--suspending-import env.none` names\n";
        assert_eq!(notes, if options.contains(&"env.none") { missing } else { "" });
        size(directory.path(), "out.wasm")
    };
    let every = lower(&[]);
    let sleep = lower(&["--suspending-import", "env.sleep"]);
    let none = lower(&["--suspending-import", "env.none"]);
    assert!(every > sleep && sleep > none, "{every} {sleep} {none}");
    let denied = lower(&["--deny", "callback"]);
    assert!(every > denied && denied > sleep, "{every} {denied} {sleep}");
    assert_eq!(lower(&["--deny", "#3"]), denied);
    assert_eq!(lower(&["--suspending-import", "env.none", "--deny", "ma*"]), none);
    assert!(lower(&["--suspending-import", "env.none", "--allow", "main"]) > none);

    let line = ["in.wasm", "-o", "out.wasm", "--abi", "asyncify", "--via", "binaryen", "--deny", "operator<"];
    assert_eq!(
        fails(directory.path(), &line),
        "error: in.wasm: the lists of Binaryen's pass cannot hold `operator<`\n\
         help: name functions by patterns with `*`, or lower with `--via own`\n"
    );
}

#[test]
fn a_windlass_guest_is_refused_by_the_other_abi() {
    let directory = directory_with_guest();
    let line = ["in.wasm", "-o", "out.wasm", "--abi", "asyncify", "--via", "binaryen"];
    assert_eq!(
        fails(directory.path(), &line),
        "error: in.wasm: the module imports `windlass.prepare`, which is no part of the ABI `asyncify`\n\
         help: lower it with `--abi windlass`, which is the default\n"
    );
}
