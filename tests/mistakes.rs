//! What a user can get wrong ends well: with an error that says what to do, or a report that names the task.
#![cfg(feature = "scheduler")]

#[allow(dead_code, reason = "each file of tests uses some of it")]
mod child;

use std::cell::RefCell;
use std::rc::Rc;
use windlass::{
    Builder, JoinError, JoinHandle, RunError, SpawnErrorKind, park, runtime, spawn, try_run, yield_now,
};

#[test]
fn a_stack_of_no_bytes_is_refused_with_the_smallest_size_and_the_closure_back() {
    let error = Builder::new().stack_size(0).spawn(|| 42).expect_err("no stack");
    let SpawnErrorKind::StackTooSmall { minimum } = error.kind else { panic!("{error}") };
    assert_eq!((error.closure)(), 42);
    let task = Builder::new().stack_size(minimum.max(16 << 10)).spawn(|| 42).expect("large enough");
    assert_eq!(windlass::run(|| task.join().expect("no panic")), 42);
}

#[test]
fn a_stack_of_half_the_addresses_is_refused_with_the_closure_back() {
    let error = Builder::new().stack_size(usize::MAX / 2).spawn(|| 42).expect_err("too large");
    assert_eq!(error.kind, SpawnErrorKind::StackTooLarge);
    assert_eq!((error.closure)(), 42);
    assert_eq!(runtime::stats().tasks, 0);
}

#[test]
fn a_task_that_joins_itself_gets_an_error() {
    let slot: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
    let own = Rc::clone(&slot);
    let joined = windlass::run(move || {
        let task = spawn(move || {
            let handle = own.borrow_mut().take().expect("put there before the first turn");
            assert!(matches!(handle.join(), Err(JoinError::Itself)));
        });
        *slot.borrow_mut() = Some(task);
        yield_now();
        slot.borrow().is_none()
    });
    assert!(joined);
    assert_eq!(runtime::stats().tasks, 0, "joining oneself detaches");
}

#[test]
fn two_tasks_that_join_each_other_are_reported_as_a_deadlock() {
    type Slots = Rc<RefCell<Vec<JoinHandle<()>>>>;
    let slots: Slots = Rc::default();
    let error = try_run(move || {
        for _ in 0..2 {
            let own = Rc::clone(&slots);
            let task = spawn(move || {
                let other = own.borrow_mut().remove(0);
                let _ = other.join();
            });
            slots.borrow_mut().insert(0, task);
        }
        while park().is_ok() {}
    })
    .expect_err("nobody goes on");
    let RunError::Deadlock { report } = &error else { panic!("{error}") };
    assert_eq!(report, "  task 0 \"run\": parked\n  task 1: joining task 2\n  task 2: joining task 1");
}

#[test]
#[should_panic(
    expected = "`yield_now` was called outside a task, and only tasks wait; call it inside `windlass::run`"
)]
fn yielding_outside_a_task_is_a_named_panic() {
    yield_now();
}

#[test]
#[should_panic(expected = "`Receiver::recv` was called outside a task, and only tasks wait")]
fn receiving_outside_a_task_is_a_named_panic() {
    let (_sender, receiver) = windlass::channel::rendezvous::<u32>();
    let _ = receiver.recv();
}

#[test]
fn what_need_not_wait_may_be_called_outside_a_task() {
    let (sender, receiver) = windlass::channel::bounded(1);
    sender.send(1).expect("there is room");
    assert_eq!(receiver.recv(), Ok(1));
    assert_eq!(windlass::sync::Mutex::new(2).lock().map(|guard| *guard), Ok(2));
}

#[test]
#[should_panic(expected = "`current` was called outside a task")]
fn current_outside_a_task_is_a_named_panic() {
    windlass::current();
}

#[test]
fn a_panic_ends_its_task_and_reaches_join() {
    let message = windlass::run(|| {
        let task = spawn(|| panic!("seven {}", 7));
        match task.join() {
            Err(JoinError::Panicked(panic)) => panic.message().map(str::to_string),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(message.as_deref(), Some("seven 7"));
    assert_eq!(runtime::stats().tasks, 0);
}

#[test]
#[should_panic(expected = "of the first task")]
fn a_panic_of_the_first_task_goes_on_in_run() {
    windlass::run(|| panic!("of the first task"));
}

#[test]
fn a_destructor_may_block_while_its_task_panics() {
    struct Waits(windlass::channel::Receiver<u32>);
    impl Drop for Waits {
        fn drop(&mut self) {
            assert_eq!(self.0.recv(), Ok(7));
        }
    }
    let (first, second) = windlass::run(|| {
        let (sender, receiver) = windlass::channel::rendezvous();
        let first = spawn(move || {
            let _waits = Waits(receiver);
            panic!("first")
        });
        let second = spawn(move || {
            // The first task is in the middle of its unwinding.
            sender.send(7).expect("it waits");
            panic!("second")
        });
        let message = |handle: JoinHandle<()>| match handle.join() {
            Err(JoinError::Panicked(panic)) => panic.message().map(str::to_string),
            other => panic!("{other:?}"),
        };
        (message(first), message(second))
    });
    assert_eq!((first.as_deref(), second.as_deref()), (Some("first"), Some("second")));
    assert!(!std::thread::panicking());
}

#[test]
fn the_limit_on_tasks_is_an_error() {
    runtime::Builder::new().max_tasks(2).install().expect("each test has its own thread");
    let first = spawn(|| ());
    let second = spawn(|| ());
    let error = Builder::new().spawn(|| 42).expect_err("two are alive");
    assert_eq!(error.kind, SpawnErrorKind::TooManyTasks);
    assert_eq!((error.closure)(), 42);
    drop((first, second));
}

#[test]
fn a_runtime_that_is_in_use_cannot_be_installed_again() {
    windlass::run(|| ());
    assert_eq!(runtime::Builder::new().install(), Err(runtime::AlreadyInstalled));
}

// ---- what ends the process: in a child

const CHILD: &str = "WINDLASS_CHILD";

/// Runs the test `name` of this file again, in a process of its own where `child` says what it does.
fn in_child(name: &str, child: fn()) -> Option<(Option<i32>, String)> {
    if std::env::var(CHILD).as_deref() == Ok(name) {
        child();
        return None;
    }
    let output = child::again()
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .output()
        .expect("a child process");
    Some((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

#[cfg(all(unix, not(windlass_backend = "threads")))]
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if depth == u64::MAX {
        return frame[0];
    }
    recurse(depth + 1) + std::hint::black_box(frame)[63]
}

#[test]
#[cfg(all(unix, not(windlass_backend = "threads")))]
fn a_stack_overflow_names_the_task_and_its_stack() {
    let Some((code, text)) = in_child("a_stack_overflow_names_the_task_and_its_stack", || {
        windlass::run(|| {
            let task = Builder::new().name("deep").stack_size(64 << 10).spawn(|| recurse(0)).expect("memory");
            drop(task.join());
        });
    }) else {
        return;
    };
    assert_eq!(code, None, "ended by a signal: {text}");
    assert!(text.contains("windlass: stack overflow in task 1 \"deep\": its stack of "), "{text}");
}

#[test]
#[cfg(all(unix, not(windlass_backend = "threads")))]
fn a_fault_that_is_not_ours_goes_to_the_handler_that_was_there_before() {
    let Some((code, text)) =
        in_child("a_fault_that_is_not_ours_goes_to_the_handler_that_was_there_before", || {
            extern "C" fn earlier(_: i32) {
                // SAFETY: `_exit` is safe in a signal handler.
                unsafe { libc::_exit(77) };
            }
            let handler: extern "C" fn(i32) = earlier;
            // SAFETY: installs a handler.
            unsafe { libc::signal(libc::SIGSEGV, handler as usize) };
            windlass::run(|| {
                let nowhere = std::hint::black_box(64 as *mut u8);
                // SAFETY: none; the fault is the point.
                unsafe { nowhere.write_volatile(1) };
            });
        })
    else {
        return;
    };
    assert_eq!(code, Some(77), "{text}");
    assert!(!text.contains("stack overflow"), "{text}");
}

#[test]
fn exit_ends_the_process_with_its_code() {
    let Some((code, _)) = in_child("exit_ends_the_process_with_its_code", || {
        windlass::run(|| {
            spawn(|| windlass::exit(5));
            while park().is_ok() {}
        });
    }) else {
        return;
    };
    assert_eq!(code, Some(5));
}

#[test]
fn a_thread_that_ends_with_suspended_tasks_says_which_and_keeps_their_stacks() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            eprintln!("a live value was dropped");
        }
    }
    let name = "a_thread_that_ends_with_suspended_tasks_says_which_and_keeps_their_stacks";
    let Some((code, text)) = in_child(name, || {
        let thread = std::thread::spawn(|| {
            windlass::run(|| {
                let value = Loud;
                Builder::new()
                    .name("left over")
                    .spawn(move || {
                        let _value = value;
                        while park().is_ok() {}
                    })
                    .expect("memory");
                yield_now();
            });
        });
        thread.join().expect("no panic");
    }) else {
        return;
    };
    assert_eq!(code, Some(0));
    let report = "windlass: a thread ended with tasks that have not finished (join those that must); their stacks are kept\n  task 1 \"left over\": parked";
    assert!(text.contains(report), "{text}");
    assert!(!text.contains("a live value was dropped"), "{text}");
}
