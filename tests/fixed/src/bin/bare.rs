//! A program without `std` and without a heap that uses most of what there is: it links no allocator, and `tests/fixed.rs` looks.
#![no_std]
#![no_main]

use core::cell::Cell;
use core::ffi::{c_int, c_void};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU64, Ordering};
use windlass::channel::Storage;
use windlass::platform::{MayNotBlock, Platform};
use windlass::runtime::{self, Memory};
use windlass::sync::Mutex;
use windlass::{Duration, Instant, OnceLocal};

static MEMORY: Memory<4, 8192> = Memory::new();
static CLOCK: Clock = Clock(AtomicU64::new(0));
static NUMBERS: Storage<u32, 4> = Storage::new();
static ANSWERS: Storage<u32, 0> = Storage::new();
static TOTAL: OnceLocal<Mutex<Cell<u32>>> = OnceLocal::new();

/// Moves only when something waits for it.
struct Clock(AtomicU64);

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

#[link(name = "c")]
unsafe extern "C" {
    fn write(file: c_int, bytes: *const c_void, length: usize) -> isize;
    fn _exit(code: c_int) -> !;
}

fn work() -> u32 {
    let (numbers, inbox) = NUMBERS.split().expect("it is not in use");
    let (answers, outbox) = ANSWERS.split().expect("it is not in use");
    assert!(TOTAL.set(Mutex::new(Cell::new(0))).is_ok());
    let adder = windlass::spawn(move || {
        for number in inbox {
            let total = TOTAL.get().expect("it is set").lock().expect("nobody cancels");
            total.set(total.get() + number);
            windlass::yield_now();
        }
        answers.send(1).expect("there is a receiver");
    });
    let ticker = windlass::Builder::new().name("ticker").spawn(move || {
        for number in 1..=100 {
            windlass::sleep(Duration::from_millis(1)).expect("nobody cancels");
            numbers.send(number).expect("there is a receiver");
        }
    });
    ticker.expect("there is room").join().expect("it ends");
    assert_eq!(outbox.recv_timeout(Duration::from_secs(1)), Ok(1));
    adder.join().expect("it ends");
    TOTAL.get().expect("it is set").lock().expect("nobody cancels").get()
}

#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    // SAFETY: the program has one thread, and stacks are far larger than what is called here needs.
    let claimed = unsafe { runtime::Builder::fixed(&MEMORY, &CLOCK).claim() };
    assert!(claimed.is_ok());
    let sum = windlass::run(work);
    let mut digits = *b"0000\n";
    for (place, digit) in [1000, 100, 10, 1].iter().zip(&mut digits) {
        *digit = b'0' + (sum / place % 10) as u8;
    }
    // SAFETY: it reads these bytes.
    unsafe { write(1, digits.as_ptr().cast(), digits.len()) };
    0
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: it takes any code.
    unsafe { _exit(101) }
}

/// What `core` was compiled to expect where panics unwind; nothing does here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
