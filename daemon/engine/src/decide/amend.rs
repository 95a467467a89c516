//! Amendments: lines raised or lowered where they are.

use std::collections::HashSet;

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{Amend, AmendLine, StepLine};
use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Status;

use super::Verdict;
use super::check::{self, First};
use super::draft::Draft;
use super::step::{one_sku, rows_of};
use crate::record::{Effect, Stage};
use crate::state::State;

/// Decides an amendment.
pub(crate) fn decide(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    amend: &Amend,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    check::list_len(state.rules(), amend.lines.len(), Field::Line)?;
    let mut draft = Draft::of(state, tenant, &amend.reservation, effects)?;
    check_lines(&draft, amend)?;
    let mut first = First::default();
    if draft.expired(now) {
        first.consider(Refusal::of(RefusalCode::Expired, Field::Reservation));
    }
    let mut ended = Status::Released;
    for (index, line) in amend.lines.iter().enumerate() {
        let mut rows: Vec<usize> =
            rows_of(&draft, &StepLine { line: line.line, node: None, quantity: 0 }).collect();
        if line.quantity > 0 {
            let sku = one_sku(&draft, &rows).map_err(|refusal| refusal.at(index));
            let Some(sku) = first.take(sku) else { continue };
            rows.retain(|row| sku.is_none_or(|sku| draft.rows[*row].sku == sku));
        }
        let units = |stage| rows.iter().map(|row| u64::from(draft.rows[*row].units(stage))).sum::<u64>();
        let held = units(Stage::Held) + units(Stage::Awaited);
        let confirmed = units(Stage::Confirmed) + units(Stage::Backordered);
        let (now_there, wanted) = (held + confirmed, u64::from(line.quantity));
        if wanted < now_there {
            if lower(&mut draft, &rows, now_there - wanted) {
                ended = Status::Cancelled;
            }
        } else if wanted > now_there {
            let stage = match (held, confirmed) {
                (1.., _) => Stage::Held,
                (0, 1..) => Stage::Confirmed,
                (0, 0) => {
                    first.consider(draft.wrong_status_of(index));
                    continue;
                }
            };
            let more = wanted - now_there;
            let raised =
                raise(state, tenant, &mut draft, &rows, stage, more).map_err(|refusal| refusal.at(index));
            let Some(raised) = first.take(raised) else { continue };
            if raised.units < more && !amend.best_effort {
                let code = if raised.day_is_full { RefusalCode::DayFull } else { RefusalCode::OutOfStock };
                let refusal = Refusal::of(code, Field::Line).at(index);
                first.consider(refusal.detail(raised.units.cast_signed()));
            }
        }
    }
    first.done()?;
    let reply = if draft.moved == 0 {
        let (status, deadline) = (draft.head.meta.status, draft.head.deadline);
        draft.settle_with(status, deadline)
    } else {
        draft.settle(ended)
    };
    Ok(Verdict::Done { reply, plan: None })
}

fn check_lines(draft: &Draft<'_>, amend: &Amend) -> Result<(), Refusal> {
    let mut first = First::default();
    let known: HashSet<_> = draft.rows.iter().map(|row| row.line).collect();
    let mut seen = HashSet::new();
    for (index, AmendLine { line, quantity }) in amend.lines.iter().enumerate() {
        if !known.contains(line) {
            first.consider(Refusal::of(RefusalCode::UnknownLine, Field::Line).at(index));
        }
        if !seen.insert(*line) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Line).at(index));
        }
        if *quantity > 0 {
            first.take(check::quantity(*quantity).map_err(|refusal| refusal.at(index)));
        }
    }
    first.done()
}

/// Gives units back, from the last row first, those that wait for supply before those in stock, of both the held before the
/// confirmed; says whether confirmed ones went.
fn lower(draft: &mut Draft<'_>, rows: &[usize], mut less: u64) -> bool {
    let mut cancelled = false;
    for row in rows.iter().rev() {
        for stage in [Stage::Awaited, Stage::Backordered, Stage::Held, Stage::Confirmed] {
            let units = less.min(u64::from(draft.rows[*row].units(stage))) as u32;
            draft.shift(*row, stage, Stage::Free, units);
            less -= u64::from(units);
            cancelled |= units > 0 && matches!(stage, Stage::Confirmed | Stage::Backordered);
        }
    }
    cancelled
}

/// What could be added to a line.
struct Raised {
    units: u64,
    /// Whether a day had no room for what there was.
    day_is_full: bool,
}

/// Takes units from the cells the rows are on, in their order, as far as their days have room.
fn raise(
    state: &State,
    tenant: Tenant,
    draft: &mut Draft<'_>,
    rows: &[usize],
    stage: Stage,
    more: u64,
) -> Result<Raised, Refusal> {
    let (mut left, mut node_stands_in_the_way, mut day_is_full) = (more, false, false);
    for row in rows {
        let value = draft.rows[*row];
        if state.skus.skus.facts(value.sku).is_none_or(|facts| facts.retired) {
            return Err(Refusal::of(RefusalCode::SkuRetired, Field::Sku));
        }
        if state.node(tenant, value.place.node()).is_none_or(|node| node.state != NodeState::Active) {
            node_stands_in_the_way = true;
            continue;
        }
        let room = u64::from(earmark_protocol::ids::QUANTITY_MAX - value.units(stage));
        let available = draft.available(draft.cell(*row)).max(0).unsigned_abs();
        let of_day = draft.room_of_day(tenant, *row);
        day_is_full |= of_day < left.min(available).min(room);
        let units = left.min(available).min(room).min(of_day) as u32;
        draft.shift(*row, Stage::Free, stage, units);
        left -= u64::from(units);
    }
    if left == more && node_stands_in_the_way {
        return Err(Refusal::of(RefusalCode::NodeNotActive, Field::Node));
    }
    Ok(Raised { units: more - left, day_is_full })
}
