//! One function as it was read. Operators are counted from 0; instructions are not folded, so that they can be.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::ValType::{self, I32, I64};

use super::{Body, NONE, Operand};
use crate::own::guests::body;

/// Slot, type and producer of operands.
fn seen(operands: &[Operand]) -> Vec<(u32, ValType, u32)> {
    operands.iter().map(|operand| (operand.slot, operand.ty, operand.producer)).collect()
}

fn saved(body: &Body<'_>) -> BTreeMap<u32, Vec<(u32, ValType, u32)>> {
    body.saved.iter().map(|(op, operands)| (*op, seen(operands))).collect()
}

fn sites(body: &Body<'_>) -> Vec<u32> {
    body.sites.iter().map(|site| site.op).collect()
}

/// The picture of the module's documentation.
#[test]
fn a_site_has_the_operands_of_its_own_block_beneath_its_arguments() {
    let body = body(
        "(func $test (param $x i32) (result i32)
            i32.const 1
            local.get $x
            block (result i32)
                local.get $x
                i32.const 7
                call $read
                i32.add
            end
            i32.add
            i32.add)",
    );
    assert_eq!(sites(&body), [5]);
    assert_eq!(body.ops[5].site, 0);
    assert_eq!(body.sites[0].results, [I32]);
    assert_eq!(seen(body.own(&body.sites[0].own)), [(2, I32, 3)]);
    let (outer, block) = (&body.blocks[0], &body.blocks[1]);
    assert_eq!((outer.start, outer.end, outer.height, outer.sites.clone()), (NONE, 10, 0, 0..1));
    assert_eq!((block.start, block.end, block.height, block.sites.clone()), (2, 7, 2, 0..1));
    assert_eq!(seen(body.own(&block.own)), [(0, I32, 0), (1, I32, 1)]);
    // The constants are written again instead.
    assert_eq!(body.beneath, [(1, I32), (2, I32)]);
    assert_eq!(saved(&body), BTreeMap::from([(1, vec![(1, I32, 1)]), (3, vec![(2, I32, 3)])]));
}

#[test]
fn constants_of_every_type_are_not_saved() {
    let body = body(
        "(func $test (param externref)
            i32.const 0
            i64.const 0
            f32.const 0
            f64.const 0
            v128.const i64x2 0 0
            ref.null func
            local.get 0
            call $switch
            drop drop drop drop drop drop drop)",
    );
    let constants: Vec<u32> = (0..body.ops.len() as u32).filter(|op| body.is_constant(*op)).collect();
    assert_eq!(constants, [0, 1, 2, 3, 4, 5]);
    assert_eq!(body.beneath, [(6, ValType::EXTERNREF)]);
    assert_eq!(body.saved.keys().collect::<Vec<&u32>>(), [&6]);
}

/// They are in one go: what lies above an operand has to be put aside to get at it.
#[test]
fn of_several_results_those_above_a_saved_one_are_saved_as_well() {
    // The site takes the upper one, so the lower one alone is beneath it.
    let lower = body("(func $test call $two i32.wrap_i64 call $read drop drop)");
    assert_eq!(lower.beneath, [(0, I32)]);
    assert_eq!(saved(&lower), BTreeMap::from([(0, vec![(0, I32, 0), (1, I64, 0)])]));
    // A site's own results, beneath the next.
    let both = body("(func $test i32.const 5 call $pair call $switch drop drop drop)");
    assert_eq!(both.sites[0].results, [I32, I64]);
    assert_eq!(seen(both.own(&both.sites[1].own)), [(0, I32, 0), (1, I32, 1), (2, I64, 1)]);
    assert_eq!(both.beneath, [(1, I32), (2, I64)]);
    assert_eq!(saved(&both), BTreeMap::from([(1, vec![(1, I32, 1), (2, I64, 1)])]));
}

#[test]
fn a_call_that_is_made_again_keeps_its_arguments() {
    let body = body("(func $test (param i32) (result i32) local.get 0 call $wait)");
    assert_eq!(sites(&body), [1]);
    assert!(body.sites[0].again);
    assert_eq!(seen(body.own(&body.sites[0].own)), [(0, I32, 0)]);
    assert_eq!(body.beneath, [(0, I32)]);
    assert_eq!(saved(&body), BTreeMap::from([(0, vec![(0, I32, 0)])]));
}

/// The validator begins afresh in a block, even in one that control cannot reach.
#[test]
fn code_that_control_cannot_reach_has_no_sites_and_no_branches() {
    let body = body(
        "(func $test
            call $switch
            block
                br 1
                call $switch
                block
                    call $switch
                    br 1
                end
            end
            call $switch
            nop)",
    );
    let dead: Vec<u32> = (0..body.ops.len() as u32).filter(|op| !body.ops[*op as usize].live).collect();
    assert_eq!(dead, [3, 4, 5, 6, 7, 8]);
    assert_eq!((sites(&body), body.suspending), (vec![0, 9], 2));
    assert_eq!(body.blocks.iter().map(|block| block.targeted).collect::<Vec<bool>>(), [true, false, false]);
}

#[test]
fn a_site_is_dropped_after_which_the_function_only_returns() {
    for (text, kept) in [
        ("call $switch", vec![]),
        ("call $switch return", vec![]),
        ("block loop call $switch end end", vec![]),
        ("i32.const 1 if call $switch else call $switch end return", vec![]),
        ("call $switch nop", vec![0]),
        ("call $switch call $switch", vec![0]),
        ("block call $switch br 0 end", vec![1]),
        // The exception is caught here.
        ("try_table call $switch end", vec![1]),
        // Resuming it calls again.
        ("(result i32) i32.const 1 call $wait", vec![1]),
        // The function returns something else.
        ("(result i32) i32.const 1 call $switch", vec![1]),
        ("(result i32) i32.const 1 call $read", vec![]),
    ] {
        assert_eq!(sites(&body(&format!("(func $test {text})"))), kept, "{text}");
    }
    // Those that stay are counted from 0 again.
    let body =
        body("(func $test call $log i32.const 1 if call $switch return end block call $switch nop end)");
    let ranges: Vec<Range<u32>> = body.blocks.iter().map(|block| block.sites.clone()).collect();
    assert_eq!(ranges, [0..1, 0..0, 0..1]);
    assert_eq!((sites(&body), body.ops[3].site, body.ops[7].site), (vec![7], NONE, 0));
    assert_eq!(body.suspending, 2);
}

#[test]
fn a_tail_call_counts_as_in_a_try_where_its_exceptions_could_be_caught() {
    for (text, in_try) in [
        ("return_call $switch", false),
        ("try_table return_call $switch end", true),
        ("try return_call $log catch_all end", true),
        ("try catch_all return_call $log end", false),
        ("try_table end return_call $switch", false),
        ("try_table return return_call $switch end", false),
    ] {
        let body = body(&format!("(func $test {text})"));
        assert_eq!((body.tail_call_in_try, sites(&body)), (in_try, vec![]), "{text}");
    }
    let body = body("(func $test try call $switch catch_all call $switch end call $switch nop)");
    assert_eq!(body.sites.iter().map(|site| site.in_try).collect::<Vec<bool>>(), [true, false, false]);
    assert!(body.catches());
}

#[test]
fn a_switch_is_as_wide_as_it_has_targets_and_counts_in_loops() {
    for (text, width, site_in_loop) in [
        ("i32.const 0 br_table 0 0 0 0 call $switch", 0, false),
        ("loop call $switch end nop", 0, true),
        // The default is not counted.
        ("loop i32.const 0 br_table 0 0 0 1 end call $switch nop", 3, false),
        ("loop block i32.const 0 br_table 0 1 end i32.const 0 br_table 0 0 1 end", 2, false),
        ("loop end i32.const 0 br_table 0 0 0", 0, false),
        ("loop return i32.const 0 br_table 0 0 0 end", 0, false),
        ("loop i32.const 0 br_table 0 1 end loop block call $switch end nop end nop", 1, true),
    ] {
        let body = body(&format!("(func $test {text})"));
        assert_eq!((body.widest_switch_in_loop, body.site_in_loop), (width, site_in_loop), "{text}");
    }
}
