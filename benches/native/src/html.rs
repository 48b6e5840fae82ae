//! The report as one page that needs nothing else: plots, tables, and what was measured on and with.

use bench_common::table::distinct;

use crate::plan::{FAMILIES, Family};
use crate::report::{Log, OURS, cells, title};
use crate::svg::{self, Bar, Series, escaped};

const OUR_COLOR: &str = "#d6215a";

/// Of the others, in turn: dark enough on white, light enough on black.
const COLORS: &[&str] = &[
    "#3b7dd8", "#2a9d6e", "#c77d0a", "#8b5fd0", "#0f97a8", "#a0522d", "#6b7f1e", "#7a7f87", "#b0459e",
    "#4c5fb3", "#5a8f3d", "#96712c",
];

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c1f24; --page: #fff; --faint: #d9dce1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6ea; --page: #16181c; --faint: #3a3e45; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 860px; margin: 2em auto;
  padding: 0 1em; }
svg { width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text:not([fill]) { fill: var(--ink); }
.grid { stroke: var(--faint); stroke-width: 1; }
.leader { stroke-width: 0.7; stroke-dasharray: 2 3; }
.strong { font-weight: 700; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: 1px 12px 1px 0; text-align: right; }
td:first-child, th:first-child { text-align: left; }
pre { white-space: pre-wrap; }
";

/// `about` is a line each for the machine and the subjects.
pub(crate) fn page(log: &Log, about: &str) -> String {
    let subjects = distinct(log.lines.iter().map(|line| line.subject.as_str()).filter(|name| !is_ours(name)));
    let color = |name: &str| {
        let index = subjects.iter().position(|subject| *subject == name).unwrap_or(0);
        if is_ours(name) { OUR_COLOR } else { COLORS[index % COLORS.len()] }
    };
    let mut body = String::new();
    for family in FAMILIES {
        body += &section(log, family, &color);
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Windlass beside its peers</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Windlass beside its peers</h1>\n\
         <p>Minima of rounds in processes of their own; all axes are logarithmic.</p>\n{body}\
         <h2>On and with</h2>\n<pre>{}</pre>\n</body>\n</html>\n",
        escaped(about)
    )
}

fn is_ours(name: &str) -> bool {
    name.starts_with(OURS)
}

/// A family: cost over its number where it has several, else bars.
fn section(log: &Log, family: &Family, color: &impl Fn(&str) -> &'static str) -> String {
    let benches: Vec<(u64, String)> = family
        .sizes
        .iter()
        .map(|&size| (size, family.bench(size)))
        .filter(|(_, bench)| !log.rows(bench).is_empty())
        .collect();
    if benches.is_empty() {
        return String::new();
    }
    let mut html = format!("<h2>{}</h2>\n", escaped(family.name));
    html += &format!("<p>{} for {}</p>\n", family.unit, escaped(family.does));
    match family.over {
        Some(over) if benches.len() > 1 => {
            html += &svg::lines(over, family.unit, &series(log, &benches, color))
        }
        _ => {
            for (_, bench) in &benches {
                let rows = log.rows(bench);
                let bar = |row: &crate::report::Row<'_>| (row.subject.to_owned(), row.figures.min);
                let values: Vec<(String, f64)> = rows.iter().map(bar).collect();
                let bars: Vec<Bar<'_>> = values
                    .iter()
                    .map(|(name, value)| Bar { name, color: color(name), value: *value })
                    .collect();
                html += &svg::bars(family.unit, &bars);
            }
        }
    }
    for (_, bench) in &benches {
        html += &table(log, bench);
    }
    html
}

fn series(log: &Log, benches: &[(u64, String)], color: &impl Fn(&str) -> &'static str) -> Vec<Series> {
    let mut all: Vec<Series> = Vec::new();
    for (size, bench) in benches {
        for row in log.rows(bench) {
            let point = (*size as f64, row.figures.min);
            match all.iter_mut().find(|series| series.name == row.subject) {
                Some(series) => series.points.push(point),
                None => all.push(Series {
                    name: row.subject.to_owned(),
                    color: color(row.subject),
                    strong: row.subject == OURS,
                    points: vec![point],
                }),
            }
        }
    }
    // Ours is drawn last, above the others.
    all.sort_by_key(|series| series.strong);
    all
}

fn table(log: &Log, bench: &str) -> String {
    let mut html = format!("<details><summary>{}</summary>\n<table>\n", escaped(&title(bench)));
    for (index, row) in cells(&log.rows(bench)).iter().enumerate() {
        let tag = if index == 0 { "th" } else { "td" };
        let cells: String = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        html += &format!("<tr>{cells}</tr>\n");
    }
    html += "</table>\n";
    for left in log.left_out(bench) {
        html += &format!("<p>Left out: {}</p>\n", escaped(&left));
    }
    html + "</details>\n"
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::report::{Log, NATIVE};
    use bench_common::stats::Figures;

    #[test]
    fn a_page_has_plots_and_tables_and_needs_nothing_else() {
        let mut log = Log::default();
        for (bench, value) in [("yield/2", 5.0), ("yield/1000", 6.0), ("mutex", 1.0)] {
            log.number(bench, "windlass", NATIVE, "ns", Figures::exact(value));
            log.number(bench, "tokio", NATIVE, "ns", Figures::exact(10.0 * value));
        }
        let page = page(&log, "machine: a <good> one");
        assert_eq!((page.matches("<svg").count(), page.matches("<table>").count()), (2, 3));
        assert!(page.contains("machine: a &lt;good&gt; one"));
        for outside in ["src=", "href=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
