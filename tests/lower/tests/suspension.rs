//! A lowered module, suspended and resumed at any of its suspending imports, behaves as the original: a few hundred
//! random modules, always the same, and all that once went wrong.

use std::fs;
use std::path::{Path, PathBuf};

use lower_tests::case::{Buffers, Case};
use lower_tests::engine::Engine;
use lower_tests::fuzz::{Extent, Settings, Source, Total, fuzz};
use lower_tests::generate::{Features, Shape};
use lower_tests::via::Via;

fn features(names: &str) -> Features {
    names.parse().expect("known options")
}

fn settings(via: Option<Via>, source: Source, options: &str) -> Settings {
    let shape = Shape { features: features(options), ..Shape::default() };
    Settings { source, shape, vary: true, engine: Engine::Wasmi, node: None, via, stable: false }
}

/// Compares so many cases; none may differ, none may be refused.
fn all_alike(settings: &Settings, cases: u64) -> Total {
    let extent = Extent {
        seed: 1,
        cases,
        time: None,
        jobs: 2,
        output: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fuzz-lower"),
        progress: false,
    };
    let total = fuzz(settings, &extent).expect("runs");
    println!("{}", total.line());
    assert_eq!(total.differences, [], "the cases are in {}", extent.output.display());
    assert_eq!(total.refused.keys().collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(total.cases > cases / 2, "nearly all seeds have a module");
    assert!(settings.via.is_none() || total.sum.suspensions > cases, "calls were suspended");
    total
}

/// Everything in `corpus` that the lowering takes, by the features it needs.
fn replay(via: &Via, stable: bool) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut failed = Vec::new();
    let mut check = |name: &str, settings: &Settings, case: &Case| {
        let lowered = settings.lower(case).expect("is lowered");
        let verdict = settings.compare(case, lowered.as_deref());
        if let Some(difference) = verdict.difference {
            failed.push(format!("{name}, seed {}: {difference}", case.seed));
        }
    };
    let mut settings = settings(Some(via.clone()), Source::Structured, "");
    settings.stable = stable;
    let seeds = fs::read_to_string(corpus.join("seeds.txt")).expect("seeds");
    for line in seeds.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| fields[at].parse::<usize>().expect("a number");
        settings.shape = Shape {
            functions: number(1),
            depth: number(2),
            statements: number(3),
            features: features(fields.get(4).copied().unwrap_or_default()),
        };
        settings.vary = false;
        check(line, &settings, &settings.case(number(0) as u64).expect("a case"));
    }
    for entry in fs::read_dir(&corpus).expect("a corpus") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "wat") {
            let wasm = wat::parse_file(&path).expect("is text format");
            for seed in 0..3 {
                let case = Case::new(seed, wasm.clone(), Buffers::GENERATED).expect("a case");
                check(&path.display().to_string(), &settings, &case);
            }
        }
    }
    assert_eq!(failed, Vec::<String>::new());
}

fn wasm_opt() -> Via {
    let path = std::env::var_os("WINDLASS_WASM_OPT").map_or_else(|| PathBuf::from("wasm-opt"), PathBuf::from);
    Via::wasm_opt(&path, "-O1")
}

#[test]
fn the_same_module_runs_the_same_twice() {
    all_alike(&settings(None, Source::Structured, "wasmi"), 40);
    all_alike(&settings(None, Source::Smith, "wasmi"), 40);
}

/// What wasmi does not run; and the option does what it says.
#[cfg(feature = "wasmtime")]
#[test]
fn exceptions_are_thrown_and_caught() {
    let mut settings = settings(None, Source::Structured, "wasmi,exceptions");
    (settings.engine, settings.vary) = (Engine::Wasmtime, false);
    let total = all_alike(&settings, 16);
    let (thrown, uncaught) = (total.sum.thrown, total.sum.uncaught);
    assert!(uncaught > 0 && thrown > 2 * uncaught, "{thrown} thrown, {uncaught} not caught");
}

#[test]
fn what_binaryen_lowers_behaves_as_before() {
    all_alike(&settings(Some(wasm_opt()), Source::Structured, "basic,v128,v128-host"), 12);
}

#[test]
fn binaryen_passes_the_corpus() {
    replay(&wasm_opt(), false);
}

/// The checks themselves: a lowering that forgets one import that suspends must be seen.
#[test]
fn a_wrong_lowering_differs() {
    let (path, args) = match wasm_opt() {
        Via::Binary(path, args) => (path, args),
        Via::Library(_) => unreachable!("wasm-opt is a program"),
    };
    let forgets = args.into_iter().map(|arg| match arg.to_str() {
        Some("--pass-arg=asyncify-imports@{imports}") => "--pass-arg=asyncify-imports@env.s0".into(),
        _ => arg,
    });
    let wrong = settings(Some(Via::Binary(path, forgets.collect())), Source::Structured, "basic");
    let differs = (0..4).filter(|seed| {
        let case = wrong.case(*seed).expect("a case");
        wrong.difference(&case).is_some()
    });
    assert!(differs.count() > 0);
}

mod own {
    use super::{Source, Via, all_alike, replay, settings};

    const AIMS: [&str; 3] = ["speed", "balanced", "size"];

    #[test]
    fn what_the_own_engine_lowers_behaves_as_before() {
        for aim in AIMS {
            let via = Via::library("own", aim, false).expect("an engine");
            all_alike(&settings(Some(via.clone()), Source::Structured, "wasmi"), 25);
            all_alike(&settings(Some(via), Source::Smith, "wasmi"), 25);
        }
    }

    #[test]
    fn hosts_may_leave_the_buffer_alone() {
        for aim in AIMS {
            let via = Via::library("own", aim, true).expect("an engine");
            let mut settings = settings(Some(via), Source::Structured, "wasmi");
            settings.stable = true;
            all_alike(&settings, 15);
        }
    }

    #[test]
    fn the_own_engine_passes_the_corpus() {
        for aim in AIMS {
            replay(&Via::library("own", aim, false).expect("an engine"), false);
            replay(&Via::library("own", aim, true).expect("an engine"), true);
        }
    }
}
