//! Orders that may wait for supply: what is in stock is planned as without, what is left waits where that costs least, and
//! is held behind all who wait already.

use std::collections::{BTreeMap, BTreeSet};

use earmark_engine::routing::Proposal;
use earmark_engine::{Outcome, State, apply};
use earmark_protocol::catalogue::{CalendarSpec, DayHours};
use earmark_protocol::command::{CellQuantity, CommandBody, Order, OrderLine, Reserve, Step};
use earmark_protocol::ids::{CommandId, HoldClass, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Refusal, RefusalCode};
use earmark_protocol::reply::{Reply, Shipment};
use earmark_protocol::supply::{Receive, SupplySpec};

use super::backorders::{NOW, TODAY, plan};
use super::rollout::{set, submit};
use super::world::{World, always_open, first_works_by, run};

type Coming = BTreeMap<(usize, usize, u16), (u32, u32)>;

fn put(state: &mut State, coming: &Coming) {
    let spec = |(&(sku, node, segment), &(quantity, day)): (&(usize, usize, u16), &(u32, u32))| SupplySpec {
        code: "PO-1".to_owned(),
        sku: SkuIx(sku as u32),
        node: NodeIx(node as u32),
        segment: Segment(segment),
        quantity,
        day,
    };
    run(state, CommandBody::PutSupplies(coming.iter().map(spec).collect()));
}

/// Units of a sku that may wait at a node, at most so many, and the day by which they come.
fn comes(
    world: &World,
    coming: &Coming,
    order: &Order,
    (sku, node): (usize, usize),
    most: u32,
) -> (u32, u32) {
    let by = order.supply_by.expect("it may wait");
    let (mut units, mut day) = (0, 0);
    for segment in &world.rules.channels[usize::from(order.channel.0)] {
        let key = (sku, node, segment.0);
        let Some((quantity, on)) = coming.get(&key).filter(|(_, on)| *on <= by) else { continue };
        let short = world.stock.get(&key).copied().unwrap_or(0).min(0).unsigned_abs();
        let drawn = quantity.saturating_sub(short).min(most - units);
        units += drawn;
        day = if drawn > 0 { day.max(*on) } else { day };
    }
    (units, day)
}

fn left_out(proposal: &Proposal) -> u32 {
    proposal.plan.unfilled.iter().map(|left| left.quantity).sum()
}

fn waits(proposal: &Proposal) -> Vec<&Shipment> {
    proposal.plan.shipments.iter().filter(|shipment| shipment.waits()).collect()
}

/// Units that nothing comes for, and the least cost, over every way to let what is left wait.
fn best(world: &World, coming: &Coming, order: &Order, in_stock: Option<&Proposal>) -> (u32, i64) {
    let mut left: BTreeMap<usize, u32> = BTreeMap::new();
    for line in &order.lines {
        let units = match in_stock {
            None => line.quantity,
            Some(proposal) => {
                let of_line = proposal.plan.unfilled.iter().filter(|unfilled| {
                    unfilled.line == line.line && unfilled.reason == RefusalCode::OutOfStock
                });
                of_line.map(|unfilled| unfilled.quantity).sum()
            }
        };
        *left.entry(line.sku.0 as usize).or_default() += units;
    }
    left.retain(|_, units| *units > 0);
    let shipped = in_stock.map_or(0, |proposal| proposal.plan.shipments.len());
    let most = usize::from(order.shipments_max);
    let most = if most == 0 { usize::MAX } else { most.saturating_sub(shipped) };
    let left: Vec<(usize, u32)> = left.into_iter().collect();
    let mut ways: Vec<Vec<Option<(usize, u32, u32)>>> = vec![Vec::new()];
    for &(sku, wanted) in &left {
        let from =
            in_stock.iter().flat_map(|proposal| &proposal.picks).filter(|pick| pick.sku.0 as usize == sku);
        let from: BTreeSet<usize> = from.map(|pick| pick.node.0 as usize).collect();
        let nodes = (0..world.nodes.len()).filter(|node| {
            let may_split = world.rules.split_lines || from.iter().all(|other| other == node);
            may_split && world.may_serve(order, sku, *node)
        });
        let all = nodes.map(|node| (node, comes(world, coming, order, (sku, node), wanted)));
        let all: Vec<_> = all.filter(|(_, (units, _))| *units > 0).collect();
        let most = all.iter().map(|(_, (units, _))| *units).max();
        let stops = all.into_iter().filter(|(_, (units, _))| Some(*units) == most);
        let stops: Vec<_> =
            stops.map(|(node, (units, day))| Some((node, units, day))).chain([None]).collect();
        ways = ways
            .into_iter()
            .flat_map(|way| stops.iter().map(move |stop| [&way[..], &[*stop]].concat()).collect::<Vec<_>>())
            .collect();
    }
    let wanted: u32 = match in_stock {
        None => order.lines.iter().map(|line| line.quantity).sum(),
        Some(proposal) => left_out(proposal),
    };
    let value = |way: Vec<Option<(usize, u32, u32)>>| {
        let mut shipments: BTreeMap<(usize, u32), Vec<(usize, u32)>> = BTreeMap::new();
        for ((sku, _), stop) in left.iter().zip(way) {
            let Some((node, units, day)) = stop else { continue };
            shipments.entry((node, day)).or_default().push((*sku, units));
        }
        let filled: u32 = shipments.values().flatten().map(|(_, units)| units).sum();
        let cost = shipments.iter().map(|((node, _), parts)| world.shipment_cost(order, *node, parts)).sum();
        (shipments.len() <= most).then_some((wanted - filled, cost))
    };
    ways.into_iter().filter_map(value).min().expect("nothing waits, at least")
}

#[test]
fn what_is_left_waits_where_that_costs_least_and_nothing_else_changes() {
    let (mut waited, mut refused) = (0, 0);
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = World::random(&mut random);
        let mut order = world.order(&mut random);
        let mut state = world.state();
        let mut coming = Coming::new();
        for _ in 0..random.usize(1..12) {
            let (sku, node) = (random.usize(..world.flags.len()), random.usize(..world.nodes.len()));
            coming.insert((sku, node, random.u16(..3)), (random.u32(1..8), TODAY + random.u32(1..4)));
        }
        put(&mut state, &coming);
        let in_stock = plan(&state, &order, true);
        let whole = plan(&state, &order, false);
        order.supply_by = Some(TODAY + 2);
        let best_effort = random.bool();
        let seen = plan(&state, &order, best_effort);
        let is_short = match &whole {
            Ok(_) => false,
            Err(refusal) => [RefusalCode::OutOfStock, RefusalCode::NoNode, RefusalCode::NodeIncapable]
                .contains(&refusal.code),
        };
        if !is_short {
            let as_without = if best_effort { in_stock } else { whole };
            let same = |a: &Result<Proposal, Refusal>, b: &Result<Proposal, Refusal>| match (a, b) {
                (Ok(a), Ok(b)) => a.picks == b.picks && a.plan == b.plan,
                (Err(a), Err(b)) => a == b,
                _ => false,
            };
            let may_wait = as_without.as_ref().is_ok_and(|proposal| !proposal.plan.unfilled.is_empty());
            assert!(may_wait || same(&seen, &as_without), "seed {seed}: {seen:?}");
            continue;
        }
        let (missing, cost) = best(&world, &coming, &order, in_stock.as_ref().ok());
        let before = in_stock.as_ref().map_or(0, |proposal| proposal.plan.cost.0);
        match &seen {
            Ok(proposal) => {
                assert!(best_effort || missing == 0, "seed {seed}");
                assert_eq!(
                    (left_out(proposal), proposal.plan.cost.0 - before),
                    (missing, cost),
                    "seed {seed}"
                );
                let bound = in_stock.as_ref().map_or(0, |proposal| proposal.plan.bound.0);
                // Where another plan of what is in stock could let the rest wait elsewhere, nothing is known of it.
                let is_limited = world.rules.shipments_max > 0 || order.shipments_max > 0;
                let is_free = in_stock.is_err() || world.rules.split_lines && !is_limited;
                let least = if is_free { cost } else { 0 };
                assert_eq!(proposal.plan.bound.0 - bound, least, "seed {seed}");
                if let Ok(in_stock) = &in_stock {
                    assert_eq!(proposal.picks, in_stock.picks, "seed {seed}");
                }
                waited += usize::from(!waits(proposal).is_empty());
                let reserve =
                    Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort };
                let (outcome, _) = submit(&state, (NOW, false, 1), reserve, &seen);
                let Outcome::Reply(Reply::Reserved(reserved)) = outcome else {
                    panic!("seed {seed}: {outcome:?}")
                };
                assert_eq!(reserved.plan.as_ref(), Some(&proposal.plan), "seed {seed}");
            }
            Err(refusal) => {
                assert!(missing > 0, "seed {seed}: {refusal}");
                refused += 1;
            }
        }
    }
    assert!(waited > 200 && refused > 200, "{waited} waited, {refused} refused");
}

/// One node that has three units and expects six more, and an order of five.
fn shop() -> (State, Order) {
    let mut random = fastrand::Rng::with_seed(5);
    let mut world = World::wide(&mut random, 1, 1, 1.0, 9);
    let mut order = world.wide_order(&mut random, 1, 1);
    (order.lines[0].quantity, order.supply_by) = (5, Some(TODAY + 9));
    world.stock = BTreeMap::from([((0, 0, 0), 3)]);
    let mut state = world.state();
    put(&mut state, &Coming::from([((0, 0, 0), (6, TODAY + 3))]));
    (state, order)
}

fn reserve(state: &mut State, order: &Order, number: u8, planned: &Result<Proposal, Refusal>) -> Outcome {
    let reserve = Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let (outcome, record) = submit(state, (NOW, false, number), reserve, planned);
    apply(state, &record);
    outcome
}

fn id(number: u8) -> CommandId {
    CommandId::new(NOW, [9, 9, 9, 9, 9, 9, 9, 9, 9, number])
}

#[test]
fn a_plan_is_held_behind_all_who_wait_and_goes_into_stock_in_its_turn() {
    let (mut state, order) = shop();
    let planned = plan(&state, &order, false);
    assert!(matches!(reserve(&mut state, &order, 1, &planned), Outcome::Reply(Reply::Reserved(_))));
    // What is in stock and two of what comes are taken: the same plan is held no second time.
    assert!(matches!(reserve(&mut state, &order, 2, &planned), Outcome::Conflict));
    let refusal = plan(&state, &order, false).expect_err("four are left");
    assert_eq!((refusal.code, refusal.detail), (RefusalCode::OutOfStock, 4));
    let fewer = |units| {
        let mut order = order.clone();
        order.lines[0].quantity = units;
        order
    };
    let planned = plan(&state, &fewer(4), false);
    assert!(matches!(reserve(&mut state, &fewer(4), 2, &planned), Outcome::Reply(Reply::Reserved(_))));
    let confirm = Step { reservation: id(2), lines: Vec::new(), best_effort: false };
    run(&mut state, CommandBody::Confirm(confirm));
    let rows = |state: &State, number| {
        let view = state.reader().show(Tenant(0), &id(number)).expect("it is held");
        view.rows
            .iter()
            .map(|row| [row.held, row.confirmed, row.awaited, row.backordered])
            .collect::<Vec<_>>()
    };
    assert_eq!((rows(&state, 1), rows(&state, 2)), (vec![[3, 0, 0, 0], [0, 0, 2, 0]], vec![[0, 0, 0, 4]]));
    let cell = CellQuantity { sku: SkuIx(0), node: NodeIx(0), segment: Segment(0), quantity: 3 };
    let receive = Receive { code: "PO-1".to_owned(), cells: vec![cell], closes: false };
    run(&mut state, CommandBody::Receive(receive));
    assert_eq!((rows(&state, 1), rows(&state, 2)), (vec![[3, 0, 0, 0], [2, 0, 0, 0]], vec![[0, 1, 0, 3]]));
    // What is given up waits for somebody else.
    let release = Step { reservation: id(2), lines: Vec::new(), best_effort: false };
    run(&mut state, CommandBody::Cancel(release));
    assert!(plan(&state, &fewer(4), false).is_ok() && plan(&state, &fewer(5), false).is_err());
}

#[test]
fn what_waits_leaves_after_its_day_and_is_late_by_that() {
    let (mut state, mut order) = shop();
    let hours = DayHours { opens_min: 9 * 60, closes_min: 17 * 60, cut_off_min: 12 * 60 };
    let week = [Some(hours), Some(hours), Some(hours), Some(hours), Some(hours), None, None];
    let code = "weekdays".to_owned();
    first_works_by(&mut state, CalendarSpec { code, handling_days: 1, week, ..Default::default() }, |_| {});
    // It comes on Friday, the 17th, is worked on on Monday, and leaves on Tuesday at 5 in Chicago.
    let tuesday = TimestampMs(1_700_607_600_000);
    let ship_at = |planned: &Proposal| planned.plan.shipments[1].ship_at_ms;
    let planned = plan(&state, &order, false).expect("two wait");
    assert_eq!((ship_at(&planned), waits(&planned)[0].supply_day), (tuesday, TODAY + 3));

    set(&mut state, "late", "transit_miles_per_day = 400\n[weights]\nlate_day = 7");
    let planned = plan(&state, &order, false).expect("two wait");
    order.deliver_by_ms = Some(planned.plan.shipments[0].promise_at_ms);
    let late = plan(&state, &order, false).expect("it may be late");
    let [in_stock, waiting] = &late.plan.shipments[..] else { panic!("{late:?}") };
    let days = |shipment: &Shipment| {
        let late_ms = shipment.promise_at_ms.0.saturating_sub(order.deliver_by_ms.expect("a wish").0);
        late_ms.div_ceil(86_400_000) as i64
    };
    assert!(days(waiting) > 0 && days(in_stock) == 0);
    assert_eq!(waiting.policy_cost.0, 7_000_000 * days(waiting));
    set(&mut state, "late", "transit_miles_per_day = 400\nlate = \"refuse\"");
    assert_eq!(plan(&state, &order, false).map_err(|refusal| refusal.code), Err(RefusalCode::OutOfStock));
}

#[test]
fn supply_without_a_real_day_is_no_reason_to_wait() {
    for day in [0, u32::MAX] {
        let (mut state, mut order) = shop();
        first_works_by(&mut state, always_open(), |_| {});
        put(&mut state, &Coming::from([((0, 0, 0), (6, day))]));
        order.supply_by = Some(u32::MAX);
        let planned = plan(&state, &order, false);
        assert!(planned.is_err(), "it is overdue, or nothing leaves behind the end of all days: {day}");
    }
}

#[test]
fn what_is_overdue_is_promised_to_nobody_until_it_is_put_again() {
    let (mut state, order) = shop();
    let coming = |day| Coming::from([((0, 0, 0), (6, day))]);
    // A day is over when it is over in all time zones; it is evening in UTC.
    put(&mut state, &coming(TODAY));
    let planned = plan(&state, &order, false);
    assert_eq!(waits(planned.as_ref().expect("it comes today"))[0].supply_day, TODAY);
    assert_eq!(reserve_rows(&mut state, &order, &planned), 5);
    put(&mut state, &coming(TODAY - 1));
    let refusal = plan(&state, &order, false).expect_err("nobody knows when it comes");
    assert_eq!((refusal.code, refusal.detail), (RefusalCode::OutOfStock, 0));
    assert!(matches!(reserve(&mut state, &order, 2, &planned), Outcome::Conflict));
    let late = |state: &State| state.reader().waiting_page(Tenant(0), None, true, 9, NOW);
    let told = |state: &State| {
        late(state).iter().map(|wait| (wait.awaited, wait.day, wait.overdue_since)).collect::<Vec<_>>()
    };
    assert_eq!(told(&state), [(2, None, Some(TODAY - 1))]);
    put(&mut state, &Coming::from([((0, 0, 0), (1, TODAY - 1))]));
    assert_eq!(told(&state), [(2, None, None)], "too little is on its way");
    put(&mut state, &coming(TODAY + 1));
    assert_eq!(late(&state)[0].day, Some(TODAY + 1), "it is later than was said");
    let fewer = Order { lines: vec![OrderLine { quantity: 4, ..order.lines[0] }], ..order };
    assert_eq!(waits(&plan(&state, &fewer, false).expect("four are left"))[0].supply_day, TODAY + 1);
}

/// Units of the rows of an order that is held as planned.
fn reserve_rows(state: &mut State, order: &Order, planned: &Result<Proposal, Refusal>) -> u32 {
    assert!(matches!(reserve(state, order, 1, planned), Outcome::Reply(Reply::Reserved(_))));
    let view = state.reader().show(Tenant(0), &id(1)).expect("it is held");
    view.rows.iter().map(|row| row.held + row.awaited).sum()
}

#[test]
fn a_plan_whose_stock_says_where_the_rest_waits_is_no_proof() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut world = World::wide(&mut random, 2, 1, 1.0, 9);
    world.rules.split_lines = false;
    world.nodes.iter_mut().for_each(|node| (node.cost_per_order, node.cost_per_unit) = Default::default());
    let mut order = world.wide_order(&mut random, 1, 1);
    (order.lines[0].quantity, order.supply_by) = (5, Some(TODAY + 9));
    world.stock = BTreeMap::from([((0, 0, 0), 3), ((0, 1, 0), 3)]);
    let mut state = world.state();
    put(&mut state, &Coming::from([((0, 0, 0), (6, TODAY + 3)), ((0, 1, 0), (6, TODAY + 3))]));
    let planned = plan(&state, &order, false).expect("two wait");
    assert_eq!(waits(&planned).len(), 1);
    assert!(!planned.plan.is_optimal(), "another node for all could have cost less: {planned:?}");
    order.shipments_max = 9;
    assert!(!plan(&state, &order, false).expect("two wait").plan.is_optimal());
}
