//! `earmark-loadgen run`: one load, one result. What is asked of the daemon before and after goes over a connection of its
//! own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use earmark_protocol::client::Client;

use crate::baskets::{self, Baskets, Recorded};
use crate::connect::Connect;
use crate::drive::{Driven, Load, Rhythm, drive};
use crate::error::Trouble;
use crate::outcome::{Figures, Outcome, Sale, Setup, curve, series};
use crate::process::{Machine, Process};
use crate::report::{Page, can_be_written, hgrm, page, write};
use crate::shape::{Shape, Work};
use crate::workload::Workload;
use crate::workload::ask::{Browsing, Quotes};
use crate::workload::cart::{Cart, Fates};
use crate::workload::flash_sale::{self, FlashSale};
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
    /// Write a page with charts of latency by percentile and over time
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the percentiles in the format of HdrHistogram's plotter
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
    #[command(flatten)]
    connect: Connect,
}

/// Runs it.
pub(crate) async fn run(args: &RunArgs) -> Result<Outcome, Trouble> {
    can_be_written([&args.out, &args.html, &args.hgrm].into_iter().flatten())?;
    let bench = Bench::open(&args.shape, &args.connect).await?;
    let outcome = bench.measure(&args.shape).await;
    bench.close().await;
    let outcome = outcome?;
    if let Some(file) = &args.out {
        write(file, &serde_json::to_string_pretty(&outcome).expect("a result is plain data"))?;
    }
    if let Some(file) = &args.html {
        write(file, &page(&Page::of(&[("A", &outcome)])))?;
    }
    if let Some(file) = &args.hgrm {
        write(file, &hgrm(&outcome))?;
    }
    Ok(outcome)
}

/// A daemon that was looked at, and loads can be put on one after the other.
pub(crate) struct Bench<'a> {
    client: Client,
    connect: &'a Connect,
    world: World,
    recorded: Arc<[Recorded]>,
}

impl<'a> Bench<'a> {
    pub(crate) async fn open(shape: &Shape, connect: &'a Connect) -> Result<Self, Trouble> {
        let recorded = shape.orders.as_deref().map(baskets::read).transpose()?.unwrap_or_default();
        let client = connect.client().await?;
        let world = match World::look(&client, shape.skus as usize).await {
            Ok(world) => world,
            Err(trouble) => {
                client.close().await;
                return Err(trouble);
            }
        };
        Ok(Self { client, connect, world, recorded })
    }

    pub(crate) async fn close(&self) {
        self.client.close().await;
    }

    /// Puts this load on.
    pub(crate) async fn measure(&self, shape: &Shape) -> Result<Outcome, Trouble> {
        let lines_max = shape.lines_max as usize;
        let baskets = Baskets::new(Arc::clone(&self.world.skus), Arc::clone(&self.recorded), lines_max);
        let (lifetime_ms, seed) = (shape.lifetime_ms, shape.volume.seed);
        let seed = move |lane: usize| seed.wrapping_add(lane as u64);
        match shape.work {
            Work::Hold => {
                let cells = Arc::clone(&self.world.cells);
                let hold = move |lane| Hold::new(Arc::clone(&cells), lifetime_ms, seed(lane));
                self.put_on(shape, hold).await.map(|(outcome, _)| outcome)
            }
            Work::Cart | Work::PeakDay | Work::Replay => {
                let fates = Fates::new(shape.confirm, shape.release)?;
                let cart = move |lane| Cart::new(baskets.clone(), fates, lifetime_ms, seed(lane));
                self.put_on(shape, cart).await.map(|(outcome, _)| outcome)
            }
            Work::Quote => {
                let quotes = move |lane| Quotes::new(baskets.clone(), seed(lane));
                self.put_on(shape, quotes).await.map(|(outcome, _)| outcome)
            }
            Work::Atp => {
                let checks = shape.checks_per_order;
                let browsing = move |lane| Browsing::new(baskets.clone(), checks, lifetime_ms, seed(lane));
                self.put_on(shape, browsing).await.map(|(outcome, _)| outcome)
            }
            Work::FlashSale => self.flash_sale(shape).await,
        }
    }

    async fn flash_sale(&self, shape: &Shape) -> Result<Outcome, Trouble> {
        let cell = flash_sale::prepare(&self.client, self.world.cells[0], shape.units).await?;
        let promised_before = flash_sale::promised(&self.client, cell).await?;
        let is_routed = shape.routed;
        let (mut outcome, buyers) = self.put_on(shape, move |_| FlashSale::new(cell, is_routed)).await?;
        let promised = flash_sale::promised(&self.client, cell).await?;
        outcome.sale = Some(Sale {
            units: u64::from(shape.units),
            sold: buyers.iter().map(|buyer| buyer.sold).sum(),
            promised: promised.saturating_sub(promised_before),
        });
        Ok(outcome)
    }

    async fn put_on<L: Workload>(
        &self,
        shape: &Shape,
        workload: impl Fn(usize) -> L + Clone + Send + 'static,
    ) -> Result<(Outcome, Vec<L>), Trouble> {
        let load = shape.load(self.connect, &self.recorded)?;
        let server = Process::serving(load.config.address);
        let before = stats(&self.client).await?;
        let driven = drive(&load, server, workload, shape.volume.progress()).await?;
        let setup = setup(shape, &load, server, &self.world);
        let mut outcome = outcome(setup, &driven, &load);
        match stats(&self.client).await {
            Ok(after) => outcome.daemon = growth(&before, &after),
            // What was measured until the daemon went is the result, and says that pipes were lost.
            Err(_) if !outcome.pipes_lost.is_empty() => {}
            Err(trouble) => return Err(trouble),
        }
        Ok((outcome, driven.workloads))
    }
}

fn setup(shape: &Shape, load: &Load, server: Option<Process>, world: &World) -> Setup {
    Setup {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        workload: clap::ValueEnum::to_possible_value(&shape.work)
            .map_or_else(String::new, |name| name.get_name().to_owned()),
        transport: if load.unix.is_some() { "unix" } else { "quic" }.to_owned(),
        rates_per_s: shape.rate.clone(),
        in_flight: matches!(load.rhythm, Rhythm::InFlight(_)).then_some(shape.volume.in_flight as usize),
        connections: if load.unix.is_some() { load.pipes } else { load.connections },
        pipes: load.pipes,
        batch: load.batch,
        threads: load.threads,
        warm_up_s: load.warm_up.as_secs_f64(),
        seconds: shape.volume.seconds,
        lifetime_ms: shape.lifetime_ms,
        skus: world.skus.len(),
        cells: world.cells.len(),
        seed: shape.volume.seed,
        machine: Machine::this(),
        client_cores: Process::own().cores(),
        server_cores: server.and_then(|server| server.cores()),
        server_command: server.and_then(|server| server.command()),
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
        sale: None,
        daemon: BTreeMap::new(),
        setup,
    }
}

/// By how much each of the daemon's counters and levels grew.
fn growth(before: &[(String, u64)], after: &[(String, u64)]) -> BTreeMap<String, i64> {
    let before: BTreeMap<_, _> = before.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let grown = after.iter().map(|(name, value)| {
        let was = before.get(name.as_str()).copied().unwrap_or_default();
        (name.clone(), signed(*value) - signed(was))
    });
    grown.collect()
}
