//! What every backend must do, as cases that need neither `std` nor an allocator.
//!
//! A case is a function of a [`Room`] full of stacks, generic over the backend ([`Seam`]). `each_case!` is the list; a target
//! makes its tests of it. A case panics where the backend is wrong. Most compare a [`Trace`]: who ran, in which order.

use core::cell::Cell;
use core::marker::PhantomData;

use windlass_arch::{Context, Entry};

pub mod endings;
pub mod frames;
pub mod nesting;
pub mod turns;

/// Calls the macro `$then` with the path of each case.
macro_rules! each_case {
    ($then:ident) => {
        $then! {
            turns::the_argument_reaches_the_entry,
            turns::contexts_alternate,
            turns::leave_returns_from_run_and_may_be_continued,
            turns::an_entry_finishes_with_another_context_again_and_again,
            turns::run_of_the_host_returns_at_once,
            turns::the_save_slot_is_written_before_the_other_runs,
            turns::a_ring_keeps_its_order,
            turns::many_switches,
            turns::the_runtime_word_is_the_same_for_all,
            endings::an_entry_ends_to_another_context,
            endings::an_entry_ends_to_a_fresh_context,
            endings::a_dead_stack_is_free_for_the_successor,
            endings::a_context_is_discarded_before_it_starts,
            endings::a_context_is_discarded_while_suspended,
            frames::the_stack_is_aligned_at_entry,
            frames::locals_survive_a_switch,
            frames::deep_frames_survive_a_switch,
            frames::large_frames_survive_a_switch,
            frames::the_smallest_stack_runs_an_entry,
            nesting::an_inner_run_continues_outer_contexts,
            nesting::an_outer_run_continues_inner_contexts,
            nesting::leave_means_the_innermost_run,
            nesting::a_caller_of_the_host_is_left_alone_by_inner_switches,
            nesting::runs_nest_several_levels_deep,
            nesting::a_nested_call_is_on_the_hosts_stack,
            nesting::on_host_outside_of_a_run_is_a_call,
            nesting::run_nests_on_a_contexts_own_stack,
        }
    };
}
pub(crate) use each_case;

/// A backend, so that a case can be generic.
pub trait Seam {
    /// How many switches a long case makes.
    const MANY: usize;
    /// Whether calls that come in through the host share one stack.
    const ONE_HOST_STACK: bool;
    /// Whether `run` may be called on a context's own stack, and not only by the host.
    const RUN_ANYWHERE: bool;
    const STACK_ALIGN: usize;
    const STACK_MIN: usize;

    unsafe fn prepare(limit: *mut u8, base: *mut u8, entry: Entry, arg: *mut ()) -> Context;
    unsafe fn switch(save: *mut Context, to: Context);
    unsafe fn run(first: Context);
    unsafe fn leave(save: *mut Context);
    unsafe fn finish(to: Context) -> Context;
    unsafe fn discard(context: Context);
    /// Calls `f(arg)` as the host would call in: through an import on wasm, by `on_host` elsewhere.
    unsafe fn on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ());
    /// The backend's own `on_host`.
    unsafe fn plain_on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ());
    fn runtime() -> *mut ();
    fn set_runtime(runtime: *mut ());
}

/// Makes `$name` a [`Seam`] for the functions in `$backend`.
macro_rules! seam {
    ($name:ident = $backend:path, many: $many:expr, one_host_stack: $one:expr, run_anywhere: $anywhere:expr, on_host: $on_host:path) => {
        pub(crate) struct $name;

        impl $crate::cases::Seam for $name {
            const MANY: usize = $many;
            const ONE_HOST_STACK: bool = $one;
            const RUN_ANYWHERE: bool = $anywhere;
            const STACK_ALIGN: usize = {
                use $backend as backend;
                backend::STACK_ALIGN
            };
            const STACK_MIN: usize = {
                use $backend as backend;
                backend::STACK_MIN
            };

            #[inline(always)]
            unsafe fn prepare(
                limit: *mut u8,
                base: *mut u8,
                entry: windlass_arch::Entry,
                arg: *mut (),
            ) -> windlass_arch::Context {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::prepare(limit, base, entry, arg) }
            }
            #[inline(always)]
            unsafe fn switch(save: *mut windlass_arch::Context, to: windlass_arch::Context) {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::switch(save, to) }
            }
            #[inline(always)]
            unsafe fn run(first: windlass_arch::Context) {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::run(first) }
            }
            #[inline(always)]
            unsafe fn leave(save: *mut windlass_arch::Context) {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::leave(save) }
            }
            #[inline(always)]
            unsafe fn finish(to: windlass_arch::Context) -> windlass_arch::Context {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::finish(to) }
            }
            #[inline(always)]
            unsafe fn discard(context: windlass_arch::Context) {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::discard(context) }
            }
            unsafe fn on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
                // SAFETY: the same contract.
                unsafe { $on_host(f, arg) }
            }
            unsafe fn plain_on_host(f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
                use $backend as backend;
                // SAFETY: the same contract.
                unsafe { backend::on_host(f, arg) }
            }
            fn runtime() -> *mut () {
                use $backend as backend;
                backend::runtime()
            }
            fn set_runtime(runtime: *mut ()) {
                use $backend as backend;
                backend::set_runtime(runtime);
            }
        }
    };
}
pub(crate) use seam;

pub const STACK_SIZE: usize = 128 * 1024;
pub const STACKS: usize = 8;

/// Memory for one stack.
#[repr(C, align(64))]
pub struct Stack([u8; STACK_SIZE]);

impl Stack {
    #[allow(clippy::large_stack_arrays, reason = "a constant, written once into static memory or a vector")]
    pub const NEW: Stack = Stack([0; STACK_SIZE]);
}

/// The stacks of a case, handed out one by one.
pub struct Room<'a> {
    stacks: *mut Stack,
    used: usize,
    memory: PhantomData<&'a mut [Stack]>,
}

impl<'a> Room<'a> {
    pub fn new(stacks: &'a mut [Stack; STACKS]) -> Room<'a> {
        Room { stacks: stacks.as_mut_ptr(), used: 0, memory: PhantomData }
    }

    /// Limit and base of a stack that nobody uses.
    pub fn stack(&mut self) -> (*mut u8, *mut u8) {
        assert!(self.used < STACKS, "the case needs more stacks");
        // SAFETY: inside the slice, and one past its end at most.
        let (limit, base) = unsafe { (self.stacks.add(self.used), self.stacks.add(self.used + 1)) };
        self.used += 1;
        (limit.cast(), base.cast())
    }

    /// A context on a stack of its own whose entry is `body`.
    pub fn prepare<B: Seam, F: FnOnce() -> Context>(&mut self, body: F) -> Context {
        prepare_on::<B, F>(self.stack(), body)
    }
}

/// A context on `stack` whose entry is `body`. The closure lies at the stack's top, as a task's does.
pub fn prepare_on<B: Seam, F: FnOnce() -> Context>((limit, base): (*mut u8, *mut u8), body: F) -> Context {
    unsafe extern "C" fn entry<F: FnOnce() -> Context>(body: *mut ()) -> Context {
        // SAFETY: written below, read once.
        let body = unsafe { body.cast::<F>().read() };
        body()
    }
    let room = size_of::<F>().next_multiple_of(B::STACK_ALIGN.max(align_of::<F>()));
    // SAFETY: the stacks are far larger than a closure. The case keeps what the closure borrows alive until it has run.
    unsafe {
        let top = base.sub(room);
        top.cast::<F>().write(body);
        B::prepare(limit, top, entry::<F>, top.cast())
    }
}

/// Switches from the running context, which goes to `save`, to `to`.
#[inline(always)]
pub fn switch<B: Seam>(save: &Cell<Context>, to: Context) {
    // SAFETY: a case runs this on a context, and keeps *One Owner*.
    unsafe { B::switch(save.as_ptr(), to) }
}

/// Runs `first` until somebody leaves.
#[inline(always)]
pub fn run<B: Seam>(first: Context) {
    // SAFETY: a case keeps *One Owner*.
    unsafe { B::run(first) }
}

/// Leaves to the innermost `run`.
#[inline(always)]
pub fn leave<B: Seam>(save: &Cell<Context>) {
    // SAFETY: a case runs this on a context.
    unsafe { B::leave(save.as_ptr()) }
}

/// Calls `f` as a call that comes in through the host.
pub fn on_host<B: Seam, F: FnMut()>(mut f: F) {
    // SAFETY: `f` is alive during the call, and used only there.
    unsafe { B::on_host(call::<F>, (&raw mut f).cast()) }
}

/// Calls `f` by the backend's own `on_host`.
pub fn plain_on_host<B: Seam, F: FnMut()>(mut f: F) {
    // SAFETY: `f` is alive during the call, and used only there.
    unsafe { B::plain_on_host(call::<F>, (&raw mut f).cast()) }
}

unsafe extern "C" fn call<F: FnMut()>(f: *mut ()) {
    // SAFETY: the callers above pass their closure, which nobody else uses meanwhile.
    unsafe { (*f.cast::<F>())() }
}

/// A place for a context that nobody has stored yet.
pub const fn nobody() -> Cell<Context> {
    Cell::new(Context::HOST)
}

/// Letters in the order in which they were noted.
pub struct Trace {
    letters: Cell<[u8; 64]>,
    len: Cell<usize>,
}

impl Trace {
    pub const fn new() -> Trace {
        Trace { letters: Cell::new([0; 64]), len: Cell::new(0) }
    }

    pub fn note(&self, letter: char) {
        let mut letters = self.letters.get();
        letters[self.len.get()] = letter as u8;
        self.letters.set(letters);
        self.len.set(self.len.get() + 1);
    }

    #[track_caller]
    pub fn is(&self, expected: &str) {
        let letters = self.letters.get();
        assert_eq!(str::from_utf8(&letters[..self.len.get()]), Ok(expected));
    }
}
