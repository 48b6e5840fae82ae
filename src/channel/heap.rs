//! Channels in memory of the global allocator.

use super::shared::{self, Counted};
use super::{Holding, Receiver, Sender};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::ptr::NonNull;

/// Returns a channel that holds nothing: `send` waits until a receiver takes the value.
pub fn rendezvous<T>() -> (Sender<T>, Receiver<T>) {
    /// # Safety
    /// The channel is one of this function's, and its last reference is gone.
    unsafe fn release<T>(channel: NonNull<Counted<T>>) {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(channel.as_ptr()) });
    }
    let channel = Box::leak(Box::new(Counted::new(release::<T>)));
    // SAFETY: it is new, and released by `release`.
    unsafe { shared::pair(NonNull::from(channel)) }
}

/// Returns a channel that holds up to `capacity` values: `send` waits while it is full.
///
/// A capacity of 0 makes a [`rendezvous`] channel.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    buffered(capacity)
}

/// Returns a channel without a limit: `send` never waits.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    buffered(usize::MAX)
}

/// A channel and what it holds.
#[repr(C)]
struct Buffered<T> {
    channel: Counted<T>,
    buffer: Buffer<T>,
}

struct Buffer<T> {
    capacity: usize,
    values: VecDeque<T>,
}

fn buffered<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    /// # Safety
    /// The buffer is one of `buffered`'s, and nobody else uses it meanwhile.
    unsafe fn push<T>(buffer: NonNull<()>, value: T) -> Result<(), T> {
        // SAFETY: the caller's promise.
        let Buffer { capacity, values } = unsafe { buffer.cast().as_mut() };
        if values.len() >= *capacity {
            return Err(value);
        }
        values.push_back(value);
        Ok(())
    }
    /// # Safety
    /// As for `push`.
    unsafe fn pop<T>(buffer: NonNull<()>) -> Option<T> {
        // SAFETY: the caller's promise.
        unsafe { buffer.cast::<Buffer<T>>().as_mut() }.values.pop_front()
    }
    /// # Safety
    /// The channel is one of `buffered`'s, and its last reference is gone.
    unsafe fn release<T>(channel: NonNull<Counted<T>>) {
        // SAFETY: the caller's promise; a channel is the first part of what was allocated.
        drop(unsafe { Box::from_raw(channel.cast::<Buffered<T>>().as_ptr()) });
    }
    let channel = Counted::new(release::<T>);
    let buffer = Buffer { capacity, values: VecDeque::new() };
    let memory = Box::into_raw(Box::new(Buffered { channel, buffer }));
    // SAFETY: it is new, and released by `release`.
    unsafe {
        let buffer = NonNull::new_unchecked(&raw mut (*memory).buffer).cast();
        (*memory).channel.hold(Holding { buffer, push: push::<T>, pop: pop::<T> });
        shared::pair(NonNull::new_unchecked(memory).cast())
    }
}
