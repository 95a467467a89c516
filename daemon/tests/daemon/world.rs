//! A small world to sell in: a daemon in this process, its clients, three nodes and some skus with stock.

use std::path::PathBuf;
use std::time::Duration;

use earmark::config::Config;
use earmark::serve::Daemon;
use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::{Client, ClientConfig, Dialer, Trust};
use earmark_protocol::command::*;
use earmark_protocol::geo::Position;
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{Channel, LineId, NodeIx, Segment, SkuIx};
use earmark_protocol::query::{Atp, Query, Resolve, Scope};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Done, Reply, Reserved};

pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) client: Client,
    pub(crate) skus: Vec<SkuIx>,
    pub(crate) nodes: Vec<NodeIx>,
}

/// A daemon's configuration for tests: a free port, little memory.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.durability.mode = earmark::config::DurabilityMode::Memory;
    config.server.listen = "127.0.0.1:0".parse().unwrap();
    let capacity = &mut config.capacity;
    (capacity.skus, capacity.nodes, capacity.cells) = (1_000, 100, 10_000);
    (capacity.reservations, capacity.lines, capacity.commands) = (100_000, 100_000, 100_000);
    (capacity.facts_bytes, capacity.sku_code_bytes, capacity.movements) = (64 << 20, 1 << 20, 10_000);
    config
}

/// How a client of this daemon is configured, with its admin token.
pub(crate) fn client_config(daemon: &Daemon) -> ClientConfig {
    client_config_of(daemon, daemon.admin_token().unwrap())
}

pub(crate) fn client_config_of(daemon: &Daemon, token: &str) -> ClientConfig {
    let trust = Trust::Certificate(daemon.certificate_der().to_vec());
    ClientConfig { deadline: Duration::from_secs(20), ..ClientConfig::new(daemon.address(), trust, token) }
}

impl World {
    /// Ten skus of 100 units in each of three nodes.
    pub(crate) async fn start(config: Config) -> Self {
        let daemon = Daemon::start(config).unwrap();
        let client = Client::connect(client_config(&daemon)).await.unwrap();
        Self::stock(daemon, client, 10, 100).await
    }

    /// So many skus, each with so many units in each of three nodes.
    pub(crate) async fn stock(daemon: Daemon, client: Client, skus: usize, on_hand: u32) -> Self {
        let places = [("east", 40.7, -74.0), ("middle", 41.9, -87.6), ("west", 34.0, -118.2)];
        let node = |(code, lat, lon): (&str, f64, f64)| NodeSpec {
            code: code.to_owned(),
            kind: NodeKind::Dc,
            position: Position::from_degrees(lat, lon).unwrap(),
            time_zone: "America/Chicago".to_owned(),
            capabilities: capabilities::SHIP | capabilities::PICKUP,
            ..NodeSpec::default()
        };
        let codes: Vec<String> = (0..skus).map(|number| format!("sku-{number}")).collect();
        let spec = |code: &String| SkuSpec { code: code.clone(), weight_g: 300, ..SkuSpec::default() };
        done(&client, CommandBody::PutNodes(places.map(node).to_vec())).await;
        done(&client, CommandBody::PutSkus(codes.iter().map(spec).collect())).await;
        let nodes = places.map(|(code, ..)| code.to_owned()).to_vec();
        let Reply::Resolved(handles) =
            client.query(Query::Resolve(Resolve { skus: codes, nodes })).await.unwrap()
        else {
            panic!("codes of what was just put are known");
        };
        let skus: Vec<SkuIx> = handles.skus.into_iter().flatten().collect();
        let nodes: Vec<NodeIx> = handles.nodes.into_iter().flatten().collect();
        let counts = skus.iter().flat_map(|sku| {
            nodes.iter().map(|node| StockCount {
                sku: *sku,
                node: *node,
                segment: Segment(0),
                on_hand,
                safety: None,
            })
        });
        let set = SetStock { source: 1, as_of: None, counts: counts.collect() };
        done(&client, CommandBody::SetStock(set)).await;
        Self { daemon, client, skus, nodes }
    }

    /// A connection whose pipes a test opens itself.
    pub(crate) async fn dial(&self) -> earmark_protocol::client::Connection {
        let dialer = Dialer::new(&client_config(&self.daemon)).unwrap();
        dialer.dial(Duration::from_secs(5)).await.unwrap()
    }

    /// A hold of one unit of the first sku at the first node.
    pub(crate) fn hold_one(&self) -> HoldOne {
        HoldOne {
            id: self.client.new_id(),
            sku: self.skus[0],
            node: self.nodes[0],
            quantity: 1,
            ..HoldOne::default()
        }
    }

    /// An order of one unit each of these skus, to New York.
    pub(crate) fn order(&self, skus: &[SkuIx]) -> Order {
        Order {
            channel: Channel(0),
            delivery: Delivery::Ship {
                position: Position::from_degrees(40.75, -73.99).unwrap(),
                postal: "10001".to_owned(),
                home: false,
            },
            nodes: Vec::new(),
            shipments_max: 0,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines: (0..)
                .zip(skus)
                .map(|(line, sku)| OrderLine { line: LineId(line), sku: *sku, quantity: 1 })
                .collect(),
        }
    }

    /// What can be promised of a sku over all nodes.
    pub(crate) async fn available(&self, sku: SkuIx) -> u64 {
        let atp = Atp { skus: vec![sku], scope: Scope::All, segment: None, per_node: false, by_day: None };
        match self.client.query(Query::Atp(atp)).await.unwrap() {
            Reply::Atp(reply) => reply.skus[0].available,
            other => panic!("{other:?}"),
        }
    }

    /// Stops the daemon while its clients go on.
    pub(crate) async fn stop(self) {
        stop(self.daemon).await;
    }

    /// One of the daemon's counters or levels.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let Reply::Stats(stats) = self.client.query(Query::Stats).await.unwrap() else { panic!("no stats") };
        stats.into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1
    }
}

/// Stops a daemon while this thread's tasks go on.
pub(crate) async fn stop(daemon: Daemon) {
    tokio::task::spawn_blocking(move || daemon.stop()).await.unwrap();
}

pub(crate) async fn done(client: &Client, body: CommandBody) -> Done {
    match client.command(body).await.unwrap() {
        Reply::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn reserved(
    client: &Client,
    body: CommandBody,
) -> (earmark_protocol::ids::CommandId, Reserved) {
    let id = client.new_id();
    match client.command_as(id, body).await.unwrap() {
        Reply::Reserved(reserved) => (id, reserved),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn refusal(reply: &Reply) -> Option<RefusalCode> {
    match reply {
        Reply::Refused(refused) => Some(refused.refusal.code),
        _ => None,
    }
}

/// All of a reservation.
pub(crate) fn step(reservation: earmark_protocol::ids::CommandId) -> Step {
    Step { reservation, lines: Vec::new(), best_effort: false }
}

/// A free path for a unix socket, in a directory that goes with it.
pub(crate) fn socket_path() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("earmark.sock");
    (directory, path)
}
