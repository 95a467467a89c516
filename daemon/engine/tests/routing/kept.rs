//! What a planner keeps from order to order, and the order in which nodes came, must not show.

use std::collections::BTreeMap;

use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{CommandBody, SetNodeState, SetStock};
use earmark_protocol::ids::{NodeIx, Tenant};

use crate::oracle::judge;
use crate::world::{World, count, run};

#[test]
fn a_planner_that_saw_other_stock_plans_like_a_new_one() {
    let mut random = fastrand::Rng::with_seed(31);
    let mut world = World::wide(&mut random, 400, 25, 0.5, 12);
    let mut state = world.state();
    let reader = state.reader();
    let mut kept = Planner::new();
    for turn in 0..150 {
        match random.u8(..4) {
            // A cell changes, or comes to be.
            0 | 1 => {
                let cell = (random.usize(..25), random.usize(..world.nodes.len()), 0);
                let available = random.i32(-3..20);
                world.stock.insert(cell, available);
                let counts = vec![count(cell, available)];
                run(&mut state, CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }));
            }
            // A node pauses or resumes.
            2 => {
                let node = random.usize(..world.nodes.len());
                let paused = world.paused.insert(node) || !world.paused.remove(&node);
                let node_state = if paused { NodeState::Paused } else { NodeState::Active };
                let node = NodeIx(node as u32);
                run(&mut state, CommandBody::SetNodeState(SetNodeState { node, state: node_state }));
            }
            // A node moves, changes its costs, or is new.
            _ => {
                let mut spec = World::wide(&mut random, 1, 0, 0.0, 1).nodes.remove(0);
                let at = random.usize(..world.nodes.len() + 1);
                spec.code = world.nodes.get(at).map_or(format!("NEW{turn}"), |node| node.code.clone());
                run(&mut state, CommandBody::PutNodes(vec![spec.clone()]));
                if at < world.nodes.len() {
                    world.nodes[at] = spec;
                } else {
                    world.nodes.push(spec);
                }
            }
        }
        let skus = random.usize(1..20);
        let order = world.wide_order(&mut random, skus, 10);
        let plan =
            |planner: &mut Planner| planner.plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]);
        let (ours, fresh) = (plan(&mut kept), plan(&mut Planner::new()));
        assert_eq!(ours, fresh, "turn {turn}");
        judge(&world, &order, &ours.expect("there is stock"));
    }
}

#[test]
fn the_order_in_which_nodes_came_does_not_matter() {
    let mut random = fastrand::Rng::with_seed(32);
    for turn in 0..12 {
        let depth = [3, 40][turn % 2];
        let world = World::wide(&mut random, 500, 60, 0.4, depth);
        let mut shuffled = world.clone();
        let mut places: Vec<usize> = (0..world.nodes.len()).collect();
        random.shuffle(&mut places);
        for (from, to) in places.iter().enumerate() {
            shuffled.nodes[*to] = world.nodes[from].clone();
        }
        let moved = |((sku, node, segment), available): (&(usize, usize, u16), &i32)| {
            ((*sku, places[*node], *segment), *available)
        };
        shuffled.stock = world.stock.iter().map(moved).collect();
        let (state, shuffled_state) = (world.state(), shuffled.state());
        for skus in [1, 3, 8, 20, 60] {
            let order = world.wide_order(&mut random, skus, 6);
            let plan = |state: &earmark_engine::State| {
                let reader = state.reader();
                Planner::new()
                    .plan(&reader, reader.lanes(), Tenant(0), &order, true, &[])
                    .expect("there is stock")
            };
            let (ours, theirs) = (plan(&state), plan(&shuffled_state));
            assert_eq!(by_code(&world, &ours), by_code(&shuffled, &theirs), "turn {turn}, {skus} skus");
            assert_eq!((ours.plan.cost, ours.plan.bound), (theirs.plan.cost, theirs.plan.bound));
        }
    }
}

/// What goes from where, by the nodes' codes.
fn by_code(world: &World, proposal: &Proposal) -> BTreeMap<(String, u32), u32> {
    let mut units = BTreeMap::new();
    for pick in &proposal.picks {
        let code = world.nodes[pick.node.0 as usize].code.clone();
        *units.entry((code, pick.line.0)).or_default() += pick.quantity;
    }
    units
}
