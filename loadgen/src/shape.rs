//! What is sent, how much of it at once, and for how long: the options that all loads share.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::baskets::Recorded;
use crate::connect::Connect;
use crate::curve;
use crate::drive::{Load, Rhythm};
use crate::error::Trouble;
use crate::pace::Step;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// Plain holds: one unit of one cell, left to expire
    Hold,
    /// Orders with the shapes of real baskets: reserved, then confirmed, released or left to expire
    Cart,
    /// Quotes of such orders
    Quote,
    /// Availability of one sku, and an order for every --checks-per-order
    Atp,
    /// One sku at one node, --units of it, and every buyer wants one
    FlashSale,
    /// Orders over a day pressed into --seconds: --rate is the day's mean, its peak hour has 14.5 times that
    PeakDay,
    /// The orders of --orders at their own times, --speed times as fast
    Replay,
}

/// What is sent, and when.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shape {
    /// What to ask
    #[arg(value_enum, default_value_t = Work::Hold, value_name = "WORKLOAD")]
    pub(crate) work: Work,
    /// Open loop: requests per second, whatever the answers do. Several, with commas, are held one after the other, each
    /// for its part of --seconds
    #[arg(long, value_delimiter = ',', value_name = "PER_SECOND", value_parser = positive)]
    pub(crate) rate: Vec<f64>,
    /// How finely an open loop keeps its times
    #[arg(long, default_value_t = 100, value_name = "US", value_parser = clap::value_parser!(u64).range(10..))]
    tick_us: u64,
    /// How long holds live that are left to expire
    #[arg(long, default_value_t = 2_000, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lifetime_ms: u32,
    /// Put load on the first so many skus
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) skus: u32,
    /// Orders to send instead of drawn ones: CSV, gzip allowed, with order_id, ts (seconds), sku, qty
    #[arg(long, value_name = "FILE")]
    pub(crate) orders: Option<PathBuf>,
    /// Cut orders to so many lines
    #[arg(long, default_value_t = 1_106, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lines_max: u32,
    /// Of a hundred reserved orders, how many are confirmed
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) confirm: u32,
    /// Of a hundred reserved orders, how many are released; the rest is left to expire
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) release: u32,
    /// Availability checks for each order of `atp`
    #[arg(long, default_value_t = 50)]
    pub(crate) checks_per_order: u32,
    /// Units on sale in `flash-sale`
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) units: u32,
    /// Buyers of `flash-sale` send orders to route instead of holds of the cell
    #[arg(long)]
    pub(crate) routed: bool,
    /// How much faster `replay` goes than the orders came
    #[arg(long, default_value_t = 3_600.0, value_parser = positive)]
    pub(crate) speed: f64,
    #[command(flatten)]
    pub(crate) volume: Volume,
}

/// How much of it at once, and for how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct Volume {
    /// Connections; with a unix socket each pipe is one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Pipes of all connections together
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pipes: u32,
    /// Requests of one frame
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    pub(crate) batch: u32,
    /// Closed loop: requests that wait at any time, over all pipes
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight: u32,
    /// Measured seconds
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    pub(crate) seconds: f64,
    /// Seconds before that, under the same load; longer than --lifetime-ms for a steady state
    #[arg(long, default_value_t = 3.0, value_parser = not_negative)]
    pub(crate) warmup: f64,
    /// Threads of the load generator, each with a socket of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Seed of what is asked for
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

impl Shape {
    /// The same in an open loop of this rate.
    pub(crate) fn at_rate(&self, rate: f64) -> Self {
        Self { rate: vec![rate], ..self.clone() }
    }

    /// How the load is put on. Recorded orders say when, where they are replayed.
    pub(crate) fn load(&self, connect: &Connect, recorded: &[Recorded]) -> Result<Load, Trouble> {
        let rhythm = self.rhythm(recorded)?;
        let load = self.volume.load(connect, rhythm)?;
        Ok(match self.work {
            // Each order has a time of its own.
            Work::Replay => Load { batch: 1, warm_up: Duration::ZERO, ..load },
            _ => load,
        })
    }

    fn rhythm(&self, recorded: &[Recorded]) -> Result<Rhythm, Trouble> {
        let (lasts, tick) = (self.volume.lasts(), Duration::from_micros(self.tick_us));
        let steps = match (self.work, &*self.rate) {
            (Work::Replay, _) => return self.replay(lasts, tick, recorded),
            (Work::PeakDay, [mean]) => curve::day(*mean, lasts),
            (Work::PeakDay, _) => {
                return Err(Trouble::Usage(
                    "pressing a day together: it needs one --rate, the day's mean".to_owned(),
                ));
            }
            (_, []) => return self.volume.closed(),
            (_, rates) => {
                let part = lasts / rates.len() as u32;
                rates.iter().map(|&rate| Step { lasts: part, rate }).collect()
            }
        };
        Ok(Rhythm::Rate { steps, tick })
    }

    fn replay(&self, lasts: Duration, tick: Duration, recorded: &[Recorded]) -> Result<Rhythm, Trouble> {
        let Some(first) = recorded.first() else {
            return Err(Trouble::Usage("replaying orders: it needs --orders FILE".to_owned()));
        };
        let after = |order: &Recorded| (order.at_s - first.at_s) as f64 / self.speed;
        let after = recorded.iter().map(|order| Duration::from_secs_f64(after(order)));
        Ok(Rhythm::Listed { after: after.take_while(|after| *after < lasts).collect(), tick })
    }
}

impl Volume {
    /// A load of this volume.
    pub(crate) fn load(&self, connect: &Connect, rhythm: Rhythm) -> Result<Load, Trouble> {
        if self.pipes < self.threads || self.pipes < self.connections || self.connections < self.threads {
            return Err(Trouble::Usage(format!(
                "dealing {} connections and {} pipes to {} threads: each thread needs a connection and each connection \
                 a pipe; raise --connections and --pipes or lower --threads",
                self.connections, self.pipes, self.threads
            )));
        }
        Ok(Load {
            config: connect.config()?,
            unix: connect.unix.clone(),
            threads: self.threads as usize,
            connections: self.connections as usize,
            pipes: self.pipes as usize,
            batch: self.batch,
            rhythm,
            warm_up: Duration::from_secs_f64(self.warmup),
            lasts: self.lasts(),
            drain: connect.deadline(),
        })
    }

    /// In a closed loop.
    pub(crate) fn closed(&self) -> Result<Rhythm, Trouble> {
        let least = u64::from(self.pipes) * u64::from(self.batch);
        if u64::from(self.in_flight) < least {
            return Err(Trouble::Usage(format!(
                "keeping {} requests in flight: {} pipes with {} per frame need at least {least}; raise --in-flight or \
                 lower --pipes or --batch",
                self.in_flight, self.pipes, self.batch,
            )));
        }
        Ok(Rhythm::InFlight(self.in_flight as usize))
    }

    fn lasts(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Tells a terminal how far it is.
    pub(crate) fn progress(&self) -> impl Fn(f64) + use<> {
        let shown = !self.quiet && std::io::stderr().is_terminal();
        let seconds = self.seconds;
        move |gone| {
            if shown {
                let end = if gone < seconds { "" } else { "\n" };
                let mut stderr = std::io::stderr().lock();
                // Who cannot see the progress does not miss it.
                let _ = write!(stderr, "\r{gone:.0} of {seconds:.0} s measured{end}");
                let _ = stderr.flush();
            }
        }
    }
}

/// Largest number that is taken: as seconds a life, as a rate one every nanosecond.
const NUMBER_MAX: f64 = 1e9;

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= NUMBER_MAX => Ok(number),
        _ => Err(format!("give a number above 0, up to {NUMBER_MAX}")),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=NUMBER_MAX).contains(&number) => Ok(number),
        _ => Err(format!("give a number from 0 to {NUMBER_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_no_load_can_be_made_of_are_refused() {
        for text in ["0", "-1", "nan", "inf", "1e30", "soon"] {
            assert!(positive(text).is_err(), "{text} was taken");
        }
        assert_eq!((positive("0.5"), not_negative("0")), (Ok(0.5), Ok(0.0)));
        assert!(not_negative("1e300").is_err(), "a time of that length is none");
    }
}
