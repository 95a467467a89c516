//! Earmark's own rows, by its load generator: what a client sees, over QUIC.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;
use serde::Deserialize;

use crate::load::{Plan, Sample, UNITS};
use crate::row::{Row, System, Work};
use crate::server::{Server, spare_port};

/// A running daemon with a world in it.
pub struct Earmark {
    loadgen: PathBuf,
    address: String,
    data: PathBuf,
    server: Server,
}

/// What is read of the load generator's answer.
#[derive(Deserialize)]
struct Answer {
    rate_per_s: f64,
    p50_us: f64,
    p99_us: f64,
    refused: u64,
    errors: u64,
    client_cpu_s: f64,
    server_cpu_s: f64,
}

impl Earmark {
    /// Starts the daemon of these programs in a directory of its own.
    pub fn start(directory: &Path, programs: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let (data, address) = (directory.join("data"), format!("127.0.0.1:{}", spare_port()?));
        let mut command = Command::new(programs.join("earmark"));
        command.arg("serve").arg("--data-dir").arg(&data).args(["--server.listen", &address]);
        command.args(["--capacity.skus", &(plan.cells + 1).to_string()]);
        // More than are held at once at any rate that a machine of this size reaches, and few enough that ended ones are
        // being forgotten before the measured seconds begin.
        command.args(["--capacity.reservations", "8388608"]);
        let server = Server::start(&mut command, &directory.join("earmark.log"), Signal::TERM)?;
        let mut earmark = Self { loadgen: programs.join("earmark-loadgen"), address, data, server };
        let mut ask = Command::new(programs.join("earmark"));
        ask.env("EARMARK_DATA_DIR", &earmark.data).env("EARMARK_ADDRESS", &earmark.address).arg("stats");
        earmark.server.until(|| output(&mut ask))?;
        let sizes = [("--skus", plan.cells), ("--nodes", 10), ("--nodes-per-sku", 1), ("--units", UNITS)];
        let mut generate = earmark.loadgen("generate");
        for (name, size) in sizes {
            generate.arg(name).arg(size.to_string());
        }
        output(&mut generate).context("filling Earmark")?;
        Ok(earmark)
    }

    fn loadgen(&self, what: &str) -> Command {
        let mut command = Command::new(&self.loadgen);
        command.arg("--json").arg(what).args(["--address", &self.address]).arg("--data-dir").arg(&self.data);
        command
    }
}

impl System for Earmark {
    fn rows(&self) -> Vec<Row> {
        let works = [
            (Work::OneAtATime, 1, 1, 1),
            (Work::ManySmall, 256, 1, 256),
            (Work::OneHotCell, 256, 1, 256),
            (Work::Sixteen, 16, 16, 1_024),
            (Work::SixtyFour, 16, 64, 4_096),
        ];
        let row = |(work, connections, batch, in_flight)| Row {
            system: "Earmark".to_owned(),
            setting: String::new(),
            work,
            durability: "synced before the answer",
            batch,
            connections,
            in_flight,
            encryption: "TLS 1.3 (QUIC)",
        };
        works.map(row).into()
    }

    fn measure(&mut self, row: &Row, plan: &Plan) -> anyhow::Result<Sample> {
        let skus = if row.work.is_hot() { 1 } else { plan.cells };
        let mut command = self.loadgen("run");
        for (name, value) in [
            ("--pipes", row.connections.to_string()),
            ("--batch", row.batch.to_string()),
            ("--in-flight", row.in_flight.to_string()),
            ("--skus", skus.to_string()),
            ("--lifetime-ms", plan.lifetime_ms.to_string()),
            ("--warmup", plan.warm_up_s.to_string()),
            ("--seconds", plan.seconds.to_string()),
        ] {
            command.args([name, &value]);
        }
        let answer: Answer = serde_json::from_slice(&output(&mut command)?)
            .context("reading what earmark-loadgen answered")?;
        anyhow::ensure!(
            answer.refused == 0 && answer.errors == 0,
            "Earmark refused {} holds and failed {}",
            answer.refused,
            answer.errors
        );
        Ok(Sample {
            holds_per_s: answer.rate_per_s,
            p50_us: answer.p50_us,
            p99_us: answer.p99_us,
            client_cpu: answer.client_cpu_s / plan.seconds,
            server_cpu: answer.server_cpu_s / plan.seconds,
        })
    }
}

fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.output().with_context(|| format!("starting {:?}", command.get_program()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{:?}: {} {}", command, told.trim(), output.status);
    Ok(output.stdout)
}
