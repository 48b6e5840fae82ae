//! Custom sections that are left out.

use wasm_encoder::{Module, RawSection};
use wasmparser::{BinaryReaderError, Parser, Payload};

/// Which custom sections go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Strip {
    /// Names and DWARF.
    pub(crate) debug: bool,
    /// DWARF alone.
    pub(crate) dwarf: bool,
    /// Which tools made the module.
    pub(crate) producers: bool,
    /// Which proposals it uses.
    pub(crate) target_features: bool,
}

impl Strip {
    fn takes(self, section: &str) -> bool {
        let dwarf = section.starts_with(".debug_");
        match section {
            "name" => self.debug,
            "producers" => self.producers,
            "target_features" => self.target_features,
            _ => dwarf && (self.debug || self.dwarf),
        }
    }

    /// The module without them.
    pub(crate) fn apply(self, wasm: &[u8]) -> Result<Vec<u8>, BinaryReaderError> {
        let mut module = Module::new();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload?;
            if matches!(&payload, Payload::CustomSection(section) if self.takes(section.name())) {
                continue;
            }
            if let Some((id, range)) = payload.as_section() {
                module.section(&RawSection { id, data: &wasm[range] });
            }
        }
        Ok(module.finish())
    }
}
