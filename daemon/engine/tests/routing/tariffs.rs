//! Small worlds in which carriers price by steps, against every assignment there is.

use earmark_engine::routing::Planner;
use earmark_protocol::command::Delivery;
use earmark_protocol::ids::Tenant;

use crate::carriers::Carriers;
use crate::oracle::{cheapest, demand, judge, limit, ways};
use crate::world::World;

#[test]
fn plans_priced_by_steps_are_the_cheapest_or_say_how_far_they_may_be() {
    let mut random = fastrand::Rng::with_seed(31);
    let (mut planned, mut proven, mut whole, mut many, mut refused) = (0, 0, 0, 0, 0);
    for turn in 0..6_000 {
        let mut world = World::random(&mut random);
        world.carriers = Some(Carriers::random(&mut random, &mut world.nodes, world.flags.len()));
        let mut order = world.order(&mut random);
        if let Delivery::Ship { postal, home, .. } = &mut order.delivery {
            *postal = ["100", "12", "5"][random.usize(..3)].to_owned();
            *home = random.bool();
        }
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
