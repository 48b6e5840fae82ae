//! An allocator that never frees, and a panic handler that traps.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size, unreachable};
use core::cell::Cell;
use core::panic::PanicInfo;
use core::ptr::null_mut;

const PAGE: usize = 1 << 16;

/// Where free memory begins; 0: where the linker says that it does.
struct Rest(Cell<usize>);

#[global_allocator]
static REST: Rest = Rest(Cell::new(0));

// SAFETY: there are no threads.
unsafe impl Sync for Rest {}

unsafe extern "C" {
    /// The end of what the linker placed.
    static __heap_base: u8;
}

// SAFETY: what is given out lies behind all that was given out before, within memory.
unsafe impl GlobalAlloc for Rest {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let begin = match self.0.get() {
            0 => (&raw const __heap_base).addr(),
            begin => begin,
        };
        let begin = begin.next_multiple_of(layout.align());
        let end = begin + layout.size();
        let missing = end.saturating_sub(memory_size(0) * PAGE).div_ceil(PAGE);
        if missing > 0 && memory_grow(0, missing) == usize::MAX {
            return null_mut();
        }
        self.0.set(end);
        begin as *mut u8
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[panic_handler]
fn trap(_: &PanicInfo<'_>) -> ! {
    unreachable()
}
