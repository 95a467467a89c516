//! `[capacity]` may be raised between two starts, and lowered as far as what is in use allows.

use std::fs;
use std::path::Path;

use earmark::config::Config;
use earmark::serve::Daemon;
use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{DigestReply, Reply};

use crate::images::{kept_in, snapshot};
use crate::world::{World, client_config, done, refusal, stop};

/// A directory as a crash at this moment would leave it: all that was answered is on disk.
fn as_after_a_crash(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

async fn started(config: Config) -> (Daemon, Client) {
    let daemon = Daemon::start(config).unwrap();
    let client = Client::connect(client_config(&daemon)).await.unwrap();
    (daemon, client)
}

async fn digest(client: &Client) -> DigestReply {
    match client.query(Query::Digest).await.unwrap() {
        Reply::Digest(digest) => digest,
        other => panic!("{other:?}"),
    }
}

fn skus(from: usize, to: usize) -> CommandBody {
    let spec = |number| SkuSpec { code: format!("more-{number}"), ..SkuSpec::default() };
    CommandBody::PutSkus((from..to).map(spec).collect())
}

#[tokio::test]
async fn capacity_is_raised_for_an_image_and_the_log_behind_it_and_never_lowered_below_what_is_in_use() {
    let directory = tempfile::tempdir().unwrap();
    let small = |directory: &Path| {
        let mut config = kept_in(directory);
        // What is held lives as long as it was told, so that nothing but the capacity changes.
        config.durability.restart_grace_ms = 0;
        config.capacity.skus = 10;
        config
    };
    let world = World::start(small(directory.path())).await;
    let full = world.client.command(skus(0, 1)).await.unwrap();
    assert_eq!(refusal(&full), Some(RefusalCode::CapacityReached));
    world.client.hold_one(world.hold_one()).await.unwrap();
    snapshot(&world).await;
    world.client.hold_one(world.hold_one()).await.unwrap();
    let before = digest(&world.client).await;
    let crashed = as_after_a_crash(directory.path());
    world.stop().await;

    let mut larger = small(crashed.path());
    (larger.capacity.skus, larger.capacity.cells) = (2_000, 50_000);
    let (daemon, client) = started(larger).await;
    let after = digest(&client).await;
    assert_eq!((after.held, after.cells, after.quantities), (before.held, before.cells, before.quantities));
    done(&client, skus(0, 90)).await;
    stop(daemon).await;

    for (in_use, is_enough) in [(99, false), (100, true)] {
        let mut lower = small(crashed.path());
        lower.capacity.skus = in_use;
        match Daemon::start(lower) {
            Ok(daemon) => {
                assert!(is_enough);
                stop(daemon).await;
            }
            Err(error) => {
                let text = format!("{error:#}");
                assert!(!is_enough && text.contains("capacity.skus is 99, and 100 are in use"), "{text}");
            }
        }
    }
}
