//! What was measured: gathered, checked, printed as tables, written as lines of JSON.

use std::collections::HashMap;
use std::path::Path;

use bench_common::lines::{self, Line};
use bench_common::table::{aligned, distinct, pair, short};

use crate::error::{Error, Result};
use crate::plan::Bench;
use crate::stats::{Figures, geomean};
use crate::subject::{BASE, BINARYEN};

/// How the benches whose names begin so are shown.
struct Group {
    prefix: &'static str,
    title: &'static str,
    /// The subject that the others are shown as multiples of.
    base: Option<&'static str>,
    /// Whether a mean over the benches says something.
    mean: bool,
}

const GROUPS: &[Group] = &[
    Group {
        prefix: "quickjs/",
        title: "QuickJS, nothing suspends: time over base, median of the rounds (minimum over minimum)",
        base: Some(BASE.name),
        mean: true,
    },
    Group {
        prefix: "c/",
        title: "C, nothing suspends: time over base, median of the rounds (minimum over minimum)",
        base: Some(BASE.name),
        mean: true,
    },
    Group {
        prefix: "switch/",
        title: "ns for one suspend and resume, median (minimum)",
        base: None,
        mean: false,
    },
    Group {
        prefix: "asyncify/",
        title: "ns for one suspend and resume by Binaryen's ABI, median (minimum)",
        base: None,
        mean: false,
    },
    Group {
        prefix: "asyncify/",
        title: "Suspend and resume by Binaryen's ABI: time over Binaryen's, median of the rounds (minimum over minimum)",
        base: Some(BINARYEN.name),
        mean: false,
    },
    Group {
        prefix: "first/",
        title: "us for the life of a task that suspends once, in a new module, median (minimum)",
        base: None,
        mean: false,
    },
    Group { prefix: "size/", title: "Size over base", base: Some(BASE.name), mean: true },
    Group { prefix: "gzip/", title: "Size over base, gzip -9", base: Some(BASE.name), mean: true },
    Group { prefix: "lowering/", title: "Lowering, ms, median (minimum)", base: None, mean: false },
    Group {
        prefix: "linear/",
        title: "Lowering, ms for a megabyte of the module, median (minimum)",
        base: None,
        mean: false,
    },
];

#[derive(Default)]
pub(crate) struct Log {
    lines: Vec<Line>,
    /// The first result of each bench, and whose it was.
    results: HashMap<String, (String, String)>,
    trouble: Vec<String>,
}

impl Log {
    /// A subject that cannot be made: told, and the benches go on without it.
    pub(crate) fn left_out(&mut self, error: &Error) {
        self.complain(format!("left out: {error}"));
    }

    pub(crate) fn failed(&mut self, engine: &str, bench: &Bench, subject: &str, error: &Error) {
        self.complain(format!("{engine}: {}: {subject} failed: {error}", bench.name));
    }

    /// Times of one subject; its result must be that of the others.
    pub(crate) fn timed(
        &mut self,
        engine: &str,
        bench: &Bench,
        subject: &str,
        figures: Figures,
        result: &str,
    ) {
        let who = format!("{subject} on {engine}");
        let (first, expected) =
            self.results.entry(bench.name.clone()).or_insert_with(|| (who.clone(), result.to_owned()));
        if expected != result {
            let complaint = format!("{}: {who} computed {result}, {first} {expected}", bench.name);
            self.complain(complaint);
            return;
        }
        self.number(&bench.name, subject, engine, bench.unit, figures);
    }

    pub(crate) fn number(
        &mut self,
        bench: &str,
        subject: &str,
        engine: &str,
        unit: &'static str,
        figures: Figures,
    ) {
        eprintln!("{engine}: {bench}: {subject}: {} {unit} ({})", short(figures.median), short(figures.min));
        let (bench, subject, engine) = (bench.to_owned(), subject.to_owned(), engine.to_owned());
        self.lines.push(Line { bench, subject, engine, unit, figures });
    }

    fn complain(&mut self, complaint: String) {
        eprintln!("{complaint}");
        self.trouble.push(complaint);
    }

    pub(crate) fn print(&self) {
        for group in GROUPS {
            let lines: Vec<&Line> =
                self.lines.iter().filter(|line| line.bench.starts_with(group.prefix)).collect();
            for engine in distinct(lines.iter().map(|line| line.engine.as_str())) {
                let lines: Vec<&Line> = lines.iter().copied().filter(|line| line.engine == engine).collect();
                println!("\n{} [{engine}]", group.title);
                print!("{}", table(&lines, group));
            }
        }
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        lines::write(&self.lines, file)
    }

    pub(crate) fn close(&self) -> Result<()> {
        if self.trouble.is_empty() {
            return Ok(());
        }
        Err(format!("not everything could be measured:\n  {}", self.trouble.join("\n  ")).into())
    }
}

fn table(lines: &[&Line], group: &Group) -> String {
    let subjects = distinct(lines.iter().map(|line| line.subject.as_str()));
    let mut rows =
        vec![[""].into_iter().chain(subjects.iter().copied()).map(str::to_owned).collect::<Vec<_>>()];
    let mut ratios: HashMap<&str, Vec<f64>> = HashMap::new();
    for bench in distinct(lines.iter().map(|line| line.bench.as_str())) {
        let find = |subject| lines.iter().find(|line| line.bench == bench && line.subject == subject);
        let base = group.base.and_then(find);
        let mut row = vec![bench[group.prefix.len()..].to_owned()];
        for &subject in &subjects {
            row.push(match (find(subject), base) {
                (None, _) => "-".to_owned(),
                (Some(line), Some(base)) if subject != base.subject => {
                    let figures = line.figures;
                    let ratio = figures.ratio.unwrap_or(figures.median / base.figures.median);
                    ratios.entry(subject).or_default().push(ratio);
                    pair(format!("{ratio:.3}"), format!("{:.3}", line.figures.min / base.figures.min))
                }
                (Some(line), Some(_)) => format!("{} {}", short(line.figures.median), line.unit),
                (Some(line), None) => pair(short(line.figures.median), short(line.figures.min)),
            });
        }
        rows.push(row);
    }
    if group.mean && rows.len() > 2 && !ratios.is_empty() {
        let mean =
            |subject: &&str| ratios.get(subject).map_or("-".to_owned(), |all| format!("{:.3}", geomean(all)));
        rows.push(["geomean".to_owned()].into_iter().chain(subjects.iter().map(mean)).collect());
    }
    aligned(&rows)
}

#[cfg(test)]
mod tests {
    use super::{Figures, GROUPS, Line, table};

    fn line(bench: &str, subject: &str, median: f64, min: f64) -> Line {
        let (bench, subject, engine) = (bench.to_owned(), subject.to_owned(), String::new());
        Line { bench, subject, engine, unit: "ms", figures: Figures { median, min, runs: 1, ratio: None } }
    }

    #[test]
    fn ratios_to_base() {
        let lines = [
            line("quickjs/fib", "base", 20.0, 10.0),
            line("quickjs/fib", "own", 30.0, 10.0),
            line("quickjs/sort", "base", 10.0, 10.0),
        ];
        let lines: Vec<&Line> = lines.iter().collect();
        assert_eq!(
            table(&lines, &GROUPS[0]),
            "            base            own\n\
             fib      20.0 ms  1.500 (1.000)\n\
             sort     10.0 ms              -\n\
             geomean        -          1.500\n"
        );
    }
}
