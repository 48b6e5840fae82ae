//! Rule 9: nothing runs on half-wound state.

use wasmtime::bail;
use windlass_host::{Caller, Error};

use crate::host::{World, guest, told};
use crate::raw::{self, Failure, Raw, failure};

/// Every way into the guest is refused, again and again, and the report names the call.
#[track_caller]
fn refuses_everything(raw: &mut Raw, by: &str, done: i64) {
    let poisoned = Failure {
        code: 4,
        report: format!("poisoned: a trap ended the call `{by}` half-way; make a new instance"),
    };
    let refused = Err(poisoned.clone());
    raw.entered();
    for _ in 0..2 {
        assert_eq!(raw.call("ping", &[]), refused);
        assert_eq!(raw.call("_initialize", &[]), refused);
        assert_eq!(raw.call("windlass.start.ping", &[]), Ok(0));
        assert_eq!(raw.door(), poisoned);
        for id in [0, done, 77] {
            assert_eq!(raw.call("windlass_poll", &[id]), Ok(2));
            assert_eq!(raw.door(), poisoned);
        }
    }
    assert_eq!(raw.entered(), [""; 0]);
}

/// An initialised guest and the id of a call that is done.
fn with_done(setup: raw::Setup) -> (Raw, i64) {
    let mut raw = setup.ready();
    let done = raw.start("ping", &[]);
    assert_eq!(raw.poll(done), 1);
    (raw, done)
}

#[test]
fn rule_09_after_a_trap_the_host_refuses_and_names_the_call() {
    let mut rig = guest().ready();
    let error = rig.fails::<()>("trap", ());
    let Error::Trap { call, .. } = &error else { panic!("{error:?}") };
    assert_eq!(call, "trap");
    assert!(error.poisons());
    for _ in 0..2 {
        let Error::Poisoned { by, .. } = rig.fails::<i32>("ping", ()) else { panic!("not poisoned") };
        assert_eq!(by, "trap");
        assert!(matches!(rig.reactor.start::<_, i32>("ping", ()), Err(Error::Poisoned { .. })));
        assert!(matches!(rig.reactor.poll_background(), Err(Error::Poisoned { .. })));
        assert!(matches!(rig.reactor.initialize(), Err(Error::Poisoned { .. })));
    }
}

#[test]
fn rule_09_after_a_trap_the_guest_refuses_whatever_the_host_forgot() {
    let (mut raw, done) = with_done(raw::guest());
    assert_eq!(raw.call("trap", &[]), failure(0, ""));
    refuses_everything(&mut raw, "trap", done);
}

#[test]
fn rule_09_an_asynchronous_call_that_traps_poisons_too() {
    let (mut raw, done) = with_done(raw::guest());
    let traps = raw.start("trap", &[]);
    assert_eq!(raw.call("windlass_poll", &[traps]), failure(0, ""));
    refuses_everything(&mut raw, "trap", done);
}

#[test]
fn rule_09_a_panic_names_task_and_message_and_poisons() {
    let mut rig = guest().ready();
    let error = rig.fails::<()>("panic", ());
    let ("Panicked", message) = told(&error) else { panic!("{error:?}") };
    assert!(
        message.starts_with("task 0.1 \"panic\": panicked at tests/guest/src/lib.rs:")
            && message.ends_with(":\non purpose"),
        "{message}"
    );
    let Error::Poisoned { by, cause } = rig.fails::<i32>("ping", ()) else { panic!("not poisoned") };
    assert_eq!((by.as_str(), cause.as_str()), ("panic", message));

    let (mut raw, done) = with_done(raw::guest());
    assert_eq!(raw.call("panic", &[]).map_err(|error| error.code), Err(8));
    refuses_everything(&mut raw, "panic", done);
}

#[test]
fn rule_09_a_stack_overflow_names_the_task_and_poisons() {
    let report = "task 0.1 \"overflow\": stack overflow: its stack of 16384 bytes is full; spawn it with a larger \
        `Builder::stack_size`, or set one for all with `runtime::set_stack_size` in init";
    let mut rig = guest().ready();
    let error = rig.fails::<i32>("overflow", 1_000_000);
    assert_eq!(told(&error), ("StackOverflow", report));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "overflow"));

    let (mut raw, done) = with_done(raw::guest());
    // `ping`'s finished call holds slot 0.
    assert_eq!(raw.call("overflow", &[1_000_000]), failure(13, &report.replace("0.1", "1")));
    refuses_everything(&mut raw, "overflow", done);
}

#[test]
fn rule_09_frames_that_do_not_fit_when_unwound_are_an_overflow_too() {
    // Somewhere on the way the task still runs, but its unwound frames and its shadow stack no longer fit together.
    let mut depth = 100;
    let failed = loop {
        let mut rig = guest().ready();
        match rig.reactor.call::<_, i32>("deep_yield", depth) {
            Ok(reached) => assert_eq!(reached, depth),
            Err(error) => break error,
        }
        depth += 10;
        assert!(depth < 1_000, "16 KiB hold so much?");
    };
    assert_eq!(failed.kind(), "StackOverflow", "{failed}");
    assert!(
        failed.report().is_some_and(|report| report.starts_with("task 0.1 \"deep_yield\": stack overflow"))
    );
}

#[test]
fn rule_09_a_host_error_thrown_through_the_guest_poisons_by_our_host() {
    fn on_call(_: &mut Caller<'_, World>, what: i32) -> windlass_host::Result<i32> {
        if what == 1 { Err(Error::Cancelled) } else { Ok(what) }
    }
    let mut rig = guest().on_call(on_call).ready();
    assert_eq!(rig.call::<i32>("nested", 5), 6);
    let error = rig.fails::<i32>("nested", 1);
    let Error::Import { call, import, .. } = &error else { panic!("{error:?}") };
    assert_eq!((call.as_str(), import.as_str()), ("nested", "test.call"));
    let Error::Poisoned { by, .. } = rig.fails::<i32>("ping", ()) else { panic!("not poisoned") };
    assert_eq!(by, "nested");
}

#[test]
fn rule_09_a_host_error_thrown_out_of_a_nested_call_poisons_the_outer_one() {
    fn on_call(caller: &mut Caller<'_, World>, what: i32) -> windlass_host::Result<i32> {
        if what == 2 {
            return Err(Error::Cancelled);
        }
        let thrown = caller.call::<_, i32>("nested", 2).expect_err("it throws");
        let refused = caller.call::<_, i32>("ping", ()).expect_err("it is poisoned");
        caller.state_mut().notes.extend([thrown, refused].map(|error| error.kind().to_owned()));
        Ok(0)
    }
    let mut rig = guest().on_call(on_call).ready();
    assert!(matches!(rig.fails::<i32>("nested", 1), Error::Trap { call, .. } if call == "nested"));
    assert_eq!(rig.reactor.state().notes, ["Import", "Poisoned"]);
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "nested"));
}

#[test]
fn rule_09_a_host_error_thrown_through_the_guest_looks_like_nesting_until_the_host_says_so() {
    let (mut raw, done) = with_done(raw::guest().on_call(|_, _| bail!("thrown through the guest")));
    assert_eq!(raw.call("nested", &[1]), failure(0, ""));
    // The documented limit: the mark is set, as in the import itself.
    assert_eq!(raw.call("ping", &[]), Ok(7));
    raw.works("windlass_poison", &[]);
    refuses_everything(&mut raw, "nested", done);
}

#[test]
fn rule_09_poison_out_of_an_import_refuses_later_calls() {
    let (mut raw, done) = with_done(raw::guest().on_call(|caller, _| {
        raw::call(&mut *caller, "windlass_poison", &[]).expect("it may be called at any time");
        bail!("thrown through the guest")
    }));
    assert_eq!(raw.call("nested", &[1]).map_err(|error| error.code), Err(0));
    refuses_everything(&mut raw, "nested", done);
}

#[test]
fn rule_09_an_import_that_returns_with_an_inner_call_still_open_traps() {
    let (mut raw, done) = with_done(raw::guest().on_call(|caller, what| {
        assert_eq!(raw::call(&mut *caller, "trap", &[]), failure(0, ""));
        // It goes on as if nothing had happened.
        Ok(what)
    }));
    assert_eq!(raw.call("nested", &[1]), failure(0, ""));
    refuses_everything(&mut raw, "trap", done);

    let mut rig = guest()
        .on_call(|caller, what| {
            let error = caller.call::<_, ()>("trap", ()).expect_err("it traps");
            caller.state_mut().notes.push(error.kind().to_owned());
            Ok(what)
        })
        .ready();
    assert!(matches!(rig.fails::<i32>("nested", 1), Error::Trap { call, .. } if call == "nested"));
    assert_eq!(rig.reactor.state().notes, ["Trap"]);
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Poisoned { by, .. } if by == "trap"));
}

#[test]
fn rule_09_within_an_import_calls_after_a_trap_are_refused() {
    let (mut raw, done) = with_done(raw::guest().on_call(|caller, what| {
        assert_eq!(raw::call(&mut *caller, "trap", &[]), failure(0, ""));
        let poisoned = failure(4, "poisoned: a trap ended the call `trap` half-way; make a new instance");
        assert_eq!(raw::call(&mut *caller, "ping", &[]), poisoned);
        Ok(what)
    }));
    assert_eq!(raw.call("nested", &[1]).map_err(|error| error.code), Err(0));
    refuses_everything(&mut raw, "trap", done);
}

#[test]
fn rule_09_cancelling_a_call_after_a_trap_is_refused() {
    let mut raw = raw::guest().ready();
    let pending = raw.start("wait", &[0]);
    assert_eq!(raw.poll(pending), 0);
    let done = raw.start("ping", &[]);
    assert_eq!(raw.poll(done), 1);
    assert_eq!(raw.call("trap", &[]), failure(0, ""));
    // It would wake the one and run the destructor of the other's result.
    assert_ne!(raw.call("windlass_cancel", &[pending]), Ok(1));
    assert_ne!(raw.call("windlass_cancel", &[done]), Ok(1));
}

#[test]
fn rule_09_the_error_door_and_the_report_can_be_read_after_a_trap() {
    let mut raw = raw::guest().ready();
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.poll(waits), 0);
    assert_eq!(raw.call("trap", &[]), failure(0, ""));
    assert_eq!(raw.works("windlass_report", &[]), 2);
    assert_eq!(
        raw.door(),
        Failure {
            code: 0,
            report: "  task 0.1 \"wait\": receiving from a channel\n  task 1 \"trap\": running".to_owned()
        }
    );
    assert_eq!(raw.works("windlass_exit_code", &[]), 0);
    assert_eq!(raw.works("windlass_abi_version", &[]), 1);
}

#[test]
fn rule_09_a_named_error_leaves_no_mark() {
    let mut raw = raw::guest().ready();
    let mut fails = |name: &str, code: i64, times: u32| {
        for _ in 0..times {
            assert_eq!(raw.call(name, &[5]).map_err(|error| error.code), Err(code));
            assert_eq!(raw.call("ping", &[]), Ok(7));
        }
    };
    // Often enough to use up the host's shadow stack of 1 MiB, if each left 50 bytes there.
    fails("_initialize", 2, 20_000);
    fails("windlass.result.ping", 12, 20_000);
    fails("block", 5, 200);
    fails("sleep_ms", 6, 200);
}

#[test]
fn rule_09_refusals_after_a_trap_leave_nothing_on_the_stack() {
    let (mut raw, done) = with_done(raw::guest());
    assert_eq!(raw.call("trap", &[]), failure(0, ""));
    for count in 0..50_000 {
        assert_eq!(raw.call("ping", &[]).map_err(|error| error.code), Err(4), "after {count} refusals");
    }
    refuses_everything(&mut raw, "trap", done);
}

#[test]
fn rule_09_the_result_of_an_earlier_call_is_refused_after_a_trap_and_after_poison() {
    let (mut raw, done) = with_done(raw::guest());
    assert_eq!(raw.call("trap", &[]), failure(0, ""));
    assert_eq!(
        raw.call("windlass.result.ping", &[done]),
        failure(4, "poisoned: a trap ended the call `trap` half-way; make a new instance")
    );
    let (mut raw, done) = with_done(raw::guest().on_call(|_, _| bail!("thrown through the guest")));
    assert_eq!(raw.call("nested", &[1]), failure(0, ""));
    raw.works("windlass_poison", &[]);
    assert_eq!(
        raw.call("windlass.result.ping", &[done]),
        failure(4, "poisoned: a trap ended the call `nested` half-way; make a new instance")
    );
}
