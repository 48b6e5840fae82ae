//! What a wasm32 reactor exports (`docs/abi.md`, sections 5 and 6), and what the macros' code calls.
#![allow(unsafe_code, reason = "exported names; constructors")]

use super::call::state;
use super::state::code;
use super::value::{Output, memory};
use crate::error::RunError;
use crate::runtime;
use alloc::format;
use alloc::string::{String, ToString};
use core::cell::Cell;
use core::fmt;

/// The version of the ABI that this crate speaks.
const ABI_VERSION: u32 = 1;

#[used]
#[unsafe(link_section = "windlass.abi")]
static ABI: [u8; 4] = ABI_VERSION.to_le_bytes();

#[unsafe(no_mangle)]
extern "C" fn windlass_abi_version() -> u32 {
    ABI_VERSION
}

// ---- the error door

/// Records why a call failed. The one place that may be reached while the state is borrowed (a panic): then the report is lost.
fn record(code: i32, report: impl FnOnce() -> String) {
    #[cfg(feature = "reports")]
    let report = report();
    #[cfg(not(feature = "reports"))]
    drop(report);
    if let Ok(mut state) = runtime::current().reactor.try_borrow_mut() {
        state.door.code = code;
        #[cfg(feature = "reports")]
        {
            state.door.report = report;
        }
    }
}

/// The code says what happened; the report is what it does not say: the list of tasks, or the whole message.
fn record_error(error: RunError) {
    record(code(&error), || error.tasks().map_or_else(|| error.to_string(), String::from));
}

fn trap() -> ! {
    core::arch::wasm32::unreachable()
}

/// Each call from the host begins so.
fn begin() {
    state().door.code = 0;
}

/// Taken by reading: a trap after an error that an import handled must not look like that error.
#[unsafe(no_mangle)]
extern "C" fn windlass_error_code() -> i32 {
    core::mem::take(&mut state().door.code)
}

#[cfg(feature = "reports")]
#[unsafe(no_mangle)]
extern "C" fn windlass_error_ptr() -> *const u8 {
    state().door.report.as_ptr()
}

#[cfg(feature = "reports")]
#[unsafe(no_mangle)]
extern "C" fn windlass_error_len() -> usize {
    state().door.report.len()
}

#[unsafe(no_mangle)]
extern "C" fn windlass_exit_code() -> i32 {
    state().ended.unwrap_or(0)
}

#[unsafe(no_mangle)]
extern "C" fn windlass_poison() {
    super::poison();
}

#[unsafe(no_mangle)]
extern "C" fn windlass_alloc(len: usize) -> *mut u8 {
    memory::allocate(len)
}

#[unsafe(no_mangle)]
extern "C" fn windlass_free(pointer: *mut u8, len: usize) {
    memory::free(pointer, len);
}

/// Says who panicked and where, through the error door; the trap follows.
#[cfg_attr(
    not(any(feature = "panic-handler", feature = "std")),
    allow(dead_code, reason = "the guest has a panic handler of its own")
)]
pub(crate) fn record_panic(info: &dyn fmt::Display) {
    record(8, || format!("{}{info}", running_task()));
}

#[cfg(feature = "panic-handler")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    record_panic(info);
    trap()
}

// ---- init

/// A function marked `#[windlass::init]`: a link of the list of all.
pub struct Init {
    run: fn(),
    next: Cell<Option<&'static Init>>,
}

// SAFETY: wasm32 without atomics has one thread; with atomics `arch` refuses to compile without `std`, and constructors run before
// any thread starts.
unsafe impl Sync for Init {}

impl Init {
    /// A list of one.
    pub const fn new(run: fn()) -> Init {
        Init { run, next: Cell::new(None) }
    }
}

/// The list, in the order of the registration.
struct Inits {
    first: Cell<Option<&'static Init>>,
    last: Cell<Option<&'static Init>>,
}

// SAFETY: as for `Init`.
unsafe impl Sync for Inits {}

static INITS: Inits = Inits { first: Cell::new(None), last: Cell::new(None) };

/// Called by a constructor that `#[windlass::init]` writes, once for each function.
pub fn register_init(init: &'static Init) {
    match INITS.last.replace(Some(init)) {
        Some(last) => last.next.set(Some(init)),
        None => INITS.first.set(Some(init)),
    }
}

/// On wasip1 the C runtime has an `_initialize` of its own, which the tool wraps.
#[cfg_attr(not(target_os = "wasi"), unsafe(export_name = "_initialize"))]
#[cfg_attr(target_os = "wasi", unsafe(export_name = "windlass_initialize"))]
extern "C" fn initialize() {
    if !may_initialize() {
        trap();
    }
    initialize_once();
}

/// Refusing leaves no frame behind: without the scheduler nobody could give it back.
#[inline(never)]
fn may_initialize() -> bool {
    begin();
    if cfg!(feature = "scheduler") {
        // `fail` gives the frames back.
        return true;
    }
    let checked = state().may_begin_init();
    checked.map_err(record_error).is_ok()
}

#[inline(never)]
fn initialize_once() {
    #[cfg(not(target_os = "wasi"))]
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    let constructors = || {
        // The linker makes every export run the constructors again unless somebody calls them.
        #[cfg(not(target_os = "wasi"))]
        // SAFETY: once, before anything else.
        unsafe {
            __wasm_call_ctors();
        }
        #[cfg(feature = "std")]
        std::panic::set_hook(alloc::boxed::Box::new(|info| record_panic(info)));
    };
    let inits = || {
        let mut next = INITS.first.take();
        while let Some(init) = next {
            (init.run)();
            next = init.next.take();
        }
    };
    guard(|| super::call::initialize_inside(constructors, inits));
}

// ---- calls

/// Opens a call, runs `body`, closes it; an error goes out through the door.
#[cfg(feature = "scheduler")]
fn guard<T>(body: impl FnOnce() -> Result<T, RunError>) -> T {
    open();
    match body() {
        Ok(value) => {
            super::host::exit();
            value
        }
        Err(error) => give_up(error),
    }
}

#[cfg(feature = "scheduler")]
fn open() {
    if let Err(error) = super::call::gate::enter() {
        record_error(error);
        super::host::refuse();
    }
}

/// Records the error and ends the call.
#[cfg(feature = "scheduler")]
fn give_up(error: RunError) -> ! {
    // By value: what lives on this stack is given up by the trap.
    record_error(error);
    super::host::fail()
}

/// Runs `body`; an error goes out through the door.
#[cfg(not(feature = "scheduler"))]
fn guard<T>(body: impl FnOnce() -> Result<T, RunError>) -> T {
    match body() {
        Ok(value) => value,
        Err(error) => fail(error),
    }
}

/// Records the error and gives the call's frames up.
#[cfg(not(feature = "scheduler"))]
pub(super) fn fail(error: RunError) -> ! {
    record_error(error);
    trap()
}

/// A synchronous call of an export.
#[cfg(feature = "scheduler")]
pub fn call<F, T>(name: &'static str, f: F) -> T::Abi
where
    F: FnOnce() -> T + 'static,
    T: Output,
{
    begin();
    let deadline = super::call::next_deadline();
    guard(|| super::call::call_inside(name, deadline, f)).into_abi()
}

/// Refuses a call that may not come in: traps before the export has a frame.
#[cfg(not(feature = "scheduler"))]
pub fn admit() {
    if !is_admitted() {
        trap();
    }
}

#[cfg(not(feature = "scheduler"))]
#[inline(never)]
fn is_admitted() -> bool {
    begin();
    let checked = state().check();
    checked.map_err(record_error).is_ok()
}

/// With the scheduler a refused call is given its frames back by `fail`.
#[cfg(feature = "scheduler")]
#[inline(always)]
pub fn admit() {}

/// A call of an export.
#[cfg(not(feature = "scheduler"))]
pub fn call<F, T>(name: &'static str, f: F) -> T::Abi
where
    F: FnOnce() -> T + 'static,
    T: Output,
{
    begin();
    guard(|| super::call::call(name, f)).into_abi()
}

#[cfg(feature = "asynchronous")]
mod asynchronous {
    use super::super::asynchronous::{
        Progress, cancel_call, poll_inside, set_background, start_inside, take_result,
    };
    use super::super::call::{check, gate, next_deadline};
    use super::super::value::Output;
    use super::{begin, guard, record_error};

    /// Starts an asynchronous call of an export; 0: failed.
    pub fn start<F, T>(name: &'static str, f: F) -> u32
    where
        F: FnOnce() -> T + 'static,
        T: Output,
    {
        begin();
        let deadline = next_deadline();
        gate::guarded(|| start_inside(name, deadline, f)).unwrap_or_else(|error| {
            record_error(error);
            0
        })
    }

    /// Takes the result of an asynchronous call.
    pub fn result<T: Output>(name: &'static str, id: u32) -> T::Abi {
        begin();
        // SAFETY: calls of this name are started with this type, by the same macro.
        guard(|| unsafe { take_result::<T>(id, Some(name)) }).into_abi()
    }

    #[unsafe(no_mangle)]
    extern "C" fn windlass_poll(id: u32) -> i32 {
        begin();
        match gate::guarded(|| poll_inside(id)) {
            Ok(Progress::Waiting) => 0,
            Ok(Progress::Done) => 1,
            Ok(Progress::Runnable) => 3,
            Err(error) => {
                record_error(error);
                2
            }
        }
    }

    #[unsafe(no_mangle)]
    extern "C" fn windlass_cancel(id: u32) -> i32 {
        begin();
        let existed = gate::guarded(|| {
            check()?;
            Ok(cancel_call(id))
        });
        i32::from(existed.unwrap_or_else(|error| {
            record_error(error);
            false
        }))
    }

    #[unsafe(no_mangle)]
    extern "C" fn windlass_background(on: i32) {
        set_background(on != 0);
    }
}

#[cfg(feature = "asynchronous")]
pub use asynchronous::{result, start};

#[cfg(feature = "scheduler")]
mod tasks {
    use super::{record, running_task, trap};
    use crate::runtime;
    use alloc::format;

    #[unsafe(no_mangle)]
    extern "C" fn windlass_max_tasks(tasks: u32) {
        runtime::set_max_tasks(if tasks == 0 { usize::MAX } else { tasks as usize });
    }

    #[cfg(feature = "reports")]
    #[unsafe(no_mangle)]
    extern "C" fn windlass_report() -> usize {
        record(0, crate::dispatcher::report);
        runtime::with(|scheduler| scheduler.tasks.alive())
    }

    #[cfg(feature = "timers")]
    #[unsafe(no_mangle)]
    extern "C" fn windlass_deadline(until: i64) {
        let until = u64::try_from(until).ok().map(crate::time::Instant::from_nanos);
        super::state().next_deadline = until;
    }

    /// Called by the lowered code, on the host's shadow stack, when a task's is full.
    #[unsafe(no_mangle)]
    extern "C" fn windlass_stack_overflow() {
        record(13, || {
            let size = runtime::with(|scheduler| {
                scheduler.running().and_then(|me| me.stack().map(|stack| stack.size())).unwrap_or(0)
            });
            format!(
                "{}stack overflow: its stack of {size} bytes is full; spawn it with a larger `Builder::stack_size`, or set one \
                 for all with `runtime::set_stack_size` in init",
                running_task()
            )
        });
        trap()
    }
}

/// `task 3 "adder": `, or nothing outside a task.
fn running_task() -> String {
    #[cfg(feature = "scheduler")]
    {
        use crate::runtime::with;
        with(|scheduler| {
            let Some(me) = scheduler.running() else { return String::new() };
            let id = me.id();
            match me.name() {
                Some(name) => format!("task {id} \"{name}\": "),
                None => format!("task {id}: "),
            }
        })
    }
    #[cfg(not(feature = "scheduler"))]
    String::new()
}
