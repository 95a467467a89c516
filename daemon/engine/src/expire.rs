//! Deadlines that have passed, as records.

use earmark_protocol::ids::{Lsn, TimestampMs};
use earmark_protocol::reply::Status;

use crate::decide::{Decision, Outcome, days};
use crate::prefetch::{PREFETCH, prefetch_due};
use crate::record::{Effect, Stage};
use crate::reservations::slot::RowValue;
use crate::state::State;

/// Makes a record of at most `most` holds whose deadline has passed; the caller applies it and asks again. `false`,
/// and no record, where none is due. Moves the hand of the timer wheel, which is a hint and no part of the state.
pub fn expire(state: &mut State, now: TimestampMs, most: usize, decision: &mut Decision) -> bool {
    let now = now.max(state.now);
    let mut due = std::mem::take(&mut decision.due);
    state.reservations.due(now, most, &mut due);
    decision.begin(Lsn(state.lsn().0 + 1), now);
    for due in due.chunks(PREFETCH) {
        prefetch_due(state, due);
        due.iter().for_each(|slot| expire_slot(state, *slot, &mut decision.record.effects));
    }
    decision.outcome = Outcome::Nothing;
    let any = !due.is_empty();
    decision.due = due;
    any
}

/// All that is held goes back; what else the reservation has stays, and says what its status is.
fn expire_slot(state: &State, slot: u32, effects: &mut Vec<Effect>) {
    let table = &state.reservations.table;
    if let [row] = table.rows(slot)
        && !table.slot(slot).meta().takes_more
        && let row = row.load()
        && let [quantity, 0, 0, 0, ..] = row.stages
        && quantity > 0
    {
        let cell = state.inventory.inventory.find_near(row.sku, row.place, table.slot(slot).rows_at());
        let cell = cell.expect("a row's cell exists");
        effects.push(Effect::Expire { slot, cell, quantity });
    } else {
        expire_rows(state, slot, effects);
    }
}

/// The same of a reservation with more than that: kept apart, so that most holds end at little cost.
#[inline(never)]
fn expire_rows(state: &State, slot: u32, effects: &mut Vec<Effect>) {
    let (table, inventory) = (&state.reservations.table, &state.inventory.inventory);
    effects.push(Effect::Touch { slot });
    let mut rows = table.rows_with_waits(slot, &state.shared.supplies);
    let days = table.days(slot);
    let took = days::takes(&rows, &days);
    for (row, value) in rows.iter_mut().enumerate() {
        for stage in [Stage::Held, Stage::Awaited] {
            let quantity = value.units(stage);
            if quantity > 0 {
                let cell = inventory.find(value.sku, value.place).expect("a row's cell exists");
                effects.push(Effect::shift(row as u16, value, cell, (stage, Stage::Free), quantity));
                value.move_units(stage, Stage::Free, quantity);
            }
        }
    }
    days::change(&took, &days::takes(&rows, &days), effects);
    let status = rows.iter().filter_map(status_of_open).min().unwrap_or(Status::Expired);
    effects.push(Effect::Settle { status, deadline: TimestampMs(0) });
}

/// The least advanced stage in which a row has units that have not left; `None` where it has none. What waits for supply is
/// held or confirmed like what is in stock.
pub(crate) fn status_of_open(row: &RowValue) -> Option<Status> {
    [
        (Stage::Held, Status::Held),
        (Stage::Awaited, Status::Held),
        (Stage::Confirmed, Status::Confirmed),
        (Stage::Backordered, Status::Confirmed),
        (Stage::Dispatched, Status::Dispatched),
        (Stage::Ready, Status::Ready),
    ]
    .into_iter()
    .find(|(stage, _)| row.units(*stage) > 0)
    .map(|(_, status)| status)
}
