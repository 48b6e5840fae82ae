//! Gates that futures wait at, to be opened in any order.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Clone)]
pub(super) struct Gates(Arc<Inner>);

struct Inner {
    wakers: Mutex<Vec<Option<Waker>>>,
    waiting: AtomicU64,
    open: AtomicBool,
}

pub(super) struct Gate {
    gates: Gates,
    index: usize,
}

impl Gates {
    pub(super) fn new(gates: u64) -> Gates {
        Gates(Arc::new(Inner {
            wakers: Mutex::new(vec![None; gates as usize]),
            waiting: AtomicU64::new(0),
            open: AtomicBool::new(false),
        }))
    }

    /// The future that waits at one of them.
    pub(super) fn gate(&self, index: usize) -> Gate {
        Gate { gates: self.clone(), index }
    }

    /// Whether every gate has somebody who waits at it.
    pub(super) fn all_wait(&self) -> bool {
        let gates = self.0.wakers.lock().expect("no panic").len();
        self.0.waiting.load(Ordering::Relaxed) == gates as u64
    }

    /// Wakes them in this order.
    pub(super) fn open(&self, order: Vec<usize>) {
        self.0.open.store(true, Ordering::Relaxed);
        let mut wakers = std::mem::take(&mut *self.0.wakers.lock().expect("no panic"));
        for waker in order.into_iter().filter_map(|index| wakers[index].take()) {
            waker.wake();
        }
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let inner = &self.gates.0;
        if inner.open.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let mut wakers = inner.wakers.lock().expect("no panic");
        if wakers[self.index].replace(context.waker().clone()).is_none() {
            inner.waiting.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Pending
    }
}
