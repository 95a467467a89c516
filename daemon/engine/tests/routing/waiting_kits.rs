//! Kits that wait: what of their components is not in stock waits for supply, and stock and supply together make whole kits.

use std::collections::BTreeMap;

use earmark_engine::routing::Proposal;
use earmark_engine::{Outcome, State};
use earmark_protocol::command::{
    Amend, AmendLine, CellQuantity, CommandBody, Order, OrderLine, Step, StepLine,
};
use earmark_protocol::ids::{CommandId, LineId, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, RowView};
use earmark_protocol::supply::Receive;

use super::backorders::{NOW, TODAY, hold, left_out, plan, refused, shop, waits};
use super::rollout::set;
use super::world::run;

/// The sku of a kit of one unit of the first sku, and two of the second.
const KIT: u32 = 3;

fn put_kit(state: &mut State, components: &[(u32, u32)]) {
    let components =
        components.iter().map(|(sku, quantity)| Component { sku: SkuIx(*sku), quantity: *quantity });
    run(state, CommandBody::PutKits(vec![KitSpec { kit: SkuIx(KIT), components: components.collect() }]));
}

/// A node with three of the first sku and two of the second, of which five more come; an order of so many kits.
fn kits(quantity: u32) -> (State, Order) {
    let (mut state, mut order) = shop(&[(0, 0, 3), (1, 0, 2)], &[(1, 0, 5)], &[(KIT, quantity)]);
    put_kit(&mut state, &[(0, 1), (1, 2)]);
    order.supply_by = Some(TODAY + 3);
    (state, order)
}

/// Units of each sku that a plan has, from stock or supply.
fn had(proposal: &Proposal) -> BTreeMap<u32, u32> {
    let mut had = BTreeMap::new();
    for line in proposal.plan.shipments.iter().flat_map(|shipment| &shipment.lines) {
        *had.entry(line.sku.0).or_default() += line.quantity;
    }
    had
}

#[test]
fn what_is_not_in_stock_of_a_kit_waits_and_what_makes_no_whole_kit_is_left() {
    let (state, order) = kits(3);
    let proposal = plan(&state, &order, false).expect("all can be had by that day");
    assert_eq!((waits(&proposal), had(&proposal)), (vec![(0, 1, 4)], [(0, 3), (1, 6)].into()));
    assert!(proposal.plan.unfilled.is_empty());

    let (state, order) = kits(5);
    let refusal = plan(&state, &order, false).expect_err("no more of the first sku comes");
    assert_eq!((refusal.code, refusal.index, refusal.detail), (RefusalCode::OutOfStock, Some(0), 3));
    let proposal = plan(&state, &order, true).expect("three can be had");
    assert_eq!(had(&proposal), [(0, 3), (1, 6)].into(), "what is left over is neither held nor waits");
    assert_eq!(left_out(&proposal), [(0, 2, RefusalCode::OutOfStock)]);
}

#[test]
fn as_many_kits_are_promised_as_stock_and_supply_make() {
    let mut random = fastrand::Rng::with_seed(91);
    let (mut waiting, mut none) = (0, 0);
    for turn in 0..400 {
        let per_kit: Vec<(u32, u32)> = (0..3).map(|sku| (sku, random.u32(1..4))).collect();
        let there: Vec<i32> = (0..3).map(|_| random.i32(-2..9)).collect();
        let comes: Vec<u32> = (0..3).map(|_| random.u32(1..9)).collect();
        let stock: Vec<_> = there.iter().enumerate().map(|(sku, units)| (sku, 0, *units)).collect();
        let coming: Vec<_> = comes.iter().enumerate().map(|(sku, units)| (sku, 0, *units)).collect();
        let quantity = random.u32(1..6);
        let (mut state, mut order) = shop(&stock, &coming, &[(KIT, quantity)]);
        put_kit(&mut state, &per_kit);
        order.supply_by = Some(TODAY + 3);
        let of = |(sku, per): &(u32, u32)| {
            let (there, comes) = (there[*sku as usize], comes[*sku as usize] as i32);
            (there.max(0) + (comes + there.min(0)).max(0)) as u32 / per
        };
        let expected = per_kit.iter().map(of).min().expect("three skus").min(quantity);
        match plan(&state, &order, true) {
            Ok(proposal) => {
                let units = per_kit.iter().map(|(sku, per)| (*sku, per * expected)).collect();
                assert_eq!(had(&proposal), units, "turn {turn}: {there:?} {comes:?} {per_kit:?} {quantity}");
                let left: u32 = left_out(&proposal).iter().map(|left| left.1).sum();
                assert_eq!(left, quantity - expected, "turn {turn}");
                waiting += u32::from(!waits(&proposal).is_empty());
            }
            Err(_) => {
                assert_eq!(expected, 0, "turn {turn}: {there:?} {comes:?} {per_kit:?} {quantity}");
                none += 1;
            }
        }
        assert_eq!(plan(&state, &order, false).is_ok(), expected == quantity, "turn {turn}");
    }
    assert!(waiting > 50 && none > 5, "{waiting} {none}");
}

#[test]
fn a_kit_that_goes_together_waits_whole_at_one_node() {
    let stock = [(0, 0, 3), (1, 1, 9)];
    let coming = [(0, 1, 2), (1, 0, 9), (0, 2, 2), (1, 2, 4)];
    let (mut state, mut order) = shop(&stock, &coming, &[(KIT, 2)]);
    put_kit(&mut state, &[(0, 1), (1, 2)]);
    order.supply_by = Some(TODAY + 3);
    set(&mut state, "together", "[[rule]]\nname = \"kits\"\ntogether = 'line.kit == \"S3\"'");
    let proposal = plan(&state, &order, false).expect("all of it comes to some node");
    assert_eq!(had(&proposal), [(0, 2), (1, 4)].into());
    let shipments: Vec<_> = proposal.plan.shipments.iter().map(|shipment| shipment.waits()).collect();
    assert_eq!(shipments, [true], "no node has all of it now: {proposal:?}");
}

#[test]
fn a_kit_that_waits_is_stepped_amended_and_served_as_a_whole() {
    let (mut state, order) = kits(3);
    let planned = plan(&state, &order, false);
    let held = hold(&mut state, &order, &planned, 1);
    assert!(matches!(held, Outcome::Reply(Reply::Reserved(_))), "{held:?}");
    assert_eq!(hold(&mut state, &order, &planned, 2), Outcome::Conflict, "nothing is promised twice");
    let reservation = CommandId::new(NOW, [9, 9, 9, 9, 9, 9, 9, 9, 9, 1]);
    let rows = |state: &State| {
        let view = state.reader().show(Tenant(0), &reservation).expect("it is held");
        let row = |row: &RowView| (row.sku.0, [row.held, row.confirmed, row.awaited, row.backordered]);
        view.rows.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows(&state), [(0, [3, 0, 0, 0]), (1, [2, 0, 0, 0]), (1, [0, 0, 4, 0])]);
    let some = |quantity| {
        let lines = vec![StepLine { line: LineId(0), node: None, quantity }];
        CommandBody::Confirm(Step { reservation, lines, best_effort: false })
    };
    let in_parts = refused(&state, some(1));
    assert_eq!(in_parts, Some(RefusalCode::KitInParts));
    let amend = |quantity| {
        let lines = vec![AmendLine { line: LineId(0), quantity }];
        CommandBody::Amend(Amend { reservation, lines, best_effort: false })
    };
    let more = refused(&state, amend(4));
    assert_eq!(more, Some(RefusalCode::OutOfStock));
    run(&mut state, amend(2));
    assert_eq!(rows(&state), [(0, [2, 0, 0, 0]), (1, [2, 0, 0, 0]), (1, [0, 0, 2, 0])]);
    run(&mut state, some(0));
    assert_eq!(rows(&state), [(0, [0, 2, 0, 0]), (1, [0, 2, 0, 0]), (1, [0, 0, 0, 2])]);
    let cell = CellQuantity { sku: SkuIx(1), node: NodeIx(0), segment: Segment(0), quantity: 5 };
    run(
        &mut state,
        CommandBody::Receive(Receive { code: "PO-1".to_owned(), cells: vec![cell], closes: true }),
    );
    assert_eq!(rows(&state), [(0, [0, 2, 0, 0]), (1, [0, 2, 0, 0]), (1, [0, 2, 0, 0])]);
    // One kit's worth of the first sku is free, and three of the second.
    let one = Order { lines: vec![OrderLine { quantity: 1, ..order.lines[0] }], ..order };
    assert_eq!(waits(&plan(&state, &one, false).expect("it is in stock")), []);
}
