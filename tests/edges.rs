//! What lies at the edge of what is legal, and was got wrong once.
#![cfg(feature = "scheduler")]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use windlass::platform::{MayNotBlock, MockClock, Platform};
#[cfg(all(feature = "std", unix))]
use windlass::stacks::{StackCounts, StackError, StackMemory, StackProvider, slab::SlabStacks};
use windlass::{Builder, Duration, Instant, channel, reactor, run, runtime, sleep, spawn, yield_now};

/// A platform that uses tasks while it is asked to wait.
struct Busy {
    now: Rc<Cell<u64>>,
    panicked: Rc<RefCell<Vec<bool>>>,
}

impl Platform for Busy {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.now.get())
    }

    fn wait(&self, _: Option<Instant>) -> Result<(), MayNotBlock> {
        if self.now.replace(1) == 0 {
            for _ in 0..2 {
                spawn(|| (0..100).for_each(|_| yield_now()));
            }
            let yielded = catch_unwind(AssertUnwindSafe(yield_now));
            self.panicked.borrow_mut().push(yielded.is_err());
        }
        Ok(())
    }
}

#[test]
fn a_yield_while_the_platform_waits_is_a_panic_with_tasks_ready_or_not() {
    let (now, panicked) = (Rc::default(), Rc::default());
    let platform = Busy { now, panicked: Rc::clone(&panicked) };
    runtime::Builder::new().platform(platform).install().expect("nothing has run yet");
    run(|| sleep(Duration::from_nanos(1)).expect("not cancelled"));
    assert_eq!(*panicked.borrow(), [true]);
}

#[test]
fn a_lowered_limit_on_tasks_holds_for_blocks_that_are_free_already() {
    run(|| {
        let odd = || Builder::new().stack_size(32 << 10).spawn(|| ()).expect("memory");
        let tasks: Vec<_> = (0..10).map(|_| odd()).collect();
        for task in tasks {
            task.join().expect("no panic");
        }
        // The host loop gives the stacks back meanwhile.
        (0..200).for_each(|_| yield_now());
        runtime::set_max_tasks(2);
        let tasks: Vec<_> = (0..9).map_while(|_| Builder::new().spawn(|| ()).ok()).collect();
        assert_eq!((tasks.len(), runtime::stats().tasks), (1, 2));
    });
}

#[test]
fn a_value_that_cannot_wait_outside_of_tasks_is_dropped() {
    let (sender, receiver) = channel::rendezvous();
    let value = Rc::new(());
    let given = Rc::clone(&value);
    assert!(catch_unwind(AssertUnwindSafe(|| sender.send(given).is_ok())).is_err());
    drop((sender, receiver));
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn a_deadline_is_seen_although_the_task_calls_in_again_and_again() {
    let clock = MockClock::new();
    runtime::Builder::new().platform(clock.clone()).install().expect("nothing has run yet");
    reactor::initialize(|| ()).expect("an empty init");
    let rounds = Rc::new(Cell::new(0));
    let counted = Rc::clone(&rounds);
    let result = reactor::call_with_deadline("outer", Instant::from_nanos(1000), move || {
        for _ in 0..100_000 {
            counted.set(counted.get() + 1);
            clock.advance(Duration::from_nanos(1));
            reactor::call("inner", || ()).expect("no error");
            yield_now();
        }
    });
    assert!(matches!(result, Err(windlass::RunError::TimedOut { .. })));
    assert!((1000..1100).contains(&rounds.get()), "{} rounds", rounds.get());
}

#[test]
fn closures_and_results_of_all_sizes_and_alignments_take_turns_on_one_stack() {
    #[repr(align(128))]
    struct Wide(u64);

    run(|| {
        for round in 0..3u8 {
            let wide = Wide(7);
            let task = spawn(move || {
                assert!((&raw const wide).addr().is_multiple_of(128));
                Wide(wide.0 + 1)
            });
            assert_eq!(task.join().expect("no panic").0, 8);
            spawn(|| ()).join().expect("no panic");
            let large = [round; 2_000];
            let sum = spawn(move || large.iter().map(|&byte| usize::from(byte)).sum::<usize>());
            assert_eq!(sum.join().expect("no panic"), 2_000 * usize::from(round));
            assert_eq!(spawn(|| [3u8; 6_000]).join().expect("no panic")[5_999], 3);
            let (fits, does_not) = ([round; 64], [round; 65]);
            assert_eq!(spawn(move || fits).join().expect("no panic"), fits);
            assert_eq!(spawn(move || does_not).join().expect("no panic"), does_not);
        }
    });
}

/// The slab's stacks; counts those that come back.
#[cfg(all(feature = "std", unix))]
struct Counting {
    slab: SlabStacks,
    released: Rc<Cell<usize>>,
}

// SAFETY: all is done by the slab.
#[cfg(all(feature = "std", unix))]
unsafe impl StackProvider for Counting {
    fn acquire(&mut self, size: usize) -> Result<StackMemory, StackError> {
        self.slab.acquire(size)
    }

    fn release(&mut self, stack: StackMemory) {
        self.released.set(self.released.get() + 1);
        self.slab.release(stack);
    }

    fn counts(&self) -> StackCounts {
        self.slab.counts()
    }
}

/// Those that yield to each other keep the host loop out where it has nothing to do; here it has.
#[cfg(all(feature = "std", unix))]
#[test]
fn stacks_of_an_unusual_size_go_back_while_others_yield() {
    let released = Rc::new(Cell::new(0));
    let stacks = Counting { slab: SlabStacks::new(), released: Rc::clone(&released) };
    // SAFETY: the slab's stacks have guards.
    unsafe { runtime::Builder::new().stacks(stacks) }.install().expect("nothing has run yet");
    run(move || {
        let other = spawn(|| (0..200).for_each(|_| yield_now()));
        for task in [(); 10].map(|()| Builder::new().stack_size(20 << 10).spawn(|| ()).expect("memory")) {
            task.join().expect("no panic");
        }
        (0..130).for_each(|_| yield_now());
        assert_eq!(released.get(), 10);
        other.join().expect("no panic");
    });
}
