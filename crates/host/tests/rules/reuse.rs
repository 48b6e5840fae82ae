//! Rule 10: what a call costs that does not block.

use crate::host::{Rig, guest};
use crate::raw;

/// What the guest holds: allocations so far, bytes, tasks, stacks in use, stacks pooled.
fn held(rig: &mut Rig) -> [i64; 5] {
    let mut stats = |which: i32| rig.reactor.call::<_, i64>("stats", which).expect("stats");
    let [tasks, in_use, pooled] = [0, 1, 2].map(&mut stats);
    [rig.call("allocations", ()), rig.call("allocated", ()), tasks, in_use, pooled]
}

#[test]
fn rule_10_a_call_allocates_nothing_and_uses_the_stack_of_the_last_again() {
    let mut rig = guest().ready();
    assert_eq!(rig.call::<i32>("ping", ()), 7);
    let before = held(&mut rig);
    assert_eq!(before[2..], [1, 1, 0], "the task of `stats` itself, on the one stack there is");
    for _ in 0..1_000 {
        assert_eq!(rig.call::<i32>("ping", ()), 7);
    }
    assert_eq!(held(&mut rig), before);
}

#[test]
fn rule_10_a_call_continues_its_own_task_once_and_no_other() {
    let mut rig = guest().ready();
    let before = rig.call::<i64>("stats", 3);
    for _ in 0..1_000 {
        assert_eq!(rig.call::<i32>("ping", ()), 7);
    }
    assert_eq!(rig.call::<i64>("stats", 3) - before, 1_001);
}

#[test]
fn rule_10_a_call_enters_no_host_import() {
    let mut raw = raw::guest().ready();
    for _ in 0..100 {
        assert_eq!(raw.call("ping", &[]), Ok(7));
    }
    assert_eq!(raw.entered(), [""; 0]);
}

#[test]
fn rule_10_nested_calls_reuse_their_stacks_too() {
    let mut rig = guest()
        .on_call(|caller, what| if what > 0 { caller.call("nested", what - 1) } else { Ok(0) })
        .ready();
    assert_eq!(rig.call::<i32>("nested", 9), 10);
    let before = held(&mut rig);
    assert_eq!(before[2..], [1, 1, 9]);
    for _ in 0..100 {
        assert_eq!(rig.call::<i32>("nested", 9), 10);
    }
    assert_eq!(held(&mut rig), before);
}

#[test]
fn rule_10_asynchronous_calls_leave_nothing_behind() {
    let mut raw = raw::guest().ready();
    let mut round = || {
        for _ in 0..100 {
            let id = raw.start("yield_times", &[3]);
            assert_eq!(raw.poll(id), 1);
            assert_eq!(raw.call("windlass.result.yield_times", &[id]), Ok(0));
        }
        [("allocated", 0), ("stats", 0), ("stats", 1), ("stats", 2)]
            .map(|(name, which)| raw.works(name, &[which]))
    };
    assert_eq!(round(), round());
}

#[test]
fn rule_10_ten_thousand_tasks_come_and_go_and_leak_nothing() {
    let mut rig = guest().ready();
    let mut round = || {
        assert_eq!(rig.call::<i32>("many", 10_000), 10_000);
        let [_, bytes, tasks, in_use, pooled] = held(&mut rig);
        [bytes, tasks, in_use, pooled]
    };
    let first = round();
    assert_eq!(first[1..], [1, 1, 10_000]);
    for _ in 0..3 {
        assert_eq!(round(), first);
    }
}
