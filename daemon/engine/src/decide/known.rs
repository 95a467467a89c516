//! Ids: whether a command was decided before, and what was answered then.

use earmark_protocol::codec;
use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, Reserved};

use crate::facts::TextAt;
use crate::outcomes::RememberedOutcome;
use crate::reservations::ids::Remembered;
use crate::state::State;

/// What is known of an id.
pub(crate) enum Known {
    /// Nothing: the command is new.
    No,
    /// It can never act. This is not remembered, and takes no place in the log.
    Refused(Refusal),
    /// It made the reservation in this slot.
    Slot(u32),
    /// It had this outcome.
    Outcome(RememberedOutcome),
}

/// Looks an id up: first its form and time, then whether it was used.
#[inline]
pub(crate) fn look_up(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    id: &CommandId,
    content: u64,
) -> Known {
    let refused = |code, detail: u64| {
        Known::Refused(Refusal::of(code, Field::Id).detail(i64::try_from(detail).unwrap_or(i64::MAX)))
    };
    if !id.is_v7() {
        return refused(RefusalCode::IdMalformed, 0);
    }
    let (time, newest) = (id.time(), now.plus_ms(state.rules().id_future_ms));
    if time > newest {
        return refused(RefusalCode::IdFromFuture, newest.0);
    }
    let horizon = state.retry_horizon(now);
    if time < horizon {
        return refused(RefusalCode::IdTooOld, horizon.0);
    }
    let table = &state.reservations.table;
    let is_there = |found| match found {
        Remembered::Slot(slot) => table.is(slot, tenant, id),
        Remembered::Outcome(row) => state.outcomes.id(row) == *id && state.outcomes.get(row).tenant == tenant,
    };
    match state.ids.find(id, is_there) {
        None => Known::No,
        Some(Remembered::Slot(slot)) if table.slot(slot).content() == content => Known::Slot(slot),
        Some(Remembered::Outcome(row)) if state.outcomes.get(row).content == content => {
            Known::Outcome(state.outcomes.get(row))
        }
        Some(_) => refused(RefusalCode::IdReused, 0),
    }
}

/// The slot of a tenant's reservation.
pub(crate) fn reservation(state: &State, tenant: Tenant, id: &CommandId) -> Result<u32, Refusal> {
    let is_there =
        |found| matches!(found, Remembered::Slot(slot) if state.reservations.table.is(slot, tenant, id));
    match state.ids.find(id, is_there) {
        Some(Remembered::Slot(slot)) => Ok(slot),
        _ => Err(Refusal::of(RefusalCode::UnknownReservation, Field::Reservation)),
    }
}

/// What was answered when this reservation was made, with its present status.
pub(crate) fn reserved(state: &State, slot: u32) -> Reply {
    let table = &state.reservations.table;
    let head = table.head(slot);
    let plan = table.facts(slot).and_then(|facts| facts.plans.into_iter().next());
    Reply::Reserved(Reserved { lsn: Lsn(head.lsn), status: head.meta.status, deadline: head.deadline, plan })
}

/// What was answered then.
pub(crate) fn reply(state: &State, kept: &RememberedOutcome) -> Reply {
    let text = (kept.text != TextAt(0)).then(|| state.texts.texts.read(kept.text));
    let plans = text.and_then(|text| codec::decode::<Vec<Plan>>(&text).ok());
    kept.outcome.reply(kept.lsn, plans.unwrap_or_default())
}

/// Plans in the form they are remembered in; nothing for none.
pub(crate) fn plans_text(plans: &[Plan]) -> Vec<u8> {
    let mut text = Vec::new();
    if !plans.is_empty() {
        codec::encode(&plans, &mut text);
    }
    text
}
