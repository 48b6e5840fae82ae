//! x86-64: registers and control words, checked from assembly so that the compiler's own clobbers cannot hide a mistake.

use core::arch::{asm, naked_asm};
use core::cell::{Cell, RefCell};
use core::hint::black_box;
use std::collections::BTreeSet;

use windlass_arch::{Context, native};

use super::Backend;
use crate::cases::{Room, leave, nobody, run};
use crate::with_room;

/// rbx, rbp, r12, r13, r14, r15.
type Saved = [u64; 6];

const NAMES: [&str; 6] = ["rbx", "rbp", "r12", "r13", "r14", "r15"];

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
#[unsafe(naked)]
unsafe extern "sysv64" fn with_registers(
    set: *const Saved,
    got: *mut Saved,
    f: unsafe extern "sysv64" fn(*mut Hop),
    arg: *mut Hop,
) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rsi", // seven pushes and the return address: aligned for the call
        "mov rax, rdx",
        "mov rbx, [rdi]",
        "mov rbp, [rdi + 8]",
        "mov r12, [rdi + 16]",
        "mov r13, [rdi + 24]",
        "mov r14, [rdi + 32]",
        "mov r15, [rdi + 40]",
        "mov rdi, rcx",
        "call rax",
        "pop rsi",
        "mov [rsi], rbx",
        "mov [rsi + 8], rbp",
        "mov [rsi + 16], r12",
        "mov [rsi + 24], r13",
        "mov [rsi + 32], r14",
        "mov [rsi + 40], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

#[repr(C)]
struct Hop {
    save: *const Cell<Context>,
    to: *const Cell<Context>,
}

unsafe extern "sysv64" fn hop_by_switch(hop: *mut Hop) {
    // SAFETY: the test's places outlive the call, and the context is suspended.
    unsafe { native::switch((*(*hop).save).as_ptr(), (*(*hop).to).get()) }
}

unsafe extern "sysv64" fn hop_by_leave(hop: *mut Hop) {
    // SAFETY: likewise, under a `run`.
    unsafe { native::leave((*(*hop).save).as_ptr()) }
}

unsafe extern "sysv64" fn hop_by_run(hop: *mut Hop) {
    // SAFETY: the context is suspended.
    unsafe { native::run((*(*hop).to).get()) }
}

unsafe extern "sysv64" fn hop_by_on_host(_: *mut Hop) {
    unsafe extern "C" fn scratch(_: *mut ()) {
        // SAFETY: writes registers that the block says it clobbers.
        unsafe {
            asm!("xor r12, r12", "xor r13, r13", "xor r14, r14", "xor r15, r15",
                out("r12") _, out("r13") _, out("r14") _, out("r15") _, clobber_abi("sysv64"));
        }
    }
    // SAFETY: `scratch` takes anything.
    unsafe { native::on_host(scratch, core::ptr::null_mut()) }
}

/// Registers that a hop did not bring back. They are told on the host's stack: a panic in an entry aborts without a word.
#[derive(Default)]
struct Lost(RefCell<BTreeSet<&'static str>>);

impl Lost {
    fn note(
        &self,
        seed: u64,
        f: unsafe extern "sysv64" fn(*mut Hop),
        save: &Cell<Context>,
        to: &Cell<Context>,
    ) {
        let set: Saved = core::array::from_fn(|i| (seed << 32) | (0x1111 * (i as u64 + 1)));
        let mut got: Saved = [0; 6];
        let mut hop = Hop { save, to };
        // SAFETY: the callees keep the ABI, or that is what fails here.
        unsafe { with_registers(&raw const set, &raw mut got, f, &raw mut hop) };
        let pairs = black_box(set).into_iter().zip(black_box(got));
        let lost = NAMES.iter().zip(pairs).filter(|(_, (set, got))| set != got).map(|(name, _)| *name);
        self.0.borrow_mut().extend(lost);
    }
}

impl Drop for Lost {
    fn drop(&mut self) {
        let lost = self.0.borrow();
        assert!(lost.is_empty() || std::thread::panicking(), "registers lost in a hop: {lost:?}");
    }
}

#[test]
fn callee_saved_registers_survive_a_switch() {
    with_room(|room| {
        let lost = Lost::default();
        let (a, b) = (nobody(), nobody());
        let first = room.prepare::<Backend, _>(|| {
            for round in 0..10 {
                lost.note(0xa0 + round, hop_by_switch, &a, &b);
            }
            b.get()
        });
        b.set(room.prepare::<Backend, _>(|| {
            for round in 0..10 {
                lost.note(0xb0 + round, hop_by_switch, &b, &a);
            }
            Context::HOST
        }));
        run::<Backend>(first);
    });
}

#[test]
fn callee_saved_registers_survive_run_and_leave() {
    with_room(|room| {
        let lost = Lost::default();
        let task = nobody();
        let rounds = Cell::new(0);
        task.set(room.prepare::<Backend, _>(|| {
            loop {
                rounds.set(rounds.get() + 1);
                lost.note(0xc0 + rounds.get(), hop_by_leave, &task, &task);
            }
        }));
        for round in 0..10 {
            lost.note(0xd0 + round, hop_by_run, &task, &task);
        }
        assert_eq!(rounds.get(), 10);
    });
}

#[test]
fn callee_saved_registers_survive_on_host() {
    with_room(|room| {
        let lost = Lost::default();
        run::<Backend>(room.prepare::<Backend, _>(|| {
            lost.note(0xe0, hop_by_on_host, &nobody(), &nobody());
            Context::HOST
        }));
    });
}

/// MXCSR and the x87 control word.
fn control_words() -> (u32, u16) {
    let (mut mxcsr, mut x87) = (0_u32, 0_u16);
    // SAFETY: stores both words to the two locals.
    unsafe {
        asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87, options(nostack));
    }
    // The lower six bits are the exceptions that happened, not control.
    (mxcsr & !0x3f, x87)
}

fn set_control_words((mxcsr, x87): (u32, u16)) {
    // SAFETY: the test sets rounding and precision only, and computes nothing in between.
    unsafe {
        asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const x87, options(nostack));
    }
}

#[test]
fn control_words_belong_to_the_thread() {
    with_room(|room: &mut Room<'_>| {
        let usual = control_words();
        let (down, up) = ((usual.0 | 0x2000, usual.1 | 0x0400), (usual.0 | 0x4000, usual.1 | 0x0800));
        let seen = Cell::new([(0, 0); 3]);
        let task = nobody();
        task.set(room.prepare::<Backend, _>(|| {
            let first = control_words();
            set_control_words(up);
            leave::<Backend>(&task);
            let [_, host, _] = seen.get();
            seen.set([first, host, control_words()]);
            Context::HOST
        }));
        set_control_words(down);
        run::<Backend>(task.get());
        seen.set([(0, 0), control_words(), (0, 0)]);
        set_control_words(usual);
        run::<Backend>(task.get());
        assert_eq!(seen.get(), [down, up, usual]);
    });
}

#[test]
fn an_entry_begins_as_after_a_call() {
    /// Stores rsp, rbp and the flags as they are before the first instruction of an entry.
    #[unsafe(naked)]
    unsafe extern "C" fn entry(arg: *mut ()) -> Context {
        naked_asm!(
            "mov [rdi], rsp",
            "mov [rdi + 8], rbp",
            "pushfq",
            "pop [rdi + 16]",
            "mov rdi, [rdi + 24]",
            "jmp rdi",
        )
    }
    extern "C" fn end() -> Context {
        Context::HOST
    }
    with_room(|room| {
        let lost = Lost::default();
        let (limit, base) = room.stack();
        let mut seen = [0, 0, 0, end as *const () as usize];
        // SAFETY: the stack is the room's, and `seen` outlives the context.
        let task = unsafe { native::prepare(limit, base, entry, (&raw mut seen).cast()) };
        // In a nested run, where nothing that rbp may hold is zero by chance, nor a frame of the new stack.
        run::<Backend>(room.prepare::<Backend, _>(|| {
            lost.note(0xf0, hop_by_run, &nobody(), &Cell::new(task));
            Context::HOST
        }));
        let [rsp, rbp, flags, _] = black_box(seen);
        assert_eq!(rsp % 16, 8, "the ABI wants rsp + 8 aligned to 16 at a function's entry");
        assert!(rsp < base.addr() && base.addr() - rsp < 256);
        assert!(rbp == 0 || (rsp..base.addr()).contains(&rbp), "frame pointers end: {rbp:#x}");
        assert_eq!(flags & 0x400, 0, "the direction flag is clear");
    });
}

#[test]
fn a_backtrace_ends_at_the_entry() {
    #[inline(never)]
    fn above_the_base() {
        black_box(above_the_base as fn());
    }
    fn trace() -> String {
        std::backtrace::Backtrace::force_capture().to_string()
    }
    unsafe extern "C" fn entry_of_the_test(traces: *mut ()) -> Context {
        let mut on_host = String::new();
        let here = trace();
        crate::cases::on_host::<Backend, _>(|| on_host = trace());
        // SAFETY: the test passes its array.
        unsafe { *traces.cast::<[String; 2]>() = [here, on_host] };
        Context::HOST
    }
    with_room(|room| {
        let (limit, base) = room.stack();
        let mut traces = [const { String::new() }; 2];
        // SAFETY: the stack is the room's, and `traces` outlives the context. Above the base lies what an unwinder that
        // went on would take for a return address.
        run::<Backend>(unsafe {
            let base = base.sub(64);
            base.cast::<[usize; 8]>().write([above_the_base as *const () as usize + 1; 8]);
            native::prepare(limit, base, entry_of_the_test, (&raw mut traces).cast())
        });
        for trace in &traces {
            assert!(trace.contains("entry_of_the_test"), "the walk reaches the entry:\n{trace}");
            assert!(!trace.contains("above_the_base"), "and goes no further:\n{trace}");
            assert!(
                !trace.contains("a_backtrace_ends_at_the_entry::{{closure}}"),
                "nor to the host:\n{trace}"
            );
        }
    });
}
