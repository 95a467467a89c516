//! PostgreSQL with a prepared statement for the hold: one hold in a transaction, or many.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

use crate::load::{Claim, Connection, Plan, Sample, UNITS, closed_loop};
use crate::row::{Row, System, Work};
use crate::server::{Server, spare_port};

const SCHEMA: &str = include_str!("postgres/schema.sql");
const HOLD: &str = include_str!("postgres/hold.sql");
const HOLD_MANY: &str = include_str!("postgres/hold_many.sql");
const SWEEP: &str = include_str!("postgres/sweep.sql");
const SWEEP_EVERY: Duration = Duration::from_millis(50);

/// Durable with the defaults of Debian's package; memory and the log get the room they would get on a server of one's own.
const SETTINGS: [&str; 9] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=1GB",
    "max_connections=300",
    "fsync=on",
    "synchronous_commit=on",
    "jit=off",
    // No checkpoint in the midst of a run.
    "max_wal_size=16GB",
    "checkpoint_timeout=1h",
];

/// A running PostgreSQL with a world in it.
pub struct Postgres {
    runtime: Runtime,
    url: String,
    server: Server,
}

impl Postgres {
    /// Makes a cluster in a directory of its own and starts it.
    pub fn start(directory: &Path, programs: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let data = directory.join("cluster");
        let user = Account::of_server(directory)?;
        let mut initdb = user.command(programs.join("initdb"));
        initdb
            .args(["--auth=trust", "--username=compare", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data);
        let output = initdb.stdin(Stdio::null()).output().context("starting initdb")?;
        anyhow::ensure!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
        let port = spare_port()?;
        let mut command = user.command(programs.join("postgres"));
        command.arg("-D").arg(&data).arg("-p").arg(port.to_string());
        SETTINGS.iter().for_each(|setting| {
            command.arg("-c").arg(setting);
        });
        let mut server = Server::start(&mut command, &directory.join("postgres.log"), Signal::INT)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let url = format!("host=127.0.0.1 port={port} user=compare dbname=postgres");
        let client = server.until(|| runtime.block_on(connect(&url)))?;
        let fill = format!(
            "INSERT INTO cell SELECT cell, {UNITS} FROM generate_series(0, {} - 1) AS cell; VACUUM ANALYZE cell;",
            plan.cells
        );
        runtime.block_on(async {
            client.batch_execute(SCHEMA).await.context("making PostgreSQL's tables")?;
            for statement in fill.split_inclusive(';') {
                client.batch_execute(statement).await.context("filling PostgreSQL")?;
            }
            anyhow::Ok(())
        })?;
        Ok(Self { runtime, url, server })
    }
}

impl System for Postgres {
    fn rows(&self) -> Vec<Row> {
        // As many connections as gave most: more wait for each other's locks and for the cores.
        let works = [
            (Work::OneAtATime, 1, 1),
            (Work::ManySmall, 32, 1),
            (Work::OneHotCell, 4, 1),
            (Work::Sixteen, 8, 16),
            (Work::SixtyFour, 4, 64),
        ];
        let row = |(work, connections, batch)| Row {
            system: if batch == 1 { "PostgreSQL" } else { "PostgreSQL, one transaction per write" }
                .to_owned(),
            setting: String::new(),
            work,
            durability: "synced before the answer",
            batch,
            connections,
            in_flight: connections * batch,
            encryption: "none",
        };
        works.map(row).into()
    }

    fn measure(&mut self, row: &Row, plan: &Plan) -> anyhow::Result<Sample> {
        let Self { runtime, url, server } = self;
        runtime.block_on(async {
            let sweeper = connect(url).await?;
            let sweep = sweeper.prepare(SWEEP).await?;
            // What is due need not be durable: it is due after a crash, too.
            sweeper.batch_execute("SET synchronous_commit = off").await?;
            let sweeping = tokio::spawn(swept(sweeper, sweep));
            let mut connections = Vec::new();
            for _ in 0..row.connections {
                let client = connect(url).await?;
                let hold = client.prepare(if row.batch == 1 { HOLD } else { HOLD_MANY }).await?;
                connections.push(Prepared { client, hold, lifetime_ms: f64::from(plan.lifetime_ms) });
            }
            let sample =
                closed_loop(connections, row.batch, row.work.is_hot(), plan, server.process()).await?;
            tokio::time::sleep(Duration::from_millis(u64::from(plan.lifetime_ms))).await;
            anyhow::ensure!(!sweeping.is_finished(), "giving back what was due failed");
            sweeping.abort();
            same_sums(&connect(url).await?).await?;
            Ok(sample)
        })
    }
}

struct Prepared {
    client: Client,
    hold: Statement,
    lifetime_ms: f64,
}

impl Connection for Prepared {
    async fn hold(&mut self, claims: &[Claim]) -> anyhow::Result<()> {
        let held = match claims {
            [claim] => {
                let (cell, quantity) = (claim.cell as i32, claim.quantity as i32);
                self.client.execute(&self.hold, &[&claim.id, &cell, &quantity, &self.lifetime_ms]).await
            }
            _ => {
                let ids: Vec<Uuid> = claims.iter().map(|claim| claim.id).collect();
                let cells: Vec<i32> = claims.iter().map(|claim| claim.cell as i32).collect();
                let quantities: Vec<i32> = claims.iter().map(|claim| claim.quantity as i32).collect();
                self.client.execute(&self.hold, &[&ids, &cells, &quantities, &self.lifetime_ms]).await
            }
        };
        let held = held.context("holding in PostgreSQL")?;
        anyhow::ensure!(held == claims.len() as u64, "PostgreSQL held {held} of {}", claims.len());
        Ok(())
    }
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("connecting to PostgreSQL")?;
    tokio::spawn(connection);
    Ok(client)
}

async fn swept(client: Client, sweep: Statement) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(SWEEP_EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        client.execute(&sweep, &[]).await?;
    }
}

/// What cells say is held is what holds hold: the comparison is with something that works.
async fn same_sums(client: &Client) -> anyhow::Result<()> {
    let sums =
        "SELECT (SELECT coalesce(sum(held), 0) FROM cell), (SELECT coalesce(sum(quantity), 0) FROM hold)";
    let row = client.query_one(sums, &[]).await?;
    let (cells, holds): (i64, i64) = (row.get(0), row.get(1));
    anyhow::ensure!(cells == holds, "PostgreSQL's cells hold {cells} units and its holds {holds}");
    Ok(())
}

/// Whose the server is: it refuses to be root's.
struct Account(Option<u32>);

impl Account {
    /// The package's account where this is root, and then the directory becomes its own.
    fn of_server(directory: &Path) -> anyhow::Result<Self> {
        if !rustix::process::getuid().is_root() {
            return Ok(Self(None));
        }
        let output =
            Command::new("id").args(["-u", "postgres"]).output().context("asking who postgres is")?;
        let id =
            String::from_utf8_lossy(&output.stdout).trim().parse().context("there is no account postgres")?;
        chown(directory, Some(id), None).context("giving PostgreSQL its directory")?;
        Ok(Self(Some(id)))
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        if let Some(id) = self.0 {
            command.uid(id);
        }
        command
    }
}
