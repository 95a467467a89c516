//! The prototype of the bare path, where it is beside the project: what the machine gives where no rule is checked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;

use crate::load::{Plan, Sample};
use crate::row::{Row, System, Work};

/// The prototype's runner. It builds at its first call, and starts its own server for each run.
pub struct Limit {
    script: PathBuf,
}

impl Limit {
    /// By this script.
    pub fn new(script: &Path) -> Self {
        Self { script: script.to_owned() }
    }
}

impl System for Limit {
    fn rows(&self) -> Vec<Row> {
        let works = [
            ("one", Work::OneAtATime, 1, 1, 1),
            ("small", Work::ManySmall, 256, 1, 256),
            ("b16", Work::Sixteen, 16, 16, 1_024),
            ("b64", Work::SixtyFour, 16, 64, 4_096),
        ];
        let row = |(case, work, connections, batch, in_flight): (&str, _, _, _, _)| Row {
            system: "the bare path, no rules".to_owned(),
            setting: case.to_owned(),
            work,
            durability: "synced before the answer",
            batch,
            connections,
            in_flight,
            encryption: "TLS 1.3 (QUIC)",
        };
        works.map(row).into()
    }

    fn measure(&mut self, row: &Row, _: &Plan) -> anyhow::Result<Sample> {
        let mut command = Command::new("bash");
        command.arg(&self.script).arg(&row.setting);
        let output = command.output().context("starting the bare path")?;
        let told = String::from_utf8_lossy(&output.stdout);
        sample(&told).with_context(|| format!("reading what the bare path says: {told:?}"))
    }
}

/// Out of `… 123 holds/s p50 4 p99 5 p99.9 6 max 7 us bad 0 | cli cpu 80% (…)`.
fn sample(told: &str) -> Option<Sample> {
    let words: Vec<&str> = told.split_whitespace().collect();
    let place = |name: &str| words.iter().position(|word| *word == name);
    let after = |name: &str| words.get(place(name)? + 1)?.trim_end_matches('%').parse::<f64>().ok();
    let rate = words.get(place("holds/s")?.checked_sub(1)?)?.parse().ok()?;
    Some(Sample {
        holds_per_s: rate,
        p50_us: after("p50")?,
        p99_us: after("p99")?,
        client_cpu: after("cpu")? / 100.0,
        // It says so in another file.
        server_cpu: 0.0,
    })
}
