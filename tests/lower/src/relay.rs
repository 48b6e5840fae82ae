//! Imports behind functions of the module: wasmi suspends a call in an import only if it was not a tail call.

use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Function, FunctionSection, Instruction, Module};
use wasmparser::{CodeSectionReader, FunctionSectionReader, Parser, Payload, TypeRef};

/// The module, with each function that it imports called by one of its own, in which that is no tail call.
pub fn with_relays(wasm: &[u8]) -> Option<Vec<u8>> {
    let mut relays = Relays { imports: Vec::new(), first: 0 };
    let mut arities: Vec<u32> = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::TypeSection(section) => {
                for ty in section.into_iter_err_on_gc_types() {
                    arities.push(ty.ok()?.params().len() as u32);
                }
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    if let TypeRef::Func(ty) = import.ok()?.ty {
                        relays.imports.push((ty, *arities.get(ty as usize)?));
                    }
                }
            }
            Payload::FunctionSection(section) => relays.first = relays.imports.len() as u32 + section.count(),
            _ => {}
        }
    }
    let mut module = Module::new();
    relays.parse_core_module(&mut module, Parser::new(0), wasm).ok()?;
    Some(module.finish())
}

struct Relays {
    /// The type of each imported function, and how many parameters it has.
    imports: Vec<(u32, u32)>,
    /// The index of the function that calls the first one.
    first: u32,
}

impl Reencode for Relays {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, Error<Self::Error>> {
        let is_import = (function as usize) < self.imports.len();
        Ok(if is_import { self.first + function } else { function })
    }

    fn parse_function_section(
        &mut self,
        functions: &mut FunctionSection,
        section: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_function_section(self, functions, section)?;
        for (ty, _) in &self.imports {
            functions.function(*ty);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        code: &mut CodeSection,
        section: CodeSectionReader<'_>,
    ) -> Result<(), Error<Self::Error>> {
        utils::parse_code_section(self, code, section)?;
        for (import, (_, params)) in (0..).zip(&self.imports) {
            let mut relay = Function::new([]);
            for param in 0..*params {
                relay.instruction(&Instruction::LocalGet(param));
            }
            relay.instruction(&Instruction::Call(import)).instruction(&Instruction::End);
            code.function(&relay);
        }
        Ok(())
    }
}
