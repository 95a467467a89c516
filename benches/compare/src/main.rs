//! The same reservation against Redis, PostgreSQL and Earmark: take if enough, hold with a lifetime, durable before the
//! answer. One machine, one run after the other, medians. `scripts/compare.sh` builds and calls it.

mod chart;
mod earmark;
mod limit;
mod load;
mod machine;
mod postgres;
mod redis;
mod report;
mod row;
mod server;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use crate::load::{Plan, Sample};
use crate::report::Report;
use crate::row::{Row, System};

/// Five runs of three seconds, with as many cells as a large retailer has: a quarter of an hour in all.
const FULL: (usize, Plan) = (5, Plan { cells: 1_000_000, lifetime_ms: 2_000, warm_up_s: 2.5, seconds: 3.0 });
/// What goes into five minutes.
const QUICK: (usize, Plan) = (3, Plan { cells: 100_000, lifetime_ms: 400, warm_up_s: 0.8, seconds: 1.2 });

/// Compares Earmark with what its users would take instead
#[derive(Debug, Parser)]
struct Args {
    /// Fewer and shorter runs: under five minutes in all
    #[arg(long)]
    quick: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Which systems
    #[arg(long, value_delimiter = ',', default_value = "earmark,redis,postgres,limit")]
    systems: Vec<String>,
    /// Runs of each row
    #[arg(long)]
    runs: Option<usize>,
    /// Where earmark and earmark-loadgen are
    #[arg(long, value_name = "DIR")]
    earmark: PathBuf,
    /// Where initdb and postgres are
    #[arg(long, value_name = "DIR")]
    postgres: PathBuf,
    /// The runner of the bare path
    #[arg(long, value_name = "FILE")]
    limit: PathBuf,
    /// A directory for the servers' data, emptied as the runs go
    #[arg(long, value_name = "DIR")]
    scratch: PathBuf,
    /// Keep the result as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Keep the table
    #[arg(long, value_name = "FILE")]
    table: Option<PathBuf>,
    /// Keep a chart of it
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (runs, plan) = if args.quick { QUICK } else { FULL };
    let runs = args.runs.unwrap_or(runs);
    let mut rows: Vec<(Row, Vec<Sample>)> = Vec::new();
    let (mut quiet, mut skipped) = (true, Vec::new());
    let mut systems = args.systems.clone();
    if !args.limit.is_file() && systems.iter().any(|system| system == "limit") {
        systems.retain(|system| system != "limit");
        skipped.push("the bare path, which is not beside this project".to_owned());
    }
    for run in 0..runs {
        // Another one begins each time, so that none is always behind the same neighbour.
        for at in 0..systems.len() {
            let name = &systems[(at + run) % systems.len()];
            quiet &= machine::wait_for_quiet(Duration::from_secs(if args.quick { 2 } else { 60 }));
            let mut system = start(name, &args, &plan).with_context(|| format!("starting {name}"))?;
            for row in system.rows() {
                eprintln!("run {} of {runs}: {}, {}", run + 1, row.system, row.work.title());
                let sample = system.measure(&row, &plan).with_context(|| format!("measuring {row:?}"))?;
                match rows.iter_mut().find(|(known, _)| *known == row) {
                    Some((_, samples)) => samples.push(sample),
                    None => rows.push((row, vec![sample])),
                }
            }
        }
    }
    let mut report = Report::new(plan, runs, args.quick, quiet, rows);
    report.skipped = skipped;
    report.versions = [
        ("Earmark", machine::version(Command::new(args.earmark.join("earmark")).arg("--version"))),
        ("Redis", machine::version(Command::new("redis-server").arg("--version"))),
        ("PostgreSQL", machine::version(Command::new(args.postgres.join("postgres")).arg("--version"))),
    ]
    .into();
    let json = serde_json::to_string_pretty(&report)?;
    let table = report.table();
    let files =
        [(&args.out, format!("{json}\n")), (&args.table, table.clone()), (&args.chart, chart::svg(&report))];
    for (file, text) in files {
        if let Some(file) = file {
            std::fs::write(file, text).with_context(|| format!("writing {}", file.display()))?;
        }
    }
    println!("{}", if args.json { json } else { table });
    Ok(())
}

/// Starts a system with a new world, in an empty directory of its own.
fn start(name: &str, args: &Args, plan: &Plan) -> anyhow::Result<Box<dyn System>> {
    let directory = args.scratch.join(name);
    if directory.exists() {
        std::fs::remove_dir_all(&directory).with_context(|| format!("emptying {}", directory.display()))?;
    }
    std::fs::create_dir_all(&directory).with_context(|| format!("making {}", directory.display()))?;
    Ok(match name {
        "earmark" => Box::new(earmark::Earmark::start(&directory, &args.earmark, plan)?),
        "redis" => Box::new(redis::Redis::start(&directory, plan)?),
        "postgres" => Box::new(postgres::Postgres::start(&directory, &args.postgres, plan)?),
        "limit" => Box::new(limit::Limit::new(&args.limit)),
        _ => anyhow::bail!("there is no system {name}; take earmark, redis, postgres or limit"),
    })
}
