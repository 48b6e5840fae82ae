//! Frames to suspend beneath.

use std::hint::black_box;

/// Calls `f` beneath so many frames, its caller's among them. Returns how many there were.
#[inline(never)]
pub(crate) fn beneath(frames: u64, f: &mut dyn FnMut()) -> u64 {
    if frames <= 1 {
        f();
        return 1;
    }
    // What is done after the call keeps the frame alive.
    black_box(beneath(frames - 1, f)) + 1
}

#[cfg(test)]
mod tests {
    use super::beneath;

    #[test]
    fn frames_are_counted() {
        let mut calls = 0;
        assert_eq!(beneath(1000, &mut || calls += 1), 1000);
        assert_eq!(calls, 1);
    }
}
