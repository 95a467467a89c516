//! Which orders wait for supply: those that say so or whose policy does, whatever it is that stock cannot fill of them, and what is
//! told where they do not.

use std::collections::BTreeMap;

use earmark_engine::routing::{Planner, Proposal};
use earmark_engine::{CommandRef, Decision, Outcome, State, Submission, apply, decide};
use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::command::{
    Amend, AmendLine, Command, CommandBody, Delivery, Order, OrderLine, Reserve,
};
use earmark_protocol::ids::{CommandId, HoldClass, LineId, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Reply, Shipment};
use earmark_protocol::supply::SupplySpec;

use super::rollout::{set, submit};
use super::world::{World, always_open, first_works_by, run};

/// The worlds' commands are decided then: 14 November 2023, a Tuesday.
pub(super) const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
/// That day, in days since 1970.
pub(super) const TODAY: u32 = 19_675;

type Units = BTreeMap<(usize, usize, u16), i32>;

/// Three nodes with this in stock, this much of which comes in three days, and an order of these skus and units.
pub(super) fn shop(
    stock: &[(usize, usize, i32)],
    coming: &[(usize, usize, u32)],
    wanted: &[(u32, u32)],
) -> (State, Order) {
    let mut random = fastrand::Rng::with_seed(5);
    let mut world = World::wide(&mut random, 3, 4, 1.0, 9);
    let mut order = world.wide_order(&mut random, 1, 1);
    world.stock = stock.iter().map(|(sku, node, units)| ((*sku, *node, 0), *units)).collect::<Units>();
    let mut state = world.state();
    let supply = |(sku, node, quantity): &(usize, usize, u32)| SupplySpec {
        code: "PO-1".to_owned(),
        sku: SkuIx(*sku as u32),
        node: NodeIx(*node as u32),
        segment: Segment(0),
        quantity: *quantity,
        day: TODAY + 3,
    };
    run(&mut state, CommandBody::PutSupplies(coming.iter().map(supply).collect()));
    let line = |(at, (sku, quantity)): (usize, &(u32, u32))| OrderLine {
        line: LineId(at as u32),
        sku: SkuIx(*sku),
        quantity: *quantity,
    };
    order.lines = wanted.iter().enumerate().map(line).collect();
    (state, order)
}

pub(super) fn plan(state: &State, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let reader = state.reader();
    Planner::new().at(NOW).plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

/// What waits: node, sku and units.
pub(super) fn waits(proposal: &Proposal) -> Vec<(u32, u32, u32)> {
    let waiting = proposal.plan.shipments.iter().filter(|shipment| shipment.waits());
    let lines = |shipment: &Shipment| {
        let node = shipment.node.0;
        shipment.lines.iter().map(move |line| (node, line.sku.0, line.quantity)).collect::<Vec<_>>()
    };
    waiting.flat_map(lines).collect()
}

pub(super) fn left_out(proposal: &Proposal) -> Vec<(u32, u32, RefusalCode)> {
    let unfilled = proposal.plan.unfilled.iter();
    unfilled.map(|left| (left.line.0, left.quantity, left.reason)).collect()
}

pub(super) fn hold(
    state: &mut State,
    order: &Order,
    planned: &Result<Proposal, Refusal>,
    number: u8,
) -> Outcome {
    let reserve = Reserve { order: order.clone(), class: HoldClass(0), lifetime_ms: 0, best_effort: false };
    let (outcome, record) = submit(state, (NOW, false, number), reserve, planned);
    apply(state, &record);
    outcome
}

pub(super) fn refused(state: &State, body: CommandBody) -> Option<RefusalCode> {
    let command = Command { id: CommandId::new(NOW, [8; 10]), give_up_ms: 0, body };
    let command = CommandRef::Full(&command);
    let submission = Submission { tenant: Tenant(0), content: 0, command, planned: None, last: true };
    let mut decision = Decision::default();
    decide(state, NOW, &submission, &mut decision);
    match decision.outcome {
        Outcome::Reply(Reply::Refused(refused)) => Some(refused.refusal.code),
        _ => None,
    }
}

#[test]
fn a_policy_has_orders_wait_that_say_nothing_of_it() {
    let (mut state, mut order) = shop(&[(0, 0, 3)], &[(0, 0, 6)], &[(0, 5)]);
    let refused = |state: &State, order: &Order| plan(state, order, false).map_err(|refusal| refusal.code);
    assert_eq!(refused(&state, &order), Err(RefusalCode::OutOfStock));
    set(&mut state, "two days", "unfillable = \"backorder\"\nbackorder_days = 2");
    assert_eq!(refused(&state, &order), Err(RefusalCode::OutOfStock), "it comes in three days");
    set(&mut state, "three days", "unfillable = \"backorder\"\nbackorder_days = 3");
    let planned = plan(&state, &order, false);
    let proposal = planned.as_ref().expect("two wait");
    assert_eq!((waits(proposal), proposal.plan.policy), (vec![(0, 0, 2)], 2));

    // What the order says itself counts, be it more or less.
    order.supply_by = Some(TODAY + 2);
    assert_eq!(refused(&state, &order), Err(RefusalCode::OutOfStock));
    set(&mut state, "one day", "unfillable = \"backorder\"\nbackorder_days = 1");
    order.supply_by = Some(TODAY + 3);
    assert!(plan(&state, &order, false).is_ok());
    order.supply_by = None;
    assert!(
        matches!(hold(&mut state, &order, &planned, 1), Outcome::Conflict),
        "it obeys another version now"
    );

    set(
        &mut state,
        "three days",
        "unfillable = \"backorder\"\nbackorder_days = 3\nrefuse_when = 'order.units > 4'",
    );
    assert_eq!(refused(&state, &order), Err(RefusalCode::OutOfStock), "it is refused whole");
    order.lines[0].quantity = 4;
    let planned = plan(&state, &order, false);
    assert!(matches!(hold(&mut state, &order, &planned, 2), Outcome::Reply(Reply::Reserved(_))));
}

#[test]
fn days_begin_by_the_policys_clock_and_what_is_picked_up_does_not_wait() {
    let (mut state, mut order) = shop(&[(0, 0, 3)], &[(0, 0, 6)], &[(0, 5)]);
    let backorder = "unfillable = \"backorder\"\nbackorder_days = 2\n";
    set(&mut state, "here", backorder);
    assert!(plan(&state, &order, false).is_err());
    // It is evening in UTC, and the next day in Tokyo.
    set(&mut state, "there", &format!("{backorder}time_zone = \"Asia/Tokyo\""));
    assert_eq!(waits(&plan(&state, &order, false).expect("it comes in two days")), [(0, 0, 2)]);
    order.delivery = Delivery::Pickup { node: NodeIx(0) };
    assert!(plan(&state, &order, false).is_err());
    order.supply_by = Some(TODAY + 3);
    assert!(plan(&state, &order, false).is_ok(), "unless it says so");
}

#[test]
fn what_nodes_keep_back_is_promised_to_nobody_when_plans_made_at_once_are_held() {
    let (mut state, order) = shop(&[], &[(0, 0, 10)], &[(0, 5)]);
    set(
        &mut state,
        "keep",
        "unfillable = \"backorder\"\nbackorder_days = 3\n[[rule]]\nname = \"four\"\nkeep = 'true'\nunits = 4",
    );
    let planned = plan(&state, &order, false);
    assert_eq!(waits(planned.as_ref().expect("six are to be had")), [(0, 0, 5)]);
    assert!(matches!(hold(&mut state, &order, &planned, 1), Outcome::Reply(Reply::Reserved(_))));
    assert!(
        matches!(hold(&mut state, &order, &planned, 2), Outcome::Conflict),
        "four of the five left are kept"
    );
    let one = Order { lines: vec![OrderLine { quantity: 1, ..order.lines[0] }], ..order.clone() };
    let planned_one = plan(&state, &one, false);
    assert!(matches!(hold(&mut state, &one, &planned_one, 3), Outcome::Reply(Reply::Reserved(_))));
    let refusal = plan(&state, &one, false).expect_err("what is left is kept");
    assert_eq!((refusal.code, refusal.detail), (RefusalCode::OutOfStock, 0));
}

#[test]
fn what_is_kept_back_may_come_later_than_what_waits_and_to_another_segment() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut world = World::wide(&mut random, 1, 1, 0.0, 9);
    world.rules.channels = vec![vec![Segment(0), Segment(1)]];
    let mut order = world.wide_order(&mut random, 1, 1);
    order.lines[0].quantity = 7;
    let mut state = world.state();
    let supply = |segment, quantity, day| SupplySpec {
        code: "PO-1".to_owned(),
        sku: SkuIx(0),
        node: NodeIx(0),
        segment: Segment(segment),
        quantity,
        day: TODAY + day,
    };
    run(&mut state, CommandBody::PutSupplies(vec![supply(0, 2, 3), supply(1, 10, 2)]));
    set(
        &mut state,
        "keep",
        "unfillable = \"backorder\"\nbackorder_days = 3\n[[rule]]\nname = \"five\"\nkeep = 'true'\nunits = 5",
    );
    let planned = plan(&state, &order, false);
    let shipments = &planned.as_ref().expect("it waits").plan.shipments;
    assert_eq!(shipments[0].supply_day, TODAY + 3, "what is kept has come by then, too");
    assert!(matches!(hold(&mut state, &order, &planned, 1), Outcome::Reply(Reply::Reserved(_))));
}

#[test]
fn lines_that_go_together_wait_together_where_stock_lacks_them() {
    let coming = [(0, 0, 5), (0, 1, 5), (1, 1, 5), (1, 2, 5)];
    let (mut state, mut order) = shop(&[(2, 0, 9)], &coming, &[(0, 2), (1, 3), (2, 1)]);
    set(&mut state, "together", "[[rule]]\nname = \"two\"\ntogether = 'line.sku in [\"S0\", \"S1\"]'");
    assert_eq!(plan(&state, &order, false).expect_err("nothing waits").code, RefusalCode::OutOfStock);
    order.supply_by = Some(TODAY + 3);
    let planned = plan(&state, &order, false);
    let proposal = planned.as_ref().expect("both come to one node");
    assert_eq!((waits(proposal), proposal.picks.len()), (vec![(1, 0, 2), (1, 1, 3)], 1));
    assert!(matches!(hold(&mut state, &order, &planned, 1), Outcome::Reply(Reply::Reserved(_))));
    // Four of each are left, at no node of both.
    order.lines[0].quantity = 4;
    let refusal = plan(&state, &order, false).expect_err("they do not come to one node");
    assert_eq!((refusal.code, refusal.index), (RefusalCode::OutOfStock, Some(0)));
}

#[test]
fn lines_beside_one_that_is_out_of_sale_wait_where_what_there_is_is_taken() {
    let (mut state, mut order) = shop(&[], &[(0, 0, 6), (1, 0, 6)], &[(0, 5), (1, 4)]);
    order.supply_by = Some(TODAY + 3);
    run(&mut state, CommandBody::RetireSkus(vec![SkuIx(1)]));
    assert_eq!(plan(&state, &order, false).expect_err("it is out of sale").code, RefusalCode::SkuRetired);
    let proposal = plan(&state, &order, true).expect("the other one waits");
    assert_eq!(waits(&proposal), [(0, 0, 5)]);
    assert_eq!(left_out(&proposal), [(1, 4, RefusalCode::SkuRetired)]);
}

#[test]
fn an_order_waits_where_days_are_full() {
    let (mut state, mut order) = shop(&[(0, 0, 9)], &[(0, 0, 6)], &[(0, 2)]);
    order.nodes = vec![NodeIx(0)];
    let one_a_day = DayLoad { orders: 1, ..DayLoad::default() };
    first_works_by(&mut state, always_open(), |spec| spec.day_limit = one_a_day);
    set(&mut state, "no room", "full_day = \"exclude\"");
    let planned = plan(&state, &order, false);
    assert!(matches!(hold(&mut state, &order, &planned, 1), Outcome::Reply(Reply::Reserved(_))));
    assert_eq!(plan(&state, &order, false).expect_err("its day is full").code, RefusalCode::NoNode);
    order.supply_by = Some(TODAY + 3);
    let planned = plan(&state, &order, false);
    assert_eq!(waits(planned.as_ref().expect("its day is a later one")), [(0, 0, 2)]);
    // No stock goes beside its day either.
    assert!(matches!(hold(&mut state, &order, &planned, 2), Outcome::Reply(Reply::Reserved(_))));
    let more = |quantity| Amend {
        reservation: CommandId::new(NOW, [9, 9, 9, 9, 9, 9, 9, 9, 9, 2]),
        lines: vec![AmendLine { line: LineId(0), quantity }],
        best_effort: false,
    };
    assert_eq!(refused(&state, CommandBody::Amend(more(3))), Some(RefusalCode::DayFull));
    assert_eq!(refused(&state, CommandBody::Amend(more(1))), None);
}

#[test]
fn the_number_of_shipments_is_told_where_that_alone_keeps_an_order_from_waiting() {
    let (state, mut order) = shop(&[(0, 0, 9)], &[(1, 1, 6)], &[(0, 2), (1, 4)]);
    (order.supply_by, order.shipments_max) = (Some(TODAY + 3), 1);
    let refusal = plan(&state, &order, false).expect_err("it waits in a shipment of its own");
    assert_eq!(
        (refusal.code, refusal.field, refusal.detail),
        (RefusalCode::TooManyShipments, Field::Shipments, 1)
    );
    let proposal = plan(&state, &order, true).expect("what is in stock");
    assert_eq!(left_out(&proposal), [(1, 4, RefusalCode::TooManyShipments)]);
    order.lines[1].quantity = 7;
    assert_eq!(plan(&state, &order, false).expect_err("less comes").code, RefusalCode::OutOfStock);
    order.supply_by = Some(TODAY);
    assert_eq!(plan(&state, &order, false).expect_err("nothing comes").code, RefusalCode::OutOfStock);
}

#[test]
fn a_refusal_tells_how_much_of_a_line_there_is_in_kits_too() {
    let (mut state, mut order) = shop(&[(1, 0, 5)], &[(0, 0, 6)], &[(0, 2), (3, 4)]);
    let kit = KitSpec { kit: SkuIx(3), components: vec![Component { sku: SkuIx(1), quantity: 2 }] };
    run(&mut state, CommandBody::PutKits(vec![kit]));
    order.supply_by = Some(TODAY + 3);
    let refusal = plan(&state, &order, false).expect_err("nothing comes for them");
    assert_eq!((refusal.code, refusal.index, refusal.detail), (RefusalCode::OutOfStock, Some(1), 2));
}
