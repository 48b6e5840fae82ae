//! What a module consists of, decided before the first body is written.

use wasm_encoder::{Function, Ieee32, Ieee64, Instruction, ValType};

use crate::generate::Shape;
use crate::generate::exception::EXNREF;
use crate::rng::Rng;

/// Writes the body of a function that every generated module has.
type Mixer = fn(&Plan) -> Function;

/// The generator's own functions, in the order of their indices.
pub(super) const MIXERS: &[Mixer] = &[tick, mix32, mix64, canonical32, canonical64];

/// The global that goes down until everything ends.
const FUEL: u32 = 0;
/// The accumulators.
const SUM32: u32 = 1;
const SUM64: u32 = 2;

/// The parameters and results of a function.
pub(super) type Signature = (Vec<ValType>, Vec<ValType>);

pub(super) struct Import {
    pub(super) name: String,
    pub(super) ty: u32,
}

/// A range of the table with functions of one type; its length is a power of two.
#[derive(Clone, Copy)]
pub(super) struct Group {
    pub(super) ty: u32,
    pub(super) start: u32,
    pub(super) length: u32,
}

pub(super) struct Plan {
    pub(super) shape: Shape,
    pub(super) types: Vec<Signature>,
    pub(super) imports: Vec<Import>,
    /// The types of the functions that are defined, the generator's own first.
    pub(super) functions: Vec<u32>,
    pub(super) globals: Vec<ValType>,
    pub(super) table: Vec<Option<u32>>,
    pub(super) groups: Vec<Group>,
    /// The types of the tags.
    pub(super) tags: Vec<u32>,
    /// What values may be made of.
    pub(super) values: Vec<ValType>,
}

impl Plan {
    pub(super) fn new(rng: &mut Rng, shape: &Shape) -> Plan {
        let features = shape.features;
        let mut values = vec![ValType::I32, ValType::I64, ValType::F32, ValType::F64];
        let mut globals = vec![ValType::I32, ValType::I32, ValType::I64];
        globals.extend(values.iter().copied());
        if features.v128 {
            values.push(ValType::V128);
            globals.push(ValType::V128);
        }
        if features.references {
            values.extend([ValType::FUNCREF, ValType::EXTERNREF]);
            globals.push(ValType::EXTERNREF);
        }
        if features.exceptions && rng.percent(50) {
            // Else only where it is caught.
            values.push(EXNREF);
        }
        let mut plan = Plan {
            shape: *shape,
            types: Vec::new(),
            imports: Vec::new(),
            functions: Vec::new(),
            globals,
            table: Vec::new(),
            groups: Vec::new(),
            tags: Vec::new(),
            values,
        };
        plan.plan_imports(rng);
        for (params, results) in [
            (&[][..], &[ValType::I32][..]),
            (&[ValType::I32], &[]),
            (&[ValType::I64], &[]),
            (&[ValType::F32], &[ValType::F32]),
            (&[ValType::F64], &[ValType::F64]),
        ] {
            let ty = plan.ty(params, results);
            plan.functions.push(ty);
        }
        for _ in 0..shape.functions.max(1) {
            let (params, results) = plan.signature(rng, false);
            let ty = plan.ty(&params, &results);
            plan.functions.push(ty);
        }
        plan.plan_table(rng);
        if features.exceptions || features.legacy_exceptions {
            let mut tags = vec![vec![ValType::I32], vec![], vec![ValType::I64, ValType::F64]];
            if features.references {
                tags.push(vec![ValType::EXTERNREF]);
            }
            for params in tags {
                let ty = plan.ty(&params, &[]);
                plan.tags.push(ty);
            }
        }
        plan
    }

    fn plan_imports(&mut self, rng: &mut Rng) {
        let mut signatures = vec![(vec![], vec![]), (vec![ValType::I32], vec![ValType::I32])];
        for result in [ValType::I64, ValType::F32, ValType::F64] {
            let (params, _) = self.signature(rng, true);
            signatures.push((params, vec![result]));
        }
        signatures.push(self.signature(rng, true));
        if self.shape.features.references {
            let params = vec![ValType::EXTERNREF, ValType::FUNCREF, ValType::I32];
            signatures.push((params, vec![ValType::EXTERNREF]));
        }
        for (index, (params, results)) in signatures.into_iter().enumerate() {
            let ty = self.ty(&params, &results);
            self.imports.push(Import { name: format!("s{index}"), ty });
        }
        let (params, _) = self.signature(rng, true);
        for (index, (params, results)) in
            [(vec![ValType::I32], vec![]), (params, vec![ValType::I64])].into_iter().enumerate()
        {
            let ty = self.ty(&params, &results);
            self.imports.push(Import { name: format!("h{index}"), ty });
        }
    }

    fn plan_table(&mut self, rng: &mut Rng) {
        let callable: Vec<u32> = self.callable().collect();
        let mut types: Vec<u32> = callable.iter().map(|function| self.type_of(*function)).collect();
        types.sort_unstable();
        types.dedup();
        self.table.push(None);
        for ty in types {
            let of_type: Vec<u32> =
                callable.iter().copied().filter(|function| self.type_of(*function) == ty).collect();
            let length = of_type.len().next_power_of_two();
            self.groups.push(Group { ty, start: self.table.len() as u32, length: length as u32 });
            for index in 0..length {
                let other = rng.pick(&of_type);
                self.table.push(of_type.get(index).copied().or(other));
            }
        }
    }

    fn signature(&self, rng: &mut Rng, of_host: bool) -> Signature {
        let features = self.shape.features;
        let mut pool = self.values.clone();
        if of_host {
            pool.retain(|ty| match *ty {
                ValType::V128 => features.v128_host,
                ValType::FUNCREF => false,
                ty if ty == EXNREF => false,
                _ => true,
            });
        }
        let params = if features.big && rng.percent(8) { rng.between(17, 22) } else { rng.below(4) };
        let results = match rng.below(10) {
            0 | 1 => 0,
            2..=5 => 1,
            _ if features.multi_value => rng.between(2, 4),
            _ => 1,
        };
        let mut some = |count| -> Vec<ValType> { (0..count).filter_map(|_| rng.pick(&pool)).collect() };
        (some(params), some(results))
    }

    /// The index of the type.
    pub(super) fn ty(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let known = self.types.iter().position(|(known, of)| known == params && of == results);
        known.unwrap_or_else(|| {
            self.types.push((params.to_vec(), results.to_vec()));
            self.types.len() - 1
        }) as u32
    }

    /// The functions with generated bodies.
    pub(super) fn own(&self) -> std::ops::Range<u32> {
        let first = self.imports.len() + MIXERS.len();
        first as u32..(self.imports.len() + self.functions.len()) as u32
    }

    /// The functions that generated bodies call.
    pub(super) fn callable(&self) -> impl Iterator<Item = u32> + use<> {
        (0..self.imports.len() as u32).chain(self.own())
    }

    pub(super) fn type_of(&self, function: u32) -> u32 {
        let index = function as usize;
        match self.imports.get(index) {
            Some(import) => import.ty,
            None => self.functions[index - self.imports.len()],
        }
    }

    pub(super) fn signature_of(&self, function: u32) -> Signature {
        self.types[self.type_of(function) as usize].clone()
    }

    /// Whether the host can call it: all but those with types that the host lacks.
    pub(super) fn is_exported(&self, function: u32) -> bool {
        let (params, results) = self.signature_of(function);
        let v128 = self.shape.features.v128_host;
        params.iter().chain(&results).all(|ty| *ty != EXNREF && (*ty != ValType::V128 || v128))
    }

    /// The imports that may suspend.
    pub(super) fn suspending(&self) -> Vec<u32> {
        let imports = (0..).zip(&self.imports);
        imports.filter(|(_, import)| import.name.starts_with('s')).map(|(index, _)| index).collect()
    }

    /// The global that counts what is thrown. It is behind all others, and only there if there is a tag.
    pub(super) fn thrown(&self) -> u32 {
        self.globals.len() as u32
    }

    /// One of the functions above, by its place in [`MIXERS`].
    fn mixer(&self, place: usize) -> Instruction<'static> {
        Instruction::Call((self.imports.len() + place) as u32)
    }

    /// Takes fuel; leaves whether there is none left.
    pub(super) fn tick(&self) -> Instruction<'static> {
        self.mixer(0)
    }

    pub(super) fn mix32(&self) -> Instruction<'static> {
        self.mixer(1)
    }

    pub(super) fn mix64(&self) -> Instruction<'static> {
        self.mixer(2)
    }

    pub(super) fn canonical32(&self) -> Instruction<'static> {
        self.mixer(3)
    }

    pub(super) fn canonical64(&self) -> Instruction<'static> {
        self.mixer(4)
    }
}

fn function(body: &[Instruction<'_>]) -> Function {
    let mut function = Function::new([]);
    for instruction in body {
        function.instruction(instruction);
    }
    function.instruction(&Instruction::End);
    function
}

fn tick(_: &Plan) -> Function {
    function(&[
        Instruction::GlobalGet(FUEL),
        Instruction::I32Const(1),
        Instruction::I32Sub,
        Instruction::GlobalSet(FUEL),
        Instruction::GlobalGet(FUEL),
        Instruction::I32Const(0),
        Instruction::I32LtS,
    ])
}

fn mix32(_: &Plan) -> Function {
    function(&[
        Instruction::GlobalGet(SUM32),
        Instruction::I32Const(5),
        Instruction::I32Rotl,
        Instruction::LocalGet(0),
        Instruction::I32Xor,
        Instruction::I32Const(0x9e37_79b1_u32 as i32),
        Instruction::I32Mul,
        Instruction::GlobalSet(SUM32),
    ])
}

fn mix64(_: &Plan) -> Function {
    function(&[
        Instruction::GlobalGet(SUM64),
        Instruction::I64Const(7),
        Instruction::I64Rotl,
        Instruction::LocalGet(0),
        Instruction::I64Xor,
        Instruction::I64Const(0x9e37_79b9_7f4a_7c15_u64 as i64),
        Instruction::I64Mul,
        Instruction::GlobalSet(SUM64),
    ])
}

fn canonical32(_: &Plan) -> Function {
    function(&[
        Instruction::LocalGet(0),
        Instruction::F32Const(Ieee32::from(1.25)),
        Instruction::LocalGet(0),
        Instruction::LocalGet(0),
        Instruction::F32Eq,
        Instruction::Select,
    ])
}

fn canonical64(_: &Plan) -> Function {
    function(&[
        Instruction::LocalGet(0),
        Instruction::F64Const(Ieee64::from(2.75)),
        Instruction::LocalGet(0),
        Instruction::LocalGet(0),
        Instruction::F64Eq,
        Instruction::Select,
    ])
}
