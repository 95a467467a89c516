//! Lines that never leave from one node, where many nodes have them: what can be had is had, and limits of shipments are met
//! where they can be.

use std::collections::BTreeSet;

use earmark_engine::State;
use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::command::{CommandBody, Order, SetPolicy};
use earmark_protocol::ids::Tenant;
use earmark_protocol::refusal::{Refusal, RefusalCode};

use crate::oracle::{demand, judge};
use crate::world::{World, run};

/// All lines are kept apart.
const APART: &str = "name = 'test'\n[[rule]]\nname = 'each alone'\napart = 'true'\n";

fn obeying(world: &World, text: &str) -> State {
    let mut state = world.state();
    run(&mut state, CommandBody::SetPolicy(SetPolicy { text: text.to_owned() }));
    state
}

fn plan(state: &State, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = state.reader();
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

/// Whether no two skus of a plan leave from one node.
fn is_apart(proposal: &Proposal) -> bool {
    let pairs: BTreeSet<_> = proposal.picks.iter().map(|pick| (pick.node, pick.sku)).collect();
    let nodes: BTreeSet<_> = proposal.picks.iter().map(|pick| pick.node).collect();
    pairs.len() == nodes.len()
}

/// A world where each node has so many units of each sku.
fn full(random: &mut fastrand::Rng, nodes: usize, skus: usize, units: i32) -> World {
    let mut world = World::wide(random, nodes, skus, 1.0, 1);
    world.stock.values_mut().for_each(|available| *available = units);
    world
}

#[test]
fn two_lines_apart_get_the_cheapest_two_nodes_and_the_proof_however_many_have_both() {
    let mut random = fastrand::Rng::with_seed(71);
    for nodes in [2, 5, 8, 9, 12, 20, 60, 300] {
        let world = full(&mut random, nodes, 2, 50);
        let state = obeying(&world, APART);
        let order = world.wide_order(&mut random, 2, 5);
        let wanted: Vec<_> = demand(&order).into_iter().collect();
        let cost = |want: usize, node: usize| world.shipment_cost(&order, node, &wanted[want..=want]);
        let pairs = (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let least = pairs.map(|(a, b)| cost(0, a) + cost(1, b)).min().expect("there are two nodes");
        for best_effort in [false, true] {
            let proposal = plan(&state, &order, best_effort).expect("two nodes can serve it");
            assert_eq!(judge(&world, &order, &proposal), demand(&order), "{nodes} nodes");
            assert!(is_apart(&proposal), "{nodes} nodes: {proposal:?}");
            let said = (proposal.plan.cost.0, proposal.plan.bound.0);
            assert_eq!(said, (least, least), "{nodes} nodes");
        }
    }
}

#[test]
fn eight_lines_apart_are_proven_over_a_thousand_nodes() {
    let mut random = fastrand::Rng::with_seed(72);
    for turn in 0..4 {
        let world = full(&mut random, 1000, 8, 50);
        let state = obeying(&world, APART);
        let order = world.wide_order(&mut random, 8, 5);
        let proposal = plan(&state, &order, false).expect("eight nodes can serve it");
        assert_eq!(judge(&world, &order, &proposal), demand(&order), "turn {turn}");
        assert!(is_apart(&proposal) && proposal.plan.is_optimal(), "turn {turn}: {:?}", proposal.plan);
    }
}

#[test]
fn many_lines_apart_and_quantities_that_no_node_has_are_served_where_nodes_suffice() {
    let mut random = fastrand::Rng::with_seed(73);
    for (nodes, skus, units, stock) in [
        (20, 2, 60, 50),
        (20, 3, 120, 50),
        (40, 12, 3, 50),
        (200, 60, 3, 50),
        (1000, 300, 3, 50),
        (300, 11, 90, 50),
    ] {
        let world = full(&mut random, nodes, skus, stock);
        let state = obeying(&world, APART);
        let mut order = world.wide_order(&mut random, skus, 1);
        order.lines.iter_mut().for_each(|line| line.quantity = units);
        for best_effort in [false, true] {
            let proposal = plan(&state, &order, best_effort).expect("nodes suffice");
            assert_eq!(judge(&world, &order, &proposal), demand(&order), "{skus} skus over {nodes} nodes");
            assert!(is_apart(&proposal), "{skus} skus over {nodes} nodes: {proposal:?}");
            assert!(proposal.plan.bound <= proposal.plan.cost);
        }
    }
}

#[test]
fn lines_apart_that_too_few_nodes_have_are_out_of_stock_or_left_out() {
    let mut random = fastrand::Rng::with_seed(74);
    for (nodes, skus) in [(1, 2), (2, 3), (7, 8), (11, 12)] {
        let world = full(&mut random, nodes, skus, 50);
        let state = obeying(&world, APART);
        let order = world.wide_order(&mut random, skus, 3);
        let refused = plan(&state, &order, false).expect_err("there are too few nodes");
        assert_eq!(refused.code, RefusalCode::OutOfStock, "{skus} skus over {nodes} nodes");
        let proposal = plan(&state, &order, true).expect("most can be had");
        assert!(is_apart(&proposal), "{proposal:?}");
        assert_eq!(judge(&world, &order, &proposal).len(), nodes, "{skus} skus over {nodes} nodes");
        assert!(proposal.plan.unfilled.iter().all(|left| left.reason == RefusalCode::OutOfStock));
        let mut limited = order.clone();
        limited.lines.truncate(nodes);
        limited.shipments_max = (nodes as u16).saturating_sub(1);
        if limited.shipments_max > 0 {
            let refused = plan(&state, &limited, false).expect_err("it takes one shipment more");
            assert_eq!(refused.code, RefusalCode::TooManyShipments, "{nodes} skus over {nodes} nodes");
            let Proposal { plan, .. } = plan(&state, &limited, true).expect("most can be had");
            let reasons: Vec<_> = plan.unfilled.iter().map(|left| left.reason).collect();
            assert_eq!(reasons, [RefusalCode::TooManyShipments], "{nodes} skus over {nodes} nodes");
        }
    }
}

#[test]
fn an_order_is_not_refused_for_its_shipments_where_best_effort_serves_all_of_it() {
    let mut random = fastrand::Rng::with_seed(75);
    let (mut whole, mut part) = (0, 0);
    for _ in 0..4 {
        let world = World::wide(&mut random, 400, 150, 0.1, 30);
        let state = world.state();
        for _ in 0..60 {
            let mut order = world.wide_order(&mut random, 11, 3);
            order.shipments_max = random.u16(3..5);
            let Ok(served) = plan(&state, &order, true) else { continue };
            let strict = plan(&state, &order, false);
            if served.plan.unfilled.is_empty() {
                let strict = strict.expect("so many shipments suffice");
                assert_eq!(judge(&world, &order, &strict), demand(&order));
                assert!(strict.plan.shipments.len() <= usize::from(order.shipments_max));
                whole += 1;
            } else {
                assert!(strict.is_err());
                part += 1;
            }
        }
    }
    assert!(whole > 20 && part > 20, "{whole} {part}");
}
