//! The engine wasmi. It can suspend a call by itself, which tells what interleaved calls have to do.

use wasmi::errors::HostError;
use wasmi::{
    AsContext, AsContextMut, Caller, Config, Engine, Error, Extern, ExternRef, ExternType, Func, Global,
    Instance, Linker, Memory, Module, Ref, ResumableCall, ResumableCallHostTrap, Store, TrapCode, Val,
    ValType,
};

use crate::engine::{ENGINE_FUEL, Machine, SharedHost, Stop};
use crate::value::{Type, Value};

impl HostError for Stop {}

/// What a store holds: the instance, as soon as there is one.
type Data = Option<Instance>;

/// An instance in wasmi.
pub struct Interpreter {
    store: Store<Data>,
}

/// A call that wasmi suspended.
pub struct Suspended {
    call: ResumableCallHostTrap,
    results: usize,
}

/// How far a call got.
pub enum Progress {
    /// To its end.
    Done(Vec<Value>),
    /// To an import that suspended it.
    Suspended(Suspended),
}

fn engine() -> Engine {
    let mut config = Config::default();
    config.consume_fuel(true).wasm_multi_memory(true).wasm_tail_call(true).wasm_simd(true);
    config.set_max_recursion_depth(20_000).set_max_stack_height(1 << 22);
    Engine::new(&config)
}

impl Interpreter {
    /// An instance of the module.
    ///
    /// # Errors
    ///
    /// If wasmi does not take the module.
    pub fn new(wasm: &[u8], host: &SharedHost) -> Result<Interpreter, Stop> {
        let engine = engine();
        let module = Module::new(&engine, wasm).map_err(stop)?;
        let mut store = Store::new(&engine, None);
        store.set_fuel(ENGINE_FUEL).map_err(stop)?;
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            let ExternType::Func(ty) = import.ty() else {
                return Err(Stop::Fault(format!("the import {} is no function", import.name())));
            };
            let (host, name) = (host.clone(), import.name().to_owned());
            let types: Vec<Type> = ty.results().iter().map(|ty| type_of(*ty)).collect();
            let function =
                Func::new(&mut store, ty.clone(), move |mut caller: Caller<'_, Data>, args, results| {
                    let args: Vec<Value> = args.iter().map(|arg| from(&caller, arg)).collect();
                    let values =
                        host.import(&mut View(&mut caller), &name, &args, &types).map_err(Error::host)?;
                    for (result, value) in results.iter_mut().zip(values) {
                        *result = to(&mut caller, value);
                    }
                    Ok(())
                });
            linker
                .define(import.module(), import.name(), function)
                .map_err(|error| Stop::Fault(error.to_string()))?;
        }
        let instance = linker.instantiate_and_start(&mut store, &module).map_err(stop)?;
        *store.data_mut() = Some(instance);
        Ok(Interpreter { store })
    }

    /// Whether there is something to make an instance of.
    pub fn compiles(wasm: &[u8]) -> bool {
        Module::new(&engine(), wasm).is_ok()
    }

    /// Calls an export; it may be suspended.
    ///
    /// # Errors
    ///
    /// If it does not return, other than by being suspended.
    pub fn start(&mut self, export: &str, args: &[Value]) -> Result<Progress, Stop> {
        let mut view = View(&mut self.store);
        let function = view.function(export)?;
        let args: Vec<Val> = args.iter().map(|arg| to(&mut self.store, *arg)).collect();
        let mut results = results_of(function, &self.store);
        let call = function.call_resumable(&mut self.store, &args, &mut results).map_err(stop)?;
        self.progress(call, &results)
    }

    /// Goes on with a call: the import that suspended it returns these values.
    ///
    /// # Errors
    ///
    /// If it does not return, other than by being suspended.
    pub fn resume(&mut self, suspended: Suspended, values: &[Value]) -> Result<Progress, Stop> {
        let values: Vec<Val> = values.iter().map(|value| to(&mut self.store, *value)).collect();
        let mut results = vec![Val::I32(0); suspended.results];
        let call = suspended.call.resume(&mut self.store, &values, &mut results).map_err(stop)?;
        self.progress(call, &results)
    }

    fn progress(&self, call: ResumableCall, results: &[Val]) -> Result<Progress, Stop> {
        match call {
            ResumableCall::Finished => {
                Ok(Progress::Done(results.iter().map(|result| from(&self.store, result)).collect()))
            }
            ResumableCall::HostTrap(call) => match call.host_error().downcast_ref::<Stop>() {
                Some(Stop::Suspend) => Ok(Progress::Suspended(Suspended { call, results: results.len() })),
                _ => Err(stop(call.into_host_error())),
            },
            ResumableCall::OutOfFuel(_) => Err(Stop::Exhausted("out of fuel".to_owned())),
        }
    }
}

impl Machine for Interpreter {
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        View(&mut self.store).call(export, args)
    }

    fn memory(&mut self, export: &str) -> &mut [u8] {
        match View(&mut self.store).export(export).and_then(Extern::into_memory) {
            Some(memory) => memory.data_mut(&mut self.store),
            None => &mut [],
        }
    }

    fn global(&mut self, export: &str) -> Option<Value> {
        View(&mut self.store).global(export)
    }

    fn set_global(&mut self, export: &str, value: Value) {
        View(&mut self.store).set_global(export, value);
    }

    fn refuel(&mut self) {
        View(&mut self.store).refuel();
    }
}

/// An instance through what gives access to it at the moment.
struct View<'a, C>(&'a mut C);

impl<C: AsContextMut<Data = Data>> View<'_, C> {
    fn export(&mut self, name: &str) -> Option<Extern> {
        let instance = (*self.0.as_context().data())?;
        instance.get_export(self.0.as_context(), name)
    }

    fn function(&mut self, name: &str) -> Result<Func, Stop> {
        let function = self.export(name).and_then(Extern::into_func);
        function.ok_or_else(|| Stop::Fault(format!("there is no exported function {name}")))
    }
}

impl<C: AsContextMut<Data = Data>> Machine for View<'_, C> {
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        let function = self.function(export)?;
        let args: Vec<Val> = args.iter().map(|arg| to(&mut *self.0, *arg)).collect();
        let mut results = results_of(function, &*self.0);
        function.call(self.0.as_context_mut(), &args, &mut results).map_err(stop)?;
        Ok(results.iter().map(|result| from(&*self.0, result)).collect())
    }

    fn memory(&mut self, export: &str) -> &mut [u8] {
        match self.export(export).and_then(Extern::into_memory) {
            Some(memory) => Memory::data_mut(&memory, self.0.as_context_mut()),
            None => &mut [],
        }
    }

    fn global(&mut self, export: &str) -> Option<Value> {
        let global = self.export(export).and_then(Extern::into_global)?;
        let value = Global::get(&global, self.0.as_context());
        Some(from(&*self.0, &value))
    }

    fn set_global(&mut self, export: &str, value: Value) {
        if let Some(global) = self.export(export).and_then(Extern::into_global) {
            let value = to(&mut *self.0, value);
            // An error: it is not mutable, or of another type.
            global.set(self.0.as_context_mut(), value).ok();
        }
    }

    fn refuel(&mut self) {
        // Metering is on, so this cannot fail.
        self.0.as_context_mut().set_fuel(ENGINE_FUEL).ok();
    }
}

fn results_of(function: Func, context: &impl AsContext) -> Vec<Val> {
    function.ty(context).results().iter().map(|ty| Val::default(*ty)).collect()
}

fn stop(error: Error) -> Stop {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone();
    }
    match error.as_trap_code() {
        Some(code @ (TrapCode::StackOverflow | TrapCode::OutOfFuel)) => Stop::Exhausted(code.to_string()),
        Some(code) => Stop::Trap(code.to_string()),
        None => Stop::Fault(format!("wasmi: {error}")),
    }
}

fn type_of(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::FuncRef => Type::Func,
        ValType::ExternRef => Type::Extern,
    }
}

fn from(context: &impl AsContext, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(value.cast_unsigned()),
        Val::I64(value) => Value::I64(value.cast_unsigned()),
        Val::F32(value) => Value::F32(value.to_bits()),
        Val::F64(value) => Value::F64(value.to_bits()),
        Val::V128(value) => Value::V128(value.as_u128()),
        Val::FuncRef(reference) => Value::Func(!reference.is_null()),
        Val::ExternRef(Ref::Null) => Value::Extern(None),
        Val::ExternRef(Ref::Val(reference)) => {
            Value::Extern(reference.data(context.as_context()).downcast_ref::<u32>().copied())
        }
    }
}

fn to(context: &mut impl AsContextMut, value: Value) -> Val {
    match value {
        Value::I32(bits) => Val::I32(bits.cast_signed()),
        Value::I64(bits) => Val::I64(bits.cast_signed()),
        Value::F32(bits) => Val::F32(wasmi::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(wasmi::F64::from_bits(bits)),
        Value::V128(bits) => Val::V128(bits.into()),
        Value::Func(_) => Val::FuncRef(Ref::Null),
        Value::Extern(None) => Val::ExternRef(Ref::Null),
        Value::Extern(Some(number)) => {
            Val::ExternRef(Ref::Val(ExternRef::new(context.as_context_mut(), number)))
        }
    }
}
