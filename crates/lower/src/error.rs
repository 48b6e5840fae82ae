//! What can go wrong, as a message for the person who built the guest.
//!
//! Every error names the construct that is at fault and, where there is one, the remedy. The kind is for
//! programs that react to an error; the texts are for people and may change.

use std::fmt;

/// Why a module could not be lowered or inspected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    help: Option<String>,
}

/// The sort of an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are no valid WebAssembly module, or one of a proposal that the tool does not know.
    Invalid,
    /// The module imports nothing from module `windlass`.
    NotAGuest,
    /// The module has been lowered before.
    AlreadyLowered,
    /// The module breaks the ABI: a wrong version, an unknown intrinsic, a malformed section.
    Abi,
    /// The module uses something that the chosen engine cannot lower.
    Unsupported,
    /// There is no `wasm-opt` to run.
    WasmOptMissing,
    /// `wasm-opt` was run and failed.
    WasmOptFailed,
    /// A file could not be read or written.
    Io,
    /// The result is not valid WebAssembly: a fault of the tool or of `wasm-opt`.
    Internal,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error { kind, message: message.into(), help: None }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Error {
        self.help = Some(help.into());
        self
    }

    /// The same, said of a function.
    pub(crate) fn in_function(mut self, function: &str) -> Error {
        self.message = format!("function {function}: {}", self.message);
        self
    }

    /// The sort of the error.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The remedy, where there is one.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<wasmparser::BinaryReaderError> for Error {
    fn from(error: wasmparser::BinaryReaderError) -> Error {
        Error::new(
            ErrorKind::Invalid,
            format!("not a valid WebAssembly module: {} (at offset {:#x})", error.message(), error.offset()),
        )
    }
}

impl From<wasm_encoder::reencode::Error<Error>> for Error {
    fn from(error: wasm_encoder::reencode::Error<Error>) -> Error {
        match error {
            wasm_encoder::reencode::Error::UserError(error) => error,
            wasm_encoder::reencode::Error::ParseError(error) => error.into(),
            other => {
                Error::new(ErrorKind::Unsupported, format!("the module cannot be encoded again: {other}"))
            }
        }
    }
}
