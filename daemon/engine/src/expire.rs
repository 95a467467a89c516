//! Deadlines that have passed, as records.

use earmark_protocol::ids::{Lsn, TimestampMs};
use earmark_protocol::reply::Status;

use crate::decide::{Decision, Outcome};
use crate::record::{Effect, Stage};
use crate::reservations::slot::{Row, RowValue};
use crate::state::State;

/// Makes a record of at most `most` holds whose deadline has passed; the caller applies it and asks again. `false`,
/// and no record, where none is due. Moves the hand of the timer wheel, which is a hint and no part of the state.
pub fn expire(state: &mut State, now: TimestampMs, most: usize, decision: &mut Decision) -> bool {
    let now = now.max(state.now);
    let mut due = std::mem::take(&mut decision.due);
    state.reservations.due(now, most, &mut due);
    decision.begin(Lsn(state.lsn().0 + 1), now);
    crate::prefetch::prefetch_due(state, &due);
    for slot in &due {
        let table = &state.reservations.table;
        let head = table.head(*slot);
        decision.record.effects.push(Effect::Touch { slot: *slot });
        let mut status = Status::Expired;
        for (row, value) in table.rows(*slot, &head).iter().map(Row::load).enumerate() {
            let quantity = value.units(Stage::Held);
            if quantity > 0 {
                let cell =
                    state.inventory.inventory.find(value.sku, value.place).expect("a row's cell exists");
                let row = row as u16;
                decision.record.effects.push(Effect::Move {
                    row,
                    cell,
                    from: Stage::Held,
                    to: Stage::Free,
                    quantity,
                });
            }
            if let Some(open) = status_of_open(&RowValue {
                stages: {
                    let mut s = value.stages;
                    s[0] = 0;
                    s
                },
                ..value
            }) {
                status = status.min(open);
            }
        }
        decision.record.effects.push(Effect::Settle { status, deadline: TimestampMs(0) });
    }
    decision.outcome = Outcome::Nothing;
    let any = !due.is_empty();
    decision.due = due;
    any
}

/// The least advanced stage in which a row has units that have not left; `None` where it has none.
pub(crate) fn status_of_open(row: &RowValue) -> Option<Status> {
    [
        (Stage::Held, Status::Held),
        (Stage::Confirmed, Status::Confirmed),
        (Stage::Dispatched, Status::Dispatched),
        (Stage::Ready, Status::Ready),
    ]
    .into_iter()
    .find(|(stage, _)| row.units(*stage) > 0)
    .map(|(_, status)| status)
}
