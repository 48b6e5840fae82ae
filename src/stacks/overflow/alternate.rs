//! An alternate signal stack for threads that have none: those that C code started.
//!
//! A handler cannot run on the stack that has just overflowed. The standard library gives each thread that it starts a second one, and
//! so do other runtimes; what is there stays. Ours has a guard page, too, and goes away with its thread.
#![allow(unsafe_code, reason = "tells the kernel where signal handlers run")]

use crate::stacks::pages;
use core::{mem, ptr};
use std::thread_local;

/// The handler that was there before may need room as well.
const SIZE: usize = 64 << 10;

thread_local! {
    static OWN: Own = const { Own(core::cell::Cell::new(ptr::null_mut())) };
}

/// The lowest byte of this thread's mapping, or null.
struct Own(core::cell::Cell<*mut u8>);

/// Makes sure that the calling thread has one.
pub(super) fn prepare() {
    // On a thread that is ending there is nowhere to note what must be given back.
    let _ = OWN.try_with(|own| {
        if own.0.get().is_null() && current().ss_flags & libc::SS_DISABLE != 0 {
            own.0.set(install().unwrap_or(ptr::null_mut()));
        }
    });
}

fn current() -> libc::stack_t {
    // SAFETY: all-zero is a valid `stack_t`; the call only asks.
    unsafe {
        let mut stack: libc::stack_t = mem::zeroed();
        libc::sigaltstack(ptr::null(), &mut stack);
        stack
    }
}

fn install() -> Option<*mut u8> {
    let page = pages::page_size();
    let start = pages::reserve(page + SIZE, page)?;
    // SAFETY: the part above the first page is in the reservation, and stays until the thread ends.
    unsafe {
        let usable = start.add(page);
        pages::open(usable, SIZE).ok()?;
        let stack = libc::stack_t { ss_sp: usable.as_ptr().cast(), ss_flags: 0, ss_size: SIZE };
        libc::sigaltstack(&stack, ptr::null_mut());
    }
    Some(start.as_ptr())
}

impl Drop for Own {
    fn drop(&mut self) {
        let Some(start) = ptr::NonNull::new(self.0.get()) else { return };
        let page = pages::page_size();
        let stack = current();
        if stack.ss_sp.addr() == start.as_ptr().addr() + page && stack.ss_flags & libc::SS_DISABLE == 0 {
            // SAFETY: it is not in use: this is no signal handler.
            unsafe {
                let none =
                    libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: SIZE };
                libc::sigaltstack(&none, ptr::null_mut());
            }
        }
        // SAFETY: the mapping is ours, and no longer the signal stack. (Somebody who put another in its place does not use this one.)
        unsafe { pages::release(start, page + SIZE) };
    }
}
