//! Says where the program lies in the board's memory, and what no `cfg` says of the target.

use std::env;
use std::fs;
use std::path::PathBuf;

/// The memory map of each board, by how the target's name begins. `docs/testing.md` has the boards.
const BOARDS: &[(&str, &str)] = &[
    ("thumb", "cortex-m.x"),
    ("riscv32", "riscv-virt.x"),
    ("riscv64", "riscv-virt.x"),
    ("aarch64", "aarch64-virt.x"),
];

fn main() {
    println!("cargo::rustc-check-cfg=cfg(windlass_float)");
    println!("cargo::rerun-if-changed=memory");
    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let target = variable("TARGET");
    let Some((_, map)) = BOARDS.iter().find(|(begin, _)| target.starts_with(begin)) else {
        panic!("no board for {target}: add one to build.rs, and a file to src/board");
    };
    // Whether floating-point registers are part of the calling convention.
    if target.starts_with("riscv32gc") || target.starts_with("riscv64gc") || target.ends_with("hf") {
        println!("cargo::rustc-cfg=windlass_float");
    }
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")).join("memory");
    if target.starts_with("thumb") {
        // `cortex-m-rt` brings the rest.
        let out = PathBuf::from(variable("OUT_DIR"));
        fs::copy(here.join(map), out.join("memory.x")).expect("the memory map can be copied");
        println!("cargo::rustc-link-search={}", out.display());
        println!("cargo::rustc-link-arg-bins=-Tlink.x");
    } else {
        println!("cargo::rustc-link-arg-bins=-T{}", here.join(map).display());
    }
}
