//! Round trips between two threads, or what looks like threads.

use std::hint::black_box;

use crate::meter::Measured;

/// Channels whose calls block their caller.
pub(super) trait Channels {
    type Sender<T: Send + 'static>: Send + 'static;
    type Receiver<T: Send + 'static>: Send + 'static;

    /// Without a buffer, or with the smallest one there is.
    fn channel<T: Send + 'static>() -> (Self::Sender<T>, Self::Receiver<T>);
    fn send<T: Send + 'static>(sender: &Self::Sender<T>, value: T);
    /// `None` once the sender is gone.
    fn recv<T: Send + 'static>(receiver: &Self::Receiver<T>) -> Option<T>;
}

/// Implements [`Channels`] for `$name` by channels like those of `std`.
macro_rules! channels {
    ($name:ident, $sender:ident, $receiver:ident, $channel:expr) => {
        impl $crate::subjects::blocking::Channels for $name {
            type Sender<T: Send + 'static> = $sender<T>;
            type Receiver<T: Send + 'static> = $receiver<T>;

            fn channel<T: Send + 'static>() -> ($sender<T>, $receiver<T>) {
                $channel
            }

            fn send<T: Send + 'static>(sender: &$sender<T>, value: T) {
                assert!(sender.send(value).is_ok(), "the other end is open");
            }

            fn recv<T: Send + 'static>(receiver: &$receiver<T>) -> Option<T> {
                receiver.recv().ok()
            }
        }
    };
}
pub(super) use channels;

/// `spawn` starts the side that echoes and returns what waits for its end.
pub(super) fn pingpong<C: Channels, const SIZE: usize, J: FnOnce()>(
    n: u64,
    spawn: impl FnOnce(Box<dyn FnOnce() + Send>) -> J,
) -> Measured {
    let (ping, pings) = C::channel::<[u8; SIZE]>();
    let (pong, pongs) = C::channel::<[u8; SIZE]>();
    let join = spawn(Box::new(move || {
        while let Some(message) = C::recv(&pings) {
            C::send(&pong, message);
        }
    }));
    let mut message = [1; SIZE];
    let measured = Measured::of(n, || {
        for _ in 0..n {
            C::send(&ping, message);
            message = C::recv(&pongs).expect("the other end is open");
        }
    });
    drop(ping);
    join();
    black_box(message);
    measured
}
