//! Rule 11: the guest without the scheduler, as the linker wrote it.

use std::time::Duration;

use windlass_host::Error;

use crate::host::{direct, told};
use crate::raw::{self, failure};

const WOULD_BLOCK: &str = "the call would block, and the scheduler is off";

#[test]
fn rule_11_the_module_needs_no_lowering_and_has_neither_tasks_nor_asynchronous_calls() {
    let names: Vec<String> = raw::direct().instance().names().into_iter().map(str::to_owned).collect();
    for missing in
        ["spawn", "windlass.", "windlass_poll", "windlass_cancel", "windlass_background", "many", "wait"]
    {
        assert_eq!(names.iter().find(|name| name.starts_with(missing)), None);
    }
    let mut rig = direct().ready();
    assert!(matches!(
        rig.reactor.start::<_, i32>("ping", ()),
        Err(Error::Unsupported { export }) if export == "windlass.start.ping"
    ));
    assert!(matches!(rig.reactor.poll_background(), Err(Error::Unsupported { .. })));
}

#[test]
fn rule_11_exports_are_called_directly() {
    let mut rig = direct().on_call(|caller, what| caller.call("add", (what, 5))).ready();
    assert_eq!(rig.call::<i32>("constructed", ()), 1);
    assert_eq!(rig.call::<i32>("inits", ()), 1);
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    assert_eq!(rig.call::<i32>("add", (i32::MAX, 1)), i32::MIN);
    assert_eq!(rig.call::<String>("greet", "you"), "hello, you!");
    assert_eq!(rig.call::<Vec<u8>>("reverse", &[1u8, 2, 3]), [3, 2, 1]);
    assert_eq!(rig.call::<f64>("mix", (1, 2u32, 3i64, 4u64, 0.5f32, 0.25)), 10.75);
    assert_eq!(rig.call::<i32>("nested", 3), 9);
    assert_eq!(rig.reactor.state().calls, [3]);
    assert_eq!(rig.reactor.state().init_modes, 1);
}

#[test]
fn rule_11_the_state_is_checked_first() {
    let mut raw = raw::direct().instance();
    assert_eq!(
        raw.call("ping", &[]),
        failure(1, "not initialised: call `_initialize` first (if that failed: make a new instance)")
    );
    assert_eq!(raw.call("_initialize", &[]), Ok(0));
    assert_eq!(raw.call("ping", &[]), Ok(7));
    assert_eq!(raw.call("_initialize", &[]), failure(2, "already initialised: `_initialize` is called once"));
    assert_eq!(raw.call("constructed", &[]), Ok(1));
    let mut rig = direct().instance();
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::NotInitialised));
    rig.reactor.initialize().expect("init works");
    assert!(matches!(rig.reactor.initialize(), Err(Error::AlreadyInitialised)));
    assert_eq!(rig.call::<i32>("ping", ()), 7);
}

#[test]
fn rule_11_sleeping_blocks() {
    let mut rig = direct().may_block().ready();
    assert_eq!(rig.call::<i32>("sleep_ms", 5i64), 0);
    assert_eq!(rig.call::<i32>("sleep_ms", 2i64), 0);
    assert_eq!(rig.clock.slept(), [5_000_000, 7_000_000]);
}

#[test]
fn rule_11_what_would_block_is_an_error_and_poisons_the_instance() {
    let mut raw = raw::direct().ready();
    assert_eq!(raw.call("sleep_ms", &[0]), Ok(0));
    assert_eq!(raw.call("sleep_ms", &[5]), failure(14, WOULD_BLOCK));
    for _ in 0..2 {
        let poisoned = failure(4, "poisoned: a trap ended the call `sleep_ms` half-way; make a new instance");
        assert_eq!(raw.call("ping", &[]), poisoned);
        assert_eq!(raw.call("_initialize", &[]), poisoned);
    }
    let mut rig = direct().ready();
    let error = rig.fails::<i32>("sleep_ms", 5i64);
    assert_eq!(told(&error), ("WouldBlock", WOULD_BLOCK));
    assert_eq!(error.code(), Some(14));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { .. }));
}

#[test]
fn rule_11_our_host_knows_that_what_would_block_poisons() {
    let mut rig = direct().ready();
    let error = rig.fails::<i32>("sleep_ms", 5i64);
    assert!(error.poisons(), "{error}");
    assert!(matches!(rig.reactor.refuses(), Some(Error::Poisoned { by, .. }) if by == "sleep_ms"));
}

#[test]
fn rule_11_what_would_block_in_a_nested_call_is_told_to_the_import_and_poisons() {
    let mut rig = direct()
        .on_call(|caller, what| {
            let error = caller.call::<_, i32>("sleep_ms", 5i64).expect_err("it may not block");
            caller.state_mut().notes.push(error.kind().to_owned());
            Ok(what)
        })
        .ready();
    // Nothing stands between the import and its caller here, so that one returns; it is the last.
    assert_eq!(rig.call::<i32>("nested", 1), 2);
    assert_eq!(rig.reactor.state().notes, ["WouldBlock"]);
    assert!(matches!(rig.fails::<i32>("nested", 1), Error::Poisoned { .. }));
    assert_eq!(rig.reactor.state().calls, [1]);
}

#[test]
fn rule_11_refusals_that_leave_the_instance_usable_do_not_use_up_the_stack() {
    // If each left 50 bytes behind, the shadow stack of 1 MiB would be gone before the end.
    let mut raw = raw::direct().instance();
    for calls in 0..50_000 {
        assert_eq!(raw.call("ping", &[]).map_err(|error| error.code), Err(1), "after {calls} calls");
    }
    assert_eq!(raw.call("_initialize", &[]), Ok(0));
    for calls in 0..50_000 {
        assert_eq!(raw.call("_initialize", &[]).map_err(|error| error.code), Err(2), "after {calls} calls");
    }
    assert_eq!(raw.call("ping", &[]), Ok(7));
}

#[test]
fn rule_11_an_init_that_would_block_is_an_error_and_poisons_the_instance() {
    let mut raw = raw::direct().mode(4).instance();
    assert_eq!(raw.call("_initialize", &[]), failure(14, WOULD_BLOCK));
    let poisoned = failure(4, "poisoned: a trap ended the call `_initialize` half-way; make a new instance");
    assert_eq!(raw.call("ping", &[]), poisoned);
    assert_eq!(raw.call("_initialize", &[]), poisoned);
}

#[test]
fn rule_11_an_init_may_sleep_where_the_host_may_block() {
    let mut rig = direct().mode(4).may_block().ready();
    assert_eq!(rig.clock.slept(), [5_000_000]);
    assert_eq!(rig.call::<i32>("ping", ()), 7);
}

#[test]
fn rule_11_a_trap_poisons_by_the_hosts_memory() {
    let mut rig = direct().ready();
    assert!(matches!(rig.fails::<()>("trap", ()), Error::Trap { call, .. } if call == "trap"));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "trap"));

    let mut rig = direct().ready();
    let error = rig.fails::<()>("panic", ());
    let ("Panicked", message) = told(&error) else { panic!("{error:?}") };
    assert!(
        message.starts_with("panicked at tests/guest/src/lib.rs:") && message.ends_with(":\non purpose"),
        "{message}"
    );
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "panic"));

    // The limit that docs/abi.md states: the host alone remembers. It can make the guest remember.
    let mut raw = raw::direct().ready();
    assert_eq!(raw.call("trap", &[]), failure(0, ""));
    assert_eq!(raw.call("ping", &[]), Ok(7));
    raw.works("windlass_poison", &[]);
    assert_eq!(
        raw.call("ping", &[]),
        failure(4, "poisoned: a trap ended the call `trap` half-way; make a new instance")
    );
}

#[test]
fn rule_11_a_host_error_thrown_through_the_guest_poisons() {
    let mut rig = direct().on_call(|_, _| Err(Error::Cancelled)).ready();
    assert!(matches!(rig.fails::<i32>("nested", 1), Error::Import { .. }));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "nested"));
}

#[test]
fn rule_11_there_are_no_deadlines() {
    let mut rig = direct().may_block().ready();
    let slept = rig.reactor.call_with_deadline::<_, i32>("sleep_ms", 5i64, Duration::from_millis(1));
    assert!(
        matches!(&slept, Err(Error::Unsupported { export }) if export == "windlass_deadline"),
        "{slept:?}"
    );
    assert_eq!(rig.call::<i32>("sleep_ms", 5i64), 0);
}
