//! Images are made by time, by what the log has grown, on demand and at a clean stop; the log keeps what the older of them
//! needs, and no more.

use std::path::Path;
use std::time::Duration;

use earmark::config::{Config, DurabilityMode};
use earmark::serve::Daemon;
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, SetStock, StockCount};
use earmark_protocol::ids::{Segment, SkuIx};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Reply, SnapshotReply};
use earmark_snapshot::image::{ImageReader, images};
use earmark_snapshot::log::segment_number;
use earmark_snapshot::storage::{DataDir, Storage as _};

use crate::world::{World, client_config, config, done};

/// Within this what must happen has happened, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Skus whose counts fill a file of the log in little time.
const MANY: usize = 1_000;

/// A daemon that keeps what it is told in this directory, and makes no image by itself.
pub(crate) fn kept_in(directory: &Path) -> Config {
    let mut config = config();
    let durability = &mut config.durability;
    durability.mode = DurabilityMode::Sync;
    durability.directory = Some(directory.to_owned());
    durability.segment_bytes = 16 << 20;
    config
}

pub(crate) async fn snapshot(world: &World) -> SnapshotReply {
    match world.client.query(Query::Snapshot).await.unwrap() {
        Reply::Snapshot(made) => made,
        other => panic!("{other:?}"),
    }
}

/// Waits until this is so.
async fn until(world: &World, name: &str, least: u64) {
    let reached = async {
        while world.stat(name).await < least {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{name} does not reach {least}"));
}

/// Counts all cells once, to so many units.
async fn count(world: &World, on_hand: u32) {
    let cells = world.skus.iter().flat_map(|sku| world.nodes.iter().map(move |node| (*sku, *node)));
    let count = |(sku, node)| StockCount { sku, node, segment: Segment(0), on_hand, safety: None };
    let set = SetStock { source: 1, as_of: None, counts: cells.map(count).collect() };
    done(&world.client, CommandBody::SetStock(set)).await;
}

/// Lsns of the images, the newest first, and the first segment that one of them needs.
fn kept(directory: &Path) -> (Vec<u64>, u64) {
    let storage = DataDir::look(directory).unwrap();
    let images = images(&storage).unwrap();
    let needed =
        images.iter().map(|image| ImageReader::open(&storage, &image.name).unwrap().cut().position.segment);
    (images.iter().map(|image| image.lsn).collect(), needed.min().unwrap_or(0))
}

fn first_segment(directory: &Path) -> u64 {
    let names = DataDir::look(directory).unwrap().list().unwrap();
    names.iter().filter_map(|name| segment_number(name)).min().unwrap()
}

#[tokio::test]
async fn an_image_is_made_on_demand_and_two_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(kept_in(directory.path())).await;
    let mut lsns = Vec::new();
    for kept in [1, 2, 2] {
        world.client.hold_one(world.hold_one()).await.unwrap();
        let made = snapshot(&world).await;
        assert!(made.kept == kept && made.bytes > 0, "{made:?}");
        lsns.push(made.lsn.0);
    }
    let again = snapshot(&world).await;
    assert_eq!((again.lsn.0, again.bytes), (lsns[2], 0), "nothing has changed since");
    assert_eq!(kept(directory.path()).0, [lsns[2], lsns[1]]);
    world.stop().await;
}

#[tokio::test]
async fn an_image_is_made_when_its_time_has_come_and_not_while_nothing_changes() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = kept_in(directory.path());
    config.durability.snapshot_every_ms = 1_000;
    let world = World::start(config).await;
    until(&world, "snapshots_made", 1).await;
    assert_eq!(kept(directory.path()).0, [world.stat("lsn").await]);
    world.client.hold_one(world.hold_one()).await.unwrap();
    until(&world, "snapshots_made", 2).await;
    assert_eq!(kept(directory.path()).0[0], world.stat("lsn").await);
    world.stop().await;
}

#[tokio::test]
async fn an_image_is_made_when_the_log_has_grown_and_the_log_keeps_what_the_older_one_needs() {
    let directory = tempfile::tempdir().unwrap();
    let mut config = kept_in(directory.path());
    config.durability.snapshot_log_bytes = 16 << 20;
    let daemon = Daemon::start(config).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World::stock(daemon, client, MANY, 100).await;
    let released = async {
        let mut on_hand = 100;
        while first_segment(directory.path()) < 3 {
            on_hand += 1;
            count(&world, on_hand).await;
            // Images come and go meanwhile; whichever there are find their log.
            let first = first_segment(directory.path());
            let (_, needed) = kept(directory.path());
            assert!(first <= needed.max(1), "the log begins at {first}, an image needs {needed}");
        }
    };
    tokio::time::timeout(3 * PATIENCE, released).await.expect("the log is released in time");
    assert!(world.stat("snapshots_made").await >= 2);
    world.stop().await;
}

#[tokio::test]
async fn a_clean_stop_leaves_an_image_of_all_and_the_next_start_reads_no_log() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start(kept_in(directory.path())).await;
    let reply = world.client.hold_one(world.hold_one()).await.unwrap();
    let (sku, lsn) = (world.skus[0], reply.lsn().0);
    let available = world.available(sku).await;
    world.stop().await;
    assert_eq!(kept(directory.path()).0, [lsn]);
    let daemon = Daemon::start(kept_in(directory.path())).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    let world = World { daemon, client, skus: vec![SkuIx(0)], nodes: Vec::new() };
    assert_eq!(world.stat("snapshot_lsn").await, lsn);
    assert_eq!(world.available(sku).await, available);
    world.stop().await;
}
