//! The guests that are written by hand or by clang, from `guests/`, and one whose shape is generated: a recursion with so
//! many live values in each frame.

use std::fmt::Write;

use crate::error::Result;

/// The programs in C: how the bench is called, the export, its argument.
pub(crate) const C: &[(&str, &str, &str, i32)] = &[
    ("fib", include_str!("../guests/c/fib.wat"), "run", 32),
    ("nbody", include_str!("../guests/c/nbody.wat"), "run", 100_000),
    ("interp-switch", include_str!("../guests/c/interp.wat"), "run_switch", 1_000_000),
    ("interp-indirect", include_str!("../guests/c/interp.wat"), "run_indirect", 300_000),
];

/// One of those as a guest of our ABI: what may suspend is `leave`.
pub(crate) fn by_windlass(c: &str) -> Result<String> {
    const IMPORT: &str = r#"(import "env" "may_suspend" (func $may_suspend (param i32) (result i32)))"#;
    let text = c.replace(IMPORT, r#"(import "windlass" "leave" (func $leave (param i32)))"#);
    let (fields, _) = text.rsplit_once(')').ok_or("a module has an end")?;
    Ok(format!(
        "{fields}
         (func $may_suspend (param i32) (result i32) (call $leave (local.get 0)) (local.get 0))
         (@custom \"windlass.abi\" \"\\01\\00\\00\\00\"))"
    ))
}

/// The programs that QuickJS runs.
pub(crate) const JS: &[(&str, &str)] = &[
    ("fib", include_str!("../guests/js/fib.js")),
    ("loop", include_str!("../guests/js/loop.js")),
    ("objects", include_str!("../guests/js/objects.js")),
    ("sort", include_str!("../guests/js/sort.js")),
    ("regex", include_str!("../guests/js/regex.js")),
    ("strings", include_str!("../guests/js/strings.js")),
    ("json", include_str!("../guests/js/json.js")),
];

/// Tasks in a ring, by four ways to switch.
pub(crate) const WINDLASS: &str = include_str!("../guests/switch/windlass.wat");
pub(crate) const ASYNCIFY: &str = include_str!("../guests/switch/asyncify.wat");
pub(crate) const DRIVEN: &str = include_str!("../guests/switch/driven.wat");
pub(crate) const NATIVE: &str = include_str!("../guests/switch/native.wat");

/// Numbers of live values that the tasks' frames may have.
pub(crate) const LIVE: &[u32] = &[0, 8, 32];

/// Where those values are read from, so that no optimiser knows them.
const VALUES: u32 = 64;

/// A module of the tasks.
pub(crate) fn tasks(way: &str) -> Result<Vec<u8>> {
    let common = include_str!("../guests/switch/common.wat");
    let mut text = format!("(module {way} {common} {}", values());
    for &live in LIVE {
        text += &recursion(live);
    }
    text.push(')');
    assemble(&text)
}

pub(crate) fn assemble(text: &str) -> Result<Vec<u8>> {
    Ok(wat::parse_str(text)?)
}

fn values() -> String {
    let mut text = format!("(data (i32.const {VALUES}) \"");
    for k in 1..=LIVE.iter().copied().max().unwrap_or(0) {
        for byte in k.wrapping_mul(0x9e37_79b9).to_le_bytes() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\{byte:02x}");
        }
    }
    text + "\")"
}

/// `$recN(depth, task)`: reads N values, goes down, and uses them.
fn recursion(live: u32) -> String {
    let mut locals = String::new();
    let mut reads = String::new();
    let mut uses = String::new();
    for k in 0..live {
        let address = VALUES + 4 * k;
        locals += &format!("(local $a{k} i32)");
        reads += &format!("(local.set $a{k} (i32.load offset={address} (i32.const 0)))");
        uses += &format!(
            "(local.set $r (i32.add (local.get $r)
                (i32.mul (local.get $a{k}) (i32.xor (local.get $r) (i32.const {k})))))"
        );
    }
    format!(
        "(func $rec{live} (param $depth i32) (param $task i32) (result i32) (local $r i32) {locals}
            {reads}
            (if (i32.le_s (local.get $depth) (i32.const 1))
                (then (local.set $r (call $leaf (local.get $task))))
                (else (local.set $r
                    (call $rec{live} (i32.sub (local.get $depth) (i32.const 1)) (local.get $task)))))
            {uses}
            (i32.add (i32.mul (local.get $r) (i32.const 5)) (i32.const 1)))"
    )
}
