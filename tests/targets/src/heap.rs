//! The global allocator: `linked_list_allocator` in a critical section.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{RefCell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null_mut};

use critical_section::Mutex;
use linked_list_allocator::Heap;

/// What a program gives to the heap.
pub struct Memory<const SIZE: usize>(UnsafeCell<MaybeUninit<[u8; SIZE]>>);

// SAFETY: only the heap uses it.
unsafe impl<const SIZE: usize> Sync for Memory<SIZE> {}

struct Locked(Mutex<RefCell<Heap>>);

#[global_allocator]
static HEAP: Locked = Locked(Mutex::new(RefCell::new(Heap::empty())));

impl<const SIZE: usize> Default for Memory<SIZE> {
    fn default() -> Memory<SIZE> {
        Memory::new()
    }
}

impl<const SIZE: usize> Memory<SIZE> {
    /// Memory that nobody has written.
    pub const fn new() -> Memory<SIZE> {
        Memory(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// Gives it to the heap, which has none yet.
    pub fn give(&'static self) {
        critical_section::with(|token| {
            // SAFETY: called once, by `program!` when the program begins; nobody else uses the memory.
            unsafe { HEAP.0.borrow_ref_mut(token).init(self.0.get().cast(), SIZE) };
        });
    }
}

// SAFETY: the heap gives each block of memory to one caller at a time.
unsafe impl GlobalAlloc for Locked {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        critical_section::with(|token| {
            self.0.borrow_ref_mut(token).allocate_first_fit(layout).map_or(null_mut(), NonNull::as_ptr)
        })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's promise: it comes from `alloc`, with this layout.
            critical_section::with(|token| unsafe { self.0.borrow_ref_mut(token).deallocate(block, layout) });
        }
    }
}
