//! The command line. `cargo xtask bench native` makes it; nobody types the second half.

use std::path::PathBuf;

use crate::error::Result;

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
    /// Only benches whose names contain this.
    pub(crate) only: Option<String>,
    /// Check our instruction counts, and nothing else.
    pub(crate) gate: bool,

    /// This program, built with optimisation across crates.
    pub(crate) lto: Option<PathBuf>,
    /// The program of `go/`.
    pub(crate) go: Option<PathBuf>,
    /// Peers that could not be built, and why: `NAME=REASON`.
    pub(crate) missing: Vec<(String, String)>,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut arguments = Arguments::default();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--quick" => arguments.quick = true,
                "--json" => arguments.json = Some(value()?.into()),
                "--html" => arguments.html = Some(value()?.into()),
                "--only" => arguments.only = Some(value()?),
                "--gate" => arguments.gate = true,
                "--lto" => arguments.lto = Some(value()?.into()),
                "--go" => arguments.go = Some(value()?.into()),
                "--missing" => {
                    let value = value()?;
                    let (name, reason) = value.split_once('=').unwrap_or((&value, "not built"));
                    arguments.missing.push((name.to_owned(), reason.to_owned()));
                }
                _ => return Err(format!("unexpected argument `{word}`").into()),
            }
        }
        Ok(arguments)
    }

    /// Whether a bench is asked for.
    pub(crate) fn wants(&self, bench: &str) -> bool {
        self.only.as_ref().is_none_or(|only| bench.contains(only.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        Arguments::parse(words.iter().map(ToString::to_string)).map_err(|error| error.to_string())
    }

    #[test]
    fn words_are_understood_or_refused() {
        let arguments = parse(&["--quick", "--only", "yield/", "--missing", "may=error: no = sign"]);
        let arguments = arguments.expect("good words");
        assert!(arguments.quick && !arguments.gate);
        assert!(arguments.wants("yield/2") && !arguments.wants("spawn"));
        assert_eq!(arguments.missing, [("may".to_owned(), "error: no = sign".to_owned())]);
        assert_eq!(parse(&["--json"]).expect_err("no value"), "`--json` needs a value");
        assert_eq!(parse(&["quick"]).expect_err("not known"), "unexpected argument `quick`");
    }
}
