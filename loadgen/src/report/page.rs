//! A page of charts and tables that needs nothing but itself.

use std::fmt::Write as _;

use super::chart::{Axis, Chart, Line, escape};
use crate::outcome::Outcome;

/// What stands on a page.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) title: String,
    pub(crate) charts: Vec<Chart>,
    /// A table under its heading; the first row is its head.
    pub(crate) table: Vec<Vec<String>>,
    /// What must be said beside it.
    pub(crate) notes: Vec<String>,
}

const STYLE: &str = "body{font:15px system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222;background:#fff}\
svg{width:100%;height:auto}svg text{font-size:12px}.grid{stroke:#ddd;fill:none}.line{fill:none;stroke-width:2}\
table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}pre{white-space:pre-wrap;background:#f6f6f6;padding:1em}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}svg text{fill:currentColor}.grid{stroke:#333}\
td,th{border-color:#333}pre{background:#222}}";

/// The page as HTML.
pub(crate) fn page(page: &Page) -> String {
    let title = escape(&page.title);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\">\n<title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"
    );
    html += "<table>\n";
    for (number, row) in page.table.iter().enumerate() {
        let tag = if number == 0 { "th" } else { "td" };
        let cells = row.iter().map(|cell| format!("<{tag}>{}</{tag}>", escape(cell)));
        let _ = writeln!(html, "<tr>{}</tr>", cells.collect::<String>());
    }
    html += "</table>\n";
    for chart in &page.charts {
        let _ = writeln!(html, "<h2>{}</h2>\n{}", escape(&chart.title), chart.svg());
    }
    for note in &page.notes {
        let _ = writeln!(html, "<pre>{}</pre>", escape(note));
    }
    html + "</body></html>\n"
}

impl Page {
    /// The page of one or more results, by name.
    pub(crate) fn of(results: &[(&str, &Outcome)]) -> Self {
        let name = |name: &str, what: &str| {
            if results.len() == 1 { what.to_owned() } else { format!("{name}: {what}") }
        };
        let by_percentile = results.iter().map(|(result, outcome)| Line {
            name: name(result, &outcome.setup.workload),
            // At 1 there is no place on this axis; the slowest request stands in the table.
            points: outcome
                .latency
                .iter()
                .filter(|point| point.quantile < 1.0)
                .map(|point| (1.0 / (1.0 - point.quantile), point.us))
                .collect(),
        });
        let mut over_time = Vec::new();
        let mut rates = Vec::new();
        for (result, outcome) in results {
            let line = |what: &str, value: fn(&crate::outcome::Point) -> f64| Line {
                name: name(result, what),
                points: outcome.series.iter().map(|point| (point.at_s, value(point))).collect(),
            };
            over_time.push(line("p50", |point| point.p50_us));
            over_time.push(line("p99", |point| point.p99_us));
            over_time.push(line("slowest", |point| point.max_us));
            rates.push(line("answers", |point| point.rate_per_s));
            if outcome.all.refused > 0 {
                rates.push(line("refusals", |point| point.refused_per_s));
            }
        }
        let percentiles = ["50", "90", "99", "99.9", "99.99", "99.999", "99.9999"]
            .iter()
            .zip([2, 10, 100, 1_000, 10_000, 100_000, 1_000_000]);
        let ticks = percentiles.map(|(label, parts)| (f64::from(parts), format!("{label} %"))).collect();
        let chart = |title: &str, x: Axis, y: Axis, lines| Chart { title: title.to_owned(), x, y, lines };
        let time = || Axis::linear("seconds");
        Self {
            title: format!(
                "Earmark under load: {}",
                results.first().map_or("", |(_, outcome)| &outcome.setup.workload)
            ),
            charts: vec![
                chart(
                    "Latency by percentile",
                    Axis { ticks, ..Axis::logarithmic("of all requests") },
                    Axis::logarithmic("µs"),
                    by_percentile.collect(),
                ),
                chart("Latency over time", time(), Axis::logarithmic("µs"), over_time),
                chart("Rate over time", time(), Axis::linear("per second"), rates),
            ],
            table: figures(results),
            notes: results
                .iter()
                .map(|(_, outcome)| format!("{outcome}{}", circumstances(outcome)))
                .collect(),
        }
    }
}

fn figures(results: &[(&str, &Outcome)]) -> Vec<Vec<String>> {
    let head =
        ["", "per second", "p50 µs", "p99 µs", "p99.9 µs", "p99.99 µs", "max µs", "refused", "unanswered"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for (name, outcome) in results {
        let all = &outcome.all;
        let latencies = [all.p50_us, all.p99_us, all.p999_us, all.p9999_us, all.max_us];
        let mut row = vec![(*name).to_owned(), format!("{:.0}", outcome.rate_per_s)];
        row.extend(latencies.map(|us| format!("{us:.0}")));
        row.extend([all.refused.to_string(), all.errors.to_string()]);
        table.push(row);
    }
    table
}

/// What must be said beside the figures.
fn circumstances(outcome: &Outcome) -> String {
    let setup = &outcome.setup;
    let unknown = || "not known".to_owned();
    format!(
        "\nmachine: {} cores, {}, {} MiB, Linux {}\ncores of the load: {}, of the daemon: {}\ndaemon: {}\nearmark-loadgen {}\n",
        setup.machine.cores,
        setup.machine.processor,
        setup.machine.memory_bytes >> 20,
        setup.machine.kernel,
        setup.client_cores.clone().unwrap_or_else(unknown),
        setup.server_cores.clone().unwrap_or_else(unknown),
        setup.server_command.clone().unwrap_or_else(unknown),
        setup.version
    )
}
