//! The cases as a wasm module, which the post-link tool lowers and `run.mjs` runs. On other targets: nothing.

#![cfg_attr(target_arch = "wasm32", no_std)]
#![allow(missing_docs, clippy::missing_safety_doc, unreachable_pub, reason = "test code")]

#[cfg(target_arch = "wasm32")]
#[path = "../cases/mod.rs"]
mod cases;

#[cfg(target_arch = "wasm32")]
mod guest {
    use core::cell::UnsafeCell;
    use core::fmt::{self, Write};
    use core::panic::PanicInfo;

    use crate::cases::{self, Room, STACKS, Stack};

    /// The version of `docs/abi.md`, without which the tool refuses the module.
    #[used]
    #[unsafe(link_section = "windlass.abi")]
    static ABI: [u8; 4] = 1_u32.to_le_bytes();

    #[link(wasm_import_module = "windlass")]
    unsafe extern "C" {
        safe fn enter() -> i32;
        safe fn exit();
    }

    #[link(wasm_import_module = "conformance")]
    unsafe extern "C" {
        /// Calls the export `called_back` with the same values.
        fn call_back(f: unsafe extern "C" fn(*mut ()), arg: *mut ());
        /// Tells the runner why a case fails.
        fn report(text: *const u8, len: usize);
    }

    cases::seam!(
        Backend = windlass_arch,
        many: 1_000_000,
        one_host_stack: true,
        run_anywhere: false,
        on_host: call_back
    );

    macro_rules! list {
        ($($module:ident::$name:ident),* $(,)?) => {
            const CASES: &[(&str, fn(&mut Room<'_>))] =
                &[$((concat!(stringify!($module), "::", stringify!($name)), cases::$module::$name::<Backend>)),*];
        };
    }
    cases::each_case!(list);

    struct Stacks(UnsafeCell<[Stack; STACKS]>);
    // SAFETY: one thread, and one case at a time.
    unsafe impl Sync for Stacks {}
    static MEMORY: Stacks = Stacks(UnsafeCell::new([Stack::NEW; STACKS]));

    #[unsafe(no_mangle)]
    extern "C" fn case_count() -> usize {
        CASES.len()
    }

    #[unsafe(no_mangle)]
    extern "C" fn case_name_ptr(case: usize) -> *const u8 {
        CASES[case].0.as_ptr()
    }

    #[unsafe(no_mangle)]
    extern "C" fn case_name_len(case: usize) -> usize {
        CASES[case].0.len()
    }

    /// Runs a case. 1: passed. A failure is reported, then it traps. 0: the instance is poisoned.
    #[unsafe(no_mangle)]
    extern "C" fn run_case(case: usize) -> i32 {
        if enter() == 0 {
            return 0;
        }
        // SAFETY: cases run one after another.
        CASES[case].1(&mut Room::new(unsafe { &mut *MEMORY.0.get() }));
        exit();
        1
    }

    #[unsafe(no_mangle)]
    unsafe extern "C" fn called_back(f: unsafe extern "C" fn(*mut ()), arg: *mut ()) {
        assert!(enter() == 1, "a nested call is refused");
        // SAFETY: the case's call, passed on by the runner.
        unsafe { f(arg) };
        exit();
    }

    /// Called by the lowered module when a stack is too small.
    #[unsafe(no_mangle)]
    extern "C" fn windlass_stack_overflow() {
        panic!("stack overflow");
    }

    struct Report;

    impl Write for Report {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            // SAFETY: the runner reads the text during the call.
            unsafe { report(text.as_ptr(), text.len()) };
            Ok(())
        }
    }

    #[panic_handler]
    fn panic(info: &PanicInfo<'_>) -> ! {
        let _ = writeln!(Report, "{info}");
        core::arch::wasm32::unreachable()
    }
}
