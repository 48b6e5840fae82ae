//! The handler that was there before ours, called as the kernel would have called it.
//!
//! That is: with one argument or three; with its mask, and the signal itself unless SA_NODEFER; only once with SA_RESETHAND; and where
//! there was none, with the signal's default effect. Not the same: it runs on the alternate signal stack in any case, so it has the room
//! that the thread's has, for the standard library's 8 KiB.
#![allow(unsafe_code, reason = "a signal handler")]

use core::ffi::{c_int, c_void};
use core::{mem, ptr};
use std::sync::atomic::{AtomicBool, Ordering};

/// What a signal did before.
pub(super) struct Handler {
    signal: c_int,
    action: libc::sigaction,
    /// It was to be called once, and has been.
    spent: AtomicBool,
}

/// Whether a signal with this code comes from an instruction, which faults again when the handler returns; not from `kill`.
pub(super) fn is_fault(code: c_int) -> bool {
    code > 0
}

impl Handler {
    pub(super) fn new(signal: c_int, action: libc::sigaction) -> Handler {
        Handler { signal, action, spent: AtomicBool::new(false) }
    }

    /// Lets it have the signal.
    ///
    /// # Safety
    /// Called in a handler of this signal, with what the kernel passed.
    pub(super) unsafe fn call(&self, info: *mut libc::siginfo_t, context: *mut c_void) {
        let once = self.action.sa_flags & libc::SA_RESETHAND != 0;
        let spent = once && self.spent.swap(true, Ordering::Relaxed);
        let handler = if spent { libc::SIG_DFL } else { self.action.sa_sigaction };
        // SAFETY: the caller's promise.
        let fault = is_fault(unsafe { (*info).si_code });
        match handler {
            // The kernel lets nobody ignore a fault.
            libc::SIG_IGN if !fault => {}
            libc::SIG_DFL | libc::SIG_IGN => self.take_effect(fault),
            handler => {
                self.set_mask(context);
                // SAFETY: the kernel would have called it with these.
                unsafe { self.enter(handler, info, context) };
            }
        }
    }

    /// Lets the signal do what it does by itself, as soon as our handler has returned.
    fn take_effect(&self, fault: bool) {
        // SAFETY: all-zero is the default disposition.
        unsafe {
            let default: libc::sigaction = mem::zeroed();
            libc::sigaction(self.signal, &default, ptr::null_mut());
            if !fault {
                // It is blocked until then.
                libc::raise(self.signal);
            }
        }
    }

    /// Blocks what would be blocked: what was when the signal came, its mask, and the signal itself. The kernel takes the first mask
    /// again when our handler returns.
    fn set_mask(&self, context: *mut c_void) {
        // SAFETY: the kernel passes a valid `ucontext_t` to a handler with SA_SIGINFO; sets are read and written in place.
        unsafe {
            let mut mask = (*context.cast::<libc::ucontext_t>()).uc_sigmask;
            for signal in 1..=LAST_SIGNAL {
                if libc::sigismember(&self.action.sa_mask, signal) == 1 {
                    libc::sigaddset(&mut mask, signal);
                }
            }
            if self.action.sa_flags & libc::SA_NODEFER == 0 {
                libc::sigaddset(&mut mask, self.signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, &mask, ptr::null_mut());
        }
    }

    /// # Safety
    /// `handler` is a function, of the kind that the flags tell.
    unsafe fn enter(&self, handler: usize, info: *mut libc::siginfo_t, context: *mut c_void) {
        if self.action.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: with SA_SIGINFO it is a function of this type.
            let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
            handler(self.signal, info, context);
        } else {
            // SAFETY: without SA_SIGINFO it is a function of this type.
            let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(self.signal);
        }
    }
}

/// No signal has a higher number; what a system does not have, `sigismember` does not find.
const LAST_SIGNAL: c_int = 64;
