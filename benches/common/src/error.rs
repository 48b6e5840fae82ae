//! Errors here are messages for who typed the command.

/// A message.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result, or a message.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The error, told from one level further out.
pub fn within<E: Into<Error>>(what: impl std::fmt::Display) -> impl FnOnce(E) -> Error {
    move |error| format!("{what}: {}", error.into()).into()
}
