//! SQLite works through tests/programs/sqlite/workload.sql in wasmtime, on a file of this host, whose reads, writes and seeks suspend it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use program_tests::{
    Host, Plan, attach, call, enter, give, same_as_base, take_text, to_guest, with_large_stack,
};
use wasmtime::{
    AsContextMut, Caller, Engine, Error, Linker, Memory, MemoryType, Module, Result, Store, Val, ensure,
};

const WORKLOAD: &str = include_str!("../sqlite/workload.sql");

const WASI: &str = "wasi_snapshot_preview1";
const ROW: i32 = 100;
const DONE: i32 = 101;

/// Errors as Emscripten numbers them.
const NO_ENTRY: i32 = 44;
const EXISTS: i32 = 20;

#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    open: BTreeMap<i32, Open>,
    milliseconds: f64,
}

/// A file that was removed stays readable for who has it open; SQLite has no such file when it reads.
#[derive(Clone)]
struct Open {
    path: String,
    at: usize,
}

type Guest<'a> = Caller<'a, Host<Disk>>;

fn disk<'a>(caller: &'a mut Guest<'_>) -> &'a mut Disk {
    &mut caller.data_mut().program
}

fn put(caller: &mut Guest<'_>, at: i32, bytes: &[u8]) -> Result<()> {
    Ok(caller.data().memory()?.write(caller, at.cast_unsigned() as usize, bytes)?)
}

fn path(caller: &Guest<'_>, pointer: i32) -> Result<String> {
    take_text(caller, pointer.cast_unsigned())
}

fn vectors(caller: &mut Guest<'_>, pointer: i32, count: i32) -> Result<Vec<[usize; 2]>> {
    let memory = caller.data().memory()?;
    let vector = |index: i32| {
        let mut bytes = [[0; 4]; 2];
        memory.read(&*caller, (pointer + 8 * index).cast_unsigned() as usize, bytes.as_flattened_mut())?;
        Ok(bytes.map(|word| u32::from_le_bytes(word) as usize))
    };
    (0..count).map(vector).collect()
}

fn open_file(caller: &mut Guest<'_>, fd: i32) -> Result<Open> {
    let open = disk(caller).open.get(&fd).cloned();
    open.ok_or_else(|| Error::msg(format!("file {fd} is not open")))
}

fn fd_read(mut caller: Guest<'_>, fd: i32, pointer: i32, count: i32, into: i32) -> Result<i32> {
    if !enter(&mut caller, "fd_read", (fd, pointer, count, into))? {
        return Ok(0);
    }
    let Open { path, mut at } = open_file(&mut caller, fd)?;
    let from = at;
    let memory = caller.data().memory()?;
    for [start, length] in vectors(&mut caller, pointer, count)? {
        let (bytes, host) = memory.data_and_store_mut(&mut caller);
        let file = host.program.files.get(&path).map(Vec::as_slice).unwrap_or_default();
        let rest = file.get(at..).unwrap_or_default();
        let part = &rest[..rest.len().min(length)];
        bytes[start..start + part.len()].copy_from_slice(part);
        at += part.len();
    }
    disk(&mut caller).open.insert(fd, Open { path, at });
    put(&mut caller, into, &u32::try_from(at - from)?.to_le_bytes())?;
    Ok(0)
}

fn fd_write(mut caller: Guest<'_>, fd: i32, pointer: i32, count: i32, into: i32) -> Result<i32> {
    if !enter(&mut caller, "fd_write", (fd, pointer, count, into))? {
        return Ok(0);
    }
    let Open { path, mut at } = open_file(&mut caller, fd)?;
    let from = at;
    let memory = caller.data().memory()?;
    for [start, length] in vectors(&mut caller, pointer, count)? {
        let (bytes, host) = memory.data_and_store_mut(&mut caller);
        let file = host.program.files.entry(path.clone()).or_default();
        if file.len() < at + length {
            file.resize(at + length, 0);
        }
        file[at..at + length].copy_from_slice(&bytes[start..start + length]);
        at += length;
    }
    disk(&mut caller).open.insert(fd, Open { path, at });
    put(&mut caller, into, &u32::try_from(at - from)?.to_le_bytes())?;
    Ok(0)
}

fn fd_seek(mut caller: Guest<'_>, fd: i32, offset: i64, whence: i32, into: i32) -> Result<i32> {
    if !enter(&mut caller, "fd_seek", (fd, offset, whence, into))? {
        return Ok(0);
    }
    let Open { path, at } = open_file(&mut caller, fd)?;
    let base = match whence {
        0 => 0,
        1 => at,
        _ => disk(&mut caller).files.get(&path).map_or(0, Vec::len),
    };
    let at = usize::try_from(i64::try_from(base)? + offset)?;
    disk(&mut caller).open.insert(fd, Open { path, at });
    put(&mut caller, into, &(at as u64).to_le_bytes())?;
    Ok(0)
}

fn now(mut caller: Guest<'_>) -> Result<f64> {
    if !enter(&mut caller, "emscripten_date_now", ())? {
        return Ok(0.0);
    }
    disk(&mut caller).milliseconds += 1.0;
    Ok(1.7e12 + disk(&mut caller).milliseconds)
}

fn open_at(mut caller: Guest<'_>, _at: i32, name: i32, flags: i32, _varargs: i32) -> Result<i32> {
    let path = path(&caller, name)?;
    let Disk { files, open, .. } = disk(&mut caller);
    let has = |flag: i32| flags & flag != 0;
    match files.contains_key(&path) {
        false if !has(0o100) || path.starts_with("/dev") => return Ok(-NO_ENTRY),
        true if has(0o200) => return Ok(-EXISTS),
        _ => {}
    }
    let file = files.entry(path.clone()).or_default();
    if has(0o1000) {
        file.clear();
    }
    let fd = (3..).find(|fd| !open.contains_key(fd)).unwrap_or_default();
    open.insert(fd, Open { path, at: 0 });
    Ok(fd)
}

/// Emscripten's `struct stat`.
fn stat(caller: &mut Guest<'_>, path: &str, into: i32) -> Result<i32> {
    let files = &disk(caller).files;
    let Some(size) = files.get(path).map(Vec::len).or_else(|| (path == "/").then_some(0)) else {
        return Ok(-NO_ENTRY);
    };
    let inode = 1 + files.keys().position(|name| name == path).map_or(0, |at| at as u64 + 1);
    let mode: u32 = if path == "/" { 0o40755 } else { 0o100_644 };
    put(caller, into, &[0; 112])?;
    put(caller, into + 12, &mode.to_le_bytes())?;
    put(caller, into + 16, &1u32.to_le_bytes())?;
    put(caller, into + 40, &(size as u64).to_le_bytes())?;
    put(caller, into + 48, &4096u32.to_le_bytes())?;
    put(caller, into + 104, &inode.to_le_bytes())?;
    Ok(0)
}

/// Locks: nobody else has one.
fn control(mut caller: Guest<'_>, _fd: i32, command: i32, varargs: i32) -> Result<i32> {
    if matches!(command, 5 | 12) {
        let mut pointer = [0; 4];
        caller.data().memory()?.read(&caller, varargs.cast_unsigned() as usize, &mut pointer)?;
        put(&mut caller, i32::from_le_bytes(pointer), &2u16.to_le_bytes())?;
    }
    Ok(0)
}

fn linker(engine: &Engine) -> Result<Linker<Host<Disk>>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(WASI, "fd_read", fd_read)?;
    linker.func_wrap(WASI, "fd_write", fd_write)?;
    linker.func_wrap(WASI, "fd_seek", fd_seek)?;
    linker.func_wrap(WASI, "fd_sync", |_: i32| 0)?;
    linker.func_wrap(WASI, "fd_close", |mut caller: Guest<'_>, fd: i32| {
        disk(&mut caller).open.remove(&fd);
        0
    })?;
    linker.func_wrap(WASI, "environ_get", |_: i32, _: i32| 0)?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Guest<'_>, count: i32, size: i32| {
        put(&mut caller, count, &[0; 4])?;
        put(&mut caller, size, &[0; 4])?;
        Ok(0)
    })?;
    linker.func_wrap("env", "emscripten_date_now", now)?;
    linker.func_wrap("env", "emscripten_get_now", |mut caller: Guest<'_>| {
        disk(&mut caller).milliseconds += 1.0;
        disk(&mut caller).milliseconds
    })?;
    linker.func_wrap("env", "_emscripten_get_now_is_monotonic", || 1)?;
    linker.func_wrap("env", "emscripten_resize_heap", |mut caller: Guest<'_>, size: u32| {
        let memory = caller.data().memory()?;
        let missing = u64::from(size).div_ceil(65536).saturating_sub(memory.size(&caller));
        memory.grow(&mut caller, missing).map(|_| 1)
    })?;
    linker.func_wrap("env", "__syscall_openat", open_at)?;
    linker.func_wrap("env", "__syscall_fcntl64", control)?;
    linker.func_wrap("env", "__syscall_getcwd", |mut caller: Guest<'_>, into: i32, _size: i32| {
        put(&mut caller, into, b"/\0").map(|()| 2)
    })?;
    linker.func_wrap(
        "env",
        "__syscall_faccessat",
        |mut caller: Guest<'_>, _: i32, name: i32, _: i32, _: i32| {
            let path = path(&caller, name)?;
            Ok(if disk(&mut caller).files.contains_key(&path) { 0 } else { -NO_ENTRY })
        },
    )?;
    linker.func_wrap("env", "__syscall_unlinkat", |mut caller: Guest<'_>, _: i32, name: i32, _: i32| {
        let path = path(&caller, name)?;
        Ok(if disk(&mut caller).files.remove(&path).is_some() { 0 } else { -NO_ENTRY })
    })?;
    linker.func_wrap("env", "__syscall_ftruncate64", |mut caller: Guest<'_>, fd: i32, size: i64| {
        let Open { path, .. } = open_file(&mut caller, fd)?;
        disk(&mut caller).files.entry(path).or_default().resize(usize::try_from(size)?, 0);
        Ok(0)
    })?;
    linker.func_wrap("env", "__syscall_fstat64", |mut caller: Guest<'_>, fd: i32, into: i32| {
        let Open { path, .. } = open_file(&mut caller, fd)?;
        stat(&mut caller, &path, into)
    })?;
    for name in ["__syscall_stat64", "__syscall_lstat64"] {
        linker.func_wrap("env", name, |mut caller: Guest<'_>, name: i32, into: i32| {
            let path = path(&caller, name)?;
            stat(&mut caller, &path, into)
        })?;
    }
    linker.func_wrap(
        "env",
        "__syscall_newfstatat",
        |mut caller: Guest<'_>, _: i32, name: i32, into: i32, _: i32| {
            let path = path(&caller, name)?;
            stat(&mut caller, &path, into)
        },
    )?;
    linker.func_wrap("env", "__syscall_fchmod", |_: i32, _: i32| 0)?;
    linker.func_wrap("env", "__syscall_fchown32", |_: i32, _: i32, _: i32| 0)?;
    linker.func_wrap("env", "__syscall_utimensat", |_: i32, _: i32, _: i32, _: i32| 0)?;
    Ok(linker)
}

/// SQLite's functions.
trait InGuest: AsContextMut<Data = Host<Disk>> + Sized {
    fn sqlite(&mut self, name: &str, arguments: &[i32]) -> Result<i32> {
        let arguments: Vec<Val> = arguments.iter().copied().map(Val::I32).collect();
        call(self, name, &arguments)
    }

    fn c_text(&mut self, text: &str) -> Result<i32> {
        Ok(to_guest(&mut *self, format!("{text}\0").as_bytes())?.cast_signed())
    }

    fn text(&mut self, pointer: i32) -> Result<String> {
        if pointer == 0 { Ok(String::new()) } else { take_text(&*self, pointer.cast_unsigned()) }
    }

    fn word(&mut self, pointer: i32) -> Result<i32> {
        let mut bytes = [0; 4];
        let memory = self.as_context().data().memory()?;
        memory.read(&*self, pointer.cast_unsigned() as usize, &mut bytes)?;
        Ok(i32::from_le_bytes(bytes))
    }

    fn free(&mut self, pointer: i32) -> Result<()> {
        give(&mut *self, pointer.cast_unsigned())
    }

    fn error(&mut self, database: i32) -> Result<String> {
        let message = self.sqlite("sqlite3_errmsg", &[database])?;
        Ok(format!("error: {}\n", self.text(message)?))
    }

    fn row(&mut self, statement: i32) -> Result<String> {
        let columns = self.sqlite("sqlite3_column_count", &[statement])?;
        let column = |column| {
            let text = self.sqlite("sqlite3_column_text", &[statement, column])?;
            self.text(text)
        };
        Ok(format!("{}\n", (0..columns).map(column).collect::<Result<Vec<_>>>()?.join("|")))
    }

    fn rows(&mut self, database: i32, statement: i32, times: Option<i32>) -> Result<String> {
        let mut rows = String::new();
        for time in 1..=times.unwrap_or(1) {
            if times.is_some() {
                ensure!(self.sqlite("sqlite3_bind_int", &[statement, 1, time])? == 0, "?1 cannot be bound");
            }
            loop {
                match self.sqlite("sqlite3_step", &[statement])? {
                    ROW => rows += &self.row(statement)?,
                    DONE => break,
                    _ => {
                        rows += &self.error(database)?;
                        break;
                    }
                }
            }
            self.sqlite("sqlite3_reset", &[statement])?;
        }
        Ok(rows)
    }

    fn statement(&mut self, database: i32, sql: &str, times: Option<i32>) -> Result<String> {
        let (text, into) = (self.c_text(sql)?, self.c_text("    ")?);
        let prepared = self.sqlite("sqlite3_prepare_v2", &[database, text, -1, into, 0])?;
        let statement = self.word(into)?;
        let rows = if prepared == 0 { self.rows(database, statement, times)? } else { self.error(database)? };
        self.sqlite("sqlite3_finalize", &[statement])?;
        self.free(text)?;
        self.free(into)?;
        Ok(format!("{sql}\n{rows}"))
    }

    fn workload(&mut self) -> Result<String> {
        let (name, into) = (self.c_text("/library.db")?, self.c_text("    ")?);
        ensure!(self.sqlite("sqlite3_open", &[name, into])? == 0, "the database cannot be opened");
        let database = self.word(into)?;
        let mut output = String::new();
        for block in WORKLOAD.split("\n\n") {
            let (notes, sql): (Vec<&str>, Vec<&str>) = block.lines().partition(|line| line.starts_with("--"));
            let times = notes.iter().find_map(|note| note.strip_prefix("-- repeat ")).map(str::parse);
            if !sql.is_empty() {
                output += &self.statement(database, &sql.join("\n"), times.transpose()?)?;
            }
        }
        ensure!(self.sqlite("sqlite3_close_v2", &[database])? == 0, "the database cannot be closed");
        self.free(name)?;
        self.free(into)?;
        Ok(output)
    }
}

impl<T: AsContextMut<Data = Host<Disk>>> InGuest for T {}

fn run(engine: &Engine, module: &Module, plan: Option<Plan>) -> Result<(String, u64)> {
    let mut linker = linker(engine)?;
    let mut store = Store::new(engine, Host::new(Disk::default(), plan));
    let memory = Memory::new(&mut store, MemoryType::new(256, Some(32768)))?;
    linker.define(&store, "env", "memory", memory)?;
    linker.define_unknown_imports_as_traps(module)?;
    let instance = linker.instantiate(&mut store, module)?;
    attach(&mut store, instance, memory, ["malloc", "free"])?;
    instance.get_typed_func::<(), ()>(&mut store, "__wasm_call_ctors")?.call(&mut store, ())?;
    let mut output = store.workload()?;
    let host = store.into_data();
    for (path, bytes) in &host.program.files {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        output += &format!("{path}: {} bytes, {:x}\n", bytes.len(), hasher.finish());
    }
    Ok((output, host.suspensions))
}

#[test]
#[ignore = "needs what `node tests/programs/run.mjs --prepare` makes"]
fn the_workload_gives_the_same_wherever_it_is_suspended() {
    with_large_stack(|| same_as_base("sqlite", run));
}
