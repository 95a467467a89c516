//! The chart: a bar of holds per second for each row, drawn to one scale. It makes an SVG out of a report, in colours
//! that can be read on light and on dark ground.

use std::fmt::Write as _;

use crate::report::{Measured, Report, grouped};
use crate::row::Work;

const WIDTH: f64 = 860.0;
const BARS_AT: f64 = 300.0;
const BARS_WIDE: f64 = 440.0;
const BAR_HIGH: f64 = 18.0;
const STEP: f64 = 24.0;
const TITLE_HIGH: f64 = 30.0;
const MARGIN: f64 = 12.0;

/// Draws it.
pub fn svg(report: &Report) -> String {
    let works: Vec<(Work, Vec<&Measured>)> = Work::ALL
        .into_iter()
        .map(|work| (work, report.of(work).collect::<Vec<_>>()))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let most = report.rows.iter().map(|of| of.median.holds_per_s).fold(1.0, f64::max);
    let rows: usize = works.iter().map(|(_, rows)| rows.len()).sum();
    let high = 2.0 * MARGIN + rows as f64 * STEP + works.len() as f64 * TITLE_HIGH + STEP;
    let mut svg = String::new();
    let mut put = |words: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = writeln!(svg, "{words}");
    };
    put(format_args!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" font-family="sans-serif" font-size="13">
<style>text {{ fill: #57606a }} .title {{ font-weight: bold }} .ours {{ fill: #1f883d }} .theirs {{ fill: #8c959f }}
@media (prefers-color-scheme: dark) {{ text {{ fill: #c9d1d9 }} }}</style>"#
    ));
    let mut y = MARGIN;
    for (work, rows) in works {
        y += TITLE_HIGH;
        put(format_args!(r#"<text class="title" x="{MARGIN}" y="{}">{}</text>"#, y - 9.0, work.title()));
        for of in rows {
            let class = if of.row.system == "Earmark" { "ours" } else { "theirs" };
            let wide = (of.median.holds_per_s / most * BARS_WIDE).max(1.0);
            let (middle, end) = (y + BAR_HIGH - 5.0, BARS_AT + wide + 6.0);
            put(format_args!(
                r#"<text x="{}" y="{middle}" text-anchor="end">{}</text>
<rect class="{class}" x="{BARS_AT}" y="{y}" width="{wide:.1}" height="{BAR_HIGH}"/>
<text x="{end:.1}" y="{middle}">{}</text>"#,
                BARS_AT - 8.0,
                of.row.system,
                grouped(of.median.holds_per_s),
            ));
            y += STEP;
        }
    }
    put(format_args!(
        r#"<text x="{MARGIN}" y="{}" font-size="11">Durable holds per second, median of {} runs; {}</text>
</svg>"#,
        y + STEP,
        report.runs,
        report.machine.line(),
    ));
    svg
}
