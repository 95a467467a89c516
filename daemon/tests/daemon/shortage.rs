//! Counts may surprise: what is promised beyond them gives way, carts before payments before confirmed units.

use std::time::Duration;

use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::command::{
    CellQuantity, CommandBody, Correction, Hold, Order, Reject, Reserve, SetStock, Step, StepLine, StockCount,
};
use earmark_protocol::ids::{CommandId, HoldClass, LineId, Segment, SkuIx};
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{CellView, Reply, ReservationView, Status};

use crate::world::{World, config, done, reserved, step};

const CART: HoldClass = HoldClass(0);
const PAYMENT: HoldClass = HoldClass(1);

async fn count(world: &World, on_hand: u32) {
    count_at(world, (0, 0), on_hand).await;
}

async fn count_at(world: &World, (sku, node): (usize, usize), on_hand: u32) {
    let (sku, node, segment) = (world.skus[sku], world.nodes[node], Segment(0));
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
    cell_of_once(world, 0, is_so).await
}

/// The cell of this sku at the first node, once it is what is waited for.
async fn cell_of_once(world: &World, sku: usize, is_so: impl Fn(&CellView) -> bool) -> CellView {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let Reply::Cells(cells) = world.client.query(Query::Cells(world.skus[sku])).await.unwrap() else {
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

/// An order of five kits of one unit each of the first two skus, which the first two nodes may serve.
async fn kits(world: &World) -> Order {
    let spec = SkuSpec { code: "kit".to_owned(), ..SkuSpec::default() };
    done(&world.client, CommandBody::PutSkus(vec![spec])).await;
    let kit = SkuIx(world.skus.len() as u32);
    let component = |sku: &SkuIx| Component { sku: *sku, quantity: 1 };
    let components = world.skus[..2].iter().map(component).collect();
    done(&world.client, CommandBody::PutKits(vec![KitSpec { kit, components }])).await;
    let mut order = world.order(&[kit]);
    order.lines[0].quantity = 5;
    order.nodes = world.nodes[..2].to_vec();
    order
}

fn reserve(order: Order) -> CommandBody {
    CommandBody::Reserve(Reserve { order, class: CART, lifetime_ms: 0, best_effort: false })
}

/// Units held and confirmed of the first two skus at the first two nodes.
fn there(world: &World, view: &ReservationView) -> [[(u32, u32); 2]; 2] {
    let of = |sku: usize, node: usize| {
        let rows = view.rows.iter().filter(|row| (row.sku, row.node) == (world.skus[sku], world.nodes[node]));
        rows.fold((0, 0), |(held, confirmed), row| (held + row.held, confirmed + row.confirmed))
    };
    [0, 1].map(|node| [0, 1].map(|sku| of(sku, node)))
}

#[tokio::test]
async fn a_kit_gives_way_as_a_whole_and_one_that_is_confirmed_only_where_all_of_it_can_be_elsewhere() {
    let world = World::start(config()).await;
    let order = kits(&world).await;
    let (moves, _) = reserved(&world.client, reserve(order.clone())).await;
    done(&world.client, CommandBody::Confirm(step(moves))).await;
    assert_eq!(there(&world, &show(&world, moves).await), [[(0, 5), (0, 5)], [(0, 0), (0, 0)]]);
    // One component is short: the other one goes with it.
    count(&world, 2).await;
    cell_once(&world, |cell| cell.allocated == 0).await;
    assert_eq!(there(&world, &show(&world, moves).await), [[(0, 0), (0, 0)], [(0, 5), (0, 5)]]);

    // Nobody else has the second component, so what is confirmed of the kit stays, short or not.
    count(&world, 50).await;
    let (stays, _) = reserved(&world.client, reserve(order)).await;
    done(&world.client, CommandBody::Confirm(step(stays))).await;
    count_at(&world, (1, 1), 5).await;
    count(&world, 2).await;
    relieved_so_far(&world).await;
    assert_eq!(there(&world, &show(&world, stays).await), [[(0, 5), (0, 5)], [(0, 0), (0, 0)]]);
    world.stop().await;
}

#[tokio::test]
async fn what_is_held_of_a_kit_stays_beside_what_is_confirmed_of_it_where_all_of_it_cannot_be_elsewhere() {
    let world = World::start(config()).await;
    let order = kits(&world).await;
    // The first component leaves from the second node, the other one from the first.
    count(&world, 0).await;
    count_at(&world, (1, 1), 0).await;
    let (id, _) = reserved(&world.client, reserve(order)).await;
    assert_eq!(there(&world, &show(&world, id).await), [[(0, 0), (5, 0)], [(5, 0), (0, 0)]]);
    let lines = vec![StepLine { line: LineId(0), node: Some(world.nodes[0]), quantity: 0 }];
    let confirm = Step { reservation: id, lines, best_effort: false };
    done(&world.client, CommandBody::Confirm(confirm)).await;
    count(&world, 50).await;
    let reject = Reject {
        reservation: id,
        node: world.nodes[1],
        lines: Vec::new(),
        correction: Correction::None,
        reason: String::new(),
        reroute: true,
    };
    done(&world.client, CommandBody::Reject(reject)).await;
    assert_eq!(there(&world, &show(&world, id).await), [[(5, 0), (0, 5)], [(0, 0), (0, 0)]]);
    // The first node has too little of what is held, and the second one has nothing of what is confirmed.
    count(&world, 2).await;
    relieved_so_far(&world).await;
    assert_eq!(there(&world, &show(&world, id).await), [[(5, 0), (0, 5)], [(0, 0), (0, 0)]]);
    world.stop().await;
}

/// Waits until all that was short so far was looked at: shortages are taken one after the other.
async fn relieved_so_far(world: &World) {
    let cells =
        vec![CellQuantity { sku: world.skus[9], node: world.nodes[0], segment: Segment(0), quantity: 10 }];
    let hold = Hold { cells, class: CART, lifetime_ms: 0, best_effort: false, supply_by: None };
    reserved(&world.client, CommandBody::Hold(hold)).await;
    count_at(world, (9, 0), 0).await;
    cell_of_once(world, 9, |cell| cell.held == 0).await;
}
