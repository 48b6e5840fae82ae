//! The indices of what is added, and the table of resume functions.

use wasmparser::ValType::{F32, I32, I64};

use super::Added;
use crate::own::guests::module;

#[test]
fn a_type_is_added_once_and_only_if_the_module_has_none() {
    let module = module("(type (func (param i32))) (type (func)) (type (func (param i32)))");
    let mut added = Added::new(&module, 0, false);
    assert_eq!(added.ty(&[I32], &[]), 0);
    assert_eq!(added.ty(&[], &[]), 1);
    assert!(added.new_types.is_empty());
    assert_eq!(added.ty(&[], &[I32]), 3);
    assert_eq!(added.ty(&[I32, I32], &[]), 4);
    assert_eq!(added.ty(&[], &[I32]), 3);
    let types = added.new_types.iter().map(|ty| (ty.params().to_vec(), ty.results().to_vec()));
    assert_eq!(types.collect::<Vec<_>>(), [(vec![], vec![I32]), (vec![I32, I32], vec![])]);
}

#[test]
fn functions_and_globals_are_behind_those_of_the_module() {
    let module = module(r#"(import "env" "g" (global i32)) (global i32 (i32.const 0))"#);
    let mut added = Added::new(&module, 7, false);
    assert_eq!(added.reserve(&[], &[], "first"), 7);
    assert_eq!(added.reserve_trap("trap"), 8);
    assert_eq!(added.reserve(&[I64], &[], "last"), 9);
    added.define(9, vec![1]);
    added.define(7, vec![2]);
    let functions: Vec<(u32, &str, bool, &[u8])> = added
        .functions
        .iter()
        .map(|function| (function.ty, &*function.name, function.explains, &*function.code))
        .collect();
    assert_eq!(functions, [(0, "first", false, &[2][..]), (0, "trap", true, &[]), (1, "last", false, &[1])]);
    assert_eq!((added.global(I64, "zero"), added.word("five", 5)), (2, 3));
    assert_eq!(added.globals.iter().map(|global| global.initial).collect::<Vec<i32>>(), [0, 5]);
}

/// Table, first place, and whether it is the guest's.
#[test]
fn the_first_table_of_a_windlass_guest_is_shared_if_it_can_be() {
    for (fields, expected) in [
        ("", (0, 0, false)),
        ("(table 5 funcref)", (0, 5, true)),
        ("(table 5 funcref) (table 6 externref)", (0, 5, true)),
        ("(table 5 externref)", (1, 0, false)),
        ("(table 5 externref) (table 6 funcref)", (2, 0, false)),
        ("(table i64 5 funcref)", (1, 0, false)),
        (r#"(import "env" "table" (table 5 funcref))"#, (1, 0, false)),
        (r#"(import "env" "table" (table 5 externref)) (table 6 funcref)"#, (2, 0, false)),
    ] {
        let module = module(fields);
        let added = Added::new(&module, 0, true);
        let table = added.resume_table;
        assert_eq!((table.table, table.first, table.is_shared), expected, "{fields}");
        // Nobody else's is.
        let table = Added::new(&module, 0, false).resume_table;
        assert_eq!((table.table, table.first, table.is_shared), (module.tables.len() as u32, 0, false));
    }
}

#[test]
fn places_count_from_where_the_guests_functions_end() {
    let module = module("(table 5 funcref)");
    for (shares, places) in [(true, [5, 6]), (false, [0, 1])] {
        let mut added = Added::new(&module, 0, shares);
        let first = added.next_resume();
        added.resume.push(40);
        assert_eq!([first, added.next_resume()], places);
    }
}

/// A wild index into the guest's table must trap, not resume somebody.
#[test]
fn resume_functions_in_the_guests_table_have_a_type_that_it_does_not_have() {
    for (types, expected) in [
        ("", vec![I32]),
        ("(type (func (param i32)))", vec![I32, F32]),
        ("(type (func (param i32 f32))) (type (func (param i32)))", vec![I32, F32, F32]),
        // Others do not matter.
        ("(type (func (param i32 f32))) (type (func (param i32) (result i32)))", vec![I32]),
    ] {
        let shared = module(&format!("{types} (table 5 funcref)"));
        assert_eq!(Added::new(&shared, 0, true).resume_params, expected, "{types}");
        // Nobody reaches a table of their own.
        assert_eq!(Added::new(&module(types), 0, true).resume_params, [I32], "{types}");
        assert_eq!(Added::new(&shared, 0, false).resume_params, [I32], "{types}");
    }
}
