//! Supply: what is on its way to cells, said, changed, and received.

use std::collections::HashSet;

use earmark_protocol::ids::{QUANTITY_MAX, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::supply::{Receive, SupplySpec};

use super::Verdict;
use super::check::{self, First};
use super::put::{done, text};
use super::stock::{Change, check_place, on_hand, quantities, write};
use crate::record::Effect;
use crate::state::State;

/// Decides supplies put or changed.
pub(crate) fn put(
    state: &State,
    tenant: Tenant,
    specs: &[SupplySpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let (mut seen, mut new, mut gone) = (HashSet::new(), 0, 0);
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
        let is_known = book.get(*sku, place, code).is_some();
        new += usize::from(!is_known && *quantity > 0);
        gone += usize::from(is_known && *quantity == 0);
        let (sku, place, code) = (*sku, place.0, code.clone());
        effects.push(Effect::Supply { sku, place, code, quantity: *quantity, day: *day });
    }
    first.done()?;
    if new > gone && book.len() + new - gone > state.capacity.cells as usize {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityCells));
    }
    Ok(done(specs.len()))
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
        changes.push(Change {
            sku: cell.sku,
            place,
            after,
            moved: cell.quantity.cast_signed(),
            counted: None,
        });
        supplies.push(Effect::Supply {
            sku: cell.sku,
            place: place.0,
            code: receive.code.clone(),
            quantity: if receive.closes { 0 } else { expected.quantity.saturating_sub(cell.quantity) },
            day: expected.day,
        });
    }
    first.done()?;
    let moved = receive.cells.iter().map(|cell| u64::from(cell.quantity)).sum();
    let verdict = write(state, &changes, moved, effects)?;
    effects.extend(supplies);
    Ok(verdict)
}
