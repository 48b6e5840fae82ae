//! What the runners in Rust share: the goldens, and how a difference is shown. Included by path, as the cases themselves are
//! `no_std`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The goldens, a file each.
pub(crate) struct Goldens(PathBuf);

impl Goldens {
    /// `to_root` leads from the package's directory to that of the workspace.
    pub(crate) fn new(package: &str, to_root: &str) -> Goldens {
        Goldens(Path::new(package).join(to_root).join("tests/cases/goldens"))
    }

    pub(crate) fn file(&self, case: &str) -> PathBuf {
        self.0.join(format!("{case}.trace"))
    }

    /// The names of all cases that have a golden.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.0).expect("tests/cases/goldens can be read");
        entries
            .map(|entry| entry.expect("tests/cases/goldens can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "trace"))
            .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
            .collect()
    }

    /// What is wrong with `trace`, to be shown.
    pub(crate) fn difference(&self, case: &str, trace: &str) -> Option<String> {
        match fs::read_to_string(self.file(case)) {
            Ok(golden) if golden == trace => None,
            Ok(golden) => Some(format!("{case}: -golden +trace\n{}", lines(&golden, trace))),
            Err(error) => {
                Some(format!("{case}: no golden tests/cases/goldens/{case}.trace ({error})\n{trace}"))
            }
        }
    }
}

/// Both texts, with what they begin and end with in common shown once.
fn lines(golden: &str, trace: &str) -> String {
    let golden: Vec<&str> = golden.split('\n').collect();
    let trace: Vec<&str> = trace.split('\n').collect();
    let shorter = golden.len().min(trace.len());
    let begin = golden.iter().zip(&trace).take_while(|(a, b)| a == b).count();
    let end = golden.iter().rev().zip(trace.iter().rev()).take_while(|(a, b)| a == b).count();
    let end = end.min(shorter - begin);
    let mut shown = String::new();
    let parts = [
        (' ', &golden[..begin]),
        ('-', &golden[begin..golden.len() - end]),
        ('+', &trace[begin..trace.len() - end]),
        (' ', &golden[golden.len() - end..]),
    ];
    for (mark, lines) in parts {
        for line in lines {
            let _ = writeln!(shown, "{mark} {line}");
        }
    }
    shown
}
