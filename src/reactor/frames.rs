//! Memory for the frames of suspended tasks that outgrow their stacks (`docs/abi.md`, section 5).
//!
//! The lowered code calls these in the middle of a switch, on the host's shadow stack: they run no task, look at no state, and
//! neither suspend nor panic. A global allocator must keep to that, too.
#![allow(unsafe_code, reason = "exported names; memory that belongs to the lowered code")]

use alloc::alloc::{alloc, dealloc};
use core::alloc::Layout;

/// Chunks are multiples of it, in size and address.
const ALIGN: usize = 16;

/// `None`: no such chunk.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, ALIGN).ok().filter(|layout| layout.size() > 0)
}

/// A chunk; null if there is no memory left for it.
#[unsafe(no_mangle)]
extern "C" fn windlass_frames_alloc(size: usize) -> *mut u8 {
    match layout(size) {
        // SAFETY: the size is not zero.
        Some(layout) => unsafe { alloc(layout) },
        None => core::ptr::null_mut(),
    }
}

/// Takes a chunk back.
#[unsafe(no_mangle)]
extern "C" fn windlass_frames_free(chunk: *mut u8, size: usize) {
    if let Some(layout) = layout(size)
        && !chunk.is_null()
    {
        // SAFETY: the ABI: the chunk came from `windlass_frames_alloc(size)`, and is given back once.
        unsafe { dealloc(chunk, layout) };
    }
}
