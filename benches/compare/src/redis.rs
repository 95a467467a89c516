//! Redis with a script for the hold and one that gives back what is due, and its append-only file. Holds are written
//! and read as bytes: the crate's asynchronous client takes twice the processor time, and that from Redis.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use redis::{Client, cmd};
use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::load::{Claim, Connection, Plan, Sample, UNITS, closed_loop};
use crate::row::{Row, System, Work};
use crate::server::{Server, spare_port};

const HOLD: &str = include_str!("redis/hold.lua");
const SWEEP: &str = include_str!("redis/sweep.lua");
const SWEEP_EVERY: Duration = Duration::from_millis(10);
/// Cells that one command fills.
const FILL: u32 = 10_000;
/// What Redis answers to a hold that was made.
const HELD: &[u8] = b":1\r\n";
/// When the append-only file is synced, and what that means.
const SYNCS: [(&str, &str); 2] = [("always", "synced before the answer"), ("everysec", "up to 1 s is lost")];

/// A running Redis with a world in it.
pub struct Redis {
    runtime: Runtime,
    client: Client,
    server: Server,
    address: String,
    hold: String,
    sweep: String,
}

impl Redis {
    /// Starts it in a directory of its own.
    pub fn start(directory: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let port = spare_port()?.to_string();
        let mut command = Command::new("redis-server");
        command.arg("--port").arg(&port).arg("--dir").arg(directory);
        for setting in [
            "--bind 127.0.0.1",
            // The append-only file alone: no images, and no rewrite of the file in the midst of a run.
            "--save ''",
            "--appendonly yes",
            "--auto-aof-rewrite-percentage 0",
        ] {
            command.args(setting.split(' ').map(|word| if word == "''" { "" } else { word }));
        }
        let mut server = Server::start(&mut command, &directory.join("redis.log"), Signal::TERM)?;
        let address = format!("127.0.0.1:{port}");
        let client = Client::open(format!("redis://{address}/"))?;
        server.until(|| Ok(client.get_connection()?))?;
        let mut connection = client.get_connection()?;
        for first in (0..plan.cells).step_by(FILL as usize) {
            let mut fill = cmd("MSET");
            for cell in first..plan.cells.min(first + FILL) {
                fill.arg(key(cell)).arg(UNITS);
            }
            fill.exec(&mut connection).context("filling Redis")?;
        }
        let mut load = |script: &str| cmd("SCRIPT").arg("LOAD").arg(script).query(&mut connection);
        let (hold, sweep) = (load(HOLD)?, load(SWEEP)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, client, server, address, hold, sweep })
    }
}

impl System for Redis {
    fn rows(&self) -> Vec<Row> {
        let row = |(sync, durability): (&str, &'static str), work, connections, batch| Row {
            system: format!("Redis, AOF {sync}"),
            setting: sync.to_owned(),
            work,
            durability,
            batch,
            connections,
            in_flight: connections * batch,
            encryption: "none",
        };
        let works = [
            (Work::OneAtATime, 1, 1),
            (Work::ManySmall, 256, 1),
            (Work::Sixteen, 64, 16),
            (Work::SixtyFour, 64, 64),
        ];
        let rows = |sync| works.map(|(work, connections, batch)| row(sync, work, connections, batch));
        SYNCS.into_iter().flat_map(rows).collect()
    }

    fn measure(&mut self, row: &Row, plan: &Plan) -> anyhow::Result<Sample> {
        let Self { runtime, client, server, address, hold, sweep } = self;
        let mut control = client.get_connection()?;
        let set = cmd("CONFIG").arg("SET").arg("appendfsync").arg(&row.setting).exec(&mut control);
        set.context("setting when Redis syncs")?;
        let stop = Arc::new(AtomicBool::new(false));
        let (told, sweep) = (Arc::clone(&stop), sweep.clone());
        let sweeper = std::thread::spawn(move || swept(control, &sweep, &told));
        let sample = runtime.block_on(async {
            let mut connections = Vec::new();
            for _ in 0..row.connections {
                connections.push(Pipelined::connect(address, hold, plan.lifetime_ms).await?);
            }
            closed_loop(connections, row.batch, row.work.is_hot(), plan, server.process()).await
        });
        // What is left expires before the next run.
        std::thread::sleep(Duration::from_millis(u64::from(plan.lifetime_ms)) + SWEEP_EVERY);
        stop.store(true, Ordering::Relaxed);
        sweeper.join().expect("it does not panic").context("giving back what was due")?;
        sample
    }
}

/// A connection and what goes over it, kept from write to write.
struct Pipelined {
    stream: TcpStream,
    /// The beginning of each command, and its end.
    ends: (Vec<u8>, Vec<u8>),
    sent: Vec<u8>,
    answered: Vec<u8>,
}

impl Pipelined {
    async fn connect(address: &str, hold: &str, lifetime_ms: u32) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.context("connecting to Redis")?;
        stream.set_nodelay(true).context("setting up a connection to Redis")?;
        let mut ends = (b"*7\r\n".to_vec(), Vec::new());
        for argument in [b"EVALSHA", hold.as_bytes(), b"2"] {
            put(&mut ends.0, argument);
        }
        put(&mut ends.1, lifetime_ms.to_string().as_bytes());
        Ok(Self { stream, ends, sent: Vec::new(), answered: Vec::new() })
    }
}

impl Connection for Pipelined {
    async fn hold(&mut self, claims: &[Claim]) -> anyhow::Result<()> {
        let Self { stream, ends, sent, answered } = self;
        sent.clear();
        for claim in claims {
            sent.extend_from_slice(&ends.0);
            put(sent, key(claim.cell).as_bytes());
            put(sent, claim.id.as_bytes());
            put(sent, claim.quantity.to_string().as_bytes());
            sent.extend_from_slice(&ends.1);
        }
        stream.write_all(sent).await.context("writing to Redis")?;
        answered.resize(claims.len() * HELD.len(), 0);
        stream.read_exact(answered).await.context("reading from Redis")?;
        let held = answered.chunks_exact(HELD.len()).all(|answer| answer == HELD);
        anyhow::ensure!(held, "Redis did not hold: {}", String::from_utf8_lossy(answered));
        Ok(())
    }
}

/// Appends an argument as Redis reads it.
fn put(command: &mut Vec<u8>, argument: &[u8]) {
    write!(command, "${}\r\n", argument.len()).expect("a vector takes all");
    command.extend_from_slice(argument);
    command.extend_from_slice(b"\r\n");
}

fn swept(mut connection: redis::Connection, sweep: &str, stop: &AtomicBool) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        cmd("EVALSHA").arg(sweep).arg(1).arg("swept").exec(&mut connection)?;
        std::thread::sleep(SWEEP_EVERY);
    }
    Ok(())
}

fn key(cell: u32) -> String {
    format!("cell:{cell}")
}
