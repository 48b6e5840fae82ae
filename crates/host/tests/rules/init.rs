//! Rules 1 and 2: initialisation, and what is refused without it.

use windlass_host::{Error, Progress};

use crate::host::{guest, told};
use crate::raw::{self, failure};

const NOT_INITIALISED: &str =
    "not initialised: call `_initialize` first (if that failed: make a new instance)";
const ALREADY_INITIALISED: &str = "already initialised: `_initialize` is called once";

#[test]
fn rule_01_constructors_and_init_run_once_however_many_calls() {
    let mut rig = guest().ready();
    for _ in 0..5 {
        assert_eq!(rig.call::<i32>("constructed", ()), 1);
        assert_eq!(rig.call::<i32>("inits", ()), 1);
    }
    assert_eq!(rig.trace(), ["init", "init done"]);
    assert_eq!(rig.reactor.state().init_modes, 1);
}

#[test]
fn rule_01_constructors_run_in_initialize_and_not_in_a_refused_call() {
    let mut rig = guest().instance();
    assert!(matches!(rig.fails::<i32>("constructed", ()), Error::NotInitialised));
    assert!(matches!(rig.fails::<i32>("constructed", ()), Error::NotInitialised));
    rig.reactor.initialize().expect("init works");
    assert_eq!(rig.call::<i32>("constructed", ()), 1);
}

#[test]
fn rule_01_init_returns_when_its_task_is_done_and_what_it_spawned_stays_queued() {
    let mut rig = guest().mode(2).ready();
    assert_eq!(rig.reactor.report().expect("a report"), "  task 1 \"yielder\": ready");
}

#[test]
fn rule_01_an_endless_sleeper_does_not_keep_initialize_from_returning() {
    for setup in [guest().mode(1), guest().mode(1).may_block()] {
        let mut rig = setup.ready();
        assert_eq!(rig.reactor.report().expect("a report"), "  task 1 \"sleeper\": ready");
        // It falls asleep in the first call, and nobody waits for it.
        assert_eq!(rig.call::<i32>("turns", ()), 0);
        assert_eq!(rig.reactor.report().expect("a report"), "  task 1 \"sleeper\": sleeping");
        assert_eq!(rig.clock.slept(), []);
    }
}

#[test]
fn rule_01_an_endless_yielder_does_not_keep_initialize_from_returning() {
    let mut rig = guest().mode(2).ready();
    assert_eq!(rig.trace(), ["init", "init done"]);
    assert_eq!(rig.call::<i32>("ping", ()), 7);
}

#[test]
fn rule_01_an_init_that_blocks_for_ever_is_an_error_that_says_so() {
    for setup in [guest().mode(3), guest().mode(3).may_block()] {
        let mut rig = setup.instance();
        let error = rig.reactor.initialize().expect_err("init blocks");
        assert_eq!(told(&error), ("Deadlock", "  task 0 \"_initialize\": parked"));
        assert_eq!(rig.clock.slept(), []);
        assert!(matches!(rig.fails::<i32>("ping", ()), Error::NotInitialised));
    }
}

#[test]
fn rule_01_an_init_that_would_have_to_wait_is_an_error_that_says_so() {
    let mut rig = guest().mode(4).instance();
    let error = rig.reactor.initialize().expect_err("init would wait");
    assert_eq!(told(&error), ("WouldWait", "  task 0 \"_initialize\": sleeping"));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::NotInitialised));
}

#[test]
fn rule_01_an_init_may_wait_where_the_host_may_block() {
    let mut rig = guest().mode(4).may_block().ready();
    assert_eq!(rig.clock.slept(), [5_000_000]);
    assert_eq!(rig.trace(), ["init", "init done"]);
}

#[test]
fn rule_01_after_a_failed_init_everything_says_not_initialised() {
    for mode in [3, 4] {
        let mut raw = raw::guest().mode(mode).instance();
        assert!(raw.call("_initialize", &[]).is_err());
        raw.entered();
        for _ in 0..2 {
            assert_eq!(raw.call("ping", &[]), failure(1, NOT_INITIALISED));
            assert_eq!(raw.call("windlass.start.ping", &[]), Ok(0));
            assert_eq!(Err(raw.door()), failure::<()>(1, NOT_INITIALISED));
            assert_eq!(raw.call("windlass_poll", &[0]), Ok(2));
            assert_eq!(Err(raw.door()), failure::<()>(1, NOT_INITIALISED));
            assert_eq!(raw.call("_initialize", &[]), failure(2, ALREADY_INITIALISED));
        }
        // Nothing ran, and init did not run again.
        assert_eq!(raw.entered(), [""; 0]);
    }
}

#[test]
fn rule_01_after_a_failed_init_the_init_task_does_not_go_on() {
    let mut raw = raw::guest().mode(4).instance();
    assert_eq!(raw.call("_initialize", &[]).map_err(|error| error.code), Err(6));
    raw.store.data_mut().now = 10_000_000;
    assert_eq!(raw.call("ping", &[]), failure(1, NOT_INITIALISED));
    raw.works("windlass_report", &[]);
    assert_eq!(raw.door().report, "  task 0 \"_initialize\": sleeping");
}

#[test]
fn rule_01_a_second_initialize_is_an_error_and_the_instance_stays_usable() {
    let mut rig = guest().ready();
    for _ in 0..2 {
        let error = rig.reactor.initialize().expect_err("a second time");
        assert!(matches!(error, Error::AlreadyInitialised), "{error:?}");
    }
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    assert_eq!(rig.call::<i32>("inits", ()), 1);
    assert_eq!(rig.call::<i32>("constructed", ()), 1);
    let mut raw = raw::guest().ready();
    assert_eq!(raw.call("_initialize", &[]), failure(2, ALREADY_INITIALISED));
}

#[test]
fn rule_01_a_second_initialize_while_init_runs_is_an_error() {
    let mut raw = raw::guest()
        .mode(5)
        .on_call(|caller, _| {
            assert_eq!(raw::call(&mut *caller, "_initialize", &[]), failure(2, ALREADY_INITIALISED));
            Ok(7)
        })
        .instance();
    assert_eq!(raw.call("_initialize", &[]), Ok(0));
    assert_eq!(raw.entered(), ["init_mode", "call 50"]);
    assert_eq!(raw.works("inits", &[]), 1);
}

#[test]
fn rule_01_an_init_that_panics_poisons_the_instance() {
    let mut rig = guest().mode(6).instance();
    let error = rig.reactor.initialize().expect_err("init panics");
    let Error::Panicked { message } = &error else { panic!("{error:?}") };
    assert!(
        message.starts_with("task 0 \"_initialize\": panicked at tests/guest/src/tasks.rs:")
            && message.ends_with(":\ninit failed on purpose"),
        "{message}"
    );
    let Error::Poisoned { by, cause } = rig.fails::<i32>("ping", ()) else { panic!("not poisoned") };
    assert_eq!((by.as_str(), &cause), ("_initialize", message));
    assert!(matches!(rig.reactor.initialize(), Err(Error::Poisoned { .. })));

    let mut raw = raw::guest().mode(6).instance();
    assert_eq!(raw.call("_initialize", &[]).map_err(|error| error.code), Err(8));
    let poisoned = failure(4, "poisoned: a trap ended the call `_initialize` half-way; make a new instance");
    assert_eq!(raw.call("ping", &[]), poisoned);
    assert_eq!(raw.call("_initialize", &[]), poisoned);
}

#[test]
fn rule_01_an_init_that_exits_ends_the_module() {
    let mut rig = guest().mode(7).instance();
    assert!(matches!(rig.reactor.initialize(), Err(Error::Exited { code: 3 })));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Ended { code: 3 }));
    assert!(matches!(rig.reactor.initialize(), Err(Error::AlreadyInitialised)));
}

#[test]
fn rule_02_a_call_before_initialize_is_refused_with_its_own_message_and_does_no_harm() {
    let mut raw = raw::guest().instance();
    for _ in 0..2 {
        assert_eq!(raw.call("ping", &[]), failure(1, NOT_INITIALISED));
        assert_eq!(raw.call("windlass.start.ping", &[]), Ok(0));
        assert_eq!(Err(raw.door()), failure::<()>(1, NOT_INITIALISED));
        assert_eq!(raw.call("windlass_poll", &[0]), Ok(2));
        assert_eq!(Err(raw.door()), failure::<()>(1, NOT_INITIALISED));
    }
    assert_eq!(raw.entered(), [""; 0]);
    assert_eq!(raw.call("_initialize", &[]), Ok(0));
    assert_eq!(raw.call("ping", &[]), Ok(7));

    let mut rig = guest().instance();
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::NotInitialised));
    assert!(matches!(rig.reactor.start::<_, i32>("ping", ()), Err(Error::NotInitialised)));
    assert!(matches!(rig.reactor.poll_background(), Err(Error::NotInitialised)));
}

#[test]
fn rule_02_a_refused_call_gives_its_arguments_memory_back() {
    let allocated = |refused: u32| {
        let mut rig = guest().instance();
        for _ in 0..refused {
            assert!(matches!(rig.fails::<String>("greet", "x".repeat(10_000)), Error::NotInitialised));
        }
        rig.reactor.initialize().expect("init works");
        rig.call::<i64>("allocated", ())
    };
    assert_eq!(allocated(1), allocated(50));
}

#[test]
fn rule_02_a_call_after_exit_is_refused_with_its_own_message() {
    let mut raw = raw::guest().ready();
    let exited = failure(9, "the module has ended with exit code 5");
    let ended = failure(3, "the module ended before, with exit code 5");
    assert_eq!(raw.call("exit_with", &[5]), exited);
    assert_eq!(raw.works("windlass_exit_code", &[]), 5);
    for _ in 0..2 {
        assert_eq!(raw.call("ping", &[]), ended);
        assert_eq!(raw.call("windlass.start.ping", &[]), Ok(0));
        assert_eq!(Err(raw.door()), ended);
        assert_eq!(raw.call("windlass_poll", &[0]), Ok(2));
        assert_eq!(Err(raw.door()), ended);
    }
    assert_eq!(raw.works("windlass_exit_code", &[]), 5);

    let mut rig = guest().ready();
    assert!(matches!(rig.fails::<()>("exit_with", -1), Error::Exited { code: -1 }));
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Ended { code: -1 }));
    assert!(matches!(rig.reactor.start::<_, i32>("ping", ()), Err(Error::Ended { code: -1 })));
}

#[test]
fn rule_02_exit_ends_an_asynchronous_call_and_what_else_is_pending() {
    let mut rig = guest().ready();
    let waits = rig.reactor.start::<_, i32>("wait", 0).expect("a start");
    let exits = rig.reactor.start::<_, ()>("exit_with", 4).expect("a start");
    assert!(matches!(rig.reactor.poll(&exits), Err(Error::Exited { code: 4 })));
    assert!(matches!(rig.reactor.poll(&waits), Err(Error::Ended { code: 4 })));
}

#[test]
fn rule_02_a_poll_of_the_background_is_refused_before_initialize_and_after_exit() {
    let mut rig = guest().instance();
    assert!(matches!(rig.reactor.poll_background(), Err(Error::NotInitialised)));
    rig.reactor.initialize().expect("init works");
    assert!(!rig.reactor.poll_background().expect("nothing is runnable"));
    assert!(matches!(rig.fails::<()>("exit_with", 2), Error::Exited { code: 2 }));
    assert!(matches!(rig.reactor.poll_background(), Err(Error::Ended { code: 2 })));
}

#[test]
fn rule_02_exit_in_a_nested_call_ends_the_outer_one_where_it_next_waits() {
    let mut rig = guest()
        .on_call(|caller, what| {
            let error = caller.call::<_, ()>("exit_with", what).expect_err("it ends the module");
            caller.state_mut().notes.push(error.kind().to_owned());
            Ok(what)
        })
        .ready();
    assert!(matches!(rig.fails::<i32>("call_around_yield", 6), Error::Exited { code: 6 }));
    assert_eq!(rig.reactor.state().calls, [6]);
    assert_eq!(rig.reactor.state().notes, ["Exited"]);
    assert!(matches!(rig.fails::<i32>("ping", ()), Error::Ended { code: 6 }));
}

#[test]
fn rule_02_no_task_runs_after_exit() {
    let mut raw = raw::guest().mode(2).ready();
    let turns = raw.works("turns", &[]);
    // The yielder has its turn before `exit_with`, and none after it.
    assert_eq!(turns, 0);
    assert_eq!(raw.call("exit_with", &[1]).map_err(|error| error.code), Err(9));
    assert_eq!(raw.call("windlass_poll", &[0]), Ok(2));
    raw.works("windlass_report", &[]);
    assert_eq!(raw.door().report, "  task 0.2 \"exit_with\": in exit\n  task 1 \"yielder\": ready");
    assert_eq!(raw.entered(), [""; 0]);
}

#[test]
fn rule_02_nested_calls_while_init_runs_are_allowed() {
    let mut rig = guest().mode(5).on_call(|caller, _| caller.call("ping", ())).ready();
    assert_eq!(rig.trace(), ["init", "init was called back", "init done"]);
    assert_eq!(rig.reactor.state().calls, [50]);
    assert_eq!(rig.call::<i32>("inits", ()), 1);
}

#[test]
fn rule_02_asynchronous_calls_may_start_while_init_runs() {
    let mut raw = raw::guest()
        .mode(5)
        .on_call(|caller, _| {
            let id = raw::call(&mut *caller, "windlass.start.ping", &[]).expect("a start");
            assert_eq!(raw::call(&mut *caller, "windlass_poll", &[id]), Ok(1));
            Ok(raw::call(&mut *caller, "windlass.result.ping", &[id]).expect("a result") as i32)
        })
        .ready();
    assert_eq!(raw.works("ping", &[]), 7);
    let mut rig = guest().ready();
    let call = rig.reactor.start::<_, i32>("ping", ()).expect("a start");
    assert_eq!(rig.reactor.poll(&call).expect("a poll"), Progress::Done(7));
}
