//! x86-64, Windows: what `registers.rs` needs to know, and tests of the thread's block.

use core::arch::{asm, naked_asm};
use core::cell::Cell;

use windlass_arch::{Context, native};

use super::Backend;
use super::registers::Hop;
use crate::cases::{leave, nobody, on_host, run};
use crate::with_room;

pub(super) type Word = u64;
/// What a call keeps.
pub(super) type Saved = [Word; 28];
pub(super) const NAMES: [&str; 28] = [
    "rbx",
    "rbp",
    "rsi",
    "rdi",
    "r12",
    "r13",
    "r14",
    "r15",
    "xmm6",
    "xmm6 (upper half)",
    "xmm7",
    "xmm7 (upper half)",
    "xmm8",
    "xmm8 (upper half)",
    "xmm9",
    "xmm9 (upper half)",
    "xmm10",
    "xmm10 (upper half)",
    "xmm11",
    "xmm11 (upper half)",
    "xmm12",
    "xmm12 (upper half)",
    "xmm13",
    "xmm13 (upper half)",
    "xmm14",
    "xmm14 (upper half)",
    "xmm15",
    "xmm15 (upper half)",
];

/// Loads the callee-saved registers from `set`, calls `f(arg)`, and stores what they are then to `got`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn with_registers(
    set: *const Saved,
    got: *mut Saved,
    f: unsafe extern "C" fn(*mut Hop),
    arg: *mut Hop,
) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push rsi",
        "push rdi",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 216", // 160 for xmm6 to xmm15, 8 for `got`, 32 that the callee may use, and alignment
        "movups [rsp + 48], xmm6",
        "movups [rsp + 64], xmm7",
        "movups [rsp + 80], xmm8",
        "movups [rsp + 96], xmm9",
        "movups [rsp + 112], xmm10",
        "movups [rsp + 128], xmm11",
        "movups [rsp + 144], xmm12",
        "movups [rsp + 160], xmm13",
        "movups [rsp + 176], xmm14",
        "movups [rsp + 192], xmm15",
        "mov [rsp + 32], rdx",
        "mov rbx, [rcx]",
        "mov rbp, [rcx + 8]",
        "mov rsi, [rcx + 16]",
        "mov rdi, [rcx + 24]",
        "mov r12, [rcx + 32]",
        "mov r13, [rcx + 40]",
        "mov r14, [rcx + 48]",
        "mov r15, [rcx + 56]",
        "movups xmm6, [rcx + 64]",
        "movups xmm7, [rcx + 80]",
        "movups xmm8, [rcx + 96]",
        "movups xmm9, [rcx + 112]",
        "movups xmm10, [rcx + 128]",
        "movups xmm11, [rcx + 144]",
        "movups xmm12, [rcx + 160]",
        "movups xmm13, [rcx + 176]",
        "movups xmm14, [rcx + 192]",
        "movups xmm15, [rcx + 208]",
        "mov rcx, r9",
        "call r8",
        "mov rdx, [rsp + 32]",
        "mov [rdx], rbx",
        "mov [rdx + 8], rbp",
        "mov [rdx + 16], rsi",
        "mov [rdx + 24], rdi",
        "mov [rdx + 32], r12",
        "mov [rdx + 40], r13",
        "mov [rdx + 48], r14",
        "mov [rdx + 56], r15",
        "movups [rdx + 64], xmm6",
        "movups [rdx + 80], xmm7",
        "movups [rdx + 96], xmm8",
        "movups [rdx + 112], xmm9",
        "movups [rdx + 128], xmm10",
        "movups [rdx + 144], xmm11",
        "movups [rdx + 160], xmm12",
        "movups [rdx + 176], xmm13",
        "movups [rdx + 192], xmm14",
        "movups [rdx + 208], xmm15",
        "movups xmm6, [rsp + 48]",
        "movups xmm7, [rsp + 64]",
        "movups xmm8, [rsp + 80]",
        "movups xmm9, [rsp + 96]",
        "movups xmm10, [rsp + 112]",
        "movups xmm11, [rsp + 128]",
        "movups xmm12, [rsp + 144]",
        "movups xmm13, [rsp + 160]",
        "movups xmm14, [rsp + 176]",
        "movups xmm15, [rsp + 192]",
        "add rsp, 216",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rdi",
        "pop rsi",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// Overwrites what a call keeps, and keeps it.
pub(super) unsafe extern "C" fn scratch(_: *mut ()) {
    // SAFETY: writes registers that the block says it clobbers.
    unsafe {
        asm!("xor esi, esi", "xor edi, edi", "xor r12, r12", "xor r13, r13", "xor r14, r14", "xor r15, r15",
            "xorps xmm6, xmm6", "xorps xmm7, xmm7", "xorps xmm8, xmm8", "xorps xmm9, xmm9", "xorps xmm10, xmm10",
            "xorps xmm11, xmm11", "xorps xmm12, xmm12", "xorps xmm13, xmm13", "xorps xmm14, xmm14", "xorps xmm15, xmm15",
            out("rsi") _, out("rdi") _, out("r12") _, out("r13") _, out("r14") _, out("r15") _, clobber_abi("win64"));
    }
}

/// MXCSR and the x87 control word.
pub(super) type Control = (u32, u16);

pub(super) fn control_words() -> Control {
    let (mut mxcsr, mut x87) = (0_u32, 0_u16);
    // SAFETY: stores both words to the two locals.
    unsafe {
        asm!("stmxcsr [{}]", "fnstcw [{}]", in(reg) &raw mut mxcsr, in(reg) &raw mut x87, options(nostack));
    }
    // The lower six bits are the exceptions that happened, not control.
    (mxcsr & !0x3f, x87)
}

pub(super) fn set_control_words((mxcsr, x87): Control) {
    // SAFETY: the test sets rounding and precision only, and computes nothing in between.
    unsafe {
        asm!("ldmxcsr [{}]", "fldcw [{}]", in(reg) &raw const mxcsr, in(reg) &raw const x87, options(nostack));
    }
}

pub(super) fn rounding_down((mxcsr, x87): Control) -> Control {
    (mxcsr | 0x2000, x87 | 0x0400)
}

pub(super) fn rounding_up((mxcsr, x87): Control) -> Control {
    (mxcsr | 0x4000, x87 | 0x0800)
}

/// What the first instruction of an entry finds.
#[repr(C)]
pub(super) struct Begin {
    pub(super) sp: usize,
    /// The frame pointer.
    pub(super) frame: usize,
    /// The flags.
    pub(super) state: usize,
    pub(super) end: extern "C" fn() -> Context,
}

/// rsp modulo 16: the return address lies on the stack.
pub(super) const SP_AT_ENTRY: usize = 8;
/// The direction flag.
pub(super) const STATE: usize = 0x400;

/// Fills its `Begin` in, then goes on to `end`.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn entry(begin: *mut ()) -> Context {
    naked_asm!(
        "mov [rcx], rsp",
        "mov [rcx + 8], rbp",
        "pushfq",
        "pop [rcx + 16]",
        "mov rcx, [rcx + 24]",
        "jmp rcx",
    )
}

/// `StackBase`, `StackLimit`, `DeallocationStack`, `ExceptionList`.
fn block() -> [usize; 4] {
    let (base, limit, end, list);
    // SAFETY: reads the thread's block.
    unsafe {
        asm!("mov {}, gs:[0x08]", "mov {}, gs:[0x10]", "mov {}, gs:[0x1478]", "mov {}, gs:[0x00]",
            out(reg) base, out(reg) limit, out(reg) end, out(reg) list, options(nostack, readonly));
    }
    [base, limit, end, list]
}

#[test]
fn the_threads_block_names_the_running_stack() {
    unsafe extern "C" fn entry(seen: *mut ()) -> Context {
        let mut here = [block(), [0; 4]];
        on_host::<Backend, _>(|| here[1] = block());
        // SAFETY: the test passes its array.
        unsafe { *seen.cast::<[[usize; 4]; 3]>() = [here[0], here[1], block()] };
        Context::HOST
    }
    with_room(|room| {
        let host = block();
        let (limit, base) = room.stack();
        let mut seen = [[0; 4]; 3];
        // SAFETY: the stack is the room's, and `seen` outlives the context.
        run::<Backend>(unsafe { native::prepare(limit, base, entry, (&raw mut seen).cast()) });
        let [before, on_host, after] = seen;
        assert!(
            before[0] <= base.addr() && before[0] + 256 > base.addr(),
            "the base, below what `prepare` puts there"
        );
        assert_eq!(before[1..3], [limit.addr(); 2]);
        assert_eq!(before, after);
        assert_eq!(on_host[0], host[0]);
        assert_eq!(on_host[2..], host[2..]);
        assert_eq!(block()[0], host[0]);
        assert_eq!(block()[2..], host[2..]);
    });
}

#[test]
fn the_threads_block_survives_a_switch() {
    with_room(|room| {
        let task = nobody();
        let seen = Cell::new([[0; 4]; 2]);
        task.set(room.prepare::<Backend, _>(|| {
            let first = block();
            leave::<Backend>(&task);
            seen.set([first, block()]);
            Context::HOST
        }));
        let host = block();
        run::<Backend>(task.get());
        assert_eq!((block()[0], &block()[2..]), (host[0], &host[2..]));
        run::<Backend>(task.get());
        let [first, second] = seen.get();
        assert_eq!(first, second);
        assert_ne!(first[0], host[0]);
    });
}

/// More than is there of the host's stack at first, so that the system has to enlarge it under `on_host`.
#[test]
fn a_limit_that_moves_on_the_host_is_kept() {
    #[inline(never)]
    fn dive() -> usize {
        let frame = [1_u8; 400 << 10];
        core::hint::black_box(&frame);
        block()[1]
    }
    let limits = std::thread::spawn(|| {
        let limits = Cell::new([0; 2]);
        with_room(|room| {
            run::<Backend>(room.prepare::<Backend, _>(|| {
                on_host::<Backend, _>(|| limits.set([dive(), 0]));
                Context::HOST
            }));
        });
        [limits.get()[0], block()[1]]
    });
    let [inside, after] = limits.join().expect("it does not panic");
    assert!(after <= inside, "the limit went back up: {after:#x}, and was {inside:#x}");
}
