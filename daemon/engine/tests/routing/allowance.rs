//! All plans of an order share one allowance of work, whatever rules give way and whatever goes together: counted by steps.

use earmark_engine::State;
use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::command::{CommandBody, Order, SetPolicy};
use earmark_protocol::ids::{SkuIx, Tenant};
use earmark_protocol::refusal::Refusal;

use crate::oracle::judge;
use crate::world::{World, run};

/// What an order of few skus may take where others wait behind it: the work of one plan, and a quarter of that for all that follow.
const STEPS_MAX: u64 = 1_250_000;

fn obeying(world: &World, rules: &str) -> State {
    let mut state = world.state();
    run(&mut state, CommandBody::SetPolicy(SetPolicy { text: format!("name = 'test'\n{rules}") }));
    state
}

fn plan(planner: &mut Planner, state: &State, order: &Order) -> Result<Proposal, Refusal> {
    let reader = state.reader();
    planner.plan(&reader, reader.lanes(), Tenant(0), order, true, &[])
}

/// So many rules that each keep a node out, and give way.
fn giving_way(world: &World, rules: usize) -> String {
    let rule = |(at, code): (usize, &String)| {
        format!("[[rule]]\nname = '{at}'\nexclude = 'node.code == \"{code}\"'\notherwise = 'true'\n")
    };
    world.nodes.iter().map(|node| &node.code).take(rules).enumerate().map(rule).collect()
}

#[test]
fn an_order_takes_one_allowance_of_work_however_many_rules_give_way() {
    let mut random = fastrand::Rng::with_seed(81);
    let mut worked = 0;
    for _ in 0..4 {
        let world = World::wide(&mut random, 120, 10, 0.5, 30);
        let state = obeying(&world, &giving_way(&world, 16));
        // One sku is never to be had whole, and three shipments hardly carry all of the other order.
        let mut short = world.wide_order(&mut random, 10, 1);
        short.lines.iter_mut().for_each(|line| line.quantity = 100);
        short.lines[0].quantity = 100_000;
        let mut limited = world.wide_order(&mut random, 10, 25);
        limited.shipments_max = 3;
        for order in [short, limited] {
            let mut planner = Planner::new();
            let proposal = plan(&mut planner, &state, &order).expect("something can be had");
            assert!(!judge(&world, &order, &proposal).is_empty());
            assert!(planner.steps() <= STEPS_MAX, "{} steps", planner.steps());
            worked = worked.max(planner.steps());
        }
    }
    assert!(worked > 0, "nothing here takes any work");
}

#[test]
fn an_order_whose_lines_are_kept_apart_takes_no_more_work_than_any_other() {
    let mut random = fastrand::Rng::with_seed(82);
    let rule = "[[rule]]\nname = 'each alone'\napart = 'true'\n";
    let mut worked = 0;
    for turn in 0..6 {
        let world = World::wide(&mut random, 60, 10, 0.4, 4);
        let rules = if turn % 2 == 0 { rule.to_owned() } else { giving_way(&world, 12) + rule };
        let state = obeying(&world, &rules);
        let mut order = world.wide_order(&mut random, 10, 6);
        order.lines.iter_mut().for_each(|line| line.quantity += 3);
        let mut planner = Planner::new();
        plan(&mut planner, &state, &order).expect("something can be had");
        assert!(planner.steps() <= STEPS_MAX, "{} steps", planner.steps());
        worked = worked.max(planner.steps());
    }
    assert!(worked > STEPS_MAX / 4, "{worked} steps: nothing here takes much work");
}

#[test]
fn lines_that_go_with_lines_of_elsewhere_are_left_out_at_once() {
    let mut random = fastrand::Rng::with_seed(83);
    let mut world = World::wide(&mut random, 2, 4, 1.0, 1);
    // S1 would have to leave from the one node and from the other.
    world.stock = [((0, 0, 0), 5), ((1, 0, 0), 5), ((1, 1, 0), 5), ((2, 1, 0), 5), ((3, 0, 0), 5)].into();
    let together =
        |at: usize, skus: &str| format!("[[rule]]\nname = '{at}'\ntogether = 'line.sku in [{skus}]'\n");
    let state = obeying(&world, &(together(1, "\"S0\", \"S1\"") + &together(2, "\"S1\", \"S2\"")));
    let order = world.wide_order(&mut random, 4, 1);
    let mut planner = Planner::new();
    let proposal = plan(&mut planner, &state, &order).expect("S3 can be had");
    assert_eq!(judge(&world, &order, &proposal), [(3, 1)].into());
    assert!(proposal.plan.is_optimal(), "{:?}", proposal.plan);
    assert!(planner.steps() < 10_000, "{} steps", planner.steps());
}

#[test]
fn thousands_of_lines_are_kept_apart_from_thousands() {
    let mut random = fastrand::Rng::with_seed(84);
    let skus = 4_000;
    let mut world = World::wide(&mut random, 8, skus, 1.0, 1);
    world.stock.values_mut().for_each(|available| *available = 9);
    let rule = "[[rule]]\nname = 'halves'\napart = 'line.quantity == 1'\nfrom = 'line.quantity == 2'\n";
    let state = obeying(&world, rule);
    let mut order = world.wide_order(&mut random, skus, 1);
    order.lines.iter_mut().step_by(2).for_each(|line| line.quantity = 2);
    let proposal = plan(&mut Planner::patient(), &state, &order).expect("two nodes suffice");
    assert!(proposal.plan.unfilled.is_empty());
    let halves = |sku: SkuIx| order.lines.iter().find(|line| line.sku == sku).map(|line| line.quantity);
    for shipment in &proposal.plan.shipments {
        let first = halves(shipment.lines[0].sku);
        assert!(shipment.lines.iter().all(|line| halves(line.sku) == first), "{:?}", shipment.node);
    }
}

#[test]
fn a_line_that_would_be_split_and_must_not_be_costs_the_others_no_proof() {
    let mut random = fastrand::Rng::with_seed(85);
    let mut hard = 0;
    for turn in 0..40 {
        let world = World::wide(&mut random, 40, 10, 0.4, 4);
        let mut order = world.wide_order(&mut random, 7, 6);
        // No node has all of any line, all together have it.
        order.lines.iter_mut().for_each(|line| line.quantity += 4);
        let rest = Order { lines: order.lines[1..].to_vec(), ..order.clone() };
        let sku = order.lines[0].sku.0;
        let state =
            obeying(&world, &format!("[[rule]]\nname = 'whole'\ntogether = 'line.sku == \"S{sku}\"'\n"));
        let mut planner = Planner::new();
        let alone = plan(&mut planner, &state, &rest).expect("the rest can be had");
        if !alone.plan.is_optimal() {
            continue;
        }
        let beside = plan(&mut Planner::new(), &state, &order).expect("the rest can be had");
        let said = |proposal: &Proposal| (proposal.plan.cost, proposal.plan.bound);
        assert_eq!(said(&beside), said(&alone), "turn {turn}, {} steps", planner.steps());
        hard += u32::from(planner.steps() > STEPS_MAX / 8);
    }
    assert!(hard > 3, "{hard}: where a proof is cheap, it is not lost");
}
