//! Stock: counts, corrections, returns, transfers. Counts may surprise: they are taken even where they fall below what
//! is promised, and the answer says by how much.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use earmark_protocol::command::{AdjustStock, CellQuantity, Disposition, Restock, SetStock, Transfer};
use earmark_protocol::ids::{NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::Verdict;
use super::check::{self, First};
use crate::apply::unpack_count;
use crate::inventory::Place;
use crate::inventory::cell::Quantities;
use crate::outcomes::CompactReply;
use crate::record::Effect;
use crate::state::State;
use crate::sync::Ordering;

/// A change of a cell's stock in the making.
pub(super) struct Change {
    pub(super) sku: SkuIx,
    pub(super) place: Place,
    pub(super) after: Quantities,
    pub(super) moved: i32,
    pub(super) counted: Option<(u16, TimestampMs)>,
}

/// Checks a cell that may have to be made.
pub(super) fn check_place(
    state: &State,
    tenant: Tenant,
    ix: SkuIx,
    node: NodeIx,
    segment: Segment,
    first: &mut First,
    index: Option<usize>,
) -> Option<Place> {
    let at = |refusal: Refusal| index.map_or(refusal, |index| refusal.at(index));
    let sku = first.take(check::sku(&state.reader(), tenant, ix).map_err(at));
    let known = state.node(tenant, node).is_some();
    if !known {
        first.consider(at(Refusal::of(RefusalCode::UnknownNode, Field::Node)));
    }
    let segment_fits = first.take(check::segment(segment).map_err(at));
    if state.nodes.kits.get(ix).is_some() {
        first.consider(at(Refusal::of(RefusalCode::SkuIsKit, Field::Sku)));
    }
    (sku.is_some() && known && segment_fits.is_some()).then(|| Place::new(node, segment))
}

pub(super) fn quantities(state: &State, sku: SkuIx, place: Place) -> Quantities {
    let cell = state.inventory.inventory.find(sku, place);
    cell.map(|cell| state.inventory.inventory.quantities(cell)).unwrap_or_default()
}

/// On hand must stay within the limit, below zero too.
pub(super) fn on_hand(value: i64) -> Result<i32, Refusal> {
    if value.unsigned_abs() > u64::from(QUANTITY_MAX) { Err(check::too_large()) } else { Ok(value as i32) }
}

/// Decides counts.
pub(crate) fn set(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    set: &SetStock,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let as_of = set.as_of.unwrap_or(now);
    let mut first = First::default();
    first.take(check::list_len(state.rules(), set.counts.len(), Field::Line));
    if as_of > now {
        first.consider(Refusal::of(RefusalCode::TimeFromFuture, Field::AsOf).detail(now.0.cast_signed()));
    }
    if as_of < state.movements.kept_since() {
        first.consider(Refusal::of(RefusalCode::CountTooOld, Field::AsOf));
    }
    let mut seen = HashSet::new();
    let mut changes = Vec::with_capacity(set.counts.len().min(state.rules().lines_max as usize));
    for (index, count) in set.counts.iter().enumerate().take(state.rules().lines_max as usize) {
        if count.on_hand.max(count.safety.unwrap_or(0)) > QUANTITY_MAX {
            first.consider(check::too_large().at(index));
        }
        if !seen.insert((count.sku, count.node, count.segment)) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Line).at(index));
        }
        let Some(place) =
            check_place(state, tenant, count.sku, count.node, count.segment, &mut first, Some(index))
        else {
            continue;
        };
        let mut after = quantities(state, count.sku, place);
        let mut since = 0;
        if let Some(cell) = state.inventory.inventory.find(count.sku, place) {
            let row = state.inventory.inventory.cell(cell);
            let (source, last) = unpack_count(row.counted.load(Ordering::Relaxed));
            let other = || state.other_counts.get((count.sku.0, place.0, set.source));
            let last = if source == set.source { Some(last) } else { other() };
            if let Some(last) = last.filter(|last| *last > as_of) {
                let refusal = Refusal::of(RefusalCode::StaleCount, Field::AsOf).at(index);
                first.consider(refusal.detail(last.0.cast_signed()));
            }
            since = state.movements.since(count.sku, place, row.movement.load(Ordering::Relaxed), as_of);
        }
        if let Some(value) =
            first.take(on_hand(i64::from(count.on_hand) + since).map_err(|refusal| refusal.at(index)))
        {
            after.on_hand = value;
        }
        after.safety = count.safety.unwrap_or(after.safety);
        changes.push(Change { sku: count.sku, place, after, moved: 0, counted: Some((set.source, as_of)) });
    }
    first.done()?;
    write(state, &changes, changes.len() as u64, effects)
}

/// Decides corrections.
pub(crate) fn adjust(
    state: &State,
    tenant: Tenant,
    adjust: &AdjustStock,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), adjust.changes.len(), Field::Line));
    let mut seen = HashSet::new();
    let mut changes = Vec::new();
    for (index, change) in adjust.changes.iter().enumerate().take(state.rules().lines_max as usize) {
        if change.delta == 0 {
            first.consider(Refusal::of(RefusalCode::QuantityZero, Field::Quantity).at(index));
        }
        if !seen.insert((change.sku, change.node, change.segment)) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Line).at(index));
        }
        let place =
            check_place(state, tenant, change.sku, change.node, change.segment, &mut first, Some(index));
        let Some(place) = place else { continue };
        let mut after = quantities(state, change.sku, place);
        let value =
            on_hand(i64::from(after.on_hand) + i64::from(change.delta)).map_err(|refusal| refusal.at(index));
        if let Some(value) = first.take(value) {
            after.on_hand = value;
            changes.push(Change { sku: change.sku, place, after, moved: change.delta, counted: None });
        }
    }
    first.done()?;
    let moved = adjust.changes.iter().map(|change| u64::from(change.delta.unsigned_abs())).sum();
    write(state, &changes, moved, effects)
}

/// Decides a return.
pub(crate) fn restock(
    state: &State,
    tenant: Tenant,
    restock: &Restock,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let CellQuantity { sku, node, segment, quantity } = restock.cell;
    let mut first = First::default();
    first.take(check::quantity(quantity));
    let place = check_place(state, tenant, sku, node, segment, &mut first, None);
    first.done()?;
    let place = place.expect("a place that is missing was refused");
    let mut after = quantities(state, sku, place);
    after.on_hand = on_hand(i64::from(after.on_hand) + i64::from(quantity))?;
    if restock.disposition == Disposition::Unsellable {
        after.unsellable += quantity;
        check::quantity(after.unsellable)?;
    }
    let change = Change { sku, place, after, moved: quantity.cast_signed(), counted: None };
    write(state, &[change], u64::from(quantity), effects)
}

/// Decides a transfer.
pub(crate) fn transfer(
    state: &State,
    tenant: Tenant,
    transfer: &Transfer,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let CellQuantity { sku, node, segment, quantity } = transfer.from;
    let mut first = First::default();
    first.take(check::quantity(quantity));
    let from = check_place(state, tenant, sku, node, segment, &mut first, None);
    let to = check_place(state, tenant, sku, transfer.to_node, transfer.to_segment, &mut first, None);
    if from.is_some() && from == to {
        first.consider(Refusal::of(RefusalCode::LineTwice, Field::Node));
    }
    let is_kit = state.nodes.kits.get(sku).is_some();
    if from.is_some_and(|from| !is_kit && state.inventory.inventory.find(sku, from).is_none()) {
        first.consider(Refusal::of(RefusalCode::UnknownSegment, Field::Segment));
    }
    first.done()?;
    let (from, to) = (from.expect("refused above"), to.expect("refused above"));
    let (mut left, mut arrived) = (quantities(state, sku, from), quantities(state, sku, to));
    arrived.on_hand = on_hand(i64::from(arrived.on_hand) + i64::from(quantity))?;
    let available = left.available();
    if available < i64::from(quantity) {
        return Err(Refusal::of(RefusalCode::OutOfStock, Field::Quantity).detail(available.max(0)));
    }
    left.on_hand = on_hand(i64::from(left.on_hand) - i64::from(quantity))?;
    let units = quantity.cast_signed();
    let changes = [
        Change { sku, place: from, after: left, moved: -units, counted: None },
        Change { sku, place: to, after: arrived, moved: units, counted: None },
    ];
    write(state, &changes, u64::from(quantity), effects)
}

/// Makes those of these cells that are new, where there is room for them.
pub(super) fn make_cells(
    state: &State,
    cells: impl Iterator<Item = (SkuIx, Place)>,
    effects: &mut Vec<Effect>,
) -> Result<(), Refusal> {
    let mut new: BTreeMap<SkuIx, BTreeSet<u32>> = BTreeMap::new();
    for (sku, place) in cells.filter(|(sku, place)| state.inventory.inventory.find(*sku, *place).is_none()) {
        new.entry(sku).or_default().insert(place.0);
    }
    let mut trial = state.inventory.trial();
    for (sku, places) in new {
        if !trial.fits(sku, places.len()) {
            return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityCells));
        }
        effects.push(Effect::Cells { sku, places: places.into_iter().collect() });
    }
    Ok(())
}

/// Writes changes down, with the cells they need first, where there is room for them.
fn write(
    state: &State,
    changes: &[Change],
    moved: u64,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let short = write_changes(state, changes, effects)?;
    let reply = CompactReply::Done { status: None, deadline: TimestampMs(0), moved, short };
    Ok(Verdict::Done { reply, plans: Vec::new() })
}

/// The same; says how many units stand below what is promised then.
pub(super) fn write_changes(
    state: &State,
    changes: &[Change],
    effects: &mut Vec<Effect>,
) -> Result<u64, Refusal> {
    make_cells(state, changes.iter().map(|change| (change.sku, change.place)), effects)?;
    effects.extend(changes.iter().map(|change| Effect::Stock {
        sku: change.sku,
        place: change.place.0,
        on_hand: change.after.on_hand,
        safety: change.after.safety,
        unsellable: change.after.unsellable,
        moved: change.moved,
        counted: change.counted,
    }));
    Ok(changes.iter().map(|change| change.after.available().min(0).unsigned_abs()).sum())
}
