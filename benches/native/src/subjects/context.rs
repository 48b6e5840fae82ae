//! context: Boost's switch, resumed by itself.

use context::stack::ProtectedFixedSizeStack;
use context::{Context, Transfer};

use crate::meter::Measured;
use crate::subject::{GUARDED, Subject};

pub(crate) const CONTEXT: Subject = Subject {
    name: "context",
    packages: &["context"],
    about: "two stacks that resume each other",
    most_tasks: GUARDED,
    countable: true,
    benches: &[("switch", switch)],
};

extern "C" fn back(mut transfer: Transfer) -> ! {
    loop {
        // SAFETY: the context was handed over a moment ago and is resumed once.
        transfer = unsafe { transfer.context.resume(0) };
    }
}

fn switch(_: u64, n: u64) -> Measured {
    let stack = ProtectedFixedSizeStack::new(64 << 10).expect("memory for a stack");
    // SAFETY: the stack outlives the context; each context is resumed once.
    unsafe {
        let mut transfer = Context::new(&stack, back).resume(0);
        let start = std::time::Instant::now();
        for _ in 0..n {
            transfer = transfer.context.resume(0);
        }
        Measured::since(start, n)
    }
}
