//! Prints how many allocations a thousand tasks take that are spawned and joined, one after the other, once the pool is
//! warm.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};

use windlass::spawn;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: passes everything on to the system's allocator. What is not written here comes down to these two.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

fn main() {
    let count = windlass::run(|| {
        let spawn_and_join = || spawn(|| ()).join().expect("no panic");
        (0..10).for_each(|_| spawn_and_join());
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..1_000).for_each(|_| spawn_and_join());
        ALLOCATIONS.load(Ordering::Relaxed) - before
    });
    println!("{count}");
}
