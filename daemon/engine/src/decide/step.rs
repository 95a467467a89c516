//! Steps of a reservation: units of its lines go from one stage to the next, wholly or in part.

use std::collections::HashSet;

use earmark_protocol::command::{Extend, Step, StepLine};
use earmark_protocol::ids::{CommandId, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Status;

use super::Verdict;
use super::check;
use super::draft::Draft;
use crate::record::{Effect, Stage};
use crate::reservations::slot::RowValue;
use crate::state::State;

/// Which step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Confirm,
    Release,
    Cancel,
    Dispatch,
    Ready,
    Ship,
    Collect,
}

impl Kind {
    /// The stages units are taken from, in this order.
    fn from(self) -> &'static [Stage] {
        match self {
            Self::Confirm | Self::Release => &[Stage::Held, Stage::Awaited],
            Self::Cancel => &[
                Stage::Held,
                Stage::Confirmed,
                Stage::Dispatched,
                Stage::Ready,
                Stage::Awaited,
                Stage::Backordered,
            ],
            Self::Dispatch => &[Stage::Confirmed],
            Self::Ready | Self::Ship => &[Stage::Dispatched],
            Self::Collect => &[Stage::Ready],
        }
    }

    /// Where units of a stage go.
    fn to(self, from: Stage) -> Stage {
        match self {
            Self::Release | Self::Cancel => Stage::Free,
            Self::Confirm if from == Stage::Awaited => Stage::Backordered,
            Self::Confirm => Stage::Confirmed,
            Self::Dispatch => Stage::Dispatched,
            Self::Ready => Stage::Ready,
            Self::Ship | Self::Collect => Stage::Shipped,
        }
    }

    /// The status of a reservation whose last open unit took this step.
    fn ends_as(self) -> Status {
        match self {
            Self::Confirm => Status::Confirmed,
            Self::Dispatch => Status::Dispatched,
            Self::Ready => Status::Ready,
            Self::Release => Status::Released,
            Self::Cancel => Status::Cancelled,
            Self::Ship => Status::Shipped,
            Self::Collect => Status::Collected,
        }
    }

    /// Whether the deadline must not have passed.
    fn needs_a_live_hold(self) -> bool {
        matches!(self, Self::Confirm | Self::Release)
    }
}

/// Decides a step.
pub(crate) fn decide(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    step: &Step,
    kind: Kind,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    check::list_limit(state.rules(), step.lines.len(), Field::Line)?;
    let mut draft = Draft::of(state, tenant, &step.reservation, effects)?;
    let mut first = check::First::default();
    first.take(check_lines(&draft, &step.lines));
    if kind.needs_a_live_hold() && draft.expired(now) {
        first.consider(Refusal::of(RefusalCode::Expired, Field::Reservation));
    }
    if step.lines.is_empty() {
        for row in 0..draft.rows.len() {
            for from in kind.from() {
                let units = draft.rows[row].units(*from);
                draft.shift(row, *from, kind.to(*from), units);
            }
        }
    } else {
        step_lines(&mut draft, step, kind, &mut first);
    }
    if kind == Kind::Confirm && draft.head.meta.in_review && draft.moved > 0 {
        first.consider(Refusal::of(RefusalCode::InReview, Field::Reservation));
    }
    // Without best effort each line says for itself that nothing of it moves.
    if draft.moved == 0 && (step.best_effort || step.lines.is_empty()) {
        first.consider(draft.wrong_status());
    }
    first.done()?;
    Ok(Verdict::Done { reply: draft.settle(kind.ends_as()), plans: Vec::new() })
}

/// Moves what each line says, and as much as there is where that is too much: the lines after it are judged as well.
fn step_lines(draft: &mut Draft<'_>, step: &Step, kind: Kind, first: &mut check::First) {
    for (index, line) in step.lines.iter().enumerate() {
        let there: u64 = rows_of(draft, line)
            .flat_map(|row| kind.from().iter().map(move |from| (row, *from)))
            .map(|(row, from)| u64::from(draft.rows[row].units(from)))
            .sum();
        let wanted = if line.quantity == 0 { there } else { u64::from(line.quantity) };
        if !step.best_effort && there == 0 {
            first.consider(draft.wrong_status_of(index));
        } else if !step.best_effort && wanted > there {
            let refusal = Refusal::of(RefusalCode::NotEnough, Field::Quantity).at(index);
            first.consider(refusal.detail(there.cast_signed()));
        }
        let mut left = wanted.min(there);
        for from in kind.from() {
            let rows: Vec<usize> = rows_of(draft, line).collect();
            for row in rows {
                let units = left.min(u64::from(draft.rows[row].units(*from))) as u32;
                draft.shift(row, *from, kind.to(*from), units);
                left -= u64::from(units);
            }
        }
    }
}

/// The rows a step line is about, in their order.
pub(crate) fn rows_of(draft: &Draft<'_>, line: &StepLine) -> impl Iterator<Item = usize> {
    let (wanted, node) = (line.line, line.node);
    let is_one = move |row: &RowValue| row.line == wanted && node.is_none_or(|node| node == row.place.node());
    let rows: Vec<usize> =
        draft.rows.iter().enumerate().filter(|(_, row)| is_one(row)).map(|(at, _)| at).collect();
    rows.into_iter()
}

/// Each line must exist, and stand once in the list.
pub(crate) fn check_lines(draft: &Draft<'_>, lines: &[StepLine]) -> Result<(), Refusal> {
    let mut first = check::First::default();
    let known: HashSet<_> =
        draft.rows.iter().flat_map(|row| [(row.line, None), (row.line, Some(row.place.node()))]).collect();
    let mut seen = HashSet::new();
    for (index, line) in lines.iter().enumerate() {
        if !known.contains(&(line.line, line.node)) {
            first.consider(Refusal::of(RefusalCode::UnknownLine, Field::Line).at(index));
        }
        if !seen.insert((line.line, line.node)) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Line).at(index));
        }
        if line.quantity > 0 {
            let rows: Vec<usize> = rows_of(draft, line).collect();
            first.take(one_sku(draft, &rows).map_err(|refusal| refusal.at(index)));
        }
    }
    first.done()
}

/// The sku of which these rows of a line have units in the building, or that wait for supply. A quantity says nothing where there
/// are several, as there are of a kit.
pub(crate) fn one_sku(draft: &Draft<'_>, rows: &[usize]) -> Result<Option<SkuIx>, Refusal> {
    let waits = |row: &RowValue| row.units(Stage::Awaited) > 0 || row.units(Stage::Backordered) > 0;
    let open = rows.iter().map(|row| &draft.rows[*row]).filter(|row| row.open() > 0 || waits(row));
    let mut skus = open.map(|row| row.sku);
    let first = skus.next();
    if skus.all(|sku| Some(sku) == first) {
        return Ok(first);
    }
    Err(Refusal::of(RefusalCode::KitInParts, Field::Quantity))
}

/// Decides a new lifetime.
pub(crate) fn extend(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    extend: &Extend,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut draft = Draft::of(state, tenant, &extend.reservation, effects)?;
    let deadline = check::deadline(state.rules(), now, draft.head.meta.class, extend.lifetime_ms)?;
    if draft.expired(now) {
        return Err(Refusal::of(RefusalCode::Expired, Field::Reservation));
    }
    if !draft.has_deadline() {
        return Err(draft.wrong_status());
    }
    let status = draft.head.meta.status;
    Ok(Verdict::Done { reply: draft.settle_with(status, deadline), plans: Vec::new() })
}

/// Decides that what is held may be confirmed.
pub(crate) fn approve(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    reservation: &CommandId,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut draft = Draft::of(state, tenant, reservation, effects)?;
    if draft.expired(now) {
        return Err(Refusal::of(RefusalCode::Expired, Field::Reservation));
    }
    if !draft.head.meta.in_review || draft.units(Stage::Held) == 0 {
        return Err(draft.wrong_status());
    }
    draft.also(Effect::Review { waits: false }, None);
    let (status, deadline) = (draft.head.meta.status, draft.head.deadline);
    Ok(Verdict::Done { reply: draft.settle_with(status, deadline), plans: Vec::new() })
}
