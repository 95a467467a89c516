//! `earmark-loadgen sweep`: the highest rate of an open loop that keeps a given p99, and latency against load on the way
//! there and beyond.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use crate::connect::Connect;
use crate::error::Trouble;
use crate::outcome::Outcome;
use crate::report::{Axis, Chart, Line, Page, can_be_written, page, write};
use crate::run::Bench;
use crate::shape::{Shape, positive};

/// From one rate to the next, until one is too high.
const STRIDE: f64 = 1.5;
/// A rate is kept where so much of it is answered in the measured seconds.
const KEPT: f64 = 0.99;

/// `earmark-loadgen sweep`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    shape: Shape,
    /// The p99 to keep
    #[arg(long, default_value_t = 2_000.0, value_name = "US", value_parser = positive)]
    p99_us: f64,
    /// The first rate
    #[arg(long, default_value_t = 50_000.0, value_name = "PER_SECOND", value_parser = positive)]
    from: f64,
    /// How often the last interval is halved
    #[arg(long, default_value_t = 4)]
    halvings: u32,
    /// How often a rate is tried before it counts as too high: on a machine with other work one late second is not the daemon's
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    tries: u32,
    /// Then measure at these multiples of the best rate, too
    #[arg(long, value_delimiter = ',', value_name = "TIMES", value_parser = positive)]
    beyond: Vec<f64>,
    /// Write a page with the curve
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the curve of latency against load as a picture
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// One rate and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Tried {
    wanted_per_s: f64,
    rate_per_s: f64,
    /// Answers that were no refusals.
    accepted_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    accepted_p99_us: f64,
    refused_p99_us: f64,
    refused: u64,
    errors: u64,
    server_rss_bytes: Option<u64>,
    kept: bool,
}

impl Tried {
    fn new(wanted_per_s: f64, outcome: &Outcome, p99_us: f64) -> Self {
        let all = &outcome.all;
        let accepted = 1.0 - all.refused as f64 / (all.answered.max(1)) as f64;
        Self {
            wanted_per_s,
            rate_per_s: outcome.rate_per_s,
            accepted_per_s: outcome.rate_per_s * accepted,
            p50_us: all.p50_us,
            p99_us: all.p99_us,
            p999_us: all.p999_us,
            accepted_p99_us: all.accepted_p99_us,
            refused_p99_us: all.refused_p99_us,
            refused: all.refused,
            errors: all.errors,
            server_rss_bytes: outcome.server_rss_bytes,
            kept: all.p99_us <= p99_us
                && outcome.rate_per_s >= KEPT * wanted_per_s
                && all.refused + all.errors == 0
                && outcome.pipes_lost.is_empty(),
        }
    }
}

/// The search: which rate to try next, from what was tried so far.
#[derive(Clone, Debug)]
struct Search {
    next: f64,
    /// The highest rate that was kept.
    kept: Option<f64>,
    /// The lowest that was not.
    missed: Option<f64>,
    halvings: u32,
}

impl Search {
    fn new(from: f64, halvings: u32) -> Self {
        Self { next: from, kept: None, missed: None, halvings }
    }

    /// The next rate after this one was kept or missed; `None` once it is known well enough.
    fn after(&mut self, kept: bool) -> Option<f64> {
        if kept {
            self.kept = Some(self.next);
        } else {
            self.missed = Some(self.next);
        }
        self.next = match (self.kept, self.missed) {
            (Some(kept), None) => kept * STRIDE,
            (None, Some(missed)) => missed / (STRIDE * STRIDE),
            (Some(kept), Some(missed)) => f64::midpoint(kept, missed),
            (None, None) => unreachable!("a rate was kept or missed"),
        };
        // Going up costs nothing of the budget: it ends by itself.
        if self.missed.is_some() {
            self.halvings = self.halvings.checked_sub(1)?;
        }
        Some(self.next)
    }
}

/// Sweeps.
pub(crate) async fn sweep(args: &SweepArgs) -> Result<(String, Value), Trouble> {
    can_be_written(&args.html)?;
    can_be_written(&args.svg)?;
    let bench = Bench::open(&args.shape, &args.connect).await?;
    let tried = try_rates(&bench, args).await;
    bench.close().await;
    let (mut tried, best) = tried?;
    tried.sort_by(|one, other| one.wanted_per_s.total_cmp(&other.wanted_per_s));
    let curve = curve(&tried, best, args.p99_us);
    if let Some(file) = &args.html {
        write(file, &page(&curve))?;
    }
    if let Some(file) = &args.svg {
        write(file, &curve.charts[0].file())?;
    }
    Ok((
        text(&tried, best, args.p99_us),
        json!({ "p99_us": args.p99_us, "best_rate_per_s": best, "tried": tried }),
    ))
}

/// All rates that were tried, and the best one that was kept.
async fn try_rates(bench: &Bench<'_>, args: &SweepArgs) -> Result<(Vec<Tried>, Option<f64>), Trouble> {
    let mut tried = Vec::new();
    let mut search = Search::new(args.from, args.halvings);
    let mut next = Some(args.from);
    while let Some(rate) = next {
        let mut one = measure(bench, args, rate).await?;
        for _ in 1..args.tries {
            if !one.kept {
                one = measure(bench, args, rate).await?;
            }
        }
        next = search.after(one.kept);
        tried.push(one);
    }
    for times in &args.beyond {
        if let Some(best) = search.kept {
            tried.push(measure(bench, args, best * times).await?);
        }
    }
    Ok((tried, search.kept))
}

async fn measure(bench: &Bench<'_>, args: &SweepArgs, rate: f64) -> Result<Tried, Trouble> {
    let outcome = bench.measure(&args.shape.at_rate(rate)).await?;
    Ok(Tried::new(rate, &outcome, args.p99_us))
}

fn text(tried: &[Tried], best: Option<f64>, p99_us: f64) -> String {
    let mut text = format!(
        "{:>12} {:>12} {:>12} {:>10} {:>10} {:>10} {:>15} {:>14} {:>10} {:>9}\n",
        "wanted/s",
        "answered/s",
        "accepted/s",
        "p50 µs",
        "p99 µs",
        "p99.9 µs",
        "accepted p99 µs",
        "refused p99 µs",
        "refused",
        "RSS MiB"
    );
    for one in tried {
        let _ = writeln!(
            text,
            "{:>12.0} {:>12.0} {:>12.0} {:>10.0} {:>10.0} {:>10.0} {:>15.0} {:>14.0} {:>10} {:>9} {}",
            one.wanted_per_s,
            one.rate_per_s,
            one.accepted_per_s,
            one.p50_us,
            one.p99_us,
            one.p999_us,
            one.accepted_p99_us,
            one.refused_p99_us,
            one.refused,
            one.server_rss_bytes.map_or_else(|| "?".to_owned(), |rss| (rss >> 20).to_string()),
            if one.kept { "kept" } else { "" }
        );
    }
    match best {
        Some(best) => writeln!(text, "the highest rate with p99 up to {p99_us:.0} µs: {best:.0} per second"),
        None => {
            writeln!(text, "no rate that was tried kept p99 up to {p99_us:.0} µs; begin lower with --from")
        }
    }
    .expect("a string takes every text");
    text
}

fn curve(tried: &[Tried], best: Option<f64>, p99_us: f64) -> Page {
    let line = |name: &str, value: fn(&Tried) -> f64| Line {
        name: name.to_owned(),
        points: tried.iter().map(|one| (one.wanted_per_s, value(one))).collect(),
    };
    let mut latency =
        vec![line("p50", |one| one.p50_us), line("p99", |one| one.p99_us), line("p99.9", |one| one.p999_us)];
    if tried.iter().any(|one| one.refused > 0) {
        latency.push(line("p99 of what was accepted", |one| one.accepted_p99_us));
        latency.push(line("p99 of refusals", |one| one.refused_p99_us));
    }
    let rate = vec![line("answered", |one| one.rate_per_s), line("accepted", |one| one.accepted_per_s)];
    let x = || Axis::linear("wanted per second");
    let best = best.map_or("none".to_owned(), |best| format!("{best:.0}"));
    Page {
        title: "Earmark: latency against load".to_owned(),
        charts: vec![
            Chart {
                title: "Latency against load".to_owned(),
                x: x(),
                y: Axis::logarithmic("µs"),
                lines: latency,
            },
            Chart {
                title: "Rate against load".to_owned(),
                x: x(),
                y: Axis::linear("per second"),
                lines: rate,
            },
        ],
        table: vec![
            vec![String::new(), "per second".to_owned()],
            vec![format!("highest with p99 up to {p99_us:.0} µs"), best],
        ],
        notes: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_closes_in_on_the_rate_where_latency_turns() {
        for turn in [37_000.0, 100_000.0, 910_000.0] {
            let mut search = Search::new(100_000.0, 8);
            let mut tries = 0;
            let mut next = Some(search.next);
            while let Some(rate) = next {
                next = search.after(rate <= turn);
                tries += 1;
            }
            let kept = search.kept.unwrap();
            assert!(kept <= turn && kept > 0.95 * turn, "{kept} for {turn}");
            assert!(tries < 20, "{tries} tries");
        }
    }
}
