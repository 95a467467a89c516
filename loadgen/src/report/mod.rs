//! `earmark-loadgen report`: results that were kept, beside one another; as text, as percentiles in the format of
//! HdrHistogram's plotter, and as a page that needs nothing but itself.

mod chart;
mod page;

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use crate::error::Trouble;
use crate::outcome::Outcome;

pub(crate) use chart::{Axis, Chart, Line};
pub(crate) use page::{Page, page};

/// `earmark-loadgen report`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// A result, as `run --out` kept it
    #[arg(value_name = "FILE")]
    result: PathBuf,
    /// Another to compare it with
    #[arg(value_name = "OTHER")]
    other: Option<PathBuf>,
    /// Write a page with charts of latency by percentile and over time
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the percentiles of the first result in the format of HdrHistogram's plotter
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

/// Reports.
pub(crate) fn report(args: &ReportArgs) -> Result<(String, Value), Trouble> {
    let first = read(&args.result)?;
    let other = args.other.as_deref().map(read).transpose()?;
    let results: Vec<(&str, &Outcome)> = match &other {
        Some(other) => vec![("A", &first), ("B", other)],
        None => vec![("A", &first)],
    };
    if let Some(file) = &args.html {
        write(file, &page(&Page::of(&results)))?;
    }
    if let Some(file) = &args.hgrm {
        write(file, &hgrm(&first))?;
    }
    Ok(match &other {
        Some(other) => compare(&first, other),
        None => (first.to_string(), json!(first)),
    })
}

fn read(file: &Path) -> Result<Outcome, Trouble> {
    let attempted = || format!("reading the result {}", file.display());
    let bytes = std::fs::read(file).map_err(|error| Trouble::usage(attempted(), error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Trouble::usage(attempted(), format!("{error}; give one that `run --out` kept")))
}

/// Finds out now whether a result could be kept in these files, and not when it is there.
pub(crate) fn can_be_written<'a>(files: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Trouble> {
    for file in files {
        let wrong = |error| Trouble::usage(format!("writing {}", file.display()), error);
        match std::fs::File::create_new(file) {
            Ok(_) => std::fs::remove_file(file).map_err(wrong)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                std::fs::File::options().append(true).create(true).open(file).map_err(wrong)?;
            }
            Err(error) => return Err(wrong(error)),
        }
    }
    Ok(())
}

/// Keeps a text in a file.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    std::fs::write(file, text).map_err(|error| Trouble::usage(format!("writing {}", file.display()), error))
}

/// A name and how to find its figure in a result.
type Figure = (&'static str, fn(&Outcome) -> f64);

/// What two results are compared by.
const FIGURES: [Figure; 11] = [
    ("rate_per_s", |outcome| outcome.rate_per_s),
    ("p50_us", |outcome| outcome.all.p50_us),
    ("p90_us", |outcome| outcome.all.p90_us),
    ("p99_us", |outcome| outcome.all.p99_us),
    ("p999_us", |outcome| outcome.all.p999_us),
    ("p9999_us", |outcome| outcome.all.p9999_us),
    ("max_us", |outcome| outcome.all.max_us),
    ("refused", |outcome| outcome.all.refused as f64),
    ("errors", |outcome| outcome.all.errors as f64),
    ("client_cpu_s", |outcome| outcome.client_cpu_s),
    ("server_cpu_s", |outcome| outcome.server_cpu_s.unwrap_or(f64::NAN)),
];

fn compare(a: &Outcome, b: &Outcome) -> (String, Value) {
    let mut text = format!("A: {}B: {}", headline(a), headline(b));
    let mut rows = serde_json::Map::new();
    let _ = writeln!(text, "{:>14} {:>14} {:>14} {:>8}", "", "A", "B", "B / A");
    for (name, figure) in FIGURES {
        let (a, b) = (figure(a), figure(b));
        let ratio = if a == b { 1.0 } else { b / a };
        let _ = writeln!(text, "{name:>14} {a:>14.1} {b:>14.1} {ratio:>8.3}");
        rows.insert(name.to_owned(), json!({ "a": a, "b": b, "ratio": ratio.is_finite().then_some(ratio) }));
    }
    (text, Value::Object(rows))
}

/// The first line of a result's text: what was done.
fn headline(outcome: &Outcome) -> String {
    outcome.to_string().lines().next().unwrap_or_default().to_owned() + "\n"
}

/// As HdrHistogram prints a percentile distribution: values in milliseconds.
pub(crate) fn hgrm(outcome: &Outcome) -> String {
    let mut text = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    for point in &outcome.latency {
        let value = point.us / 1e3;
        let _ = write!(text, "{value:12.3} {:2.12} {:10}", point.quantile, point.count);
        if point.quantile < 1.0 {
            let _ = write!(text, " {:14.2}", 1.0 / (1.0 - point.quantile));
        }
        text.push('\n');
    }
    let all = &outcome.all;
    let _ = writeln!(text, "#[Mean    = {:12.3}, Max = {:12.3}]", all.mean_us / 1e3, all.max_us / 1e3);
    let _ = writeln!(text, "#[Total count    = {:12}]", all.answered + all.errors);
    text
}

#[cfg(test)]
mod tests;
