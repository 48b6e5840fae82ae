//! `windlass-lower explain IN FUNCTION`: whether a function may suspend, and by which calls.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use windlass_lower::{Form, FunctionReport, Options, matches_pattern};

use crate::program::failure::Failure;
use crate::program::functions::Functions;
use crate::program::output;
use crate::program::selection::Selection;

/// What the first argument is.
pub(crate) const NAME: &str = "explain";

/// How many names are proposed in place of one that does not exist.
const PROPOSALS: usize = 3;

/// How many more edits than the nearest name another one may take to be proposed as well.
const SPREAD: usize = 1;

/// Says why a function may suspend: the shortest chain of calls from it to a suspend point.
#[derive(Parser)]
#[command(name = "windlass-lower explain", version)]
pub(crate) struct Arguments {
    /// The module that the linker wrote
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// The function: its name, `#` and its index, or a pattern with `*` for several
    #[arg(value_name = "FUNCTION")]
    function: String,

    #[command(flatten)]
    selection: Selection,
}

/// Does it.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    arguments.selection.check()?;
    let mut options = Options::default();
    arguments.selection.apply(&mut options);
    let wasm = fs::read(&arguments.input).map_err(|error| Failure::file("read", &arguments.input, &error))?;
    let functions = windlass_lower::explain(&wasm, &options)
        .map_err(|error| Failure::module(&arguments.input, &error))?;

    let chosen = choose(&functions, &arguments.function, &arguments.input)?;
    let known = Functions::read(&wasm);
    let text: String = chosen.into_iter().map(|function| explanation(function, &known)).collect();
    output::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The functions that are meant.
fn choose<'a>(
    functions: &'a [FunctionReport],
    wanted: &str,
    input: &Path,
) -> Result<Vec<&'a FunctionReport>, Failure> {
    let index = wanted.strip_prefix('#').and_then(|index| index.parse::<u32>().ok());
    let chosen: Vec<&FunctionReport> = functions
        .iter()
        .filter(|function| Some(function.index) == index || matches_pattern(wanted, &function.name))
        .collect();
    if !chosen.is_empty() {
        return Ok(chosen);
    }
    let input = input.display();
    Err(match (index, functions.first(), functions.last()) {
        (_, None, _) | (_, _, None) => Failure::new(format!("{input} defines no function")),
        (Some(_), Some(first), Some(last)) => Failure::new(format!("{input} defines no function {wanted}"))
            .with_help(format!(
                "it defines #{} to #{}; lower indices are those of imports",
                first.index, last.index
            )),
        _ if wanted.contains('*') => Failure::new(format!("{input} defines no function like `{wanted}`"))
            .with_help("`*` alone lists every function"),
        _ => Failure::new(format!("{input} defines no function `{wanted}`")).with_help(format!(
            "did you mean {}? `#12` means a function by its index, and `*` stands for any text",
            nearest(functions.iter().map(|function| function.name.as_str()), wanted).join(" or ")
        )),
    })
}

/// The names most like one that does not exist: those that contain it, else those that the fewest edits make of it.
pub(crate) fn nearest<'n>(names: impl Iterator<Item = &'n str>, wanted: &str) -> Vec<String> {
    let lower = wanted.to_lowercase();
    let mut ranked: Vec<(bool, usize, &str)> = names
        .map(|original| {
            let name = original.to_lowercase();
            // A mangled name is long, but one of the words in it may be near.
            let words = name.split(|character: char| !character.is_alphabetic());
            let edits = words.chain([name.as_str()]).map(|word| edits(&lower, word)).min().unwrap_or(0);
            (!name.contains(&lower), edits, original)
        })
        .collect();
    ranked.sort_unstable();
    ranked.dedup();
    let best = ranked.first().copied();
    ranked
        .into_iter()
        .take_while(|(apart, edits, _)| {
            best.is_some_and(|best| *apart == best.0 && *edits <= best.1 + SPREAD)
        })
        .take(PROPOSALS)
        .map(|(_, _, name)| format!("`{name}`"))
        .collect()
}

/// How many characters to insert, remove or replace to get from one text to the other (Levenshtein's distance).
pub(crate) fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, character) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// What is said of one function, a line for each call.
pub(crate) fn explanation(function: &FunctionReport, known: &Functions) -> String {
    let name = &function.name;
    let Some((last, before)) = function.why.split_last() else {
        return match function.form {
            Form::Starts => format!(
                "`{name}` starts to unwind by itself, by `asyncify.start_unwind`, and is called again as a whole\n"
            ),
            Form::Drives => format!(
                "`{name}` drives the unwinding, by `asyncify.stop_unwind` or `start_rewind`: nothing suspends \
                 through it\n"
            ),
            Form::Guarded => {
                format!("`{name}` never suspends, as the options say; it traps if what it calls does\n")
            }
            _ => format!("`{name}` never suspends\n"),
        };
    };
    let mut text = match function.form {
        Form::Guarded => format!("`{name}` traps if it is suspended, which it may be:\n"),
        _ => format!("`{name}` may suspend:\n"),
    };
    let hops = before.iter().map(|hop| (hop, format!("`{}`", hop.callee)));
    for (hop, callee) in hops.chain([(last, format!("{}, which suspends", last.callee))]) {
        // Writing to a string does not fail.
        let _ = match (hop.indirect, known.signature(&hop.callee)) {
            (false, _) => writeln!(text, "  calls {callee}"),
            (true, Some(ty)) => writeln!(text, "  calls through the table, type {ty}, which may be {callee}"),
            (true, None) => writeln!(text, "  calls through the table, which may be {callee}"),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::edits;

    #[test]
    fn edits_are_counted() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("render", "render"), 0);
    }
}
