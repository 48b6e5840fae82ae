#![allow(missing_docs)]
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use windlass::platform::{MayNotBlock, Platform};
use windlass::*;

fn on_thread(f: impl FnOnce() + Send + 'static) { std::thread::spawn(f).join().unwrap(); }

struct Odd { calls: Rc<Cell<u32>>, log: Rc<RefCell<Vec<String>>> }
impl Platform for Odd {
    fn now(&self) -> Instant { Instant::from_nanos(u64::from(self.calls.get())) }
    fn wait(&self, _until: Option<Instant>) -> Result<(), MayNotBlock> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() == 1 {
            let (l1, l2) = (self.log.clone(), self.log.clone());
            if std::env::var("LONG").is_ok() { for _ in 0..2 { spawn(|| for _ in 0..100 { yield_now() }); } }
            spawn(move || l1.borrow_mut().push("one".into()));
            spawn(move || l2.borrow_mut().push("two".into()));
            // make the ring non-empty
            let r = catch_unwind(AssertUnwindSafe(|| for _ in 0..100 { yield_now() }));
            self.log.borrow_mut().push(format!("yield in wait panicked: {}", r.is_err()));
        }
        Ok(())
    }
}

#[test]
fn a_yield_in_platform_wait() {
    on_thread(|| {
        let (calls, log) = (Rc::default(), Rc::default());
        let l = Rc::clone(&log);
        runtime::Builder::new().platform(Odd { calls, log: l }).install().unwrap();
        run(|| sleep(Duration::from_nanos(1)).unwrap());
        println!("{:?}", log.borrow());
        assert_eq!(log.borrow()[0], "yield in wait panicked: true");
    });
}

#[test]
fn b_limit_on_tasks() {
    on_thread(|| {
        run(|| {
            let all: Vec<_> = (0..10).map(|_| Builder::new().stack_size(32 << 10).spawn(|| ()).unwrap()).collect();
            for t in all { t.join().unwrap(); }
            // the host loop gives the stacks back
            for _ in 0..200 { yield_now(); }
            runtime::set_max_tasks(2);
            let all: Vec<_> = (0..9).map_while(|_| Builder::new().spawn(|| ()).ok()).collect();
            assert_eq!((all.len(), runtime::stats().tasks), (1, 2));
        });
    });
}

struct D(Rc<Cell<u32>>);
impl Drop for D { fn drop(&mut self) { self.0.set(self.0.get() + 1) } }

#[test]
fn c_value_of_send_outside() {
    on_thread(|| {
        let drops = Rc::new(Cell::new(0));
        let (s, r) = channel::rendezvous::<D>();
        let d = D(drops.clone());
        assert!(catch_unwind(AssertUnwindSafe(|| s.send(d).is_ok())).is_err());
        drop((s, r));
        assert_eq!(drops.get(), 1, "value leaked");
    });
}

#[test]
fn e_outer_deadline_with_nested_runs() {
    on_thread(|| {
        let clock = platform::MockClock::new();
        runtime::Builder::new().platform(clock.clone()).install().unwrap();
        reactor::initialize(|| ()).unwrap();
        let rounds = Rc::new(Cell::new(0));
        let r = rounds.clone();
        let result = reactor::call_with_deadline("x", Instant::from_nanos(1000), move || {
            for _ in 0..100_000 {
                r.set(r.get() + 1);
                clock.advance(Duration::from_nanos(1));
                reactor::call("inner", || ()).unwrap();
                yield_now();
            }
        });
        println!("{:?} after {} rounds", result.is_err(), rounds.get());
        assert!(result.is_err(), "the deadline was never seen in {} rounds", rounds.get());
    });
}

#[repr(align(128))] struct Al(u64);
#[test]
fn k_layouts() {
    on_thread(|| run(|| {
        for round in 0..3 {
            let a = Al(7);
            let r = spawn(move || { assert_eq!(&raw const a as usize % 128, 0); Al(a.0 + 1) }).join().unwrap();
            assert_eq!(r.0, 8);
            spawn(|| ()).join().unwrap();
            let big = [round as u8; 2_000];
            assert_eq!(spawn(move || big.iter().map(|&b| b as usize).sum::<usize>()).join().unwrap(), 2_000 * round);
            assert_eq!(spawn(|| [3u8; 6_000]).join().unwrap()[5_999], 3);
            let b = unsafe { Builder::new().stack_size(4096).unguarded() };
            assert_eq!(b.spawn(move || Al(9)).unwrap().join().unwrap().0, 9);
            let x = [1u8; 65];
            assert_eq!(spawn(move || x).join().unwrap(), [1; 65]);
            let x = [1u8; 64];
            assert_eq!(spawn(move || x[0]).join().unwrap(), 1);
            let z = spawn(|| ());
            let z2 = spawn(|| 5u8);
            z.join().unwrap(); assert_eq!(z2.join().unwrap(), 5);
        }
    }));
}

struct YieldOnDrop(channel::Sender<u32>);
impl Drop for YieldOnDrop { fn drop(&mut self) {
    yield_now();
    let t = spawn(|| { if true { panic!("inner") } });
    assert!(t.join().is_err());
    self.0.send(4).unwrap();
    let _ = run(|| 3);
} }
#[test]
fn l_drop_in_unwinding() {
    on_thread(|| run(|| {
        let (s, r) = channel::rendezvous();
        let t = spawn(move || { let _y = YieldOnDrop(s); panic!("outer") });
        assert_eq!(r.recv(), Ok(4));
        assert!(t.join().is_err());
        assert!(!std::thread::panicking());
        // result destructors which block and panic
        let (s, r) = channel::rendezvous();
        drop(spawn(move || YieldOnDrop(s)));
        assert_eq!(r.recv(), Ok(4));
        struct P; impl Drop for P { fn drop(&mut self) { yield_now(); panic!("p") } }
        drop(spawn(|| P));
        for _ in 0..5 { yield_now() }
        let t = spawn(|| P);
        for _ in 0..5 { yield_now() }
        assert!(catch_unwind(AssertUnwindSafe(|| drop(t))).is_err());
        for _ in 0..100 { spawn(|| ()).join().unwrap(); }
        assert_eq!(runtime::stats().tasks, 1);
    }));
}

#[test]
fn m_ends_in_thread_locals() {
    // Sub-process
    for mode in ["sender-before", "sender-after", "guard", "handle", "receiver", "notify"] {
        let exe = std::env::current_exe().unwrap();
        let out = std::process::Command::new(exe).args(["--exact", "child", "--nocapture", "--ignored"]).env("MODE", mode).output().unwrap();
        println!("{mode}: {:?}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
    }
}
thread_local! {
    static S: RefCell<Option<channel::Sender<u32>>> = const { RefCell::new(None) };
    static R: RefCell<Option<channel::Receiver<u32>>> = const { RefCell::new(None) };
    static H: RefCell<Option<JoinHandle<u32>>> = const { RefCell::new(None) };
    static G: RefCell<Option<sync::MutexGuard<'static, u32>>> = const { RefCell::new(None) };
}
#[test]
#[ignore]
fn child() {
    let mode = std::env::var("MODE").unwrap();
    let mode2 = mode.clone();
    on_thread(move || match &*mode {
        "sender-before" => {
            S.with(|s| s.borrow_mut().is_some());
            run(|| ());
            let (s, r) = channel::rendezvous();
            S.with(|x| *x.borrow_mut() = Some(s));
            run(move || { spawn(move || { for _ in r.iter() {} }); yield_now(); });
        }
        "sender-after" => {
            run(|| ());
            let (s, r) = channel::rendezvous();
            S.with(|x| *x.borrow_mut() = Some(s));
            run(move || { spawn(move || { for _ in r.iter() {} }); yield_now(); });
        }
        "receiver" => {
            R.with(|s| s.borrow_mut().is_some());
            let (s, r) = channel::rendezvous();
            R.with(|x| *x.borrow_mut() = Some(r));
            run(move || { spawn(move || s.send(5)); yield_now(); });
        }
        "guard" => {
            G.with(|s| s.borrow_mut().is_some());
            let m: &'static sync::Mutex<u32> = Box::leak(Box::new(sync::Mutex::new(1)));
            run(move || { G.with(|g| *g.borrow_mut() = Some(m.lock().unwrap())); spawn(move || drop(m.lock())); yield_now(); });
        }
        "handle" => {
            H.with(|s| s.borrow_mut().is_some());
            run(move || { let h = spawn(|| 5); yield_now(); H.with(|x| *x.borrow_mut() = Some(h)); });
        }
        _ => {}
    });
    println!("{mode2} survived");
}
