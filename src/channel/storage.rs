//! Channels in static memory.

use super::shared::{self, Counted};
use super::{Holding, Receiver, Sender};
use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use crate::atomics::{AtomicU8, Ordering};

/// Memory for one channel that holds up to `N` values; with `N` = 0 for a rendezvous channel.
///
/// A static: its channel needs no heap. The values need not be `Send`, as the ends stay on the thread that split it.
///
/// # Examples
/// ```
/// use windlass::channel::Storage;
///
/// static NUMBERS: Storage<u32, 4> = Storage::new();
///
/// windlass::run(|| {
///     let (outbox, inbox) = NUMBERS.split().unwrap();
///     windlass::spawn(move || {
///         for n in 1..=10 {
///             outbox.send(n).unwrap();
///         }
///     });
///     assert!(NUMBERS.split().is_err(), "it is in use");
///     assert_eq!(inbox.iter().sum::<u32>(), 55);
/// });
/// assert!(NUMBERS.split().is_ok(), "all ends are gone");
/// ```
pub struct Storage<T, const N: usize> {
    /// 1 while there are ends.
    in_use: AtomicU8,
    content: UnsafeCell<MaybeUninit<Content<T, N>>>,
}

// SAFETY: *Taken Once*: the content is used by the ends of one channel at a time, which stay on one thread, and whose last one takes all
// values out before it gives the storage back.
unsafe impl<T, const N: usize> Sync for Storage<T, N> {}

/// A channel, and what it holds.
#[repr(C)]
struct Content<T, const N: usize> {
    channel: Counted<T>,
    /// The storage's.
    in_use: &'static AtomicU8,
    ring: Ring<T, N>,
}

/// A queue in an array.
struct Ring<T, const N: usize> {
    first: Cell<usize>,
    len: Cell<usize>,
    slots: [UnsafeCell<MaybeUninit<T>>; N],
}

/// The storage has a channel already: drop all its ends first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InUse;

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this storage's channel is in use; drop all its ends first")
    }
}

impl core::error::Error for InUse {}

impl<T, const N: usize> Storage<T, N> {
    /// Returns memory without a channel.
    pub const fn new() -> Storage<T, N> {
        Storage { in_use: AtomicU8::new(0), content: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Returns the ends of a new channel in this memory. It can be split again when all ends are gone.
    ///
    /// # Context
    /// Task or host.
    ///
    /// # Errors
    /// [`InUse`] while there are ends of the channel before.
    pub fn split(&'static self) -> Result<(Sender<T>, Receiver<T>), InUse> {
        if self.in_use.swap(1, Ordering::Acquire) != 0 {
            return Err(InUse);
        }
        let content = self.content.get().cast::<Content<T, N>>();
        // SAFETY: Taken Once: nobody else has the content, and `release` takes it back.
        unsafe {
            content.write(Content {
                channel: Counted::new(release::<T, N>),
                in_use: &self.in_use,
                ring: Ring { first: Cell::new(0), len: Cell::new(0), slots: [const { slot() }; N] },
            });
            if N > 0 {
                let buffer = NonNull::new_unchecked(&raw mut (*content).ring).cast();
                (*content).channel.hold(Holding { buffer, push: push::<T, N>, pop: pop::<T, N> });
            }
            Ok(shared::pair(NonNull::new_unchecked(content).cast()))
        }
    }
}

const fn slot<T>() -> UnsafeCell<MaybeUninit<T>> {
    UnsafeCell::new(MaybeUninit::uninit())
}

/// # Safety
/// The channel is a storage's, and its last reference is gone.
unsafe fn release<T, const N: usize>(channel: NonNull<Counted<T>>) {
    // SAFETY: the caller's promise; a channel is the first part of a content.
    let content = unsafe { channel.cast::<Content<T, N>>().as_ref() };
    /// Gives the storage back, also if the destructor of a value panics.
    struct Return(&'static AtomicU8);
    impl Drop for Return {
        fn drop(&mut self) {
            self.0.store(0, Ordering::Release);
        }
    }
    let _return = Return(content.in_use);
    // Only where the destructor of another value panicked there is one left.
    // SAFETY: nobody else has the ring.
    while let Some(value) = unsafe { pop::<T, N>(NonNull::from(&content.ring).cast()) } {
        drop(value);
    }
}

/// # Safety
/// The ring is one of these.
unsafe fn push<T, const N: usize>(ring: NonNull<()>, value: T) -> Result<(), T> {
    // SAFETY: the caller's promise.
    let ring = unsafe { ring.cast::<Ring<T, N>>().as_ref() };
    if ring.len.get() >= N {
        return Err(value);
    }
    let last = (ring.first.get() + ring.len.get()) % N;
    // SAFETY: the place is empty, as the ring is not full.
    unsafe { (*ring.slots[last].get()).write(value) };
    ring.len.set(ring.len.get() + 1);
    Ok(())
}

/// # Safety
/// The ring is one of these.
unsafe fn pop<T, const N: usize>(ring: NonNull<()>) -> Option<T> {
    // SAFETY: the caller's promise.
    let ring = unsafe { ring.cast::<Ring<T, N>>().as_ref() };
    let len = ring.len.get().checked_sub(1)?;
    let first = ring.first.get();
    ring.first.set((first + 1) % N);
    ring.len.set(len);
    // SAFETY: there was a value in it, which is nobody's now.
    Some(unsafe { (*ring.slots[first].get()).assume_init_read() })
}

impl<T, const N: usize> Default for Storage<T, N> {
    fn default() -> Storage<T, N> {
        Storage::new()
    }
}

impl<T, const N: usize> fmt::Debug for Storage<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_use = self.in_use.load(Ordering::Relaxed) != 0;
        f.debug_struct("Storage").field("capacity", &N).field("in_use", &in_use).finish_non_exhaustive()
    }
}
