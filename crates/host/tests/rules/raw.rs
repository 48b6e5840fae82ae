//! The guest through wasmtime alone.

use std::{collections::BTreeMap, sync::OnceLock};

use wasmtime::{
    AsContextMut, Caller, Config, Engine, Extern, Func, Linker, Memory, Module, OptLevel, Result, Store, Val,
};

use crate::host::{DIRECT, GUEST, module};

/// What the guest's `test.call` does.
pub(crate) type OnCall = fn(&mut Caller<'_, Host>, i32) -> Result<i32>;

/// Data of the store.
pub(crate) struct Host {
    mode: i32,
    may_block: bool,
    /// The time, in nanoseconds.
    pub(crate) now: u64,
    /// How far the time moves whenever the guest looks at it.
    pub(crate) tick: u64,
    /// So many waits return before the time has moved.
    pub(crate) early: u32,
    on_call: OnCall,
    /// Each import that was entered, with its arguments.
    pub(crate) entered: Vec<String>,
    functions: BTreeMap<String, Func>,
    memory: Option<Memory>,
}

/// Why a call did not return: what the guest left in its error door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: i64,
    pub(crate) report: String,
}

pub(crate) fn failure<T>(code: i64, report: &str) -> Result<T, Failure> {
    Err(Failure { code, report: report.to_owned() })
}

/// An instance in a host that remembers nothing about it.
pub(crate) struct Raw {
    pub(crate) store: Store<Host>,
}

pub(crate) struct Setup {
    direct: bool,
    mode: i32,
    may_block: bool,
    on_call: OnCall,
}

pub(crate) fn guest() -> Setup {
    Setup { direct: false, mode: 0, may_block: false, on_call: |_, what| panic!("the guest calls {what}") }
}

pub(crate) fn direct() -> Setup {
    Setup { direct: true, ..guest() }
}

impl Setup {
    pub(crate) fn mode(self, mode: i32) -> Self {
        Self { mode, ..self }
    }

    pub(crate) fn may_block(self) -> Self {
        Self { may_block: true, ..self }
    }

    pub(crate) fn on_call(self, on_call: OnCall) -> Self {
        Self { on_call, ..self }
    }

    /// An instance that is not initialised.
    pub(crate) fn instance(self) -> Raw {
        static GUEST_MODULE: OnceLock<Module> = OnceLock::new();
        static DIRECT_MODULE: OnceLock<Module> = OnceLock::new();
        let compile = |variable| Module::new(engine(), module(variable)).expect("the guest can be compiled");
        let module = if self.direct {
            DIRECT_MODULE.get_or_init(|| compile(DIRECT))
        } else {
            GUEST_MODULE.get_or_init(|| compile(GUEST))
        };
        let host = Host {
            mode: self.mode,
            may_block: self.may_block,
            now: 0,
            tick: 0,
            early: 0,
            on_call: self.on_call,
            entered: Vec::new(),
            functions: BTreeMap::new(),
            memory: None,
        };
        let mut store = Store::new(engine(), host);
        let instance = linker().instantiate(&mut store, module).expect("the guest can be instantiated");
        let exports: Vec<_> = instance
            .exports(&mut store)
            .map(|export| (export.name().to_owned(), export.into_extern()))
            .collect();
        for (name, export) in exports {
            match export {
                Extern::Func(function) => {
                    store.data_mut().functions.insert(name, function);
                }
                Extern::Memory(memory) => store.data_mut().memory = Some(memory),
                _ => {}
            }
        }
        Raw { store }
    }

    /// An initialised instance that has entered no import yet.
    pub(crate) fn ready(self) -> Raw {
        let mut raw = self.instance();
        raw.call("_initialize", &[]).expect("init works");
        raw.store.data_mut().entered.clear();
        raw
    }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    // The code is run for a moment only.
    ENGINE.get_or_init(|| {
        Engine::new(Config::new().cranelift_opt_level(OptLevel::None)).expect("the engine can be made")
    })
}

fn linker() -> Linker<Host> {
    let mut linker = Linker::new(engine());
    let defined = (|| {
        linker.func_wrap("test", "init_mode", |mut caller: Caller<'_, Host>| {
            caller.data_mut().entered.push("init_mode".to_owned());
            caller.data().mode
        })?;
        linker.func_wrap("test", "call", |mut caller: Caller<'_, Host>, what: i32| {
            caller.data_mut().entered.push(format!("call {what}"));
            let on_call = caller.data().on_call;
            on_call(&mut caller, what)
        })?;
        linker.func_wrap("windlass_host", "now", |mut caller: Caller<'_, Host>| {
            let host = caller.data_mut();
            host.entered.push("now".to_owned());
            host.now += host.tick;
            host.now as i64
        })?;
        linker.func_wrap("windlass_host", "wait", |mut caller: Caller<'_, Host>, until: i64| {
            let host = caller.data_mut();
            host.entered.push(format!("wait {until}"));
            if !host.may_block {
                return 1;
            }
            match host.early.checked_sub(1) {
                Some(early) => host.early = early,
                None => host.now = host.now.max(until as u64),
            }
            0
        })?;
        linker.func_wrap("windlass_host", "wake_at", |mut caller: Caller<'_, Host>, until: i64| {
            caller.data_mut().entered.push(format!("wake_at {until}"));
        })?;
        linker.func_wrap("windlass_host", "log", |mut caller: Caller<'_, Host>, _: i32, _: i32| {
            caller.data_mut().entered.push("log".to_owned());
        })?;
        Ok::<(), wasmtime::Error>(())
    })();
    defined.expect("no name twice");
    linker
}

/// Calls an export from outside, or out of an import. Without a result it returns 0.
pub(crate) fn call(
    mut store: impl AsContextMut<Data = Host>,
    name: &str,
    params: &[i64],
) -> Result<i64, Failure> {
    let mut store = store.as_context_mut();
    let Some(&function) = store.data().functions.get(name) else { panic!("no export `{name}`") };
    let ty = function.ty(&store);
    let params: Vec<Val> = ty
        .params()
        .zip(params)
        .map(|(ty, &number)| if ty.is_i32() { Val::I32(number as i32) } else { Val::I64(number) })
        .collect();
    let mut results = vec![Val::I32(0); ty.results().len().max(1)];
    let count = ty.results().len();
    if function.call(&mut store, &params, &mut results[..count]).is_err() {
        return Err(door(store));
    }
    Ok(match results[0] {
        Val::I32(number) => number.into(),
        Val::I64(number) => number,
        ref other => panic!("`{name}` returned {other:?}"),
    })
}

/// What stands in the error door.
pub(crate) fn door(mut store: impl AsContextMut<Data = Host>) -> Failure {
    let mut store = store.as_context_mut();
    let mut number = |name: &str| call(&mut store, name, &[]).expect("the door opens");
    let (code, start, len) =
        (number("windlass_error_code"), number("windlass_error_ptr"), number("windlass_error_len"));
    let memory = store.data().memory.expect("the guest has a memory").data(&store);
    let report = &memory[start as usize..(start + len) as usize];
    Failure { code, report: String::from_utf8(report.to_vec()).expect("reports are UTF-8") }
}

impl Raw {
    pub(crate) fn call(&mut self, name: &str, params: &[i64]) -> Result<i64, Failure> {
        call(&mut self.store, name, params)
    }

    /// A call without parameters and results to look at, whose error stays in the door.
    pub(crate) fn call_unread(&mut self, name: &str) -> Result<()> {
        let function = self.store.data().functions[name];
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &[], &mut results)
    }

    /// A call that works.
    #[track_caller]
    pub(crate) fn works(&mut self, name: &str, params: &[i64]) -> i64 {
        match self.call(name, params) {
            Ok(result) => result,
            Err(failure) => panic!("`{name}` failed: {failure:?}"),
        }
    }

    pub(crate) fn door(&mut self) -> Failure {
        door(&mut self.store)
    }

    /// Starts a call; its id.
    #[track_caller]
    pub(crate) fn start(&mut self, name: &str, params: &[i64]) -> i64 {
        let id = self.works(&format!("windlass.start.{name}"), params);
        assert!(id > 0, "`{name}` did not start: {:?}", self.door());
        id
    }

    pub(crate) fn poll(&mut self, id: i64) -> i64 {
        self.works("windlass_poll", &[id])
    }

    /// The imports entered since the last time.
    pub(crate) fn entered(&mut self) -> Vec<String> {
        std::mem::take(&mut self.store.data_mut().entered)
    }

    /// The `wake_at` requests since the last time.
    pub(crate) fn wakes(&mut self) -> Vec<i64> {
        let entered = self.entered();
        entered.iter().filter_map(|entry| entry.strip_prefix("wake_at ")?.parse().ok()).collect()
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.store.data().functions.keys().map(String::as_str).collect()
    }
}
