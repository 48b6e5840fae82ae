//! The last stage: hides the engine's doors and says who lowered the module.

use wasm_encoder::reencode::Reencode;
use wasm_encoder::{CustomSection, ExportSection, RawSection, reencode::RoundtripReencoder};
use wasmparser::{Parser, Payload};

use crate::abi;
use crate::error::{Error, ErrorKind};
use crate::module;

/// Removes the exports that the asyncify pass adds, if it ran, and appends section `windlass.lowered`.
///
/// The exports act on the one unwinding that the module drives itself: a host that used them would break it.
pub(crate) fn finish(wasm: &[u8], engine: &str, asyncified: bool) -> Result<Vec<u8>, Error> {
    let mut encoded = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(fault)? {
            Payload::ExportSection(section) if asyncified => {
                let mut exports = ExportSection::new();
                for export in section {
                    let export = export.map_err(fault)?;
                    if !abi::ASYNCIFY_EXPORTS.contains(&export.name) {
                        RoundtripReencoder.parse_export(&mut exports, export).map_err(fault)?;
                    }
                }
                encoded.section(&exports);
            }
            payload => {
                if let Some((id, range)) = payload.as_section() {
                    encoded.section(&RawSection { id, data: &wasm[range] });
                }
            }
        }
    }
    sign(&mut encoded, engine);
    check(encoded.finish())
}

/// Says in the module who lowered it.
fn sign(module: &mut wasm_encoder::Module, engine: &str) {
    let lowered = format!("windlass-lower {} {engine}", env!("CARGO_PKG_VERSION"));
    module.section(&CustomSection { name: abi::LOWERED_SECTION.into(), data: lowered.as_bytes().into() });
}

/// What the tool wrote must be valid: if it is not, nobody shall get it.
pub(crate) fn check(wasm: Vec<u8>) -> Result<Vec<u8>, Error> {
    module::validate(&wasm).map_err(fault)?;
    Ok(wasm)
}

fn fault(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("the lowered module is damaged: {error}"))
        .with_help(
            "if the guest is at one of the limits of engines (1,000,000 functions, 100 tables or memories), it has no \
             room for what is added; else this is a fault of windlass-lower or wasm-opt: please report it with the guest",
        )
}
