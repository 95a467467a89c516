//! Lines in a coordinate system, as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 30.0;
const RIGHT: f64 = 20.0;
/// Blue, orange, green, red, violet: told apart by most eyes.
const COLOURS: [&str; 5] = ["#2166ac", "#e08214", "#1b7837", "#b2182b", "#762a83"];

/// One axis.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    pub(crate) title: String,
    pub(crate) is_logarithmic: bool,
    /// Values with a label; empty for some round ones.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    pub(crate) fn linear(title: &str) -> Self {
        Self { title: title.to_owned(), is_logarithmic: false, ticks: Vec::new() }
    }

    pub(crate) fn logarithmic(title: &str) -> Self {
        Self { is_logarithmic: true, ..Self::linear(title) }
    }
}

/// A line and its name.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

/// From values to places on the drawing.
struct Scale {
    low: f64,
    high: f64,
    is_logarithmic: bool,
    from: f64,
    to: f64,
}

impl Scale {
    fn new(axis: &Axis, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut low, mut high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if axis.is_logarithmic {
            low = 10_f64.powf(low.max(1e-3).log10().floor());
            high = 10_f64.powf(high.max(1e-3).log10().ceil()).max(low * 10.0);
        } else {
            low = low.min(0.0);
            high = if high > low { high } else { low + 1.0 };
        }
        Self { low, high, is_logarithmic: axis.is_logarithmic, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = if self.is_logarithmic {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self, axis: &Axis) -> Vec<(f64, String)> {
        if !axis.ticks.is_empty() {
            let within = axis.ticks.iter().filter(|(value, _)| (self.low..=self.high).contains(value));
            return within.cloned().collect();
        }
        if self.is_logarithmic {
            let decades = (self.high / self.low).log10().round() as i32;
            return (0..=decades).map(|decade| self.low * 10_f64.powi(decade)).map(labelled).collect();
        }
        // A step of 1, 2 or 5 times a power of ten that gives some five ticks.
        let rough = (self.high - self.low) / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|unit| unit * power).find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        (0..)
            .map(|tick| f64::from(tick) * step)
            .take_while(|value| *value <= self.high)
            .map(labelled)
            .collect()
    }
}

fn labelled(value: f64) -> (f64, String) {
    let label = match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e4 => format!("{} k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    };
    (value, label)
}

/// Text as it may stand in a page.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Chart {
    /// As an SVG element.
    pub(crate) fn svg(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let x = Scale::new(&self.x, points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let y = Scale::new(&self.y, points().map(|point| point.1), HEIGHT - BOTTOM, TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">\n",
            escape(&self.title)
        );
        for (value, label) in x.ticks(&self.x) {
            let (at, bottom) = (x.place(value), HEIGHT - BOTTOM);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                bottom + 15.0
            );
        }
        for (value, label) in y.ticks(&self.y) {
            let (at, right) = (y.place(value), WIDTH - RIGHT);
            let _ = writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 6.0,
                at + 4.0
            );
        }
        for (number, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let path: Vec<String> = line
                .points
                .iter()
                .filter(|point| point.0.is_finite() && point.1.is_finite())
                .map(|point| format!("{:.1} {:.1}", x.place(point.0), y.place(point.1)))
                .collect();
            if !path.is_empty() {
                let _ = writeln!(svg, "<path class=\"line\" stroke=\"{colour}\" d=\"M{}\"/>", path.join("L"));
            }
            let (at, down) = (LEFT + 10.0, TOP + 14.0 + 16.0 * number as f64);
            let name = escape(&line.name);
            let _ = writeln!(svg, "<text x=\"{at}\" y=\"{down}\" fill=\"{colour}\">{name}</text>");
        }
        let (middle, foot) = (f64::midpoint(LEFT, WIDTH - RIGHT), HEIGHT - 6.0);
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{foot}\" text-anchor=\"middle\">{}</text>",
            escape(&self.x.title)
        );
        let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{}</text>\n</svg>", TOP - 12.0, escape(&self.y.title));
        svg
    }

    /// The same as a file that stands alone.
    pub(crate) fn file(&self) -> String {
        const HEAD: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" font-size=\"12\" \
            style=\"background:#fff\" ";
        const STYLE: &str = "<style>.grid{stroke:#ddd;fill:none}.line{fill:none;stroke-width:2}</style>\n<path class=\"grid\" ";
        self.svg().replacen("<svg ", HEAD, 1).replacen("<path class=\"grid\" ", STYLE, 1)
    }
}
