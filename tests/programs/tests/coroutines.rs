//! The C program that suspends and resumes itself, in wasmtime.

use program_tests::{Lowering, engine, lowerings, module, with_large_stack};
use wasmtime::{Caller, Engine, Error, Linker, Result, Store};

const EXPECTED: &str = include_str!("../coroutines/expected.txt");

fn prints(engine: &Engine, lowering: &Lowering) -> Result<String> {
    let module = module(engine, "coroutines", Some(lowering))?;
    let mut linker = Linker::new(engine);
    linker.func_wrap("env", "print", |mut caller: Caller<'_, String>, who: u32, what: u32| {
        *caller.data_mut() += &format!("{who} {what}\n");
    })?;
    let mut store = Store::new(engine, String::new());
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<(u32, u32), u32>(&mut store, "run")?;
    for skip in [0, 4] {
        let total = run.call(&mut store, (skip, lowering.stable.into()))?;
        *store.data_mut() += &format!("run {skip}: {total}\n");
    }
    Ok(store.into_data())
}

#[test]
#[ignore = "needs what `node tests/programs/run.mjs --prepare` makes"]
fn coroutines_print_what_they_printed_with_binaryen() {
    with_large_stack(|| {
        let engine = engine()?;
        let mut failures = String::new();
        for lowering in lowerings()? {
            match prints(&engine, &lowering) {
                Ok(printed) if printed == EXPECTED => {}
                Ok(printed) => failures += &format!("{} prints\n{printed}", lowering.name),
                Err(error) => failures += &format!("{}: {error:?}\n", lowering.name),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Error::msg(failures)) }
    });
}
