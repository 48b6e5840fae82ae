//! Entering the guest: conversion, calls, and reading the error door. Everything here works on a borrowed store, so that calls
//! from outside and calls out of an import are the same.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use wasmtime::{AsContext as _, AsContextMut as _, Func, StoreContextMut, Val};

use crate::{
    call::AsyncCall,
    convert::{Arg, Params, Returned},
    error::{Error, Result},
    image::reserved,
    state::{Export, State},
    value::{Type, Value},
};

/// What `windlass_poll` answered, except failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Pending,
    Done,
    Runnable,
}

/// A store whose guest can be entered.
pub(crate) struct Guest<'a, T: 'static> {
    pub(crate) store: StoreContextMut<'a, State<T>>,
}

impl<'a, T: 'static> Guest<'a, T> {
    pub(crate) fn new(store: StoreContextMut<'a, State<T>>) -> Self {
        Self { store }
    }

    /// Prepares for an operation from outside, when no call can be open.
    pub(crate) fn outermost(&mut self) -> &mut Self {
        let state = self.store.data_mut();
        state.interrupt.store(false, Ordering::SeqCst);
        let (fuel, interruptible) = (state.fuel, state.interruptible);
        // A call that never returned: a panic of an import unwound through the guest and was caught outside.
        if state.open != 0 {
            state.open = 0;
            let call = state.outermost.take().map_or_else(String::new, |name| name.to_string());
            self.thrown_through(&call, "a panic of an import unwound through it");
        }
        if let Some(fuel) = fuel {
            // Fails only for an engine without fuel, which the builder refuses.
            let _ = self.store.set_fuel(fuel);
        }
        if interruptible {
            self.store.set_epoch_deadline(1);
        }
        self
    }

    /// Whether calls are accepted, as far as the host knows.
    pub(crate) fn check(&mut self) -> Result<()> {
        let state = self.store.data();
        state.health.check()?;
        let guards_itself = state.exports.door || !state.exports.functions.contains_key("_initialize");
        if guards_itself || state.health.initialised { Ok(()) } else { Err(Error::NotInitialised) }
    }

    pub(crate) fn initialise(&mut self) -> Result<()> {
        let state = self.store.data();
        state.health.check()?;
        let door = state.exports.door;
        if !door && state.health.initialised {
            return Err(Error::AlreadyInitialised);
        }
        if let Some(export) = state.exports.functions.get("_initialize").cloned() {
            self.enter(&export.name, export.func, &[], &mut [])?;
        } else if door {
            return Err(Error::Unsupported { export: "_initialize".to_owned() });
        }
        self.store.data_mut().health.initialised = true;
        Ok(())
    }

    pub(crate) fn call<R: Returned>(
        &mut self,
        name: &str,
        params: &impl Params,
        timeout: Option<Duration>,
    ) -> Result<R> {
        self.check()?;
        let export = self.export(name)?;
        let args = params.args();
        let result = export.check(&args, R::accepts, R::describe())?;
        let values = self.lower(&args, timeout)?;
        let mut results = [Val::I32(0)];
        self.enter(&export.name, export.func, &values, &mut results[..export.results])?;
        self.lift(result, &results[0])
    }

    pub(crate) fn start<R: Returned>(
        &mut self,
        name: &str,
        params: &impl Params,
        timeout: Option<Duration>,
    ) -> Result<AsyncCall<R>> {
        self.check()?;
        let export = self.export(name)?;
        let args = params.args();
        let result = export.check(&args, R::accepts, R::describe())?;
        let start = self.abi_export(&format!("windlass.start.{name}"))?;
        let values = self.lower(&args, timeout)?;
        let mut results = [Val::I32(0)];
        self.enter(&export.name, start.func, &values, &mut results[..start.results])?;
        match results[0].i32() {
            Some(id @ 1..) => {
                Ok(AsyncCall::new(self.store.data().serial, id, Arc::clone(&export.name), result))
            }
            Some(0) => Err(self.door_error(name)),
            other => Err(Error::protocol(format_args!("`windlass.start.{name}` returned {other:?}"))),
        }
    }

    /// Resumes the run queue for call `id`, or for the background alone with id 0.
    pub(crate) fn poll(&mut self, id: i32, name: &Arc<str>) -> Result<Polled> {
        self.check()?;
        let poll = self.abi_export("windlass_poll")?;
        let mut results = [Val::I32(0)];
        self.enter(name, poll.func, &[Val::I32(id)], &mut results[..poll.results])?;
        match results[0].i32() {
            Some(0) => Ok(Polled::Pending),
            Some(1) => Ok(Polled::Done),
            Some(2) => Err(self.door_error(name)),
            Some(3) => Ok(Polled::Runnable),
            other => Err(Error::protocol(format_args!("`windlass_poll` returned {other:?}"))),
        }
    }

    pub(crate) fn take<R: Returned>(&mut self, call: &AsyncCall<R>) -> Result<R> {
        self.check()?;
        let take = self.abi_export(&format!("windlass.result.{}", call.name()))?;
        let mut results = [Val::I32(0)];
        self.enter(&take.name, take.func, &[Val::I32(call.id)], &mut results[..take.results])?;
        self.lift(call.result, &results[0])
    }

    pub(crate) fn cancel(&mut self, id: i32) -> Result<()> {
        self.check()?;
        let cancel = self.abi_export("windlass_cancel")?;
        let mut results = [Val::I32(0)];
        self.enter(&cancel.name, cancel.func, &[Val::I32(id)], &mut results[..cancel.results])?;
        if results[0].i32() == Some(0) { Err(Error::NoSuchCall) } else { Ok(()) }
    }

    /// The guest's list of tasks.
    pub(crate) fn report(&mut self) -> Result<String> {
        self.helper("windlass_report", &[])?;
        self.door_text()
    }

    /// Copies `len` bytes out of the guest's memory.
    pub(crate) fn read(&self, ptr: u32, len: u32) -> Result<Vec<u8>> {
        self.bytes(ptr, len).map(<[u8]>::to_vec)
    }

    /// Copies `bytes` into the guest's memory.
    pub(crate) fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<()> {
        let memory = self.store.data().exports.memory.ok_or_else(no_memory)?;
        let data = memory.data_mut(&mut self.store);
        let size = data.len();
        let start = ptr as usize;
        data.get_mut(start..start.saturating_add(bytes.len()))
            .map(|target| target.copy_from_slice(bytes))
            .ok_or_else(|| outside(ptr, bytes.len(), size))
    }

    pub(crate) fn bytes(&self, ptr: u32, len: u32) -> Result<&[u8]> {
        let context = self.store.as_context();
        let memory = context.data().exports.memory.ok_or_else(no_memory)?;
        let data = memory.data(&self.store);
        let start = ptr as usize;
        data.get(start..start.saturating_add(len as usize))
            .ok_or_else(|| outside(ptr, len as usize, data.len()))
    }

    /// A call of the guest's own.
    fn export(&mut self, name: &str) -> Result<Arc<Export>> {
        let exports = &self.store.data().exports;
        match exports.functions.get(name) {
            Some(export) if !reserved(name) => Ok(Arc::clone(export)),
            _ => Err(Error::NoSuchExport { name: name.to_owned(), available: exports.names.clone() }),
        }
    }

    /// An export that the ABI names.
    fn abi_export(&mut self, name: &str) -> Result<Arc<Export>> {
        let export = self.store.data().exports.functions.get(name).cloned();
        export.ok_or_else(|| Error::Unsupported { export: name.to_owned() })
    }

    /// Brings the arguments into the guest and announces the deadline, which the next call takes.
    fn lower(&mut self, args: &[Arg<'_>], timeout: Option<Duration>) -> Result<Vec<Val>> {
        if timeout.is_some() {
            self.abi_export("windlass_deadline")?;
        }
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            let value = match *arg {
                Arg::I32(number) => Val::I32(number),
                Arg::U32(number) => Val::I32(number.cast_signed()),
                Arg::I64(number) => Val::I64(number),
                Arg::U64(number) => Val::I64(number.cast_signed()),
                Arg::F32(number) => Val::F32(number.to_bits()),
                Arg::F64(number) => Val::F64(number.to_bits()),
                Arg::String(_) | Arg::Bytes(_) => {
                    let bytes = match *arg {
                        Arg::String(text) => text.as_bytes(),
                        Arg::Bytes(bytes) => bytes,
                        _ => &[],
                    };
                    match self.lower_bytes(bytes) {
                        Ok(value) => value,
                        Err(error) => {
                            // The call will not happen, so the earlier arguments are still the host's.
                            self.free_arguments(&args[..values.len()], &values);
                            return Err(error);
                        }
                    }
                }
            };
            values.push(value);
        }
        if let Some(timeout) = timeout {
            let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            let until = self.store.data().clock.now().saturating_add(timeout);
            let until = i64::try_from(until).unwrap_or(i64::MAX);
            self.helper("windlass_deadline", &[Val::I64(until)])?;
        }
        Ok(values)
    }

    fn lower_bytes(&mut self, bytes: &[u8]) -> Result<Val> {
        let out_of_memory = || Error::OutOfMemory { bytes: bytes.len() };
        let len = u32::try_from(bytes.len()).map_err(|_| out_of_memory())?;
        let ptr = match self.helper("windlass_alloc", &[Val::I32(len.cast_signed())])? {
            Some(Val::I32(0)) => return Err(out_of_memory()),
            Some(Val::I32(ptr)) => ptr.cast_unsigned(),
            other => return Err(Error::protocol(format_args!("`windlass_alloc` returned {other:?}"))),
        };
        if len > 0 {
            self.write(ptr, bytes)?;
        }
        Ok(Val::I64((u64::from(len) << 32 | u64::from(ptr)).cast_signed()))
    }

    fn free_arguments(&mut self, args: &[Arg<'_>], values: &[Val]) {
        for (arg, value) in args.iter().zip(values) {
            if let (Arg::String(_) | Arg::Bytes(_), Val::I64(packed)) = (arg, value) {
                let (ptr, len) = unpack(*packed);
                if self.free(ptr, len).is_err() {
                    return;
                }
            }
        }
    }

    fn free(&mut self, ptr: u32, len: u32) -> Result<()> {
        self.helper("windlass_free", &[Val::I32(ptr.cast_signed()), Val::I32(len.cast_signed())])?;
        Ok(())
    }

    fn lift<R: Returned>(&mut self, ty: Option<Type>, raw: &Val) -> Result<R> {
        let value = match ty {
            Some(ty) => Some(self.lift_value(ty, raw)?),
            None => None,
        };
        R::from_value(value).ok_or_else(|| Error::protocol("a result is not of the declared type"))
    }

    fn lift_value(&mut self, ty: Type, raw: &Val) -> Result<Value> {
        Ok(match (ty, raw) {
            (Type::I32, Val::I32(number)) => Value::I32(*number),
            (Type::U32, Val::I32(number)) => Value::U32(number.cast_unsigned()),
            (Type::I64, Val::I64(number)) => Value::I64(*number),
            (Type::U64, Val::I64(number)) => Value::U64(number.cast_unsigned()),
            (Type::F32, Val::F32(bits)) => Value::F32(f32::from_bits(*bits)),
            (Type::F64, Val::F64(bits)) => Value::F64(f64::from_bits(*bits)),
            (Type::String | Type::Bytes, Val::I64(packed)) => {
                let (ptr, len) = unpack(*packed);
                let bytes = if len == 0 { Vec::new() } else { self.read(ptr, len)? };
                self.free(ptr, len)?;
                match ty {
                    Type::String => Value::String(
                        String::from_utf8(bytes)
                            .map_err(|error| Error::protocol(format_args!("a string result: {error}")))?,
                    ),
                    _ => Value::Bytes(bytes),
                }
            }
            _ => return Err(Error::protocol(format_args!("a result of type {ty} arrived as {raw:?}"))),
        })
    }

    /// Enters the guest by an export that opens a call.
    fn enter(&mut self, name: &Arc<str>, func: Func, params: &[Val], results: &mut [Val]) -> Result<()> {
        let state = self.store.data_mut();
        state.open += 1;
        if state.open == 1 {
            state.outermost = Some(Arc::clone(name));
        }
        let outcome = func.call(&mut self.store, params, results);
        self.store.data_mut().open -= 1;
        outcome.map_err(|error| self.diagnose(name, &error, true))
    }

    /// Calls an export that opens no call, runs no task and does not use the error door.
    pub(crate) fn helper(&mut self, name: &str, params: &[Val]) -> Result<Option<Val>> {
        let export = self.abi_export(name)?;
        let mut results = [Val::I32(0)];
        match export.func.call(&mut self.store, params, &mut results[..export.results]) {
            Ok(()) => Ok((export.results > 0).then_some(results[0])),
            Err(error) => Err(self.diagnose(name, &error, false)),
        }
    }
}

fn unpack(packed: i64) -> (u32, u32) {
    let packed = packed.cast_unsigned();
    // The low and the high half.
    ((packed & 0xffff_ffff) as u32, (packed >> 32) as u32)
}

fn no_memory() -> Error {
    Error::protocol("the module exports no `memory`, so text and bytes cannot cross")
}

fn outside(ptr: u32, len: usize, size: usize) -> Error {
    Error::protocol(format_args!("{len} bytes at {ptr} lie outside of its memory of {size} bytes"))
}

/// Enters the guest out of an import.
impl<'a, T: 'static> Guest<'a, T> {
    pub(crate) fn nested(caller: &'a mut wasmtime::Caller<'_, State<T>>) -> Self {
        Self::new(caller.as_context_mut())
    }
}
