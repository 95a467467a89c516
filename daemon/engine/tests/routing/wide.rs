//! Worlds of many nodes, of which a plan looks at few: what it did not look at is bounded, not forgotten.

use earmark_engine::routing::Planner;
use earmark_protocol::ids::Tenant;
use earmark_protocol::refusal::RefusalCode;

use crate::oracle::{cheapest_split, cheapest_whole, demand, judge, reachable};
use crate::world::World;

#[test]
fn an_order_of_few_skus_gets_the_cheapest_plan_over_all_nodes_and_its_proof() {
    let mut random = fastrand::Rng::with_seed(21);
    let (mut planned, mut many) = (0, 0);
    for turn in 0..40 {
        let nodes = random.usize(300..900);
        let carry = [0.15, 0.45][turn % 2];
        let world = World::wide(&mut random, nodes, 12, carry, 30);
        let state = world.state();
        let reader = state.reader();
        let mut planner = Planner::new();
        for _ in 0..8 {
            let (skus, units) = (random.usize(1..9), random.u32(1..20));
            let order = world.wide_order(&mut random, skus, units);
            let demand = demand(&order);
            let proposal =
                planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("there is stock");
            assert_eq!(judge(&world, &order, &proposal), demand);
            let Some(least) = cheapest_whole(&world, &order, &demand) else { continue };
            let plan = &proposal.plan;
            assert_eq!((plan.cost.0, plan.bound.0), (least, least), "turn {turn}: {order:?}");
            planned += 1;
            many += usize::from(plan.shipments.len() > 1);
        }
    }
    assert!(planned > 200 && many > 50, "{planned} planned, {many} of more than one shipment");
}

#[test]
fn a_bound_holds_over_nodes_that_were_not_looked_at() {
    let mut random = fastrand::Rng::with_seed(25);
    let (mut proven, mut open) = (0, 0);
    for turn in 0..8 {
        let nodes = random.usize(300..900);
        let world = World::wide(&mut random, nodes, 12, 0.45, 30);
        let state = world.state();
        let reader = state.reader();
        let mut planner = Planner::new();
        for _ in 0..4 {
            let (skus, units) = (random.usize(9..11), random.u32(1..20));
            let order = world.wide_order(&mut random, skus, units);
            let proposal =
                planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("there is stock");
            let Some(least) = cheapest_whole(&world, &order, &demand(&order)) else { continue };
            let plan = &proposal.plan;
            assert!(
                plan.bound.0 <= least && least <= plan.cost.0,
                "turn {turn}: {} {least} {}",
                plan.bound,
                plan.cost
            );
            if plan.is_optimal() { proven += 1 } else { open += 1 }
        }
    }
    assert!(proven + open > 20, "{proven} proven, {open} not");
}

#[test]
fn a_quantity_that_no_node_has_is_split_for_least_over_all_nodes() {
    let mut random = fastrand::Rng::with_seed(26);
    let mut splits = 0;
    for turn in 0..40 {
        let nodes = random.usize(40..400);
        let world = World::wide(&mut random, nodes, 3, 0.4, 30);
        let state = world.state();
        let reader = state.reader();
        let mut planner = Planner::patient();
        let mut order = world.wide_order(&mut random, 1, 1);
        for units in [35, 80, 200] {
            order.lines[0].quantity = units;
            let sku = order.lines[0].sku.0 as usize;
            let Some(least) = cheapest_split(&world, &order, sku, units) else { continue };
            let proposal =
                planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("there is stock");
            assert_eq!(judge(&world, &order, &proposal), demand(&order));
            let plan = &proposal.plan;
            assert_eq!((plan.cost.0, plan.bound.0), (least, least), "turn {turn}: {units} units");
            splits += usize::from(plan.shipments.len() > 1);
        }
    }
    assert!(splits > 100, "{splits} splits");
}

#[test]
fn thin_stock_far_apart_is_gathered_to_the_last_unit() {
    let mut random = fastrand::Rng::with_seed(22);
    for _ in 0..6 {
        let world = World::wide(&mut random, 900, 10, 0.5, 2);
        let state = world.state();
        let reader = state.reader();
        let mut planner = Planner::new();
        for units in [10, 100, 1_000] {
            let order = world.wide_order(&mut random, 6, units);
            let proposal =
                planner.plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]).expect("there is stock");
            let served = judge(&world, &order, &proposal);
            for (sku, wanted) in demand(&order) {
                assert_eq!(served[&sku], reachable(&world, &order, sku, wanted));
            }
        }
    }
}

#[test]
fn an_order_of_five_thousand_lines_is_planned() {
    let mut random = fastrand::Rng::with_seed(23);
    let world = World::wide(&mut random, 60, 5_000, 0.3, 12);
    let state = world.state();
    let reader = state.reader();
    let order = world.wide_order(&mut random, 5_000, 9);
    let proposal =
        Planner::new().plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]).expect("there is stock");
    let served = judge(&world, &order, &proposal);
    for (sku, wanted) in demand(&order) {
        assert_eq!(served[&sku], reachable(&world, &order, sku, wanted));
    }
}

#[test]
fn more_shipments_than_allowed_are_refused_with_the_limit() {
    let mut random = fastrand::Rng::with_seed(24);
    let world = World::wide(&mut random, 700, 30, 0.4, 9);
    let state = world.state();
    let reader = state.reader();
    let mut order = world.wide_order(&mut random, 30, 1);
    let mut planner = Planner::new();
    let free = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("there is stock");
    order.shipments_max = free.plan.shipments.len() as u16;
    let held =
        planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("so many are enough");
    assert!(held.plan.shipments.len() <= free.plan.shipments.len());
    judge(&world, &order, &held);
    order.shipments_max = 1;
    let refusal =
        planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect_err("no node has all");
    assert_eq!((refusal.code, refusal.detail), (RefusalCode::TooManyShipments, 1));
    let partly =
        planner.plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]).expect("one node has some");
    judge(&world, &order, &partly);
    assert!(partly.plan.unfilled.iter().all(|unfilled| unfilled.reason == RefusalCode::TooManyShipments));
    assert_eq!(partly.plan.shipments.len(), 1);
}
