//! The options of `wasm-opt`: what of each matters here.
//!
//! Names are those of Binaryen 100 to 124. An option that is not in the tables is taken for one that changes the module.

/// What an option does to the module, which says where it may run and whether it may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Makes it faster or smaller.
    Optimises,
    /// Nothing, but others depend on it.
    Modifies,
    /// Changes what it is for its host, before the lowering as well as after.
    Prepares,
    /// Changes it, at this place in the line.
    Changes,
    /// Works on what is written in the end.
    Ends,
    /// Keeps a source map.
    Maps,
}

impl Effect {
    /// Whether leaving it out would give another module, and not only a slower one.
    pub(crate) fn matters(self) -> bool {
        matches!(self, Effect::Prepares | Effect::Changes | Effect::Ends | Effect::Maps)
    }

    /// Whether there is something to run before the lowering.
    pub(crate) fn runs(self) -> bool {
        matches!(self, Effect::Optimises | Effect::Prepares | Effect::Changes)
    }
}

/// What an option is to this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Output,
    OutputSourceMap,
    Asyncify,
    PassArgument,
    Debuginfo,
    Quiet,
    StripDebug,
    StripDwarf,
    StripProducers,
    StripTargetFeatures,
    OptimizeLevel,
    ShrinkLevel,
    /// `-O` with a letter or digit: the two levels.
    Optimize(u32, u32),
    Other(Effect),
}

/// Whether an option takes a value, besides one behind `=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    None,
    Next,
}

/// Options that are no passes, by their long and short names.
const OPTIONS: &[(&str, &str, Role, Value)] = &[
    ("--output", "-o", Role::Output, Value::Next),
    ("--asyncify", "", Role::Asyncify, Value::None),
    ("--pass-arg", "-pa", Role::PassArgument, Value::Next),
    ("--debuginfo", "-g", Role::Debuginfo, Value::None),
    ("--quiet", "-q", Role::Quiet, Value::None),
    ("--strip", "", Role::StripDebug, Value::None),
    ("--strip-debug", "", Role::StripDebug, Value::None),
    ("--strip-dwarf", "", Role::StripDwarf, Value::None),
    ("--strip-producers", "", Role::StripProducers, Value::None),
    ("--strip-target-features", "", Role::StripTargetFeatures, Value::None),
    ("--optimize-level", "-ol", Role::OptimizeLevel, Value::Next),
    ("--shrink-level", "-s", Role::ShrinkLevel, Value::Next),
    ("", "-O", Role::Optimize(2, 1), Value::None),
    ("", "-O0", Role::Optimize(0, 0), Value::None),
    ("", "-O1", Role::Optimize(1, 0), Value::None),
    ("", "-O2", Role::Optimize(2, 0), Value::None),
    ("", "-O3", Role::Optimize(3, 0), Value::None),
    ("", "-O4", Role::Optimize(4, 0), Value::None),
    ("", "-Os", Role::Optimize(2, 1), Value::None),
    ("", "-Oz", Role::Optimize(2, 2), Value::None),
    ("--emit-text", "-S", Role::Other(Effect::Ends), Value::None),
    ("--input-source-map", "-ism", Role::Other(Effect::Maps), Value::Next),
    ("--output-source-map", "-osm", Role::OutputSourceMap, Value::Next),
    ("--output-source-map-url", "-osu", Role::Other(Effect::Maps), Value::Next),
    ("--emit-js-wrapper", "-ejw", Role::Other(Effect::Ends), Value::Next),
    ("--emit-spec-wrapper", "-esw", Role::Other(Effect::Ends), Value::Next),
    ("--emit-wasm2c-wrapper", "", Role::Other(Effect::Ends), Value::Next),
    ("--emit-exnref", "", Role::Other(Effect::Ends), Value::None),
    ("--experimental-new-eh", "", Role::Other(Effect::Ends), Value::None),
    ("--extra-fuzz-command", "-efc", Role::Other(Effect::Ends), Value::Next),
    ("--fuzz-exec-second", "", Role::Other(Effect::Ends), Value::Next),
    ("--initial-fuzz", "-if", Role::Other(Effect::Changes), Value::Next),
    ("--fuzz-import", "", Role::Other(Effect::Changes), Value::Next),
    ("--converge", "-c", Role::Other(Effect::Modifies), Value::None),
    ("--debug", "-d", Role::Other(Effect::Modifies), Value::None),
    ("--all-features", "-all", Role::Other(Effect::Modifies), Value::None),
    ("--mvp-features", "-mvp", Role::Other(Effect::Modifies), Value::None),
    ("--detect-features", "", Role::Other(Effect::Modifies), Value::None),
    ("--no-validation", "-n", Role::Other(Effect::Modifies), Value::None),
    ("--nominal", "", Role::Other(Effect::Modifies), Value::None),
    ("--structural", "", Role::Other(Effect::Modifies), Value::None),
    ("--hybrid", "", Role::Other(Effect::Modifies), Value::None),
    ("--closed-world", "-cw", Role::Other(Effect::Modifies), Value::None),
    ("--preserve-type-order", "", Role::Other(Effect::Modifies), Value::None),
    ("--emit-module-names", "", Role::Other(Effect::Modifies), Value::None),
    ("--always-inline-max-function-size", "-aimfs", Role::Other(Effect::Modifies), Value::Next),
    ("--flexible-inline-max-function-size", "-fimfs", Role::Other(Effect::Modifies), Value::Next),
    ("--one-caller-inline-max-function-size", "-ocimfs", Role::Other(Effect::Modifies), Value::Next),
    ("--inline-max-combined-binary-size", "-imcbs", Role::Other(Effect::Modifies), Value::Next),
    ("--inline-functions-with-loops", "-ifwl", Role::Other(Effect::Modifies), Value::None),
    ("--partial-inlining-ifs", "-pii", Role::Other(Effect::Modifies), Value::Next),
    ("--ignore-implicit-traps", "-iit", Role::Other(Effect::Modifies), Value::None),
    ("--traps-never-happen", "-tnh", Role::Other(Effect::Modifies), Value::None),
    ("--low-memory-unused", "-lmu", Role::Other(Effect::Modifies), Value::None),
    ("--fast-math", "-ffm", Role::Other(Effect::Modifies), Value::None),
    ("--zero-filled-memory", "-uim", Role::Other(Effect::Modifies), Value::None),
    ("--skip-pass", "-sp", Role::Other(Effect::Modifies), Value::Next),
    ("--no-stack-ir", "", Role::Other(Effect::Modifies), Value::None),
    ("--legalize-js-interface", "", Role::Other(Effect::Prepares), Value::None),
    ("--legalize-js-interface-minimally", "", Role::Other(Effect::Prepares), Value::None),
    ("--legalize-and-prune-js-interface", "", Role::Other(Effect::Prepares), Value::None),
    ("--post-emscripten", "", Role::Other(Effect::Prepares), Value::None),
];

/// Passes without which the module does the same.
const OPTIMISERS: &[&str] = &[
    "cfp",
    "cfp-reftest",
    "coalesce-locals",
    "coalesce-locals-learning",
    "code-folding",
    "code-pushing",
    "const-hoisting",
    "constraint-analysis",
    "dae",
    "dae-optimizing",
    "dce",
    "dfo",
    "directize",
    "discard-global-effects",
    "duplicate-function-elimination",
    "duplicate-import-elimination",
    "flatten",
    "generate-global-effects",
    "generate-stack-ir",
    "global-refining",
    "gsi",
    "gto",
    "gufa",
    "gufa-cast-all",
    "gufa-optimizing",
    "heap-store-optimization",
    "heap2local",
    "inline-main",
    "inlining",
    "inlining-optimizing",
    "licm",
    "local-cse",
    "local-subtyping",
    "memory-packing",
    "merge-blocks",
    "merge-locals",
    "merge-similar-functions",
    "monomorphize",
    "once-reduction",
    "optimize-added-constants",
    "optimize-added-constants-propagate",
    "optimize-casts",
    "optimize-for-js",
    "optimize-instructions",
    "optimize-stack-ir",
    "pick-load-signs",
    "precompute",
    "precompute-propagate",
    "remove-unused-brs",
    "remove-unused-module-elements",
    "remove-unused-names",
    "remove-unused-nonfunction-module-elements",
    "remove-unused-types",
    "reorder-functions",
    "reorder-globals",
    "reorder-locals",
    "reorder-types",
    "rereloop",
    "roundtrip",
    "rse",
    "signature-pruning",
    "signature-refining",
    "simplify-globals",
    "simplify-globals-optimizing",
    "simplify-locals",
    "simplify-locals-nonesting",
    "simplify-locals-nostructure",
    "simplify-locals-notee",
    "simplify-locals-notee-nostructure",
    "ssa",
    "ssa-nomerge",
    "tuple-optimization",
    "type-merging",
    "type-refining",
    "type-ssa",
    "unsubtyping",
    "untee",
    "vacuum",
];

/// What the option of that name is, without what stands behind `=`.
pub(crate) fn look_up(name: &str) -> (Role, Value) {
    if let Some((_, _, role, value)) =
        OPTIONS.iter().find(|(long, short, ..)| *long == name || *short == name)
    {
        return (*role, *value);
    }
    let effect = match name.strip_prefix("--") {
        Some(feature) if feature.starts_with("enable-") || feature.starts_with("disable-") => {
            Effect::Modifies
        }
        Some(pass) if OPTIMISERS.contains(&pass) => Effect::Optimises,
        _ => Effect::Changes,
    };
    (Role::Other(effect), Value::None)
}
