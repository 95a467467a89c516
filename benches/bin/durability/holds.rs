//! Plain holds by mode: pipelined as over 16 pipes with 64 holds a write, and one at a time.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::median;
use super::running::{Durability, Load, Running};
use super::world::World;

/// Pieces of work, and unanswered holds.
const SHAPES: [(&str, usize, usize); 3] = [
    ("pipelined 64, 4,096 in flight", 64, 4_096),
    ("pipelined 16, 1,024 in flight", 16, 1_024),
    ("one at a time", 1, 1),
];

pub(crate) fn measure(directory: &Path, cells: u32, run_ms: u64, runs: usize) -> anyhow::Result<Vec<Value>> {
    let cells = cells * 1_000_000;
    let mut rows = Vec::new();
    for durability in [Durability::Sync, Durability::Interval, Durability::Memory] {
        for (shape, per_work, in_flight) in SHAPES {
            let world = World::new(directory, cells, 0)?;
            let mut running = Running::start(&world, durability, cells)?;
            // The table of holds fills, and from then on they expire as fast as they come.
            running.load(Duration::from_millis(run_ms), per_work, in_flight);
            let before = running.log_bytes();
            let loads: Vec<Load> =
                (0..runs).map(|_| running.load(Duration::from_millis(run_ms), per_work, in_flight)).collect();
            let holds: u64 = loads.iter().map(|load| load.holds).sum();
            let micros = |quantile: f64| {
                let at = loads.iter().map(|load| load.latency.value_at_quantile(quantile) as f64 / 1_000.0);
                (median(at) * 10.0).round() / 10.0
            };
            rows.push(json!({
                "mode": durability.name(),
                "shape": shape,
                "holds_per_s": median(loads.iter().map(Load::per_s)).round(),
                "p50_us": micros(0.5),
                "p99_us": micros(0.99),
                "p999_us": micros(0.999),
                "log_bytes_per_hold": (running.log_bytes() - before) / holds.max(1),
            }));
        }
    }
    Ok(rows)
}
