//! Repair: what was lost is moved to nodes of the same plan, or the plan goes back.

use std::collections::BTreeSet;

use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{CommandBody, SetNodeState, SetStock};
use earmark_protocol::ids::Tenant;

use crate::oracle::judge;
use crate::world::{World, count, run};

fn nodes(proposal: &Proposal) -> BTreeSet<u32> {
    proposal.plan.shipments.iter().map(|shipment| shipment.node.0).collect()
}

#[test]
fn lost_stock_is_found_at_the_plans_own_nodes_or_not_at_all() {
    let mut random = fastrand::Rng::with_seed(41);
    let (mut repaired, mut given_up) = (0, 0);
    for turn in 0..4_000 {
        let mut world = World::random(&mut random);
        let order = world.order(&mut random);
        let mut state = world.state();
        let reader = state.reader();
        let mut planner = Planner::new();
        let Ok(proposal) = planner.plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]) else {
            continue;
        };
        let served = judge(&world, &order, &proposal);
        assert_eq!(
            planner.repair(&reader, reader.lanes(), Tenant(0), &order, &proposal).map(|same| same.picks),
            Some(proposal.picks.clone()),
            "what still holds is left as it is"
        );

        let lost = proposal.picks[random.usize(..proposal.picks.len())];
        let cell = (lost.sku.0 as usize, lost.node.0 as usize, lost.segment.0);
        let left = random.i32(..lost.quantity as i32).max(-1);
        world.stock.insert(cell, left);
        run(
            &mut state,
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: vec![count(cell, left)] }),
        );
        let sku = cell.0;
        let need = served[&sku];
        let has_all = |node: &u32| world.available(&order, sku, *node as usize) >= need;
        match planner.repair(&reader, reader.lanes(), Tenant(0), &order, &proposal) {
            Some(mended) => {
                assert_eq!(judge(&world, &order, &mended), served, "turn {turn}");
                assert!(nodes(&mended).is_subset(&nodes(&proposal)), "turn {turn}");
                assert_eq!(mended.plan.unfilled, proposal.plan.unfilled);
                repaired += 1;
            }
            None => {
                assert!(
                    !nodes(&proposal).iter().any(has_all),
                    "turn {turn}: one of them has all {need} of {sku}"
                );
                given_up += 1;
            }
        }
    }
    assert!(repaired > 100 && given_up > 1_000, "{repaired} {given_up}");
}

#[test]
fn a_plan_with_a_paused_node_or_a_retired_sku_is_not_repaired() {
    let mut random = fastrand::Rng::with_seed(42);
    let world = World::wide(&mut random, 50, 6, 0.8, 20);
    let order = world.wide_order(&mut random, 4, 5);
    let mut planner = Planner::new();

    let mut state = world.state();
    let reader = state.reader();
    let proposal =
        planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("there is stock");
    let node = proposal.picks[0].node;
    run(&mut state, CommandBody::SetNodeState(SetNodeState { node, state: NodeState::Paused }));
    assert_eq!(planner.repair(&reader, reader.lanes(), Tenant(0), &order, &proposal), None);
    let again =
        planner.plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]).expect("there is other stock");
    assert!(again.picks.iter().all(|pick| pick.node != node));
    assert!(again.epoch > proposal.epoch);

    run(&mut state, CommandBody::RetireSkus(vec![order.lines[0].sku]));
    assert_eq!(planner.repair(&reader, reader.lanes(), Tenant(0), &order, &again), None);
}
