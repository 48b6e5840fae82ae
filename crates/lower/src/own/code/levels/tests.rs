//! Where bodies dispatch. What is written is reduced to its blocks and branches.

use wasmparser::Operator;

use super::{Item, Items};
use crate::own::body::NONE;
use crate::own::code::Kind;
use crate::own::guests::{Guest, body, operators};

/// The structure of one lowered body; the targets of a table are followed by its default.
#[track_caller]
fn structure(text: &str, kind: Kind) -> String {
    let (code, _) = Guest::new(&format!("(func $test {text})")).emit(kind);
    let words = operators(&code).into_iter().filter_map(|operator| {
        Some(match operator {
            Operator::Block { .. } => "block".to_owned(),
            Operator::Loop { .. } => "loop".to_owned(),
            Operator::If { .. } => "if".to_owned(),
            Operator::Else => "else".to_owned(),
            Operator::End => "end".to_owned(),
            Operator::Br { relative_depth } => format!("br {relative_depth}"),
            Operator::BrIf { relative_depth } => format!("br_if {relative_depth}"),
            Operator::BrTable { targets } => {
                let depths = targets.targets().map(Result::unwrap).chain([targets.default()]);
                format!("br_table {}", depths.map(|depth| depth.to_string()).collect::<Vec<_>>().join(","))
            }
            _ => return None,
        })
    });
    words.collect::<Vec<String>>().join(" ")
}

/// The tables of the body that resumes, and of the one that does both.
#[track_caller]
fn tables(text: &str) -> [usize; 2] {
    [Kind::Resume, Kind::Single].map(|kind| structure(text, kind).matches("br_table").count())
}

/// Operator, sites, and whether it is a site itself.
fn seen(items: &[Item]) -> Vec<(u32, u32, u32, bool)> {
    items.iter().map(|item| (item.op, item.first, item.last, item.site)).collect()
}

#[test]
fn the_targets_of_a_block_are_its_sites_and_the_blocks_with_sites_in_them() {
    let body = body(
        "(func $test
            i32.const 1
            if
                call $switch
                nop
            else
                call $switch
                block
                    call $switch
                    nop
                end
                block
                end
            end
            call $switch
            nop)",
    );
    let items = Items::of(&body);
    assert_eq!(seen(&items.blocks[0]), [(1, 1, 3, false), (13, 4, 4, true)]);
    assert_eq!(items.last_child, 6);
    assert_eq!(seen(&items.arm(&body, 0, NONE)), [(1, 1, 3, false), (13, 4, 4, true)]);
    // The arms of the `if`, which begin after operators 1 and 4.
    assert_eq!(seen(&items.arm(&body, 1, 1)), [(2, 1, 1, true)]);
    assert_eq!(seen(&items.arm(&body, 1, 4)), [(5, 2, 2, true), (6, 3, 3, false)]);
    assert_eq!(seen(&items.arm(&body, 2, 6)), [(7, 3, 3, true)]);
    assert_eq!(seen(&items.arm(&body, 3, 10)), []);
}

/// The two outermost blocks of a resume function are the cold end's and the function's own; a single body begins with
/// the test whether it is resumed, and falls through its table if it is not. After a site a `br_if` goes to the cold
/// end.
#[test]
fn two_sites_have_a_block_each_and_a_table() {
    assert_eq!(
        structure("call $switch call $switch nop", Kind::Resume),
        "block block block block br_table 0,0,1 end br_if 2 end end end end"
    );
    assert_eq!(
        structure("call $switch call $switch nop", Kind::Single),
        "if end block block block block br_table 0,1,2,0 end br_if 2 end br_if 1 end end end"
    );
    assert_eq!(structure("call $switch call $switch nop", Kind::Normal), "block br_if 0 br_if 0 end end");
}

#[test]
fn a_lonely_target_needs_neither() {
    assert_eq!(structure("call $switch nop", Kind::Resume), "block block end end end");
    assert_eq!(
        structure("block call $switch nop end nop", Kind::Resume),
        "block block block end end end end"
    );
}

/// A loop that is gone round is entered at its head, where 0 falls through to normal code. One that is not is a block.
#[test]
fn a_loop_dispatches_behind_its_head() {
    assert_eq!(
        structure("loop call $switch i32.const 1 br_if 0 end", Kind::Resume),
        "block block loop block br_if 0 br_if 3 end br_if 0 end end end end"
    );
    assert_eq!(structure("loop call $switch nop end", Kind::Resume), "block block block end end end end");
}

/// The function's level has a block with two sites and a site: one table for all, or one for each level.
#[test]
fn a_level_that_begins_with_a_block_hands_its_targets_down() {
    for (text, expected) in [
        ("block call $switch call $switch nop end call $switch nop", [1, 1]),
        ("block block call $switch call $switch nop end call $switch nop end call $switch nop", [1, 1]),
        ("loop call $switch call $switch i32.const 1 br_if 0 end call $switch nop", [1, 1]),
        // An operand would be beneath the inner table.
        ("local.get 0 block call $switch call $switch nop end call $switch drop", [2, 2]),
        // Normal code has something to do before.
        ("nop block call $switch call $switch nop end call $switch nop", [1, 2]),
        // Normal code makes the condition before; without it an `if` with one resumed arm is a plain block.
        ("local.get 0 if call $switch call $switch nop end call $switch nop", [1, 2]),
        ("local.get 0 if nop else call $switch call $switch nop end call $switch nop", [1, 2]),
        // Two arms: the level above has a table, and so has the arm with two sites.
        ("local.get 0 if call $switch call $switch nop else call $switch nop end call $switch nop", [2, 2]),
        // A site comes first.
        ("call $switch block call $switch call $switch nop end", [2, 2]),
    ] {
        assert_eq!(tables(&format!("(param i32) {text}")), expected, "{text}");
    }
}

/// Two targets may have 14 entries; the block's sites are those of its own table, which has as many targets.
#[test]
fn a_table_with_few_targets_for_its_entries_is_not_written() {
    let with = |sites: usize| format!("call $switch block {} nop end nop", "call $switch ".repeat(sites));
    assert_eq!(tables(&with(13)), [2, 2]);
    assert_eq!(tables(&with(14)), [1, 1]);
    // Compared instead: from site 2 on the block, else the first target.
    let sparse = structure(&with(14), Kind::Resume);
    assert!(sparse.starts_with("block block block block br_if 1 br 0 end end block "), "{sparse}");
    let sparse = structure(&with(14), Kind::Single);
    assert!(
        sparse.starts_with("if end block block block block br_if 0 br_if 2 br 1 end br_if 2 end end block "),
        "{sparse}"
    );
}

/// Up to 3 entries are filled up; from the fourth on it is cheaper to subtract.
#[test]
fn a_table_begins_with_its_first_site() {
    let with = |before: usize| {
        let arm = "call $switch nop ".repeat(before);
        format!("i32.const 0 if {arm} else call $switch call $switch nop end")
    };
    let second_table = |text: &str| {
        let structure = structure(text, Kind::Resume);
        let table =
            structure.rsplit("br_table ").next().map(|rest| rest.split(' ').next().map(str::to_owned));
        table.flatten().unwrap_or_default()
    };
    assert_eq!(second_table(&with(1)), "0,0,0,1");
    assert_eq!(second_table(&with(2)), "0,0,0,0,1");
    assert_eq!(second_table(&with(3)), "0,1");
}
