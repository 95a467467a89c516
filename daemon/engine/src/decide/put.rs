//! The catalogue: skus and nodes added, changed, paused and retired while traffic runs.

use std::collections::HashSet;

use earmark_protocol::catalogue::{
    CODE_LEN_MAX, COST_MAX, DayLoad, NodeSpec, NodeState, POSTAL_LEN_MAX, SkuSpec, capabilities, sku_flags,
};
use earmark_protocol::command::{SetNodeState, SetPolicy};
use earmark_protocol::ids::{Money, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::tariff::PutTariffs;

use super::Verdict;
use super::check::{self, First};
use crate::outcomes::CompactReply;
use crate::policy::{Finding, Policy, Severity};
use crate::promise::time_zone;
use crate::record::Effect;
use crate::state::State;
use crate::tariff::{Tariffs, check as tariff_check};

pub(super) fn done(changed: usize) -> Verdict {
    let (status, deadline) = (None, TimestampMs(0));
    let reply = CompactReply::Done { status, deadline, moved: changed as u64, short: 0 };
    Verdict::Done { reply, plans: Vec::new() }
}

pub(super) fn text(text: &str, may_be_empty: bool, field: Field) -> Result<(), Refusal> {
    let fits = text.len() <= CODE_LEN_MAX
        && (may_be_empty || !text.is_empty())
        && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(Refusal::of(RefusalCode::TextTooLong, field).detail(CODE_LEN_MAX as i64)) }
}

fn flags(given: u16, known: u16) -> Result<(), Refusal> {
    if given & !known == 0 {
        return Ok(());
    }
    Err(Refusal::of(RefusalCode::UnknownFlag, Field::Flags).detail(i64::from(known)))
}

/// Decides skus added or changed.
pub(crate) fn skus(
    state: &State,
    tenant: Tenant,
    specs: &[SkuSpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let mut seen = HashSet::new();
    for (index, spec) in specs.iter().enumerate().take(state.rules().lines_max as usize) {
        first.take(text(&spec.code, false, Field::Code).map_err(|refusal| refusal.at(index)));
        first.take(text(&spec.group, true, Field::Group).map_err(|refusal| refusal.at(index)));
        first.take(flags(spec.flags, sku_flags::ALL).map_err(|refusal| refusal.at(index)));
        if !seen.insert(spec.code.as_str()) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Code).at(index));
        }
    }
    first.done()?;
    let new = || specs.iter().filter(|spec| state.skus.skus.find(tenant, &spec.code).is_none());
    let groups: HashSet<&str> =
        specs.iter().map(|spec| spec.group.as_str()).filter(|group| state.skus.is_new_group(group)).collect();
    let texts = new().map(|spec| spec.code.as_str()).chain(groups);
    let full = |field| Err(Refusal::of(RefusalCode::CapacityReached, field));
    match state.skus.fits(new().count(), texts) {
        (false, _) => return full(Field::CapacitySkus),
        (_, false) => return full(Field::CapacityCodes),
        (true, true) => {}
    }
    effects.extend(specs.iter().map(|spec| Effect::Sku { tenant, spec: Box::new(spec.clone()) }));
    Ok(done(specs.len()))
}

/// Decides skus taken out of sale.
pub(crate) fn retire_skus(
    state: &State,
    tenant: Tenant,
    skus: &[SkuIx],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), skus.len(), Field::Line));
    for (index, sku) in skus.iter().enumerate().take(state.rules().lines_max as usize) {
        first.take(check::sku(&state.reader(), tenant, *sku).map_err(|refusal| refusal.at(index)));
    }
    first.done()?;
    effects.extend(skus.iter().map(|sku| Effect::SkuRetired { sku: *sku }));
    Ok(done(skus.len()))
}

/// Decides nodes added or changed.
pub(crate) fn nodes(
    state: &State,
    tenant: Tenant,
    specs: &[NodeSpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let mut seen = HashSet::new();
    for (index, spec) in specs.iter().enumerate().take(state.rules().lines_max as usize) {
        first.take(check_node(state, tenant, spec).map_err(|refusal| refusal.at(index)));
        if !seen.insert(spec.code.as_str()) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Code).at(index));
        }
    }
    first.done()?;
    let new = specs.iter().filter(|spec| state.nodes.find(tenant, &spec.code).is_none()).count();
    if state.nodes.nodes.len() + new > state.capacity.nodes.min(earmark_protocol::ids::NodeIx::LIMIT) as usize
    {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityNodes));
    }
    effects.extend(specs.iter().map(|spec| Effect::Node { tenant, spec: Box::new(spec.clone()) }));
    Ok(done(specs.len()))
}

fn check_node(state: &State, tenant: Tenant, spec: &NodeSpec) -> Result<(), Refusal> {
    let mut first = First::default();
    first.take(text(&spec.code, false, Field::Code));
    first.take(text(&spec.group, true, Field::Group));
    first.take(text(&spec.seller, true, Field::Seller));
    first.take(text(&spec.time_zone, false, Field::TimeZone));
    first.take(flags(spec.capabilities, capabilities::ALL));
    if spec.postal.len() > POSTAL_LEN_MAX || spec.postal.chars().any(char::is_control) {
        first.consider(Refusal::of(RefusalCode::TextTooLong, Field::Postal).detail(POSTAL_LEN_MAX as i64));
    }
    if !spec.position.is_valid() {
        first.consider(Refusal::of(RefusalCode::PositionInvalid, Field::Position));
    }
    // A day that nobody works by cannot be full.
    if spec.calendar.is_empty() && spec.day_limit != DayLoad::default() {
        first.consider(Refusal::of(RefusalCode::UnknownCalendar, Field::Calendar));
    }
    if !spec.calendar.is_empty() && state.nodes.calendar(tenant, &spec.calendar).is_none() {
        first.consider(Refusal::of(RefusalCode::UnknownCalendar, Field::Calendar));
    }
    if !spec.time_zone.is_empty() && time_zone(&spec.time_zone).is_none() {
        first.consider(Refusal::of(RefusalCode::UnknownTimeZone, Field::TimeZone));
    }
    let costs = [spec.cost_per_order, spec.cost_per_line, spec.cost_per_unit];
    if costs.iter().any(|cost| !(Money(0)..=COST_MAX).contains(cost)) {
        first.consider(Refusal::of(RefusalCode::QuantityTooLarge, Field::Cost).detail(COST_MAX.0));
    }
    first.done()
}

/// Decides a node's state.
pub(crate) fn node_state(
    state: &State,
    tenant: Tenant,
    set: &SetNodeState,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let node = state.node(tenant, set.node).ok_or(Refusal::of(RefusalCode::UnknownNode, Field::Node))?;
    if node.state == NodeState::Retired && set.state != NodeState::Retired {
        return Err(Refusal::of(RefusalCode::NodeRetired, Field::Node));
    }
    effects.push(Effect::NodeState { node: set.node, state: set.state });
    Ok(done(1))
}

/// Decides a policy. One that cannot be read, or names services that are not there, is refused at the place of its first mistake.
pub(crate) fn policy(
    state: &State,
    tenant: Tenant,
    set: &SetPolicy,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let policy = Policy::parse(&set.text).map_err(|findings| {
        let (line, column) = findings.first().map_or((0, 0), |finding| (finding.line, finding.column));
        Refusal::of(RefusalCode::PolicyInvalid, Field::Policy).at(line).detail(column as i64)
    })?;
    let tariffs = state.nodes.tariffs.of(tenant);
    let specs: Vec<_> =
        tariffs.into_iter().flat_map(|tariffs| tariffs.services.iter().map(|spec| &**spec)).collect();
    let services = policy.check_services(&set.text, &specs);
    if let Some(Finding { line, column, .. }) =
        services.iter().find(|found| found.severity == Severity::Mistake)
    {
        let refusal = Refusal::of(RefusalCode::UnknownService, Field::Policy);
        return Err(refusal.at(*line).detail(*column as i64));
    }
    let version = state.policies.newest(tenant).map_or(0, |kept| kept.version) + 1;
    let rules = policy.rules();
    effects.push(Effect::Policy { tenant, version, text: set.text.clone() });
    Ok(done(rules))
}

/// Decides tariffs. Those with a mistake are refused at its place, and what was in force stays.
pub(crate) fn tariffs(
    state: &State,
    tenant: Tenant,
    put: &PutTariffs,
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let changed = put.rates.len() + put.charts.len() + put.services.len();
    let mut first = First::default();
    first.take(check::list_len(state.rules(), changed, Field::Service));
    for row in &put.charts {
        first.take(check::list_limit(state.rules(), row.zones.len(), Field::Chart));
    }
    first.done()?;
    let none = Tariffs::default();
    let before = state.nodes.tariffs.of(tenant).map_or(&none, |tariffs| tariffs);
    if let Some(mistake) = tariff_check::mistakes(before, put).first() {
        return Err(mistake.refusal(put));
    }
    effects.push(Effect::Tariffs { tenant, version: before.version + 1, put: Box::new(put.clone()) });
    Ok(done(changed))
}
