//! Vectors that grow in one place.
//!
//! `Vec` compiles its way to grow into each `push` that it cannot see to have room. Here room is made first, which may fail, by one
//! function for all types; and what is then pushed cannot grow anything.
#![allow(unsafe_code, reason = "a vector's memory is exchanged for a larger piece")]

use alloc::alloc::{alloc, dealloc, realloc};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::mem;

/// Where the scheduler's tables are. Without a heap: in memory that the program gave, `room/fixed.rs`.
pub(crate) type Table<T> = Vec<T>;

/// There is no memory left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoMemory;

/// From how many bytes on a table asks for huge pages: those of more than 100,000 tasks. It is read here and there, and what the CPU knows of
/// its pages would not reach.
#[cfg(all(feature = "std", unix))]
const LARGE: usize = 4 << 20;

/// Makes room for `more` further elements; at least doubles a vector that has to grow.
pub(crate) fn reserve<T>(vec: &mut Vec<T>, more: usize) -> Result<(), NoMemory> {
    if vec.capacity() - vec.len() >= more {
        return Ok(());
    }
    if size_of::<T>() == 0 {
        return Err(NoMemory);
    }
    let (memory, len, capacity) = (vec.as_mut_ptr(), vec.len(), vec.capacity());
    // SAFETY: a vector's memory is the global allocator's, with the layout of an array of its capacity.
    let (memory, capacity) = unsafe { grow(memory.cast(), len, capacity, len + more, Layout::new::<T>())? };
    // SAFETY: the elements have moved to the new memory, which has room for `capacity`; what the vector had is gone.
    mem::forget(mem::replace(vec, unsafe { Vec::from_raw_parts(memory.cast(), len, capacity) }));
    Ok(())
}

/// Exchanges the memory of an array with `len` elements for a larger piece, for at least `needed`; it stays where it is if there is none.
///
/// # Safety
/// `memory` is the global allocator's, for `capacity` elements, or `capacity` is 0; the elements have a size.
unsafe fn grow(
    memory: *mut u8,
    len: usize,
    capacity: usize,
    needed: usize,
    element: Layout,
) -> Result<(*mut u8, usize), NoMemory> {
    let new = needed.max(capacity * 2).max(4);
    let size = new.checked_mul(element.size()).ok_or(NoMemory)?;
    let layout = Layout::from_size_align(size, element.align()).map_err(|_| NoMemory)?;
    let grown = if capacity == 0 {
        // SAFETY: neither factor of the size is 0.
        unsafe { alloc(layout) }
    } else {
        // SAFETY: the array exists, so the product did not overflow, and `from_size_align` has looked at the larger size.
        unsafe {
            let old = Layout::from_size_align_unchecked(capacity * element.size(), element.align());
            if element.align() <= align_of::<u128>() {
                realloc(memory, old, size)
            } else {
                // Such memory an allocator exchanges by copying all of it, used or not; what was never touched is not there yet.
                let new = alloc(layout);
                if !new.is_null() {
                    new.copy_from_nonoverlapping(memory, len * element.size());
                    dealloc(memory, old);
                }
                new
            }
        }
    };
    #[cfg(all(feature = "std", unix))]
    if size >= LARGE && !grown.is_null() {
        crate::stacks::want_huge_pages(grown, size);
    }
    if grown.is_null() { Err(NoMemory) } else { Ok((grown, new)) }
}

/// Appends to a vector that has room.
#[inline]
pub(crate) fn push<T>(vec: &mut Vec<T>, value: T) {
    debug_assert!(vec.len() < vec.capacity(), "Room");
    if vec.len() < vec.capacity() {
        vec.push(value);
    }
}

/// As [`push`], of something large: it is copied from where it is, and not by way of the caller's stack.
#[cfg(any(test, feature = "timers"))]
#[inline]
pub(crate) fn push_copy<T: Copy>(vec: &mut Vec<T>, value: &T) {
    let len = vec.len();
    debug_assert!(len < vec.capacity(), "Room");
    if len < vec.capacity() {
        // SAFETY: there is room for one more, which is written before it counts.
        unsafe {
            vec.as_mut_ptr().add(len).copy_from_nonoverlapping(value, 1);
            vec.set_len(len + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{push, push_copy, reserve};
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn a_copy_is_appended_while_there_is_room() {
        let mut vec: Vec<[u64; 8]> = Vec::new();
        reserve(&mut vec, 2).expect("memory");
        push_copy(&mut vec, &[1; 8]);
        push_copy(&mut vec, &[2; 8]);
        assert_eq!(vec, [[1; 8], [2; 8]]);
    }

    #[test]
    fn what_is_in_a_vector_survives_its_growing() {
        let mut vec: Vec<String> = Vec::new();
        for number in 0..1000 {
            reserve(&mut vec, 1).expect("memory");
            push(&mut vec, number.to_string());
        }
        assert!(vec.iter().enumerate().all(|(number, text)| *text == number.to_string()));
        let capacity = vec.capacity();
        assert!(reserve(&mut vec, usize::MAX / 16).is_err());
        assert_eq!((vec.len(), vec.capacity()), (1000, capacity));
    }
}
