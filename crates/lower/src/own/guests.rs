//! Guests in text, read as far as a stage needs them: for the tests of the stages.

use wasmparser::{BinaryReader, FuncValidatorAllocations, FunctionBody, Operator};

use crate::module::Module;
use crate::own::added::Added;
use crate::own::body::{self, Body};
use crate::own::calls::{Calls, Root, Rules};
use crate::own::code::{self, Kind, Layout, Surroundings};
use crate::own::frame::{Frames, Store};
use crate::own::{Indices, liveness, validators};

/// What comes from `suspends` and `again` suspends, what comes from `returns` does not.
const PRELUDE: &str = r#"
    (import "suspends" "switch" (func $switch))
    (import "suspends" "read" (func $read (param i32) (result i32)))
    (import "suspends" "pair" (func $pair (result i32 i64)))
    (import "again" "wait" (func $wait (param i32) (result i32)))
    (import "returns" "log" (func $log))
    (import "returns" "two" (func $two (result i32 i64)))
"#;

/// A module in text, without the word. It stays in memory, so that nobody has to hold it.
#[track_caller]
pub(crate) fn module(fields: &str) -> Module<'static> {
    let wasm = wat::parse_str(format!("(module {fields})")).unwrap_or_else(|error| panic!("{error}"));
    Module::parse(wasm.leak()).unwrap_or_else(|error| panic!("{error}"))
}

/// The function of that name.
#[track_caller]
pub(crate) fn function(module: &Module<'_>, name: &str) -> u32 {
    let found = module.function_names.iter().find(|(_, known)| **known == name);
    found.map(|(function, _)| *function).unwrap_or_else(|| panic!("no function `{name}`"))
}

/// A guest with a function `$test`.
pub(crate) struct Guest {
    module: Module<'static>,
    calls: Calls,
    test: u32,
}

impl Guest {
    /// Its functions, which have the imports before them.
    #[track_caller]
    pub(crate) fn new(fields: &str) -> Guest {
        let module = module(&format!("{PRELUDE} {fields}"));
        let roots = (0..).zip(&module.function_imports).filter(|(_, import)| import.module != "returns");
        let roots = roots.map(|(function, import)| Root { function, again: import.module == "again" });
        let rules = Rules { roots: roots.collect(), ..Rules::default() };
        let calls = Calls::analyse(&module, &rules).unwrap();
        let test = function(&module, "test");
        Guest { module, calls, test }
    }

    /// `$test` as it was read.
    #[track_caller]
    pub(crate) fn body(&self) -> Body<'static> {
        let position = self.test as usize - self.module.function_imports.len();
        let to_validate = validators(self.module.wasm).unwrap().swap_remove(position);
        let mut validator = to_validate.into_validator(FuncValidatorAllocations::default());
        let ty = self.module.function_type(self.test).unwrap();
        let body = &self.module.bodies[position];
        body::read(self.module.wasm, &mut validator, body, ty.params(), ty.results(), &self.calls, self.test)
            .unwrap()
    }

    /// One lowered body of `$test`, and what was added for it.
    #[track_caller]
    pub(crate) fn emit(&self, kind: Kind) -> (Vec<u8>, Added) {
        let body = self.body();
        let layout = Layout::new(&body, &liveness::live_across_sites(&body));
        let count = (self.module.function_imports.len() + self.module.functions.len()) as u32;
        let same: Vec<u32> = (0..count).collect();
        let indices = Indices { places: same.clone(), calls: same.clone(), references: same, removed: None };
        let mut added = Added::new(&self.module, count, false);
        let mut frames = Frames::new(store(), None, 0);
        let around = Surroundings {
            module: &self.module,
            calls: &self.calls,
            indices: &indices,
            function: self.test,
            id: 0,
        };
        let code = code::emit(kind, &body, &layout, &around, &mut frames, &mut added).unwrap();
        (code, added)
    }
}

/// `$test` of a guest, as it was read.
#[track_caller]
pub(crate) fn body(fields: &str) -> Body<'static> {
    Guest::new(fields).body()
}

/// Globals and functions that no guest here has.
pub(crate) fn store() -> Store {
    Store {
        memory: 0,
        unwinding: 100,
        wp: 101,
        room: 102,
        cur: 103,
        entry: 104,
        grow: 200,
        mistake: 201,
        full: 202,
    }
}

/// The operators of a body that the tool wrote.
#[track_caller]
pub(crate) fn operators(code: &[u8]) -> Vec<Operator<'_>> {
    let body = FunctionBody::new(BinaryReader::new(code, 0));
    body.get_operators_reader().unwrap().into_iter().map(Result::unwrap).collect()
}
