//! Counts may surprise: what is promised beyond them gives way, carts before payments before confirmed units.

use std::time::Duration;

use earmark_protocol::command::{CellQuantity, CommandBody, Hold, Reserve, SetStock, StockCount};
use earmark_protocol::ids::{CommandId, HoldClass, Segment};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{CellView, Reply, ReservationView, Status};

use crate::world::{World, config, done, reserved, step};

const CART: HoldClass = HoldClass(0);
const PAYMENT: HoldClass = HoldClass(1);

async fn count(world: &World, on_hand: u32) {
    let (sku, node, segment) = (world.skus[0], world.nodes[0], Segment(0));
    let counts = vec![StockCount { sku, node, segment, on_hand, safety: None }];
    done(&world.client, CommandBody::SetStock(SetStock { source: 1, as_of: None, counts })).await;
}

async fn hold(world: &World, class: HoldClass, quantity: u32) -> CommandId {
    let cells =
        vec![CellQuantity { sku: world.skus[0], node: world.nodes[0], segment: Segment(0), quantity }];
    let hold = Hold { cells, class, lifetime_ms: 0, best_effort: false, supply_by: None };
    reserved(&world.client, CommandBody::Hold(hold)).await.0
}

async fn show(world: &World, id: CommandId) -> ReservationView {
    match world.client.query(Query::Show(id)).await.unwrap() {
        Reply::Shown(view) => *view,
        other => panic!("{other:?}"),
    }
}

/// The first cell, once it is what is waited for.
async fn cell_once(world: &World, is_so: impl Fn(&CellView) -> bool) -> CellView {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let Reply::Cells(cells) = world.client.query(Query::Cells(world.skus[0])).await.unwrap() else {
                panic!("the sku has cells");
            };
            let cell = *cells.iter().find(|cell| cell.node == world.nodes[0]).unwrap();
            if is_so(&cell) {
                return cell;
            }
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("the relief should have been done by now")
}

#[tokio::test]
async fn carts_give_way_before_payments_and_the_newest_first() {
    let world = World::start(config()).await;
    let payment = hold(&world, PAYMENT, 30).await;
    let old_cart = hold(&world, CART, 30).await;
    let new_cart = hold(&world, CART, 30).await;
    count(&world, 50).await;
    let cell = cell_once(&world, |cell| cell.held == 50).await;
    assert_eq!(cell.on_hand, 50);
    assert_eq!(show(&world, new_cart).await.status, Status::Released);
    assert_eq!(show(&world, old_cart).await.rows[0].held, 20, "ten of thirty gave way");
    assert_eq!(show(&world, payment).await.rows[0].held, 30);
    world.stop().await;
}

#[tokio::test]
async fn what_can_be_served_elsewhere_moves_and_confirmed_units_that_cannot_stay() {
    let world = World::start(config()).await;
    let reserve = |world: &World| {
        let mut order = world.order(&world.skus[..1]);
        order.lines[0].quantity = 60;
        order.nodes = vec![world.nodes[0], world.nodes[1]];
        CommandBody::Reserve(Reserve { order, class: CART, lifetime_ms: 0, best_effort: false })
    };
    let (routed, _) = reserved(&world.client, reserve(&world)).await;
    done(&world.client, CommandBody::Confirm(step(routed))).await;
    let fixed = hold(&world, CART, 40).await;
    done(&world.client, CommandBody::Confirm(step(fixed))).await;
    count(&world, 10).await;
    let cell = cell_once(&world, |cell| cell.allocated == 40).await;
    assert_eq!((cell.on_hand, cell.held), (10, 0));
    let view = show(&world, routed).await;
    assert_eq!(view.status, Status::Confirmed);
    let moved: u32 = view.rows.iter().filter(|row| row.node == world.nodes[1]).map(|row| row.confirmed).sum();
    assert_eq!(moved, 60, "all of the routed order is served from the second node now: {view:?}");
    let kept = show(&world, fixed).await;
    assert_eq!(
        (kept.status, kept.rows[0].confirmed),
        (Status::Confirmed, 40),
        "it has no destination to route to"
    );
    world.stop().await;
}
