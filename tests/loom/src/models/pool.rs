//! The bells of a pool: work is found by somebody, or somebody is rung.
//!
//! The worker here is the loop of `Worker::work`, with the real bells and inbox; the queue is a number, as weakly ordered as a queue
//! can be.

use super::check;
use crate::bells::Bells;
use crate::inbox::Remote;
use crate::remote::What;
use crate::remote::task::{Hook, block, inbox, run, wake};
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

struct Pool {
    bells: Bells,
    mains: Vec<Mutex<Option<Remote>>>,
    queued: AtomicUsize,
    ran: AtomicUsize,
    closing: AtomicUsize,
}

impl Pool {
    fn new(workers: usize) -> Arc<Pool> {
        Arc::new(Pool {
            bells: Bells::new(workers),
            mains: (0..workers).map(|_| Mutex::new(None)).collect(),
            queued: AtomicUsize::new(0),
            ran: AtomicUsize::new(0),
            closing: AtomicUsize::new(0),
        })
    }

    fn push(&self) {
        self.queued.fetch_add(1, Ordering::Release);
        if let Some(worker) = self.bells.ring(0, None) {
            self.wake(worker);
        }
    }

    fn wake(&self, worker: usize) {
        let main = self.mains[worker].lock().expect("no panic").clone();
        if let Some(main) = main {
            wake(&main);
        }
    }

    fn close(&self) {
        self.closing.store(1, Ordering::Release);
        for worker in 0..self.mains.len() {
            self.bells.summon(worker);
            self.wake(worker);
        }
    }

    fn take(&self) -> bool {
        let mut queued = self.queued.load(Ordering::Relaxed);
        while queued > 0 {
            let taken = self.queued.compare_exchange(queued, queued - 1, Ordering::AcqRel, Ordering::Relaxed);
            match taken {
                Ok(_) => return true,
                Err(now) => queued = now,
            }
        }
        false
    }
}

/// The worker `index`, until the pool is closed and the queue empty.
fn work(pool: &Arc<Pool>, index: usize) {
    let (rest, resume) = (Arc::clone(pool), Arc::clone(pool));
    let rest: Hook = Box::new(move || rest.bells.rest(index));
    let resume: Hook = Box::new(move || resume.bells.resume(index));
    run(inbox(), (rest, resume), |me| {
        *pool.mains[index].lock().expect("no panic") = Some(me);
        loop {
            let closing = pool.closing.load(Ordering::Acquire);
            if pool.take() {
                pool.ran.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            if closing == 1 {
                break;
            }
            pool.bells.listen(index);
            if pool.queued.load(Ordering::Relaxed) > 0 || pool.closing.load(Ordering::Acquire) != closing {
                pool.bells.look(index);
                continue;
            }
            while pool.bells.is_listening(index) {
                let _ = block(What::Work, None);
            }
        }
        pool.mains[index].lock().expect("no panic").take();
    });
}

#[test]
fn a_worker_that_goes_to_sleep_is_rung() {
    check(Some(3), || {
        let pool = Pool::new(1);
        let theirs = Arc::clone(&pool);
        let worker = thread::spawn(move || work(&theirs, 0));
        pool.push();
        pool.push();
        pool.close();
        worker.join().expect("no panic");
        assert_eq!(pool.ran.load(Ordering::Relaxed), 2);
    });
}

/// Nobody closes the pool before the work is done: a worker that missed it would sleep for ever.
#[test]
fn work_is_found_without_any_other_ring() {
    check(Some(3), || {
        let pool = Pool::new(1);
        let theirs = Arc::clone(&pool);
        let worker = thread::spawn(move || work(&theirs, 0));
        pool.push();
        while pool.ran.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        pool.close();
        worker.join().expect("no panic");
    });
}

#[test]
fn one_of_two_workers_is_rung() {
    check(Some(2), || {
        let pool = Pool::new(2);
        let workers = [0, 1].map(|index| {
            let theirs = Arc::clone(&pool);
            thread::spawn(move || work(&theirs, index))
        });
        pool.push();
        while pool.ran.load(Ordering::Relaxed) == 0 {
            thread::yield_now();
        }
        pool.close();
        workers.into_iter().for_each(|worker| worker.join().expect("no panic"));
    });
}
