//! Errors here are messages for who typed the command.

pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The error, told from one level further out.
pub(crate) fn within<E: Into<Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> Error {
    move |error| format!("{what}: {}", error.into()).into()
}
