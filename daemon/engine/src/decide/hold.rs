//! Plain holds: quantities of named cells.

use std::collections::BTreeMap;

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{CellQuantity, Hold};
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{CommandId, LineId, Money, NodeIx, QUANTITY_MAX, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Shipment, ShipmentLine, Unfilled};

use super::check::{self, First};
use super::days::{self, Takes};
use super::{Submission, Verdict};
use crate::facts::Facts;
use crate::inventory::Place;
use crate::record::{Effect, Record, Stage};
use crate::reservations::slot::RowValue;
use crate::state::State;

/// Units to be taken from a cell for a line.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) line: LineId,
    pub(crate) sku: SkuIx,
    pub(crate) place: Place,
    pub(crate) cell: u32,
    pub(crate) quantity: u32,
}

/// Decides a hold of one cell.
#[inline]
pub(crate) fn decide_one(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    content: u64,
    one: &HoldOne,
    record: &mut Record,
) -> Result<TimestampMs, Refusal> {
    let HoldOne { id, sku, node, quantity, lifetime_ms, segment, class, flags, .. } = *one;
    let wanted = CellQuantity { sku, node, segment, quantity };
    let mut first = First::default();
    if flags != 0 {
        first.consider(Refusal::of(RefusalCode::UnknownFlag, Field::Flags));
    }
    let cell = check_cell(state, tenant, &wanted, &mut first);
    let deadline = first.take(check::deadline(state.rules(), now, class, lifetime_ms));
    first.done()?;
    let (Some(cell), Some(deadline)) = (cell, deadline) else { unreachable!("what is missing was refused") };
    let available = state.inventory.inventory.available_at(cell);
    if i64::from(available) < i64::from(quantity) {
        return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).detail(i64::from(available.max(0))));
    }
    if state.reservations.next_slot().is_none() {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityReservations));
    }
    let (line, place) = (LineId(0), Place::new(node, segment).0);
    record.effects.push(Effect::Hold {
        id,
        content,
        tenant,
        class,
        deadline,
        cell,
        line,
        sku,
        place,
        quantity,
    });
    Ok(deadline)
}

/// Checks one named cell; `None` where it was refused.
#[inline]
fn check_cell(state: &State, tenant: Tenant, wanted: &CellQuantity, first: &mut First) -> Option<u32> {
    first.take(check::quantity(wanted.quantity));
    let facts = state.skus.skus.facts(wanted.sku).filter(|facts| facts.tenant == tenant);
    let node = state.node(tenant, wanted.node);
    let segment = first.take(check::segment(wanted.segment));
    match facts {
        None => first.consider(Refusal::of(RefusalCode::UnknownSku, Field::Sku)),
        Some(facts) if facts.retired => first.consider(Refusal::of(RefusalCode::SkuRetired, Field::Sku)),
        Some(_) => {}
    }
    match node {
        None => first.consider(Refusal::of(RefusalCode::UnknownNode, Field::Node)),
        Some(node) if node.state != NodeState::Active => {
            first.consider(Refusal::of(RefusalCode::NodeNotActive, Field::Node));
        }
        Some(_) => {}
    }
    if facts.is_none() || node.is_none() || segment.is_none() {
        return None;
    }
    let cell = state.inventory.inventory.find(wanted.sku, Place::new(wanted.node, wanted.segment));
    if cell.is_none() {
        first.consider(Refusal::of(RefusalCode::UnknownSegment, Field::Segment));
    }
    cell
}

/// Decides a hold of a list of cells.
pub(crate) fn decide(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    id: CommandId,
    hold: &Hold,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let rules = state.rules();
    let mut first = First::default();
    first.take(check::list_len(rules, hold.cells.len(), Field::Line));
    let deadline = first.take(check::deadline(rules, now, hold.class, hold.lifetime_ms));
    let mut claims = Vec::with_capacity(hold.cells.len().min(rules.lines_max as usize));
    for (index, wanted) in hold.cells.iter().enumerate().take(rules.lines_max as usize) {
        let mut of_cell = First::default();
        if let Some(cell) = check_cell(state, submission.tenant, wanted, &mut of_cell) {
            let (line, sku, quantity) = (LineId(index as u32), wanted.sku, wanted.quantity);
            claims.push(Claim { line, sku, place: Place::new(wanted.node, wanted.segment), cell, quantity });
        }
        first.take(of_cell.done().map_err(|refusal| refusal.at(index)));
    }
    first.take(sums_fit(&claims));
    first.done()?;
    let deadline = deadline.expect("a deadline that is missing was refused");
    let short = first_short(state, &claims);
    let plan = match short {
        None => None,
        Some(refusal) if !hold.best_effort => return Err(refusal),
        Some(_) => Some(take_what_there_is(state, &mut claims)?),
    };
    let facts = plan.as_ref().map(|plan| Facts { order: None, plans: vec![plan.clone()] });
    let opening = Opening { id, class: hold.class, deadline, claims: &claims, facts: facts.as_ref() };
    open(state, submission, &opening, effects)?;
    Ok(Verdict::Reserved { deadline, plan })
}

/// The summed demand of each cell must stay below the limit.
pub(crate) fn sums_fit(claims: &[Claim]) -> Result<(), Refusal> {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        let sum = sums.entry(claim.cell).or_default();
        *sum += u64::from(claim.quantity);
        if *sum > u64::from(QUANTITY_MAX) {
            return Err(check::too_large().at(index));
        }
    }
    Ok(())
}

/// The first line of the first cell whose summed demand is more than can be promised.
pub(crate) fn first_short(state: &State, claims: &[Claim]) -> Option<Refusal> {
    let available = |cell| state.inventory.inventory.available_at(cell);
    let refuse = |index: usize, available: i32| {
        let refusal = Refusal::of(RefusalCode::OutOfStock, Field::Line).at(index);
        Some(refusal.detail(i64::from(available.max(0))))
    };
    if let [claim] = claims {
        let available = available(claim.cell);
        return if i64::from(available) < i64::from(claim.quantity) { refuse(0, available) } else { None };
    }
    let mut by_cell: Vec<(u32, usize)> =
        claims.iter().enumerate().map(|(index, claim)| (claim.cell, index)).collect();
    by_cell.sort_unstable();
    let short = by_cell.chunk_by(|a, b| a.0 == b.0).filter(|of_cell| {
        let wanted: u64 = of_cell.iter().map(|(_, index)| u64::from(claims[*index].quantity)).sum();
        i64::from(available(of_cell[0].0)) < wanted.cast_signed()
    });
    let (cell, index) = short.map(|of_cell| of_cell[0]).min_by_key(|(_, index)| *index)?;
    refuse(index, available(cell))
}

/// Cuts claims down to what can be promised, line by line, and says what came of it.
fn take_what_there_is(state: &State, claims: &mut Vec<Claim>) -> Result<Plan, Refusal> {
    let mut left: BTreeMap<u32, i64> = BTreeMap::new();
    let mut plan = Plan { cost: Money(0), bound: Money(0), ..Plan::default() };
    let mut shipments: BTreeMap<NodeIx, Vec<ShipmentLine>> = BTreeMap::new();
    claims.retain_mut(|claim| {
        let left = left
            .entry(claim.cell)
            .or_insert_with(|| i64::from(state.inventory.inventory.available_at(claim.cell)));
        let got = i64::from(claim.quantity).min((*left).max(0)) as u32;
        *left -= i64::from(got);
        if got < claim.quantity {
            let quantity = claim.quantity - got;
            plan.unfilled.push(Unfilled { line: claim.line, quantity, reason: RefusalCode::OutOfStock });
        }
        claim.quantity = got;
        if got > 0 {
            let (line, sku, segment) = (claim.line, claim.sku, claim.place.segment());
            let shipped = ShipmentLine { line, sku, segment, quantity: got };
            shipments.entry(claim.place.node()).or_default().push(shipped);
        }
        got > 0
    });
    if claims.is_empty() {
        return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(0));
    }
    let shipments = shipments.into_iter();
    plan.shipments = shipments
        .map(|(node, lines)| Shipment {
            node,
            miles: 0,
            cost: Money(0),
            policy_cost: Money(0),
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            lines,
        })
        .collect();
    Ok(plan)
}

/// A reservation to be opened.
pub(crate) struct Opening<'a> {
    pub(crate) id: CommandId,
    pub(crate) class: earmark_protocol::ids::HoldClass,
    pub(crate) deadline: TimestampMs,
    pub(crate) claims: &'a [Claim],
    pub(crate) facts: Option<&'a Facts>,
}

/// Writes a reservation down, where there is room for it.
pub(crate) fn open(
    state: &State,
    submission: &Submission<'_>,
    opening: &Opening<'_>,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let full = |field| Refusal::of(RefusalCode::CapacityReached, field);
    let Opening { id, class, deadline, claims, facts } = *opening;
    let text = facts.map(Facts::to_bytes).unwrap_or_default();
    if state.reservations.next_slot().is_none() {
        return Err(full(Field::CapacityReservations));
    }
    if !state.reservations.rows_fit(claims.len()) {
        return Err(full(Field::CapacityLines));
    }
    if !state.texts.fits(&[text.len()]) {
        return Err(full(Field::CapacityFacts));
    }
    let (content, tenant, rows) = (submission.content, submission.tenant, claims.len() as u16);
    if let [Claim { line, sku, place, cell, quantity }] = *claims {
        let place = place.0;
        let hold = Effect::Hold { id, content, tenant, class, deadline, cell, line, sku, place, quantity };
        effects.push(hold);
    } else {
        effects.push(Effect::Open { id, content, tenant, class, deadline, rows });
        effects.extend(claims.iter().enumerate().map(|(row, claim)| {
            let Claim { line, sku, place, cell, quantity } = *claim;
            Effect::Claim { row: row as u16, cell, line, sku, place: place.0, quantity, stage: Stage::Held }
        }));
    }
    if let Some(facts) = facts {
        let row = |claim: &Claim| {
            let mut row = RowValue::empty(claim.line, claim.sku, claim.place);
            row.move_units(Stage::Free, Stage::Held, claim.quantity);
            row
        };
        let days = facts.days();
        if days.iter().any(|day| *day > 0) {
            let rows: Vec<_> = claims.iter().map(row).collect();
            days::change(&Takes::new(), &days::takes(&rows, &days), effects);
        }
        effects.push(Effect::Facts { text });
    }
    Ok(())
}
