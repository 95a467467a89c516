//! Rejections: a node says it cannot. Its stock is corrected and the lines are routed again, in one step.

use std::collections::{BTreeMap, HashMap};

use earmark_protocol::command::{Correction, Reject, StepLine};
use earmark_protocol::ids::{LineId, QUANTITY_MAX, SkuIx, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Status, Unfilled};

use super::check::{self, First};
use super::draft::Draft;
use super::hold::Claim;
use super::reserve::{claims, is_current, picks_within};
use super::{Decision, Submission, Verdict, step};
use crate::inventory::Place;
use crate::record::{Effect, Stage};
use crate::routing::Planner;
use crate::state::State;

/// Longest reason, in bytes.
const REASON_LEN_MAX: usize = 200;

/// Units of one sku of a line that the node gives up: those that were only held, and those that were confirmed or further.
#[derive(Clone, Copy, Default)]
struct GivenUp {
    held: u64,
    confirmed: u64,
}

/// Decides a rejection.
pub(crate) fn decide(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    reject: &Reject,
    decision: &mut Decision,
) -> Result<Verdict, Refusal> {
    let mut effects = std::mem::take(&mut decision.record.effects);
    let verdict = verdict(state, now, submission, reject, decision.planner.at(now), &mut effects);
    decision.record.effects = effects;
    verdict
}

fn verdict(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    reject: &Reject,
    planner: &mut Planner,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = check_fields(state, submission, reject);
    let draft = first.take(Draft::of(state, submission.tenant, &reject.reservation, effects));
    let Some(mut draft) = draft else {
        return Err(first.done().expect_err("the reservation is unknown"));
    };
    check_lines(&draft, reject, &mut first);
    if draft.expired(now) && draft.has_deadline() {
        first.consider(Refusal::of(RefusalCode::Expired, Field::Reservation));
    }
    let (given_up, cells) = give_up(&mut draft, reject, &mut first);
    correct(state, &mut draft, reject.correction, &cells, &mut first);
    first.done()?;
    if given_up.is_empty() {
        return Err(draft.wrong_status());
    }
    let rejected = draft.moved;
    let confirmed: u64 = given_up.values().map(|units| units.confirmed).sum();
    let plans = if reject.reroute {
        let Ok(replanned) = replan(state, now, submission, reject, &given_up, planner) else {
            return Ok(Verdict::Conflict);
        };
        let plan = with_unfilled(&replanned, &given_up);
        draft.plan_rows(&replanned.plan);
        place_again(state, &mut draft, given_up, &replanned.claims)?;
        keep_plan(state, submission, &mut draft, reject, &plan)?;
        vec![plan]
    } else {
        Vec::new()
    };
    draft.moved = rejected;
    let ended = if confirmed > 0 { Status::Cancelled } else { Status::Released };
    Ok(Verdict::Done { reply: draft.settle(ended), plans })
}

fn check_fields(state: &State, submission: &Submission<'_>, reject: &Reject) -> First {
    let mut first = First::default();
    first.take(check::list_limit(state.rules(), reject.lines.len(), Field::Line));
    if state.node(submission.tenant, reject.node).is_none() {
        first.consider(Refusal::of(RefusalCode::UnknownNode, Field::Node));
    }
    if reject.reason.len() > REASON_LEN_MAX || reject.reason.chars().any(char::is_control) {
        let refusal = Refusal::of(RefusalCode::TextTooLong, Field::Reason);
        first.consider(refusal.detail(REASON_LEN_MAX as i64));
    }
    first
}

/// Lines of a rejection are at the rejecting node, whether they say so or not.
fn check_lines(draft: &Draft<'_>, reject: &Reject, first: &mut First) {
    for (index, line) in reject.lines.iter().enumerate() {
        if line.node.is_some_and(|node| node != reject.node) {
            first.consider(Refusal::of(RefusalCode::UnknownLine, Field::Node).at(index));
        }
    }
    let lines: Vec<StepLine> =
        reject.lines.iter().map(|line| StepLine { node: Some(reject.node), ..*line }).collect();
    first.take(step::check_lines(draft, &lines));
}

/// Where rejected lines could go.
struct Replanned {
    plan: Plan,
    claims: Vec<Claim>,
    /// Why a line found no place, where the plan does not say.
    why: RefusalCode,
}

impl Replanned {
    fn nowhere(why: RefusalCode) -> Self {
        Self { plan: Plan::default(), claims: Vec::new(), why }
    }
}

/// The plan does not hold any more; plan again.
struct Again;

fn replan(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    reject: &Reject,
    given_up: &BTreeMap<(LineId, SkuIx), GivenUp>,
    planner: &mut Planner,
) -> Result<Replanned, Again> {
    let tenant = submission.tenant;
    let reader = state.reader();
    let Some(rest) = reader.rest_to_reroute(tenant, reject) else {
        // A plain hold has no destination, and what has nothing at the node has nothing to place.
        return Ok(Replanned::nowhere(RefusalCode::NoNode));
    };
    let wanted: HashMap<(LineId, SkuIx), u64> =
        given_up.iter().map(|(of_line, units)| (*of_line, units.held + units.confirmed)).collect();
    let of = |proposal: &crate::routing::Proposal| {
        let claims = claims(state, now, tenant, proposal)?;
        let elsewhere = proposal.picks.iter().all(|pick| pick.node != reject.node);
        (elsewhere && picks_within(&proposal.picks, &wanted)).then(|| Replanned {
            plan: proposal.plan.clone(),
            claims,
            why: RefusalCode::NoNode,
        })
    };
    match submission.planned {
        // No other node can serve any of it.
        Some(Err(refusal)) => return Ok(Replanned::nowhere(refusal.code)),
        Some(Ok(proposal)) if is_current(state, now, tenant, &rest.order, proposal, planner) => {
            if let Some(replanned) = of(proposal) {
                return Ok(replanned);
            }
        }
        _ => {}
    }
    if !submission.last {
        return Err(Again);
    }
    // The last attempt is made whatever the size: a rejection corrects stock, and must not be lost.
    match planner.plan_rest(&reader, reader.lanes(), tenant, &rest, reject.node) {
        Ok(proposal) => Ok(of(&proposal).unwrap_or_else(|| Replanned::nowhere(RefusalCode::Contended))),
        Err(refusal) => Ok(Replanned::nowhere(refusal.code)),
    }
}

/// Units given up, by line and sku; and by cell, with the cell's sku and place.
type GaveUp = (BTreeMap<(LineId, SkuIx), GivenUp>, BTreeMap<u32, (SkuIx, Place, u64)>);

/// Takes the rejected units off their rows.
fn give_up(draft: &mut Draft<'_>, reject: &Reject, first: &mut First) -> GaveUp {
    const STAGES: [Stage; 4] = [Stage::Held, Stage::Confirmed, Stage::Dispatched, Stage::Ready];
    let (mut lines, mut cells): GaveUp = Default::default();
    for row in 0..draft.rows.len() {
        let value = draft.rows[row];
        if value.place.node() != reject.node || value.open() == 0 {
            continue;
        }
        let asked = reject.lines.iter().position(|line| line.line == value.line);
        let mut left = match asked.map(|index| reject.lines[index].quantity) {
            None if reject.lines.is_empty() => u64::MAX,
            None => continue,
            Some(0) => u64::MAX,
            Some(quantity) => {
                let already = given_up_of(&lines, value.line);
                u64::from(quantity) - already.min(u64::from(quantity))
            }
        };
        for stage in STAGES {
            let units = left.min(u64::from(value.units(stage))) as u32;
            if units == 0 {
                continue;
            }
            let cell = draft.cell(row);
            draft.shift(row, stage, Stage::Free, units);
            left -= u64::from(units);
            let line = lines.entry((value.line, value.sku)).or_default();
            if stage == Stage::Held {
                line.held += u64::from(units)
            } else {
                line.confirmed += u64::from(units)
            }
            cells.entry(cell).or_insert((value.sku, value.place, 0)).2 += u64::from(units);
        }
    }
    for (index, asked) in reject.lines.iter().enumerate() {
        let got = given_up_of(&lines, asked.line);
        if got == 0 {
            first.consider(draft.wrong_status_of(index));
        } else if got < u64::from(asked.quantity) {
            let refusal = Refusal::of(RefusalCode::NotEnough, Field::Quantity).at(index);
            first.consider(refusal.detail(got.cast_signed()));
        }
    }
    (lines, cells)
}

/// Units given up of a line.
fn given_up_of(lines: &BTreeMap<(LineId, SkuIx), GivenUp>, line: LineId) -> u64 {
    let of_line = lines.range((line, SkuIx(0))..=(line, SkuIx(u32::MAX)));
    of_line.map(|(_, units)| units.held + units.confirmed).sum()
}

/// Corrects the stock of the rejecting cells.
fn correct(
    state: &State,
    draft: &mut Draft<'_>,
    correction: Correction,
    cells: &BTreeMap<u32, (SkuIx, Place, u64)>,
    first: &mut First,
) {
    for (cell, (sku, place, units)) in cells {
        let before = state.inventory.inventory.quantities(*cell);
        let units = units.cast_signed();
        let (less_on_hand, more_unsellable) = match correction {
            Correction::None => continue,
            Correction::Missing => (units, 0),
            Correction::Unsellable => (0, units),
            Correction::Empty => (draft.available(*cell).max(0), 0),
        };
        let on_hand = i64::from(before.on_hand) - less_on_hand;
        let unsellable = i64::from(before.unsellable) + more_unsellable;
        if on_hand < -i64::from(QUANTITY_MAX) || unsellable > i64::from(QUANTITY_MAX) {
            first.consider(check::too_large());
            continue;
        }
        let effect = Effect::Stock {
            sku: *sku,
            place: place.0,
            on_hand: on_hand as i32,
            safety: before.safety,
            unsellable: unsellable as u32,
            moved: 0,
            counted: None,
        };
        draft.also(effect, Some((*cell, -(less_on_hand + more_unsellable))));
    }
}

/// Rejected lines as rows at their new nodes: confirmed units first, then held ones.
fn place_again(
    state: &State,
    draft: &mut Draft<'_>,
    mut given_up: BTreeMap<(LineId, SkuIx), GivenUp>,
    claims: &[Claim],
) -> Result<(), Refusal> {
    if claims.is_empty() {
        return Ok(());
    }
    let rows = draft.rows.len() + claims.len();
    if !state.reservations.rows_fit(rows) {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityLines));
    }
    draft.also(Effect::Widen { rows: claims.len() as u16 }, None);
    for claim in claims {
        let Claim { line, sku, quantity, .. } = *claim;
        let left = given_up.get_mut(&(line, sku)).expect("the picks are within what was given up");
        let confirmed = left.confirmed.min(u64::from(quantity)) as u32;
        let held = quantity - confirmed;
        left.confirmed -= u64::from(confirmed);
        left.held -= u64::from(held);
        let row = draft.rows.len();
        let (stage, first) = if confirmed > 0 { (Stage::Confirmed, confirmed) } else { (Stage::Held, held) };
        draft.claim(claim, stage, first);
        if confirmed > 0 {
            draft.shift(row, Stage::Free, Stage::Held, held);
        }
    }
    Ok(())
}

/// The plan, with whatever found no place said to be unfilled.
fn with_unfilled(replanned: &Replanned, given_up: &BTreeMap<(LineId, SkuIx), GivenUp>) -> Plan {
    let Replanned { plan, claims, why } = replanned;
    // Whether it is looked at was settled when it was reserved.
    let mut plan = Plan { review: false, ..plan.clone() };
    let reasons: HashMap<LineId, RefusalCode> =
        plan.unfilled.iter().map(|line| (line.line, line.reason)).collect();
    plan.unfilled.clear();
    for ((line, sku), units) in given_up {
        let of_line = claims.iter().filter(|claim| (claim.line, claim.sku) == (*line, *sku));
        let placed: u64 = of_line.map(|claim| u64::from(claim.quantity)).sum();
        let left = units.held + units.confirmed - placed;
        if left > 0 {
            let reason = reasons.get(line).copied().unwrap_or(*why);
            plan.unfilled.push(Unfilled { line: *line, quantity: left as u32, reason });
        }
    }
    plan
}

/// Keeps the new plan beside the first one; a plain hold has none, and nothing of it was routed.
fn keep_plan(
    state: &State,
    submission: &Submission<'_>,
    draft: &mut Draft<'_>,
    reject: &Reject,
    plan: &Plan,
) -> Result<(), Refusal> {
    let slot = super::known::reservation(state, submission.tenant, &reject.reservation)?;
    let routed = state.reservations.table.facts(slot).filter(|facts| facts.order.is_some());
    let text = routed.map_or_else(Vec::new, |mut facts| {
        facts.plans.push(plan.clone());
        facts.to_bytes()
    });
    if !state.texts.fits(&[text.len(), super::known::plans_text(std::slice::from_ref(plan)).len()]) {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityFacts));
    }
    if !text.is_empty() {
        draft.also(Effect::Facts { text }, None);
    }
    Ok(())
}
