//! Synchronous calls: values, and each error of the door.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::Duration,
};

use crate::fake::{WAT, bytes, compile, error, fake, from_wat, load, nested, reactor};
use windlass_host::{Caller, Error, Limits, Reactor, Result, Type, Value};

#[test]
fn numbers_cross_in_both_directions() {
    let (mut reactor, ..) = reactor();
    assert_eq!(reactor.call::<_, i32>("add", (3, 5)).expect("add"), 8);
    assert_eq!(reactor.call::<_, f64>("mix", (-1, 2u32, -3i64, 4u64, 0.5f32, 0.25)).expect("mix"), 2.75);
    assert_eq!(reactor.call::<_, u32>("echo_u32", u32::MAX).expect("u32"), u32::MAX);
    assert_eq!(reactor.call::<_, i64>("echo_i64", i64::MIN).expect("i64"), i64::MIN);
    assert_eq!(reactor.call::<_, u64>("echo_u64", u64::MAX).expect("u64"), u64::MAX);
    assert_eq!(reactor.call::<_, f32>("echo_f32", -0.0f32).expect("f32").to_bits(), (-0.0f32).to_bits());
    reactor.call::<_, ()>("nothing", ()).expect("nothing");
}

#[test]
fn text_and_bytes_cross_and_every_allocation_finds_its_owner() {
    let (mut reactor, ..) = reactor();
    for text in ["", "grüß", &"x".repeat(20_000)] {
        assert_eq!(reactor.call::<_, String>("echo", text).expect("echo"), text);
        assert_eq!(
            reactor.call::<_, Vec<u8>>("echo_bytes", text.as_bytes()).expect("bytes"),
            text.as_bytes()
        );
    }
    assert_eq!(reactor.call::<_, Vec<u8>>("second", ("first", &[1, 0, 255])).expect("second"), [1, 0, 255]);
    assert_eq!(reactor.call::<_, i32>("live", ()).expect("live"), 0);
}

#[test]
fn an_argument_too_large_for_the_guest_gives_the_others_back() {
    let (mut reactor, ..) = reactor();
    let large = vec![0; 50_000];
    let error = error(reactor.call::<_, Vec<u8>>("second", ("first", large)));
    assert!(matches!(error, Error::OutOfMemory { bytes: 50_000 }), "{error:?}");
    assert_eq!(reactor.call::<_, i32>("live", ()).expect("live"), 0);
}

#[test]
fn results_that_break_the_abi_are_errors_and_no_panics() {
    let (mut reactor, ..) = reactor();
    let text = error(reactor.call::<_, String>("bad_text", ()));
    assert!(
        text.to_string().starts_with("the guest broke the ABI: a string result: invalid utf-8"),
        "{text}"
    );
    let address = error(reactor.call::<_, Vec<u8>>("bad_address", ()));
    assert_eq!(
        address.to_string(),
        "the guest broke the ABI: 2 bytes at 4294967295 lie outside of its memory of 65536 bytes"
    );
    assert_eq!(reactor.call::<_, i32>("live", ()).expect("live"), 0);
}

#[test]
fn values_known_at_run_time_cross_too() {
    let (mut reactor, ..) = reactor();
    let add = reactor.signatures()[0].clone();
    let args: Vec<Value> = add
        .params
        .iter()
        .zip(["3", "5"])
        .map(|(&ty, text)| Value::parse(ty, text).expect("a number"))
        .collect();
    assert_eq!(reactor.call_values("add", &args).expect("add"), Some(Value::I32(8)));
    assert_eq!(reactor.call_values("nothing", &[]).expect("nothing"), None);
    let bytes = Value::parse(Type::Bytes, "hex:00fF").expect("bytes");
    let back = reactor.call_values("echo_bytes", &[bytes]).expect("echo").expect("bytes");
    assert_eq!((back.ty(), back.to_string()), (Type::Bytes, "hex:00ff".to_owned()));
    assert_eq!(
        error(Value::parse(Type::Bytes, "hex:0g")).to_string(),
        "`hex:0g` is not of type bytes: `hex:` wants an even number of hexadecimal digits"
    );
    assert_eq!(
        error(Value::parse(Type::U32, "-1")).to_string(),
        "`-1` is not of type u32: invalid digit found in string"
    );
}

#[test]
fn a_call_of_another_type_shows_both_signatures_and_does_not_enter() {
    let (mut reactor, ..) = reactor();
    let cases: [(Error, &str); 4] = [
        (error(reactor.call::<_, i32>("add", 3)), "add(i32) -> i32"),
        (error(reactor.call::<_, i32>("add", (3, 5u32))), "add(i32, u32) -> i32"),
        (error(reactor.call::<_, String>("add", (3, 5))), "add(i32, i32) -> string"),
        (error(reactor.call_values("add", &[Value::String("3".into())])), "add(string) -> any"),
    ];
    for (error, given) in cases {
        assert_eq!(
            error.to_string(),
            format!("the export is `add(i32, i32) -> i32`, and it was called as `{given}`")
        );
    }
}

#[test]
fn an_unknown_name_shows_the_known_ones_and_the_abi_is_no_call() {
    let (mut reactor, ..) = reactor();
    let unknown = error(reactor.call::<_, i32>("sub", (3, 5)));
    assert!(unknown.to_string().starts_with("the module has no call `sub`; it has: add, mix, "), "{unknown}");
    assert!(matches!(reactor.call::<_, i32>("windlass_poll", 0), Err(Error::NoSuchExport { .. })));
}

#[test]
fn calls_before_and_a_second_initialize_are_refused() {
    let mut reactor =
        fake().builder.import("env", "call_outside", nested).from_bytes(&bytes()).expect("it loads");
    assert!(matches!(reactor.call::<_, i32>("add", (1, 2)), Err(Error::NotInitialised)));
    reactor.initialize().expect("it initialises");
    assert!(matches!(reactor.initialize(), Err(Error::AlreadyInitialised)));
    assert_eq!(reactor.call::<_, i32>("add", (1, 2)).expect("add"), 3);
}

#[test]
fn an_initialize_that_fails_leaves_the_reactor_uninitialised() {
    let mut reactor = Reactor::builder()
        .import("env", "trace", |_: &mut Caller<'_>, _: i32| ())
        .import("env", "init", |_: &mut Caller<'_>| 5)
        .import("env", "call_outside", nested)
        .from_bytes(&bytes())
        .expect("it loads");
    assert!(matches!(reactor.initialize(), Err(Error::Deadlock { report }) if report == "report"));
    assert!(matches!(reactor.call::<_, i32>("add", (1, 2)), Err(Error::NotInitialised)));
}

#[test]
fn errors_that_leave_the_instance_usable() {
    let (mut reactor, ..) = reactor();
    let mut fail = |code: i32| {
        let error = error(reactor.call::<_, ()>("fail", code));
        assert_eq!((error.code(), error.poisons()), (Some(code), false));
        assert_eq!(reactor.call::<_, i32>("add", (3, 5)).expect("the next call works"), 8);
        error
    };
    assert!(matches!(fail(5), Error::Deadlock { report } if report == "report"));
    assert!(matches!(fail(6), Error::WouldWait { report } if report == "report"));
    assert!(matches!(fail(7), Error::TimedOut { report } if report == "report"));
    assert!(matches!(fail(10), Error::NestedTooDeep));
    assert!(matches!(fail(11), Error::NoTask { report } if report == "report"));
    assert!(matches!(fail(12), Error::NoSuchCall));
    assert!(matches!(fail(99), Error::Unknown { code: 99, report } if report == "report"));
}

#[test]
fn errors_that_poison_are_remembered_with_the_call() {
    for (code, kind) in [(8, "Panicked"), (13, "StackOverflow"), (14, "WouldBlock")] {
        let (mut reactor, ..) = reactor();
        let error = error(reactor.call::<_, ()>("fail", code));
        assert_eq!((error.kind(), error.code(), error.report()), (kind, Some(code), Some("report")));
        let next = crate::fake::error(reactor.call::<_, i32>("add", (3, 5)));
        assert_eq!(
            next.to_string(),
            "the instance is poisoned, load a new one: `fail` left it half-wound (report)"
        );
        assert!(matches!(reactor.refuses(), Some(Error::Poisoned { .. })));
    }
}

#[test]
fn a_trap_has_message_and_backtrace_and_poisons() {
    let (mut reactor, _, trace) = reactor();
    let error = error(reactor.call::<_, ()>("boom", ()));
    let Error::Trap { call, message, backtrace } = &error else { panic!("{error:?}") };
    assert_eq!(
        (call.as_str(), message.as_str()),
        ("boom", "wasm trap: wasm `unreachable` instruction executed")
    );
    assert_eq!(backtrace.len(), 1);
    let next = crate::fake::error(reactor.call::<_, i32>("add", (3, 5)));
    assert!(matches!(next, Error::Poisoned { by, .. } if by == "boom"));
    // The guest knows by itself, and nothing was thrown through it.
    assert_eq!(trace.take(), []);
}

#[test]
fn a_trap_other_than_the_guests_own_way_out_does_not_read_a_stale_code() {
    let (mut reactor, ..) = reactor();
    let error = error(reactor.call::<_, ()>("outside_memory", ()));
    assert!(
        matches!(&error, Error::Trap { message, .. } if message == "wasm trap: out of bounds memory access"),
        "{error:?}"
    );
}

#[test]
fn exit_is_told_by_its_code_during_and_after() {
    let (mut reactor, ..) = reactor();
    assert!(matches!(reactor.call::<_, ()>("fail", 9), Err(Error::Exited { code: 7 })));
    assert!(matches!(reactor.call::<_, i32>("add", (3, 5)), Err(Error::Ended { code: 7 })));
}

#[test]
fn a_deadline_is_taken_by_one_call() {
    let (mut reactor, clock, _) = reactor();
    clock.advance(Duration::from_secs(1));
    let timeout = Duration::from_millis(5);
    assert_eq!(
        reactor.call_with_deadline::<_, i64>("taken_deadline", (), timeout).expect("it runs"),
        1_005_000_000
    );
    assert_eq!(reactor.call::<_, i64>("taken_deadline", ()).expect("it runs"), -1);
    assert_eq!(
        reactor.call_with_deadline::<_, i64>("taken_deadline", (), Duration::MAX).expect("it runs"),
        i64::MAX
    );
}

#[test]
fn sleeping_is_allowed_only_to_a_host_that_may_block() {
    let (mut reactor, clock, _) = reactor();
    assert!(matches!(reactor.call::<_, ()>("nap", 1_000u64), Err(Error::WouldWait { .. })));
    assert_eq!(clock.slept(), []);
    let fake = fake();
    let mut reactor = load(fake.builder.import("env", "call_outside", nested).may_block(true));
    reactor.call::<_, ()>("nap", 1_000u64).expect("it sleeps");
    assert_eq!(fake.clock.slept(), [1_000]);
}

#[test]
fn an_import_may_call_the_guest_again() {
    let (mut reactor, ..) = reactor();
    assert_eq!(reactor.call::<_, i32>("call_outside", (3, 5)).expect("nested"), 8);
}

#[test]
fn sixty_four_calls_nest_with_room_to_spare() {
    let import = |caller: &mut Caller<'_>, a: i32, b: i32| match a {
        0 => Ok(b),
        _ => caller.call::<_, i32>("call_outside", (a - 1, b + 1)),
    };
    let mut reactor = load(fake().builder.import("env", "call_outside", import));
    assert_eq!(reactor.call::<_, i32>("call_outside", (99, 1)).expect("nested"), 100);
}

#[test]
fn an_import_reaches_the_embedders_state_and_the_guests_memory() {
    fn note(caller: &mut Caller<'_, Vec<String>>, a: i32, _: i32) -> Result<i32> {
        let report = caller.report()?;
        caller.write(2000, report.as_bytes())?;
        let text = caller.read_str(2000, 7)?;
        let sum = caller.call_values("add", &[Value::I32(a), Value::I32(1)])?;
        caller.state_mut().push(format!("{text} {sum:?}"));
        assert!(matches!(caller.read(u32::MAX, 1), Err(Error::Protocol { .. })));
        assert!(matches!(caller.write(65_535, &[0, 0]), Err(Error::Protocol { .. })));
        i32::try_from(caller.state().len()).map_err(|error| panic!("{error}"))
    }
    let mut reactor = Reactor::with_state(Vec::new())
        .import("env", "trace", |_: &mut Caller<'_, _>, _: i32| ())
        .import("env", "init", |_: &mut Caller<'_, _>| 0)
        .import("env", "call_outside", note)
        .from_bytes(&bytes())
        .expect("it loads");
    reactor.initialize().expect("it initialises");
    assert_eq!(reactor.call::<_, i32>("call_outside", (3, 0)).expect("it runs"), 1);
    assert_eq!(*reactor.state(), ["2 tasks Some(I32(4))"]);
}

#[test]
fn an_error_of_a_nested_call_can_be_handled_by_the_import() {
    let import = |caller: &mut Caller<'_>, code: i32, _: i32| match caller.call::<_, ()>("fail", code) {
        Err(Error::TimedOut { .. }) => -1,
        other => panic!("{other:?}"),
    };
    let mut reactor = load(fake().builder.import("env", "call_outside", import));
    assert_eq!(reactor.call::<_, i32>("call_outside", (7, 0)).expect("it goes on"), -1);
    assert_eq!(reactor.call::<_, i32>("add", (3, 5)).expect("usable"), 8);
}

#[test]
fn a_trap_after_a_nested_error_is_no_echo_of_it() {
    let import = |caller: &mut Caller<'_>, code: i32, _: i32| {
        assert!(matches!(caller.call::<_, ()>("fail", code), Err(Error::TimedOut { .. })));
        0
    };
    let mut reactor = load(fake().builder.import("env", "call_outside", import));
    let error = error(reactor.call::<_, ()>("outside_then_boom", (7, 0)));
    assert!(matches!(&error, Error::Trap { call, .. } if call == "outside_then_boom"), "{error:?}");
    assert!(
        matches!(reactor.call::<_, i32>("add", (3, 5)), Err(Error::Poisoned { by, .. }) if by == "outside_then_boom")
    );
}

#[test]
fn an_error_thrown_through_the_guest_poisons_it_and_keeps_its_source() {
    let fake = fake();
    let import = |_: &mut Caller<'_>, _: i32, _: i32| "no such row".parse::<i32>();
    let mut reactor = load(fake.builder.import("env", "call_outside", import));
    let error = error(reactor.call::<_, i32>("call_outside", (1, 2)));
    assert_eq!(
        error.to_string(),
        "the import `env.call_outside` failed during `call_outside`; the instance is poisoned, load a new one: invalid digit \
         found in string"
    );
    assert!(std::error::Error::source(&error).is_some_and(|source| source.is::<std::num::ParseIntError>()));
    // `windlass_poison` was called, as to the guest the next call would look like a nested one.
    assert_eq!(fake.trace.take(), [4000]);
    let next = crate::fake::error(reactor.call::<_, i32>("add", (3, 5)));
    assert!(matches!(next, Error::Poisoned { by, .. } if by == "call_outside"));
}

#[test]
fn a_trap_in_a_nested_call_takes_the_outer_one_with_it_and_is_the_one_remembered() {
    let fake = fake();
    let import = |caller: &mut Caller<'_>, _: i32, _: i32| match caller.call::<_, ()>("boom", ()) {
        Err(Error::Trap { .. }) => 0,
        other => panic!("{other:?}"),
    };
    let mut reactor = load(fake.builder.import("env", "call_outside", import));
    assert!(
        matches!(reactor.call::<_, i32>("call_outside", (1, 2)), Err(Error::Trap { call, .. }) if call == "call_outside")
    );
    assert!(matches!(reactor.call::<_, i32>("add", (3, 5)), Err(Error::Poisoned { by, .. }) if by == "boom"));
}

#[test]
fn a_panic_of_an_import_poisons_the_instance() {
    let fake = fake();
    let import = |_: &mut Caller<'_>, _: i32, _: i32| -> i32 { std::panic::resume_unwind(Box::new("lost")) };
    let mut reactor = load(fake.builder.import("env", "call_outside", import));
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        reactor.call::<_, i32>("call_outside", (1, 2))
    }));
    assert!(caught.is_err());
    let next = error(reactor.call::<_, i32>("add", (3, 5)));
    assert!(matches!(next, Error::Poisoned { by, .. } if by == "call_outside"));
    assert_eq!(fake.trace.take(), [4000]);
}

#[test]
fn log_lines_are_kept_or_go_to_the_sink() {
    let (mut reactor, ..) = reactor();
    for number in 0..1_001 {
        reactor.call::<_, ()>("say", format!("line {number}")).expect("say");
    }
    let lines = reactor.take_log();
    assert_eq!((lines.len(), lines[0].as_str(), lines[999].as_str()), (1_000, "line 1", "line 1000"));
    assert_eq!(reactor.take_log().len(), 0);

    let (sender, receiver) = std::sync::mpsc::channel();
    let sink = move |line: &str| sender.send(line.to_owned()).expect("the test listens");
    let mut reactor = load(fake().builder.import("env", "call_outside", nested).on_log(sink));
    reactor.call::<_, ()>("say", "grüß").expect("say");
    drop(reactor);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["grüß"]);
}

#[test]
fn a_closed_reactor_refuses_with_the_report() {
    let (mut reactor, ..) = reactor();
    assert_eq!(reactor.close(), "2 tasks");
    assert_eq!(reactor.close(), "2 tasks");
    let error = error(reactor.call::<_, i32>("add", (3, 5)));
    assert_eq!(error.to_string(), "the reactor was closed\n2 tasks");
}

#[test]
fn memory_tasks_and_fuel_are_limited() {
    let limits = Limits::default().memory(3 << 16).tasks(1).fuel(100_000);
    let mut reactor = compile(fake().builder.import("env", "call_outside", nested).limits(limits));
    assert_eq!(reactor.call::<_, i32>("tasks_limit", ()).expect("a limit"), 1);
    assert_eq!(reactor.call::<_, i32>("grow", 2).expect("grow"), 1);
    assert_eq!(reactor.call::<_, i32>("grow", 1).expect("grow"), -1);
    // Each call has its own fuel.
    for _ in 0..1_000 {
        reactor.call::<_, i32>("add", (3, 5)).expect("add");
    }
    let error = error(reactor.call::<_, ()>("spin", ()));
    assert!(matches!(error, Error::OutOfFuel { call } if call == "spin"));
    assert!(matches!(reactor.call::<_, i32>("add", (3, 5)), Err(Error::Poisoned { by, .. }) if by == "spin"));

    let small = fake().builder.import("env", "call_outside", nested).limits(Limits::default().memory(1));
    assert!(matches!(small.from_bytes(&bytes()), Err(Error::Load { .. })));
}

#[test]
fn an_interruption_ends_a_loop_and_a_sleep_but_no_later_call() {
    let limits = Limits::default().interruptible(true);
    let mut reactor = compile(fake().builder.import("env", "call_outside", nested).limits(limits.clone()));
    let handle = reactor.interrupt_handle().expect("it is interruptible");
    // Nothing runs: nothing happens.
    handle.interrupt();
    assert_eq!(reactor.call::<_, i32>("add", (3, 5)).expect("add"), 8);
    let over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&over);
    // Again and again, as an interruption before the call is lost.
    let thread = thread::spawn(move || {
        while !seen.load(Ordering::SeqCst) {
            handle.interrupt();
            thread::yield_now();
        }
    });
    assert!(matches!(reactor.call::<_, ()>("spin", ()), Err(Error::Interrupted { call }) if call == "spin"));
    over.store(true, Ordering::SeqCst);
    thread.join().expect("the thread ends");
    assert!(matches!(reactor.call::<_, i32>("add", (3, 5)), Err(Error::Poisoned { by, .. }) if by == "spin"));

    // A sleep is sliced; the clock itself interrupts in the second slice.
    let fake = fake();
    let builder = fake.builder.import("env", "call_outside", nested).limits(limits).may_block(true);
    let mut reactor = compile(builder);
    let handle = reactor.interrupt_handle().expect("it is interruptible");
    let mut alarm = windlass_host::Clock::alarm(&fake.clock);
    alarm.set(150_000_000, Waker::from(Arc::new(Interrupts(handle))));
    assert!(matches!(reactor.call::<_, ()>("nap", 1_000_000_000u64), Err(Error::Interrupted { .. })));
    assert_eq!(fake.clock.slept(), [100_000_000, 200_000_000]);
    assert_eq!(fake.trace.take(), [4000]);
}

struct Interrupts(windlass_host::InterruptHandle);

impl Wake for Interrupts {
    fn wake(self: Arc<Self>) {
        self.0.interrupt();
    }
}

#[test]
fn without_the_scheduler_the_host_alone_remembers() {
    const PLAIN: &str = r#"(module
        (func (export "_initialize"))
        (func (export "half") (param f32) (result f32) (f32.mul (local.get 0) (f32.const 0.5)))
        (func (export "id") (param i64) (result i64) (local.get 0))
        (func (export "pair") (result i32 i32) (i32.const 1) (i32.const 2))
        (func (export "boom") unreachable))"#;
    let mut reactor = from_wat(PLAIN).expect("it loads");
    let names: Vec<String> = reactor.signatures().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["half(f32) -> f32", "id(i64) -> i64", "boom()"]);
    assert!(matches!(reactor.call::<_, f32>("half", 3f32), Err(Error::NotInitialised)));
    reactor.initialize().expect("it initialises");
    assert!(matches!(reactor.initialize(), Err(Error::AlreadyInitialised)));
    assert_eq!(reactor.call::<_, f32>("half", 3f32).expect("half"), 1.5);
    // Nothing tells signs apart in a module without the section.
    assert_eq!(reactor.call::<_, u64>("id", u64::MAX).expect("id"), u64::MAX);
    assert_eq!(reactor.call::<_, i64>("id", u64::MAX).expect("id"), -1);
    let pair = error(reactor.call::<_, i32>("pair", ()));
    assert!(pair.to_string().starts_with("the export is `pair, (type (func (result i32 i32)))`"), "{pair}");
    assert!(
        matches!(reactor.start::<_, i64>("id", 1i64), Err(Error::Unsupported { export }) if export == "windlass.start.id")
    );
    let timed = reactor.call_with_deadline::<_, i64>("id", 1i64, Duration::ZERO);
    assert!(matches!(timed, Err(Error::Unsupported { export }) if export == "windlass_deadline"));
    assert!(matches!(reactor.call::<_, ()>("boom", ()), Err(Error::Trap { .. })));
    assert!(matches!(reactor.call::<_, f32>("half", 3f32), Err(Error::Poisoned { by, .. }) if by == "boom"));
}

#[test]
fn a_module_without_initialize_is_ready_at_once() {
    let mut reactor =
        from_wat(r#"(module (func (export "one") (result i32) (i32.const 1)))"#).expect("it loads");
    assert_eq!(reactor.call::<_, i32>("one", ()).expect("one"), 1);
    reactor.initialize().expect("there is nothing to do");
}

#[test]
fn an_error_of_a_guest_without_reports_has_the_name_of_its_code() {
    let wat =
        WAT.replace(r#"(export "windlass_error_ptr")"#, "").replace(r#"(export "windlass_error_len")"#, "");
    let wasm = wat::parse_str(wat).expect("only names are gone");
    let mut reactor =
        fake().builder.import("env", "call_outside", nested).from_bytes(&wasm).expect("it loads");
    reactor.initialize().expect("it initialises");
    let deadlock = error(reactor.call::<_, ()>("fail", 5));
    assert!(
        matches!(&deadlock, Error::Deadlock { report } if report.starts_with("deadlock (code 5); ")),
        "{deadlock}"
    );
    let overflow = error(reactor.call::<_, ()>("fail", 13));
    assert!(
        matches!(&overflow, Error::StackOverflow { report } if report.starts_with("stack overflow (code 13); ")),
        "{overflow}"
    );
}
