//! Modules of the asyncify ABI: run as they are, then lowered in every way and suspended, with what can be seen of it.
//!
//! A module here exports memory 0 as `memory`, with at least two pages; from [`BUFFER`] on to the end it has at first,
//! memory is the host's. Its exports `run*` are called in order. What it imports does what [`Host`] says: imports named
//! `pause*` may suspend, those named `throw*` fail.

use std::collections::HashMap;
use std::fmt::Write as _;

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasmi::{
    AsContext, AsContextMut, Caller, Extern, ExternRef, ExternType, Func, Instance, Linker, Memory, Module,
    Ref, Store, Val, ValType,
};
use windlass_lower::{Abi, Engine, Optimize, Options};

/// Where the host keeps its buffer: `{current, end}`, then frames.
pub const BUFFER: u32 = 0x1_0000;

/// When an import that may suspend does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Never,
    Always,
    /// Each other time.
    Odd,
}

/// Whatever imports do: each call is noted, and returns what its number says.
pub struct Host {
    log: Vec<String>,
    policy: Policy,
    /// Calls that were noted.
    calls: u32,
    suspensions: u32,
    pending: Option<Pending>,
    /// The end of the buffer.
    end: u32,
    /// Whether the buffer is left alone after `stop_rewind`.
    stable: bool,
    acts: HashMap<String, Act>,
}

/// What an import does last, before it returns.
pub type Act = fn(&mut Caller<'_, Host>) -> Result<(), wasmi::Error>;

struct Pending {
    call: String,
    number: u32,
}

/// How a module is lowered, for messages.
pub struct Way {
    pub name: String,
    pub options: Options,
}

/// Every way of the own engine.
pub fn own_ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for optimize in Optimize::ALL {
        for stable in [false, true] {
            let mut options = options();
            options.optimize = *optimize;
            options.stable_buffer = stable;
            ways.push(Way { name: format!("{optimize}{}", if stable { ", stable" } else { "" }), options });
        }
    }
    ways
}

/// Options for modules as they are here.
pub fn options() -> Options {
    let mut options = Options::default();
    options.abi = Abi::Asyncify;
    options.suspending_imports = vec!["env.pause*".to_owned()];
    options
}

/// A module to be run in every way.
pub struct Subject {
    wasm: Vec<u8>,
    binaryen: bool,
    rounds: u32,
    tuning: Box<dyn Fn(&mut Options)>,
}

/// A module with these fields, a memory of two pages and the imports `pause` and `log`, both of `(i32) -> (i32)`.
pub fn subject(fields: &str) -> Subject {
    whole(&format!(
        r#"(module
            (import "env" "pause" (func $pause (param i32) (result i32)))
            (import "env" "log" (func $log (param i32) (result i32)))
            (memory (export "memory") 2)
            {fields})"#
    ))
}

/// A module.
pub fn whole(text: &str) -> Subject {
    Subject { wasm: super::assemble(text), binaryen: true, rounds: 1, tuning: Box::new(|_| ()) }
}

impl Subject {
    /// Leaves out the second opinion, which cannot be had.
    pub fn without_binaryen(self, _why: &str) -> Subject {
        Subject { binaryen: false, ..self }
    }

    /// Makes all calls so often.
    pub fn rounds(self, rounds: u32) -> Subject {
        Subject { rounds, ..self }
    }

    /// Lowers with other options.
    pub fn with(self, tuning: impl Fn(&mut Options) + 'static) -> Subject {
        Subject { tuning: Box::new(tuning), ..self }
    }

    /// Runs it in every way; each must do what the module as it is does. Returns that.
    pub fn same(self) -> Seen {
        let expected = run(&self.wasm, None, self.rounds);
        let mut ways = own_ways();
        if self.binaryen {
            let mut options = options();
            options.via = Engine::Binaryen;
            ways.push(Way { name: "binaryen".to_owned(), options });
        }
        for mut way in ways {
            (self.tuning)(&mut way.options);
            let lowered = match windlass_lower::lower(&self.wasm, &way.options) {
                Ok(lowered) => lowered,
                Err(error) => panic!("{}: {error}", way.name),
            };
            let exposed = exposed(&lowered.wasm, tables(&self.wasm));
            for policy in [Policy::Never, Policy::Always, Policy::Odd] {
                let means =
                    Means { policy, stable: way.options.stable_buffer, own: way.options.via == Engine::Own };
                // Shown if something fails.
                println!("{}, {policy:?}", way.name);
                let seen = run(&exposed, Some(means), self.rounds);
                assert_eq!(expected.text, seen.text, "{}, {policy:?}: as it is on the left", way.name);
                let wrong = match policy {
                    Policy::Never => seen.suspensions > 0,
                    Policy::Always => seen.suspensions == 0,
                    Policy::Odd => false,
                };
                assert!(!wrong, "{}, {policy:?}: {} suspensions", way.name, seen.suspensions);
            }
        }
        expected
    }
}

/// What can be seen of a run.
#[derive(Debug)]
pub struct Seen {
    /// Calls with their arguments, results and traps; at the end what is exported.
    pub text: Vec<String>,
    pub suspensions: u32,
}

impl Seen {
    /// What the exports returned, a line each.
    pub fn results(&self) -> Vec<&str> {
        self.text.iter().filter_map(|line| line.strip_prefix("= ")).collect()
    }
}

/// How a lowered module is run.
#[derive(Clone, Copy)]
struct Means {
    policy: Policy,
    stable: bool,
    own: bool,
}

fn run(wasm: &[u8], means: Option<Means>, rounds: u32) -> Seen {
    let mut instance = match means {
        None => Running::plain(wasm),
        Some(means) => Running::lowered(wasm, means.policy, means.stable),
    };
    let exports = instance.exports("run");
    let mut trapped = false;
    for round in 0..rounds {
        for (position, name) in exports.iter().enumerate() {
            let ended = instance.call_numbered(name, round * 16 + position as u32);
            trapped |= ended.is_err();
            let text = match ended {
                Ok(results) => format!("= {name}: {}", results.join(" ")),
                Err(trap) => format!("= {name}: {trap}"),
            };
            instance.store.data_mut().log.push(text);
        }
    }
    if means.is_some_and(|means| means.own) && !trapped {
        instance.assert_nothing_kept();
    }
    instance.note_exports();
    let Host { log, suspensions, .. } = instance.store.into_data();
    Seen { text: log, suspensions }
}

/// A module in an engine.
pub struct Running {
    pub store: Store<Host>,
    pub instance: Instance,
    is_lowered: bool,
    end: u32,
}

impl Running {
    pub fn plain(wasm: &[u8]) -> Running {
        Running::new(wasm, false, Policy::Never, true)
    }

    /// Lowers a module and runs it.
    pub fn of(wasm: &[u8], options: &Options, policy: Policy) -> Running {
        let lowered = super::lower_with(wasm, options);
        Running::lowered(&exposed(&lowered.wasm, tables(wasm)), policy, options.stable_buffer)
    }

    fn lowered(exposed: &[u8], policy: Policy, stable: bool) -> Running {
        Running::new(exposed, true, policy, stable)
    }

    fn new(wasm: &[u8], is_lowered: bool, policy: Policy, stable: bool) -> Running {
        let mut config = wasmi::Config::default();
        config.set_max_recursion_depth(100_000).set_max_stack_height(1 << 24);
        config.wasm_multi_memory(true).wasm_simd(true).wasm_tail_call(true);
        let engine = wasmi::Engine::new(&config);
        let module = Module::new(&engine, wasm).unwrap_or_else(|error| panic!("{error}"));
        let host = Host {
            log: Vec::new(),
            policy,
            calls: 0,
            suspensions: 0,
            pending: None,
            end: 0,
            stable,
            acts: HashMap::new(),
        };
        let mut store = Store::new(&engine, host);
        let mut linker = Linker::new(&engine);
        define(&module, &mut store, &mut linker);
        let instance =
            linker.instantiate_and_start(&mut store, &module).unwrap_or_else(|error| panic!("{error}"));
        let end = instance.get_memory(&store, "memory").map_or(0, |memory| memory.data_size(&store) as u32);
        store.data_mut().end = end;
        Running { store, instance, is_lowered, end }
    }

    pub fn memory(&self) -> Memory {
        self.instance.get_memory(&self.store, "memory").expect("a memory")
    }

    pub fn word(&self, at: u32) -> u32 {
        word(&self.store, self.memory(), at)
    }

    pub fn set_word(&mut self, at: u32, value: u32) {
        self.memory().write(&mut self.store, at as usize, &value.to_le_bytes()).expect("is in bounds");
    }

    /// Where the host's buffer ends.
    pub fn set_end(&mut self, end: u32) {
        self.end = end;
        self.store.data_mut().end = end;
    }

    /// When imports suspend from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.store.data_mut().policy = policy;
    }

    /// From now on an import does something more.
    pub fn acts(&mut self, import: &str, act: Act) {
        self.store.data_mut().acts.insert(import.to_owned(), act);
    }

    /// A function of the host's that does what the import of that name would do.
    pub fn host_function(&mut self, name: &str, ty: wasmi::FuncType) -> Func {
        host_function(&mut self.store, name, ty)
    }

    pub fn table(&self, name: &str) -> wasmi::Table {
        self.instance.get_table(&self.store, name).expect("an exported table")
    }

    /// A table of the module, exported or not.
    pub fn own_table(&self, number: u32) -> wasmi::Table {
        self.table(&format!("{OWN_TABLE}{number}"))
    }

    /// Whatever was suspended never goes on.
    pub fn forget_suspension(&mut self) {
        self.store.data_mut().pending = None;
    }

    /// The host has put back a buffer with a call that is suspended.
    pub fn suspend_again(&mut self, call: &str) {
        let number = self.store.data().calls;
        self.store.data_mut().pending = Some(Pending { call: call.to_owned(), number });
    }

    pub fn is_stable(&self) -> bool {
        self.store.data().stable
    }

    pub fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.store.data_mut().log)
    }

    pub fn suspensions(&self) -> u32 {
        self.store.data().suspensions
    }

    fn exports(&self, prefix: &str) -> Vec<String> {
        let exports = self.instance.exports(&self.store);
        let functions = exports.filter(|export| export.clone().into_func().is_some());
        functions.map(|export| export.name().to_owned()).filter(|name| name.starts_with(prefix)).collect()
    }

    fn function(&self, name: &str) -> Func {
        self.instance.get_func(&self.store, name).unwrap_or_else(|| panic!("no export `{name}`"))
    }

    /// Calls an export with arguments that a number makes.
    pub fn call_numbered(&mut self, name: &str, number: u32) -> Result<Vec<String>, String> {
        let ty = self.function(name).ty(&self.store);
        let args = ty.params().iter().zip(number..);
        let args: Vec<Val> = args.map(|(ty, number)| value(&mut self.store, *ty, number, None)).collect();
        self.call(name, &args)
    }

    /// Calls an export, and resumes it until it is over.
    pub fn call(&mut self, name: &str, args: &[Val]) -> Result<Vec<String>, String> {
        let mut done = self.enter(name, args)?;
        while self.is_lowered && self.state() == 1 {
            self.stop_unwind();
            done = self.rewind(name)?;
        }
        Ok(done)
    }

    /// Calls an export once.
    pub fn enter(&mut self, name: &str, args: &[Val]) -> Result<Vec<String>, String> {
        let function = self.function(name);
        let ty = function.ty(&self.store);
        let mut results: Vec<Val> = ty.results().iter().map(|ty| Val::default(*ty)).collect();
        match function.call(&mut self.store, args, &mut results) {
            Ok(()) => Ok(results.iter().map(|value| show(&self.store, value)).collect()),
            Err(error) => {
                let text = error.as_trap_code().map_or(error.to_string(), |code| format!("{code:?}"));
                if self.is_lowered {
                    assert_eq!(self.state(), 0, "after {text}");
                }
                Err(text)
            }
        }
    }

    pub fn stop_unwind(&mut self) {
        self.abi("asyncify_stop_unwind", &[]).expect("unwinds");
        let current = self.word(BUFFER);
        assert!((BUFFER + 8..=self.end).contains(&current), "current is {current:#x}, end {:#x}", self.end);
    }

    /// Goes on with a suspended call. Arguments are in its frame: others are passed.
    pub fn rewind(&mut self, name: &str) -> Result<Vec<String>, String> {
        self.abi("asyncify_start_rewind", &[Val::I32(BUFFER as i32)])?;
        let ty = self.function(name).ty(&self.store);
        let args: Vec<Val> = ty.params().iter().map(|ty| Val::default(*ty)).collect();
        self.enter(name, &args)
    }

    pub fn abi(&mut self, name: &str, args: &[Val]) -> Result<(), String> {
        self.function(name).call(&mut self.store, args, &mut []).map_err(|error| error.to_string())
    }

    pub fn state(&mut self) -> i32 {
        let mut state = [Val::I32(0)];
        self.function("asyncify_get_state").call(&mut self.store, &[], &mut state).expect("a state");
        state[0].i32().expect("an i32")
    }

    /// The function of which `unreachable` was reached last, by name.
    pub fn trapped_in(&self) -> String {
        let index = self.instance.get_global(&self.store, WHY).expect("exposed").get(&self.store).i32();
        let index = index.expect("an i32");
        self.instance
            .exports(&self.store)
            .find_map(|export| export.name().strip_prefix(&format!("{NAME}{index} ")).map(str::to_owned))
            .unwrap_or_else(|| format!("#{index}"))
    }

    /// The tables that the tool added for references.
    pub fn reference_tables(&self) -> Vec<wasmi::Table> {
        (0..).map_while(|place| self.instance.get_table(&self.store, &format!("{TABLE}{place}"))).collect()
    }

    fn assert_nothing_kept(&self) {
        for table in self.reference_tables() {
            let size = table.size(&self.store);
            assert!(size <= 64, "the table of references has {size} places");
            for place in 0..size {
                let kept = table.get(&self.store, place).expect("a place");
                assert_eq!(show(&self.store, &kept), "null", "place {place} of {size}");
            }
        }
    }

    /// Notes exported globals, memories and tables, but for the host's part of memory.
    fn note_exports(&mut self) {
        let mut lines = Vec::new();
        for export in self.instance.exports(&self.store) {
            let name = export.name().to_owned();
            if name.starts_with('$') {
                continue;
            }
            match export.into_extern() {
                Extern::Global(global) => {
                    lines.push(format!("global {name} {}", show(&self.store, &global.get(&self.store))));
                }
                Extern::Memory(memory) => {
                    let mut data = memory.data(&self.store).to_vec();
                    if name == "memory" {
                        data[BUFFER as usize..self.end as usize].fill(0);
                    }
                    let sum = data
                        .iter()
                        .fold(0u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
                    lines.push(format!("memory {name} {} {sum:x}", data.len()));
                }
                Extern::Table(table) => {
                    let mut line = format!("table {name}");
                    for place in 0..table.size(&self.store) {
                        let value = table.get(&self.store, place).expect("a place");
                        write!(line, " {}", show(&self.store, &value)).expect("fits");
                    }
                    lines.push(line);
                }
                Extern::Func(_) => {}
            }
        }
        self.store.data_mut().log.extend(lines);
    }
}

fn word(store: impl AsContext, memory: Memory, at: u32) -> u32 {
    let mut bytes = [0; 4];
    memory.read(store, at as usize, &mut bytes).expect("is in bounds");
    u32::from_le_bytes(bytes)
}

/// The value of a type that a number stands for; of references each third is null.
fn value(mut store: impl AsContextMut, ty: ValType, number: u32, callees: Option<&[Func]>) -> Val {
    let n = number + 1000;
    match ty {
        ValType::I32 => Val::I32(n as i32),
        ValType::I64 => Val::I64(i64::from(n) << 32 | i64::from(n)),
        ValType::F32 => Val::F32((n as f32 + 0.25).into()),
        ValType::F64 => Val::F64((f64::from(n) + 0.125).into()),
        ValType::V128 => Val::V128((u128::from(n) << 96 | u128::from(n) << 40 | u128::from(n)).into()),
        ValType::FuncRef => Val::FuncRef(match callees {
            Some(callees) if !callees.is_empty() && number % 3 != 2 => {
                Ref::Val(callees[number as usize % callees.len()])
            }
            _ => Ref::Null,
        }),
        ValType::ExternRef => Val::ExternRef(match number % 3 {
            2 => Ref::Null,
            _ => Ref::Val(ExternRef::new(&mut store, number)),
        }),
    }
}

pub fn show(store: impl AsContext, value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => format!("{value:#x}"),
        Val::F32(value) => format!("{:?}", value.to_float()),
        Val::F64(value) => format!("{:?}", value.to_float()),
        Val::V128(value) => format!("{:#x}", value.as_u128()),
        Val::FuncRef(Ref::Val(function)) => format!("{:?}", function.ty(&store)),
        Val::ExternRef(Ref::Val(value)) => {
            let number = value.data(store.as_context()).downcast_ref::<u32>();
            format!("extern {number:?}")
        }
        _ => "null".to_owned(),
    }
}

fn define(module: &Module, store: &mut Store<Host>, linker: &mut Linker<Host>) {
    for import in module.imports() {
        let name = import.name().to_owned();
        let item = match import.ty() {
            ExternType::Func(ty) => Extern::Func(host_function(store, &name, ty.clone())),
            ExternType::Memory(ty) => Extern::Memory(Memory::new(&mut *store, *ty).expect("a memory")),
            ExternType::Table(ty) => {
                let null = Val::default(ty.element());
                Extern::Table(wasmi::Table::new(&mut *store, *ty, null).expect("a table"))
            }
            ExternType::Global(ty) => {
                let value = value(&mut *store, ty.content(), 5, None);
                Extern::Global(wasmi::Global::new(&mut *store, value, ty.mutability()))
            }
        };
        // Instances may share what is imported twice.
        let _ = linker.define(import.module(), &name, item);
    }
}

fn host_function(store: &mut Store<Host>, name: &str, ty: wasmi::FuncType) -> Func {
    let name = name.to_owned();
    let results = ty.results().to_vec();
    Func::new(&mut *store, ty, move |mut caller, args, out| {
        if name.starts_with("throw") {
            return Err(wasmi::Error::new("thrown by the host"));
        }
        imported(&mut caller, &name, args, &results, out)?;
        caller.data().acts.get(&name).copied().map_or(Ok(()), |act| act(&mut caller))
    })
}

fn imported(
    caller: &mut Caller<'_, Host>,
    name: &str,
    args: &[Val],
    results: &[ValType],
    out: &mut [Val],
) -> Result<(), wasmi::Error> {
    let shown: Vec<String> = args.iter().map(|value| show(&*caller, value)).collect();
    let call = format!("{name}({})", shown.join(" "));
    let callees: Vec<Func> = (0..)
        .map_while(|number| caller.get_export(&format!("callee{number}")).and_then(Extern::into_func))
        .collect();
    let mut give = |caller: &mut Caller<'_, Host>, number: u32| {
        for ((place, ty), out) in (0..).zip(results).zip(&mut *out) {
            *out = value(&mut *caller, *ty, number + place, Some(&callees));
        }
    };
    let abi = |name: &str| caller.get_export(name).and_then(Extern::into_func);
    let parts = (name.starts_with("pause"))
        .then(|| {
            Some((abi("asyncify_get_state")?, abi("asyncify_start_unwind")?, abi("asyncify_stop_rewind")?))
        })
        .flatten();
    if let Some((get_state, start_unwind, stop_rewind)) = parts {
        let memory = caller.get_export("memory").and_then(Extern::into_memory).expect("a memory");
        let mut state = [Val::I32(0)];
        get_state.call(&mut *caller, &[], &mut state).expect("a state");
        let policy = caller.data().policy;
        match state[0].i32() {
            Some(0)
                if policy == Policy::Always
                    || (policy == Policy::Odd && caller.data().calls.is_multiple_of(2)) =>
            {
                let number = note(caller, &call);
                caller.data_mut().suspensions += 1;
                caller.data_mut().pending = Some(Pending { call, number });
                let words = [BUFFER + 8, caller.data().end];
                for (place, word) in words.into_iter().enumerate() {
                    let at = BUFFER as usize + 4 * place;
                    memory.write(&mut *caller, at, &word.to_le_bytes()).expect("is in bounds");
                }
                start_unwind.call(&mut *caller, &[Val::I32(BUFFER as i32)], &mut [])?;
                return Ok(());
            }
            Some(0) => {}
            Some(2) => {
                let pending = caller.data_mut().pending.take().expect("something is suspended");
                assert_eq!(pending.call, call, "called again with the same arguments");
                assert_eq!(word(&*caller, memory, BUFFER), BUFFER + 8, "`current` is where it was at first");
                // Traps if there are calls that have not been entered again.
                stop_rewind.call(&mut *caller, &[], &mut [])?;
                if !caller.data().stable {
                    // The buffer is the guest's.
                    let end = caller.data().end as usize;
                    let data = memory.data_mut(&mut *caller);
                    let end = end.min(data.len());
                    data[BUFFER as usize..end].fill(0xaa);
                }
                give(caller, pending.number);
                return Ok(());
            }
            state => panic!("{name} called in state {state:?}"),
        }
    }
    let number = note(caller, &call);
    give(caller, number);
    Ok(())
}

/// Calls an export out of an import.
pub fn call_out(caller: &mut Caller<'_, Host>, name: &str, args: &[Val]) -> Result<Vec<Val>, wasmi::Error> {
    let function = caller.get_export(name).and_then(Extern::into_func);
    let function = function.unwrap_or_else(|| panic!("no export `{name}`"));
    let mut results: Vec<Val> = function.ty(&*caller).results().iter().map(|ty| Val::default(*ty)).collect();
    function.call(&mut *caller, args, &mut results)?;
    Ok(results)
}

fn note(caller: &mut Caller<'_, Host>, call: &str) -> u32 {
    let host = caller.data_mut();
    host.log.push(call.to_owned());
    host.calls += 1;
    host.calls
}

/// The exports by which a lowered module is looked into.
pub const WHY: &str = "$why";
pub const NAME: &str = "$name ";
const TABLE: &str = "$table ";
const OWN_TABLE: &str = "$own table ";

/// The module with more exports: its tables, the tables for references, which follow its own and the table of resume
/// functions, a global with the index of the function that ran into `unreachable` last, and the names of functions.
/// Tags, which the engine of these tests does not know, are left out.
pub fn exposed(wasm: &[u8], own_tables: u32) -> Vec<u8> {
    use wasm_encoder::{ConstExpr, ExportKind, GlobalType};
    use wasmparser::{Payload, TypeRef};
    let mut module = wasm_encoder::Module::new();
    let (mut functions, mut tables, mut globals) = (0, 0, 0);
    let names = super::names(wasm);
    let mut bodies = wasm_encoder::CodeSection::new();
    let (mut body, mut remaining) = (0, 0);
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        let payload = payload.expect("a valid module");
        match &payload {
            Payload::ImportSection(section) => {
                let mut section_out = wasm_encoder::ImportSection::new();
                for import in section.clone().into_imports() {
                    let import = import.expect("an import");
                    match import.ty {
                        TypeRef::Func(_) => functions += 1,
                        TypeRef::Table(_) => tables += 1,
                        TypeRef::Global(_) => globals += 1,
                        TypeRef::Tag(_) => continue,
                        _ => {}
                    }
                    RoundtripReencoder.parse_import(&mut section_out, import).expect("an import");
                }
                module.section(&section_out);
                continue;
            }
            Payload::TagSection(_) => continue,
            Payload::TableSection(section) => tables += section.count(),
            Payload::GlobalSection(section) => {
                let mut section_out = wasm_encoder::GlobalSection::new();
                for global in section.clone() {
                    RoundtripReencoder
                        .parse_global(&mut section_out, global.expect("a global"))
                        .expect("a global");
                }
                globals += section.count();
                let ty = GlobalType { val_type: wasm_encoder::ValType::I32, mutable: true, shared: false };
                section_out.global(ty, &ConstExpr::i32_const(-1));
                module.section(&section_out);
                continue;
            }
            Payload::ExportSection(section) => {
                let mut section_out = wasm_encoder::ExportSection::new();
                for export in section.clone() {
                    let export = export.expect("an export");
                    if export.kind != wasmparser::ExternalKind::Tag {
                        RoundtripReencoder.parse_export(&mut section_out, export).expect("one");
                    }
                }
                for table in 0..own_tables {
                    section_out.export(&format!("{OWN_TABLE}{table}"), ExportKind::Table, table);
                }
                for (place, table) in (own_tables + 1..tables).enumerate() {
                    section_out.export(&format!("{TABLE}{place}"), ExportKind::Table, table);
                }
                section_out.export(WHY, ExportKind::Global, globals);
                for (index, name) in &names {
                    section_out.export(&format!("{NAME}{index} {name}"), ExportKind::Func, *index);
                }
                module.section(&section_out);
                continue;
            }
            Payload::CodeSectionStart { count, .. } => {
                remaining = *count;
                continue;
            }
            Payload::CodeSectionEntry(code) => {
                bodies.raw(&noting(wasm, code, functions + body, globals));
                body += 1;
                if body == remaining {
                    module.section(&bodies);
                }
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section() {
            module.section(&wasm_encoder::RawSection { id, data: &wasm[range] });
        }
    }
    module.finish()
}

/// How many tables a module has.
pub fn tables(wasm: &[u8]) -> u32 {
    let mut tables = 0;
    for payload in wasmparser::Parser::new(0).parse_all(wasm) {
        match payload.expect("a valid module") {
            wasmparser::Payload::ImportSection(section) => {
                let imports = section.into_imports().map(|import| import.expect("an import"));
                tables += imports.filter(|import| matches!(import.ty, wasmparser::TypeRef::Table(_))).count()
                    as u32;
            }
            wasmparser::Payload::TableSection(section) => tables += section.count(),
            _ => {}
        }
    }
    tables
}

/// A body that notes where it is before it runs into `unreachable`.
fn noting(wasm: &[u8], body: &wasmparser::FunctionBody<'_>, function: u32, global: u32) -> Vec<u8> {
    let mut code = Vec::new();
    let mut copied = body.range().start;
    let mut operators = body.get_operators_reader().expect("operators");
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset().expect("an operator");
        if matches!(operator, wasmparser::Operator::Unreachable) {
            code.extend_from_slice(&wasm[copied..at]);
            let mut sink = wasm_encoder::InstructionSink::new(&mut code);
            sink.i32_const(function as i32).global_set(global);
            copied = at;
        }
    }
    code.extend_from_slice(&wasm[copied..body.range().end]);
    code
}
