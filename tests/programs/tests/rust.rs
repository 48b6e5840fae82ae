//! The program tests/programs/rust-guest, in wasmtime.

use program_tests::{Host, Plan, attach, call_unit, enter, same_as_base, with_large_stack};
use wasmtime::{Caller, Engine, Error, Linker, Module, Result, Store};

const INPUT: &[u8] = include_bytes!("../rust-guest/input.txt");

/// Bytes that one read gives at most, so that there are several.
const PIECE: usize = 100;

const WASI: &str = "wasi_snapshot_preview1";

#[derive(Default)]
struct Program {
    output: Vec<u8>,
    read: usize,
    nanoseconds: u64,
    ticks: i64,
    random: u8,
}

type Guest<'a> = Caller<'a, Host<Program>>;

fn put(caller: &mut Guest<'_>, at: u32, bytes: &[u8]) -> Result<()> {
    Ok(caller.data().memory()?.write(caller, at as usize, bytes)?)
}

fn vectors(caller: &mut Guest<'_>, pointer: u32, count: u32) -> Result<Vec<[usize; 2]>> {
    let memory = caller.data().memory()?;
    let mut vector = |index: u32| {
        let mut bytes = [[0; 4]; 2];
        memory.read(&*caller, (pointer + 8 * index) as usize, bytes.as_flattened_mut())?;
        Ok(bytes.map(|word| u32::from_le_bytes(word) as usize))
    };
    (0..count).map(&mut vector).collect()
}

fn fd_read(mut caller: Guest<'_>, fd: u32, pointer: u32, count: u32, into: u32) -> Result<u32> {
    if !enter(&mut caller, "fd_read", (fd, pointer, count, into))? {
        return Ok(0);
    }
    let Some([start, length]) = vectors(&mut caller, pointer, count)?.first().copied() else {
        return Err(Error::msg("nowhere to read to"));
    };
    let read = caller.data().program.read;
    let rest = &INPUT[read..];
    let piece = &rest[..rest.len().min(length).min(PIECE)];
    caller.data().memory()?.write(&mut caller, start, piece)?;
    caller.data_mut().program.read += piece.len();
    put(&mut caller, into, &u32::try_from(piece.len())?.to_le_bytes())?;
    Ok(0)
}

fn fd_write(mut caller: Guest<'_>, fd: u32, pointer: u32, count: u32, into: u32) -> Result<u32> {
    if !enter(&mut caller, "fd_write", (fd, pointer, count, into))? {
        return Ok(0);
    }
    let memory = caller.data().memory()?;
    let mut written = 0;
    for [start, length] in vectors(&mut caller, pointer, count)? {
        let bytes = memory.data(&caller)[start..start + length].to_vec();
        caller.data_mut().program.output.extend(bytes);
        written += length;
    }
    put(&mut caller, into, &u32::try_from(written)?.to_le_bytes())?;
    Ok(0)
}

fn linker(engine: &Engine) -> Result<Linker<Host<Program>>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(WASI, "fd_read", fd_read)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        |mut caller: Guest<'_>, clock: u32, precision: u64, into: u32| {
            if enter(&mut caller, "clock_time_get", (clock, precision, into))? {
                let program = &mut caller.data_mut().program;
                program.nanoseconds += 1000;
                let now = program.nanoseconds.to_le_bytes();
                put(&mut caller, into, &now)?;
            }
            Ok(0)
        },
    )?;
    linker.func_wrap("host", "tick", |mut caller: Guest<'_>, which: i32, value: i64| {
        if !enter(&mut caller, "tick", (which, value))? {
            return Ok(0);
        }
        let program = &mut caller.data_mut().program;
        program.ticks += 1;
        Ok(value.wrapping_mul(31).wrapping_add(i64::from(which)).wrapping_add(program.ticks))
    })?;
    linker.func_wrap(WASI, "environ_get", |_: u32, _: u32| 0)?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Guest<'_>, count: u32, size: u32| {
        put(&mut caller, count, &[0; 4])?;
        put(&mut caller, size, &[0; 4])?;
        Ok(0)
    })?;
    linker.func_wrap(WASI, "random_get", |mut caller: Guest<'_>, into: u32, length: u32| {
        for at in into..into + length {
            let program = &mut caller.data_mut().program;
            program.random = program.random.wrapping_mul(141).wrapping_add(3);
            let byte = program.random;
            put(&mut caller, at, &[byte])?;
        }
        Ok(0)
    })?;
    linker.func_wrap(WASI, "proc_exit", |caller: Guest<'_>, code: u32| -> Result<()> {
        let output = String::from_utf8_lossy(&caller.data().program.output);
        Err(Error::msg(format!("the program ended with {code}: {output}")))
    })?;
    Ok(linker)
}

fn run(engine: &Engine, module: &Module, plan: Option<Plan>) -> Result<(String, u64)> {
    let mut store = Store::new(engine, Host::new(Program::default(), plan));
    let instance = linker(engine)?.instantiate(&mut store, module)?;
    let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| Error::msg("no memory"))?;
    attach(&mut store, instance, memory, ["malloc", "free"])?;
    call_unit(&mut store, "_start", &[])?;
    let host = store.into_data();
    Ok((String::from_utf8(host.program.output)?, host.suspensions))
}

#[test]
#[ignore = "needs what `node tests/programs/run.mjs --prepare` makes"]
fn the_program_prints_the_same_wherever_it_is_suspended() {
    with_large_stack(|| same_as_base("rust", run));
}
