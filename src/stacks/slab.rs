//! Stacks from reserved address space, guarded or packed (unix).
//!
//! ```text
//!   SlabStacks ─► class: guarded, 64 KiB ─► pool of stacks that were given back
//!              │                         └► ranges ─► │ guard │ stack 0 │ guard │ stack 1 │ ... │ reserved │
//!              └► class: packed, 1 KiB   ─► pool
//!                                        └► ranges ─► │ stack 0 │ stack 1 │ stack 2 │ ...       │ reserved │
//! ```
//!
//! * `slab/layout.rs`: where stacks lie, and their colours.
//! * `slab/range.rs`: address space that grows into use; `slab/guards.rs`: guard pages; `slab/regions.rs`: advice in batches.
//! * `slab/class.rs`: the pool, and when memory goes back.
//!
//! *Own Stacks*: a stack carries the number of the provider and of the class that it came from, and nothing else makes such numbers.
//! So what is put into a pool was taken from it.
//!
//! A spawn or an end for which the pool does not do runs on the host's stack: the task may have little room.
//!
//! **Packed stacks** ([`acquire_unguarded`](StackProvider::acquire_unguarded)) have no guard. The word at the limit holds a *canary*, a
//! value that nothing else would write there; if it is gone when the stack is given back, memory below may have been overwritten, and
//! the process is ended with a report.
//!
//! **Huge pages** are for packed stacks only: where a page of 2 MiB has a guard in it, the kernel makes it of small ones (seen on Linux
//! 6.18).
//!
//! Ranges are given back when their provider is dropped with all stacks of the class returned; else they stay, because somebody may
//! still point into them.
#![allow(unsafe_code, reason = "hands out memory, and looks at it again")]

mod class;
mod guards;
mod layout;
mod range;
mod regions;

use super::{Home, StackCounts, StackError, StackMemory, StackProvider, overflow, pages, valgrind};
use alloc::vec::Vec;
use class::{Class, Kit};
use core::ptr::NonNull;
pub use guards::MPROTECT_BUDGET;
use layout::Layout;
use std::sync::atomic::{AtomicU32, Ordering};
use windlass_arch as arch;

/// Guarded stacks, and packed ones for those who ask for them.
#[derive(Debug)]
pub struct SlabStacks {
    /// *Own Stacks*; never 0.
    number: u32,
    classes: Vec<Class>,
    /// The size that was asked for last and its class, guarded and packed: most programs have one.
    last: [Last; 2],
    kit: Kit,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    size: usize,
    class: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Guarded,
    Packed,
}

/// Configures [`SlabStacks`].
///
/// # Examples
/// ```
/// use windlass::{runtime, stacks::slab::SlabStacks};
///
/// let stacks = SlabStacks::builder().keep_warm(10_000).build();
/// // SAFETY: these stacks have guards.
/// unsafe { runtime::Builder::new().stacks(stacks) }.install().unwrap();
/// assert_eq!(windlass::run(|| 6 * 7), 42);
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    huge_pages: bool,
    keep_warm: Option<usize>,
    guard_advice: bool,
}

impl Builder {
    /// Puts unguarded stacks on pages of 2 MiB, where the kernel has them (Linux, `transparent_hugepage` not `never`).
    ///
    /// A switch among very many tasks misses the translation cache less often. Memory is taken and given back 2 MiB at a time. Guarded
    /// stacks are as they were: a guard keeps the kernel from making a huge page.
    #[must_use]
    pub fn huge_pages(mut self, wanted: bool) -> Builder {
        self.huge_pages = wanted;
        self
    }

    /// Keeps the memory of at least so many pooled stacks of each size; of those beyond as many as there are in use.
    ///
    /// The default is as many as have 4 MiB in their top pages: 1,024 guarded stacks where pages have 4 KiB. Programs with larger
    /// bursts of tasks save system calls and page faults by a larger number.
    #[must_use]
    pub fn keep_warm(mut self, stacks: usize) -> Builder {
        self.keep_warm = Some(stacks);
        self
    }

    /// Whether to make guards by `MADV_GUARD_INSTALL` where the kernel has it; that is the default. Without it at most
    /// [`MPROTECT_BUDGET`] stacks of the process have guards, and there are no others.
    #[must_use]
    pub fn guard_advice(mut self, wanted: bool) -> Builder {
        self.guard_advice = wanted;
        self
    }

    /// Returns a provider that has reserved nothing yet.
    ///
    /// The first one in the process installs the handler that reports an overflow; on a thread without an alternate signal stack it
    /// installs one.
    pub fn build(self) -> SlabStacks {
        overflow::prepare();
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| last.checked_add(1));
        let number = number.expect("a number for each provider of the process") + 1;
        let valgrind = valgrind::is_here();
        SlabStacks {
            number,
            classes: Vec::new(),
            last: [Last { size: 0, class: usize::MAX }; 2],
            kit: Kit {
                page: pages::page_size(),
                // Valgrind does not know the call that advises on many regions.
                guards: guards::Way { advice: self.guard_advice, together: !valgrind },
                huge_pages: self.huge_pages,
                floor: self.keep_warm,
                valgrind,
                memcheck: valgrind::checks_memory(),
            },
        }
    }
}

impl Default for SlabStacks {
    fn default() -> SlabStacks {
        SlabStacks::new()
    }
}

impl SlabStacks {
    /// Returns the default provider; see [`Builder::build`].
    pub fn new() -> SlabStacks {
        SlabStacks::builder().build()
    }

    /// Returns the default settings.
    pub fn builder() -> Builder {
        Builder { huge_pages: false, keep_warm: None, guard_advice: true }
    }

    #[inline(always)]
    fn take(&mut self, size: usize, kind: Kind) -> Result<StackMemory, StackError> {
        let last = self.last[kind as usize];
        if last.size != size {
            return self.take_of_another_size(size, kind);
        }
        let Some(class) = self.classes.get_mut(last.class) else {
            return self.take_of_another_size(size, kind);
        };
        let Some(limit) = class.take_warm() else { return self.take_of_another_size(size, kind) };
        Ok(class.stack(limit))
    }

    /// As `take`, if the size was not the last one, or the pool does not do.
    #[cold]
    #[inline(never)]
    fn take_of_another_size(&mut self, size: usize, kind: Kind) -> Result<StackMemory, StackError> {
        for (index, class) in self.classes.iter_mut().enumerate() {
            if class.asked == size && class.layout.is_packed() == (kind == Kind::Packed) {
                self.last[kind as usize] = Last { size, class: index };
                match class.take_warm() {
                    Some(limit) => {
                        return Ok(class.stack(limit));
                    }
                    None => break,
                }
            }
        }
        on_host(|| self.take_cold(size, kind))
    }

    /// As `take`, whatever it costs.
    fn take_cold(&mut self, size: usize, kind: Kind) -> Result<StackMemory, StackError> {
        let index = self.class(size, kind)?;
        self.last[kind as usize] = Last { size, class: index };
        let class = &mut self.classes[index];
        class.asked = size;
        let limit = class.take(&self.kit)?;
        Ok(class.stack(limit))
    }

    /// The class for this size, made now if there is none.
    fn class(&mut self, size: usize, kind: Kind) -> Result<usize, StackError> {
        if size > super::MAX_SIZE {
            return Err(StackError::OutOfMemory);
        }
        let layout = match kind {
            Kind::Guarded => Layout::guarded(size, self.kit.page),
            Kind::Packed => Layout::packed(size),
        };
        if let Some(index) = self.classes.iter().position(|class| class.layout == layout) {
            return Ok(index);
        }
        let index = self.classes.len();
        let home = Home::new(self.number, u32::try_from(index).map_err(|_| StackError::OutOfMemory)?);
        self.classes.try_reserve(1).map_err(|_| StackError::OutOfMemory)?;
        self.classes.push(Class::new(layout, home, &self.kit));
        Ok(index)
    }

    /// What a release does besides putting the stack into its pool.
    #[cold]
    #[inline(never)]
    fn attend(&mut self, stack: &StackMemory, finding: Finding) {
        match finding {
            Finding::Foreign => {
                panic!("windlass: a stack was released to a provider that it did not come from")
            }
            Finding::Overflow => overflow::report_canary(stack.size),
            Finding::TooWarm => on_host(|| self.classes[stack.home.class()].cool(&self.kit)),
        }
    }
}

/// What is noticed when a stack is released.
#[derive(Clone, Copy)]
enum Finding {
    /// It came from another provider.
    Foreign,
    /// Its canary is gone.
    Overflow,
    /// It is in its pool, which holds more memory than it should.
    TooWarm,
}

/// What a packed stack has at its limit.
#[inline(always)]
pub(super) fn canary(limit: NonNull<u8>) -> usize {
    const WORD: usize = 0xc4a7_91e5_5a6d_3b0d_u64 as usize;
    limit.as_ptr().addr() ^ WORD
}

/// Calls `f` on the stack of the innermost host: the running task may have little room.
fn on_host<R>(f: impl FnOnce() -> R) -> R {
    struct Job<F, R> {
        f: Option<F>,
        result: Option<R>,
    }
    unsafe extern "C" fn call<F: FnOnce() -> R, R>(job: *mut ()) {
        // SAFETY: `on_host` passes a job that is its own.
        let job = unsafe { &mut *job.cast::<Job<F, R>>() };
        job.result = job.f.take().map(|f| f());
    }
    fn start<F: FnOnce() -> R, R>(job: &mut Job<F, R>) {
        // SAFETY: `call` may be called with a job, aborts rather than to unwind, and `f` does not switch.
        unsafe { arch::on_host(call::<F, R>, (&raw mut *job).cast()) };
    }
    let mut job = Job { f: Some(f), result: None };
    start(&mut job);
    job.result.expect("`on_host` calls")
}

// SAFETY: each stack is a part of a reservation of ours that is open, and goes to one caller at a time (Own Stacks); its ends are
// multiples of 64. Below a guarded one is a guard.
unsafe impl StackProvider for SlabStacks {
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        self.take(size, Kind::Guarded)
    }

    fn acquire_unguarded(&mut self, size: usize) -> Result<StackMemory, StackError> {
        let stack = self.take(size, Kind::Packed)?;
        // SAFETY: the stack has 1 KiB at least, and its limit is aligned.
        unsafe { stack.low().cast::<usize>().write(canary(stack.low())) };
        Ok(stack)
    }

    fn release(&mut self, stack: StackMemory) {
        let limit = stack.low();
        let class = match self.classes.get_mut(stack.home.class()) {
            Some(class) if class.home == stack.home => class,
            _ => return self.attend(&stack, Finding::Foreign),
        };
        // SAFETY: `acquire_unguarded` wrote it.
        if class.layout.is_packed() && unsafe { limit.cast::<usize>().read() } != canary(limit) {
            return self.attend(&stack, Finding::Overflow);
        }
        // SAFETY: Own Stacks: it was taken from this class, and a `StackMemory` is given once.
        if unsafe { class.give(limit) } {
            self.attend(&stack, Finding::TooWarm);
        }
    }

    fn trim(&mut self) {
        on_host(|| {
            for class in &mut self.classes {
                class.cool_down_to(0, &self.kit);
            }
        });
    }

    fn counts(&self) -> StackCounts {
        StackCounts {
            in_use: self.classes.iter().map(Class::in_use).sum(),
            pooled: self.classes.iter().map(Class::pooled).sum(),
        }
    }
}

impl Drop for SlabStacks {
    fn drop(&mut self) {
        for class in &mut self.classes {
            class.end(&self.kit);
        }
    }
}
