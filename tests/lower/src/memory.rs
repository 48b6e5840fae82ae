//! Modules with other memories than they were written with.

use wasm_encoder::{MemorySection, MemoryType, Module, RawSection};
use wasmparser::{Parser, Payload};

/// The module, with each memory that it defines changed; the first one has the number 0.
pub fn with_memories(wasm: &[u8], change: impl Fn(usize, &mut MemoryType)) -> Option<Vec<u8>> {
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        if let Payload::MemorySection(section) = &payload {
            let mut memories = MemorySection::new();
            for (index, memory) in section.clone().into_iter().enumerate() {
                let memory = memory.ok()?;
                let mut memory = MemoryType {
                    minimum: memory.initial,
                    maximum: memory.maximum,
                    memory64: memory.memory64,
                    shared: memory.shared,
                    page_size_log2: memory.page_size_log2,
                };
                change(index, &mut memory);
                memories.memory(memory);
            }
            module.section(&memories);
        } else if let Some((id, range)) = payload.as_section() {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    Some(module.finish())
}

/// How many pages the first memory has at the start.
pub fn pages(wasm: &[u8]) -> Option<u64> {
    Parser::new(0).parse_all(wasm).find_map(|payload| match payload.ok()? {
        Payload::MemorySection(section) => Some(section.into_iter().next()?.ok()?.initial),
        _ => None,
    })
}
