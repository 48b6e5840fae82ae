//! A stack overflow names its task and ends the process; a fault that is something else does what it would do without us.
#![cfg(all(feature = "scheduler", feature = "std", unix, not(windlass_backend = "threads")))]

#[allow(dead_code, reason = "each file of tests uses some of it")]
mod child;

use std::ffi::{c_int, c_void};
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Output;
use windlass::stacks::StackProvider;
use windlass::stacks::slab::{MPROTECT_BUDGET, SlabStacks};
use windlass::{Builder, SpawnErrorKind, runtime};

const KIB: usize = 1 << 10;

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if depth == u64::MAX {
        return frame[0];
    }
    recurse(depth + 1) + black_box(frame)[15]
}

#[inline(never)]
fn huge_frame() -> u8 {
    let frame = black_box([1u8; KIB * KIB]);
    frame[black_box(KIB)]
}

fn deep() {
    black_box(recurse(0));
}

fn wide() {
    black_box(huge_frame());
}

fn overflow(name: Option<&'static str>, size: usize, body: fn()) {
    windlass::run(move || {
        let builder = Builder::new().stack_size(size);
        let builder = match name {
            Some(name) => builder.name(name),
            None => builder,
        };
        drop(builder.spawn(body).expect("memory").join());
    });
}

/// The report that one of this file's parts ends with: `who`, and a stack for which `size` was asked.
fn check_report(output: &Output, who: &str, size: usize) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{}\n{text}", output.status);
    let report = text.lines().find(|line| line.starts_with("windlass: ")).unwrap_or_default();
    let before = format!("windlass: stack overflow in task {who}: its stack of ");
    let Some(rest) = report.strip_prefix(&before) else { panic!("{text}") };
    let after = " bytes; spawn it with a larger `Builder::stack_size`";
    let Some(numbers) = rest.strip_suffix(after) else { panic!("{text}") };
    let (has, used) = numbers.split_once(" bytes is full, high-water mark ").expect("two numbers");
    let [has, used] = [has, used].map(|number| number.parse::<usize>().expect("a number"));
    let page = page_size();
    assert!((size..size + page).contains(&has), "{text}");
    // Code that probes does not go beyond the first page of the guard.
    assert!((has + 1..=has + page).contains(&used), "{text}");
}

fn page_size() -> usize {
    // SAFETY: no preconditions.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

#[test]
fn an_overflow_is_reported_with_the_task_and_the_sizes() {
    let name = "an_overflow_is_reported_with_the_task_and_the_sizes";
    match child::part().as_deref() {
        None => {}
        Some("recursion") => return overflow(Some("deep"), 64 * KIB, deep),
        Some("huge frame") => return overflow(Some("wide"), 64 * KIB, wide),
        Some("small stack") => return overflow(None, 4 * KIB, deep),
        Some("second thread") => {
            let thread = std::thread::spawn(|| overflow(Some("deep"), 64 * KIB, deep));
            return thread.join().expect("it does not come so far");
        }
        Some("foreign thread") => return on_foreign_thread(),
        Some(part) => panic!("{part}"),
    }
    check_report(&child::run(name, "recursion"), "1 \"deep\"", 64 * KIB);
    check_report(&child::run(name, "huge frame"), "1 \"wide\"", 64 * KIB);
    check_report(&child::run(name, "small stack"), "1", 4 * KIB);
    check_report(&child::run(name, "second thread"), "1 \"deep\"", 64 * KIB);
    check_report(&child::run(name, "foreign thread"), "1 \"foreign\"", 64 * KIB);
}

/// In a thread that the standard library knows nothing of.
fn on_foreign_thread() {
    extern "C" fn start(_: *mut c_void) -> *mut c_void {
        // SAFETY: only asks.
        let before = unsafe {
            let mut before: libc::stack_t = std::mem::zeroed();
            libc::sigaltstack(std::ptr::null(), &mut before);
            before
        };
        assert_ne!(before.ss_flags & libc::SS_DISABLE, 0, "it has no alternate signal stack");
        overflow(Some("foreign"), 64 * KIB, deep);
        std::ptr::null_mut()
    }
    // SAFETY: the attributes are the default ones; the thread is joined.
    unsafe {
        let mut thread: libc::pthread_t = std::mem::zeroed();
        assert_eq!(libc::pthread_create(&mut thread, std::ptr::null(), start, std::ptr::null_mut()), 0);
        libc::pthread_join(thread, std::ptr::null_mut());
    }
}

#[test]
fn foreign_threads_come_and_go_and_leave_no_signal_stack() {
    child::alone("foreign_threads_come_and_go_and_leave_no_signal_stack", || {
        extern "C" fn start(_: *mut c_void) -> *mut c_void {
            assert_eq!(windlass::run(|| 1), 1);
            std::ptr::null_mut()
        }
        let mappings = || std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
        let mut before = 0;
        for round in 0..20 {
            // SAFETY: as above.
            unsafe {
                let mut thread: libc::pthread_t = std::mem::zeroed();
                assert_eq!(
                    libc::pthread_create(&mut thread, std::ptr::null(), start, std::ptr::null_mut()),
                    0
                );
                libc::pthread_join(thread, std::ptr::null_mut());
            }
            if round == 4 {
                before = mappings();
            }
        }
        assert_eq!(mappings(), before, "of fifteen more threads nothing is left");
    });
}

#[test]
fn a_smashed_canary_is_reported() {
    let name = "a_smashed_canary_is_reported";
    if child::part().is_some() {
        let mut stacks = SlabStacks::new();
        let sound = stacks.acquire_unguarded(KIB).expect("memory");
        let smashed = stacks.acquire_unguarded(3 * KIB).expect("memory");
        stacks.release(sound);
        eprintln!("the sound one went back");
        // SAFETY: inside the stack; that it is not allowed is the point.
        unsafe { smashed.limit().write_bytes(0, 16) };
        return stacks.release(smashed);
    }
    let output = child::run(name, "child");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    let report = "the sound one went back\n\n\
        windlass: a task overflowed its stack of 3072 bytes, which had no guard, and other memory may be damaged; \
        spawn it with a larger or a guarded stack\n";
    assert!(text.contains(report), "{text}");
}

#[test]
fn without_guard_advice_a_spawn_fails_when_the_budget_is_spent_and_gives_the_closure_back() {
    child::alone(
        "without_guard_advice_a_spawn_fails_when_the_budget_is_spent_and_gives_the_closure_back",
        || {
            let stacks = SlabStacks::builder().guard_advice(false).build();
            // SAFETY: these stacks have guards.
            let builder = unsafe { runtime::Builder::new().stacks(stacks) };
            builder.install().expect("a process of its own");
            let spawn = |value| Builder::new().stack_size(4 * KIB).spawn(move || value);
            let mut tasks: Vec<_> = (0..MPROTECT_BUDGET).map(|n| spawn(n).expect("in the budget")).collect();
            let error = spawn(42).expect_err("the budget is spent");
            assert_eq!(error.kind, SpawnErrorKind::TooManyGuards);
            assert_eq!((error.closure)(), 42, "it comes back");
            let first = tasks.remove(0);
            drop(tasks);
            // Tasks of the host run with the next run, whose own task has a stack of another size: none is left for it.
            let Err(windlass::RunError::Spawn(kind)) = windlass::try_run(|| ()) else {
                panic!("no guard is left")
            };
            assert_eq!(kind, SpawnErrorKind::TooManyGuards);
            runtime::set_stack_size(4 * KIB);
            assert!(windlass::try_run(|| ()).is_err());
            drop(first);
            assert_eq!(runtime::stats().stacks.in_use, MPROTECT_BUDGET);
        },
    );
}

// ---- faults that are not ours

/// Installs a handler for SIGSEGV.
fn handle(handler: usize, flags: c_int) {
    // SAFETY: all-zero is a valid `sigaction`; the handlers below are safe in a signal handler.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()), 0);
    }
}

fn write_to(address: usize) {
    // SAFETY: none; the fault is the point.
    unsafe { black_box(std::ptr::without_provenance_mut::<u8>(address)).write_volatile(1) };
}

fn exit_with(code: c_int) {
    // SAFETY: safe in a signal handler.
    unsafe { libc::_exit(code) };
}

fn say(text: &str) {
    // SAFETY: safe in a signal handler.
    unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
}

fn blocked(signal: c_int) -> bool {
    // SAFETY: only asks.
    unsafe {
        let mut mask: libc::sigset_t = std::mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
        libc::sigismember(&mask, signal) == 1
    }
}

extern "C" fn with_one_argument(signal: c_int) {
    exit_with(if signal == libc::SIGSEGV { 71 } else { 70 });
}

extern "C" fn with_three_arguments(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's.
    let address = unsafe { (*info).si_addr() } as usize;
    exit_with(if address == 64 && !context.is_null() { 72 } else { 70 });
}

extern "C" fn returns(_: c_int) {
    say("called\n");
}

extern "C" fn faults_if_blocked(_: c_int) {
    if blocked(libc::SIGSEGV) {
        say("blocked\n");
        write_to(128);
    }
    say("not blocked\n");
    exit_with(73);
}

extern "C" fn masks(_: c_int) {
    exit_with(if blocked(libc::SIGUSR1) && !blocked(libc::SIGUSR2) && !blocked(libc::SIGBUS) {
        74
    } else {
        70
    });
}

extern "C" fn repairs(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the page is one that `closed_page` made.
    unsafe {
        let page = (*info).si_addr();
        libc::mprotect(page, page_size(), libc::PROT_READ | libc::PROT_WRITE);
    }
}

fn closed_page() -> usize {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    unsafe { libc::mmap(std::ptr::null_mut(), page_size(), libc::PROT_NONE, flags, -1, 0) as usize }
}

type Fault = (&'static str, fn(), fn());

/// What was there before, and what then happens.
const FAULTS: [Fault; 12] = [
    ("the standard library's handler", || (), || write_to(64)),
    ("one argument", || handle(with_one_argument as *const () as usize, 0), || write_to(64)),
    (
        "three arguments",
        || handle(with_three_arguments as *const () as usize, libc::SA_SIGINFO),
        || write_to(64),
    ),
    ("default", || handle(libc::SIG_DFL, 0), || write_to(64)),
    ("ignored", || handle(libc::SIG_IGN, 0), || write_to(64)),
    ("default, raised", || handle(libc::SIG_DFL, 0), || raise()),
    ("ignored, raised", || handle(libc::SIG_IGN, 0), || raise()),
    ("once", || handle(returns as *const () as usize, libc::SA_RESETHAND), || write_to(64)),
    ("faults itself", || handle(faults_if_blocked as *const () as usize, 0), || write_to(64)),
    ("not deferred", || handle(faults_if_blocked as *const () as usize, libc::SA_NODEFER), || write_to(64)),
    (
        "its mask",
        || {
            // SAFETY: as in `handle`.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = masks as *const () as usize;
                libc::sigaddset(&mut action.sa_mask, libc::SIGUSR1);
                libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut());
            }
        },
        || write_to(64),
    ),
    (
        "repairs",
        || handle(repairs as *const () as usize, libc::SA_SIGINFO),
        || {
            let page = closed_page();
            write_to(page);
            say("written\n");
            exit_with(75);
        },
    ),
];

fn raise() {
    // SAFETY: no preconditions.
    unsafe { libc::raise(libc::SIGSEGV) };
    say("goes on\n");
    exit_with(76);
}

#[test]
fn a_fault_that_is_not_ours_ends_as_without_us() {
    let name = "a_fault_that_is_not_ours_ends_as_without_us";
    if let Some(part) = child::part() {
        let (how, which) = part.split_once(' ').expect("two parts");
        let (_, install, fault) = FAULTS.into_iter().find(|fault| fault.0 == which).expect("in the table");
        install();
        match how {
            "without" => fault(),
            "host" => {
                windlass::run(|| ());
                fault();
            }
            "task" => windlass::run(move || windlass::spawn(fault).join().expect("it ends the process")),
            other => panic!("{other}"),
        }
        panic!("the fault ends the process");
    }
    let mut seen = Vec::new();
    for (fault, ..) in FAULTS {
        let outcome = |how: &str| {
            let output = child::run(name, &format!("{how} {fault}"));
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.code(), output.status.signal(), text)
        };
        let without = outcome("without");
        assert_eq!(outcome("host"), without, "{fault}: outside of a task");
        assert_eq!(outcome("task"), without, "{fault}: in a task");
        seen.push((without.0, without.1, without.2));
    }
    let killed = |text: &str| (None, Some(libc::SIGSEGV), text.to_string());
    let exited = |code, text: &str| (Some(code), None, text.to_string());
    let expected = [
        killed(""),
        exited(71, ""),
        exited(72, ""),
        killed(""),
        killed(""),
        killed(""),
        exited(76, "goes on\n"),
        killed("called\n"),
        killed("blocked\n"),
        exited(73, "not blocked\n"),
        exited(74, ""),
        exited(75, "written\n"),
    ];
    assert_eq!(seen, expected);
}
