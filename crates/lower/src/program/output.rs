//! Where results go: files, and standard output.
//!
//! A file is written whole or not at all: what is to be in it is first written beside it. Only
//! [`keep`](Output::keep) moves it to its place, so an error on the way leaves what was there before, also where input
//! and output are one file.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::program::failure::Failure;

/// A file that is complete, but not yet in its place.
pub(crate) struct Output {
    /// As the user named it.
    path: PathBuf,
    place: Place,
}

enum Place {
    /// A file of the same directory, and what it will replace.
    Beside(NamedTempFile, PathBuf),
    /// For what is no regular file, such as `/dev/stdout`: it cannot be replaced.
    Into(Vec<u8>),
}

impl Output {
    /// Writes the bytes beside the file.
    pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<Output, Failure> {
        let place = place(path, bytes).map_err(|error| Failure::file("write", path, &error))?;
        Ok(Output { path: path.to_owned(), place })
    }

    /// Whether it replaces a file, or makes one.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.place, Place::Beside(..))
    }

    /// Puts the file into its place.
    pub(crate) fn keep(self) -> Result<(), Failure> {
        let kept = match self.place {
            Place::Beside(file, target) => file.persist(target).map(drop).map_err(|error| error.error),
            Place::Into(bytes) => fs::OpenOptions::new()
                .write(true)
                .open(&self.path)
                .and_then(|mut file| file.write_all(&bytes)),
        };
        kept.map_err(|error| Failure::file("write", &self.path, &error))
    }
}

/// Writes to standard output. That its reader has gone is no failure: it has seen enough.
pub(crate) fn print(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// The file that a path leads to, whether it is there or not. A link stays a link.
pub(crate) fn target(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        if let Ok(target) = fs::canonicalize(&path) {
            return target;
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let parent = fs::canonicalize(&parent).unwrap_or(parent);
        match (fs::read_link(&path), path.file_name()) {
            (Ok(next), _) => path = parent.join(next),
            (Err(_), Some(name)) => return parent.join(name),
            (Err(_), None) => return path,
        }
    }
    path
}

fn place(path: &Path, bytes: &[u8]) -> io::Result<Place> {
    let target = target(path);
    let before = fs::metadata(&target).ok();
    if before.as_ref().is_some_and(fs::Metadata::is_dir) {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return Ok(Place::Into(bytes.to_owned()));
    }
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".windlass-lower-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(directory).map_err(plain)?;
    if let Some(before) = before {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.write_all(bytes).map_err(plain)?;
    Ok(Place::Beside(file, target))
}

/// The error without the name of the temporary file, which tells the user nothing.
fn plain(error: io::Error) -> io::Error {
    let kind = error.kind();
    let inner = error.get_ref().and_then(|wrapped| wrapped.source());
    match inner.and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error) {
        Some(code) => io::Error::from_raw_os_error(code),
        None if error.raw_os_error().is_some() => error,
        None if kind == io::ErrorKind::NotFound => io::Error::new(kind, "its directory does not exist"),
        None => io::Error::from(kind),
    }
}
