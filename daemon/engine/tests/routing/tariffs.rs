//! Small worlds in which carriers price by steps, against every assignment there is.

use earmark_engine::routing::Planner;
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::Tenant;

use crate::carriers::Carriers;
use crate::oracle::{cheapest, cheapest_parcels, cheapest_split, demand, judge, limit, ways};
use crate::world::World;

/// Gives the order a postal code, and perhaps a home.
fn address(random: &mut fastrand::Rng, order: &mut Order) {
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
fn plans_priced_by_steps_are_the_cheapest_or_say_how_far_they_may_be() {
    let mut random = fastrand::Rng::with_seed(31);
    let (mut planned, mut proven, mut whole, mut many, mut refused) = (0, 0, 0, 0, 0);
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
        planned += 1;
        proven += usize::from(plan.is_optimal());
        many += usize::from(plan.shipments.len() > 1 && limit(&world, &order) > 1);
    }
    eprintln!(
        "{planned} planned, {proven} proven, {whole} whole, {many} of several shipments, {refused} refused"
    );
    assert!(
        planned > 1_000 && whole > 800 && many > 150 && refused > 500,
        "{planned} {whole} {many} {refused}"
    );
}

#[test]
fn few_skus_are_planned_for_least_over_all_nodes_and_bounds_of_many_are_honest() {
    let mut random = fastrand::Rng::with_seed(32);
    let (mut few, mut few_proven, mut many, mut proven, mut shipments) = (0, 0, 0, 0, 0);
    for turn in 0..50 {
        let carry = [0.1, 0.45][turn % 2];
        let world = wide(&mut random, 12, carry);
        let (reader, mut planner) = (world.state().reader(), Planner::new());
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
            assert!(least <= plan.cost.0, "turn {turn}: {least} {plan:?}");
            nodes.sort_unstable();
            if nodes.windows(2).any(|pair| pair[0] == pair[1]) {
                continue;
            }
            assert!(plan.bound.0 <= least, "turn {turn}: {least} {plan:?}");
            if skus <= 8 {
                // More shipments than the four nodes looked at of each set are left to the other searches.
                assert!(
                    plan.cost.0 == least || plan.shipments.len() > 4 || nodes.len() > 4,
                    "turn {turn}: {least} {plan:?}"
                );
                few += 1;
                few_proven += usize::from(plan.is_optimal());
                shipments += usize::from(plan.shipments.len() > 1);
            } else {
                many += 1;
                proven += usize::from(plan.is_optimal());
            }
        }
    }
    eprintln!(
        "{few} of few skus, {few_proven} proven, {shipments} in several shipments; {many} of many, {proven} proven"
    );
    assert!(
        few > 60 && few_proven * 10 > few * 7 && shipments > 20 && many > 10,
        "{few} {few_proven} {shipments} {many}"
    );
}

#[test]
fn a_bound_of_a_split_is_honest_over_all_nodes() {
    let mut random = fastrand::Rng::with_seed(33);
    let (mut splits, mut proven, mut gap) = (0, 0, 0.0);
    for turn in 0..12 {
        let world = wide(&mut random, 3, 0.4);
        let (reader, mut planner) = (world.state().reader(), Planner::new());
        let mut order = world.wide_order(&mut random, 1, 1);
        address(&mut random, &mut order);
        for units in [35, 80] {
            order.lines[0].quantity = units;
            let sku = order.lines[0].sku.0 as usize;
            let Some(least) = cheapest_split(&world, &order, sku, units) else { continue };
            let planned = planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
            let plan = planned.unwrap_or_else(|refusal| panic!("turn {turn}: {refusal}")).plan;
            assert!(plan.bound.0 <= least && least <= plan.cost.0, "turn {turn}: {least} {plan:?}");
            splits += 1;
            proven += usize::from(plan.is_optimal());
            gap += (plan.cost.0 - least) as f64 / least as f64;
        }
    }
    eprintln!("{splits} splits, {proven} proven, {:.3} above the least on average", gap / f64::from(splits));
    assert!(splits > 8, "{splits}");
}
