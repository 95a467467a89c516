//! Prices for the future of stock: plans mind them exactly, and what is learned is nothing where stock is plentiful.

use earmark_engine::routing::{Learner, Planner, Prices, Proposal};
use earmark_protocol::catalogue::{NodeSpec, capabilities};
use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, LineId, Money, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::tariff::{PriceStep, PutTariffs, ServiceSpec, ZoneSpec};

use crate::carriers::Carriers;
use crate::oracle::{cheapest, cheapest_parcels, demand, judge, limit};
use crate::tariffs::address;
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
fn where_carriers_price_by_steps_a_plan_is_the_cheapest_by_cost_and_price_together_and_proven_so() {
    let mut random = fastrand::Rng::with_seed(74);
    let (mut planned, mut priced, mut dearer, mut several, mut unpriced) = (0, 0, 0, 0, 0);
    for turn in 0..6_000 {
        let mut world = World::random(&mut random);
        world.carriers = Some(Carriers::random(&mut random, &mut world.nodes, world.flags.len()));
        let mut order = world.order(&mut random);
        address(&mut random, &mut order);
        let plain = plan(&world, &order, None);
        world.lean.prices = draw(&world, &mut random);
        let ours = plan(&world, &order, Some(world.lean.prices.clone()));
        let expected = cheapest(&world, &order, &demand(&order));
        assert_eq!(ours.is_some(), expected.is_some(), "turn {turn}: {world:#?} {order:#?}");
        let (Some(ours), Some((expected, _, codes)), Some(plain)) = (ours, expected, plain) else { continue };
        assert_eq!(judge(&world, &order, &ours), demand(&order), "turn {turn}");
        let has_whole = |(sku, units): (&usize, &u32)| {
            (0..world.nodes.len()).any(|node| world.available(&order, *sku, node) >= *units)
        };
        let is_shipped = !matches!(order.delivery, Delivery::Pickup { .. });
        if !is_shipped || !demand(&order).iter().all(has_whole) {
            assert_eq!(ours, plain, "turn {turn}: no prices are minded");
            unpriced += 1;
            continue;
        }
        let told = || format!("turn {turn}: {expected} {world:#?} {order:#?} {ours:#?}");
        assert_eq!((ours.plan.weighed().0, ours.plan.bound.0), (expected, expected), "{}", told());
        let nodes = ours.plan.shipments.iter().map(|from| world.nodes[from.node.0 as usize].code.clone());
        let mut nodes: Vec<_> = nodes.collect();
        nodes.sort();
        assert_eq!(nodes, codes, "{}", told());
        planned += 1;
        priced += usize::from(ours.plan.price.0 > 0);
        dearer += usize::from(ours.plan.cost > plain.plan.cost);
        several += usize::from(ours.plan.shipments.len() > 1);
    }
    let counts = (planned, priced, dearer, several, unpriced);
    assert!(planned > 1_000 && priced > 400 && dearer > 100 && several > 100 && unpriced > 100, "{counts:?}");
}

#[test]
fn over_many_nodes_plans_by_steps_and_price_are_proven_as_well() {
    let mut random = fastrand::Rng::with_seed(75);
    let (mut planned, mut priced, mut several) = (0, 0, 0);
    for turn in 0..30 {
        let (nodes, carry) = (random.usize(100..500), [0.1, 0.45][turn % 2]);
        let mut world = World::wide(&mut random, nodes, 10, carry, 20);
        world.carriers = Some(Carriers::random(&mut random, &mut world.nodes, 10));
        world.lean.prices = draw(&world, &mut random);
        let reader = world.state().reader();
        reader.prices().publish(world.lean.prices.clone());
        for _ in 0..6 {
            let (skus, units) = (random.usize(1..7), random.u32(1..12));
            let mut order = world.wide_order(&mut random, skus, units);
            address(&mut random, &mut order);
            let planned_now = Planner::new().plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
            let least = cheapest_parcels(&world, &order, &demand(&order));
            let (Ok(ours), Some((least, mut nodes))) = (planned_now, least) else { continue };
            assert_eq!(judge(&world, &order, &ours), demand(&order), "turn {turn}");
            nodes.sort_unstable();
            // What the oracle takes for two parcels of one node is one.
            if nodes.windows(2).any(|pair| pair[0] == pair[1]) {
                continue;
            }
            let plan = &ours.plan;
            assert_eq!((plan.weighed().0, plan.bound.0), (least, least), "turn {turn}: {plan:?}");
            planned += 1;
            priced += usize::from(plan.price.0 > 0);
            several += usize::from(plan.shipments.len() > 1);
        }
    }
    assert!(planned > 60 && priced > 10 && several > 10, "{planned} {priced} {several}");
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
fn what_runs_out_in_a_few_futures_alone_has_no_price_while_stock_is_plentiful() {
    let (mut world, order) = two_skus(200);
    for node in 0..2 {
        world.stock.insert((0, node, 0), 1);
    }
    let reader = world.state().reader();
    let other = Order { lines: vec![order.lines[1]], ..order };
    let mut learner = Learner::default();
    (0..20).for_each(|_| learner.note(Tenant(0), other.clone()));
    for future in 0..60 {
        assert_eq!(learner.learn(&reader, NOW, 50), Prices::default(), "future {future}");
    }
}

#[test]
fn where_stock_runs_out_what_is_near_has_a_price() {
    let prices = learned(10, 30);
    assert!(!prices.is_empty());
    assert!(prices.of(SkuIx(0)).iter().all(|(_, price)| price.0 < 100_000_000), "{prices:?}");
}

/// One sku of a hundred grams and one of nine kilos, little of each at a node beside the customer and much of it far away; a
/// service that takes 6 and 8 for the light one, near and far, and 11 and 24 for the heavy one, more of it by the parcel.
fn near_and_far(near: i32) -> (World, [Order; 2]) {
    let (world, order) = two_skus(0);
    let at = |lat, lon| Position::from_degrees(lat, lon).expect("it is on the globe");
    let mut nodes = world.nodes.clone();
    (nodes[0].position, nodes[1].position) = (at(40.0, -89.0), at(34.05, -118.24));
    for node in &mut nodes {
        (node.cost_per_order, node.cost_per_line, node.cost_per_unit) = (Money(0), Money(0), Money(0));
    }
    let zone = |zone, miles_max, prices: [i64; 2]| {
        let step = |(up_to_g, price)| PriceStep { up_to_g, price: Money(price * 1_000_000) };
        let steps = [1_000, 10_000].into_iter().zip(prices).map(step).collect();
        ZoneSpec { zone, miles_max, transit_days: 1, steps }
    };
    let zones = vec![zone(1, 300, [6, 11]), zone(2, u16::MAX, [8, 24])];
    let service = ServiceSpec {
        carrier: "post".to_owned(),
        code: "ground".to_owned(),
        offered: true,
        zones,
        ..ServiceSpec::default()
    };
    let put = PutTariffs { services: vec![service], ..PutTariffs::default() };
    let skus = world.flags.len();
    let weights_g = (0..skus).map(|sku| [100, 9_000][sku % 2]).collect();
    let carriers = Some(Carriers { put, weights_g, sizes_mm: vec![[0; 3]; skus] });
    let stock = (0..2).flat_map(|sku| [((sku, 0, 0), near), ((sku, 1, 0), 1_000)]).collect();
    let of = |sku| {
        let line = OrderLine { line: LineId(1), sku: SkuIx(sku), quantity: 1 };
        let delivery = Delivery::Ship { position: at(40.0, -89.0), postal: String::new(), home: false };
        Order { lines: vec![line], delivery, channel: Channel(0), ..order.clone() }
    };
    let orders = [of(0), of(1)];
    (World { nodes, stock, carriers, ..world }, orders)
}

fn learned_near_and_far(near: i32) -> Prices {
    let (world, orders) = near_and_far(near);
    let reader = world.state().reader();
    let mut learner = Learner::default();
    (0..40).for_each(|turn| learner.note(Tenant(0), orders[turn % 2].clone()));
    (0..60).map(|_| learner.learn(&reader, NOW, 40)).last().expect("it learned")
}

#[test]
fn where_carriers_price_a_unit_is_worth_what_the_parcel_costs_more_from_elsewhere() {
    let prices = learned_near_and_far(6);
    for (sku, more) in [(0, 2_000_000), (1, 13_000_000)] {
        let Money(near) = prices.at(SkuIx(sku), NodeIx(0));
        assert!((more / 2..=more * 5 / 4).contains(&near), "{prices:?}");
        assert_eq!(prices.at(SkuIx(sku), NodeIx(1)), Money(0), "{prices:?}");
    }
}

#[test]
fn where_carriers_price_plentiful_stock_has_no_price() {
    assert_eq!(learned_near_and_far(1_000), Prices::default());
}

#[test]
fn the_same_orders_and_stock_teach_the_same_prices() {
    assert_eq!(learned(10, 30), learned(10, 30));
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
