//! Naming the error of a call that failed: the error door of `docs/abi.md` section 6, and what the engine says.

use std::sync::atomic::Ordering;

use wasmtime::{Trap, Val, WasmBacktrace};

use crate::{
    error::{Error, Result},
    guest::Guest,
    imports::{ImportError, Interruption},
};

/// Fuel for reading the error door after a call that used up its own.
const DOOR_FUEL: u64 = 10_000_000;

impl<T: 'static> Guest<'_, T> {
    /// Names the error of a call that did not return.
    pub(crate) fn diagnose(&mut self, call: &str, error: &wasmtime::Error, use_door: bool) -> Error {
        let call_name = || call.to_owned();
        if let Some(thrown) = error.downcast_ref::<ImportError>() {
            let message = format!("the import `{}` failed: {thrown}", thrown.import());
            self.thrown_through(call, message);
            return thrown.take(call);
        }
        if error.is::<Interruption>() {
            self.thrown_through(call, "it was interrupted");
            return Error::Interrupted { call: call_name() };
        }
        let trap = error.downcast_ref::<Trap>();
        match trap {
            Some(Trap::OutOfFuel) => {
                // A nested call used up what the outer ones share: they must be able to fail in good order.
                let _ = self.store.set_fuel(DOOR_FUEL);
                self.store.data_mut().health.poison(call, "it used up its fuel");
                return Error::OutOfFuel { call: call_name() };
            }
            Some(Trap::Interrupt) => {
                let state = self.store.data_mut();
                state.interrupt.store(false, Ordering::SeqCst);
                state.health.poison(call, "it was interrupted");
                return Error::Interrupted { call: call_name() };
            }
            // The guest's own way out. Any other trap happened to it, whatever an earlier error left in the door.
            Some(Trap::UnreachableCodeReached) if use_door && self.store.data().exports.door => {
                match self.door_code() {
                    Ok(0) => {}
                    Ok(code) => return self.named(call, code),
                    Err(error) => return error,
                }
            }
            _ => {}
        }
        let message = match trap {
            Some(trap) => trap.to_string(),
            None => error.root_cause().to_string(),
        };
        let frames = error.downcast_ref::<WasmBacktrace>().map(WasmBacktrace::frames).unwrap_or_default();
        let backtrace = frames.iter().map(|frame| match frame.func_name() {
            Some(name) => name.to_owned(),
            None => format!("function {}", frame.func_index()),
        });
        self.store.data_mut().health.poison(call, message.clone());
        Error::Trap { call: call_name(), message, backtrace: backtrace.collect() }
    }

    /// Remembers that a host error went out through the guest, which took it for a nested call until told otherwise.
    pub(crate) fn thrown_through(&mut self, call: &str, cause: impl Into<String>) {
        let state = self.store.data_mut();
        state.health.poison(call, cause);
        // What ended the call must not end this one, too.
        state.interrupt.store(false, Ordering::SeqCst);
        if state.fuel.is_some() {
            let _ = self.store.set_fuel(DOOR_FUEL);
        }
        // Without the export the host alone remembers; if it traps nothing is lost.
        let _ = self.helper("windlass_poison", &[]);
    }

    /// The error that the guest left in its door without trapping.
    pub(crate) fn door_error(&mut self, call: &str) -> Error {
        match self.door_code() {
            Ok(0) => Error::protocol(format_args!("`{call}` failed without an error code")),
            Ok(code) => self.named(call, code),
            Err(error) => error,
        }
    }

    fn door_code(&mut self) -> Result<i32> {
        match self.helper("windlass_error_code", &[])? {
            Some(Val::I32(code)) => Ok(code),
            other => Err(Error::protocol(format_args!("`windlass_error_code` returned {other:?}"))),
        }
    }

    pub(crate) fn door_text(&mut self) -> Result<String> {
        let ptr = self.helper("windlass_error_ptr", &[])?;
        let len = self.helper("windlass_error_len", &[])?;
        let (Some(Val::I32(ptr)), Some(Val::I32(len))) = (ptr, len) else {
            return Err(Error::protocol("the error door's report has no address and length"));
        };
        if len == 0 {
            return Ok(String::new());
        }
        let bytes = self.bytes(ptr.cast_unsigned(), len.cast_unsigned())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn named(&mut self, call: &str, code: i32) -> Error {
        let report = match self.door_text() {
            Err(Error::Unsupported { .. }) => without_report(code),
            // A report that cannot be read must not hide the error.
            text => text.unwrap_or_else(|error| error.to_string()),
        };
        let exit_code = |guest: &mut Self| match guest.helper("windlass_exit_code", &[]) {
            Ok(Some(Val::I32(code))) => code,
            _ => 0,
        };
        let health = &mut self.store.data_mut().health;
        match code {
            4 | 8 | 13 | 14 => {
                let by = if code == 4 { "" } else { call };
                health.poison(by, report.clone());
            }
            _ => {}
        }
        match code {
            1 => Error::NotInitialised,
            2 => Error::AlreadyInitialised,
            3 => Error::Ended { code: exit_code(self) },
            4 => Error::Poisoned { by: String::new(), cause: report },
            5 => Error::Deadlock { report },
            6 => Error::WouldWait { report },
            7 => Error::TimedOut { report },
            8 => Error::Panicked { message: report },
            9 => Error::Exited { code: exit_code(self) },
            10 => Error::NestedTooDeep,
            11 => Error::NoTask { report },
            12 => Error::NoSuchCall,
            13 => Error::StackOverflow { report },
            14 => Error::WouldBlock { report },
            code => Error::Unknown { code, report },
        }
    }
}

/// What stands for the report of a guest that has none: the code's name, as `docs/abi.md` has it.
fn without_report(code: i32) -> String {
    let name = match code {
        1 => "not initialised",
        2 => "already initialised",
        3 => "ended",
        4 => "poisoned",
        5 => "deadlock",
        6 => "would wait",
        7 => "timed out",
        8 => "panicked",
        9 => "exited",
        10 => "nested too deep",
        11 => "no task",
        12 => "no such call",
        13 => "stack overflow",
        14 => "would block",
        _ => "unknown",
    };
    format!("{name} (code {code}); the guest's feature `reports`, which says more, is off")
}
