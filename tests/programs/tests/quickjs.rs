//! QuickJS runs the scripts of tests/programs/quickjs in wasmtime; each call of a host function may suspend the interpreter.

use std::fs;

use program_tests::{
    Host, Plan, attach, call, call_unit, enter, give, same_as_base, take_text, to_guest, with_large_stack,
};
use wasmtime::{
    AsContextMut, Caller, Engine, Error, Linker, Memory, MemoryType, Module, Result, Store, Val, ensure,
};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/quickjs/scripts");

/// `QTS_Eval pa`: what Emscripten called an export.
const EXPORTS: &str = include_str!("../quickjs/exports.txt");

/// The functions that scripts can call, by their number.
const FUNCTIONS: [&str; 8] =
    ["host", "hostNumber", "hostCompare", "hostUpper", "hostThrow", "hostEval", "hostCall", "print"];

#[derive(Default)]
struct QuickJs {
    context: i32,
    milliseconds: f64,
    output: String,
}

type Guest<'a> = Caller<'a, Host<QuickJs>>;

fn export(name: &str) -> Result<&'static str> {
    let mut lines = EXPORTS.lines().filter_map(|line| line.split_once(' '));
    let found = lines.find(|(long, _)| *long == name);
    found.map(|(_, short)| short).ok_or_else(|| Error::msg(format!("exports.txt has no {name}")))
}

/// What the host does with the guest, out of its imports or from outside.
trait InGuest: AsContextMut<Data = Host<QuickJs>> + Sized {
    /// An export that gives a value or a pointer.
    fn give(&mut self, name: &str, arguments: &[i32]) -> Result<i32> {
        let arguments: Vec<Val> = arguments.iter().copied().map(Val::I32).collect();
        call(self, export(name)?, &arguments)
    }

    /// An export that gives nothing.
    fn run(&mut self, name: &str, arguments: &[i32]) -> Result<()> {
        let arguments: Vec<Val> = arguments.iter().copied().map(Val::I32).collect();
        call_unit(&mut *self, export(name)?, &arguments)
    }

    fn context(&self) -> i32 {
        self.as_context().data().program.context
    }

    /// With a zero at its end, to be freed.
    fn c_text(&mut self, text: &str) -> Result<i32> {
        Ok(to_guest(&mut *self, format!("{text}\0").as_bytes())?.cast_signed())
    }

    fn free(&mut self, pointer: i32) -> Result<()> {
        give(&mut *self, pointer.cast_unsigned())
    }

    fn number(&mut self, value: f64) -> Result<i32> {
        let context = self.context();
        call(&mut *self, export("QTS_NewFloat64")?, &[Val::I32(context), value.into()])
    }

    fn to_number(&mut self, value: i32) -> Result<f64> {
        let context = self.context();
        call(&mut *self, export("QTS_GetFloat64")?, &[Val::I32(context), Val::I32(value)])
    }

    fn string(&mut self, text: &str) -> Result<i32> {
        let (context, text) = (self.context(), self.c_text(text)?);
        let value = self.give("QTS_NewString", &[context, text])?;
        self.free(text)?;
        Ok(value)
    }

    fn text_of(&mut self, value: i32) -> Result<String> {
        let context = self.context();
        let pointer = self.give("QTS_GetString", &[context, value])?;
        let text = take_text(&*self, pointer.cast_unsigned())?;
        self.run("QTS_FreeCString", &[context, pointer])?;
        Ok(text)
    }

    fn drop_value(&mut self, value: i32) -> Result<()> {
        let context = self.context();
        self.run("QTS_FreeValuePointer", &[context, value])
    }

    fn define(&mut self, name: &str, arity: i32, id: i32) -> Result<()> {
        let (context, text) = (self.context(), self.c_text(name)?);
        let function = self.give("QTS_NewFunction", &[context, text, arity, 0, id])?;
        self.free(text)?;
        let global = self.give("QTS_GetGlobalObject", &[context])?;
        let key = self.string(name)?;
        self.run("QTS_SetProp", &[context, global, key, function])?;
        [global, key, function].into_iter().try_for_each(|value| self.drop_value(value))
    }

    fn eval(&mut self, source: &str, file: &str) -> Result<i32> {
        let context = self.context();
        let (code, name) = (self.c_text(source)?, self.c_text(file)?);
        let value = self.give("QTS_Eval", &[context, code, i32::try_from(source.len())?, name, 0, 0])?;
        self.free(code)?;
        self.free(name)?;
        Ok(value)
    }

    fn call_value(&mut self, function: i32, argument: i32) -> Result<i32> {
        let context = self.context();
        let undefined = self.eval("undefined", "this.js")?;
        let argv = to_guest(&mut *self, &argument.to_le_bytes())?.cast_signed();
        let value = self.give("QTS_Call", &[context, function, undefined, 1, argv])?;
        self.free(argv)?;
        self.drop_value(undefined)?;
        Ok(value)
    }

    fn print(&mut self, text: &str) {
        self.as_context_mut().data_mut().program.output += &format!("{text}\n");
    }

    /// What a function of the host gives.
    fn host_function(&mut self, id: i32, arguments: &[i32]) -> Result<i32> {
        let context = self.context();
        let name = usize::try_from(id - 1).ok().and_then(|index| FUNCTIONS.get(index)).copied();
        match (name, arguments) {
            (Some("host"), &[value]) => self.give("QTS_DupValuePointer", &[context, value]),
            (Some("hostNumber"), &[value]) => {
                let number = self.to_number(value)?;
                self.number(2.0 * number + 1.0)
            }
            (Some("hostCompare"), &[a, b]) => {
                let difference = self.to_number(a)? - self.to_number(b)?;
                self.number(difference)
            }
            (Some("hostUpper"), &[value]) => {
                let text = self.text_of(value)?.to_uppercase();
                self.string(&text)
            }
            (Some("hostThrow"), &[value]) => self.give("QTS_Throw", &[context, value]),
            (Some("hostEval"), &[value]) => {
                let source = self.text_of(value)?;
                self.eval(&source, "nested.js")
            }
            (Some("hostCall"), &[function, argument]) => self.call_value(function, argument),
            (Some("print"), &[value]) => {
                let text = self.text_of(value)?;
                self.print(&text);
                Ok(0)
            }
            (name, arguments) => Err(Error::msg(format!("{name:?} with {} arguments", arguments.len()))),
        }
    }

    /// Runs a script and what it leaves to do, and prints its value.
    fn script(&mut self, source: &str) -> Result<()> {
        self.run("__wasm_call_ctors", &[])?;
        let runtime = self.give("QTS_NewRuntime", &[])?;
        // Endless recursion has to end before it has used up the engine's own stack.
        self.run("QTS_RuntimeSetMaxStackSize", &[runtime, 48 * 1024])?;
        let context = self.give("QTS_NewContext", &[runtime, 0])?;
        self.as_context_mut().data_mut().program.context = context;
        for (id, name) in (1..).zip(FUNCTIONS) {
            let arity = if matches!(name, "hostCompare" | "hostCall") { 2 } else { 1 };
            self.define(name, arity, id)?;
        }
        let value = self.eval(source, "script.js")?;
        let error = self.give("QTS_ResolveException", &[context, value])?;
        let text = if error == 0 {
            format!("value: {}", self.text_of(value)?)
        } else {
            format!("error: {}", self.text_of(error)?)
        };
        self.print(&text);
        if error != 0 {
            self.drop_value(error)?;
        }
        self.drop_value(value)?;
        while self.give("QTS_IsJobPending", &[runtime])? != 0 {
            let into = to_guest(&mut *self, &[0; 4])?.cast_signed();
            let result = self.give("QTS_ExecutePendingJob", &[runtime, 255, into])?;
            self.drop_value(result)?;
            self.free(into)?;
        }
        self.run("QTS_FreeContext", &[context])?;
        self.run("QTS_FreeRuntime", &[runtime])
    }
}

impl<T: AsContextMut<Data = Host<QuickJs>>> InGuest for T {}

fn put(caller: &mut Guest<'_>, at: i32, words: &[i32]) -> Result<()> {
    let memory = caller.data().memory()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    Ok(memory.write(caller, at.cast_unsigned() as usize, &bytes)?)
}

/// `a.s`: a script calls a function of the host.
fn call_function(
    mut caller: Guest<'_>,
    context: i32,
    this: i32,
    argc: i32,
    argv: i32,
    id: i32,
) -> Result<i32> {
    if !enter(&mut caller, "s", (context, this, argc, argv, id))? {
        return Ok(0);
    }
    let argument = |index| caller.give("QTS_ArgvGetJSValueConstPointer", &[argv, index]);
    let arguments = (0..argc).map(argument).collect::<Result<Vec<_>>>()?;
    caller.host_function(id, &arguments)
}

/// `a.p`: a clock that ticks each time that it is read.
fn now(mut caller: Guest<'_>) -> Result<f64> {
    if !enter(&mut caller, "p", ())? {
        return Ok(0.0);
    }
    let milliseconds = &mut caller.data_mut().program.milliseconds;
    *milliseconds += 1.0;
    Ok(*milliseconds)
}

/// `a.n`: the time zone is UTC.
fn time_zone(mut caller: Guest<'_>, offset: i32, daylight: i32, standard: i32, summer: i32) -> Result<()> {
    if enter(&mut caller, "n", (offset, daylight, standard, summer))? {
        put(&mut caller, offset, &[0])?;
        put(&mut caller, daylight, &[0])?;
        for name in [standard, summer] {
            put(&mut caller, name, &[i32::from_le_bytes(*b"UTC\0")])?;
        }
    }
    Ok(())
}

/// `a.m`: no fields of a local time but zeros; what scripts see of them is the offset from UTC.
fn local_time(mut caller: Guest<'_>, seconds: i64, into: i32) -> Result<()> {
    if enter(&mut caller, "m", (seconds, into))? {
        put(&mut caller, into, &[0; 10])?;
    }
    Ok(())
}

fn linker(engine: &Engine) -> Result<Linker<Host<QuickJs>>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("a", "s", call_function)?;
    linker.func_wrap("a", "p", now)?;
    linker.func_wrap("a", "n", time_zone)?;
    linker.func_wrap("a", "m", local_time)?;
    linker.func_wrap("a", "t", |_: i32, _: i32| ())?;
    // An empty environment.
    linker.func_wrap("a", "e", |_: i32, _: i32| 0)?;
    linker.func_wrap("a", "f", |mut caller: Guest<'_>, count: i32, size: i32| {
        put(&mut caller, count, &[0])?;
        put(&mut caller, size, &[0])?;
        Ok(0)
    })?;
    linker.func_wrap("a", "k", |mut caller: Guest<'_>, size: u32| {
        let memory = caller.data().memory()?;
        let missing = u64::from(size).div_ceil(65536).saturating_sub(memory.size(&caller));
        memory.grow(&mut caller, missing).map(|_| 1)
    })?;
    Ok(linker)
}

fn run(engine: &Engine, module: &Module, plan: Option<Plan>, source: &str) -> Result<(String, u64)> {
    let mut linker = linker(engine)?;
    let mut store = Store::new(engine, Host::new(QuickJs::default(), plan));
    let memory = Memory::new(&mut store, MemoryType::new(256, Some(32768)))?;
    linker.define(&store, "a", "a", memory)?;
    linker.define_unknown_imports_as_traps(module)?;
    let instance = linker.instantiate(&mut store, module)?;
    let [malloc, free] = ["malloc", "free"].map(export);
    attach(&mut store, instance, memory, [malloc?, free?])?;
    store.script(source)?;
    let host = store.into_data();
    Ok((host.program.output, host.suspensions))
}

#[test]
#[ignore = "needs what `node tests/programs/run.mjs --prepare` makes"]
fn scripts_print_the_same_wherever_they_are_suspended() {
    with_large_stack(|| {
        let mut scripts: Vec<_> =
            fs::read_dir(SCRIPTS)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        scripts.sort();
        ensure!(scripts.len() >= 12, "there are {} scripts", scripts.len());
        let sources = scripts.iter().map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
        same_as_base("quickjs", |engine, module, plan| {
            let mut all = (String::new(), 0);
            for (path, source) in scripts.iter().zip(&sources) {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                let (output, suspensions) =
                    run(engine, module, plan, source).map_err(|error| error.context(format!("{file}")))?;
                all.0 += &output.lines().map(|line| format!("{file}: {line}\n")).collect::<String>();
                all.1 += suspensions;
            }
            Ok(all)
        })
    });
}
