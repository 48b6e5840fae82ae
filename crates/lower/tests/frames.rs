//! Where the own engine keeps the frames of tasks: in segments on the task's stack, in chunks from the guest, and
//! nowhere else.

mod common;

use common::Running;

/// `windlass_frames_alloc` and `windlass_frames_free`: a list of free chunks above 0x30000, where each chunk is filled
/// with rubbish when it comes and when it goes. Mistakes are logged: 7001 a wrong size, 7002 not on the host's stack,
/// 7003 freed twice.
const CHUNKS: &str = r#"
    (global $heap (mut i32) (i32.const 0x30000))
    (global $free_list (mut i32) (i32.const 0))
    (global $allocs (mut i32) (i32.const 0))
    (global $live (mut i32) (i32.const 0))
    (global $limit (mut i32) (i32.const 0x7fffffff))
    (func $on_host_stack
        (if (i32.gt_u (global.get $__stack_pointer) (i32.const 65536)) (then (call $log (i32.const 7002)))))
    (func (export "windlass_frames_alloc") (param $bytes i32) (result i32)
        (local $chunk i32)
        (call $on_host_stack)
        (if (i32.and (local.get $bytes) (i32.const 15)) (then (call $log (i32.const 7001))))
        (if (i32.ge_u (global.get $live) (global.get $limit)) (then (return (i32.const 0))))
        (global.set $allocs (i32.add (global.get $allocs) (i32.const 1)))
        (global.set $live (i32.add (global.get $live) (i32.const 1)))
        (if (i32.and (i32.eq (local.get $bytes) (i32.const 4096)) (i32.ne (global.get $free_list) (i32.const 0)))
            (then
                (local.set $chunk (global.get $free_list))
                (global.set $free_list (i32.load (local.get $chunk))))
            (else
                ;; Its size is before it.
                (local.set $chunk (i32.add (global.get $heap) (i32.const 16)))
                (global.set $heap (i32.add (local.get $chunk) (i32.add (local.get $bytes) (i32.const 16))))
                (loop $more
                    (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                        (then (drop (memory.grow (i32.const 1))) (br $more))))
                (memory.fill (i32.sub (local.get $chunk) (i32.const 16)) (i32.const 0xcc) (i32.const 16))
                (memory.fill (i32.add (local.get $chunk) (local.get $bytes)) (i32.const 0xcc) (i32.const 16))
                (i32.store (i32.sub (local.get $chunk) (i32.const 16)) (local.get $bytes))))
        (i32.store (i32.sub (local.get $chunk) (i32.const 12)) (i32.const 1))
        (memory.fill (local.get $chunk) (i32.const 0xee) (local.get $bytes))
        (local.get $chunk))
    (func (export "windlass_frames_free") (param $chunk i32) (param $bytes i32)
        (call $on_host_stack)
        (if (i32.ne (i32.load (i32.sub (local.get $chunk) (i32.const 16))) (local.get $bytes))
            (then (call $log (i32.const 7001))))
        (if (i32.ne (i32.load (i32.sub (local.get $chunk) (i32.const 12))) (i32.const 1))
            (then (call $log (i32.const 7003))))
        (if (i32.or
                (i32.ne (i32.load (i32.sub (local.get $chunk) (i32.const 4))) (i32.const 0xcccccccc))
                (i32.ne (i32.load (i32.add (local.get $chunk) (local.get $bytes))) (i32.const 0xcccccccc)))
            (then (call $log (i32.const 7004))))
        (i32.store (i32.sub (local.get $chunk) (i32.const 12)) (i32.const 0))
        (memory.fill (local.get $chunk) (i32.const 0xdd) (local.get $bytes))
        (global.set $live (i32.sub (global.get $live) (i32.const 1)))
        (if (i32.eq (local.get $bytes) (i32.const 4096))
            (then
                (i32.store (local.get $chunk) (global.get $free_list))
                (global.set $free_list (local.get $chunk)))))
    (func (export "allocs") (result i32) (global.get $allocs))
    (func (export "live") (result i32) (global.get $live))
    (func (export "limit") (param i32) (global.set $limit (local.get 0)))
    (func (export "windlass_stack_overflow") (call $log (i32.const 999)) (call $own_sp))
"#;

/// Tasks that wander: down into calls and back as a generator of numbers says, stopping here and there. `$quiet` tasks
/// never stop; else they come to the same result.
///
/// Task k has its generator at 256 + 4 k, its fuel at 512 + 4 k, whether it is done at 768 + 4 k and its result at
/// 1024 + 8 k. Stacks of `$size` bytes with 64 bytes between begin at 65600.
const WANDERERS: &str = r#"
    (table funcref (elem $entry))
    (global $quiet (mut i32) (i32.const 0))
    (global $deepest (mut i32) (i32.const 0))
    (global $size (mut i32) (i32.const 0))
    (global $push_bytes (mut i32) (i32.const 0))
    (global $tasks (mut i32) (i32.const 0))
    (global $directly (mut i32) (i32.const 0))
    (func $random (param $at i32) (result i32)
        (i32.store (local.get $at)
            (i32.add (i32.mul (i32.load (local.get $at)) (i32.const 1664525)) (i32.const 1013904223)))
        (i32.shr_u (i32.load (local.get $at)) (i32.const 8)))
    (func $done (param $k i32) (result i32)
        (i32.load offset=768 (i32.mul (local.get $k) (i32.const 4))))
    ;; Another task that is not done; -1: there is none.
    (func $other (param $k i32) (result i32)
        (local $i i32)
        (loop $next
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (if (i32.gt_u (local.get $i) (global.get $tasks)) (then (return (i32.const -1))))
            (local.set $k (i32.rem_u (i32.add (local.get $k) (i32.const 1)) (global.get $tasks)))
            (br_if $next (call $done (local.get $k))))
        (local.get $k))
    (func $stop (param $k i32)
        (local $other i32)
        (if (global.get $quiet) (then (return)))
        (if (i32.and (global.get $directly)
                (i32.ne (local.tee $other (call $other (local.get $k))) (local.get $k)))
            (then (call $to (local.get $k) (local.get $other)))
            (else (call $leave (i32.mul (local.get $k) (i32.const 4))))))
    (func $walk (param $k i32) (param $depth i32) (param $sum i64) (result i64)
        (local $r i32) (local $phase i32) (local $down i32) (local $frame i32) (local $x f64) (local $v v128)
        (local.set $frame (i32.sub (global.get $__stack_pointer) (global.get $push_bytes)))
        (global.set $__stack_pointer (local.get $frame))
        (if (global.get $push_bytes) (then (i32.store (local.get $frame) (i32.wrap_i64 (local.get $sum)))))
        (local.set $r (i32.wrap_i64 (local.get $sum)))
        (local.set $x (f64.convert_i32_u (local.get $depth)))
        (local.set $v (i64x2.splat (local.get $sum)))
        (block $out
        (loop $again
            (br_if $out (i32.eqz (i32.load offset=512 (i32.mul (local.get $k) (i32.const 4)))))
            (i32.store offset=512 (i32.mul (local.get $k) (i32.const 4))
                (i32.sub (i32.load offset=512 (i32.mul (local.get $k) (i32.const 4))) (i32.const 1)))
            ;; Down first, then up, and so on.
            (local.set $phase
                (i32.and (i32.const 1)
                    (i32.shr_u (i32.load offset=512 (i32.mul (local.get $k) (i32.const 4))) (i32.const 7))))
            (local.set $r (call $random (i32.add (i32.const 256) (i32.mul (local.get $k) (i32.const 4)))))
            (local.set $down (select (i32.const 3) (i32.const 10) (local.get $phase)))
            (if (i32.and
                    (i32.lt_u (i32.and (local.get $r) (i32.const 15)) (local.get $down))
                    (i32.lt_u (local.get $depth) (global.get $deepest)))
                (then
                    (local.set $sum
                        (i64.add (i64.mul (local.get $sum) (i64.const 31))
                            (if (result i64) (i32.and (local.get $r) (i32.const 64))
                                (then
                                    (call $walk (local.get $k) (i32.add (local.get $depth) (i32.const 1))
                                        (i64.add (local.get $sum) (i64.extend_i32_u (local.get $r)))))
                                (else
                                    (call $thin (local.get $k) (i32.add (local.get $depth) (i32.const 1)))))))
                    (br $again)))
            (br_if $out
                (i32.and (local.get $depth)
                    (i32.and
                        (i32.ne (local.get $depth) (i32.const 1))
                        (i32.lt_u (i32.and (i32.shr_u (local.get $r) (i32.const 7)) (i32.const 15))
                            (select (i32.const 8) (i32.const 1) (local.get $phase))))))
            (if (i32.and (local.get $r) (i32.const 32)) (then (call $stop (local.get $k))))
            (local.set $sum (i64.xor (local.get $sum) (i64.extend_i32_u (local.get $r))))
            (br $again)))
        (local.set $sum (i64.add (local.get $sum) (i64x2.extract_lane 1 (local.get $v))))
        (local.set $sum (i64.add (local.get $sum) (i64.trunc_f64_u (local.get $x))))
        (if (global.get $push_bytes)
            (then (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $frame))))))
        (if (i32.ne (global.get $__stack_pointer) (local.get $frame)) (then (call $log (i32.const 7005))))
        (global.set $__stack_pointer (i32.add (local.get $frame) (global.get $push_bytes)))
        (local.get $sum))
    ;; The smallest frame there is.
    (func $thin (param $k i32) (param $depth i32) (result i64)
        (i64.add (i64.const 1) (call $walk (local.get $k) (local.get $depth) (i64.extend_i32_u (local.get $depth)))))
    (func $entry (param $k i32) (result i32)
        (i64.store offset=1024 (i32.mul (local.get $k) (i32.const 8))
            (call $walk (local.get $k) (i32.const 0) (i64.const 5)))
        (i32.store offset=768 (i32.mul (local.get $k) (i32.const 4)) (i32.const 1))
        (i32.const 0))
    (func $stack (param $k i32) (result i32)
        (i32.add (i32.const 65600) (i32.mul (local.get $k) (i32.add (global.get $size) (i32.const 64)))))
    (func $once (param $seed i32) (param $fuel i32) (result i64)
        (local $k i32) (local $pick i32) (local $sum i64)
        (memory.fill (i32.const 65536) (i32.const 0x77) (i32.const 0x10000))
        (loop $each
            (i32.store offset=256 (i32.mul (local.get $k) (i32.const 4))
                (i32.add (i32.mul (local.get $seed) (i32.const 7919)) (local.get $k)))
            (i32.store offset=512 (i32.mul (local.get $k) (i32.const 4)) (local.get $fuel))
            (i32.store offset=768 (i32.mul (local.get $k) (i32.const 4)) (i32.const 0))
            (i32.store (i32.mul (local.get $k) (i32.const 4))
                (call $prepare (call $stack (local.get $k))
                    (i32.add (call $stack (local.get $k)) (global.get $size)) (i32.const 0) (local.get $k)))
            (local.set $k (i32.add (local.get $k) (i32.const 1)))
            (br_if $each (i32.lt_u (local.get $k) (global.get $tasks))))
        (i32.store (i32.const 240) (local.get $seed))
        (block $all
            (loop $again
                (local.set $pick
                    (call $other (i32.rem_u (call $random (i32.const 240)) (global.get $tasks))))
                (br_if $all (i32.eq (local.get $pick) (i32.const -1)))
                (call $run (call $context (local.get $pick)))
                (br $again)))
        (local.set $k (i32.const 0))
        (loop $each
            (local.set $sum
                (i64.add (i64.mul (local.get $sum) (i64.const 7))
                    (i64.load offset=1024 (i32.mul (local.get $k) (i32.const 8)))))
            ;; What lies between the stacks.
            (call $untouched (i32.sub (call $stack (local.get $k)) (i32.const 64)))
            (local.set $k (i32.add (local.get $k) (i32.const 1)))
            (br_if $each (i32.lt_u (local.get $k) (global.get $tasks))))
        (call $untouched (i32.sub (call $stack (local.get $k)) (i32.const 64)))
        (local.get $sum))
    (func $untouched (param $at i32)
        (local $end i32)
        (local.set $end (i32.add (local.get $at) (i32.const 64)))
        (loop $each
            (if (i32.ne (i32.load (local.get $at)) (i32.const 0x77777777))
                (then (call $log (i32.const 7006)) (return)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br_if $each (i32.lt_u (local.get $at) (local.get $end)))))
    (func (export "wander")
        (param $tasks i32) (param $size i32) (param $deepest i32) (param $push i32) (param $directly i32)
        (param $seed i32) (param $fuel i32)
        (local $expected i64)
        (global.set $tasks (local.get $tasks))
        (global.set $size (local.get $size))
        (global.set $deepest (local.get $deepest))
        (global.set $push_bytes (local.get $push))
        (global.set $directly (local.get $directly))
        (global.set $quiet (i32.const 1))
        (local.set $expected (call $once (local.get $seed) (local.get $fuel)))
        (global.set $quiet (i32.const 0))
        (if (i64.ne (local.get $expected) (call $once (local.get $seed) (local.get $fuel)))
            (then (call $log (i32.const 7000)))))
"#;

fn wanderers() -> Running {
    Running::own(&format!("{CHUNKS} {WANDERERS}"))
}

/// Lets tasks wander, and returns how many chunks were asked for.
#[track_caller]
fn wander(
    guest: &mut Running,
    tasks: i32,
    size: i32,
    deepest: i32,
    push: i32,
    directly: bool,
    fuel: i32,
) -> i32 {
    let before = guest.call::<(), i32>("allocs", ());
    for seed in 1..=3 {
        guest.call::<_, ()>("wander", (tasks, size, deepest, push, i32::from(directly), seed, fuel));
        assert_eq!(guest.trace(), [], "seed {seed}");
        assert_eq!(guest.stack_pointer(), 65536);
        let live = guest.call::<(), i32>("live", ());
        assert!(
            live <= 1,
            "seed {seed}: {live} chunks are held when every task is done; one may be, as a spare"
        );
    }
    guest.call::<(), i32>("allocs", ()) - before
}

#[test]
fn one_task_suspends_returns_and_suspends_again_on_its_own_stack() {
    let chunks = wander(&mut wanderers(), 1, 60_000, 60, 16, false, 1000);
    assert_eq!(chunks, 0, "all of it fits in the stack");
}

#[test]
fn many_tasks_are_interleaved() {
    let chunks = wander(&mut wanderers(), 7, 9_000, 25, 32, false, 400);
    assert_eq!(chunks, 0);
    wander(&mut wanderers(), 7, 9_000, 25, 32, true, 400);
}

#[test]
fn frames_go_on_in_chunks() {
    // In the smallest stacks that there are, nearly all frames are in chunks.
    for size in [256, 260, 272, 300, 512, 1000] {
        let chunks = wander(&mut wanderers(), 3, size, 80, 0, false, 500);
        assert!(chunks > 0, "{size}: {chunks} chunks");
    }
    assert!(wander(&mut wanderers(), 9, 500, 60, 0, true, 400) > 0);
    assert!(wander(&mut wanderers(), 1, 256, 600, 0, false, 4_000) > 6);
}

#[test]
fn stacks_and_chunks_of_every_size_between() {
    // Frames end at, before and behind every boundary.
    let mut guest = wanderers();
    for size in (256..900).step_by(12) {
        guest.call::<_, ()>("wander", (2, size, 20, 0, 0, size, 200));
        assert_eq!(guest.trace(), [], "size {size}");
    }
}

/// Recursion with 24 bytes of values a level that suspends at the bottom.
const DEEP: &str = r#"
    (table funcref (elem $entry))
    (func $down (param $n i32) (param $a i64) (result i64)
        (local $b i64)
        (local.set $b (i64.mul (local.get $a) (i64.const 3)))
        (if (i32.eqz (local.get $n)) (then (call $leave (i32.const 0)) (return (local.get $b))))
        (i64.add
            (i64.add (local.get $a) (local.get $b))
            (call $down (i32.sub (local.get $n) (i32.const 1)) (i64.add (local.get $a) (i64.const 1)))))
    (func $entry (param $n i32) (result i32)
        (call $log (i32.wrap_i64 (call $down (local.get $n) (i64.const 1))))
        (i32.const 0))
    (func (export "begin") (param $n i32)
        (call $task (i32.const 0) (i32.const 0) (local.get $n))
        (call $run (call $context (i32.const 0))))
    (func (export "again") (call $run (call $context (i32.const 0))))
    (func (export "discard") (call $discard (call $context (i32.const 0))))
"#;

/// What `$down` returns.
fn sum(n: i64) -> i32 {
    let levels: i64 = (0..n).map(|level| 4 * (1 + level)).sum();
    (levels + 3 * (1 + n)) as i32
}

fn deep() -> Running {
    Running::own(&format!("{CHUNKS} {DEEP}"))
}

#[test]
fn chunks_are_freed_at_the_end_and_one_is_kept_for_the_next_time() {
    let mut guest = deep();
    let mut allocs = Vec::new();
    for _ in 0..4 {
        guest.call::<_, ()>("begin", 900);
        let live: i32 = guest.call("live", ());
        assert!((4..=12).contains(&live), "{live} chunks hold 900 frames");
        guest.call::<(), ()>("again", ());
        assert_eq!(guest.trace(), [sum(900)]);
        assert_eq!(guest.call::<(), i32>("live", ()), 1);
        allocs.push(guest.call::<(), i32>("allocs", ()));
    }
    let each: Vec<i32> = allocs.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(each, [allocs[0] - 1; 3], "the spare chunk is used again");
}

#[test]
fn chunks_of_a_discarded_task_are_freed() {
    let mut guest = deep();
    for _ in 0..4 {
        guest.call::<_, ()>("begin", 900);
        assert!(guest.call::<(), i32>("live", ()) > 3);
        guest.call::<(), ()>("discard", ());
        assert_eq!(guest.call::<(), i32>("live", ()), 1);
        assert_eq!(guest.trace(), []);
    }
}

#[test]
fn an_allocator_that_runs_tasks_disturbs_nobody() {
    // It must not, but it can: by way of an import.
    let alloc = r#"
        (func (export "windlass_frames_alloc") (param $bytes i32) (result i32)
            (call $call (i32.const 0)) (call $alloc (local.get $bytes)))
        (global $is_begun (mut i32) (i32.const 0))
        (func $each_time (param $n i32)
            (loop $again
                (call $leave (i32.const 4))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (call $log (local.get $n))
                (br $again)))
        (func $other (param i32) (result i32) (call $each_time (i32.const 100)) (i32.const 0))
        (func (export "nested") (param i32)
            (if (i32.eqz (global.get $is_begun))
                (then
                    (call $task (i32.const 1) (i32.const 1) (i32.const 0))
                    (call $run (call $context (i32.const 1)))
                    (global.set $is_begun (i32.const 1))))
            (call $run (call $context (i32.const 1))))"#;
    let chunks = CHUNKS.replace(r#"(export "windlass_frames_alloc")"#, "$alloc");
    let text = format!("{chunks} {alloc} {DEEP}").replace("(elem $entry)", "(elem $entry $other)");
    let mut guest = Running::own(&text);
    let mut before = 0;
    for _ in 0..3 {
        guest.call::<_, ()>("begin", 900);
        let allocs = guest.call::<(), i32>("allocs", ());
        assert!(allocs > before + 2, "{allocs} chunks");
        assert_eq!(guest.trace(), (before + 101..=allocs + 100).collect::<Vec<i32>>());
        assert_eq!(guest.stack_pointer(), 65536);
        guest.call::<(), ()>("again", ());
        assert_eq!(guest.trace(), [sum(900)]);
        before = allocs;
    }
    assert_eq!(guest.call::<(), i32>("live", ()), 1);
}

#[test]
fn a_task_that_suspends_in_a_loop_at_the_edge_does_not_ask_for_chunks_each_time() {
    let mut guest = Running::own(&format!(
        r#"{CHUNKS}
        (table funcref (elem $entry))
        (func $down (param $n i32) (param $a i64) (result i64)
            (local $i i32)
            (if (i32.eqz (local.get $n))
                (then
                    (loop $again
                        (call $leave (i32.const 0))
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br_if $again (i32.lt_u (local.get $i) (i32.const 100))))
                    (return (local.get $a))))
            (i64.add (local.get $a)
                (call $down (i32.sub (local.get $n) (i32.const 1)) (i64.add (local.get $a) (i64.const 1)))))
        (func $entry (param $n i32) (result i32)
            (call $log (i32.wrap_i64 (call $down (local.get $n) (i64.const 1))))
            (i32.const 0))
        (func (export "go_deep") (param $n i32)
            (local $i i32)
            (call $task (i32.const 0) (i32.const 0) (local.get $n))
            (loop $again
                (call $run (call $context (i32.const 0)))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.le_u (local.get $i) (i32.const 100)))))"#
    ));
    for depth in (0..260).step_by(7) {
        let before: i32 = guest.call("allocs", ());
        guest.call::<_, ()>("go_deep", depth);
        assert_eq!(guest.trace(), [(0..=depth).map(|level| 1 + level).sum::<i32>()]);
        let allocs = guest.call::<(), i32>("allocs", ()) - before;
        assert!(allocs <= 4, "depth {depth}: {allocs} chunks for a hundred suspensions");
    }
}

#[test]
fn without_memory_the_overflow_is_reported() {
    for chunks in 0..4 {
        let mut guest = deep();
        guest.call::<_, ()>("limit", chunks);
        assert!(!guest.returns("begin", 900), "{chunks} chunks");
        assert_eq!(guest.trace(), [999, 0], "reported once, on the host's stack");
    }
    // A task that asks for less is not disturbed by a limit that it does not meet.
    let mut guest = deep();
    guest.call::<_, ()>("limit", 0);
    guest.call::<_, ()>("begin", 10);
    guest.call::<(), ()>("again", ());
    assert_eq!(guest.trace(), [sum(10)]);
}

#[test]
fn without_the_exports_the_overflow_is_reported() {
    let text = format!("{CHUNKS} {DEEP}").replace("windlass_frames_", "other_");
    let mut fits = 0;
    for depth in 10..60 {
        let mut guest = Running::own(&text);
        if guest.returns("begin", depth) {
            assert!(fits == 0 || fits == depth - 1, "{depth} levels fit, and fewer do not");
            fits = depth;
            guest.call::<(), ()>("again", ());
            assert_eq!(guest.trace(), [sum(i64::from(depth))]);
        } else {
            assert_eq!(guest.trace(), [999, 0]);
        }
    }
    assert!((15..40).contains(&fits), "{fits}");
}

/// A task that pushes, fills what is its own with a pattern (its shadow stack, and 128 bytes below for a leaf), suspends
/// in a recursion, and finds the pattern again; what is not its stack is filled with another one.
const BOUNDS: &str = r#"
    (table funcref (elem $entry))
    (global $push_bytes (mut i32) (i32.const 0))
    (func $filled (param $from i32) (param $to i32) (param $byte i32) (param $what i32)
        (block $out
            (loop $each
                (br_if $out (i32.ge_u (local.get $from) (local.get $to)))
                (if (i32.ne (i32.load8_u (local.get $from)) (local.get $byte))
                    (then (call $log (local.get $what)) (call $log (local.get $from)) (return)))
                (local.set $from (i32.add (local.get $from) (i32.const 1)))
                (br $each))))
    (func $down (param $n i32) (param $a i64) (result i64)
        (if (i32.eqz (local.get $n))
            (then
                ;; The red zone is whose who writes it, until somebody is called: as a leaf would leave it.
                (memory.fill (i32.sub (global.get $__stack_pointer) (i32.const 128)) (i32.const 0x33) (i32.const 128))
                (call $leave (i32.const 0))
                (call $filled (i32.sub (global.get $__stack_pointer) (i32.const 128)) (global.get $__stack_pointer)
                    (i32.const 0x33) (i32.const 8001))
                (return (local.get $a))))
        (i64.add (local.get $a)
            (call $down (i32.sub (local.get $n) (i32.const 1)) (i64.add (local.get $a) (i64.const 1)))))
    (func $entry (param $n i32) (result i32)
        (call $push (global.get $push_bytes))
        (memory.fill (global.get $__stack_pointer) (i32.const 0x44) (global.get $push_bytes))
        (call $log (i32.wrap_i64 (call $down (local.get $n) (i64.const 1))))
        (call $filled (global.get $__stack_pointer) (i32.add (global.get $__stack_pointer) (global.get $push_bytes))
            (i32.const 0x44) (i32.const 8002))
        (call $pop (global.get $push_bytes))
        (i32.const 0))
    ;; Of the stack at 66560 to 67584 nothing is told but by its bounds.
    (func (export "outside")
        (call $filled (i32.const 66304) (i32.const 66560) (i32.const 0x55) (i32.const 8003))
        (call $filled (i32.const 67584) (i32.const 67840) (i32.const 0x66) (i32.const 8004)))
    (func (export "begin") (param $n i32) (param $push i32)
        (global.set $push_bytes (local.get $push))
        (memory.fill (i32.const 66304) (i32.const 0x55) (i32.const 256))
        (memory.fill (i32.const 67584) (i32.const 0x66) (i32.const 256))
        (call $task (i32.const 1) (i32.const 0) (local.get $n))
        (i32.store (i32.const 0) (call $context (i32.const 1)))
        (call $run (call $context (i32.const 0))))
    (func (export "again") (call $run (call $context (i32.const 0))))
"#;

#[test]
fn nothing_but_the_free_part_of_the_stack_is_written() {
    let with_chunks = format!("{CHUNKS} {BOUNDS}");
    let without = with_chunks.replace("windlass_frames_", "other_");
    for push in [0, 4, 16, 100, 400, 700, 712, 716, 720, 724, 728, 736, 752] {
        let (mut chunked, mut fits) = (Running::own(&with_chunks), true);
        for depth in 0..70 {
            let expected = [(0..=depth).map(|level| 1 + level).sum::<i32>()];
            chunked.call::<_, ()>("begin", (depth, push));
            chunked.call::<(), ()>("outside", ());
            chunked.call::<(), ()>("again", ());
            chunked.call::<(), ()>("outside", ());
            assert_eq!(chunked.trace(), expected, "depth {depth}, {push} bytes of shadow stack, with chunks");
            if !fits {
                continue;
            }
            // The first depth that does not fit traps, and writes nothing either.
            let mut bare = Running::own(&without);
            fits = bare.returns("begin", (depth, push));
            bare.call::<(), ()>("outside", ());
            if fits {
                bare.call::<(), ()>("again", ());
                bare.call::<(), ()>("outside", ());
                assert_eq!(bare.trace(), expected, "depth {depth}, {push} bytes of shadow stack");
            } else {
                assert_eq!(bare.trace(), [999, 0], "depth {depth}, {push} bytes of shadow stack");
            }
        }
        assert!(!fits, "at last none fits");
    }
}

#[test]
fn a_frame_larger_than_a_chunk_gets_one_of_its_size() {
    let locals: String = (0..700).map(|n| format!("(local $l{n} i64)")).collect();
    let set: String =
        (0..700).map(|n| format!("(local.set $l{n} (i64.add (local.get $a) (i64.const {n})))\n")).collect();
    let add: String =
        (0..700).map(|n| format!("(local.set $a (i64.add (local.get $a) (local.get $l{n})))\n")).collect();
    let mut guest = Running::own(&format!(
        r#"{CHUNKS}
        (table funcref (elem $entry))
        (func $large (param $n i32) (param $a i64) (result i64) {locals}
            {set}
            (if (local.get $n)
                (then
                    (local.set $a
                        (i64.add (local.get $a)
                            (call $large (i32.sub (local.get $n) (i32.const 1)) (i64.add (local.get $a) (i64.const 1))))))
                (else (call $leave (i32.const 0))))
            {add}
            (local.get $a))
        (func $entry (param $n i32) (result i32)
            (call $log (i32.wrap_i64 (call $large (local.get $n) (i64.const 1))))
            (i32.const 0))
        (func (export "begin") (param $n i32)
            (call $task (i32.const 0) (i32.const 0) (local.get $n))
            (call $run (call $context (i32.const 0))))
        (func (export "again") (call $run (call $context (i32.const 0))))"#
    ));
    fn large(n: i64, a: i64) -> i64 {
        let start = if n > 0 { a + large(n - 1, a + 1) } else { a };
        start + (0..700).map(|l| a + l).sum::<i64>()
    }
    for n in [0, 1, 5] {
        guest.call::<_, ()>("begin", n);
        assert_eq!(guest.call::<(), i32>("live", ()), n + 1);
        guest.call::<(), ()>("again", ());
        assert_eq!(guest.trace(), [large(i64::from(n), 1) as i32]);
        assert_eq!(guest.call::<(), i32>("live", ()), 0, "a chunk of another size is no spare");
    }
}
