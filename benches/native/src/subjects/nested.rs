//! Futures: one that yields, and one that does so beneath others.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Suspends once.
///
/// With `WAKE` it wakes its task, as executors want; without, whoever polls goes on to do so.
pub(super) struct YieldNow<const WAKE: bool>(pub(super) bool);

impl<const WAKE: bool> Future for YieldNow<WAKE> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.0 {
            return Poll::Ready(());
        }
        self.0 = true;
        if WAKE {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Awaits `innermost` beneath so many frames: each is a future of its own, as recursion asks for.
pub(super) fn beneath<F>(frames: u64, innermost: F) -> Pin<Box<dyn Future<Output = u64>>>
where
    F: Future<Output = ()> + 'static,
{
    if frames <= 1 {
        return Box::pin(async {
            innermost.await;
            1
        });
    }
    Box::pin(async move { beneath(frames - 1, innermost).await + 1 })
}
