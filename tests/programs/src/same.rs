//! The comparison: with each lowering, and however often it suspends, a program does what it did before.

use std::thread;

use wasmtime::{Config, Engine, Error, Module, Result, ensure};

use crate::host::{Chance, Plan};
use crate::modules::{Lowering, lowerings, module};

const CHANCES: [Chance; 2] = [Chance { percent: 100, seed: 1 }, Chance { percent: 30, seed: 2 }];

/// As much as wasmtime allows without its feature `async`.
const WASM_STACK: usize = 2 << 20;

/// An engine as the tests need it.
///
/// # Errors
///
/// There is no compiler for this machine.
pub fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.max_wasm_stack(WASM_STACK);
    Engine::new(&config)
}

/// Runs a test on a thread whose stack has room for `engine`'s.
///
/// # Panics
///
/// The test failed.
pub fn with_large_stack(test: impl FnOnce() -> Result<()> + Send + 'static) {
    let test = thread::Builder::new().stack_size(4 * WASM_STACK).spawn(test);
    match test.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => panic!("{error:?}"),
        Ok(Err(payload)) => std::panic::resume_unwind(payload),
        Err(error) => panic!("cannot start a thread: {error}"),
    }
}

/// `run` gives what is to be compared, and how often an import suspended.
///
/// # Errors
///
/// All that differed or failed.
pub fn same_as_base(
    program: &str,
    run: impl Fn(&Engine, &Module, Option<Plan>) -> Result<(String, u64)>,
) -> Result<()> {
    let engine = engine()?;
    let (expected, _) = run(&engine, &module(&engine, program, None)?, None)?;
    let one = |module: &Module, lowering: &Lowering, chance| -> Result<()> {
        let plan = Plan { chance, stable: lowering.stable };
        let (found, suspensions) = run(&engine, module, Some(plan))?;
        if let Some((expected, found)) =
            expected.lines().zip(found.lines()).find(|(expected, found)| expected != found)
        {
            return Err(Error::msg(format!("expected: {expected}\nfound:    {found}")));
        }
        ensure!(expected.len() == found.len(), "one is the beginning of the other");
        ensure!(suspensions > 0, "nothing suspended");
        Ok(())
    };
    let mut failures = String::new();
    for lowering in lowerings()? {
        match module(&engine, program, Some(&lowering)) {
            Ok(module) => {
                for chance in CHANCES {
                    match one(&module, &lowering, chance) {
                        Ok(()) => println!("{program}, {}, {chance:?}: ok", lowering.name),
                        Err(error) => {
                            failures += &format!("{program}, {}, {chance:?}: {error:?}\n", lowering.name);
                        }
                    }
                }
            }
            Err(error) => failures += &format!("{program}, {}: {error:?}\n", lowering.name),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(Error::msg(failures)) }
}
