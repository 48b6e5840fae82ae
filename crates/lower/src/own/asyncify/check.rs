//! What the ABI can serve, and which functions have a part in it.

use wasmparser::{ExternalKind, Operator};

use super::{MODULE, PARTS};
use crate::Options;
use crate::error::{Error, ErrorKind};
use crate::module::{Module, matches_pattern};
use crate::own::calls::{Calls, Root};

/// What the ABI cannot do.
pub(super) fn check(module: &Module<'_>) -> Result<(), Error> {
    let refused =
        |message: String, help: &str| Err(Error::new(ErrorKind::Unsupported, message).with_help(help));
    if let Some(import) = module.function_imports.iter().find(|import| import.module == crate::abi::MODULE) {
        return refused(
            format!("the module imports `windlass.{}`: it is a windlass guest", import.name),
            "lower it with --abi windlass",
        );
    }
    if let Some(import) =
        module.function_imports.iter().find(|import| import.module == MODULE && !PARTS.contains(&import.name))
    {
        return refused(
            format!("the module imports `asyncify.{}`, which the ABI does not have", import.name),
            "it has start_unwind, stop_unwind, start_rewind, stop_rewind and get_state",
        );
    }
    let known = |name: &str| PARTS.iter().any(|part| name.strip_prefix("asyncify_") == Some(part));
    if let Some(export) = module.exports.iter().find(|export| known(export.name)) {
        return refused(
            format!("the module exports `{}`: it has been through an asyncify pass", export.name),
            "lower the module that the linker wrote, once",
        );
    }
    match module.memories.first() {
        None => refused(
            "the module has no memory; the asyncify ABI keeps its data structure in memory 0".to_owned(),
            "give the module a memory",
        ),
        Some(memory) if memory.memory64 => refused(
            "the module's memory has 64-bit addresses (memory64)".to_owned(),
            "the asyncify ABI is lowered for 32-bit memories only; build for a wasm32 target",
        ),
        Some(_) => Ok(()),
    }
}

/// The imports that may suspend, and the functions that suspend by themselves.
pub(super) fn roots(module: &Module<'_>, options: &Options) -> Result<Vec<Root>, Error> {
    let mut found = vec![false; options.suspending_imports.len()];
    let mut roots = Vec::new();
    for (function, import) in (0..).zip(&module.function_imports) {
        if import.module == MODULE {
            continue;
        }
        let name = format!("{}.{}", import.module, import.name);
        let mut suspends = options.suspending_imports.is_empty();
        for (pattern, found) in options.suspending_imports.iter().zip(&mut found) {
            if matches_pattern(pattern, &name) {
                *found = true;
                suspends = true;
            }
        }
        if suspends {
            roots.push(Root { function, again: true });
        }
    }
    for function in callers_of(module, &["start_unwind", "stop_rewind"])? {
        roots.push(Root { function, again: true });
    }
    Ok(roots)
}

/// The functions that call one of these parts of the ABI themselves.
pub(super) fn callers_of(module: &Module<'_>, parts: &[&str]) -> Result<Vec<u32>, Error> {
    let wanted: Vec<u32> = (0..)
        .zip(&module.function_imports)
        .filter(|(_, import)| import.module == MODULE && parts.contains(&import.name))
        .map(|(function, _)| function)
        .collect();
    let mut callers = Vec::new();
    if wanted.is_empty() {
        return Ok(callers);
    }
    let imports = module.function_imports.len();
    for (position, body) in module.bodies.iter().enumerate() {
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            if let Operator::Call { function_index } | Operator::ReturnCall { function_index } =
                operators.read()?
                && wanted.contains(&function_index)
            {
                callers.push((imports + position) as u32);
                break;
            }
        }
    }
    Ok(callers)
}

/// A start function runs while the module is instantiated: nobody could call it again.
pub(crate) fn check_start(module: &Module<'_>, calls: &Calls) -> Result<(), Error> {
    match module.start {
        Some(start) if calls.suspends(start) => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the start function {} may suspend, and nobody can call it again",
                module.function_label(start)
            ),
        )
        .with_help("export it and let the host call it, or deny it if it never suspends")),
        _ => Ok(()),
    }
}

/// The functions whose exports are wrappers.
pub(crate) fn exported(module: &Module<'_>, calls: &Calls) -> Vec<u32> {
    let functions = module.exports.iter().filter(|export| export.kind == ExternalKind::Func);
    functions.map(|export| export.index).filter(|function| calls.suspends(*function)).collect()
}
