//! What is linked: no allocator.

use crate::Test;
use std::process::Command;
use std::{env, fs};

/// Parts of the names of whatever allocates: Rust's, and the C library's.
const ALLOCATORS: &[&str] =
    &["__rust_alloc", "__rust_realloc", "__rg_alloc", "__rdl_alloc", "malloc", "calloc", "posix_memalign"];

pub(crate) fn all() -> Vec<Test> {
    vec![Test::new("a_program_without_std_has_no_allocator_in_it", no_allocator)]
}

/// The names are in the symbol tables of the file, static and dynamic, defined or not.
fn names_in(file: &[u8]) -> Vec<&'static str> {
    let has = |name: &str| file.windows(name.len()).any(|bytes| bytes == name.as_bytes());
    ALLOCATORS.iter().copied().filter(|name| has(name)).collect()
}

fn no_allocator() {
    let program = env!("CARGO_BIN_EXE_bare");
    let output = Command::new(program).output().expect("it runs");
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b"5050\n"[..]));
    let file = fs::read(program).expect("it can be read");
    assert!(file.windows(8).any(|bytes| bytes == b"windlass"), "its symbols were stripped");
    assert_eq!(names_in(&file), [""; 0], "{program}");
    // This one has an allocator: the names are the right ones.
    let own = fs::read(env::current_exe().expect("it runs")).expect("it can be read");
    let own = names_in(&own);
    assert!(own.contains(&"__rust_alloc") && own.contains(&"malloc"), "{own:?}");
}
