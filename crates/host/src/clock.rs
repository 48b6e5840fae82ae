//! The host's monotonic clock, and the one alarm that a reactor may have set.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Waker,
    thread,
    time::{Duration, Instant},
};

/// Where a reactor takes the time from. Times are nanoseconds since an origin of the clock's own choice.
pub trait Clock: Send + Sync + 'static {
    /// The time; it never runs backwards.
    fn now(&self) -> u64;

    /// Blocks the OS thread until `until`.
    fn sleep_until(&self, until: u64);

    /// Makes an alarm, which [`AsyncReactor`](crate::AsyncReactor) sets for the guest's earliest timer.
    fn alarm(&self) -> Box<dyn Alarm>;
}

/// A single timer: setting it replaces what was set before, dropping it clears it.
pub trait Alarm: Send + 'static {
    /// Calls `waker` once at `until`, or at once if that has passed.
    fn set(&mut self, until: u64, waker: Waker);

    /// Forgets what was set.
    fn clear(&mut self);
}

/// A lock whose data is replaced whole, so that a panic elsewhere leaves nothing half-done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The operating system's monotonic clock. Its alarms are threads, started when first set and ended when dropped.
#[derive(Clone, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }

    fn instant(&self, at: u64) -> Option<Instant> {
        self.origin.checked_add(Duration::from_nanos(at))
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        // Half of the range is 292 years.
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sleep_until(&self, until: u64) {
        loop {
            let now = self.now();
            if now >= until {
                return;
            }
            thread::sleep(Duration::from_nanos(until - now));
        }
    }

    fn alarm(&self) -> Box<dyn Alarm> {
        Box::new(ThreadAlarm { clock: self.clone(), shared: None })
    }
}

struct ThreadAlarm {
    clock: SystemClock,
    shared: Option<Arc<AlarmShared>>,
}

struct AlarmShared {
    order: Mutex<Order>,
    changed: Condvar,
}

enum Order {
    Idle,
    /// Call the waker then; `None` lies beyond what the OS can express.
    Set(Option<Instant>, Waker),
    End,
}

impl Alarm for ThreadAlarm {
    fn set(&mut self, until: u64, waker: Waker) {
        let order = Order::Set(self.clock.instant(until), waker);
        if let Some(shared) = &self.shared {
            *lock(&shared.order) = order;
            shared.changed.notify_one();
            return;
        }
        let shared = Arc::new(AlarmShared { order: Mutex::new(order), changed: Condvar::new() });
        let of_thread = Arc::clone(&shared);
        let spawned =
            thread::Builder::new().name("windlass-alarm".to_owned()).spawn(move || of_thread.serve());
        match spawned {
            Ok(_) => self.shared = Some(shared),
            // Without a thread the futures are polled at once, again and again: late never, slow maybe.
            Err(_) => {
                if let Order::Set(_, waker) = &*lock(&shared.order) {
                    waker.wake_by_ref();
                }
            }
        }
    }

    fn clear(&mut self) {
        if let Some(shared) = &self.shared {
            *lock(&shared.order) = Order::Idle;
        }
    }
}

impl Drop for ThreadAlarm {
    fn drop(&mut self) {
        // Not joined: the waker that the thread is calling may be the one that drops this alarm.
        if let Some(shared) = &self.shared {
            *lock(&shared.order) = Order::End;
            shared.changed.notify_one();
        }
    }
}

impl AlarmShared {
    fn serve(&self) {
        let mut order = lock(&self.order);
        loop {
            let wait = match &*order {
                Order::End => return,
                Order::Idle => None,
                Order::Set(until, _) => until.map(|until| until.saturating_duration_since(Instant::now())),
            };
            order = match wait {
                Some(Duration::ZERO) => {
                    let due = std::mem::replace(&mut *order, Order::Idle);
                    // The waker may set the alarm again.
                    drop(order);
                    if let Order::Set(_, waker) = due {
                        waker.wake();
                    }
                    lock(&self.order)
                }
                Some(wait) => {
                    self.changed.wait_timeout(order, wait).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(order).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// A clock for tests, which stands still until it is advanced. Clones share the time.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use windlass_host::{Clock, MockClock};
///
/// let clock = MockClock::new();
/// clock.advance(Duration::from_millis(2));
/// assert_eq!(clock.now(), 2_000_000);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MockClock {
    shared: Arc<MockShared>,
}

#[derive(Debug, Default)]
struct MockShared {
    now: AtomicU64,
    state: Mutex<MockState>,
}

#[derive(Debug, Default)]
struct MockState {
    slept: Vec<u64>,
    /// Time, alarm and waker, one entry for an alarm at most.
    alarms: Vec<(u64, u64, Waker)>,
    next_id: u64,
}

impl MockClock {
    /// A clock at 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward and fires the alarms that are due, earliest first.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.move_to(self.now().saturating_add(by));
    }

    /// The times of all alarms that are set, earliest first.
    pub fn alarms(&self) -> Vec<u64> {
        let mut times: Vec<u64> = lock(&self.shared.state).alarms.iter().map(|alarm| alarm.0).collect();
        times.sort_unstable();
        times
    }

    /// The times that were slept until, in order.
    pub fn slept(&self) -> Vec<u64> {
        lock(&self.shared.state).slept.clone()
    }

    fn move_to(&self, until: u64) {
        let now = self.shared.now.fetch_max(until, Ordering::SeqCst).max(until);
        let mut due: Vec<_> =
            lock(&self.shared.state).alarms.extract_if(.., |alarm| alarm.0 <= now).collect();
        due.sort_by_key(|alarm| alarm.0);
        // Outside of the lock, as a waker may set an alarm.
        due.into_iter().for_each(|alarm| alarm.2.wake());
    }
}

impl Clock for MockClock {
    fn now(&self) -> u64 {
        self.shared.now.load(Ordering::SeqCst)
    }

    /// Moves the time forward instead of waiting.
    fn sleep_until(&self, until: u64) {
        lock(&self.shared.state).slept.push(until);
        self.move_to(until);
    }

    fn alarm(&self) -> Box<dyn Alarm> {
        let mut state = lock(&self.shared.state);
        state.next_id += 1;
        Box::new(MockAlarm { clock: self.clone(), id: state.next_id })
    }
}

struct MockAlarm {
    clock: MockClock,
    id: u64,
}

impl Alarm for MockAlarm {
    fn set(&mut self, until: u64, waker: Waker) {
        self.clear();
        if until <= self.clock.now() {
            waker.wake();
        } else {
            lock(&self.clock.shared.state).alarms.push((until, self.id, waker));
        }
    }

    fn clear(&mut self) {
        lock(&self.clock.shared.state).alarms.retain(|alarm| alarm.1 != self.id);
    }
}

impl Drop for MockAlarm {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Clock, SystemClock};
    use std::{
        sync::{Arc, mpsc},
        task::{Wake, Waker},
    };

    struct Report(mpsc::Sender<&'static str>, &'static str);

    impl Wake for Report {
        fn wake(self: Arc<Self>) {
            self.0.send(self.1).expect("the test still listens");
        }
    }

    #[test]
    fn the_alarm_thread_fires_what_was_set_last_and_ends_with_the_alarm() {
        let (sender, receiver) = mpsc::channel();
        let waker = |name| Waker::from(Arc::new(Report(sender.clone(), name)));
        let clock = SystemClock::new();
        let mut alarm = clock.alarm();
        alarm.set(u64::MAX, waker("never"));
        alarm.set(clock.now() + 3_600_000_000_000, waker("replaced"));
        alarm.set(clock.now() + 1_000_000, waker("first"));
        assert_eq!(receiver.recv(), Ok("first"));
        alarm.set(0, waker("past"));
        assert_eq!(receiver.recv(), Ok("past"));
        alarm.set(clock.now() + 3_600_000_000_000, waker("dropped"));
        drop(alarm);
        drop(sender);
        // Only the thread's end lets go of the last waker.
        assert_eq!(receiver.recv(), Err(mpsc::RecvError));
    }
}
