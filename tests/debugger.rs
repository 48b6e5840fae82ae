//! gdb sees tasks: a backtrace ends at the task's entry, and the script shows every task with its frames.
#![cfg(all(
    feature = "scheduler",
    feature = "std",
    target_os = "linux",
    target_arch = "x86_64",
    not(windlass_backend = "threads")
))]

#[allow(dead_code, reason = "each file of tests uses some of it")]
mod child;

use std::hint::black_box;
use std::process::Command;
use windlass::stacks::slab::SlabStacks;
use windlass::{Builder, Duration, channel, park, runtime, sleep, spawn, yield_now};

const KIB: usize = 1 << 10;

/// The script, as a user would load it.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/debug/gdb.py");

// ---- the program that is looked at

#[inline(never)]
fn receives_for_ever() {
    let (sender, receiver) = channel::rendezvous::<u8>();
    black_box(receiver.recv()).expect("nobody sends");
    drop(sender);
}

#[inline(never)]
fn sleeps_for_an_hour() {
    black_box(sleep(Duration::from_secs(3600))).expect("nobody cancels");
}

#[inline(never)]
fn parks_at_depth(depth: usize) -> usize {
    if depth == 0 {
        black_box(park()).expect("nobody cancels");
        return 0;
    }
    black_box(parks_at_depth(depth - 1)) + 1
}

#[inline(never)]
fn yields_for_ever() {
    loop {
        yield_now();
        black_box(());
    }
}

/// With a name that needs no debug information to be found by.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn the_breakpoint() {
    black_box(());
}

#[inline(never)]
fn reaches_the_breakpoint() {
    the_breakpoint();
    black_box(());
}

/// Task 0; the tasks that it spawns are 1 to 7.
fn program() {
    let sized = |kib| Builder::new().stack_size(kib * KIB);
    let task = sized(64).name("receiver").spawn(receives_for_ever).expect("memory");
    sized(32).name(String::from("sleeper")).spawn(sleeps_for_an_hour).expect("memory");
    spawn(|| black_box(parks_at_depth(black_box(3))));
    spawn(move || task.join().expect("no panic"));
    for _ in 0..2 {
        sized(128).name("yielder").spawn(yields_for_ever).expect("memory");
    }
    yield_now();
    sized(16).name("fresh").spawn(|| ()).expect("memory").cancel();
    reaches_the_breakpoint();
}

#[inline(never)]
fn calls_the_host() {
    windlass::run(|| spawn(reaches_the_breakpoint).join().expect("no panic"));
    black_box(());
}

// ---- gdb

/// What `gdb` writes that runs these commands. It is told nothing but that, whoever runs it.
fn gdb(name: &str, part: &str, options: &[&str], commands: &[&str]) -> String {
    let python = Command::new("gdb").args(["-nx", "-batch", "-ex", "python print(1)"]).output();
    assert!(
        python.is_ok_and(|output| output.stdout.starts_with(b"1")),
        "`gdb` with Python is missing; install it with\n  apt-get install gdb, or cargo xtask setup gdb"
    );
    let mut program =
        vec!["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-iex", "set width 0"];
    program.extend(options);
    for command in commands {
        program.extend(["-ex", command]);
    }
    program.push("--args");
    let output = child::under(&program, name, part);
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for bad in ["previous frame", "corrupt stack", "Backtrace stopped", "Traceback", "Python Exception"] {
        assert!(!text.contains(bad), "{text}");
    }
    text
}

/// As [`gdb`], with the script, and stopped at the breakpoint in a task.
fn at_the_breakpoint(name: &str, part: &str, commands: &[&str]) -> String {
    let mut all = vec!["source ", "break the_breakpoint", "run"];
    let source = format!("source {SCRIPT}");
    all[0] = &source;
    all.extend(commands);
    gdb(name, part, &["-iex", "set auto-load off"], &all)
}

/// The lines between `echo <NAME>\n` and the next such line.
fn section<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!("<{name}>\n");
    let (_, rest) = text.split_once(&start).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    rest.lines().take_while(|line| !line.starts_with('<')).collect()
}

/// Whether the lines name these functions, in this order, and the last line is the frame of a task's entry.
fn is_walk(lines: &[&str], functions: &[&str]) -> bool {
    let mut rest = lines.iter();
    functions.iter().all(|function| rest.any(|line| line.contains(function)))
        && lines.last().is_some_and(|line| line.contains("windlass_arch::cpu::trampoline"))
        && !lines.iter().any(|line| line.contains("??"))
}

#[test]
fn a_backtrace_in_a_task_ends_at_its_entry() {
    let name = "a_backtrace_in_a_task_ends_at_its_entry";
    if child::part().is_some() {
        return windlass::run(program);
    }
    let text = at_the_breakpoint(name, "all", &["echo <bt>\\n", "bt", "echo <end>\\n"]);
    let bt = section(&text, "bt");
    assert!(is_walk(&bt, &["the_breakpoint", "reaches_the_breakpoint", "program"]), "{text}");
}

#[test]
fn the_script_lists_every_task() {
    let name = "the_script_lists_every_task";
    if child::part().is_some() {
        return windlass::run(program);
    }
    let text = at_the_breakpoint(name, "all", &["echo <tasks>\\n", "windlass tasks", "echo <end>\\n"]);
    let expected = [
        ("*", "0", "\"run\"", "running", 256),
        ("", "1", "\"receiver\"", "receiving from a channel", 64),
        ("", "2", "\"sleeper\"", "sleeping", 32),
        ("", "3", "", "parked", 256),
        ("", "4", "", "joining task 1", 256),
        ("", "5", "\"yielder\"", "ready", 128),
        ("", "6", "\"yielder\"", "ready", 128),
        ("", "7", "\"fresh\"", "ready, not started, cancelled", 16),
    ];
    let lines = section(&text, "tasks");
    assert_eq!(lines.len(), 1 + expected.len(), "{text}");
    // Where the columns begin; the last two end where their headings do.
    let [id, name, state, stack] =
        ["id", "name", "state", "stack"].map(|head| lines[0].find(head).expect("there"));
    assert!(lines[0].ends_with("  in use"), "{text}");
    for (line, (mark, number, title, doing, kib)) in lines[1..].iter().zip(expected) {
        let cells = [&line[..id], &line[id..name], &line[name..state], &line[state..stack - 1]];
        assert_eq!(cells.map(str::trim), [mark, number, title, doing], "{text}");
        let numbers = line[stack - 1..].split_whitespace().map(|number| number.parse().expect("a number"));
        let [size, in_use] = numbers.collect::<Vec<usize>>()[..] else { panic!("{text}") };
        assert!((kib * KIB..(kib + 4) * KIB).contains(&size), "{text}");
        assert_eq!(in_use == 0, doing == "ready, not started, cancelled", "{text}");
        assert!(in_use < size, "{text}");
    }
}

#[test]
fn the_script_walks_every_task_and_changes_nothing() {
    let name = "the_script_walks_every_task_and_changes_nothing";
    if child::part().is_some() {
        return windlass::run(program);
    }
    let mut commands = vec!["frame 2"];
    let state = ["info registers", "info frame", "bt"];
    commands.push("echo <before>\\n");
    commands.extend(state);
    commands.extend(["echo <bt>\\n", "windlass bt", "echo <after>\\n"]);
    commands.extend(state);
    commands.extend(["echo <one>\\n", "windlass bt 3", "echo <end>\\n"]);
    let text = at_the_breakpoint(name, "all", &commands);
    let (before, after) = (section(&text, "before"), section(&text, "after"));
    assert!(before.len() > 20 && before == after, "{text}");
    let walks = section(&text, "bt");
    let walks: Vec<&[&str]> = walks.split(|line| line.is_empty()).collect();
    let expected: [(&str, &[&str]); 8] = [
        ("task 0 \"run\": running", &["the_breakpoint", "reaches_the_breakpoint", "program"]),
        ("task 1 \"receiver\": receiving from a channel", &["receives_for_ever"]),
        ("task 2 \"sleeper\": sleeping", &["windlass::current::sleep", "sleeps_for_an_hour"]),
        ("task 3: parked", &["parks_at_depth"; 4]),
        ("task 4: joining task 1", &["entry"]),
        ("task 5 \"yielder\": ready", &["yields_for_ever"]),
        ("task 6 \"yielder\": ready", &["yields_for_ever"]),
        ("task 7 \"fresh\": ready, not started, cancelled", &[]),
    ];
    assert_eq!(walks.len(), expected.len(), "{text}");
    for (walk, (title, functions)) in walks.iter().zip(expected) {
        assert_eq!(walk[0], title, "{text}");
        if functions.is_empty() {
            assert_eq!(walk[1..], ["     (not started yet)"], "{text}");
        } else {
            assert!(is_walk(&walk[1..], functions), "{title} in\n{text}");
        }
    }
    assert_eq!(section(&text, "one"), walks[3], "one task alone");
}

#[test]
fn a_task_with_a_host_call_open_is_walked_through_the_host_loop() {
    let name = "a_task_with_a_host_call_open_is_walked_through_the_host_loop";
    if child::part().is_some() {
        return windlass::run(|| spawn(calls_the_host).join().expect("no panic"));
    }
    let text = at_the_breakpoint(name, "nested", &["echo <bt>\\n", "windlass bt", "echo <end>\\n"]);
    let walks = section(&text, "bt");
    let walks: Vec<&[&str]> = walks.split(|line| line.is_empty()).collect();
    let titles: Vec<&str> = walks.iter().map(|walk| walk[0]).collect();
    let expected = [
        "task 0 \"run\": joining task 1",
        "task 1: in a host call",
        "task 2 \"run\": joining task 3",
        "task 3: running",
    ];
    assert_eq!(titles, expected, "{text}");
    let functions: [&[&str]; 4] = [
        &["trampoline"],
        &["windlass_arch::cpu::call_on", "calls_the_host"],
        &["entry"],
        &["the_breakpoint", "reaches_the_breakpoint"],
    ];
    for (walk, functions) in walks.iter().zip(functions) {
        let functions = if walk[0].starts_with("task 0") { &[] } else { functions };
        assert!(is_walk(&walk[1..], functions), "{} in\n{text}", walk[0]);
    }
}

#[test]
fn a_core_file_is_as_good_as_a_process() {
    let name = "a_core_file_is_as_good_as_a_process";
    if child::part().is_some() {
        // gdb writes nothing of a range with marks for guards in it; the kernel does.
        let stacks = SlabStacks::builder().guard_advice(false).build();
        // SAFETY: these stacks have guards.
        let builder = unsafe { runtime::Builder::new().stacks(stacks) };
        builder.install().expect("a process of its own");
        return windlass::run(program);
    }
    let core = std::env::temp_dir().join(format!("windlass-debugger-{}.core", std::process::id()));
    let file = core.display();
    let commands = ["echo <live>\\n", "windlass bt", "echo <end>\\n", &format!("generate-core-file {file}")];
    let live = at_the_breakpoint(name, "all", &commands);
    let options = ["-iex", "set auto-load off", "-iex", &format!("source {SCRIPT}")];
    let commands = [&format!("core-file {file}"), "echo <core>\\n", "windlass bt", "echo <end>\\n"];
    let dead = gdb(name, "all", &options, &commands);
    std::fs::remove_file(&core).expect("gdb wrote it");
    let walks = section(&live, "live");
    assert!(walks.contains(&"task 3: parked"), "{live}");
    assert_eq!(walks, section(&dead, "core"), "{dead}");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let name = "what_cannot_be_shown_is_said";
    if child::part().is_some() {
        return;
    }
    let source = format!("source {SCRIPT}");
    let no_process = ["-iex", "set auto-load off", "-ex", &source];
    let commands = [
        "windlass tasks",
        "starti",
        "windlass tasks",
        "windlass nonsense",
        "file /bin/true",
        "starti",
        "windlass bt",
    ];
    let text = gdb(name, "none", &no_process, &commands);
    for message in [
        "windlass: no process; run the program, attach to it or open a core file",
        "windlass: the program has not begun yet; go on to its `main`",
        "windlass: no command `nonsense`; `windlass` alone shows which there are",
        "windlass: this program has no Windlass in it, or its symbols were stripped",
    ] {
        assert!(text.contains(message), "{message} in\n{text}");
    }
    let text = at_the_breakpoint(name, "none", &["break exit", "run", "windlass tasks"]);
    let message = "windlass: this thread has no runtime; choose another one with `thread N`, as `info threads` shows them";
    assert!(text.contains(message), "{text}");
}

/// Where there is debug information the script is in the program.
#[test]
#[cfg(debug_assertions)]
fn gdb_loads_the_script_from_the_program() {
    let name = "gdb_loads_the_script_from_the_program";
    if child::part().is_some() {
        return windlass::run(program);
    }
    let options = ["-iex", "set auto-load safe-path /"];
    let commands = ["break the_breakpoint", "run", "echo <bt>\\n", "windlass bt 1", "echo <end>\\n"];
    let text = gdb(name, "all", &options, &commands);
    let walk = section(&text, "bt");
    assert!(
        is_walk(&walk, &["task 1 \"receiver\": receiving from a channel", "receives_for_ever"]),
        "{text}"
    );
}
