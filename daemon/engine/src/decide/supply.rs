//! Supply: what is on its way to cells, said, changed, and received. What arrives goes to those who wait for it, first come
//! first served, in the same step.

use std::collections::{BTreeMap, HashSet};

use earmark_protocol::ids::{QUANTITY_MAX, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::supply::{Receive, SupplySpec};

use super::Verdict;
use super::check::{self, First};
use super::put::text;
use super::stock::{Change, check_place, make_cells, on_hand, quantities, write_changes};
use crate::inventory::Place;
use crate::outcomes::CompactReply;
use crate::record::{Effect, Stage};
use crate::state::State;

/// Decides supplies put or changed. The answer's `short` is what then waits for supply that does not come.
pub(crate) fn put(
    state: &State,
    tenant: Tenant,
    specs: &[SupplySpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let (mut seen, mut new, mut gone) = (HashSet::new(), 0, 0);
    let (mut supplies, mut more) = (Vec::new(), BTreeMap::<(SkuIx, Place), i64>::new());
    let book = state.shared.supplies.read();
    for (index, spec) in specs.iter().enumerate().take(state.rules().lines_max as usize) {
        let SupplySpec { code, sku, node, segment, quantity, day } = spec;
        first.take(text(code, false, Field::Code).map_err(|refusal| refusal.at(index)));
        if *quantity > QUANTITY_MAX {
            first.consider(check::too_large().at(index));
        }
        if !seen.insert((sku, node, segment, code)) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Line).at(index));
        }
        let place = check_place(state, tenant, *sku, *node, *segment, &mut first, Some(index));
        let Some(place) = place else { continue };
        let before = book.get(*sku, place, code);
        new += usize::from(before.is_none() && *quantity > 0);
        gone += usize::from(before.is_some() && *quantity == 0);
        let before = before.map_or(0, |expected| expected.quantity);
        *more.entry((*sku, place)).or_default() += i64::from(*quantity) - i64::from(before);
        let (sku, place, code) = (*sku, place.0, code.clone());
        supplies.push(Effect::Supply { sku, place, code, quantity: *quantity, day: *day });
    }
    first.done()?;
    if new > gone && book.len() + new - gone > state.capacity.cells as usize {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityCells));
    }
    let bring = specs.iter().filter(|spec| spec.quantity > 0);
    make_cells(state, bring.map(|spec| (spec.sku, Place::new(spec.node, spec.segment))), effects)?;
    effects.extend(supplies);
    let in_vain = more.into_iter().map(|((sku, place), more)| {
        let (waiting, expected) = book.load(sku, place);
        waiting.saturating_sub(expected.saturating_add_signed(more))
    });
    Ok(done(specs.len() as u64, in_vain.sum()))
}

fn done(moved: u64, short: u64) -> Verdict {
    let (status, deadline) = (None, TimestampMs(0));
    Verdict::Done { reply: CompactReply::Done { status, deadline, moved, short }, plans: Vec::new() }
}

/// Decides units of a supply that arrived. They are taken whatever was expected: they are there.
pub(crate) fn receive(
    state: &State,
    tenant: Tenant,
    receive: &Receive,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), receive.cells.len(), Field::Line));
    let (mut seen, mut changes, mut supplies) = (HashSet::new(), Vec::new(), Vec::new());
    for (index, cell) in receive.cells.iter().enumerate().take(state.rules().lines_max as usize) {
        let at = |refusal: Refusal| refusal.at(index);
        first.take(check::quantity(cell.quantity).map_err(at));
        if !seen.insert((cell.sku, cell.node, cell.segment)) {
            first.consider(at(Refusal::of(RefusalCode::LineTwice, Field::Line)));
        }
        let place = check_place(state, tenant, cell.sku, cell.node, cell.segment, &mut first, Some(index));
        let Some(place) = place else { continue };
        let Some(expected) = state.shared.supplies.read().get(cell.sku, place, &receive.code) else {
            first.consider(at(Refusal::of(RefusalCode::UnknownSupply, Field::Code)));
            continue;
        };
        let mut after = quantities(state, cell.sku, place);
        let units = on_hand(i64::from(after.on_hand) + i64::from(cell.quantity)).map_err(at);
        let Some(units) = first.take(units) else { continue };
        after.on_hand = units;
        let moved = cell.quantity.cast_signed();
        changes.push(Change { sku: cell.sku, place, after, moved, counted: None });
        let left = if receive.closes { 0 } else { expected.quantity.saturating_sub(cell.quantity) };
        supplies.push((left, expected));
    }
    first.done()?;
    let moved = receive.cells.iter().map(|cell| u64::from(cell.quantity)).sum();
    let mut short = write_changes(state, &changes, effects)?;
    for (Change { sku, place, after, .. }, (left, before)) in changes.iter().zip(supplies) {
        let (sku, place, code) = (*sku, *place, receive.code.clone());
        effects.push(Effect::Supply { sku, place: place.0, code, quantity: left, day: before.day });
        let served = serve(state, sku, place, after.available(), effects);
        let (waiting, expected) = state.shared.supplies.read().load(sku, place);
        let expected = expected - u64::from(before.quantity) + u64::from(left);
        short += (waiting - served).saturating_sub(expected);
    }
    Ok(done(moved, short))
}

/// Gives what is available of a cell to those who wait for it, in their turn, of each the confirmed before the held; says how
/// many units.
fn serve(state: &State, sku: SkuIx, place: Place, available: i64, effects: &mut Vec<Effect>) -> u64 {
    let there = available.max(0).unsigned_abs();
    let mut left = there;
    for ((slot, row), wait) in state.shared.supplies.read().queue(sku, place) {
        let stages = [
            (wait.backordered, Stage::Backordered, Stage::Confirmed),
            (wait.awaited, Stage::Awaited, Stage::Held),
        ];
        for (units, from, to) in stages {
            let quantity = left.min(u64::from(units)) as u32;
            if quantity > 0 {
                let (line, place) = (wait.line, place.0);
                effects.push(Effect::Touch { slot });
                effects.push(Effect::Wait { row, line, sku, place, from, to, quantity, day: 0 });
                left -= u64::from(quantity);
            }
        }
        if left == 0 {
            break;
        }
    }
    there - left
}
