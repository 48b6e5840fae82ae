//! Modules of wasm-smith: without structure of our choosing, so they find what nobody thought of. Most calls in them are
//! short.

use arbitrary::Unstructured;
use wasm_encoder::{EntityType, ImportSection, Module, TypeSection, ValType};
use wasm_smith::Config;

use crate::generate::Features;
use crate::memory::with_memories;
use crate::rng::Rng;

/// How many function entries and loop heads a module has for its whole life.
const FUEL: u32 = 2_000;

/// The module of that seed, if there is one.
pub fn generate(seed: u64, features: Features) -> Option<Vec<u8>> {
    let mut rng = Rng::new(seed, "smith");
    let bytes = rng.between(2_000, 12_000);
    let bytes = rng.bytes(bytes);
    let config = config(&mut rng, features);
    let mut module = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)).ok()?;
    module.ensure_termination(FUEL).ok()?;
    with_room(&module.to_bytes())
}

/// The module with memories that are never empty: without room nothing can be suspended.
fn with_room(wasm: &[u8]) -> Option<Vec<u8>> {
    with_memories(wasm, |_, memory| {
        memory.minimum = memory.minimum.max(1);
        memory.maximum = memory.maximum.map(|maximum| maximum.max(memory.minimum));
    })
}

fn config(rng: &mut Rng, features: Features) -> Config {
    Config {
        available_imports: Some(imports(features)),
        min_imports: 6,
        max_imports: 14,
        export_everything: true,
        allow_start_export: false,
        canonicalize_nans: true,
        disallow_traps: rng.percent(70),
        min_funcs: 3,
        max_funcs: 12,
        max_instructions: rng.between(60, 300),
        min_memories: 1,
        max_memories: if features.memories { 2 } else { 1 },
        max_memory32_bytes: 1 << 20,
        memory_max_size_required: true,
        max_tables: if features.references { 3 } else { 1 },
        max_table_elements: 100,
        table_max_size_required: true,
        max_nesting_depth: 12,
        multi_value_enabled: features.multi_value,
        reference_types_enabled: features.references,
        bulk_memory_enabled: features.references,
        // There are so many vector instructions that few calls are left among them.
        simd_enabled: features.v128 && rng.percent(20),
        tail_call_enabled: features.tail_calls,
        exceptions_enabled: features.exceptions,
        extended_const_enabled: false,
        relaxed_simd_enabled: false,
        gc_enabled: false,
        custom_descriptors_enabled: false,
        custom_page_sizes_enabled: false,
        memory64_enabled: false,
        shared_everything_threads_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        generate_custom_sections: false,
        ..Config::default()
    }
}

/// A module with the imports that wasm-smith may choose from.
fn imports(features: Features) -> Vec<u8> {
    let mut signatures: Vec<(&str, Vec<ValType>, Vec<ValType>)> = vec![
        ("s0", vec![], vec![]),
        ("s1", vec![ValType::I32], vec![ValType::I32]),
        ("s2", vec![ValType::I64, ValType::F64], vec![ValType::F32]),
        ("s3", vec![], vec![ValType::I64]),
        ("s4", vec![ValType::F32, ValType::I32, ValType::I64], vec![ValType::F64]),
        ("h0", vec![ValType::I32], vec![]),
        ("h1", vec![], vec![ValType::I32]),
    ];
    if features.multi_value {
        signatures.push(("s5", vec![ValType::I32], vec![ValType::I64, ValType::F32]));
    }
    if features.v128_host {
        signatures.push(("s6", vec![ValType::V128], vec![ValType::V128]));
    }
    if features.references {
        signatures.push(("s7", vec![ValType::EXTERNREF], vec![ValType::EXTERNREF]));
    }
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    for (index, (name, params, results)) in signatures.into_iter().enumerate() {
        types.ty().function(params, results);
        imports.import("env", name, EntityType::Function(index as u32));
    }
    let mut module = Module::new();
    module.section(&types).section(&imports);
    module.finish()
}
