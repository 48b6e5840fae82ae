//! What frames hold, and who writes and reads them.

use wasmparser::{Operator, RefType, ValType};

use super::{Frames, frame_size, signature};
use crate::own::added::Added;
use crate::own::code::Kind;
use crate::own::guests::{Guest, module, operators, store};
use crate::own::thrown::Thrown;

const EXNREF: ValType = ValType::Ref(RefType::EXNREF);

/// Every type, in the order of a frame.
const TYPES: [ValType; 8] = [
    ValType::I32,
    ValType::I64,
    ValType::F32,
    ValType::F64,
    ValType::V128,
    ValType::FUNCREF,
    ValType::EXTERNREF,
    EXNREF,
];

/// Nothing yet; the first added function has index 0, the first table for references 3.
fn empty() -> (Frames, Added) {
    (Frames::new(store(), None, 3), Added::new(&module(""), 0, false))
}

fn names(added: &Added) -> Vec<&str> {
    added.functions.iter().map(|function| function.name.as_str()).collect()
}

#[test]
fn helpers_are_named_after_what_they_move() {
    use ValType::{F64, I32, I64};
    for (types, expected) in [
        (&[][..], "nothing"),
        (&[I64], "i64x1"),
        (&[I32, I32, F64], "i32x2.f64x1"),
        (&[I32, I64, I64, I64, ValType::EXTERNREF], "i32x1.i64x3.externrefx1"),
    ] {
        assert_eq!(signature(types), expected);
    }
}

/// Locals in the other order, and an operand, which is in the temp behind them: local 8.
#[test]
fn values_are_sorted_by_type_and_locals_come_first() {
    let reads: String = (0..8).map(|local| format!("local.get {local} drop ")).collect();
    let guest = Guest::new(&format!(
        "(func $test (param exnref externref funcref v128 f64 f32 i64 i32)
            local.get 7
            i32.eqz
            call $switch
            {reads}
            drop)"
    ));
    let (code, added) = guest.emit(Kind::Normal);
    assert_eq!(
        added.functions[0].name,
        "windlass.spill.i32x2.i64x1.f32x1.f64x1.v128x1.funcrefx1.externrefx1.exnrefx1"
    );
    // Before them is the site's number, behind them the place of the resume function, the call and the end.
    let operators = operators(&code);
    let values = operators.iter().rev().skip(3).map_while(|operator| match operator {
        Operator::LocalGet { local_index } => Some(*local_index),
        _ => None,
    });
    let mut values: Vec<u32> = values.collect();
    values.reverse();
    assert_eq!(values, [7, 8, 6, 5, 4, 3, 2, 1, 0]);
}

/// `fn` at 0 and `site` at 4, then the values without gaps, references as places of 4 bytes.
#[test]
fn values_are_read_where_they_were_written() {
    let (mut frames, mut added) = empty();
    let (spill, restore) = (frames.spill(&mut added, &TYPES), frames.restore(&mut added, &TYPES, false));
    let offsets = |function: u32| -> Vec<u64> {
        let accesses = operators(&added.functions[function as usize].code).into_iter();
        let offsets = accesses.filter_map(|operator| match operator {
            Operator::I32Store { memarg }
            | Operator::I64Store { memarg }
            | Operator::F32Store { memarg }
            | Operator::F64Store { memarg }
            | Operator::V128Store { memarg }
            | Operator::I32Load { memarg }
            | Operator::I64Load { memarg }
            | Operator::F32Load { memarg }
            | Operator::F64Load { memarg }
            | Operator::V128Load { memarg } => Some(memarg.offset),
            _ => None,
        });
        offsets.collect()
    };
    assert_eq!(offsets(spill), [0, 4, 8, 12, 20, 24, 32, 48, 52, 56]);
    assert_eq!(offsets(restore), [8, 12, 20, 24, 32, 48, 52, 56, 4]);
    assert_eq!((frame_size(&[]), frame_size(&TYPES)), (8, 60));
}

#[test]
fn frames_with_the_same_types_share_their_helpers() {
    use ValType::{I32, I64};
    let (mut frames, mut added) = empty();
    assert_eq!(frames.spill(&mut added, &[I32]), 0);
    assert_eq!(frames.spill(&mut added, &[I64]), 1);
    assert_eq!(frames.spill(&mut added, &[I32]), 0);
    // No exception is ever on its way, so whether it is caught makes no difference.
    assert_eq!(frames.restore(&mut added, &[I32], false), 2);
    assert_eq!(frames.restore(&mut added, &[I32], true), 2);
    assert_eq!(names(&added), ["windlass.spill.i32x1", "windlass.spill.i64x1", "windlass.restore.i32x1"]);

    let mut added = Added::new(&module(""), 0, false);
    let mut frames = Frames::new(store(), Some(Thrown::new(&mut added)), 3);
    assert_eq!(frames.restore(&mut added, &[I32], false), 1);
    assert_eq!(frames.restore(&mut added, &[I32], true), 2);
    assert_eq!(frames.restore(&mut added, &[I32], false), 1);
    assert_eq!(names(&added), ["windlass.raise", "windlass.restore.i32x1.raise", "windlass.restore.i32x1"]);
}

#[test]
fn references_of_a_type_share_a_table() {
    let (mut frames, mut added) = empty();
    assert_eq!(frames.reference_helpers(&mut added, ValType::I64), None);
    assert_eq!(frames.reference_helpers(&mut added, ValType::EXTERNREF), Some((0, 1)));
    assert_eq!(frames.reference_helpers(&mut added, ValType::FUNCREF), Some((2, 3)));
    assert_eq!(frames.reference_helpers(&mut added, ValType::EXTERNREF), Some((0, 1)));
    assert_eq!(frames.reference_tables, [RefType::EXTERNREF, RefType::FUNCREF]);
    let expected = ["keep.externref", "take.externref", "keep.funcref", "take.funcref"];
    assert_eq!(names(&added), expected.map(|name| format!("windlass.{name}")));
    let tables = added.functions.iter().map(|function| {
        let mut sets = operators(&function.code).into_iter().filter_map(|operator| match operator {
            Operator::TableSet { table } => Some(table),
            _ => None,
        });
        sets.next()
    });
    assert_eq!(tables.collect::<Vec<_>>(), [Some(3), Some(3), Some(4), Some(4)]);
}

#[test]
fn results_have_a_global_for_each_type_and_occurrence() {
    use ValType::{I32, I64};
    let (mut frames, mut added) = empty();
    assert_eq!(frames.results(&mut added, &[I32, I64, I32]), [0, 1, 2]);
    assert_eq!(frames.results(&mut added, &[I64, I32]), [1, 0]);
    assert_eq!(frames.results(&mut added, &[I64, I64]), [1, 3]);
    let names: Vec<&str> = added.globals.iter().map(|global| global.name.as_str()).collect();
    let expected = ["i32.0", "i64.0", "i32.1", "i64.1"];
    assert_eq!(names, expected.map(|name| format!("windlass.result.{name}")));
}

/// A function that takes as many values as a frame may hold is more than engines like.
#[test]
fn large_frames_are_written_in_place() {
    for (count, expected) in [(200, 1), (201, 0)] {
        let (params, reads) =
            ("i64 ".repeat(count), (0..count).map(|local| format!("local.get {local} drop ")));
        let reads: String = reads.collect();
        let guest = Guest::new(&format!("(func $test (param {params}) call $switch {reads})"));
        let (_, added) = guest.emit(Kind::Normal);
        assert_eq!(added.functions.len(), expected, "{count} values");
    }
}
