//! What is particular to a runtime without a heap: fixed capacities, static stacks, storages, unparkers in task blocks.

use crate::Test;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use windlass::channel::{InUse, Storage, TrySendError};
use windlass::platform::{MayNotBlock, Platform};
use windlass::runtime::{self, AlreadyInstalled, Memory};
use windlass::{
    Duration, Instant, OnceLocal, RunError, SpawnErrorKind, current, park, spawn, stacks, yield_now,
};

/// A clock that only moves when something waits for it.
pub(crate) struct Clock(AtomicU64);

impl Clock {
    pub(crate) const fn new() -> Clock {
        Clock(AtomicU64::new(0))
    }
}

impl Platform for Clock {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn wait(&self, until: Option<Instant>) -> Result<(), MayNotBlock> {
        let until = until.ok_or(MayNotBlock)?;
        self.0.fetch_max(until.as_nanos(), Ordering::Relaxed);
        Ok(())
    }
}

/// A clock that stands still, and returns from every wait: what is waited for comes from another thread.
struct Patient;

impl Platform for Patient {
    fn now(&self) -> Instant {
        Instant::from_nanos(0)
    }

    fn wait(&self, _: Option<Instant>) -> Result<(), MayNotBlock> {
        thread::yield_now();
        Ok(())
    }
}

const TASKS: usize = 5;
const STACK: usize = 64 << 10;

static MEMORY: Memory<TASKS, STACK> = Memory::new();
static CLOCK: Clock = Clock::new();
static PATIENT: Patient = Patient;

/// Makes the runtime and runs `f` as its first task.
fn run<T: 'static>(f: impl FnOnce() -> T + 'static) -> T {
    // SAFETY: each test is a process with one thread that uses the runtime, and stacks are large but where overflowing is the test.
    unsafe { runtime::Builder::fixed(&MEMORY, &CLOCK).claim() }.expect("the process is new");
    windlass::run(f)
}

macro_rules! tests {
    ($($name:ident)+) => { vec![$(Test::new(stringify!($name), $name)),+] };
}

pub(crate) fn all() -> Vec<Test> {
    let mut all = tests! {
        all_tasks_are_alive_at_once_on_stacks_of_their_own
        one_task_too_many_gives_the_closure_back_and_a_join_makes_room
        a_closure_that_is_too_large_comes_back_with_the_smallest_size
        a_stack_that_is_too_large_is_refused
        ten_thousand_tasks_use_the_same_stacks
        a_detached_task_gives_its_place_back
        a_limit_below_the_capacity_holds
        a_storage_is_split_again_when_all_ends_are_gone
        values_left_in_a_storage_are_dropped_with_its_last_receiver
        a_value_may_hold_the_last_end_of_its_own_channel
        cancelled_timers_never_run_out_of_room
        the_high_water_mark_is_what_the_deepest_task_used
        names_are_reported_and_forgotten
        an_unparker_wakes_from_another_thread
        an_unparker_whose_task_is_over_wakes_nobody
        a_wake_up_beside_a_stale_one_arrives
        wake_ups_from_threads_are_not_lost
        without_anybody_to_wake_it_a_parked_task_is_a_deadlock
        runs_nest_four_deep
        the_second_claim_is_refused
        memory_and_storages_are_all_zero_before_their_use
    };
    all.push(Test::panics(
        "an_overflow_is_named_when_the_task_ends",
        "stack overflow in task 2 \"deep\"",
        || run(overflow),
    ));
    all.push(Test::panics(
        "an_overflow_is_named_while_the_task_waits",
        "stack overflow in task 2 \"deep\"",
        || run(overflow_and_stay),
    ));
    all.push(Test::panics("without_a_runtime_the_panic_says_what_to_do", "Builder::fixed", || {
        spawn(|| ());
    }));
    all.push(Test::panics(
        "spawn_beyond_the_capacity_is_a_named_panic",
        "the limit on the number of tasks",
        || {
            run(|| {
                for _ in 0..TASKS {
                    spawn(|| ());
                }
            });
        },
    ));
    all
}

fn all_tasks_are_alive_at_once_on_stacks_of_their_own() {
    run(|| {
        fn place() -> usize {
            let local = 0u8;
            std::hint::black_box(&raw const local).addr()
        }
        let others = [(); TASKS - 1].map(|()| {
            spawn(|| {
                let place = place();
                yield_now();
                (place, runtime::stats().tasks)
            })
        });
        let mut places = others.map(|task| task.join().expect("it ends")).to_vec();
        assert!(places.iter().all(|&(_, alive)| alive <= TASKS));
        places.push((place(), 1));
        places.sort_unstable();
        assert!(places.is_sorted_by(|a, b| b.0 - a.0 > STACK / 2), "{places:?}");
        assert_eq!(runtime::stats().tasks, 1);
    });
    assert_eq!(runtime::stats().stacks.pooled, TASKS);
}

fn one_task_too_many_gives_the_closure_back_and_a_join_makes_room() {
    run(|| {
        let others = [(); TASKS - 1].map(|()| spawn(|| 1));
        let secret = String::from("kept");
        let refused = windlass::Builder::new().spawn(move || secret).expect_err("there is no room");
        assert_eq!(refused.kind, SpawnErrorKind::TooManyTasks);
        assert_eq!((refused.closure)(), "kept");
        let mut sum = 0;
        for task in others {
            sum += task.join().expect("it ends");
            assert_eq!(spawn(|| 2).join().expect("there is room"), 2);
        }
        assert_eq!(sum, 4);
    });
}

fn a_closure_that_is_too_large_comes_back_with_the_smallest_size() {
    run(|| {
        let large = [7u8; STACK];
        let refused =
            windlass::Builder::new().spawn(move || large[STACK - 1]).expect_err("no stack has room");
        assert!(matches!(refused.kind, SpawnErrorKind::StackTooSmall { minimum } if minimum > STACK));
        assert_eq!((refused.closure)(), 7);
        assert_eq!(runtime::stats().tasks, 1);
    });
}

fn a_stack_that_is_too_large_is_refused() {
    run(|| {
        let builder = windlass::Builder::new().stack_size(STACK + 1);
        let refused = builder.spawn(|| 3).expect_err("it is above the memory's");
        assert_eq!(refused.kind, SpawnErrorKind::StackTooLarge);
        assert!(refused.to_string().contains("above that of the stacks in the runtime's memory"));
        assert_eq!(
            windlass::Builder::new().stack_size(STACK).spawn(|| 3).expect("room").join().expect("ends"),
            3
        );
        let refused = windlass::Builder::new().stack_size(16).spawn(|| 3).expect_err("too small");
        assert!(matches!(refused.kind, SpawnErrorKind::StackTooSmall { .. }));
    });
}

fn ten_thousand_tasks_use_the_same_stacks() {
    let sum = run(|| {
        let mut ids = Vec::new();
        let mut sum = 0u64;
        for round in 0..10_000u64 {
            let task = spawn(move || {
                yield_now();
                round
            });
            ids.push(task.id());
            sum += task.join().expect("it ends");
        }
        ids.dedup();
        assert_eq!(ids.len(), 10_000, "each has an id of its own");
        sum
    });
    assert_eq!(sum, 9_999 * 10_000 / 2);
    assert_eq!(runtime::stats().tasks, 0);
}

fn a_detached_task_gives_its_place_back() {
    run(|| {
        for _ in 0..100 {
            for _ in 1..TASKS {
                drop(spawn(yield_now));
            }
            assert!(windlass::Builder::new().spawn(|| ()).is_err());
            yield_now();
            yield_now();
            assert_eq!(runtime::stats().tasks, 1);
        }
    });
}

fn a_limit_below_the_capacity_holds() {
    run(|| {
        runtime::set_max_tasks(2);
        let task = spawn(|| ());
        assert!(windlass::Builder::new().spawn(|| ()).is_err());
        task.join().expect("it ends");
        runtime::set_max_tasks(TASKS + 10);
        let others = [(); TASKS - 1].map(|()| spawn(|| ()));
        assert!(windlass::Builder::new().spawn(|| ()).is_err(), "there are no more blocks");
        for task in others {
            task.join().expect("it ends");
        }
    });
}

static LINK: Storage<u32, 2> = Storage::new();

fn a_storage_is_split_again_when_all_ends_are_gone() {
    run(|| {
        for round in 0..100 {
            let (outbox, inbox) = LINK.split().expect("no end is left");
            assert_eq!(LINK.split().map(drop), Err(InUse));
            assert_eq!(
                inbox.try_recv(),
                Err(windlass::channel::TryRecvError::Empty),
                "nothing is left either"
            );
            for value in 0..2 {
                outbox.try_send(round + value).expect("there is room");
            }
            assert_eq!(outbox.try_send(9), Err(TrySendError::Full(9)));
            let sender = spawn(move || outbox.send(round + 2));
            yield_now();
            let received: Vec<u32> = inbox.iter().collect();
            assert_eq!(received, [round, round + 1, round + 2]);
            assert_eq!(sender.join().expect("it ends"), Ok(()));
            assert_eq!(LINK.split().map(drop), Err(InUse), "the receiver is left");
        }
    });
}

/// Counts its drops.
struct Counted(&'static AtomicUsize);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn values_left_in_a_storage_are_dropped_with_its_last_receiver() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    static VALUES: Storage<Counted, 3> = Storage::new();
    run(|| {
        let (outbox, inbox) = VALUES.split().expect("it is not in use");
        for _ in 0..3 {
            assert!(outbox.try_send(Counted(&DROPS)).is_ok());
        }
        drop(inbox.recv());
        assert!(outbox.try_send(Counted(&DROPS)).is_ok(), "around the end of the array");
        assert_eq!(DROPS.load(Ordering::Relaxed), 1);
        drop(inbox);
        assert_eq!(DROPS.load(Ordering::Relaxed), 4);
        assert!(matches!(outbox.send(Counted(&DROPS)), Err(windlass::channel::SendError::Closed(_))));
        assert!(VALUES.split().is_err());
        drop(outbox);
        assert!(VALUES.split().is_ok());
    });
}

fn a_value_may_hold_the_last_end_of_its_own_channel() {
    struct Knot {
        _end: Option<windlass::channel::Sender<Knot>>,
    }
    static KNOT: Storage<Knot, 1> = Storage::new();
    run(|| {
        let (outbox, inbox) = KNOT.split().expect("it is not in use");
        let inner = outbox.clone();
        assert!(outbox.try_send(Knot { _end: Some(inner) }).is_ok());
        drop(outbox);
        drop(inbox);
        assert!(KNOT.split().is_ok(), "the value was dropped, and its end with it");
    });
}

fn cancelled_timers_never_run_out_of_room() {
    static NEVER_SENT: Storage<(), 0> = Storage::new();
    run(|| {
        let sleepers = [1u64, 2, 3].map(|hours| {
            spawn(move || {
                windlass::sleep(Duration::from_secs(hours * 3600)).map(|()| Instant::now().as_nanos())
            })
        });
        let (outbox, inbox) = NEVER_SENT.split().expect("it is not in use");
        let sender = spawn(move || {
            for _ in 0..10_000 {
                // The receiver waits by then.
                yield_now();
                outbox.send(()).expect("there is a receiver");
            }
        });
        for round in 0..10_000u64 {
            // Each sets a timer that the value makes void, and that lies behind those of the sleepers.
            let received = inbox.recv_timeout(Duration::from_secs(36_000 + round % 7));
            assert_eq!(received, Ok(()));
        }
        sender.join().expect("it ends");
        assert_eq!(Instant::now().as_nanos(), 0, "no timer was waited for");
        let hour = 3_600_000_000_000;
        let ends = sleepers.map(|task| task.join().expect("it ends"));
        assert_eq!(ends, [Ok(hour), Ok(2 * hour), Ok(3 * hour)]);
    });
}

/// Uses at least so much of the stack.
#[inline(never)]
fn use_stack(bytes: usize) -> usize {
    let block = std::hint::black_box([1u8; 1024]);
    if bytes <= block.len() {
        usize::from(block[0])
    } else {
        use_stack(bytes - block.len()) + usize::from(block[1023])
    }
}

fn the_high_water_mark_is_what_the_deepest_task_used() {
    run(|| {
        let before = runtime::stack_high_water();
        assert!(before > 0 && before < STACK / 2, "{before}");
        let own = current().stack_high_water().expect("it is alive");
        assert!(own > 0 && own <= before);
        let deep = spawn(|| {
            assert_eq!(use_stack(40 << 10), 40);
            current().stack_high_water().expect("it is alive")
        });
        let id = deep.task();
        let used = deep.join().expect("it ends");
        assert!((40 << 10..STACK).contains(&used), "{used}");
        assert_eq!(id.stack_high_water(), None, "it is over");
        assert_eq!(runtime::stack_high_water(), used);
        assert!(current().stack_high_water().expect("it is alive") < STACK / 2, "its stack is another");
    });
}

fn overflow() {
    let quiet = spawn(|| ());
    let deep = windlass::Builder::new().name("deep").spawn(|| use_stack(STACK + (2 << 10)));
    quiet.join().expect("it ends");
    let _ = deep.expect("there is room").join();
}

/// The task never ends: what looks at its stack is the loop, before it waits.
fn overflow_and_stay() {
    let quiet = spawn(|| ());
    let deep = windlass::Builder::new().name("deep").spawn(|| {
        use_stack(STACK + (2 << 10));
        park()
    });
    quiet.join().expect("it ends");
    windlass::sleep(Duration::from_secs(2)).expect("nobody cancels");
    drop(deep);
}

fn names_are_reported_and_forgotten() {
    run(|| {
        let named = windlass::Builder::new().name("blinker").spawn(yield_now).expect("there is room");
        let task = named.task();
        assert_eq!(task.name(), Some("blinker"));
        assert_eq!(current().name(), Some("run"));
        named.join().expect("it ends");
        assert_eq!(task.name(), None);
        let next = spawn(|| ());
        assert_eq!(next.task().name(), None, "the block has another task");
    });
}

fn run_patiently<T: 'static>(f: impl FnOnce() -> T + 'static) -> T {
    // SAFETY: as in `run`.
    unsafe { runtime::Builder::fixed(&MEMORY, &PATIENT).claim() }.expect("the process is new");
    windlass::run(f)
}

fn an_unparker_wakes_from_another_thread() {
    run_patiently(|| {
        let unparker = current().unparker().expect("it is alive");
        let thread = thread::spawn(move || unparker.unpark());
        park().expect("nobody cancels");
        thread.join().expect("it ends");
    });
}

fn an_unparker_whose_task_is_over_wakes_nobody() {
    static WOKEN: AtomicUsize = AtomicUsize::new(0);
    run(|| {
        let first = spawn(|| current().unparker().expect("it is alive"));
        let stale = first.join().expect("it ends");
        // Left in the list before the end, delivered after it.
        let second = spawn(|| {
            let own = current().unparker().expect("it is alive");
            own.unpark();
            own
        });
        let late = second.join().expect("it ends");
        let parked = spawn(|| {
            park().expect("nobody cancels");
            WOKEN.fetch_add(1, Ordering::Relaxed);
        });
        yield_now();
        stale.unpark();
        late.unpark();
        // The timer makes the loop look at the list.
        windlass::sleep(Duration::from_secs(1)).expect("nobody cancels");
        assert_eq!(WOKEN.load(Ordering::Relaxed), 0);
        let unparker = parked.task().unparker().expect("it is alive");
        unparker.unpark();
        unparker.unpark();
        parked.join().expect("it ends");
        assert_eq!(WOKEN.load(Ordering::Relaxed), 1);
    });
}

/// The block's node is in the list yet, for the task before.
fn a_wake_up_beside_a_stale_one_arrives() {
    run(|| {
        let first = spawn(|| current().unparker().expect("it is alive").unpark());
        let id = first.id();
        first.join().expect("it ends");
        let next = spawn(park);
        assert_ne!(next.id(), id);
        next.task().unparker().expect("it is alive").unpark();
        assert_eq!(next.join().expect("it ends"), Ok(()));
    });
}

fn wake_ups_from_threads_are_not_lost() {
    const ROUNDS: usize = 2_000;
    static TURN: AtomicUsize = AtomicUsize::new(0);
    run_patiently(|| {
        let waiters = [0, 1, 2].map(|number| {
            spawn(move || {
                let unparker = current().unparker().expect("it is alive");
                let thread = thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        unparker.unpark();
                    }
                });
                while !thread.is_finished() {
                    park().expect("nobody cancels");
                    TURN.fetch_add(1, Ordering::Relaxed);
                    if thread.is_finished() {
                        break;
                    }
                    // So that the last wake-up may come at any moment.
                    current().unpark();
                }
                thread.join().expect("it ends");
                number
            })
        });
        assert_eq!(waiters.map(|task| task.join().expect("it ends")), [0, 1, 2]);
    });
}

fn without_anybody_to_wake_it_a_parked_task_is_a_deadlock() {
    // SAFETY: as in `run`.
    unsafe { runtime::Builder::fixed(&MEMORY, &CLOCK).claim() }.expect("the process is new");
    assert!(matches!(windlass::try_run(park), Err(RunError::Deadlock { .. })));
    assert_eq!(windlass::run(|| 3), 3, "the runtime stays usable");
}

fn runs_nest_four_deep() {
    fn nested(depth: usize) -> usize {
        match windlass::try_run(move || nested(depth + 1)) {
            Ok(deepest) => deepest,
            Err(RunError::NestedTooDeep) => depth,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(run(|| nested(1)), 4);
}

fn the_second_claim_is_refused() {
    static OTHER: Memory<1, STACK> = Memory::new();
    run(|| ());
    // SAFETY: as in `run`.
    let again = unsafe { runtime::Builder::fixed(&OTHER, &CLOCK).claim() };
    assert_eq!(again, Err(AlreadyInstalled));
    static CELL: OnceLocal<Cell<u32>> = OnceLocal::new();
    assert!(CELL.set(Cell::new(3)).is_ok());
    assert_eq!(CELL.get().map(Cell::get), Some(3));
}

fn memory_and_storages_are_all_zero_before_their_use() {
    fn is_zero<T>(place: &'static T) -> bool {
        let bytes = (&raw const *place).cast::<u8>();
        // SAFETY: inside the static, which nobody has used; bytes without a content are read as they are in the process.
        (0..size_of::<T>()).all(|at| unsafe { bytes.add(at).read_volatile() } == 0)
    }
    assert!(is_zero(&MEMORY) && is_zero(&LINK));
    let of_tasks = size_of::<Memory<8, 1024>>() - 8 * 1024;
    // Two more, as sizes are rounded up to an alignment of 16.
    let of_one = (size_of::<Memory<10, 1024>>() - size_of::<Memory<8, 1024>>()) / 2 - 1024;
    println!("Memory<1, 1024>: {} bytes", size_of::<Memory<1, 1024>>());
    println!(
        "Memory<8, 1024>: {} bytes; {of_tasks} without its stacks, {of_one} a task",
        size_of::<Memory<8, 1024>>()
    );
    println!("smallest stack: {} bytes", stacks::SMALLEST_SIZE);
    assert!(of_tasks < 3 << 10, "{of_tasks}");
}
