//! Looks for a small case that differs as a big one does.
//!
//! A smaller shape gives another module, so it is tried with many seeds. What is found is then cut: bodies of functions
//! are replaced by ones that only return.

use wasm_encoder::reencode::{Reencode, RoundtripReencoder};
use wasm_encoder::{CodeSection, Function, Instruction, Module, RawSection};
use wasmparser::{FuncType, Parser, Payload, ValType};

use crate::case::Case;
use crate::fuzz::Settings;
use crate::generate::Shape;

/// How many seeds are tried with each shape.
const SEEDS: u64 = 30;

/// A small case, and how it differs.
#[derive(Debug)]
pub struct Small {
    /// What it is like.
    pub shape: Shape,
    /// The case.
    pub case: Case,
    /// How it differs.
    pub difference: String,
}

/// Makes the case of a seed smaller. None: it does not differ.
pub fn shrink(settings: &Settings, seed: u64) -> Option<Small> {
    let mut settings = settings.clone();
    let case = settings.case(seed)?;
    let difference = settings.difference(&case)?;
    let mut best = Small { shape: settings.shape, case, difference };
    let mut improved = true;
    while improved {
        improved = false;
        for shape in smaller(best.shape) {
            settings.shape = shape;
            let seeds = std::iter::once(seed).chain((0..SEEDS).map(|seed| seed.wrapping_mul(7919)));
            for seed in seeds {
                let Some(case) = settings.case(seed) else { continue };
                if case.wasm.len() >= best.case.wasm.len() {
                    continue;
                }
                if let Some(difference) = settings.difference(&case) {
                    best = Small { shape, case, difference };
                    improved = true;
                    break;
                }
            }
            if improved {
                break;
            }
        }
    }
    settings.shape = best.shape;
    cut_calls(&settings, &mut best);
    cut_bodies(&settings, &mut best);
    Some(best)
}

/// Shapes with less of one thing.
fn smaller(shape: Shape) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let less = |number: usize| if number > 8 { number / 2 } else { number - 1 };
    if shape.statements > 1 {
        shapes.push(Shape { statements: less(shape.statements), ..shape });
    }
    if shape.functions > 1 {
        shapes.push(Shape { functions: less(shape.functions), ..shape });
    }
    if shape.depth > 1 {
        shapes.push(Shape { depth: less(shape.depth), ..shape });
    }
    shapes
}

/// Leaves out calls of exports.
fn cut_calls(settings: &Settings, best: &mut Small) {
    let mut at = 0;
    while best.case.calls.len() > 1 && at < best.case.calls.len() {
        let mut case = best.case.clone();
        case.calls.remove(at);
        match settings.difference(&case) {
            Some(difference) => (best.case, best.difference) = (case, difference),
            None => at += 1,
        }
    }
}

/// Replaces bodies by ones that only return.
fn cut_bodies(settings: &Settings, best: &mut Small) {
    let mut at = 0;
    while let Some(wasm) = without_body(&best.case.wasm, at) {
        if wasm.len() < best.case.wasm.len() {
            let case = Case { wasm, ..best.case.clone() };
            if let Some(difference) = settings.difference(&case) {
                (best.case, best.difference) = (case, difference);
            }
        }
        at += 1;
    }
}

/// The module with another body for one of its functions. None: there is no such function.
fn without_body(wasm: &[u8], which: usize) -> Option<Vec<u8>> {
    let mut types: Vec<FuncType> = Vec::new();
    let mut functions: Vec<u32> = Vec::new();
    let mut module = Module::new();
    let mut code = CodeSection::new();
    let mut bodies = 0;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.ok()?;
        match &payload {
            Payload::TypeSection(section) => {
                for ty in section.clone().into_iter_err_on_gc_types() {
                    types.push(ty.ok()?);
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    functions.push(ty.ok()?);
                }
            }
            Payload::CodeSectionStart { count, .. } => bodies = *count as usize,
            Payload::CodeSectionEntry(body) => {
                let at = code.len() as usize;
                if at == which {
                    let ty = types.get(*functions.get(at)? as usize)?;
                    code.function(&returning(ty)?);
                } else {
                    RoundtripReencoder.parse_function_body(&mut code, body.clone()).ok()?;
                }
                if code.len() as usize == bodies {
                    module.section(&code);
                }
                continue;
            }
            _ => {}
        }
        if let Some((id, range)) = payload.as_section()
            && id != 10
        {
            module.section(&RawSection { id, data: &wasm[range] });
        }
    }
    (which < bodies).then(|| module.finish())
}

fn returning(ty: &FuncType) -> Option<Function> {
    let mut function = Function::new([]);
    for result in ty.results() {
        let constant = match result {
            ValType::I32 => Instruction::I32Const(0),
            ValType::I64 => Instruction::I64Const(0),
            ValType::F32 => Instruction::F32Const(0.0_f32.into()),
            ValType::F64 => Instruction::F64Const(0.0_f64.into()),
            ValType::V128 => Instruction::V128Const(0),
            ValType::Ref(ty) => Instruction::RefNull(RoundtripReencoder.heap_type(ty.heap_type()).ok()?),
        };
        function.instruction(&constant);
    }
    function.instruction(&Instruction::End);
    Some(function)
}
