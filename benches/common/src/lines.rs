//! What was measured, a line each, and as lines of JSON.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::error::{Result, within};
use crate::stats::Figures;

/// One subject in one bench, in one unit.
#[derive(Clone, Debug)]
pub struct Line {
    /// The bench, as `switch/ring1000`.
    pub bench: String,
    /// Who was measured.
    pub subject: String,
    /// By what.
    pub engine: String,
    /// Of the figures.
    pub unit: &'static str,
    /// How much it took.
    pub figures: Figures,
}

/// Writes lines of JSON: `bench`, `subject`, `engine`, `unit`, `median`, `min`, `runs`, and `ratio` where there is one.
///
/// # Errors
/// When the file cannot be written.
pub fn write(lines: &[Line], file: &Path) -> Result<()> {
    let text: String = lines.iter().map(|line| to_json(line) + "\n").collect();
    fs::write(file, text).map_err(within(file.display()))
}

fn to_json(line: &Line) -> String {
    let Line { bench, subject, engine, unit, figures: Figures { median, min, runs, ratio } } = line;
    let mut value = json!({
        "bench": bench, "subject": subject, "engine": engine, "unit": unit,
        "median": median, "min": min, "runs": runs,
    });
    if let Some(ratio) = ratio {
        value["ratio"] = json!(ratio);
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::{Line, to_json};
    use crate::stats::Figures;

    #[test]
    fn a_line_has_the_fields_that_are_documented() {
        let (bench, subject, engine) = ("yield/2".to_owned(), "tokio".to_owned(), "native".to_owned());
        let line = Line { bench, subject, engine, unit: "ns", figures: Figures::of(&[3.0, 1.5]) };
        assert_eq!(
            to_json(&line),
            r#"{"bench":"yield/2","engine":"native","median":2.25,"min":1.5,"runs":2,"subject":"tokio","unit":"ns"}"#
        );
    }
}
