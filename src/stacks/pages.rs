//! Pages of address space: reserved, opened, closed, released (unix).
#![allow(unsafe_code, reason = "maps memory")]

use super::StackError;
use core::ptr::{self, NonNull};

/// The size of a huge page, in bytes.
pub(super) const HUGE: usize = 2 << 20;

/// The size of a page, in bytes.
pub(super) fn page_size() -> usize {
    // SAFETY: `sysconf` has no preconditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Reserves address space that nothing may touch yet; `align` is a power of two.
pub(super) fn reserve(length: usize, align: usize) -> Option<NonNull<u8>> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let page = page_size();
    let slack = if align > page { align } else { 0 };
    let whole = length.checked_add(slack)?;
    // SAFETY: a new anonymous mapping touches no existing memory.
    let start = unsafe { libc::mmap(ptr::null_mut(), whole, libc::PROT_NONE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return None;
    }
    let start: *mut u8 = start.cast();
    let before = if slack == 0 { 0 } else { start.addr().next_multiple_of(align) - start.addr() };
    let range = NonNull::new(start.wrapping_add(before))?;
    if slack > 0 {
        // SAFETY: what lies before and behind the aligned part is ours, and nobody knows of it.
        unsafe {
            release(NonNull::new(start)?, before);
            release(range.add(length), slack - before);
        }
    }
    Some(range)
}

/// Makes reserved pages readable and writable.
///
/// # Safety
/// The pages lie in a reservation.
pub(super) unsafe fn open(start: NonNull<u8>, length: usize) -> Result<(), StackError> {
    // SAFETY: the caller's promise; more access harms nobody.
    match unsafe { libc::mprotect(start.as_ptr().cast(), length, libc::PROT_READ | libc::PROT_WRITE) } {
        0 => Ok(()),
        _ => Err(StackError::OutOfMemory),
    }
}

/// Takes every access to a page away; `false` if the system has no more mappings.
///
/// # Safety
/// The page lies in a reservation, and nothing uses it.
pub(super) unsafe fn close(start: NonNull<u8>, length: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { libc::mprotect(start.as_ptr().cast(), length, libc::PROT_NONE) == 0 }
}

/// Ends a reservation.
///
/// # Safety
/// The pages lie in a reservation, and nobody uses them or will.
pub(super) unsafe fn release(start: NonNull<u8>, length: usize) {
    if length > 0 {
        // SAFETY: the caller's promise.
        unsafe { libc::munmap(start.as_ptr().cast(), length) };
    }
}

/// Says whether huge pages are wanted there. A kernel without them does not mind.
pub(super) fn want_huge(start: NonNull<u8>, length: usize, wanted: bool) {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let advice = if wanted { libc::MADV_HUGEPAGE } else { libc::MADV_NOHUGEPAGE };
        // SAFETY: this advice changes no content.
        unsafe { libc::madvise(start.as_ptr().cast(), length, advice) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let _ = (start, length, wanted);
}

/// Asks for huge pages as far as they are wholly in that memory, which may be anybody's.
pub(crate) fn want_huge_pages(memory: *mut u8, length: usize) {
    let skip = memory.addr().next_multiple_of(HUGE) - memory.addr();
    let whole = length.saturating_sub(skip) / HUGE * HUGE;
    if let Some(start) = NonNull::new(memory.wrapping_add(skip)).filter(|_| whole > 0) {
        want_huge(start, whole, true);
    }
}
