//! Plots, as SVG to be put into a page: lines on two logarithmic axes, and bars on one.

use bench_common::table::short;

/// The room that a plot takes, and its margins: left, right, top, bottom.
const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 440.0;
const MARGINS: (f64, f64, f64, f64) = (64.0, 150.0, 12.0, 44.0);

/// Of a bar.
const BAR: f64 = 22.0;

/// Between two names that stand one below the other.
const NAME_HEIGHT: f64 = 14.0;

/// A line of a plot.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) color: &'static str,
    /// Ours is drawn thicker.
    pub(crate) strong: bool,
    /// All coordinates are above 0.
    pub(crate) points: Vec<(f64, f64)>,
}

/// From a range of values, logarithmically, to a range of places.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// For all values, with a little room at both ends.
    fn new(values: impl Iterator<Item = f64>, room: f64, from: f64, to: f64) -> Axis {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        Axis { low: low.log10() - room, high: high.log10() + room, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let span = (self.high - self.low).max(f64::EPSILON);
        self.from + (value.log10() - self.low) / span * (self.to - self.from)
    }

    /// Round values on it: 1, 2 and 5 times powers of ten if there is room for that many.
    fn ticks(&self) -> Vec<f64> {
        let steps: &[f64] = if self.high - self.low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        decades
            .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
            .filter(|tick| (self.low..=self.high).contains(&tick.log10()))
            .collect()
    }
}

/// Cost over something, for several subjects.
pub(crate) fn lines(over: &str, unit: &str, series: &[Series]) -> String {
    let (left, right, top, bottom) = MARGINS;
    let (end, floor) = (WIDTH - right, HEIGHT - bottom);
    let points = || series.iter().flat_map(|series| series.points.iter().copied());
    let x = Axis::new(points().map(|(x, _)| x), 0.03, left, end);
    let y = Axis::new(points().map(|(_, y)| y), 0.08, floor, top);
    let mut svg = open(HEIGHT);
    for tick in y.ticks() {
        let at = y.place(tick);
        svg += &format!(r#"<line class="grid" x1="{left}" x2="{end}" y1="{at:.1}" y2="{at:.1}"/>"#);
        svg += &text(left - 8.0, at + 4.0, "end", &number(tick));
    }
    let mut at_x: Vec<f64> = points().map(|(x, _)| x).collect();
    at_x.sort_by(f64::total_cmp);
    at_x.dedup();
    for tick in at_x {
        let at = x.place(tick);
        svg += &format!(r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="{top}" y2="{floor}"/>"#);
        svg += &text(at, floor + 18.0, "middle", &number(tick));
    }
    svg += &text(f64::midpoint(left, end), HEIGHT - 6.0, "middle", over);
    svg += &text(left - 8.0, HEIGHT - 6.0, "end", unit);
    for Series { name, color, strong, points } in series {
        let path: Vec<String> =
            points.iter().map(|&(a, b)| format!("{:.1},{:.1}", x.place(a), y.place(b))).collect();
        let width = if *strong { 3.5 } else { 1.6 };
        let path = path.join(" ");
        svg += &format!(r#"<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{width}"/>"#);
        for &(a, b) in points {
            svg += &format!(
                r#"<circle cx="{:.1}" cy="{:.1}" r="{}" fill="{color}"><title>{}</title></circle>"#,
                x.place(a),
                y.place(b),
                width + 1.2,
                escaped(&format!("{name}, {} {over}: {} {unit}", number(a), short(b)))
            );
        }
    }
    svg += &names(series, &x, &y);
    svg + "</svg>\n"
}

/// The names, each at the end of its line, moved apart where they would lie on each other.
fn names(series: &[Series], x: &Axis, y: &Axis) -> String {
    let mut ends: Vec<(f64, f64, &Series)> = series
        .iter()
        .filter_map(|series| series.points.last().map(|&(a, b)| (x.place(a), y.place(b), series)))
        .collect();
    ends.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut places: Vec<f64> = Vec::new();
    for (_, y, _) in &ends {
        places.push(places.last().map_or(*y, |last| y.max(last + NAME_HEIGHT)));
    }
    // What got too far down pushes the others up again.
    let mut lowest = y.from;
    for place in places.iter_mut().rev() {
        *place = place.min(lowest);
        lowest = *place - NAME_HEIGHT;
    }
    let mut svg = String::new();
    for ((from_x, from_y, series), place) in ends.iter().zip(places) {
        let (at, color) = (x.to + 16.0, series.color);
        svg += &format!(
            r#"<path class="leader" d="M{from_x:.1},{from_y:.1} L{:.1},{place:.1}" stroke="{color}"/>"#,
            at - 3.0
        );
        let class = if series.strong { "strong" } else { "" };
        svg += &format!(
            r#"<text class="{class}" x="{at}" y="{:.1}" fill="{color}">{}</text>"#,
            place + 4.0,
            escaped(&series.name)
        );
    }
    svg
}

/// A bar.
pub(crate) struct Bar<'a> {
    pub(crate) name: &'a str,
    pub(crate) color: &'static str,
    pub(crate) value: f64,
}

/// One value each, the axis again logarithmic: lengths are to be read at it, not compared.
pub(crate) fn bars(unit: &str, bars: &[Bar<'_>]) -> String {
    let (left, end) = (140.0, WIDTH - 90.0);
    let bottom = 30.0;
    let height = BAR * bars.len() as f64 + bottom;
    let mut x = Axis::new(bars.iter().map(|bar| bar.value), 0.0, left, end);
    // So that the shortest has a length, too.
    x.low = (x.low - 0.3).floor();
    let floor = height - bottom;
    let mut svg = open(height);
    for tick in x.ticks() {
        let at = x.place(tick);
        svg += &format!(r#"<line class="grid" x1="{at:.1}" x2="{at:.1}" y1="0" y2="{floor}"/>"#);
        svg += &text(at, floor + 18.0, "middle", &number(tick));
    }
    for (index, Bar { name, color, value }) in bars.iter().enumerate() {
        let (top, width) = (BAR * index as f64, x.place(*value) - left);
        svg += &text(left - 8.0, top + 15.0, "end", name);
        svg += &format!(
            r#"<rect x="{left}" y="{:.1}" width="{width:.1}" height="{}" fill="{color}"/>"#,
            top + 3.0,
            BAR - 6.0
        );
        svg += &text(left + width + 6.0, top + 15.0, "start", &format!("{} {unit}", short(*value)));
    }
    svg + "</svg>\n"
}

fn open(height: f64) -> String {
    format!(r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">"#)
}

fn text(x: f64, y: f64, anchor: &str, text: &str) -> String {
    format!(r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escaped(text))
}

/// A value of an axis, in full, with its thousands apart.
fn number(value: f64) -> String {
    if value < 10.0 && value.fract() != 0.0 {
        return format!("{value}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// As text of a page.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Axis, Bar, Series, bars, escaped, lines, number};

    #[test]
    fn an_axis_is_logarithmic() {
        let axis = Axis::new([1.0, 100.0].into_iter(), 0.0, 0.0, 200.0);
        assert_eq!([1.0, 10.0, 100.0].map(|value| axis.place(value)), [0.0, 100.0, 200.0]);
        assert_eq!(axis.ticks(), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]);
        let long = Axis::new([1.0, 1e6].into_iter(), 0.0, 0.0, 1.0);
        assert_eq!(long.ticks().len(), 7);
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!([number(1e6), number(999.0), number(0.5)], ["1,000,000", "999", "0.5"]);
        assert_eq!(escaped("a<b&\"c\""), "a&lt;b&amp;&quot;c&quot;");
    }

    #[test]
    fn every_point_and_every_bar_is_drawn() {
        let series = |name: &str| Series {
            name: name.to_owned(),
            color: "red",
            strong: false,
            points: vec![(2.0, 5.0), (10.0, 7.0)],
        };
        let svg = lines("tasks", "ns", &[series("a"), series("b")]);
        assert_eq!((svg.matches("<circle").count(), svg.matches("<polyline").count()), (4, 2));
        assert!(svg.contains("<title>a, 10 tasks: 7.00 ns</title>"), "{svg}");
        let bar = |value| Bar { name: "x", color: "red", value };
        assert_eq!(bars("ns", &[bar(1.0), bar(1000.0)]).matches("<rect").count(), 2);
    }
}
