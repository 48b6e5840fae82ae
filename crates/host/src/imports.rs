//! Functions that the host gives to the guest.

use std::{
    error, fmt,
    sync::{Mutex, atomic::Ordering},
};

use wasmtime::{Linker, WasmRet, WasmTy};

use crate::{
    clock::lock,
    convert::{Params, Returned},
    error::{Error, Result},
    guest::Guest,
    state::State,
    value::Value,
};

/// The reactor as an import sees it: in the middle of a call, with nested calls allowed.
pub struct Caller<'a, T: 'static = ()> {
    inner: wasmtime::Caller<'a, State<T>>,
}

impl<T: 'static> Caller<'_, T> {
    /// The embedder's state.
    pub fn state(&self) -> &T {
        &self.inner.data().user
    }

    /// The embedder's state.
    pub fn state_mut(&mut self) -> &mut T {
        &mut self.inner.data_mut().user
    }

    /// Calls an export while the guest waits for this import: a nested call.
    ///
    /// # Errors
    ///
    /// As [`Reactor::call`](crate::Reactor::call), and [`Error::NestedTooDeep`]. An import that returns the error passes it out
    /// through the guest, which poisons the instance; to let the guest go on, handle it and return a value.
    pub fn call<P: Params, R: Returned>(&mut self, name: &str, params: P) -> Result<R> {
        Guest::nested(&mut self.inner).call(name, &params, None)
    }

    /// As [`Caller::call`], with types known at run time only.
    ///
    /// # Errors
    ///
    /// As [`Caller::call`].
    pub fn call_values(&mut self, name: &str, params: &[Value]) -> Result<Option<Value>> {
        Guest::nested(&mut self.inner).call(name, &params, None)
    }

    /// The guest's list of tasks.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for a guest without the scheduler.
    pub fn report(&mut self) -> Result<String> {
        Guest::nested(&mut self.inner).report()
    }

    /// Copies bytes out of the guest's memory.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if they lie outside of it.
    pub fn read(&mut self, ptr: u32, len: u32) -> Result<Vec<u8>> {
        Guest::nested(&mut self.inner).read(ptr, len)
    }

    /// Copies text out of the guest's memory.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if it lies outside of it or is not UTF-8.
    pub fn read_str(&mut self, ptr: u32, len: u32) -> Result<String> {
        String::from_utf8(self.read(ptr, len)?)
            .map_err(|error| Error::protocol(format_args!("text at {ptr}: {error}")))
    }

    /// Copies bytes into the guest's memory.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if they would lie outside of it.
    pub fn write(&mut self, ptr: u32, bytes: &[u8]) -> Result<()> {
        Guest::nested(&mut self.inner).write(ptr, bytes)
    }
}

impl<T: fmt::Debug> fmt::Debug for Caller<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("state", self.state()).finish_non_exhaustive()
    }
}

/// What an import returns to the guest: `()`, a number, or a `Result` of these.
///
/// An `Err` goes out through the guest: the outermost call fails with [`Error::Import`] and the instance is poisoned.
pub trait ImportResult {
    #[doc(hidden)]
    type Wasm: WasmRet;
    #[doc(hidden)]
    fn into_wasm(self) -> Result<Self::Wasm, BoxError>;
}

/// A parameter of an import: `i32`, `u32`, `i64`, `u64`, `f32` or `f64`.
pub trait ImportParam: WasmTy {}

type BoxError = Box<dyn error::Error + Send + Sync>;

macro_rules! number {
    ($($ty:ty)*) => {$(
        impl ImportParam for $ty {}
        import_result!($ty);
    )*};
}

macro_rules! import_result {
    ($ty:ty) => {
        impl ImportResult for $ty {
            type Wasm = Self;
            fn into_wasm(self) -> Result<Self, BoxError> {
                Ok(self)
            }
        }
        impl<E: Into<BoxError>> ImportResult for Result<$ty, E> {
            type Wasm = $ty;
            fn into_wasm(self) -> Result<$ty, BoxError> {
                self.map_err(Into::into)
            }
        }
    };
}

number!(i32 u32 i64 u64 f32 f64);
import_result!(());

/// A closure that [`Builder::import`](crate::Builder::import) takes: `Fn(&mut Caller<T>, A, B, ...) -> R` with up to eight
/// parameters.
pub trait IntoImport<T: 'static, Args, R>: Send + Sync + 'static {
    #[doc(hidden)]
    fn define(self, linker: &mut Define<'_, T>, module: &str, name: &str) -> Result<()>;
}

/// Keeps the engine's types out of [`IntoImport`].
#[doc(hidden)]
pub struct Define<'a, T: 'static>(pub(crate) &'a mut Linker<State<T>>);

impl<T> fmt::Debug for Define<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Define").finish_non_exhaustive()
    }
}

macro_rules! into_import {
    ($($arg:ident)*) => {
        impl<T: 'static, Func, R: ImportResult, $($arg: ImportParam),*> IntoImport<T, ($($arg,)*), R> for Func
        where
            Func: Fn(&mut Caller<'_, T>, $($arg),*) -> R + Send + Sync + 'static,
        {
            #[allow(non_snake_case, reason = "the parameters are named after their types")]
            fn define(self, linker: &mut Define<'_, T>, module: &str, name: &str) -> Result<()> {
                let import = format!("{module}.{name}");
                let function = move |inner: wasmtime::Caller<'_, State<T>>, $($arg: $arg),*| {
                    let mut caller = Caller { inner };
                    let returned = self(&mut caller, $($arg),*).into_wasm();
                    returned.map_err(|source| ImportError::wrap(&import, source))
                };
                match linker.0.func_wrap(module, name, function) {
                    Ok(_) => Ok(()),
                    Err(error) => Err(Error::load(error)),
                }
            }
        }
    };
}

into_import!();
into_import!(A1);
into_import!(A1 A2);
into_import!(A1 A2 A3);
into_import!(A1 A2 A3 A4);
into_import!(A1 A2 A3 A4 A5);
into_import!(A1 A2 A3 A4 A5 A6);
into_import!(A1 A2 A3 A4 A5 A6 A7);
into_import!(A1 A2 A3 A4 A5 A6 A7 A8);

/// An import's error on its way through the guest.
#[derive(Debug)]
pub(crate) struct ImportError {
    import: String,
    /// Behind a lock because the engine lends errors out, and the caller wants to own this one.
    source: Mutex<Option<BoxError>>,
}

impl ImportError {
    fn wrap(import: &str, source: BoxError) -> wasmtime::Error {
        wasmtime::Error::new(Self { import: import.to_owned(), source: Mutex::new(Some(source)) })
    }

    pub(crate) fn import(&self) -> &str {
        &self.import
    }

    /// The error for the embedder; at the first taking with its source.
    pub(crate) fn take(&self, call: &str) -> Error {
        let source = lock(&self.source).take();
        Error::Import {
            call: call.to_owned(),
            import: self.import.clone(),
            source: source.unwrap_or_else(|| "its error was taken before".into()),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*lock(&self.source) {
            Some(source) => source.fmt(f),
            None => f.write_str("its error was taken before"),
        }
    }
}

impl error::Error for ImportError {}

/// Thrown out of `windlass_host.wait` by an interruption.
#[derive(Debug)]
pub(crate) struct Interruption;

impl fmt::Display for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl error::Error for Interruption {}

/// How long an interruptible host sleeps before it looks whether it was interrupted.
const SLICE: u64 = 100_000_000;

/// Defines module `windlass_host`.
pub(crate) fn define_host<T: 'static>(linker: &mut Linker<State<T>>) -> Result<()> {
    const MODULE: &str = "windlass_host";
    fn time(until: i64) -> u64 {
        u64::try_from(until).unwrap_or(0)
    }
    let defined = (|| {
        linker.func_wrap(MODULE, "now", |caller: wasmtime::Caller<'_, State<T>>| {
            i64::try_from(caller.data().clock.now()).unwrap_or(i64::MAX)
        })?;
        linker.func_wrap(MODULE, "wait", |caller: wasmtime::Caller<'_, State<T>>, until: i64| {
            let state = caller.data();
            if !state.may_block {
                return Ok(1);
            }
            let until = time(until);
            if state.interruptible {
                while state.clock.now() < until {
                    state.clock.sleep_until(until.min(state.clock.now().saturating_add(SLICE)));
                    if state.interrupt.load(Ordering::SeqCst) {
                        return Err(wasmtime::Error::new(Interruption));
                    }
                }
            } else {
                state.clock.sleep_until(until);
            }
            Ok(0)
        })?;
        linker.func_wrap(MODULE, "wake_at", |mut caller: wasmtime::Caller<'_, State<T>>, until: i64| {
            caller.data_mut().set_wake(u64::try_from(until).ok());
        })?;
        linker.func_wrap(
            MODULE,
            "log",
            |mut caller: wasmtime::Caller<'_, State<T>>, ptr: u32, len: u32| {
                let bytes = Guest::nested(&mut caller).read(ptr, len);
                let bytes = bytes.map_err(|error| ImportError::wrap("windlass_host.log", error.into()))?;
                caller.data_mut().log.line(&String::from_utf8_lossy(&bytes));
                Ok(())
            },
        )?;
        Ok::<(), wasmtime::Error>(())
    })();
    defined.map_err(Error::load)
}
