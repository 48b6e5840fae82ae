//! The package `windlass-arch` by itself: two stacks that hand over to each other.

use std::time::Instant;

use windlass_arch::{self as arch, Context};

use crate::meter::Measured;

/// Both contexts, while they are not running, and what came of it.
struct Pair {
    first: Context,
    second: Context,
    n: u64,
    measured: Option<Measured>,
}

#[repr(align(16))]
struct Stack([u8; 64 << 10]);

/// An operation is two switches: there and back.
pub(super) fn turns(_: u64, n: u64) -> Measured {
    let (mut first, mut second) = (Box::new(Stack([0; _])), Box::new(Stack([0; _])));
    let mut pair = Pair { first: Context::HOST, second: Context::HOST, n, measured: None };
    let arg = (&raw mut pair).cast::<()>();
    let ends = |stack: &mut Stack| {
        let range = stack.0.as_mut_ptr_range();
        (range.start, range.end)
    };
    let ((limit, base), (other_limit, other_base)) = (ends(&mut first), ends(&mut second));
    // SAFETY: the stacks and the pair outlive both contexts; `there` and `back` take such a pair.
    unsafe {
        pair.second = arch::prepare(other_limit, other_base, back, arg);
        arch::run(arch::prepare(limit, base, there, arg));
        arch::discard(pair.second);
    }
    pair.measured.expect("the first context ran to its end")
}

unsafe extern "C" fn there(arg: *mut ()) -> Context {
    let pair = arg.cast::<Pair>();
    // SAFETY: `turns` waits for this context; of the two one runs at a time.
    unsafe {
        let n = (*pair).n;
        let start = Instant::now();
        for _ in 0..n {
            arch::switch(&raw mut (*pair).first, (*pair).second);
        }
        (*pair).measured = Some(Measured::since(start, n));
    }
    Context::HOST
}

unsafe extern "C" fn back(arg: *mut ()) -> Context {
    let pair = arg.cast::<Pair>();
    loop {
        // SAFETY: as in `there`, which waits.
        unsafe { arch::switch(&raw mut (*pair).second, (*pair).first) };
    }
}
