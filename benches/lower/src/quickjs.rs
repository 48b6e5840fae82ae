//! QuickJS, the package `@jitl/quickjs-wasmfile-release-sync` 0.32 or a lowering of it, with just the host that it needs:
//! no files, a clock that stands still, no host functions. `node/quickjs.mjs` is the same for Node.

use wasmtime::{
    Caller, Error, Instance, Linker, Memory, MemoryType, Module, Store, TypedFunc, WasmParams, WasmResults,
};

use crate::error::Result;

// Emscripten's names of the exports.
const INITIALIZE: &str = "u";
const MALLOC: &str = "v";
const NEW_RUNTIME: &str = "K";
const NEW_CONTEXT: &str = "N";
const FREE_VALUE: &str = "P";
const FREE_CSTRING: &str = "S";
const RESOLVE_EXCEPTION: &str = "na";
const DUMP: &str = "oa";
const EVAL: &str = "pa";

/// Context, source and its length, file name, two flags.
type Eval = TypedFunc<(i32, i32, i32, i32, i32, i32), i32>;

pub(crate) struct QuickJs {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    eval: Eval,
    context: i32,
    source: i32,
    length: i32,
    name: i32,
}

impl QuickJs {
    /// An instance that has `program` in its memory.
    pub(crate) fn new(module: &Module, program: &str) -> Result<QuickJs> {
        let mut store = Store::new(module.engine(), ());
        let memory = Memory::new(&mut store, MemoryType::new(256, Some(32768)))?;
        let mut linker = Linker::new(module.engine());
        define(&mut linker, &mut store, memory)?;
        let instance = linker.instantiate(&mut store, module)?;
        let eval = instance.get_typed_func(&mut store, EVAL)?;
        let length = i32::try_from(program.len())?;
        let mut this = QuickJs { store, instance, memory, eval, context: 0, source: 0, length, name: 0 };
        this.call::<(), ()>(INITIALIZE, ())?;
        let runtime: i32 = this.call(NEW_RUNTIME, ())?;
        this.context = this.call(NEW_CONTEXT, (runtime, 0))?;
        this.source = this.write(program)?;
        this.name = this.write("bench.js")?;
        Ok(this)
    }

    /// Runs the program; returns a handle of its result.
    pub(crate) fn evaluate(&mut self) -> Result<i32> {
        Ok(self.eval.call(&mut self.store, (self.context, self.source, self.length, self.name, 0, 0))?)
    }

    /// The result as text. Frees it.
    pub(crate) fn take(&mut self, value: i32) -> Result<String> {
        let thrown: i32 = self.call(RESOLVE_EXCEPTION, (self.context, value))?;
        if thrown != 0 {
            return Err(format!("the program threw {}", self.dump(thrown)?).into());
        }
        let text = self.dump(value)?;
        self.call::<_, ()>(FREE_VALUE, (self.context, value))?;
        Ok(text)
    }

    fn dump(&mut self, value: i32) -> Result<String> {
        let at: i32 = self.call(DUMP, (self.context, value))?;
        let bytes = &self.memory.data(&self.store)[at as usize..];
        let bytes = bytes.split(|&byte| byte == 0).next().unwrap_or(bytes);
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.call::<_, ()>(FREE_CSTRING, (self.context, at))?;
        Ok(text)
    }

    fn write(&mut self, text: &str) -> Result<i32> {
        let at: i32 = self.call(MALLOC, i32::try_from(text.len() + 1)?)?;
        self.memory.write(&mut self.store, at as usize, text.as_bytes())?;
        self.memory.write(&mut self.store, at as usize + text.len(), &[0])?;
        Ok(at)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, export: &str, params: P) -> Result<R> {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&mut self.store, export)?;
        Ok(function.call(&mut self.store, params)?)
    }
}

fn define(linker: &mut Linker<()>, store: &mut Store<()>, memory: Memory) -> wasmtime::Result<()> {
    fn fails<T>(what: &str) -> wasmtime::Result<T> {
        Err(Error::msg(format!("QuickJS called its import {what}")))
    }
    linker.define(&mut *store, "a", "a", memory)?;
    linker.func_wrap("a", "b", |_: i32, _: i32, _: i32, _: i32| fails::<()>("assert"))?;
    linker.func_wrap("a", "c", |_: i32, _: i32, _: i32, _: i32| 0_i32)?;
    linker.func_wrap("a", "d", |_: i32| 52_i32)?;
    linker.func_wrap("a", "e", |_: i32, _: i32| 0_i32)?;
    linker.func_wrap(
        "a",
        "f",
        move |mut caller: Caller<'_, ()>, count: i32, size: i32| -> wasmtime::Result<i32> {
            memory.write(&mut caller, count as usize, &[0; 4])?;
            memory.write(&mut caller, size as usize, &[0; 4])?;
            Ok(0)
        },
    )?;
    linker.func_wrap("a", "g", |_: i32, _: i32, _: i32, _: i32| fails::<i32>("normalize module"))?;
    linker.func_wrap("a", "h", |_: i32, _: i32, _: i32| fails::<i32>("load module"))?;
    linker.func_wrap("a", "i", |_: i32| 0_i32)?;
    linker.func_wrap("a", "j", |_: i32, _: f64| 0_i32)?;
    linker.func_wrap("a", "k", move |mut caller: Caller<'_, ()>, size: i32| -> i32 {
        let wanted = u64::from(size.cast_unsigned()).div_ceil(65536);
        let more = wanted.saturating_sub(memory.size(&caller));
        i32::from(memory.grow(&mut caller, more).is_ok())
    })?;
    linker.func_wrap("a", "l", || {})?;
    linker.func_wrap("a", "m", |_: i64, _: i32| {})?;
    linker.func_wrap("a", "n", |_: i32, _: i32, _: i32, _: i32| {})?;
    linker.func_wrap("a", "o", |_: i32, _: i64, _: i32, _: i32| 70_i32)?;
    linker.func_wrap("a", "p", || 1.7e12_f64)?;
    linker.func_wrap("a", "q", || fails::<()>("abort"))?;
    linker.func_wrap("a", "r", |_: i32| fails::<()>("exit"))?;
    linker.func_wrap("a", "s", |_: i32, _: i32, _: i32, _: i32, _: i32| fails::<i32>("call function"))?;
    linker.func_wrap("a", "t", |_: i32, _: i32| {})?;
    Ok(())
}
