//! Guard pages, in batches.
//!
//! With `MADV_GUARD_INSTALL` (Linux 6.13) a guard is a mark in the page table: the mapping stays one, the mark survives
//! `MADV_DONTNEED`, and the number of guards is limited by memory only. Elsewhere it is `mprotect`, which costs two mappings a stack
//! out of `vm.max_map_count` (65,530 by default): after a budget of [`MPROTECT_BUDGET`] guards in the process there are no more,
//! rather than to let `malloc` fail.
#![allow(unsafe_code, reason = "takes access to pages away")]

use super::regions::{GUARD_INSTALL, Regions};
use crate::stacks::{StackError, pages};
use core::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many guards may be made with `mprotect` in one process.
pub const MPROTECT_BUDGET: usize = 24_000;

static PROTECTED: AtomicUsize = AtomicUsize::new(0);
static KERNEL_HAS_GUARDS: AtomicBool = AtomicBool::new(cfg!(any(target_os = "linux", target_os = "android")));

/// Guards to make: `count` pages, `stride` bytes apart.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) first: NonNull<u8>,
    pub(super) page: usize,
    pub(super) stride: usize,
    pub(super) count: usize,
}

impl Row {
    fn iter(self) -> impl Iterator<Item = NonNull<u8>> {
        // SAFETY: `install`: the whole row lies in one reservation.
        (0..self.count).map(move |index| unsafe { self.first.add(index * self.stride) })
    }
}

/// How guards are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Way {
    /// With `MADV_GUARD_INSTALL`, if the kernel has it.
    pub(super) advice: bool,
    /// Many in one call, if the kernel does it.
    pub(super) together: bool,
}

/// Makes guards, and returns how many; less than asked for, but not none, where the budget ends.
///
/// `protected` counts those that [`give_up`] must be told of.
///
/// # Safety
/// The row lies in a reservation, and nothing uses its pages.
pub(super) unsafe fn install(row: Row, way: Way, protected: &mut usize) -> Result<usize, StackError> {
    if way.advice && KERNEL_HAS_GUARDS.load(Ordering::Relaxed) {
        // SAFETY: the pages of the row are not used.
        let mut regions = unsafe { Regions::new(GUARD_INSTALL, way.together) };
        let added = row.iter().try_for_each(|guard| regions.add(guard, row.page));
        match added.and_then(|()| regions.finish()) {
            Ok(()) => return Ok(row.count),
            // Not known, or not for pages that are locked in memory.
            Err(libc::EINVAL | libc::ENOSYS | libc::EPERM) => {
                KERNEL_HAS_GUARDS.store(false, Ordering::Relaxed)
            }
            Err(_) => return Err(StackError::OutOfMemory),
        }
    }
    let mut made = 0;
    for guard in row.iter() {
        if PROTECTED.fetch_add(1, Ordering::Relaxed) >= MPROTECT_BUDGET {
            give_up(1);
            break;
        }
        // SAFETY: as above.
        if !unsafe { pages::close(guard, row.page) } {
            give_up(1);
            break;
        }
        *protected += 1;
        made += 1;
    }
    if made == 0 { Err(StackError::TooManyGuards) } else { Ok(made) }
}

/// These guards made with `mprotect` are no more.
pub(super) fn give_up(protected: usize) {
    PROTECTED.fetch_sub(protected, Ordering::Relaxed);
}
