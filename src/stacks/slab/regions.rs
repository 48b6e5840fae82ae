//! Many separate regions that the kernel is given the same advice on.
//!
//! They go into one `process_madvise` where the kernel takes it for the calling process (Linux 6.15): a guard costs half as much as
//! with a call for each, a page given back a third. Elsewhere each region is a call.
#![allow(unsafe_code, reason = "advises the kernel on memory")]

use alloc::vec::Vec;
use core::ffi::c_int;
use core::ptr::NonNull;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Linux 6.13, `asm-generic/mman-common.h`; the libc crate has no name for it on every target.
pub(super) const GUARD_INSTALL: c_int = 102;

/// Gives pages back; they are zero when they are next touched, or (not on Linux) as they were.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const GIVE_BACK: c_int = libc::MADV_DONTNEED;
/// Gives pages back; they are zero when they are next touched, or (not on Linux) as they were.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const GIVE_BACK: c_int = libc::MADV_FREE;

/// How many regions are advised on in one call.
const BATCH: usize = 128;

/// Regions to advise the kernel on.
pub(super) struct Regions {
    advice: c_int,
    list: Vec<libc::iovec>,
    /// Whether many may go in one call.
    together: bool,
}

/// Why the kernel did not take the advice: the number of the error.
pub(super) type Refused = c_int;

impl Regions {
    /// No regions yet, for this advice. Allocates nothing.
    ///
    /// # Safety
    /// Every region that is added may be advised on like this: it lies in a reservation, and its content is not needed.
    pub(super) unsafe fn new(advice: c_int, together: bool) -> Regions {
        Regions { advice, list: Vec::new(), together }
    }

    /// Adds a region, and advises on those before it if there are many.
    pub(super) fn add(&mut self, start: NonNull<u8>, length: usize) -> Result<(), Refused> {
        if self.list.len() == BATCH {
            self.finish()?;
        }
        let region = libc::iovec { iov_base: start.as_ptr().cast(), iov_len: length };
        if self.list.capacity() == 0 && self.list.try_reserve_exact(BATCH).is_err() {
            return self.one(region);
        }
        self.list.push(region);
        Ok(())
    }

    /// Adds a region that begins where the last one ends, or up to `gap` bytes later; else a new one. The gap may be advised on, too.
    pub(super) fn extend(&mut self, start: NonNull<u8>, length: usize, gap: usize) -> Result<(), Refused> {
        if let Some(last) = self.list.last_mut() {
            let end = last.iov_base.addr() + last.iov_len;
            let address = start.as_ptr().addr();
            if address >= end && address - end <= gap {
                last.iov_len = address + length - last.iov_base.addr();
                return Ok(());
            }
        }
        self.add(start, length)
    }

    /// Advises on what is left. If a region is refused, those after it are not tried.
    pub(super) fn finish(&mut self) -> Result<(), Refused> {
        let done = self.all_in_one_call();
        let result = self.list[done..].iter().try_for_each(|&region| self.one(region));
        self.list.clear();
        result
    }

    fn one(&self, region: libc::iovec) -> Result<(), Refused> {
        loop {
            // SAFETY: `new`.
            if unsafe { libc::madvise(region.iov_base, region.iov_len, self.advice) } == 0 {
                return Ok(());
            }
            match std::io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                error => return Err(error.unwrap_or(libc::EINVAL)),
            }
        }
    }

    /// Returns how many regions were advised on; none if the kernel does not do it.
    #[cfg(target_os = "linux")]
    fn all_in_one_call(&self) -> usize {
        /// The calling thread's process: Linux 6.14, `linux/pidfd.h`.
        const PIDFD_SELF: c_int = -10_000;
        static KNOWN: AtomicBool = AtomicBool::new(true);
        if self.list.len() < 2 || !self.together || !KNOWN.load(Ordering::Relaxed) {
            return 0;
        }
        let (regions, count) = (self.list.as_ptr(), self.list.len());
        // SAFETY: `new`; the kernel reads `count` entries.
        let bytes =
            unsafe { libc::syscall(libc::SYS_process_madvise, PIDFD_SELF, regions, count, self.advice, 0) };
        let Ok(mut bytes) = usize::try_from(bytes) else {
            // Why, is for the call on the first region to find out: a kernel may know the advice and not this call.
            KNOWN.store(false, Ordering::Relaxed);
            return 0;
        };
        // It may stop early, between two regions or in one.
        let whole = |region: &&libc::iovec| {
            let fits = bytes >= region.iov_len;
            bytes -= if fits { region.iov_len } else { bytes };
            fits
        };
        self.list.iter().take_while(whole).count()
    }

    /// Returns how many regions were advised on; none if the kernel does not do it.
    #[cfg(not(target_os = "linux"))]
    fn all_in_one_call(&self) -> usize {
        let _ = self.together;
        0
    }
}
