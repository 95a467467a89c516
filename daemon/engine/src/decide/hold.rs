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
use crate::supply::Due;

/// Units to be taken from a cell for a line.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) line: LineId,
    pub(crate) sku: SkuIx,
    pub(crate) place: Place,
    pub(crate) cell: u32,
    pub(crate) quantity: u32,
    /// Where they wait for supply, the day on which that is expected; `None` where they are in stock.
    pub(crate) supply_day: Option<u32>,
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
        // A kit has no cells.
        first.consider(match state.nodes.kits.get(wanted.sku) {
            Some(_) => Refusal::of(RefusalCode::SkuIsKit, Field::Sku),
            None => Refusal::of(RefusalCode::UnknownSegment, Field::Segment),
        });
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
            let place = Place::new(wanted.node, wanted.segment);
            claims.push(Claim { line, sku, place, cell, quantity, supply_day: None });
        }
        first.take(of_cell.done().map_err(|refusal| refusal.at(index)));
    }
    first.take(sums_fit(&claims));
    first.done()?;
    let deadline = deadline.expect("a deadline that is missing was refused");
    let short = first_short(state, &claims);
    let due = hold.supply_by.map(|by| Due::until(now, by));
    let plan = match short {
        None => None,
        Some(refusal) if !hold.best_effort && hold.supply_by.is_none() => return Err(refusal),
        Some(_) => {
            let with_supply = |claim: &Claim| available(state, claim) + comes(state, claim, due);
            if let Some(refusal) = first_over(&claims, with_supply).filter(|_| !hold.best_effort) {
                return Err(refusal);
            }
            Some(take_what_there_is(state, &mut claims, due)?)
        }
    };
    let facts = plan.as_ref().map(|plan| Facts { order: None, plans: vec![plan.clone()] });
    let opening = Opening { id, class: hold.class, deadline, claims: &claims, facts: facts.as_ref() };
    open(state, submission, &opening, effects)?;
    Ok(Verdict::Reserved { deadline, plan })
}

/// The summed demand of each cell must stay below the limit.
pub(crate) fn sums_fit(claims: &[Claim]) -> Result<(), Refusal> {
    let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
    for claim in claims {
        let sum = sums.entry(claim.cell).or_default();
        *sum += u64::from(claim.quantity);
        if *sum > u64::from(QUANTITY_MAX) {
            return Err(check::too_large().at(claim.line.0 as usize));
        }
    }
    Ok(())
}

/// Units of a claim's cell that can be promised.
fn available(state: &State, claim: &Claim) -> i64 {
    i64::from(state.inventory.inventory.available_at(claim.cell).max(0))
}

/// Units that come to a claim's cell on these days, and that nobody waits for; what the cell is short is made up for first.
fn comes(state: &State, claim: &Claim, due: Option<Due>) -> i64 {
    let free = |due| state.shared.supplies.read().free(claim.sku, claim.place, due).cast_signed();
    (due.map_or(0, free) - shortage(state, claim)).max(0)
}

/// What a claim's cell is short.
fn shortage(state: &State, claim: &Claim) -> i64 {
    i64::from(state.inventory.inventory.available_at(claim.cell).min(0)).abs()
}

/// The first line of the first cell whose summed demand is more than can be promised.
pub(crate) fn first_short(state: &State, claims: &[Claim]) -> Option<Refusal> {
    first_over(claims, |claim| available(state, claim))
}

/// The first line of the first cell whose summed demand is more than there is.
fn first_over(claims: &[Claim], there: impl Fn(&Claim) -> i64) -> Option<Refusal> {
    let refuse = |index: usize, there: i64| {
        Some(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(index).detail(there))
    };
    if let [claim] = claims {
        let there = there(claim);
        return if there < i64::from(claim.quantity) { refuse(0, there) } else { None };
    }
    let mut by_cell: Vec<(u32, usize)> =
        claims.iter().enumerate().map(|(index, claim)| (claim.cell, index)).collect();
    by_cell.sort_unstable();
    let over = by_cell.chunk_by(|a, b| a.0 == b.0).filter_map(|of_cell| {
        let wanted: u64 = of_cell.iter().map(|(_, index)| u64::from(claims[*index].quantity)).sum();
        let (first, there) = (of_cell[0].1, there(&claims[of_cell[0].1]));
        (there < wanted.cast_signed()).then_some((first, there))
    });
    let (index, there) = over.min_by_key(|(index, _)| *index)?;
    refuse(index, there)
}

/// What is left of a cell while claims are cut down to it.
struct Left {
    stock: i64,
    /// Of what comes by the day.
    supply: i64,
    /// Taken of that, and what the cell is short before.
    waits: i64,
}

/// Cuts claims down to what can be promised, line by line, from stock before supply, and says what came of it.
fn take_what_there_is(state: &State, claims: &mut Vec<Claim>, due: Option<Due>) -> Result<Plan, Refusal> {
    let mut left: BTreeMap<u32, Left> = BTreeMap::new();
    let mut plan = Plan { cost: Money(0), bound: Money(0), ..Plan::default() };
    let mut shipments: BTreeMap<(NodeIx, Option<u32>), Vec<ShipmentLine>> = BTreeMap::new();
    let mut taken = Vec::with_capacity(claims.len());
    for claim in claims.iter() {
        let left = left.entry(claim.cell).or_insert_with(|| Left {
            stock: available(state, claim),
            supply: comes(state, claim, due),
            waits: shortage(state, claim),
        });
        let wanted = i64::from(claim.quantity);
        let in_stock = wanted.min(left.stock);
        let waits = (wanted - in_stock).min(left.supply);
        left.stock -= in_stock;
        left.supply -= waits;
        if in_stock > 0 {
            taken.push(Claim { quantity: in_stock as u32, ..*claim });
        }
        if waits > 0
            && let Some(due) = due
        {
            left.waits += waits;
            let book = state.shared.supplies.read();
            let day = book.day_behind_all(claim.sku, claim.place, left.waits.unsigned_abs(), due);
            assert!(day.is_some(), "as much comes by the day that was asked for");
            taken.push(Claim { quantity: waits as u32, supply_day: day, ..*claim });
        }
        if in_stock + waits < wanted {
            let (line, quantity) = (claim.line, (wanted - in_stock - waits) as u32);
            plan.unfilled.push(Unfilled { line, quantity, reason: RefusalCode::OutOfStock });
        }
    }
    if taken.is_empty() {
        return Err(Refusal::of(RefusalCode::OutOfStock, Field::Line).at(0));
    }
    for Claim { line, sku, place, quantity, supply_day, .. } in &taken {
        let (line, sku, segment, quantity) = (*line, *sku, place.segment(), *quantity);
        let shipped = ShipmentLine { line, sku, segment, quantity };
        shipments.entry((place.node(), *supply_day)).or_default().push(shipped);
    }
    *claims = taken;
    let shipments = shipments.into_iter();
    plan.shipments = shipments
        .map(|((node, supply_day), lines)| Shipment {
            node,
            miles: 0,
            cost: Money(0),
            policy_cost: Money(0),
            carriage: None,
            ship_at_ms: TimestampMs(0),
            promise_at_ms: TimestampMs(0),
            ship_day: 0,
            supply_day: supply_day.unwrap_or(0),
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
    if let [Claim { line, sku, place, cell, quantity, supply_day: None }] = *claims {
        let place = place.0;
        let hold = Effect::Hold { id, content, tenant, class, deadline, cell, line, sku, place, quantity };
        effects.push(hold);
    } else {
        effects.push(Effect::Open { id, content, tenant, class, deadline, rows });
        effects.extend(claims.iter().zip(0..).map(|(claim, row)| {
            let Claim { line, sku, place: Place(place), cell, quantity, supply_day } = *claim;
            if let Some(day) = supply_day {
                let (from, to) = (Stage::Free, Stage::Awaited);
                Effect::Wait { row, line, sku, place, from, to, quantity, day }
            } else {
                Effect::Claim { row, cell, line, sku, place, quantity, stage: Stage::Held }
            }
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
