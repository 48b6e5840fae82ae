//! The command line. `cargo xtask bench lower` makes it; nobody types the first half.

use std::path::PathBuf;

use crate::error::Result;

pub(crate) struct Arguments {
    /// The tool under test.
    pub(crate) lower: PathBuf,
    /// Binaryen's, which the tool is compared with.
    pub(crate) wasm_opt: PathBuf,
    /// One more, for its lowering time alone.
    pub(crate) second_wasm_opt: Option<PathBuf>,
    /// Programs `node`.
    pub(crate) nodes: Vec<PathBuf>,
    /// Where npm has put the packages with the big modules.
    pub(crate) packages: PathBuf,
    /// A small guest of the workspace, not lowered.
    pub(crate) reactor: Option<PathBuf>,
    /// The smallest one, of `guests/smallest`, not lowered.
    pub(crate) smallest: PathBuf,
    /// For lowered modules and plans.
    pub(crate) out: PathBuf,

    pub(crate) json: Option<PathBuf>,
    /// Only benches whose names contain this.
    pub(crate) only: Option<String>,
    pub(crate) quick: bool,
    /// Check sizes, and nothing else.
    pub(crate) gate: bool,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let (mut lower, mut wasm_opt, mut packages, mut smallest, mut out) = (None, None, None, None, None);
        let (mut second_wasm_opt, mut reactor, mut json, mut only) = (None, None, None, None);
        let mut nodes = Vec::new();
        let (mut quick, mut gate) = (false, false);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--lower" => lower = Some(value()?.into()),
                "--wasm-opt" => wasm_opt = Some(value()?.into()),
                "--second-wasm-opt" => second_wasm_opt = Some(value()?.into()),
                "--node" => nodes.push(value()?.into()),
                "--packages" => packages = Some(value()?.into()),
                "--reactor" => reactor = Some(value()?.into()),
                "--smallest" => smallest = Some(value()?.into()),
                "--out" => out = Some(value()?.into()),
                "--json" => json = Some(value()?.into()),
                "--only" => only = Some(value()?),
                "--quick" => quick = true,
                "--gate" => gate = true,
                _ => return Err(format!("unexpected argument `{word}`").into()),
            }
        }
        let needed = |value: Option<PathBuf>, name| value.ok_or_else(|| format!("`{name}` is missing"));
        Ok(Arguments {
            lower: needed(lower, "--lower")?,
            wasm_opt: needed(wasm_opt, "--wasm-opt")?,
            second_wasm_opt,
            nodes,
            packages: needed(packages, "--packages")?,
            reactor,
            smallest: needed(smallest, "--smallest")?,
            out: needed(out, "--out")?,
            json,
            only,
            quick,
            gate,
        })
    }

    /// Whether a bench is asked for.
    pub(crate) fn wants(&self, bench: &str) -> bool {
        self.only.as_ref().is_none_or(|only| bench.contains(only.as_str()))
    }
}
