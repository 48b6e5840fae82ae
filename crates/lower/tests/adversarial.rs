//! Modules that no compiler writes, to make the own engine slow or greedy: an error or a valid module comes out, within
//! seconds and with bounded memory.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, CustomSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, InstructionSink,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TagKind, TagSection, TagType,
    TypeSection, ValType,
};

/// How long a run may take: ten times what it takes here, in a build that is not optimised.
const PATIENCE: Duration = Duration::from_secs(600);

/// How much memory a run may map, in kilobytes.
const MEMORY: u32 = 2_000_000;

/// The function that suspends, of type (i32) -> ().
const SUSPEND: u32 = 0;

/// The functions of a module: locals behind the one parameter, and the body.
type Bodies<'b> = &'b dyn Fn(&mut CodeSection, u32) -> u32;

/// A function (i32) -> ().
fn function(locals: u32, body: impl FnOnce(&mut InstructionSink<'_>)) -> Function {
    let mut function = Function::new([(locals, ValType::I32)]);
    let mut sink = function.instructions();
    body(&mut sink);
    sink.end();
    function
}

/// A call that may suspend.
fn site(sink: &mut InstructionSink<'_>) {
    sink.i32_const(0).call(SUSPEND);
}

/// What modules differ in, but for their functions.
struct Shape {
    /// What the last function returns, which takes nothing then; else it is one like the others.
    results: Vec<ValType>,
    /// Functions that are imported beside those of the ABI.
    imports: u32,
    /// How often the first function is exported.
    exports: u32,
    /// Length and maximum of the table.
    table: (u64, Option<u64>),
}

impl Default for Shape {
    fn default() -> Shape {
        Shape { results: Vec::new(), imports: 0, exports: 1, table: (2, None) }
    }
}

/// A module of either ABI, with functions (i32) -> () from the given index on, and an exception.
fn module(shape: &Shape, windlass: bool, bodies: Bodies<'_>) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32], []);
    types.ty().function([], shape.results.iter().copied());
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    imports.import(
        if windlass { "windlass" } else { "env" },
        if windlass { "leave" } else { "pause" },
        EntityType::Function(0),
    );
    let first = if windlass {
        imports.import("windlass", "run", EntityType::Function(0));
        2
    } else {
        1
    };
    for _ in 0..shape.imports {
        imports.import("env", "other", EntityType::Function(0));
    }
    let first = first + shape.imports;
    let mut code = CodeSection::new();
    let count = bodies(&mut code, first);
    let mut functions = FunctionSection::new();
    for n in 1..=count {
        functions.function(u32::from(n == count && !shape.results.is_empty()));
    }
    let mut tables = TableSection::new();
    tables.table(TableType {
        element_type: RefType::FUNCREF,
        table64: false,
        minimum: shape.table.0,
        maximum: shape.table.1,
        shared: false,
    });
    let mut tags = TagSection::new();
    tags.tag(TagType { kind: TagKind::Exception, func_type_idx: 2 });
    let mut memories = MemorySection::new();
    let memory =
        MemoryType { minimum: 2, maximum: None, memory64: false, shared: false, page_size_log2: None };
    memories.memory(memory);
    let mut globals = GlobalSection::new();
    let global = GlobalType { val_type: ValType::I32, mutable: true, shared: false };
    globals.global(global, &ConstExpr::i32_const(65536));
    let mut exports = ExportSection::new();
    exports.export("__stack_pointer", ExportKind::Global, 0);
    for n in 0..shape.exports {
        exports.export(&format!("run{n}"), ExportKind::Func, first);
    }
    if windlass {
        exports.export("go", ExportKind::Func, 1);
    }
    let mut elements = ElementSection::new();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(vec![first].into()));
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&tables).section(&memories);
    module.section(&tags).section(&globals).section(&exports).section(&elements).section(&code);
    if windlass {
        module.section(&CustomSection { name: "windlass.abi".into(), data: [1, 0, 0, 0].as_slice().into() });
    }
    module.finish()
}

/// Lowers in every way; each has to end in time, with a module or an error in so many words.
#[track_caller]
fn ends(name: &str, bodies: Bodies<'_>) {
    ends_with(name, &Shape::default(), bodies);
}

/// The same for a module of some shape.
#[track_caller]
fn ends_with(name: &str, shape: &Shape, bodies: Bodies<'_>) {
    let directory = tempfile::tempdir().expect("a directory");
    for windlass in [false, true] {
        let wasm = module(shape, windlass, bodies);
        let input = directory.path().join("in.wasm");
        std::fs::write(&input, &wasm).expect("is written");
        let abi = if windlass { "windlass" } else { "asyncify" };
        for optimize in ["speed", "size"] {
            let stable = !windlass && optimize == "size";
            let way = format!("{name}, {abi} {optimize}{}", if stable { " stable" } else { "" });
            let began = Instant::now();
            let said = run(&way, &input, abi, optimize, stable);
            println!("{way}: {} bytes, {:.1} s: {said}", wasm.len(), began.elapsed().as_secs_f32());
        }
    }
}

/// Runs the program, with so much memory as it may have; returns what it said.
fn run(way: &str, input: &std::path::Path, abi: &str, optimize: &str, stable: bool) -> String {
    let script = format!("ulimit -v {MEMORY}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_windlass-lower")]).arg(input);
    command.args(["-o", "/dev/null", "--abi", abi, "--optimize", optimize]);
    if stable {
        command.arg("--stable-buffer");
    }
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("runs");
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("can be asked") {
            break status;
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{way}: does not end within {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    if let Some(mut pipe) = child.stderr.take() {
        let _ = pipe.read_to_string(&mut said);
    }
    let said = said.lines().next().unwrap_or_default().to_owned();
    match status.code() {
        Some(0) => said,
        // It is refused, and not by what was made of it.
        Some(1)
            if said.starts_with("error: ") && !said.contains("damaged") && !said.contains("not a valid") =>
        {
            said
        }
        code => panic!("{way}: ended with {code:?}: {said}"),
    }
}

/// One function.
fn one(locals: u32, body: impl Fn(&mut InstructionSink<'_>)) -> impl Fn(&mut CodeSection, u32) -> u32 {
    move |code, _| {
        code.function(&function(locals, &body));
        1
    }
}

#[test]
fn a_hundred_thousand_nested_blocks() {
    ends(
        "blocks",
        &one(0, |sink| {
            for _ in 0..100_000 {
                sink.block(BlockType::Empty);
            }
            site(sink);
            for _ in 0..100_000 {
                sink.end();
            }
        }),
    );
}

#[test]
fn a_call_behind_each_of_thousands_of_nested_blocks() {
    ends(
        "blocks and calls",
        &one(0, |sink| {
            for _ in 0..20_000 {
                sink.block(BlockType::Empty);
            }
            sink.local_get(0).br_table((0..20_000).collect::<Vec<u32>>(), 0);
            for _ in 0..20_000 {
                sink.end();
                site(sink);
            }
        }),
    );
}

#[test]
fn calls_before_and_behind_each_nested_block() {
    // Nothing can be handed down: each level has a table of its own.
    ends(
        "blocks between calls",
        &one(0, |sink| {
            for _ in 0..10_000 {
                site(sink);
                sink.block(BlockType::Empty);
            }
            for _ in 0..10_000 {
                sink.end();
                site(sink);
            }
        }),
    );
}

#[test]
fn nested_ifs_with_calls_in_both_arms() {
    ends(
        "ifs",
        &one(0, |sink| {
            for _ in 0..20_000 {
                sink.local_get(0).if_(BlockType::Empty);
                site(sink);
            }
            for _ in 0..20_000 {
                sink.else_();
                site(sink);
                sink.end();
            }
        }),
    );
}

#[test]
fn operands_beneath_a_thousand_calls() {
    for operands in [2_000, 100_000] {
        ends(
            &format!("{operands} operands"),
            &one(0, |sink| {
                for _ in 0..operands {
                    sink.local_get(0);
                }
                for _ in 0..1_000 {
                    site(sink);
                }
                for _ in 0..operands {
                    sink.drop();
                }
            }),
        );
    }
}

#[test]
fn operands_that_grow_from_call_to_call() {
    ends(
        "growing operands",
        &one(0, |sink| {
            for _ in 0..20_000 {
                sink.local_get(0);
                site(sink);
            }
            for _ in 0..20_000 {
                sink.drop();
            }
        }),
    );
}

#[test]
fn operands_beneath_nested_blocks() {
    ends(
        "operands and blocks",
        &one(0, |sink| {
            for _ in 0..20_000 {
                sink.local_get(0).block(BlockType::Empty);
            }
            site(sink);
            for _ in 0..20_000 {
                sink.end().drop();
            }
        }),
    );
}

#[test]
fn fifty_thousand_locals() {
    for locals in [40_000, 49_990, 49_999] {
        ends(
            &format!("{locals} locals"),
            &one(locals, move |sink| {
                for local in 0..locals {
                    sink.local_get(0).local_set(local + 1);
                }
                site(sink);
                for local in 0..locals {
                    sink.local_get(local + 1).drop();
                }
            }),
        );
    }
}

#[test]
fn locals_and_blocks_together() {
    // A set of locals for each block would be a lot.
    ends(
        "locals and blocks",
        &one(49_000, |sink| {
            for _ in 0..100_000 {
                sink.block(BlockType::Empty);
            }
            site(sink);
            for block in 0..100_000 {
                sink.end().local_get(block % 49_000).drop();
            }
        }),
    );
}

#[test]
fn ten_thousand_calls_in_a_row() {
    ends("calls", &one(0, |sink| (0..10_000).for_each(|_| site(sink))));
    ends(
        "calls in an arm",
        &one(0, |sink| {
            sink.local_get(0).if_(BlockType::Empty);
            (0..60_000).for_each(|_| site(sink));
            sink.end();
        }),
    );
}

#[test]
fn a_table_with_a_hundred_thousand_targets() {
    ends(
        "targets",
        &one(0, |sink| {
            sink.block(BlockType::Empty).loop_(BlockType::Empty);
            site(sink);
            sink.local_get(0).br_table((0..100_000).map(|target| target % 2).collect::<Vec<u32>>(), 1);
            sink.end().end();
            site(sink);
        }),
    );
}

#[test]
fn many_large_tables_in_many_blocks() {
    // The sets of all targets, each time.
    ends(
        "tables",
        &one(5_000, |sink| {
            for _ in 0..1_000 {
                sink.block(BlockType::Empty);
            }
            for _ in 0..300 {
                sink.block(BlockType::Empty);
                site(sink);
                sink.local_get(0).br_table((0..1_000).collect::<Vec<u32>>(), 0).end();
            }
            for block in 0..1_000 {
                sink.end().local_get(block * 5).drop();
            }
        }),
    );
}

#[test]
fn five_thousand_nested_loops() {
    ends(
        "loops",
        &one(0, |sink| {
            for _ in 0..5_000 {
                sink.loop_(BlockType::Empty);
            }
            site(sink);
            for _ in 0..5_000 {
                sink.local_get(0).br_if(0).end();
            }
        }),
    );
}

#[test]
fn nested_loops_that_learn_of_one_local_at_a_time() {
    // What is live at a head depends on the next head, as far as there are any.
    for loops in [500, 3_000] {
        ends(
            &format!("{loops} loops and locals"),
            &one(loops, move |sink| {
                for n in 0..loops {
                    sink.loop_(BlockType::Empty);
                    sink.local_get(n).local_set(n + 1);
                }
                site(sink);
                for n in (0..loops).rev() {
                    sink.local_get(0).br_if(n).end();
                }
            }),
        );
    }
    // Branches from the innermost to each.
    ends(
        "loops with branches to each",
        &one(2_000, |sink| {
            for _ in 0..2_000 {
                sink.loop_(BlockType::Empty);
            }
            site(sink);
            for n in 0..2_000 {
                sink.local_get(n).br_if(1_999 - n).local_get(n).local_set(n + 1);
            }
            for _ in 0..2_000 {
                sink.end();
            }
        }),
    );
}

#[test]
fn code_that_nothing_arrives_at_and_much_of_it() {
    ends(
        "dead code",
        &one(0, |sink| {
            site(sink);
            sink.unreachable();
            for _ in 0..50_000 {
                sink.block(BlockType::Empty);
                site(sink);
            }
            for _ in 0..50_000 {
                sink.end();
            }
        }),
    );
}

#[test]
fn a_hundred_thousand_functions_in_a_chain() {
    ends("functions", &|code, first| {
        let count = 100_000;
        for n in 0..count {
            let callee = if n + 1 < count { first + n + 1 } else { SUSPEND };
            code.function(&function(0, |sink| {
                sink.local_get(0).call(callee);
                sink.local_get(0).call(callee);
            }));
        }
        count
    });
}

#[test]
fn frames_that_are_all_different() {
    // Each shape has helpers of its own.
    ends("shapes", &|code, _| {
        let types = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
        for n in 0..1_000 {
            let counts: Vec<u32> = (0..5).map(|digit| (n / 4u32.pow(digit) % 4) * 10).collect();
            let mut function = Function::new(counts.iter().copied().zip(types));
            let mut sink = function.instructions();
            site(&mut sink);
            for local in 0..counts.iter().sum() {
                sink.local_get(local + 1).drop();
            }
            sink.end();
            code.function(&function);
        }
        1_000
    });
}

#[test]
fn a_function_as_large_as_they_may_be() {
    // The lowered one would be larger.
    ends(
        "large",
        &one(0, |sink| {
            (0..700_000).for_each(|n| {
                if n % 3 == 0 {
                    site(sink);
                } else {
                    sink.local_get(0).drop();
                }
            })
        }),
    );
}

#[test]
fn nested_loops_that_learn_from_the_next_one() {
    // The outermost reads a local, and each head branches to the one around it: so many sweeps would tell all.
    ends(
        "heads",
        &one(1, |sink| {
            sink.loop_(BlockType::Empty).local_get(1).drop();
            for _ in 0..10_000 {
                sink.loop_(BlockType::Empty).i32_const(0).br_if(1);
            }
            site(sink);
            sink.local_get(0).drop();
            for _ in 0..=10_000 {
                sink.end();
            }
        }),
    );
}

#[test]
fn locals_and_labels_together() {
    // A set for each label that a branch goes to would be gigabytes.
    ends(
        "locals and labels",
        &one(49_000, |sink| {
            for _ in 0..60_000 {
                sink.block(BlockType::Empty).loop_(BlockType::Empty);
            }
            site(sink);
            for label in 0..120_000 {
                sink.local_get(0).br_if(0).end().local_get(label % 49_000).drop();
            }
        }),
    );
}

#[test]
fn nested_handlers_with_calls_in_each() {
    // What a call needs of each of them.
    ends(
        "handlers",
        &one(0, |sink| {
            for _ in 0..10_000 {
                sink.try_(BlockType::Empty);
                site(sink);
            }
            for _ in 0..10_000 {
                sink.catch_all().end();
            }
        }),
    );
}

#[test]
fn handlers_by_the_thousand_of_one_try() {
    ends(
        "handlers in a row",
        &one(0, |sink| {
            site(sink);
            sink.try_(BlockType::Empty);
            for _ in 0..20_000 {
                site(sink);
                sink.catch(0);
            }
            sink.end();
            site(sink);
        }),
    );
}

#[test]
fn a_thousand_results_beneath_a_call() {
    let shape = Shape { results: vec![ValType::I32; 1_000], ..Shape::default() };
    for times in [200, 20_000] {
        ends_with(&format!("{times} times a thousand results"), &shape, &|code, first| {
            code.function(&function(0, |sink| {
                for _ in 0..times {
                    sink.block(BlockType::Empty).call(first + 1);
                    site(sink);
                    sink.br(0).end();
                }
                site(sink);
            }));
            let mut thousand = Function::new([]);
            (0..1_000).for_each(|_| {
                thousand.instructions().i32_const(0);
            });
            thousand.instructions().end();
            code.function(&thousand);
            2
        });
    }
}

#[test]
fn a_thousand_results_that_nobody_keeps() {
    // A list of them for each operator would be a thousand times what is read.
    let shape = Shape { results: vec![ValType::I32; 1_000], ..Shape::default() };
    ends_with("results", &shape, &|code, first| {
        code.function(&function(0, |sink| {
            for _ in 0..4_000 {
                sink.block(BlockType::Empty).call(first + 1).br(0).end();
            }
            site(sink);
            sink.local_get(0).drop();
        }));
        let mut thousand = Function::new([]);
        (0..1_000).for_each(|_| {
            thousand.instructions().i32_const(0);
        });
        thousand.instructions().end();
        code.function(&thousand);
        2
    });
}

#[test]
fn calls_that_return_a_thousand_references() {
    let shape = Shape { results: vec![ValType::EXTERNREF; 1_000], ..Shape::default() };
    ends_with("references", &shape, &|code, first| {
        let last = first + 1;
        let call = |sink: &mut InstructionSink<'_>| {
            sink.call(last);
            (0..1_000).for_each(|_| {
                sink.drop();
            });
        };
        code.function(&function(0, |sink| {
            for _ in 0..10 {
                sink.local_get(0).if_(BlockType::Empty);
                call(sink);
                sink.else_();
            }
            call(sink);
            for _ in 0..10 {
                sink.end();
            }
            call(sink);
        }));
        let mut thousand = Function::new([]);
        let mut sink = thousand.instructions();
        site(&mut sink);
        (0..1_000).for_each(|_| {
            sink.ref_null(wasm_encoder::HeapType::EXTERN);
        });
        sink.end();
        code.function(&thousand);
        2
    });
}

#[test]
fn thousands_of_exports_and_functions_without_names() {
    let shape = Shape { exports: 20_000, ..Shape::default() };
    ends_with("exports", &shape, &|code, _| {
        for _ in 0..20_000 {
            code.function(&function(0, |_| {}));
        }
        20_000
    });
}

#[test]
fn thousands_of_imports_and_functions() {
    let shape = Shape { imports: 20_000, ..Shape::default() };
    ends_with("imports", &shape, &|code, _| {
        for _ in 0..20_000 {
            code.function(&function(0, |_| {}));
        }
        20_000
    });
}

#[test]
fn tables_as_long_as_they_may_be() {
    // Resume functions lie behind what is in there, as far as there is a behind.
    let most = u64::from(u32::MAX);
    for table in [(2, Some(most)), (most - 1, Some(most)), (most, None), (most - 1, None)] {
        let shape = Shape { table, ..Shape::default() };
        ends_with(&format!("table {table:?}"), &shape, &one(0, |sink| (0..3).for_each(|_| site(sink))));
    }
}
