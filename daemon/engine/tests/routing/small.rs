//! Small worlds, against every assignment there is.

use std::collections::BTreeMap;

use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::catalogue::COST_MAX;
use earmark_protocol::command::Order;
use earmark_protocol::ids::{QUANTITY_MAX, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use crate::oracle::{cheapest, demand, judge, limit, reachable};
use crate::world::World;

fn plan(world: &World, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = world.state().reader();
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

fn key(world: &World, proposal: &Proposal) -> (i64, u64, Vec<String>) {
    let nodes = || proposal.plan.shipments.iter().map(|shipment| &world.nodes[shipment.node.0 as usize]);
    let mut codes: Vec<_> = nodes().map(|node| node.code.clone()).collect();
    codes.sort();
    (proposal.plan.cost.0, nodes().map(|node| u64::from(node.priority)).sum(), codes)
}

#[test]
fn a_whole_order_gets_the_cheapest_legal_plan_and_its_proof() {
    let mut random = fastrand::Rng::with_seed(11);
    let (mut planned, mut split, mut refused, mut many) = (0, 0, 0, 0);
    for turn in 0..6_000 {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let demand = demand(&order);
        match (plan(&world, &order, false), cheapest(&world, &order, &demand)) {
            (Ok(proposal), Some(expected)) => {
                assert_eq!(judge(&world, &order, &proposal), demand, "turn {turn}");
                assert_eq!(
                    key(&world, &proposal),
                    expected,
                    "turn {turn}: {world:#?} {order:#?} {proposal:#?}"
                );
                assert_eq!(proposal.plan.bound, proposal.plan.cost, "turn {turn} is not proven");
                planned += 1;
                many += usize::from(proposal.plan.shipments.len() > 1);
                split += usize::from(proposal.picks.len() > order.lines.len());
            }
            (Err(refusal), None) => {
                refused += 1;
                explain(&world, &order, &demand, refusal);
            }
            (ours, expected) => panic!("turn {turn}: {ours:?} but {expected:?}: {world:#?} {order:#?}"),
        }
    }
    assert!(
        planned > 1_000 && split > 100 && refused > 1_000 && many > 200,
        "{planned} {split} {refused} {many}"
    );
}

/// Judges a refusal.
fn explain(world: &World, order: &Order, demand: &BTreeMap<usize, u32>, refusal: Refusal) {
    let line_sku = || order.lines[refusal.index.expect("a line is named") as usize].sku.0 as usize;
    let able = |sku: usize| (0..world.nodes.len()).any(|node| world.may_serve(order, sku, node));
    match refusal.code {
        RefusalCode::OutOfStock => {
            let sku = line_sku();
            let at_best = reachable(world, order, sku, demand[&sku]);
            assert!(at_best < demand[&sku]);
            assert_eq!(refusal.detail, i64::from(at_best));
            assert_eq!(refusal.field, Field::Line);
        }
        RefusalCode::NoNode => assert!(!able(line_sku())),
        RefusalCode::NodeIncapable if refusal.field == Field::Line => assert!(!able(line_sku())),
        RefusalCode::NodeIncapable => assert!((0..4).all(|sku| !able(sku))),
        RefusalCode::TooManyShipments => assert_eq!(refusal.detail, limit(world, order) as i64),
        other => panic!("{other:?} is no reason here"),
    }
}

#[test]
fn best_effort_takes_all_that_can_be_had_for_least() {
    let mut random = fastrand::Rng::with_seed(12);
    let (mut partly, mut limited) = (0, 0);
    for turn in 0..6_000 {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let wanted = demand(&order);
        let reachable: BTreeMap<_, _> =
            wanted.iter().map(|(sku, units)| (*sku, reachable(&world, &order, *sku, *units))).collect();
        let proposal = match plan(&world, &order, true) {
            Ok(proposal) => proposal,
            Err(refusal) => {
                assert!(
                    reachable.values().all(|units| *units == 0),
                    "turn {turn}: {refusal} {world:#?} {order:#?}"
                );
                continue;
            }
        };
        let mut served = judge(&world, &order, &proposal);
        for sku in wanted.keys() {
            served.entry(*sku).or_insert(0);
        }
        let Some(expected) = cheapest(&world, &order, &reachable) else {
            assert!(limit(&world, &order) < usize::MAX, "turn {turn}");
            let carried = |node| {
                wanted.iter().map(|(sku, units)| world.available(&order, *sku, node).min(*units)).sum()
            };
            let by_one: u32 = (0..world.nodes.len()).map(carried).max().unwrap_or(0);
            assert!(served.values().sum::<u32>() >= by_one, "turn {turn}");
            assert!(
                proposal.plan.unfilled.iter().any(|x| x.reason == RefusalCode::TooManyShipments),
                "turn {turn}"
            );
            limited += 1;
            continue;
        };
        assert_eq!(served, reachable, "turn {turn}");
        assert_eq!(key(&world, &proposal), expected, "turn {turn}: {world:#?} {order:#?} {proposal:#?}");
        assert_eq!(proposal.plan.bound, proposal.plan.cost, "turn {turn} is not proven");
        partly += usize::from(served != wanted);
    }
    assert!(partly > 500 && limited > 100, "{partly} {limited}");
}

#[test]
fn an_order_whose_cost_cannot_be_counted_is_refused_for_its_cost() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut world = World::wide(&mut random, 3, 1, 1.0, 9);
    let mut order = world.wide_order(&mut random, 1, 9);
    order.lines[0].quantity = QUANTITY_MAX;
    world.stock.values_mut().for_each(|units| *units = QUANTITY_MAX as i32);
    world.nodes.iter_mut().for_each(|node| node.cost_per_unit = COST_MAX);
    for best_effort in [false, true] {
        let refusal = plan(&world, &order, best_effort).expect_err("it costs too much");
        assert_eq!(refusal, Refusal::of(RefusalCode::CostTooLarge, Field::Whole));
    }
}
