//! Guests written by hand, lowered and run in wasmi, with what they did as a trace.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of the support")]

use wasmi::{
    AsContextMut, Caller, Engine, Error, Instance, Linker, Module, Store, TypedFunc, WasmParams, WasmResults,
};
use windlass_lower::{Lowered, Optimize, Options};

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

/// As the tool writes a module before the optimiser has moved anything.
pub fn lower_plainly(wasm: &[u8]) -> Lowered {
    let mut options = Options::default();
    options.optimize = Optimize::None;
    lower_with(wasm, &options)
}

/// A lowered guest in an engine. `env.log` appends to the trace, `env.log_sp` the shadow stack pointer that an import
/// sees, as a distance from the top of the host's stack; `env.call` and `env.try_call` call the guest's export
/// `nested`, `env.try_initialize` its export `_initialize`; `env.throw` throws.
pub struct Running {
    store: Store<Vec<i32>>,
    instance: Instance,
}

impl Running {
    pub fn new(lowered: &Lowered) -> Running {
        assert!(lowered.report.wasm_opt.is_some(), "wasm-opt must have run");
        Running::from_wasm(&lowered.wasm)
    }

    pub fn from_wasm(wasm: &[u8]) -> Running {
        let engine = Engine::default();
        let module = Module::new(&engine, wasm).unwrap_or_else(|error| panic!("{error}"));
        let mut store = Store::new(&engine, Vec::new());
        let mut linker = Linker::new(&engine);
        define(&mut linker).unwrap_or_else(|error| panic!("{error}"));
        let instance =
            linker.instantiate_and_start(&mut store, &module).unwrap_or_else(|error| panic!("{error}"));
        Running { store, instance }
    }

    /// A lowered guest with the usual definitions.
    pub fn guest(body: &str) -> Running {
        Running::new(&lower(&guest(body)))
    }

    fn function<P: WasmParams, R: WasmResults>(&self, name: &str) -> TypedFunc<P, R> {
        self.instance.get_typed_func(&self.store, name).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> R {
        self.function(name)
            .call(&mut self.store, params)
            .unwrap_or_else(|error| panic!("{name}: {error}; trace {:?}", self.store.data()))
    }

    /// Calls an export that must trap, or let a host error through; returns the message.
    pub fn fails(&mut self, name: &str) -> String {
        match self.function::<(), ()>(name).call(&mut self.store, ()) {
            Ok(()) => panic!("{name} returned; trace {:?}", self.store.data()),
            Err(error) => error.to_string(),
        }
    }

    /// What was logged since the last time.
    pub fn trace(&mut self) -> Vec<i32> {
        std::mem::take(self.store.data_mut())
    }

    /// Calls `go` and returns the trace.
    pub fn go(&mut self) -> Vec<i32> {
        self.call::<(), ()>("go", ());
        self.trace()
    }

    pub fn stack_pointer(&mut self) -> i32 {
        self.instance
            .get_global(&self.store, "__stack_pointer")
            .and_then(|global| global.get(&self.store).i32())
            .unwrap_or_else(|| panic!("no `__stack_pointer`"))
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
