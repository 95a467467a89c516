//! Memory asked for a batch ahead of its use: a hold touches a handful of cache lines that are nowhere near each other,
//! and waiting for one at a time is most of its cost once cells are many.

use std::collections::VecDeque;

use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::Segment;

use crate::inventory::Place;
use crate::record::{Effect, Record};
use crate::reservations::slot::INLINE_ROWS;
use crate::state::State;

/// Holds whose memory is asked for before the first of them is decided: enough to hide memory behind deciding, few
/// enough to stay in the nearest cache.
pub const PREFETCH: usize = 32;

/// Asks for what deciding these holds will touch, in the order in which one thing leads to the next: index and sku, the
/// words of its run, the cell. It changes nothing but hints, and what it does not find it leaves alone.
pub fn prefetch<'a>(state: &mut State, holds: impl Iterator<Item = &'a HoldOne> + Clone) {
    let State { inventory, reservations, ids, .. } = state;
    let inventory = &inventory.inventory;
    let mut count = 0;
    for hold in holds.clone() {
        ids.prefetch(&hold.id);
        inventory.skus.prefetch(hold.sku);
        count += 1;
    }
    reservations.prefetch_next(count);
    for hold in holds.clone() {
        inventory.prefetch_words(hold.sku);
    }
    for hold in holds {
        if hold.node.0 < earmark_protocol::ids::NodeIx::LIMIT && hold.segment.0 < Segment::LIMIT {
            inventory.prefetch_cell(hold.sku, Place::new(hold.node, hold.segment));
        }
    }
}

/// Asks for what applying these records will touch: entries of new ids, slots, cells and their words, then the skus of
/// reservations that exist. It changes nothing but hints, and what it does not find it leaves alone.
pub fn prefetch_records(state: &mut State, records: &[Record]) {
    let State { inventory, reservations, ids, .. } = state;
    let inventory = &inventory.inventory;
    let mut opened = 0;
    for effect in records.iter().flat_map(|record| &record.effects) {
        match effect {
            Effect::Hold { id, sku, cell, .. } => {
                ids.prefetch(id);
                inventory.skus.prefetch(*sku);
                inventory.prefetch_at(*cell);
                opened += 1;
            }
            Effect::Open { id, .. } => {
                ids.prefetch(id);
                opened += 1;
            }
            Effect::Touch { slot } => reservations.table.prefetch(*slot),
            Effect::Expire { slot, cell, .. } => {
                reservations.table.prefetch(*slot);
                inventory.prefetch_at(*cell);
            }
            Effect::Claim { sku, cell, .. } => {
                inventory.skus.prefetch(*sku);
                inventory.prefetch_at(*cell);
            }
            Effect::Move { cell, .. } => inventory.prefetch_at(*cell),
            Effect::Outcome { id, .. } => ids.prefetch(id),
            _ => {}
        }
    }
    reservations.prefetch_next(opened);
    for effect in records.iter().flat_map(|record| &record.effects) {
        if let Effect::Touch { slot } | Effect::Expire { slot, .. } = effect
            && let Some(sku) = reservations.table.first_sku(*slot)
        {
            inventory.skus.prefetch(sku);
        }
    }
}

/// Does something with each item in order, whose memory is asked for some items before.
pub(crate) fn ahead<T>(items: impl Iterator<Item = T>, ask: impl Fn(&T), mut act: impl FnMut(T)) {
    /// Enough to hide memory behind the work on the items between.
    const AHEAD: usize = 32;
    let mut waiting = VecDeque::with_capacity(AHEAD);
    for item in items {
        ask(&item);
        waiting.push_back(item);
        if waiting.len() == AHEAD {
            waiting.pop_front().into_iter().for_each(&mut act);
        }
    }
    waiting.into_iter().for_each(act);
}

/// Asks for what expiring these slots will touch. Where cells are is guessed, as it was when they were held: those of a
/// sku move only when it comes to further nodes.
pub(crate) fn prefetch_due(state: &State, due: &[u32]) {
    let (inventory, table) = (&state.inventory.inventory, &state.reservations.table);
    for slot in due {
        let rows = table.rows(*slot);
        rows.iter().take(INLINE_ROWS).for_each(|row| inventory.skus.prefetch(row.sku()));
        if rows.len() == 1 {
            inventory.prefetch_at(table.slot(*slot).rows_at());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stage;
    use crate::{Capacity, Rules, digest};

    #[test]
    fn what_a_record_names_and_is_not_there_is_left_alone() {
        let mut state = State::new(&Capacity::smallest(), Rules::default()).unwrap();
        let before = digest(&state);
        let nowhere = u32::MAX;
        let effects = vec![
            Effect::Touch { slot: nowhere },
            Effect::Touch { slot: 0 },
            Effect::Move { row: 9, cell: nowhere, from: Stage::Held, to: Stage::Free, quantity: 1 },
        ];
        prefetch_records(&mut state, &[Record { effects, ..Record::default() }]);
        assert_eq!(digest(&state), before);
    }
}
