//! Tables of plain text.

/// Columns of equal width: the first to the left, the others to the right.
pub fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            line += &if column == 0 { format!("{cell:<width$}") } else { format!("  {cell:>width$}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Median and minimum; one will do if they are the same.
pub fn pair(median: String, min: String) -> String {
    if median == min { median } else { format!("{median} ({min})") }
}

/// Three digits that count, and whole numbers in full.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// Each once, in order.
pub fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut all = Vec::new();
    for name in names {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{aligned, distinct, pair, short};

    #[test]
    fn digits() {
        assert_eq!(
            [short(503_134.0), short(12.34), short(6.123), short(0.1)],
            ["503134", "12.3", "6.12", "0.100"]
        );
        assert_eq!(pair("1".into(), "1".into()), "1");
        assert_eq!(pair("2".into(), "1".into()), "2 (1)");
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["bcd".to_owned(), "234".to_owned()]];
        assert_eq!(aligned(&rows), "a      1\nbcd  234\n");
        assert_eq!(distinct(["x", "y", "x"].into_iter()), ["x", "y"]);
    }
}
