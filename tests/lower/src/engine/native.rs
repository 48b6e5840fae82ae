//! The engine wasmtime.

use wasmtime::{
    AsContext, AsContextMut, Caller, Config, Engine, ExnRef, ExnRefPre, ExnType, Extern, ExternRef,
    ExternType, Func, Instance, Linker, Module, OptLevel, Rooted, Store, Tag, ThrownException, Trap, Val,
    ValType,
};

use crate::engine::{ENGINE_FUEL, Machine, SharedHost, Stop, Thrown};
use crate::value::{Type, Value};

/// What a store holds.
struct Data {
    /// The instance, as soon as there is one.
    instance: Option<Instance>,
    /// The exported tags.
    tags: Vec<String>,
}

/// An instance in wasmtime.
pub struct Native {
    store: Store<Data>,
}

fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None).consume_fuel(true).max_wasm_stack(1 << 20);
    config.wasm_multi_memory(true).wasm_tail_call(true).wasm_exceptions(true).wasm_function_references(true);
    // Reserving little makes instances cheap.
    config.memory_reservation(1 << 22).memory_guard_size(1 << 16);
    Engine::new(&config)
}

impl Native {
    /// An instance of the module.
    ///
    /// # Errors
    ///
    /// If wasmtime does not take the module.
    pub fn new(wasm: &[u8], host: &SharedHost) -> Result<Native, Stop> {
        let engine = engine().map_err(stop)?;
        let module = Module::new(&engine, wasm).map_err(stop)?;
        let mut store: Store<Data> = Store::new(&engine, Data { instance: None, tags: host.tags() });
        store.set_fuel(ENGINE_FUEL).map_err(stop)?;
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            let ExternType::Func(ty) = import.ty() else {
                return Err(Stop::Fault(format!("the import {} is no function", import.name())));
            };
            let (host, name) = (host.clone(), import.name().to_owned());
            let types = ty.results().map(|ty| type_of(&ty)).collect::<Option<Vec<Type>>>();
            let types = types.ok_or_else(|| Stop::Fault(format!("{name} returns an unknown type")))?;
            let body = move |mut caller: Caller<'_, Data>, args: &[Val], results: &mut [Val]| {
                let args: Vec<Value> = args.iter().map(|arg| from(&caller, arg)).collect();
                let values = match host.import(&mut View(&mut caller), &name, &args, &types) {
                    Err(Stop::Exception(thrown)) => return View(&mut caller).throw(&thrown),
                    values => values?,
                };
                for (result, value) in results.iter_mut().zip(values) {
                    *result = to(&mut caller, value)?;
                }
                Ok(())
            };
            linker.func_new(import.module(), import.name(), ty, body).map_err(stop)?;
        }
        let instance = linker.instantiate(&mut store, &module).map_err(stop)?;
        store.data_mut().instance = Some(instance);
        Ok(Native { store })
    }

    /// Whether there is something to make an instance of.
    pub fn compiles(wasm: &[u8]) -> bool {
        engine().is_ok_and(|engine| Module::new(&engine, wasm).is_ok())
    }
}

impl Machine for Native {
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
        let instance = self.0.as_context().data().instance?;
        instance.get_export(self.0.as_context_mut(), name)
    }

    fn function(&mut self, name: &str) -> Result<Func, Stop> {
        let function = self.export(name).and_then(Extern::into_func);
        function.ok_or_else(|| Stop::Fault(format!("there is no exported function {name}")))
    }

    fn tag(&mut self, number: usize) -> Option<Tag> {
        let name = self.0.as_context().data().tags.get(number)?.clone();
        self.export(&name).and_then(Extern::into_tag)
    }

    fn throw(&mut self, thrown: &Thrown) -> wasmtime::Result<()> {
        let tag = thrown.tag.and_then(|number| self.tag(number));
        let tag = tag.ok_or_else(|| Stop::Fault("there is no such tag".to_owned()))?;
        let ty = ExnType::from_tag_type(&tag.ty(self.0.as_context()))?;
        let fields = thrown.values.iter().map(|value| to(&mut *self.0, *value));
        let fields = fields.collect::<wasmtime::Result<Vec<Val>>>()?;
        let allocator = ExnRefPre::new(self.0.as_context_mut(), ty);
        let exception = ExnRef::new(self.0.as_context_mut(), &allocator, &tag, &fields)?;
        self.0.as_context_mut().throw(exception)
    }

    /// The exception that arrived here.
    fn caught(&mut self) -> Option<Thrown> {
        let exception = self.0.as_context_mut().take_pending_exception()?;
        let tag = exception.tag(self.0.as_context_mut()).ok()?;
        let count = self.0.as_context().data().tags.len();
        let number = (0..count)
            .find(|number| self.tag(*number).is_some_and(|known| Tag::eq(&known, &tag, self.0.as_context())));
        let fields: Vec<Val> = exception.fields(self.0.as_context_mut()).ok()?.collect();
        let values = fields.iter().map(|field| from(&*self.0, field)).collect();
        Some(Thrown { tag: number, values })
    }
}

impl<C: AsContextMut<Data = Data>> Machine for View<'_, C> {
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        let function = self.function(export)?;
        let args = args.iter().map(|arg| to(&mut *self.0, *arg)).collect::<wasmtime::Result<Vec<Val>>>();
        let mut results = vec![Val::I32(0); function.ty(self.0.as_context()).results().len()];
        let called = function.call(self.0.as_context_mut(), &args.map_err(stop)?, &mut results);
        called.map_err(|error| match self.caught() {
            Some(thrown) if error.is::<ThrownException>() => Stop::Exception(thrown),
            _ => stop(error),
        })?;
        Ok(results.iter().map(|result| from(&*self.0, result)).collect())
    }

    fn memory(&mut self, export: &str) -> &mut [u8] {
        match self.export(export).and_then(Extern::into_memory) {
            Some(memory) => memory.data_mut(self.0.as_context_mut()),
            None => &mut [],
        }
    }

    fn global(&mut self, export: &str) -> Option<Value> {
        let global = self.export(export).and_then(Extern::into_global)?;
        let value = global.get(self.0.as_context_mut());
        Some(from(&*self.0, &value))
    }

    fn set_global(&mut self, export: &str, value: Value) {
        if let Some(global) = self.export(export).and_then(Extern::into_global)
            && let Ok(value) = to(&mut *self.0, value)
        {
            // An error: it is not mutable, or of another type.
            global.set(self.0.as_context_mut(), value).ok();
        }
    }

    fn refuel(&mut self) {
        // Metering is on, so this cannot fail.
        self.0.as_context_mut().set_fuel(ENGINE_FUEL).ok();
    }
}

fn stop(error: wasmtime::Error) -> Stop {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(trap @ (Trap::StackOverflow | Trap::OutOfFuel)) => Stop::Exhausted(trap.to_string()),
        Some(trap) => Stop::Trap(trap.to_string()),
        None => Stop::Fault(format!("wasmtime: {error:#}")),
    }
}

fn type_of(ty: &ValType) -> Option<Type> {
    Some(match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ty if ty.matches(&ValType::FUNCREF) => Type::Func,
        ty if ty.matches(&ValType::EXTERNREF) => Type::Extern,
        ValType::Ref(_) => return None,
    })
}

fn from(context: &impl AsContext, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(value.cast_unsigned()),
        Val::I64(value) => Value::I64(value.cast_unsigned()),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(value) => Value::V128(value.as_u128()),
        Val::FuncRef(reference) => Value::Func(reference.is_some()),
        Val::ExternRef(reference) => {
            let number = reference.and_then(|reference| {
                let data = reference.data(context.as_context()).ok()??;
                data.downcast_ref::<u32>().copied()
            });
            Value::Extern(number)
        }
        // Not at the border of a generated module.
        _ => Value::Extern(None),
    }
}

fn to(context: &mut impl AsContextMut, value: Value) -> wasmtime::Result<Val> {
    Ok(match value {
        Value::I32(bits) => Val::I32(bits.cast_signed()),
        Value::I64(bits) => Val::I64(bits.cast_signed()),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits.into()),
        Value::Func(_) => Val::FuncRef(None),
        Value::Extern(number) => {
            let reference: Option<Rooted<ExternRef>> =
                number.map(|number| ExternRef::new(context.as_context_mut(), number)).transpose()?;
            Val::ExternRef(reference)
        }
    })
}
