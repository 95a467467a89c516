//! What durability costs and a start takes, measured on a directory of one's choice:
//!
//! ```text
//! cargo run --release -p earmark-benches --bin durability -- holds DIR
//! cargo run --release -p earmark-benches --bin durability -- start DIR --cells 1,10,50
//! cargo run --release -p earmark-benches --bin durability -- snapshot DIR --cells 10
//! cargo run --release -p earmark-benches --bin durability -- replay DIR --cells 10
//! ```
//!
//! Everything runs in this process: the engine, the committer, the log and its threads are the daemon's; the wire is not
//! there. Run it on an idle machine. It makes a directory of its own
//! in DIR and removes it.

mod holds;
mod process;
mod replay;
mod running;
mod snapshot;
mod start;
mod world;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures durability: holds by mode, starts, snapshots.
#[derive(Debug, Parser)]
#[command(name = "durability")]
struct Arguments {
    #[command(subcommand)]
    what: What,
    /// One JSON object instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Plain holds in the modes sync, interval and memory: pipelined, and one at a time
    Holds {
        /// Where a directory is made
        directory: PathBuf,
        /// Millions of cells
        #[arg(long, default_value_t = 1)]
        cells: u32,
        /// Length of a run in milliseconds
        #[arg(long, default_value_t = 2_000)]
        run_ms: u64,
        /// Runs; their median is told
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// From nothing to a state in memory, with the image on disk and not in the system's cache
    Start {
        /// Where a directory is made
        directory: PathBuf,
        /// Millions of cells
        #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50])]
        cells: Vec<u32>,
        /// Threads that read the image; 0 for as many as the daemon takes
        #[arg(long, default_value_t = 0)]
        threads: usize,
        /// Runs; their median is told
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// The committer's turns and the holds' latency, without an image being made and with one
    Snapshot {
        /// Where a directory is made
        directory: PathBuf,
        /// Millions of cells
        #[arg(long, default_value_t = 10)]
        cells: u32,
        /// Length of each part in milliseconds
        #[arg(long, default_value_t = 10_000)]
        run_ms: u64,
    },
    /// What a hold and its expiry cost to replay from the log, as a start and each image do
    Replay {
        /// Where a directory is made
        directory: PathBuf,
        /// Millions of cells
        #[arg(long, default_value_t = 10)]
        cells: u32,
        /// Length of the load that is replayed, in milliseconds
        #[arg(long, default_value_t = 2_000)]
        run_ms: u64,
        /// Runs; their median is told
        #[arg(long, default_value_t = 3)]
        runs: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let report = match arguments.what {
        What::Holds { directory, cells, run_ms, runs } => holds::measure(&directory, cells, run_ms, runs)?,
        What::Start { directory, cells, threads, runs } => start::measure(&directory, &cells, threads, runs)?,
        What::Snapshot { directory, cells, run_ms } => snapshot::measure(&directory, cells, run_ms)?,
        What::Replay { directory, cells, run_ms, runs } => replay::measure(&directory, cells, run_ms, runs)?,
    };
    if arguments.json {
        println!("{}", serde_json::Value::Array(report));
    } else {
        for row in report {
            let fields = row.as_object().into_iter().flatten();
            println!(
                "{}",
                fields.map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("  ")
            );
        }
    }
    Ok(())
}

/// The middle one of these.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
