//! The channels of the cases. Without a heap in the scheduler each is made of a storage of its own, which is never taken away.

#[cfg(feature = "alloc")]
pub(crate) use windlass::channel::{bounded, rendezvous, unbounded};

#[cfg(not(feature = "alloc"))]
pub(crate) use fixed::{bounded, rendezvous, unbounded};

#[cfg(not(feature = "alloc"))]
mod fixed {
    use alloc::boxed::Box;
    use windlass::channel::{Receiver, Sender, Storage};

    fn split<T: 'static, const N: usize>() -> (Sender<T>, Receiver<T>) {
        let storage: &'static Storage<T, N> = Box::leak(Box::new(Storage::new()));
        match storage.split() {
            Ok(ends) => ends,
            Err(error) => panic!("a new storage: {error}"),
        }
    }

    pub(crate) fn rendezvous<T: 'static>() -> (Sender<T>, Receiver<T>) {
        split::<T, 0>()
    }

    pub(crate) fn bounded<T: 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        match capacity {
            0 => split::<T, 0>(),
            1 => split::<T, 1>(),
            2 => split::<T, 2>(),
            3 => split::<T, 3>(),
            more => panic!("no case needs a buffer of {more}"),
        }
    }

    /// Larger than what any case sends.
    pub(crate) fn unbounded<T: 'static>() -> (Sender<T>, Receiver<T>) {
        split::<T, 256>()
    }
}
