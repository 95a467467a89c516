//! Substitutes: an order that cannot be had as it was ordered is planned as if others had been ordered that can be had;
//! all other orders are planned as if there were none.

use std::collections::BTreeMap;

use earmark_engine::State;
use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::command::{CommandBody, Order, Reserve, SetStock};
use earmark_protocol::ids::{HoldClass, LineId, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Refusal, RefusalCode};
use earmark_protocol::reply::Substituted;
use earmark_protocol::substitute::SubstituteSpec;

use super::rollout::{set, submit, version_of};
use super::world::{World, count, run};

fn put(state: &mut State, substitutes: &[(u32, &[u32])]) {
    let spec = |(sku, by): &(u32, &[u32])| SubstituteSpec {
        sku: SkuIx(*sku),
        substitutes: by.iter().copied().map(SkuIx).collect(),
    };
    run(state, CommandBody::PutSubstitutes(substitutes.iter().map(spec).collect()));
}

fn plan(state: &State, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = state.reader();
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

#[test]
fn what_is_sent_instead_is_planned_as_if_it_had_been_ordered() {
    let (mut substituted, mut as_ordered) = (0, 0);
    for seed in 0..1_500 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let mut state = world.state();
        set(&mut state, "instead", "unfillable = \"substitute\"");
        let by = [random.u32(1..4), random.u32(1..4)];
        let by: Vec<u32> = if by[0] == by[1] { vec![by[0]] } else { by.to_vec() };
        put(&mut state, &[(0, &by), (1, &[2]), (3, &[0])]);
        let lines: Vec<LineId> = order.lines.iter().map(|line| line.line).collect();
        let allowing = Order { substitutable: lines, ..order.clone() };
        let best_effort = random.bool();
        let (seen, ordered) = (plan(&state, &allowing, best_effort), plan(&state, &order, best_effort));
        let Some(plan_seen) = seen.as_ref().ok().filter(|seen| !seen.plan.substituted.is_empty()) else {
            assert_eq!(seen, ordered, "seed {seed}");
            as_ordered += 1;
            continue;
        };
        substituted += 1;
        let is_whole = ordered.as_ref().is_ok_and(|ordered| ordered.plan.unfilled.is_empty());
        assert!(!is_whole, "seed {seed}: what was ordered can be had");
        let mut sent = order.clone();
        for Substituted { line, ordered, sent: sku } in &plan_seen.plan.substituted {
            let known = sent.lines.iter_mut().find(|known| (known.line, known.sku) == (*line, *ordered));
            known.expect("it was ordered").sku = *sku;
            // There is enough of it, but the number of shipments may not be.
            let mut left = plan_seen.plan.unfilled.iter().filter(|left| left.line == *line);
            assert!(left.all(|left| left.reason == RefusalCode::TooManyShipments), "seed {seed}");
        }
        let mut expected = plan(&state, &sent, best_effort).expect("it was planned");
        expected.plan.substituted.clone_from(&plan_seen.plan.substituted);
        assert_eq!(*plan_seen, expected, "seed {seed}");
        let lost = ordered.as_ref().map_or(u64::MAX, left_out);
        assert!(left_out(&expected) < lost, "seed {seed}: more is had as it was ordered");
    }
    assert!(substituted > 100 && as_ordered > 400, "{substituted} {as_ordered}");
}

fn left_out(proposal: &Proposal) -> u64 {
    proposal.plan.unfilled.iter().map(|left| u64::from(left.quantity)).sum()
}

#[test]
fn substitutes_that_fit_into_fewer_shipments_than_they_need_do_not_take_what_was_ordered() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut world = World::wide(&mut random, 3, 4, 1.0, 9);
    let mut order = world.wide_order(&mut random, 2, 1);
    for (at, (sku, quantity)) in [(0, 5), (1, 4)].into_iter().enumerate() {
        (order.lines[at].sku, order.lines[at].quantity) = (SkuIx(sku), quantity);
    }
    (order.shipments_max, order.substitutable) = (1, vec![order.lines[0].line]);
    // One node has nearly all as it was ordered; whole substitutes lie elsewhere.
    world.stock = BTreeMap::from([((0, 0, 0), 4), ((1, 0, 0), 4), ((2, 1, 0), 5)]);
    let mut state = world.state();
    set(&mut state, "instead", "unfillable = \"substitute\"");
    put(&mut state, &[(0, &[2])]);
    let kept = plan(&state, &order, true).expect("some of it can be had");
    assert_eq!((left_out(&kept), &kept.plan.substituted[..]), (1, &[][..]));
    order.shipments_max = 2;
    let sent = plan(&state, &order, true).expect("all of it can be had");
    assert_eq!((left_out(&sent), sent.plan.substituted.len()), (0, 1));
}

#[test]
fn a_plan_with_substitutes_is_held_and_mended_as_any_other() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut world = World::wide(&mut random, 3, 3, 1.0, 9);
    let mut order = world.wide_order(&mut random, 1, 1);
    order.lines[0].sku = SkuIx(0);
    order.lines[0].quantity = 6;
    order.substitutable = vec![order.lines[0].line];
    world.stock.clear();
    for (node, units) in [(0, 4), (1, 2)] {
        world.stock.insert((0, node, 0), 1);
        world.stock.insert((1, node, 0), units);
    }
    let mut state = world.state();
    set(&mut state, "instead", "unfillable = \"substitute\"");
    put(&mut state, &[(0, &[2, 1])]);
    let planned = plan(&state, &order, false);
    let proposal = planned.as_ref().expect("there is enough of sku 1");
    let line = order.lines[0].line;
    assert_eq!(proposal.plan.substituted, [Substituted { line, ordered: SkuIx(0), sent: SkuIx(1) }]);
    assert_eq!(proposal.plan.shipments.len(), 2);

    // Meanwhile a unit went from one of its nodes to the other.
    let counts = vec![count((1, 0, 0), 3), count((1, 1, 0), 3)];
    run(&mut state, CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }));
    let reserve = Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let (outcome, _) = submit(&state, (TimestampMs(1_700_000_000_000), false, 1), reserve, &planned);
    assert_eq!(version_of(&outcome), Some(1), "{outcome:?}");
}
