//! Turns a stack overflow into a report that names the task (unix).
//!
//! A guard page makes the overflow a SIGSEGV (SIGBUS on some systems). The handler runs on the thread's alternate signal stack, which
//! the standard library installs for the main thread and for each thread it starts. If the address lies in the running task's guard,
//! it writes the report and aborts; every other fault goes to the handler that was there before.
#![allow(unsafe_code, reason = "a signal handler")]

use crate::runtime;
use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::{mem, ptr};
use std::sync::OnceLock;

/// Bytes below a stack's limit that count as its guard: a frame larger than a page probes its way down page by page.
const GUARD: usize = 64 << 10;

struct Previous {
    segv: libc::sigaction,
    bus: libc::sigaction,
}

static PREVIOUS: OnceLock<Previous> = OnceLock::new();

/// Installs the handler, once in the process.
pub(super) fn install_handler() {
    PREVIOUS.get_or_init(|| Previous { segv: install(libc::SIGSEGV), bus: install(libc::SIGBUS) });
}

fn install(signal: c_int) -> libc::sigaction {
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
    // SAFETY: all-zero is a valid `sigaction`; the handler only does what is safe in a signal handler.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        let mut previous: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, &action, &mut previous);
        previous
    }
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t`.
    let address = unsafe { (*info).si_addr() } as usize;
    if let Some((id, name, size, limit)) = runtime::running_stack()
        && address < limit
        && address >= limit - GUARD
    {
        let mut text = Stderr;
        // Written piece by piece: nothing here allocates.
        let _ = write!(text, "\nwindlass: stack overflow in task {id}");
        if let Some(name) = name {
            let _ = write!(text, " \"{name}\"");
        }
        let _ = writeln!(
            text,
            ": its stack of {size} bytes is full; spawn it with a larger `Builder::stack_size`"
        );
        // SAFETY: `abort` has no preconditions.
        unsafe { libc::abort() };
    }
    pass_on(signal, info, context);
}

/// Lets the handler that was there before have the fault.
fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get().map(|p| if signal == libc::SIGBUS { &p.bus } else { &p.segv });
    let Some(previous) = previous else { return };
    match previous.sa_sigaction {
        // Back to what the fault does by itself: it is raised again when we return.
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: restores a disposition that was in force.
            unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            // SAFETY: with SA_SIGINFO the field holds a function of this type.
            let handler = unsafe { mem::transmute::<usize, Handler>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO the field holds a function of this type.
            let handler = unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Standard error without a buffer or a lock.
struct Stderr;

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: `write` reads `len` bytes at `ptr`.
        unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
        Ok(())
    }
}
