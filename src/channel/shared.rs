//! How the ends of a channel hold it: by a counted pointer that knows how its memory is given back.

use super::{Channel, Holding, Receiver, Sender};
use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;

/// A channel, and how many references there are to it.
#[repr(C)]
pub(super) struct Counted<T> {
    references: Cell<usize>,
    /// Gives the memory back; called with the pointer that [`pair`] got, when the last reference is gone.
    release: unsafe fn(NonNull<Counted<T>>),
    channel: Channel<T>,
}

impl<T> Counted<T> {
    /// A channel that holds nothing, and one reference, to be.
    pub(super) const fn new(release: unsafe fn(NonNull<Counted<T>>)) -> Counted<T> {
        Counted { references: Cell::new(1), release, channel: Channel::new() }
    }

    /// From the beginning the channel holds values so.
    pub(super) fn hold(&mut self, holding: Holding<T>) {
        self.channel.hold(holding);
    }
}

/// A counted reference to a channel.
pub(super) struct Shared<T> {
    counted: NonNull<Counted<T>>,
    owns: PhantomData<Counted<T>>,
}

/// Returns the two ends of a new channel.
///
/// # Safety
/// Nobody else refers to the channel, whose ends are counted as one on each side. It stays where it is until its `release` is called, which
/// gets this pointer.
pub(super) unsafe fn pair<T>(channel: NonNull<Counted<T>>) -> (Sender<T>, Receiver<T>) {
    let first = Shared { counted: channel, owns: PhantomData };
    let second = first.clone();
    (Sender(first), Receiver(second))
}

impl<T> Deref for Shared<T> {
    type Target = Channel<T>;

    #[inline(always)]
    fn deref(&self) -> &Channel<T> {
        // SAFETY: it is there while it is referred to; all that changes is in cells.
        &unsafe { self.counted.as_ref() }.channel
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Shared<T> {
        // SAFETY: as in `deref`.
        let references = unsafe { &self.counted.as_ref().references };
        references.set(references.get() + 1);
        Shared { ..*self }
    }
}

impl<T> Drop for Shared<T> {
    // Where an end is dropped at the end of a loop that sends, the loop is the better for it.
    #[cfg_attr(not(target_arch = "wasm32"), inline(never))]
    fn drop(&mut self) {
        // SAFETY: as in `deref`.
        let counted = unsafe { self.counted.as_ref() };
        let left = counted.references.get() - 1;
        counted.references.set(left);
        if left == 0 {
            // SAFETY: this was the last reference.
            unsafe { (counted.release)(self.counted) };
        }
    }
}
