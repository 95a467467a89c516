//! The load that all rivals get: a closed loop of so many connections, each with one batch under way. It knows nothing
//! of what is asked; latency is from sending a batch to having all of its answers.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use uuid::Uuid;

use crate::server::{cpu_s, own_cpu_s};

/// How a run goes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plan {
    /// Cells of the world.
    pub cells: u32,
    /// How long a hold lives. Warm-up is longer, so that holds expire as fast as they come.
    pub lifetime_ms: u32,
    /// Seconds before the measured ones.
    pub warm_up_s: f64,
    /// Measured seconds.
    pub seconds: f64,
}

/// Units in each cell: more than are ever held at once, in one hot cell too.
pub const UNITS: u32 = 100_000_000;

/// One hold to be made.
#[derive(Clone, Copy, Debug)]
pub struct Claim {
    /// Its id, new each time.
    pub id: Uuid,
    /// Which cell, below [`Plan::cells`].
    pub cell: u32,
    /// Units.
    pub quantity: u32,
}

/// One connection of a rival's client.
pub trait Connection {
    /// Makes all of these holds; they are durable when this returns, as far as the rival's setting says.
    fn hold(&mut self, claims: &[Claim]) -> impl Future<Output = anyhow::Result<()>>;
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Holds made per second.
    pub holds_per_s: f64,
    /// Median latency.
    pub p50_us: f64,
    /// 99th percentile.
    pub p99_us: f64,
    /// Processor seconds of the client per second.
    pub client_cpu: f64,
    /// Processor seconds of the server per second.
    pub server_cpu: f64,
}

struct Tally {
    holds: u64,
    latency_ns: Histogram<u64>,
}

/// Keeps every connection busy with batches of this size until the time is over.
pub async fn closed_loop<C: Connection>(
    connections: Vec<C>,
    batch: usize,
    is_hot: bool,
    plan: &Plan,
    server: u32,
) -> anyhow::Result<Sample> {
    let begin = Instant::now() + Duration::from_secs_f64(plan.warm_up_s);
    let end = begin + Duration::from_secs_f64(plan.seconds);
    let cells = if is_hot { 1 } else { plan.cells };
    let spent = async {
        tokio::time::sleep_until(begin.into()).await;
        let before = (own_cpu_s(), cpu_s(server));
        tokio::time::sleep_until(end.into()).await;
        (own_cpu_s() - before.0, cpu_s(server) - before.1)
    };
    let loops = connections.into_iter().map(|connection| run(connection, batch, cells, begin, end));
    let (tallies, (client_cpu_s, server_cpu_s)) =
        tokio::join!(futures_util::future::try_join_all(loops), spent);
    let mut all = Tally::new();
    for tally in tallies? {
        all.holds += tally.holds;
        all.latency_ns.add(tally.latency_ns)?;
    }
    let at_us = |quantile| all.latency_ns.value_at_quantile(quantile) as f64 / 1e3;
    Ok(Sample {
        holds_per_s: all.holds as f64 / plan.seconds,
        p50_us: at_us(0.5),
        p99_us: at_us(0.99),
        client_cpu: client_cpu_s / plan.seconds,
        server_cpu: server_cpu_s / plan.seconds,
    })
}

async fn run<C: Connection>(
    mut connection: C,
    batch: usize,
    cells: u32,
    begin: Instant,
    end: Instant,
) -> anyhow::Result<Tally> {
    let mut tally = Tally::new();
    let mut claims = Vec::with_capacity(batch);
    loop {
        claims.clear();
        claims.extend((0..batch).map(|_| Claim {
            id: Uuid::now_v7(),
            cell: fastrand::u32(..cells),
            quantity: 1,
        }));
        let sent = Instant::now();
        connection.hold(&claims).await?;
        let answered = Instant::now();
        if answered >= end {
            return Ok(tally);
        }
        if answered >= begin {
            tally.holds += batch as u64;
            tally.latency_ns.record_n((answered - sent).as_nanos() as u64, batch as u64)?;
        }
    }
}

impl Tally {
    fn new() -> Self {
        Self { holds: 0, latency_ns: Histogram::new(3).expect("three digits are allowed") }
    }
}
