//! Why the program ends without having done its work, for the person in front of it.

use std::path::Path;
use std::{fmt, io};

use windlass_lower::Error;

/// What is wrong, and what to do about it where that is known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    message: String,
    help: Option<String>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), help: None }
    }

    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Failure {
        self.help = Some(help.into());
        self
    }

    /// The same, with what it is about before it.
    pub(crate) fn about(self, what: &str) -> Failure {
        Failure { message: format!("{what}: {}", self.message), help: self.help }
    }

    /// A file that could not be read or written.
    pub(crate) fn file(verb: &str, path: &Path, error: &io::Error) -> Failure {
        Failure::new(format!("cannot {verb} `{}`: {error}", path.display()))
    }

    /// What the library says about a module.
    pub(crate) fn module(path: &Path, error: &Error) -> Failure {
        Failure { message: format!("{}: {error}", path.display()), help: error.help().map(str::to_owned) }
    }
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Failure {
        Failure { message: error.to_string(), help: error.help().map(str::to_owned) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}
