//! Amendments: lines raised or lowered where they are.

use std::collections::{BTreeMap, HashSet};

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{Amend, AmendLine, StepLine};
use earmark_protocol::ids::{LineId, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Status;

use super::Verdict;
use super::check::{self, First};
use super::draft::Draft;
use super::step::rows_of;
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
        let parts = parts_of(&draft, state, line.line);
        if line.quantity == 0 {
            for part in &parts {
                let all = open_units(&draft, part);
                ended = if lower(&mut draft, &part.rows, all) { Status::Cancelled } else { ended };
            }
            continue;
        }
        let Some(now_there) = first.take(whole(&draft, &parts).map_err(|refusal| refusal.at(index))) else {
            continue;
        };
        let wanted = u64::from(line.quantity);
        for part in parts.iter().filter(|_| wanted < now_there) {
            let less = (now_there - wanted) * part.units;
            ended = if lower(&mut draft, &part.rows, less) { Status::Cancelled } else { ended };
        }
        if wanted > now_there {
            let there = |stages: [Stage; 2]| {
                parts.iter().any(|part| stages.iter().any(|stage| units(&draft, part, *stage) > 0))
            };
            let stage = if there([Stage::Held, Stage::Awaited]) {
                Stage::Held
            } else if there([Stage::Confirmed, Stage::Backordered]) {
                Stage::Confirmed
            } else {
                first.consider(draft.wrong_status_of(index));
                continue;
            };
            let more = wanted - now_there;
            let raised =
                raise(state, tenant, &mut draft, &parts, stage, more).map_err(|refusal| refusal.at(index));
            let Some(raised) = first.take(raised) else { continue };
            if raised.quantity < more && !amend.best_effort {
                let code = if raised.day_is_full { RefusalCode::DayFull } else { RefusalCode::OutOfStock };
                let refusal = Refusal::of(code, Field::Line).at(index);
                first.consider(refusal.detail(raised.quantity.cast_signed()));
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
    Ok(Verdict::Done { reply, plans: Vec::new() })
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

/// Rows of a line that are of one sku.
struct Part {
    rows: Vec<usize>,
    /// Units of it that one of the line is: of a kit's line, those of the component in one kit.
    units: u64,
}

/// A line's rows by sku. How many units of each make a kit is what its first plan says: what kits are may have changed since.
fn parts_of(draft: &Draft<'_>, state: &State, line: LineId) -> Vec<Part> {
    let mut parts: BTreeMap<SkuIx, Part> = BTreeMap::new();
    for row in rows_of(draft, &StepLine { line, node: None, quantity: 0 }) {
        let part = parts.entry(draft.rows[row].sku);
        part.or_insert(Part { rows: Vec::new(), units: 1 }).rows.push(row);
    }
    let facts = state.reservations.table.facts(draft.slot).unwrap_or_default();
    let ordered = facts.order.iter().flat_map(|order| &order.lines).find(|ordered| ordered.line == line);
    if let (Some(ordered), Some(plan)) = (ordered, facts.plans.first())
        && !parts.contains_key(&ordered.sku)
    {
        let left_out = plan.unfilled.iter().filter(|left| left.line == line).map(|left| left.quantity);
        let kits = u64::from(ordered.quantity).saturating_sub(left_out.map(u64::from).sum());
        for (sku, part) in &mut parts {
            let planned = plan.shipments.iter().flat_map(|shipment| &shipment.lines);
            let planned = planned.filter(|planned| (planned.line, planned.sku) == (line, *sku));
            let planned: u64 = planned.map(|planned| u64::from(planned.quantity)).sum();
            part.units = (planned / kits.max(1)).max(1);
        }
    }
    parts.into_values().collect()
}

fn units(draft: &Draft<'_>, part: &Part, stage: Stage) -> u64 {
    part.rows.iter().map(|row| u64::from(draft.rows[*row].units(stage))).sum()
}

/// Units of a part that an amendment is about.
fn open_units(draft: &Draft<'_>, part: &Part) -> u64 {
    let stages = [Stage::Held, Stage::Awaited, Stage::Confirmed, Stage::Backordered];
    stages.iter().map(|stage| units(draft, part, *stage)).sum()
}

/// How much of a line an amendment is about; of a kit's line, how many kits. A quantity says nothing where there is more of one
/// component than of another.
fn whole(draft: &Draft<'_>, parts: &[Part]) -> Result<u64, Refusal> {
    let mut quantities = parts.iter().map(|part| (open_units(draft, part), part.units));
    let (there, per) = quantities.next().expect("a line has rows");
    let is_even = |(units, of)| units == there / per * of;
    if there % per == 0 && quantities.all(is_even) {
        return Ok(there / per);
    }
    Err(Refusal::of(RefusalCode::KitInParts, Field::Quantity))
}

/// What could be added to a line.
struct Raised {
    /// Units; of a kit's line, kits.
    quantity: u64,
    /// Whether a day had no room for what there was.
    day_is_full: bool,
}

/// Takes more from the cells the rows are on, of kits as many as can be had whole.
fn raise(
    state: &State,
    tenant: Tenant,
    draft: &mut Draft<'_>,
    parts: &[Part],
    stage: Stage,
    more: u64,
) -> Result<Raised, Refusal> {
    let in_sale = |row: usize| {
        let facts = state.skus.skus.facts(draft.rows[row].sku);
        facts.is_some_and(|facts| !facts.retired)
    };
    if !parts.iter().all(|part| part.rows.first().is_some_and(|row| in_sale(*row))) {
        return Err(Refusal::of(RefusalCode::SkuRetired, Field::Sku));
    }
    if let [part @ Part { units: 1, .. }] = parts {
        return raise_part(state, tenant, draft, &part.rows, stage, more);
    }
    let mark = draft.mark();
    let raise_all = |draft: &mut Draft<'_>, kits: u64| {
        draft.back_to(&mark);
        for part in parts {
            let more = kits.saturating_mul(part.units);
            let raised = raise_part(state, tenant, draft, &part.rows, stage, more);
            match raised {
                Ok(raised) if raised.quantity == more => {}
                Ok(raised) => return Err(Ok(raised.day_is_full)),
                Err(refusal) => return Err(Err(refusal)),
            }
        }
        Ok(())
    };
    // The most that can be had: what stands in the way of one more is told.
    let (mut most, mut too_many) = (0, more);
    let mut why = match raise_all(draft, more) {
        Ok(()) => return Ok(Raised { quantity: more, day_is_full: false }),
        Err(why) => why,
    };
    while too_many - most > 1 {
        let kits = most + (too_many - most) / 2;
        match raise_all(draft, kits) {
            Ok(()) => most = kits,
            Err(new) => (too_many, why) = (kits, new),
        }
    }
    draft.back_to(&mark);
    if most > 0 {
        raise_all(draft, most).expect("it could be had before");
    }
    match why {
        Err(refusal) if most == 0 => Err(refusal),
        _ => Ok(Raised { quantity: most, day_is_full: why == Ok(true) }),
    }
}

/// Takes units of one sku from the cells its rows are on, in their order, as far as their days have room.
fn raise_part(
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
    Ok(Raised { quantity: more - left, day_is_full })
}
