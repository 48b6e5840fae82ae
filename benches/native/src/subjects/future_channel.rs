//! Channels whose calls are futures: all are measured on tokio's runtime of the current thread.

use std::future::Future;
use std::hint::black_box;

use crate::meter::Measured;
use crate::subjects::executor::Executor;
use crate::subjects::tokio::CurrentThread;

pub(super) trait Channels: 'static {
    type Sender<T: Send + 'static>: Send + Sync + 'static;
    type Receiver<T: Send + 'static>: Send + 'static;

    /// With the smallest buffer that it can do with.
    fn channel<T: Send + 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);
    fn send<T: Send + 'static>(sender: &Self::Sender<T>, value: T) -> impl Future<Output = ()> + Send;
    /// `None` once the sender is gone.
    fn recv<T: Send + 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>> + Send;
}

/// Implements [`Channels`] for `$name`: the methods' names differ.
#[cfg(any(feature = "async-channel", feature = "flume", feature = "kanal"))]
macro_rules! channels {
    ($name:ident, $sender:ident, $receiver:ident, $channel:expr, $send:ident, $recv:ident) => {
        impl $crate::subjects::future_channel::Channels for $name {
            type Sender<T: Send + 'static> = $sender<T>;
            type Receiver<T: Send + 'static> = $receiver<T>;

            fn channel<T: Send + 'static>(capacity: usize) -> ($sender<T>, $receiver<T>) {
                $channel(capacity)
            }

            async fn send<T: Send + 'static>(sender: &$sender<T>, value: T) {
                assert!(sender.$send(value).await.is_ok(), "the other end is open");
            }

            async fn recv<T: Send + 'static>(receiver: &mut $receiver<T>) -> Option<T> {
                receiver.$recv().await.ok()
            }
        }
    };
}
#[cfg(any(feature = "async-channel", feature = "flume", feature = "kanal"))]
pub(super) use channels;

pub(super) fn pingpong<C: Channels, const SIZE: usize>(n: u64) -> Measured {
    CurrentThread::<false>::run(|_| round_trips::<C, SIZE>(n))
}

/// In a runtime of tokio's.
pub(super) async fn round_trips<C: Channels, const SIZE: usize>(n: u64) -> Measured {
    let (ping, mut pings) = C::channel::<[u8; SIZE]>(0);
    let (pong, mut pongs) = C::channel::<[u8; SIZE]>(0);
    let echo = tokio::spawn(async move {
        while let Some(message) = C::recv(&mut pings).await {
            C::send(&pong, message).await;
        }
    });
    let mut message = [1; SIZE];
    let start = std::time::Instant::now();
    for _ in 0..n {
        C::send(&ping, message).await;
        message = C::recv(&mut pongs).await.expect("the other end is open");
    }
    let measured = Measured::since(start, n);
    drop(ping);
    echo.await.expect("no panic");
    black_box(message);
    measured
}

pub(super) fn stream<C: Channels>(capacity: u64, n: u64) -> Measured {
    CurrentThread::<false>::run(|_| async move {
        let (sender, mut receiver) = C::channel::<u64>(capacity as usize);
        let source = tokio::spawn(async move {
            for number in 0..n {
                C::send(&sender, number).await;
            }
        });
        let start = std::time::Instant::now();
        let mut received = 0;
        while C::recv(&mut receiver).await.is_some() {
            received += 1;
        }
        let measured = Measured::since(start, n);
        assert_eq!(received, n);
        source.await.expect("no panic");
        measured
    })
}
