//! Exceptions that come out of calls which were suspended: they are caught where they would have been.

mod common;

use common::assemble;
use wasmtime::{AsContextMut, Caller, Config, Engine, Extern, Instance, Linker, Memory, Module, Store};
use windlass_lower::{Abi, Optimize, Options};

/// Where the host keeps `{current, end}` and frames: in the second page.
const BUFFER: usize = 0x1_0000;

/// When `env.pause` suspends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Never,
    Always,
    /// Each other time.
    Odd,
}

struct Host {
    policy: Policy,
    calls: u32,
    suspensions: u32,
    log: Vec<i32>,
}

/// A module with the imports `pause`, of `(i32) -> (i32)`, which returns twice its argument, and `log`, of `(i32)`; two
/// pages of memory, of which the second is the host's; and two tags, of an `i32` each.
fn module(fields: &str) -> Vec<u8> {
    assemble(&format!(
        r#"(module
            (import "env" "pause" (func $pause (param i32) (result i32)))
            (import "env" "log" (func $log (param i32)))
            (memory (export "memory") 2)
            (tag $t (param i32))
            (tag $u (param i32))
            {fields})"#
    ))
}

fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_exceptions(true).wasm_multi_memory(true).wasm_tail_call(true);
    Engine::new(&config).expect("a configuration")
}

struct Running {
    store: Store<Host>,
    instance: Instance,
    is_lowered: bool,
}

impl Running {
    fn new(engine: &Engine, wasm: &[u8], policy: Policy, is_lowered: bool) -> Running {
        let host = Host { policy, calls: 0, suspensions: 0, log: Vec::new() };
        let mut store = Store::new(engine, host);
        let mut linker = Linker::new(engine);
        linker
            .func_wrap("env", "log", |mut caller: Caller<'_, Host>, value: i32| {
                caller.data_mut().log.push(value);
            })
            .and_then(|linker| linker.func_wrap("env", "pause", pause))
            .expect("imports");
        let module = Module::new(engine, wasm).unwrap_or_else(|error| panic!("{error:?}"));
        let instance = linker.instantiate(&mut store, &module).unwrap_or_else(|error| panic!("{error:?}"));
        Running { store, instance, is_lowered }
    }

    fn part<P: wasmtime::WasmParams, R: wasmtime::WasmResults>(&mut self, name: &str, params: P) -> R {
        let function =
            self.instance.get_typed_func::<P, R>(&mut self.store, name).expect("a part of the ABI");
        function.call(&mut self.store, params).expect("returns")
    }

    /// Calls `run` to its end: its result, or `exception`.
    fn run(&mut self, argument: i32) -> String {
        let function = self.instance.get_typed_func::<i32, i32>(&mut self.store, "run").expect("`run`");
        loop {
            let ended = function.call(&mut self.store, argument);
            let state: i32 = if self.is_lowered { self.part("asyncify_get_state", ()) } else { 0 };
            if state == 1 {
                let _: () = self.part("asyncify_stop_unwind", ());
                let _: () = self.part("asyncify_start_rewind", BUFFER as i32);
                continue;
            }
            assert_eq!(state, 0);
            return match ended {
                Ok(result) => result.to_string(),
                Err(error) if error.is::<wasmtime::ThrownException>() => {
                    self.store.as_context_mut().take_pending_exception();
                    "exception".to_owned()
                }
                Err(error) => panic!("{error:?}"),
            };
        }
    }
}

fn pause(mut caller: Caller<'_, Host>, value: i32) -> wasmtime::Result<i32> {
    let function =
        |caller: &mut Caller<'_, Host>, name: &str| caller.get_export(name).and_then(Extern::into_func);
    if let Some(state) = function(&mut caller, "asyncify_get_state") {
        let state = state.typed::<(), i32>(&caller)?.call(&mut caller, ())?;
        if state == 2 {
            let stop = function(&mut caller, "asyncify_stop_rewind").expect("a part of the ABI");
            stop.typed::<(), ()>(&caller)?.call(&mut caller, ())?;
            return Ok(2 * value);
        }
        let host = caller.data_mut();
        host.calls += 1;
        if host.policy == Policy::Always || (host.policy == Policy::Odd && host.calls % 2 == 1) {
            host.suspensions += 1;
            let memory: Memory = caller.get_export("memory").and_then(Extern::into_memory).expect("a memory");
            let end = 2 * 0x1_0000_u32;
            memory.write(&mut caller, BUFFER, &(BUFFER as u32 + 8).to_le_bytes())?;
            memory.write(&mut caller, BUFFER + 4, &end.to_le_bytes())?;
            let start = function(&mut caller, "asyncify_start_unwind").expect("a part of the ABI");
            start.typed::<i32, ()>(&caller)?.call(&mut caller, BUFFER as i32)?;
            return Ok(0);
        }
    }
    Ok(2 * value)
}

/// Calls `run` with 1, 2 and 3, as the module is and lowered in each way, suspended never, always and now and then.
/// What comes back and what is logged must be this.
#[track_caller]
fn runs(wasm: &[u8], deny: &[&str], results: [&str; 3], log: &[i32]) {
    let engine = engine();
    let check = |way: &str, mut running: Running| {
        let got: Vec<String> = (1..=3).map(|argument| running.run(argument)).collect();
        assert_eq!(got, results, "{way}");
        assert_eq!(running.store.data().log, log, "{way}");
        running.store.data().suspensions
    };
    check("as it is", Running::new(&engine, wasm, Policy::Never, false));
    for optimize in Optimize::ALL {
        for stable in [false, true] {
            let mut options = Options::default();
            options.abi = Abi::Asyncify;
            options.suspending_imports = vec!["env.pause".to_owned()];
            options.deny = deny.iter().map(|name| (*name).to_owned()).collect();
            options.optimize = *optimize;
            options.stable_buffer = stable;
            let lowered = common::lower_with(wasm, &options);
            for policy in [Policy::Never, Policy::Always, Policy::Odd] {
                let way = format!("{optimize}, stable: {stable}, {policy:?}");
                let suspensions = check(&way, Running::new(&engine, &lowered.wasm, policy, true));
                assert_eq!(suspensions > 0, policy != Policy::Never, "{way}");
            }
        }
    }
}

#[test]
fn the_caller_of_what_was_suspended_catches() {
    let wasm = module(
        r#"
        (func $inner (param i32) (result i32)
            (call $log (local.get 0))
            (if (i32.and (local.get 0) (i32.const 1))
                (then (throw $t (call $pause (i32.mul (local.get 0) (i32.const 100))))))
            (call $pause (local.get 0)))
        (func (export "run") (param i32) (result i32)
            (block $caught (result i32)
                (try_table (result i32) (catch $t $caught)
                    (i32.add (call $inner (local.get 0)) (i32.const 7)))
                (return))
            (i32.add (local.get 0)))
        "#,
    );
    runs(&wasm, &[], ["201", "11", "603"], &[1, 2, 3]);
}

#[test]
fn frames_in_between_are_left() {
    // Each level logs before and after its call; none logs after what threw.
    let wasm = module(
        r#"
        (func $descend (param $depth i32) (param $n i32) (result i32)
            (call $log (local.get $depth))
            (if (i32.eqz (local.get $depth))
                (then
                    (drop (call $pause (i32.const 1)))
                    (throw $t (call $pause (local.get $n)))))
            (drop (call $pause (i32.const 2)))
            (drop (call $descend (i32.sub (local.get $depth) (i32.const 1)) (local.get $n)))
            (call $log (i32.const -1))
            (i32.const 0))
        (func (export "run") (param $n i32) (result i32)
            (local $kept i64)
            (local.set $kept (i64.extend_i32_s (i32.mul (local.get $n) (i32.const 1000))))
            (block $caught (result i32)
                (try_table (catch $t $caught) (drop (call $descend (i32.const 2) (local.get $n))))
                (return (i32.const -2)))
            (drop (call $pause (i32.const 3)))
            (i32.add (i32.wrap_i64 (local.get $kept))))
        "#,
    );
    runs(&wasm, &[], ["1002", "2004", "3006"], &[2, 1, 0, 2, 1, 0, 2, 1, 0]);
}

#[test]
fn who_catches_other_exceptions_lets_it_pass() {
    let wasm = module(
        r#"
        (func $inner (param i32)
            (drop (call $pause (local.get 0)))
            (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $t (i32.const 10))))
            (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $u (i32.const 20)))))
        (func $middle (param i32) (result i32)
            (block $caught (result i32)
                (try_table (catch $u $caught) (call $inner (local.get 0)))
                (call $log (i32.const 5))
                (return (i32.const 0)))
            (call $log (i32.const 6))
            (i32.add (call $pause (local.get 0))))
        (func (export "run") (param i32) (result i32)
            (block $all
                (try_table (result i32) (catch_all $all) (call $middle (local.get 0)))
                (return))
            (call $log (i32.const 7))
            (i32.const -1))
        "#,
    );
    runs(&wasm, &[], ["-1", "24", "0"], &[7, 6, 5]);
}

#[test]
fn exceptions_are_kept_while_their_handler_is_suspended() {
    // In a local and as an operand; then thrown again, to a caller.
    let wasm = module(
        r#"
        (func $inner (param i32)
            (drop (call $pause (local.get 0)))
            (throw $t (i32.mul (local.get 0) (i32.const 11))))
        (func $middle (param i32)
            (local $e exnref)
            (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (call $inner (local.get 0)))
                (return))
            (local.set $e)
            (call $log (call $pause (local.get 0)))
            (local.get $e)
            (call $log (call $pause (i32.const 50)))
            (throw_ref))
        (func (export "run") (param i32) (result i32)
            (local $e exnref)
            (block $caught (result i32 exnref)
                (try_table (catch_ref $t $caught) (call $middle (local.get 0)))
                (return (i32.const 0)))
            (local.set $e)
            (i32.add (call $pause (i32.const 1000))))
        "#,
    );
    runs(&wasm, &[], ["2011", "2022", "2033"], &[2, 100, 4, 100, 6, 100]);
}

#[test]
fn operands_parameters_and_results_around() {
    let wasm = module(
        r#"
        (func $inner (param i32) (result i32)
            (if (i32.eq (call $pause (local.get 0)) (i32.const 4)) (then (throw $t (i32.const 9))))
            (call $pause (local.get 0)))
        (func (export "run") (param $n i32) (result i32)
            (i32.mul (local.get $n) (i32.const 100))
            (i32.add (local.get $n) (i32.const 1000))
            (block $caught (param i32) (result i32)
                (local.get $n)
                (try_table (param i32 i32) (result i32) (catch $t $caught)
                    (i32.add)
                    (i32.add (call $inner (local.get $n)) (i32.const 1))
                    (i32.add)))
            (i32.add))
        "#,
    );
    // n=1: 100 + ((1001 + 1) + (2 + 1)); n=2: 200 + 9; n=3: 300 + ((1003 + 3) + (6 + 1))
    runs(&wasm, &[], ["1105", "209", "1313"], &[]);
}

#[test]
fn a_loop_around() {
    let wasm = module(
        r#"
        (func $inner (param i32)
            (if (i32.and (call $pause (local.get 0)) (i32.const 2)) (then (throw $t (local.get 0)))))
        (func (export "run") (param $n i32) (result i32)
            (local $sum i32)
            (loop $again
                (block $next
                    (block $caught (result i32)
                        (try_table (catch $t $caught)
                            (call $inner (local.get $n))
                            (local.set $sum (i32.add (local.get $sum) (i32.const 100)))
                            (br $next))
                        (unreachable))
                    (local.set $sum (i32.add (local.get $sum))))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br_if $again (i32.lt_s (local.get $n) (i32.const 6))))
            (local.get $sum))
        "#,
    );
    // Odd numbers throw themselves: 1 + 100 + 3 + 100 + 5, and so on.
    runs(&wasm, &[], ["209", "208", "108"], &[]);
}

#[test]
fn what_nobody_catches_gets_to_the_host() {
    // The instance goes on.
    let wasm = module(
        r#"
        (func $inner (param i32) (result i32)
            (if (i32.eq (call $pause (local.get 0)) (i32.const 4)) (then (throw $u (i32.const 9))))
            (call $pause (local.get 0)))
        (func (export "run") (param i32) (result i32)
            (block $caught (result i32)
                (try_table (result i32) (catch $t $caught) (call $inner (local.get 0)))
                (return))
            (drop)
            (unreachable))
        "#,
    );
    runs(&wasm, &[], ["2", "exception", "6"], &[]);
}

#[test]
fn a_tail_call_leaves_the_block_that_catches() {
    let wasm = module(
        r#"
        (type $ii (func (param i32) (result i32)))
        (table funcref (elem $thrower))
        (func $thrower (param i32) (result i32)
            (throw $t (call $pause (local.get 0))))
        (func $direct (param i32) (result i32)
            (block $caught (result i32)
                (try_table (catch $t $caught)
                    (call $log (call $pause (i32.const 5)))
                    (return_call $thrower (local.get 0)))
                (unreachable))
            (drop)
            (i32.const -1))
        (func $through_a_table (param i32) (result i32)
            (block $all
                (try_table (catch_all $all)
                    (call $log (call $pause (i32.const 6)))
                    (return_call_indirect (type $ii) (local.get 0) (i32.const 0)))
                (unreachable))
            (i32.const -1))
        (func $suspending (param i32) (result i32)
            (block $all
                (try_table (catch_all $all)
                    (call $log (call $pause (i32.const 7)))
                    (return_call $pause (local.get 0)))
                (unreachable))
            (i32.const -1))
        (func (export "run") (param i32) (result i32)
            (block $caught (result i32)
                (try_table (result i32) (catch $t $caught)
                    (if (result i32) (i32.eq (local.get 0) (i32.const 1))
                        (then (call $direct (local.get 0)))
                        (else
                            (if (result i32) (i32.eq (local.get 0) (i32.const 2))
                                (then (call $through_a_table (local.get 0)))
                                (else (call $suspending (local.get 0)))))))
                (return))
            (i32.add (i32.const 1000)))
        "#,
    );
    runs(&wasm, &[], ["1002", "1004", "6"], &[10, 12, 14]);
}

#[test]
fn so_does_one_to_a_function_that_never_suspends_as_the_user_says() {
    let wasm = module(
        r#"
        (func $denied (param i32) (result i32)
            (if (i32.eqz (local.get 0)) (then (drop (call $pause (local.get 0)))))
            (throw $t (local.get 0)))
        (func $inner (param i32) (result i32)
            (block $all
                (try_table (catch_all $all)
                    (call $log (call $pause (i32.const 5)))
                    (return_call $denied (local.get 0)))
                (unreachable))
            (i32.const -1))
        (func (export "run") (param i32) (result i32)
            (block $caught (result i32)
                (try_table (result i32) (catch $t $caught) (call $inner (local.get 0)))
                (return))
            (i32.add (i32.const 1000)))
        "#,
    );
    runs(&wasm, &["denied"], ["1001", "1002", "1003"], &[10, 10, 10]);
}

#[test]
fn more_values_than_helpers_take() {
    let locals: String = (0..300).map(|n| format!("(local $l{n} i32)")).collect();
    let set: String =
        (0..300).map(|n| format!("(local.set $l{n} (i32.add (local.get 0) (i32.const {n})))")).collect();
    let sum: String = (0..300).map(|n| format!("(local.get $l{n}) (i32.add)")).collect();
    let wasm = module(&format!(
        r#"
        (func $inner (param i32)
            (drop (call $pause (local.get 0)))
            (throw $t (local.get 0)))
        (func $passes (param i32) (result i32)
            {locals}
            {set}
            (call $inner (local.get 0))
            (i32.const 0)
            {sum})
        (func (export "run") (param i32) (result i32)
            {locals}
            {set}
            (block $caught (result i32)
                (try_table (result i32) (catch $t $caught) (call $passes (local.get 0)))
                (return))
            {sum})
        "#
    ));
    // 301 n + 0 + 1 + ... + 299
    runs(&wasm, &[], ["45151", "45452", "45753"], &[]);
}

#[test]
fn tasks_catch_what_is_thrown_on_their_own_stacks() {
    // Two tasks throw after they were resumed, in turn; each catches its own.
    let body = r#"
        (table funcref (elem $first $second))
        (tag $t (param i32))
        (func $throws (param $from i32) (param $to i32)
            (call $to (local.get $from) (local.get $to))
            (throw $t (i32.mul (local.get $from) (i32.const 10))))
        (func $rounds (param $from i32) (param $to i32) (param $n i32)
            (loop $again
                (block $next
                    (block $caught (result i32)
                        (try_table (catch $t $caught) (call $throws (local.get $from) (local.get $to)))
                        (br $next))
                    (call $log (i32.add (local.get $n))))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (br_if $again (local.get $n))))
        (func $first (param i32) (result i32)
            (call $rounds (i32.const 1) (i32.const 2) (i32.const 3))
            (call $context (i32.const 2)))
        (func $second (param i32) (result i32)
            (call $rounds (i32.const 2) (i32.const 1) (i32.const 3))
            (i32.const 0))
        (func (export "go")
            (call $task (i32.const 1) (i32.const 0) (i32.const 0))
            (call $task (i32.const 2) (i32.const 1) (i32.const 0))
            (call $run (call $context (i32.const 1)))
            (call $own_sp))
    "#;
    let engine = engine();
    for optimize in Optimize::ALL {
        let mut options = Options::default();
        options.optimize = *optimize;
        let lowered = common::lower_with(&common::guest(body), &options);
        let host = Host { policy: Policy::Never, calls: 0, suspensions: 0, log: Vec::new() };
        let mut store = Store::new(&engine, host);
        let mut linker = Linker::new(&engine);
        let module = Module::new(&engine, &lowered.wasm).unwrap_or_else(|error| panic!("{error:?}"));
        linker
            .func_wrap("env", "log", |mut caller: Caller<'_, Host>, value: i32| {
                caller.data_mut().log.push(value);
            })
            .expect("an import");
        linker.define_unknown_imports_as_traps(&module).expect("imports");
        let instance = linker.instantiate(&mut store, &module).unwrap_or_else(|error| panic!("{error:?}"));
        let go = instance.get_typed_func::<(), ()>(&mut store, "go").expect("`go`");
        go.call(&mut store, ()).unwrap_or_else(|error| panic!("{optimize}: {error:?}"));
        assert_eq!(store.data().log, [13, 23, 12, 22, 11, 21, 0], "{optimize}");
    }
}
