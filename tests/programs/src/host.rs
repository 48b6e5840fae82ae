//! A host that suspends a guest and resumes it, as `harness/suspension.mjs` does:
//!
//! ```text
//! call(export) ─► guest ─► import, `enter`: start_unwind(buffer), a dummy ─► guest returns
//!      ▲                                                                        │
//!      └── start_rewind(buffer), the export again ◄── stop_unwind ◄─────────────┘
//!          ... ─► the import again, `enter`: stop_rewind, the buffer is overwritten; then its work
//! ```

use std::fmt::Debug;

use wasmtime::{
    AsContext, AsContextMut, Caller, Error, Instance, Memory, Result, Store, TypedFunc, Val, ensure,
};

const NORMAL: i32 = 0;
const UNWINDING: i32 = 1;
const REWINDING: i32 = 2;

/// The size of a buffer.
const BUFFER: u32 = 1 << 18;

/// What a buffer is filled with when it is the guest's again.
const GARBAGE: u8 = 0xa5;

/// How often an import suspends.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    /// In percent.
    pub percent: u32,
    /// Of the dice.
    pub seed: u32,
}

/// How a guest is to be suspended.
#[derive(Clone, Copy)]
pub struct Plan {
    /// When.
    pub chance: Chance,
    /// Whether buffers must stay as they are.
    pub stable: bool,
}

/// What the store has: what the program's imports need, and the calls that are open.
pub struct Host<P> {
    /// The program's.
    pub program: P,
    /// How often an import suspended.
    pub suspensions: u64,
    plan: Option<Plan>,
    dice: u32,
    guest: Option<Guest>,
    calls: Vec<Call>,
}

#[derive(Clone)]
struct Guest {
    instance: Instance,
    memory: Memory,
    malloc: TypedFunc<u32, u32>,
    free: TypedFunc<u32, ()>,
    asyncify: Option<Asyncify>,
}

#[derive(Clone)]
struct Asyncify {
    get_state: TypedFunc<(), i32>,
    start_unwind: TypedFunc<u32, ()>,
    stop_unwind: TypedFunc<(), ()>,
    start_rewind: TypedFunc<u32, ()>,
    stop_rewind: TypedFunc<(), ()>,
}

/// A call of an export. One that an import makes has a buffer of its own.
#[derive(Default)]
struct Call {
    buffer: Option<u32>,
    used: u32,
    suspended: Option<String>,
}

impl<P> Host<P> {
    /// Without a plan nothing suspends: the module was not lowered.
    pub fn new(program: P, plan: Option<Plan>) -> Self {
        let dice = plan.map_or(1, |plan| plan.chance.seed | 1);
        Self { program, suspensions: 0, plan, dice, guest: None, calls: Vec::new() }
    }

    /// The guest's memory.
    ///
    /// # Errors
    ///
    /// No instance is attached.
    pub fn memory(&self) -> Result<Memory> {
        Ok(self.guest()?.memory)
    }

    fn guest(&self) -> Result<Guest> {
        self.guest.clone().ok_or_else(|| Error::msg("no instance is attached"))
    }

    /// xorshift32.
    fn suspends(&mut self) -> bool {
        let Some(plan) = self.plan else { return false };
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 17;
        self.dice ^= self.dice << 5;
        self.dice % 100 < plan.chance.percent
    }
}

/// Tells the host what its imports call. `malloc` and `free` are the names of those exports.
///
/// # Errors
///
/// An export is missing.
pub fn attach<P>(
    store: &mut Store<Host<P>>,
    instance: Instance,
    memory: Memory,
    [malloc, free]: [&str; 2],
) -> Result<()> {
    let mut guest = Guest {
        instance,
        memory,
        malloc: instance.get_typed_func(&mut *store, malloc)?,
        free: instance.get_typed_func(&mut *store, free)?,
        asyncify: None,
    };
    if store.data().plan.is_some() {
        guest.asyncify = Some(Asyncify {
            get_state: instance.get_typed_func(&mut *store, "asyncify_get_state")?,
            start_unwind: instance.get_typed_func(&mut *store, "asyncify_start_unwind")?,
            stop_unwind: instance.get_typed_func(&mut *store, "asyncify_stop_unwind")?,
            start_rewind: instance.get_typed_func(&mut *store, "asyncify_start_rewind")?,
            stop_rewind: instance.get_typed_func(&mut *store, "asyncify_stop_rewind")?,
        });
    }
    store.data_mut().guest = Some(guest);
    Ok(())
}

/// The first thing that an import which suspends does. If it gives `false` the import returns a dummy at once.
///
/// # Errors
///
/// The guest broke the protocol, or trapped.
pub fn enter<P: 'static>(
    caller: &mut Caller<'_, Host<P>>,
    name: &str,
    arguments: impl Debug,
) -> Result<bool> {
    let guest = caller.data().guest()?;
    let Some(asyncify) = guest.asyncify else { return Ok(true) };
    let signature = format!("{name}{arguments:?}");
    match asyncify.get_state.call(&mut *caller, ())? {
        NORMAL => {
            if caller.data().calls.is_empty() || !caller.data_mut().suspends() {
                return Ok(true);
            }
            let buffer = lend(caller)?;
            if let Some(call) = caller.data_mut().calls.last_mut() {
                call.suspended = Some(signature);
            }
            asyncify.start_unwind.call(&mut *caller, buffer)?;
            Ok(false)
        }
        REWINDING => {
            let suspended = caller.data_mut().calls.last_mut().and_then(|call| call.suspended.take());
            ensure!(suspended.as_ref() == Some(&signature), "{suspended:?} is resumed as {signature}");
            asyncify.stop_rewind.call(&mut *caller, ())?;
            let state = asyncify.get_state.call(&mut *caller, ())?;
            ensure!(state == NORMAL, "the state after stop_rewind is {state}");
            give_back(caller)?;
            Ok(true)
        }
        state => Err(Error::msg(format!("`{name}` is called in state {state}"))),
    }
}

fn lend<P: 'static>(caller: &mut Caller<'_, Host<P>>) -> Result<u32> {
    if let Some(buffer) = caller.data().calls.last().and_then(|call| call.buffer) {
        return Ok(buffer);
    }
    let Guest { memory, malloc, .. } = caller.data().guest()?;
    let buffer = malloc.call(&mut *caller, BUFFER)?;
    ensure!(buffer != 0, "the guest has no memory for a buffer");
    memory.write(&mut *caller, buffer as usize, &(buffer + 8).to_le_bytes())?;
    memory.write(&mut *caller, buffer as usize + 4, &(buffer + BUFFER).to_le_bytes())?;
    if let Some(call) = caller.data_mut().calls.last_mut() {
        call.buffer = Some(buffer);
    }
    Ok(buffer)
}

fn give_back<P: 'static>(caller: &mut Caller<'_, Host<P>>) -> Result<()> {
    if caller.data().plan.is_some_and(|plan| plan.stable) {
        return Ok(());
    }
    let Guest { memory, free, .. } = caller.data().guest()?;
    let Some(call) = caller.data_mut().calls.last_mut() else { return Ok(()) };
    let used = call.used;
    let Some(buffer) = call.buffer.take() else { return Ok(()) };
    let length = (used + 64).min(BUFFER) as usize;
    memory.data_mut(&mut *caller)[buffer as usize..][..length].fill(GARBAGE);
    free.call(caller, buffer)
}

/// Calls an export that gives a number, and resumes it until it is done.
///
/// # Errors
///
/// The guest broke the protocol, or trapped.
pub fn call<P: 'static, R: Value>(
    mut store: impl AsContextMut<Data = Host<P>>,
    name: &str,
    arguments: &[Val],
) -> Result<R> {
    let mut results = [R::DUMMY];
    complete(&mut store, name, arguments, &mut results)?;
    R::of(&results[0]).ok_or_else(|| Error::msg(format!("`{name}` gives {:?}", results[0])))
}

/// Calls an export that gives nothing.
///
/// # Errors
///
/// As `call`.
pub fn call_unit<P: 'static>(
    mut store: impl AsContextMut<Data = Host<P>>,
    name: &str,
    arguments: &[Val],
) -> Result<()> {
    complete(&mut store, name, arguments, &mut [])
}

fn complete<P: 'static>(
    store: &mut impl AsContextMut<Data = Host<P>>,
    name: &str,
    arguments: &[Val],
    results: &mut [Val],
) -> Result<()> {
    let Guest { instance, memory, free, asyncify, .. } = store.as_context().data().guest()?;
    let export = instance
        .get_func(&mut *store, name)
        .ok_or_else(|| Error::msg(format!("the guest exports no function `{name}`")))?;
    let Some(asyncify) = asyncify else { return export.call(&mut *store, arguments, results) };
    store.as_context_mut().data_mut().calls.push(Call::default());
    loop {
        export.call(&mut *store, arguments, results)?;
        let state = asyncify.get_state.call(&mut *store, ())?;
        let mut context = store.as_context_mut();
        if state != UNWINDING {
            ensure!(state == NORMAL, "`{name}` returns in state {state}");
            let call = context.data_mut().calls.pop().unwrap_or_default();
            ensure!(call.suspended.is_none(), "`{name}` returns, but {:?} suspended", call.suspended);
            return call.buffer.map_or(Ok(()), |buffer| free.call(&mut *store, buffer));
        }
        context.data_mut().suspensions += 1;
        let buffer = context.data().calls.last().and_then(|call| call.buffer);
        let buffer = buffer.ok_or_else(|| Error::msg("it unwinds without a buffer"))?;
        asyncify.stop_unwind.call(&mut *store, ())?;
        let mut current = [0; 4];
        memory.read(&*store, buffer as usize, &mut current)?;
        let used = u32::from_le_bytes(current).wrapping_sub(buffer);
        ensure!((8..=BUFFER).contains(&used), "`current` is {used} bytes into the buffer");
        if let Some(call) = store.as_context_mut().data_mut().calls.last_mut() {
            call.used = used;
        }
        asyncify.start_rewind.call(&mut *store, buffer)?;
    }
}

/// A type of numbers that an export gives.
pub trait Value: Sized {
    /// Any.
    const DUMMY: Val;
    /// The number, if it is of this type.
    fn of(value: &Val) -> Option<Self>;
}

impl Value for i32 {
    const DUMMY: Val = Val::I32(0);

    fn of(value: &Val) -> Option<Self> {
        value.i32()
    }
}

impl Value for f64 {
    const DUMMY: Val = Val::F64(0);

    fn of(value: &Val) -> Option<Self> {
        value.f64()
    }
}

/// Bytes in memory from the guest's heap.
///
/// # Errors
///
/// The guest has no memory.
pub fn to_guest<P: 'static>(mut store: impl AsContextMut<Data = Host<P>>, bytes: &[u8]) -> Result<u32> {
    let Guest { memory, malloc, .. } = store.as_context().data().guest()?;
    let length = u32::try_from(bytes.len())?;
    let pointer = malloc.call(&mut store, length)?;
    memory.write(&mut store, pointer as usize, bytes)?;
    Ok(pointer)
}

/// Gives memory back to the guest's heap.
///
/// # Errors
///
/// The guest trapped.
pub fn give<P: 'static>(mut store: impl AsContextMut<Data = Host<P>>, pointer: u32) -> Result<()> {
    let Guest { free, .. } = store.as_context().data().guest()?;
    free.call(&mut store, pointer)
}

/// The text up to the zero at its end.
///
/// # Errors
///
/// It is not UTF-8.
pub fn take_text<P: 'static>(store: impl AsContext<Data = Host<P>>, pointer: u32) -> Result<String> {
    let Guest { memory, .. } = store.as_context().data().guest()?;
    let bytes = memory.data(&store).get(pointer as usize..).unwrap_or_default();
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8(text.to_vec())?)
}
