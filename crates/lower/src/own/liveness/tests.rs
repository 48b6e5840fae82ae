//! The locals that are live after the sites of small functions.

use super::live_across_sites;
use crate::own::guests::body;

/// Those of a function with eight parameters.
#[track_caller]
fn live(text: &str) -> Vec<u32> {
    let body = body(&format!("(tag $tag) (func $test (param i32 i32 i32 i32 i32 i32 i32 i32) {text})"));
    assert!(!body.sites.is_empty());
    live_across_sites(&body).members().collect()
}

#[test]
fn a_local_is_live_that_is_read_before_it_is_written() {
    for (text, expected) in [
        ("local.get 0 drop call $switch nop", vec![]),
        ("call $switch local.get 0 drop", vec![0]),
        ("call $switch i32.const 1 local.set 0 local.get 0 drop", vec![]),
        ("call $switch i32.const 1 local.tee 0 drop local.get 0 drop", vec![]),
        ("call $switch local.get 0 local.set 0", vec![0]),
        // The union over the sites.
        (
            "call $switch local.get 0 local.set 1 call $switch local.get 1 local.get 2 drop drop",
            vec![0, 1, 2],
        ),
        // What control cannot reach.
        ("call $switch unreachable local.get 0 drop", vec![]),
        ("call $switch local.get 1 drop return local.get 0 drop", vec![1]),
    ] {
        assert_eq!(live(text), expected, "{text}");
    }
}

#[test]
fn an_if_needs_what_either_arm_needs() {
    let both = "call $switch local.get 0 if local.get 1 drop else local.get 2 drop end local.get 3 drop";
    assert_eq!(live(both), [0, 1, 2, 3]);
    // Without the other arm what follows is needed all the same.
    assert_eq!(live("call $switch local.get 0 if i32.const 1 local.set 1 end local.get 1 drop"), [0, 1]);
    assert_eq!(
        live(
            "call $switch local.get 0
            if i32.const 1 local.set 1 else i32.const 2 local.set 1 end
            local.get 1 drop"
        ),
        [0]
    );
    // A site in one arm knows nothing of the other.
    let inside = "local.get 0 if call $switch local.get 1 drop else local.get 2 drop end local.get 3 drop";
    assert_eq!(live(inside), [1, 3]);
}

/// What a branch back needs is known when the head has been swept, and takes another sweep.
#[test]
fn a_loop_is_swept_until_its_head_stays() {
    assert_eq!(live("loop local.get 0 drop call $switch local.get 1 br_if 0 end"), [0, 1]);
    // Nothing goes back.
    assert_eq!(live("loop local.get 0 drop call $switch local.get 1 drop end"), [1]);
    let nested = "
        loop $outer
            local.get 0 local.set 7
            loop $inner
                local.get 1 drop
                call $switch
                local.get 2 br_if $inner
                i32.const 1 local.set 3
                local.get 4 br_if $outer
            end
            local.get 3 drop
        end";
    assert_eq!(live(nested), [0, 1, 2, 4]);
}

#[test]
fn a_table_of_branches_needs_what_its_labels_need() {
    let text = "
        block $d block $c block $b block $a
            call $switch
            local.get 0
            br_table $a $b $c
        end local.get 1 drop return
        end local.get 2 drop return
        end local.get 3 drop return
        end local.get 4 drop";
    assert_eq!(live(text), [0, 1, 2, 3]);
    assert_eq!(live(&text.replace("$a $b $c", "$a $a $d")), [0, 1, 4]);
}

/// An exception out of the call leaves it when the callee is resumed, so its handlers count.
#[test]
fn a_site_needs_what_the_handlers_around_it_need() {
    for (text, expected) in [
        ("block try_table (catch_all 0) call $switch end return end local.get 0 drop", vec![0]),
        ("block try_table (catch_all 0) end call $switch nop return end local.get 0 drop", vec![]),
        // What is written after the call is not yet when it throws.
        (
            "block try_table (catch_all 0) call $switch i32.const 1 local.set 0 end return end local.get 0 drop",
            vec![0],
        ),
        // The outer one may get what the inner one does not catch.
        (
            "block try_table (catch_all 0) block try_table (catch $tag 0) call $switch end return end
                local.get 1 drop return end return end local.get 0 drop",
            vec![0, 1],
        ),
        // What is thrown goes to the handler and nowhere else.
        (
            "block call $switch try_table (catch_all 0) throw $tag end local.get 1 drop end local.get 0 drop",
            vec![0],
        ),
        (
            "try call $switch catch $tag local.get 0 drop catch_all local.get 1 drop end local.get 2 drop",
            vec![0, 1, 2],
        ),
        ("try catch_all call $switch local.get 0 drop end local.get 2 drop", vec![0, 2]),
        ("try try call $switch delegate 0 catch_all local.get 0 drop end", vec![0]),
    ] {
        assert_eq!(live(text), expected, "{text}");
    }
}

#[test]
fn sets_are_longer_than_a_word() {
    let get: String = [0, 63, 64, 127, 128].map(|local| format!("local.get {local} drop ")).concat();
    let locals = "i32 ".repeat(130);
    let body = body(&format!(
        "(func $test (local {locals}) call $switch i32.const 1 local.set 64 i32.const 1 local.set 127 {get})"
    ));
    assert_eq!(live_across_sites(&body).members().collect::<Vec<u32>>(), [0, 63, 128]);
}

/// A set of 50,000 locals has 782 words, and a block keeps two. 16,777,216 words are let be.
#[test]
fn where_sets_would_fill_the_memory_every_local_is_live() {
    for (depth, expected) in [(10_700, vec![3]), (10_750, (0..50_000).collect::<Vec<u32>>())] {
        let (locals, labels) = ("i32 ".repeat(50_000), (0..depth).map(|label| format!("{label} ")));
        let (begin, end) = ("block ".repeat(depth), "end ".repeat(depth));
        let labels: String = labels.collect();
        let body = body(&format!(
            "(func $test (local {locals}) call $switch {begin} i32.const 0 br_table {labels} {end} local.get 3 drop)"
        ));
        let found: Vec<u32> = live_across_sites(&body).members().collect();
        assert!(found == expected, "{depth} deep: {} are live", found.len());
    }
}
