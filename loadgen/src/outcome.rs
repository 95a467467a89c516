//! How a run went: the figures, and all that must be said beside them. This one type is the JSON that is kept and what
//! every report is drawn from.

use std::collections::BTreeMap;
use std::fmt;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::meter::{Answers, Meter};
use crate::process::Machine;

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) setup: Setup,
    /// Answers that arrived in the measured seconds, by second.
    pub(crate) rate_per_s: f64,
    /// All requests together.
    #[serde(flatten)]
    pub(crate) all: Figures,
    /// Pipes that were gone before the load was over, and why.
    pub(crate) pipes_lost: Vec<String>,
    /// The load generator's own processor time in the measured seconds.
    pub(crate) client_cpu_s: f64,
    pub(crate) client_rss_bytes: u64,
    /// The daemon's; `null` where it is on another machine or belongs to another user.
    pub(crate) server_cpu_s: Option<f64>,
    pub(crate) server_rss_bytes: Option<u64>,
    /// Requests by kind.
    pub(crate) steps: BTreeMap<String, Figures>,
    /// Latency by quantile.
    pub(crate) latency: Vec<Quantile>,
    pub(crate) series: Vec<Point>,
    /// What was sold, in a flash sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sale: Option<Sale>,
    /// By how much the daemon's counters and levels grew, from before the warm-up to the end.
    pub(crate) daemon: BTreeMap<String, i64>,
}

/// The sale of one sku. What buyers were told must be what the daemon has promised, and never more than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sale {
    /// Units that were on sale.
    pub(crate) units: u64,
    /// Units that buyers were told they have, warm-up included.
    pub(crate) sold: u64,
    /// Units that the daemon has promised since.
    pub(crate) promised: u64,
}

/// What was done, on what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) version: String,
    pub(crate) workload: String,
    /// `quic` or `unix`.
    pub(crate) transport: String,
    /// Requests per second that were to be sent, step by step; empty for a closed loop.
    pub(crate) rates_per_s: Vec<f64>,
    /// Requests that wait at any time in a closed loop, over all pipes.
    pub(crate) in_flight: Option<usize>,
    pub(crate) connections: usize,
    pub(crate) pipes: usize,
    /// Requests of one frame.
    pub(crate) batch: u32,
    /// Threads of the load generator.
    pub(crate) threads: usize,
    pub(crate) warm_up_s: f64,
    pub(crate) seconds: f64,
    pub(crate) lifetime_ms: u32,
    pub(crate) skus: usize,
    pub(crate) cells: usize,
    pub(crate) seed: u64,
    pub(crate) machine: Machine,
    /// Cores that the processes may run on.
    pub(crate) client_cores: Option<String>,
    pub(crate) server_cores: Option<String>,
    /// How the daemon was started.
    pub(crate) server_command: Option<String>,
}

/// Figures of some requests; latencies are in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Requests that started in the measured seconds.
    pub(crate) sent: u64,
    /// Those of them that were answered, refusals included.
    pub(crate) answered: u64,
    /// Those of them that were answered with a no.
    pub(crate) refused: u64,
    /// Those of them that were never answered. They are in the percentiles with the time they waited.
    pub(crate) errors: u64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) p9999_us: f64,
    pub(crate) max_us: f64,
    /// Of what was accepted alone, and what waits without an answer; as `p99_us` where nothing was refused.
    #[serde(default)]
    pub(crate) accepted_p50_us: f64,
    #[serde(default)]
    pub(crate) accepted_p99_us: f64,
    /// Of refusals; 0 where there are none.
    #[serde(default)]
    pub(crate) refused_p50_us: f64,
    #[serde(default)]
    pub(crate) refused_p99_us: f64,
    /// Refusals by name.
    pub(crate) refusals: BTreeMap<String, u64>,
}

/// One point of the latency curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quantile {
    pub(crate) quantile: f64,
    pub(crate) us: f64,
    /// Requests up to here.
    pub(crate) count: u64,
}

/// One interval of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Its end, in seconds from the start of the measured part.
    pub(crate) at_s: f64,
    pub(crate) rate_per_s: f64,
    pub(crate) refused_per_s: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
}

impl Outcome {
    /// Whether no pipe was lost, not all was refused but in a sale, and no unit was sold that is not promised.
    pub(crate) fn is_sound(&self) -> bool {
        let is_unanswered = self.all.errors > 0;
        let is_heard = self.all.answered > self.all.refused || self.sale.is_some();
        let is_kept =
            |sale: &Sale| sale.promised <= sale.units && (sale.sold == sale.promised || is_unanswered);
        is_heard && self.pipes_lost.is_empty() && self.sale.as_ref().is_none_or(is_kept)
    }
}

impl Figures {
    pub(crate) fn of(answers: &Answers) -> Self {
        let latency = &answers.latency_ns;
        let mut accepted = latency.clone();
        accepted.subtract(&answers.refused_ns).expect("refusals are among the answers");
        let at = |latency: &Histogram<u64>, quantile| latency.value_at_quantile(quantile) as f64 / 1e3;
        let us = |quantile| at(latency, quantile);
        Self {
            sent: answers.sent,
            answered: answers.answered,
            refused: answers.refused.values().sum(),
            errors: answers.unanswered,
            mean_us: latency.mean() / 1e3,
            p50_us: us(0.5),
            p90_us: us(0.9),
            p99_us: us(0.99),
            p999_us: us(0.999),
            p9999_us: us(0.9999),
            max_us: latency.max() as f64 / 1e3,
            accepted_p50_us: at(&accepted, 0.5),
            accepted_p99_us: at(&accepted, 0.99),
            refused_p50_us: at(&answers.refused_ns, 0.5),
            refused_p99_us: at(&answers.refused_ns, 0.99),
            refusals: answers.refused.iter().map(|(code, count)| (code.name().to_owned(), *count)).collect(),
        }
    }
}

/// The latency curve: finer towards the tail, as far as there are requests to tell of.
pub(crate) fn curve(latency: &Histogram<u64>) -> Vec<Quantile> {
    let steps = latency.iter_quantiles(5);
    let points = steps.map(|step| Quantile {
        quantile: step.quantile_iterated_to(),
        us: step.value_iterated_to() as f64 / 1e3,
        count: latency.count_between(0, step.value_iterated_to()),
    });
    points.collect()
}

/// The run over time.
pub(crate) fn series(meter: &Meter, interval_s: f64) -> Vec<Point> {
    let points = meter.points.iter().enumerate().map(|(at, point)| {
        let us = |quantile| point.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
        Point {
            at_s: (at + 1) as f64 * interval_s,
            rate_per_s: point.latency_ns.len() as f64 / interval_s,
            refused_per_s: point.refused as f64 / interval_s,
            p50_us: us(0.5),
            p99_us: us(0.99),
            max_us: point.latency_ns.max() as f64 / 1e3,
        }
    });
    points.collect()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (setup, all) = (&self.setup, &self.all);
        let how = match setup.in_flight {
            Some(in_flight) => format!("closed loop, {in_flight} in flight"),
            None if setup.rates_per_s.is_empty() => "open loop, at the orders' own times".to_owned(),
            None => {
                let rates: Vec<_> = setup.rates_per_s.iter().map(f64::to_string).collect();
                format!("open loop, {} wanted per second", rates.join(", then "))
            }
        };
        writeln!(
            f,
            "{} over {}: {how}, {} pipes of {} connections, {} per write, {} s after {} s, seed {}",
            setup.workload,
            setup.transport,
            setup.pipes,
            setup.connections,
            setup.batch,
            setup.seconds,
            setup.warm_up_s,
            setup.seed
        )?;
        writeln!(f, "{:>12.0} answers/s", self.rate_per_s)?;
        let mut row = |name: &str, figures: &Figures| {
            writeln!(
                f,
                "{name:>12} µs: p50 {:.0}, p90 {:.0}, p99 {:.0}, p99.9 {:.0}, p99.99 {:.0}, max {:.0}; sent {}, \
                 refused {}, unanswered {}",
                figures.p50_us,
                figures.p90_us,
                figures.p99_us,
                figures.p999_us,
                figures.p9999_us,
                figures.max_us,
                figures.sent,
                figures.refused,
                figures.errors
            )
        };
        row("all", all)?;
        if self.steps.len() > 1 {
            let mut asked = self.steps.iter().filter(|(_, figures)| figures.sent > 0);
            asked.try_for_each(|(name, figures)| row(name, figures))?;
        }
        for (name, count) in &all.refusals {
            writeln!(f, "{name:>12}: {count} refusals")?;
        }
        if all.refused > 0 {
            writeln!(
                f,
                "{:>12} µs: p50 {:.0}, p99 {:.0}; refusals p50 {:.0}, p99 {:.0}",
                "accepted", all.accepted_p50_us, all.accepted_p99_us, all.refused_p50_us, all.refused_p99_us
            )?;
        }
        if let Some(Sale { units, sold, promised }) = self.sale {
            writeln!(f, "{sold:>12} of {units} units sold, {promised} promised by the daemon")?;
        }
        let seconds = setup.seconds;
        write!(f, "{:>12.2} cores used by the load", self.client_cpu_s / seconds)?;
        if let (Some(cpu_s), Some(rss)) = (self.server_cpu_s, self.server_rss_bytes) {
            write!(f, ", {:.2} by the daemon, which has {} MiB resident", cpu_s / seconds, rss >> 20)?;
        }
        writeln!(f)?;
        self.pipes_lost.iter().try_for_each(|why| writeln!(f, "a pipe was lost: {why}"))
    }
}
