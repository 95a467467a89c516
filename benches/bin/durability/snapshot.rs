//! What the making of images costs those who hold: the committer's turns and the holds' latency, without one and with
//! one being made all the time.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use earmark::store::Snapshots;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

use super::process;
use super::running::{Durability, Load, Running};
use super::world::World;

/// An image that is not made within a part of the measurement gets so many more of it.
const PARTS_MAX: usize = 4;
/// Live holds in the image.
const RESERVED: usize = 500_000;
/// Pieces of work, and unanswered holds.
const SHAPES: [(usize, usize); 2] = [(16, 1_024), (1, 1)];

pub(crate) fn measure(directory: &Path, millions: u32, run_ms: u64) -> anyhow::Result<Vec<Value>> {
    let (cells, time) = (millions * 1_000_000, Duration::from_millis(run_ms));
    let world = World::new(directory, cells, RESERVED)?;
    let mut rows = Vec::new();
    // In `interval` the committer's turn has no sync in it: what is left is what an image does to the committer itself.
    for durability in [Durability::Interval, Durability::Sync] {
        for (per_work, in_flight) in SHAPES {
            let mut running = Running::start(&world, durability, cells)?;
            running.load(Duration::from_secs(1), per_work, in_flight);
            let row = |load: &Load, with: &str| {
                json!({
                    "mode": durability.name(),
                    "in_flight": in_flight,
                    "image": with,
                    "holds_per_s": load.per_s().round(),
                    "turn_us": quantiles(&load.turns),
                    "turn_cpu_us": quantiles(&load.turns_cpu),
                    "turns_over_1_ms": load.turns.count_between(1_000_000, u64::MAX),
                    "turns_over_1_ms_of_cpu": load.turns_cpu.count_between(1_000_000, u64::MAX),
                    "latency_us": quantiles(&load.latency),
                })
            };
            let without = running.load(time, per_work, in_flight);
            rows.push(row(&without, "none"));
            let resident = process::memory_bytes("VmRSS");
            let cpu_ms = process::cpu_ms_of("snapshots");
            let Some(snapshots) = running.keeper.as_ref().map(|keeper| Arc::clone(keeper.snapshots())) else {
                continue;
            };
            let images = Images::begin(snapshots);
            let mut with = running.load(time, per_work, in_flight);
            for _ in 0..PARTS_MAX {
                if images.made.load(Ordering::Relaxed) == 0 {
                    with = with.and(&running.load(time, per_work, in_flight));
                }
            }
            images.end();
            let mut with = row(&with, "all the time");
            let made = images.made.load(Ordering::Relaxed);
            let levels = images.snapshots.levels();
            let level = |name: &str| levels.iter().find(|level| level.0 == name).map_or(0, |level| level.1);
            with["images"] = made.into();
            with["image_mib"] = (level("snapshot_bytes") >> 20).into();
            with["image_took_ms"] = (level("snapshot_took_us") / 1_000).into();
            with["snapshotter_cpu_ms"] = (process::cpu_ms_of("snapshots") - cpu_ms).into();
            with["more_resident_mib"] =
                (process::memory_bytes("VmHWM").saturating_sub(resident) >> 20).into();
            rows.push(with);
        }
    }
    Ok(rows)
}

/// Median, p99, p99.9, p99.99 and the longest, in microseconds.
fn quantiles(histogram: &Histogram<u64>) -> Vec<u64> {
    let mut at: Vec<u64> =
        [0.5, 0.99, 0.999, 0.9999].map(|quantile| histogram.value_at_quantile(quantile) / 1_000).to_vec();
    at.push(histogram.max() / 1_000);
    at
}

/// Images, one after the other.
struct Images {
    snapshots: Arc<Snapshots>,
    stop: Arc<AtomicBool>,
    made: Arc<AtomicU64>,
}

impl Images {
    fn begin(snapshots: Arc<Snapshots>) -> Self {
        let images = Self { snapshots, stop: Arc::default(), made: Arc::default() };
        ask(Arc::clone(&images.snapshots), Arc::clone(&images.stop), Arc::clone(&images.made));
        images
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn ask(snapshots: Arc<Snapshots>, stop: Arc<AtomicBool>, made: Arc<AtomicU64>) {
    let again = Arc::clone(&snapshots);
    snapshots.ask(move |outcome| {
        if outcome.is_ok() && !stop.load(Ordering::Relaxed) {
            made.fetch_add(1, Ordering::Relaxed);
            ask(again, stop, made);
        }
    });
}
