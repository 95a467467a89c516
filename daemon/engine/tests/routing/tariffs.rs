//! Small worlds in which carriers price by steps, against every assignment there is.

use earmark_engine::routing::Planner;
use earmark_protocol::catalogue::capabilities;
use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{LineId, SkuIx, Tenant};

use crate::carriers::Carriers;
use crate::oracle::{cheapest, cheapest_parcels, cheapest_split, demand, judge, limit, ways};
use crate::world::World;

/// Gives the order a postal code, and perhaps a home.
pub(crate) fn address(random: &mut fastrand::Rng, order: &mut Order) {
    if let Delivery::Ship { postal, home, .. } = &mut order.delivery {
        *postal = ["100", "12", "5"][random.usize(..3)].to_owned();
        *home = random.bool();
    }
}

/// Many nodes, priced by carriers.
fn wide(random: &mut fastrand::Rng, skus: usize, carry: f64) -> World {
    let nodes = random.usize(100..700);
    let mut world = World::wide(random, nodes, skus, carry, 30);
    world.carriers = Some(Carriers::random(random, &mut world.nodes, skus));
    world
}

#[test]
fn plans_priced_by_steps_are_the_cheapest_and_proven_splits_and_limits_included() {
    let mut random = fastrand::Rng::with_seed(31);
    let (mut planned, mut whole, mut many, mut refused) = (0, 0, 0, 0);
    for turn in 0..6_000 {
        let mut world = World::random(&mut random);
        world.carriers = Some(Carriers::random(&mut random, &mut world.nodes, world.flags.len()));
        let mut order = world.order(&mut random);
        address(&mut random, &mut order);
        let demand = demand(&order);
        let reader = world.state().reader();
        let ours = Planner::new().plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
        let expected = cheapest(&world, &order, &demand);
        let (proposal, expected) = match (ours, expected) {
            (Ok(proposal), Some(expected)) => (proposal, expected),
            (Err(_), None) => {
                refused += 1;
                continue;
            }
            (ours, expected) => panic!("turn {turn}: {ours:?} but {expected:?}: {world:#?} {order:#?}"),
        };
        let plan = &proposal.plan;
        assert_eq!(judge(&world, &order, &proposal), demand, "turn {turn}");
        let told = || format!("turn {turn}: {expected:?} {world:#?} {order:#?} {proposal:#?}");
        assert!(plan.bound.0 <= expected.0 && expected.0 <= plan.cost.0, "{}", told());
        let is_whole = demand.iter().all(|(sku, units)| {
            ways(&world, &order, *sku, *units)
                .iter()
                .all(|way| way.iter().filter(|part| **part > 0).count() == 1)
        });
        if is_whole && matches!(order.delivery, Delivery::Ship { .. }) {
            let mut codes: Vec<_> =
                plan.shipments.iter().map(|from| world.nodes[from.node.0 as usize].code.clone()).collect();
            codes.sort();
            assert_eq!((plan.cost.0, codes), (expected.0, expected.2.clone()), "{}", told());
            assert!(plan.is_optimal(), "{}", told());
            whole += 1;
        }
        assert!(plan.is_optimal() && plan.cost.0 == expected.0, "{}", told());
        planned += 1;
        many += usize::from(plan.shipments.len() > 1 && limit(&world, &order) > 1);
    }
    assert!(
        planned > 1_000 && whole > 800 && many > 150 && refused > 500,
        "{planned} {whole} {many} {refused}"
    );
}

#[test]
fn orders_of_at_most_ten_skus_are_planned_for_least_over_all_nodes_and_proven() {
    let mut random = fastrand::Rng::with_seed(32);
    let (mut few, mut many, mut shipments) = (0, 0, 0);
    for turn in 0..50 {
        let carry = [0.1, 0.45][turn % 2];
        let world = wide(&mut random, 12, carry);
        let (reader, mut planner) = (world.state().reader(), Planner::patient());
        for _ in 0..6 {
            let (skus, units) = (random.usize(1..11), random.u32(1..20));
            let mut order = world.wide_order(&mut random, skus, units);
            address(&mut random, &mut order);
            let demand = demand(&order);
            let Ok(proposal) = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]) else {
                continue;
            };
            assert_eq!(judge(&world, &order, &proposal), demand, "turn {turn}");
            let plan = &proposal.plan;
            let Some((least, mut nodes)) = cheapest_parcels(&world, &order, &demand) else { continue };
            assert!(least <= plan.cost.0 && plan.is_optimal(), "turn {turn}: {least} {plan:?}");
            nodes.sort_unstable();
            if nodes.windows(2).any(|pair| pair[0] == pair[1]) {
                continue;
            }
            assert_eq!(plan.cost.0, least, "turn {turn}: {plan:?}");
            (few, many) = if skus <= 8 { (few + 1, many) } else { (few, many + 1) };
            shipments += usize::from(plan.shipments.len() > 1);
        }
    }
    assert!(few > 60 && shipments > 20 && many > 10, "{few} {many} {shipments}");
}

#[test]
fn a_quantity_that_no_node_has_is_split_by_steps_for_least_over_all_nodes() {
    let mut random = fastrand::Rng::with_seed(33);
    let mut splits = 0;
    for turn in 0..12 {
        let world = wide(&mut random, 3, 0.4);
        let (reader, mut planner) = (world.state().reader(), Planner::patient());
        let mut order = world.wide_order(&mut random, 1, 1);
        address(&mut random, &mut order);
        for units in [35, 80] {
            order.lines[0].quantity = units;
            let sku = order.lines[0].sku.0 as usize;
            let Some(least) = cheapest_split(&world, &order, sku, units) else { continue };
            let planned = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
            let proposal = planned.unwrap_or_else(|refusal| panic!("turn {turn}: {refusal}"));
            assert_eq!(judge(&world, &order, &proposal), demand(&order), "turn {turn}");
            let plan = &proposal.plan;
            assert_eq!((plan.cost.0, plan.bound.0), (least, least), "turn {turn}: {plan:?}");
            splits += 1;
        }
    }
    assert!(splits > 8, "{splits}");
}

#[test]
fn large_splits_by_steps_are_near_their_bound_whatever_shipments_are_allowed() {
    let mut random = fastrand::Rng::with_seed(35);
    let (mut cost, mut bound, mut kept) = (0, 0, 0);
    for turn in 0..6 {
        let world = wide(&mut random, 8, 0.2);
        let (reader, mut planner) = (world.state().reader(), Planner::patient());
        let mut order = world.wide_order(&mut random, 6, 1);
        address(&mut random, &mut order);
        order.shipments_max = 0;
        order.lines.iter_mut().for_each(|line| line.quantity = random.u32(60..140));
        let Ok(free) = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]) else { continue };
        assert_eq!(judge(&world, &order, &free), demand(&order), "turn {turn}");
        assert!(free.plan.bound <= free.plan.cost, "turn {turn}: {:?}", free.plan);
        (cost, bound) = (cost + free.plan.cost.0, bound + free.plan.bound.0);
        order.shipments_max = free.plan.shipments.len() as u16;
        let Ok(held) = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]) else { continue };
        assert_eq!(judge(&world, &order, &held), demand(&order), "turn {turn}");
        assert!(held.plan.shipments.len() <= free.plan.shipments.len(), "turn {turn}: {:?}", held.plan);
        assert!(free.plan.bound <= held.plan.cost, "turn {turn}: {:?} {:?}", free.plan, held.plan);
        kept += 1;
    }
    assert!(kept > 3 && cost < bound + bound / 20, "{kept}: {cost} {bound}");
}

/// Four skus at three nodes, two of which have far more ways to ship them than are priced one by one, and the third a few.
fn three_nodes(random: &mut fastrand::Rng) -> World {
    let mut world = loop {
        let world = World::random(random);
        if world.nodes.len() > 2 {
            break world;
        }
    };
    world.nodes.truncate(3);
    world.nodes.iter_mut().for_each(|node| node.capabilities |= capabilities::SHIP);
    world.rules.split_lines = true;
    let each = |random: &mut fastrand::Rng, node| if node < 2 { 17 } else { random.i32(0..3) };
    let places = (0..4).flat_map(|sku| (0..3).map(move |node| (sku, node, 0)));
    world.stock = places.map(|place| (place, each(random, place.1))).collect();
    world.carriers = Some(Carriers::random(random, &mut world.nodes, world.flags.len()));
    world
}

/// What the first two of three nodes and the last cost at least together, by all ways to share the order out among them.
fn cheapest_of_three(world: &World, order: &Order) -> Option<i64> {
    let wanted: Vec<u32> = demand(order).into_values().collect();
    let there = |node: usize| (0..4).map(move |sku| world.available(order, sku, node));
    let parts = |fill: &[u32]| fill.iter().copied().enumerate().filter(|part| part.1 > 0).collect::<Vec<_>>();
    // By node and number of a way: what it ships, and what that costs.
    let ways = [0, 1, 2].map(|node| {
        let there: Vec<u32> = there(node).collect();
        let count = there.iter().map(|most| most + 1).product::<u32>();
        let way = |mut number: u32| {
            let mut fill = [0; 4];
            for (units, most) in fill.iter_mut().zip(&there) {
                (*units, number) = (number % (most + 1), number / (most + 1));
            }
            let parts = parts(&fill);
            let cost = if parts.is_empty() { 0 } else { world.shipment_cost(order, node, &parts) };
            (fill, cost)
        };
        (there.clone(), (0..count).map(way).collect::<Vec<_>>())
    });
    let number = |fill: [u32; 4]| {
        let digits = fill.iter().zip(&ways[1].0).rev();
        digits.fold(0, |number, (units, most)| number * (most + 1) + units) as usize
    };
    let mut least = None;
    for (third, third_cost) in &ways[2].1 {
        for (first, first_cost) in &ways[0].1 {
            let rest: [_; 4] = std::array::from_fn(|sku| wanted[sku].checked_sub(first[sku] + third[sku]));
            if rest.iter().zip(&ways[1].0).any(|(units, most)| units.is_none_or(|units| units > *most)) {
                continue;
            }
            let rest = rest.map(Option::unwrap_or_default);
            let (_, second_cost) = ways[1].1[number(rest)];
            let fills = [first, &rest, third];
            let open = fills.iter().filter(|fill| fill.iter().any(|units| *units > 0)).count();
            if open <= limit(world, order) {
                let cost = first_cost + second_cost + third_cost;
                least = Some(least.map_or(cost, |least: i64| least.min(cost)));
            }
        }
    }
    least
}

#[test]
fn splits_in_more_ways_than_are_priced_one_by_one_are_the_cheapest_and_most_are_proven() {
    let mut random = fastrand::Rng::with_seed(36);
    let (mut planned, mut proven) = (0, 0);
    for turn in 0..60 {
        let world = three_nodes(&mut random);
        let mut order = world.order(&mut random);
        let position = Position::from_degrees(40.0, -89.0).expect("it is on the globe");
        order.delivery = Delivery::Ship { position, postal: String::new(), home: false };
        address(&mut random, &mut order);
        order.nodes.clear();
        order.shipments_max = random.u16(0..4);
        let line =
            |sku: u32| OrderLine { line: LineId(sku + 1), sku: SkuIx(sku), quantity: random.u32(18..36) };
        order.lines = (0..4).map(line).collect();
        let Some(least) = cheapest_of_three(&world, &order) else { continue };
        let (state, mut planner) = (world.state(), Planner::patient());
        let reader = state.reader();
        let answer = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
        let proposal = answer.unwrap_or_else(|refusal| panic!("turn {turn}: {refusal}"));
        assert_eq!(judge(&world, &order, &proposal), demand(&order), "turn {turn}");
        let plan = &proposal.plan;
        assert_eq!(plan.cost.0, least, "turn {turn}: {plan:?}");
        assert!(plan.bound.0 <= least, "turn {turn}: {plan:?}");
        proven += usize::from(plan.is_optimal());
        planned += 1;
    }
    assert!(planned > 12 && proven > 10, "{planned} {proven}");
}
