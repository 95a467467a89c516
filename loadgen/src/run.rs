//! `earmark-loadgen run`: one load, one result.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use earmark_protocol::client::Client;

use crate::connect::Connect;
use crate::drive::{Driven, Load, Rhythm, drive};
use crate::error::Trouble;
use crate::outcome::{Figures, Outcome, Setup, curve, series};
use crate::pace::Step;
use crate::process::{Machine, Process};
use crate::workload::Workload;
use crate::workload::hold::Hold;
use crate::world::{World, stats};

/// `earmark-loadgen run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    shape: Shape,
    /// Keep the result in this file, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// What is sent, how much of it at once, and for how long.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shape {
    /// Connections; with a unix socket each pipe is one
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Pipes of all connections together
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..))]
    pipes: u32,
    /// Requests of one frame
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=65_535))]
    batch: u32,
    /// Closed loop: requests that wait at any time, over all pipes
    #[arg(long, default_value_t = 1_024, conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// Open loop: requests per second, whatever the answers do. Several, with commas, are held one after the other, each
    /// for its part of --seconds
    #[arg(long, value_delimiter = ',', value_name = "PER_SECOND", value_parser = positive)]
    rate: Vec<f64>,
    /// How finely an open loop keeps its times
    #[arg(long, default_value_t = 100, value_name = "US", value_parser = clap::value_parser!(u64).range(10..))]
    tick_us: u64,
    /// Measured seconds
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Seconds before that, under the same load; longer than --lifetime-ms for a steady state
    #[arg(long, default_value_t = 3.0, value_parser = not_negative)]
    warmup: f64,
    /// How long holds live that are left to expire
    #[arg(long, default_value_t = 2_000, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    lifetime_ms: u32,
    /// Put load on the first so many skus
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    skus: u32,
    /// Threads of the load generator, each with a socket of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    threads: u32,
    /// Seed of what is asked for
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// No progress on standard error
    #[arg(long)]
    quiet: bool,
}

/// Runs it.
pub(crate) async fn run(args: &RunArgs) -> Result<Outcome, Trouble> {
    let client = args.connect.client().await?;
    let world = World::look(&client, args.shape.skus as usize).await?;
    let shape = &args.shape;
    let (cells, lifetime_ms, seed) = (Arc::clone(&world.cells), shape.lifetime_ms, shape.seed);
    let workload =
        move |lane: usize| Hold::new(Arc::clone(&cells), lifetime_ms, seed.wrapping_add(lane as u64));
    let outcome = measure(&client, args, &world, "hold", workload).await?;
    client.close().await;
    if let Some(file) = &args.out {
        let json = serde_json::to_vec_pretty(&outcome).expect("a result is plain data");
        std::fs::write(file, json)
            .map_err(|error| Trouble::usage(format!("keeping the result in {}", file.display()), error))?;
    }
    Ok(outcome)
}

async fn measure<L: Workload>(
    client: &Client,
    args: &RunArgs,
    world: &World,
    name: &str,
    workload: impl Fn(usize) -> L + Clone + Send + 'static,
) -> Result<Outcome, Trouble> {
    let load = args.shape.load(&args.connect)?;
    let server = Process::serving(load.config.address);
    let before = stats(client).await?;
    let driven = drive(&load, server, workload, args.shape.progress()).await?;
    let after = stats(client).await?;
    let setup = args.shape.setup(&load, name, server, world);
    let mut outcome = outcome(setup, &driven, &load);
    outcome.daemon = growth(&before, &after);
    Ok(outcome)
}

impl Shape {
    fn load(&self, connect: &Connect) -> Result<Load, Trouble> {
        if self.pipes < self.threads || self.pipes < self.connections || self.connections < self.threads {
            return Err(Trouble::Usage(format!(
                "dealing {} connections and {} pipes to {} threads: each thread needs a connection and each connection \
                 a pipe; raise --connections and --pipes or lower --threads",
                self.connections, self.pipes, self.threads
            )));
        }
        let lasts = Duration::from_secs_f64(self.seconds);
        let rhythm = if self.rate.is_empty() {
            if self.in_flight < self.pipes * self.batch {
                return Err(Trouble::Usage(format!(
                    "keeping {} requests in flight: {} pipes with {} per frame need at least {}; raise --in-flight or \
                     lower --pipes or --batch",
                    self.in_flight,
                    self.pipes,
                    self.batch,
                    self.pipes * self.batch
                )));
            }
            Rhythm::InFlight(self.in_flight as usize)
        } else {
            let part = lasts / self.rate.len() as u32;
            let steps = self.rate.iter().map(|&rate| Step { lasts: part, rate }).collect();
            Rhythm::Rate { steps, tick: Duration::from_micros(self.tick_us) }
        };
        Ok(Load {
            config: connect.config()?,
            unix: connect.unix.clone(),
            threads: self.threads as usize,
            connections: self.connections as usize,
            pipes: self.pipes as usize,
            batch: self.batch,
            rhythm,
            warm_up: Duration::from_secs_f64(self.warmup),
            lasts,
            drain: connect.deadline(),
        })
    }

    fn setup(&self, load: &Load, workload: &str, server: Option<Process>, world: &World) -> Setup {
        Setup {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workload: workload.to_owned(),
            transport: if load.unix.is_some() { "unix" } else { "quic" }.to_owned(),
            rates_per_s: self.rate.clone(),
            in_flight: matches!(load.rhythm, Rhythm::InFlight(_)).then_some(self.in_flight as usize),
            connections: if load.unix.is_some() { load.pipes } else { load.connections },
            pipes: load.pipes,
            batch: self.batch,
            threads: load.threads,
            warm_up_s: self.warmup,
            seconds: self.seconds,
            lifetime_ms: self.lifetime_ms,
            skus: world.skus.len(),
            cells: world.cells.len(),
            seed: self.seed,
            machine: Machine::this(),
            client_cores: Process::own().cores(),
            server_cores: server.and_then(|server| server.cores()),
            server_command: server.and_then(|server| server.command()),
        }
    }

    fn progress(&self) -> impl Fn(f64) + use<> {
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

fn outcome<L: Workload>(setup: Setup, driven: &Driven<L>, load: &Load) -> Outcome {
    let meter = &driven.meter;
    let all = meter.all();
    let steps = L::STEPS.iter().zip(&meter.steps);
    Outcome {
        rate_per_s: meter.arrived as f64 / load.lasts.as_secs_f64(),
        all: Figures::of(&all),
        pipes_lost: driven.lost.iter().map(ToString::to_string).collect(),
        client_cpu_s: driven.client.cpu_s,
        client_rss_bytes: driven.client.rss_bytes,
        server_cpu_s: driven.server.map(|server| server.cpu_s),
        server_rss_bytes: driven.server.map(|server| server.rss_bytes),
        steps: steps.map(|(name, answers)| ((*name).to_owned(), Figures::of(answers))).collect(),
        latency: curve(&all.latency_ns),
        series: series(meter, meter.interval().as_secs_f64()),
        daemon: BTreeMap::new(),
        setup,
    }
}

/// Counters by how much they grew; what can fall is a level and is given as it is.
fn growth(before: &[(String, u64)], after: &[(String, u64)]) -> BTreeMap<String, i64> {
    let before: BTreeMap<_, _> = before.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    after
        .iter()
        .map(|(name, value)| {
            let was = before.get(name.as_str()).copied().unwrap_or_default();
            (name.clone(), signed(*value) - signed(was))
        })
        .collect()
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("give a number above 0".to_owned()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("give a number, 0 or above".to_owned()),
    }
}
