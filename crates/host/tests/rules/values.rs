//! Beside the rules: what crosses between host and guest, and the sizes of stacks.

use crate::host::{direct, guest};
use crate::raw;

#[test]
fn every_number_crosses_at_its_extremes() {
    for mut rig in [guest().ready(), direct().ready()] {
        for (a, b) in [(0, 0), (i32::MAX, 1), (i32::MIN, -1), (-1, 1), (i32::MAX, i32::MIN)] {
            assert_eq!(rig.call::<i32>("add", (a, b)), a.wrapping_add(b));
        }
        for a in [0, 1, u32::MAX, 1 << 31] {
            assert_eq!(rig.call::<u32>("flip", a), !a);
        }
        for a in [0, 1, -1, i64::MAX, i64::MIN, 1 << 32] {
            assert_eq!(rig.call::<i64>("negate", a), a.wrapping_neg());
        }
        for a in [0, 1, u64::MAX, 1 << 63] {
            assert_eq!(rig.call::<u64>("biggest", a), u64::MAX - a);
        }
        for a in [0.0, -0.0, 1.5, f32::MAX, f32::MIN, f32::MIN_POSITIVE, f32::INFINITY, f32::NEG_INFINITY] {
            assert_eq!(rig.call::<f32>("half", a).to_bits(), (a / 2.0).to_bits());
        }
        assert!(rig.call::<f32>("half", f32::NAN).is_nan());
        for f in [0.0, 1.25, f64::MAX, f64::MIN, f64::MIN_POSITIVE, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(rig.call::<f64>("mix", (0, 0u32, 0i64, 0u64, 0.0f32, f)).to_bits(), f.to_bits());
        }
        assert!(rig.call::<f64>("mix", (0, 0u32, 0i64, 0u64, 0.0f32, f64::NAN)).is_nan());
        let (a, b, c, d, e, f) = (i32::MIN, u32::MAX, i64::MIN, u64::MAX, f32::MIN_POSITIVE, -0.5);
        let sum = f64::from(a) + f64::from(b) + c as f64 + d as f64 + f64::from(e) + f;
        assert_eq!(rig.call::<f64>("mix", (a, b, c, d, e, f)), sum);
    }
}

#[test]
fn text_and_bytes_cross_empty_and_large_and_leak_nothing() {
    let large: Vec<u8> = (0..1 << 20).map(|index: u32| (index % 251) as u8).collect();
    let reversed: Vec<u8> = large.iter().rev().copied().collect();
    let long = "wörld ".repeat(200_000);
    for mut rig in [guest().ready(), direct().ready()] {
        let mut round = || {
            assert_eq!(rig.call::<String>("greet", ""), "hello, !");
            assert_eq!(rig.call::<String>("greet", "nul \0, wörld, 🪢"), "hello, nul \0, wörld, 🪢!");
            assert_eq!(rig.call::<String>("greet", &long), format!("hello, {long}!"));
            assert_eq!(rig.call::<Vec<u8>>("reverse", b""), b"");
            assert_eq!(rig.call::<Vec<u8>>("reverse", &[0u8, 1, 255]), [255, 1, 0]);
            assert!(rig.call::<Vec<u8>>("reverse", &large) == reversed);
            rig.call::<i64>("allocated", ())
        };
        assert_eq!(round(), round());
    }
}

#[test]
fn the_report_lists_what_has_not_finished_and_counts_what_is_alive() {
    let mut raw = raw::guest().ready();
    let report = |raw: &mut raw::Raw| {
        let count = raw.works("windlass_report", &[]);
        (count, raw.door().report.lines().filter(|line| *line != "  no task").count())
    };
    assert_eq!(report(&mut raw), (0, 0));
    raw.start("wait", &[0]);
    assert_eq!(report(&mut raw), (1, 1));
    // A finished call whose result nobody has taken.
    let done = raw.start("ping", &[]);
    assert_eq!(raw.poll(done), 1);
    assert_eq!(report(&mut raw), (2, 1));
}

#[test]
fn reading_the_error_code_takes_it() {
    let mut raw = raw::guest().ready();
    assert_eq!(raw.call("block", &[]).map_err(|error| error.code), Err(5));
    assert_eq!(raw.door().code, 0);
    assert!(raw.call_unread("block").is_err());
    // The next call clears it, too.
    assert_eq!(raw.call("ping", &[]), Ok(7));
    assert_eq!(raw.door().code, 0);
}

#[test]
fn frames_of_a_deep_suspended_task_come_back_as_they_were() {
    for mode in [0, 2] {
        let mut rig = guest().mode(mode).ready();
        for depth in [0, 1, 2, 63, 100] {
            assert_eq!(rig.call::<i32>("deep_yield", depth), depth);
        }
    }
}

#[test]
fn stack_sizes_out_of_range_are_named_errors() {
    let mut rig = guest().ready();
    let (works, too_small, too_large) = (0, 1, 2);
    for (bytes, answer) in [
        (0, too_small),
        (1, too_small),
        (1_024, too_small),
        (1_100, works),
        (2_048, works),
        (1 << 20, works),
        ((1 << 28) + 1, too_large),
        (1 << 32, too_large),
        (1 << 40, too_large),
        (i64::MAX, too_large),
    ] {
        assert_eq!(rig.call::<i32>("spawn_with_stack", bytes), answer, "{bytes}");
    }
}

#[test]
fn a_stack_that_memory_cannot_hold_is_a_named_error_and_does_no_harm() {
    let mut rig = guest().memory(64 << 20).ready();
    let no_memory = 3;
    for _ in 0..3 {
        assert_eq!(rig.call::<i32>("spawn_with_stack", 1i64 << 28), no_memory);
        assert_eq!(rig.call::<i32>("spawn_with_stack", 1i64 << 20), 0);
    }
    assert_eq!(rig.call::<i32>("ping", ()), 7);
}
