//! Confirmed orders are looked at again where the policy says so, and move to where they cost less.

use std::time::Duration;

use earmark_protocol::command::{CommandBody, Reserve, SetPolicy, SetStock, StockCount};
use earmark_protocol::ids::{CommandId, HoldClass, NodeIx, Segment};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Replanned, Reply, ReservationView};

use crate::world::{World, config, done, reserved, step};

async fn count_east(world: &World, on_hand: u32) {
    let (sku, node, segment) = (world.skus[0], world.nodes[0], Segment(0));
    let counts = vec![StockCount { sku, node, segment, on_hand, safety: None }];
    done(&world.client, CommandBody::SetStock(SetStock { source: 1, as_of: None, counts })).await;
}

/// An order to New York that was confirmed when the east had nothing.
async fn order(world: &World) -> CommandId {
    let order = world.order(&world.skus[..1]);
    let body = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let (id, _) = reserved(&world.client, CommandBody::Reserve(body)).await;
    done(&world.client, CommandBody::Confirm(step(id))).await;
    id
}

async fn show(world: &World, id: CommandId) -> ReservationView {
    match world.client.query(Query::Show(id)).await.unwrap() {
        Reply::Shown(view) => *view,
        other => panic!("{other:?}"),
    }
}

async fn node_of(world: &World, id: CommandId) -> NodeIx {
    show(world, id).await.rows.iter().find(|row| row.confirmed > 0).expect("it is confirmed").node
}

async fn replan(world: &World) -> Replanned {
    match world.client.query(Query::Replan { from: 0 }).await.unwrap() {
        Reply::Replanned(found) => found,
        other => panic!("{other:?}"),
    }
}

async fn set_policy(world: &World, text: &str) {
    done(&world.client, CommandBody::SetPolicy(SetPolicy { text: text.to_owned() })).await;
}

#[tokio::test]
async fn nothing_moves_without_a_policy_or_for_less_than_it_says() {
    let world = World::start(config()).await;
    count_east(&world, 0).await;
    let id = order(&world).await;
    assert_eq!(node_of(&world, id).await, world.nodes[1]);
    count_east(&world, 5).await;
    // No policy has it looked at.
    assert_eq!(replan(&world).await, Replanned::default());
    // It would save some 40 cents: the daemon itself leaves that alone, and so does a move that has to save more.
    set_policy(&world, "name = 'dear'\nreplan_minutes = 60\nreplan_saves = '1.00'\n").await;
    let found = replan(&world).await;
    assert_eq!((found.looked_at, found.moves.len(), found.next), (1, 0, None));
    assert_eq!(node_of(&world, id).await, world.nodes[1]);
    world.stop().await;
}

#[tokio::test]
async fn the_daemon_moves_what_costs_less_elsewhere_and_says_what_that_saved() {
    let world = World::start(config()).await;
    count_east(&world, 0).await;
    let id = order(&world).await;
    count_east(&world, 5).await;
    set_policy(&world, "name = 'again'\nreplan_minutes = 60\nreplan_saves = '0.10'\n").await;
    // The thread that does it gives way to all others: a busy machine may keep it waiting, also between the move and its counts.
    let waited = tokio::time::timeout(Duration::from_secs(300), async {
        while node_of(&world, id).await != world.nodes[0]
            || world.stat("moved_orders").await == 0
            || world.stat("looked_at_again").await == 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("the order should have been moved and counted by now");
    let view = show(&world, id).await;
    let saved = view.plans[1].saved.expect("a move says what it saves").0;
    assert!((300_000..600_000).contains(&saved), "{saved}");
    assert_eq!(world.stat("moved_orders").await, 1);
    assert_eq!(world.stat("moved_saved_micros").await, saved.unsigned_abs());
    assert_eq!(replan(&world).await.moves, Vec::new(), "there is nothing more to save");
    world.stop().await;
}
