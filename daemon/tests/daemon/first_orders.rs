//! From an empty daemon to a confirmed order.

use earmark_protocol::command::CommandBody;
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Reply, Status};

use crate::world::{World, config, done, step};

#[tokio::test]
async fn a_hold_takes_stock_and_a_release_gives_it_back() {
    let world = World::start(config()).await;
    let hold = world.hold_one();
    let reply = world.client.hold_one(hold).await.unwrap();
    assert!(matches!(reply, HoldOneReply::Held { status: Status::Held, .. }), "{reply:?}");
    assert_eq!(world.available(world.skus[0]).await, 299);
    let confirmed = done(&world.client, CommandBody::Confirm(step(hold.id))).await;
    assert_eq!((confirmed.status, confirmed.moved), (Some(Status::Confirmed), 1));
    let shown = world.client.query(Query::Show(hold.id)).await.unwrap();
    let Reply::Shown(view) = shown else { panic!("{shown:?}") };
    assert_eq!((view.status, view.rows[0].confirmed), (Status::Confirmed, 1));
    done(&world.client, CommandBody::Cancel(step(hold.id))).await;
    assert_eq!(world.available(world.skus[0]).await, 300);
    world.stop().await;
}
