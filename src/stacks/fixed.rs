//! Stacks in static memory: a canary at the limit, and paint that shows how far a stack was ever used.
//!
//! ```text
//!   limit                                                 base
//!     │ paint (the canary) │ paint paint ◄── frames │ closure, later its result │
//! ```
//!
//! The memory is painted once, when the runtime is claimed; the first word that has another colour is the high-water mark of all tasks that had
//! the stack. The word at the limit is the canary, too: a task that has changed it was at the end of its stack, or beyond.
#![allow(unsafe_code, reason = "reads memory that nobody declared")]

use super::StackMemory;

const WORD: usize = size_of::<usize>();

/// A word that is neither an address nor a small number.
const PAINT: usize = 0xa55a_c33c_9669_f00d_u64 as usize;

/// Paints a stack that is not in use.
///
/// # Safety
/// The memory is writable, and nobody else's.
pub(crate) unsafe fn paint(stack: &StackMemory) {
    let mut word = stack.limit().cast::<usize>();
    for _ in 0..stack.size() / WORD {
        // SAFETY: inside the stack, which is aligned.
        unsafe {
            word.write_volatile(PAINT);
            word = word.add(1);
        }
    }
}

/// Whether nobody wrote to the word at the limit.
pub(crate) fn is_whole(stack: &StackMemory) -> bool {
    // SAFETY: an aligned word in a stack that was painted.
    unsafe { stack.limit().cast::<usize>().read_volatile() == PAINT }
}

/// Returns how many bytes below the base of this stack have been used, by the task that has it or one before it.
pub(crate) fn high_water(stack: &StackMemory) -> usize {
    let words = stack.size() / WORD;
    let start = stack.limit().cast::<usize>();
    // SAFETY: aligned words in a stack that was painted.
    let painted = (0..words).take_while(|&word| unsafe { start.add(word).read_volatile() == PAINT });
    (words - painted.count()) * WORD
}
