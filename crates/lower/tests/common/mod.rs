//! Guests written by hand, lowered and run in wasmi, with what they did as a trace.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the support")]

pub mod asyncify;

use std::fmt::Debug;

use wasmi::{
    AsContextMut, Caller, Error, Func, Instance, Linker, Module, Ref, Store, TypedFunc, Val, WasmParams,
    WasmResults,
};
use windlass_lower::{Engine, Lowered, Optimize, Options};

/// The imports, memory and stacks that most guests here have. Task `k` has the 1,024 bytes from 65536 + 1024 k on as
/// its stack and, by convention, its context at address 4 k.
const PRELUDE: &str = r#"
    (import "windlass" "prepare" (func $prepare (param i32 i32 i32 i32) (result i32)))
    (import "env" "log" (func $log (param i32)))
    (import "windlass" "switch" (func $switch (param i32 i32)))
    (import "windlass" "run" (func $run (param i32)))
    (import "env" "call" (func $call (param i32)))
    (import "windlass" "leave" (func $leave (param i32)))
    (import "windlass" "discard" (func $discard (param i32)))
    (import "env" "try_call" (func $try_call (param i32) (result i32)))
    (import "windlass" "enter" (func $enter (result i32)))
    (import "env" "throw" (func $throw))
    (import "windlass" "exit" (func $exit))
    (import "env" "log_sp" (func $log_sp))
    (import "env" "try_initialize" (func $try_initialize (result i32)))
    (import "windlass" "fail" (func $fail))
    (memory (export "memory") 4)
    (global $__stack_pointer (export "__stack_pointer") (mut i32) (i32.const 65536))
    (func $push (param $bytes i32)
        (global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (local.get $bytes))))
    (func $pop (param $bytes i32)
        (global.set $__stack_pointer (i32.add (global.get $__stack_pointer) (local.get $bytes))))
    (func $own_sp (call $log (i32.sub (global.get $__stack_pointer) (i32.const 65536))))
    (func $task (param $k i32) (param $entry i32) (param $arg i32)
        (i32.store (i32.mul (local.get $k) (i32.const 4))
            (call $prepare
                (i32.add (i32.const 65536) (i32.mul (local.get $k) (i32.const 1024)))
                (i32.add (i32.const 66560) (i32.mul (local.get $k) (i32.const 1024)))
                (local.get $entry) (local.get $arg))))
    (func $context (param $k i32) (result i32)
        (i32.load (i32.mul (local.get $k) (i32.const 4))))
    (func $to (param $from i32) (param $to i32)
        (call $switch (i32.mul (local.get $from) (i32.const 4)) (call $context (local.get $to))))
"#;

const ABI: &str = r#"(@custom "windlass.abi" "\01\00\00\00")"#;

/// A guest with the usual imports and the given definitions.
pub fn guest(body: &str) -> Vec<u8> {
    assemble(&format!("(module {PRELUDE} {body} {ABI})"))
}

/// A guest of the current ABI with nothing but the given fields.
pub fn bare_guest(fields: &str) -> Vec<u8> {
    assemble(&format!("(module {fields} {ABI})"))
}

pub fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Lowers a guest; a `wasm-opt` that is missing fails the test with how to install it.
pub fn lower_with(wasm: &[u8], options: &Options) -> Lowered {
    windlass_lower::lower(wasm, options)
        .unwrap_or_else(|error| panic!("{error}\nhelp: {}", error.help().unwrap_or("none")))
}

pub fn lower(wasm: &[u8]) -> Lowered {
    lower_with(wasm, &Options::default())
}

/// The ways in which a module can be lowered.
pub const WAYS: [(Engine, Optimize); 4] = [
    (Engine::Own, Optimize::Speed),
    (Engine::Own, Optimize::Balanced),
    (Engine::Own, Optimize::Size),
    (Engine::Binaryen, Optimize::Balanced),
];

/// A module, lowered in each way.
pub fn lower_everywhere(wasm: &[u8], options: &Options) -> Vec<(String, Lowered)> {
    lower_everywhere_by(wasm, options, Engine::ALL)
}

fn lower_everywhere_by(wasm: &[u8], options: &Options, engines: &[Engine]) -> Vec<(String, Lowered)> {
    let ways = WAYS.iter().filter(|(via, _)| engines.contains(via));
    let lowered = ways.map(|(via, optimize)| {
        let mut options = options.clone();
        (options.via, options.optimize) = (*via, *optimize);
        (format!("{via} {optimize}"), lower_with(wasm, &options))
    });
    lowered.collect()
}

/// A lowered guest in an engine. `env.log` appends to the trace, `env.log_sp` the shadow stack pointer that an import
/// sees, as a distance from the top of the host's stack; `env.call` and `env.try_call` call the guest's export
/// `nested`, `env.try_initialize` its export `_initialize`; `env.throw` throws.
///
/// One guest may be there several times, lowered in different ways: each call is made in all of them, and what comes
/// back must be equal.
pub struct Running {
    instances: Vec<One>,
}

struct One {
    way: String,
    store: Store<Vec<i32>>,
    instance: Instance,
}

impl Running {
    pub fn new(lowered: &Lowered) -> Running {
        Running::from_wasm(&lowered.wasm)
    }

    pub fn from_wasm(wasm: &[u8]) -> Running {
        Running { instances: vec![One::new(String::new(), wasm)] }
    }

    /// A guest in each way.
    pub fn everywhere(wasm: &[u8], options: &Options) -> Running {
        let lowered = lower_everywhere(wasm, options).into_iter();
        Running { instances: lowered.map(|(way, lowered)| One::new(way, &lowered.wasm)).collect() }
    }

    /// A guest with the usual definitions, in each way.
    pub fn guest(body: &str) -> Running {
        Running::everywhere(&guest(body), &Options::default())
    }

    /// A guest with the usual definitions, in each way of the own engine.
    pub fn own(body: &str) -> Running {
        let guest = guest(body);
        let lowered = lower_everywhere_by(&guest, &Options::default(), &[Engine::Own]).into_iter();
        let exposed = |wasm: &[u8]| asyncify::exposed(wasm, asyncify::tables(&guest));
        Running { instances: lowered.map(|(way, lowered)| One::new(way, &exposed(&lowered.wasm))).collect() }
    }

    /// Does the same in each instance, and returns what is the same in each.
    fn all<R: PartialEq + Debug>(&mut self, what: &str, mut act: impl FnMut(&mut One) -> R) -> R {
        let mut results = self.instances.iter_mut().map(|one| (one.way.clone(), act(one)));
        let (first_way, first) = results.next().expect("a guest is lowered in one way at least");
        for (way, other) in results {
            assert_eq!(first, other, "{what}: {first_way} on the left, {way} on the right");
        }
        first
    }

    pub fn call<P: WasmParams + Clone, R: WasmResults + PartialEq + Debug>(
        &mut self,
        name: &str,
        params: P,
    ) -> R {
        self.all(name, |one| {
            one.function::<P, R>(name)
                .call(&mut one.store, params.clone())
                .unwrap_or_else(|error| panic!("{}: {name}: {error}; trace {:?}", one.way, one.store.data()))
        })
    }

    /// Calls an export that may trap, and says whether it returned.
    pub fn returns<P: WasmParams + Clone>(&mut self, name: &str, params: P) -> bool {
        self.all(name, |one| one.function::<P, ()>(name).call(&mut one.store, params.clone()).is_ok())
    }

    /// Calls an export that must trap, or let a host error through; returns the message.
    pub fn fails(&mut self, name: &str) -> String {
        self.all(name, |one| match one.function::<(), ()>(name).call(&mut one.store, ()) {
            Ok(()) => panic!("{}: {name} returned; trace {:?}", one.way, one.store.data()),
            Err(error) => error.to_string(),
        })
    }

    /// What was logged since the last time.
    pub fn trace(&mut self) -> Vec<i32> {
        self.all("the trace", |one| std::mem::take(one.store.data_mut()))
    }

    /// Calls `go` and returns the trace.
    pub fn go(&mut self) -> Vec<i32> {
        self.call::<(), ()>("go", ());
        self.trace()
    }

    /// The function of which `unreachable` was reached last, by name, in a guest that [`Running::own`] made.
    pub fn trapped_in(&mut self) -> String {
        self.all("the trap", |one| {
            let index = one.instance.get_global(&one.store, asyncify::WHY).expect("exposed").get(&one.store);
            let prefix = format!("{}{} ", asyncify::NAME, index.i32().expect("an i32"));
            let mut exports = one.instance.exports(&one.store);
            let name = exports.find_map(|export| export.name().strip_prefix(&prefix).map(str::to_owned));
            name.unwrap_or_else(|| panic!("no function has the index {index:?}"))
        })
    }

    /// The host puts an export into a global.
    pub fn pass(&mut self, global: &str, export: &str) {
        self.all(global, |one| {
            let function = one.instance.get_func(&one.store, export).expect("an export");
            let global = one.instance.get_global(&one.store, global).expect("a global");
            global.set(&mut one.store, Val::FuncRef(Ref::Val(function))).expect("is mutable");
        });
    }

    /// The host puts a function of its own into a table. It calls an export, and logs 7 before that and 8 after.
    pub fn put(&mut self, table: &str, place: u64, export: &'static str) {
        self.all(table, |one| {
            let function = Func::wrap(&mut one.store, move |mut caller: Caller<'_, Vec<i32>>| {
                let function = caller.get_export(export).and_then(wasmi::Extern::into_func);
                let function = function.ok_or_else(|| Error::new("no such export"))?;
                caller.data_mut().push(7);
                function.call(caller.as_context_mut(), &[], &mut [])?;
                caller.data_mut().push(8);
                Ok::<(), Error>(())
            });
            let table = one.instance.get_table(&one.store, table).expect("a table");
            table.set(&mut one.store, place, Val::FuncRef(Ref::Val(function))).expect("a place");
        });
    }

    pub fn stack_pointer(&mut self) -> i32 {
        self.all("the stack pointer", |one| {
            one.instance
                .get_global(&one.store, "__stack_pointer")
                .and_then(|global| global.get(&one.store).i32())
                .unwrap_or_else(|| panic!("no `__stack_pointer`"))
        })
    }
}

impl One {
    fn new(way: String, wasm: &[u8]) -> One {
        let engine = wasmi::Engine::default();
        let module = Module::new(&engine, wasm).unwrap_or_else(|error| panic!("{way}: {error}"));
        let mut store = Store::new(&engine, Vec::new());
        let mut linker = Linker::new(&engine);
        define(&mut linker).unwrap_or_else(|error| panic!("{way}: {error}"));
        let instance = linker
            .instantiate_and_start(&mut store, &module)
            .unwrap_or_else(|error| panic!("{way}: {error}"));
        One { way, store, instance }
    }

    fn function<P: WasmParams, R: WasmResults>(&self, name: &str) -> TypedFunc<P, R> {
        self.instance.get_typed_func(&self.store, name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

fn define(linker: &mut Linker<Vec<i32>>) -> Result<(), Error> {
    type Host<'a> = Caller<'a, Vec<i32>>;
    fn nested(caller: &mut Host<'_>, argument: i32) -> Result<(), Error> {
        let function = caller
            .get_export("nested")
            .and_then(wasmi::Extern::into_func)
            .ok_or_else(|| Error::new("no export `nested`"))?;
        let function = function.typed::<i32, ()>(&caller)?;
        function.call(caller.as_context_mut(), argument)
    }
    fn log_sp(mut caller: Host<'_>) {
        let sp = caller
            .get_export("__stack_pointer")
            .and_then(wasmi::Extern::into_global)
            .and_then(|global| global.get(&caller).i32());
        caller.data_mut().push(sp.unwrap_or(i32::MIN) - 65536);
    }
    linker.func_wrap("env", "log", |mut caller: Host<'_>, value: i32| {
        caller.data_mut().push(value);
    })?;
    linker.func_wrap("env", "log_sp", log_sp)?;
    linker.func_wrap("__wbindgen_placeholder__", "__wbindgen_describe", log_sp)?;
    linker.func_wrap("env", "call", |mut caller: Host<'_>, argument: i32| nested(&mut caller, argument))?;
    linker.func_wrap("env", "try_call", |mut caller: Host<'_>, argument: i32| {
        i32::from(nested(&mut caller, argument).is_err())
    })?;
    linker.func_wrap("env", "try_initialize", |mut caller: Host<'_>| -> Result<i32, Error> {
        let function = caller.get_export("_initialize").and_then(wasmi::Extern::into_func);
        let function =
            function.ok_or_else(|| Error::new("no export `_initialize`"))?.typed::<(), ()>(&caller)?;
        Ok(i32::from(function.call(caller.as_context_mut(), ()).is_err()))
    })?;
    linker.func_wrap("env", "throw", || -> Result<(), Error> { Err(Error::new("thrown by the host")) })?;
    Ok(())
}

/// The names of functions, by index.
pub fn names(wasm: &[u8]) -> Vec<(u32, String)> {
    let mut names = Vec::new();
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        if let wasmparser::Payload::CustomSection(section) = payload.expect("a valid module")
            && let wasmparser::KnownCustom::Name(section) = section.as_known()
        {
            for subsection in section {
                if let wasmparser::Name::Function(map) = subsection.expect("names") {
                    let map = map.into_iter().map(|naming| naming.expect("a name"));
                    names.extend(map.map(|naming| (naming.index, naming.name.to_owned())));
                }
            }
        }
    }
    names
}
