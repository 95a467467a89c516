//! What the runs came to: medians and spread, the table, and what is kept as JSON. It measures nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use crate::load::{Plan, Sample};
use crate::machine::Machine;
use crate::row::{Row, Work};

/// A figure that is not of this run.
#[derive(Clone, Debug, Serialize)]
pub struct Cited {
    system: &'static str,
    work: &'static str,
    holds_per_s: f64,
    p99_us: f64,
    from: &'static str,
}

/// TigerBeetle is in no package of Debian's.
const CITED: [Cited; 1] = [Cited {
    system: "TigerBeetle",
    work: "pending transfers, batches of 8,189",
    holds_per_s: 344_000.0,
    p99_us: 55_000.0,
    from: "an earlier measurement on two cores of the same kind, not of this run",
}];

/// All of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// Of the programs.
    pub versions: BTreeMap<&'static str, String>,
    /// How each run went.
    pub plan: Plan,
    /// Runs of each row, alternating.
    pub runs: usize,
    /// Fewer and shorter runs than a published figure needs.
    pub quick: bool,
    /// Whether the machine was quiet before each system started.
    pub quiet: bool,
    /// Which cores the programs had.
    pub pinning: &'static str,
    /// What was left out, and why.
    pub skipped: Vec<String>,
    /// Medians.
    pub rows: Vec<Measured>,
    /// What is quoted beside them.
    pub cited: [Cited; 1],
}

/// A row's runs.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Which row.
    #[serde(flatten)]
    pub row: Row,
    /// Medians over the runs.
    #[serde(flatten)]
    pub median: Sample,
    /// The slowest run's.
    pub holds_per_s_min: f64,
    /// The fastest run's.
    pub holds_per_s_max: f64,
    /// Earmark's holds per second at the same work, in times of this row's.
    pub earmark_ratio: Option<f64>,
    /// Each run.
    pub samples: Vec<Sample>,
}

impl Report {
    /// Of rows with their runs, in the order to be shown.
    pub fn new(plan: Plan, runs: usize, quick: bool, quiet: bool, mut rows: Vec<(Row, Vec<Sample>)>) -> Self {
        rows.sort_by_key(|(row, _)| row.work);
        let mut rows: Vec<_> = rows.into_iter().map(|(row, samples)| Measured::new(row, samples)).collect();
        let earmark: Vec<_> = rows
            .iter()
            .filter(|of| of.row.system == "Earmark")
            .map(|of| (of.row.work, of.median.holds_per_s))
            .collect();
        for of in &mut rows {
            let ours = earmark.iter().find(|(work, _)| *work == of.row.work);
            of.earmark_ratio = ours.map(|(_, rate)| rate / of.median.holds_per_s);
        }
        Self {
            machine: Machine::this(),
            versions: BTreeMap::new(),
            plan,
            runs,
            quick,
            quiet,
            pinning: "none: server and client share all cores",
            skipped: Vec::new(),
            rows,
            cited: CITED,
        }
    }

    /// As a table in Markdown, with what must be known to read it.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |words: std::fmt::Arguments<'_>| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{words}");
        };
        line(format_args!(
            "| work | system | holds/s (spread) | p50 µs | p99 µs | Earmark | durable | per write, in flight | encrypted | \
             server, client cores |"
        ));
        line(format_args!("|---|---|---|---|---|---|---|---|---|---|"));
        for of in &self.rows {
            let Measured { row, median, .. } = of;
            line(format_args!(
                "| {} | {} | {} ({}–{}) | {} | {} | {} | {} | {}, {} | {} | {}, {:.2} |",
                row.work.title(),
                row.system,
                grouped(median.holds_per_s),
                grouped(of.holds_per_s_min),
                grouped(of.holds_per_s_max),
                grouped(median.p50_us),
                grouped(median.p99_us),
                of.earmark_ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1} ×")),
                row.durability,
                row.batch,
                grouped(row.in_flight as f64),
                row.encryption,
                if median.server_cpu > 0.0 { format!("{:.2}", median.server_cpu) } else { "–".to_owned() },
                median.client_cpu,
            ));
        }
        for Cited { system, work, holds_per_s, p99_us, from } in &self.cited {
            let (rate, p99) = (grouped(*holds_per_s), grouped(*p99_us));
            line(format_args!(
                "| {work} | {system}, cited: {from} | {rate} | – | {p99} | – | synced | 8,189 | none | – |"
            ));
        }
        let Plan { cells, lifetime_ms, warm_up_s, seconds } = self.plan;
        line(format_args!(
            "\n{}. Medians of {} alternating runs of {seconds} s after {warm_up_s} s; holds live {lifetime_ms} ms; {} cells; \
             pinning: {}.",
            self.machine.line(),
            self.runs,
            grouped(f64::from(cells)),
            self.pinning,
        ));
        let versions: Vec<_> =
            self.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect();
        line(format_args!("{}.", versions.join("; ")));
        if self.quick {
            line(format_args!("Quick: fewer and shorter runs than a published figure needs."));
        }
        if !self.quiet {
            line(format_args!("The machine was not quiet: something else ran beside this."));
        }
        self.skipped.iter().for_each(|skipped| line(format_args!("Left out: {skipped}.")));
        text
    }

    /// The rows of a work.
    pub fn of(&self, work: Work) -> impl Iterator<Item = &Measured> {
        self.rows.iter().filter(move |of| of.row.work == work)
    }
}

impl Measured {
    fn new(row: Row, samples: Vec<Sample>) -> Self {
        let sorted = |figure: fn(&Sample) -> f64| {
            let mut figures: Vec<f64> = samples.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures
        };
        let median = |figure| {
            let figures = sorted(figure);
            let upper = figures.len() / 2;
            (figures[upper] + figures[(figures.len() - 1) / 2]) / 2.0
        };
        let rates = sorted(|sample| sample.holds_per_s);
        Self {
            median: Sample {
                holds_per_s: median(|sample| sample.holds_per_s),
                p50_us: median(|sample| sample.p50_us),
                p99_us: median(|sample| sample.p99_us),
                client_cpu: median(|sample| sample.client_cpu),
                server_cpu: median(|sample| sample.server_cpu),
            },
            holds_per_s_min: rates[0],
            holds_per_s_max: rates[rates.len() - 1],
            earmark_ratio: None,
            row,
            samples,
        }
    }
}

/// A whole number with commas.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
