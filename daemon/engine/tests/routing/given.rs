//! The promise: a plan that somebody else made is priced as ours are, with or without stock for it, and its nodes that may
//! not serve are told.

use std::collections::{BTreeMap, BTreeSet};

use earmark_engine::routing::{Planner, Take};
use earmark_protocol::command::{CommandBody, SetPolicy};
use earmark_protocol::ids::{LineId, Money, NodeIx, Tenant, TimestampMs};
use earmark_protocol::refusal::RefusalCode;

use crate::world::{Lean, World, run};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
const POLICY: &str = "name = \"dearer\"\n[weights]\nshipment = \"1.50\"\n\
                      [[rule]]\nname = \"few\"\nexclude = 'node.priority == 2'\n";

#[test]
fn what_others_decided_costs_what_the_formula_says() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::random(&mut random);
        let order = world.order(&mut random);
        let mut state = world.state();
        if random.bool() {
            run(&mut state, CommandBody::SetPolicy(SetPolicy { text: POLICY.to_owned() }));
            let barred = (0..world.nodes.len()).filter(|node| world.nodes[*node].priority == 2);
            let excluded =
                barred.flat_map(|node| (0..world.flags.len()).map(move |sku| (sku, node))).collect();
            world.lean =
                Lean { excluded, extra: vec![1_500_000; world.nodes.len()], limit: None, ..Lean::default() };
        }
        let (mut takes, mut cost, mut barred) = (Vec::new(), 0, BTreeSet::new());
        let mut shipments: BTreeMap<usize, BTreeMap<usize, u32>> = BTreeMap::new();
        for line in &order.lines {
            let node = random.usize(..world.nodes.len());
            *shipments.entry(node).or_default().entry(line.sku.0 as usize).or_default() += line.quantity;
            if !world.may_serve(&order, line.sku.0 as usize, node) {
                barred.insert(NodeIx(node as u32));
            }
            takes.push(Take { line: line.line, node: NodeIx(node as u32), quantity: line.quantity });
        }
        for (node, parts) in &shipments {
            let parts: Vec<_> = parts.iter().map(|(sku, units)| (*sku, *units)).collect();
            cost += world.shipment_cost(&order, *node, &parts);
        }
        let (reader, mut planner) = (state.reader(), Planner::new());
        let priced = planner.at(NOW).price(&reader, reader.lanes(), Tenant(0), &order, &takes);
        let priced = priced.unwrap_or_else(|refusal| panic!("seed {seed}: {refusal:?}"));
        assert_eq!(priced.proposal.plan.cost, Money(cost), "seed {seed}");
        assert_eq!(priced.barred.iter().copied().collect::<BTreeSet<_>>(), barred, "seed {seed}");
        let units: u32 = priced.proposal.picks.iter().map(|pick| pick.quantity).sum();
        assert_eq!(units, order.lines.iter().map(|line| line.quantity).sum(), "seed {seed}");

        // Our own plan told as takes is priced as it was planned.
        if let Ok(ours) = planner.at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]) {
            let picks = ours.picks.iter();
            let takes: Vec<_> = picks
                .map(|pick| Take { line: pick.line, node: pick.node, quantity: pick.quantity })
                .collect();
            let priced =
                planner.price(&reader, reader.lanes(), Tenant(0), &order, &takes).expect("it is ours");
            assert_eq!(
                (priced.proposal.plan.cost, &priced.barred[..]),
                (ours.plan.cost, &[][..]),
                "seed {seed}"
            );
            assert_eq!(priced.proposal.plan.policy, ours.plan.policy, "seed {seed}");
        }
    }
}

#[test]
fn takes_of_other_lines_and_of_unknown_nodes_are_refused() {
    let mut random = fastrand::Rng::with_seed(7);
    let world = World::random(&mut random);
    let (order, state) = (world.order(&mut random), world.state());
    let reader = state.reader();
    let price = |line, node| {
        let take = Take { line, node: NodeIx(node), quantity: 1 };
        let priced = Planner::new().price(&reader, reader.lanes(), Tenant(0), &order, &[take]);
        priced.map(|_| ()).map_err(|refusal| refusal.code)
    };
    assert_eq!(price(LineId(999), 0), Err(RefusalCode::UnknownLine));
    assert_eq!(price(order.lines[0].line, 999), Err(RefusalCode::UnknownNode));
}
