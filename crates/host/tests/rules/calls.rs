//! Rules 3 to 5: a call and the other tasks, nested calls, and where their loops run.

use windlass_host::{Caller, Error, Result};

use crate::host::{World, guest, told};
use crate::raw::{self, failure};

#[test]
fn rule_03_a_call_is_queued_at_the_tail() {
    let mut rig = guest().mode(2).ready();
    // The yielder is ahead of each call and gets its turn first: it begins in the first call, and goes round once in each later one.
    for turns in 0..5 {
        assert_eq!(rig.call::<i32>("turns", ()), turns);
    }
}

#[test]
fn rule_03_the_other_tasks_run_while_the_call_does() {
    let mut rig = guest().mode(2).ready();
    assert_eq!(rig.call::<i32>("turns", ()), 0);
    // One turn before the call begins, and one for each time that it yields.
    rig.call::<()>("yield_times", 1_000);
    assert_eq!(rig.call::<i32>("turns", ()), 1_002);
}

#[test]
fn rule_03_the_call_returns_at_once_and_every_other_task_stays_where_it_is() {
    let mut rig = guest().ready();
    rig.call::<()>("signal_later", (0, 1, 0));
    let report = rig.reactor.report().expect("a report");
    assert_eq!(report, "  task 1: ready");
    // Neither the time nor a look at the guest moves it.
    rig.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(rig.reactor.report().expect("a report"), report);
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");
}

#[test]
fn rule_03_a_poll_resumes_the_others_too() {
    let mut rig = guest().ready();
    rig.call::<()>("signal_later", (0, 1, 3));
    assert!(!rig.reactor.poll_background().expect("a poll"));
    assert_eq!(rig.reactor.report().expect("a report"), "  task 1: sleeping");
    rig.clock.advance(std::time::Duration::from_millis(3));
    assert!(!rig.reactor.poll_background().expect("a poll"));
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");
    assert_eq!(rig.call::<i32>("wait", 0), 1);
}

#[test]
fn rule_04_a_nested_call_returns_to_its_own_caller() {
    let mut rig = guest().on_call(|caller, what| caller.call("add", (what, 5))).ready();
    assert_eq!(rig.call::<i32>("nested", 3), 9);
    assert_eq!(rig.reactor.state().calls, [3]);
}

#[test]
fn rule_04_calls_may_finish_in_any_order() {
    let mut rig = guest()
        .on_call(|caller, _| {
            let inner: i32 = caller.call("inner", ())?;
            caller.state_mut().notes.push(format!("inner returned {inner}"));
            Ok(inner)
        })
        .ready();
    rig.trace();
    assert_eq!(rig.call::<i32>("outer", ()), 10);
    assert_eq!(
        rig.trace(),
        [
            "outer: waits",
            "caller: calls the host",
            "inner: signals",
            "outer: goes on",
            "outer: ends",
            "inner: ends",
            "caller: host returned",
        ]
    );
    assert_eq!(rig.reactor.state().calls, [4]);
    assert_eq!(rig.reactor.state().notes, ["inner returned 11"]);
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");
}

#[test]
fn rule_04_each_of_many_open_calls_gets_its_own_result() {
    // `nested(n)` calls the host, which starts `outer` one level further in, three times over.
    fn on_call(caller: &mut Caller<'_, World>, what: i32) -> Result<i32> {
        match what {
            4 => caller.call("inner", ()),
            3 => caller.call("outer", ()),
            _ => caller.call("nested", what + 1),
        }
    }
    let mut rig = guest().on_call(on_call).ready();
    // 3 + 1 levels around outer's 10.
    assert_eq!(rig.call::<i32>("nested", 0), 14);
    assert_eq!(rig.reactor.state().calls, [0, 1, 2, 3, 4]);
}

#[test]
fn rule_04_asynchronous_calls_finish_in_a_nested_call_in_another_order() {
    let mut raw = raw::guest()
        .on_call(|caller, what| {
            let last = i64::from(what);
            raw::call(&mut *caller, "signal", &[1, 21]).expect("a signal");
            assert_eq!(raw::call(&mut *caller, "windlass_poll", &[last]), Ok(1));
            assert_eq!(raw::call(&mut *caller, "windlass.result.wait", &[last]), Ok(21));
            raw::call(&mut *caller, "signal", &[0, 20]).expect("a signal");
            Ok(0)
        })
        .ready();
    let first = raw.start("wait", &[0]);
    let last = raw.start("wait", &[1]);
    assert_eq!(raw.poll(first), 0);
    assert_eq!(raw.call("nested", &[last]), Ok(1));
    assert_eq!(raw.poll(first), 1);
    assert_eq!(raw.call("windlass.result.wait", &[first]), Ok(20));
}

#[test]
fn rule_04_a_host_import_is_entered_exactly_once_by_each_call_of_it() {
    for mode in [0, 2] {
        let mut raw = raw::guest().mode(mode).on_call(|_, what| Ok(what)).ready();
        // The caller is suspended and continued after each of its two calls, and its frames are wound again.
        assert_eq!(raw.call("call_around_yield", &[21]), Ok(42));
        assert_eq!(raw.entered(), ["call 21", "call 21"]);
    }
}

#[test]
fn rule_04_an_import_is_entered_once_though_others_are_suspended_in_the_nested_call() {
    let mut rig = guest()
        .mode(2)
        .on_call(|caller, what| {
            caller.call::<_, ()>("yield_times", 200)?;
            Ok(what)
        })
        .ready();
    assert_eq!(rig.call::<i32>("call_around_yield", 5), 10);
    assert_eq!(rig.reactor.state().calls, [5, 5]);
}

#[test]
fn rule_05_a_nested_loop_does_not_run_on_the_callers_stack() {
    // 60 calls are open in the end, half of them made by tasks with stacks of 1,200 bytes: far less than a host loop needs.
    fn on_call(caller: &mut Caller<'_, World>, what: i32) -> Result<i32> {
        match what {
            60 => caller.call("deep_yield", 20),
            _ if what % 2 == 0 => caller.call("nested", what + 1),
            _ => caller.call("nested_on", (1_200, what + 1)),
        }
    }
    let mut rig = guest().on_call(on_call).ready();
    // 20 of `deep_yield`, and 1 for each of the 30 `nested`, of which the outermost is the first call.
    assert_eq!(rig.call::<i32>("nested", 1), 20 + 30);
    assert_eq!(rig.reactor.state().calls, (1..=60).collect::<Vec<_>>());
    assert_eq!(rig.reactor.report().expect("a report"), "  no task");
    // And the shadow stack is where it was.
    assert_eq!(rig.call::<i32>("deep_yield", 50), 50);
}

#[test]
fn rule_05_sixty_four_calls_nest_and_the_next_is_a_named_error() {
    fn on_call(caller: &mut Caller<'_, World>, what: i32) -> Result<i32> {
        if what < 64 {
            return caller.call("nested", what + 1);
        }
        for name in ["ping", "turns"] {
            let error = caller.call::<_, i32>(name, ()).expect_err("the 65th call");
            caller.state_mut().notes.push(error.kind().to_owned());
        }
        Ok(0)
    }
    let mut rig = guest().on_call(on_call).ready();
    assert_eq!(rig.call::<i32>("nested", 1), 64);
    assert_eq!(rig.reactor.state().calls, (1..=64).collect::<Vec<_>>());
    assert_eq!(rig.reactor.state().notes, ["NestedTooDeep", "NestedTooDeep"]);
    // And once more: what was refused has left nothing behind.
    assert_eq!(rig.call::<i32>("nested", 1), 64);
}

#[test]
fn rule_05_a_call_that_is_nested_too_deep_does_not_run_later() {
    let mut raw = raw::guest()
        .on_call(|caller, what| {
            if what < 64 {
                return Ok(raw::call(&mut *caller, "nested", &[i64::from(what) + 1]).expect("a call") as i32);
            }
            let refused = failure(10, "more than 64 calls are nested in each other");
            assert_eq!(raw::call(&mut *caller, "signal", &[0, 5]), refused);
            assert_eq!(raw::call(&mut *caller, "windlass.start.ping", &[]).map(|id| id > 0), Ok(true));
            assert_eq!(raw::call(&mut *caller, "windlass_poll", &[0]), Ok(2));
            assert_eq!(Err(raw::door(&mut *caller)), refused);
            Ok(0)
        })
        .ready();
    assert_eq!(raw.call("nested", &[1]), Ok(64));
    // The started `ping` is there, the refused `signal` is not.
    raw.works("windlass_report", &[]);
    assert_eq!(raw.door().report.matches("signal").count(), 0, "{}", raw.door().report);
    assert_eq!(raw.poll(0), 0);
    let waits = raw.start("wait", &[0]);
    assert_eq!(raw.poll(waits), 0, "the refused `signal` ran");
}

#[test]
fn rule_05_a_named_failure_of_a_nested_call_leaves_the_caller_alone() {
    let mut rig = guest()
        .on_call(|caller, what| {
            let error = caller.call::<_, i32>("block", ()).expect_err("nobody wakes it");
            let Error::Deadlock { report } = error else { return Err(error) };
            caller.state_mut().notes.push(report);
            caller.call("deep_yield", what)
        })
        .ready();
    assert_eq!(rig.call::<i32>("nested", 30), 31);
    let report = "  task 0.1 \"nested\": in a host call\n  task 1 \"block\": parked";
    assert_eq!(rig.reactor.state().notes, [report]);
    assert_eq!(rig.call::<i32>("deep_yield", 50), 50);
    let error = rig.fails::<i32>("block", ());
    assert_eq!(told(&error).1, "  task 0.3 \"block\": parked\n  task 1 \"block\": parked");
}
