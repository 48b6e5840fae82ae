//! What was measured and what was not: gathered, printed as tables, one for each bench.

use bench_common::lines::Line;
use bench_common::stats::Figures;
use bench_common::table::{aligned, distinct, short};

use crate::error::{Error, Result};
use crate::plan;

/// In the column of the engine: times and memory, and counts.
pub(crate) const NATIVE: &str = "native";
pub(crate) const CACHEGRIND: &str = "cachegrind";

/// Whom ratios are to, and whose failure is one of the command.
pub(crate) const OURS: &str = "windlass";

/// A subject that took no part in a bench.
struct LeftOut {
    bench: String,
    subject: String,
    reason: String,
}

#[derive(Default)]
pub(crate) struct Log {
    pub(crate) lines: Vec<Line>,
    left_out: Vec<LeftOut>,
    trouble: Vec<String>,
}

/// A subject's line in a table.
pub(crate) struct Row<'a> {
    pub(crate) subject: &'a str,
    pub(crate) figures: Figures,
    /// Its minimum over that of ours.
    pub(crate) ratio: Option<f64>,
    pub(crate) instructions: Option<f64>,
}

impl Log {
    pub(crate) fn number(
        &mut self,
        bench: &str,
        subject: &str,
        engine: &str,
        unit: &'static str,
        figures: Figures,
    ) {
        let (bench, subject, engine) = (bench.to_owned(), subject.to_owned(), engine.to_owned());
        self.lines.push(Line { bench, subject, engine, unit, figures });
    }

    /// What a subject cannot do.
    pub(crate) fn skip(&mut self, bench: &str, subject: &str, reason: &str) {
        let (bench, subject, reason) = (bench.to_owned(), subject.to_owned(), reason.to_owned());
        self.left_out.push(LeftOut { bench, subject, reason });
    }

    /// What a subject did not do. Of a peer it is told, of ours it is an error.
    pub(crate) fn fail(&mut self, bench: &str, subject: &str, error: &Error) {
        if subject.starts_with(OURS) {
            self.trouble.push(format!("{bench}: {subject}: {error}"));
        }
        self.skip(bench, subject, &error.to_string());
    }

    /// The benches, in the order of the plan.
    pub(crate) fn benches(&self) -> Vec<&str> {
        distinct(self.lines.iter().map(|line| line.bench.as_str()))
    }

    /// The rows of a bench, the fastest first.
    pub(crate) fn rows<'a>(&'a self, bench: &str) -> Vec<Row<'a>> {
        let of = |engine: &'static str| {
            self.lines.iter().filter(move |line| line.bench == bench && line.engine == engine)
        };
        let ours = of(NATIVE).find(|line| line.subject == OURS).map(|line| line.figures.min);
        let row = |line: &'a Line| {
            let Line { subject, figures, .. } = line;
            let counted = of(CACHEGRIND).find(|counted| counted.subject == *subject);
            Row {
                subject,
                figures: *figures,
                ratio: ours.map(|ours| figures.min / ours),
                instructions: counted.map(|line| line.figures.min),
            }
        };
        let mut rows: Vec<Row<'a>> = of(NATIVE).map(row).collect();
        rows.sort_by(|a, b| a.figures.min.total_cmp(&b.figures.min));
        rows
    }

    /// Who was left out of a bench, with the reasons.
    pub(crate) fn left_out(&self, bench: &str) -> Vec<String> {
        let of_bench = self.left_out.iter().filter(|left| left.bench == bench);
        of_bench.map(|left| format!("{}: {}", left.subject, left.reason)).collect()
    }

    /// Tables and what was left out of each.
    pub(crate) fn tables(&self) -> String {
        let mut text = String::new();
        for bench in self.benches() {
            text += &format!("\n{}\n{}", title(bench), aligned(&cells(&self.rows(bench))));
            for left in self.left_out(bench) {
                text += &format!("left out: {left}\n");
            }
        }
        text
    }

    pub(crate) fn close(&self) -> Result<()> {
        if self.trouble.is_empty() {
            return Ok(());
        }
        Err(format!("not everything of ours could be measured:\n  {}", self.trouble.join("\n  ")).into())
    }
}

/// The bench's name, and what an operation of it is.
pub(crate) fn title(bench: &str) -> String {
    match plan::find(bench) {
        Some((family, _)) => format!("{bench}: {} for {}", family.unit, family.does),
        None => bench.to_owned(),
    }
}

/// A table's rows, the head first; the last columns only if there is something in them.
pub(crate) fn cells(rows: &[Row<'_>]) -> Vec<Vec<String>> {
    let counts = rows.iter().any(|row| row.instructions.is_some());
    let ratios = rows.iter().any(|row| row.ratio.is_some());
    let mut columns = vec!["", "median", "min"];
    columns.extend(ratios.then_some("min / ours"));
    columns.extend(counts.then_some("instructions"));
    let mut all = vec![columns.into_iter().map(str::to_owned).collect()];
    let optional = |value: Option<f64>| value.map_or("-".to_owned(), short);
    for row in rows {
        let Figures { median, min, .. } = row.figures;
        let mut cells = vec![row.subject.to_owned(), short(median), short(min)];
        cells.extend(ratios.then(|| optional(row.ratio)));
        cells.extend(counts.then(|| optional(row.instructions)));
        all.push(cells);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{CACHEGRIND, Figures, Log, NATIVE};

    #[test]
    fn the_fastest_comes_first_and_ratios_are_to_ours() {
        let mut log = Log::default();
        log.number("mutex", "windlass", NATIVE, "ns", Figures::of(&[2.0, 4.0]));
        log.number("mutex", "tokio", NATIVE, "ns", Figures::of(&[1.0]));
        log.number("mutex", "windlass", CACHEGRIND, "instructions", Figures::exact(15.0));
        log.skip("mutex", "may", "not built");
        assert_eq!(
            log.tables(),
            "\nmutex: ns for lock and unlock, nobody else wants it\n\
             \x20         median   min  min / ours  instructions\n\
             tokio       1.00  1.00       0.500             -\n\
             windlass    3.00  2.00        1.00          15.0\n\
             left out: may: not built\n"
        );
    }

    #[test]
    fn a_failure_of_ours_is_an_error_and_a_peers_is_not() {
        let mut log = Log::default();
        log.fail("mutex", "tokio", &"no memory".into());
        assert!(log.close().is_ok());
        log.fail("mutex", "windlass_lto", &"no memory".into());
        let error = log.close().expect_err("ours failed").to_string();
        assert!(error.ends_with("mutex: windlass_lto: no memory"), "{error}");
        assert_eq!(log.left_out("mutex"), ["tokio: no memory", "windlass_lto: no memory"]);
    }
}
