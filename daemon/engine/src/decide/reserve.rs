//! Routed reservations: a planner's proposal, checked against what is there now.

use std::collections::HashMap;

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::command::{Order, Reserve};
use earmark_protocol::ids::{CommandId, LineId, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Shipment, ShipmentLine};

use super::check::{self, First};
use super::days;
use super::hold::{Claim, Opening, first_short, open};
use super::{Decision, Planned, Submission, Verdict, check_order};
use crate::facts::Facts;
use crate::inventory::Place;
use crate::record::Effect;
use crate::routing::{Planner, Proposal, take_apart};
use crate::state::State;
use crate::supply::Due;

/// Decides a routed reservation.
pub(crate) fn decide(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    id: CommandId,
    reserve: &Reserve,
    decision: &mut Decision,
) -> Result<Verdict, Refusal> {
    let tenant = submission.tenant;
    let mut first = First::default();
    let deadline = first.take(check::deadline(state.rules(), now, reserve.class, reserve.lifetime_ms));
    first.take(check_order(&state.reader(), tenant, &reserve.order));
    first.done()?;
    let deadline = deadline.expect("a deadline that is missing was refused");
    let Some((plan, claims)) =
        settle_plan(state, now, submission, &reserve.order, reserve.best_effort, decision)?
    else {
        return Ok(Verdict::Conflict);
    };
    if claims.is_empty() {
        let unfilled = plan.unfilled.first();
        let reason = unfilled.map_or(RefusalCode::OutOfStock, |unfilled| unfilled.reason);
        return Err(Refusal::of(reason, Field::Line).at(0));
    }
    let waits = plan.review;
    let facts = Facts { order: Some(reserve.order.clone()), plans: vec![plan] };
    let opening = Opening { id, class: reserve.class, deadline, claims: &claims, facts: Some(&facts) };
    open(state, submission, &opening, &mut decision.record.effects)?;
    if waits {
        decision.record.effects.push(Effect::Review { waits });
    }
    Ok(Verdict::Reserved { deadline, plan: facts.plans.into_iter().next() })
}

/// The proposal as claims: as it was submitted where it still holds; repaired where only stock went; planned here at
/// the last attempt of a small order. `None` asks for another round.
fn settle_plan(
    state: &State,
    now: TimestampMs,
    submission: &Submission<'_>,
    order: &Order,
    best_effort: bool,
    decision: &mut Decision,
) -> Result<Option<(Plan, Vec<Claim>)>, Refusal> {
    let tenant = submission.tenant;
    let reader = state.reader();
    let asked = order;
    let apart = take_apart(&state.nodes.kits, &reader, tenant, asked, &[]);
    let order = apart.as_ref().unwrap_or(asked);
    // What is left out stays left out when a plan is mended.
    let is_fair = |proposal: &Proposal, planner: &mut Planner| {
        let version = proposal.plan.policy;
        proposal.plan.unfilled.is_empty()
            || planner.at(now).takes_part(&reader, tenant, order, version, best_effort)
    };
    match submission.planned {
        Some(Err(refusal)) => return Err(*refusal),
        Some(Ok(proposal))
            if is_current(state, now, tenant, order, proposal, &mut decision.planner)
                && is_fair(proposal, &mut decision.planner) =>
        {
            let planner = &mut decision.planner;
            if let Some(claims) = claims(state, now, tenant, proposal)
                && planner.at(now).leaves_buffers(&reader, reader.lanes(), tenant, asked, proposal)
            {
                return Ok(Some((proposal.plan.clone(), claims)));
            }
            let repaired = decision.planner.at(now).repair(&reader, reader.lanes(), tenant, asked, proposal);
            if let Some(repaired) = repaired
                && let Some(claims) = claims(state, now, tenant, &repaired)
            {
                return Ok(Some((repaired.plan, claims)));
            }
        }
        Some(Ok(_)) | None => {}
    }
    if !submission.last {
        return Ok(None);
    }
    if order.lines.len() > state.rules().attempt_lines_max as usize {
        return Err(Refusal::of(RefusalCode::Contended, Field::Whole));
    }
    let fresh: Planned =
        decision.planner.at(now).plan(&reader, reader.lanes(), tenant, asked, best_effort, &[]);
    let fresh = fresh?;
    let claims =
        claims(state, now, tenant, &fresh).ok_or(Refusal::of(RefusalCode::Contended, Field::Whole))?;
    Ok(Some((fresh.plan, claims)))
}

/// Whether a proposal was made of what still is, and by the version of the policy that the order obeys now.
pub(crate) fn is_current(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    order: &Order,
    proposal: &Proposal,
    planner: &mut Planner,
) -> bool {
    // A version for all orders is the only one there is in its epoch; one for some can begin in the middle of it.
    let is_for_all = state.policies.newest(tenant).is_none_or(|kept| kept.policy.is_for_all());
    proposal.epoch == state.shared.plan_epoch()
        && (is_for_all || planner.at(now).version_for(&state.reader(), tenant, order) == proposal.plan.policy)
}

/// The picks of a proposal as claims, where every one can be held now: cells exist, nodes are active, skus in sale,
/// each cell has what is taken from it, summed, and each day has room.
pub(crate) fn claims(
    state: &State,
    now: TimestampMs,
    tenant: Tenant,
    proposal: &Proposal,
) -> Option<Vec<Claim>> {
    let mut claims = Vec::with_capacity(proposal.picks.len());
    for pick in &proposal.picks {
        let active = state.node(tenant, pick.node).is_some_and(|node| node.state == NodeState::Active);
        let facts = state.skus.skus.facts(pick.sku)?;
        if !active || facts.retired || facts.tenant != tenant || pick.quantity == 0 {
            return None;
        }
        let place = Place::new(pick.node, pick.segment);
        let cell = state.inventory.inventory.find(pick.sku, place)?;
        let (line, sku, quantity) = (pick.line, pick.sku, pick.quantity);
        claims.push(Claim { line, sku, place, cell, quantity, supply_day: None });
    }
    if first_short(state, &claims).is_some() || !days::fit(state, tenant, &proposal.plan) {
        return None;
    }
    claims.extend(waits(state, now, tenant, &proposal.plan)?);
    (claims.len() <= crate::reservations::slot::ROWS_MAX).then_some(claims)
}

/// What of a plan waits for supply, as claims, where each cell's comes by the day that is said, behind all who wait already.
fn waits(state: &State, now: TimestampMs, tenant: Tenant, plan: &Plan) -> Option<Vec<Claim>> {
    if !plan.shipments.iter().any(Shipment::waits) {
        return Some(Vec::new());
    }
    let (mut claims, mut ahead) = (Vec::new(), HashMap::<u32, u64>::new());
    let book = state.shared.supplies.read();
    for shipment in plan.shipments.iter().filter(|shipment| shipment.waits()) {
        let active = state.node(tenant, shipment.node).is_some_and(|node| node.state == NodeState::Active);
        for ShipmentLine { line, sku, segment, quantity } in shipment.lines.iter().copied() {
            let facts = state.skus.skus.facts(sku)?;
            if !active || facts.retired || facts.tenant != tenant {
                return None;
            }
            let place = Place::new(shipment.node, segment);
            let cell = state.inventory.inventory.find(sku, place)?;
            let short = i64::from(state.inventory.inventory.available_at(cell).min(0)).unsigned_abs();
            let ahead = ahead.entry(cell).or_default();
            *ahead += u64::from(quantity);
            book.day_behind_all(sku, place, short + *ahead, Due::until(now, shipment.supply_day))?;
            let supply_day = Some(shipment.supply_day);
            claims.push(Claim { line, sku, place, cell, quantity, supply_day });
        }
    }
    Some(claims)
}

/// Whether no line gets more of a sku than it asks for.
pub(crate) fn picks_within(picks: &[crate::routing::Pick], wanted: &HashMap<(LineId, SkuIx), u64>) -> bool {
    let mut left = wanted.clone();
    picks.iter().all(|pick| {
        left.get_mut(&(pick.line, pick.sku)).is_some_and(|units| {
            let fits = u64::from(pick.quantity) <= *units;
            *units = units.saturating_sub(u64::from(pick.quantity));
            fits
        })
    })
}
