//! `dlmalloc`, counted: so that a test can say that nothing was allocated, or leaked.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicI64, Ordering};
use dlmalloc::GlobalDlmalloc;

struct Counting;

static ALLOCATIONS: AtomicI64 = AtomicI64::new(0);
static ALLOCATED: AtomicI64 = AtomicI64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes everything on to an allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        ALLOCATED.fetch_add(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { GlobalDlmalloc.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { GlobalDlmalloc.dealloc(pointer, layout) }
    }
}

pub(crate) fn allocations() -> i64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

pub(crate) fn allocated() -> i64 {
    ALLOCATED.load(Ordering::Relaxed)
}
