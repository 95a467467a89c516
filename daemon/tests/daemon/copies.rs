//! The promise: what a data directory holds can be copied by reading alone, of a running daemon and of one that ended, and
//! orders are routed on the copy as the daemon would.

use std::path::Path;
use std::sync::Arc;

use earmark::replay::{Ground, Placed, under_two};
use earmark::store::copy;
use earmark_engine::{Rules, digest};
use earmark_protocol::command::{CommandBody, Reserve, SetPolicy};
use earmark_protocol::ids::{HoldClass, Tenant, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::reply::Reply;
use earmark_snapshot::storage::{DataDir, Storage};

use crate::images::{kept_in, snapshot};
use crate::world::{World, done};

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|path| (path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_copy_is_what_the_daemon_has_and_routes_as_it_does() {
    let directory = tempfile::tempdir().unwrap();
    let look = || -> Arc<dyn Storage> { Arc::new(DataDir::look(directory.path()).unwrap()) };
    let world = World::start(kept_in(directory.path())).await;
    let state = async || match world.client.query(Query::Digest).await.unwrap() {
        Reply::Digest(digest) => digest.state,
        other => panic!("{other:?}"),
    };
    // From the log alone; then from an image and the log behind it.
    let bare = state().await;
    assert_eq!(digest(&copy(&look(), &Rules::default()).unwrap()), bare);
    let text = "name = \"west\"\n[[rule]]\nname = \"west\"\nexclude = 'node.code == \"east\"'\n".to_owned();
    done(&world.client, CommandBody::SetPolicy(SetPolicy { text })).await;
    snapshot(&world).await;
    world.client.hold_one(world.hold_one()).await.unwrap();
    let order = world.order(&world.skus[..2]);
    let reserve = Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let reserved = world.client.command(CommandBody::Reserve(reserve)).await.unwrap();
    let Reply::Reserved(reserved) = reserved else { panic!("{reserved:?}") };
    let whole = state().await;
    assert!(whole != bare);
    assert_eq!(digest(&copy(&look(), &Rules::default()).unwrap()), whole);
    world.stop().await;

    let before = files(directory.path());
    let ground = || Ground::of_copy(&look(), &Rules::default(), Tenant(0), (1, 2));
    let first = ground().unwrap();
    assert_eq!(first.policy().map(|view| (view.version, view.name)), Some((1, "west".to_owned())));
    // It is not the state that ended: room was made in it. But what it holds is the same.
    let placed = Placed { code: "A".to_owned(), at: None, order };
    let at = TimestampMs(0);
    let without = || {
        let mut ground = ground()?;
        ground.obey("name = \"none\"\n".to_owned()).expect("it is taken");
        Ok::<_, earmark::replay::ReplayError>(ground)
    };
    let report = under_two(first, without, &[placed], at, false).unwrap();
    let plan = reserved.plan.expect("it was routed");
    assert_eq!(report.figures[0].cost, plan.cost);
    assert_eq!(report.differences.len(), 1, "the nearest node was excluded: {report:?}");
    assert_eq!(report.differences[0].nodes[0], [plan.shipments[0].node]);
    assert!(files(directory.path()) == before, "the directory was changed");
}
