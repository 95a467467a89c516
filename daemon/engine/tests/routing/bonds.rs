//! Lines that go together or never do, and units that nodes keep back: plans against an oracle that tries all of them.

use std::collections::BTreeSet;

use earmark_engine::routing::Planner;
use earmark_engine::{CommandRef, Decision, Outcome, Planned, State, Submission, apply, decide};
use earmark_protocol::catalogue::capabilities;
use earmark_protocol::command::{Command, CommandBody, Order, Reserve, SetPolicy};
use earmark_protocol::ids::{CommandId, HoldClass, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::Reply;

use crate::oracle::{Assignment, cheapest_where, demand, judge};
use crate::world::{World, run};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);

/// A rule about lines, told twice: skus by their places.
#[derive(Clone, Debug)]
enum Bond {
    Together(BTreeSet<usize>),
    Apart(BTreeSet<usize>, BTreeSet<usize>),
}

impl Bond {
    fn random(random: &mut fastrand::Rng) -> Self {
        let mut skus = || (0..4).filter(|_| random.bool()).collect();
        let (lines, from) = (skus(), skus());
        if random.bool() { Self::Together(lines) } else { Self::Apart(lines, from) }
    }

    fn text(&self, at: usize) -> String {
        let among = |skus: &BTreeSet<usize>| {
            let skus: Vec<_> = skus.iter().map(|sku| format!("\"S{sku}\"")).collect();
            if skus.is_empty() { "false".to_owned() } else { format!("line.sku in [{}]", skus.join(", ")) }
        };
        let body = match self {
            Self::Together(skus) => format!("together = '{}'", among(skus)),
            Self::Apart(skus, from) => format!("apart = '{}'\nfrom = '{}'", among(skus), among(from)),
        };
        format!("[[rule]]\nname = 'bond {at}'\n{body}\n")
    }

    /// Whether it is kept by an assignment of this order.
    fn is_kept(&self, order: &Order, assignment: &Assignment) -> bool {
        match self {
            Self::Together(skus) => {
                let wanted: Vec<_> = demand(order).into_keys().filter(|sku| skus.contains(sku)).collect();
                let at = |sku: &usize| -> Vec<usize> {
                    (0..assignment.len()).filter(|node| assignment[*node].contains_key(sku)).collect()
                };
                wanted.iter().all(|sku| at(sku).len() == 1 && at(sku) == at(&wanted[0]))
            }
            Self::Apart(skus, from) => assignment.iter().all(|parts| {
                let breaks = |sku: &usize| {
                    skus.contains(sku) && parts.keys().any(|other| other != sku && from.contains(other))
                };
                !parts.keys().any(breaks)
            }),
        }
    }
}

fn obeying(world: &World, text: &str) -> State {
    let mut state = world.state();
    run(&mut state, CommandBody::SetPolicy(SetPolicy { text: format!("name = 'test'\n{text}") }));
    state
}

#[test]
fn the_cheapest_plan_that_keeps_all_bonds_and_buffers_is_found_and_proven() {
    let mut random = fastrand::Rng::with_seed(61);
    let (mut planned, mut changed, mut refused) = (0, 0, 0);
    for turn in 0..2_500 {
        let mut world = World::random(&mut random);
        world.stock.values_mut().for_each(|available| *available += 3);
        let order = world.order(&mut random);
        let wanted = demand(&order);
        let bonds: Vec<_> = (0..random.usize(..3)).map(|_| Bond::random(&mut random)).collect();
        let mut text: String = bonds.iter().enumerate().map(|(at, bond)| bond.text(at)).collect();
        let free = cheapest_where(&world, &order, &wanted, |_| true);
        for rule in 0..random.usize(..3) {
            let (node, units) = (random.usize(..world.nodes.len()), random.u32(1..5));
            let sku = random.usize(..4);
            text += &format!(
                "[[rule]]\nname = 'keep {rule}'\nwhen = 'line.sku == \"S{sku}\"'\nkeep = 'node.code == \"{}\"'\nunits = {units}\n",
                world.nodes[node].code
            );
            let kept = world.lean.buffers.entry((sku, node)).or_default();
            *kept = units.max(*kept);
        }
        let is_legal = |assignment: &Assignment| bonds.iter().all(|bond| bond.is_kept(&order, assignment));
        let expected = cheapest_where(&world, &order, &wanted, is_legal);
        let state = obeying(&world, &text);
        let reader = state.reader();
        let ours = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
        match (ours, expected) {
            (Ok(proposal), Some(expected)) => {
                assert_eq!(judge(&world, &order, &proposal), wanted, "turn {turn}");
                let said = (proposal.plan.cost.0, proposal.plan.bound.0);
                assert_eq!(said, (expected.0, expected.0), "turn {turn}: {text} {world:#?} {order:#?}");
                let mut assignment: Assignment = vec![Default::default(); world.nodes.len()];
                for pick in &proposal.picks {
                    let units = assignment[pick.node.0 as usize].entry(pick.sku.0 as usize).or_default();
                    *units += pick.quantity;
                }
                assert!(is_legal(&assignment), "turn {turn}: {text} {proposal:?}");
                planned += 1;
                changed += usize::from(free.is_none_or(|free| free.0 != expected.0));
            }
            (Err(_), None) => refused += 1,
            (ours, expected) => {
                panic!("turn {turn}: {ours:?} but {expected:?}: {text} {world:#?} {order:#?}")
            }
        }
    }
    assert!(planned > 800 && changed > 80 && refused > 150, "{planned} {changed} {refused}");
}

#[test]
fn what_goes_together_is_held_all_or_none_where_the_rest_is_taken_as_it_is() {
    let mut random = fastrand::Rng::with_seed(62);
    let (mut whole, mut none) = (0, 0);
    for turn in 0..600 {
        let world = World::random(&mut random);
        let order = world.order(&mut random);
        let bond = Bond::Together(BTreeSet::from([0, 1, 2]));
        let state = obeying(&world, &bond.text(0));
        let reader = state.reader();
        let ours = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, true, &[]);
        let Ok(proposal) = ours else { continue };
        let served = judge(&world, &order, &proposal);
        let group: Vec<_> = demand(&order).into_iter().filter(|(sku, _)| *sku < 3).collect();
        if group.is_empty() {
            continue;
        }
        let nodes: BTreeSet<_> =
            proposal.picks.iter().filter(|pick| pick.sku.0 < 3).map(|pick| pick.node).collect();
        let is_whole = group.iter().all(|(sku, units)| served.get(sku) == Some(units));
        let is_none = group.iter().all(|(sku, _)| !served.contains_key(sku));
        assert!(is_whole && nodes.len() == 1 || is_none, "turn {turn}: {world:#?} {order:#?} {proposal:?}");
        whole += u32::from(is_whole);
        none += u32::from(is_none);
    }
    assert!(whole > 30 && none > 50, "{whole} {none}");
}

/// Decides a reserve by a plan of now.
fn reserve(state: &mut State, order: &Order, number: u8, last: bool) -> Outcome {
    let reader = state.reader();
    let planned = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), order, false, &[]);
    decided(state, order, number, &planned, last)
}

/// The same by this plan.
fn decided(state: &mut State, order: &Order, number: u8, planned: &Planned, last: bool) -> Outcome {
    let reserve = Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let body = CommandBody::Reserve(reserve);
    let command = Command { id: CommandId::new(NOW, [number; 10]), give_up_ms: 0, body };
    let submission = Submission {
        tenant: Tenant(0),
        content: 0,
        command: CommandRef::Full(&command),
        planned: Some(planned),
        last,
    };
    let mut decision = Decision::default();
    decide(state, NOW, &submission, &mut decision);
    if !matches!(decision.outcome, Outcome::Conflict) {
        apply(state, &decision.record);
    }
    decision.outcome
}

#[test]
fn two_plans_made_at_once_do_not_take_what_a_node_keeps() {
    let mut random = fastrand::Rng::with_seed(63);
    let mut world = World::random(&mut random);
    while world.nodes.len() > 1 || world.flags[0] != 0 {
        world = World::random(&mut random);
    }
    world.stock = [((0, 0, 0), 5)].into();
    world.nodes[0].capabilities |= capabilities::SHIP;
    let mut state = obeying(&world, "[[rule]]\nname = 'keep'\nkeep = 'true'\nunits = 2\n");
    let mut order = world.wide_order(&mut random, 1, 1);
    order.lines[0].sku = SkuIx(0);
    order.lines[0].quantity = 2;
    let reader = state.reader();
    let planned = Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), &order, false, &[]);
    let first = decided(&mut state, &order, 1, &planned, false);
    assert!(matches!(first, Outcome::Reply(Reply::Reserved(_))), "{first:?}");
    let second = decided(&mut state, &order, 2, &planned, false);
    assert_eq!(second, Outcome::Conflict, "only one is left of which two are kept");
    order.lines[0].quantity = 1;
    let third = reserve(&mut state, &order, 3, false);
    assert!(matches!(third, Outcome::Reply(Reply::Reserved(_))), "{third:?}");
    let fourth = reserve(&mut state, &order, 4, true);
    assert!(matches!(fourth, Outcome::Reply(Reply::Refused(_))), "{fourth:?}");
}
