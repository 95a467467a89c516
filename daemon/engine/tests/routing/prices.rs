//! Prices for the future of stock: plans mind them exactly, and what is learned is nothing where stock is plentiful.

use earmark_engine::routing::{Learner, Planner, Prices, Proposal};
use earmark_protocol::catalogue::{NodeSpec, capabilities};
use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::ids::{LineId, Money, NodeIx, SkuIx, Tenant, TimestampMs};

use crate::oracle::{cheapest, demand, judge, limit};
use crate::world::World;

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

/// A price for some of the skus at some of the nodes.
fn draw(world: &World, random: &mut fastrand::Rng) -> Prices {
    let cells = (0..world.flags.len()).flat_map(|sku| (0..world.nodes.len()).map(move |node| (sku, node)));
    Prices::new(cells.map(|(sku, node)| {
        let price = if random.bool() { random.i64(0..6) * 1_500_000 } else { 0 };
        (SkuIx(sku as u32), NodeIx(node as u32), Money(price))
    }))
}

fn plan(world: &World, order: &Order, prices: Option<Prices>) -> Option<Proposal> {
    let reader = world.state().reader();
    prices.into_iter().for_each(|prices| reader.prices().publish(prices));
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, false, &[]).ok()
}

#[test]
fn a_plan_is_the_cheapest_by_cost_and_price_together_and_proven_so() {
    let mut random = fastrand::Rng::with_seed(71);
    let (mut planned, mut priced, mut dearer, mut unpriced) = (0, 0, 0, 0);
    for turn in 0..4_000 {
        let mut world = World::random(&mut random);
        let order = world.order(&mut random);
        let plain = plan(&world, &order, None);
        world.lean.prices = draw(&world, &mut random);
        let ours = plan(&world, &order, Some(world.lean.prices.clone()));
        let expected = cheapest(&world, &order, &demand(&order));
        assert_eq!(ours.is_some(), expected.is_some(), "turn {turn}: {world:#?} {order:#?}");
        let (Some(ours), Some((expected, ..)), Some(plain)) = (ours, expected, plain) else { continue };
        assert_eq!(judge(&world, &order, &ours), demand(&order), "turn {turn}");
        let has_whole = |(sku, units): (&usize, &u32)| {
            (0..world.nodes.len()).any(|node| world.available(&order, *sku, node) >= *units)
        };
        let is_free = order.nodes.is_empty() && limit(&world, &order) == usize::MAX;
        let is_shipped = !matches!(order.delivery, Delivery::Pickup { .. });
        if !is_shipped || !demand(&order).iter().all(has_whole) {
            assert_eq!(ours, plain, "turn {turn}: no prices are minded");
            unpriced += 1;
            continue;
        }
        if !is_free {
            continue;
        }
        assert_eq!(ours.plan.weighed().0, expected, "turn {turn}: {world:#?} {order:#?} {ours:#?}");
        assert!(ours.plan.is_optimal(), "turn {turn} is not proven");
        planned += 1;
        priced += usize::from(ours.plan.price.0 > 0);
        dearer += usize::from(ours.plan.cost > plain.plan.cost);
    }
    let counts = (planned, priced, dearer, unpriced);
    assert!(planned > 400 && priced > 200 && dearer > 50 && unpriced > 100, "{counts:?}");
}

#[test]
fn prices_of_other_skus_leave_a_plan_as_it_is() {
    let mut random = fastrand::Rng::with_seed(72);
    for _ in 0..500 {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let others = Prices::new([(SkuIx(4_000), NodeIx(0), Money(5_000_000))]);
        assert_eq!(plan(&world, &order, Some(others)), plan(&world, &order, None));
    }
}

/// A world of two skus at two nodes with so many units each, and orders of one of both, from beside the first node.
fn two_skus(units: i32) -> (World, Order) {
    let mut random = fastrand::Rng::with_seed(73);
    let (world, order) = loop {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let ships = |node: &NodeSpec| node.capabilities & capabilities::SHIP != 0;
        let is_plain = world.nodes.len() == 2 && world.nodes.iter().all(ships);
        let is_shipped = matches!(order.delivery, Delivery::Ship { .. });
        if is_plain && is_shipped && order.nodes.is_empty() && world.flags.iter().all(|flags| *flags == 0) {
            break (world, order);
        }
    };
    let stock = (0..2).flat_map(|sku| (0..2).map(move |node| ((sku, node, 0), units))).collect();
    let lines = (0..2).map(|sku| OrderLine { line: LineId(sku), sku: SkuIx(sku), quantity: 1 });
    (World { stock, ..world }, Order { lines: lines.collect(), shipments_max: 0, ..order })
}

fn learned(units: i32, ahead: u64) -> Prices {
    let (world, order) = two_skus(units);
    let reader = world.state().reader();
    let mut learner = Learner::default();
    (0..20).for_each(|_| learner.note(Tenant(0), order.clone()));
    (0..40).map(|_| learner.learn(&reader, NOW, ahead)).last().expect("it learned")
}

#[test]
fn where_stock_is_plentiful_nothing_has_a_price_so_plans_stay_as_they_are() {
    assert_eq!(learned(100, 50), Prices::default());
}

#[test]
fn where_stock_runs_out_what_is_near_has_a_price() {
    let prices = learned(10, 12);
    assert!(!prices.is_empty());
    assert!(prices.of(SkuIx(0)).iter().all(|(_, price)| price.0 < 100_000_000), "{prices:?}");
}

#[test]
fn the_same_orders_and_stock_teach_the_same_prices() {
    assert_eq!(learned(10, 12), learned(10, 12));
}

#[test]
fn without_orders_or_without_a_future_there_is_no_price() {
    let (world, order) = two_skus(1);
    let reader = world.state().reader();
    let mut learner = Learner::default();
    assert!(learner.learn(&reader, NOW, 100).is_empty());
    learner.note(Tenant(0), order);
    assert!(learner.learn(&reader, NOW, 0).is_empty());
}
