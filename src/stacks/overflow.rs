//! Turns a stack overflow into a report that names the task (unix).
//!
//! A guard page makes the overflow a SIGSEGV (SIGBUS on some systems). The handler runs on the thread's alternate signal stack: the
//! standard library's, on the main thread and those that it started, else one of ours (`overflow/alternate.rs`). If the address lies
//! in the running task's guard, it writes the report and aborts; every other fault goes to the handler that was there before
//! (`overflow/previous.rs`).
//!
//! Both signals are blocked in the handler. Should it fault itself, the kernel ends the process with that signal.
#![allow(unsafe_code, reason = "a signal handler")]

mod alternate;
mod previous;

use crate::runtime;
use core::ffi::{c_int, c_void};
use core::fmt::{self, Write};
use core::mem;
use std::sync::OnceLock;

/// Bytes below a stack's limit that count as its guard: foreign code may have a frame that does not probe its way down.
const GUARD: usize = 64 << 10;

struct Installed {
    segv: previous::Handler,
    bus: previous::Handler,
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Installs the handler, once in the process, and an alternate signal stack on a thread that has none.
pub(super) fn prepare() {
    INSTALLED.get_or_init(|| Installed { segv: install(libc::SIGSEGV), bus: install(libc::SIGBUS) });
    alternate::prepare();
}

fn install(signal: c_int) -> previous::Handler {
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
    // SAFETY: all-zero is a valid `sigaction`; the handler only does what is safe in a signal handler.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaddset(&mut action.sa_mask, libc::SIGSEGV);
        libc::sigaddset(&mut action.sa_mask, libc::SIGBUS);
        let mut before: libc::sigaction = mem::zeroed();
        libc::sigaction(signal, &action, &mut before);
        previous::Handler::new(signal, before)
    }
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t`.
    let (address, code) = unsafe { ((*info).si_addr() as usize, (*info).si_code) };
    if previous::is_fault(code)
        && let Some((id, name, size, limit)) = runtime::running_stack()
        && address < limit
        && address >= limit.saturating_sub(GUARD)
    {
        let mut text = Text::new();
        let _ = write!(text, "\nwindlass: stack overflow in task {id}");
        if let Some(name) = name {
            let _ = write!(text, " \"{name}\"");
        }
        let used = size + (limit - address);
        let _ = writeln!(
            text,
            ": its stack of {size} bytes is full, high-water mark {used} bytes; spawn it with a larger `Builder::stack_size`"
        );
        text.abort();
    }
    let Some(installed) = INSTALLED.get() else { return };
    let handler = if signal == libc::SIGBUS { &installed.bus } else { &installed.segv };
    // SAFETY: these are what the kernel passed.
    unsafe { handler.call(info, context) };
}

/// Reports that a task wrote below its stack, which had no guard; ends the process.
#[cold]
pub(super) fn report_canary(size: usize) -> ! {
    let mut text = Text::new();
    let _ = writeln!(
        text,
        "\nwindlass: a task overflowed its stack of {size} bytes, which had no guard, and other memory may be damaged; \
         spawn it with a larger or a guarded stack"
    );
    text.abort()
}

/// A report of bounded length: nothing here allocates or takes a lock.
struct Text {
    bytes: [u8; 512],
    length: usize,
}

impl Text {
    fn new() -> Text {
        Text { bytes: [0; 512], length: 0 }
    }

    /// Writes the report to standard error and ends the process.
    fn abort(&self) -> ! {
        // SAFETY: `write` reads `length` bytes; `abort` has no preconditions. Both are safe in a signal handler.
        unsafe {
            libc::write(libc::STDERR_FILENO, self.bytes.as_ptr().cast(), self.length);
            libc::abort()
        }
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}
