//! The suite, for each backend that this target has. `wasm/` runs the same cases as a lowered module.
//!
//! What needs `std` (a panic) or a CPU's assembly (its registers) is here, the rest in `cases/`.

#![allow(missing_docs, clippy::missing_safety_doc, unreachable_pub, reason = "test code")]

mod cases;

use cases::{Room, STACKS, Stack};

fn with_room(case: impl FnOnce(&mut Room<'_>)) {
    let stacks: Vec<Stack> = (0..STACKS).map(|_| Stack::NEW).collect();
    let Ok(mut stacks) = <Box<[Stack; STACKS]>>::try_from(stacks) else {
        unreachable!("as many as were made")
    };
    case(&mut Room::new(&mut stacks));
}

macro_rules! tests {
    ($($module:ident::$name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                crate::with_room(crate::cases::$module::$name::<Backend>);
            }
        )*
    };
}

/// What a caught panic must leave as it was. Needs `std`, so it is not among the cases.
macro_rules! panic_tests {
    () => {
        #[test]
        fn a_panic_is_caught_where_it_started() {
            crate::with_room(crate::panics_are_caught::<Backend>);
        }
    };
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86", target_arch = "x86_64"))]
mod native {
    // A million switches take some 3 ms.
    crate::cases::seam!(
        Backend = windlass_arch::native,
        many: if cfg!(debug_assertions) { 200_000 } else { 1_000_000 },
        one_host_stack: true,
        run_anywhere: true,
        on_host: windlass_arch::native::on_host
    );
    crate::cases::each_case!(tests);
    panic_tests!();

    mod registers;

    #[cfg(target_arch = "aarch64")]
    #[path = "aarch64.rs"]
    mod cpu;
    #[cfg(target_arch = "x86")]
    #[path = "x86.rs"]
    mod cpu;
    #[cfg(all(target_arch = "x86_64", not(windows)))]
    #[path = "x86_64.rs"]
    mod cpu;
    #[cfg(all(target_arch = "x86_64", windows))]
    #[path = "x86_64_windows.rs"]
    mod cpu;
}

mod threads {
    // A switch wakes a thread and takes some 5 µs, with a sanitizer ten times that.
    crate::cases::seam!(
        Backend = windlass_arch::threads,
        many: if cfg!(miri) { 200 } else { 20_000 },
        one_host_stack: false,
        run_anywhere: true,
        on_host: windlass_arch::threads::on_host
    );
    crate::cases::each_case!(tests);
    panic_tests!();
}

fn panics_are_caught<B: cases::Seam>(room: &mut Room<'_>) {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use cases::{Trace, nobody, run, switch};
    use windlass_arch::Context;

    struct Guard<'a>(&'a Trace, char);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.note(self.1);
        }
    }

    let trace = Trace::new();
    let (a, b) = (nobody(), nobody());
    let first = room.prepare::<B, _>(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = Guard(&trace, 'd');
            switch::<B>(&a, b.get());
            trace.note('p');
            panic!("expected: first");
        }));
        let message = caught.expect_err("it panicked").downcast_ref::<&str>().copied();
        assert_eq!(message, Some("expected: first"));
        assert!(!std::thread::panicking());
        b.get()
    });
    b.set(room.prepare::<B, _>(|| {
        trace.note('b');
        switch::<B>(&b, a.get());
        // The other context's panic is over; this one's is its own.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _guard = Guard(&trace, 'D');
            std::panic::resume_unwind(Box::new(7_u32));
        }));
        assert_eq!(caught.expect_err("it panicked").downcast_ref::<u32>(), Some(&7));
        trace.note('e');
        Context::HOST
    }));
    run::<B>(first);
    trace.is("bpdDe");
}
