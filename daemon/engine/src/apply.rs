//! The only mutator. It applies what a record says, and knows no rules: the same code for live traffic, recovery and
//! replicas.

use std::sync::Arc;

use earmark_protocol::ids::{CommandId, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::Status;

use crate::catalogue::nodes::NodeTable;
use crate::days::Change;
use crate::facts::TextAt;
use crate::inventory::Place;
use crate::inventory::cell::Quantities;
use crate::outcomes::{CompactReply, RememberedOutcome};
use crate::record::{Effect, Record, Stage};
use crate::reservations::ids::Remembered;
use crate::reservations::slot::RowValue;
use crate::reservations::{Forgotten, Opening};
use crate::state::State;
use crate::supply::{Expected, Wait};
use crate::sync::Ordering;

/// Applies a record. Total: a record that [`crate::decide()`] or [`crate::expire()`] made of this very state always fits.
///
/// # Panics
/// When the record does not follow on the state's Lsn, or was made of another state: that is damage, and going on would
/// spread it. And when there is no memory for a new capacity.
pub fn apply(state: &mut State, record: &Record) {
    assert_eq!(record.lsn.0, state.lsn().0 + 1, "a record follows on the one before it");
    state.begin_lsn(record.lsn);
    state.now = state.now.max(record.now);
    let mut nodes_changed = false;
    let mut slot = None;
    for effect in &record.effects {
        match effect {
            Effect::Open { id, content, tenant, class, deadline, rows } => {
                close(state, &mut slot);
                let (content, tenant, class, deadline) = (*content, *tenant, *class, *deadline);
                let (lsn, rows, cell) = (record.lsn, *rows, 0);
                let opening = Opening { id: *id, content, tenant, class, deadline, lsn, rows, cell };
                let opened = open(state, &opening);
                state.reservations.clear_rows(opened);
                slot = Some(opened);
            }
            Effect::Hold { id, content, tenant, class, deadline, cell, line, sku, place, quantity } => {
                close(state, &mut slot);
                let (content, tenant, class, deadline) = (*content, *tenant, *class, *deadline);
                let (lsn, rows, cell) = (record.lsn, 1, *cell);
                let opening = Opening { id: *id, content, tenant, class, deadline, lsn, rows, cell };
                let opened = open(state, &opening);
                let (row, stage) = (RowValue::empty(*line, *sku, Place(*place)), Stage::Held);
                claim(state, record.now, (opened, 0), row, cell, stage, *quantity);
                slot = Some(opened);
            }
            Effect::Touch { slot: touched } => {
                close(state, &mut slot);
                state.reservations.begin(*touched);
                slot = Some(*touched);
            }
            Effect::Expire { slot: expired, cell, quantity } => {
                close(state, &mut slot);
                state.reservations.begin(*expired);
                move_units(state, record.now, (*expired, 0), *cell, (Stage::Held, Stage::Free), *quantity);
                state.reservations.settle(*expired, Status::Expired, TimestampMs(0));
                slot = Some(*expired);
            }
            Effect::Widen { rows } => state.reservations.widen(of_reservation(slot), *rows),
            Effect::Claim { row, cell, line, sku, place, quantity, stage } => {
                let value = RowValue::empty(*line, *sku, Place(*place));
                claim(state, record.now, (of_reservation(slot), *row), value, *cell, *stage, *quantity);
            }
            Effect::Move { row, cell, from, to, quantity } => {
                move_units(state, record.now, (of_reservation(slot), *row), *cell, (*from, *to), *quantity);
            }
            Effect::Wait { row, line, sku, place, from, to, quantity, day } => {
                let value = RowValue::empty(*line, *sku, Place(*place));
                let at = (of_reservation(slot), *row);
                wait(state, record.now, at, value, (*from, *to), *quantity, *day);
            }
            Effect::Settle { status, deadline } => {
                state.reservations.settle(of_reservation(slot), *status, *deadline);
            }
            Effect::Review { waits } => state.reservations.set_review(of_reservation(slot), *waits),
            Effect::Facts { text } => {
                let kept = state.texts.keep(text);
                let old = state.reservations.set_facts(of_reservation(slot), kept);
                state.texts.forget(old);
            }
            Effect::Cells { sku, places } => {
                let places: Vec<Place> = places.iter().copied().map(Place).collect();
                state.inventory.grow(*sku, &places);
            }
            Effect::Stock { sku, place, on_hand, safety, unsellable, moved, counted } => {
                let cell = state
                    .inventory
                    .inventory
                    .find(*sku, Place(*place))
                    .expect("the record makes its cells first");
                state.inventory.change(*sku, cell, |quantities| {
                    *quantities = Quantities {
                        on_hand: *on_hand,
                        safety: *safety,
                        unsellable: *unsellable,
                        ..*quantities
                    };
                });
                if *moved != 0 {
                    keep_movement(state, record.now, *sku, Place(*place), cell, *moved);
                }
                if let Some((source, as_of)) = counted {
                    keep_count(state, *sku, Place(*place), cell, *source, *as_of);
                }
            }
            Effect::Outcome { id, content, tenant, outcome, plan } => {
                keep_outcome(state, record, *id, *content, *tenant, *outcome, plan);
            }
            Effect::Day { node, day, orders, lines, units } => {
                let by = Change { orders: *orders, lines: *lines, units: *units };
                state.shared.days.change(*node, *day, by);
                state.reservations.mark_more(of_reservation(slot));
            }
            Effect::Supply { sku, place, code, quantity, day } => {
                let expected = Expected { quantity: *quantity, day: *day };
                state.shared.supplies.write().put(*sku, Place(*place), code, expected);
            }
            Effect::Sku { tenant, spec } => {
                if state.skus.skus.find(*tenant, &spec.code).is_some() {
                    state.bump_plan_epoch();
                }
                state.skus.put(*tenant, spec);
            }
            Effect::SkuRetired { sku } => {
                state.skus.retire(*sku);
                state.bump_plan_epoch();
            }
            Effect::Node { tenant, spec } => {
                Arc::make_mut(&mut state.nodes).put(*tenant, spec);
                nodes_changed = true;
            }
            Effect::NodeState { node, state: node_state } => {
                let nodes: &mut NodeTable = Arc::make_mut(&mut state.nodes);
                nodes.set_state(*node, *node_state);
                nodes_changed = true;
            }
            Effect::Calendar { tenant, spec } => {
                Arc::make_mut(&mut state.nodes).put_calendar(*tenant, spec);
                nodes_changed = true;
            }
            Effect::Policy { tenant, version, text } => {
                Arc::make_mut(&mut state.policies)
                    .put(*tenant, *version, record.lsn, record.now, text)
                    .expect("a policy is read before it is set");
                state.publish_policies();
                state.bump_plan_epoch();
            }
            Effect::Tariffs { tenant, version, put } => {
                Arc::make_mut(&mut state.nodes).put_tariffs(*tenant, *version, put);
                nodes_changed = true;
            }
            Effect::Kit { kit, components } => {
                Arc::make_mut(&mut state.nodes).put_kit(*kit, components);
                nodes_changed = true;
            }
            Effect::Substitutes { sku, substitutes } => {
                Arc::make_mut(&mut state.nodes).put_substitutes(*sku, substitutes);
                nodes_changed = true;
            }
            Effect::Capacity(capacity) => {
                state.resize(capacity).unwrap_or_else(|error| panic!("{error}"));
                state.begin_lsn(record.lsn);
            }
            Effect::Grace { until } => grant(state, *until),
        }
    }
    close(state, &mut slot);
    if nodes_changed {
        state.publish_nodes();
        state.bump_plan_epoch();
    }
    state.set_lsn(record.lsn);
}

/// Opens a reservation, in the room of the oldest ended one where there is no other; gives its slot. In place, as what it calls
/// is: an opening that is put together in memory would be read in other pieces than it was written in, and each such read
/// waits until all writes before it are done.
#[inline(always)]
fn open(state: &mut State, opening: &Opening) -> u32 {
    let (slot, forgotten) = state.reservations.open(opening);
    if let Some(Forgotten { id, text }) = forgotten {
        remember_forgetting(state, &id);
        state.texts.forget(text);
    }
    slot
}

/// An empty row, of a slot, takes units from its cell.
#[inline(always)]
fn claim(
    state: &mut State,
    now: TimestampMs,
    (slot, row): (u32, u16),
    mut value: RowValue,
    cell: u32,
    stage: Stage,
    quantity: u32,
) {
    value.move_units(Stage::Free, stage, quantity);
    state.reservations.row(slot, row).store(&value);
    move_in_cell(state, now, (value.sku, value.place), cell, Stage::Free, stage, quantity);
}

/// Units of a row, of a slot, go from one stage to another.
#[inline(always)]
fn move_units(
    state: &mut State,
    now: TimestampMs,
    (slot, row): (u32, u16),
    cell: u32,
    (from, to): (Stage, Stage),
    quantity: u32,
) {
    let row = state.reservations.row(slot, row);
    row.move_units(from, to, quantity);
    let of = (row.sku(), row.place());
    move_in_cell(state, now, of, cell, from, to, quantity);
}

/// Units of a row, of a slot, begin to wait for supply, go on waiting in another stage, come into stock, or are given up.
fn wait(
    state: &mut State,
    now: TimestampMs,
    (slot, row): (u32, u16),
    value: RowValue,
    (from, to): (Stage, Stage),
    quantity: u32,
    day: u32,
) {
    let cell = (value.sku, value.place);
    if from == Stage::Free {
        state.reservations.row(slot, row).store(&value);
        state.reservations.mark_more(slot);
        let (reservation, line) = (state.reservations.table.head(slot).id, value.line);
        let wait = Wait { turn: 0, cell, reservation, line, awaited: 0, backordered: 0, day };
        state.shared.supplies.write().begin_to_wait((slot, row), wait);
    }
    state.shared.supplies.write().shift((slot, row), from, to, quantity);
    if to != Stage::Free && !to.waits() {
        let at = state.inventory.inventory.find(value.sku, value.place).expect("a row's cell exists");
        move_units(state, now, (slot, row), at, (Stage::Free, to), quantity);
    }
}

fn of_reservation(slot: Option<u32>) -> u32 {
    slot.expect("a record names the reservation before it changes it")
}

/// Ends the change of the reservation at hand.
fn close(state: &mut State, slot: &mut Option<u32>) {
    if let Some(slot) = slot.take() {
        state.reservations.end(slot);
    }
}

/// All that is held lives at least until then.
fn grant(state: &mut State, until: TimestampMs) {
    for slot in 0..state.reservations.used() {
        let deadline = state.reservations.table.slot(slot).deadline();
        if deadline.0 != 0 && deadline < until {
            let status = state.reservations.table.slot(slot).meta().status;
            state.reservations.begin(slot);
            state.reservations.settle(slot, status, until);
            state.reservations.end(slot);
        }
    }
}

/// The cell follows a row's units. Always inlined, so that where the stages are known nothing is left of the matches.
#[inline(always)]
fn move_in_cell(
    state: &mut State,
    now: TimestampMs,
    (sku, place): (SkuIx, Place),
    cell: u32,
    from: Stage,
    to: Stage,
    quantity: u32,
) {
    state.inventory.change(sku, cell, |quantities| {
        match from {
            Stage::Held => quantities.held -= quantity,
            stage if stage.is_allocated() => quantities.allocated -= quantity,
            _ => {}
        }
        match to {
            Stage::Held => quantities.held += quantity,
            Stage::Shipped => quantities.on_hand -= quantity.cast_signed(),
            stage if stage.is_allocated() => quantities.allocated += quantity,
            _ => {}
        }
    });
    if to == Stage::Shipped {
        keep_movement(state, now, sku, place, cell, -quantity.cast_signed());
    }
}

fn keep_movement(state: &mut State, now: TimestampMs, sku: SkuIx, place: Place, cell: u32, delta: i32) {
    let newest = &state.inventory.inventory.cell(cell).movement;
    let kept = state.movements.keep(now, sku, place, delta, newest.load(Ordering::Relaxed));
    newest.store(kept, Ordering::Relaxed);
}

/// A cell keeps its newest count inline; counts of further sources lie beside. Where one of them is forgotten, counts older
/// than it are too old from now on, as they are when a movement is forgotten.
fn keep_count(state: &mut State, sku: SkuIx, place: Place, cell: u32, source: u16, as_of: TimestampMs) {
    let counted = &state.inventory.inventory.cell(cell).counted;
    let (last_source, last) = unpack_count(counted.load(Ordering::Relaxed));
    if last.0 != 0 && last_source != source {
        state.other_counts.keep((sku.0, place.0, last_source), last);
        state.other_counts.remove((sku.0, place.0, source));
        if let Some(forgotten) = state.other_counts.forget_beyond(state.movements.room()) {
            state.movements.forget_before(forgotten);
        }
    }
    counted.store(u64::from(source) << 48 | (as_of.0 & 0xFFFF_FFFF_FFFF), Ordering::Relaxed);
}

/// The source and time of a cell's newest count; time 0 for none.
pub(crate) fn unpack_count(counted: u64) -> (u16, TimestampMs) {
    ((counted >> 48) as u16, TimestampMs(counted & 0xFFFF_FFFF_FFFF))
}

fn keep_outcome(
    state: &mut State,
    record: &Record,
    id: CommandId,
    content: u64,
    tenant: Tenant,
    outcome: CompactReply,
    plan: &[u8],
) {
    if let Some((forgotten, row, text)) = state.outcomes.next_forgotten() {
        state.ids.remove(&forgotten, Remembered::Outcome(row));
        remember_forgetting(state, &forgotten);
        state.texts.forget(text);
    }
    let text = if plan.is_empty() { TextAt(0) } else { state.texts.keep(plan) };
    let remembered = RememberedOutcome { tenant, content, lsn: record.lsn, outcome, text };
    let row = state.outcomes.keep(id, &remembered);
    state.ids.insert(&id, Remembered::Outcome(row));
}

/// An id that is forgotten must never act again: from now on ids of its time are too old.
fn remember_forgetting(state: &mut State, forgotten: &CommandId) {
    state.forgotten_before = state.forgotten_before.max(TimestampMs(forgotten.time().0 + 1));
}
